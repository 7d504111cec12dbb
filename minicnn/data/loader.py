"""Batches of a labelled set of images, in a new random order each epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from minicnn.arguments import switch, whole
from minicnn.backend import on_device_of, page_locked
from minicnn.data.prefetch import run_ahead

Array = NDArray[Any]


class Images(Protocol):
    """A source of batches: an array, or something that reads images when it is indexed, such as an ImageFolder."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, indices: Any, /) -> Any: ...


class Loader:
    """Iterate over (images, labels) in batches; each iteration is an epoch, in an order of its own.

    The order is drawn from (seed, epoch), so a run that is resumed at epoch k (set `epoch`) gets the batches of an
    uninterrupted run.

    Parameters
    ----------
    images : ndarray, cupy.ndarray or ImageFolder, (N, ...)
        Of any dtype. A batch is a copy of some of them, on the GPU if they are there.
    labels : ndarray, (N,)
    batch_size : int
        The last batch has the remaining images.
    shuffle : bool
        False keeps the order of `images`.
    seed : int
        At least 0. With the number of the epoch it determines the order and the transforms.
    drop_last : bool
        Leave out a last batch that is smaller than `batch_size`.
    transform : callable, optional
        ``transform(images, rng) -> images``, applied to each batch. Its `numpy.random.Generator` depends only on
        (seed, epoch, number of the batch).
    workers : int
        The number of threads that read and transform the next batches while this one is in use; 0 for none. It does not
        change the batches or their order. `transform` must not modify what the threads share.
    prefetch : int
        The number of batches that may be ready in advance: at most ``workers + prefetch`` batches are in memory besides
        the one in use.
    pin_memory : bool
        Leave batches in page-locked memory, from which a GPU copies while it computes: then the workers have done what
        :func:`minicnn.backend.staged` would have to do in the thread that trains. Batches on a GPU stay there.
    rows : callable, optional
        For several processes that share each batch: ``rows(n)`` is the slice of a batch of n images that this one gets.
        Order and random numbers stay those of the whole batch.

    Attributes
    ----------
    epoch : int
        The number of the next epoch, from 0.

    Raises
    ------
    Exception
        While iterating, in the turn of that batch: any error of reading it or of `transform`.

    Notes
    -----
    Leaving an epoch early (``break``, an error, Ctrl-C) stops the threads without waiting for them.

    Examples
    --------
    >>> import numpy as np
    >>> from minicnn.data import Loader
    >>> loader = Loader(np.arange(5.0), np.arange(5), batch_size=2, seed=1)
    >>> [len(labels) for images, labels in loader]
    [2, 2, 1]
    """

    def __init__(
        self,
        images: Images,
        labels: Array,
        batch_size: int = 128,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
        transform: Callable[[Array, np.random.Generator], Array] | None = None,
        workers: int = 0,
        prefetch: int = 2,
        pin_memory: bool = False,
        rows: Callable[[int], slice] | None = None,
    ) -> None:
        for name, array in (("images", images), ("labels", labels)):
            if not hasattr(array, "shape"):
                raise TypeError(f"Loader: {name} must be an array, got a {type(array).__name__}")
        if labels.ndim != 1 or len(images.shape) < 1 or len(images) != len(labels):
            raise ValueError(
                f"Loader: images and labels must have shapes (N, ...) and (N,) with the same N, "
                f"got {images.shape} and {labels.shape}"
            )
        if transform is not None and not callable(transform):
            raise TypeError(f"Loader: transform must be a callable or None, got {transform!r}")
        self.images, self.labels = images, labels
        self.batch_size, self.seed = whole("Loader", "batch_size", batch_size, 1), whole("Loader", "seed", seed, 0)
        self.workers, self.prefetch = whole("Loader", "workers", workers, 0), whole("Loader", "prefetch", prefetch, 0)
        self.shuffle, self.drop_last, self.transform, self.rows = shuffle, drop_last, transform, rows
        self.pin_memory = switch("Loader", "pin_memory", pin_memory)
        self.epoch = 0
        if len(self) == 0:
            raise ValueError(
                f"Loader: images must hold at least {batch_size if drop_last else 1} for a batch with "
                f"batch_size={batch_size} and drop_last={drop_last}, got {len(images)}"
            )

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        whole, rest = divmod(len(self.images), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def images_in(self, number: int) -> int:
        """Return how many images the whole batch of this number has."""
        return min(self.batch_size, len(self.images) - number * self.batch_size)

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        """Begin the next epoch."""
        epoch = self.epoch
        self.epoch += 1
        return self.batches(epoch)

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Array, Array]]:
        """Iterate over the batches of a certain epoch, from number `start` on, without changing `epoch`.

        So a run that was interrupted within an epoch resumes there, without reading the earlier batches again.
        """
        order = np.arange(len(self.images))
        if self.shuffle:
            np.random.default_rng((self.seed, epoch)).shuffle(order)

        def batch(number: int) -> tuple[Array, Array]:
            chosen = order[number * self.batch_size : (number + 1) * self.batch_size]
            rng: Any = np.random.default_rng((self.seed, epoch, number))
            if self.rows is not None:
                rows = self.rows(len(chosen))
                rng, chosen = _RandomRows(rng, rows, len(chosen)), chosen[rows]
            with on_device_of(self.images):
                images = self.images[chosen]
            if self.transform is not None:
                images = self.transform(images, rng)
            return page_locked(images) if self.pin_memory else images, self.labels[chosen]

        return run_ahead(batch, range(start, len(self)), self.workers, self.prefetch)


class _RandomRows:
    """The random generator of some rows of a batch: it draws for the whole batch, and returns what these rows get."""

    def __init__(self, rng: np.random.Generator, rows: slice, count: int) -> None:
        self.rng, self.rows, self.count = rng, rows, count

    def random(self, size: Any) -> Array:
        return self.rng.random(self._whole(size))[self.rows]

    def integers(self, low: int, high: int, size: Any) -> Array:
        return self.rng.integers(low, high, self._whole(size))[self.rows]

    def normal(self, mean: float, deviation: float, size: Any) -> Array:
        return self.rng.normal(mean, deviation, self._whole(size))[self.rows]

    def _whole(self, size: int | tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the whole batch's numbers, given that of these rows'."""
        return (self.count, *(size[1:] if isinstance(size, tuple) else ()))
