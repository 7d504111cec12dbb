"""When an array was last written in place, so that a backward pass that has saved it can refuse to use it."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np

from minicnn.backend.arrays import Array, get_array_module
from minicnn.backend.devices import device_of

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
    """Return whether one of the saved values is an array on the memory of `array`. This waits for no GPU."""
    xp, device = get_array_module(array), device_of(array)
    there = [value for value in saved if isinstance(value, xp.ndarray) and device_of(value) == device]
    return any(np.shares_memory(_place(value), _place(array)) for value in there)


def _place(array: Array) -> np.ndarray:
    """Return an array of NumPy's at the same addresses; those of a GPU cannot be read, only compared.

    CuPy's own ``shares_memory`` starts kernels, waits for their answer, and is wrong for two arrays without dimensions.
    """
    if isinstance(array, np.ndarray):
        return array
    place = {
        "data": (array.data.ptr, True),
        "shape": array.shape,
        "strides": array.strides,
        "typestr": array.dtype.str,
        "version": 3,
    }
    return np.asarray(SimpleNamespace(__array_interface__=place))
