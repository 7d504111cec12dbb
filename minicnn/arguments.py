"""Checks of arguments, all in one idiom: "<function>: <argument> must be <what is accepted>, got <value>"."""

import math
import numbers
from collections.abc import Collection
from typing import Any

import numpy as np

__all__ = [
    "axis",
    "floating",
    "image",
    "image_shape",
    "not_negative",
    "number",
    "numeric",
    "one_of",
    "only",
    "pair",
    "probability",
    "same_dtype",
    "shown",
    "switch",
    "whole",
    "writeable",
]


def shown(value: Any) -> str:
    """Return a value as an error shows it: of an array or a tensor the shape, not all its numbers."""
    shape = getattr(value, "shape", ())
    return f"a {type(value).__name__} of shape {shape}" if shape else repr(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def whole(function: str, name: str, value: Any, minimum: int | None = None) -> int:
    """Return `value` as an int, of at least `minimum` if there is one."""
    if not _is_whole(value):
        raise TypeError(f"{function}: {name} must be an integer, got {shown(value)}")
    if minimum is not None and value < minimum:
        raise ValueError(f"{function}: {name} must be at least {minimum}, got {value}")
    return int(value)


def pair(function: str, name: str, value: Any, minimum: int) -> tuple[int, int]:
    """Return an int or a pair of ints as a pair (height, width), each of at least `minimum`."""
    values = (value, value) if _is_whole(value) else value
    if not isinstance(values, (tuple, list)) or len(values) != 2 or not all(map(_is_whole, values)):
        raise TypeError(f"{function}: {name} must be an integer or a pair of integers, got {shown(value)}")
    if min(values) < minimum:
        raise ValueError(f"{function}: {name} must be at least {minimum}, got {shown(value)}")
    return int(values[0]), int(values[1])


def number(function: str, name: str, value: Any) -> float:
    """Return a real number as a Python float."""
    if isinstance(value, bool) or not isinstance(value, (numbers.Real, np.floating, np.integer)):
        raise TypeError(f"{function}: {name} must be a number, got {shown(value)}")
    return float(value)


def numeric(function: str, dtype: Any) -> Any:
    """Return a dtype that tensors can have."""
    found = np.dtype(dtype)
    if found.kind not in "fiub" or (found.kind == "f" and found.itemsize not in (4, 8)):
        raise TypeError(f"{function}: dtype must be float32, float64, an integer or bool, got {found}")
    return found


def switch(function: str, name: str, value: Any) -> bool:
    """Return True or False, and refuse anything else."""
    if not isinstance(value, bool):
        raise TypeError(f"{function}: {name} must be True or False, got {shown(value)}")
    return value


def one_of(function: str, name: str, value: Any, accepted: Collection[Any]) -> Any:
    """Return `value` if it is one of the accepted ones."""
    if value not in list(accepted):
        raise ValueError(f"{function}: {name} must be one of {', '.join(map(str, accepted))}; got {shown(value)}")
    return value


def not_negative(function: str, name: str, value: Any) -> float:
    """Return a finite number of 0 or more as a float."""
    converted = number(function, name, value)
    if not (0 <= converted < math.inf):
        raise ValueError(f"{function}: {name} must be 0 or more, and finite, got {value}")
    return converted


def probability(function: str, name: str, value: Any) -> float:
    """Return a number between 0 and 1 as a float."""
    found = number(function, name, value)
    if not 0 <= found <= 1:
        raise ValueError(f"{function}: {name} must lie between 0 and 1, got {found}")
    return found


def floating(function: str, name: str, array: Any) -> None:
    """Refuse arrays that are neither float32 nor float64."""
    if array.dtype.kind != "f":
        raise TypeError(f"{function}: {name} must be float32 or float64, got {array.dtype}")


def same_dtype(function: str, **arrays: Any) -> None:
    """Refuse arrays of different precision: which of the two was meant cannot be guessed."""
    present = {name: array for name, array in arrays.items() if array is not None}
    first, *others = present.items()
    floating(function, *first)
    for name, array in others:
        if array.dtype != first[1].dtype:
            raise TypeError(f"{function}: {name} must be {first[1].dtype}, as {first[0]} is, got {array.dtype}")


def image(function: str, array: Any) -> None:
    """Refuse anything but floating-point images in a batch: (N, C, H, W)."""
    floating(function, "input", array)
    image_shape(function, array.shape)


def image_shape(function: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of images in a batch, (N, C, H, W), refusing any other."""
    if len(shape) != 4:
        hint = "; add a batch dimension with reshape(1, C, H, W)" if len(shape) == 3 else ""
        raise ValueError(f"{function}: input must have shape (N, C, H, W), got {shape}{hint}")
    if 0 in shape[2:]:
        raise ValueError(f"{function}: input must have at least one pixel, H and W of 1 or more, got {shape}")
    return shape


def only(function: str, name: str, value: Any, *accepted: Any) -> None:
    """Refuse every value but these, of an argument that is there because PyTorch has it."""
    if not any(type(value) is type(choice) and value == choice for choice in accepted):
        raise NotImplementedError(f"{function}: {name} must be {' or '.join(map(repr, accepted))}, got {shown(value)}")


def writeable(function: str, name: str, array: Any) -> None:
    """Refuse an array of NumPy's that is read-only, before anything is written into it."""
    if isinstance(array, np.ndarray) and not array.flags.writeable:
        raise ValueError(f"{function}: {name} must be writeable, got a read-only array of shape {array.shape}")


def axis(function: str, name: str, value: Any, ndim: int) -> int:
    """Return the number of a dimension, counted from the front."""
    if not _is_whole(value):
        raise TypeError(f"{function}: {name} must be an integer, got {shown(value)}")
    # a 0-d array counts as having one dimension, as in PyTorch
    size = max(1, ndim)
    if not -size <= value < size:
        raise ValueError(f"{function}: {name} must lie between {-size} and {size - 1}, got {value}")
    return int(value) % size
