"""How a picture becomes what a network sees: scaled by the training set's statistics, and cropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from minicnn.backend import get_array_module, on_device_of
from minicnn.data import transforms
from minicnn.data.image_folder import ImageFolder
from minicnn.data.statistics import PixelStatistics, pixel_statistics

__all__ = ["INPUTS", "Preparation"]

INPUTS = ("raw", "standardised")
LARGEST = 4096  # a picture of this side takes 200 MB as float32


@dataclass(frozen=True, eq=False)
class Preparation:
    """What was learnt about the training pictures, and has to be done alike to every other picture.

    A picture loses the training set's mean, is divided by its deviation, and its middle is cut out. A network is of
    no use without it, so a checkpoint holds both.

    Parameters
    ----------
    size : int
        The side of the square pictures that come in: 32 for CIFAR-10, 256 for the paper.
    crop : int
        The side of what the network sees: 224 of 256 in the paper. At most `size`.
    mean : ndarray of float32, (3, size, size) or (3, 1, 1)
        The mean image, or the mean colour, in grey levels of 0 to 255.
    deviation : ndarray of float32, (3, 1, 1)
        What each channel is divided by; ones leave pixels on the scale of 0 to 255.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, its value and what is accepted.

    References
    ----------
    Krizhevsky et al. 2012, section 2 (mean image) and 4.1 (crops).

    Examples
    --------
    >>> import numpy as np
    >>> pictures = np.random.default_rng(0).integers(0, 256, (5, 3, 32, 32), dtype=np.uint8)
    >>> preparation = Preparation.fit(pictures, crop=28)
    >>> preparation.prepare(pictures).shape, preparation.ten_crops(pictures).shape
    ((5, 3, 28, 28), (5, 10, 3, 28, 28))
    """

    size: int
    crop: int
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    def __post_init__(self) -> None:
        for name, value, most in (("size", self.size, LARGEST), ("crop", self.crop, self.size)):
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"Preparation: {name} is {value!r}; expected an int of 1 to {most}")
            if not 1 <= value <= most:
                raise ValueError(f"Preparation: {name} is {value}; expected 1 to {most}")
        colour, image = (3, 1, 1), (3, self.size, self.size)
        for name, array, shapes in (("mean", self.mean, (image, colour)), ("deviation", self.deviation, (colour,))):
            if array.dtype != np.float32 or array.shape not in shapes:
                expected = " or ".join(map(str, dict.fromkeys(shapes)))
                raise ValueError(
                    f"Preparation: {name} is {array.dtype} of shape {array.shape}; expected float32 of {expected}"
                )
            if not np.isfinite(array).all():
                raise ValueError(f"Preparation: {name} holds numbers that are not finite")
        if not (self.deviation > 0).all():
            raise ValueError(f"Preparation: deviation is {self.deviation.ravel().tolist()}; expected numbers above 0")

    @classmethod
    def fit(cls, pictures: ImageFolder | NDArray[np.uint8], crop: int, inputs: str = "standardised") -> Self:
        """Learn the numbers from training pictures.

        Parameters
        ----------
        pictures : ImageFolder, or ndarray of uint8, (N, 3, size, size)
            The training pictures, without those of validation and test.
        crop : int
            See above.
        inputs : {"raw", "standardised"}
            Subtract the mean image and nothing more, as in 2012; or bring each colour channel to mean zero and
            variance one. A channel that is constant becomes zero.

        Returns
        -------
        Preparation

        Raises
        ------
        DataError
            If pictures of a folder cannot be read; all of them are named.
        TypeError, ValueError
            Naming the argument, its value and what is accepted.
        """
        return cls.of(pixel_statistics(pictures), crop, inputs)

    @classmethod
    def of(cls, statistics: PixelStatistics, crop: int, inputs: str = "standardised") -> Self:
        """Do the same with statistics that are known already."""
        if inputs not in INPUTS:
            raise ValueError(f"Preparation: inputs is {inputs!r}; expected one of {', '.join(INPUTS)}")
        mean, deviation = statistics.mean, np.ones((3, 1, 1), np.float32)
        size = mean.shape[1]
        if inputs == "standardised":
            # The covariance is V diag(s) V^T; its diagonal holds the variance of each channel.
            variance = (statistics.eigenvectors**2) @ statistics.eigenvalues
            variance[variance < 1e-6] = 1  # constant but for rounding
            mean = mean.mean(axis=(1, 2), dtype=np.float64).astype(np.float32)[:, None, None]
            deviation = np.sqrt(variance).astype(np.float32)[:, None, None]
        return cls(size, crop, mean, deviation)

    def prepare(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return what the network sees when nothing is left to chance: (N, 3, size, size) to (N, 3, crop, crop)."""
        return transforms.center_crop(self._scaled(images), size=self.crop)

    def ten_crops(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the corners and the centre, and their mirror images: (N, 10, 3, crop, crop). Section 4.1."""
        return transforms.ten_crop(self._scaled(images), size=self.crop)

    def augmented(
        self, flip: bool = True, colour: NDArray[np.floating[Any]] | None = None, padding: int = 0
    ) -> transforms.Transform:
        """Return a transform for :class:`minicnn.data.Loader` that varies each picture at random. Section 4.1.

        Parameters
        ----------
        flip : bool
            Mirror half of the pictures.
        colour : ndarray, (3, 3), optional
            Shift the colours along these columns, :attr:`minicnn.data.PixelStatistics.components`.
        padding : int
            Zeros (mean grey, then) on all four sides, before a crop is taken at random.

        Returns
        -------
        callable
            ``transform(images, rng)``: (N, 3, size, size) of uint8 to (N, 3, crop, crop) of float32.

        Raises
        ------
        ValueError
            If `padding` is negative.
        """
        if padding < 0:
            raise ValueError(f"augmented: padding is {padding}; expected 0 or more")
        edge = ((0, 0), (0, 0), (padding, padding), (padding, padding))
        components = None if colour is None else colour / self.deviation[:, :, 0]

        def transform(images: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
            images = self._scaled(images)
            if padding:
                with on_device_of(images):
                    images = get_array_module(images).pad(images, edge)
            images = transforms.random_crop(images, rng, size=self.crop)
            if flip:
                images = transforms.random_flip(images, rng)
            if components is not None:
                images = transforms.pca_colour(images, rng, components=components)
            return images

        return transform

    def _scaled(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        expected = (3, self.size, self.size)
        if images.ndim != 4 or images.shape[1:] != expected or images.dtype != np.uint8:
            raise ValueError(
                f"Preparation: images is {images.dtype} of shape {images.shape}; expected uint8 of "
                f"(N, {', '.join(map(str, expected))})"
            )
        scaled = transforms.subtract_mean(images, mean=self.mean)
        with on_device_of(images):
            scaled /= get_array_module(images).asarray(self.deviation)
        return scaled
