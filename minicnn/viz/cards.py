"""A step of a trace as a card: equation, arrays as small images, gradients, and the source code.

Importing this module sets ``minicnn.tracing.renderers["card"]``: with it, steps display as cards in a notebook.
"""

from __future__ import annotations

import base64
import html
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from minicnn.backend import asnumpy
from minicnn.tracing import OperationRecord, TraceStep, norm, renderers
from minicnn.viz.mosaic import mosaic

__all__ = ["MAPS", "card", "png", "shown_channels"]

MAPS, FILTERS, CHANNELS = 32, 16, 24  # shown of one array: maps, filters, and channels of each filter
ROWS, COLUMNS = 96, 192  # shown of a large matrix
SMALL = 12  # a matrix with no more rows and columns is shown in full, with all examples
WIDE = 560  # largest width of a sheet of maps on the screen, in pixels
PICTURE = 224  # and the image that the network was given
GAP = 255  # index of the transparent colour between maps

CSS = (Path(__file__).parent / "card.css").read_text(encoding="utf-8")


def card(step: TraceStep, example: int = 0, towers: int | None = None, style: bool = True) -> str:
    """Return a step as HTML: its equation, images of its inputs and output, and the source code.

    Maps and scores are those of one example of the batch, but a small matrix is shown in full. In the forward pass
    negative numbers are blue, positive ones red and zero is white; if nothing is negative, zero is black. Gradients are
    always blue, white and red.

    Parameters
    ----------
    step : TraceStep
        From a trace, or from ``backward_steps()`` of a traced loss.
    example : int
        The position in the batch.
    towers : int, optional
        The number of towers; the maps of each are drawn on a sheet of their own. By default the operation's groups.
    style : bool
        Whether to include the CSS, which a card on its own needs.

    Returns
    -------
    str
    """
    record = step.record
    towers = _towers(record) if towers is None else towers
    way = "backward" if step.backward else "forward"
    parts = [
        f'<p class="way">{way}</p><h3>{_text(step.title)}</h3>',
        f'<p class="equation">{_text(step.equation)}</p>',
        f'<p class="section">{_text(step.section)}</p>' if step.section else "",
        _settings(step.hyperparameters),
        _columns(step, example, towers),
        _saved(step) if not step.backward else "",
        f"<details><summary>The lines that run</summary><pre tabindex=0>{_text(step.source)}</pre></details>",
        f"<details><summary>What it is, in full</summary><pre tabindex=0>{_text(step.explanation)}</pre></details>"
        if step.explanation
        else "",
    ]
    head = f"<style>{CSS}</style>" if style else ""
    return f'{head}<article class="minicnn-card {way}">{"".join(parts)}</article>'


renderers["card"] = card


def _text(text: str) -> str:
    return html.escape(text, quote=True)


def _settings(hyperparameters: dict[str, Any]) -> str:
    shown = {name: value for name, value in hyperparameters.items() if value is not None and np.ndim(value) < 2}
    if not shown:
        return ""
    items = (f"<dt>{_text(name)}</dt><dd>{_text(_short(value))}</dd>" for name, value in shown.items())
    return f'<dl class="told">{"".join(items)}</dl>'


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if hasattr(value, "shape"):
        return f"{str(value.dtype)} {_times(value.shape)}" if value.size > 4 else str(value.tolist())
    return " x ".join(map(_short, value)) if isinstance(value, tuple) else str(value)


def _saved(step: TraceStep) -> str:
    """List what is saved for the backward pass; most of it is shown already under another name."""
    known = {id(array): name for name, array in {**step.inputs, "y": step.output}.items()}
    items = []
    for name, value in step.saved.items():
        same = f", the {known[id(value)]} above" if known.get(id(value), name) != name or id(value) in known else ""
        size = f", {value.nbytes / 1000:,.1f} kB" if hasattr(value, "nbytes") else ""
        items.append(f"<li><b>{_text(name)}</b> {_text(_short(value))}{size}{same}</li>")
    listed = f"<ul>{''.join(items)}</ul>" if items else "<p>Nothing.</p>"
    return f"<details><summary>Saved for the backward pass</summary>{listed}</details>"


def _columns(step: TraceStep, example: int, towers: int) -> str:
    """Return inputs and outputs side by side."""
    record = step.record
    if step.backward:
        before, after = "Comes in", "Goes out"
        left = [_shown(record, name, array, example, towers, step) for name, array in step.gradients_in.items()]
        right = [_shown(record, name, array, example, towers, step) for name, array in step.gradients_out.items()]
    else:
        before, after = "Goes in", "Comes out"
        left = [_shown(record, name, array, example, towers, step) for name, array in step.inputs.items()]
        right = [_shown(record, "y", step.output, example, towers, step)]
    columns = ((before, left), (after, right))
    return (
        '<div class="columns">' + "".join(f"<section><h4>{h}</h4>{''.join(f)}</section>" for h, f in columns) + "</div>"
    )


# --- an array as an image -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sheet:
    """An image of many small ones.

    Attributes
    ----------
    pixels : ndarray, (H, W) or (H, W, 3)
        Numbers with NaN between the small images, or colours from 0 to 1.
    geometry : dict
        For maps that can be clicked: the position of each.
    caption : str
        Empty if none is needed.
    widest : int
        The largest width on the screen, in pixels.
    """

    pixels: NDArray[Any]
    geometry: dict[str, Any] | None = None
    caption: str = ""
    widest: int = WIDE


def _shown(record: OperationRecord, name: str, array: Any, example: int, towers: int, step: TraceStep) -> str:
    """Return a figure of one array: its name and shape, and its image if it has one."""
    values = asnumpy(array)
    gradient = name.startswith("dL/d")
    role = name.removeprefix("dL/d")
    source = record if role == "y" else record.sources[step.names.index(role)]
    length = f' <span class="norm">norm {norm(values):.3g}</span>' if gradient else ""
    head = f"<figcaption><b>{_text(name)}</b> {_times(values.shape)}{length}"
    of = source.position if source else "input" if role == "x" and values.ndim == 4 else None
    shown = "" if of is None or gradient else f' data-of="{of}"'  # whose numbers: the live page has others
    if values.ndim == 0:
        return f'<figure>{head}</figcaption><p class="number">{float(values):.6g}</p></figure>'
    if values.size == 0:
        return f"<figure>{head}</figcaption></figure>"
    sheets = _sheets(record, role, values, source, example, towers, gradient)
    seen = np.concatenate([sheet.pixels.ravel() for sheet in sheets])
    signed = gradient or bool((seen < 0).any())
    brightest = _brightest(seen, gradient)
    pictures = "".join(_picture(sheet, f"{name} of {step.title}", brightest, signed) for sheet in sheets)
    if any(sheet.pixels.ndim == 3 for sheet in sheets):
        scale = ""
    elif not brightest and np.isfinite(values).all():
        scale = "all that is shown is zero"
    else:
        scale = _scale(seen, brightest, signed)
    sheets_and_scale = f'<div class="sheets"{shown}>{pictures}</div><p class="scale">{scale}</p>'
    return f"<figure>{head}</figcaption>{sheets_and_scale}</figure>"


def _brightest(seen: NDArray[Any], gradient: bool) -> float:
    """Return the number that gets the full colour: the largest, but for gradients the 99th percentile.

    Scaled to the few largest gradients, everything else would be white.
    """
    sizes = np.abs(seen[np.isfinite(seen) & (seen != 0)])
    if sizes.size == 0:
        return 0.0
    return float(np.quantile(sizes, 0.99) if gradient and sizes.size > 100 else sizes.max())


def _scale(seen: NDArray[Any], brightest: float, signed: bool) -> str:
    more = " and beyond" if (np.abs(seen) > brightest).any() else ""
    if signed:
        return f"blue \u2212{brightest:.3g}, white 0, red {brightest:.3g}{more}"
    return f"black 0, white {brightest:.3g}{more}"


def _sheets(
    record: OperationRecord,
    role: str,
    values: NDArray[Any],
    source: OperationRecord | None,
    example: int,
    towers: int,
    gradient: bool,
) -> list[Sheet]:
    if role == "w" and values.ndim == 4:
        return _filters(values, shown_channels(record, towers, FILTERS), _towers(record), in_colour=not gradient)
    if role == "w" and values.ndim == 2:
        return [_matrix(values)]
    if values.ndim == 4 and role != "w":
        maps = values[min(example, len(values) - 1)]
        if len(maps) in (1, 3) and source is None and not gradient:
            return [Sheet(picture_of(maps), widest=PICTURE)]
        chosen = shown_channels(source, towers) if source is not None else _strongest(maps, 1, MAPS)
        return _maps(maps, chosen, towers, None if source is None else source.position)
    if values.ndim == 2 and max(values.shape) <= SMALL:
        return [_matrix(values)]
    if values.ndim >= 2:
        values = values[min(example, len(values) - 1)]
    return [Sheet(_strip(values.ravel()))]


def shown_channels(record: OperationRecord, towers: int = 1, most: int = MAPS) -> NDArray[Any]:
    """Return which maps of an operation's output to show: the strongest, and the same ones until the next weights.

    Parameters
    ----------
    record : OperationRecord
        An operation whose output is maps, (N, C, H, W).
    towers : int
        Each tower gets an equal share.
    most : int
        The largest number of maps.

    Returns
    -------
    ndarray of int
        Channels, in order; empty if the output is not maps.
    """
    if record.output.ndim != 4:
        return np.arange(0)
    C = record.output.shape[1]
    while "w" not in TraceStep(record).names:  # an operation with weights makes new channels
        source = record.sources[0] if record.sources else None
        if source is None or source.output.ndim != 4 or source.output.shape[1] != C:
            break
        record = source
    return _strongest(asnumpy(record.output)[0], towers, most)


def _strongest(maps: NDArray[Any], towers: int, most: int) -> NDArray[Any]:
    towers = towers if len(maps) % towers == 0 else 1
    strength = np.nan_to_num(maps.max(axis=(1, 2)), nan=np.inf).reshape(towers, -1)
    share = min(max(1, most // towers), strength.shape[1])
    first = np.sort(np.argsort(-strength, axis=1, kind="stable")[:, :share], axis=1)
    channels: NDArray[Any] = first + strength.shape[1] * np.arange(towers)[:, None]
    return channels.ravel()


def _towers(record: OperationRecord) -> int:
    return int(record.hyperparameters.get("groups", 1))


def _maps(maps: NDArray[Any], chosen: NDArray[Any], towers: int, record: int | None) -> list[Sheet]:
    """Return a sheet of the chosen maps for each tower."""
    C, H, W = maps.shape
    towers = towers if C % towers == 0 and len(chosen) % towers == 0 else 1
    sheets = []
    for tower, channels in enumerate(np.split(chosen, towers)):
        across = _columns_for(len(channels), H, W)
        geometry = {"columns": across, "height": H, "width": W, "channels": channels.tolist(), "record": record}
        of_each = C // towers
        some = f"{len(channels)} of {of_each} maps"
        all_of_them = some if len(channels) < of_each else "the one map" if of_each == 1 else f"all {of_each} maps"
        name = f"tower {tower + 1}: " if towers > 1 else ""
        sheets.append(Sheet(mosaic(maps[channels], across), geometry, name + all_of_them))
    return sheets


def _columns_for(count: int, H: int, W: int) -> int:
    """Return the number of maps in a row: rows are full, and the sheet is about twice as wide as it is high."""
    wanted = math.sqrt(2 * count * H / W)
    divisors = [across for across in range(1, count + 1) if count % across == 0]
    return min(divisors, key=lambda across: (abs(math.log(across / wanted)), -across))


def _filters(weight: NDArray[Any], chosen: NDArray[Any], towers: int, in_colour: bool) -> list[Sheet]:
    """Return filters in colour, or with a tile for each channel, a sheet for each tower."""
    F, C, KH, KW = weight.shape
    sheets = []
    towers = towers if len(chosen) % towers == 0 else 1
    for tower, filters in enumerate(np.split(chosen, towers)):
        some = weight[filters]
        name = f"tower {tower + 1}: " if towers > 1 else ""
        if C == 3 and in_colour:
            largest = np.abs(some).max(axis=(1, 2, 3), keepdims=True)
            tiles = (0.5 + 0.5 * some / np.where(largest > 0, largest, 1)).transpose(0, 2, 3, 1)
            sheet = mosaic(tiles, _columns_for(len(tiles), KH, KW))
            sheets.append(Sheet(sheet, caption=f"{name}{len(filters)} of {F // towers} filters, grey is zero"))
            continue
        tiles = some[:, :CHANNELS].reshape(-1, KH, KW)
        if C >= CHANNELS:
            caption = f"{name}a row for each of {len(filters)} filters, in it {CHANNELS} of {C} channels"
        else:
            caption = f"{name}{len(filters)} filters" + (f", the {C} channels of each side by side" if C > 1 else "")
        across = min(C, CHANNELS) * max(1, CHANNELS // C)
        sheets.append(Sheet(mosaic(tiles, min(across, len(tiles))), caption=caption))
    return sheets


def _matrix(weight: NDArray[Any]) -> Sheet:
    rows, columns = (max(1, -(-side // most)) for side, most in zip(weight.shape, (ROWS, COLUMNS), strict=True))
    skipped = f"every {rows}. row and every {columns}. column" if max(rows, columns) > 1 else ""
    return Sheet(weight[::rows, ::columns], caption=skipped)


def _strip(numbers: NDArray[Any]) -> NDArray[Any]:
    """Fold numbers into rows, so that the strip is thick enough to see."""
    most = max(1, math.isqrt(numbers.size) // 3)
    rows = next(rows for rows in range(most, 0, -1) if numbers.size % rows == 0)
    return numbers.reshape(rows, -1)


def picture_of(maps: NDArray[Any]) -> NDArray[Any]:
    """Return a network's input, (C, H, W), as colours from 0 to 1: (H, W, 3), grey if C is not 3."""
    maps = maps if len(maps) == 3 else maps.mean(axis=0, keepdims=True)
    low, high = float(maps.min()), float(maps.max())
    scaled = (maps.astype(np.float64) - low) / (high - low if high > low else 1)
    return np.broadcast_to(scaled.transpose(1, 2, 0), (*maps.shape[1:], 3))


def _picture(sheet: Sheet, what: str, largest: float, signed: bool) -> str:
    H, W = sheet.pixels.shape[:2]
    times = max(1, min(24, sheet.widest // W))
    wide = W * times if W < WIDE else W
    data = png(sheet.pixels, largest, signed)
    place = "" if sheet.geometry is None else f' data-maps="{_text(json.dumps(sheet.geometry))}"'
    caption = f"<span>{_text(sheet.caption)}</span>" if sheet.caption else ""
    alt = _text(f"{what}{', ' + sheet.caption if sheet.caption else ''}")
    image = f'<img src="{data}" alt="{alt}" width="{wide}" height="{round(wide * H / W)}">'
    return f'<div>{caption}<div class="sheet"{place}>{image}</div></div>'


def png(pixels: NDArray[Any], largest: float = 1.0, signed: bool = False) -> str:
    """Return numbers as the data URI of a PNG image.

    Parameters
    ----------
    pixels : ndarray, (H, W) or (H, W, 3)
        Numbers, with NaN for transparent; or colours from 0 to 1.
    largest : float
        The number that gets the full colour.
    signed : bool
        From blue at ``-largest`` through white at 0 to red, instead of from black at 0 to white.
    """
    buffer = io.BytesIO()
    if pixels.ndim == 3:
        picture = Image.fromarray((255 * np.clip(pixels, 0, 1) + 0.5).astype(np.uint8))
        picture.save(buffer, "PNG", optimize=True)
        return _data_uri(buffer)
    scaled = pixels / (largest or 1.0)
    share = np.clip((scaled + 1) / 2 if signed else scaled, 0, 1)
    with np.errstate(invalid="ignore"):
        index = np.where(np.isnan(share), GAP, np.rint(share * (GAP - 1))).astype(np.uint8)
    colours = matplotlib.colormaps["RdBu_r" if signed else "gray"](np.linspace(0, 1, GAP))[:, :3]
    picture = Image.fromarray(index).convert("P")
    picture.putpalette([*_bytes(colours), 0, 0, 0])
    picture.save(buffer, "PNG", transparency=GAP, optimize=True)
    return _data_uri(buffer)


def _bytes(colours: NDArray[Any]) -> list[int]:
    return [int(level) for level in np.rint(255 * colours).ravel()]


def _data_uri(buffer: io.BytesIO) -> str:
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _times(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) if len(shape) else "a number"
