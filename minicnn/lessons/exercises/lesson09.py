"""Lesson 09, augmentation."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minicnn.lessons.exercise import Exercise, Mistake

__all__ = ["EXERCISES"]

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]

_rng = np.random.default_rng(9)


# --- where a crop may begin -----------------------------------------------------------------------------------


def augment_crop_rows(side: int, size: int) -> tuple[int, int, int]:
    """Return the number of positions, and the first rows of the centre crop and of the last crop."""
    return side - size + 1, (side - size) // 2, side - size


rows = Exercise(
    lesson=9,
    task="Return (number of positions, first row of the centre crop, first row of the last crop).",
    solution=augment_crop_rows,
    cases=[(32, 28), (256, 224), (6, 3), (7, 7), (9, 4)],
    mistakes=[
        Mistake(
            "one position too few",
            "Where can a crop of 3 start in a row of 3? How many positions are that, and what is 3 - 3?",
            lambda side, size: (side - size, (side - size) // 2, side - size),
        ),
        Mistake(
            "the last crop extends one row beyond the edge",
            "Rows are counted from 0. The crop's last row is first + size - 1, and the image's last is side - 1.",
            lambda side, size: (side - size + 1, (side - size) // 2, side - size + 1),
        ),
        Mistake(
            "the centre row of the image, not the first row of the crop",
            "The centre crop has the same number of rows above and below it. How many rows are left over in all?",
            lambda side, size: (side - size + 1, side // 2, side - size),
        ),
        Mistake(
            "the centre is not rounded",
            "Row numbers are integers. Which operator divides and rounds down?",
            lambda side, size: (side - size + 1, (side - size) / 2, side - size),
        ),
        Mistake(
            "the centre is one row too late if the rest is odd",
            "A crop of 3 leaves 3 of 6 rows: there should be one above it and two below.",
            lambda side, size: (side - size + 1, (side - size + 1) // 2, side - size),
        ),
        Mistake(
            "the centre is one row too late for some sizes",
            "Half of 6 - 3 is 1.5, and should be rounded down. round(1.5) is 2, and so is 6 // 2 - 3 // 2. Subtract "
            "first; then divide, and round down.",
            lambda side, size: (side - size + 1, side // 2 - size // 2, side - size),
        ),
        Mistake(
            "both directions are counted",
            "Only rows are counted here. The columns have the same number of positions, and lesson and paper multiply "
            "the two.",
            lambda side, size: ((side - size + 1) ** 2, (side - size) // 2, side - size),
        ),
    ],
)


# --- mirror some of them --------------------------------------------------------------------------------------


def augment_flip(images: Numbers, turned: Flags) -> Numbers:
    """Return the batch with some images mirrored."""
    return _turned(images, turned, 3)


def _turned(images: Numbers, turned: Flags, axis: int) -> Numbers:
    return np.where(turned[:, None, None, None], np.flip(images, axis), images)


def _in_place(images: Numbers, turned: Flags) -> Numbers:
    images[turned] = images[turned][:, :, :, ::-1]
    return images


flip = Exercise(
    lesson=9,
    task="Return a new batch in which the images n with turned[n] are mirrored from left to right.",
    solution=augment_flip,
    cases=[
        (np.arange(12.0).reshape(2, 1, 2, 3), np.array([True, False])),
        (_rng.normal(size=(3, 3, 4, 4)).round(2), np.array([False, True, True])),
        (_rng.normal(size=(2, 2, 3, 5)).round(2), np.array([False, False])),
    ],
    mistakes=[
        Mistake(
            "the images are flipped upside down",
            "Of (N, C, H, W), which axis goes from left to right?",
            lambda images, turned: _turned(images, turned, 2),
        ),
        Mistake(
            "the channels are reversed",
            "That makes red blue. The second axis is the channels, not the columns.",
            lambda images, turned: _turned(images, turned, 1),
        ),
        Mistake(
            "all images are mirrored",
            "Mirror only those for which `turned` is True.",
            lambda images, turned: images[:, :, :, ::-1].copy(),
        ),
        Mistake(
            "the wrong images are mirrored",
            "Where `turned` is True the image must be mirrored, elsewhere not.",
            lambda images, turned: _turned(images, ~turned, 3),
        ),
        Mistake(
            "the batch itself is changed",
            "The next epoch needs the original images again. Work on a copy.",
            _in_place,
        ),
        Mistake(
            "only the mirrored images are returned",
            "The new batch has N images like the old one: it includes the others, unchanged.",
            lambda images, turned: images[turned][:, :, :, ::-1],
        ),
        Mistake(
            "the other images are lost",
            "Where `turned` is False the image does not change: start with a copy of the batch.",
            lambda images, turned: images[:, :, :, ::-1] * turned[:, None, None, None],
        ),
        Mistake(
            "the images are rotated by 180 degrees",
            "Two axes are reversed. Only one of them goes from left to right.",
            lambda images, turned: np.where(turned[:, None, None, None], images[:, :, ::-1, ::-1], images),
        ),
    ],
)


# --- another light --------------------------------------------------------------------------------------------


def augment_colour(image: Numbers, a: Numbers, eigenvalues: Numbers, eigenvectors: Numbers) -> Numbers:
    """Return the image with its colours shifted."""
    return _shifted(image, eigenvectors @ (a * np.sqrt(eigenvalues)))


def _shifted(image: Numbers, shift: Any) -> Numbers:
    return np.asarray(image + shift[:, np.newaxis, np.newaxis])


_DIRECTIONS = np.array([[0.6, -0.8, 0.0], [0.0, 0.0, 1.0], [0.8, 0.6, 0.0]])

colour = Exercise(
    lesson=9,
    task="Return the image, (3, H, W), shifted by the sum of a[i] times root of eigenvalues[i] times column i.",
    solution=augment_colour,
    cases=[
        (np.full((3, 1, 2), 100.0), np.array([0.1, 0.0, 0.0]), np.array([2500.0, 400.0, 100.0]), _DIRECTIONS),
        (
            _rng.integers(0, 256, (3, 2, 2)).astype(float),
            np.array([0.1, -0.2, 0.05]),
            np.array([2500.0, 400.0, 100.0]),
            _DIRECTIONS,
        ),
        (
            np.array([[[250.0]], [[3.0]], [[120.0]]]),
            np.array([0.2, 0.1, -0.1]),
            np.array([8100.0, 900.0, 225.0]),
            _DIRECTIONS,
        ),
    ],
    mistakes=[
        Mistake(
            "the eigenvalues without the root, as in the paper",
            "An eigenvalue is a variance, in squared grey levels. What is in grey levels?",
            lambda image, a, eigenvalues, eigenvectors: _shifted(image, eigenvectors @ (a * eigenvalues)),
        ),
        Mistake(
            "rows of eigenvectors instead of columns",
            "p_1 is eigenvectors[:, 0]. A matrix times a vector is a sum of columns; is yours transposed?",
            lambda image, a, eigenvalues, eigenvectors: _shifted(image, eigenvectors.T @ (a * np.sqrt(eigenvalues))),
        ),
        Mistake(
            "the eigenvalues are missing",
            "How wide is the cloud of colours in each direction? Along p_1 it varies far more than along p_3.",
            lambda image, a, eigenvalues, eigenvectors: _shifted(image, eigenvectors @ a),
        ),
        Mistake(
            "the root is taken of a as well",
            "a is negative half of the time, and then has no root. Only the eigenvalue is a square.",
            lambda image, a, eigenvalues, eigenvectors: _shifted(image, eigenvectors @ np.sqrt(a * eigenvalues)),
        ),
        Mistake(
            "the result is clipped to 0 and 255",
            "Do not clip here: the network takes any number, and clipping would change the edges.",
            lambda image, a, eigenvalues, eigenvectors: np.clip(
                augment_colour(image, a, eigenvalues, eigenvectors), 0, 255
            ),
        ),
        Mistake(
            "each channel is shifted on its own, without the eigenvectors",
            "p_1, p_2 and p_3 are not red, green and blue: each of them is a mixture of all three. Where do the "
            "eigenvectors come in?",
            lambda image, a, eigenvalues, eigenvectors: _shifted(image, a * np.sqrt(eigenvalues)),
        ),
        Mistake(
            "summed along the wrong axis",
            "Column i belongs to a[i]. The shift of red is the sum over the columns, in the row of red.",
            lambda image, a, eigenvalues, eigenvectors: _shifted(
                image, (eigenvectors * a * np.sqrt(eigenvalues)).sum(axis=0)
            ),
        ),
        Mistake(
            "the shift is subtracted",
            "The shift must be added to every pixel.",
            lambda image, a, eigenvalues, eigenvectors: 2 * image - augment_colour(image, a, eigenvalues, eigenvectors),
        ),
    ],
)


# --- the mean of ten ------------------------------------------------------------------------------------------


def _softmax(scores: Numbers, axis: int) -> Numbers:
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True))


def augment_average(scores: Numbers) -> Numbers:
    """Return the mean of the crops' probabilities."""
    return np.asarray(_softmax(scores, 2).mean(axis=1))


def _overflowing(scores: Numbers) -> Numbers:
    powers = np.exp(scores)
    return np.asarray((powers / powers.sum(axis=2, keepdims=True)).mean(axis=1))


def _divided_at_the_end(scores: Numbers) -> Numbers:
    powers = np.exp(scores - scores.max(axis=2, keepdims=True)).mean(axis=1)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


average = Exercise(
    lesson=9,
    task="Return probabilities (N, classes): the mean over the crops of the softmax of scores (N, crops, classes).",
    solution=augment_average,
    cases=[
        (np.array([[[0.0, 0.0], [0.0, 2.0], [1.0, 0.0]]]),),
        (_rng.normal(0, 2, size=(2, 10, 4)),),
        (_rng.normal(0, 2, size=(3, 3, 3)),),
        (np.array([[[1000.0, 998.0], [3.0, 1.0]]]),),
    ],
    mistakes=[
        Mistake(
            "the mean of the scores, and then the softmax",
            "The paper averages probabilities. Otherwise a crop with very large scores would outvote the others.",
            lambda scores: _softmax(scores.mean(axis=1), 1),
        ),
        Mistake(
            "the softmax is taken over the crops",
            "For each crop the probabilities of all *classes* add up to 1. Which axis are the classes?",
            lambda scores: _softmax(scores, 1).mean(axis=1),
        ),
        Mistake(
            "the sum instead of the mean",
            "Add up your probabilities of one image: is it 1?",
            lambda scores: _softmax(scores, 2).sum(axis=1),
        ),
        Mistake(
            "only one of the crops is used",
            "All crops have the same weight. Where are the others?",
            lambda scores: _softmax(scores, 2)[:, 0],
        ),
        Mistake(
            "the exponential of a large score overflows",
            "exp(1000) overflows. What may be subtracted from all scores of a crop?",
            _overflowing,
        ),
        Mistake(
            "the mean of the exponentials, and then the division",
            "Divide each crop's exponentials by their own sum before you take the mean.",
            _divided_at_the_end,
        ),
        Mistake(
            "no softmax at all",
            "These are scores. Which function makes probabilities of them?",
            lambda scores: scores.mean(axis=1),
        ),
        Mistake(
            "the mean is taken over the images",
            "The shape of scores is (N, crops, classes). Which axis are the crops?",
            lambda scores: _softmax(scores, 2).mean(axis=0),
        ),
    ],
)

EXERCISES = [rows, flip, colour, average]
