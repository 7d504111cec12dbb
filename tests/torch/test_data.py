"""Data sets and the DataLoader against PyTorch's: lengths, orders, and what becomes of the items."""

import inspect
import warnings
from collections import namedtuple
from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from minicnn import Tensor, data

torch = pytest.importorskip("torch")
theirs = pytest.importorskip("torch.utils.data")

pytestmark = pytest.mark.torch

Pair = namedtuple("Pair", "image label")


def assert_same(mine: Any, other: Any) -> None:
    """Compare what may be tensors in dictionaries, lists and named tuples."""
    if isinstance(other, torch.Tensor):
        assert isinstance(mine, Tensor)
        assert mine.shape == tuple(other.shape) and str(mine.dtype) == str(other.dtype).removeprefix("torch.")
        np.testing.assert_array_equal(mine.numpy(), other.numpy())
        return
    assert type(mine) is type(other)
    if isinstance(other, dict):
        assert list(mine) == list(other)
        mine, other = list(mine.values()), list(other.values())
    if isinstance(other, (list, tuple)):
        assert len(mine) == len(other)
        for each, its in zip(mine, other, strict=True):
            assert_same(each, its)
    else:
        assert mine == other


def epoch(module: Any, dataset: Any, **arguments: Any) -> list[Any]:
    loader = module.DataLoader(dataset, **arguments)
    batches = list(loader)
    assert len(loader) == len(batches)
    return batches


ITEMS = {
    "integers": lambda i: i,
    "floats": lambda i: i / 2,
    "booleans": lambda i: i % 2 == 0,
    "strings": lambda i: f"{i}.jpg",
    "arrays": lambda i: np.full((2, 3), i, np.uint8),
    "scalars of NumPy": lambda i: np.float32(i),
    "pairs": lambda i: (np.full((3, 2), i, np.float32), i),
    "lists": lambda i: [i, [i / 2, str(i)]],
    "dictionaries": lambda i: {"image": np.full(4, i / 2), "label": i, "path": f"{i}.jpg"},
    "named tuples": lambda i: Pair(np.full((2, 2), i), i),
}


@pytest.mark.parametrize("kind", ITEMS)
@pytest.mark.parametrize("batch_size", [1, 3, 4, 20])
@pytest.mark.parametrize("drop_last", [False, True])
def test_batches_of_items(kind: str, batch_size: int, drop_last: bool) -> None:
    items = [ITEMS[kind](index) for index in range(12)]
    found = epoch(data, items, batch_size=batch_size, drop_last=drop_last)
    assert_same(found, epoch(theirs, items, batch_size=batch_size, drop_last=drop_last))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8, np.bool_])
def test_batches_of_tensors(dtype: Any, rng: np.random.Generator) -> None:
    images, labels = rng.integers(0, 255, (10, 3, 4, 4)).astype(dtype), rng.integers(0, 9, 10)
    mine, other = (
        data.TensorDataset(Tensor(images), Tensor(labels)),
        theirs.TensorDataset(torch.tensor(images), torch.tensor(labels)),
    )
    assert_same(mine[3], other[3])
    assert_same(mine[2:5], other[2:5])
    assert len(mine) == len(other)
    assert_same(epoch(data, mine, batch_size=4), epoch(theirs, other, batch_size=4))
    assert_same(epoch(data, mine, batch_size=4, num_workers=2), epoch(theirs, other, batch_size=4))


def test_a_shuffled_epoch_has_the_same_batches_in_another_order() -> None:
    for module in (data, theirs):
        batches = epoch(module, range(50), batch_size=8, shuffle=True)
        assert [len(batch) for batch in batches] == [8] * 6 + [2]
        order = [int(number) for batch in batches for number in batch]
        assert sorted(order) == list(range(50)) != order


@hypothesis.given(st.integers(0, 40), st.lists(st.integers(0, 30), min_size=1, max_size=4))
def test_lengths_of_parts_by_fractions(N: int, shares: list[int]) -> None:
    hypothesis.assume(sum(shares) > 0)
    fractions = [share / sum(shares) for share in shares]
    hypothesis.assume(sum(fractions) <= 1)  # PyTorch takes no sum above 1, not even by a rounding error
    mine = data.random_split(range(N), fractions)
    with warnings.catch_warnings(action="ignore"):  # of parts without items
        other = theirs.random_split(range(N), fractions)
    assert [len(part) for part in mine] == [len(part) for part in other]


@pytest.mark.parametrize("lengths", [[7, 3], [4, 4], [11], [0.5, 0.4], [1.2, -0.2]])
def test_lengths_of_parts_that_pytorch_takes_and_refuses(lengths: Any) -> None:
    results = []
    for module in (data, theirs):
        try:
            parts = module.random_split(range(10), lengths)
            results.append([len(part) for part in parts])
            items = [part[index] for part in parts for index in range(len(part))]
            assert sorted(items) == list(range(10))
        except (ValueError, TypeError):
            results.append("refused")
    assert results[0] == results[1]


def test_a_subset() -> None:
    for module in (data, theirs):
        subset = module.Subset([10, 11, 12], [2, 0])
        assert (len(subset), subset[0], subset[1]) == (2, 12, 10)


@pytest.mark.parametrize("name", ["DataLoader", "TensorDataset", "Subset", "random_split"])
def test_arguments_have_pytorchs_names_order_and_defaults(name: str) -> None:
    mine, other = (inspect.signature(getattr(module, name)).parameters for module in (data, theirs))
    positional = [name for name, parameter in mine.items() if parameter.kind is not parameter.KEYWORD_ONLY]
    assert positional == list(other)[: len(positional)]
    different = {name for name in mine if mine[name].default != other[name].default}
    # PyTorch's default is its own generator, as an object
    assert different <= {"generator"}
