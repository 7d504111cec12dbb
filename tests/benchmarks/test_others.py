"""The other libraries compute what minicnn computes, from the same weights. What is not installed is skipped."""

import argparse
import importlib.util
from typing import Any

import numpy as np
import pytest

import minicnn
from benchmarks import __main__ as command
from benchmarks.contenders import minicnn_step
from benchmarks.others import OTHERS

pytestmark = pytest.mark.slow

INSTALLED = [name for name, (module, _) in OTHERS.items() if importlib.util.find_spec(module) is not None]


def number(step: Any, network: Any, forward_only: bool, **more: Any) -> float:
    minicnn.manual_seed(0)  # before the weights are drawn
    made, said = step(network, 2, 1, forward_only, **more)
    assert said["version"] and said["libraries_bytes"] > 0
    return float(made())


@pytest.mark.parametrize("network", ["four-layer", {"model": "alexnet", "variant": "paper", "in_size": 67}], ids=str)
@pytest.mark.parametrize("name", INSTALLED)
def test_a_forward_pass_gives_the_same_score(name: str, network: Any) -> None:
    if name == "torch-compile":
        pytest.skip("its network has PyTorch's initial weights; tests/torch compares the layers")
    ours = number(minicnn_step, network, True, kernels="numpy")
    np.testing.assert_allclose(number(OTHERS[name][1], network, True), ours, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in INSTALLED if name not in ("onnxruntime", "torch-compile")])
def test_a_training_step_has_the_same_loss(name: str) -> None:
    """The second one, after an update."""
    losses = []
    for step, more in ((minicnn_step, {"kernels": "numpy"}), (OTHERS[name][1], {})):
        minicnn.manual_seed(0)
        made, _ = step("four-layer", 2, 1, False, **more)
        losses.append([float(made()), float(made())])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)


def test_onnxruntime_only_predicts() -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(ValueError, match="add --forward-only"):
        OTHERS["onnxruntime"][1]("four-layer", 1, 1, False)


def test_what_is_not_installed_or_unknown_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="must be some of torch, .*; got 'caffe'"):
        command._libraries("caffe")
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="benchmarks: jax needs the package jax, which is not installed"):
        command.main(["four-layer", "--against", "jax"])
