"""Training, validation and test sets, as folders and split off at random."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from pictures import picture

from minicnn.data import (
    DataError,
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


@pytest.mark.parametrize(("train", "val"), [("train", "valid"), ("Train", "Validation"), ("TRAIN", "VAL")])
def test_splits_have_several_names(root: Path, tmp_path: Path, train: str, val: str) -> None:
    data = tmp_path / "data"
    for name in (train, val, "Test"):
        shutil.copytree(root, data / name)
    assert find_splits(data) == (data / train, data / val, data / "Test")
    shutil.copytree(root, data / "vAl")
    with pytest.raises(DataError, match=r"data holds .*, which are names of one split; expected val alone"):
        find_splits(data)


@pytest.mark.parametrize(("name", "kind"), [("Dev", "val"), ("testing", "test"), ("training", "train")])
def test_a_name_that_is_close_is_an_error(root: Path, tmp_path: Path, name: str, kind: str) -> None:
    data = tmp_path / "data"
    shutil.copytree(root, data / name)
    if kind != "train":
        shutil.copytree(root, data / "train")
    with pytest.raises(DataError, match=f"data/{name} is not used; call it {kind} if it holds the {kind} images"):
        find_splits(data)
    (root / "ant").rename(root / name)  # a class
    assert find_splits(root) == (root, None, None)


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
    train, validation = split_validation(np.arange(count) % (20 if count > 20 else 1), fraction)
    assert (len(train), len(validation)) == (count - held_back, held_back)


@pytest.mark.parametrize("seed", range(10))
def test_every_class_keeps_one(seed: int, rng: np.random.Generator) -> None:
    labels = rng.permutation(np.concatenate([np.arange(100), np.full(100, 7)]))
    train, validation = split_validation(labels, 0.25, seed)
    assert np.unique(labels[train]).tolist() == list(range(100))
    assert len(validation) == 50 and len(train) == 150 and sorted([*train, *validation]) == list(range(200))
    pairs = np.repeat([5, -3, 9], 2)
    train, validation = split_validation(pairs, 0.9, seed)  # five of six are too many
    assert sorted(pairs[train]) == sorted(pairs[validation]) == [-3, 5, 9]
    assert split_validation(np.array([0, 1, 2, 2]), 0.1, seed)[1][0] in (2, 3)
    with pytest.raises(ValueError, match="labels must hold a class with at least 2 images, got 1 image of each"):
        split_validation(np.arange(3000), 0.1, seed)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_no_empty_part_can_be_requested(fraction: float) -> None:
    with pytest.raises(ValueError, match=rf"split_validation: fraction must be between 0 and 1, got {fraction}"):
        split_validation(np.zeros(10, int), fraction)


@pytest.mark.parametrize("count", [0, 1])
def test_one_label_cannot_be_split(count: int) -> None:
    with pytest.raises(ValueError, match=f"split_validation: labels must hold at least 2, got {count}"):
        split_validation(np.zeros(count, int), 0.5)
