"""Results of an ablation study: test and training errors with everything on, and with one thing off at a time."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter

from minicnn.viz.curves import Panel, draw_curves
from minicnn.viz.style import FAINT, GRID, INK

__all__ = ["Dots", "draw_contributions"]

COLORS = {"worse": "#c8500a", "better": "#0b62a4", "unclear": FAINT}


@dataclass(frozen=True)
class Dots:
    """One line of the figure.

    Attributes
    ----------
    label : str
        What is off.
    errors, train_errors : sequence of float
        The test and the training error (0 to 1) of each seed.
    verdict : {"worse", "better", "unclear"}
        Whether the test error is higher or lower than with everything on, or the seeds leave it unclear.
    note : str
        Text beside the test errors.
    """

    label: str
    errors: Sequence[float]
    train_errors: Sequence[float]
    verdict: str
    note: str


def draw_contributions(everything: Dots, others: Sequence[Dots], panels: Sequence[Panel], title: str = "") -> Figure:
    """Draw test errors and training errors, line by line from the top, and below them errors over the epochs.

    A line has a dot for each seed and a bar at the mean. A vertical line goes through the mean test error of
    `everything`; lines to its right are worse, lines to its left better.

    Parameters
    ----------
    everything : Dots
        The first line; its verdict is ignored.
    others : sequence of Dots
        The lines below it.
    panels : sequence of Panel
        What is drawn below, from left to right.
    title : str
        Above the figure.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If a line has no dot, or an unknown verdict.
    """
    for dots in (everything, *others):
        if not dots.errors or not dots.train_errors or dots.verdict not in COLORS:
            raise ValueError(
                f"draw_contributions: {dots.label!r} must have at least one error and a verdict of "
                f"{', '.join(COLORS)}, got {len(dots.errors)} and {len(dots.train_errors)} errors and {dots.verdict!r}"
            )
    lines = [everything, *others]
    heights = (max(3.4, 1.3 + 0.42 * len(lines)), 4.2)
    figure = Figure(figsize=(13, sum(heights)), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1))
    rows = figure.add_gridspec(2, 1, height_ratios=heights)
    upper, lower = rows[0].subgridspec(1, 2, width_ratios=(1.5, 1)), rows[1].subgridspec(1, len(panels))
    test, train = figure.add_subplot(upper[0]), figure.add_subplot(upper[1])
    middle = statistics.mean(everything.errors)
    test.axvline(middle, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    beside = test.get_yaxis_transform()  # across the axes from 0 to 1, downwards in lines
    for place, dots in enumerate(lines):
        color = INK if place == 0 else COLORS[dots.verdict]
        _draw_line(test, place, dots.errors, color)
        _draw_line(train, place, dots.train_errors, color)
        test.text(1.02, place, dots.note, transform=beside, color=color, fontsize=10, va="center_baseline")
    _style(test, lines, "test error: a dot for each seed, a bar at their mean")
    _style(train, lines, "training error of the same networks")
    train.set_yticklabels([])
    _write_sides(test, middle)
    for place, panel in enumerate(panels):
        draw_curves(figure.add_subplot(lower[place]), panel)
    if title:
        figure.suptitle(title, color=INK, fontsize=12.5)
    return figure


def _draw_line(axes: Axes, place: int, errors: Sequence[float], color: str) -> None:
    axes.plot(statistics.mean(errors), place, "|", color=color, markersize=22, markeredgewidth=2.2)
    axes.plot(errors, [place] * len(errors), "o", color=color, markersize=7, alpha=0.6, markeredgecolor="white")


def _write_sides(axes: Axes, middle: float) -> None:
    """Label both sides of the vertical line."""
    for text, verdict, side, shift in (
        ("\N{LEFTWARDS ARROW} better without it", "better", "right", -8),
        ("worse without it \N{RIGHTWARDS ARROW}", "worse", "left", 8),
    ):
        axes.annotate(
            text,
            xy=(middle, 1),
            xycoords=axes.get_xaxis_transform(),
            xytext=(shift, 5),
            textcoords="offset points",
            color=COLORS[verdict],
            fontsize=9.5,
            ha=side,
            annotation_clip=False,
        )


def _style(axes: Axes, lines: Sequence[Dots], label: str) -> None:
    axes.set_ylim(len(lines) - 0.5, -0.5)
    errors = [float(error) for dots in axes.lines if dots.get_marker() == "o" for error in np.asarray(dots.get_xdata())]
    room = 0.08 * (max(errors) - min(errors)) or 0.01
    axes.set_xlim(max(0, min(errors) - room), max(errors) + room)
    axes.set_yticks(range(len(lines)), labels=[dots.label for dots in lines], fontsize=10.5, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_xlabel(label, color=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.tick_params(axis="x", colors=FAINT, labelcolor=INK)
    axes.tick_params(axis="y", length=0)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
