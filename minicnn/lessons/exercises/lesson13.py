"""Lesson 13, the bug hunt."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minicnn.lessons.exercise import Exercise, Mistake

__all__ = ["EXERCISES"]

Numbers = NDArray[np.float64]

_rng = np.random.default_rng(13)


# --- the judge ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Formula:
    """A function whose repr is its formula."""

    text: str
    function: Callable[[Numbers], float]

    def __call__(self, x: Numbers) -> float:
        return self.function(x)

    def __repr__(self) -> str:
        return self.text


def hunt_numeric_gradient(f: Callable[[Numbers], float], x: Numbers, h: float) -> Numbers:
    """Return the slopes of f at x."""
    slopes = np.zeros_like(x)
    for place in np.ndindex(*x.shape):
        step = np.zeros_like(x)
        step[place] = h
        slopes[place] = (f(x + step) - f(x - step)) / (2 * h)
    return slopes


def _forward_difference(f: Callable[[Numbers], float], x: Numbers, h: float) -> Numbers:
    slopes = np.zeros_like(x)
    for place in np.ndindex(*x.shape):
        step = np.zeros_like(x)
        step[place] = h
        slopes[place] = (f(x + step) - f(x)) / h
    return slopes


def _backward_difference(f: Callable[[Numbers], float], x: Numbers, h: float) -> Numbers:
    return _forward_difference(f, x, -h)


def _not_put_back(f: Callable[[Numbers], float], x: Numbers, h: float) -> Numbers:
    slopes = np.zeros_like(x)
    for place in np.ndindex(*x.shape):
        x[place] += h
        up = f(x)
        x[place] -= 2 * h
        slopes[place] = (up - f(x)) / (2 * h)
    return slopes


def _one_copy_for_all(f: Callable[[Numbers], float], x: Numbers, h: float) -> Numbers:
    slopes = np.zeros_like(x)
    up, down = x.copy(), x.copy()
    for place in np.ndindex(*x.shape):
        up[place] += h
        down[place] -= h
        slopes[place] = (f(up) - f(down)) / (2 * h)
    return slopes


def _along_the_first_axis(f: Callable[[Numbers], float], x: Numbers, h: float) -> Numbers:
    slopes = np.zeros_like(x)
    for i in range(len(x)):
        step = np.zeros_like(x)
        step[i] = h
        slopes[i] = (f(x + step) - f(x - step)) / (2 * h)
    return slopes


numeric = Exercise(
    lesson=13,
    task="Return the central difference of f with the step h for each number of x, as an array of x's shape.",
    solution=hunt_numeric_gradient,
    # numbers and steps with few binary digits, so that x + h - h is exactly x
    cases=[
        (Formula("x -> sum of x**3", lambda x: float(np.sum(x**3))), np.array([1.0, -2.0, 0.5]), 0.125),
        (Formula("x -> product of x", lambda x: float(np.prod(x))), np.array([2.0, 3.0, -1.0]), 0.0625),
        (
            Formula("x -> sum of exp(x) * x[0, 0]", lambda x: float(np.sum(np.exp(x)) * x[0, 0])),
            (8 * _rng.normal(size=(2, 3))).round() / 8,
            0.25,
        ),
    ],
    mistakes=[
        Mistake(
            "the difference is one-sided",
            "A central difference steps to both sides: f(x + h) and f(x - h).",
            _forward_difference,
            [_backward_difference],
        ),
        Mistake(
            "divided by h instead of 2 h",
            "How far apart are x + h and x - h?",
            lambda f, x, h: 2 * hunt_numeric_gradient(f, x, h),
        ),
        Mistake(
            "all numbers are changed at once",
            "x + h changes every number of the array. To see the effect of one of them, keep the others constant.",
            lambda f, x, h: (f(x + h) - f(x - h)) / (2 * h),
        ),
        Mistake(
            "x is not restored",
            "A number that was changed stays changed, so the next slope is measured at another point. Start from x "
            "itself for each number.",
            _not_put_back,
            [_one_copy_for_all],
        ),
        Mistake(
            "whole rows are changed",
            "x[i] of a two-dimensional array is a row. np.ndindex(*x.shape) gives single places.",
            _along_the_first_axis,
        ),
    ],
)


# --- the softmax ----------------------------------------------------------------------------------------------


def hunt_softmax_backward(y: Numbers, grad_y: Numbers) -> Numbers:
    """Return dL/ds."""
    return np.asarray(y * (grad_y - (grad_y * y).sum(axis=1, keepdims=True)))


def _softmax(s: Numbers) -> Numbers:
    e = np.exp(s)
    return np.asarray(e / e.sum(axis=1, keepdims=True))


softmax = Exercise(
    lesson=13,
    task="Return dL/ds, shape (N, C), from the probabilities y and dL/dy.",
    solution=hunt_softmax_backward,
    cases=[
        (np.array([[0.5, 0.25, 0.25]]), np.array([[4.0, 0.0, -8.0]])),
        (_softmax(_rng.normal(size=(3, 4))).round(3), _rng.normal(size=(3, 4)).round(2)),
    ],
    mistakes=[
        Mistake(
            "it is still as in the museum",
            "If one score rises, the other probabilities fall. Where is that in the formula?",
            lambda y, grad_y: grad_y * y * (1 - y),
        ),
        Mistake(
            "the sum runs over the whole batch",
            "The images of a batch do not influence each other: each row needs its own sum.",
            lambda y, grad_y: y * (grad_y - (grad_y * y).sum()),
            [lambda y, grad_y: y * (grad_y - (grad_y * y).sum(axis=0))],
        ),
        Mistake(
            "the gradients are summed without the probabilities",
            "The derivative of p_j with respect to s_i is -p_i p_j, and the chain rule multiplies it by grad_y[j]. So "
            "which product is summed over j?",
            lambda y, grad_y: y * (grad_y - grad_y.sum(axis=1, keepdims=True)),
        ),
        Mistake(
            "the sum is added instead of subtracted",
            "A score that rises lowers the other probabilities. Which sign does that have?",
            lambda y, grad_y: y * (grad_y + (grad_y * y).sum(axis=1, keepdims=True)),
        ),
        Mistake(
            "the factor in front is missing",
            "All derivatives with respect to s_i have the factor p_i in common: where is it?",
            lambda y, grad_y: grad_y - (grad_y * y).sum(axis=1, keepdims=True),
        ),
    ],
)


# --- the max pool ---------------------------------------------------------------------------------------------


def hunt_max_pool_backward(x: Numbers, grad_y: Numbers, size: int, stride: int) -> Numbers:
    """Return dL/dx."""
    grad_x = np.zeros_like(x)
    for o in range(len(grad_y)):
        window = x[o * stride : o * stride + size]
        grad_x[o * stride + window.argmax()] += grad_y[o]
    return grad_x


def _as_in_the_museum(x: Numbers, grad_y: Numbers, size: int, stride: int) -> Numbers:
    grad_x = np.zeros_like(x)
    for o in range(len(grad_y)):
        window = x[o * stride : o * stride + size]
        grad_x[o * stride : o * stride + size][window == window.max()] = grad_y[o]
    return grad_x


def _feeds_all_ties(x: Numbers, grad_y: Numbers, size: int, stride: int) -> Numbers:
    grad_x = np.zeros_like(x)
    for o in range(len(grad_y)):
        window = x[o * stride : o * stride + size]
        grad_x[o * stride : o * stride + size][window == window.max()] += grad_y[o]
    return grad_x


def _overwrites(x: Numbers, grad_y: Numbers, size: int, stride: int) -> Numbers:
    grad_x = np.zeros_like(x)
    for o in range(len(grad_y)):
        window = x[o * stride : o * stride + size]
        grad_x[o * stride + window.argmax()] = grad_y[o]
    return grad_x


def _place_within_the_window(x: Numbers, grad_y: Numbers, size: int, stride: int) -> Numbers:
    grad_x = np.zeros_like(x)
    for o in range(len(grad_y)):
        grad_x[x[o * stride : o * stride + size].argmax()] += grad_y[o]
    return grad_x


def _shared_among_ties(x: Numbers, grad_y: Numbers, size: int, stride: int) -> Numbers:
    grad_x = np.zeros_like(x)
    for o in range(len(grad_y)):
        window = x[o * stride : o * stride + size]
        largest = window == window.max()
        grad_x[o * stride : o * stride + size][largest] += grad_y[o] / largest.sum()
    return grad_x


pool = Exercise(
    lesson=13,
    task="Return dL/dx, shape (W,), of a max pool over windows of a row: the first maximum gets the gradient.",
    solution=hunt_max_pool_backward,
    cases=[
        (np.array([1.0, 0.0, 5.0, 2.0, 2.0, 2.0, 0.0]), np.array([1.0, 10.0, 100.0]), 3, 2),
        (np.array([0.0, 0.0, 0.0, -1.0, 3.0]), np.array([1.5, -2.0, 0.5]), 3, 1),
        (np.array([4.0, 1.0, 2.0, 2.0]), np.array([-1.0, 3.0]), 2, 2),
    ],
    mistakes=[
        Mistake(
            "it is still as in the museum",
            "Two things to look at: what if a pixel is the largest of two windows, and what if a window has two "
            "largest pixels?",
            _as_in_the_museum,
        ),
        Mistake(
            "all of several maxima get the gradient",
            "The overlap is right now. But a window of zeros passes on its gradient several times: which single pixel "
            "should get it?",
            _feeds_all_ties,
        ),
        Mistake(
            "a pixel that is the maximum of two windows gets only the last gradient",
            "The ties are right now. But two windows may have the same pixel as their largest. What must happen to "
            "their gradients?",
            _overwrites,
        ),
        Mistake(
            "the index in the window is used as the index in the row",
            "window.argmax() counts from the start of the window. Where in the row does window o start?",
            _place_within_the_window,
        ),
        Mistake(
            "several maxima share the gradient",
            "That would be a fair rule, but it is not the rule of lesson 04: the first gets all.",
            _shared_among_ties,
        ),
    ],
)


# --- the judges -----------------------------------------------------------------------------------------------

WORDS = ("gradcheck", "reference", "nothing")
VERDICTS = ("gradcheck", "reference", "nothing", "gradcheck", "reference")


def hunt_judges() -> tuple[str, ...]:
    """Return which check finds each of the five."""
    return VERDICTS


def _which_are_right(answer: Any) -> tuple[str, ...]:
    """Return which are right, without the right words."""
    if not isinstance(answer, tuple | list) or len(answer) != 5:
        raise ValueError("expected a tuple of five words")
    for word in answer:
        if word not in WORDS:
            raise ValueError(f"each word must be one of {WORDS}")
    return tuple("right" if one == other else "wrong" for one, other in zip(answer, VERDICTS, strict=True))


def _with(number: int, word: str) -> Callable[[], tuple[str, ...]]:
    return lambda: (*VERDICTS[: number - 1], word, *VERDICTS[number:])


judges = Exercise(
    lesson=13,
    task='Return five words, each "gradcheck", "reference" or "nothing": which check finds each of the five suspects.',
    solution=hunt_judges,
    cases=[()],
    measure=_which_are_right,
    mistakes=[
        Mistake(
            "number 1 is misjudged",
            "The forward is right. If a pixel rises by 1, the average rises by 1/9. What does the backward say?",
            _with(1, "reference"),
        ),
        Mistake(
            "number 2 is misjudged",
            "Its gradient matches its forward. But does the forward compute the paper's formula?",
            _with(2, "gradcheck"),
        ),
        Mistake(
            "number 3 is misjudged",
            "In how many windows of 2x2 with stride 2 can one pixel be?",
            _with(3, "gradcheck"),
        ),
        Mistake(
            "number 4 is misjudged",
            "The forward is right. Seeded before each forward, it always drops the same units. Do the same units get "
            "no gradient?",
            _with(4, "nothing"),
        ),
        Mistake(
            "number 5 is misjudged",
            "Forward and backward match. Would another library's convolution give the same output?",
            _with(5, "gradcheck"),
        ),
    ],
)

EXERCISES = [numeric, softmax, pool, judges]
