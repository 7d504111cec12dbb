"""What a fake GPU counts: launches, reductions, products, waits and allocations, as a real one would have them.

    with fake_counts.counting() as counts:
        step()
    print(counts)

An elementwise function, a copy on the GPU and a kernel of our own are one launch each. A view is none. CuPy composes a
few functions (such as `pad`) of several launches, which count as one here: no training step uses them.

Memory comes from a pool, as in CuPy: an allocation is an array for which no dropped one of its size, in steps of 512
bytes, has left its memory. (CuPy also cuts larger blocks, so it allocates rather less.)
"""

import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Product:
    """A call of cuBLAS: C (M, N) = A (M, K) B (K, N), or a batch of them.

    Attributes
    ----------
    m, n, k, batch : int
        Of row-major matrices, as NumPy sees them.
    leading : tuple of int
        The leading dimensions of A, B and C, in numbers: the distance between two rows, or of a transposed one columns.
    copies : int
        How many of its factors CuPy has to copy first, and whether it copies the result afterwards.
    tf32 : bool
        Whether the factors may be rounded to TF32.
    """

    m: int
    n: int
    k: int
    batch: int
    leading: tuple[int, int, int]
    copies: int
    tf32: bool

    @property
    def flops(self) -> int:
        return 2 * self.m * self.n * self.k * self.batch


@dataclass
class Counts:
    """What was asked of the GPU, by name."""

    launches: Counter[str] = field(default_factory=Counter)
    reductions: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)
    products: list[Product] = field(default_factory=list)
    uploads: int = 0
    allocations: int = 0
    free: Counter[int] = field(default_factory=Counter)  # blocks by size

    def __str__(self) -> str:
        copied = sum(product.copies for product in self.products)
        return (
            f"{self.launches.total()} launches, {self.reductions.total()} reductions, {len(self.products)} products "
            f"({copied} copies for them), {self.waits.total()} waits, {self.allocations} allocations"
        )

    def forget(self) -> None:
        """Begin to count again, with the memory that the pool has by now."""
        for counter in (self.launches, self.reductions, self.waits, self.products):
            counter.clear()
        self.uploads = self.allocations = 0

    def new_array(self, array: np.ndarray) -> None:
        """Note an array with memory of its own."""
        size = -(-array.nbytes // 512) * 512
        if size == 0:
            return
        if self.free[size]:
            self.free[size] -= 1
        else:
            self.allocations += 1
        weakref.finalize(array, self._returned, size).atexit = False

    def _returned(self, size: int) -> None:
        self.free[size] += 1


_counting: list[Counts] = []


_only: list[Counts] = []


@contextmanager
def counting(only: bool = False) -> Iterator[Counts]:
    """Count what is asked of the fake GPU within this context.

    With `only`, our kernels and products with a place for their result are counted and not computed, so that a network
    of the usual size takes seconds. Its numbers are rubbish.
    """
    counts = Counts()
    _counting.append(counts)
    if only:
        _only.append(counts)
    try:
        yield counts
    finally:
        _counting.remove(counts)
        if only:
            _only.remove(counts)


def computes() -> bool:
    """Return whether kernels and products are to be computed."""
    return not _only


def launch(name: str) -> None:
    for counts in _counting:
        counts.launches[name] += 1


def reduction(name: str) -> None:
    for counts in _counting:
        counts.reductions[name] += 1


def wait(name: str) -> None:
    for counts in _counting:
        counts.waits[name] += 1


def upload() -> None:
    for counts in _counting:
        counts.uploads += 1


def product(**facts: Any) -> None:
    for counts in _counting:
        counts.products.append(Product(**facts))
        counts.launches["copy for a product"] += facts["copies"]


def new_array(array: np.ndarray) -> None:
    for counts in _counting:
        counts.new_array(array)
