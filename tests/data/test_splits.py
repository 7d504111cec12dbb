"""Training, validation and test sets, as folders and split off at random."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from pictures import picture

from minicnn.data import (
    find_splits,
    split_validation,
)


def test_splits_are_distinguished_from_classes(tmp_path: Path, root: Path) -> None:
    assert find_splits(root) == (root, None, None)
    (root / "train").mkdir()  # a class: of railways
    picture(0).save(root / "train" / "a.png")
    assert find_splits(root) == (root, None, None)
    data = tmp_path / "data"
    shutil.copytree(root, data / "train")
    assert find_splits(data) == (data / "train", None, None)
    shutil.copytree(root, data / "val")
    shutil.copytree(root, data / "test")
    assert find_splits(str(data)) == (data / "train", data / "val", data / "test")
    assert find_splits(tmp_path / "nowhere").train == tmp_path / "nowhere"


# --- validation ------------------------------------------------------------------------------------------------


def test_a_tenth_of_every_class_is_held_back(rng: np.random.Generator) -> None:
    labels = rng.permutation(np.repeat(np.arange(4), [200, 100, 45, 5]))
    train, validation = split_validation(labels)
    assert len(validation) == 35
    assert sorted([*train, *validation]) == list(range(350))
    np.testing.assert_array_equal(np.sort(validation), validation)
    counts = np.bincount(labels[validation], minlength=4)
    assert np.abs(counts - np.array([20, 10, 4.5, 0.5])).max() < 1


def test_the_seed_determines_what_is_held_back() -> None:
    labels = np.repeat(np.arange(10), 50)
    first, again, other = (split_validation(labels, 0.2, seed)[1] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    chosen = np.concatenate([split_validation(labels, 0.2, seed)[1] for seed in range(200)])
    assert np.bincount(chosen, minlength=500).min() > 15  # every picture has its chance, 40 of 200 on average


@pytest.mark.parametrize(("count", "fraction", "held_back"), [(2, 0.1, 1), (3, 0.9, 2), (20, 0.04, 1), (400, 0.1, 40)])
def test_neither_part_is_empty(count: int, fraction: float, held_back: int) -> None:
    train, validation = split_validation(np.arange(count) % 20, fraction)
    assert (len(train), len(validation)) == (count - held_back, held_back)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_no_empty_part_can_be_requested(fraction: float) -> None:
    with pytest.raises(ValueError, match=rf"split_validation: fraction must be between 0 and 1, got {fraction}"):
        split_validation(np.zeros(10, int), fraction)


@pytest.mark.parametrize("count", [0, 1])
def test_one_label_cannot_be_split(count: int) -> None:
    with pytest.raises(ValueError, match=f"split_validation: labels must hold at least 2, got {count}"):
        split_validation(np.zeros(count, int), 0.5)
