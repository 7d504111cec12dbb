"""When an array was last written in place, so that a backward pass that has saved it can refuse to use it."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from minicnn.backend.arrays import Array, get_array_module
from minicnn.backend.devices import device_of

__all__ = ["Edits", "Place", "any_shares", "place_of"]


class Place(NamedTuple):
    """Where an array lies: its device, and an array of NumPy's at the same addresses, which does not keep it alive."""

    device: str
    addresses: np.ndarray  # of a GPU they cannot be read, only compared


class Edits:
    """The last time that our own code wrote into a tensor's array. Tensors that look at one array share it.

    Attributes
    ----------
    number : int
        The time, counted as operations are: an operation with a smaller number was applied before.
    place : Place or None
        What was written. Whether it is still there does not matter: an operation that was applied before, and has saved
        an array at the same addresses, has kept it there.
    by : str
        What wrote it.
    """

    number = -1
    place: Place | None = None
    by = ""


def any_shares(saved: Iterable[Any], array: Array | Place) -> bool:
    """Return whether one of the saved values is an array on the memory of `array`. This waits for no GPU."""
    place = array if isinstance(array, Place) else place_of(array)
    arrays = [value for value in saved if isinstance(value, get_array_module(value).ndarray)]
    there = [place_of(array).addresses for array in arrays if device_of(array) == place.device]
    return any(np.shares_memory(addresses, place.addresses) for addresses in there)


def place_of(array: Array) -> Place:
    """Return where an array lies.

    CuPy's own ``shares_memory`` starts kernels, waits for their answer, and is wrong for two arrays without dimensions.
    """
    described = {
        "data": (array.ctypes.data if isinstance(array, np.ndarray) else array.data.ptr, True),
        "shape": array.shape,
        "strides": array.strides,
        "typestr": array.dtype.str,
        "version": 3,
    }
    return Place(device_of(array), np.asarray(SimpleNamespace(__array_interface__=described)))
