"""The benchmark on a GPU: on a fake one, in this process, where there is no other."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import benchmarks.gpu
import minicnn
from benchmarks import contenders, gpu_profiling, race
from benchmarks.__main__ import main

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmarks read /proc")


class ChildInThisProcess:
    """A fake GPU is in this process alone."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.measured = contenders.Steps(**settings)
        self.facts = self.measured.facts

    def ask(self, method: str, **arguments: Any) -> Any:
        return json.loads(json.dumps(getattr(self.measured, method)(**arguments)))


@contextmanager
def children_in_this_process(kind: str, settings: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    assert kind == "steps"
    yield {label: ChildInThisProcess(each) for label, each in settings.items()}


def test_gpu(gpu: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(race, "ROUND_SECONDS", 0.01)
    monkeypatch.setattr(benchmarks.gpu, "children", children_in_this_process)
    monkeypatch.setattr(gpu_profiling, "COPIED", 1000)
    file = tmp_path / "gpu.json"
    with minicnn.use_kernels("numpy"):
        main(["gpu", "--batch", "2", "--network", "four-layer", "--rounds", "2", "--json", str(file)])
    minicnn.set_tf32(False)
    text, (cell,) = capsys.readouterr().out, json.loads(file.read_text())["cells"]
    assert list(cell["contenders"]) == ["minicnn, float32", "minicnn, TF32"] and cell["ratios"] == {}
    for name, tf32 in (("minicnn, float32", False), ("minicnn, TF32", True)):
        facts = cell["contenders"][name]
        assert facts["tf32"] is tf32 and facts["gpu"] == minicnn.backend.gpu_facts("cuda")["gpu"]
        assert 0 < facts["images_per_s"]["min"] <= facts["images_per_s"]["median"]
        kernels = facts["kernels"]["each"]
        assert {"im2col", "col2im", "max_pool2d_forward", "sgd_momentum", "cross_entropy_forward"} <= set(kernels)
        assert kernels["im2col"]["launches"] == 6  # three layers, forward and again backward
        assert kernels["col2im"]["launches"] == 2  # the images need no gradient
        assert kernels["sgd_momentum"]["bytes"] == 3 * 4 * 85_098  # parameters, gradients, velocities
        assert sum(each["seconds"] for each in kernels.values()) < facts["kernels"]["step_s"]
        assert f"{name}: kernels in a step of" in text
    assert text.startswith("training steps on cuda:0; median (min to max) of 2 rounds\n\nfour-layer, batch 2\n")
    assert "products and the rest" in text and "launches" in text


def test_gpu_needs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(SystemExit, match="benchmarks: device 'cuda' needs CuPy"):
        main(["gpu"])


@pytest.mark.torch
def test_gpu_ratios_are_between_the_same_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the processor, where PyTorch's part runs in this test."""
    monkeypatch.setattr(race, "ROUND_SECONDS", 0.01)
    monkeypatch.setattr(benchmarks.gpu, "children", children_in_this_process)
    monkeypatch.setattr(contenders.Steps, "kernels", lambda self, steps: {})
    result = benchmarks.gpu.gpu("cpu", True, [2], 2, ["four-layer"])
    (cell,) = result["cells"]
    assert list(cell["ratios"]) == [
        f"minicnn, {products} / torch {layout}, {products}"
        for products in ("float32", "TF32")
        for layout in ("NCHW", "channels_last")
    ]
    for ratio in cell["ratios"].values():
        assert 0 < ratio["min"] <= ratio["median"] <= ratio["max"]
