"""Labelled images in memory: those that a data source returns, to train on and to test with, and a data set of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minicnn.data.dataset import Dataset

__all__ = ["ImageDataset", "LabelledImages"]


class ImageDataset(Dataset):
    """Images and their labels: the item of an index is the pair (image, label).

    Parameters
    ----------
    images : ndarray, (N, C, H, W)
    labels : ndarray of int, (N,)
    transform : callable, optional
        Applied to an image (C, H, W) when it is indexed, such as those of :mod:`minicnn.data.transforms`.

    Raises
    ------
    ValueError
        If the numbers of images and labels differ.
    """

    def __init__(
        self, images: NDArray[Any], labels: NDArray[np.integer[Any]], transform: Callable[[Any], Any] | None = None
    ) -> None:
        if np.ndim(images) != 4 or np.shape(labels) != (len(images),):
            raise ValueError(
                f"ImageDataset: images and labels must have shapes (N, C, H, W) and (N,) with the same N, "
                f"got {np.shape(images)} and {np.shape(labels)}"
            )
        self.images, self.labels = images, labels
        self.transform = checked_transform("ImageDataset", transform)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = self.images[index].copy()  # a transform may write into it
        return image if self.transform is None else self.transform(image), int(self.labels[index])


def checked_transform(function: str, transform: Any) -> Any:
    """Refuse what cannot be called."""
    if transform is not None and not callable(transform):
        raise TypeError(f"{function}: transform must be a callable or None, got {transform!r}")
    return transform


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Labelled training and test images.

    Attributes
    ----------
    name : str
        The name of the data in plots and tables.
    train_images, test_images : ndarray of uint8, (N, 3, H, W)
        Red, green and blue planes, 0 to 255.
    train_labels, test_labels : ndarray of int64, (N,)
        Positions in `classes`.
    classes : tuple of str
        The name of each label.
    """

    name: str
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    classes: tuple[str, ...]

    def train_set(self, transform: Callable[[Any], Any] | None = None) -> ImageDataset:
        """Return the training images as a data set for a DataLoader: pairs of image and label."""
        return ImageDataset(self.train_images, self.train_labels, transform)

    def test_set(self, transform: Callable[[Any], Any] | None = None) -> ImageDataset:
        """Do the same for the test images."""
        return ImageDataset(self.test_images, self.test_labels, transform)

    def __repr__(self) -> str:
        height, width = self.train_images.shape[2:]
        return (
            f"LabelledImages({self.name!r}: {len(self.train_images)} train and {len(self.test_images)} test images "
            f"of {height}x{width}, {len(self.classes)} classes)"
        )
