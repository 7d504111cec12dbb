"""Tensors on another device or of another dtype: to, and the short names for it."""

from types import ModuleType
from typing import Any

import numpy as np

from minicnn.arguments import numeric, only, whole
from minicnn.autograd import OWN_PLACE, Function, Tensor, install_methods
from minicnn.backend import Array, checked_device, device_of, on_device_of, to_device

__all__ = ["ToDevice", "ToDtype", "device", "to"]


class ToDevice(Function):
    """The same numbers on another device; the gradient is moved back to the device of x."""

    views = True
    reads = OWN_PLACE

    def __init__(self, device: str) -> None:
        self.device = device

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.input_device = device_of(x)
        return to_device(x, self.device)

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return to_device(grad_output, self.input_device)


class ToDtype(Function):
    """The same numbers, rounded to another precision; the gradient is rounded to the precision of x."""

    reads = OWN_PLACE

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.input_dtype = x.dtype
        return x.astype(self.dtype)

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return grad_output.astype(self.input_dtype)


def to(input: Tensor, *args: Any, device: str | None = None, dtype: Any = None, non_blocking: bool = False) -> Tensor:
    """Return the tensor on another device or of another dtype, or `input` itself if nothing changes.

    Parameters
    ----------
    input : Tensor
    *args
        A device, a dtype, a device and a dtype, or another tensor that has both.
    device : str, optional
        "cpu", "cuda" for the current GPU, "cuda:0", "cuda:1" ... for a certain one.
    dtype : dtype, optional
        float32, float64, one of the integers, or bool. Only real numbers keep the way back for a gradient.
    non_blocking : bool
        Without effect: a copy from the CPU to a GPU waits for its numbers.

    Raises
    ------
    DeviceError
        If CuPy, a GPU, or this GPU is absent.
    """
    for arg in args:
        if isinstance(arg, Tensor):
            device, dtype = arg.device, arg.dtype
        elif isinstance(arg, type | np.dtype):
            dtype = arg
        else:
            device = checked_device(arg)
    if device is not None and input.device != (device := checked_device(device)):
        input = ToDevice(device)(input)
    if dtype is None or input.dtype == (dtype := numeric("to", dtype)):
        return input
    if dtype.kind == "f":
        return ToDtype(dtype)(input)
    with on_device_of(input.data):
        return Tensor(input.data.astype(dtype))


def device(type: str, index: int | None = None) -> str:
    """Return the full name of a device that can be used, which is a string here: ``device("cuda", 0)`` is "cuda:0"."""
    return checked_device(type if index is None else f"{type}:{whole('device', 'index', index, 0)}")


def _cuda(input: Tensor, device: Any = None) -> Tensor:
    only("cuda", "device", device, None, *([device] if isinstance(device, (int, str)) else []))
    return to(input, device if isinstance(device, str) else "cuda" if device is None else f"cuda:{device}")


install_methods(
    to=to,
    float=lambda x: to(x, np.float32),
    double=lambda x: to(x, np.float64),
    int=lambda x: to(x, np.int32),
    long=lambda x: to(x, np.int64),
    bool=lambda x: to(x, np.bool_),
    type=lambda x, dtype: to(x, dtype=numeric("type", dtype)),
    cpu=lambda x: to(x, "cpu"),
    cuda=_cuda,
)
