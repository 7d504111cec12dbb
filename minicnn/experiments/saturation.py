"""How many tanh units are saturated: so far out on the curve that its slope, 1 - y^2, is almost zero.

Where |y| > 0.99, the slope is below 0.02: of the gradient that arrives there, less than a fiftieth reaches the weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minicnn import nn
from minicnn.autograd import Tensor
from minicnn.backend import on_device_of, to_device
from minicnn.data import Preparation
from minicnn.data.sources import Part
from minicnn.grad_mode import no_grad
from minicnn.models.network import Network

__all__ = ["COLUMNS", "saturation", "share"]

COLUMNS = ("saturated_1", "saturated_2", "saturated_3")  # the four-layer network has three layers of activations
ABOVE = 0.99
IMAGES, BATCH_SIZE = 1_000, 100


def saturation(network: Network, preparation: Preparation, train: Part) -> dict[str, float]:
    """Return the share of saturated outputs in each tanh layer, over the first 1,000 training images.

    Parameters
    ----------
    network : Network
        It is in evaluation mode meanwhile.
    preparation : Preparation
        How images are prepared for it. They are not augmented.
    train : Part
        The training images.

    Returns
    -------
    dict of str to float
        The shares, 0 to 1, named by `COLUMNS`, from the first layer on; none for a network without tanh.
    """
    if not any(isinstance(layer, nn.Tanh) for layer in network):
        return {}
    images = train.images[:IMAGES]
    saturated, outputs = dict.fromkeys(COLUMNS, 0), dict.fromkeys(COLUMNS, 0)
    training = network.training
    network.eval()
    try:
        for start in range(0, len(images), BATCH_SIZE):
            batch = preparation.prepare(images[start : start + BATCH_SIZE])
            for column, y in zip(COLUMNS, _tanh_outputs(network, batch), strict=False):
                with on_device_of(y):
                    saturated[column] += int((abs(y) > ABOVE).sum())
                outputs[column] += y.size
    finally:
        network.train(training)
    return {column: saturated[column] / outputs[column] for column in COLUMNS if outputs[column]}


def share(cell: str) -> float | None:
    """Return the number in a cell of the CSV file, None if it is empty."""
    return float(cell) if cell else None


def _tanh_outputs(network: Network, images: Any) -> Iterator[Any]:
    with no_grad():
        x = Tensor(to_device(images, network.device))
        for layer in network:
            x = layer(x)
            if isinstance(layer, nn.Tanh):
                yield x.data
