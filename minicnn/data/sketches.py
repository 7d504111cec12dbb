"""Sketches: the ten classes of the drawn shapes as a pen draws them, half of the images, and as `shapes` draws them.

In `shapes` a square is a filled square, and only the ring is an outline, so a network that has seen nothing else takes
the outline of a square for a ring. Here a figure is also a few *strokes*: points that a pen passes one after the other.
Size, place, angle, proportions, the width of the pen and the colours are random; corners are missed and cut, ends do
not meet or overlap, and the hand trembles. A star is a pentagram in one stroke, or an outline; a closed figure is
sometimes filled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from minicnn.arguments import whole
from minicnn.data.labelled_images import LabelledImages
from minicnn.data.shapes import BLOCK, CLASSES, SIDE, load_shapes

__all__ = ["load_sketches", "pen"]

Points = NDArray[np.floating]  # (n, 2), each (x, y)
Strokes = list[Points]


def load_sketches(train: int = 10_000, test: int = 2_000, seed: int = 0) -> LabelledImages:
    """Draw the images.

    Parameters
    ----------
    train, test : int
        The number of training and test images, at least 1. Every other one is a sketch, and the rest are those of
        :func:`load_shapes`.
    seed : int
        At least 0. The same seed gives the same images, as for :func:`load_shapes`.

    Returns
    -------
    LabelledImages
        Images (train, 3, 32, 32) and (test, 3, 32, 32) uint8, labels int64.

    Examples
    --------
    >>> from minicnn.data import load_sketches
    >>> load_sketches(train=20, test=10)
    LabelledImages('sketches': 20 train and 10 test images of 32x32, 10 classes)
    """
    for name, value, minimum in (("train", train, 1), ("test", test, 1), ("seed", seed, 0)):
        whole("load_sketches", name, value, minimum)
    shapes = load_shapes(train, test, seed)
    images, labels = shapes.train_images, shapes.train_labels
    _sketch_every_other(images, labels, (seed, 2))
    _sketch_every_other(shapes.test_images, shapes.test_labels, (seed, 3))
    return LabelledImages("sketches", images, labels, shapes.test_images, shapes.test_labels, CLASSES)


def _sketch_every_other(images: NDArray[np.uint8], labels: NDArray[np.int64], stream: tuple[int, int]) -> None:
    for start in range(0, len(images), BLOCK):
        rng = np.random.default_rng((*stream, start // BLOCK))
        for number in range(start, min(start + BLOCK, len(images)), 2):
            images[number] = _sketch(CLASSES[labels[number]], rng)


# --- what a hand draws, about the origin, with a size of about 1 ------------------------------------------------------


def _corners(count: int, start: float = 0.0) -> Points:
    angles = start + 2 * np.pi * np.arange(count) / count
    return np.stack([np.sin(angles), -np.cos(angles)], axis=1)


def _outline(corners: Points, rng: np.random.Generator) -> Strokes:
    """Draw a closed figure from any of its corners, either way round, in one stroke or with one for each side."""
    corners = np.roll(corners, -int(rng.integers(len(corners))), axis=0)[:: int(rng.choice([-1, 1]))]
    closed = np.concatenate([corners, corners[:1]])
    if len(corners) <= 4 and rng.random() < 0.3:
        return [closed[side : side + 2] for side in range(len(corners))]
    return [closed]


def _arc(rng: np.random.Generator, turns: tuple[float, float]) -> Points:
    """Draw round and round: an end that lacks a little or overlaps, and a radius that drifts."""
    angles = np.linspace(0, 2 * np.pi * rng.uniform(*turns), 40) * rng.choice([-1, 1]) + rng.uniform(0, 2 * np.pi)
    radius = np.linspace(1, rng.normal(1, 0.08), 40)
    return np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)


def _disc(rng: np.random.Generator) -> Strokes:
    spiral = _arc(rng, (2.5, 5)) * np.linspace(1, 0.1, 40)[:, None]  # filled by hand; the rest is filled afterwards
    return [spiral] if rng.random() < 0.3 else [_arc(rng, (1, 1.1))]


def _ring(rng: np.random.Generator) -> Strokes:
    return [_arc(rng, (0.93, 1.15))]


def _square(rng: np.random.Generator) -> Strokes:
    return _outline(1.2 * _corners(4, np.pi / 4), rng)


def _triangle(rng: np.random.Generator) -> Strokes:
    return _outline(_corners(3), rng)


def _cross(rng: np.random.Generator) -> Strokes:
    if rng.random() < 0.25:
        a = rng.uniform(0.25, 0.4)
        quarter = np.array([[-a, -1], [a, -1], [a, -a]])
        turns = [quarter @ [[c, s], [-s, c]] for c, s in ((1, 0), (0, 1), (-1, 0), (0, -1))]
        return _outline(np.concatenate(turns), rng)
    ends = np.array([[0.0, -1.0], [0.0, 1.0]])
    return [ends + rng.normal(0, 0.12, (1, 2)), ends[:, ::-1] + rng.normal(0, 0.12, (1, 2))]


def _star(rng: np.random.Generator) -> Strokes:
    if rng.random() < 0.5:
        order = (np.arange(6) * 2 + rng.integers(5)) % 5  # without lifting the pen
        return [_corners(5)[order]]
    star = np.empty((10, 2))
    star[::2], star[1::2] = _corners(5), rng.uniform(0.35, 0.5) * _corners(5, np.pi / 5)
    return _outline(star, rng)


def _stripes(rng: np.random.Generator) -> Strokes:
    places = np.linspace(-1, 1, int(rng.integers(3, 7)))
    return [np.array([[x, -1.0], [x, 1.0]]) + rng.normal(0, 0.06, (2, 2)) for x in places]


def _waves(rng: np.random.Generator) -> Strokes:
    y = np.linspace(-1, 1, 30)
    wave = rng.uniform(0.1, 0.25) * np.sin(np.pi * rng.uniform(1.5, 3) * y + rng.uniform(0, 2 * np.pi))
    return [np.stack([x + wave, y + rng.normal(0, 0.06)], axis=1) for x in np.linspace(-1, 1, int(rng.integers(2, 5)))]


def _checks(rng: np.random.Generator) -> Strokes:
    return _stripes(rng) + [line[:, ::-1] for line in _stripes(rng)]


def _dots(rng: np.random.Generator) -> Strokes:
    across = int(rng.integers(3, 5))
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, across)] * 2), axis=2).reshape(-1, 1, 2)
    dot = 0.1 * np.array([[0.0, 0.0], [1.0, 0.5], [0.0, 1.0]])
    return list(dot + grid + rng.normal(0, 0.1, grid.shape))


HANDS: dict[str, Callable[[np.random.Generator], Strokes]] = {
    "disc": _disc,
    "ring": _ring,
    "square": _square,
    "triangle": _triangle,
    "cross": _cross,
    "star": _star,
    "stripes": _stripes,
    "waves": _waves,
    "checks": _checks,
    "dots": _dots,
}
TEXTURES = ("stripes", "waves", "checks", "dots")
FILLED = ("square", "triangle", "star")  # sometimes; a disc always


# --- the hand, the pen and the paper ----------------------------------------------------------------------------------


def _finely(points: Points, step: float = 0.2) -> Points:
    """Add points along a stroke, so that it can bend."""
    lengths = np.hypot(*np.diff(points, axis=0).T)
    along = np.concatenate([[0], np.cumsum(lengths)])
    places = np.linspace(0, along[-1], max(2, int(along[-1] / step) + 1))
    return np.stack([np.interp(places, along, side) for side in points.T], axis=1)


def _hand(strokes: Strokes, rng: np.random.Generator) -> Strokes:
    """Miss corners a little, cut them in a hurry, and tremble."""
    miss, tremble, hurry = rng.uniform(0, 0.09), rng.uniform(0, 0.035), int(rng.choice([0, 0, 1, 2]))
    drawn: Strokes = []
    for points in strokes:
        points = points + rng.normal(0, miss, points.shape) * (len(points) <= 12)
        points = _finely(points)
        for _ in range(hurry):
            points[1:-1] = (points[:-2] + 2 * points[1:-1] + points[2:]) / 4
        drawn.append(points + rng.normal(0, tremble, points.shape))
    return drawn


def _sketch(figure: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return one sketch as an image (3, 32, 32)."""
    strokes = _hand(HANDS[figure](rng), rng)
    angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.4 else rng.normal(0, 0.15)
    c, s = np.cos(angle), np.sin(angle)
    narrow, slant = np.exp(rng.normal(0, 0.12)), rng.normal(0, 0.08)
    size = rng.uniform(8, 12) if figure in TEXTURES else np.exp(rng.uniform(np.log(4.2), np.log(14)))
    matrix = np.array([[c, s], [-s, c]]) @ [[narrow, slant], [0, 1 / narrow]] * size
    strokes = [points @ matrix.T for points in strokes]
    everything = np.concatenate(strokes)
    low, high = everything.min(axis=0), everything.max(axis=0)
    room = np.maximum(0, SIDE - 3 - (high - low))
    shift = 1.5 - low + room * rng.uniform(0, 1, 2) if rng.random() < 0.7 else (SIDE - low - high) / 2
    strokes = [points + shift for points in strokes]

    filled = figure == "disc" or (figure in FILLED and rng.random() < 0.2)
    inked = pen(strokes, min(rng.uniform(1.4, 3.6), 0.55 * size), filled=filled)
    ground = rng.uniform(0, 150, (3, 1, 1)) if rng.random() < 0.5 else np.full((3, 1, 1), rng.uniform(0, 120))
    colour = ground + 100 + rng.uniform(0, 1, ground.shape) * (155 - ground)
    image = ground + (colour - ground) * inked
    if rng.random() < 0.5:
        y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
        image += rng.uniform(-1.2, 1.2, ground.shape) * x + rng.uniform(-1.2, 1.2, ground.shape) * y
        image += rng.uniform(0, 25) * rng.standard_normal(image.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def pen(strokes: Sequence[Points], width: float, side: int = SIDE, filled: bool = False) -> NDArray[np.float32]:
    """Return how much of each pixel a round pen covers.

    Parameters
    ----------
    strokes : sequence of ndarray, (n, 2)
        The points (x, y) of each, in pixels from the top left corner of the image; straight lines join them.
    width : float
        Of the pen, in pixels.
    side : int
        Height and width of the image.
    filled : bool
        Whether what a stroke goes round is covered, too, by the even-odd rule.

    Returns
    -------
    ndarray of float32, (side, side)
        From 0 to 1.
    """
    y, x = np.mgrid[:side, :side].astype(np.float32)[..., None] + np.float32(0.5)
    distance = np.full((side, side), np.inf, np.float32)
    inside = np.zeros((side, side), bool)
    for points in strokes:
        points = np.asarray(points, np.float32)
        (ax, ay), (bx, by) = points[:-1].T, points[1:].T
        dx, dy = bx - ax, by - ay
        part = np.clip(((x - ax) * dx + (y - ay) * dy) / np.maximum(dx * dx + dy * dy, np.float32(1e-9)), 0, 1)
        distance = np.minimum(distance, np.hypot(x - ax - part * dx, y - ay - part * dy).min(axis=2))
        if filled:
            ax, ay, bx, by = (
                np.append(at, last) for at, last in ((ax, bx[-1]), (ay, by[-1]), (bx, ax[0]), (by, ay[0]))
            )
            crossed = (ay > y) != (by > y)
            with np.errstate(divide="ignore", invalid="ignore"):
                inside ^= (crossed & (x < ax + (y - ay) * (bx - ax) / (by - ay))).sum(axis=2) % 2 == 1
    covered = np.clip(0.5 + width / 2 - distance, 0, 1)
    return np.where(inside, np.float32(1), covered).astype(np.float32)
