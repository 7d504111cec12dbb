"""Contenders take turns, A B A B ..., so that a machine that grows slower grows slower for all of them."""

import json
import os
import statistics
import subprocess
import sys
from typing import Any

UNSET = ("OPENBLAS_", "MKL_", "OMP_", "NUMBA_NUM_THREADS", "GOTO_")
"""Settings of an environment that a user's machine does not have, and that would decide the race."""


class Child:
    """One contender in a process of its own."""

    def __init__(self, network: str, contender: str, batch: int, threads: int) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(UNSET)}
        command = [sys.executable, "-m", "benchmarks.contenders", network, contender, str(batch), str(threads)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
        self.facts = json.loads(self._line())

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"benchmarks: {self.process.args} stopped with status {self.process.wait()}")
        return line

    def seconds(self, steps: int) -> float:
        """Let it make so many steps, and return the seconds that one took."""
        assert self.process.stdin is not None
        print(steps, file=self.process.stdin, flush=True)
        return float(self._line()) / steps

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def race(network: str, contenders: list[str], batch: int, threads: int, rounds: int, steps: int) -> dict[str, Any]:
    """Return every contender's images/s (median, min, max over rounds), and the ratios of the first to the others."""
    children: dict[str, Child] = {}
    try:
        for name in contenders:
            children[name] = Child(network, name, batch, threads)
        for child in children.values():
            child.seconds(steps)  # warm-up
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, child in children.items():
                seconds[name].append(child.seconds(steps))
    finally:
        for child in children.values():
            child.close()
    first = contenders[0]
    return {
        "network": network,
        "batch": batch,
        "rounds": rounds,
        "steps": steps,
        "contenders": {
            name: {**children[name].facts, "images_per_s": spread([batch / s for s in seconds[name]])}
            for name in contenders
        },
        "ratios": {
            f"{first} / {name}": spread([b / a for a, b in zip(seconds[first], seconds[name], strict=True)])
            for name in contenders[1:]
        },
    }


def spread(values: list[float]) -> dict[str, float]:
    """Return the median of some values, and how far they lie apart."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}
