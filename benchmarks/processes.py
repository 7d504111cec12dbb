"""Child processes that measure: started in a clean environment, asked in turn."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

UNSET = ("OPENBLAS_", "MKL_", "OMP_", "GOTO_", "NUMBA_NUM_THREADS")
"""Environment variables that a user does not normally set, and that would distort the measurement."""


def clean_environment() -> dict[str, str]:
    """Return this process's environment without those variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith(UNSET)}


def unset() -> list[str]:
    """Return the variables that are removed, with their values."""
    return [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith(UNSET)]


class Child:
    """A process that measures; see ``benchmarks.child``."""

    def __init__(self, kind: str, **settings: Any) -> None:
        self.command = [sys.executable, "-m", "benchmarks.child", kind, json.dumps(settings)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            self.command, stdin=pipe, stdout=pipe, text=True, env=clean_environment(), cwd=ROOT
        )
        self.facts: dict[str, Any] = self._answer()

    def ask(self, method: str, **arguments: Any) -> Any:
        """Call a method of the object in the child process and return its result."""
        assert self.process.stdin is not None
        print(json.dumps({"ask": method, **arguments}), file=self.process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"benchmarks: {self.command} stopped with status {self.process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        self.process.wait()


@contextmanager
def children(kind: str, settings: dict[str, dict[str, Any]]) -> Iterator[dict[str, Child]]:
    """Start a child process for each of the settings, and end them all afterwards."""
    started: dict[str, Child] = {}
    try:
        for name, each in settings.items():
            started[name] = Child(kind, **each)
        yield started
    finally:
        for child in started.values():
            child.close()


def spread(values: list[float]) -> dict[str, float]:
    """Return the median, the minimum and the maximum of some values."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}
