"""Devices: their names, what can be used of them, and moving arrays between them."""

import importlib.util
import re
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from minicnn.backend.arrays import Array, asnumpy, get_array_module
from minicnn.backend.cpu_limits import IN_BROWSER
from minicnn.errors import MinicnnError
from minicnn.install import install_command


class DeviceError(MinicnnError):
    """A device cannot be used; the message says what is missing, and what to do about it."""


_REMEDY = f"install minicnn with the extra cuda12 or cuda13, the one for your driver: {install_command('cuda12')}"


def checked_device(device: str) -> str:
    """Return the full name of a device that can be used.

    Parameters
    ----------
    device : str
        As in PyTorch: "cpu", "cuda" for the current GPU, or "cuda:0", "cuda:1" ... for a certain one.

    Returns
    -------
    str
        "cpu" or "cuda:N".

    Raises
    ------
    ValueError
        If it is none of these.
    DeviceError
        If CuPy or this GPU is absent.
    """
    if device == "cpu":
        return device
    if not isinstance(device, str) or not re.fullmatch(r"cuda(:\d+)?", device, re.ASCII):
        raise ValueError(f"device must be 'cpu', 'cuda' or 'cuda:N', got {device!r}")
    if IN_BROWSER:
        raise DeviceError(
            f"device {device!r} needs an NVIDIA GPU, which minicnn cannot reach from a browser: use 'cpu'"
        )
    try:
        import cupy
    except ImportError as error:
        why = "is not installed" if importlib.util.find_spec("cupy") is None else f"cannot be loaded ({error})"
        raise DeviceError(f"device {device!r} needs CuPy, which {why}; {_REMEDY}") from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except RuntimeError as error:  # also without a driver
        raise DeviceError(
            f"device {device!r} needs an NVIDIA GPU and its driver, and CuPy finds none ({error}); "
            "'minicnn doctor' shows what there is"
        ) from error
    number = int(device.partition(":")[2] or cupy.cuda.Device().id)
    if number >= count:
        raise DeviceError(f"device {device!r} does not exist; there is 'cuda:N' for N below {count}")
    return f"cuda:{number}"


_default_device = "cpu"


def set_default_device(device: str) -> None:
    """Set the device of new layers' parameters and of loaded networks; "cpu" at first.

    Parameters
    ----------
    device : str
        As for ``Module.to``: "cpu", "cuda" for the current GPU, "cuda:0", "cuda:1" ... for a certain one.

    Raises
    ------
    ValueError
        If it is none of these.
    DeviceError
        If CuPy or this GPU is absent.
    """
    global _default_device
    _default_device = checked_device(device)


def get_default_device() -> str:
    """Return the device of new layers' parameters: "cpu" or "cuda:N"."""
    return _default_device


def gpu_facts(device: str) -> dict[str, str]:
    """Return the name of a GPU and the versions of CUDA and CuPy; nothing for "cpu"."""
    if checked_device(device) == "cpu":
        return {}
    import cupy

    properties = cupy.cuda.runtime.getDeviceProperties(int(checked_device(device).partition(":")[2]))
    version = cupy.cuda.runtime.runtimeGetVersion()
    return {
        "gpu": properties["name"].decode(),
        "cuda": f"{version // 1000}.{version % 1000 // 10}",
        "cupy": cupy.__version__,
    }


_DEFAULT_MATH, _TF32_MATH = 0, 3  # cuBLAS's numbers for CUBLAS_DEFAULT_MATH and CUBLAS_TF32_TENSOR_OP_MATH
_tf32 = False


def set_tf32(allowed: bool) -> None:
    """Choose whether GPUs may round the factors of float32 products to TF32: 10 bits of mantissa instead of 23.

    Tensor cores multiply such numbers several times faster. The setting applies to the whole process, on every GPU
    from Ampere (2020) on; it is off at first.

    Parameters
    ----------
    allowed : bool

    Raises
    ------
    DeviceError
        If CuPy, a GPU or cuBLAS, NVIDIA's library of products, is absent.

    Notes
    -----
    CuPy multiplies single matrices by a call that names the arithmetic: its compute type is one for the process. It
    multiplies stacks of them by a call that leaves the arithmetic to the math mode of a cuBLAS handle, and every thread
    has handles of its own, one for each GPU. A thread that starts later, and multiplies stacks, has to call
    :func:`match_tf32` first; the threads of the loaders do.
    """
    global _tf32
    checked_device("cuda")
    import cupy

    try:
        from cupy._core import _routines_linalg as products

        products.set_compute_type(np.float32, products.COMPUTE_TYPE_TF32 if allowed else products.COMPUTE_TYPE_DEFAULT)
        for number in range(cupy.cuda.runtime.getDeviceCount()):
            _set_math_mode(number, allowed)
    except ImportError as error:
        raise DeviceError(f"TF32 needs cuBLAS, which cannot be loaded ({error}); {_REMEDY}") from error
    _tf32 = bool(allowed)


def match_tf32() -> None:
    """Let the calling thread multiply stacks of matrices as :func:`set_tf32` has chosen: a new thread starts without.

    Without TF32 there is nothing to do: handles start so.
    """
    if not _tf32:
        return
    import cupy

    for number in range(cupy.cuda.runtime.getDeviceCount()):
        _set_math_mode(number, _tf32)


def _set_math_mode(number: int, tf32: bool) -> None:
    import cupy

    with cupy.cuda.Device(number):
        cupy.cuda.cublas.setMathMode(cupy.cuda.get_cublas_handle(), _TF32_MATH if tf32 else _DEFAULT_MATH)


def get_tf32() -> bool:
    """Return whether GPUs may round float32 factors to TF32."""
    return _tf32


def device_of(array: Array) -> str:
    """Return the device of an array: "cpu", or "cuda:N" for GPU number N."""
    return "cpu" if get_array_module(array) is np else f"cuda:{array.device.id}"


def to_device(array: Array, device: str) -> Array:
    """Return a copy of an array on another device, or the array itself if it is there already.

    Parameters
    ----------
    array : ndarray or cupy.ndarray
    device : str
        See :func:`checked_device`, also for the errors.
    """
    device = checked_device(device)
    if device_of(array) == device:
        return array
    if device == "cpu":
        return asnumpy(array)
    import cupy

    with cupy.cuda.Device(int(device.partition(":")[2])):
        return cupy.asarray(array) if get_array_module(array) is np else array.copy()


def on_device_of(array: Array) -> AbstractContextManager[Any]:
    """Return a context in which new arrays are made on the device of `array`."""
    return nullcontext() if get_array_module(array) is np else array.device


def same_device(function: str, **arrays: Array | None) -> None:
    """Refuse arrays on different devices with a TypeError that names the function, the arguments and their devices."""
    places = {name: device_of(array) for name, array in arrays.items() if array is not None}
    if len(set(places.values())) > 1:
        listed = ", ".join(f"{name} on {place}" for name, place in places.items())
        raise TypeError(
            f"{function}: {', '.join(places)} must be on one device, got {listed}; move them with .to(device)"
        )
