"""The filters of the first layer as small images: Figure 3 of the paper."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from minicnn import nn
from minicnn.backend import asnumpy
from minicnn.viz.mosaic import frameless, mosaic
from minicnn.viz.style import FAINT, INK

__all__ = ["draw_filters", "first_filters"]

TILE = 0.46  # inches


def first_filters(network: nn.Module) -> tuple[NDArray[Any], int]:
    """Return the weight of the first convolution, and the number of towers.

    Raises
    ------
    ValueError
        If there is no convolution.
    """
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    if not convolutions:
        raise ValueError(f"first_filters: network must have a Conv2d, got {type(network).__name__} without one")
    return asnumpy(convolutions[0].weight.data), max(layer.groups for layer in convolutions)


def draw_filters(weight: NDArray[Any], towers: int = 1, title: str = "") -> Figure:
    """Draw filters as a grid of images, separately for each tower.

    Each filter has its own scale: its largest weight, of either sign, is black or full colour, and zero is medium grey.

    Parameters
    ----------
    weight : ndarray, (F, C, KH, KW)
        Filters for colours (C = 3) or grey levels (C = 1).
    towers : int
        The first F / towers filters belong to the first tower, and so on.
    title : str
        Above the figure.

    Returns
    -------
    matplotlib.figure.Figure
        With axes for each tower.

    Raises
    ------
    ValueError
        If `weight` has another shape, or its filters cannot be divided among the towers.

    References
    ----------
    Krizhevsky et al. 2012, figure 3.
    """
    if weight.ndim != 4 or weight.shape[1] not in (1, 3) or weight.size == 0:
        raise ValueError(f"draw_filters: weight must have shape (F, 1 or 3, KH, KW), got {weight.shape}")
    F = len(weight)
    if towers < 1 or F % towers:
        raise ValueError(f"draw_filters: towers must divide the {F} filters, got {towers}")
    largest = np.abs(weight).max(axis=(1, 2, 3), keepdims=True)
    tiles = (0.5 + 0.5 * weight / np.where(largest > 0, largest, 1)).transpose(0, 2, 3, 1)  # (F, KH, KW, C)
    each = F // towers
    columns = min(each, 16 if each >= 32 else 8)

    sheets = [mosaic(np.repeat(part, 3 // part.shape[3], axis=3), columns) for part in np.split(tiles, towers)]
    wide, high = columns * TILE, columns * TILE * sheets[0].shape[0] / sheets[0].shape[1]

    above, below = (0.55 if title else 0.15), 0.4
    width, height = max(wide + 0.4, 4.8), above + towers * (high + below)
    figure = Figure(figsize=(width, height))
    for tower, sheet in enumerate(sheets):
        bottom = height - above - high - tower * (high + below)
        axes = figure.add_axes(((width - wide) / 2 / width, bottom / height, wide / width, high / height))
        axes.imshow(sheet, interpolation="nearest", aspect="auto")
        frameless(axes)
        name = f"tower {tower + 1}: {each} filters" if towers > 1 else f"{each} filters"
        axes.set_xlabel(f"{name} of {weight.shape[2]}x{weight.shape[3]}", fontsize=9, color=FAINT, labelpad=3)
    if title:
        figure.suptitle(title, color=INK, fontsize=11, y=1 - 0.16 / height, va="top")
    return figure
