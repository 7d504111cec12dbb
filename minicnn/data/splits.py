"""Training, validation and test sets: found as folders, or split off at random."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minicnn.data.errors import DataError

NAMES = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
NEAR = {
    **dict.fromkeys(("training", "trainset", "train_set"), "train"),
    **dict.fromkeys(("validate", "vali", "dev", "eval", "evaluation", "valset", "val_set"), "val"),
    **dict.fromkeys(("testing", "tests", "testset", "test_set"), "test"),
}


class Splits(NamedTuple):
    """The folders of a data set's splits.

    Attributes
    ----------
    train : Path
        Holds a folder for each class.
    val, test : Path or None
        The same for the other splits; None if there is none.
    """

    train: Path
    val: Path | None
    test: Path | None


def find_splits(root: str | os.PathLike[str]) -> Splits:
    """Distinguish ``ROOT/train/CLASS/*.jpg`` from ``ROOT/CLASS/*.jpg``, and find ``val`` and ``test`` beside ``train``.

    ``ROOT/train`` is the training set if it contains folders; if not, it is a class (of railways). ``valid`` and
    ``validation`` are other names for ``val``, and all names may have capital letters.

    Parameters
    ----------
    root : path

    Returns
    -------
    Splits
        ``train`` is ``ROOT/train`` or `root` itself; there are ``val`` and ``test`` only beside ``ROOT/train``.

    Raises
    ------
    DataError
        If two folders have names of the same split, or one has a name that is close to that of a split.
    """
    root = Path(root)
    folders = sorted(_folders(root))
    train = _the_one(root, folders, "train")
    if train is not None and not _folders(train):
        train = None
    if train is None:
        near = [path for path in folders if path.name.lower() in NEAR and _folders(path)]
    else:
        near = [path for path in folders if path.name.lower() in NEAR]
    if near:
        kind = NEAR[near[0].name.lower()]
        raise DataError(f"{near[0]} is not used; call it {kind} if it holds the {kind} images, or move it elsewhere")
    if train is None:
        return Splits(root, None, None)
    return Splits(train, _the_one(root, folders, "val"), _the_one(root, folders, "test"))


def _folders(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.is_dir() and path.name[0] != "."] if root.is_dir() else []


def _the_one(root: Path, folders: list[Path], split: str) -> Path | None:
    """Return the only folder that has a name of this split, or None."""
    found = [path for path in folders if path.name.lower() in NAMES[split]]
    if len(found) > 1 and any(map(_folders, found)):
        names = " and ".join(path.name for path in found)
        raise DataError(f"{root} holds {names}, which are names of one split; expected {split} alone")
    return found[0] if found else None


def split_validation(
    labels: NDArray[np.integer[Any]], fraction: float = 0.1, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hold out a random part of the training images for validation: the same fraction of each class, to within one.

    Every class keeps at least one training image; others are held out in its place, if there are any.

    Parameters
    ----------
    labels : ndarray of int, (N,)
        The training labels.
    fraction : float
        The fraction to hold out, between 0 and 1.
    seed : int
        At least 0. The same labels and seed give the same split.

    Returns
    -------
    train, validation : ndarray of int64
        Positions in `labels`, ascending; ``round(fraction * N)`` of them, at least one, are held out. They are fewer if
        too many classes have a single image.

    Raises
    ------
    ValueError
        If a part would be empty, also because every class has a single image.

    Examples
    --------
    >>> import numpy as np
    >>> from minicnn.data import split_validation
    >>> labels = np.repeat([0, 1], [80, 20])
    >>> train, validation = split_validation(labels, 0.1)
    >>> np.bincount(labels[validation]).tolist()
    [8, 2]
    """
    N = len(labels)
    if not 0 < fraction < 1:
        raise ValueError(f"split_validation: fraction must be between 0 and 1, got {fraction}")
    if N < 2:
        raise ValueError(f"split_validation: labels must hold at least 2, got {N}")
    count = min(max(1, round(fraction * N)), N - 1)
    shuffled = np.random.default_rng(seed).permutation(N)
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    held_out = by_class[((np.arange(count) + 0.5) * N / count).astype(np.int64)]  # every (N / count)-th
    held_out = _leave_one(labels, held_out, shuffled)
    if not len(held_out):
        raise ValueError("split_validation: labels must hold a class with at least 2 images, got 1 image of each class")
    return np.setdiff1d(np.arange(N), held_out), np.sort(held_out)


def _leave_one(
    labels: NDArray[np.integer[Any]], held_out: NDArray[np.int64], shuffled: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return a class's last image to it, and hold out others instead, from classes with images to spare."""
    _, classes = np.unique(labels, return_inverse=True)
    left = np.bincount(classes) - np.bincount(classes[held_out], minlength=classes.max() + 1)
    emptied = np.flatnonzero(left == 0)
    if not len(emptied):
        return held_out
    of_classes, first = np.unique(classes[held_out], return_index=True)
    chosen = np.delete(held_out, first[np.isin(of_classes, emptied)]).tolist()
    left[emptied] = 1
    free = set(shuffled.tolist()) - set(chosen)
    for index in shuffled.tolist():
        if len(chosen) == len(held_out):
            break
        if index in free and left[classes[index]] > 1:
            left[classes[index]] -= 1
            chosen.append(index)
    return np.array(chosen, np.int64)
