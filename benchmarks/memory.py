"""Peak memory of a step, without the libraries' own."""

from typing import Any

from benchmarks.contenders import TORCH
from benchmarks.processes import children, unset

STEPS = 2  # the first allocates the optimiser's memory, the second adds a step's own to it


def memory(
    network: str, against_torch: bool, batch: int, threads: int, forward_only: bool, kernels: str
) -> dict[str, Any]:
    """Return the peak of each contender, measured one after the other, and the ratios of the first to the others."""
    found: dict[str, dict[str, Any]] = {}
    shared = {"network": network, "batch": batch, "threads": threads, "forward_only": forward_only, "kernels": kernels}
    for name in ("minicnn", *(TORCH if against_torch else ())):
        with children("steps", {name: {"contender": name, **shared}}) as running:
            running[name].ask("seconds", steps=STEPS)
            found[name] = {**running[name].facts, "peak_bytes": running[name].ask("peak_bytes")}
    first, *others = found
    return {
        "benchmark": "memory",
        **shared,
        "unset": unset(),
        "contenders": found,
        "ratios": {f"{first} / {other}": found[first]["peak_bytes"] / found[other]["peak_bytes"] for other in others},
    }
