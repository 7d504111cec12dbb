"""Lesson 06, dropout."""

import numpy as np
from numpy.typing import NDArray

from minicnn.lessons.exercise import Exercise, Mistake

__all__ = ["EXERCISES"]

Numbers = NDArray[np.float64]

_rng = np.random.default_rng(6)

# --- the paper's way ----------------------------------------------------------------------------------------


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
            "Which of the numbers come from units that may be missing? Is the bias one of them?",
            lambda w, b, a, p: (w @ a + b) * (1 - p),
        ),
        Mistake(
            "multiplied by the probability of being dropped",
            "If p is 0.1, nine of ten units are there. Is the mean nearer to the whole score or nearer to nothing?",
            lambda w, b, a, p: (w @ a) * p + b,
        ),
        Mistake(
            "divided by the probability of being kept",
            "Dividing is what the libraries of today do, in training. Here training has divided nothing: are the sums "
            "in use, where all units are there, too large or too small?",
            lambda w, b, a, p: (w @ a) / (1 - p) + b,
        ),
        Mistake(
            "nothing is scaled",
            "In training some of the activations were missing, in use none is. Compute the example with one unit: it "
            "is 7 three times out of four, and 1 once.",
            lambda w, b, a, p: w @ a + b,
        ),
        Mistake(
            "both the weights and the activations are scaled",
            "Scaling w and a multiplies their product twice. How often must the factor stand there?",
            lambda w, b, a, p: (w * (1 - p)) @ (a * (1 - p)) + b,
        ),
        Mistake(
            "the bias is forgotten",
            "The score is the weighted sum and the bias.",
            lambda w, b, a, p: (w @ a) * (1 - p),
        ),
        Mistake(
            "every mask counts alike",
            "That is so for p = 0.5 only. With p = 0.25 the unit of the example is there in three of four draws.",
            lambda w, b, a, p: (w @ a) / 2 + b,
        ),
        Mistake(
            "the bias is added once for each input",
            "Add up w times a first, and then add b: once.",
            lambda w, b, a, p: (w @ a) * (1 - p) + len(w) * b,
        ),
    ],
)


# --- forward ------------------------------------------------------------------------------------------------

ACTIVATIONS = np.array([3.0, 0.0, 1.0, 2.0, 5.0, 4.0])
DRAWN = np.array([0.81, 0.35, 0.12, 0.25, 0.24, 0.93])  # one is exactly p = 0.25


def dropout_forward(x: Numbers, u: Numbers, p: float) -> Numbers:
    """Return y."""
    return x * (u >= p) / (1 - p)


forward = Exercise(
    lesson=6,
    task="Return inverted dropout of x: dropped where u < p, the others made larger.",
    solution=dropout_forward,
    cases=[
        (ACTIVATIONS, DRAWN, 0.25),
        (_rng.normal(size=(2, 4)).round(2), _rng.random((2, 4)).round(2), 0.4),
        (np.array([1.0, -2.0]), np.array([0.0, 0.99]), 0.0),
    ],
    mistakes=[
        Mistake(
            "the survivors are divided by the probability of being dropped",
            "With p = 0.1 they would become ten times as large. How many units are missing then, and by how much does "
            "the sum of all fall?",
            lambda x, u, p: x * (u >= p) / p,
        ),
        Mistake(
            "the survivors are left as they are",
            "That is the paper's way, which needs a factor in use. Which factor keeps the mean of y at x?",
            lambda x, u, p: x * (u >= p),
        ),
        Mistake(
            "the survivors are dropped and the dropped ones survive",
            "A unit is dropped if its u is less than p. Print u >= p and u < p: which of the two has the ones where a "
            "unit is kept?",
            lambda x, u, p: x * (u < p) / (1 - p),
        ),
        Mistake(
            "the survivors are multiplied by the probability of being kept",
            "The mean of the mask is less than 1 already. Must the survivors become larger or smaller to make up for "
            "it?",
            lambda x, u, p: x * (u >= p) * (1 - p),
        ),
        Mistake(
            "a unit with u equal to p is dropped",
            "Dropped is what is less than p. With p = 0 nothing may be dropped, not even where u is exactly 0.",
            lambda x, u, p: x * (u > p) / (1 - p),
        ),
        Mistake(
            "the mask is returned in place of the activations",
            "The mask says which activations go on. What goes on is the activation itself, made larger.",
            lambda x, u, p: (u >= p) / (1 - p),
        ),
        Mistake(
            "u is compared with the probability of being kept",
            "A unit is dropped if its u is less than p. How large a part of the numbers from 0 to 1 is that?",
            lambda x, u, p: x * (u >= 1 - p) / (1 - p),
        ),
        Mistake(
            "divided by the share of units that happened to be kept",
            "How many are kept differs from draw to draw. What makes the mean over *all* draws come out is the "
            "probability.",
            lambda x, u, p: x * (u >= p) / np.mean(u >= p),
        ),
    ],
)


# --- backward -----------------------------------------------------------------------------------------------


def dropout_backward(grad_y: Numbers, x: Numbers, u: Numbers, p: float) -> Numbers:
    """Return dL/dx."""
    return grad_y * (u >= p) / (1 - p)


def _in_place(grad_y: Numbers, x: Numbers, u: Numbers, p: float) -> Numbers:
    grad_y[u < p] = 0
    grad_y /= 1 - p
    return grad_y


backward = Exercise(
    lesson=6,
    task="Return dL/dx of inverted dropout, from dL/dy and what the forward got.",
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
            "the gradient reaches the dropped units as well",
            "The output of a dropped unit is 0, whatever its input. What is the slope of that?",
            lambda grad_y, x, u, p: grad_y / (1 - p),
        ),
        Mistake(
            "the survivors' gradient is not divided",
            "If x rises by 1, by how much does y = x / (1 - p) rise?",
            lambda grad_y, x, u, p: grad_y * (u >= p),
        ),
        Mistake(
            "the mask is taken from where the output is not 0",
            "A unit may be kept and have the activation 0, as behind a ReLU. y is 0 there, but would it stay so if x "
            "rose a little?",
            lambda grad_y, x, u, p: grad_y * (x * (u >= p) != 0) / (1 - p),
        ),
        Mistake(
            "multiplied by x",
            "y is x times m / (1 - p). The slope of a straight line does not depend on where on the line one stands.",
            lambda grad_y, x, u, p: grad_y * x * (u >= p) / (1 - p),
        ),
        Mistake(
            "writes into the gradient",
            "Others may hold the same array, and need it as it is: return a new one.",
            _in_place,
        ),
        Mistake(
            "divided by the probability of being dropped",
            "The forward divided the survivors by 1 - p, the probability of being kept.",
            lambda grad_y, x, u, p: grad_y * (u >= p) / p,
        ),
        Mistake(
            "the dropped units get the gradient",
            "Print u >= p and u < p: which of the two has the ones where a unit is kept?",
            lambda grad_y, x, u, p: grad_y * (u < p) / (1 - p),
        ),
        Mistake(
            "the mask is taken from where x is not 0",
            "Who was dropped is decided by u and p alone. That x is 0 somewhere is the ReLU's doing.",
            lambda grad_y, x, u, p: grad_y * (x > 0) / (1 - p),
        ),
    ],
)


# --- two probabilities --------------------------------------------------------------------------------------


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
            "keep is handed on as p",
            "The longer paper gives the probability of being kept. What does nn.Dropout want to know?",
            lambda keep, n1, n2: (keep, keep ** (n1 + n2)),
        ),
        Mistake(
            "the probability that everything is dropped",
            "Nothing is dropped if every single unit is kept. How likely is that for one of them?",
            lambda keep, n1, n2: (1 - keep, (1 - keep) ** (n1 + n2)),
        ),
        Mistake(
            "the two layers' probabilities are added",
            "Both must happen: nothing dropped in the first layer and nothing in the second. Probabilities of things "
            "that do not influence each other and must all happen are multiplied.",
            lambda keep, n1, n2: (1 - keep, keep**n1 + keep**n2),
        ),
        Mistake(
            "the numbers of units are multiplied",
            "With 2 units and 1 unit, coins are tossed for how many?",
            lambda keep, n1, n2: (1 - keep, keep ** (n1 * n2)),
        ),
        Mistake(
            "the probability that at least one is dropped",
            "This is the opposite of what is asked for.",
            lambda keep, n1, n2: (1 - keep, 1 - keep ** (n1 + n2)),
        ),
        Mistake(
            "one coin for each layer",
            "Every unit has a coin of its own. How many units are there in both layers?",
            lambda keep, n1, n2: (1 - keep, keep**2),
        ),
        Mistake(
            "both probabilities are the wrong way round",
            "keep is the probability of being kept: nn.Dropout wants the other one, and nothing is dropped if every "
            "unit is kept.",
            lambda keep, n1, n2: (keep, (1 - keep) ** (n1 + n2)),
        ),
    ],
)

EXERCISES = [paper_score, forward, backward, chances]
