"""NumPy or CuPy: which of the two an array belongs to."""

from types import ModuleType
from typing import Any

import numpy as np

Array = Any
"""A NumPy or CuPy array: the type checker cannot see CuPy where it is not installed."""


def get_array_module(*arrays: Any) -> ModuleType:
    """Return the module (``numpy`` or ``cupy``) whose functions take these arrays.

    Parameters
    ----------
    *arrays : ndarray or cupy.ndarray or None
        The arguments of one operation.

    Returns
    -------
    module
        ``cupy`` if any of them is on a GPU, else ``numpy``.
    """
    for array in arrays:
        if type(array).__module__.partition(".")[0] == "cupy":
            import cupy

            module: ModuleType = cupy
            return module
    return np


def asnumpy(array: Any) -> np.ndarray:
    """Return `array` as a NumPy array, copied from the GPU if it is there."""
    return array.get() if hasattr(array, "get") else np.asarray(array)
