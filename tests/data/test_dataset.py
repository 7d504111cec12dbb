"""Data sets: what has a length and items; parts of them."""

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor
from minicnn.data import Dataset, ImageDataset, Subset, TensorDataset, load_shapes, random_split

IMAGES = np.arange(5 * 3 * 2 * 2, dtype=np.uint8).reshape(5, 3, 2, 2)
LABELS = np.array([4, 3, 2, 1, 0])


def test_a_data_set_without_a_length_or_items_cannot_be_made() -> None:
    class NoLength(Dataset):
        def __getitem__(self, index: Any) -> Any:
            return index

    with pytest.raises(TypeError, match="__len__"):
        NoLength()  # type: ignore[abstract]
    with pytest.raises(TypeError, match="__getitem__"):
        Dataset()  # type: ignore[abstract]


def test_tensors_side_by_side() -> None:
    dataset = TensorDataset(Tensor(IMAGES), LABELS)
    assert len(dataset) == 5 and all(isinstance(tensor, Tensor) for tensor in dataset.tensors)
    image, label = dataset[3]
    np.testing.assert_array_equal(image.numpy(), IMAGES[3])
    assert label.shape == () and label.item() == 1
    images, labels = dataset[1:3]
    assert images.shape == (2, 3, 2, 2) and labels.numpy().tolist() == [3, 2]
    assert len(list(dataset)) == 5  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("tensors", "found"),
    [((IMAGES, LABELS[:4]), r"\(5, 3, 2, 2\), \(4,\)"), ((), "none"), ((IMAGES, Tensor(3.0)), r"\(5, 3, 2, 2\), \(\)")],
)
def test_tensors_of_other_lengths_are_refused(tensors: Any, found: str) -> None:
    with pytest.raises(ValueError, match=rf"TensorDataset: tensors must be .* with the same N, got {found}"):
        TensorDataset(*tensors)


def test_images_and_labels_with_a_transform() -> None:
    dataset = ImageDataset(IMAGES, LABELS, lambda image: image.sum())
    assert len(dataset) == 5
    assert dataset[2] == (IMAGES[2].sum(), 2) and type(dataset[2][1]) is int
    assert [label for _, label in dataset] == LABELS.tolist()  # type: ignore[attr-defined]
    image, _ = ImageDataset(IMAGES, LABELS)[2]
    image[...] = 255  # what was given out is the caller's
    assert IMAGES[2].max() < 255


def test_drawn_shapes_give_data_sets() -> None:
    shapes = load_shapes(train=30, test=20)
    train, test = shapes.train_set(), shapes.test_set(np.negative)
    assert (len(train), len(test)) == (30, 20)
    np.testing.assert_array_equal(train[29][0], shapes.train_images[29])
    np.testing.assert_array_equal(test[7][0], np.negative(shapes.test_images[7]))
    assert test[7][1] == shapes.test_labels[7]


def test_bad_images_labels_and_transforms_are_refused() -> None:
    for images, labels in ((IMAGES, LABELS[:3]), (IMAGES[0], LABELS[:3]), (IMAGES, LABELS[:, None])):
        with pytest.raises(ValueError, match="ImageDataset: images and labels must have shapes"):
            ImageDataset(images, labels)
    with pytest.raises(TypeError, match="ImageDataset: transform must be a callable or None, got 3"):
        ImageDataset(IMAGES, LABELS, 3)  # type: ignore[arg-type]


def test_a_subset_has_the_items_in_its_order() -> None:
    subset = Subset("abcdef", [4, 0, 4])
    assert len(subset) == 3 and [subset[0], subset[1], subset[2]] == ["e", "a", "e"]


def items(parts: list[Subset]) -> list[list[int]]:
    return [[part[index] for index in range(len(part))] for part in parts]


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [([7, 0, 3], [7, 0, 3]), ([0.5, 0.5], [5, 5]), ([0.35, 0.35, 0.3], [4, 3, 3]), ([10], [10])],
)
def test_parts_have_each_item_once_and_are_drawn_at_random(lengths: Any, expected: list[int]) -> None:
    parts = items(random_split(range(10), lengths))
    assert list(map(len, parts)) == expected
    together = [item for part in parts for item in part]
    assert sorted(together) == list(range(10)) and together != list(range(10))


def test_a_seed_determines_the_parts() -> None:
    minicnn.manual_seed(3)
    first, second = items(random_split(range(20), [10, 10])), items(random_split(range(20), [10, 10]))
    minicnn.manual_seed(3)
    assert items(random_split(range(20), [10, 10])) == first != second
    own = [items(random_split(range(20), [10, 10], np.random.default_rng(42))) for _ in range(2)]
    assert own[0] == own[1] != first


@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        ([4, 5], ValueError, r"lengths must add up to 10, the length of dataset, or to 1, got \[4, 5\]"),
        ([11, -1], ValueError, r"lengths must be 0 or more, got \[11, -1\]"),
        ([0.5, 0.6], TypeError, "lengths must be an integer, got 0.5"),
        (["4", 6], TypeError, "lengths must be a number, got '4'"),
    ],
)
def test_lengths_that_do_not_add_up_are_refused(lengths: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"random_split: {message}"):
        random_split(range(10), lengths)


def test_another_kind_of_generator_is_refused() -> None:
    with pytest.raises(TypeError, match=r"random_split: generator must be a numpy.random.Generator or None, got 42"):
        random_split(range(10), [10], 42)  # type: ignore[arg-type]
