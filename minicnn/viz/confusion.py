"""Confusion matrices: which classes a network confuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from minicnn.viz.style import FAINT, INK

__all__ = ["confusion_matrix", "draw_confusion"]

NUMBERED, NAMED = 20, 60  # the largest number of classes with room for numbers in the cells, and for names


def confusion_matrix(labels: NDArray[Any], predictions: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """Count how often each class was predicted as each.

    Parameters
    ----------
    labels, predictions : ndarray of int, (N,)
        The right and the predicted classes.
    classes : int
        The number of classes.

    Returns
    -------
    ndarray of int64, (classes, classes)
        Row i, column j: images of class i that were predicted as class j.

    Raises
    ------
    ValueError
        If the two differ in length, or a value is not a class.

    Examples
    --------
    >>> import numpy as np
    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    for name, values in (("labels", labels), ("predictions", predictions)):
        if values.shape != labels.shape or values.ndim != 1:
            raise ValueError(f"confusion_matrix: {name} must have shape ({labels.size},), got {values.shape}")
        if values.size and not 0 <= values.min() <= values.max() < classes:
            raise ValueError(
                f"confusion_matrix: {name} must lie from 0 to {classes - 1}, got {values.min()} to {values.max()}"
            )
    counts = np.bincount(labels.astype(np.int64) * classes + predictions, minlength=classes * classes)
    return counts.reshape(classes, classes)


def draw_confusion(matrix: NDArray[Any], classes: Sequence[str], title: str = "") -> Figure:
    """Draw a confusion matrix: the darker a cell, the larger its share of the row.

    Parameters
    ----------
    matrix : ndarray of int, (classes, classes)
        From :func:`confusion_matrix`.
    classes : sequence of str
        Their names, written for up to sixty classes; percentages are written for up to twenty.
    title : str
        Above the figure.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If `matrix` does not have a row and a column for each name.
    """
    K = len(classes)
    if matrix.shape != (K, K) or K == 0:
        raise ValueError(f"draw_confusion: matrix must have shape ({K}, {K}) for {K} classes, got {matrix.shape}")
    of_row = matrix.sum(axis=1, keepdims=True)
    shares = matrix / np.maximum(of_row, 1)
    side = min(11.0, max(4.6, 1.8 + 0.52 * K))
    figure = Figure(figsize=(side, side), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1, compress=True))
    axes = figure.subplots()
    # Without numbers, rare confusions need more contrast.
    norm = PowerNorm(1 if K <= NUMBERED else 0.4, vmin=0, vmax=1)
    axes.imshow(shares, cmap="Blues", norm=norm, interpolation="nearest")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelcolor=INK, labelsize=9 if K <= NUMBERED else 6)
    axes.set_xlabel("the network's answer", color=FAINT)
    axes.set_ylabel("what the picture shows", color=FAINT)
    if K <= NAMED:
        axes.set_xticks(range(K), labels=classes, rotation=90 if max(map(len, classes)) > 3 else 0)
        axes.set_yticks(range(K), labels=classes)
    if K <= NUMBERED:
        for row, column in np.argwhere(matrix > 0):
            share = shares[row, column]
            some = f"{100 * share:.0f}" != "0"
            color = "white" if share > 0.5 else INK if some else FAINT
            text = f"{100 * share:.0f}" if some else "<1"
            axes.text(column, row, text, ha="center", va="center", fontsize=8.5, color=color)
    right = int(np.trace(matrix))
    note = f"{right:,} of {int(matrix.sum()):,} images right; each row is 100 %" if matrix.sum() else "no images"
    axes.set_title(note, fontsize=9, color=FAINT, loc="left")
    if title:
        figure.suptitle(title, color=INK, fontsize=12.5)
    return figure
