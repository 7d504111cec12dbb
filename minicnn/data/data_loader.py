"""Batches of a data set, as PyTorch's DataLoader makes them: item by item, put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minicnn.arguments import only, switch, whole
from minicnn.autograd import Tensor
from minicnn.backend import get_array_module, on_device_of
from minicnn.data.dataset import checked_generator
from minicnn.data.drawing import drawing_from
from minicnn.data.prefetch import run_ahead

__all__ = ["DataLoader", "default_collate"]


class DataLoader:
    """Iterate over a data set in batches; each iteration is an epoch.

    It is PyTorch's, for data sets of any kind. :class:`Loader`, with which the training loop works, takes an array's
    batches in one piece, and can resume in the middle of an epoch.

    Parameters
    ----------
    dataset : Dataset
        Or anything else that has a length and takes an index, such as a list.
    batch_size : int
        The last batch has the remaining items.
    shuffle : bool, optional
        True for a new random order in each epoch.
    sampler, batch_sampler : None
        Other orders are not supported.
    num_workers : int
        The number of threads (in PyTorch, processes) that make the next batches while this one is in use; 0 for none.
        It changes neither the batches nor their order, as long as what is random is a transform of
        :mod:`minicnn.data.transforms`. ``dataset[index]`` must not modify what the threads share.
    collate_fn : callable, optional
        Makes a batch of a list of items; :func:`default_collate` by default.
    pin_memory : bool
        Has no effect.
    drop_last : bool
        Leave out a last batch that is smaller than `batch_size`.
    generator : numpy.random.Generator, optional
        What determines the order, and what transforms draw; by default the generator that
        :func:`minicnn.manual_seed` seeds.

    Raises
    ------
    Exception
        While iterating, in the turn of that batch: any error of reading an item.

    Examples
    --------
    >>> from minicnn.data import DataLoader, load_shapes
    >>> shapes = load_shapes(train=100, test=10)
    >>> for images, labels in DataLoader(shapes.train_set(), batch_size=64, shuffle=True):
    ...     print(images.shape, labels.shape, labels.dtype)
    (64, 3, 32, 32) (64,) int64
    (36, 3, 32, 32) (36,) int64
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool | None = None,
        sampler: None = None,
        batch_sampler: None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise TypeError(
                f"DataLoader: dataset must be a Dataset, with __len__ and __getitem__, got a {type(dataset).__name__}"
            )
        only("DataLoader", "sampler", sampler, None)
        only("DataLoader", "batch_sampler", batch_sampler, None)
        if collate_fn is not None and not callable(collate_fn):
            raise TypeError(f"DataLoader: collate_fn must be a callable or None, got {collate_fn!r}")
        checked_generator("DataLoader", generator)
        self.dataset = dataset
        self.batch_size = whole("DataLoader", "batch_size", batch_size, 1)
        self.shuffle = shuffle is not None and switch("DataLoader", "shuffle", shuffle)
        self.num_workers = whole("DataLoader", "num_workers", num_workers, 0)
        self.collate_fn = default_collate if collate_fn is None else collate_fn
        self.drop_last = switch("DataLoader", "drop_last", drop_last)
        self.generator = generator

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        """Begin an epoch."""
        rng = checked_generator("DataLoader", self.generator)
        seed = int(rng.integers(2**63))
        N = len(self.dataset)
        order = (rng.permutation(N) if self.shuffle else np.arange(N)).tolist()

        def batch(number: int) -> Any:
            with drawing_from(np.random.default_rng((seed, number))):
                chosen = order[number * self.batch_size : (number + 1) * self.batch_size]
                return self.collate_fn([self.dataset[index] for index in chosen])

        return run_ahead(batch, range(len(self)), self.num_workers)


def default_collate(batch: Sequence[Any]) -> Any:
    """Put items together to a batch, as PyTorch does.

    Parameters
    ----------
    batch : sequence
        The items, at least one. Tensors and arrays of the same shape become a Tensor with one dimension more, in front;
        Python's numbers a Tensor of int64, float64 or bool, (N,). Of tuples, lists and dictionaries, each position or
        key is put together by itself, to a list or a dictionary. Strings stay as they are.

    Raises
    ------
    TypeError
        If the items are anything else.
    ValueError
        If their shapes or lengths differ.

    Examples
    --------
    >>> from minicnn.data import default_collate
    >>> default_collate([("ant", 0), ("bee", 1)])
    [('ant', 'bee'), Tensor([0, 1], dtype=int64)]
    """
    first = batch[0]
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, float):
        return Tensor(np.array(batch, np.float64))
    if isinstance(first, int):
        return Tensor(np.array(batch))
    if isinstance(first, Mapping):
        return {key: default_collate([item[key] for item in batch]) for key in first}
    if isinstance(first, (tuple, list)):
        if len({len(item) for item in batch}) > 1:
            raise ValueError(f"default_collate: the items must have the same length, got {sorted(map(len, batch))}")
        columns = [default_collate(column) for column in zip(*batch, strict=True)]
        return type(first)(*columns) if hasattr(first, "_fields") else columns  # a named tuple stays one
    arrays = [item.data if isinstance(item, Tensor) else item for item in batch]
    if not hasattr(arrays[0], "dtype"):
        raise TypeError(
            f"default_collate: the items must be tensors, arrays, numbers, strings, or tuples, lists or dictionaries "
            f"of them, got a {type(first).__name__}; give the DataLoader a collate_fn"
        )
    shapes = dict.fromkeys(array.shape for array in arrays)
    if len(shapes) > 1:
        raise ValueError(f"default_collate: the items must have the same shape, got {' and '.join(map(str, shapes))}")
    with on_device_of(arrays[0]):
        return Tensor(get_array_module(arrays[0]).stack(arrays))
