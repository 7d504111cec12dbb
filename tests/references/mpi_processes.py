"""Start a program in several processes that speak MPI to each other."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "tests" / "references" / "mpi_programs.py"


def launcher() -> str | None:
    """Return mpiexec: that of the mpich wheel, if it is installed beside Python."""
    beside = Path(sysconfig.get_path("scripts"), "mpiexec")
    return str(beside) if beside.exists() else shutil.which("mpiexec")


def command(n: int, *arguments: Any) -> list[str]:
    """Return the command that starts `n` processes of Python with these arguments."""
    mpiexec = launcher()
    assert mpiexec is not None
    version = subprocess.run([mpiexec, "--version"], capture_output=True, text=True).stdout
    more = ["--oversubscribe"] if "Open MPI" in version or "OpenRTE" in version else []
    return [mpiexec, *more, "-n", str(n), sys.executable, *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment for them: one thread each, and Open MPI may be started by root."""
    allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **allowed, **more}


def start(n: int, *arguments: Any, **more: str) -> subprocess.Popen[str]:
    """Start `n` processes; their output can be read line by line."""
    return subprocess.Popen(
        command(n, *arguments), env=environment(**more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(n: int, program: str, *arguments: Any, seconds: float = 120) -> list[str]:
    """Run a function of mpi_programs.py in `n` processes; return the lines that they print."""
    result = subprocess.run(
        command(n, PROGRAMS, program, *arguments), env=environment(), capture_output=True, text=True, timeout=seconds
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.splitlines()
