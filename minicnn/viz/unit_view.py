"""One unit of a map, closely: what it sees of the picture, and for a convolution the product that it is.

The walk page draws the same in the browser; here it is Python that does, for where a kernel answers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minicnn.backend import asnumpy
from minicnn.ops.conv import Conv2d
from minicnn.tracing import OperationRecord, TraceStep
from minicnn.viz.cards import PICTURE, png
from minicnn.viz.mosaic import mosaic
from minicnn.viz.walk_page import receptive_field

__all__ = ["closely", "product"]

COLUMN = 150  # pixels of the screen that a column is high


def product(
    record: OperationRecord, channel: int, row: int, column: int, example: int = 0
) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Return what a unit of a convolution multiplies and adds up.

    Parameters
    ----------
    record : OperationRecord
        A convolution of a trace.
    channel, row, column : int
        Which unit of its output.
    example : int
        Which picture of the batch.

    Returns
    -------
    window : ndarray of shape (C / groups, KH, KW)
        What the unit sees of its input, zero where that is padding: a column of im2col, before it is one.
    filter : ndarray of the same shape
        Its weights.
    bias : float
        What is added, 0 if there is none.
    """
    x, w, b = record.inputs
    told = record.hyperparameters
    (SH, SW), (PH, PW) = told["stride"], told["padding"]
    weight = asnumpy(w)
    F, CG, KH, KW = weight.shape
    group = channel // (F // told["groups"])
    seen = np.pad(asnumpy(x)[example, group * CG : (group + 1) * CG], [(0, 0), (PH, PH), (PW, PW)])
    window = seen[:, row * SH : row * SH + KH, column * SW : column * SW + KW]
    return window, weight[channel], 0.0 if b is None else float(asnumpy(b)[channel])


def closely(
    step: TraceStep, picture: NDArray[Any] | None, channel: int, row: int, column: int, example: int = 0
) -> str:
    """Return as HTML what there is to say of one unit: its number, its receptive field, its product.

    Parameters
    ----------
    step : TraceStep
        Of an operation that makes maps.
    picture : ndarray, (H, W, 3), optional
        What the network was given, as colours from 0 to 1.
    channel, row, column : int
        Which unit.
    example : int
        Which picture of the batch.
    """
    record, place = step.record, (example, channel, row, column)
    lines = [f"y = {float(asnumpy(record.output)[place]):.4g}"]
    if step.backward and record.grad_output is not None:
        lines.append(f"dL/dy = {float(asnumpy(record.grad_output)[place]):.4g}")
    parts = [f"<p>{'<br>'.join(lines)}</p>"]
    field = receptive_field(record)
    if field is not None and picture is not None:
        parts.append(_field(field, picture, (row, column)))
    if issubclass(record.operation, Conv2d):
        window, weights, bias = product(record, channel, row, column, example)
        total = float((window * weights).sum())
        parts += [
            _as_column("window", window),
            _as_column("filter", weights),
            _as_column("products", window * weights),
            f"<p>The products add up to {total:.4g}; with b = {bias:.4g} that is y = {total + bias:.4g}.</p>",
        ]
    return f'<article class="minicnn-card">{"".join(parts)}</article>'


def _field(field: Any, picture: NDArray[Any], place: tuple[int, int]) -> str:
    """Return the picture with a frame around what a unit sees."""
    spans = []
    for at, start, step, size, side in zip(place, *field, picture.shape[:2], strict=True):
        first = start + at * step
        spans.append((max(0, first), min(side, first + size), side))
    (top, bottom, H), (left, right, W) = spans
    if bottom <= top or right <= left:
        return "<p>It sees nothing but padding.</p>"
    frame = (
        f"position:absolute;border:2px solid #d0021b;top:{100 * top / H:.2f}%;height:{100 * (bottom - top) / H:.2f}%;"
        f"left:{100 * left / W:.2f}%;width:{100 * (right - left) / W:.2f}%"
    )
    shown = f'<img src="{png(picture)}" alt="What the network was given" width="{PICTURE}">'
    what = f"It sees rows {top} to {bottom - 1} and columns {left} to {right - 1} of the picture."
    return (
        f'<figure><div class="sheet">{shown}<div style="{frame}"></div></div><figcaption>{what}</figcaption></figure>'
    )


def _as_column(name: str, values: NDArray[Any]) -> str:
    """Return numbers twice: as im2col writes them, one below the other, and with a tile for each channel."""
    C, _, KW = values.shape
    largest = float(np.abs(values).max(initial=0)) or 1.0
    across = C if C <= 4 else math.ceil(math.sqrt(C))
    tiles = mosaic(values, across)
    times = max(1, min(12, COLUMN // (across * (KW + 1))))
    column = f'<img src="{png(values.reshape(-1, 1), largest, True)}" alt="{name} as one column" style="width:12px;'
    column += f'height:{times * tiles.shape[0]}px">'
    sheet = f'<img src="{png(tiles, largest, True)}" alt="{name}, a tile for each channel" style="width:'
    sheet += f'{times * tiles.shape[1]}px">'
    said = f"{name}, {values.size} numbers; red is {largest:.4g}"
    return f'<figure><div style="display:flex;gap:8px">{column}{sheet}</div><figcaption>{said}</figcaption></figure>'
