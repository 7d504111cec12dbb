"""The commands that check this machine: their exit status, and what they print."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from minicnn import checks, cli, doctor, kernels

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("verdicts", "status"), [([True, True], 0), ([True, False], 1)])
def test_gradcheck_prints_the_table_and_fails_if_a_check_does(
    verdicts: list[bool], status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [SimpleNamespace(ok=ok) for ok in verdicts]
    monkeypatch.setattr(checks, "check_operations", lambda progress, device: rows)
    monkeypatch.setattr(checks, "format_table", lambda found: f"a table of {len(found)}")
    assert cli.main(["gradcheck"]) == status
    assert capsys.readouterr().out == "a table of 2\n"


def test_warmup_says_what_is_ready(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(kernels, "current", lambda: "numba")
    monkeypatch.setattr(kernels, "warmup", lambda progress: progress("im2col float32", 1, 26))
    assert cli.main(["warmup"]) == 0
    assert capsys.readouterr().out == "Every kernel is compiled\n"
    monkeypatch.setattr(kernels, "current", lambda: "numpy")
    assert cli.main(["warmup"]) == 0
    assert "not installed" in capsys.readouterr().out


@pytest.mark.parametrize(("prevents", "status", "kind"), [(False, 0, "slow: "), (True, 1, "broken: ")])
def test_the_command_prints_the_report_and_fails_if_training_would(
    prevents: bool, status: int, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = doctor.DoctorReport({"NumPy": "2.4", "BLAS": "some"}, (doctor.Diagnosis("it hurts", "rest", prevents),))
    monkeypatch.setattr(doctor, "examine", lambda: report)
    assert cli.main(["doctor"]) == status
    assert capsys.readouterr().out == f"NumPy  2.4\nBLAS   some\n\n{kind}it hurts\n  -> rest\n"


def test_the_doctor_on_this_machine() -> None:
    done = subprocess.run([sys.executable, "-m", "minicnn", "doctor"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("minicnn", "Python", "NumPy", "BLAS", "speed", "Numba", "CuPy", "GPUs"):
        assert f"\n{name} " in "\n" + done.stdout
    (speed,) = (line.split()[1] for line in done.stdout.splitlines() if line.startswith("speed "))
    assert 0 < float(speed) < 1e6


@pytest.mark.parametrize("absent", ["PIL tqdm", "safetensors matplotlib packaging"])
def test_the_doctor_runs_where_a_library_is_absent(absent: str) -> None:
    program = f"""
import sys
sys.modules.update(dict.fromkeys({absent.split()!r}))
from minicnn.cli import main
main(["doctor"])
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("minicnn ")
    assert ("broken: packaging is not installed" in done.stdout) == ("packaging" in absent)
