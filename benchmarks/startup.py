"""Seconds of the import and of the first training step, with an empty and with a filled cache of compiled kernels."""

import subprocess
import sys
import tempfile
from typing import Any

from benchmarks.processes import ROOT, clean_environment, spread, unset


def startup(against_torch: bool, batch: int, threads: int, kernels: str, rounds: int) -> dict[str, Any]:
    """Return the seconds of the import, and of the first step after it.

    Each round has a new cache folder for compiled kernels: empty for the first process, filled by it for the second.
    """
    names = ["minicnn, empty cache", "minicnn, second process", *(["torch NCHW"] if against_torch else [])]
    imports: dict[str, list[float]] = {name: [] for name in names}
    first_steps: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            for name in names:
                contender = name.replace(",", "").split()[0]
                seconds = _first_step(contender, batch, threads, kernels, cache)
                for measured, each in zip((imports, first_steps), seconds, strict=True):
                    measured[name].append(each)
    return {
        "benchmark": "startup",
        "network": "four-layer",
        "batch": batch,
        "threads": threads,
        "kernels": kernels,
        "rounds": rounds,
        "unset": unset(),
        "contenders": {
            name: {"import_s": spread(imports[name]), "first_step_s": spread(first_steps[name])} for name in names
        },
    }


def _first_step(contender: str, batch: int, threads: int, kernels: str, cache: str) -> tuple[float, float]:
    command = [sys.executable, "-m", "benchmarks.first_step", contender, str(batch), str(threads), kernels]
    environment = {**clean_environment(), "NUMBA_CACHE_DIR": cache}
    done = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    imported, stepped = map(float, done.stdout.split())
    return imported, stepped
