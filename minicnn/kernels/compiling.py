"""How the kernels are compiled."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

__all__ = ["inner", "kernel", "u"]

u = np.uint64  # an unsigned index cannot be negative like Python's x[-1], which saves a check: loops are vectorised


def _compile(function: Callable[..., Any], **options: Any) -> Any:
    try:
        return numba.njit(function, nogil=True, cache=True, error_model="numpy", **options)
    except RuntimeError:  # no cache folder is writable: compile in each process rather than fail
        return numba.njit(function, nogil=True, error_model="numpy", **options)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function when it is first called; the code is cached on disk until the function's file changes."""
    return _compile(function)


def inner(function: Callable[..., Any]) -> Any:
    """Compile a function inline, into those that call it."""
    return _compile(function, inline="always")
