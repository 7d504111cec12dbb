"""The loops that NumPy cannot express well, written once for each back end; this file picks the back end.

``numpy_kernels`` is the whiteboard version: the reference, whose signatures and docstrings hold for all of them.
``numba_kernels`` is compiled for the CPU, ``cuda_kernels`` runs on NVIDIA's GPUs. They have the same functions with the
same signatures, working on C-contiguous arrays and writing into arrays that the caller made. None of them starts a
thread: :func:`minicnn.backend.split` calls them for one part of a batch per core.

A function of ``numpy_kernels`` is a kernel if its name is public. Calling it here, as ``kernels.im2col(...)``, runs the
version for the arrays that it is given.

Letters: N images, C channels, H W height and width, KH KW kernel, SH SW stride, PH PW padding,
DH DW dilation, OH OW output.
"""

import importlib.util
import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.backend import IN_BROWSER, get_array_module
from minicnn.install import pip_install
from minicnn.kernels import numpy_kernels
from minicnn.kernels.examples import examples

if TYPE_CHECKING:  # a type checker sees the reference; at run time, `_kernel` below makes these functions
    from minicnn.kernels.numpy_kernels import *  # noqa: F403

KERNELS = [
    name
    for name, thing in vars(numpy_kernels).items()
    if inspect.isfunction(thing) and thing.__module__ == numpy_kernels.__name__ and not name.startswith("_")
]
"""The names of all kernels."""

__all__ = KERNELS + ["KERNELS", "current", "in_use", "use_kernels", "warmup"]

_chosen: ModuleType | None = None  # set at the first use, because importing Numba takes a while


def current(array: Any = None) -> str:
    """Return which kernels run for an array: ``"numpy"``, ``"numba"`` or, on a GPU, ``"cuda"``.

    Parameters
    ----------
    array : array, optional
        By default the answer is for arrays on the CPU.
    """
    return _kernels_for(array).__name__.rpartition(".")[2].removesuffix("_kernels")


def _cpu_kernels() -> ModuleType:
    global _chosen
    if _chosen is None:
        try:
            _chosen = _load("numba")
        except ImportError as error:
            if importlib.util.find_spec("numba"):
                warnings.warn(f"{error}. The NumPy kernels are used, which are slower", RuntimeWarning, stacklevel=3)
            _chosen = numpy_kernels
    return _chosen


def _load(name: str) -> ModuleType:
    if name == "numpy":
        return numpy_kernels
    if name == "numba":
        if IN_BROWSER:
            raise ImportError("use_kernels: Numba cannot run in a browser, which has the NumPy kernels only")
        try:
            import numba

            settings: Any = numba.config
            if settings.DISABLE_JIT:
                raise ImportError("NUMBA_DISABLE_JIT is set")
            from minicnn.kernels import numba_kernels
        except ImportError as error:
            raise ImportError(
                f"use_kernels: the Numba kernels cannot be used ({error}); install Numba with {pip_install('numba')}"
            ) from error
        return numba_kernels
    raise ValueError(f"use_kernels: name must be 'numpy' or 'numba', got {name!r}")


@contextmanager
def use_kernels(name: str) -> Iterator[None]:
    """Run the operations inside the ``with`` block on these kernels.

    Parameters
    ----------
    name : {"numpy", "numba"}
        Numba is the default where it is installed.

    Raises
    ------
    ValueError
        If there are no kernels of that name.
    ImportError
        If Numba is asked for and not installed.

    Examples
    --------
    >>> with use_kernels("numpy"):
    ...     current()
    'numpy'
    """
    global _chosen
    before, _chosen = _chosen, _load(name)
    try:
        yield
    finally:
        _chosen = before


def _kernels_for(array: Any) -> ModuleType:
    """Return the back end for an array: the one chosen for the CPU, or the GPU's."""
    if get_array_module(array) is np:
        return _cpu_kernels()
    from minicnn.kernels import cuda_kernels

    return cuda_kernels


def in_use(array: Any) -> ModuleType | None:
    """Return the back end that ran last for arrays of this kind, or None if no operation has needed one yet."""
    return _chosen if get_array_module(array) is np else _kernels_for(array)


def _kernel(name: str) -> Callable[..., None]:
    """Return a function that calls the kernel of this name in the back end for its first argument."""

    def call(*arguments: Any) -> None:
        array = arguments[0][0] if isinstance(arguments[0], list) else arguments[0]
        back_end = _kernels_for(array)
        try:
            kernel = getattr(back_end, name)
        except AttributeError:
            back_end_name = f"{current(array)} back end ({back_end.__name__})"
            raise NotImplementedError(f"kernels.{name}: the {back_end_name} does not have this kernel") from None
        kernel(*arguments)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = getattr(numpy_kernels, name).__doc__
    return call


globals().update({name: _kernel(name) for name in KERNELS})


def warmup(progress: Callable[[str, int, int], None] | None = None) -> None:
    """Compile every kernel for float32 and float64 now, instead of when each is first needed.

    Compiled code is kept on disk next to the package (or in Numba's cache folder), so a second call, or a second
    process, only loads it.

    Parameters
    ----------
    progress : callable, optional
        Called with the name of each kernel once it is ready, its number from 1, and the number of all.
    """
    calls = [(name, arguments, dtype) for dtype in ("float32", "float64") for name, arguments in examples(dtype)]
    for number, (name, arguments, dtype) in enumerate(calls, start=1):
        globals()[name](*arguments)
        if progress is not None:
            progress(f"{name} {dtype}", number, len(calls))
