"""Functions that take a network and an image, with the network on a GPU: the same answers as on the CPU."""

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import models, nn
from minicnn.data import Preparation, load_shapes
from minicnn.model_summary import summary
from minicnn.models.onnx_export import onnx_model
from minicnn.nn import Module
from minicnn.training.checkpoint import SavedModel
from minicnn.viz import (
    feature_maps,
    first_filters,
    gradient_saliency,
    occlusion_saliency,
    show_confusion,
    show_features,
    show_filters,
    show_saliency,
    walk_html,
)

SHAPES = load_shapes(train=20, test=3)
IMAGE = SHAPES.test_images[0]


def saved(device: str) -> SavedModel:
    """A small network as from a checkpoint, on a device."""
    minicnn.manual_seed(1)
    network = models.build({"model": "lenet5"}).to(device)
    preparation = Preparation.fit(SHAPES.train_images, 32)
    with minicnn.use_kernels("numpy"):
        return SavedModel(network, preparation, SHAPES.classes, {})


def arrays_of(found: Any) -> list[np.ndarray]:
    return [layer.output for layer in found] if isinstance(found, list) else [found]


@pytest.mark.parametrize(
    "look",
    [
        lambda network, image: gradient_saliency(network, image, 3),
        lambda network, image: occlusion_saliency(network, image, 3, window=12, stride=10),
        lambda network, image: feature_maps(network, image),
        lambda network, image: first_filters(network)[0],
    ],
    ids=["gradient_saliency", "occlusion_saliency", "feature_maps", "first_filters"],
)
def test_what_is_seen_in_a_network(gpu: str, look: Any) -> None:
    found = []
    for device in ("cpu", gpu):
        model = saved(device)
        with minicnn.use_kernels("numpy"):
            found.append(arrays_of(look(model.network, model.preparation.prepare(IMAGE[None])[0])))
    for here, there in zip(*found, strict=True):
        assert isinstance(there, np.ndarray)
        np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("show", [show_filters, show_features, show_saliency, show_confusion, walk_html])
@pytest.mark.slow
def test_what_is_shown_of_a_checkpoint(gpu: str, show: Any) -> None:
    images = {show_filters: (), show_confusion: (SHAPES.test_images, SHAPES.test_labels)}.get(show, (IMAGE,))
    assert show(saved(gpu), *images)


class Scaled(Module):
    """A layer of the user's own, which does not describe itself."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(np.ones((3, 1, 1), np.float32))

    def forward(self, input: Any) -> Any:
        return input * self.scale


def test_the_summary_and_the_export(gpu: str) -> None:
    network = nn.Sequential(Scaled(), nn.Conv2d(3, 4, 5), nn.Flatten(), nn.Linear(4 * 28 * 28, 2))
    here = str(summary(network, (1, 3, 32, 32)))
    assert str(summary(network.to(gpu), (1, 3, 32, 32))) == here
    pytest.importorskip("onnx")
    exported = [onnx_model(saved(device).network, (3, 32, 32)).SerializeToString() for device in ("cpu", gpu)]
    assert exported[0] == exported[1]
