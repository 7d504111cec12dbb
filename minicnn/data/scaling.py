"""The two ways to scale pixels for a network: as in 2012, and as is usual since.

Both use the statistics of the training images only, and return float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PIECE = 1_000  # images in float64 at a time


def raw(train: NDArray[Any], *others: NDArray[Any]) -> tuple[NDArray[np.float32], ...]:
    """Only subtract the training set's mean image: pixels stay on their scale of 0 to 255.

    Parameters
    ----------
    train : ndarray, (N, C, H, W)
        The training images.
    *others : ndarray, (M, C, H, W)
        More images, such as a test set, from which the same mean is subtracted.

    Returns
    -------
    tuple of ndarray of float32
        The arrays, in the same order and of the same shapes.

    References
    ----------
    Krizhevsky et al. 2012, section 2.
    """
    _check("raw", train, others)
    mean = train.mean(axis=0, dtype=np.float64).astype(np.float32)  # (C, H, W)
    return tuple(_scaled(images, mean) for images in (train, *others))


def standardised(train: NDArray[Any], *others: NDArray[Any]) -> tuple[NDArray[np.float32], ...]:
    """Scale each colour channel to mean zero and variance one over the training set; a constant one becomes zero.

    Parameters
    ----------
    train : ndarray, (N, C, H, W)
        The training images.
    *others : ndarray, (M, C, H, W)
        More images, such as a test set, that are scaled by the same numbers.

    Returns
    -------
    tuple of ndarray of float32
        The arrays, in the same order and of the same shapes.
    """
    _check("standardised", train, others)
    count, channels, height, width = train.shape
    mean = train.mean(axis=(0, 2, 3), dtype=np.float64)
    squares = np.zeros(channels)
    for start in range(0, count, PIECE):
        squares += np.square(train[start : start + PIECE] - mean[:, None, None]).sum(axis=(0, 2, 3))
    deviation = np.sqrt(squares / (count * height * width))
    deviation[deviation == 0] = 1
    shift, scale = (each.astype(np.float32)[:, None, None] for each in (mean, deviation))  # (C, 1, 1)
    return tuple(_scaled(images, shift, scale) for images in (train, *others))


def _check(function: str, train: NDArray[Any], others: tuple[NDArray[Any], ...]) -> None:
    if train.ndim != 4 or train.size == 0:
        raise ValueError(f"{function}: train must have shape (N, C, H, W), none of it 0, got {train.shape}")
    for position, images in enumerate(others):
        if images.ndim != 4 or images.shape[1:] != train.shape[1:]:
            C, H, W = train.shape[1:]
            raise ValueError(
                f"{function}: others[{position}] must have shape (M, {C}, {H}, {W}), as in train, got {images.shape}"
            )


def _scaled(
    images: NDArray[Any], mean: NDArray[np.float32], deviation: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    scaled = images.astype(np.float32)
    scaled -= mean
    if deviation is not None:
        scaled /= deviation
    return scaled
