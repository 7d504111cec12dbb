"""Images with the network's five most likely classes: Figure 4 of the paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from minicnn.viz.mosaic import frameless
from minicnn.viz.style import INK

__all__ = ["draw_predictions"]

RIGHT, OTHER = "#f2a08a", "#a9c8e8"
SIDE, BAR, COLUMN, TITLE, GAP = 1.9, 0.23, 2.2, 0.36, 0.12  # inches


def draw_predictions(
    images: NDArray[np.uint8] | Sequence[NDArray[np.uint8]],
    names: Sequence[str],
    probabilities: NDArray[Any],
    truths: Sequence[int | None] | NDArray[Any] | None = None,
    captions: Sequence[str] | None = None,
) -> Figure:
    """Draw images with their five most likely classes as bars.

    Parameters
    ----------
    images : ndarray of uint8, (N, 3, H, W), or a sequence of (3, H, W)
        At least one image.
    names : sequence of str
        The name of each class.
    probabilities : ndarray, (N, classes)
        The probability of each class for each image, 0 to 1.
    truths : sequence of int, optional
        The right class of each image, None where it is unknown. Its name is the image's title, and its bar, if it is
        among the five, has another colour.
    captions : sequence of str, optional
        The titles of images whose class is unknown.

    Returns
    -------
    matplotlib.figure.Figure
        With two axes for each image: the image and its bars.

    Raises
    ------
    ValueError
        If the numbers of images, names, probabilities, truths and captions do not match.

    References
    ----------
    Krizhevsky et al. 2012, figure 4.
    """
    N = len(images)
    truths = [None] * N if truths is None else list(truths)
    captions = [""] * N if captions is None else list(captions)
    if N == 0 or probabilities.shape != (N, len(names)) or len(truths) != N or len(captions) != N:
        raise ValueError(
            f"draw_predictions: {N} images and {len(names)} names need probabilities of shape ({N}, {len(names)}) and "
            f"{N} truths and captions, got {probabilities.shape}, {len(truths)} and {len(captions)}"
        )
    best = min(5, len(names))
    columns = min(N, 4)
    rows = math.ceil(N / columns)
    cell = TITLE + SIDE + 0.08 + best * BAR + GAP
    known = any(truth is not None for truth in truths)
    width, height = columns * COLUMN + 0.2, rows * cell + (0.3 if known else 0.05)
    figure = Figure(figsize=(width, height))
    for position in range(N):
        row, column = divmod(position, columns)
        left, top = 0.1 + column * COLUMN + (COLUMN - SIDE) / 2, row * cell + TITLE

        def place(down: float, high: float, left: float = left, top: float = top) -> Axes:
            return figure.add_axes((left / width, 1 - (top + down + high) / height, SIDE / width, high / height))

        picture = place(0, SIDE)
        picture.imshow(np.asarray(images[position]).transpose(1, 2, 0), interpolation="nearest")
        frameless(picture)
        truth = truths[position]
        heading = captions[position] if truth is None else names[truth]
        picture.set_title(_short(heading, 26), fontsize=10, color=INK, pad=4)
        _draw_bars(place(SIDE + 0.08, best * BAR), names, probabilities[position], best, truth)
    if known:
        left = 0.1 + (COLUMN - SIDE) / 2
        figure.text(left / width, 0.1 / height, "■", fontsize=9, color=RIGHT)
        figure.text((left + 0.16) / width, 0.1 / height, "the right class", fontsize=8.5, color=INK)
    return figure


def _draw_bars(axes: Axes, names: Sequence[str], likely: NDArray[Any], best: int, truth: int | None) -> None:
    """Draw the most likely classes from the top down, each name on its bar."""
    order = np.argsort(-likely, kind="stable")[:best]
    colors = [RIGHT if index == truth else OTHER for index in order]
    axes.barh(range(best), likely[order], height=0.86, color=colors)
    axes.set_xlim(0, 1)
    axes.set_ylim(best - 0.5, -0.5)
    frameless(axes)
    axes.axvline(0, color=INK, linewidth=0.8)
    for place, index in enumerate(order):
        share = likely[index]
        percent = f"{100 * share:.0f} %" if f"{100 * share:.0f}" != "0" else "<1 %"
        axes.text(0.02, place, _short(names[index], 24), va="center", fontsize=8.5, color=INK)
        axes.text(0.99, place, percent, va="center", ha="right", fontsize=7.5, color=INK)


def _short(name: str, length: int) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"
