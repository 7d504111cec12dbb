"""The limits of the machine: how fast it multiplies, and how fast it copies."""

import time
from collections.abc import Callable

import numpy as np

from benchmarks import facts
from minicnn.backend import matmul, split

SIDE = 2048  # of the matrices, single precision: large enough for BLAS to reach its peak
COPIED = 1 << 26  # numbers, 256 MB: more than any cache holds


class Peaks:
    """Measures both limits, in a child process."""

    def __init__(self, threads: int, kernels: str) -> None:
        self.facts = facts.minicnn_facts(threads, kernels)

    def flops_per_s(self) -> float:
        """Return the operations per second of one large matrix product, counting a multiply-add as two."""
        a, b = np.ones((2, SIDE, SIDE), np.float32)
        return 2 * SIDE**3 / _best(lambda: matmul(np, a, b))

    def bytes_per_s(self) -> float:
        """Return the bytes per second that a copy reads and writes, on all cores."""
        a, b = np.ones((2, COPIED), np.float32)

        def some(start: int, stop: int) -> None:
            b[start:stop] = a[start:stop]

        return 2 * a.nbytes / _best(lambda: split(np, COPIED, some))


def _best(call: Callable[[], object], times: int = 5) -> float:
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return min(seconds)
