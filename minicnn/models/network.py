"""What the models share: a chain of layers that remembers how it was built."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from minicnn import nn

__all__ = ["Network"]

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


class Network(nn.Sequential):
    """A chain of layers, made by one of the functions in :mod:`minicnn.models`.

    Attributes
    ----------
    config : dict
        ``"model"``, the name of that function, and its arguments; JSON can hold all of it.
        :func:`minicnn.models.build` makes the same network from it again, with new first values.
    """

    config: dict[str, Any]


def one_of(function: str, argument: str, value: Any, accepted: Collection[Any]) -> Any:
    """Return `value` if it is accepted, and refuse it by name otherwise."""
    if value not in list(accepted):
        raise ValueError(f"{function}: {argument} must be one of {', '.join(map(str, accepted))}; got {value!r}")
    return value


def switch(function: str, argument: str, value: Any) -> bool:
    """Return True or False, and refuse anything else."""
    if not isinstance(value, bool):
        raise TypeError(f"{function}: {argument} must be True or False, got {value!r}")
    return value
