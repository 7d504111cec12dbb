"""The benchmarks at tiny sizes: every subcommand, what its table and its JSON say, and what the numbers rest on."""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
from benchmarks import contenders, networks, operations, processes, profiling, race, startup, tables
from benchmarks.__main__ import main
from minicnn import Function, Tensor
from minicnn.models import build

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmarks read /proc")

FOUR_LAYER = ["conv1", "relu1", "pool1", "conv2", "relu2", "pool2", "conv3", "relu3", "pool3", "fc"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a benchmark on the NumPy kernels, which need no compiling; return its table and its JSON."""

    monkeypatch.setattr(race, "ROUND_SECONDS", 0.01)
    monkeypatch.setattr(operations, "LEAST_SECONDS", 0.001)

    def run(*arguments: str) -> tuple[str, dict[str, Any]]:
        file = tmp_path / "result.json"
        main([*arguments, "--kernels", "numpy", "--json", str(file)])
        return capsys.readouterr().out, json.loads(file.read_text())

    return run


# --- the commands -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_race(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(processes.UNSET)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    text, result = run("four-layer", "--batch", "1,2", "--threads", "1", "--rounds", "3")
    ours, products = "minicnn, batch {}", "matrix products alone, batch {}"
    assert list(result["contenders"]) == [name.format(batch) for name in (ours, products) for batch in (1, 2)]
    assert set(result["ratios"]) == {
        "minicnn, batch 1 / minicnn, batch 2",
        "minicnn, batch 1 / matrix products alone, batch 1",
        "minicnn, batch 2 / matrix products alone, batch 2",
    }
    for ratio in result["ratios"].values():
        assert 0 < ratio["min"] <= ratio["median"] <= ratio["max"]
    assert result["ratios"]["minicnn, batch 2 / matrix products alone, batch 2"]["median"] < 1
    assert result["input_shape"] == [3, 32, 32]
    assert result["unset"] == ["OPENBLAS_NUM_THREADS=3"]
    for batch in (1, 2):
        facts = result["contenders"][ours.format(batch)]
        speed = facts["images_per_s"]
        assert (facts["batch"], facts["used_threads"], facts["kernels"]) == (batch, 1, "numpy")
        assert 0 < speed["min"] <= speed["median"] <= speed["max"]
        assert facts["ms_per_image"]["median"] == pytest.approx(1000 / speed["median"])
        assert facts["gflops"]["max"] == pytest.approx(speed["max"] * result["flops_per_image"] / 1e9)
        assert facts["peak_bytes"] > 4 * 3 * 85_098  # parameters, gradients, velocities
        profile = facts["profile"]
        assert {"Conv2d forward", "Conv2d backward", "MaxPool2d backward", "SGD"} < set(profile)
        assert min(profile.values()) > 0
        assert sum(profile.values()) < 10 * batch / speed["median"]
        assert f"minicnn, batch {batch}, share of a step of" in text
    assert text.startswith("four-layer, training step, images of 3x32x32, batch 1, 2, 0.0595 GFLOP per image;")
    assert "removed from the environment: OPENBLAS_NUM_THREADS=3" in text
    assert f"minicnn, batch 1: {minicnn.__version__}, numpy {np.__version__}, numpy kernels, 1 thread; " in text
    assert "profile" not in result["contenders"][products.format(1)]


def test_other_systems_are_refused_in_one_line_but_see_the_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SystemExit, match="benchmarks: only Linux has /proc"):
        main(["memory"])
    with pytest.raises(SystemExit):
        main(["memory", "--help"])
    assert "--threads" in capsys.readouterr().out


@pytest.mark.slow
def test_a_race_forward_only(run: Any) -> None:
    text, result = run("alexnet", "--batch", "1", "--threads", "1", "--rounds", "1", "--forward-only")
    assert list(result["contenders"]) == ["minicnn", "matrix products alone"]
    assert list(result["ratios"]) == ["minicnn / matrix products alone"]
    assert text.startswith("alexnet, forward only, images of 3x227x227, batch 1, 1.45 GFLOP per image;")
    profile = result["contenders"]["minicnn"]["profile"]
    assert {"Conv2d forward", "LocalResponseNorm forward", "Linear forward"} < set(profile)
    assert not [name for name in profile if "backward" in name or name in ("SGD", "Dropout forward")]


@pytest.mark.slow
def test_operations(run: Any, tmp_path: Path) -> None:
    picture = tmp_path / "roofline.png"
    arguments = "ops --network four-layer --batch 2 --threads 1 --rounds 1 --out".split()
    text, result = run(*arguments, str(picture))
    measured = [(each["name"], each["which"]) for each in result["operations"]]
    names = [*FOUR_LAYER, "cross entropy"]
    assert measured == [(name, which) for name in names for which in ("forward", "backward")] + [("SGD", "step")]
    assert result["roofs"]["flops_per_s"] > 1e8 and result["roofs"]["bytes_per_s"] > 1e8
    for each in result["operations"]:
        of_flops = each["flops"] / result["roofs"]["flops_per_s"]
        of_bytes = each["bytes"] / result["roofs"]["bytes_per_s"]
        assert each["floor_s"] == max(of_flops, of_bytes)
        assert each["bound_by"] == ("flops" if of_flops > of_bytes else "bytes")
        assert each["over_floor"]["minicnn"] == each["seconds"]["minicnn"]["median"] / each["floor_s"]
    lines = text.splitlines()
    assert lines[0].startswith("four-layer, batch 2, 1 thread: ms, and (times the floor)")
    (conv3,) = (each for each in result["operations"] if (each["name"], each["which"]) == ("conv3", "backward"))
    (line,) = (line.split() for line in lines if line.split()[:2] == ["conv3", "backward"])
    assert line[3] == conv3["bound_by"]
    assert line[5] == f"({conv3['over_floor']['minicnn']:.2f})"
    with Image.open(picture) as image:
        colours = {colour for count, colour in image.convert("RGB").getcolors(1 << 20) if count > 20}
    assert {(31, 119, 180), (255, 127, 14), (44, 160, 44), (148, 103, 189)} <= colours  # conv, ReLU, pool, linear


@pytest.mark.slow
def test_memory(run: Any) -> None:
    peaks = []
    for batch in (2, 66):
        text, result = run("memory", "--network", "four-layer", "--batch", str(batch), "--threads", "1")
        peaks.append(result["contenders"]["minicnn"]["peak_bytes"])
        assert text.startswith(f"four-layer, training step, batch {batch}: peak memory without the libraries\n")
        assert f"  minicnn   {peaks[-1] / 1e6:.0f} MB\n" in text
        assert result["ratios"] == {}
    kept = networks.summary_of("four-layer", 64).activation_bytes
    assert kept < peaks[1] - peaks[0] < 20 * kept


def test_startup(run: Any) -> None:
    text, result = run("startup", "--batch", "2", "--threads", "1", "--rounds", "1")
    assert list(result["contenders"]) == ["minicnn, empty cache", "minicnn, second process"]
    for waits in result["contenders"].values():
        assert 0.01 < waits["import_s"]["median"] < 60
        assert 0.001 < waits["first_step_s"]["median"] < 60
    assert text.startswith("start-up: seconds of the import, and from then to the end of four-layer's first training")
    assert "  minicnn, second process   " in text


def test_startup_begins_each_round_with_an_empty_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, bool]] = []

    def first_step(command: list[str], env: dict[str, str], **options: Any) -> Any:
        folder = Path(env["NUMBA_CACHE_DIR"])
        seen.append((str(folder), any(folder.iterdir())))
        (folder / "compiled").touch()
        return SimpleNamespace(stdout=f"{len(seen)} {10 * len(seen)}\n")

    monkeypatch.setattr(startup.subprocess, "run", first_step)
    result = startup.startup(against_torch=False, batch=16, threads=1, kernels="numba", rounds=2)
    (a, a_filled), (b, b_filled), (c, c_filled), (d, d_filled) = seen
    assert a == b != c == d
    assert (a_filled, b_filled, c_filled, d_filled) == (False, True, False, True)
    assert result["contenders"]["minicnn, second process"] == {
        "import_s": {"median": 3, "min": 2, "max": 4},
        "first_step_s": {"median": 30, "min": 20, "max": 40},
    }


@pytest.mark.torch
@pytest.mark.parametrize("line", ["four-layer --rounds 1", "ops --rounds 1 --network four-layer"])
def test_against_torch(line: str, run: Any, tmp_path: Path) -> None:
    text, result = run(*line.split(), "--batch", "1", "--threads", "1", "--against", "torch")
    assert [name for name in result["contenders"] if "torch" in name] == ["torch NCHW", "torch channels_last"]
    assert "vectors: " in result["contenders"]["torch NCHW"]["blas"][-1]
    if "ratios" in result:
        assert {"minicnn / torch NCHW", "minicnn / torch channels_last"} < set(result["ratios"])
    else:
        assert all(each["seconds"]["torch channels_last"]["median"] > 0 for each in result["operations"])
        assert "minicnn's time / best other's" in text


@pytest.mark.parametrize(
    "line", ["", "vgg", "alexnet --batch 0", "alexnet --batch 1,x", "ops --batch 1,2", "memory --rounds 2"]
)
def test_a_mistake_ends_it(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(line.split())
    assert left.value.code == 2
    assert "error: " in capsys.readouterr().err


# --- what the numbers rest on -----------------------------------------------------------------------------------


def test_the_operations_of_alexnet() -> None:
    macs, conv1 = 724_406_816, 96 * 55 * 55 * 11 * 11 * 3
    assert networks.flops("alexnet", forward_only=True) == 2 * macs
    assert networks.flops("alexnet", forward_only=False) == 2 * (3 * macs - conv1)
    assert networks.flops("alexnet-no-lrn", forward_only=False) == 2 * (3 * macs - conv1)


@pytest.mark.parametrize(("network", "batch"), [("four-layer", 3), ("four-layer", 300), ("alexnet", 1)])
@pytest.mark.parametrize("forward_only", [True, False])
def test_the_products_alone_are_all_of_them(
    network: str, batch: int, forward_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, _ = contenders.products_step(network, batch, 1, forward_only, "numpy")
    monkeypatch.setattr(contenders, "_numbers", np.empty)
    done = []

    def multiply(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
        done.append(2 * out.size * a.shape[-1])

    monkeypatch.setattr(np, "matmul", multiply)
    step()
    assert sum(done) == batch * networks.flops(network, forward_only)


def test_the_work_of_a_layer() -> None:
    rows = networks.summary_of("alexnet", 2)

    def work(name: str, backward: bool, needs_input_grad: bool = True) -> tuple[int, int]:
        found = operations.work_of(rows[name], backward, needs_input_grad)
        return found.flops, found.bytes

    x, y, w = 2 * 3 * 227 * 227, 2 * 96 * 55 * 55, 96 * 3 * 11 * 11 + 96
    products = 2 * y * 3 * 11 * 11
    assert work("conv1", False) == (products, 4 * (x + w + y))
    assert work("conv1", True, needs_input_grad=False) == (products, 4 * (x + w + y))
    assert work("conv1", True) == (2 * products, 4 * (2 * x + 2 * w + y))
    pooled = 2 * 96 * 27 * 27
    assert work("relu1", False)[1] == 4 * 2 * y
    assert work("relu1", True)[1] == 4 * 3 * y
    assert work("norm1", False)[1] == 4 * 2 * y
    assert work("norm1", True)[1] == 4 * 3 * y
    assert work("pool1", False) == (9 * pooled, 4 * (y + pooled) + pooled)
    assert work("pool1", True) == (pooled, 4 * (y + pooled) + pooled)
    assert work("drop6", False)[1] == work("drop6", True)[1] == 9 * 2 * 4096
    assert work("fc8", False) == (2 * 2 * 4096 * 1000, 4 * (2 * 4096 + 4096 * 1000 + 1000 + 2 * 1000))


class Slow(Function):
    clock = 0.0

    def forward(self, xp: Any, x: Any) -> Any:
        Slow.clock += 2
        return x * 2

    def backward(self, xp: Any, grad_output: Any) -> Any:
        Slow.clock += 5
        return grad_output * 2


class SlowToo(Slow):
    def backward(self, xp: Any, grad_output: Any) -> Any:
        return super().backward(xp, grad_output)


def test_operations_are_timed_once_and_only_inside_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling.time, "perf_counter", lambda: Slow.clock)
    forward, backward = Slow.forward, SlowToo.backward
    with profiling.timed_operations() as seconds:
        SlowToo()(Tensor([1.0], requires_grad=True)).backward([1.0])
    assert seconds == {"SlowToo forward": 2, "SlowToo backward": 5}
    assert (Slow.forward, SlowToo.backward) == (forward, backward)


def test_a_child_does_not_have_the_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENBLAS_CORETYPE", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "NUMBA_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("KEPT", "1")
    assert processes.clean_environment()["KEPT"] == "1"
    assert not [name for name in processes.clean_environment() if name.startswith(("OPENBLAS", "MKL", "OMP"))]
    assert "NUMBA_NUM_THREADS=1" in processes.unset() and "KEPT=1" not in processes.unset()


def test_a_child_that_dies_is_noticed() -> None:
    with pytest.raises(RuntimeError, match="stopped with status 1"):
        processes.Child("peaks", threads=0, kernels="numpy")


def test_a_loss_that_is_no_number_is_noticed() -> None:
    racer = contenders.Steps.__new__(contenders.Steps)
    racer.step = lambda: float("nan")
    with pytest.raises(RuntimeError, match="nan"):
        racer.seconds(steps=1)


@pytest.mark.torch
@pytest.mark.parametrize("network", ["four-layer", "alexnet"])
def test_torchs_twin_computes_the_same(network: str) -> None:
    torch = pytest.importorskip("torch")
    ours, twin = build(networks.CONFIGS[network]).eval(), networks.torch_twin(network).eval()
    twin.load_state_dict({name: torch.from_numpy(array) for name, array in ours.state_dict().items()})
    images, labels = networks.batch_of(network, 1)
    with minicnn.use_kernels("numpy"), minicnn.no_grad(), torch.inference_mode():
        expected = ours(Tensor(100 * images)).data  # large enough for LRN to matter
        np.testing.assert_allclose(twin(torch.from_numpy(100 * images)), expected, rtol=1e-3, atol=1e-4)
    assert labels.max() < expected.shape[1]


# --- text -------------------------------------------------------------------------------------------------------


def spread(value: float) -> dict[str, float]:
    return {"median": value, "min": value / 2, "max": value * 2}


def test_the_table_of_a_race() -> None:
    facts = {"version": "2", "blas": ["some BLAS"], "used_threads": 2, "batch": 128}
    speeds = {"images_per_s": spread(60), "ms_per_image": spread(16.66), "gflops": spread(248)}
    result = {
        "benchmark": "alexnet",
        "forward_only": False,
        "input_shape": [3, 227, 227],
        "flops_per_image": 4_135_000_000,
        "rounds": 9,
        "unset": [],
        "contenders": {
            "minicnn": {**facts, **speeds, "peak_bytes": 2_140_000_000, "profile": {"SGD": 0.25, "ReLU forward": 0.75}},
            "torch": {**facts, **speeds, "peak_bytes": 64_000_000},
        },
        "ratios": {"minicnn / torch": spread(1.0)},
    }
    assert tables.race_table(result).splitlines() == [
        "alexnet, training step, images of 3x227x227, batch 128, 4.13 GFLOP per image; median (min to max) of 9 rounds",
        "            images/s         ms/image              GFLOP/s            peak memory",
        "  minicnn   60 (30 to 120)   16.7 (8.33 to 33.3)   248 (124 to 496)   2.14 GB",
        "  torch     60 (30 to 120)   16.7 (8.33 to 33.3)   248 (124 to 496)   64 MB",
        "",
        "times as fast:",
        "  minicnn / torch   1 (0.5 to 2)",
        "",
        "minicnn, share of a step of 1 s:",
        "  ReLU forward   75.0%   750 ms",
        "  SGD            25.0%   250 ms",
        "",
        "minicnn: 2, 2 threads; some BLAS",
        "torch: 2, 2 threads; some BLAS",
    ]
