"""The class that built-in data sources return: labelled images to train on and to test with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LabelledImages"]


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

    def __repr__(self) -> str:
        height, width = self.train_images.shape[2:]
        return (
            f"LabelledImages({self.name!r}: {len(self.train_images)} train and {len(self.test_images)} test pictures "
            f"of {height}x{width}, {len(self.classes)} classes)"
        )
