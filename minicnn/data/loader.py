"""Batches of a labelled set of pictures, in a new random order each epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from minicnn.backend import on_device_of
from minicnn.data.prefetch import run_ahead

Array = NDArray[Any]


class Pictures(Protocol):
    """What a loader takes batches from: an array, or what is read when it is indexed, as an ImageFolder."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, indices: Any, /) -> Any: ...


class Loader:
    """Iterate over (images, labels) in batches; each iteration is an epoch, in an order of its own.

    The order is drawn from (seed, epoch), so a run that starts again at epoch k (set `epoch`) sees what the
    unbroken run saw.

    Parameters
    ----------
    images : ndarray, cupy.ndarray or ImageFolder, (N, ...)
        The pictures, of any dtype; a batch is a copy of some of them, on a GPU if they are there.
    labels : ndarray, (N,)
        Their labels.
    batch_size : int
        Pictures in a batch; the last one has what is left.
    shuffle : bool
        False keeps the order of `images`.
    seed : int
        Not negative; with the epoch's number it determines the order and the transforms.
    drop_last : bool
        Leave out a last batch that is smaller than `batch_size`.
    transform : callable, optional
        ``transform(images, rng) -> images``, applied to each batch with a `numpy.random.Generator` of its own,
        which depends on nothing but (seed, epoch, number of the batch).
    workers : int
        How many threads read and transform the next batches while the consumer is busy with this one; 0 for none. The
        batches and their order are the same for any number. `transform` must not change what the threads share.
    prefetch : int
        How many batches may lie ready for the consumer: at most ``workers + prefetch`` batches are in memory besides
        its own.

    Attributes
    ----------
    epoch : int
        The number of the next epoch, from 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, `images` and `labels` differ in length, or there would be no batch at all.
    Exception
        While iterating: what reading a batch or `transform` raised, when its turn comes, in a thread or not.

    Notes
    -----
    A consumer that leaves an epoch early (``break``, an error, Ctrl-C) stops the threads, and waits for none of them.

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
        images: Pictures,
        labels: Array,
        batch_size: int = 128,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
        transform: Callable[[Array, np.random.Generator], Array] | None = None,
        workers: int = 0,
        prefetch: int = 2,
    ) -> None:
        for name, array in (("images", images), ("labels", labels)):
            if not hasattr(array, "shape"):
                raise TypeError(f"Loader: {name} is a {type(array).__name__}; expected an array")
        if labels.ndim != 1 or len(images.shape) < 1 or len(images) != len(labels):
            raise ValueError(
                f"Loader: images has shape {images.shape} and labels has shape {labels.shape}; "
                f"expected (N, ...) and (N,) with the same N"
            )
        numbers = (("batch_size", batch_size, 1), ("seed", seed, 0), ("workers", workers, 0), ("prefetch", prefetch, 0))
        for name, value, least in numbers:
            if not isinstance(value, int | np.integer) or isinstance(value, bool):
                raise TypeError(f"Loader: {name} is {value!r}; expected an int of at least {least}")
            if value < least:
                raise ValueError(f"Loader: {name} is {value}; expected an int of at least {least}")
        if transform is not None and not callable(transform):
            raise TypeError(f"Loader: transform is {transform!r}; expected a callable or None")
        self.images, self.labels = images, labels
        self.batch_size, self.shuffle, self.seed, self.drop_last = int(batch_size), shuffle, int(seed), drop_last
        self.transform, self.workers, self.prefetch = transform, int(workers), int(prefetch)
        self.epoch = 0
        if len(self) == 0:
            raise ValueError(
                f"Loader: images holds {len(images)} pictures, which make no batch of batch_size {batch_size} "
                f"with drop_last={drop_last}; expected at least {batch_size if drop_last else 1}"
            )

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        whole, rest = divmod(len(self.images), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        """Begin the next epoch."""
        epoch = self.epoch
        self.epoch += 1
        return self.batches(epoch)

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Array, Array]]:
        """Iterate over the batches of a certain epoch, from number `start` on, and leave `epoch` as it is.

        So a run that was stopped within an epoch goes on there, without reading again what it has seen.
        """
        order = np.arange(len(self.images))
        if self.shuffle:
            np.random.default_rng((self.seed, epoch)).shuffle(order)

        def batch(number: int) -> tuple[Array, Array]:
            chosen = order[number * self.batch_size : (number + 1) * self.batch_size]
            with on_device_of(self.images):
                images = self.images[chosen]
            if self.transform is not None:
                images = self.transform(images, np.random.default_rng((self.seed, epoch, number)))
            return images, self.labels[chosen]

        return run_ahead(batch, range(start, len(self)), self.workers, self.prefetch)
