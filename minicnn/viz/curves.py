"""Error by epoch, as in Figure 1 of the paper: when does each curve cross the line?"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter

from minicnn.training.metrics import crossings, epochs_to_target
from minicnn.viz.style import FAINT, GRID, INK

__all__ = ["Curve", "Panel", "draw_curves", "error_curves"]


@dataclass(frozen=True)
class Curve:
    """One line of a panel.

    Attributes
    ----------
    label : str
        Its name, written at the crossing and in the legend, which leaves out names that begin with "_".
    runs : sequence of sequence of float
        The errors (0 to 1) of each run (one a seed), from epoch 1 on.
    color : str
        Any colour that matplotlib knows.
    linestyle : str
        ``"-"`` solid, ``"--"`` dashed.
    detail : str
        What the legend adds to the name.
    """

    label: str
    runs: Sequence[Sequence[float]]
    color: str
    linestyle: str = "-"
    detail: str = ""


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes
    ----------
    title, note : str
        Above the panel; the note is the smaller line.
    curves : sequence of Curve
        What is drawn in it.
    """

    title: str
    note: str
    curves: Sequence[Curve]


def error_curves(panels: Sequence[Panel], target: float, title: str = "", shares: Panel | None = None) -> Figure:
    """Draw the error of each curve by epoch, and write beside it at which epoch it reaches `target`.

    The line is the mean over runs, for as many epochs as all of them have; the shade goes from the best run to the
    worst. Each run is also drawn by itself, thinly.

    Parameters
    ----------
    panels : sequence of Panel
        Drawn side by side with one common vertical axis.
    target : float
        The error, 0 to 1, at which a horizontal line is drawn.
    title : str
        Over everything.
    shares : Panel, optional
        Drawn to the right of the others, on an axis of its own: shares of something that is not an error.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is no panel, a panel has no curve, or a curve has no run or a run without epochs.
    """
    if not panels or not all(panel.curves for panel in panels):
        raise ValueError(f"error_curves: panels must hold at least one panel, each with a curve, got {panels}")
    for panel in (*panels, shares) if shares else panels:
        for curve in panel.curves:
            if not curve.runs or not all(len(run) for run in curve.runs):
                raise ValueError(
                    f"error_curves: {panel.title!r}, {curve.label!r}: runs must hold at least one run, each of "
                    f"at least one epoch, got lengths {[len(run) for run in curve.runs]}"
                )
    count = len(panels) + (shares is not None)
    figure = Figure(figsize=(max(6.4, 5.2 * count), 4.6), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08))
    every = [figure.add_subplot(1, count, place) for place in range(1, count + 1)]
    highest = max(max(run) for panel in panels for curve in panel.curves for run in curve.runs)
    for axes, panel in zip(every, panels, strict=False):
        axes.set_ylim(0, min(1.0, max(highest, target) + 0.06))
        _draw_panel(axes, panel, target)
    every[0].set_ylabel("training error")
    if shares is not None:
        draw_curves(every[-1], shares)
    if title:
        figure.suptitle(title, color=INK, fontsize=12.5)
    return figure


def draw_curves(axes: Axes, panel: Panel) -> None:
    """Draw curves of shares, from 0 % to a little above the highest, with a legend."""
    _prepare(axes, panel)
    for curve in panel.curves:
        _draw_curve(axes, curve)
    highest = max(max(run) for curve in panel.curves for run in curve.runs)
    axes.set_ylim(0, min(1.0, 1.06 * highest) or 1.0)
    columns = 1 if len(axes.get_legend_handles_labels()[1]) < 5 else 2
    below = (0, 0, 1, 0.95)  # a curve at 100 %
    style = {"frameon": False, "fontsize": 8.5, "handlelength": 2.2, "labelspacing": 0.25}
    axes.legend(loc="best", bbox_to_anchor=below, ncols=columns, **style)


def _prepare(axes: Axes, panel: Panel) -> None:
    longest = max(len(run) for curve in panel.curves for run in curve.runs)
    axes.set_xlim(0, max(longest, 2) * 1.03)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    axes.set_xlabel("epoch")
    axes.set_title(f"{panel.title}\n", loc="left", fontsize=11, color=INK, linespacing=1.4)
    axes.text(0, 1.02, panel.note, transform=axes.transAxes, fontsize=9, color=FAINT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=FAINT, labelcolor=INK, labelleft=True)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def _draw_panel(axes: Axes, panel: Panel, target: float) -> None:
    _prepare(axes, panel)
    axes.axhline(target, color=FAINT, linewidth=1, linestyle=(0, (1, 2)))
    beside = axes.get_yaxis_transform()  # across the axes from 0 to 1, upwards in errors
    axes.text(1.005, target, f"{100 * target:g} %", transform=beside, fontsize=9, color=FAINT, va="center")
    for curve in panel.curves:
        _draw_curve(axes, curve)
    # The slowest curve has nothing above it, the others have nothing below them and to their left.
    slowest = max(panel.curves, key=lambda curve: _slowness(curve, target))
    for curve in panel.curves:
        _write_crossing(axes, curve, target, above=curve is slowest)
    axes.legend(loc="best", frameon=False, fontsize=10, handlelength=2.6)


def _slowness(curve: Curve, target: float) -> tuple[float, float]:
    reached = [epochs_to_target(run, target) or math.inf for run in curve.runs]
    return statistics.median(reached), statistics.mean(run[-1] for run in curve.runs)


def _draw_curve(axes: Axes, curve: Curve) -> None:
    common = min(len(run) for run in curve.runs)
    errors = np.array([run[:common] for run in curve.runs])  # (runs, epochs)
    epochs = np.arange(1, common + 1)
    style: dict[str, Any] = {"color": curve.color, "linestyle": curve.linestyle, "marker": "." if common == 1 else ""}
    axes.plot(epochs, errors.mean(axis=0), linewidth=2, label=f"{curve.label}{curve.detail}", **style)
    if len(curve.runs) > 1:
        axes.fill_between(epochs, errors.min(axis=0), errors.max(axis=0), color=curve.color, alpha=0.2, linewidth=0)
        for run in curve.runs:
            axes.plot(np.arange(1, len(run) + 1), run, linewidth=0.7, alpha=0.5, **style)


def _write_crossing(axes: Axes, curve: Curve, target: float, above: bool) -> None:
    """Mark where each run first is at or below the target, and write the epochs beside it."""
    text = crossings(curve.runs, target)
    reached = [(epoch, run[epoch - 1]) for run in curve.runs if (epoch := epochs_to_target(run, target)) is not None]
    if reached:
        anchor = sorted(reached)[len(reached) // 2]
        axes.plot(*zip(*reached, strict=True), "o", color=curve.color, markersize=4.5, zorder=4)
        text = f"{'epochs' if ',' in text else 'epoch'} {text}"
    else:
        longest = max(curve.runs, key=len)
        anchor = (len(longest), longest[-1])
        text = f"{text} epochs"
    width, height = axes.get_xlim()[1], axes.get_ylim()[1]
    late = anchor[0] > 0.45 * width
    x, side = (anchor[0], "right") if late else (0.02 * width, "left")
    y = max(0.3 * target, anchor[1] - 0.25 * height)
    if above:
        x, side = (anchor[0], "right") if late else (anchor[0] + 0.04 * width, "left")
        beneath = [run[epoch] for run in curve.runs for epoch in range(len(run)) if epoch + 1 >= x - 0.35 * width]
        y = min(max(anchor[1] + 0.2 * height, max(beneath) + 0.08 * height if late else 0), 0.8 * height)
    axes.annotate(
        f"{curve.label}: {text}",
        xy=anchor,
        xytext=(x, y),
        horizontalalignment=side,
        verticalalignment="center",
        color=curve.color,
        fontsize=9.5,
        arrowprops={"arrowstyle": "-", "color": curve.color, "linewidth": 0.8, "shrinkB": 4},
    )
