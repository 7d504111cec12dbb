"""How images become the input of a network: scaled by the training set's statistics, and cropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from minicnn.arguments import one_of, whole
from minicnn.backend import get_array_module, on_device_of
from minicnn.data import transforms
from minicnn.data.image_folder import ImageFolder
from minicnn.data.statistics import PixelStatistics, pixel_statistics

__all__ = ["INPUTS", "Preparation"]

INPUTS = ("raw", "standardised")
LARGEST = 4096  # an image of this size takes 200 MB as float32


@dataclass(frozen=True, eq=False)
class Preparation:
    """The statistics of the training images, by which every other image has to be scaled too.

    The training set's mean is subtracted from an image, it is divided by the standard deviation, and its centre is
    cropped. A network is useless without it, so a checkpoint holds both.

    Parameters
    ----------
    size : int
        Height and width of the images: 32 for CIFAR-10, 256 for the paper. At most 4096.
    crop : int
        Height and width of the network's input: 224 of 256 in the paper. At most `size`.
    mean : ndarray of float32, (3, size, size) or (3, 1, 1)
        The mean image, or the mean colour, in grey levels of 0 to 255.
    deviation : ndarray of float32, (3, 1, 1)
        The divisor of each channel, above 0; ones leave pixels on the scale of 0 to 255.

    References
    ----------
    Krizhevsky et al. 2012, section 2 (mean image) and 4.1 (crops).

    Examples
    --------
    >>> import numpy as np
    >>> images = np.random.default_rng(0).integers(0, 256, (5, 3, 32, 32), dtype=np.uint8)
    >>> preparation = Preparation.fit(images, crop=28)
    >>> preparation.prepare(images).shape, preparation.ten_crops(images).shape
    ((5, 3, 28, 28), (5, 10, 3, 28, 28))
    """

    size: int
    crop: int
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    def __post_init__(self) -> None:
        for name, value, most in (("size", self.size, LARGEST), ("crop", self.crop, self.size)):
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"Preparation: {name} must be an integer, got {value!r}")
            if not 1 <= value <= most:
                raise ValueError(f"Preparation: {name} must be 1 to {most}, got {value}")
        colour, image = (3, 1, 1), (3, self.size, self.size)
        for name, array, shapes in (("mean", self.mean, (image, colour)), ("deviation", self.deviation, (colour,))):
            if array.dtype != np.float32 or array.shape not in shapes:
                accepted = " or ".join(map(str, dict.fromkeys(shapes)))
                raise ValueError(
                    f"Preparation: {name} must be float32 of shape {accepted}, got {array.dtype} of {array.shape}"
                )
            if not np.isfinite(array).all():
                raise ValueError(f"Preparation: {name} must be finite, got NaN or infinity")
        if not (self.deviation > 0).all():
            raise ValueError(f"Preparation: deviation must be above 0, got {self.deviation.ravel().tolist()}")

    @classmethod
    def fit(cls, images: ImageFolder | NDArray[np.uint8], crop: int, inputs: str = "standardised") -> Self:
        """Compute the statistics of the training images.

        Parameters
        ----------
        images : ImageFolder, or ndarray of uint8, (N, 3, size, size)
            The training images, without the validation and test images.
        crop : int
            Height and width of the network's input.
        inputs : {"raw", "standardised"}
            Only subtract the mean image, as in 2012; or scale each colour channel to mean zero and variance one. A
            constant channel becomes zero.

        Returns
        -------
        Preparation

        Raises
        ------
        DataError
            If images of a folder cannot be read.
        """
        return cls.of(pixel_statistics(images), crop, inputs)

    @classmethod
    def of(cls, statistics: PixelStatistics, crop: int, inputs: str = "standardised") -> Self:
        """Do the same with given statistics."""
        one_of("Preparation", "inputs", inputs, INPUTS)
        mean, deviation = statistics.mean, np.ones((3, 1, 1), np.float32)
        size = mean.shape[1]
        if inputs == "standardised":
            # The covariance is V diag(s) V^T; its diagonal holds the variance of each channel.
            variance = (statistics.eigenvectors**2) @ statistics.eigenvalues
            variance[variance < 1e-6] = 1  # constant except for rounding
            mean = mean.mean(axis=(1, 2), dtype=np.float64).astype(np.float32)[:, None, None]
            deviation = np.sqrt(variance).astype(np.float32)[:, None, None]
        return cls(size, crop, mean, deviation)

    def prepare(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the network's input without augmentation: (N, 3, size, size) to (N, 3, crop, crop)."""
        return transforms.center_crop(self._scaled(images), size=self.crop)

    def ten_crops(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the corners, the centre, and their mirror images: (N, 10, 3, crop, crop). Section 4.1."""
        return transforms.ten_crop(self._scaled(images), size=self.crop)

    def augmented(
        self, flip: bool = True, colour: NDArray[np.floating[Any]] | None = None, padding: int = 0
    ) -> transforms.Transform:
        """Return a transform for :class:`minicnn.data.Loader` that augments each image at random. Section 4.1.

        Parameters
        ----------
        flip : bool
            Flip half of the images.
        colour : ndarray, (3, 3), optional
            Shift the colours along these columns, :attr:`minicnn.data.PixelStatistics.components`.
        padding : int
            Zeros (which are the mean) on all four sides, before the random crop.

        Returns
        -------
        callable
            ``transform(images, rng)``: (N, 3, size, size) of uint8 to (N, 3, crop, crop) of float32.
        """
        whole("augmented", "padding", padding, 0)
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
        if images.ndim != 4 or images.shape[1:] != (3, self.size, self.size) or images.dtype != np.uint8:
            raise ValueError(
                f"Preparation: images must be uint8 of shape (N, 3, {self.size}, {self.size}), "
                f"got {images.dtype} of {images.shape}"
            )
        scaled = transforms.subtract_mean(images, mean=self.mean)
        with on_device_of(images):
            scaled /= get_array_module(images).asarray(self.deviation)
        return scaled
