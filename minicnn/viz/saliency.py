"""Saliency maps: which parts of an image a decision depends on, by the gradient and by occlusion."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from minicnn import functional as F
from minicnn import nn
from minicnn.autograd import Tensor
from minicnn.backend import asnumpy, to_device
from minicnn.grad_mode import no_grad
from minicnn.viz.mosaic import frameless
from minicnn.viz.style import FAINT, INK

__all__ = ["draw_saliency", "gradient_saliency", "occlusion_saliency"]

BATCH = 32


def gradient_saliency(network: nn.Module, image: NDArray[np.float32], target: int) -> NDArray[np.float32]:
    """Return how strongly the score of a class depends on each pixel: |d score / dx|, the maximum over its colours.

    Parameters
    ----------
    network : Module
        Takes (N, C, H, W) and returns scores (N, classes). It is in evaluation mode meanwhile.
    image : ndarray of float32, (C, H, W)
        An input of the network, without the batch dimension.
    target : int
        The class.

    Returns
    -------
    ndarray, (H, W)
        0 or more.

    References
    ----------
    Simonyan, Vedaldi and Zisserman 2013, "Deep inside convolutional networks", section 3.
    """
    pixels = Tensor(to_device(image[None], network.device), requires_grad=True)
    frozen = [parameter for parameter in network.parameters() if parameter.requires_grad]
    training = network.training
    network.eval()
    try:
        for parameter in frozen:  # leave the gradients of training alone
            parameter.requires_grad = False
        scores = network(pixels)
        one = np.zeros(scores.shape, scores.dtype)
        one[0, target] = 1
        scores.backward(to_device(one, scores.device))
    finally:
        network.train(training)
        for parameter in frozen:
            parameter.requires_grad = True
    largest: NDArray[np.float32] = np.abs(asnumpy(pixels.grad)[0]).max(axis=0)
    return largest


def occlusion_saliency(
    network: nn.Module,
    image: NDArray[np.float32],
    target: int,
    window: int | None = None,
    stride: int | None = None,
) -> NDArray[np.float64]:
    """Return how much of a class's probability is lost when a square around each pixel is covered.

    The square slides over the image, and is filled with 0: the mean of the training images, if it was subtracted.
    Each pixel gets the average over all squares that cover it.

    Parameters
    ----------
    network, image, target
        As for :func:`gradient_saliency`.
    window : int, optional
        The side of the square; by default a sixth of the image's shorter side.
    stride : int, optional
        The step of the square; by default a third of the window. The last squares end at the edge.

    Returns
    -------
    ndarray, (H, W)
        -1 to 1; negative where the class becomes more likely.

    Raises
    ------
    ValueError
        If the window is larger than the image, or the stride leaves pixels uncovered.

    References
    ----------
    Zeiler and Fergus 2013, "Visualizing and understanding convolutional networks", section 4.2.
    """
    H, W = image.shape[1:]
    window = max(1, round(min(H, W) / 6)) if window is None else window
    stride = max(1, window // 3) if stride is None else stride
    if not 1 <= window <= min(H, W):
        raise ValueError(f"occlusion_saliency: window must be from 1 to {min(H, W)}, got {window}")
    if not 1 <= stride <= window:
        raise ValueError(f"occlusion_saliency: stride must be from 1 to the window's {window}, got {stride}")
    rows, columns = (sorted({*range(0, side - window, stride), side - window}) for side in (H, W))
    corners = [(row, column) for row in rows for column in columns]

    training = network.training
    network.eval()
    try:
        before = _probability(network, image[None], target)[0]
        lost, covered = np.zeros((H, W)), np.zeros((H, W))
        for start in range(0, len(corners), BATCH):
            some = corners[start : start + BATCH]
            covers = np.repeat(image[None], len(some), axis=0)
            for cover, (row, column) in zip(covers, some, strict=True):
                cover[:, row : row + window, column : column + window] = 0
            for after, (row, column) in zip(_probability(network, covers, target), some, strict=True):
                square = np.s_[row : row + window, column : column + window]
                lost[square] += before - after
                covered[square] += 1
    finally:
        network.train(training)
    return lost / covered


def _probability(network: nn.Module, images: NDArray[np.float32], target: int) -> NDArray[np.float64]:
    with no_grad():
        scores = asnumpy(network(Tensor(to_device(images, network.device))).data).astype(np.float64)
        return asnumpy(F.softmax(Tensor(scores), 1).data)[:, target]


def draw_saliency(picture: NDArray[Any], gradient: NDArray[Any], occlusion: NDArray[Any], title: str = "") -> Figure:
    """Draw an image and both of its saliency maps.

    Parameters
    ----------
    picture : ndarray, (H, W, 3)
        The image, in any form that matplotlib draws.
    gradient, occlusion : ndarray, (H, W)
        From :func:`gradient_saliency` and :func:`occlusion_saliency`.
    title : str
        Above the figure.

    Returns
    -------
    matplotlib.figure.Figure
        With three panels and two colour bars.
    """
    figure = Figure(figsize=(11.4, 3.95), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08))
    panels = figure.subplots(1, 3)
    grey = np.asarray(picture, float).mean(axis=2)
    panels[0].imshow(picture, interpolation="nearest")
    _name(panels[0], "the picture", "as the network sees it")

    # Scaled to the maximum, a few strong pixels would leave all others black.
    strongest = float(np.quantile(gradient, 0.995)) or float(gradient.max()) or 1.0
    drawn = panels[1].imshow(gradient / strongest, cmap="inferno", vmin=0, vmax=1, interpolation="nearest")
    bar = figure.colorbar(drawn, ax=panels[1], fraction=0.046, pad=0.03, ticks=[0, 1])
    bar.ax.set_yticklabels(["no effect", "strong"], fontsize=8)
    _name(panels[1], "gradient", "how strongly each pixel changes the score")

    largest = float(np.abs(occlusion).max()) or 1.0
    panels[2].imshow(grey, cmap="gray", interpolation="nearest")
    drawn = panels[2].imshow(
        occlusion, cmap="RdBu_r", vmin=-largest, vmax=largest, alpha=0.65, interpolation="bilinear"
    )
    bar = figure.colorbar(
        drawn, ax=panels[2], fraction=0.046, pad=0.03, format=PercentFormatter(1, int(largest < 0.04), symbol=" %")
    )
    bar.ax.tick_params(labelsize=8)
    if bar.solids is not None:
        bar.solids.set_alpha(1)
    _name(panels[2], "occlusion", "probability lost when this place is covered")
    if title:
        figure.suptitle(title, color=INK, fontsize=12.5)
    return figure


def _name(axes: Any, name: str, note: str) -> None:
    frameless(axes)
    axes.set_title(f"{name}\n", loc="left", fontsize=11, color=INK)
    axes.text(0, 1.02, note, transform=axes.transAxes, fontsize=9, color=FAINT)
