"""Building a network from its config, which checkpoints contain."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from minicnn.models.alexnets import alexnet
from minicnn.models.cifar_alexnet import alexnet_cifar
from minicnn.models.four_layers import four_layer
from minicnn.models.lenet import lenet5
from minicnn.models.network import Network

__all__ = ["MODELS", "build"]

MODELS: dict[str, Callable[..., Network]] = {
    model.__name__: model for model in (alexnet, alexnet_cifar, four_layer, lenet5)
}


def build(config: Mapping[str, Any]) -> Network:
    """Build the network that `config` describes, with new initial weights.

    Parameters
    ----------
    config : mapping
        A network's ``config``: ``"model"``, the name of a function of :mod:`minicnn.models`, and arguments of it by
        name. Missing arguments have their defaults.

    Returns
    -------
    Network

    Raises
    ------
    ValueError
        If there is no such model, or it has no such argument.

    Examples
    --------
    >>> from minicnn import models
    >>> network = models.build({"model": "lenet5", "num_classes": 4})
    >>> network.config
    {'model': 'lenet5', 'num_classes': 4, 'in_size': 32, 'in_channels': 3, 'activation': 'tanh'}
    """
    if not isinstance(config, Mapping):
        raise TypeError(f"build: config must be a mapping, got a {type(config).__name__}")
    name = config.get("model")
    if not isinstance(name, str) or name not in MODELS:
        raise ValueError(f"build: model must be one of {', '.join(MODELS)}; got {name!r}")
    arguments = {key: value for key, value in config.items() if key != "model"}
    accepted = list(inspect.signature(MODELS[name]).parameters)
    for key in arguments:
        if key not in accepted:
            raise ValueError(f"build: {name} has no argument {key!r}; it has {', '.join(accepted)}")
    return MODELS[name](**arguments)
