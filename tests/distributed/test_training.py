"""Training by several processes: the same numbers whatever their number, and an end whatever happens to one of them."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import mpi_processes as processes
import mpi_programs as programs
import numpy as np
import pytest

from minicnn.training import load_training

pytestmark = [pytest.mark.mpi, pytest.mark.slow]
PATIENCE = 60  # seconds, after which a job counts as hanging


def train(n: int, folder: Path, timeout: float = 0, *events: str) -> subprocess.CompletedProcess[str]:
    """Run `programs.train` in `n` processes."""
    process = processes.start(n, processes.PROGRAMS, "train", folder, timeout, *events)
    try:
        out, error = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, out, error)


def numbers(folder: Path) -> dict[str, Any]:
    """Return all numbers of the newest checkpoint that are to be the same: all but times and the machine."""
    with programs.trained_in_float64():
        saved = load_training(max(folder.glob("step-*.safetensors")))
    found = dict(saved.model.network.state_dict())
    for number, kept in saved.optimizer["state"].items():
        found |= {f"{name} of {number}": value for name, value in kept.items()}
    rows = [{name: value for name, value in row.items() if "second" not in name} for row in saved.progress["rows"]]
    return found | {"rows": rows} | {name: saved.progress[name] for name in ("random", "best", "schedule", "epoch")}


def assert_same(folder: Path, expected: Path, exactly: bool) -> None:
    ours, theirs = numbers(folder), numbers(expected)
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        if isinstance(value, np.ndarray) and not exactly:
            np.testing.assert_allclose(ours[name], value, rtol=0, atol=1e-12, err_msg=name)
        elif isinstance(value, np.ndarray):
            np.testing.assert_array_equal(ours[name], value, err_msg=name)
        else:
            assert ours[name] == value, name


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The folders of runs by 1, 2, 3 and 4 ranks."""
    folder = tmp_path_factory.mktemp("undisturbed")
    for n in (1, 2, 3, 4):
        result = train(n, folder / str(n))
        assert result.returncode == 0, result.stderr
    return {n: folder / str(n) for n in (1, 2, 3, 4)}


def test_the_number_of_ranks_does_not_change_the_run(undisturbed: dict[int, Path], tmp_path: Path) -> None:
    """20 steps in float64, with dropout, random crops and an uneven last batch."""
    for n in (2, 3, 4):
        assert_same(undisturbed[n], undisturbed[1], exactly=False)
    assert train(3, tmp_path).returncode == 0
    assert_same(tmp_path, undisturbed[3], exactly=True)


@pytest.mark.parametrize("victim", [0, 2])
def test_after_a_kill_the_job_ends_and_can_be_resumed(
    victim: int, undisturbed: dict[int, Path], tmp_path: Path
) -> None:
    for n in (3, 2):
        folder = tmp_path / str(n)
        assert train(3, folder, 0, f"{victim}:8:die").returncode != 0
        assert not (folder / "result.json").exists()
        assert train(n, folder).returncode == 0
        assert_same(folder, undisturbed[n], exactly=n == 3)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("fail", r"RuntimeError: something broke \(rank 1 on .*\)"),
        ("refuse", r"minicnn: error: a disk is full \(rank 1 on .*\)"),
        ("leave", r"this process leaves early, with status 0 \(rank 1 on .*\)"),
        ("freeze", r"minicnn: error: rank [02] on .* has waited 2 s for another rank"),
    ],
)
def test_a_rank_that_fails_takes_all_others_along(event: str, said: str, tmp_path: Path) -> None:
    result = train(3, tmp_path, 2 if event == "freeze" else 0, f"1:8:{event}")
    assert result.returncode != 0
    assert re.search(said, result.stderr), result.stderr
    assert result.stderr.count("minicnn: error") == ("error" in said)


def test_a_rank_that_vanishes_takes_all_others_along(undisturbed: dict[int, Path], tmp_path: Path) -> None:
    """By ``os._exit(0)``, behind Python's back: mpiexec ends the others, but MPICH's then returns 0 now and then."""
    train(3, tmp_path, 0, "1:8:vanish")
    assert not (tmp_path / "result.json").exists()
    assert train(3, tmp_path).returncode == 0
    assert_same(tmp_path, undisturbed[3], exactly=True)


def test_a_signal_at_one_rank_stops_all_of_them(undisturbed: dict[int, Path], tmp_path: Path) -> None:
    result = train(2, tmp_path, 0, "1:8:interrupt")
    assert result.returncode == 128 + signal.SIGTERM
    assert result.stderr.count(f"mpiexec -n 2 minicnn train --out {tmp_path} --resume --distributed") == 1
    assert train(2, tmp_path).returncode == 0
    assert_same(tmp_path, undisturbed[2], exactly=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_after_a_signal_to_mpiexec_the_checkpoint_is_whole(
    number: signal.Signals, undisturbed: dict[int, Path], tmp_path: Path
) -> None:
    process = processes.start(2, processes.PROGRAMS, "train", tmp_path)
    try:
        while not (tmp_path / "step-00000006.safetensors").exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode != 0
    assert train(2, tmp_path).returncode == 0
    assert_same(tmp_path, undisturbed[2], exactly=True)


# --- the command line ------------------------------------------------------------------------------------------------


def minicnn(n: int, *arguments: Any, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command of minicnn in `n` processes."""
    command = processes.command(n, "-m", "minicnn", *arguments)
    environment = processes.environment(**more)
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)


def test_every_line_is_printed_once(tmp_path: Path) -> None:
    settings = ["lenet5", "--data", "shapes", "--limit", 40, "--epochs", 1, "--out", tmp_path / "run"]
    result = minicnn(4, "train", *settings, "--distributed")
    assert result.returncode == 0, result.stderr
    lines = [line for line in (result.stdout + result.stderr).splitlines() if line.strip()]
    assert len(lines) == len(set(lines))
    assert sum("epoch 1/1" in line for line in lines) == 1
    assert sum("Test set" in line for line in lines) == 1
    assert sorted(path.name for path in (tmp_path / "run").glob("*.json")) == ["result.json"]

    alone = minicnn(1, "evaluate", tmp_path / "run", "--data", "shapes", "--limit", 50)
    shared = minicnn(3, "evaluate", tmp_path / "run", "--data", "shapes", "--limit", 50, "--distributed")
    assert shared.stdout.count("centre crop") == 1
    assert shared.stdout.partition(" (")[0] == alone.stdout.partition(" (")[0]

    for wrong in (settings, [*settings[:-1], tmp_path / "other", "--lr", "-1"], ["lenet6"]):
        result = minicnn(4, "train", *wrong, "--distributed")
        assert result.returncode != 0
        assert result.stderr.count("minicnn: error") == 1, result.stderr
        assert "Traceback" not in result.stderr


def test_a_loss_that_is_not_finite_ends_all_ranks_with_one_error(tmp_path: Path) -> None:
    settings = ["lenet5", "--data", "shapes", "--limit", 60, "--epochs", 9, "--activation", "relu"]
    result = minicnn(3, "train", *settings, "--lr", "1e9", "--batch-size", 8, "--out", tmp_path, "--distributed")
    assert result.returncode != 0
    assert result.stderr.count("minicnn: error: the loss is") == 1, result.stderr
    assert "the batch of all 3 ranks" in result.stderr


def test_a_study_is_the_same_in_several_processes(tmp_path: Path) -> None:
    settings = ["relu-vs-tanh", "--data", "shapes", "--limit", 200, "--epochs", 1, "--inputs", "standardised"]
    assert minicnn(1, *settings, "--out", tmp_path / "alone").returncode == 0
    shared = minicnn(2, *settings, "--out", tmp_path / "shared", "--distributed")
    assert shared.returncode == 0, shared.stderr
    assert shared.stderr.count("Run 2 of 2") == 1
    found = [(tmp_path / name / "relu_vs_tanh.csv").read_text().splitlines() for name in ("alone", "shared")]
    errors = [[line.split(",")[5] for line in lines] for lines in found]
    assert errors[0] == errors[1] and len(errors[0]) == 3


@pytest.mark.parametrize(
    ("variable", "launcher"), [("SLURM_NTASKS", "srun"), ("OMPI_COMM_WORLD_SIZE", "mpiexec"), ("PMI_SIZE", "mpiexec")]
)
def test_processes_that_cannot_speak_to_each_other_are_refused(variable: str, launcher: str, tmp_path: Path) -> None:
    command = processes.command(1, "-m", "minicnn", "train", "lenet5", "--data", "shapes", "--distributed")
    result = subprocess.run(
        command[command.index("1") + 1 :],  # without mpiexec
        env=processes.environment(**{variable: "4"}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert result.returncode == 2
    assert f"{variable} says that 4 processes were started, but this one is alone" in result.stderr
    assert launcher in result.stderr
    assert not os.listdir(tmp_path)


# --- two towers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3])
def test_gradients_that_cross_between_ranks(n: int) -> None:
    processes.run(n, "crossings_have_the_right_gradients")


@pytest.mark.parametrize("norm", ["lrn", "batch"])
def test_towers_in_two_processes_compute_what_one_process_does(norm: str) -> None:
    processes.run(2, "split_towers", norm)
