"""How the time and the memory of AlexNet's training step grow with the batch, the images and the width."""

import csv
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import networks
from benchmarks.contenders import TORCH
from benchmarks.processes import children, spread, unset

ROUND_SECONDS = 0.5  # a round has as many steps as fit into this, and at least one
COLUMNS = (
    "batch size width contender multiply_adds parameters seconds seconds_min seconds_max peak_bytes rounds threads"
).split()

Row = dict[str, Any]


class Point(NamedTuple):
    """Images in a step, their height and width, and the factor for all filters and hidden units."""

    batch: int
    size: int
    width: float


BASE = Point(batch=32, size=227, width=1.0)
"""What is kept while one of the three changes."""

SWEEPS: dict[str, tuple[float, ...]] = {
    "batch": (1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
    "size": (67, 99, 131, 163, 227, 291, 355, 451),
    "width": (0.25, 0.5, 0.75, 1, 1.5, 2),
}
"""The sizes need no padding: windows of 11x11 at stride 4 fit."""


def scaling(
    network: str,
    against_torch: bool,
    sweeps: dict[str, tuple[float, ...]],
    threads: int,
    kernels: str,
    rounds: int,
    out: Path,
    resume: bool = False,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Measure every point, the cheapest first, and write each to a CSV file as soon as it is known.

    The contenders take turns at a point, round by round, if the memory is enough for all of them; else they follow one
    another. A point that even one of them has no memory for is skipped. With `resume`, what the file holds is not
    measured again.
    """
    if any(size < 67 or size % 4 != 3 for size in sweeps.get("size", ())):
        raise ValueError(f"scaling: size must be 67, 71, 75, ... for conv1's windows to fit, got {sweeps['size']}")
    names = ["minicnn", *(TORCH if against_torch else ())]
    rows = read(out) if resume and out.exists() else []
    contenders: dict[str, Any] = {}
    skipped = []
    for point in points(sweeps):
        settings = {
            name: {
                "contender": name,
                "network": config(network, point),
                "batch": point.batch,
                "threads": threads,
                "forward_only": False,
                "kernels": kernels,
            }
            for name in names
            if not any(row["contender"] == name and of_row(row) == point for row in rows)
        }
        if not settings:
            continue
        needed, free = expected_bytes(network, point), available_bytes()
        if needed > free:
            skipped.append(f"skipped {said(point)}: needs about {needed / 1e9:.3g} GB, {free / 1e9:.3g} GB are free")
            say(skipped[-1])
            continue
        together = len(settings) * needed <= free
        measured: dict[str, Row] = {}
        for some in [settings] if together else [{name: each} for name, each in settings.items()]:
            found, facts = measure(some, rounds)
            measured |= found
            contenders |= facts
        work = training_multiply_adds(network, point)
        parameters = networks.summary_of(config(network, point)).parameters
        shared = {**point._asdict(), "multiply_adds": work, "parameters": parameters}
        for name, found in measured.items():
            rows.append({**shared, "contender": name, **found, "rounds": rounds, "threads": threads})
        write(rows, out)
        times = ", ".join(f"{name} {found['seconds']:.3g} s" for name, found in measured.items())
        say(f"{said(point)}: {work / 1e9:.3g} G multiply-adds, {times}")
    return {
        "benchmark": "scaling",
        "network": network,
        "base": BASE._asdict(),
        "sweeps": {name: list(values) for name, values in sweeps.items()},
        "threads": threads,
        "rounds": rounds,
        "unset": unset(),
        "contenders": contenders,
        "rows": rows,
        "skipped": skipped,
        "slopes": [
            {"sweep": name, "contender": contender}
            | {column: line.slope(column) for column in ("seconds", "peak_bytes", "multiply_adds")}
            for name in sweeps
            for contender, line in lines(rows, name).items()
        ],
    }


def points(sweeps: dict[str, tuple[float, ...]]) -> list[Point]:
    """Return every point of the sweeps once, the cheapest first."""
    changes: list[dict[str, Any]] = [{name: value} for name, values in sweeps.items() for value in values]
    found = {BASE._replace(**change) for change in changes}
    return sorted(found, key=lambda point: (point.batch * (point.size * point.width) ** 2, point))


def config(network: str, point: Point) -> dict[str, Any]:
    """Return the network of a point; see `networks.built`."""
    return networks.CONFIGS[network] | {"in_size": point.size, "width": point.width}


def training_multiply_adds(network: str, point: Point) -> int:
    """Return the multiply-adds of a training step."""
    return point.batch * networks.flops(config(network, point), forward_only=False) // 2


def expected_bytes(network: str, point: Point) -> int:
    """Return a generous estimate of one contender's memory."""
    found = networks.summary_of(config(network, point), point.batch)
    libraries, images = 400_000_000, 4 * math.prod(found.input_shape)
    # weights, their gradients and velocities, and a copy for a moment; each output, its gradient and a scratch array
    return libraries + 4 * 4 * found.parameters + 3 * found.activation_bytes + 3 * images


def available_bytes() -> int:
    """Return the memory that new processes can have."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("benchmarks: /proc/meminfo has no MemAvailable")


def measure(settings: dict[str, dict[str, Any]], rounds: int) -> tuple[dict[str, Row], dict[str, Any]]:
    """Return each contender's seconds and peak memory, and its facts."""
    with children("steps", settings) as running:
        steps = {name: max(1, round(ROUND_SECONDS / child.ask("seconds", steps=1))) for name, child in running.items()}
        seconds: dict[str, list[float]] = {name: [] for name in running}
        for _ in range(rounds):
            for name, child in running.items():
                seconds[name].append(child.ask("seconds", steps=steps[name]))
        peaks = {name: child.ask("peak_bytes") for name, child in running.items()}
        facts = {name: child.facts for name, child in running.items()}
    found = {}
    for name, each in seconds.items():
        among = spread(each)
        found[name] = {"seconds": among["median"], "seconds_min": among["min"], "seconds_max": among["max"]}
        found[name]["peak_bytes"] = peaks[name]
    return found, facts


# --- lines through the points -----------------------------------------------------------------------------------------


class Line(NamedTuple):
    """One contender's rows along one sweep, in order."""

    sweep: str
    rows: list[Row]

    def along(self, column: str) -> list[float]:
        """Return a column of the rows."""
        return [float(row[column]) for row in self.rows]

    def slope(self, column: str) -> float | None:
        """Return the power with which a column grows, over the larger half of the sweep; None for a single point.

        At the smaller end a step costs what does not grow: the update of the weights, the calls.
        """
        x, y = np.log(self.along(self.sweep)), np.log(self.along(column))
        upper = x >= (x[0] + x[-1]) / 2 - 1e-9
        if upper.sum() < 2:
            upper[:] = True
        return float(np.polyfit(x[upper], y[upper], 1)[0]) if len(x) > 1 else None


def lines(rows: list[Row], sweep: str) -> dict[str, Line]:
    """Return a line for each contender: the rows that differ from the base in this alone."""
    found: dict[str, Line] = {}
    for row in sorted(rows, key=lambda row: row[sweep]):
        if of_row(row)._replace(**{sweep: 0}) == BASE._replace(**{sweep: 0}):
            found.setdefault(row["contender"], Line(sweep, [])).rows.append(row)
    return found


def of_row(row: Row) -> Point:
    return Point(row["batch"], row["size"], row["width"])


def said(point: Point) -> str:
    return f"batch {point.batch}, {point.size}x{point.size}, width {point.width:g}"


# --- the file ---------------------------------------------------------------------------------------------------------


def write(rows: list[Row], path: Path) -> None:
    """Write all rows, in the order of the sweeps."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        ordered = sorted(rows, key=lambda row: (row["size"], row["width"], row["batch"]))
        writer.writerows(dict(_texts(row)) for row in ordered)


def _texts(row: Row) -> Iterator[tuple[str, Any]]:
    for name in COLUMNS:
        yield name, f"{row[name]:.6g}" if isinstance(row[name], float) else row[name]


def read(path: Path) -> list[Row]:
    """Return the rows of a file that `write` has written."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if rows and list(rows[0]) != COLUMNS:
        raise ValueError(f"{path} is not a file of `python -m benchmarks scaling`")
    kinds = {"contender": str, "width": float, "seconds": float, "seconds_min": float, "seconds_max": float}
    return [{name: kinds.get(name, int)(text) for name, text in row.items()} for row in rows]
