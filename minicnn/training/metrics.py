"""How many images a network misclassifies, and when training curves reach a target."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["average_crossing", "count_wrong", "crossing_ratio", "crossings", "epochs_to_target"]

Curves = Sequence[Sequence[float]]  # errors by epoch, for each of several runs


def count_wrong(scores: NDArray[Any], labels: NDArray[Any]) -> tuple[int, int]:
    """Count top-1 and top-5 errors.

    Parameters
    ----------
    scores : ndarray, (N, classes)
        Of equal scores the first counts as higher; NaN never counts as right.
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
    # How many classes rank above the right one. A comparison with NaN is False: negated, it counts as wrong.
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


def crossings(runs: Curves, target: float) -> str:
    """Describe when each of several runs reached `target`, soonest first.

    A run of N epochs that never reached it is "> N". Equal entries are written once, more than four as
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


def average_crossing(average: Callable[[Sequence[float]], float], runs: Curves, target: float) -> str:
    """Return the median or mean of the epochs to the target, "> N" if only this lower bound is known.

    Examples
    --------
    >>> average_crossing(statistics.mean, [[0.5, 0.4, 0.3], [0.5, 0.2, 0.1]], 0.25)
    '> 2.5'
    """
    return _as_text(*_average(average, runs, target))


def crossing_ratio(ours: Curves, theirs: Curves, target: float) -> str | None:
    """Return how many times as many epochs to the target `theirs` need in the median; None if ours never reach it.

    Examples
    --------
    >>> crossing_ratio([[0.5, 0.2, 0.1]], [[0.6, 0.5, 0.4]], 0.25)
    '> 1.5'
    """
    (our_epochs, unknown), (their_epochs, is_bound) = (
        _average(statistics.median, each, target) for each in (ours, theirs)
    )
    return None if unknown else _as_text(their_epochs / our_epochs, is_bound)


def _average(average: Callable[[Sequence[float]], float], runs: Curves, target: float) -> tuple[float, bool]:
    """Return an average of the epochs to the target, and whether it is only a lower bound.

    A run of N epochs that never reached the target counts as N, if it matters at all: a median may not need it.
    """
    reached = [epochs_to_target(errors, target) for errors in runs]
    exact = average([math.inf if epoch is None else epoch for epoch in reached])
    if exact < math.inf:
        return exact, False
    return average([len(errors) if epoch is None else epoch for epoch, errors in zip(reached, runs, strict=True)]), True


def _as_text(value: float, is_bound: bool) -> str:
    return f"> {value:.3g}" if is_bound else f"{value:.3g}"
