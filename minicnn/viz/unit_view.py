"""One unit of a map in detail: its receptive field, and for a convolution the product that gives its value.

The walk page draws the same in the browser; this is the version for notebooks with a running kernel.
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

__all__ = ["unit_card", "window_and_filter"]

COLUMN = 150  # height of a column on the screen, in pixels


def window_and_filter(
    record: OperationRecord, channel: int, row: int, column: int, example: int = 0
) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Return the numbers that a unit of a convolution multiplies and adds up.

    Parameters
    ----------
    record : OperationRecord
        A convolution of a trace.
    channel, row, column : int
        The unit's position in the output.
    example : int
        The position in the batch.

    Returns
    -------
    window : ndarray of shape (C / groups, KH, KW)
        The part of the input that the unit sees, zero in the padding: one column of im2col as an image.
    filter : ndarray of the same shape
        Its weights.
    bias : float
        0 if there is none.
    """
    x, w, b = record.inputs
    settings = record.hyperparameters
    (SH, SW), (PH, PW), (DH, DW) = settings["stride"], settings["padding"], settings["dilation"]
    weight = asnumpy(w)
    F, CG, KH, KW = weight.shape
    group = channel // (F // settings["groups"])
    seen = np.pad(asnumpy(x)[example, group * CG : (group + 1) * CG], [(0, 0), (PH, PH), (PW, PW)])
    top, left = row * SH, column * SW
    window = seen[:, top : top + KH * DH : DH, left : left + KW * DW : DW]
    return window, weight[channel], 0.0 if b is None else float(asnumpy(b)[channel])


def unit_card(
    step: TraceStep, picture: NDArray[Any] | None, channel: int, row: int, column: int, example: int = 0
) -> str:
    """Return one unit as HTML: its value, its receptive field, its window and filter.

    Parameters
    ----------
    step : TraceStep
        Of an operation whose output is maps.
    picture : ndarray, (H, W, 3), optional
        The network's input, as colours from 0 to 1.
    channel, row, column : int
        The unit's position in the output.
    example : int
        The position in the batch.
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
        window, weights, bias = window_and_filter(record, channel, row, column, example)
        total = float((window * weights).sum())
        parts += [
            _as_column("window", window),
            _as_column("filter", weights),
            _as_column("products", window * weights),
            f"<p>The products add up to {total:.4g}; with b = {bias:.4g} that is y = {total + bias:.4g}.</p>",
        ]
    return f'<article class="minicnn-card">{"".join(parts)}</article>'


def _field(field: Any, picture: NDArray[Any], place: tuple[int, int]) -> str:
    """Return the image with a frame around the receptive field."""
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
    what = f"It sees rows {top} to {bottom - 1} and columns {left} to {right - 1} of the image."
    return (
        f'<figure><div class="sheet">{shown}<div style="{frame}"></div></div><figcaption>{what}</figcaption></figure>'
    )


def _as_column(name: str, values: NDArray[Any]) -> str:
    """Return numbers twice: as a column, as im2col writes them, and with a tile for each channel."""
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
