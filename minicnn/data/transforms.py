"""What is done to a batch of pictures before the network sees it: crops, mirror images, shifts of colour.

Each function is called as ``transform(images, rng)`` with a batch (N, C, H, W) of uint8 or floats and a
`numpy.random.Generator`, as :class:`minicnn.data.Loader` does, and returns a new batch; its argument stays as it is,
and the same `rng` gives the same result. Each picture draws for itself. Pictures that are on a GPU stay there: what is
random is drawn by the processor, so that it is the same. Settings are set with `functools.partial`,
several steps make one with :func:`compose`. The paper's training (section 4.1), for pictures of 256x256:

>>> from functools import partial
>>> import numpy as np
>>> from minicnn.data import pixel_statistics, transforms
>>> pictures = np.random.default_rng(0).integers(0, 256, (4, 3, 256, 256), dtype=np.uint8)
>>> statistics = pixel_statistics(pictures)
>>> augment = transforms.compose(
...     partial(transforms.subtract_mean, mean=statistics.mean),
...     transforms.random_crop,
...     transforms.random_flip,
...     partial(transforms.pca_colour, components=statistics.components),
... )
>>> batch = augment(pictures, np.random.default_rng(1))
>>> batch.shape, batch.dtype
((4, 3, 224, 224), dtype('float32'))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minicnn.backend import get_array_module, on_device_of

Array = NDArray[Any]
Transform = Callable[[Array, np.random.Generator], Array]


def compose(*steps: Transform) -> Transform:
    """Return the transform that takes these steps one after the other, all of them with the same `rng`."""

    def transform(images: Array, rng: np.random.Generator) -> Array:
        for step in steps:
            images = step(images, rng)
        return images

    return transform


def random_crop(images: Array, rng: np.random.Generator, *, size: int = 224) -> Array:
    """Cut a square out of each picture, at a place of its own: every place is equally likely.

    Parameters
    ----------
    images : ndarray, (N, C, H, W)
        The pictures.
    rng : numpy.random.Generator
        Draws the N top edges, then the N left edges.
    size : int
        The side of the square.

    Returns
    -------
    ndarray, (N, C, size, size)
        Of the dtype of `images`.

    Raises
    ------
    ValueError
        If `images` is no batch of pictures, or they are smaller than the square.

    References
    ----------
    Krizhevsky et al. 2012, section 4.1: 224x224 out of 256x256.
    """
    _check_size("random_crop", images, size)
    return _crop_anywhere(images, rng, size, size)


def pad_and_crop(images: Array, rng: np.random.Generator, *, padding: int = 4) -> Array:
    """Shift each picture by up to `padding` pixels each way: the usual thing for CIFAR's 32x32 pictures.

    Parameters
    ----------
    images : ndarray, (N, C, H, W)
        The pictures. What moves in at their edges is 0, so subtract the mean first: then it is grey, not black.
    rng : numpy.random.Generator
        Draws the N top edges, then the N left edges.
    padding : int
        The width of the edge of zeros that a crop of the old size is taken from.

    Returns
    -------
    ndarray, (N, C, H, W)
        Of the dtype of `images`.

    Raises
    ------
    ValueError
        If `images` is no batch of pictures, or `padding` is negative.
    """
    _check("pad_and_crop", images)
    xp = get_array_module(images)
    if padding < 0:
        raise ValueError(f"pad_and_crop: padding is {padding}; expected 0 or more")
    edge = (padding, padding)
    with on_device_of(images):
        padded = xp.pad(images, ((0, 0), (0, 0), edge, edge))
    return _crop_anywhere(padded, rng, *images.shape[2:])


def _crop_anywhere(images: Array, rng: np.random.Generator, height: int, width: int) -> Array:
    N, C, H, W = images.shape
    top, left = rng.integers(0, H - height + 1, N), rng.integers(0, W - width + 1, N)
    if get_array_module(images) is np:
        # Every crop of every picture, without a copy: (N, C, places from top, places from left, height, width).
        crops = np.lib.stride_tricks.sliding_window_view(images, (height, width), axis=(2, 3))
        return crops[np.arange(N), :, top, left]  # (N, C, height, width)
    rows, columns = top[:, None] + np.arange(height), left[:, None] + np.arange(width)  # (N, height), (N, width)
    with on_device_of(images):  # which would make such a view's copy first
        return images[
            np.arange(N)[:, None, None, None],
            np.arange(C)[:, None, None],
            rows[:, None, :, None],
            columns[:, None, None],
        ]


def center_crop(images: Array, rng: np.random.Generator | None = None, *, size: int = 224) -> Array:
    """Cut the square in the middle out of each picture; one pixel nearer to the top or left if it does not fit evenly.

    Parameters
    ----------
    images : ndarray, (N, C, H, W)
        The pictures.
    rng : numpy.random.Generator, optional
        Not used: nothing here is random.
    size : int
        The side of the square.

    Returns
    -------
    ndarray, (N, C, size, size)
        Of the dtype of `images`.

    Raises
    ------
    ValueError
        If `images` is no batch of pictures, or they are smaller than the square.
    """
    _check_size("center_crop", images, size)
    top, left = (images.shape[2] - size) // 2, (images.shape[3] - size) // 2
    with on_device_of(images):
        return images[:, :, top : top + size, left : left + size].copy()


def ten_crop(images: Array, rng: np.random.Generator | None = None, *, size: int = 224) -> Array:
    """Cut five squares out of each picture, and add their mirror images.

    At test time the paper averages the softmax over the ten::

        crops = ten_crop(images)                                     # (N, 10, C, 224, 224)
        scores = model(Tensor(crops.reshape(-1, *crops.shape[2:])))  # (N * 10, classes)
        F.softmax(scores, 1).numpy().reshape(N, 10, -1).mean(axis=1)

    Parameters
    ----------
    images : ndarray, (N, C, H, W)
        The pictures.
    rng : numpy.random.Generator, optional
        Not used: nothing here is random.
    size : int
        The side of the squares.

    Returns
    -------
    ndarray, (N, 10, C, size, size)
        Top left, top right, bottom left, bottom right, centre, then the mirror image of each, in the same order. Of
        the dtype of `images`.

    Raises
    ------
    ValueError
        If `images` is no batch of pictures, or they are smaller than the squares.

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
        return xp.concatenate([five, five[..., ::-1]], axis=1)


def random_flip(images: Array, rng: np.random.Generator, *, p: float = 0.5) -> Array:
    """Turn some pictures into their mirror images, left to right.

    Parameters
    ----------
    images : ndarray, (N, C, H, W)
        The pictures.
    rng : numpy.random.Generator
        Draws one number for each picture.
    p : float
        How likely a picture is to be turned, 0 to 1.

    Returns
    -------
    ndarray, (N, C, H, W)
        Of the dtype of `images`.

    Raises
    ------
    ValueError
        If `images` is no batch of pictures, or `p` is no probability.

    References
    ----------
    Krizhevsky et al. 2012, section 4.1.
    """
    _check("random_flip", images)
    if not 0 <= p <= 1:
        raise ValueError(f"random_flip: p is {p}; expected 0 to 1")
    turned = np.flatnonzero(rng.random(len(images)) < p)
    with on_device_of(images):
        flipped = images.copy()
        flipped[turned] = images[turned][..., ::-1]
    return flipped


def pca_colour(images: Array, rng: np.random.Generator, *, components: Array, std: float = 0.1) -> Array:
    """Shift the colour of each picture along the directions in which the training set's colours vary.

    Every pixel of a picture is moved by the same  [p1 p2 p3] [a1 s1, a2 s2, a3 s3]^T : p_i are the eigenvectors of the
    covariance of the colours of all training pixels, and a_i ~ N(0, std), drawn once for each picture.

    A trap: the paper says that s_i is the *eigenvalue*. But an eigenvalue is a variance, in grey levels squared
    (CIFAR-10's largest is 11,649), and a_i s_i would move colours by a thousand grey levels, far out of any picture.
    What fits the units is its square root, the standard deviation along p_i. The authors' own programs do that: the
    shift is then about six grey levels, and so it is here.

    Parameters
    ----------
    images : ndarray, (N, 3, H, W)
        The pictures.
    rng : numpy.random.Generator
        Draws the (N, 3) numbers a.
    components : ndarray, (3, 3)
        The columns p_i s_i: :attr:`minicnn.data.PixelStatistics.components`. For pictures whose channels were divided
        by ``deviation`` (3,), give ``components / deviation[:, None]``.
    std : float
        The standard deviation of a.

    Returns
    -------
    ndarray, (N, 3, H, W)
        float32 for uint8 pictures (a shift is no whole number, and nothing is clipped to 0..255), else of the dtype of
        `images`.

    Raises
    ------
    ValueError
        If `images` is no batch of colour pictures, `components` is not (3, 3), or `std` is negative.

    References
    ----------
    Krizhevsky et al. 2012, section 4.1.
    """
    _check("pca_colour", images)
    if images.shape[1] != 3:
        raise ValueError(f"pca_colour: images has {images.shape[1]} channels; expected red, green and blue")
    if np.shape(components) != (3, 3):
        raise ValueError(f"pca_colour: components has shape {np.shape(components)}; expected (3, 3)")
    if not std >= 0:
        raise ValueError(f"pca_colour: std is {std}; expected 0 or more")
    a = rng.normal(0, std, (len(images), 3))
    shift = a @ np.asarray(components).T  # (N, 3): row n is components @ a[n]
    with on_device_of(images):
        return images + get_array_module(images).asarray(shift.astype(_float_of(images)))[:, :, None, None]


def subtract_mean(images: Array, rng: np.random.Generator | None = None, *, mean: Array) -> Array:
    """Subtract the training set's mean image, pixel by pixel. This comes before any crop, which moves the pixels.

    Parameters
    ----------
    images : ndarray, (N, C, H, W)
        The pictures.
    rng : numpy.random.Generator, optional
        Not used: nothing here is random.
    mean : ndarray, (C, H, W) or (C, 1, 1)
        The mean image (:attr:`minicnn.data.PixelStatistics.mean`), or a mean colour.

    Returns
    -------
    ndarray, (N, C, H, W)
        float32 for uint8 pictures, else of the dtype of `images`.

    Raises
    ------
    ValueError
        If `images` is no batch of pictures, or `mean` is of another size.

    References
    ----------
    Krizhevsky et al. 2012, section 2.
    """
    _check("subtract_mean", images)
    C, H, W = images.shape[1:]
    if np.shape(mean) not in ((C, H, W), (C, 1, 1)):
        raise ValueError(
            f"subtract_mean: mean has shape {np.shape(mean)} and images has shape {images.shape}; expected a mean of "
            f"({C}, {H}, {W}) or ({C}, 1, 1): subtract before cropping"
        )
    with on_device_of(images):
        return images - get_array_module(images).asarray(mean, dtype=_float_of(images))


def _float_of(images: Array) -> np.dtype[Any]:
    return images.dtype if images.dtype.kind == "f" else np.dtype(np.float32)


def _check(name: str, images: Array) -> None:
    if images.ndim != 4:
        raise ValueError(f"{name}: images has shape {images.shape}; expected (N, C, H, W)")


def _check_size(name: str, images: Array, size: int) -> None:
    _check(name, images)
    H, W = images.shape[2:]
    if not 1 <= size <= min(H, W):
        raise ValueError(f"{name}: size is {size}; expected 1 to {min(H, W)} for pictures of {H}x{W}")
