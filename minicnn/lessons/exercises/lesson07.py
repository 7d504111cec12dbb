"""Lesson 07, fully connected layers, softmax and cross-entropy."""

import numpy as np
from numpy.typing import NDArray

from minicnn.lessons.exercise import Exercise, Mistake

__all__ = ["EXERCISES"]

Numbers = NDArray[np.float64]
Labels = NDArray[np.int64]

_rng = np.random.default_rng(7)


def _some(*shape: int) -> Numbers:
    return _rng.normal(size=shape).round(2)


# --- the fully connected layer --------------------------------------------------------------------------------


def linear_backward(x: Numbers, w: Numbers, grad_y: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Return dL/dx, dL/dw and dL/db."""
    return grad_y @ w, grad_y.T @ x, grad_y.sum(axis=0)


backward = Exercise(
    lesson=7,
    task="Return dL/dx (N, I), dL/dw (O, I) and dL/db (O,) of y = x @ w.T + b, as a tuple.",
    solution=linear_backward,
    cases=[
        (
            np.array([[1.0, 2.0], [0.0, -1.0], [3.0, 1.0]]),
            np.array([[1.0, 3.0], [2.0, -1.0]]),
            np.array([[1.0, -2.0], [0.5, 3.0], [0.0, 1.0]]),
        ),
        (_some(4, 3), _some(2, 3), _some(4, 2)),
        (_some(1, 2), _some(4, 2), _some(1, 4)),
    ],
    mistakes=[
        Mistake(
            "dL/dx is computed with w.T",
            "The forward multiplied by w.T. Which shape must dL/dx have, and which of w and w.T leads to it from (N, "
            "O)?",
            lambda x, w, grad_y: (grad_y @ w.T, grad_y.T @ x, grad_y.sum(axis=0)),
        ),
        Mistake(
            "dL/dw is transposed",
            "A gradient has the shape of its parameter: w has one row for each output.",
            lambda x, w, grad_y: (grad_y @ w, x.T @ grad_y, grad_y.sum(axis=0)),
        ),
        Mistake(
            "dL/db is not summed over the batch",
            "The same bias is added to every image's output. In how many numbers does it occur?",
            lambda x, w, grad_y: (grad_y @ w, grad_y.T @ x, grad_y),
        ),
        Mistake(
            "the mean over the batch is taken twice",
            "The loss is a mean, and grad_y includes that already. Here the gradients are summed.",
            lambda x, w, grad_y: (grad_y @ w, grad_y.T @ x / len(x), grad_y.mean(axis=0)),
        ),
        Mistake(
            "only the last image counts for dL/dw",
            "In a loop over the images, = discards the gradients of the images before.",
            lambda x, w, grad_y: (grad_y @ w, np.outer(grad_y[-1], x[-1]), grad_y.sum(axis=0)),
        ),
        Mistake(
            "all three are divided by the size of the batch",
            "The loss is a mean, and grad_y includes that already. Nothing is divided here.",
            lambda x, w, grad_y: (grad_y @ w / len(x), grad_y.T @ x / len(x), grad_y.mean(axis=0)),
        ),
        Mistake(
            "dL/dx and dL/dw are exchanged",
            "Return dL/dx, dL/dw and dL/db in this order, each with the shape of x, w or b.",
            lambda x, w, grad_y: (grad_y.T @ x, grad_y @ w, grad_y.sum(axis=0)),
        ),
        Mistake(
            "dL/db is summed over the outputs",
            "Each output has its own bias, and every image uses it: which axis counts the images?",
            lambda x, w, grad_y: (grad_y @ w, grad_y.T @ x, grad_y.sum(axis=1)),
        ),
    ],
)


# --- softmax --------------------------------------------------------------------------------------------------


def softmax_rows(s: Numbers) -> Numbers:
    """Return the probabilities."""
    e = np.exp(s - s.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def _naive_softmax(s: Numbers) -> Numbers:
    e = np.exp(s)
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def _shifted_by_the_largest_of_all(s: Numbers) -> Numbers:
    e = np.exp(s - s.max())
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def _divided_by_the_sum_of_all(s: Numbers) -> Numbers:
    e = np.exp(s - s.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum())


def _along_columns(s: Numbers) -> Numbers:
    e = np.exp(s - s.max(axis=0, keepdims=True))
    return np.asarray(e / e.sum(axis=0, keepdims=True))


def _without_keepdims(s: Numbers) -> Numbers:
    e = np.exp(s - s.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1))


def _without_any_keepdims(s: Numbers) -> Numbers:
    e = np.exp(s - s.max(axis=1))
    return np.asarray(e / e.sum(axis=1))


softmax = Exercise(
    lesson=7,
    task="Return the softmax of each row of s, shape (N, C), for scores of any size.",
    solution=softmax_rows,
    cases=[
        (np.array([[2.0, 1.0, -1.0], [0.0, 0.0, 3.0], [1.0, -2.0, 0.5]]),),
        (_some(2, 4),),
        (np.array([[1000.0, 999.0, 0.0], [-1000.0, -1001.0, -1002.0]]),),
    ],
    mistakes=[
        Mistake(
            "large scores overflow",
            "e to the power of 1000 is inf. Which number may be subtracted from all scores of a row without changing "
            "the result?",
            _naive_softmax,
        ),
        Mistake(
            "the largest score of all rows is subtracted",
            "If one row is thousands below another, all its exponentials become 0, and 0 / 0 is NaN. Each row needs "
            "its own largest score.",
            _shifted_by_the_largest_of_all,
        ),
        Mistake(
            "all rows together add up to 1",
            "sum() without an axis adds up everything. Each image has its own row of probabilities.",
            _divided_by_the_sum_of_all,
        ),
        Mistake(
            "the columns add up to 1",
            "The classes of one image are a row of (N, C): along which axis must you sum?",
            _along_columns,
        ),
        Mistake(
            "the sums have lost their second dimension",
            "e.sum(axis=1) has the shape (N,), which NumPy broadcasts along the columns. keepdims=True makes it (N, "
            "1).",
            _without_keepdims,
        ),
        Mistake(
            "the largest scores and the sums have lost their second dimension",
            "s.max(axis=1) has the shape (N,), which NumPy broadcasts along the columns. keepdims=True makes it (N, "
            "1). The sum needs it too.",
            _without_any_keepdims,
        ),
        Mistake(
            "all rows together add up to 1, and large scores overflow",
            "sum() without an axis adds up everything, but each image has its own row of probabilities. And "
            "something must be subtracted before the exponential.",
            lambda s: np.exp(s) / np.exp(s).sum(),
        ),
        Mistake(
            "the exponentials are not divided by their sum",
            "Add up one of your rows: is it 1?",
            lambda s: np.exp(s - s.max(axis=1, keepdims=True)),
        ),
        Mistake(
            "the smallest score is subtracted, not the largest",
            "Then every exponential is at least 1, and the largest may still overflow. None can if the largest of "
            "them is e to the power of 0.",
            lambda s: _naive_softmax(s - s.min(axis=1, keepdims=True)),
        ),
    ],
)


# --- cross-entropy --------------------------------------------------------------------------------------------


def _log_softmax(s: Numbers) -> Numbers:
    shifted = s - s.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def cross_entropy_value(s: Numbers, labels: Labels) -> float:
    """Return the mean loss."""
    return float(-_log_softmax(s)[np.arange(len(s)), labels].mean())


def _value_shifted_by_the_largest_of_all(s: Numbers, labels: Labels) -> float:
    shifted = s - s.max()
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-log_p[np.arange(len(s)), labels].mean())


SCORES = np.array([[2.0, 1.0, -1.0], [0.5, 0.5, 3.0]])
FAR_APART = np.array([[1000.0, 0.0, -5.0], [-1000.0, 0.0, 3.0], [1.0, 2.0, 3.0]])

value = Exercise(
    lesson=7,
    task="Return the mean over the batch of -log p of the true class, from scores of shape (N, C).",
    solution=cross_entropy_value,
    cases=[
        (SCORES, np.array([1, 2])),
        (_some(4, 3), np.array([0, 2, 2, 1])),
        (FAR_APART, np.array([1, 0, 2])),
    ],
    mistakes=[
        Mistake(
            "the sum over the batch instead of the mean",
            "If the batch is repeated, should the loss double?",
            lambda s, labels: -_log_softmax(s)[np.arange(len(s)), labels].sum(),
        ),
        Mistake(
            "every row is indexed with all labels",
            "array[:, labels] picks all these columns from every row. The lesson's text says how to pick one number "
            "from each row.",
            lambda s, labels: -_log_softmax(s)[:, labels].mean(),
        ),
        Mistake(
            "the logarithm of a probability that has become 0",
            "For a score 1000 below the largest, p is rounded to 0, but its logarithm is about -1000. Can you get it "
            "without p?",
            lambda s, labels: -np.log(softmax_rows(s)[np.arange(len(s)), labels]).mean(),
        ),
        Mistake(
            "divided by the number of all scores",
            "The mean is over the N images. One-hot rows have N * C numbers, most of them zeros.",
            lambda s, labels: -_log_softmax(s)[np.arange(len(s)), labels].sum() / s.size,
        ),
        Mistake(
            "the logarithm is missing",
            "For a probability of 0.1 the loss is 2.303. What does your function return?",
            lambda s, labels: -softmax_rows(s)[np.arange(len(s)), labels].mean(),
        ),
        Mistake(
            "0 times the logarithm of 0",
            "Where p is rounded to 0, its logarithm is minus infinity, and 0 times that is NaN. Pick the true class's "
            "log p instead of multiplying, and compute it from the scores.",
            lambda s, labels: -(_one_hot(s, labels) * np.log(softmax_rows(s))).sum() / len(s),
        ),
        Mistake(
            "a small number is added before the logarithm",
            "That is the grey line in the lesson's figure: the loss stops growing at about 16. Can you get log p "
            "without p?",
            lambda s, labels: -np.log(softmax_rows(s)[np.arange(len(s)), labels] + 1e-7).mean(),
        ),
        Mistake(
            "one loss for each image instead of their mean",
            "Return one number for the whole batch.",
            lambda s, labels: -_log_softmax(s)[np.arange(len(s)), labels],
        ),
        Mistake(
            "the largest score of all rows is subtracted",
            "If one row is a thousand below another, all its exponentials become 0, and so does their sum. Each row "
            "needs its own largest score.",
            _value_shifted_by_the_largest_of_all,
        ),
    ],
)


# --- its gradient ---------------------------------------------------------------------------------------------


def _one_hot(s: Numbers, labels: Labels) -> Numbers:
    return np.eye(s.shape[1])[labels]


def cross_entropy_gradient(s: Numbers, labels: Labels) -> Numbers:
    """Return dL/ds."""
    return (softmax_rows(s) - _one_hot(s, labels)) / len(s)


def _all_labels_everywhere(s: Numbers, labels: Labels) -> Numbers:
    p = softmax_rows(s)
    p[:, labels] -= 1
    return p / len(s)


def _softmax_differentiated_again(s: Numbers, labels: Labels) -> Numbers:
    p = softmax_rows(s)
    return (p - _one_hot(s, labels)) * p * (1 - p) / len(s)


gradient = Exercise(
    lesson=7,
    task="Return dL/ds, shape (N, C), of the mean cross-entropy.",
    solution=cross_entropy_gradient,
    cases=[
        (SCORES, np.array([1, 2])),
        (_some(4, 3), np.array([0, 2, 2, 1])),
        (FAR_APART, np.array([1, 0, 2])),
    ],
    mistakes=[
        Mistake(
            "not divided by the batch size",
            "The loss is the mean over the batch. What is the weight of one image's loss in it?",
            lambda s, labels: softmax_rows(s) - _one_hot(s, labels),
        ),
        Mistake(
            "one-hot minus probability",
            "If the true class's score rises, the loss falls. Which sign must its gradient have?",
            lambda s, labels: (_one_hot(s, labels) - softmax_rows(s)) / len(s),
        ),
        Mistake(
            "1 is subtracted at the labels of all images",
            "p[:, labels] means these columns of every row. Each row has only one label.",
            _all_labels_everywhere,
        ),
        Mistake(
            "the softmax is differentiated a second time",
            "p - q is already the gradient with respect to the scores: it includes both softmax and logarithm.",
            _softmax_differentiated_again,
        ),
        Mistake(
            "large scores overflow",
            "NaN comes from inf / inf. What did exercise 2 subtract first?",
            lambda s, labels: (_naive_softmax(s) - _one_hot(s, labels)) / len(s),
        ),
        Mistake(
            "only the one-hot row is divided by the batch size",
            "In p - q / N only q is divided. Where do the brackets belong?",
            lambda s, labels: softmax_rows(s) - _one_hot(s, labels) / len(s),
        ),
        Mistake(
            "only the true class has a gradient",
            "The other scores are part of the softmax's sum: if one of them rises, the true class's probability falls.",
            lambda s, labels: (softmax_rows(s) - 1) * _one_hot(s, labels) / len(s),
        ),
        Mistake(
            "divided by the number of all scores",
            "The mean is over the N images, not over the N * C scores.",
            lambda s, labels: (softmax_rows(s) - _one_hot(s, labels)) / s.size,
        ),
        Mistake(
            "nothing is subtracted",
            "These are the probabilities, divided by the batch size. What should the probabilities be?",
            lambda s, labels: softmax_rows(s) / len(s),
        ),
    ],
)

EXERCISES = [backward, softmax, value, gradient]
