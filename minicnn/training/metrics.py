"""How wrong a network is, and what training curves are asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["count_wrong", "crossings", "epochs_to_target"]


def count_wrong(scores: NDArray[Any], labels: NDArray[Any]) -> tuple[int, int]:
    """Count the pictures whose class is not the network's first choice, and those where it is not among its first five.

    Parameters
    ----------
    scores : ndarray, (N, classes)
        The higher, the likelier; of equal scores the first counts as higher, and none is right that is not a number.
        With up to five classes, each is among the first five.
    labels : ndarray of int, (N,)
        The right classes.

    Examples
    --------
    >>> import numpy as np
    >>> count_wrong(np.array([[0.0, 0.1, 0.2, 0.3, 0.4, 0.5], [0.9, 0.5, 0.4, 0.3, 0.2, 0.1]]), np.array([0, 4]))
    (2, 1)
    """
    own = scores[np.arange(len(labels)), labels][:, None]
    before = np.arange(scores.shape[1]) < labels[:, None]
    # How many classes come before the right one. Asked so that a comparison with NaN, which is False, counts as wrong.
    rank = np.where(before, ~(scores < own), ~(scores <= own)).sum(axis=1)
    return int((rank >= 1).sum()), int((rank >= 5).sum())


def epochs_to_target(errors: Sequence[float], target: float) -> int | None:
    """Return the first epoch, counted from 1, whose error is at most `target`; None if there is none.

    Examples
    --------
    >>> epochs_to_target([0.5, 0.3, 0.25, 0.26], 0.25)
    3
    """
    return next((epoch for epoch, error in enumerate(errors, start=1) if error <= target), None)


def crossings(runs: Sequence[Sequence[float]], target: float) -> str:
    """Write when each of several runs reached `target`, soonest first.

    A run of N epochs that never did is written as "> N". If all are equal they are written once, more than four as
    "first to last".

    Examples
    --------
    >>> crossings([[0.5, 0.4, 0.3], [0.5, 0.2, 0.1]], 0.25)
    '2, > 3'
    """
    reached = [(epochs_to_target(errors, target), len(errors)) for errors in runs]
    reached.sort(key=lambda pair: (pair[0] is None, *pair))
    texts = [f"> {length}" if epoch is None else str(epoch) for epoch, length in reached]
    if texts[0] == texts[-1]:
        return texts[0]
    return ", ".join(texts) if len(texts) <= 4 else f"{texts[0]} to {texts[-1]}"
