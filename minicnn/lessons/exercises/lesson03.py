"""Lesson 03, activation functions."""

import numpy as np
from numpy.typing import NDArray

from minicnn.lessons.exercise import Exercise, Mistake

__all__ = ["EXERCISES"]

Numbers = NDArray[np.float64]

_rng = np.random.default_rng(3)


# --- the backward pass of a ReLU ------------------------------------------------------------------------------


def relu_backward(x: Numbers, grad_y: Numbers) -> Numbers:
    """Return dL/dx."""
    return np.where(x > 0, grad_y, 0.0)


def _writes_zeros_into_the_gradient(x: Numbers, grad_y: Numbers) -> Numbers:
    grad_y[x <= 0] = 0
    return grad_y


relu_back = Exercise(
    lesson=3,
    task="Return dL/dx of a ReLU, from its input x and dL/dy, all of one shape.",
    solution=relu_backward,
    cases=[
        (np.array([-1.0, 2.0, 0.0, 3.0]), np.array([5.0, -6.0, 7.0, 8.0])),
        (_rng.normal(size=(2, 3)).round(2), _rng.normal(size=(2, 3)).round(2)),
        (_rng.normal(size=(2, 3, 4, 4)), _rng.normal(size=(2, 3, 4, 4))),
    ],
    mistakes=[
        Mistake(
            "zeros are written into the incoming gradient",
            "The numbers are right, but grad_y belongs to the caller, and may be used elsewhere. Return a new array.",
            _writes_zeros_into_the_gradient,
        ),
        Mistake(
            "the sign of the gradient decides, not the sign of the input",
            "A negative gradient is as good as a positive one. What decides whether it flows through the ReLU?",
            lambda x, grad_y: np.maximum(0, grad_y),
        ),
        Mistake(
            "the gradient flows through at x = 0",
            "At the corner the slope is a choice, and the lesson says which one. Look at what you return for x = 0.",
            lambda x, grad_y: np.where(x >= 0, grad_y, 0.0),
        ),
        Mistake(
            "only the slope is returned",
            "The slope of the ReLU is right. What does the chain rule do with it and with dL/dy?",
            lambda x, grad_y: (x > 0).astype(float),
        ),
        Mistake(
            "the gradient is multiplied by the output",
            "The chain rule multiplies by the slope. How steep is the ReLU at x = 3: as steep as at x = 1, or three "
            "times as steep?",
            lambda x, grad_y: grad_y * np.maximum(0, x),
        ),
    ],
)


# --- the backward pass of a tanh ------------------------------------------------------------------------------


def tanh_backward(y: Numbers, grad_y: Numbers) -> Numbers:
    """Return dL/dx."""
    return grad_y * (1 - y**2)


def _multiplies_in_place(y: Numbers, grad_y: Numbers) -> Numbers:
    grad_y *= 1 - y**2
    return grad_y


tanh_back = Exercise(
    lesson=3,
    task="Return dL/dx of a tanh, from its output y and dL/dy, all of one shape.",
    solution=tanh_backward,
    cases=[
        (np.array([0.0, 0.5, -0.5, 1.0]), np.array([2.0, 4.0, -4.0, 3.0])),
        (np.tanh(_rng.normal(size=(2, 3))).round(2), _rng.normal(size=(2, 3)).round(2)),
        (np.tanh(_rng.normal(0, 2, size=(2, 3, 4, 4))), _rng.normal(size=(2, 3, 4, 4))),
    ],
    mistakes=[
        Mistake(
            "the tanh is applied a second time",
            "y is the output: the tanh has been applied already. Which formula for the slope uses y?",
            lambda y, grad_y: grad_y * (1 - np.tanh(y) ** 2),
        ),
        Mistake(
            "only the slope is returned",
            "The slope of the tanh is right. What does the chain rule do with it and with dL/dy?",
            lambda y, grad_y: 1 - y**2,
        ),
        Mistake(
            "the square is missing",
            "The curve is symmetric, so the slope at -x is the slope at x. Is that true of your formula?",
            lambda y, grad_y: grad_y * (1 - y),
        ),
        Mistake(
            "it is the slope of the sigmoid",
            "In the middle, where y is 0, tanh is steepest. What does your formula give there?",
            lambda y, grad_y: grad_y * y * (1 - y),
        ),
        Mistake(
            "the incoming gradient is changed",
            "The numbers are right, but *= writes into grad_y, which belongs to the caller. Return a new array.",
            _multiplies_in_place,
        ),
    ],
)


# --- dead units -----------------------------------------------------------------------------------------------


def relu_dead_share(y: Numbers) -> float:
    """Return the share of dead units."""
    return float(np.mean((y == 0).all(axis=0)))


_some_dead = np.maximum(0, _rng.normal(size=(6, 4))).round(2)
_some_dead[:, 2] = 0
_none_dead = np.array([[0.0, 1.0], [2.0, 0.0], [0.0, 0.0]])

dead = Exercise(
    lesson=3,
    task="Return the share of dead units, 0 to 1; y, (N, C), has the outputs of C ReLU units for N images.",
    solution=relu_dead_share,
    cases=[
        (np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 2.0, 0.5], [0.0, 0.0, 0.0]]),),
        (_some_dead,),
        (_none_dead,),
    ],
    mistakes=[
        Mistake(
            "all zeros are counted",
            "A unit that is 0 for one image may be active for another. First find out for each unit whether it is 0 "
            "for all images.",
            lambda y: float(np.mean(y == 0)),
        ),
        Mistake(
            "the wrong axis",
            "You found the images for which every unit is 0. Which axis of y counts the images, and along which "
            "axis must all numbers be 0?",
            lambda y: float(np.mean((y == 0).all(axis=1))),
        ),
        Mistake(
            "one zero counts as dead",
            "You found the units that are 0 for at least one image. Dead units are 0 for every image: any or all?",
            lambda y: float(np.mean((y == 0).any(axis=0))),
        ),
        Mistake(
            "the number of dead units, not the share",
            "A share is between 0 and 1. Divide by the number of units.",
            lambda y: float(np.sum((y == 0).all(axis=0))),
        ),
        Mistake(
            "divided by the number of images",
            "It is the share of the units. Is len(y) the number of units or the number of images?",
            lambda y: float(np.sum((y == 0).all(axis=0)) / len(y)),
        ),
    ],
)


# --- a sigmoid that does not overflow -------------------------------------------------------------------------


def sigmoid_stable(x: Numbers) -> Numbers:
    """Return the sigmoid."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def _as_it_is_written(x: Numbers) -> Numbers:
    return np.asarray(1 / (1 + np.exp(-x)))


def _clipped(x: Numbers) -> Numbers:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))))


sigmoid = Exercise(
    lesson=3,
    task="Return the sigmoid of each number of x, any shape, for any finite float, without overflow.",
    solution=sigmoid_stable,
    cases=[
        (np.array([-1.0, 0.0, 2.0]),),
        (np.array([[-1000.0, 1000.0], [-30.0, 0.5]]),),
        (np.array([-50.0, -60.0]),),
        (np.array([-720.0]),),
    ],
    mistakes=[
        Mistake(
            "the textbook formula, which overflows",
            "For -720 the result is small, but not 0. It is lost because e^720 is inf, and 1 / inf is 0. For negative "
            "x, write the fraction with e^x instead of e^-x.",
            _as_it_is_written,
        ),
        Mistake(
            "the other formula, which overflows for large x",
            "e^x / (1 + e^x) is safe for negative x. For x = 1000 it is inf / inf, NaN: use the other formula there.",
            lambda x: np.exp(x) / (1 + np.exp(x)),
        ),
        Mistake(
            "x is clipped",
            "Clipping x avoids the overflow, but then -50 and -60 give the same result, and they should not.",
            _clipped,
        ),
        Mistake(
            "computed with tanh, or as 1 minus the other side",
            "A number near 1 has 16 digits, so 1 minus it (or 1 plus a tanh near -1) is 0 if the result is smaller "
            "than the last of them. For negative x, find a formula without a subtraction.",
            lambda x: 0.5 * (1 + np.tanh(0.5 * x)),
        ),
        Mistake(
            "the sign of x is lost",
            "Your function gives the same for x and -x. With e^-|x| the fraction 1 / (1 + e^-|x|) is right for "
            "positive x; what is it for negative x?",
            lambda x: 1 / (1 + np.exp(-np.abs(x))),
        ),
    ],
)

EXERCISES = [relu_back, tanh_back, dead, sigmoid]
