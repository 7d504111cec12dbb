"""The curves of a training run: loss and error by epoch, and the learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter

from minicnn.viz.style import FAINT, GRID, INK

__all__ = ["draw_log"]

TRAINING, VALIDATION = "#0b62a4", "#c8500a"
DOTS = (0, (1, 2))
HEIGHT = 0.95  # of the axes: where the highest learning rate is drawn


def draw_log(rows: Sequence[Mapping[str, Any]], title: str = "") -> Figure:
    """Draw the rows of a run's ``log.csv``.

    Parameters
    ----------
    rows : sequence of mapping
        One row for each epoch, at least one, with "epoch", "lr", and "loss", "error" and "top5_error" after "train_"
        and "validation_". Validation values are None for a run without validation.
    title : str
        Above both panels.

    Returns
    -------
    matplotlib.figure.Figure
        On the left the loss; on the right the error, and dashed the top-5 error. Training values are running ones.
        Where the learning rate changes, the new one is written; one that changes all the time is a dotted curve.

    Raises
    ------
    ValueError
        If there is no row.
    """
    if not rows:
        raise ValueError("draw_log: rows must hold at least one row, got none")
    validated = rows[0]["validation_error"] is not None
    parts = [("train", "training", TRAINING), ("validation", "validation", VALIDATION)][: 2 if validated else 1]
    gradual = len(_changes(rows)) > max(2, len(rows) // 2)  # its changes would be too many to mark
    figure = Figure(figsize=(9.6, 4.2), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))
    left, right = figure.subplots(1, 2)
    for axes, name in ((left, "loss"), (right, "error")):
        for part, label, color in parts:
            _draw_curve(axes, rows, f"{part}_{name}", color, label)
        if not gradual:
            _draw_drops(axes, rows)
        _style(axes, len(rows))
    if gradual:
        _draw_rate(left, rows)
    for part, _, color in parts:
        _draw_curve(right, rows, f"{part}_top5_error", color, None, "--")
    left.plot([], [], "--", color=FAINT, linewidth=1.4, label="top-5 error")
    left.set_ylim(bottom=0)
    right.set_ylim(bottom=0)
    right.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    if validated:
        _mark_best(right, min(rows, key=lambda row: row["validation_error"]))
    left.set_title("loss", loc="left", fontsize=11, color=INK, pad=18)
    right.set_title("error", loc="left", fontsize=11, color=INK, pad=18)
    left.legend(loc="upper right", framealpha=1, edgecolor="none", fontsize=9)
    if title:
        figure.suptitle(title, color=INK, fontsize=12)
    return figure


def _draw_curve(
    axes: Axes, rows: Sequence[Mapping[str, Any]], name: str, color: str, label: str | None, line: str = "-"
) -> None:
    epochs, values = [row["epoch"] for row in rows], [row[name] for row in rows]
    marker = "." if len(rows) == 1 else ""
    width = 2.0 if line == "-" else 1.4
    axes.plot(epochs, values, line, color=color, linewidth=width, marker=marker, label=label)


def _mark_best(axes: Axes, row: Mapping[str, Any]) -> None:
    """Mark the lowest validation error. Its number is below, where its own curve is not, unless the other one is."""
    best = (row["epoch"], row["validation_error"])
    axes.plot(*best, "o", color=VALIDATION, markersize=5)
    room = 0.1 * axes.get_ylim()[1]
    below = best[1] > room and not 0 <= best[1] - row["train_error"] < room
    axes.annotate(
        f"{100 * best[1]:.1f} %",
        xy=best,
        xytext=(0, -9 if below else 9),
        textcoords="offset points",
        horizontalalignment="center",
        verticalalignment="top" if below else "baseline",
        fontsize=9,
        color=VALIDATION,
    )


def _draw_rate(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw the learning rate as a curve, as high as the axes whatever the scale of their numbers."""
    highest = max(row["lr"] for row in rows)
    axes.plot(
        [row["epoch"] for row in rows],
        [HEIGHT * row["lr"] / highest for row in rows],
        transform=axes.get_xaxis_transform(),
        color=FAINT,
        linewidth=1,
        linestyle=DOTS,
        label=f"learning rate, up to {highest:.3g}",
    )


def _draw_drops(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """Mark each epoch at which the learning rate changes."""
    for row in [rows[0], *_changes(rows)]:
        x = row["epoch"] - 0.5
        if row is not rows[0]:
            axes.axvline(x, color=FAINT, linewidth=1, linestyle=DOTS)
        axes.text(
            x,
            1.0,
            f"lr {row['lr']:.3g}",
            transform=axes.get_xaxis_transform(),
            fontsize=8,
            color=FAINT,
            verticalalignment="bottom",
        )


def _changes(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the epochs with another learning rate than the one before."""
    return [row for before, row in zip(rows, rows[1:], strict=False) if before["lr"] != row["lr"]]


def _style(axes: Axes, epochs: int) -> None:
    axes.set_xlim(0.5, max(epochs, 2) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=FAINT, labelcolor=INK)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
