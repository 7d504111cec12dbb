"""Contenders take turns, A B A B ..., so that a machine that slows down slows down all of them."""

import itertools
from collections.abc import Sequence
from typing import Any

from benchmarks import networks
from benchmarks.contenders import PRODUCTS, TORCH
from benchmarks.processes import children, spread, unset

ROUND_SECONDS = 1.0  # a round has as many steps as fit into this


def race(
    network: str,
    against: Sequence[str],
    batches: list[int],
    threads: list[int],
    forward_only: bool,
    kernels: str,
    rounds: int,
) -> dict[str, Any]:
    """Return every contender's images/s (median, min, max over rounds), and the ratios of the first to the others.

    There is a contender for each batch and each number of threads. "torch" is PyTorch in both of its layouts.
    """
    others = [name for other in against for name in (TORCH if other == "torch" else (other,))]
    names = ["minicnn", *others, PRODUCTS]
    settings = {
        _label(name, batch if len(batches) > 1 else None, count if len(threads) > 1 else None): {
            "contender": name,
            "network": network,
            "batch": batch,
            "threads": count,
            "forward_only": forward_only,
            "kernels": kernels,
        }
        for name, batch, count in itertools.product(names, batches, threads)
    }
    found: dict[str, dict[str, Any]] = {}
    speeds: dict[str, list[float]] = {label: [] for label in settings}
    with children("steps", settings) as running:
        steps = {
            label: max(1, round(ROUND_SECONDS / child.ask("seconds", steps=1))) for label, child in running.items()
        }
        for _ in range(rounds):
            for label, child in running.items():
                child.ask("seconds", steps=1)  # warms the caches, as a step in training does for the next
                speeds[label].append(settings[label]["batch"] / child.ask("seconds", steps=steps[label]))
        for label, child in running.items():
            chosen = {name: settings[label][name] for name in ("contender", "batch", "threads")}
            found[label] = {**chosen, **child.facts, "peak_bytes": child.ask("peak_bytes")}
            if settings[label]["contender"] == "minicnn":
                found[label]["profile"] = child.ask("profile", steps=steps[label])
    work = networks.flops(network, forward_only)
    for label, facts in found.items():
        facts |= {
            "steps": steps[label],
            "images_per_s": spread(speeds[label]),
            "ms_per_image": spread([1e3 / speed for speed in speeds[label]]),
            "gflops": spread([speed * work / 1e9 for speed in speeds[label]]),
        }
    return {
        "benchmark": network,
        "input_shape": list(networks.summary_of(network).input_shape[1:]),
        "forward_only": forward_only,
        "flops_per_image": work,
        "rounds": rounds,
        "unset": unset(),
        "contenders": found,
        "ratios": _ratios(found, speeds),
    }


def _label(name: str, batch: int | None, threads: int | None) -> str:
    parts = [name]
    parts += [] if batch is None else [f"batch {batch}"]
    parts += [] if threads is None else [f"{threads} thread" + "s" * (threads > 1)]
    return ", ".join(parts)


def _ratios(found: dict[str, dict[str, Any]], speeds: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Return the speed of minicnn relative to others with the same batch and threads, round by round.

    And the speed of the first minicnn relative to those with another batch or number of threads.
    """
    ours = [label for label, facts in found.items() if facts["contender"] == "minicnn"]
    pairs = [(ours[0], other) for other in ours[1:]]
    for mine, other in itertools.product(ours, found):
        alike = all(found[mine][name] == found[other][name] for name in ("batch", "threads"))
        if alike and other not in ours:
            pairs.append((mine, other))
    return {
        f"{mine} / {other}": spread([a / b for a, b in zip(speeds[mine], speeds[other], strict=True)])
        for mine, other in pairs
    }
