"""Training steps on a GPU: minicnn and PyTorch take turns, and minicnn's kernels are timed one by one."""

import itertools
from typing import Any

from benchmarks import race
from benchmarks.contenders import TORCH
from benchmarks.processes import children, spread

NETWORKS = ("alexnet", "four-layer")
PRODUCTS = {"float32": False, "TF32": True}


def gpu(device: str, against_torch: bool, batches: list[int], rounds: int, chosen: list[str]) -> dict[str, Any]:
    """Return every contender's images/s on each network and batch, and the ratios of minicnn to PyTorch.

    PyTorch is compared with minicnn at the same precision: in float32 its cuDNN may not use TF32 either.
    """
    from minicnn.backend import checked_device

    device = checked_device(device)  # fails before any child process starts
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
