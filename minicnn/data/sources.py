"""Training, validation and test sets of a named source: CIFAR-10, drawn shapes, or a folder of images."""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minicnn.backend import get_default_device, to_device
from minicnn.data.cifar10 import load_cifar10
from minicnn.data.errors import DataError
from minicnn.data.image_folder import ImageFolder
from minicnn.data.labelled_images import LabelledImages
from minicnn.data.scanning import refuse
from minicnn.data.shapes import load_shapes
from minicnn.data.sketches import load_sketches
from minicnn.data.splits import Splits, find_splits, split_validation
from minicnn.data.statistics import pixel_statistics

__all__ = ["NAMES", "STUDIED", "Part", "Parts", "load_parts", "load_test"]

NAMES = ("cifar10", "shapes", "sketches")
STUDIED = ("cifar10", "shapes")  # those that the experiments have settings for


class Part(NamedTuple):
    """Labelled images: an array or an :class:`ImageFolder` (N, 3, size, size), and labels (N,)."""

    images: NDArray[np.uint8] | ImageFolder
    labels: NDArray[np.int64]

    def resident(self) -> Part:
        """Move an array to the network's device: CIFAR-10 is 180 MB as bytes, and a GPU prepares its own batches."""
        if isinstance(self.images, ImageFolder):
            return self
        return Part(to_device(self.images, get_default_device()), self.labels)

    def verify(self) -> None:
        """Refuse bad files of a folder, see :meth:`ImageFolder.verify`."""
        if isinstance(self.images, ImageFolder):
            self.images.verify()

    def checksum(self) -> str:
        """Return a checksum of the images and their labels."""
        if isinstance(self.images, ImageFolder):
            return self.images.checksum()
        return f"{zlib.crc32(self.labels.tobytes(), zlib.crc32(np.ascontiguousarray(self.images).data)):08x}"


class Parts(NamedTuple):
    """The training, validation and test sets; there may be no test set.

    Attributes
    ----------
    train : Part
    validation : Part or None
        None if no images are held out.
    test : Part or None
    classes : tuple of str
        The name of each label.
    """

    train: Part
    validation: Part | None
    test: Part | None
    classes: tuple[str, ...]

    def verify(self) -> Parts:
        """Return these parts, after reading every image of a folder once, unless that was done before.

        Raises
        ------
        DataError
            If any cannot be read, or a folder holds files that are not images, with the number of all and the names of
            the first.
        """
        folders = [part.images for part in self[:3] if part is not None and isinstance(part.images, ImageFolder)]
        if folders:
            with suppress(DataError):  # named below, together with those of the other parts
                pixel_statistics(folders[0])  # training needs them, and one pass through the files does for both
        lines = [line for folder in folders for line in folder.unusable()]
        refuse(list(dict.fromkeys(lines)))  # parts of one folder name the same strangers
        return self


def load_parts(
    data: str,
    size: int,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    validation: float = 0.1,
    seed: int = 0,
    limit: int | None = None,
    skip_bad: bool = False,
    cache: bool = False,
) -> Parts:
    """Load a training, a validation and a test set.

    Parameters
    ----------
    data : str
        "cifar10", "shapes", "sketches", or a folder: ``FOLDER/CLASS/*.jpg``, or ``FOLDER/train/CLASS/*.jpg``, perhaps
        with ``val`` and ``test`` beside ``train``.
    size : int
        Height and width to which a folder's images are resized. The others have 32.
    data_dir : path, optional
        The folder of CIFAR-10, see :func:`load_cifar10`.
    validation : float
        The fraction of the training images to hold out for validation, unless a folder has ``val``. With 0 there is no
        validation set, and ``val`` is not used.
    seed : int
        Determines which images are held out.
    limit : int, optional
        The number of training images and of test images to use: the first ones of an array; evenly spaced ones of a
        folder, which is sorted by class.
    skip_bad : bool
        Leave out files that are not images or cannot be read. Else :meth:`Parts.verify` refuses those of all parts.
    cache : bool
        See :class:`ImageFolder`.

    Returns
    -------
    Parts

    Raises
    ------
    DataError
        If the data cannot be found, downloaded or read, or are too few.
    """
    held_out = None
    if data in NAMES:
        dataset = _dataset(data, data_dir, limit)
        train = Part(dataset.train_images[:limit], dataset.train_labels[:limit])
        test: Part | None = Part(dataset.test_images[:limit], dataset.test_labels[:limit])
        classes = dataset.classes
    else:
        splits = find_splits(data) if os.path.isdir(data) else Splits(Path(data), None, None)
        skipping = skip_bad or None  # verify names the bad files of all parts at once
        folder = ImageFolder(splits.train, size, skipping, cache)
        classes = folder.classes
        train = _thinned(folder, limit)
        held_out, test = (
            None if path is None else _thinned(ImageFolder(path, size, skipping, cache, classes), limit)
            for path in (splits.val if validation else None, splits.test)
        )
    if held_out is None and validation:
        if len(train.labels) < 2:
            raise DataError(f"{data}: one image cannot be split into training and validation sets; expected at least 2")
        if np.bincount(train.labels).max() < 2:
            raise DataError(
                f"{data}: with one image of each class, none can be held out for validation; expected at least 2 of "
                f"some class, or validation=0 (--validation 0)"
            )
        kept, chosen = split_validation(train.labels, validation, seed)
        train, held_out = _some(train, kept), _some(train, chosen)
    return Parts(train, held_out, test, classes)


def load_test(
    data: str,
    size: int,
    classes: tuple[str, ...],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    limit: int | None = None,
    skip_bad: bool = False,
) -> Part:
    """Load a test set for a trained network, labelled by the network's classes.

    Parameters
    ----------
    data, data_dir, limit, skip_bad
        As for :func:`load_parts`; :meth:`Part.verify` refuses bad files. Of a folder, ``test`` is used, else ``val``,
        else the folder itself.
    size : int
        Height and width of the images that the network was trained on.
    classes : tuple of str
        The names of the network's outputs.

    Returns
    -------
    Part

    Raises
    ------
    DataError
        If the data cannot be read, the images have another size, or a class is not in `classes`.
    """
    if data not in NAMES:
        splits = find_splits(data) if os.path.isdir(data) else Splits(Path(data), None, None)
        root = splits.test or splits.val or splits.train
        return _thinned(ImageFolder(root, size, skip_bad or None, classes=classes), limit)
    dataset = _dataset(data, data_dir, limit)
    if dataset.classes != classes[: len(dataset.classes)]:
        raise DataError(
            f"{dataset.name} has the classes {', '.join(dataset.classes[:3])}, ...; "
            f"the network was trained for {', '.join(classes[:3])}, ..."
        )
    if dataset.test_images.shape[2] != size:
        raise DataError(
            f"{dataset.name} has images of {dataset.test_images.shape[2]} pixels; the network was trained on {size}"
        )
    return Part(dataset.test_images[:limit], dataset.test_labels[:limit])


def _dataset(data: str, data_dir: str | os.PathLike[str] | None, limit: int | None) -> LabelledImages:
    if data == "cifar10":
        return load_cifar10(data_dir)
    load = load_shapes if data == "shapes" else load_sketches
    return load() if limit is None else load(train=min(limit, 10_000), test=min(limit, 2_000))


def _some(part: Part, indices: NDArray[np.int64]) -> Part:
    images = part.images.subset(indices) if isinstance(part.images, ImageFolder) else part.images[indices]
    return Part(images, part.labels[indices])


def _thinned(folder: ImageFolder, limit: int | None) -> Part:
    part = Part(folder, folder.labels)
    if limit is None or limit >= len(folder):
        return part
    return _some(part, np.arange(limit) * len(folder) // limit)
