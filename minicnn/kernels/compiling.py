"""How the kernels are compiled, and where the compiled code is cached."""

import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numba
import numpy as np
from numba.core import caching, registry

from minicnn.files import cache_folder, home_is_known

__all__ = ["ZERO", "inner", "kernel", "part", "u"]

u = np.uint64  # an unsigned index cannot be negative like Python's x[-1], which saves a check: loops are vectorised
ZERO: Any = np.int64(0)  # for an argument of a part: of one that gets a literal 0 Numba compiles one more version


_FunctionCache: Any = caching.FunctionCache  # which has no types


class _Cache(_FunctionCache):  # type: ignore[misc]
    """Numba's cache of one function, but damaged files and full disks are no errors: they cost compiling again."""

    warned = False  # once for all functions

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # damaged bytes can raise anything when they are unpickled
            self.warn(error)
            try:
                self.flush()  # else saving reads the damaged index again
            except OSError:
                self.disable()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception as error:
            self.warn(error)
            self.disable()

    def warn(self, error: Exception) -> None:
        if not _Cache.warned:
            _Cache.warned = True
            what = f"the cache of compiled kernels in {self.cache_path} cannot be used as it is"
            reason = str(error) or type(error).__name__
            warnings.warn(f"{what} ({reason}): kernels are compiled again", RuntimeWarning, stacklevel=2)


def _compile(function: Callable[..., Any], **options: Any) -> Any:
    options["no_cfunc_wrapper"] = True  # for callbacks from C, of which there are none: less to compile
    compiled = numba.njit(function, nogil=True, error_model="numpy", **options)
    with suppress(RuntimeError):  # no cache folder is writable: compile in each process rather than fail
        if home_is_known() or "NUMBA_CACHE_DIR" in os.environ:
            compiled._cache = _Cache(function)
        else:  # Numba would make a folder called "~"
            settings: Any = numba.config
            before, settings.CACHE_DIR = settings.CACHE_DIR, str(cache_folder())
            try:
                compiled._cache = _Cache(function)
            finally:
                settings.CACHE_DIR = before
    return compiled


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function when it is first called; the code is cached on disk until the function's file changes."""
    return _compile(function)


class _Part(registry.CPUDispatcher):
    """A compiled function for compiled code alone."""

    def __call__(self, *arguments: Any) -> Any:  # the process would crash
        raise TypeError(f"{self.py_func.__name__} is a part of kernels: Python cannot call it")


def part(function: Callable[..., Any]) -> Any:
    """Compile a function that kernels call, and Python never does.

    Without code that takes arguments from Python it is compiled sooner, which shortens the first step.
    """
    compiled = _compile(function, no_cpython_wrapper=True)
    compiled.__class__ = _Part
    return compiled


def inner(function: Callable[..., Any]) -> Any:
    """Compile a function inline, into those that call it."""
    return _compile(function, inline="always")
