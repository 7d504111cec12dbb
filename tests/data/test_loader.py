from functools import partial
from typing import Any

import numpy as np
import pytest

from minicnn.data import Loader, transforms

IMAGES = np.arange(10, dtype=np.float32).reshape(10, 1, 1, 1) * np.ones((1, 3, 4, 4), np.float32)
LABELS = np.arange(10)


def labels_of(loader: Loader) -> list[int]:
    return [int(label) for _, labels in loader for label in labels]


def test_an_epoch_has_every_picture_once_with_its_own_label() -> None:
    loader = Loader(IMAGES, LABELS, batch_size=4)
    batches = list(loader)
    assert [len(labels) for _, labels in batches] == [4, 4, 2]
    assert len(loader) == 3
    assert sorted(labels_of(loader)) == list(range(10))
    for images, labels in batches:
        assert images.shape[1:] == (3, 4, 4) and images.dtype == np.float32
        np.testing.assert_array_equal(images[:, 0, 0, 0], labels)


def test_each_epoch_has_a_new_order_that_seed_and_epoch_determine() -> None:
    loader, again = Loader(IMAGES, LABELS, seed=3), Loader(IMAGES, LABELS, seed=3)
    first, second = labels_of(loader), labels_of(loader)
    assert first != second
    assert first != list(range(10))
    assert labels_of(Loader(IMAGES, LABELS, seed=4)) != first
    again.epoch = 1
    assert labels_of(again) == second


def test_a_half_read_epoch_does_not_disturb_the_next() -> None:
    whole, broken = Loader(IMAGES, LABELS, batch_size=2), Loader(IMAGES, LABELS, batch_size=2)
    labels_of(whole)
    next(iter(broken))
    assert labels_of(broken) == labels_of(whole)


def test_without_shuffling_the_order_is_the_order() -> None:
    loader = Loader(IMAGES, LABELS, batch_size=3, shuffle=False)
    assert labels_of(loader) == labels_of(loader) == list(range(10))


def test_drop_last_leaves_out_what_is_no_whole_batch() -> None:
    loader = Loader(IMAGES, LABELS, batch_size=4, drop_last=True)
    assert len(loader) == 2
    assert [len(labels) for _, labels in loader] == [4, 4]
    assert len(Loader(IMAGES, LABELS, batch_size=5, drop_last=True)) == 2


@pytest.mark.parametrize("shuffle", [True, False])
def test_writing_into_a_batch_leaves_the_data_alone(shuffle: bool) -> None:
    images, labels = IMAGES.copy(), LABELS.copy()
    for some_images, some_labels in Loader(images, labels, batch_size=10, shuffle=shuffle):
        some_images[...] = -1
        some_labels[...] = -1
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)


def test_transform_sees_each_batch_with_a_generator_that_depends_on_its_number_alone() -> None:
    def jitter(images: Any, rng: np.random.Generator) -> Any:
        return images + rng.random((len(images), 1, 1, 1), dtype=np.float32) / 2

    def epoch(loader: Loader) -> list[Any]:
        return [images for images, _ in loader]

    loader = Loader(IMAGES, LABELS, batch_size=4, seed=1, transform=jitter)
    first, second = epoch(loader), epoch(loader)
    for (images, labels), expected in zip(
        Loader(IMAGES, LABELS, batch_size=4, seed=1, transform=jitter), first, strict=True
    ):
        np.testing.assert_array_equal(images, expected)
        np.testing.assert_array_equal(np.floor(images[:, 0, 0, 0]), labels)
    noise = [images[:2, 0, 0, 0] % 1 for images in first + second]
    assert len({tuple(each.round(5)) for each in noise}) == len(noise)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"labels": LABELS[:9]}, ValueError, r"Loader: images and labels must .* got \(10, 3, 4, 4\) and \(9,\)"),
        ({"labels": LABELS[:, None]}, ValueError, r"got \(10, 3, 4, 4\) and \(10, 1\)"),
        ({"labels": list(LABELS)}, TypeError, "Loader: labels must be an array, got a list"),
        ({"batch_size": 0}, ValueError, "Loader: batch_size must be at least 1, got 0"),
        ({"batch_size": 2.5}, TypeError, "batch_size must be an integer, got 2.5"),
        ({"batch_size": True}, TypeError, "batch_size must be an integer, got True"),
        ({"seed": -1}, ValueError, "Loader: seed must be at least 0, got -1"),
        ({"seed": None}, TypeError, "seed must be an integer, got None"),
        ({"transform": 3}, TypeError, "Loader: transform must be a callable or None, got 3"),
        ({"batch_size": 11, "drop_last": True}, ValueError, "Loader: images must hold at least 11 .* got 10"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, ValueError, "images must hold at least 1 .* got 0"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Loader(**{"images": IMAGES, "labels": LABELS, **arguments})


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_processes_share_each_batch_with_the_random_numbers_of_the_whole(size: int) -> None:
    """The last batch has two images: with more processes, some get none of it."""
    colour = transforms.compose(
        partial(transforms.random_crop, size=3),
        transforms.random_flip,
        partial(transforms.pca_colour, components=np.eye(3)),
    )
    images = np.random.default_rng(0).random((10, 3, 4, 4))

    def batches(rows: Any) -> list[Any]:
        return list(Loader(images, LABELS, batch_size=4, seed=5, transform=colour, rows=rows))

    def rows_of(rank: int) -> Any:
        return lambda n: slice(n * rank // size, n * (rank + 1) // size)

    parts = [batches(rows_of(rank)) for rank in range(size)]
    for number, (whole, labels) in enumerate(batches(None)):
        np.testing.assert_array_equal(np.concatenate([part[number][0] for part in parts]), whole)
        np.testing.assert_array_equal(np.concatenate([part[number][1] for part in parts]), labels)
    assert [Loader(images, LABELS, batch_size=4).images_in(number) for number in range(3)] == [4, 4, 2]
