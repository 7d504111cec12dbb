"""Folders of small pictures, indexed as an array."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pictures import picture, spoil

from minicnn.data import (
    DataError,
    DataLoader,
    ImageFolder,
    Loader,
    image_folder,
    load_image,
    transforms,
)

SIZE = 8


@pytest.mark.parametrize("cache", [False, True])
def test_it_is_indexed_as_an_array(root: Path, cache: bool) -> None:
    folder = ImageFolder(root, SIZE, cache=cache)
    array = np.stack([load_image(path, SIZE) for path in folder.paths])
    for indices in (slice(2, 9, 3), [4, 4, 0], np.array([14, 2]), np.arange(15) % 2 == 0, [], slice(None)):
        found = folder[indices]
        expected = array[np.arange(15)[indices]]
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, expected)
        found[...] = 0  # what was given out is the caller's
        np.testing.assert_array_equal(folder[indices], expected)
    for wrong in (15, [0, 15], np.zeros((2, 2), int)):
        with pytest.raises(IndexError):
            folder[wrong]


@pytest.mark.parametrize("cache", [False, True])
def test_an_integer_gives_an_image_and_its_label(root: Path, cache: bool) -> None:
    folder = ImageFolder(root, SIZE, cache=cache)
    array = folder[:]
    for index in (3, -1, np.int64(5)):
        image, label = folder[index]
        assert image.dtype == np.uint8 and type(label) is int and label == folder.labels[index]
        np.testing.assert_array_equal(image, array[index])
        image[...] = 0  # what was given out is the caller's
        np.testing.assert_array_equal(folder[index][0], array[index])
    np.testing.assert_array_equal(np.stack([image for image, _ in folder]), array)
    assert [label for _, label in folder] == folder.labels.tolist()


def test_a_transform_is_of_items_and_subsets_have_it_too(root: Path) -> None:
    folder = ImageFolder(root, SIZE, transform=lambda image: image / 255)
    np.testing.assert_array_equal(folder.subset([7, 3])[1][0], folder[[3]][0] / 255)
    assert folder[[3]].dtype == np.uint8
    with pytest.raises(TypeError, match="ImageFolder: transform must be a callable or None, got 3"):
        ImageFolder(root, SIZE, transform=3)  # type: ignore[arg-type]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_data_loader_reads_a_folder(root: Path, num_workers: int) -> None:
    folder = ImageFolder(root, SIZE, transform=transforms.ToTensor())
    batches = list(DataLoader(folder, batch_size=4, num_workers=num_workers))
    assert [images.shape for images, _ in batches] == [(4, 3, SIZE, SIZE)] * 3 + [(3, 3, SIZE, SIZE)]
    np.testing.assert_array_equal(np.concatenate([labels.numpy() for _, labels in batches]), folder.labels)
    np.testing.assert_array_equal(
        np.concatenate([images.numpy() for images, _ in batches]), folder[:] / np.float32(255)
    )


def test_the_cache_reads_each_picture_once(root: Path, decoded: Counter[str]) -> None:
    folder = ImageFolder(root / ".." / "pictures", SIZE, cache=True)
    assert not decoded  # nothing is read before it is asked for
    for _ in range(3):
        folder[:]
    assert sum(decoded.values()) == 15
    ImageFolder(root, SIZE)[[0, 0]]
    assert sum(decoded.values()) == 17


def test_a_cache_larger_than_the_memory_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_folder, "_memory", lambda: 1e3)
    with pytest.raises(DataError, match=r"cache=True: the 15 images of .* take 0.0 GB, and this machine has"):
        ImageFolder(root, SIZE, cache=True)
    assert len(ImageFolder(root, SIZE)) == 15


def test_a_subset_has_its_own_pictures_and_the_same_classes(root: Path) -> None:
    for cache in (False, True):
        folder = ImageFolder(root, SIZE, cache=cache)
        folder[:]
        part = folder.subset([14, 3, 7])
        assert len(part) == 3 and part.labels.tolist() == [2, 0, 1] and part.classes == folder.classes
        np.testing.assert_array_equal(part[:], folder[[14, 3, 7]])
        assert len(folder) == 15
        assert part.fingerprint() != folder.fingerprint()


def test_the_checksum_is_of_names_and_contents(root: Path, decoded: Counter[str]) -> None:
    folder = ImageFolder(root, SIZE)
    before = folder.checksum()
    assert ImageFolder(root, SIZE).checksum() == before and sum(decoded.values()) == 15  # found in the cache
    copy = Path(shutil.copytree(root, root.with_name("copy"), copy_function=shutil.copyfile))  # with new times
    assert ImageFolder(copy, SIZE).fingerprint() != folder.fingerprint()
    assert ImageFolder(copy, SIZE).checksum() == before
    assert folder.subset(range(14)).checksum() != before != ImageFolder(root, SIZE + 1).checksum()
    picture(77).save(copy / "ant" / "0.jpg")
    assert ImageFolder(copy, SIZE).checksum() != before
    picture(0, width=10).save(root / "ant" / "0.jpg")
    (root / "ant" / "0.jpg").rename(root / "ant" / "zero.jpg")
    assert ImageFolder(root, SIZE).checksum() != before


@pytest.mark.parametrize("content", ["", "7", "[]", "[[1]]", "{}", "null"])
def test_a_damaged_cache_is_made_again(root: Path, own_cache: Path, content: str) -> None:
    before = ImageFolder(root, SIZE).checksum()
    (path,) = own_cache.iterdir()
    whole = path.read_bytes()
    path.write_text(content)
    assert ImageFolder(root, SIZE).checksum() == before and path.read_bytes() == whole


def test_a_size_must_be_positive(root: Path) -> None:
    with pytest.raises(ValueError, match="ImageFolder: size must be at least 1, got 0"):
        ImageFolder(root, 0)


def test_labels_can_follow_another_folder(root: Path) -> None:
    classes = ("zebra", "cat", "bee", "ant")
    folder = ImageFolder(root, SIZE, classes=classes)
    assert folder.classes == classes
    assert Counter(folder.labels.tolist()) == {3: 6, 2: 5, 1: 4}
    with pytest.raises(DataError, match=r"cat is none of the 2 classes \(ant, bee\) that the other folder has"):
        ImageFolder(root, SIZE, classes=("ant", "bee"))


# --- broken pictures -------------------------------------------------------------------------------------------


@pytest.fixture
def broken(root: Path) -> Path:
    spoil(root / "ant" / "1.PNG")
    (root / "bee" / "2.webp").write_bytes(b"no picture")
    (root / "cat" / "notes.txt").touch()
    return root


def test_a_broken_picture_is_named_when_it_is_read(root: Path) -> None:
    spoil(root / "bee" / "1.PNG")
    folder = ImageFolder(root, SIZE)
    assert folder[:7].shape[0] == 7
    with pytest.raises(DataError, match=r"bee/1\.PNG cannot be read: .*truncated"):
        folder[5:9]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_names_it_too(root: Path, workers: int) -> None:
    spoil(root / "bee" / "1.PNG")
    folder = ImageFolder(root, SIZE)
    seen = 0
    with pytest.raises(DataError, match=r"bee/1\.PNG cannot be read"):
        for _ in Loader(folder, folder.labels, batch_size=3, shuffle=False, workers=workers):
            seen += 1
    assert seen == 2


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_a_loader_reads_a_folder_as_it_reads_an_array(root: Path, workers: int) -> None:
    folder = ImageFolder(root, SIZE)
    lazy = Loader(folder, folder.labels, batch_size=4, workers=workers)
    for (images, labels), (others, other_labels) in zip(
        lazy, Loader(folder[:], folder.labels, batch_size=4), strict=True
    ):
        np.testing.assert_array_equal(images, others)
        np.testing.assert_array_equal(labels, other_labels)


def test_bad_files_are_left_out_and_listed(broken: Path) -> None:
    with pytest.raises(DataError, match=r"1 file cannot be used: .*notes.txt is not an image.*--skip-bad"):
        ImageFolder(broken, SIZE)
    folder = ImageFolder(broken, SIZE, skip_bad=True)
    assert len(folder) == 13 and folder.labels.tolist() == [0] * 5 + [1] * 4 + [2] * 4
    assert folder[:].shape == (13, 3, SIZE, SIZE)
    notes, png, webp = folder.skipped
    assert "cat/notes.txt is not an image" in notes
    assert "ant/1.PNG cannot be read: " in png and "truncated" in png
    assert webp.endswith("bee/2.webp cannot be read: it is not an image; JPEG, PNG and WebP images are read")


def test_the_verdict_is_kept_until_a_file_changes(broken: Path, decoded: Counter[str]) -> None:
    first = ImageFolder(broken, SIZE, skip_bad=True)
    assert sum(decoded.values()) == 15
    moved = broken.rename(broken.with_name("elsewhere"))
    again = ImageFolder(moved, SIZE, skip_bad=True)
    assert sum(decoded.values()) == 15
    assert again.labels.tolist() == first.labels.tolist()
    assert again.skipped == [line.replace("pictures/", "elsewhere/") for line in first.skipped]
    picture(0).save(moved / "ant" / "1.PNG")  # repaired
    assert len(ImageFolder(moved, SIZE, skip_bad=True)) == 14
    assert sum(decoded.values()) == 30


def test_a_class_of_broken_pictures_only_is_an_error(root: Path) -> None:
    for path in (root / "cat").iterdir():
        spoil(path)
    with pytest.raises(DataError, match=r"the class .*cat has no images; .*4 files were skipped, such as .*cat/0\.jpg"):
        ImageFolder(root, SIZE, skip_bad=True)


def test_verify_names_all_that_cannot_be_read(root: Path, decoded: Counter[str]) -> None:
    folder = ImageFolder(root, SIZE)
    folder.verify()
    folder.verify()
    assert sum(decoded.values()) == 15
    for path in (root / "ant").iterdir():
        spoil(path)
    for path in (root / "bee").iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"11 files cannot be used: .*ant/0\.jpg cannot.*bee/3\.JPEG.*; and 1 more\. "):
        ImageFolder(root, SIZE).verify()


def test_an_unreadable_file_is_left_out_but_the_verdict_is_not_kept(root: Path, own_cache: Path) -> None:
    (root / "ant" / "6.jpg").symlink_to(root / "nowhere.jpg")
    folder = ImageFolder(root, SIZE, skip_bad=True)
    assert len(folder) == 15 and "ant/6.jpg cannot be read: No such file" in folder.skipped[0]
    assert not own_cache.exists()
