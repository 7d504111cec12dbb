"""The class of all models: a chain of layers that remembers how it was built."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from minicnn import nn

__all__ = ["Network"]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": partial(nn.ReLU, inplace=True),  # a convolution does not need its output, and feature maps are large
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}
NORMS = ("lrn", "batch", "none")


class Network(nn.Sequential):
    """A chain of layers, made by one of the functions in :mod:`minicnn.models`.

    Attributes
    ----------
    config : dict
        ``"model"``, the name of that function, and its arguments, all of them types that JSON has.
        :func:`minicnn.models.build` builds the same network from it, with new initial weights.
    """

    config: dict[str, Any]
