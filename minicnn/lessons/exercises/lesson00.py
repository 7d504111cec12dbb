"""Lesson 00, ImageNet in 2012."""

import numpy as np
from numpy.typing import NDArray

from minicnn.lessons.exercise import Exercise, Mistake

__all__ = ["EXERCISES"]

Numbers = NDArray[np.float64]
Labels = NDArray[np.int64]

_rng = np.random.default_rng(0)


# --- relative improvement -------------------------------------------------------------------------------------


def relative_improvement(before: float, after: float) -> float:
    """Return the relative improvement."""
    return (before - after) / before


relative = Exercise(
    lesson=0,
    task="Return the share of the mistakes that disappeared, from the error before and after.",
    solution=relative_improvement,
    cases=[(40.0, 30.0), (26.2, 15.3), (3.57, 2.99), (10.0, 12.5), (0.2, 0.0)],
    mistakes=[
        Mistake(
            "the difference in percentage points",
            "This is how many mistakes disappeared. What share is that of all the mistakes before?",
            lambda before, after: before - after,
        ),
        Mistake(
            "divided by the error after",
            "The share is one of the mistakes before, not of those that are left.",
            lambda before, after: (before - after) / after,
        ),
        Mistake(
            "the share that is left",
            "From 40 to 30, three quarters of the mistakes are left. What share disappeared?",
            lambda before, after: after / before,
        ),
        Mistake(
            "the sign is reversed",
            "Fewer mistakes are an improvement: the result is positive if the error falls.",
            lambda before, after: (after - before) / before,
        ),
        Mistake(
            "in percent",
            "The result should be 1, not 100, if no mistake is left.",
            lambda before, after: 100 * (before - after) / before,
        ),
    ],
)


# --- guessing -------------------------------------------------------------------------------------------------


def chance_error(k: int, C: int) -> float:
    """Return the top-k error of guessing."""
    return max(0.0, 1 - k / C)


guessing = Exercise(
    lesson=0,
    task="Return the top-k error of guessing k different classes of C at random.",
    solution=chance_error,
    cases=[(1, 4), (5, 1000), (5, 10), (5, 5), (5, 3)],
    mistakes=[
        Mistake(
            "the share of right answers",
            "With one guess among four classes, is one image in four wrong, or right?",
            lambda k, C: min(1.0, k / C),
        ),
        Mistake(
            "one guess only",
            "With five guesses one is right five times as often as with one guess.",
            lambda k, C: 1 - 1 / C,
        ),
        Mistake(
            "the same class may be named twice",
            "(1 - 1/C) to the power of k is for independent guesses. These guesses are all different: of C classes, "
            "how many are named?",
            lambda k, C: (1 - 1 / C) ** k,
        ),
        Mistake(
            "an error below zero",
            "Five guesses among three classes name all of them, and are never wrong. Can an error be negative?",
            lambda k, C: 1 - k / C,
        ),
        Mistake(
            "in percent",
            "The result should be 1, not 100, if every answer is wrong.",
            lambda k, C: max(0.0, 100 * (1 - k / C)),
        ),
    ],
)


# --- top-k error ----------------------------------------------------------------------------------------------

SMALL = np.array([[0.1, 0.6, 0.3], [0.7, 0.2, 0.1], [0.2, 0.3, 0.5], [0.5, 0.1, 0.4]])
SCORES = _rng.permuted(np.tile(np.arange(9.0), (7, 1)), axis=1)
LABELS = _rng.integers(9, size=7)


def top_k_error(scores: Numbers, labels: Labels, k: int) -> float:
    """Return the top-k error."""
    return float(1 - _among(np.argsort(scores, axis=1)[:, -k:], labels).mean())


def _among(answers: Labels, labels: Labels) -> NDArray[np.bool_]:
    """Return for each image whether its label is among its answers."""
    found: NDArray[np.bool_] = (answers == labels[:, None]).any(axis=1)
    return found


top_k = Exercise(
    lesson=0,
    task="Return the share of images whose label is not among the k classes with the highest scores.",
    solution=top_k_error,
    cases=[
        (SMALL, np.array([2, 0, 0, 1]), 1),
        (SMALL, np.array([2, 0, 0, 1]), 2),
        (SCORES, LABELS, 5),
        (SCORES, LABELS, 3),
        (SCORES, LABELS, 9),
    ],
    mistakes=[
        Mistake(
            "the k lowest scores",
            "argsort starts with the smallest number. Where in its result are the classes with the highest scores?",
            lambda scores, labels, k: float(1 - _among(np.argsort(scores, axis=1)[:, :k], labels).mean()),
        ),
        Mistake(
            "the share of right answers",
            "The error counts the images whose label is *not* among the answers.",
            lambda scores, labels, k: float(_among(np.argsort(scores, axis=1)[:, -k:], labels).mean()),
        ),
        Mistake(
            "the number of wrong images",
            "What share of all images is that?",
            lambda scores, labels, k: float((~_among(np.argsort(scores, axis=1)[:, -k:], labels)).sum()),
        ),
        Mistake(
            "only the first answer",
            "argmax gives one class. The top-k error allows k classes.",
            lambda scores, labels, k: float((scores.argmax(axis=1) != labels).mean()),
        ),
        Mistake(
            "one answer too many",
            "Count the answers for one image: are there k? Of ten numbers, how many are in x[-3:]?",
            lambda scores, labels, k: float(1 - _among(np.argsort(scores, axis=1)[:, -k - 1 :], labels).mean()),
        ),
        Mistake(
            "scores are compared with labels",
            "np.sort and sorted give the highest scores. A label is the number of a class: which classes have these "
            "scores?",
            lambda scores, labels, k: float(1 - _among(np.sort(scores, axis=1)[:, -k:], labels).mean()),
        ),
    ],
)


# --- several networks -----------------------------------------------------------------------------------------

# Two networks lean a little towards class 0, the third is sure of class 1: the majority is not the mean.
THREE = np.array(
    [
        [[0.5, 0.4, 0.1], [0.2, 0.3, 0.5]],
        [[0.5, 0.4, 0.1], [0.1, 0.2, 0.7]],
        [[0.0, 0.9, 0.1], [0.8, 0.1, 0.1]],
    ]
)


def _softmax(scores: Numbers) -> Numbers:
    powers = np.exp(scores)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def ensemble_choice(probabilities: Numbers) -> Labels:
    """Return the classes that M networks choose together."""
    return np.asarray(probabilities.mean(axis=0).argmax(axis=1))


def _majority(probabilities: Numbers) -> Labels:
    votes = probabilities.argmax(axis=2)  # (M, N)
    return np.array([np.bincount(column).argmax() for column in votes.T])


ensemble = Exercise(
    lesson=0,
    task="Return the class, for each of N images, with the highest mean probability over M networks.",
    solution=ensemble_choice,
    cases=[(THREE,), (_softmax(2 * _rng.normal(size=(5, 6, 4))),), (_softmax(2 * _rng.normal(size=(4, 4, 4))),)],
    mistakes=[
        Mistake(
            "the majority decides",
            "A network says more than its first choice: one may be certain and two undecided. Average before you "
            "choose.",
            _majority,
        ),
        Mistake(
            "the most confident network decides",
            "The largest of the probabilities is not their mean.",
            lambda probabilities: probabilities.max(axis=0).argmax(axis=1),
        ),
        Mistake(
            "only the first network is asked",
            "There are M networks. Which axis counts them?",
            lambda probabilities: probabilities[0].argmax(axis=1),
        ),
        Mistake(
            "averaged over the images",
            "Axis 0 counts the networks, axis 1 the images. Which of the two should disappear first?",
            lambda probabilities: probabilities.mean(axis=1).argmax(axis=1),
        ),
        Mistake(
            "the mean probabilities themselves",
            "These are the averages, shape (N, C). For each image, which class has the largest?",
            lambda probabilities: probabilities.mean(axis=0),
        ),
    ],
)

EXERCISES = [relative, guessing, top_k, ensemble]
