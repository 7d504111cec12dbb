"""Compare two results, and say in words how they differ."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minicnn.autograd import Tensor

__all__ = ["difference", "general_hint", "same", "shown", "value_shown"]

SHOWN_IN_FULL = 48  # larger arrays are shown by their shape and range


def same(old: Any, new: Any) -> bool:
    """Return whether an argument is unchanged by a call."""
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
    return True  # such as a random generator, which changes when it is used


def difference(expected: Any, got: Any, tolerance: float) -> str | None:
    """Return how a result differs from the expected one, in words, or None if it does not.

    Parameters
    ----------
    expected, got : object
        Arrays, numbers, strings, or tuples of these.
    tolerance : float
        The difference allowed between two numbers, relative to the largest expected number.
    """
    if got is None and expected is not None:
        return "your function returns None: is a return missing?"
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
        return f"expected an integer, got {_a(got)}"
    if isinstance(expected, numbers.Real):
        return _number_difference(float(expected), got, tolerance)
    if type(got) is not type(expected):
        return f"expected {_a(expected)}, got {_a(got)}"
    return None if got == expected else _other(expected, got)


def _array_difference(expected: NDArray[Any], got: Any, tolerance: float) -> str | None:
    if isinstance(got, Tensor):
        return "expected an array, got a Tensor: return its array, tensor.data"
    if not isinstance(got, np.ndarray | np.generic):
        return f"expected an array of shape {expected.shape}, got {_a(got)}"
    got = np.asarray(got)
    if got.shape != expected.shape:
        return f"expected shape {expected.shape}, got {got.shape}"
    if got.dtype.kind != expected.dtype.kind or (got.dtype.kind in "fc" and got.dtype != expected.dtype):
        return f"expected dtype {expected.dtype}, got {got.dtype}"
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
        return f"expected {len(expected)} values, got {_a(got)}"
    if isinstance(got, np.ndarray) and any(
        isinstance(one, np.ndarray) and one.shape != got.shape[1:] for one in expected
    ):
        return f"expected {len(expected)} values, got {_a(got)}"  # the rows of an array do not count as values
    if len(got) != len(expected):
        return f"expected {len(expected)} values, got {len(got)}"
    for number, (one, other) in enumerate(zip(expected, got, strict=True), start=1):
        different = difference(one, other, tolerance)
        if different is not None:
            return f"value {number} of {len(expected)}: {different.replace('your function returns None', 'it is None')}"
    return None


def _number_difference(expected: float, got: Any, tolerance: float) -> str | None:
    if isinstance(got, bool | np.bool_) or not isinstance(got, numbers.Real):
        return f"expected a number, got {_a(got)}"
    return _array_difference(np.array(expected), np.array(float(got)), tolerance)


def _other(expected: Any, got: Any) -> str:
    return f"{value_shown(got)} instead of {value_shown(expected)}"


# --- hints for mistakes that are not known by name --------------------------------------------------------------


def general_hint(expected: Sequence[Any], got: Sequence[Any], tolerance: float) -> str:
    """Return a hint about what the wrong results have in common, or an empty string.

    Parameters
    ----------
    expected, got : sequence
        For each case that is wrong, the expected result and the answer's. The hint is about the first.
    tolerance : float
        As in :func:`difference`.
    """
    first, other = expected[0], got[0]
    if isinstance(first, tuple) and isinstance(other, list | tuple):
        if any(not isinstance(one, list | tuple) or len(one) != len(first) for one in got):
            return ""
        if _in_another_order(first, other, tolerance):
            return "The values are right, but in a different order."
        for number, pair in enumerate(zip(first, other, strict=True)):
            if difference(*pair, tolerance) is not None:
                return general_hint([one[number] for one in expected], [one[number] for one in got], tolerance)
        return ""
    return _kind_hint(first, other) or _proportion_hint(expected, got, tolerance)


def _kind_hint(expected: Any, got: Any) -> str:
    """Return a hint about a result of the wrong type, shape or dtype."""
    if isinstance(expected, np.ndarray) and isinstance(got, list | tuple):
        return "np.array(...) converts a list to an array."
    if (
        isinstance(expected, numbers.Integral)
        and not isinstance(expected, bool)
        and isinstance(got, float | np.floating)
    ):
        return "The number is right, but it is a float: int(...) converts it to an integer." if got == expected else ""
    if not isinstance(expected, np.ndarray) or not isinstance(got, np.ndarray | np.generic):
        return ""
    if expected.shape != got.shape:
        turned = expected.ndim > 1 and expected.shape == got.shape[::-1]
        return "Rows and columns are exchanged: is a transpose missing?" if turned else ""
    kinds = expected.dtype.kind + got.dtype.kind
    if kinds == "if":
        return "Integers are expected. If your numbers are right but floats, .astype(int) converts them."
    if kinds == "fi":
        return "An array of integers cannot hold fractions. np.zeros(shape) makes an array of floats."
    if expected.dtype != got.dtype:
        return "np.zeros_like(x) and np.empty_like(x) make an array of the same dtype as x."
    if expected.dtype.kind == "f" and np.isfinite(expected).all() and not np.isfinite(got).all():
        return (
            "NaN and inf come from 0 / 0, from inf - inf, or from exp of a large number. Print the values before them."
        )
    return ""


def _proportion_hint(expected: Sequence[Any], got: Sequence[Any], tolerance: float) -> str:
    """Return the factor or term by which all numbers are off, if it is the same in all cases.

    Two single numbers always differ by some factor. So single numbers are compared over all cases together.
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
    """Return the kind of difference (sign, factor or term) and the hint for it."""
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
                return "sign", "The sign is reversed."
            if np.count_nonzero(np.abs(a) > allowed) > 1:  # two single numbers always differ by some factor
                question = "is a factor missing, or is there one too many?"
                return "factor", f"Every number is {factor:.4g} times the right one: {question}"
    if np.ptp(b - a) <= allowed:
        return "term", f"Every number is off by {float((b - a).flat[0]):.4g}."
    return nothing


def _in_another_order(expected: tuple[Any, ...], got: Sequence[Any], tolerance: float) -> bool:
    if any(isinstance(part, str | bool | np.bool_) for part in expected):
        return False  # a guess among a few words is often right in another order
    left = list(got)
    for part in expected:
        at = next((at for at, other in enumerate(left) if difference(part, other, tolerance) is None), None)
        if at is None:
            return False
        del left[at]
    return True


# --- values as text ------------------------------------------------------------------------------------------


def shown(value: Any, indent: int = 0) -> str:
    """Return a value as text: small arrays in full, large ones by their shape and range."""
    if isinstance(value, Tensor):
        return f"Tensor of {shown(value.data, indent + 10)}"
    if isinstance(value, np.ndarray) and value.ndim:
        if value.size > SHOWN_IN_FULL:
            return f"array of shape {value.shape}, from {_text(value.min())} to {_text(value.max())}"
        largest = np.abs(value[np.isfinite(value)]).max(initial=0) if value.dtype.kind == "f" else 0
        tiny = 0 < largest < 1e-4  # NumPy would show such an array as zeros
        text = np.array2string(value, precision=5, suppress_small=not tiny, separator=", ", max_line_width=100)
        lines = [
            line for line in text.splitlines() if line.strip()
        ]  # NumPy separates the planes of an array by empty lines
        return ("\n" + " " * indent).join(lines)
    if isinstance(value, tuple | list):
        inside = ", ".join(shown(one, indent + 1) for one in value)
        return f"({inside})" if isinstance(value, tuple) else f"[{inside}]"
    return _text(value)


def value_shown(value: Any) -> str:
    """Return a value as short text, for the middle of a sentence."""
    if isinstance(value, np.ndarray) and value.size > 8:
        return f"an array of shape {value.shape}"
    text = " ".join(shown(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _a(value: Any) -> str:
    """Return what a value is, with its article: "an array of shape (3,)"."""
    if isinstance(value, Tensor):
        return "a Tensor"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if callable(value):
        return "a function"
    if isinstance(value, list | tuple | dict | set):
        return f"a {type(value).__name__} of length {len(value)}"
    if isinstance(value, float | np.floating) and float(value).is_integer() and abs(float(value)) < 1e15:
        return f"the {type(value).__name__} {value:.1f}"  # 4.0, so that it differs from an integer
    return f"the {type(value).__name__} {value_shown(value)}"


def _text(value: Any) -> str:
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        value = value.item()
    if isinstance(value, float):
        return f"{value:.7g}"
    try:
        text = repr(value)
    except Exception:  # a class that the student wrote
        text = f"an object of {type(value).__name__}"
    return text if len(text) <= 200 else f"{text[:197]}..."
