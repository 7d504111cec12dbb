"""Transforms of one image, with torchvision's names: each calls the transform of batches with a batch of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from minicnn.arguments import pair, probability, whole
from minicnn.autograd import Tensor
from minicnn.data.drawing import current_generator
from minicnn.data.transforms import batches

__all__ = ["CenterCrop", "Compose", "Normalize", "RandomCrop", "RandomHorizontalFlip", "Resize", "ToTensor"]

Array = NDArray[Any]
CHANNELS = (1, 3, 4)  # grey, colours, colours with transparency


class Compose:
    """Apply these transforms in turn.

    Parameters
    ----------
    transforms : sequence of callable
        Each takes what the one before it returns.
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        for transform in transforms:
            if not callable(transform):
                raise TypeError(f"Compose: transforms must be callables, got {transform!r}")
        self.transforms = list(transforms)

    def __call__(self, image: Any) -> Any:
        for transform in self.transforms:
            image = transform(image)
        return image


class ToTensor:
    """Make a Tensor of an image: uint8 of 0 to 255 becomes float32 of 0 to 1, and floats stay as they are.

    An array has shape (C, H, W), as all images in minicnn. (torchvision expects the channels of an array last.)
    """

    def __call__(self, image: Any) -> Tensor:
        array = _array("ToTensor", image)
        return Tensor(array / np.float32(255) if array.dtype == np.uint8 else array)


class Normalize:
    """Subtract a mean from each channel, and divide it by a standard deviation.

    Parameters
    ----------
    mean, std : sequence of float
        One number for each channel, or one for all; those of `std` are above 0.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean, self.std = (np.array(values, np.float64).reshape(-1, 1, 1) for values in (mean, std))
        if not (self.std > 0).all():
            raise ValueError(f"Normalize: std must be above 0, got {std!r}")

    def __call__(self, image: Any) -> Any:
        def normalised(images: Array) -> Array:
            if images.dtype.kind != "f":
                raise TypeError(
                    f"Normalize: image must be float32 or float64, as ToTensor returns it, got {images.dtype}"
                )
            C = images.shape[1]
            for name, values in (("mean", self.mean), ("std", self.std)):
                if len(values) not in (1, C):
                    raise ValueError(f"Normalize: {name} must have {C} numbers, one a channel, got {len(values)}")
            mean, std = (np.broadcast_to(values, (C, 1, 1)).astype(images.dtype) for values in (self.mean, self.std))
            result: Array = batches.subtract_mean(images, mean=mean) / std
            return result

        return _transformed("Normalize", image, normalised)


class RandomHorizontalFlip:
    """Flip the image left to right with probability `p`."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = probability("RandomHorizontalFlip", "p", p)

    def __call__(self, image: Any) -> Any:
        return _transformed(
            "RandomHorizontalFlip", image, lambda images: batches.random_flip(images, current_generator(), p=self.p)
        )


class RandomCrop:
    """Cut a square out of the image, at a random place.

    Parameters
    ----------
    size : int
        Its height and width.
    padding : int, optional
        Add this many pixels of 0 on all four sides first.
    """

    def __init__(self, size: int, padding: int | None = None) -> None:
        self.size = whole("RandomCrop", "size", size, 1)
        self.padding = 0 if padding is None else whole("RandomCrop", "padding", padding, 0)

    def __call__(self, image: Any) -> Any:
        def cropped(images: Array) -> Array:
            edge = (self.padding, self.padding)
            padded = np.pad(images, ((0, 0), (0, 0), edge, edge))
            return batches.random_crop(padded, current_generator(), size=self.size)

        return _transformed("RandomCrop", image, cropped)


class CenterCrop:
    """Cut the central square out of the image; one pixel nearer to the top or left if need be.

    Parameters
    ----------
    size : int
        Its height and width.
    """

    def __init__(self, size: int) -> None:
        self.size = whole("CenterCrop", "size", size, 1)

    def __call__(self, image: Any) -> Any:
        return _transformed("CenterCrop", image, lambda images: batches.center_crop(images, size=self.size))


class Resize:
    """Scale the image (bilinear, over all pixels that a new one covers).

    Parameters
    ----------
    size : int or (int, int)
        The length of the shorter side, with which the other one keeps its proportion; or height and width.
    """

    def __init__(self, size: int | tuple[int, int]) -> None:
        self.height_and_width = pair("Resize", "size", size, 1)
        self.keeps_proportion = not isinstance(size, (tuple, list))

    def __call__(self, image: Any) -> Any:
        def resized(images: Array) -> Array:
            H, W = images.shape[2:]
            height, width = self.height_and_width
            if self.keeps_proportion:
                height, width = int(height * H / min(H, W)), int(width * W / min(H, W))
            planes = [Image.fromarray(plane) for plane in images[0]]
            scaled = [plane.resize((width, height), Image.Resampling.BILINEAR) for plane in planes]
            return np.stack([np.asarray(plane, images.dtype) for plane in scaled])[None]

        return _transformed("Resize", image, resized)


def _transformed(function: str, image: Any, transform: Callable[[Array], Array]) -> Any:
    """Apply a transform of batches to one image; return a Tensor for a Tensor."""
    result = transform(_array(function, image)[None])[0]
    return Tensor(result) if isinstance(image, Tensor) else result


def _array(function: str, image: Any) -> Array:
    """Return an image as an array (C, H, W), from whatever it is."""
    if isinstance(image, Image.Image):
        array = np.asarray(image)
        return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))
    array = image.numpy() if isinstance(image, Tensor) else np.asarray(image)
    if array.ndim != 3 or array.shape[0] not in CHANNELS:
        raise ValueError(
            f"{function}: image must be of Pillow, or have shape (C, H, W) with 1, 3 or 4 channels, got {array.shape}"
        )
    return array
