"""The two ways to present pixels to a network: as in 2012, and as is usual since.

Both take their statistics from the training pictures alone and give float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PIECE = 1_000  # pictures in float64 at a time


def raw(train: NDArray[Any], *others: NDArray[Any]) -> tuple[NDArray[np.float32], ...]:
    """Subtract the training set's mean image, and nothing more: pixels stay on their scale of 0 to 255.

    Parameters
    ----------
    train : ndarray, (N, C, H, W)
        The training pictures.
    *others : ndarray, (M, C, H, W)
        More pictures (a test set), to be scaled alike.

    Returns
    -------
    tuple of ndarray of float32
        As many arrays as were given, of the same shapes.

    Raises
    ------
    ValueError
        If `train` is empty, or an array is not (N, C, H, W) with the C, H, W of `train`.

    References
    ----------
    Krizhevsky et al. 2012, section 2.
    """
    _check(train, others)
    mean = train.mean(axis=0, dtype=np.float64).astype(np.float32)  # (C, H, W)
    return tuple(_scaled(images, mean) for images in (train, *others))


def standardised(train: NDArray[Any], *others: NDArray[Any]) -> tuple[NDArray[np.float32], ...]:
    """Bring each colour channel to mean zero and variance one over the training set.

    A channel that is constant has no scale to bring to one, and becomes zero.

    Parameters
    ----------
    train : ndarray, (N, C, H, W)
        The training pictures.
    *others : ndarray, (M, C, H, W)
        More pictures (a test set), to be scaled by the same numbers.

    Returns
    -------
    tuple of ndarray of float32
        As many arrays as were given, of the same shapes.

    Raises
    ------
    ValueError
        If `train` is empty, or an array is not (N, C, H, W) with the C, H, W of `train`.
    """
    _check(train, others)
    count, channels, height, width = train.shape
    mean = train.mean(axis=(0, 2, 3), dtype=np.float64)
    squares = np.zeros(channels)
    for start in range(0, count, PIECE):
        squares += np.square(train[start : start + PIECE] - mean[:, None, None]).sum(axis=(0, 2, 3))
    deviation = np.sqrt(squares / (count * height * width))
    deviation[deviation == 0] = 1
    shift, scale = (each.astype(np.float32)[:, None, None] for each in (mean, deviation))  # (C, 1, 1)
    return tuple(_scaled(images, shift, scale) for images in (train, *others))


def _check(train: NDArray[Any], others: tuple[NDArray[Any], ...]) -> None:
    if train.ndim != 4 or train.size == 0:
        raise ValueError(f"train has shape {train.shape}; expected (N, C, H, W), none of them 0")
    for position, images in enumerate(others):
        if images.ndim != 4 or images.shape[1:] != train.shape[1:]:
            channels, height, width = train.shape[1:]
            raise ValueError(
                f"others[{position}] has shape {images.shape}; expected (M, {channels}, {height}, {width}) as in train"
            )


def _scaled(
    images: NDArray[Any], mean: NDArray[np.float32], deviation: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    scaled = images.astype(np.float32)
    scaled -= mean
    if deviation is not None:
        scaled /= deviation
    return scaled
