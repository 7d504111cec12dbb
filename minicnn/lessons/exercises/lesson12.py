"""Lesson 12, looking inside."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minicnn.lessons.exercise import Exercise, Mistake

__all__ = ["EXERCISES"]

Numbers = NDArray[np.float64]

_rng = np.random.default_rng(12)


# --- a saliency map -------------------------------------------------------------------------------------------


def look_saliency(gradients: Numbers) -> Numbers:
    """Return the largest absolute value of each pixel's colours."""
    return np.asarray(np.abs(gradients).max(axis=1))


saliency = Exercise(
    lesson=12,
    task="Return maps (N, H, W): the largest absolute value over the colours of gradients (N, 3, H, W).",
    solution=look_saliency,
    cases=[
        (np.array([1.0, 0.5, -3.0, 0.0, 2.0, -1.0]).reshape(1, 3, 1, 2),),
        (_rng.normal(size=(2, 3, 4, 4)).round(2),),
        (-np.abs(_rng.normal(size=(1, 3, 3, 2))).round(2),),
    ],
    mistakes=[
        Mistake(
            "no absolute value is taken",
            "A pixel with a strong negative gradient matters as much: the score changes, downwards.",
            lambda gradients: gradients.max(axis=1),
        ),
        Mistake(
            "the absolute value after the maximum",
            "Of -3 and 1 the maximum is 1, and the -3 is lost. What must come first?",
            lambda gradients: np.abs(gradients.max(axis=1)),
        ),
        Mistake(
            "the mean over the colours",
            "A pixel counts as much as its strongest colour does.",
            lambda gradients: np.abs(gradients).mean(axis=1),
        ),
        Mistake(
            "the colours are summed first",
            "A red of 2 and a blue of -2 would cancel, though both matter.",
            lambda gradients: np.abs(gradients.sum(axis=1)),
        ),
        Mistake(
            "the maximum over the images",
            "Of (N, 3, H, W), which axis are the colours?",
            lambda gradients: np.abs(gradients).max(axis=0),
        ),
    ],
)


# --- scaled to be seen ----------------------------------------------------------------------------------------


def look_scale(filters: Numbers) -> Numbers:
    """Return the filters scaled to 0 to 1, zero in the middle."""
    return 0.5 + 0.5 * _of_largest(filters)


def _of_largest(filters: Numbers) -> Numbers:
    largest = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
    return filters / np.where(largest == 0, 1, largest)


def _from_end_to_end(filters: Numbers) -> Numbers:
    least, most = (end(axis=(1, 2, 3), keepdims=True) for end in (filters.min, filters.max))
    return np.asarray((filters - least) / (most - least))


def _of_positive(filters: Numbers) -> Numbers:
    return np.asarray(0.5 + 0.5 * filters / filters.max(axis=(1, 2, 3), keepdims=True))


def _black_where_all_is_zero(filters: Numbers) -> Numbers:
    largest = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
    return np.asarray(np.nan_to_num(0.5 + 0.5 * filters / largest))


scale = Exercise(
    lesson=12,
    task="Return the filters, (F, 3, KH, KW), scaled to 0 to 1, each by itself, with zero at 0.5.",
    solution=look_scale,
    cases=[
        (np.array([-1.0, 0.0, 3.0, -4.0, 2.0, 1.0]).reshape(2, 3, 1, 1),),
        (_rng.normal(size=(3, 3, 2, 2)).round(2),),
        (np.stack([np.zeros((3, 1, 2)), np.full((3, 1, 2), -0.5)]),),
    ],
    mistakes=[
        Mistake(
            "from the smallest to the largest weight",
            "Then zero is a different grey in each filter. If the weights were from -1 to 1, what would map 0 to 0.5?",
            _from_end_to_end,
        ),
        Mistake(
            "one scale for all filters",
            "A weak filter would be grey all over. Use the largest weight of each filter.",
            lambda filters: 0.5 + 0.5 * filters / (np.abs(filters).max() or 1),
        ),
        Mistake(
            "the largest weight instead of the largest absolute value",
            "Use the largest weight *of either sign*: in a filter of -4, 2 and 1, which one is it?",
            _of_positive,
        ),
        Mistake(
            "a filter of zeros is divided by zero",
            "What is 0 / 0 in NumPy? Such a filter should be grey.",
            lambda filters: 0.5 + 0.5 * filters / np.abs(filters).max(axis=(1, 2, 3), keepdims=True),
            [_black_where_all_is_zero],
        ),
        Mistake(
            "the numbers are from -1 to 1",
            "Colours are from 0 to 1. Halve the range and shift it: where should zero be?",
            _of_largest,
        ),
    ],
)


# --- the receptive field --------------------------------------------------------------------------------------

Layers = Sequence[tuple[int, int]]


def look_receptive_field(layers: Layers) -> int:
    """Return the side of the receptive field."""
    side, apart = 1, 1
    for kernel, stride in layers:
        side += (kernel - 1) * apart
        apart *= stride
    return side


def _own_stride_first(layers: Layers) -> int:
    side, apart = 1, 1
    for kernel, stride in layers:
        apart *= stride
        side += (kernel - 1) * apart
    return side


def _whole_kernels(layers: Layers) -> int:
    side, apart = 0, 1
    for kernel, stride in layers:
        side += kernel * apart
        apart *= stride
    return side


def _last_stride_only(layers: Layers) -> int:
    side, apart = 1, 1
    for kernel, stride in layers:
        side += (kernel - 1) * apart
        apart = stride
    return side


field = Exercise(
    lesson=12,
    task="Return how many pixels each way a unit of the last layer sees, from a list of (kernel, stride).",
    solution=look_receptive_field,
    cases=[
        ([(5, 1), (3, 2), (3, 1)],),
        ([(3, 1)],),
        ([(11, 4), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1), (3, 2)],),
        ([(2, 2), (2, 2), (2, 2)],),
    ],
    mistakes=[
        Mistake(
            "the strides are ignored",
            "After a layer with stride 2, neighbours are two pixels apart. How many pixels does a window of 3 cover "
            "then?",
            lambda layers: 1 + sum(kernel - 1 for kernel, _ in layers),
        ),
        Mistake(
            "a layer's own stride is applied to its own window",
            "A layer's stride is the distance between its *outputs*. The distance between the numbers in its window "
            "comes from the layers before it.",
            _own_stride_first,
            [lambda layers: 1 + sum((kernel - 1) * stride for kernel, stride in layers)],
        ),
        Mistake(
            "the kernel instead of the kernel minus one",
            "Three numbers in a row have two steps between them.",
            _whole_kernels,
            [lambda layers: 1 + _whole_kernels(layers)],
        ),
        Mistake(
            "only the stride of the previous layer is used",
            "With two layers of stride 2, neighbours are four pixels apart: steps multiply.",
            _last_stride_only,
        ),
        Mistake(
            "the kernels are multiplied",
            "Windows of neighbours overlap: two layers of 3x3 with stride 1 see 5x5 pixels, not 9x9.",
            lambda layers: int(np.prod([kernel for kernel, _ in layers])),
        ),
    ],
)


# --- which channels have died ---------------------------------------------------------------------------------


def look_dead(maps: Numbers) -> tuple[Any, int]:
    """Return each channel's share of active numbers, and the number of dead channels."""
    return _counted(np.mean(maps > 0, axis=(0, 2, 3)))


def _counted(shares: Any) -> tuple[Any, int]:
    return shares, int(np.sum(shares == 0))


def _relu(*shape: int) -> Numbers:
    return np.maximum(0.0, _rng.normal(size=shape)).round(2)


_SOME_DEAD = _relu(3, 4, 2, 2)
_SOME_DEAD[:, 1] = 0.0
_SOME_DEAD[0, 2] = 0.0

dead = Exercise(
    lesson=12,
    task="Return (share of numbers above zero for each channel of maps, number of channels that are never active).",
    solution=look_dead,
    cases=[
        (np.array([0.0, 3.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]).reshape(2, 2, 1, 2),),
        (_SOME_DEAD,),
        (_relu(2, 5, 3, 3),),
    ],
    mistakes=[
        Mistake(
            "zero counts as active",
            "After a ReLU nothing is below zero, so with >= all are active. Active means *above* zero.",
            lambda maps: _counted(np.mean(maps >= 0, axis=(0, 2, 3))),
        ),
        Mistake(
            "the mean of the numbers, not the share of active ones",
            "Count how *many* are above zero, not how large they are.",
            lambda maps: _counted(np.mean(maps, axis=(0, 2, 3))),
        ),
        Mistake(
            "the share of each image",
            "Return one number for each channel: over which axes of (N, C, H, W) is the mean taken?",
            lambda maps: _counted(np.mean(maps > 0, axis=(1, 2, 3))),
        ),
        Mistake(
            "the counts instead of the shares",
            "A share is between 0 and 1. How many numbers does a channel have in all images together?",
            lambda maps: _counted(np.sum(maps > 0, axis=(0, 2, 3)).astype(float)),
        ),
        Mistake(
            "channels that are inactive in one image count as dead",
            "A dead channel is not active in any of the images.",
            lambda maps: (np.mean(maps > 0, axis=(0, 2, 3)), int((maps.max(axis=(2, 3)) == 0).any(axis=0).sum())),
        ),
    ],
)

EXERCISES = [saliency, scale, field, dead]
