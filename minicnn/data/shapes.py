"""Shapes: ten classes of drawn 32x32 colour images, made in two seconds, without a download.

Six classes are figures (disc, ring, square, triangle, cross, star), four are textures (stripes, waves, checks, dots).
Position, size, angle, the two colours, shading, noise and three spots of clutter are random and do not depend on the
class. A linear classifier, which weighs each pixel by itself, learns little from that; the class is in the edges and
corners and their arrangement, which convolutions see. Only one thing helps both: the figure is lighter than its
background in every channel, so the mean image of a class is a blurred figure. Without it, the small initial weights of
2012 take epochs before they begin to learn.

A figure is drawn from its *signed distance*: how far a point is from the edge, negative inside. Points are given as
(u, v), relative to the centre of the figure, rotated by its angle and in units of its size. So a class is a line or two
of geometry: one figure of size 1, upright, at the origin.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from minicnn.arguments import whole
from minicnn.backend import Array
from minicnn.data.labelled_images import LabelledImages

Plane = Array  # float32, (N, 32, 32)

SIDE = 32
BLOCK = 100  # images drawn at a time, from a generator of their own
SPOTS = 3


def _disc(u: Plane, v: Plane) -> Plane:
    return np.hypot(u, v) - 0.85


def _ring(u: Plane, v: Plane) -> Plane:
    return np.abs(np.hypot(u, v) - 0.75) - 0.2


def _square(u: Plane, v: Plane) -> Plane:
    return np.maximum(np.abs(u), np.abs(v)) - 0.75


def _triangle(u: Plane, v: Plane) -> Plane:
    slanted = 0.5 * v + 0.75**0.5 * np.abs(u)  # by symmetry, both upper sides
    return np.maximum(-v, slanted) - 0.58


def _cross(u: Plane, v: Plane) -> Plane:
    a, b = np.abs(u), np.abs(v)
    return np.maximum(np.minimum(a, b) - 0.28, np.maximum(a, b) - 0.95)


def _star(u: Plane, v: Plane) -> Plane:
    # A five-pointed star is ten mirror images of one edge, from the tip (1, 0) to the notch at 36 degrees.
    fold = np.float32(np.pi / 5)
    angle = np.abs((np.arctan2(v, u) + fold) % (2 * fold) - fold)
    radius = np.hypot(u, v)
    notch_u, notch_v = 0.42 * np.cos(fold), 0.42 * np.sin(fold)
    normal = np.array([notch_v, 1 - notch_u], np.float32) / np.float32(np.hypot(notch_v, 1 - notch_u))
    return normal[0] * (radius * np.cos(angle) - 1) + normal[1] * radius * np.sin(angle)


def _band(u: Plane) -> Plane:
    return np.abs(u % 1 - np.float32(0.5)) - np.float32(0.25)  # half of each unit, periodically


def _stripes(u: Plane, v: Plane) -> Plane:
    return _band(u)


def _waves(u: Plane, v: Plane) -> Plane:
    return _band(u + 0.3 * np.sin(np.float32(np.pi) * v))


def _checks(u: Plane, v: Plane) -> Plane:
    a, b = _band(u), _band(v)
    return np.maximum(np.minimum(a, b), -np.maximum(a, b))  # inside one band and outside the other


def _dots(u: Plane, v: Plane) -> Plane:
    return np.hypot(u % 1 - np.float32(0.5), v % 1 - np.float32(0.5)) - np.float32(0.3)


FIGURES: dict[str, Callable[[Plane, Plane], Plane]] = {
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
CLASSES = tuple(FIGURES)


def load_shapes(train: int = 10_000, test: int = 2_000, seed: int = 0) -> LabelledImages:
    """Draw the images.

    Parameters
    ----------
    train, test : int
        The number of training and test images, at least 1. A larger set begins with the images of a smaller one, and
        every 100 have 10 of each class.
    seed : int
        At least 0. The same seed gives the same images (except for the last bit, which may depend on NumPy's version
        and the processor). Training and test images come from different random streams.

    Returns
    -------
    LabelledImages
        Images (train, 3, 32, 32) and (test, 3, 32, 32) uint8, labels int64.

    Examples
    --------
    >>> from minicnn.data import load_shapes
    >>> load_shapes(train=100, test=10)
    LabelledImages('shapes': 100 train and 10 test images of 32x32, 10 classes)
    """
    for name, value, minimum in (("train", train, 1), ("test", test, 1), ("seed", seed, 0)):
        whole("load_shapes", name, value, minimum)
    return LabelledImages("shapes", *_draw(train, (seed, 0)), *_draw(test, (seed, 1)), CLASSES)


def _draw(count: int, stream: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    blocks = -(-count // BLOCK)
    images = np.empty((blocks * BLOCK, 3, SIDE, SIDE), np.uint8)
    labels = np.empty(blocks * BLOCK, np.int64)
    for number in range(blocks):
        block = slice(number * BLOCK, (number + 1) * BLOCK)
        images[block], labels[block] = _draw_block(np.random.default_rng((*stream, number)))
    return images[:count], labels[:count]


def _draw_block(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    def uniform(low: float, high: float, *shape: int) -> NDArray[np.float32]:
        return rng.random((BLOCK, *shape), np.float32) * (high - low) + low

    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    labels = rng.permutation(np.arange(BLOCK) % len(FIGURES))

    size, angle = uniform(6, 12, 1, 1), uniform(0, 2 * np.pi, 1, 1)
    dx, dy = x - uniform(11, 21, 1, 1), y - uniform(11, 21, 1, 1)
    u = (dx * np.cos(angle) + dy * np.sin(angle)) / size
    v = (dy * np.cos(angle) - dx * np.sin(angle)) / size
    distance = np.empty((BLOCK, SIDE, SIDE), np.float32)
    for label, figure in enumerate(FIGURES.values()):
        chosen = labels == label
        distance[chosen] = figure(u[chosen], v[chosen])

    ground = uniform(0, 150, 3, 1, 1)
    colour = ground + 100 + uniform(0, 1, 3, 1, 1) * (155 - ground)
    images = ground + (colour - ground) * _inside(distance * size)
    slope_x, slope_y = uniform(-1.2, 1.2, 3, 1, 1), uniform(-1.2, 1.2, 3, 1, 1)  # grey levels for each pixel
    images += slope_x * (x - SIDE / 2) + slope_y * (y - SIDE / 2)
    for _ in range(SPOTS):
        radius = uniform(1.5, 4, 1, 1)
        spot = np.hypot(x - uniform(0, SIDE, 1, 1), y - uniform(0, SIDE, 1, 1)) - radius
        images += (uniform(0, 255, 3, 1, 1) - images) * _inside(spot)
    images += uniform(5, 40, 1, 1, 1) * rng.standard_normal(images.shape, np.float32)
    return np.clip(np.rint(images), 0, 255).astype(np.uint8), labels


def _inside(distance: Plane) -> Plane:
    """Return the covered part of each pixel, 0 to 1, for all three channels; at the edge it is in between."""
    return np.clip(0.5 - distance, 0, 1)[:, None]
