"""Training, validation and test sets: found as folders, or split off at random."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


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

    ``ROOT/train`` is the training set if it contains folders; if not, it is a class (of railways).

    Parameters
    ----------
    root : path

    Returns
    -------
    Splits
        ``train`` is ``ROOT/train`` or `root` itself; there are ``val`` and ``test`` only beside ``ROOT/train``.
    """
    root = Path(root)
    train = root / "train"
    if not train.is_dir() or not any(folder.is_dir() and folder.name[0] != "." for folder in train.iterdir()):
        return Splits(root, None, None)
    val, test = (path if path.is_dir() else None for path in (root / "val", root / "test"))
    return Splits(train, val, test)


def split_validation(
    labels: NDArray[np.integer[Any]], fraction: float = 0.1, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hold out a random part of the training images for validation: the same fraction of each class, to within one.

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
        Positions in `labels`, ascending; ``round(fraction * N)`` of them, at least one, are held out.

    Raises
    ------
    ValueError
        If a part would be empty.

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
    return np.setdiff1d(np.arange(N), held_out), np.sort(held_out)
