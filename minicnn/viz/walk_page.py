"""A trace as one HTML file: the network as a row of boxes, a card for each step, and any unit in detail.

Importing this module sets ``minicnn.tracing.renderers["page"]``, which ``trace.save_html`` uses.
"""

from __future__ import annotations

import base64
import html
import json
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minicnn.autograd import Window
from minicnn.backend import asnumpy
from minicnn.ops.conv import Conv2d
from minicnn.ops.loss import CrossEntropy
from minicnn.tracing import OperationRecord, Trace, TraceStep, renderers
from minicnn.viz.cards import CSS, card, picture_of, png, shown_channels

__all__ = ["Field", "boxes", "input_image", "page", "receptive_field"]

HERE = Path(__file__).parent

# Sizes of the boxes, in pixels of the screen.
HIGHEST, WIDEST, LONGEST, BAR = 104.0, 44.0, 96.0, 7.0
DEPTH = (0.3, 0.2)  # how far a pixel into the page goes to the right and up

Pair = tuple[int, int]


# --- the receptive field ----------------------------------------------------------------------------------------------


class Field(NamedTuple):
    """Which part of the network's input a unit at (row, column) of some maps depends on.

    Attributes
    ----------
    start : (int, int)
        The first row and column that the unit at (0, 0) sees; negative in the padding.
    step : (int, int)
        The distance between the fields of neighbouring units, down and to the right.
    size : (int, int)
        Height and width.
    """

    start: Pair
    step: Pair
    size: Pair


def receptive_field(record: OperationRecord) -> Field | None:
    """Return which part of the network's input the units of an operation's output depend on.

    Each operation declares what it reads (:attr:`minicnn.Function.reads`). The fields are followed back to an array
    that no traced operation has made.

    Parameters
    ----------
    record : OperationRecord
        An operation of a trace.

    Returns
    -------
    Field or None
        None if a unit reads all places (a fully connected layer), or if branches join that see different parts.
    """
    if record.output.ndim != 4 or record.reads is None:
        return None
    sources = [source for source in record.sources if source is not None]
    before = {receptive_field(source) for source in sources} or {Field((0, 0), (1, 1), (1, 1))}
    if len(before) != 1:  # branches that see different parts of the input
        return None
    (field,) = before
    return None if field is None else _moved(field, record.reads)


def _moved(field: Field, window: Window) -> Field:
    """Return the field of windows over units that have this field."""
    sides = zip(*field, window.padding, window.stride, window.size, strict=True)
    moved = [(a - m * b, b * s, c + (k - 1) * b) for a, b, c, m, s, k in sides]
    start, step, size = zip(*moved, strict=True)
    return Field(start, step, size)


# --- the page ---------------------------------------------------------------------------------------------------------

HINT = """One image goes through the network, operation by operation, and then the gradient of the loss comes back. Step
with the buttons, the arrow keys, or a click on a box. Click into a map to look at one of its units."""


class Addition(NamedTuple):
    """What makes a page of this one that does more.

    Attributes
    ----------
    hint : str
        HTML below the heading.
    above, below : str
        HTML above the row of boxes, and at the end: scripts.
    style : str
        CSS.
    data : dict
        For the scripts, in types that JSON has.
    """

    hint: str = HINT
    above: str = ""
    below: str = ""
    style: str = ""
    data: dict[str, Any] = {}


def page(
    trace: Trace,
    picture: NDArray[np.uint8] | None = None,
    classes: Sequence[str] = (),
    title: str = "",
    example: int = 0,
    more: Addition | None = None,
) -> str:
    """Return a trace as an HTML page that needs no other file and no connection.

    Parameters
    ----------
    trace : Trace
        The page shows as much of the backward pass as has run.
    picture : ndarray of uint8, (H, W, 3), optional
        The image to show as the network's input; by default the input itself, scaled to the range of colours.
    classes : sequence of str
        The names of the scores.
    title : str
        The page's heading.
    example : int
        The position in the batch.
    more : Addition, optional
        What another page has beyond this one: see :mod:`minicnn.viz.live_page`.

    Returns
    -------
    str
        HTML.

    Raises
    ------
    ValueError
        If nothing was recorded, or `picture` or `classes` does not fit the network's input or output.
    """
    if not trace.records:
        raise ValueError("page: nothing was recorded; call the network inside `with minicnn.trace() as trace:`")
    records, more = trace.records, more or Addition()
    shown = input_image(records[0], example)
    if picture is None:
        seen = None if shown is None else png(picture_of(shown))
    else:
        if shown is not None and (picture.ndim != 3 or picture.shape[:2] != shown.shape[1:]):
            raise ValueError(f"page: picture must be (H, W, 3) with H and W {shown.shape[1:]}, got {picture.shape}")
        seen = png(picture / 255)
    towers = max(int(record.hyperparameters.get("groups", 1)) for record in records)
    steps = [*trace.forward_steps(), *trace.backward_steps()]
    arrays = _Arrays()
    data = {
        "steps": [{"record": step.record.position, "backward": step.backward, "title": step.title} for step in steps],
        "records": {record.position: _unit_data(record, towers, example, arrays) for record in records},
        "picture": None if shown is None else shown.shape[1:],
        "arrays": arrays.written,
        **more.data,
    }
    title = title or "A walk through a network"
    cards = "".join(
        f'<div class="step" id="step{number}"><p class="count">step {number + 1} of {len(steps)}</p>'
        f"{card(step, example, towers, style=False)}</div>"
        for number, step in enumerate(steps)
    )
    values = {
        "title": html.escape(title),
        "style": CSS + _file("walk_page.css") + more.style,
        "hint": more.hint,
        "above": more.above,
        "below": more.below,
        "answer": _answer(records, classes, example),
        "boxes": _buttons(records, towers),
        "scale": _scale(records),
        "cards": cards,
        "picture": seen or "",
        "data": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
        "script": _file("walk_page.js"),
    }
    return string.Template(_file("walk_page.html")).substitute(values)


renderers["page"] = page


def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def input_image(record: OperationRecord, example: int) -> NDArray[Any] | None:
    """Return an operation's first input as an image, (C, H, W); None if it is not a batch of images."""
    array = record.inputs[0]
    return asnumpy(array)[example] if array is not None and array.ndim == 4 else None


class _Arrays:
    """The arrays in the page, each once."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []
        self._places: dict[int, int] = {}  # by the identity of arrays that the trace keeps alive

    def exact(self, array: Any, kept: Any) -> int:
        """Add an array as float32, and return its index. `kept` is the array it is a part of."""
        if id(kept) not in self._places:
            self._places[id(kept)] = self._write(np.ascontiguousarray(asnumpy(array), "<f4"), 1.0)
        return self._places[id(kept)]

    def rounded(self, array: NDArray[Any]) -> int:
        """Add an array in half the space: 16 bits, at least four digits of its largest number."""
        array = np.nan_to_num(array)
        scale = float(np.abs(array).max(initial=0)) / 32767 or 1.0
        return self._write(np.rint(array / scale).astype("<i2"), scale)

    def _write(self, array: NDArray[Any], scale: float) -> int:
        data = base64.b64encode(array.tobytes()).decode()
        self.written.append({"bytes": array.itemsize, "shape": array.shape, "scale": scale, "data": data})
        return len(self.written) - 1


def _unit_data(record: OperationRecord, towers: int, example: int, arrays: _Arrays) -> dict[str, Any] | None:
    """Return what the page needs to show a unit of an operation's output in detail; None if the output is not maps."""
    if record.output.ndim != 4:
        return None
    channels = shown_channels(record, towers)
    found: dict[str, Any] = {
        "shape": record.output.shape[1:],
        "field": receptive_field(record),
        "channels": channels.tolist(),
        "values": arrays.rounded(asnumpy(record.output)[example, channels]),
    }
    if record.grad_output is not None:
        found["gradients"] = arrays.rounded(asnumpy(record.grad_output)[example, channels])
    if issubclass(record.operation, Conv2d):
        x, w, b = record.inputs
        assert x is not None and w is not None
        settings = {name: record.hyperparameters[name] for name in ("stride", "padding", "dilation", "groups")}
        bias = None if b is None else asnumpy(b)[channels].tolist()
        filters = asnumpy(w)[channels]
        found["conv"] = settings | {"x": arrays.exact(x[example], x), "w": arrays.exact(filters, w), "b": bias}
    return found


# --- above the cards --------------------------------------------------------------------------------------------------


def _answer(records: Sequence[OperationRecord], classes: Sequence[str], example: int) -> str:
    """Return the most likely classes as bars, if the trace ends in a loss over classes."""
    losses = [record for record in records if issubclass(record.operation, CrossEntropy)]
    if not losses:
        return ""
    likely = asnumpy(losses[-1].saved["p"])[example]
    if classes and len(classes) != len(likely):
        raise ValueError(f"page: classes must name all {len(likely)} scores, got {len(classes)} names")
    names = list(classes) or [f"class {number}" for number in range(len(likely))]
    label = int(losses[-1].hyperparameters["labels"][example])
    rows = []
    for number in np.argsort(-likely, kind="stable")[:5]:
        share = 100 * float(likely[number])
        asked = ' <span class="asked">the class of the loss</span>' if number == label else ""
        rows.append(
            f'<li><span class="bar" style="width:{share:.2f}%"></span><span>{html.escape(names[number])}{asked}</span>'
            f"<b>{share:.1f} %</b></li>"
        )
    loss = float(asnumpy(losses[-1].output).mean())
    return (
        f'<section class="answer"><h2>The network\u2019s answer</h2><ol>{"".join(rows)}</ol>'
        f"<p>The loss is {loss:.4g}: how surprising \u201c{html.escape(names[label])}\u201d is.</p></section>"
    )


def boxes(records: Sequence[OperationRecord], towers: int) -> list[str]:
    """Return a drawing for each operation: a box of its output's size, all to the same scale."""
    shapes = [tuple(map(int, record.output.shape[1:])) for record in records]
    side = max((max(shape[1:]) for shape in shapes if len(shape) == 3), default=1)
    maps = max((shape[0] for shape in shapes if len(shape) == 3), default=1)
    units = max((shape[0] for shape in shapes if len(shape) == 1), default=1)
    drawings = []
    for shape in shapes:
        if len(shape) == 3:
            C, H, W = shape
            parts = towers if C % towers == 0 else 1
            drawings.append(_box(C * WIDEST / maps, H * HIGHEST / side, W * HIGHEST / side, parts))
        else:
            drawings.append(_box(BAR, max(2.0, (shape[0] if shape else 0) * LONGEST / units), 0.0, 1))
    return drawings


def _buttons(records: Sequence[OperationRecord], towers: int) -> str:
    """Return a button for each operation, with its box on it."""
    buttons = []
    for record, drawing in zip(records, boxes(records, towers), strict=True):
        step = TraceStep(record)
        size = "x".join(map(str, record.output.shape[1:])) or "one number"
        what = html.escape(f"{step.title}, output {size}")
        buttons.append(
            f'<li><button type="button" class="box" data-record="{record.position}" aria-label="{what}" title="{what}">'
            f"{drawing}<span>{html.escape(step.layer or step.name)}</span></button></li>"
        )
    return "".join(buttons)


def _box(width: float, height: float, depth: float, towers: int) -> str:
    """Draw the three visible faces of a box, with lines between towers on the front one."""
    width, height = max(2.0, width), max(2.0, height)
    dx, dy = depth * DEPTH[0], depth * DEPTH[1]
    total_wide, total_high = width + dx + 2, height + dy + 2
    top, left, right, low = dy + 1, 1.0, 1 + width, dy + 1 + height
    faces = [f"M{left:.1f} {top:.1f}H{right:.1f}V{low:.1f}H{left:.1f}Z"]
    if depth:
        faces.append(f"M{left:.1f} {top:.1f}l{dx:.1f} {-dy:.1f}h{width:.1f}l{-dx:.1f} {dy:.1f}Z")
        faces.append(f"M{right:.1f} {top:.1f}l{dx:.1f} {-dy:.1f}v{height:.1f}l{-dx:.1f} {dy:.1f}Z")
    drawn = "".join(f'<path class="face{number}" d="{face}"/>' for number, face in enumerate(faces))
    parted = "".join(f"M{1 + width * n / towers:.1f} {top:.1f}V{low:.1f}" for n in range(1, towers) if width > 6)
    drawn += f'<path class="towers" d="{parted}"/>' if parted else ""
    return f'<svg width="{total_wide:.0f}" height="{total_high:.0f}" aria-hidden="true">{drawn}</svg>'


def _scale(records: Sequence[OperationRecord]) -> str:
    shapes = [record.output.shape[1:] for record in records]
    parts = []
    maps = [shape for shape in shapes if len(shape) == 3]
    if maps:
        side, count = max(max(shape[1:]) for shape in maps), max(shape[0] for shape in maps)
        parts.append(f"height and depth are pixels, {side} at most; width is maps, {count} at most")
    units = [shape[0] for shape in shapes if len(shape) == 1]
    if units:
        parts.append(f"the length of bars is numbers, {max(units)} at most")
    return f"To scale: {'; '.join(parts)}." if parts else ""
