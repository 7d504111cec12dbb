"""A part of a batch: what an operation has to know when several processes share the images of one batch.

Most operations treat each image by itself and need not know. Two do: dropout, whose random numbers are those of the
whole batch, and batch normalisation, whose mean and variance are those of the whole batch.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from minicnn.backend.arrays import Array

__all__ = ["BatchPart", "batch_part", "working_on"]


@dataclass(frozen=True)
class BatchPart:
    """The rows of a batch that this process computes.

    Attributes
    ----------
    start, stop : int
        The first row, and the one after the last. There may be none.
    count : int
        The rows of the whole batch.
    total : callable or None
        Returns the sum of an array over all processes. None: they do not share their statistics.
    """

    start: int
    stop: int
    count: int
    total: Callable[[Array], Array] | None = None

    def __len__(self) -> int:
        return self.stop - self.start


_part: BatchPart | None = None


def batch_part() -> BatchPart | None:
    """Return the part of a batch that this process works on; None if it has the whole batch."""
    return _part


@contextmanager
def working_on(part: BatchPart) -> Iterator[None]:
    """In a ``with`` statement: operations get these rows of a larger batch, forward and backward."""
    global _part
    before, _part = _part, part
    try:
        yield
    finally:
        _part = before
