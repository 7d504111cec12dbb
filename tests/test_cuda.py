"""The first line of many programs: which device there is."""

import sys

import pytest

import minicnn
from minicnn import Tensor


def test_a_gpu_is_found(gpu: str) -> None:
    assert minicnn.cuda.is_available()
    device = minicnn.device("cuda:0" if minicnn.cuda.is_available() else "cpu")
    assert Tensor([1.0]).to(device).device == device == minicnn.device("cuda", 0) == "cuda:0"


def test_without_cupy_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert not minicnn.cuda.is_available()
    assert minicnn.device("cuda" if minicnn.cuda.is_available() else "cpu") == "cpu"


def test_names_of_no_device() -> None:
    with pytest.raises(ValueError, match="device must be 'cpu', 'cuda' or 'cuda:N', got 'mps'"):
        minicnn.device("mps")
    with pytest.raises(TypeError, match="device: index must be an integer, got 'first'"):
        minicnn.device("cuda", "first")  # type: ignore[arg-type]
