"""A network as boxes to scale, one above the other for towers: Figure 2 of the paper."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from minicnn import nn

__all__ = ["Drawn", "draw_network"]

INK, FAINT, CROSSING = "#222222", "#8a8a8a", "#d55e00"
COLORS = {"input": "#d9d9d9", "maps": "#9ecae1", "pool": "#c7e9c0", "units": "#fdd0a2"}

# All in inches.
TALLEST_MAP, WIDEST_STACK, LONGEST_BAR = 3.6, 1.15, 1.9
BAR_WIDTH, GAP, NARROWEST_COLUMN = 0.14, 0.42, 0.78
DEPTH = (0.32, 0.22)  # how far an inch into the page goes to the right and up

Point = tuple[float, float]


class Drawn(NamedTuple):
    """A layer of the network to draw.

    Attributes
    ----------
    name : str
        What it is called.
    layer : Module
        The layer itself.
    input_shape : tuple of int
        (N, C, H, W) or (N, features).
    info : LayerInfo
        What the layer declares for this input: its output's shape, its box, and the notes under it.
    tower_shape : tuple of int or None
        Shape of one tower's part of the output; None if nothing is split.
    """

    name: str
    layer: nn.Module
    input_shape: tuple[int, ...]
    info: nn.LayerInfo
    tower_shape: tuple[int, ...] | None


@dataclass
class _Column:
    """One column of the drawing: a box for each tower, or one for all."""

    kind: str
    name: str
    shape: tuple[int, ...]  # of one box, without the batch
    boxes: int
    kernel: tuple[int, int] | None = None
    reads_all: bool = False
    notes: list[str] = field(default_factory=list)
    x: float = 0.0  # the left edge of the front face
    width: float = 0.0  # of the front face: channels
    height: float = 0.0
    depth: Point = (0.0, 0.0)


def draw_network(layers: Sequence[Drawn], title: str = "") -> Figure:
    """Draw the arrays between the layers as boxes to scale, and lines from each to the layer that reads it.

    A box is as high and as deep as its maps (depth is foreshortened); its width is the number of maps. A small frame
    on its right side is the kernel of the next layer, on the same scale. A fully connected layer is a bar; its length
    is the number of units. Towers are one above the other; lines from one to another have their own colour.

    Parameters
    ----------
    layers : sequence of Drawn
        In the order of the computation.
    title : str
        Above the drawing.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If no layer has a box of its own, such as a convolution, a pool or a fully connected layer.

    References
    ----------
    Krizhevsky et al. 2012, figure 2.
    """
    columns = _columns(layers)
    if len(columns) < 2:
        kinds = ", ".join(type(drawn.layer).__name__ for drawn in layers) or "nothing"
        raise ValueError(f"draw_network: layers must contain one with a box of its own, got {kinds}")
    _measure(columns)
    towers = max(column.boxes for column in columns)
    tallest = max(c.height + c.depth[1] for c in columns if c.boxes == towers)
    apart = tallest + 0.7
    middles = {1: [0.0], towers: [apart * ((towers - 1) / 2 - tower) for tower in range(towers)]}
    top = max(max(middles[c.boxes]) + c.height / 2 + c.depth[1] for c in columns)
    bottom = min(min(middles[c.boxes]) - c.height / 2 for c in columns)

    last = columns[-1]
    left, right = columns[0].x - 0.3, last.x + max(last.width + last.depth[0], NARROWEST_COLUMN) + 0.1
    low, high = bottom - 1.15, top + 0.85
    figure = Figure(figsize=(right - left, high - low))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(left, right)
    axes.set_ylim(low, high)
    axes.set_axis_off()

    for column in columns:  # boxes first: lines lie on top of them
        for middle in middles[column.boxes]:
            _draw_box(axes, column, middle)
        _write(axes, column, top + 0.12, bottom - 0.15)
    for source, target in zip(columns, columns[1:], strict=False):
        _connect(axes, source, target, middles)
    axes.text(left + 0.2, high - 0.2, title, fontsize=13, color=INK, verticalalignment="center", weight="bold")
    _write_scale(axes, columns, left + 0.2, low + 0.2)
    return figure


# --- from layers to columns ---------------------------------------------------------------------------------


def _columns(layers: Sequence[Drawn]) -> list[_Column]:
    """Return a column for the input, and one for each layer that has a box of its own."""
    columns: list[_Column] = []
    for name, _, input_shape, info, tower_shape in layers:
        if not columns:
            columns.append(_Column("input", "input", input_shape[1:], 1))
        source = columns[-1]
        notes = (info.what,) if info.notes is None else info.notes
        if info.box in ("maps", "pool", "units"):
            shape, boxes = info.output_shape[1:], 1
            if tower_shape is not None:
                shape, boxes = tower_shape[1:], info.output_shape[1] // tower_shape[1]
            reads_all = info.groups is not None and info.groups < source.boxes
            columns.append(_Column(info.box, name, shape, boxes, info.kernel_size, reads_all, list(notes)))
        elif info.box != "input":
            source.notes += notes
        elif source.kind == "input" and input_shape != info.output_shape:
            source.notes += notes
            source.shape = info.output_shape[1:]
    return columns


def _measure(columns: list[_Column]) -> None:
    """Set the size and the position of every box, in inches."""
    maps = [column for column in columns if len(column.shape) == 3]
    bars = [column for column in columns if len(column.shape) == 1]
    pixel = TALLEST_MAP / max((max(column.shape[1:]) for column in maps), default=1)
    channel = WIDEST_STACK / max((column.shape[0] for column in maps), default=1)
    unit = LONGEST_BAR / max((column.shape[0] for column in bars), default=1)
    x = 0.0
    for column in columns:
        if len(column.shape) == 3:
            C, H, W = column.shape
            column.width, column.height = channel * C, pixel * H
            column.depth = (pixel * W * DEPTH[0], pixel * W * DEPTH[1])
        else:
            column.width, column.height = BAR_WIDTH, max(0.03, unit * column.shape[0])
        space = max(column.width + column.depth[0], NARROWEST_COLUMN)
        column.x = x + (space - column.width - column.depth[0]) / 2
        x += space + GAP


# --- drawing ------------------------------------------------------------------------------------------------


def _draw_box(axes: Axes, column: _Column, middle: float) -> None:
    """Draw the three visible faces: front, top and right."""
    left, right = column.x, column.x + column.width
    low, high = middle - column.height / 2, middle + column.height / 2
    dx, dy = column.depth
    faces = [
        ([(left, low), (right, low), (right, high), (left, high)], 1.0),
        ([(left, high), (right, high), (right + dx, high + dy), (left + dx, high + dy)], 0.65),
        ([(right, low), (right + dx, low + dy), (right + dx, high + dy), (right, high)], 0.45),
    ]
    for corners, strength in faces if any(column.depth) else faces[:1]:
        color = np.asarray(to_rgb(COLORS[column.kind]))
        shade = tuple(strength * color + (1 - strength))
        axes.add_patch(Polygon(corners, facecolor=shade, edgecolor=INK, linewidth=0.7, joinstyle="round", zorder=1))


def _write(axes: Axes, column: _Column, above: float, below: float) -> None:
    """Write name and shape above a column, and the notes below it."""
    x = column.x + (column.width + column.depth[0]) / 2
    shape = "x".join(map(str, column.shape))
    each = f"{column.boxes} of " if column.boxes > 1 else ""
    axes.text(x, above + 0.19, column.name, fontsize=9.5, color=INK, horizontalalignment="center")
    axes.text(x, above, f"{each}{shape}", fontsize=8, color=INK, horizontalalignment="center")
    notes = "\n".join(column.notes)
    axes.text(x, below, notes, fontsize=7.5, color=INK, horizontalalignment="center", verticalalignment="top")


def _connect(axes: Axes, source: _Column, target: _Column, middles: dict[int, list[float]]) -> None:
    """Draw what the target reads: a kernel with lines to one place, or lines from everything to everything."""
    for i, start in enumerate(middles[source.boxes]):
        for j, end in enumerate(middles[target.boxes]):
            crosses = source.boxes > 1 and target.boxes > 1 and i != j
            if crosses and not target.reads_all:
                continue
            color, width = (CROSSING, 1.0) if crosses else (FAINT, 0.7)
            for (x0, y0), (x1, y1) in _lines(source, start, target, end):
                axes.plot([x0, x1], [y0, y1], color=color, linewidth=width, solid_capstyle="round", zorder=3)
        if target.kernel is not None:
            axes.add_patch(Polygon(_kernel(source, target, start), fill=False, edgecolor=INK, linewidth=0.8, zorder=4))


def _lines(source: _Column, start: float, target: _Column, end: float) -> Iterator[tuple[Point, Point]]:
    if target.kernel is not None:
        place = (target.x + 0.15 * target.width, end)
        lower_near, _, upper_far, _ = _kernel(source, target, start)
        yield lower_near, place
        yield upper_far, place
        return
    right = source.x + source.width + source.depth[0] / 2
    start += source.depth[1] / 2
    for sign in (-0.5, 0.5):
        yield (right, start + sign * source.height), (target.x, end + sign * target.height)


def _kernel(source: _Column, target: _Column, middle: float) -> list[Point]:
    """Return the corners of the target's kernel in the middle of the source's right side, on its scale."""
    assert target.kernel is not None
    (KH, KW), (_, H, W) = target.kernel, source.shape
    x, y = source.x + source.width + source.depth[0] / 2, middle + source.depth[1] / 2
    high, (dx, dy) = source.height * KH / H / 2, source.depth
    dx, dy = dx * KW / W / 2, dy * KW / W / 2
    return [(x - dx, y - dy - high), (x + dx, y + dy - high), (x + dx, y + dy + high), (x - dx, y - dy + high)]


def _write_scale(axes: Axes, columns: list[_Column], x: float, y: float) -> None:
    """Draw a line of a round length for each of the scales, and explain the other lines."""
    maps = [column for column in columns if len(column.shape) == 3]
    bars = [column for column in columns if len(column.shape) == 1]
    scales = []
    if maps:
        scales.append((maps[0].shape[1] / maps[0].height, "pixels, in height"))
        scales.append((maps[-1].shape[0] / maps[-1].width, "maps, in width"))
    if bars:
        longest = max(bars, key=lambda column: column.height)
        scales.append((longest.shape[0] / longest.height, "units, in length"))
    for an_inch, what in scales:
        count = _round_number(0.8 * an_inch)
        end = x + count / an_inch
        axes.plot([x, x, end, end], [y + 0.05, y, y, y + 0.05], color=INK, linewidth=0.8)
        axes.text(end + 0.08, y, f"{count} {what}", fontsize=7.5, color=INK, verticalalignment="center")
        x += 2.9
    axes.text(x, y, "small frames: kernels", fontsize=7.5, color=INK, verticalalignment="center")
    if any(column.reads_all and column.boxes > 1 for column in columns):
        axes.text(x + 1.5, y, "from one tower into another", fontsize=7.5, color=CROSSING, verticalalignment="center")


def _round_number(limit: float) -> int:
    """Return the largest of 1, 2, 5, 10, 20, 50, ... that is not above `limit`, or 1."""
    power = 10 ** max(0, math.floor(math.log10(limit)))
    return max(count for count in (1, power, 2 * power, 5 * power) if count <= max(1, limit))
