"""What a DataLoader takes its items from: anything with a length and a number for each item, as in PyTorch."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.arguments import number, whole
from minicnn.autograd import Tensor, as_tensor
from minicnn.backend import generator as default_generator

__all__ = ["Dataset", "Subset", "TensorDataset", "random_split"]


class Dataset(ABC):
    """The base class of data sets, which have a length and an item for each index.

    A subclass defines ``__len__`` and ``__getitem__``. An item may be anything that :func:`default_collate` can put
    into a batch, most often a pair of image and label.

    Examples
    --------
    >>> from minicnn.data import Dataset
    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 5
    ...     def __getitem__(self, index):
    ...         return index, index * index
    >>> Squares()[3]
    (3, 9)
    """

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of items."""

    @abstractmethod
    def __getitem__(self, index: Any) -> Any:
        """Return the item of an index, an integer from 0."""


class TensorDataset(Dataset):
    """Tensors side by side: the item of an index is a tuple of what each has there.

    Parameters
    ----------
    *tensors : Tensor or array, (N, ...)
        At least one, all of the same length.

    Raises
    ------
    ValueError
        If there is none, or their lengths differ.

    Examples
    --------
    >>> from minicnn import Tensor
    >>> from minicnn.data import TensorDataset
    >>> TensorDataset(Tensor([[1.0, 2.0], [3.0, 4.0]]), Tensor([0, 1]))[1]
    (Tensor([3., 4.], dtype=float32), Tensor(1, dtype=int64))
    """

    def __init__(self, *tensors: Any) -> None:
        self.tensors = tuple(as_tensor(each) for each in tensors)
        shapes = [tensor.shape for tensor in self.tensors]
        if not shapes or () in shapes or len({shape[0] for shape in shapes}) > 1:
            found = ", ".join(map(str, shapes)) or "none"
            raise ValueError(
                f"TensorDataset: tensors must be one or more of shape (N, ...) with the same N, got {found}"
            )

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)


class Subset(Dataset):
    """Some items of a data set.

    Parameters
    ----------
    dataset : Dataset
    indices : sequence of int
        Which items, in this order.
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self.indices[index]]


def random_split(dataset: Any, lengths: Sequence[float], generator: np.random.Generator | None = None) -> list[Subset]:
    """Divide a data set at random into parts without common items.

    Parameters
    ----------
    dataset : Dataset
    lengths : sequence of int or float
        The length of each part: numbers that add up to ``len(dataset)``, or fractions that add up to 1. With fractions,
        lengths are rounded down, and the first parts get one of the remaining items each.
    generator : numpy.random.Generator, optional
        What draws the items; by default the generator that :func:`minicnn.manual_seed` seeds.

    Returns
    -------
    list of Subset

    Raises
    ------
    ValueError
        If the lengths do not add up, or one is negative.

    Examples
    --------
    >>> from minicnn.data import random_split
    >>> [len(part) for part in random_split(range(12), [0.5, 0.3, 0.2])]
    [7, 3, 2]
    """
    N = len(dataset)
    if any(number("random_split", "lengths", length) < 0 for length in lengths):
        raise ValueError(f"random_split: lengths must be 0 or more, got {list(lengths)}")
    if math.isclose(sum(lengths), 1):
        counts = [math.floor(N * fraction) for fraction in lengths]
        for position in range(N - sum(counts)):
            counts[position % len(counts)] += 1
    else:
        counts = [whole("random_split", "lengths", length) for length in lengths]
    if sum(counts) != N:
        raise ValueError(
            f"random_split: lengths must add up to {N}, the length of dataset, or to 1, got {list(lengths)}"
        )
    order = checked_generator("random_split", generator).permutation(N).tolist()
    ends = np.cumsum(counts).tolist()
    return [Subset(dataset, order[end - count : end]) for count, end in zip(counts, ends, strict=True)]


def checked_generator(function: str, generator: Any) -> np.random.Generator:
    """Return this generator, or for None the one that `manual_seed` seeds."""
    if generator is None:
        return default_generator()
    if not isinstance(generator, np.random.Generator):
        raise TypeError(f"{function}: generator must be a numpy.random.Generator or None, got {generator!r}")
    return generator
