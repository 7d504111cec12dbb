"""Comparisons, and how a tensor meets Python and NumPy: as a truth value, an index, a formatted number, an array.

A comparison has no derivative worth having: it is computed on the arrays, and its result needs no gradient.
"""

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minicnn.arguments import axis, shown
from minicnn.autograd import Tensor, as_tensor, install_methods
from minicnn.backend import get_array_module, on_device_of, same_device
from minicnn.ops.arithmetic import operand

__all__ = ["all", "allclose", "any", "equal"]


def _elementwise(symbol: str, function: Callable[[Any, Any], Any], a: Tensor, b: Any) -> Any:
    """Apply a function without a derivative, with broadcasting. Python's own answer for what is not a number."""
    if isinstance(b, (list, tuple)) and symbol not in ("==", "!="):
        raise TypeError(f"{symbol}: the other operand must be a Tensor, an array or a number, got a {type(b).__name__}")
    if not isinstance(b, (Tensor, bool, int, float, np.generic)) and not hasattr(b, "__array__"):
        return NotImplemented
    if isinstance(b, int) and a.dtype.kind in "iu":
        other = b  # NumPy compares integers exactly, also with one that is out of the dtype's range
    else:
        other = operand(symbol, b, a).data
        same_device(symbol, a=a.data, b=other)
    try:
        with on_device_of(a.data):
            return Tensor(get_array_module(a.data).asarray(function(a.data, other)))
    except ValueError as error:
        raise ValueError(f"{symbol}: shapes {a.shape} and {np.shape(other)} do not fit together") from error


def _comparison(symbol: str, function: Callable[[Any, Any], Any]) -> Callable[[Tensor, Any], Any]:
    return lambda x, other: _elementwise(symbol, function, x, other)


def _eq(a: Tensor, other: Any) -> Tensor:
    equal = a == other
    if not isinstance(equal, Tensor):
        raise TypeError(f"eq: other must be a Tensor, an array or a number, got {other!r}")
    return equal


def _logic(symbol: str, function: Callable[[Any, Any], Any]) -> Callable[[Tensor, Any], Any]:
    def method(a: Tensor, b: Any) -> Any:
        for value in (a, b):
            if isinstance(value, float) or getattr(getattr(value, "dtype", None), "kind", "b") not in "iub":
                raise TypeError(f"{symbol}: the operands must hold booleans or integers, got {shown(value)}")
        return _elementwise(symbol, function, a, b)

    return method


def _invert(x: Tensor) -> Tensor:
    if x.dtype.kind == "f":
        raise TypeError(f"~: the tensor must hold booleans or integers, got {x.dtype}")
    with on_device_of(x.data):
        return Tensor(get_array_module(x.data).asarray(~x.data))


def _contains(x: Tensor, value: Any) -> bool:
    equal = x == value
    if not isinstance(equal, Tensor):
        raise TypeError(f"in: a tensor contains numbers, got {value!r}")
    return bool(equal.data.any())


def _iter(x: Tensor) -> Iterator[Tensor]:
    if x.ndim == 0:
        raise TypeError("iteration over a 0-dimensional tensor")
    return (x[i] for i in range(len(x)))


def _bool(x: Tensor) -> bool:
    if x.numel() != 1:
        raise ValueError(f"bool: a tensor of shape {x.shape} is neither true nor false; use x.any() or x.all()")
    return bool(x.item())


def _index(x: Tensor) -> int:
    if x.dtype.kind == "f" or x.numel() != 1:
        raise TypeError(f"index: a tensor must hold one integer, got {x.dtype} of shape {x.shape}")
    return int(x.item())


def _format(x: Tensor, specification: str) -> str:
    if x.ndim == 0:
        return format(x.item(), specification)
    if specification:
        raise TypeError(f"format: {specification!r} formats one number, got a tensor of shape {x.shape}")
    return str(x)


def _array(x: Tensor, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    """Return the numbers to ``np.asarray`` and its like; refuse what would get lost on the way, as PyTorch does."""
    if x.device != "cpu":
        raise TypeError(f"np.asarray: the tensor is on {x.device}; use tensor.numpy(), which copies it to the CPU")
    if x.requires_grad:
        raise RuntimeError(
            "np.asarray: the tensor requires a gradient, which an array cannot carry; use tensor.numpy() or "
            "tensor.detach()"
        )
    return np.array(x.data, dtype, copy=copy)


def _array_function(x: Tensor, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """Let NumPy's functions see arrays: ``np.mean(tensor)`` would call ``tensor.mean(axis=...)``."""
    return function(*_plain(args), **_plain(kwargs))


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return np.asarray(value)
    if type(value) in (list, tuple):
        return type(value)(_plain(part) for part in value)
    if type(value) is dict:
        return {key: _plain(part) for key, part in value.items()}
    return value


def equal(input: Tensor, other: Tensor) -> bool:
    """Return whether two tensors have the same shape and the same numbers."""
    input, other = as_tensor(input), as_tensor(other)
    return input.shape == other.shape and bool((input == other).data.all())


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Return whether all numbers agree: ``|input - other| <= atol + rtol |other|``."""
    return np.allclose(as_tensor(input).numpy(), as_tensor(other).numpy(), rtol, atol, equal_nan)


def all(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Return whether all numbers, or all along a dimension, are true: not zero."""
    return _truth("all", as_tensor(input), dim, keepdim)


def any(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Return whether any number, or any along a dimension, is true: not zero."""
    return _truth("any", as_tensor(input), dim, keepdim)


def _truth(name: str, input: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    along = None if dim is None or input.ndim == 0 else axis(name, "dim", dim, input.ndim)
    with on_device_of(input.data):
        found = getattr(input.data != 0, name)(axis=along, keepdims=keepdim)
        return Tensor(get_array_module(input.data).asarray(found))


install_methods(
    all=all,
    any=any,
    eq=_eq,
    equal=equal,
    allclose=allclose,
    __eq__=_comparison("==", operator.eq),
    __ne__=_comparison("!=", operator.ne),
    __lt__=_comparison("<", operator.lt),
    __le__=_comparison("<=", operator.le),
    __gt__=_comparison(">", operator.gt),
    __ge__=_comparison(">=", operator.ge),
    __and__=_logic("&", operator.and_),
    __rand__=_logic("&", operator.and_),
    __or__=_logic("|", operator.or_),
    __ror__=_logic("|", operator.or_),
    __xor__=_logic("^", operator.xor),
    __rxor__=_logic("^", operator.xor),
    __invert__=_invert,
    __pos__=lambda x: x,
    __contains__=_contains,
    __iter__=_iter,
    __bool__=_bool,
    __index__=_index,
    __format__=_format,
    __array__=_array,
    __array_function__=_array_function,
)
