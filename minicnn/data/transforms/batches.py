"""Transforms of a batch of images: crops, flips, shifts of colour. Each is called as ``transform(images, rng)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minicnn.arguments import number, probability, whole
from minicnn.backend import get_array_module, on_device_of

Array = NDArray[Any]
Transform = Callable[[Array, np.random.Generator], Array]


def compose(*steps: Transform) -> Transform:
    """Return the transform that applies these steps in turn, all with the same `rng`."""

    def transform(images: Array, rng: np.random.Generator) -> Array:
        for step in steps:
            images = step(images, rng)
        return images

    return transform


def random_crop(images: Array, rng: np.random.Generator, *, size: int = 224) -> Array:
    """Crop a random square of each image, (N, C, size, size). All positions are equally likely.

    `rng` draws the N top edges, then the N left edges.

    References
    ----------
    Krizhevsky et al. 2012, section 4.1: 224x224 of 256x256.
    """
    _check_size("random_crop", images, size)
    return _crop_anywhere(images, rng, size, size)


def pad_and_crop(images: Array, rng: np.random.Generator, *, padding: int = 4) -> Array:
    """Shift each image by up to `padding` pixels each way, which is usual for CIFAR's 32x32 images.

    The pixels that move in at the edges are 0, so subtract the mean first: then they are grey, not black. `rng` draws
    the N top edges, then the N left edges.
    """
    _check("pad_and_crop", images)
    xp = get_array_module(images)
    padding = whole("pad_and_crop", "padding", padding, 0)
    edge = (padding, padding)
    with on_device_of(images):
        padded = xp.pad(images, ((0, 0), (0, 0), edge, edge))
    return _crop_anywhere(padded, rng, *images.shape[2:])


def _crop_anywhere(images: Array, rng: np.random.Generator, height: int, width: int) -> Array:
    N, C, H, W = images.shape
    top, left = rng.integers(0, H - height + 1, N), rng.integers(0, W - width + 1, N)
    if get_array_module(images) is np:
        # A view of every crop of every image: (N, C, top edges, left edges, height, width).
        crops = np.lib.stride_tricks.sliding_window_view(images, (height, width), axis=(2, 3))
        return crops[np.arange(N), :, top, left]  # (N, C, height, width)
    rows, columns = top[:, None] + np.arange(height), left[:, None] + np.arange(width)  # (N, height), (N, width)
    with on_device_of(images):  # indexing such a view in CuPy would copy all of it first
        cropped: Array = images[
            np.arange(N)[:, None, None, None],
            np.arange(C)[:, None, None],
            rows[:, None, :, None],
            columns[:, None, None],
        ]
    return cropped


def center_crop(images: Array, rng: np.random.Generator | None = None, *, size: int = 224) -> Array:
    """Crop the central square of each image, (N, C, size, size); one pixel nearer to the top or left if need be."""
    _check_size("center_crop", images, size)
    top, left = (images.shape[2] - size) // 2, (images.shape[3] - size) // 2
    with on_device_of(images):
        return images[:, :, top : top + size, left : left + size].copy()


def ten_crop(images: Array, rng: np.random.Generator | None = None, *, size: int = 224) -> Array:
    """Crop the four corners and the centre of each image, and add their mirror images.

    At test time the paper averages the softmax over the ten::

        crops = ten_crop(images)                                     # (N, 10, C, 224, 224)
        scores = model(Tensor(crops.reshape(-1, *crops.shape[2:])))  # (N * 10, classes)
        F.softmax(scores, 1).numpy().reshape(N, 10, -1).mean(axis=1)

    Returns
    -------
    ndarray, (N, 10, C, size, size)
        Top left, top right, bottom left, bottom right, centre, then the mirror image of each, in the same order.

    References
    ----------
    Krizhevsky et al. 2012, section 4.1.
    """
    _check_size("ten_crop", images, size)
    corners = [images[:, :, :size, :size], images[:, :, :size, -size:]]
    corners += [images[:, :, -size:, :size], images[:, :, -size:, -size:]]
    xp = get_array_module(images)
    with on_device_of(images):
        five = xp.stack([*corners, center_crop(images, size=size)], axis=1)  # (N, 5, C, size, size)
        ten: Array = xp.concatenate([five, five[..., ::-1]], axis=1)
    return ten


def random_flip(images: Array, rng: np.random.Generator, *, p: float = 0.5) -> Array:
    """Flip each image left to right with probability `p`.

    References
    ----------
    Krizhevsky et al. 2012, section 4.1.
    """
    _check("random_flip", images)
    chosen = np.flatnonzero(rng.random(len(images)) < probability("random_flip", "p", p))
    with on_device_of(images):
        flipped = images.copy()
        flipped[chosen] = images[chosen][..., ::-1]
    return flipped


def pca_colour(images: Array, rng: np.random.Generator, *, components: Array, std: float = 0.1) -> Array:
    """Shift the colour of each image along the directions in which the training set's colours vary.

    To every pixel of an image the same  [p1 p2 p3] [a1 s1, a2 s2, a3 s3]^T  is added: p_i are the eigenvectors of the
    covariance of the colours of all training pixels, and a_i ~ N(0, std) is drawn once for each image.

    A trap: the paper says that s_i is the *eigenvalue*. But an eigenvalue is a variance, in grey levels squared
    (CIFAR-10's largest is 11,649), and a_i s_i would shift colours by a thousand grey levels, far outside any image.
    Its square root has the right unit, the standard deviation along p_i. The authors' own programs use it, and so does
    this function: the shift is then about six grey levels.

    Parameters
    ----------
    images : ndarray, (N, 3, H, W)
    rng : numpy.random.Generator
        Draws the (N, 3) numbers a.
    components : ndarray, (3, 3)
        The columns p_i s_i: :attr:`minicnn.data.PixelStatistics.components`. For images whose channels were divided by
        ``deviation`` (3,), use ``components / deviation[:, None]``.
    std : float
        The standard deviation of a, at least 0.

    Returns
    -------
    ndarray, (N, 3, H, W)
        float32 for uint8 images (a shift is not an integer, and nothing is clipped to 0..255), else of their dtype.

    References
    ----------
    Krizhevsky et al. 2012, section 4.1.
    """
    _check("pca_colour", images)
    if images.shape[1] != 3:
        raise ValueError(f"pca_colour: images must have 3 channels, red, green and blue, got {images.shape[1]}")
    if np.shape(components) != (3, 3):
        raise ValueError(f"pca_colour: components must have shape (3, 3), got {np.shape(components)}")
    if not number("pca_colour", "std", std) >= 0:
        raise ValueError(f"pca_colour: std must be at least 0, got {std}")
    a = rng.normal(0, std, (len(images), 3))
    shift = a @ np.asarray(components).T  # (N, 3): row n is components @ a[n]
    with on_device_of(images):
        shifted: Array = images + get_array_module(images).asarray(shift.astype(_float_of(images)))[:, :, None, None]
    return shifted


def subtract_mean(images: Array, rng: np.random.Generator | None = None, *, mean: Array) -> Array:
    """Subtract the training set's mean image, pixel by pixel. Do this before cropping, which moves the pixels.

    Parameters
    ----------
    images : ndarray, (N, C, H, W)
    rng : numpy.random.Generator, optional
        Not used.
    mean : ndarray, (C, H, W) or (C, 1, 1)
        The mean image (:attr:`minicnn.data.PixelStatistics.mean`), or a mean colour.

    Returns
    -------
    ndarray, (N, C, H, W)
        float32 for uint8 images, else of their dtype.

    References
    ----------
    Krizhevsky et al. 2012, section 2.
    """
    _check("subtract_mean", images)
    C, H, W = images.shape[1:]
    if np.shape(mean) not in ((C, H, W), (C, 1, 1)):
        raise ValueError(
            f"subtract_mean: mean must have shape ({C}, {H}, {W}) or ({C}, 1, 1), as images of {images.shape} need, "
            f"got {np.shape(mean)}; subtract before cropping"
        )
    with on_device_of(images):
        difference: Array = images - get_array_module(images).asarray(mean, dtype=_float_of(images))
    return difference


def _float_of(images: Array) -> np.dtype[Any]:
    return images.dtype if images.dtype.kind == "f" else np.dtype(np.float32)


def _check(function: str, images: Array) -> None:
    if images.ndim != 4:
        raise ValueError(f"{function}: images must have shape (N, C, H, W), got {images.shape}")


def _check_size(function: str, images: Array, size: int) -> None:
    _check(function, images)
    H, W = images.shape[2:]
    if not 1 <= size <= min(H, W):
        raise ValueError(f"{function}: size must be 1 to {min(H, W)} for images of {H}x{W}, got {size}")
