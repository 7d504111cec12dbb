"""The loops that NumPy says badly, once for each way to run them; this file picks which.

``numpy_kernels`` is the whiteboard version and the reference, ``numba_kernels`` the compiled one for the CPU, and
``cuda_kernels`` runs on NVIDIA's GPUs. They have the same functions with the same signatures, working on C-contiguous
arrays and writing into arrays that the caller made. None of them starts a thread: :func:`minicnn.backend.split` calls
them for one part of a batch per core.

Letters: N images, C channels, H W height and width, KH KW kernel, SH SW stride, PH PW padding, OH OW output.
"""

import importlib.util
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from minicnn.backend import get_array_module
from minicnn.install import pip_install
from minicnn.kernels import numpy_kernels

__all__ = [
    "avg_pool2d_backward",
    "avg_pool2d_forward",
    "col2im",
    "conv2d",
    "conv2d_grad_w",
    "cross_entropy_backward",
    "cross_entropy_forward",
    "current",
    "im2col",
    "in_use",
    "linear_forward",
    "linear_grad_w",
    "lrn_backward",
    "lrn_forward",
    "max_pool2d_backward",
    "max_pool2d_forward",
    "relu_backward",
    "sgd_step",
    "use_kernels",
    "warmup",
    "winograd_conv2d",
    "winograd_filters",
    "winograd_grad_w",
]

_chosen: ModuleType | None = None  # found at the first use, because importing Numba takes a while


def current() -> str:
    """Return which kernels are in use: ``"numba"`` or ``"numpy"``."""
    return "numpy" if _cpu_kernels() is numpy_kernels else "numba"


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
    """Run the operations inside the ``with`` block on the kernels of that name.

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
    """Return the kernels for arrays of this kind: those that are chosen, or the GPU's."""
    if get_array_module(array) is np:
        return _cpu_kernels()
    from minicnn.kernels import cuda_kernels

    return cuda_kernels


def in_use(array: Any) -> ModuleType | None:
    """Return the kernels that arrays of this kind have met last, or None if no operation has needed any yet."""
    return _chosen if get_array_module(array) is np else _kernels_for(array)


def _kernel(name: str) -> Callable[..., None]:
    def call(*arguments: Any) -> None:
        getattr(_kernels_for(arguments[0]), name)(*arguments)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = getattr(numpy_kernels, name).__doc__
    return call


im2col = _kernel("im2col")
col2im = _kernel("col2im")
conv2d = _kernel("conv2d")
conv2d_grad_w = _kernel("conv2d_grad_w")
max_pool2d_forward = _kernel("max_pool2d_forward")
max_pool2d_backward = _kernel("max_pool2d_backward")
avg_pool2d_forward = _kernel("avg_pool2d_forward")
avg_pool2d_backward = _kernel("avg_pool2d_backward")
linear_forward = _kernel("linear_forward")
linear_grad_w = _kernel("linear_grad_w")
lrn_forward = _kernel("lrn_forward")
lrn_backward = _kernel("lrn_backward")
relu_backward = _kernel("relu_backward")
sgd_step = _kernel("sgd_step")
cross_entropy_forward = _kernel("cross_entropy_forward")
cross_entropy_backward = _kernel("cross_entropy_backward")
winograd_filters = _kernel("winograd_filters")
winograd_conv2d = _kernel("winograd_conv2d")
winograd_grad_w = _kernel("winograd_grad_w")


def warmup(progress: Callable[[str, int, int], None] | None = None) -> None:
    """Compile every kernel for float32 and float64 now, instead of when each is first needed.

    Compiled code is kept on disk beside the package (or in Numba's cache folder), so a second call, or a second
    process, only loads it.

    Parameters
    ----------
    progress : callable, optional
        Called with the name of each kernel once it is ready, its number from 1, and the number of all.
    """
    calls = [(call, np.dtype(dtype).name) for dtype in (np.float32, np.float64) for call in _examples(dtype)]
    for number, ((kernel, arguments), dtype_name) in enumerate(calls, start=1):
        kernel(*arguments)
        if progress is not None:
            progress(f"{kernel.__name__} {dtype_name}", number, len(calls))


def _examples(dtype: Any) -> list[tuple[Callable[..., None], tuple[Any, ...]]]:
    """Return every kernel with small arguments."""
    x, small = np.ones((1, 2, 4, 4), dtype), np.ones((1, 2, 3, 3), dtype)
    window, index = (2, 2, 1, 1, 0, 0), np.zeros((1, 2, 3, 3), np.uint8)
    filters, three = np.ones((3, 2, 2, 2), dtype), np.ones((1, 3, 3, 3), dtype)
    flat, vector = x.reshape(1, 2, 16), np.ones(8, dtype)
    channels, kernels, at_points = np.ones((1, 16, 4, 4), dtype), np.ones((16, 16, 3, 3), dtype), (6, 6, 16, 16)
    return [
        (im2col, (x, *window, np.empty((2, 2, 2, 1, 3, 3), dtype))),
        (col2im, (np.ones((2, 2, 2, 1, 3, 3), dtype), *window, x)),
        (conv2d, (x, filters, np.ones(3, dtype), 1, 1, 0, 0, three)),
        (conv2d_grad_w, (x, three, 1, 1, 0, 0, filters)),
        (max_pool2d_forward, (x, *window, small, index)),
        (max_pool2d_backward, (small, index, *window, x)),
        (avg_pool2d_forward, (x, *window, np.ones((3, 3), dtype), small)),
        (avg_pool2d_backward, (small, *window, np.ones((3, 3), dtype), x)),
        (linear_forward, (np.ones((2, 4), dtype), np.ones((3, 4), dtype), np.empty((2, 3), dtype))),
        (linear_grad_w, (np.ones((2, 3), dtype), np.ones((2, 4), dtype), 0, np.empty((3, 4), dtype))),
        (lrn_forward, (flat, 1, 1, 1.0, 1.0, 0.75, np.empty_like(flat))),
        (lrn_backward, (flat, flat, 1, 1, 1.0, 1.0, 0.75, np.empty_like(flat))),
        (relu_backward, (vector, vector, vector.copy())),
        (sgd_step, (vector, vector.copy(), None, 0.1, 0.0, 0.0, False, False)),
        (sgd_step, (vector, vector.copy(), vector.copy(), 0.1, 0.9, 0.0, False, False)),
        (winograd_filters, (kernels, 1, 0, 16, np.empty(at_points, dtype))),
        (winograd_conv2d, (channels, np.ones(at_points, dtype), np.ones(16, dtype), 1, 1, channels.copy())),
        (winograd_grad_w, (channels, channels, 1, 1, kernels)),
    ]
