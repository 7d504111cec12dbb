"""Lesson 06, dropout."""

import numpy as np
from numpy.typing import NDArray

from minicnn.lessons.exercise import Exercise, Mistake

__all__ = ["EXERCISES"]

Numbers = NDArray[np.float64]

_rng = np.random.default_rng(6)

# --- the paper's way ------------------------------------------------------------------------------------------


def dropout_paper_score(w: Numbers, b: float, a: Numbers, p: float) -> float:
    """Return the mean score over all masks."""
    return float(w @ a) * (1 - p) + b


paper_score = Exercise(
    lesson=6,
    task="Return the mean of w @ (a * mask) + b over all masks, if a unit is dropped with probability p.",
    solution=dropout_paper_score,
    cases=[
        (np.array([2.0]), 1.0, np.array([3.0]), 0.25),
        (np.array([1.5, -2.0, 0.5]), -0.5, np.array([2.0, 1.0, 3.0]), 0.5),
        (_rng.normal(size=5).round(2), 0.3, _rng.random(5).round(2), 0.2),
    ],
    mistakes=[
        Mistake(
            "the bias is scaled as well",
            "Which of the numbers come from units that may be dropped? Is the bias one of them?",
            lambda w, b, a, p: (w @ a + b) * (1 - p),
        ),
        Mistake(
            "multiplied by the probability of being dropped",
            "If p is 0.1, nine of ten units are kept. Is the mean nearer to the full score or nearer to zero?",
            lambda w, b, a, p: (w @ a) * p + b,
        ),
        Mistake(
            "divided by the probability of being kept",
            "Today's libraries divide, in training. Here nothing was divided in training: are the sums at test time, "
            "with all units, too large or too small?",
            lambda w, b, a, p: (w @ a) / (1 - p) + b,
        ),
        Mistake(
            "nothing is scaled",
            "In training some activations are dropped, at test time none. Compute the example with one unit: it is 7 "
            "three times out of four, and 1 once.",
            lambda w, b, a, p: w @ a + b,
        ),
        Mistake(
            "both the weights and the activations are scaled",
            "Scaling both w and a scales their product twice. How often should the factor be applied?",
            lambda w, b, a, p: (w * (1 - p)) @ (a * (1 - p)) + b,
        ),
        Mistake(
            "the bias is missing",
            "The score is the weighted sum plus the bias.",
            lambda w, b, a, p: (w @ a) * (1 - p),
        ),
        Mistake(
            "every mask has the same weight",
            "That is right only for p = 0.5. With p = 0.25 the unit of the example is kept in three of four draws.",
            lambda w, b, a, p: (w @ a) / 2 + b,
        ),
        Mistake(
            "the bias is added once for each input",
            "Sum w times a first, then add b once.",
            lambda w, b, a, p: (w @ a) * (1 - p) + len(w) * b,
        ),
    ],
)


# --- forward --------------------------------------------------------------------------------------------------

ACTIVATIONS = np.array([3.0, 0.0, 1.0, 2.0, 5.0, 4.0])
DRAWN = np.array([0.81, 0.35, 0.12, 0.25, 0.24, 0.93])  # one is exactly p = 0.25


def dropout_forward(x: Numbers, u: Numbers, p: float) -> Numbers:
    """Return y."""
    return x * (u >= p) / (1 - p)


forward = Exercise(
    lesson=6,
    task="Return inverted dropout of x: dropped where u < p, the others scaled up.",
    solution=dropout_forward,
    cases=[
        (ACTIVATIONS, DRAWN, 0.25),
        (_rng.normal(size=(2, 4)).round(2), _rng.random((2, 4)).round(2), 0.4),
        (np.array([1.0, -2.0]), np.array([0.0, 0.99]), 0.0),
    ],
    mistakes=[
        Mistake(
            "the kept units are divided by the probability of being dropped",
            "With p = 0.1 they would become ten times as large. How many units are dropped then, and by how much does "
            "the sum of all fall?",
            lambda x, u, p: x * (u >= p) / p,
        ),
        Mistake(
            "the kept units are not scaled",
            "That is the paper's method, which needs a factor at test time. Which factor keeps the mean of y at x?",
            lambda x, u, p: x * (u >= p),
        ),
        Mistake(
            "dropped and kept units are exchanged",
            "A unit is dropped if its u is less than p. Print u >= p and u < p: which of the two is True where a unit "
            "is kept?",
            lambda x, u, p: x * (u < p) / (1 - p),
        ),
        Mistake(
            "the kept units are multiplied by the probability of being kept",
            "The mean of the mask is less than 1. Must the kept units become larger or smaller to compensate?",
            lambda x, u, p: x * (u >= p) * (1 - p),
        ),
        Mistake(
            "a unit with u equal to p is dropped",
            "A unit is dropped if u is less than p. With p = 0 nothing may be dropped, not even where u is exactly 0.",
            lambda x, u, p: x * (u > p) / (1 - p),
        ),
        Mistake(
            "the mask is returned instead of the activations",
            "The mask says which activations are kept. Return the activations themselves, scaled up.",
            lambda x, u, p: (u >= p) / (1 - p),
        ),
        Mistake(
            "u is compared with the probability of being kept",
            "A unit is dropped if its u is less than p. What share of the numbers from 0 to 1 is that?",
            lambda x, u, p: x * (u >= 1 - p) / (1 - p),
        ),
        Mistake(
            "divided by the share of units that happened to be kept",
            "The number of kept units differs from draw to draw. The probability is what makes the mean over *all* "
            "draws right.",
            lambda x, u, p: x * (u >= p) / np.mean(u >= p),
        ),
    ],
)


# --- backward -------------------------------------------------------------------------------------------------


def dropout_backward(grad_y: Numbers, x: Numbers, u: Numbers, p: float) -> Numbers:
    """Return dL/dx."""
    return grad_y * (u >= p) / (1 - p)


def _in_place(grad_y: Numbers, x: Numbers, u: Numbers, p: float) -> Numbers:
    grad_y[u < p] = 0
    grad_y /= 1 - p
    return grad_y


backward = Exercise(
    lesson=6,
    task="Return dL/dx of inverted dropout, from dL/dy and the arguments of the forward.",
    solution=dropout_backward,
    cases=[
        (np.array([1.0, 1.0, 1.0, -3.0, -3.0, -3.0]), ACTIVATIONS, DRAWN, 0.25),
        (
            _rng.normal(size=(2, 4)).round(2),
            np.maximum(0, _rng.normal(size=(2, 4))).round(2),
            _rng.random((2, 4)).round(2),
            0.4,
        ),
    ],
    mistakes=[
        Mistake(
            "the gradient reaches the dropped units too",
            "The output of a dropped unit is 0 for every input. What is its derivative?",
            lambda grad_y, x, u, p: grad_y / (1 - p),
        ),
        Mistake(
            "the gradient of the kept units is not scaled",
            "If x rises by 1, by how much does y = x / (1 - p) rise?",
            lambda grad_y, x, u, p: grad_y * (u >= p),
        ),
        Mistake(
            "the mask is taken from where the output is not 0",
            "A unit may be kept and have the activation 0, as after a ReLU. y is 0 there, but would it stay 0 if x "
            "rose a little?",
            lambda grad_y, x, u, p: grad_y * (x * (u >= p) != 0) / (1 - p),
        ),
        Mistake(
            "multiplied by x",
            "y is x times m / (1 - p), a straight line. Its slope does not depend on x.",
            lambda grad_y, x, u, p: grad_y * x * (u >= p) / (1 - p),
        ),
        Mistake(
            "writes into the gradient",
            "The caller may still need this array: return a new one.",
            _in_place,
        ),
        Mistake(
            "divided by the probability of being dropped",
            "The forward divided by 1 - p, the probability of being kept.",
            lambda grad_y, x, u, p: grad_y * (u >= p) / p,
        ),
        Mistake(
            "the dropped units get the gradient",
            "Print u >= p and u < p: which of the two is True where a unit is kept?",
            lambda grad_y, x, u, p: grad_y * (u < p) / (1 - p),
        ),
        Mistake(
            "the mask is taken from where x is not 0",
            "Only u and p decide which units are dropped. Where x is 0, it is because of the ReLU.",
            lambda grad_y, x, u, p: grad_y * (x > 0) / (1 - p),
        ),
    ],
)


# --- two probabilities ----------------------------------------------------------------------------------------


def dropout_chances(keep: float, n1: int, n2: int) -> tuple[float, float]:
    """Return (p, the probability that nothing is dropped)."""
    return 1 - keep, keep ** (n1 + n2)


chances = Exercise(
    lesson=6,
    task="Return (p of nn.Dropout, probability that none of n1 + n2 units is dropped), from the probability to keep.",
    solution=dropout_chances,
    cases=[(0.75, 2, 1), (0.9, 3, 4), (0.5, 10, 10)],
    mistakes=[
        Mistake(
            "keep is passed on as p",
            "The longer paper gives the probability of being kept. Which probability is nn.Dropout's p?",
            lambda keep, n1, n2: (keep, keep ** (n1 + n2)),
        ),
        Mistake(
            "the probability that everything is dropped",
            "Nothing is dropped if every unit is kept. What is the probability of that for one unit?",
            lambda keep, n1, n2: (1 - keep, (1 - keep) ** (n1 + n2)),
        ),
        Mistake(
            "the two layers' probabilities are added",
            "Both must happen: nothing is dropped in the first layer and nothing in the second. Probabilities of "
            "independent events that must all happen are multiplied.",
            lambda keep, n1, n2: (1 - keep, keep**n1 + keep**n2),
        ),
        Mistake(
            "the numbers of units are multiplied",
            "With 2 units and 1 unit, for how many units is a coin tossed?",
            lambda keep, n1, n2: (1 - keep, keep ** (n1 * n2)),
        ),
        Mistake(
            "the probability that at least one is dropped",
            "This is the opposite of the question.",
            lambda keep, n1, n2: (1 - keep, 1 - keep ** (n1 + n2)),
        ),
        Mistake(
            "one coin for each layer",
            "Every unit has its own coin. How many units are there in both layers?",
            lambda keep, n1, n2: (1 - keep, keep**2),
        ),
        Mistake(
            "both probabilities are exchanged",
            "keep is the probability of being kept: nn.Dropout's p is the other one, and nothing is dropped if every "
            "unit is kept.",
            lambda keep, n1, n2: (keep, (1 - keep) ** (n1 + n2)),
        ),
    ],
)

EXERCISES = [paper_score, forward, backward, chances]
