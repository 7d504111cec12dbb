"""The first run on a GPU, rehearsed: its programs on a fake GPU, the script with a Python that only notes its calls."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import fake_counts
import numpy as np
import pytest

import minicnn
from benchmarks import gpu_probe, gpu_profiling, gpu_smoke
from benchmarks.__main__ import main
from minicnn import cli

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu_first_run.sh"


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.slow
def test_every_stage_of_the_smoke_test_passes(gpu: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_smoke, "CURVE", 4)
    monkeypatch.setattr(gpu_smoke, "TIMED", 1)
    with minicnn.use_kernels("numpy"):
        status = gpu_smoke.main(["--out", str(tmp_path), "--batch", "2", "--size", "67"])
    rows = lines(tmp_path / "smoke.jsonl")
    assert [row for row in rows if not row["ok"]] == [] and status == 0
    assert [row["stage"] for row in rows] == [name for name, _ in gpu_smoke.STAGES]
    (curves,) = (row["found"] for row in rows if row["stage"].startswith("50 steps"))
    assert len(curves["cpu"]) == len(curves["cuda"]) == 4
    np.testing.assert_allclose(curves["cuda"], curves["cpu"], rtol=1e-5)
    assert not minicnn.get_tf32()


def test_a_stage_that_fails_is_written_down_and_the_next_one_begins(
    two_gpus: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(options: Any) -> None:
        raise ValueError("nothing works")

    monkeypatch.setattr(gpu_smoke, "STAGES", [("broken", broken), ("context", gpu_smoke.context)])
    assert gpu_smoke.main(["--out", str(tmp_path)]) == 1
    first, second = lines(tmp_path / "smoke.jsonl")
    assert (first["ok"], first["error"], second["ok"]) == (False, "ValueError: nothing works", True)
    assert second["found"]["gpu"] == "Fake GPU 0"


@pytest.mark.slow
def test_the_smoke_test_finds_wrong_products(
    two_gpus: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_smoke, "STAGES", [one for one in gpu_smoke.STAGES if one[0] == "products"])
    multiply = two_gpus.cuda.cublas.gemmStridedBatchedEx
    monkeypatch.setattr(
        two_gpus.cuda.cublas, "gemmStridedBatchedEx", lambda h, a, b, *rest: multiply(h, 0, 0, *rest), raising=True
    )
    assert gpu_smoke.main(["--out", str(tmp_path)]) == 1


@pytest.mark.slow
def test_the_probe_measures_every_convolution(
    two_gpus: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_profiling, "COPIED", 1000)
    monkeypatch.setattr(gpu_probe, "STEPS", 1)
    monkeypatch.setattr(gpu_probe, "PIECES", (1 << 20, 1 << 30))
    with fake_counts.counting(only=True), np.errstate(all="ignore"):
        assert gpu_probe.main(["--out", str(tmp_path), "--batch", "2", "--size", "67"]) == 0
    rows = lines(tmp_path / "probe.jsonl")
    assert [row["what"] for row in rows if row["what"].startswith("columns")] == [
        f"columns of conv{n}" for n in range(1, 6)
    ]
    assert sum(row["what"] == "step" for row in rows) == 4 and minicnn.backend.memory._PIECE_BYTES_OF_GPU == 1 << 30
    for row in rows:
        if row["what"].startswith("products"):
            assert f"dW, {row['slices']} slices" in row["ms"] and min(row["flop_per_s"].values()) > 0


# --- the script -------------------------------------------------------------------------------------------------

STAND_IN = """#!/usr/bin/env bash
echo "$*" >> "$CALLS"
for ((i = 1; i <= $#; i++)); do
    case "${!i}" in
        --json | --junitxml) j=$((i + 1)); echo '{}' > "${!j}" ;;
        --out) j=$((i + 1)); mkdir -p "${!j}"; case "$*" in
            *gpu_smoke*) echo '{}' > "${!j}/smoke.jsonl" ;;
            *gpu_probe*) echo '{}' > "${!j}/probe.jsonl" ;;
            *relu-vs-tanh*) echo '{}' > "${!j}/summary.json" ;;
        esac ;;
    esac
done
case "$*" in *"${SLOW:-no such call}"*) sleep 60 ;; esac
case "$*" in *"${BROKEN:-no such call}"*) exit 1 ;; esac
"""

FILES = "alexnet.json four-layer.json log.txt probe.jsonl pytest.xml smoke.jsonl steps.jsonl study.tar".split()


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """Run the script, with a stand-in for Python; return its steps, what Python was called with, and the seconds."""
    if sys.platform != "linux" or shutil.which("bash") is None:
        pytest.skip("the script is for Linux")
    stand_in, calls, out = tmp_path / "python", tmp_path / "calls", tmp_path / "out"
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)

    def called(**variables: str) -> tuple[dict[str, int], list[str], float]:
        mine = {"PYTHON": str(stand_in), "CALLS": str(calls), "OUT": str(out), "CIFAR10": "", **variables}
        started = time.monotonic()
        done = subprocess.run(["bash", str(SCRIPT)], env={**os.environ, **mine}, cwd=tmp_path, timeout=100)
        assert done.returncode == 0
        steps = {row["step"]: row["status"] for row in lines(out / "steps.jsonl")}
        return steps, calls.read_text().splitlines(), time.monotonic() - started

    return called


@pytest.mark.slow
def test_the_script_runs_every_step_and_leaves_eight_files(run: Any, tmp_path: Path) -> None:
    steps, calls, _ = run(CIFAR10=str(tmp_path))
    assert steps == dict.fromkeys(["doctor", "smoke", "tests", "probe", "alexnet", "figure-1", "four-layer"], 0)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES
    studies = [call for call in calls if "relu-vs-tanh" in call]
    assert sorted(call.partition("--seeds ")[2][0] for call in studies) == ["0", "1", "2"]
    assert all(f"--data cifar10 --data-dir {tmp_path}" in call for call in studies)
    (tests,) = (call for call in calls if "-m pytest" in call)
    assert "tests/training/test_on_gpu.py" in tests and "tests/kernels/test_cuda_kernels.py" in tests


@pytest.mark.slow
def test_without_cifar_figure_1_is_drawn_from_shapes(run: Any) -> None:
    _, calls, _ = run()
    assert sum("relu-vs-tanh --data shapes --inputs raw" in call for call in calls) == 3


@pytest.mark.slow
def test_nothing_is_measured_on_a_gpu_that_fails_the_smoke_test(run: Any, tmp_path: Path) -> None:
    steps, _, _ = run(BROKEN="gpu_smoke")
    assert steps == {"doctor": 0, "smoke": 1, "tests": 0}


@pytest.mark.slow
@pytest.mark.parametrize(("slow", "step"), [("gpu_probe", "probe"), ("relu-vs-tanh", "figure-1")])
def test_a_step_that_hangs_takes_its_time_and_all_steps_no_more_than_the_limit(run: Any, slow: str, step: str) -> None:
    steps, _, seconds = run(SLOW=slow, LIMIT="20")
    assert steps[step] == 124 and steps["four-layer"] in (0, 99)
    assert seconds < 25


def test_the_options_in_the_script_exist(capsys: pytest.CaptureFixture[str]) -> None:
    text = SCRIPT.read_text()
    with pytest.raises(SystemExit):
        main(["gpu", "--help"])
    helped = capsys.readouterr().out
    for option in ("--against", "--network", "--batch", "--rounds", "--json"):
        assert f"{option} " in text and f"  {option} " in helped
    cli.main(["relu-vs-tanh", "--help"])
    helped = capsys.readouterr().out
    for option in "--data --data-dir --epochs --stop-at-target --inputs --seeds --device --threads --out".split():
        assert option in text and f"  {option} " in helped
