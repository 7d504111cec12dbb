"""The DataLoader: batches, their order, threads, and how items become a batch."""

import time
from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor
from minicnn.backend import device_of
from minicnn.data import DataLoader, Dataset, ImageDataset, TensorDataset, default_collate, transforms

NUMBERS = np.arange(10)


def batches(loader: DataLoader) -> list[list[int]]:
    return [batch.numpy().tolist() for batch in loader]


def test_without_shuffle_the_order_is_the_order() -> None:
    loader = DataLoader(NUMBERS, batch_size=4)
    assert batches(loader) == batches(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert len(loader) == 3
    assert batches(DataLoader(NUMBERS[:2])) == [[0], [1]]
    assert batches(DataLoader(NUMBERS[:0])) == []


def test_drop_last_leaves_out_what_is_no_whole_batch() -> None:
    loader = DataLoader(NUMBERS, batch_size=4, drop_last=True)
    assert len(loader) == 2 and batches(loader) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert batches(DataLoader(NUMBERS, batch_size=11, drop_last=True)) == []


def test_each_epoch_has_an_order_of_its_own_that_the_seed_determines() -> None:
    loader = DataLoader(NUMBERS, batch_size=10, shuffle=True)
    minicnn.manual_seed(1)
    first, second = batches(loader), batches(loader)
    assert first != second and sorted(first[0]) == sorted(second[0]) == list(range(10))
    minicnn.manual_seed(1)
    assert batches(loader) == first
    own = [batches(DataLoader(NUMBERS, 10, True, generator=np.random.default_rng(42))) for _ in range(2)]
    assert own[0] == own[1] != first


class Noisy(Dataset):
    """Images that a random transform changes, each read a little late."""

    def __init__(self) -> None:
        self.crop = transforms.Compose([transforms.RandomCrop(6, padding=4), transforms.RandomHorizontalFlip()])
        self.images = np.random.default_rng(0).random((50, 3, 6, 6))

    def __len__(self) -> int:
        return 50

    def __getitem__(self, index: int) -> Any:
        time.sleep(0.001 * (index % 3))
        return self.crop(self.images[index]), index


@pytest.mark.parametrize("num_workers", [1, 3])
def test_batches_do_not_depend_on_the_number_of_workers(num_workers: int) -> None:
    loaders = [DataLoader(Noisy(), 4, shuffle=True, num_workers=workers) for workers in (0, num_workers)]
    found = []
    for loader in loaders:
        minicnn.manual_seed(5)
        found.append([batch for _ in range(2) for batch in loader])
    assert len(found[0]) == len(found[1]) == 26
    for (images, labels), (others, other_labels) in zip(*found, strict=True):
        np.testing.assert_array_equal(labels.numpy(), other_labels.numpy())
        np.testing.assert_array_equal(images.numpy(), others.numpy())
    first, second = (images.numpy() for images, labels in (found[0][0], found[0][13]))
    assert (first != second).any()


def test_images_of_one_batch_are_changed_differently() -> None:
    same = np.broadcast_to(np.arange(64.0).reshape(1, 1, 8, 8), (40, 1, 8, 8))
    crops = DataLoader(ImageDataset(same, np.zeros(40, int), transforms.RandomCrop(4)), batch_size=20)
    corners = [images.numpy()[:, 0, 0, 0].tolist() for images, _ in crops]
    assert len(set(corners[0])) > 5 and corners[0] != corners[1]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_error_of_an_item_reaches_the_consumer_in_its_turn(num_workers: int) -> None:
    class Broken(Dataset):
        def __len__(self) -> int:
            return 20

        def __getitem__(self, index: int) -> int:
            if index == 13:
                raise ZeroDivisionError("thirteen")
            return index

    seen = 0
    with pytest.raises(ZeroDivisionError, match="thirteen"):
        for _ in DataLoader(Broken(), batch_size=3, num_workers=num_workers):
            seen += 1
    assert seen == 4


def test_collate_fn_makes_the_batch() -> None:
    assert list(DataLoader(NUMBERS, batch_size=4, collate_fn=sum)) == [6, 22, 17]


def test_a_batch_is_a_copy() -> None:
    data = TensorDataset(Tensor(np.zeros((4, 2))))
    for (batch,) in DataLoader(data, batch_size=2):
        batch.data[...] = 1
    assert not data.tensors[0].numpy().any()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dataset": iter([1, 2])}, TypeError, "dataset must be a Dataset, .* got a list_iterator"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"batch_size": None}, TypeError, "batch_size must be an integer, got None"),
        ({"shuffle": "yes"}, TypeError, "shuffle must be True or False, got 'yes'"),
        ({"drop_last": 1}, TypeError, "drop_last must be True or False, got 1"),
        ({"num_workers": -1}, ValueError, "num_workers must be at least 0, got -1"),
        ({"collate_fn": 3}, TypeError, "collate_fn must be a callable or None, got 3"),
        ({"generator": 3}, TypeError, "generator must be a numpy.random.Generator or None, got 3"),
        ({"sampler": [1, 0]}, NotImplementedError, r"sampler must be None, got \[1, 0\]"),
        ({"batch_sampler": [[1]]}, NotImplementedError, r"batch_sampler must be None, got \[\[1\]\]"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"DataLoader: {message}"):
        DataLoader(**{"dataset": NUMBERS, **arguments})


# --- putting items together --------------------------------------------------------------------------------------

Pair = namedtuple("Pair", "image label")


def test_numbers_arrays_and_tensors_become_tensors() -> None:
    for items, dtype in (
        ([1, 2], np.int64),
        ([1.5, 2.5], np.float64),
        ([True, False], np.bool_),
        ([np.float32(1), np.float32(2)], np.float32),
        ([np.ones((2, 3), np.uint8), np.zeros((2, 3), np.uint8)], np.uint8),
        ([Tensor([1.0, 2.0]), Tensor([3.0, 4.0])], np.float32),
        ([Tensor(1), Tensor(2)], np.int64),
    ):
        batch = default_collate(items)
        assert isinstance(batch, Tensor) and batch.dtype == dtype
        np.testing.assert_array_equal(batch.numpy(), [np.asarray(item) for item in items])


def test_positions_and_keys_are_put_together_one_by_one() -> None:
    items = [{"pair": Pair(np.zeros(3), 7), "path": "a"}, {"pair": Pair(np.ones(3), 8), "path": "b"}]
    batch = default_collate(items)
    assert list(batch) == ["pair", "path"] and batch["path"] == ["a", "b"] and isinstance(batch["pair"], Pair)
    assert batch["pair"].image.shape == (2, 3) and batch["pair"].label.numpy().tolist() == [7, 8]
    images, labels = default_collate([(np.zeros(3), 7), (np.ones(3), 8)])
    assert images.shape == (2, 3) and labels.dtype == np.int64


@pytest.mark.parametrize(
    ("items", "error", "message"),
    [
        ([None, None], TypeError, "got a NoneType; give the DataLoader a collate_fn"),
        ([np.zeros((3, 4)), np.zeros((3, 5))], ValueError, r"have the same shape, got \(3, 4\) and \(3, 5\)"),
        ([(1, 2), (1,)], ValueError, r"have the same length, got \[1, 2\]"),
    ],
)
def test_what_does_not_fit_together_is_refused(items: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"default_collate: the items must.* {message}"):
        default_collate(items)


def test_items_on_a_gpu_become_a_batch_there(gpu: str) -> None:
    item = Tensor(np.ones((2, 2))).to(gpu)
    batch = default_collate([item, item])
    assert device_of(batch.data) == item.device and batch.shape == (2, 2, 2)
