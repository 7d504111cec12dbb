"""The studies' commands: what they pass on, and Ctrl-C."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import minicnn
from minicnn import cli
from minicnn.experiments import contributions, relu_vs_tanh

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the study was called with."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(relu_vs_tanh, "run", lambda **options: given.update(options))
    return given


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["relu-vs-tanh", "--help"]) == 0
    printed = capsys.readouterr().out
    for (
        option
    ) in "data data-dir inputs epochs seeds search lr-relu lr-tanh target-error out limit resume threads".split():
        assert f"--{option} " in printed or f"--{option}\n" in printed or f"--{option}," in printed, option
    assert "--stop-at-target" in printed


def test_what_is_not_given_is_left_to_the_study(run: dict[str, Any]) -> None:
    assert cli.main(["relu-vs-tanh"]) == 0
    assert run.pop("resume") is False
    assert set(run.values()) == {None}


def test_every_option_reaches_the_study(run: dict[str, Any], tmp_path: Path) -> None:
    line = (
        "--data shapes --inputs raw --epochs 3 --seeds 0,1,2 --search --lr-relu 0.1 --lr-tanh 1e-3 --target-error 0.3"
    )
    line += " --stop-at-target --limit 100 --resume --threads 1 --data-dir here --out"
    assert cli.main(["relu-vs-tanh", *line.split(), str(tmp_path)]) == 0
    assert run == {
        "data": "shapes",
        "data_dir": Path("here"),
        "inputs": "raw",
        "epochs": 3,
        "seeds": [0, 1, 2],
        "search": True,
        "lr_relu": 0.1,
        "lr_tanh": 0.001,
        "target_error": 0.3,
        "stop_at_target": True,
        "out": tmp_path,
        "limit": 100,
        "resume": True,
        "team": None,
    }
    assert minicnn.get_num_threads() == 1


def test_the_help_of_contributions_names_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["contributions", "--help"]) == 0
    parts = ", ".join(name for name in contributions.VARIANTS if name != "everything")
    assert f"Some of {parts} " in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("relu-vs-tanh --data mnist", "--data mnist cifar10 shapes"),
        ("relu-vs-tanh --inputs grey", "--inputs grey raw standardised"),
        ("relu-vs-tanh --epochs many", "--epochs many"),
        ("relu-vs-tanh --epochs 0", "epochs 0"),
        ("relu-vs-tanh --seeds 0;1", "--seeds 0;1 0,1,2"),
        ("relu-vs-tanh --lr-relu fast", "--lr-relu fast"),
        ("relu-vs-tanh --lr-relu -1", "lr_relu -1"),
        ("relu-vs-tanh --target-error 25", "target_error 25 between 0 and 1"),
        ("relu-vs-tanh --threads 0", "--threads 0 at least 1"),
        ("relu-vs-tanh --threads two", "--threads two"),
        ("relu-vs-tanh --fast", "--fast"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    line: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(line.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("minicnn: error: ")
    assert printed.err.count("\n") == 1
    assert all(word in printed.err for word in words.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send")
def test_ctrl_c_keeps_what_is_finished_and_resume_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "minicnn", "relu-vs-tanh", "--data", "shapes", "--limit", "32", "--inputs", "raw"]
    command += ["--out", str(tmp_path)]
    with subprocess.Popen(
        [*command, "--epochs", "100000"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a script's background ignores it
    ) as process:
        try:
            while not (tmp_path / "states" / "raw-relu-0" / "log.csv").exists():
                assert process.poll() is None, process.stderr and process.stderr.read()
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            _, printed = process.communicate(timeout=200)
        finally:
            process.kill()
    assert process.returncode == 130, printed
    assert "Traceback" not in printed
    last = printed.splitlines()[-1]
    assert last.startswith("minicnn: interrupted. What is finished (") and last.endswith("--resume continues it")

    with open(tmp_path / "relu_vs_tanh.csv", newline="") as file:
        before = list(csv.reader(file))
    done = subprocess.run([*command, "--epochs", "1", "--resume"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with open(tmp_path / "relu_vs_tanh.csv", newline="") as file:
        after = list(csv.reader(file))
    assert after[: len(before)] == before
    assert [row[1] for row in after[len(before) :]] == ["tanh"]
