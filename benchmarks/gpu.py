"""Training steps on a GPU: minicnn's and PyTorch's in turn, and where minicnn's time goes, kernel by kernel."""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

from benchmarks import race
from benchmarks.contenders import TORCH
from benchmarks.processes import children, spread

NETWORKS = ("alexnet", "four-layer")
PRODUCTS = {"float32": False, "TF32": True}
COPIED = 1 << 26  # numbers, 256 MB: more than a GPU's cache holds


def gpu(device: str, against_torch: bool, batches: list[int], rounds: int, chosen: list[str]) -> dict[str, Any]:
    """Return every contender's images/s on each network and batch, and the ratios of minicnn to PyTorch.

    PyTorch is held against minicnn with the same rounding of products: in float32 its cuDNN may not use TF32 either.
    """
    from minicnn.backend import checked_device

    device = checked_device(device)  # what is wrong is said before any child is started
    cells = []
    for network, batch in itertools.product(chosen, batches):
        settings = {
            f"{name}, {products}": {
                "contender": name,
                "network": network,
                "batch": batch,
                "threads": 1,
                "forward_only": False,
                "kernels": "numpy",
                "device": device,
                "tf32": tf32,
            }
            for products, tf32 in PRODUCTS.items()
            for name in ("minicnn", *(TORCH if against_torch else ()))
        }
        cells.append({"network": network, "batch": batch, **_race(settings, rounds)})
    return {"benchmark": "gpu", "device": device, "rounds": rounds, "cells": cells}


def _race(settings: dict[str, dict[str, Any]], rounds: int) -> dict[str, Any]:
    speeds: dict[str, list[float]] = {label: [] for label in settings}
    found: dict[str, dict[str, Any]] = {}
    with children("steps", settings) as running:
        steps = {
            label: max(1, round(race.ROUND_SECONDS / child.ask("seconds", steps=3))) for label, child in running.items()
        }
        for _ in range(rounds):
            for label, child in running.items():
                child.ask("seconds", steps=1)
                speeds[label].append(settings[label]["batch"] / child.ask("seconds", steps=steps[label]))
        for label, child in running.items():
            found[label] = {**child.facts, "steps": steps[label], "peak_bytes": child.ask("peak_bytes")}
            if settings[label]["contender"] == "minicnn":
                found[label]["kernels"] = child.ask("kernels", steps=min(10, steps[label]))
    for label, facts in found.items():
        facts["images_per_s"] = spread(speeds[label])
    ratios = {
        f"minicnn, {products} / {name}, {products}": spread(
            [a / b for a, b in zip(speeds[f"minicnn, {products}"], speeds[f"{name}, {products}"], strict=True)]
        )
        for products in PRODUCTS
        for name in TORCH
        if f"{name}, {products}" in speeds
    }
    return {"contenders": found, "ratios": ratios}


# --- in a child --------------------------------------------------------------------------------------------------


def wait() -> None:
    """Wait until the GPU has done everything."""
    import cupy

    cupy.cuda.Device().synchronize()


def copy_bytes_per_s(times: int = 5) -> float:
    """Return the bytes per second that are read and written by a copy on the GPU."""
    import cupy

    a, b = cupy.ones(COPIED, dtype=np.float32), cupy.empty(COPIED, dtype=np.float32)
    b[...] = a
    best = min(_seconds(lambda: b.__setitem__(..., a)) for _ in range(times))
    return 2 * a.nbytes / best


def _seconds(work: Any) -> float:
    import cupy

    before, after = cupy.cuda.Event(), cupy.cuda.Event()
    before.record()
    work()
    after.record()
    after.synchronize()
    return float(cupy.cuda.get_elapsed_time(before, after)) / 1e3


@contextmanager
def timed_kernels() -> Iterator[dict[str, dict[str, float]]]:
    """Collect each kernel's launches, seconds and bytes while the block runs.

    The bytes are those of its arrays, each counted once: what it has to read or write at least. The rest of a step's
    time is NVIDIA's products and what CuPy computes element by element.
    """
    import cupy

    from minicnn.kernels import cuda_kernels

    launch = cuda_kernels._launch
    launches: list[tuple[str, int, Any, Any]] = []
    found: dict[str, dict[str, float]] = {}

    def timed(name: str, threads: int, *arguments: Any) -> None:
        before, after = cupy.cuda.Event(), cupy.cuda.Event()
        before.record()
        launch(name, threads, *arguments)
        after.record()
        nbytes = sum(argument.nbytes for argument in arguments if isinstance(argument, cupy.ndarray))
        launches.append((name, nbytes, before, after))

    with mock.patch.object(cuda_kernels, "_launch", timed):
        yield found
    wait()
    sums: dict[str, dict[str, float]] = defaultdict(lambda: {"launches": 0, "seconds": 0.0, "bytes": 0})
    for name, nbytes, before, after in launches:
        sums[name]["launches"] += 1
        sums[name]["seconds"] += cupy.cuda.get_elapsed_time(before, after) / 1e3
        sums[name]["bytes"] += nbytes
    found |= sums
