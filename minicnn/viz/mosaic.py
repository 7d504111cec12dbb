"""Many small images laid out as one, with gaps between them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

__all__ = ["frameless", "mosaic"]


def mosaic(tiles: NDArray[Any], columns: int, gap: int = 1) -> NDArray[Any]:
    """Lay images out in rows.

    Parameters
    ----------
    tiles : ndarray of float, (N, H, W) or (N, H, W, 3)
        At least one image.
    columns : int
        Images in a row.
    gap : int
        Pixels between them. There, and in the empty places of the last row, the result is NaN, or white for colours.

    Returns
    -------
    ndarray of float, (rows * (H + gap) - gap, columns * (W + gap) - gap) or the same by 3
    """
    N, H, W, *colours = tiles.shape
    rows = math.ceil(N / columns)
    sheet = np.full((rows * (H + gap), columns * (W + gap), *colours), 1.0 if colours else np.nan)
    for position, tile in enumerate(tiles):
        row, column = divmod(position, columns)
        top, left = row * (H + gap), column * (W + gap)
        sheet[top : top + H, left : left + W] = tile
    return sheet[: sheet.shape[0] - gap, : sheet.shape[1] - gap]


def frameless(axes: Axes) -> None:
    """Remove ticks and frame: an image has no axes."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
