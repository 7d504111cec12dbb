"""Lesson 05, local response normalisation."""

import numpy as np
from numpy.typing import NDArray

from minicnn.lessons.exercise import Exercise, Mistake

__all__ = ["EXERCISES"]

Numbers = NDArray[np.float64]

_rng = np.random.default_rng(5)
EIGHT = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])  # the article's first position
SEVEN, GRADIENT = _rng.normal(size=(2, 7)).round(2)


# --- the window -----------------------------------------------------------------------------------------------


def lrn_window(i: int, n: int, C: int) -> tuple[int, int]:
    """Return the first and the last channel of the window."""
    return max(0, i - n // 2), min(C - 1, i + n // 2)


window = Exercise(
    lesson=5,
    task="Return the first and the last channel of the window of n channels around channel i, of C in all.",
    solution=lrn_window,
    cases=[(3, 5, 8), (0, 5, 8), (7, 5, 8), (1, 5, 8), (4, 9, 6), (2, 3, 96)],
    mistakes=[
        Mistake(
            "the window is not cut off at the ends",
            "There is no channel -1, and none with the number C. Which channel does the window start with, if it "
            "would start below 0?",
            lambda i, n, C: (i - n // 2, i + n // 2),
        ),
        Mistake(
            "the last channel has the number C",
            "Channels are counted from 0. Of eight channels, which number does the last one have?",
            lambda i, n, C: (max(0, i - n // 2), min(C, i + n // 2)),
        ),
        Mistake(
            "the end is one too far, as in a slice",
            "A slice stops before its end, but this function should return the last channel itself.",
            lambda i, n, C: (max(0, i - n // 2), min(C, i + n // 2 + 1)),
        ),
        Mistake(
            "n channels on each side",
            "n channels is the whole window. How many of them are on one side of the middle?",
            lambda i, n, C: (max(0, i - n), min(C - 1, i + n)),
        ),
        Mistake(
            "n / 2 is not rounded",
            "Channel numbers are integers. Which operator divides and rounds down?",
            lambda i, n, C: (max(0, i - n / 2), min(C - 1, i + n / 2)),
        ),
        Mistake(
            "the window is cut off at its lower end only",
            "The last of C channels has the number C - 1. Where must a window end that would extend beyond it?",
            lambda i, n, C: (max(0, i - n // 2), i + n // 2),
        ),
    ],
)


# --- forward --------------------------------------------------------------------------------------------------


def _denominators(a: Numbers, n: int, k: float, alpha: float) -> Numbers:
    return np.array([k + alpha * np.sum(a[max(0, i - n // 2) : i + n // 2 + 1] ** 2) for i in range(len(a))])


def lrn_forward(a: Numbers, n: int, k: float, alpha: float, beta: float) -> Numbers:
    """Return the normalised channels."""
    return a / _denominators(a, n, k, alpha) ** beta


def _slice_without_its_end(a: Numbers, n: int, k: float, alpha: float, beta: float) -> Numbers:
    b = np.empty_like(a)
    for i in range(len(a)):
        first, last = max(0, i - n // 2), min(len(a) - 1, i + n // 2)
        b[i] = a[i] / (k + alpha * np.sum(a[first:last] ** 2)) ** beta
    return b


def _begins_below_zero(a: Numbers, n: int, k: float, alpha: float, beta: float) -> Numbers:
    return a / np.array([k + alpha * np.sum(a[i - n // 2 : i + n // 2 + 1] ** 2) for i in range(len(a))]) ** beta


def _square_of_the_sum(a: Numbers, n: int, k: float, alpha: float, beta: float) -> Numbers:
    sums = _window_sums(a, n)
    return a / (k + alpha * sums**2) ** beta


def _mean_of_the_squares(a: Numbers, n: int, k: float, alpha: float, beta: float) -> Numbers:
    means = _window_sums(a**2, n) / _window_sums(np.ones_like(a), n)
    return a / (k + alpha * means) ** beta


def _writes_into_its_input(a: Numbers, n: int, k: float, alpha: float, beta: float) -> Numbers:
    for i in range(len(a)):
        a[i] /= (k + alpha * np.sum(a[max(0, i - n // 2) : i + n // 2 + 1] ** 2)) ** beta
    return a


forward = Exercise(
    lesson=5,
    task="Return the channels of a, shape (C,), normalised as in section 3.3 of the paper.",
    solution=lrn_forward,
    cases=[
        (EIGHT, 5, 0.0, 1.0, 1.0),
        (EIGHT, 5, 2.0, 1e-4, 0.75),
        (SEVEN, 3, 1.0, 0.5, 0.75),
        (SEVEN[:2], 5, 2.0, 1.0, 0.75),
    ],
    mistakes=[
        Mistake(
            "the window ends one channel too early",
            "a[first:last] stops before last. The last channel of the window belongs to the sum.",
            _slice_without_its_end,
        ),
        Mistake(
            "the window begins below channel 0",
            "A slice that starts at -2 starts at the second channel from the end. Where must the window of channel 0 "
            "start?",
            _begins_below_zero,
        ),
        Mistake(
            "alpha is divided by n",
            "PyTorch and Caffe divide alpha by the size of the window. The paper's formula does not.",
            lambda a, n, k, alpha, beta: lrn_forward(a, n, k, alpha / n, beta),
        ),
        Mistake(
            "only the sum is raised to the power beta",
            "D is the whole k + alpha * sum. The power applies to D: where do the brackets end?",
            lambda a, n, k, alpha, beta: a / (k + (_denominators(a, n, 0.0, alpha)) ** beta),
        ),
        Mistake(
            "the results are written into the input",
            "Once a[0] is overwritten, the windows of channels 1 and 2 are computed from the wrong number. And a "
            "belongs to the caller: put the results into a new array.",
            _writes_into_its_input,
        ),
        Mistake(
            "the sum is squared, not the numbers",
            "The formula adds up squares: 1 + 4 + 9 for the tutorial's first channel, not (1 + 2 + 3) squared.",
            _square_of_the_sum,
        ),
        Mistake(
            "the power beta is missing",
            "The tutorial's beta is 1, so its numbers are right without it. D must be raised to the power beta.",
            lambda a, n, k, alpha, beta: lrn_forward(a, n, k, alpha, 1.0),
        ),
        Mistake(
            "the mean of the squares instead of their sum",
            "A window that is cut off has fewer squares, and nothing compensates for that: np.sum, not np.mean.",
            _mean_of_the_squares,
        ),
    ],
)


# --- backward -------------------------------------------------------------------------------------------------


def lrn_backward(a: Numbers, grad_b: Numbers, n: int, k: float, alpha: float, beta: float) -> Numbers:
    """Return dL/da."""
    D = _denominators(a, n, k, alpha)
    shares = grad_b * a * D ** (-beta - 1)  # g_i b_i / D_i
    return grad_b / D**beta - 2 * alpha * beta * a * _window_sums(shares, n)


def _window_sums(numbers: Numbers, n: int) -> Numbers:
    return np.array([np.sum(numbers[max(0, i - n // 2) : i + n // 2 + 1]) for i in range(len(numbers))])


def _adds_the_second_term(a: Numbers, grad_b: Numbers, n: int, k: float, alpha: float, beta: float) -> Numbers:
    return 2 * grad_b / _denominators(a, n, k, alpha) ** beta - lrn_backward(a, grad_b, n, k, alpha, beta)


def _own_gradient_in_the_sum(a: Numbers, grad_b: Numbers, n: int, k: float, alpha: float, beta: float) -> Numbers:
    D = _denominators(a, n, k, alpha)
    return grad_b / D**beta - 2 * alpha * beta * a * grad_b * _window_sums(a * D ** (-beta - 1), n)


def _own_denominator_only(a: Numbers, grad_b: Numbers, n: int, k: float, alpha: float, beta: float) -> Numbers:
    D = _denominators(a, n, k, alpha)
    return grad_b / D**beta - 2 * alpha * beta * a * grad_b * a * D ** (-beta - 1)


def _divides_by_its_own_D(a: Numbers, grad_b: Numbers, n: int, k: float, alpha: float, beta: float) -> Numbers:
    D = _denominators(a, n, k, alpha)
    return grad_b / D**beta - 2 * alpha * beta * a * _window_sums(grad_b * a / D**beta, n) / D


def _without_the_two(a: Numbers, grad_b: Numbers, n: int, k: float, alpha: float, beta: float) -> Numbers:
    D = _denominators(a, n, k, alpha)
    return grad_b / D**beta - alpha * beta * a * _window_sums(grad_b * a * D ** (-beta - 1), n)


def _a_for_b(a: Numbers, grad_b: Numbers, n: int, k: float, alpha: float, beta: float) -> Numbers:
    D = _denominators(a, n, k, alpha)
    return grad_b / D**beta - 2 * alpha * beta * a * _window_sums(grad_b * a / D, n)


backward = Exercise(
    lesson=5,
    task="Return dL/da, shape (C,), from a and grad_b = dL/db, both of shape (C,).",
    solution=lrn_backward,
    cases=[
        (EIGHT, np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]), 5, 0.0, 1.0, 1.0),
        (EIGHT, np.ones(8), 5, 0.0, 1.0, 1.0),
        (SEVEN, GRADIENT, 3, 1.0, 0.5, 0.75),
        (SEVEN[:2], GRADIENT[:2], 5, 2.0, 1.0, 0.75),
    ],
    mistakes=[
        Mistake(
            "the denominators are treated as constants",
            "a_j is also part of D_i, for every i whose window contains j. What happens to b_i when D_i grows?",
            lambda a, grad_b, n, k, alpha, beta: grad_b / _denominators(a, n, k, alpha) ** beta,
        ),
        Mistake(
            "only the channel's own denominator is counted",
            "When a_j rises, the neighbours' denominators rise too: the second term is a sum over the window.",
            _own_denominator_only,
        ),
        Mistake(
            "D_j instead of D_i",
            "Each b_i of the sum is divided by its own D_i, so D belongs inside the sum.",
            _divides_by_its_own_D,
        ),
        Mistake(
            "the factor 2 is missing",
            "What is the derivative of a square?",
            _without_the_two,
        ),
        Mistake(
            "a_i instead of b_i in the sum",
            "The sum has g_i b_i / D_i, with the output b_i. How do you get b_i from a_i and D_i?",
            _a_for_b,
        ),
        Mistake(
            "the second term is added",
            "The larger a neighbour, the smaller the output: which sign must the second term have?",
            _adds_the_second_term,
        ),
        Mistake(
            "g_j instead of g_i",
            "Each b_i of the sum has its own gradient g_i, so g belongs inside the sum, with the index i.",
            _own_gradient_in_the_sum,
        ),
    ],
)


# --- arguments for PyTorch ------------------------------------------------------------------------------------


def lrn_for_pytorch(depth_radius: int, bias: float, alpha: float, beta: float) -> tuple[int, float, float, float]:
    """Return (size, alpha, beta, k)."""
    size = 2 * depth_radius + 1
    return size, alpha * size, beta, bias


moving = Exercise(
    lesson=5,
    task="Return (size, alpha, beta, k) of PyTorch's layer for the arguments of TensorFlow's.",
    solution=lrn_for_pytorch,
    cases=[(2, 2.0, 1e-4, 0.75), (5, 1.0, 1.0, 0.5), (1, 0.0, 3.0, 1.0)],
    mistakes=[
        Mistake(
            "alpha is passed on unchanged",
            "PyTorch divides alpha by size before it uses it. What must you pass, so that the right number results?",
            lambda depth_radius, bias, alpha, beta: (2 * depth_radius + 1, alpha, beta, bias),
        ),
        Mistake(
            "alpha is divided by size",
            "PyTorch divides alpha by size already. What undoes that?",
            lambda depth_radius, bias, alpha, beta: (
                2 * depth_radius + 1,
                alpha / (2 * depth_radius + 1),
                beta,
                bias,
            ),
        ),
        Mistake(
            "size is the radius",
            "depth_radius counts the neighbours on one side; size counts the whole window, the middle included.",
            lambda depth_radius, bias, alpha, beta: (depth_radius, alpha * depth_radius, beta, bias),
        ),
        Mistake(
            "the middle of the window is not counted",
            "Two channels on each side: how many are that with the one in the middle?",
            lambda depth_radius, bias, alpha, beta: (2 * depth_radius, alpha * 2 * depth_radius, beta, bias),
        ),
        Mistake(
            "the arguments are in TensorFlow's order",
            "PyTorch's order is (size, alpha, beta, k): TensorFlow's bias, which is k, comes last.",
            lambda depth_radius, bias, alpha, beta: (
                2 * depth_radius + 1,
                bias,
                alpha * (2 * depth_radius + 1),
                beta,
            ),
        ),
        Mistake(
            "the four arguments are passed on unchanged",
            "Two of them mean something else in PyTorch. The table says what depth_radius and size count, and what "
            "multiplies the sum.",
            lambda depth_radius, bias, alpha, beta: (depth_radius, alpha, beta, bias),
        ),
        Mistake(
            "alpha is multiplied by 5, whatever the size is",
            "5 is right if depth_radius is 2. What does PyTorch divide by if it is not?",
            lambda depth_radius, bias, alpha, beta: (2 * depth_radius + 1, alpha * 5, beta, bias),
        ),
        Mistake(
            "beta and k are exchanged",
            "PyTorch's order is (size, alpha, beta, k), and k is TensorFlow's bias.",
            lambda depth_radius, bias, alpha, beta: (2 * depth_radius + 1, alpha * (2 * depth_radius + 1), bias, beta),
        ),
    ],
)

EXERCISES = [window, forward, backward, moving]
