"""When an array was last written in place, so that a backward pass that has saved it can refuse to use it."""

from collections.abc import Iterable
from typing import Any

from minicnn.backend.arrays import Array, get_array_module
from minicnn.backend.devices import device_of, on_device_of

__all__ = ["Edits", "any_shares"]


class Edits:
    """The last time that our own code wrote into a tensor's array. Tensors that look at one array share it.

    Attributes
    ----------
    number : int
        The time, counted as operations are: an operation with a smaller number was applied before.
    array : array or None
        What was written.
    by : str
        What wrote it.
    """

    number = -1
    array: Array | None = None
    by = ""


def any_shares(saved: Iterable[Any], array: Array) -> bool:
    """Return whether one of the saved values is an array on the memory of `array`."""
    xp, device = get_array_module(array), device_of(array)
    there = [value for value in saved if isinstance(value, xp.ndarray) and device_of(value) == device]
    with on_device_of(array):
        return any(xp.shares_memory(value, array) for value in there)
