"""Feature maps: the output of every layer for one image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from minicnn import nn
from minicnn.autograd import Tensor
from minicnn.backend import any_shares, asnumpy, to_device
from minicnn.grad_mode import no_grad
from minicnn.viz.mosaic import frameless, mosaic
from minicnn.viz.style import FAINT, INK

__all__ = ["Layer", "draw_features", "feature_maps"]

EXPLANATION = """Shown are the maps of each convolution with the largest values, and the same channels
until the next convolution. Each row has one scale. In rows with negative values,
these are blue, positive ones red, and zero is white; elsewhere zero is black."""
LABELS, SHEET, PICTURE, STRIP, GAP = 1.35, 10.4, 1.5, 0.3, 0.1  # inches


class Layer(NamedTuple):
    """The output of one layer.

    Attributes
    ----------
    name : str
        The layer's path in the network.
    output : ndarray
        Maps (C, H, W), or values (features,).
    begins : bool
        Whether its channels are new, like those of a convolution, or those of the layer before.
    """

    name: str
    output: NDArray[Any]
    begins: bool


def feature_maps(network: nn.Sequential, image: NDArray[np.float32]) -> list[Layer]:
    """Return the output of each layer for an image, without layers that only pass it on, such as dropout.

    Parameters
    ----------
    network : Sequential
        A chain of layers, at any depth. It is in evaluation mode meanwhile.
    image : ndarray of float32, (C, H, W)
        An input of the network, without the batch dimension.

    Returns
    -------
    list of Layer

    Raises
    ------
    TypeError
        If `network` is not a Sequential.
    """
    if not isinstance(network, nn.Sequential):
        raise TypeError(f"feature_maps: network must be a Sequential, got a {type(network).__name__}")
    found = []
    value = Tensor(to_device(image[None], network.device))
    training = network.training
    network.eval()
    try:
        with no_grad():
            for path, layer in network.named_layers():
                before, value = value, layer(value)
                changes, begins = _role(layer, before, value)
                if changes:
                    found.append(Layer(path, asnumpy(value.data)[0], begins))
    finally:
        network.train(training)
    return found


def _role(layer: nn.Module, before: Tensor, after: Tensor) -> tuple[bool, bool]:
    """Return whether a layer changes its input, and whether its channels are new, as far as it declares that."""
    changes = not any_shares([before.data], after.data)  # dropout and flatten return the same memory
    try:
        info = layer.output_info(before.shape)
    except NotImplementedError:
        return changes, any(True for _ in layer.parameters())
    return changes and info.box != "input", info.groups is not None


def draw_features(
    layers: Sequence[Layer],
    picture: NDArray[Any],
    maps: int = 16,
    towers: int = 1,
    title: str = "",
    outputs: Sequence[str] = (),
) -> Figure:
    """Draw a row for each layer: some of its maps as images, or its values as a strip.

    Shown are the maps of a convolution with the largest values, and the same channels in the layers after it, until the
    next convolution. A row has one scale: black is 0 and white the largest value; in rows with negative values, these
    are blue, positive ones red, and zero is white.

    Parameters
    ----------
    layers : sequence of Layer
        From :func:`feature_maps`.
    picture : ndarray, (H, W, 3) or (H, W)
        The image at the top, in any form that matplotlib draws.
    maps : int
        The number of maps shown for each layer.
    towers : int
        The number of towers that the maps are split into; each shows its share, side by side.
    title : str
        Above the figure.
    outputs : sequence of str
        The names of the last layer's values, written in its strip if there are at most twenty.

    Returns
    -------
    matplotlib.figure.Figure
        With axes for the image and for each layer.

    Raises
    ------
    ValueError
        If there is no layer, or `maps` is smaller than `towers`.
    """
    if not layers:
        raise ValueError("draw_features: layers must have at least one layer, got none")
    if not 1 <= towers <= maps:
        raise ValueError(f"draw_features: maps must be at least 1 for each of the {towers} towers, got {maps}")
    sheets, notes = [], []
    chosen = np.zeros(0, int)
    for layer in layers:
        output = layer.output
        if output.ndim == 3:
            if layer.begins or len(chosen) == 0 or chosen.max() >= len(output):
                chosen = _strongest(output, maps, towers)
            sheets.append(_in_one_row(output[chosen], towers))
            shown = f", {len(chosen)} shown" if len(chosen) < len(output) else ""
            notes.append(f"{'x'.join(map(str, output.shape))}{shown}")
        else:
            sheets.append(_strip(output))
            notes.append(f"{output.size} values")
    heights = [
        sheet.shape[0] * SHEET / sheet.shape[1] if s.output.ndim == 3 else STRIP
        for sheet, s in zip(sheets, layers, strict=True)
    ]

    above = 0.75 if title else 0.25
    total = above + PICTURE + 0.35 + sum(heights) + GAP * len(heights) + 0.15
    width = LABELS + SHEET + 0.2
    figure = Figure(figsize=(width, total))

    def place(top: float, left: float, wide: float, high: float) -> Any:
        axes = figure.add_axes((left / width, 1 - (top + high) / total, wide / width, high / total))
        frameless(axes)
        return axes

    axes = place(above, LABELS, PICTURE, PICTURE)
    axes.imshow(picture, cmap="gray")
    axes.text(-0.08, 0.5, "picture", transform=axes.transAxes, ha="right", va="center", fontsize=9, color=INK)
    axes.text(1.12, 1, EXPLANATION, transform=axes.transAxes, va="top", fontsize=9, color=FAINT, linespacing=1.5)
    top = above + PICTURE + 0.35
    if towers > 1 and layers[0].output.ndim == 3:
        for tower in range(towers):
            x = (LABELS + SHEET * (tower + 0.5) / towers) / width
            figure.text(
                x, 1 - (top - 0.08) / total, f"tower {tower + 1}", ha="center", va="bottom", fontsize=9, color=FAINT
            )
    for layer, sheet, note, height in zip(layers, sheets, notes, heights, strict=True):
        axes = place(top, LABELS, SHEET, height)
        largest = float(np.abs(layer.output).max()) or 1.0
        signed = bool((layer.output < 0).any())
        axes.imshow(
            np.ma.masked_invalid(sheet),
            cmap="RdBu_r" if signed else "gray",
            vmin=-largest if signed else 0,
            vmax=largest,
            interpolation="nearest",
            aspect="auto",
        )
        if layer is layers[-1] and len(outputs) == sheet.size <= 20:
            for number, name in enumerate(outputs):
                color = "white" if abs(sheet[0, number]) > 0.6 * largest else INK
                axes.text(number, 0, name, ha="center", va="center", fontsize=8, color=color)
        label = {"transform": axes.transAxes, "ha": "right"}
        axes.text(-0.012, 0.5, layer.name, va="bottom", fontsize=9, color=INK, **label)
        axes.text(-0.012, 0.46, note, va="top", fontsize=7, color=FAINT, **label)
        top += height + GAP
    if title:
        figure.suptitle(title, color=INK, fontsize=12.5, y=1 - 0.2 / total, va="top")
    return figure


def _strongest(output: NDArray[Any], maps: int, towers: int) -> NDArray[Any]:
    """Return the channels with the largest values, the same number from each tower, in ascending order."""
    strength = (
        output.max(axis=(1, 2)).reshape(towers, -1) if len(output) % towers == 0 else output.max(axis=(1, 2))[None]
    )
    share = min(maps // len(strength), strength.shape[1])
    first = np.sort(np.argsort(-strength, axis=1, kind="stable")[:, :share], axis=1)
    channels: NDArray[np.intp] = (first + strength.shape[1] * np.arange(len(strength))[:, None]).ravel()
    return channels


def _in_one_row(tiles: NDArray[Any], towers: int) -> NDArray[Any]:
    """Lay maps side by side, with a wider gap between towers."""
    finer = math.ceil(24 / tiles.shape[1])  # of small maps a pixel would make too wide a gap
    tiles = tiles.repeat(finer, axis=1).repeat(finer, axis=2)
    H = tiles.shape[1]
    gap = round(H / 18)
    if len(tiles) % towers:
        return mosaic(tiles, len(tiles), gap)
    parts = [mosaic(part, len(part), gap) for part in np.split(tiles, towers)]
    between = np.full((H, 3 * gap), np.nan)
    return np.concatenate([piece for part in parts for piece in (part, between)][:-1], axis=1)


def _strip(values: NDArray[Any]) -> NDArray[Any]:
    """Fold values into rows, so that the strip is thick enough to see."""
    most = max(1, math.isqrt(values.size) // 4)
    rows = next(rows for rows in range(most, 0, -1) if values.size % rows == 0)
    return values.reshape(rows, -1)
