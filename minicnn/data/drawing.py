"""Which generator the transforms of single images draw from: one of the batch's own within a DataLoader."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from minicnn.backend import generator

__all__ = ["current_generator", "drawing_from"]

_chosen: ContextVar[np.random.Generator | None] = ContextVar("_chosen", default=None)


def current_generator() -> np.random.Generator:
    """Return what a random transform draws from: by default the generator that `minicnn.manual_seed` seeds."""
    chosen = _chosen.get()
    return generator() if chosen is None else chosen


@contextmanager
def drawing_from(rng: np.random.Generator) -> Iterator[None]:
    """Let random transforms in this thread draw from `rng`.

    Threads that share a generator would get its numbers in an order of chance. With one for each batch, the batches
    do not depend on how many threads make them.
    """
    token = _chosen.set(rng)
    try:
        yield
    finally:
        _chosen.reset(token)
