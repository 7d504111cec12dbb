"""Whether two results are the same, and in words how they differ."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minicnn.autograd import Tensor

__all__ = ["difference", "general_hint", "same", "shown", "value_shown"]

SHOWN_IN_FULL = 48  # arrays of up to so many numbers are shown in full


def same(old: Any, new: Any) -> bool:
    """Return whether an argument is what it was before the call."""
    if isinstance(old, Tensor):
        return isinstance(new, Tensor) and same(old.data, new.data)
    if isinstance(old, np.ndarray):
        return (
            isinstance(new, np.ndarray)
            and (old.shape, old.dtype) == (new.shape, new.dtype)
            and bool(np.array_equal(old, new, equal_nan=old.dtype.kind in "fc"))
        )
    if isinstance(old, list | tuple):
        return len(old) == len(new) and all(map(same, old, new))
    if isinstance(old, dict):
        return old.keys() == new.keys() and all(same(old[key], new[key]) for key in old)
    if isinstance(old, bool | int | float | complex | str | bytes | None):
        return bool(old == new)
    return True  # a random generator may be drawn from


def difference(expected: Any, got: Any, tolerance: float) -> str | None:
    """Return in words how a result differs from the expected one, or None.

    Parameters
    ----------
    expected, got : object
        Arrays, numbers, texts, or tuples of these.
    tolerance : float
        By how much of the largest expected number numbers may differ.
    """
    if got is None and expected is not None:
        return "your function returns None: is there a return?"
    if isinstance(expected, np.ndarray):
        return _array_difference(expected, got, tolerance)
    if isinstance(expected, list | tuple):
        return _sequence_difference(expected, got, tolerance)
    if isinstance(got, np.ndarray) and got.ndim == 0:
        got = got[()]
    if isinstance(expected, bool | np.bool_):
        return None if isinstance(got, bool | np.bool_) and got == expected else _other(expected, got)
    if isinstance(expected, numbers.Integral):
        if isinstance(got, numbers.Integral) and not isinstance(got, bool):
            return None if got == expected else _other(expected, got)
        return f"a whole number is expected, and this is {_a(got)}"
    if isinstance(expected, numbers.Real):
        return _number_difference(float(expected), got, tolerance)
    if type(got) is not type(expected):
        return f"{_a(expected)} is expected, and this is {_a(got)}"
    return None if got == expected else _other(expected, got)


def _array_difference(expected: NDArray[Any], got: Any, tolerance: float) -> str | None:
    if isinstance(got, Tensor):
        return "an array is expected, and this is a Tensor: return its array, tensor.data"
    if not isinstance(got, np.ndarray | np.generic):
        return f"an array of shape {expected.shape} is expected, and this is {_a(got)}"
    got = np.asarray(got)
    if got.shape != expected.shape:
        return f"the shape is {got.shape}, and should be {expected.shape}"
    if got.dtype.kind != expected.dtype.kind or (got.dtype.kind in "fc" and got.dtype != expected.dtype):
        return f"the dtype is {got.dtype}, and should be {expected.dtype}"
    if expected.dtype.kind not in "fc":
        wrong = got != expected
    else:
        with np.errstate(invalid="ignore", over="ignore"):
            equal = (got == expected) | (np.isnan(got) & np.isnan(expected))
            wrong = ~(equal | (np.abs(got - expected) <= _allowed(expected, tolerance)))
    if not wrong.any():
        return None
    if wrong.ndim == 0:
        return f"{_text(got[()])} instead of {_text(expected[()])}"
    first = tuple(map(int, np.argwhere(wrong)[0]))
    where = f"[{', '.join(map(str, first))}]"
    count = f"{int(wrong.sum())} of {wrong.size} numbers are wrong" if wrong.sum() > 1 else "one number is wrong"
    what = "NaN" if expected.dtype.kind == "f" and np.isnan(got[first]) else _text(got[first])
    return f"{count}; at {where} it is {what} instead of {_text(expected[first])}"


def _allowed(expected: NDArray[Any], tolerance: float) -> float:
    finite = np.abs(expected[np.isfinite(expected)])
    return tolerance * (float(finite.max(initial=0.0)) or 1.0)


def _sequence_difference(expected: Any, got: Any, tolerance: float) -> str | None:
    if not isinstance(got, list | tuple | np.ndarray) or (isinstance(got, np.ndarray) and got.ndim == 0):
        return f"{len(expected)} values are expected, and this is {_a(got)}"
    if isinstance(got, np.ndarray) and any(
        isinstance(one, np.ndarray) and one.shape != got.shape[1:] for one in expected
    ):
        return f"{len(expected)} values are expected, and this is {_a(got)}"  # its rows are no values
    if len(got) != len(expected):
        return f"{len(expected)} values are expected, and these are {len(got)}"
    for number, (one, other) in enumerate(zip(expected, got, strict=True), start=1):
        different = difference(one, other, tolerance)
        if different is not None:
            return f"value {number} of {len(expected)}: {different.replace('your function returns None', 'it is None')}"
    return None


def _number_difference(expected: float, got: Any, tolerance: float) -> str | None:
    if isinstance(got, bool | np.bool_) or not isinstance(got, numbers.Real):
        return f"a number is expected, and this is {_a(got)}"
    return _array_difference(np.array(expected), np.array(float(got)), tolerance)


def _other(expected: Any, got: Any) -> str:
    return f"{value_shown(got)} instead of {value_shown(expected)}"


# --- hints for mistakes without a name ------------------------------------------------------------------------


def general_hint(expected: Sequence[Any], got: Sequence[Any], tolerance: float) -> str:
    """Return what the results look like, where they look like something.

    Parameters
    ----------
    expected, got : sequence
        The results that are wrong, one for each case, and what they should be. The first is the one to speak of.
    tolerance : float
        As in :func:`difference`.
    """
    first, other = expected[0], got[0]
    if isinstance(first, tuple) and isinstance(other, list | tuple):
        if any(not isinstance(one, list | tuple) or len(one) != len(first) for one in got):
            return ""
        if _in_another_order(first, other, tolerance):
            return "These are the right values, in another order."
        for number, pair in enumerate(zip(first, other, strict=True)):
            if difference(*pair, tolerance) is not None:
                return general_hint([one[number] for one in expected], [one[number] for one in got], tolerance)
        return ""
    return _kind_hint(first, other) or _proportion_hint(expected, got, tolerance)


def _kind_hint(expected: Any, got: Any) -> str:
    """Return what to do about a result of the wrong kind."""
    if isinstance(expected, np.ndarray) and isinstance(got, list | tuple):
        return "np.array(...) makes an array of a list."
    if (
        isinstance(expected, numbers.Integral)
        and not isinstance(expected, bool)
        and isinstance(got, float | np.floating)
    ):
        return "The number is right, but a float: int(...) makes a whole number of it." if got == expected else ""
    if not isinstance(expected, np.ndarray) or not isinstance(got, np.ndarray | np.generic):
        return ""
    if expected.shape != got.shape:
        turned = expected.ndim > 1 and expected.shape == got.shape[::-1]
        return "Rows and columns are exchanged: should something be transposed?" if turned else ""
    kinds = expected.dtype.kind + got.dtype.kind
    if kinds == "if":
        return "Whole numbers are asked for. If yours are right but floats, .astype(int) makes whole numbers of them."
    if kinds == "fi":
        return "Counting gives whole numbers, and no fraction fits beside them. np.zeros(shape) makes floats."
    if expected.dtype != got.dtype:
        return "np.zeros_like and np.empty_like make an array of the dtype of another."
    if expected.dtype.kind == "f" and np.isfinite(expected).all() and not np.isfinite(got).all():
        return "NaN and inf come from 0 / 0, from inf - inf, or from an exp of something large. Print what goes in."
    return ""


def _proportion_hint(expected: Sequence[Any], got: Sequence[Any], tolerance: float) -> str:
    """Return by what factor or term all numbers are off, if it is the same in all cases.

    A single number is always some factor off. So those of all cases are looked at together.
    """
    if not all(isinstance(one, np.ndarray | np.generic | numbers.Real) for one in (*expected, *got)):
        return ""
    if any(isinstance(one, bool | np.bool_) for one in (*expected, *got)):
        return ""
    pairs = [(_widened(one), _widened(other)) for one, other in zip(expected, got, strict=True)]
    if any(one.shape != other.shape or one.dtype.kind != "f" or other.dtype.kind not in "fi" for one, other in pairs):
        return ""
    if all(one.size == 1 for one, _ in pairs):
        pairs = [(np.array([one.item() for one, _ in pairs]), np.array([float(other.item()) for _, other in pairs]))]
    found = [_proportion(one, other, tolerance) for one, other in pairs]
    return found[0][1] if len({kind for kind, _ in found}) == 1 else ""


def _widened(value: Any) -> NDArray[Any]:
    """Return an array as it is, and a number as a float."""
    return value if isinstance(value, np.ndarray) else np.asarray(value, float)


def _proportion(a: NDArray[Any], b: NDArray[Any], tolerance: float) -> tuple[str, str]:
    """Return what kind of difference it is, and the hint for it."""
    nothing = "", ""
    if a.size < 2 or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return nothing
    allowed = _allowed(a, 10 * tolerance)
    if not (np.abs(b - a) > allowed).any():
        return nothing
    largest = np.unravel_index(np.argmax(np.abs(a)), a.shape)
    if a[largest] and b[largest] != a[largest]:
        factor = float(b[largest] / a[largest])
        if factor and np.all(np.abs(b - factor * a) <= abs(factor) * allowed):
            if abs(factor + 1) < 1e-6:
                return "sign", "The sign is turned around."
            if np.count_nonzero(np.abs(a) > allowed) > 1:  # one alone is always some factor times another
                question = "is a factor missing, or one too many?"
                return "factor", f"Every number is {factor:.4g} times the right one: {question}"
    if np.ptp(b - a) <= allowed:
        return "term", f"Every number is off by the same {float((b - a).flat[0]):.4g}."
    return nothing


def _in_another_order(expected: tuple[Any, ...], got: Sequence[Any], tolerance: float) -> bool:
    if any(isinstance(part, str | bool | np.bool_) for part in expected):
        return False  # of few different words any answer is made
    left = list(got)
    for part in expected:
        at = next((at for at, other in enumerate(left) if difference(part, other, tolerance) is None), None)
        if at is None:
            return False
        del left[at]
    return True


# --- values in words ------------------------------------------------------------------------------------------


def shown(value: Any, indent: int = 0) -> str:
    """Return a value as text: small arrays in full, large ones as their shape."""
    if isinstance(value, Tensor):
        return f"Tensor of {shown(value.data, indent + 10)}"
    if isinstance(value, np.ndarray) and value.ndim:
        if value.size > SHOWN_IN_FULL:
            return f"array of shape {value.shape}, from {_text(value.min())} to {_text(value.max())}"
        largest = np.abs(value[np.isfinite(value)]).max(initial=0) if value.dtype.kind == "f" else 0
        tiny = 0 < largest < 1e-4  # then the small ones are all there is to see
        text = np.array2string(value, precision=5, suppress_small=not tiny, separator=", ", max_line_width=100)
        lines = [line for line in text.splitlines() if line.strip()]  # NumPy parts the layers of a block by empty ones
        return ("\n" + " " * indent).join(lines)
    if isinstance(value, tuple | list):
        inside = ", ".join(shown(one, indent + 1) for one in value)
        return f"({inside})" if isinstance(value, tuple) else f"[{inside}]"
    return _text(value)


def value_shown(value: Any) -> str:
    """Return a value in a few words, for the middle of a sentence."""
    if isinstance(value, np.ndarray) and value.size > 8:
        return f"an array of shape {value.shape}"
    text = " ".join(shown(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _a(value: Any) -> str:
    """Return what kind of thing a value is."""
    if isinstance(value, Tensor):
        return "a Tensor"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if callable(value):
        return "a function"
    if isinstance(value, list | tuple | dict | set):
        return f"a {type(value).__name__} of length {len(value)}"
    if isinstance(value, float | np.floating) and float(value).is_integer() and abs(float(value)) < 1e15:
        return f"the {type(value).__name__} {value:.1f}"  # 4.0, so that it differs from a whole number
    return f"the {type(value).__name__} {value_shown(value)}"


def _text(value: Any) -> str:
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        value = value.item()
    if isinstance(value, float):
        return f"{value:.7g}"
    try:
        text = repr(value)
    except Exception:  # a class of the student's own
        text = f"an object of {type(value).__name__}"
    return text if len(text) <= 200 else f"{text[:197]}..."
