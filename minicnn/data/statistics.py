"""Statistics of the training images: their mean image, and how their colours vary."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minicnn.data.image_folder import ImageFolder
from minicnn.files import load_cached, save_cached

PIECE = 1 << 20  # pixels of an array that are added up at a time


@dataclass(frozen=True, eq=False)
class PixelStatistics:
    """The mean image of a training set and the principal components of its colours.

    Attributes
    ----------
    mean : ndarray of float32, (3, H, W)
        The mean image.
    eigenvalues : ndarray of float64, (3,)
        Of the covariance of (red, green, blue) over all pixels of all images, the largest first. They are variances:
        grey levels squared.
    eigenvectors : ndarray of float64, (3, 3)
        Column i belongs to ``eigenvalues[i]``. Its length is 1, and its largest number is positive.
    """

    mean: NDArray[np.float32]
    eigenvalues: NDArray[np.float64]
    eigenvectors: NDArray[np.float64]

    @property
    def components(self) -> NDArray[np.float64]:
        """Each eigenvector times its standard deviation, as columns (3, 3): for `transforms.pca_colour`.

        The standard deviation is the *square root* of the eigenvalue; `pca_colour` explains why the paper's formula,
        which has the eigenvalue itself, must be a mistake.
        """
        return self.eigenvectors * np.sqrt(self.eigenvalues)


def pixel_statistics(images: ImageFolder | NDArray[np.uint8]) -> PixelStatistics:
    """Compute the mean image and the principal components of the colours of the training images.

    All sums are of integers, so the result does not depend on their order or on the number of threads. Those of an
    :class:`ImageFolder` are cached under a fingerprint of its files: a second call reads no image, unless one was
    added, removed or changed.

    Parameters
    ----------
    images : ImageFolder, or ndarray of uint8, (N, 3, H, W)
        The training images.

    Returns
    -------
    PixelStatistics
        Of grey levels 0 to 255.

    Raises
    ------
    DataError
        If images of the folder cannot be read.

    References
    ----------
    Krizhevsky et al. 2012, sections 2 (mean image) and 4.1 (colours).

    Examples
    --------
    >>> import numpy as np
    >>> from minicnn.data import pixel_statistics
    >>> grey = np.array([0, 30, 60, 90], np.uint8).reshape(4, 1, 1, 1) * np.ones((1, 3, 2, 2), np.uint8)
    >>> statistics = pixel_statistics(grey)
    >>> float(statistics.mean[0, 0, 0])
    45.0
    >>> statistics.eigenvalues.round(6).tolist()[0]  # the variance of 0, 30, 60, 90, in three channels at once
    3375.0
    """
    if isinstance(images, ImageFolder):
        return _from_sums(_sums_of_folder(images))
    if images.dtype != np.uint8:
        raise TypeError(f"pixel_statistics: images must be uint8, got {images.dtype}")
    if images.ndim != 4 or images.shape[1] != 3 or images.size == 0:
        raise ValueError(f"pixel_statistics: images must have shape (N, 3, H, W), none of it 0, got {images.shape}")
    step = max(1, PIECE // (images.shape[2] * images.shape[3]))
    return _from_sums(_add_up(_measure(images[start : start + step]) for start in range(0, len(images), step)))


class _Sums(NamedTuple):
    """Sums over images, int64: their number, their pixels (3, H, W), and products of each pair of channels (3, 3)."""

    images: NDArray[np.int64]
    pixels: NDArray[np.int64]
    products: NDArray[np.int64]


def _measure(images: NDArray[np.uint8]) -> _Sums:
    colours = images.transpose(1, 0, 2, 3).reshape(3, -1).astype(np.float64)
    # Integers below 2^53 are exact. einsum does not use BLAS's threads, which would take the cores from ours.
    products = np.einsum("ip,jp->ij", colours, colours)
    return _Sums(np.array(len(images)), images.sum(axis=0, dtype=np.int64), products.astype(np.int64))


def _add_up(parts: Iterable[_Sums]) -> _Sums:
    return reduce(lambda total, part: _Sums(*map(np.add, total, part)), parts)


def _sums_of_folder(folder: ImageFolder) -> _Sums:
    name = f"{folder.fingerprint()}-sums.npz"
    cached = load_cached(name)
    if cached is not None:
        try:
            with np.load(io.BytesIO(cached)) as arrays:
                sums = _Sums(*(arrays[field] for field in _Sums._fields))
            if sums.images == len(folder) and sums.pixels.shape == folder.shape[1:] and sums.products.shape == (3, 3):
                return sums
        except (ValueError, KeyError, TypeError, EOFError, OSError, zipfile.BadZipFile):
            pass  # corrupt; it will be replaced
    sums = _add_up(folder.survey("mean image", _measure))
    file = io.BytesIO()
    np.savez(file, **sums._asdict())
    save_cached(name, file.getvalue())
    return sums


def _from_sums(sums: _Sums) -> PixelStatistics:
    pixels = sums.images * sums.pixels[0].size
    colour = sums.pixels.sum(axis=(1, 2)) / pixels
    eigenvalues, eigenvectors = np.linalg.eigh(sums.products / pixels - np.outer(colour, colour))  # ascending
    largest = eigenvectors[np.abs(eigenvectors).argmax(axis=0), np.arange(3)]
    eigenvectors = eigenvectors * np.sign(largest)  # both signs are right; the choice is the same everywhere
    return PixelStatistics(
        mean=(sums.pixels / sums.images).astype(np.float32),
        eigenvalues=np.maximum(eigenvalues[::-1], 0),  # rounding may make a zero slightly negative
        eigenvectors=eigenvectors[:, ::-1],
    )
