"""How the command line ends: its status, errors in one line, closed pipes, interruptions."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import minicnn
from minicnn import cli
from minicnn.backend import DeviceError
from minicnn.data import DataError
from minicnn.experiments import relu_vs_tanh
from minicnn.experiments.results import StudyError
from minicnn.lessons.notebooks import LessonError
from minicnn.models.torch_files import WeightsError
from minicnn.training import CheckpointError, TrainingError
from minicnn.training.stopping import Stopped

ROOT = Path(__file__).parents[2]
MINICNN = [sys.executable, "-m", "minicnn"]
on_posix = pytest.mark.skipif(os.name == "nt", reason="Windows closes pipes in another way")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"minicnn {minicnn.__version__}\n"


def test_the_arguments_of_the_process_are_the_default(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["anything", "--version"])
    assert cli.main() == 0
    assert capsys.readouterr().out == f"minicnn {minicnn.__version__}\n"


def test_alone_it_prints_its_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert cli.main(["--help"]) == 0
    assert capsys.readouterr().out == printed.err
    assert "COMMAND" in printed.err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("fly", "fly (see 'minicnn --help')"),
        ("--fly", "--fly (see 'minicnn --help')"),
        ("train lenet5 --fly", "--fly (see 'minicnn train --help')"),
        ("show", "CHECKPOINT (see 'minicnn show --help')"),
        ("show file", "command (see 'minicnn show --help')"),
        ("show file filters", "--out (see 'minicnn show CHECKPOINT filters --help')"),
    ],
)
def test_a_mistake_is_one_line_that_says_where_the_help_is(
    line: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(line.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("minicnn: error: ") and printed.err.count("\n") == 1
    assert all(word in printed.err for word in words.split())


@pytest.mark.parametrize(
    "error",
    [
        CheckpointError("no\nroom"),
        DataError("no\nroom"),
        DeviceError("no\nroom"),
        LessonError("no\nroom"),
        StudyError("no\nroom"),
        TrainingError("no\nroom"),
        WeightsError("no\nroom"),
        OSError(28, "no\nroom"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_of_the_floors_below_are_one_line_and_status_2(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**options: Any) -> None:
        raise error

    monkeypatch.setattr(relu_vs_tanh, "run", fail)
    assert cli.main(["relu-vs-tanh"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("minicnn: error: ") and printed.endswith("no room\n")


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**options: Any) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(relu_vs_tanh, "run", fail)
    with pytest.raises(ValueError, match="a bug"):
        cli.main(["relu-vs-tanh"])


@pytest.mark.parametrize(
    ("stop", "status"), [(Stopped("Saved", 15), 143), (Stopped("Saved", 2), 130), (KeyboardInterrupt(), 130)]
)
def test_a_signal_is_one_line_and_its_status(
    stop: BaseException, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(**options: Any) -> None:
        raise stop

    monkeypatch.setattr(relu_vs_tanh, "run", interrupted)
    assert cli.main(["relu-vs-tanh"]) == status
    assert capsys.readouterr().err == f"\nminicnn: interrupted. {stop}".rstrip() + "\n"


# --- closed pipes ---------------------------------------------------------------------------------------------------


@on_posix
@pytest.mark.parametrize("both", [False, True], ids=["stdout", "stdout and stderr"])
@pytest.mark.parametrize("buffered", [False, True], ids=["unbuffered", "buffered"])
@pytest.mark.parametrize("line", ["lessons", "--help", "summary lenet5"])
def test_a_command_whose_reader_has_ended_ends_quietly(line: str, buffered: bool, both: bool, tmp_path: Path) -> None:
    """As in ``minicnn lessons | true``, and with ``2>&1``."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "" if buffered else "1"}
    unread, pipe = os.pipe()
    os.close(unread)
    command = [*MINICNN, *line.split()]
    stderr = pipe if both else subprocess.PIPE
    done = subprocess.run(command, cwd=tmp_path, env=environment, stdout=pipe, stderr=stderr, text=True, timeout=300)
    os.close(pipe)
    assert done.returncode == 141
    assert not done.stderr


@on_posix
def test_an_error_whose_reader_has_ended_ends_quietly() -> None:
    unread, pipe = os.pipe()
    os.close(unread)
    done = subprocess.run([*MINICNN, "fly"], cwd=ROOT, stdout=subprocess.PIPE, stderr=pipe, text=True, timeout=300)
    os.close(pipe)
    assert (done.returncode, done.stdout) == (141, "")


@pytest.mark.slow
@on_posix
def test_a_command_runs_with_its_streams_closed(tmp_path: Path) -> None:
    def sh(line: str) -> subprocess.CompletedProcess[str]:
        line = f'"$0" -m minicnn {line}'
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = ["sh", "-c", line, sys.executable]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)

    done = sh("lessons 2>&- | head -n 1")
    assert (done.stdout, done.stderr) == ("lessons/00_imagenet_2012.ipynb\n", "")
    done = sh("fly 2>&-")
    assert (done.returncode, done.stdout) == (2, "")  # the error must not appear in the output
    done = sh("train lenet5 --data shapes --limit 40 --epochs 1 --out run 2>&-")
    assert (done.returncode, (tmp_path / "run" / "result.json").exists()) == (0, True)
    done = sh("summary lenet5 >&-")
    assert (done.returncode, done.stderr) == (0, "")


# --- where click is missing -----------------------------------------------------------------------------------------


def test_without_click_one_line_says_so() -> None:
    program = "import runpy, sys; sys.modules['click'] = None; runpy.run_module('minicnn', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("minicnn: error: click is not installed: ") and done.stderr.count("\n") == 1


def test_another_missing_library_keeps_its_traceback() -> None:
    program = "import runpy, sys; sys.modules['minicnn.cli.layout'] = None; from minicnn.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert "ModuleNotFoundError" in done.stderr and "minicnn.cli.layout" in done.stderr
