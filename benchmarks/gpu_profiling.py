"""Where the time of a training step goes on a GPU, kernel by kernel. This runs in the child process."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

COPIED = 1 << 26  # numbers, 256 MB: more than a GPU's cache holds


def copy_bytes_per_s(times: int = 5) -> float:
    """Return the bytes per second that a copy on the GPU reads and writes."""
    import cupy

    a, b = cupy.ones(COPIED, dtype=np.float32), cupy.empty(COPIED, dtype=np.float32)
    b[...] = a
    best = min(seconds(lambda: b.__setitem__(..., a)) for _ in range(times))
    nbytes: int = a.nbytes
    return 2 * nbytes / best


def seconds(work: Any) -> float:
    """Return how long the GPU works on what this call queues."""
    import cupy

    before, after = cupy.cuda.Event(), cupy.cuda.Event()
    before.record()
    work()
    after.record()
    after.synchronize()
    milliseconds: float = cupy.cuda.get_elapsed_time(before, after)
    return milliseconds / 1e3


@contextmanager
def timed_kernels() -> Iterator[dict[str, dict[str, float]]]:
    """Collect each kernel's launches, seconds and bytes while the block runs.

    The bytes are those of its arrays, each counted once: the least that it has to read or write. The rest of a step's
    time is NVIDIA's matrix products and CuPy's elementwise operations.
    """
    import cupy

    from minicnn.kernels import cuda_kernels

    launch = cuda_kernels._launch
    launches: list[tuple[str, int, Any, Any]] = []
    found: dict[str, dict[str, float]] = {}

    def timed(name: str, threads: int, *arguments: Any, arrays: Any = None) -> None:
        before, after = cupy.cuda.Event(), cupy.cuda.Event()
        before.record()
        launch(name, threads, *arguments, arrays=arrays)
        after.record()
        nbytes = sum(array.nbytes for array in arrays or arguments if isinstance(array, cupy.ndarray))
        launches.append((name, nbytes, before, after))

    with mock.patch.object(cuda_kernels, "_launch", timed):
        yield found
    cupy.cuda.Device().synchronize()
    sums: dict[str, dict[str, float]] = defaultdict(lambda: {"launches": 0, "seconds": 0.0, "bytes": 0})
    for name, nbytes, before, after in launches:
        sums[name]["launches"] += 1
        sums[name]["seconds"] += cupy.cuda.get_elapsed_time(before, after) / 1e3
        sums[name]["bytes"] += nbytes
    found |= sums
