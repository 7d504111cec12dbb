"""Pictures by name (CIFAR-10, drawn shapes, a folder), in three parts: to learn from, to steer by, and to report."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minicnn.data.cifar10 import load_cifar10
from minicnn.data.dataset import DataError, Dataset
from minicnn.data.image_folder import ImageFolder, Splits, find_splits, split_validation
from minicnn.data.shapes import load_shapes

__all__ = ["NAMES", "Part", "Parts", "load_parts", "load_test"]

NAMES = ("cifar10", "shapes")


class Part(NamedTuple):
    """Some of the pictures: an array or an :class:`ImageFolder` (N, 3, size, size), and labels (N,)."""

    images: NDArray[np.uint8] | ImageFolder
    labels: NDArray[np.int64]

    def checksum(self) -> str:
        """Return a text that changes with the pictures and their labels."""
        if isinstance(self.images, ImageFolder):
            return self.images.fingerprint()
        return f"{zlib.crc32(self.labels.tobytes(), zlib.crc32(np.ascontiguousarray(self.images).data)):08x}"


class Parts(NamedTuple):
    """What :func:`load_parts` returns.

    Attributes
    ----------
    train : Part
        To learn from.
    validation : Part or None
        To steer by; None if no images are held out for it.
    test : Part or None
        To report at the end, and nothing else.
    classes : tuple of str
        The name of each label.
    """

    train: Part
    validation: Part | None
    test: Part | None
    classes: tuple[str, ...]


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
    """Load pictures to train with.

    Parameters
    ----------
    data : str
        "cifar10", "shapes", or a folder: ``FOLDER/CLASS/*.jpg``, or ``FOLDER/train/CLASS/*.jpg``, beside which there
        may be ``val`` and ``test``.
    size : int
        What a folder's pictures are brought to. The others have 32.
    data_dir : path, optional
        Where CIFAR-10 is, see :func:`load_cifar10`.
    validation : float
        The share of the training pictures that is held back, unless a folder has ``val``. With 0 there is no
        validation set, and ``val`` is not used.
    seed : int
        Decides which these are.
    limit : int, optional
        Use so many training and test pictures only: the first of an array, and of a folder, which is sorted by
        classes, some that are evenly spaced.
    skip_bad, cache : bool
        See :class:`ImageFolder`.

    Returns
    -------
    Parts

    Raises
    ------
    DataError
        If the data cannot be found, fetched or read, or are too few.
    ValueError
        If `size` or `validation` is out of range.
    """
    held_back = None
    if data in NAMES:
        dataset = _dataset(data, data_dir, limit)
        train = Part(dataset.train_images[:limit], dataset.train_labels[:limit])
        test: Part | None = Part(dataset.test_images[:limit], dataset.test_labels[:limit])
        classes = dataset.classes
    else:
        splits = find_splits(data) if os.path.isdir(data) else Splits(Path(data), None, None)
        folder = ImageFolder(splits.train, size, skip_bad, cache)
        classes = folder.classes
        train = _thinned(folder, limit)
        held_back, test = (
            None if path is None else _thinned(ImageFolder(path, size, skip_bad, cache, classes), limit)
            for path in (splits.val if validation else None, splits.test)
        )
    if held_back is None and validation:
        if len(train.labels) < 2:
            raise DataError(f"{data}: one picture cannot be split into training and validation; expected at least 2")
        learnt, steering = split_validation(train.labels, validation, seed)
        train, held_back = _some(train, learnt), _some(train, steering)
    return Parts(train, held_back, test, classes)


def load_test(
    data: str,
    size: int,
    classes: tuple[str, ...],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    limit: int | None = None,
    skip_bad: bool = False,
) -> Part:
    """Load pictures to judge a network by, with the labels that its classes have.

    Parameters
    ----------
    data, data_dir, limit, skip_bad
        As for :func:`load_parts`. Of a folder, ``test`` is taken, else ``val``, else the folder itself.
    size : int
        The side of the pictures that the network was trained on.
    classes : tuple of str
        What the network calls its outputs.

    Returns
    -------
    Part

    Raises
    ------
    DataError
        If the data cannot be read, their pictures have another size, or they have a class that is not in `classes`.
    """
    if data not in NAMES:
        splits = find_splits(data) if os.path.isdir(data) else Splits(Path(data), None, None)
        root = splits.test or splits.val or splits.train
        return _thinned(ImageFolder(root, size, skip_bad, classes=classes), limit)
    dataset = _dataset(data, data_dir, limit)
    if dataset.classes != classes[: len(dataset.classes)]:
        raise DataError(
            f"{dataset.name} has the classes {', '.join(dataset.classes[:3])}, ...; "
            f"the network was trained for {', '.join(classes[:3])}, ..."
        )
    if dataset.test_images.shape[2] != size:
        raise DataError(
            f"{dataset.name} has pictures of {dataset.test_images.shape[2]} pixels; the network was trained on {size}"
        )
    return Part(dataset.test_images[:limit], dataset.test_labels[:limit])


def _dataset(data: str, data_dir: str | os.PathLike[str] | None, limit: int | None) -> Dataset:
    if data == "cifar10":
        return load_cifar10(data_dir)
    return load_shapes() if limit is None else load_shapes(train=min(limit, 10_000), test=min(limit, 2_000))


def _some(part: Part, indices: NDArray[np.int64]) -> Part:
    images = part.images.subset(indices) if isinstance(part.images, ImageFolder) else part.images[indices]
    return Part(images, part.labels[indices])


def _thinned(folder: ImageFolder, limit: int | None) -> Part:
    part = Part(folder, folder.labels)
    if limit is None or limit >= len(folder):
        return part
    return _some(part, np.arange(limit) * len(folder) // limit)
