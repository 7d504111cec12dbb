"""Lesson 04, pooling."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from minicnn.lessons.exercise import Exercise, Mistake

__all__ = ["EXERCISES"]

Numbers = NDArray[np.float64]

_rng = np.random.default_rng(4)
SMALL = np.array([[1.0, 5.0, 2.0, 0.0], [3.0, 4.0, 7.0, 1.0], [6.0, 2.0, 3.0, 8.0], [-1.0, 0.0, 9.0, 2.0]])
BELOW_ZERO = _rng.normal(-2.0, 1.0, size=(6, 7)).round(1)
TIED = np.array(
    [
        [0.0, 0.0, 0.0, 2.0, 1.0],
        [0.0, 0.0, 0.0, 1.0, 2.0],
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [3.0, 0.0, 1.0, 1.0, 0.0],
        [0.0, 3.0, 1.0, 0.0, 1.0],
    ]
)


# --- how many windows -----------------------------------------------------------------------------------------


def pool_output_size(size: int, kernel: int, stride: int, padding: int, ceil_mode: bool) -> int:
    """Return the number of windows along one side."""
    steps, rest = divmod(size + 2 * padding - kernel, stride)
    if ceil_mode and rest and (steps + 1) * stride < size + padding:
        steps += 1
    return steps + 1


def _rounded(size: int, kernel: int, stride: int, padding: int, ceil_mode: bool) -> int:
    exact = (size + 2 * padding - kernel) / stride + 1
    return math.ceil(exact) if ceil_mode else math.floor(exact)


def _kept_before(end: int, windows: int, stride: int) -> int:
    """Return the number of windows, without a last window that starts at `end` or later."""
    return windows - ((windows - 1) * stride >= end)


output_size = Exercise(
    lesson=4,
    task="Return the number of windows along one side, rounded down or up (ceil_mode).",
    solution=pool_output_size,
    cases=[
        (6, 3, 2, 0, False),
        (6, 3, 2, 0, True),
        (55, 3, 2, 0, True),
        (5, 2, 3, 1, True),
        (7, 2, 4, 0, True),
        (8, 3, 2, 1, False),
        (8, 3, 2, 1, True),
        (9, 9, 4, 0, False),
        (7, 3, 2, 1, False),
        (10, 5, 2, 0, True),
    ],
    mistakes=[
        Mistake(
            "ceil_mode makes no difference",
            "With ceil_mode the last window may extend beyond the edge, so that no pixel is left out.",
            lambda size, kernel, stride, padding, ceil_mode: (size + 2 * padding - kernel) // stride + 1,
        ),
        Mistake(
            "a window that starts too late is counted",
            "Rounding up may give a window that starts after the last pixel. Where does your last window start, and "
            "where is the last pixel?",
            _rounded,
        ),
        Mistake(
            "padding at one end only",
            "By how much does the row grow if padding is added at both ends?",
            lambda size, kernel, stride, padding, ceil_mode: pool_output_size(
                size + padding, kernel, stride, 0, ceil_mode
            ),
        ),
        Mistake(
            "the first window is forgotten",
            "(size + 2 padding - kernel) / stride is the number of steps of the window. How many windows are that?",
            lambda size, kernel, stride, padding, ceil_mode: (
                pool_output_size(size, kernel, stride, padding, ceil_mode) - 1
            ),
        ),
        Mistake(
            "round() instead of up or down",
            "round() rounds to the nearest integer, and 2.5 to the even one. math.floor rounds down, math.ceil up.",
            lambda size, kernel, stride, padding, ceil_mode: round((size + 2 * padding - kernel) / stride + 1),
        ),
        Mistake(
            "the padding before the first pixel is not counted",
            "The last window starts (windows - 1) stride places after the start of the left padding. Counted from "
            "there, where is the last pixel?",
            lambda size, kernel, stride, padding, ceil_mode: _kept_before(
                size, _rounded(size, kernel, stride, padding, ceil_mode), stride
            ),
        ),
        Mistake(
            "a window that starts just after the last pixel is counted",
            "Counted from the start of the left padding, the last pixel has the number size + padding - 1. May a "
            "window start at size + padding?",
            lambda size, kernel, stride, padding, ceil_mode: _kept_before(
                size + padding + 1, _rounded(size, kernel, stride, padding, ceil_mode), stride
            ),
        ),
    ],
)


# --- forward --------------------------------------------------------------------------------------------------


def max_pool_forward(x: Numbers, kernel: int, stride: int) -> Numbers:
    """Return the largest number of each window."""
    return _pooled(x, kernel, stride, np.max)


def _pooled(
    x: Numbers,
    kernel: int,
    stride: int,
    kept: Callable[[Numbers], float],
    step: int | None = None,
    rounded: Callable[[float], int] = math.floor,
) -> Numbers:
    """Return one number for each window; the windows move by `step`, which should be the stride."""
    step = stride if step is None else step
    OH, OW = (rounded((length - kernel) / stride) + 1 for length in x.shape)
    y = np.empty((OH, OW))
    for oh, ow in np.ndindex(OH, OW):
        y[oh, ow] = kept(x[oh * step : oh * step + kernel, ow * step : ow * step + kernel])
    return y


pool_forward = Exercise(
    lesson=4,
    task="Return the largest number of each kernel x kernel window of a map x, shape (H, W).",
    solution=max_pool_forward,
    cases=[(SMALL, 2, 2), (SMALL, 3, 1), (BELOW_ZERO, 3, 2), (BELOW_ZERO, 2, 3)],
    mistakes=[
        Mistake(
            "the windows move by one",
            "Where does the window of output (1, 0) start if the stride is 2?",
            lambda x, kernel, stride: _pooled(x, kernel, stride, np.max, step=1),
        ),
        Mistake(
            "the search starts at zero",
            "If all numbers of a window are negative, the largest is negative too. Which number must the search start "
            "from?",
            lambda x, kernel, stride: _pooled(x, kernel, stride, lambda window: max(0.0, float(window.max()))),
        ),
        Mistake(
            "the average of each window",
            "An average pool takes the mean. Here the largest number is wanted.",
            lambda x, kernel, stride: _pooled(x, kernel, stride, lambda window: float(window.mean())),
        ),
        Mistake(
            "the window ends one number too early",
            "x[first:last] stops before last. How many numbers are there in x[0:kernel]?",
            lambda x, kernel, stride: _pooled(x, kernel, stride, lambda window: float(window[:-1, :-1].max())),
        ),
        Mistake(
            "the number of windows is rounded up",
            "Only complete windows count here: a window that extends beyond the edge is left out.",
            lambda x, kernel, stride: _pooled(x, kernel, stride, np.max, rounded=math.ceil),
        ),
    ],
)


# --- backward -------------------------------------------------------------------------------------------------


def max_pool_backward(x: Numbers, grad_y: Numbers, kernel: int, stride: int) -> Numbers:
    """Return dL/dx."""
    grad_x = np.zeros_like(x)
    for oh, ow in np.ndindex(grad_y.shape):
        top, left = oh * stride, ow * stride
        row, column = _first(x[top : top + kernel, left : left + kernel])
        grad_x[top + row, left + column] += grad_y[oh, ow]
    return grad_x


def _first(window: Numbers) -> tuple[int, int]:
    row, column = np.unravel_index(window.argmax(), window.shape)
    return int(row), int(column)


def _all_ties(x: Numbers, grad_y: Numbers, kernel: int, stride: int) -> Numbers:
    grad_x = np.zeros_like(x)
    for oh, ow in np.ndindex(grad_y.shape):
        place = slice(oh * stride, oh * stride + kernel), slice(ow * stride, ow * stride + kernel)
        grad_x[place] += grad_y[oh, ow] * (x[place] == x[place].max())
    return grad_x


def _last_tie(x: Numbers, grad_y: Numbers, kernel: int, stride: int) -> Numbers:
    grad_x = np.zeros_like(x)
    for oh, ow in np.ndindex(grad_y.shape):
        top, left = oh * stride, ow * stride
        row, column = _first(x[top : top + kernel, left : left + kernel][::-1, ::-1])
        grad_x[top + kernel - 1 - row, left + kernel - 1 - column] += grad_y[oh, ow]
    return grad_x


def _overwrites(x: Numbers, grad_y: Numbers, kernel: int, stride: int) -> Numbers:
    grad_x = np.zeros_like(x)
    for oh, ow in np.ndindex(grad_y.shape):
        top, left = oh * stride, ow * stride
        row, column = _first(x[top : top + kernel, left : left + kernel])
        grad_x[top + row, left + column] = grad_y[oh, ow]
    return grad_x


def _in_the_corner(x: Numbers, grad_y: Numbers, kernel: int, stride: int) -> Numbers:
    grad_x = np.zeros_like(x)
    for oh, ow in np.ndindex(grad_y.shape):
        top, left = oh * stride, ow * stride
        grad_x[_first(x[top : top + kernel, left : left + kernel])] += grad_y[oh, ow]
    return grad_x


def _to_everyone(x: Numbers, grad_y: Numbers, kernel: int, stride: int) -> Numbers:
    grad_x = np.zeros_like(x)
    for oh, ow in np.ndindex(grad_y.shape):
        top, left = oh * stride, ow * stride
        grad_x[top : top + kernel, left : left + kernel] += grad_y[oh, ow] / kernel**2
    return grad_x


pool_backward = Exercise(
    lesson=4,
    task="Return dL/dx, shape (H, W), of a max pool, from x and grad_y = dL/dy, shape (OH, OW).",
    solution=max_pool_backward,
    cases=[
        (SMALL, np.array([[1.0, 2.0], [3.0, 4.0]]), 2, 2),
        (TIED, np.array([[1.0, 10.0], [100.0, 1000.0]]), 3, 2),
        (SMALL, np.array([[1.0, 10.0], [100.0, 1000.0]]), 3, 1),
        (BELOW_ZERO, _rng.normal(size=(2, 3)).round(2), 3, 2),
    ],
    mistakes=[
        Mistake(
            "all of several maxima get the gradient",
            "Nine equal numbers would pass on nine times the incoming gradient. Only the first should get it; argmax "
            "finds that one.",
            _all_ties,
        ),
        Mistake(
            "the last of several maxima gets the gradient",
            "With >= a later number replaces an equal one before it; with > it does not.",
            _last_tie,
        ),
        Mistake(
            "of several windows only the last counts",
            "Where windows overlap, one number may be the maximum of several. What happens to the gradient of the "
            "first window if the second overwrites it?",
            _overwrites,
        ),
        Mistake(
            "the index in the window is used as the index in the map",
            "argmax counts from the corner of the window. Where in x is that corner?",
            _in_the_corner,
        ),
        Mistake(
            "all numbers share the gradient",
            "This is the backward pass of an average pool. Does the maximum change if a number changes that is not "
            "the largest?",
            _to_everyone,
        ),
    ],
)

EXERCISES = [output_size, pool_forward, pool_backward]
