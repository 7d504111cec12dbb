from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from minicnn.data import DataError, ImageFolder, LabelledImages, load_shapes, load_sketches, sources, split_validation
from minicnn.data.sources import load_parts, load_test


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Two classes in three parts, each picture of one grey level: 10 times the class, and its number."""
    for part, count in (("train", 20), ("val", 3), ("test", 5)):
        for label, name in enumerate(("a", "b")):
            place = tmp_path / "root" / part / name
            place.mkdir(parents=True)
            for number in range(count):
                Image.new("L", (16, 16), 100 * label + number).save(place / f"{number:02d}.png")
    return tmp_path / "root"


def levels(part: sources.Part) -> list[int]:
    return [int(picture.flat[0]) for picture in part.images[np.arange(len(part.labels))]]


def test_a_seeded_tenth_is_held_back() -> None:
    shapes = load_shapes(train=200, test=200)
    parts = load_parts("shapes", 32, limit=200, seed=3)
    learnt, steering = split_validation(shapes.train_labels, 0.1, 3)
    for part, indices in ((parts.train, learnt), (parts.validation, steering)):
        np.testing.assert_array_equal(part.images, shapes.train_images[indices])
        np.testing.assert_array_equal(part.labels, shapes.train_labels[indices])
    assert parts.test is not None and parts.classes == shapes.classes
    np.testing.assert_array_equal(parts.test.images, shapes.test_images)
    assert len(load_parts("shapes", 32, limit=200, validation=0.25).validation.labels) == 50
    other = load_parts("shapes", 32, limit=200, seed=4)
    assert other.train.checksum() != parts.train.checksum()
    assert other.test is not None and other.test.checksum() == parts.test.checksum()


def test_sketches_are_a_source_without_settings_for_the_studies() -> None:
    parts = load_parts("sketches", 32, limit=20, validation=0)
    np.testing.assert_array_equal(parts.train.images, load_sketches(train=20, test=20).train_images)
    assert len(load_test("sketches", 32, parts.classes, limit=5).labels) == 5
    assert set(sources.NAMES) - set(sources.STUDIED) == {"sketches"}


def test_without_validation_every_training_picture_is_for_training(folder: Path) -> None:
    shapes = load_shapes(train=200, test=200)
    parts = load_parts("shapes", 32, limit=200, validation=0)
    assert parts.validation is None and parts.test is not None
    np.testing.assert_array_equal(parts.train.images, shapes.train_images)
    parts = load_parts(str(folder), 8, validation=0)
    assert parts.validation is None and parts.test is not None
    assert (len(parts.train.labels), len(parts.test.labels)) == (40, 10)
    assert len(load_parts("shapes", 32, limit=1, validation=0).train.labels) == 1


def test_cifar10_is_loaded_from_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes, asked = load_shapes(train=30, test=20), []
    monkeypatch.setattr(sources, "load_cifar10", lambda home: asked.append(home) or shapes)
    parts = load_parts("cifar10", 32, data_dir="here", limit=10)
    assert (len(parts.train.labels), len(parts.validation.labels)) == (9, 1)
    assert parts.test is not None and len(parts.test.labels) == 10 and asked == ["here"]
    assert len(load_test("cifar10", 32, (*shapes.classes, "(unused)"), data_dir="there").labels) == 20
    assert asked[1] == "there"


def test_the_parts_of_a_folder_are_taken_as_they_are(folder: Path) -> None:
    parts = load_parts(str(folder), 8)
    assert parts.test is not None
    assert [len(part.labels) for part in parts[:3]] == [40, 6, 10]
    assert isinstance(parts.train.images, ImageFolder) and parts.train.images.shape == (40, 3, 8, 8)
    assert levels(parts.validation) == [0, 1, 2, 100, 101, 102]
    np.testing.assert_array_equal(parts.validation.labels, [0, 0, 0, 1, 1, 1])
    assert parts.classes == ("a", "b")
    (folder / "train" / "a" / "00.png").unlink()
    assert load_parts(str(folder), 8).train.checksum() != parts.train.checksum()
    assert load_parts(str(folder), 8).validation.checksum() == parts.validation.checksum()


def test_a_folder_without_parts_is_split(folder: Path) -> None:
    parts = load_parts(str(folder / "train"), 8, seed=1)
    assert parts.test is None
    assert [len(part.labels) for part in parts[:2]] == [36, 4]
    assert sorted(levels(parts.train) + levels(parts.validation)) == [*range(20), *range(100, 120)]
    assert [level // 100 for level in levels(parts.train)] == parts.train.labels.tolist()


def test_bad_files_of_all_parts_are_named_at_once(folder: Path) -> None:
    strays = [folder / part / "b" / "notes.txt" for part in ("train", "val", "test")]
    broken = [folder / part / "a" / "00.png" for part in ("train", "val", "test")]
    for path in strays + broken:
        path.write_bytes(b"")
    with pytest.raises(DataError) as error:
        load_parts(str(folder), 8).verify()
    assert str(error.value).startswith("6 files cannot be used: ")
    assert [path for path in strays + broken if str(path) not in str(error.value)] == []
    with pytest.raises(
        DataError, match=r"^2 files cannot be used: .*notes\.txt is not an image.*00\.png cannot be read"
    ):
        load_test(str(folder), 8, ("a", "b")).verify()
    with pytest.raises(DataError, match=r"^2 files cannot be used: "):  # not twice, although it is in both parts
        load_parts(str(folder / "train"), 8).verify()
    parts = load_parts(str(folder), 8, skip_bad=True)
    parts.verify()
    assert [len(part.labels) for part in parts[:3]] == [39, 5, 9]


def test_a_class_without_any_image_names_what_is_there(folder: Path) -> None:
    for path in (folder / "val" / "b").iterdir():
        path.rename(path.with_suffix(".bmp"))
    with pytest.raises(DataError, match=r"^3 files cannot be used: .*val/b/00\.bmp is not an image"):
        load_parts(str(folder), 8)


def test_a_limit_takes_from_all_classes_of_a_folder(folder: Path) -> None:
    parts = load_parts(str(folder), 8, limit=4)
    assert levels(parts.train) == [0, 10, 100, 110]
    assert parts.test is not None and np.bincount(parts.test.labels).tolist() == [2, 2]
    assert len(load_parts(str(folder), 8, limit=1000).train.labels) == 40


def test_a_class_that_training_does_not_know_is_refused(folder: Path) -> None:
    (folder / "val" / "a").rename(folder / "val" / "c")
    with pytest.raises(DataError, match="val/c is none of the 2 classes"):
        load_parts(str(folder), 8)


def test_pictures_to_judge_by(folder: Path) -> None:
    assert len(load_test(str(folder), 8, ("a", "b")).labels) == 10
    assert load_test(str(folder / "val"), 8, ("b", "x", "a")).labels.tolist() == [2, 2, 2, 0, 0, 0]
    (folder / "test").rename(folder.parent / "away")
    assert len(load_test(str(folder), 8, ("a", "b")).labels) == 6
    assert levels(load_test(str(folder), 8, ("a", "b"), limit=2)) == [0, 100]
    with pytest.raises(DataError, match="val/b is none of the 1 classes"):
        load_test(str(folder), 8, ("a",))
    classes = load_shapes(train=1, test=1).classes
    assert len(load_test("shapes", 32, classes, limit=7).labels) == 7
    with pytest.raises(DataError, match="shapes has the classes disc, ring, square, ...; .* for a, b, ..."):
        load_test("shapes", 32, ("a", "b"))
    with pytest.raises(DataError, match="shapes has images of 32 pixels; the network was trained on 256"):
        load_test("shapes", 256, classes)


@pytest.mark.parametrize("name", ["nowhere", "cifar100"])
def test_what_is_not_there_is_an_error(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=f"{name} is not there"):
        load_parts(name, 8)
    with pytest.raises(DataError, match=f"{name} is not there"):
        load_test(name, 8, ("a",))


def test_one_picture_is_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    one: Any = load_shapes(train=1, test=1)
    assert isinstance(one, LabelledImages)
    with pytest.raises(DataError, match="expected at least 2"):
        load_parts("shapes", 32, limit=1)


def test_one_picture_of_each_class_is_too_few(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "root" / name).mkdir(parents=True)
        Image.new("L", (16, 16)).save(tmp_path / "root" / name / "0.png")
    with pytest.raises(DataError, match=r"with one image of each class, none can be held out .*--validation 0"):
        load_parts(str(tmp_path / "root"), 8)
    assert len(load_parts(str(tmp_path / "root"), 8, validation=0).train.labels) == 2
