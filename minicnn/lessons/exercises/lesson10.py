"""Lesson 10, training."""

import numpy as np
from numpy.typing import NDArray

from minicnn.lessons.exercise import Exercise, Mistake

__all__ = ["EXERCISES"]

Numbers = NDArray[np.float64]
Step = tuple[Numbers, Numbers]

_rng = np.random.default_rng(10)


# --- the rate in an epoch -------------------------------------------------------------------------------------


def rate_in_epoch(epoch: int, first: float, drops: tuple[int, ...]) -> float:
    """Return the learning rate."""
    return float(first / 10 ** sum(epoch > drop for drop in drops))


rate = Exercise(
    lesson=10,
    task="Return the learning rate in an epoch (from 1); after each epoch in drops it is divided by ten.",
    solution=rate_in_epoch,
    cases=[
        (27, 0.02, (26, 36)),
        (26, 0.02, (26, 36)),
        (1, 0.01, (30, 60, 80)),
        (37, 0.02, (26, 36)),
        (90, 0.01, (30, 60, 80)),
        (4, 0.5, ()),
    ],
    mistakes=[
        Mistake(
            "the rate falls an epoch too early",
            "After epoch 26 means from epoch 27 on. Which rate does epoch 26 itself have?",
            lambda epoch, first, drops: first / 10 ** sum(epoch >= drop for drop in drops),
        ),
        Mistake(
            "the rate falls an epoch too late",
            "Epoch 27 is the first one after epoch 26. Which rate does it have?",
            lambda epoch, first, drops: first / 10 ** sum(epoch > drop + 1 for drop in drops),
        ),
        Mistake(
            "it falls only once",
            "By epoch 37 two of the drops at 26 and 36 are over. How often has the rate been divided?",
            lambda epoch, first, drops: first / 10 if any(epoch > drop for drop in drops) else first,
            [lambda epoch, first, drops: first / 10 if drops and epoch > drops[-1] else first],
        ),
        Mistake(
            "the rate is multiplied by ten",
            "Training starts with long steps and ends with short ones.",
            lambda epoch, first, drops: first * 10 ** sum(epoch > drop for drop in drops),
        ),
        Mistake(
            "it is lower in only one epoch",
            "Once it has been divided, the rate stays low. Which drops come before epoch 37? Only the last one?",
            lambda epoch, first, drops: first / 10 ** sum(epoch == drop + 1 for drop in drops),
            [lambda epoch, first, drops: first / 10 if epoch in drops else first],
        ),
    ],
)


# --- the paper's step -----------------------------------------------------------------------------------------


def sgd_paper_step(w: Numbers, v: Numbers, g: Numbers, lr: float, momentum: float, weight_decay: float) -> Step:
    """Return the new weights and velocities."""
    v = momentum * v - weight_decay * lr * w - lr * g
    return w + v, v


def _rate_outside(w: Numbers, v: Numbers, g: Numbers, lr: float, momentum: float, weight_decay: float) -> Step:
    v = momentum * v + (g + weight_decay * w)
    return w - lr * v, v


def _decay_without_rate(w: Numbers, v: Numbers, g: Numbers, lr: float, momentum: float, weight_decay: float) -> Step:
    v = momentum * v - weight_decay * w - lr * g
    return w + v, v


def _old_velocity(w: Numbers, v: Numbers, g: Numbers, lr: float, momentum: float, weight_decay: float) -> Step:
    return w + v, momentum * v - weight_decay * lr * w - lr * g


def _uphill(w: Numbers, v: Numbers, g: Numbers, lr: float, momentum: float, weight_decay: float) -> Step:
    v = momentum * v + weight_decay * lr * w + lr * g
    return w + v, v


def _only_the_gradient_uphill(
    w: Numbers, v: Numbers, g: Numbers, lr: float, momentum: float, weight_decay: float
) -> Step:
    v = momentum * v - weight_decay * lr * w + lr * g
    return w + v, v


def _only_the_decay_outwards(
    w: Numbers, v: Numbers, g: Numbers, lr: float, momentum: float, weight_decay: float
) -> Step:
    v = momentum * v + weight_decay * lr * w - lr * g
    return w + v, v


def _velocity_taken_away(w: Numbers, v: Numbers, g: Numbers, lr: float, momentum: float, weight_decay: float) -> Step:
    v = momentum * v - weight_decay * lr * w - lr * g
    return w - v, v


def _in_place(w: Numbers, v: Numbers, g: Numbers, lr: float, momentum: float, weight_decay: float) -> Step:
    v *= momentum
    v -= lr * (g + weight_decay * w)
    w += v
    return w, v


paper_step = Exercise(
    lesson=10,
    task="Return (new w, new v) after one step of the paper's SGD with momentum and weight decay.",
    solution=sgd_paper_step,
    cases=[
        (np.array([1.0, -2.0]), np.array([0.5, 0.0]), np.array([3.0, 1.0]), 0.1, 0.9, 0.5),
        (*_rng.normal(size=(3, 2, 3)).round(2), 0.2, 0.8, 0.3),
        (*_rng.normal(size=(3, 4)).round(2), 0.01, 0.9, 0.0),
    ],
    mistakes=[
        Mistake(
            "the learning rate is outside the velocity",
            "That is PyTorch's rule. In the paper the rate is part of v, and the weight moves by v itself.",
            _rate_outside,
        ),
        Mistake(
            "the weight decay is not multiplied by the learning rate",
            "Look at the middle term of the first line again: it has three factors.",
            _decay_without_rate,
        ),
        Mistake(
            "the weight moves by the old velocity",
            "Which of the two lines comes first? The second line uses the result of the first.",
            _old_velocity,
        ),
        Mistake(
            "it goes uphill",
            "The gradient points to where the loss grows, and decay pulls towards 0. Which signs have the two terms, "
            "and which sign has v in the second line?",
            _uphill,
            [_only_the_gradient_uphill, _only_the_decay_outwards, _velocity_taken_away],
        ),
        Mistake(
            "the arguments are changed",
            "The numbers are right, but +=, -= and *= write into the caller's arrays. Compute new ones.",
            _in_place,
        ),
    ],
)


# --- how far a step goes --------------------------------------------------------------------------------------


def sgd_step_length(lr: float, momentum: float, g: float, steps: int) -> float:
    """Return the change of the weight in the last step."""
    v = 0.0
    for _ in range(steps):
        v = momentum * v - lr * g
    return v


step_length = Exercise(
    lesson=10,
    task="Return how much step number `steps` changes a weight whose gradient is always g, by the paper's rule.",
    solution=sgd_step_length,
    cases=[(0.1, 0.5, 1.0, 2), (0.1, 0.5, 1.0, 1), (0.01, 0.9, 1.0, 10), (0.01, 0.9, -3.0, 3), (0.1, 0.0, 2.0, 5)],
    mistakes=[
        Mistake(
            "the sign is reversed",
            "With a positive gradient the loss grows with the weight. Should the weight rise or fall?",
            lambda lr, momentum, g, steps: -sgd_step_length(lr, momentum, g, steps),
        ),
        Mistake(
            "the sum of all steps, not the last step",
            "You added up all the steps. How far does the last one go by itself?",
            lambda lr, momentum, g, steps: sum(sgd_step_length(lr, momentum, g, n) for n in range(1, steps + 1)),
        ),
        Mistake(
            "the step has its final length",
            "The steps approach lr g / (1 - momentum) after many steps. What is the very first one?",
            lambda lr, momentum, g, steps: -lr * g / (1 - momentum),
        ),
        Mistake(
            "the velocity is not accumulated",
            "Your steps all have the same length. How much of the velocity is kept from one step to the next?",
            lambda lr, momentum, g, steps: -lr * g,
        ),
        Mistake(
            "one step too many",
            "The velocity before step 1 is 0, so step 1 is -lr g. How often does your loop run?",
            lambda lr, momentum, g, steps: sgd_step_length(lr, momentum, g, steps + 1),
        ),
    ],
)


# --- a learning rate ------------------------------------------------------------------------------------------


def choose_learning_rate(curvatures: Numbers) -> float:
    """Return a learning rate."""
    return float(1 / curvatures.max())


def _after_fifty_steps(lr: float, curvatures: Numbers) -> str:
    """Take 50 steps and describe the result."""
    if np.ndim(lr) or isinstance(lr, str):
        raise ValueError("expected one number, the same rate for all weights")
    lr = float(lr)
    if not np.isfinite(lr):
        raise ValueError("the rate must be finite")
    if lr == 0:
        return "nothing moves"
    w = np.ones_like(curvatures)
    losses = [float(curvatures @ w**2) / 2]
    with np.errstate(all="ignore"):
        for _ in range(50):
            w = w - lr * curvatures * w
            losses.append(float(curvatures @ w**2) / 2)
    share = losses[-1] / losses[0]
    if share < 1e-3:
        return "the loss falls below a thousandth"
    if share < 1 - 1e-9 and (lr * curvatures < 1.9).all():
        return "the loss falls, but too slowly"
    if lr < 0:
        return "the loss grows at every step: it goes uphill"
    if (lr * curvatures < 2 + 1e-9).all():
        return "a weight swings from side to side and hardly gets smaller"
    return "the loss grows without limit"


choose = Exercise(
    lesson=10,
    task="Return a rate with which 50 plain steps bring the loss below a thousandth; curvatures has shape (n,).",
    solution=choose_learning_rate,
    cases=[
        (np.array([4.0, 1.0]),),
        (np.array([0.05, 0.02, 0.01]),),
        (np.array([100.0, 1000.0, 300.0]),),
        (np.array([1.0, 10.0]),),
        (np.array([0.15, 0.1]),),  # distinguishes a rate of 1 from a rate equal to the largest curvature
    ],
    measure=_after_fifty_steps,
    mistakes=[
        Mistake(
            "the same rate for every loss",
            "0.1 is right for some losses and wrong for others. Let the rate depend on the curvatures.",
            lambda curvatures: 0.1,
        ),
        Mistake(
            "the flattest direction decides",
            "A step multiplies each weight by 1 - rate times its own curvature. What is this factor for the steepest "
            "direction?",
            lambda curvatures: 1 / curvatures.min(),
        ),
        Mistake(
            "exactly at the limit",
            "With 2 / c a weight is multiplied by 1 - 2 = -1 in each step. Stay away from it.",
            lambda curvatures: 2 / curvatures.max(),
        ),
        Mistake(
            "the steeper, the longer the step",
            "Where the valley is steep, must a step be longer or shorter, to avoid ending on the other side?",
            lambda curvatures: curvatures.max(),
        ),
        Mistake(
            "the rate is negative",
            "The minus sign is in the step already: w - rate times gradient.",
            lambda curvatures: -1 / curvatures.max(),
        ),
    ],
)

EXERCISES = [rate, paper_step, step_length, choose]
