"""How cost grows: the command at tiny sizes, the network of another width, the file, and the slopes."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
from benchmarks import networks, scaling
from benchmarks.__main__ import main
from minicnn import Tensor, nn
from minicnn.models import build

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmarks read /proc")

SMALL = scaling.Point(batch=2, size=67, width=0.125)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command around a small network, on the NumPy kernels; return what it says, its JSON and its rows."""
    monkeypatch.setattr(scaling, "BASE", SMALL)
    monkeypatch.setattr(scaling, "ROUND_SECONDS", 0.01)

    def run(*arguments: str) -> tuple[str, dict[str, Any], list[dict[str, Any]]]:
        out, file = tmp_path / "scaling.csv", tmp_path / "result.json"
        line = ["scaling", "--kernels", "numpy", "--threads", "1", "--rounds", "2"]
        main([*line, "--out", str(out), "--json", str(file), *arguments])
        return capsys.readouterr().out, json.loads(file.read_text()), scaling.read(out)

    return run


def test_the_command(run: Any, tmp_path: Path) -> None:
    text, result, rows = run("--batch", "1,2", "--width", "0.125,0.25")
    assert [(row["batch"], row["size"], row["width"]) for row in rows] == [
        (1, 67, 0.125),
        (2, 67, 0.125),
        (2, 67, 0.25),
    ]
    for row in rows:
        assert row["contender"] == "minicnn" and row["rounds"] == 2 and row["threads"] == 1
        assert 0 < row["seconds_min"] <= row["seconds"] <= row["seconds_max"]
        assert row["peak_bytes"] > 4 * 3 * row["parameters"]  # with gradients and velocities
    assert rows[1]["multiply_adds"] == 2 * rows[0]["multiply_adds"] and rows[0]["parameters"] == rows[1]["parameters"]
    said = {(each["sweep"], each["contender"]): each for each in result["slopes"]}
    assert set(said) == {("batch", "minicnn"), ("width", "minicnn")}
    assert said["batch", "minicnn"]["multiply_adds"] == pytest.approx(1)
    assert 1.3 < said["width", "minicnn"]["multiply_adds"] < 2
    assert text.count("G multiply-adds, minicnn") == 3
    assert "alexnet, training step, 1 thread: the power with which it grows" in text
    with Image.open(tmp_path / "scaling.png") as image:
        colours = {colour for count, colour in image.convert("RGB").getcolors(1 << 20) if count > 20}
    assert {(31, 119, 180), (128, 128, 128)} <= colours  # minicnn, multiply-adds


def test_resuming_measures_what_is_missing(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []

    def measure(settings: dict[str, dict[str, Any]], rounds: int) -> Any:
        measured.append([(each["network"]["width"], each["batch"]) for each in settings.values()])
        found = {"seconds": 0.5, "seconds_min": 0.25, "seconds_max": 1.0, "peak_bytes": 7}
        return {name: found for name in settings}, {}

    monkeypatch.setattr(scaling, "measure", measure)
    _, _, first = run("--batch", "1,2")
    _, _, both = run("--batch", "2,4", "--resume")
    assert measured == [[(0.125, 1)], [(0.125, 2)], [(0.125, 4)]]
    assert both[:2] == first and both[2]["batch"] == 4
    _, _, again = run("--batch", "2")
    assert [row["batch"] for row in again] == [2]


def test_what_does_not_fit_together_is_measured_in_turn_and_what_does_not_fit_at_all_is_skipped(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []

    def measure(settings: dict[str, dict[str, Any]], rounds: int) -> Any:
        measured.append(list(settings))
        found = {"seconds": 0.5, "seconds_min": 0.25, "seconds_max": 1.0, "peak_bytes": 7}
        return {name: found for name in settings}, {}

    monkeypatch.setattr(scaling, "measure", measure)
    monkeypatch.setattr(scaling, "expected_bytes", lambda network, point: 4 * point.batch)
    monkeypatch.setattr(scaling, "available_bytes", lambda: 12)
    text, result, rows = run("--batch", "1,2,4", "--against", "torch")
    names = ["minicnn", "torch NCHW", "torch channels_last"]
    assert measured == [names, *([name] for name in names)]
    assert {row["batch"] for row in rows} == {1, 2}
    assert len(result["skipped"]) == 1 and result["skipped"][0].startswith("skipped batch 4, 67x67, width 0.125: needs")
    assert text.count(result["skipped"][0]) == 2


def test_the_estimate_of_memory_is_generous(run: Any) -> None:
    for row in run("--batch", "1,16")[2]:
        assert row["peak_bytes"] < scaling.expected_bytes("alexnet", scaling.of_row(row))
    assert 10_000_000 < scaling.available_bytes() < 1 << 50


@pytest.mark.parametrize("line", ["--size 67,70", "--size 63", "--width 0", "--width x", "--batch 0"])
def test_a_mistake_ends_it(line: str, run: Any, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as left:
        run(*line.split())
    assert left.value.code not in (0, None) and not (tmp_path / "scaling.csv").exists()


def test_another_file_is_refused(run: Any, tmp_path: Path) -> None:
    (tmp_path / "scaling.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SystemExit, match="is not a file of `python -m benchmarks scaling`"):
        run("--batch", "1", "--resume")


def test_the_whole_range() -> None:
    found = scaling.points(scaling.SWEEPS)
    assert len(found) == 10 + 8 + 6 - 2  # the base belongs to all three
    assert found[0].batch == 1 and found[-1].batch == 512
    for point in found:
        assert not networks.summary_of(scaling.config("alexnet", point)).warnings  # every window fits
    assert scaling.training_multiply_adds("alexnet", scaling.BASE) == 16 * networks.flops("alexnet", False)


@pytest.mark.parametrize(("width", "filters"), [(0.25, [24, 64, 96, 96, 64]), (2, [192, 512, 768, 768, 512])])
def test_a_network_of_another_width(width: float, filters: list[int]) -> None:
    with nn.init.skip_arrays():
        ours, paper = (
            networks.built({**networks.CONFIGS["alexnet"], "width": width}),
            build(networks.CONFIGS["alexnet"]),
        )
    layers, originals = dict(ours.named_children()), dict(paper.named_children())
    assert list(layers) == list(originals)
    assert [layers[f"conv{number}"].out_channels for number in range(1, 6)] == filters
    assert [layers[f"conv{number}"].groups for number in range(1, 6)] == [1, 2, 1, 2, 2]
    assert [layers[f"fc{number}"].out_features for number in (6, 7, 8)] == [4096 * width, 4096 * width, 1000]
    assert layers["fc6"].in_features == filters[-1] * 6 * 6
    assert dict(paper.named_children())["conv1"].out_channels == 96  # which is another network


def test_a_narrow_network_computes() -> None:
    model = networks.built({**networks.CONFIGS["alexnet"], "in_size": 67, "width": 0.125})
    with minicnn.use_kernels("numpy"), minicnn.no_grad():
        assert np.isfinite(model(Tensor(np.ones((1, 3, 67, 67), np.float32))).data).all()


def test_the_slope_is_that_of_the_larger_half() -> None:
    sizes = [1, 2, 4, 8, 16]
    rows = [{"batch": x, "size": 227, "width": 1.0, "contender": "minicnn", "seconds": max(8.0, x) ** 2} for x in sizes]
    other = {"batch": 32, "size": 67, "width": 1.0, "contender": "minicnn", "seconds": 1.0}
    line = scaling.lines([*reversed(rows), other], "batch")["minicnn"]
    assert line.along("batch") == sizes
    assert line.slope("seconds") == pytest.approx(np.polyfit(np.log([4, 8, 16]), np.log([64, 64, 256]), 1)[0])
    assert scaling.Line("batch", rows[:1]).slope("seconds") is None
    assert scaling.Line("batch", rows[3:]).slope("seconds") == pytest.approx(2)
