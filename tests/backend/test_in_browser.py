"""What is computed differently where Python is WebAssembly, tried here; tests/lite runs it there."""

from pathlib import Path

import numpy as np
import pytest

import minicnn
from minicnn import backend, kernels
from minicnn.backend import cores, devices
from minicnn.data import cifar10, prefetch
from minicnn.data.errors import DataError


@pytest.fixture(autouse=True)
def in_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (cores, devices, kernels, cifar10, prefetch):
        monkeypatch.setattr(module, "IN_BROWSER", True)


@pytest.mark.parametrize("shapes", [((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((1, 3, 4), (6, 4, 5)), ((4,), (4, 5))])
def test_products_are_those_of_matmul(
    shapes: tuple[tuple[int, ...], ...], dtype: type, rng: np.random.Generator
) -> None:
    a, b = (rng.normal(size=shape).astype(dtype) for shape in shapes)
    found = backend.product(np, a, b)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, np.matmul(a, b), rtol=0, atol=1e-5 if dtype is np.float32 else 1e-13)
    out = np.empty_like(found)
    assert backend.product(np, np.asfortranarray(a), b, out) is out
    np.testing.assert_array_equal(out, backend.product(np, a, b))


def test_a_product_of_more_than_einsum_can_count_is_left_to_matmul(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "einsum", lambda *_, **__: pytest.fail("einsum counts in 32 bits there"))
    a, b = (np.broadcast_to(np.float32(1), shape) for shape in ((1 << 11, 1 << 10), (1 << 10, 1 << 10)))
    monkeypatch.setattr(np, "matmul", lambda a, b, out: "matmul")
    assert backend.product(np, a, b) == "matmul"


def test_no_thread_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_threads(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", no_threads)
    minicnn.set_num_threads(2)
    parts: list[tuple[int, int]] = []
    backend.split(np, 10, lambda start, stop: parts.append((start, stop)))
    assert parts == [(0, 10)]
    assert list(prefetch.run_ahead(str.upper, "abc", workers=2)) == ["A", "B", "C"]


def test_what_is_absent_there_is_named() -> None:
    with pytest.raises(ImportError, match="Numba cannot run in a browser"), minicnn.use_kernels("numba"):
        pytest.fail("there is no Numba")
    with pytest.raises(
        devices.DeviceError, match="'cuda' needs an NVIDIA GPU, which minicnn cannot reach from a browser"
    ):
        minicnn.randn(2).to("cuda")
    with pytest.raises(DataError, match=r"cannot download https://example\.org/x\.tar\.gz in a browser"):
        cifar10.fetch("https://example.org/x.tar.gz", Path("x"))
