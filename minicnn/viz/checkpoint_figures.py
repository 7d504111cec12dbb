"""Figures of a trained network, each drawn from a checkpoint."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tqdm.auto import tqdm

from minicnn.data.loader import Images, Loader
from minicnn.data.transforms import center_crop
from minicnn.training.checkpoint import SavedModel
from minicnn.training.evaluation import probabilities
from minicnn.viz.confusion import confusion_matrix, draw_confusion
from minicnn.viz.features import draw_features, feature_maps
from minicnn.viz.filters import draw_filters, first_filters
from minicnn.viz.saliency import draw_saliency, gradient_saliency, occlusion_saliency

__all__ = ["show_confusion", "show_features", "show_filters", "show_saliency"]


def show_filters(saved: SavedModel) -> Figure:
    """Draw the filters of the first layer: :func:`minicnn.viz.draw_filters`."""
    weight, towers = first_filters(saved.network)
    return draw_filters(weight, towers, "First-layer filters, each scaled separately; grey is zero")


def show_features(saved: SavedModel, image: NDArray[np.uint8], maps: int = 16) -> Figure:
    """Draw the feature maps of every layer: :func:`minicnn.viz.draw_features`.

    Parameters
    ----------
    saved : SavedModel
        A checkpoint, from :func:`minicnn.training.load_model`.
    image : ndarray of uint8, (3, size, size)
        From :func:`minicnn.data.load_image`, at the preparation's size.
    maps : int
        The number of maps shown for each layer.
    """
    likely = probabilities(saved.network, saved.preparation, image[None])[0]
    layers = feature_maps(saved.network, saved.preparation.prepare(image[None])[0])
    _, towers = first_filters(saved.network)
    title = f"From a picture to scores: {_answer(saved, likely)}"
    return draw_features(layers, _seen(saved, image), maps, towers, title, saved.classes)


def show_saliency(saved: SavedModel, image: NDArray[np.uint8], target: int | None = None) -> Figure:
    """Draw which parts of an image support a class: :func:`minicnn.viz.draw_saliency`.

    Parameters
    ----------
    saved, image
        As for :func:`show_features`.
    target : int, optional
        The class, by default the most likely one.
    """
    likely = probabilities(saved.network, saved.preparation, image[None])[0]
    target = int(likely.argmax()) if target is None else target
    prepared = saved.preparation.prepare(image[None])[0]
    return draw_saliency(
        _seen(saved, image),
        gradient_saliency(saved.network, prepared, target),
        occlusion_saliency(saved.network, prepared, target),
        f"What speaks for {_answer(saved, likely, target)}",
    )


def show_confusion(saved: SavedModel, images: Images, labels: NDArray[Any]) -> Figure:
    """Draw the confusion matrix: :func:`minicnn.viz.draw_confusion`.

    Parameters
    ----------
    saved : SavedModel
        A checkpoint, from :func:`minicnn.training.load_model`.
    images : ndarray of uint8 or ImageFolder, (N, 3, size, size)
    labels : ndarray of int, (N,)
        Their classes.
    """
    loader = Loader(images, labels, 128, shuffle=False)
    answers = [
        probabilities(saved.network, saved.preparation, batch).argmax(axis=1)
        for batch, _ in tqdm(loader, unit=" batches", leave=False, disable=None)  # no bar unless in a terminal
    ]
    matrix = confusion_matrix(np.asarray(labels), np.concatenate(answers), len(saved.classes))
    return draw_confusion(matrix, saved.classes, "What is taken for what, in percent")


def _seen(saved: SavedModel, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the part of the image that the network sees, (crop, crop, 3)."""
    seen: NDArray[np.uint8] = center_crop(image[None], size=saved.preparation.crop)[0]
    return seen.transpose(1, 2, 0)


def _answer(saved: SavedModel, likely: NDArray[Any], target: int | None = None) -> str:
    target = int(likely.argmax()) if target is None else target
    return f"“{saved.classes[target]}”, {100 * likely[target]:.0f} %"
