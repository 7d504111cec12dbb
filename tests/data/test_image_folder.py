"""Folders of small pictures, made here; what is computed of them is held against plain loops."""

import io
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from minicnn.data import (
    DataError,
    ImageFolder,
    Loader,
    find_splits,
    image_folder,
    load_image,
    pixel_statistics,
    split_validation,
)
from minicnn.data.cache import cache_folder, load_cached, save_cached

SIZE = 8


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees this user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "minicnn"


def picture(seed: int, width: int = 12, height: int = 10) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three classes of 6, 5 and 4 pictures, in three formats."""
    root = tmp_path / "pictures"
    seed = 0
    for name, count in (("ant", 6), ("bee", 5), ("cat", 4)):
        (root / name).mkdir(parents=True)
        for number in range(count):
            suffix = ("jpg", "PNG", "webp", "JPEG")[number % 4]
            picture(seed, width=10 + seed).save(root / name / f"{number}.{suffix}")
            seed += 1
    return root


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often each file is decoded."""
    counter: Counter[str] = Counter()
    decode = image_folder._decode

    def counting(path: Any, size: int) -> Any:
        counter[os.path.basename(path)] += 1
        return decode(path, size)

    monkeypatch.setattr(image_folder, "_decode", counting)
    return counter


def spoil(path: Path) -> None:
    """Cut a file off in the middle."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


# --- one picture -------------------------------------------------------------------------------------------------


def shrunk_middle(pixels: Any, size: int) -> Any:
    """Shrink a picture, each new pixel an average weighted by a triangle (bilinear), and keep the middle square."""
    height, width, _ = pixels.shape
    scale = min(height, width) / size

    def weights(length: int) -> Any:
        table = np.zeros((size, length))
        for new in range(size):
            centre = length / 2 + (new + 0.5 - size / 2) * scale
            for old in range(length):
                table[new, old] = max(0.0, 1 - abs(old + 0.5 - centre) / scale)
            table[new] /= table[new].sum()
        return table

    result = np.zeros((3, size, size))
    for channel in range(3):
        result[channel] = weights(height) @ pixels[:, :, channel] @ weights(width).T
    return result


@pytest.mark.parametrize(("width", "height"), [(40, 24), (24, 40), (32, 32), (200, 16)])
def test_the_middle_square_is_shrunk_to_the_size(tmp_path: Path, width: int, height: int) -> None:
    original = picture(1, width, height)
    original.save(tmp_path / "a.png")
    found = load_image(tmp_path / "a.png", SIZE)
    assert found.dtype == np.uint8 and found.shape == (3, SIZE, SIZE) and found.flags.c_contiguous
    np.testing.assert_allclose(found, shrunk_middle(np.asarray(original, float), SIZE), atol=1.01)


def test_a_square_of_the_right_size_is_left_as_it_is(tmp_path: Path) -> None:
    original = picture(2, 256, 256)
    original.save(tmp_path / "a.png")
    np.testing.assert_array_equal(load_image(tmp_path / "a.png"), np.asarray(original).transpose(2, 0, 1))


def test_a_small_picture_is_enlarged(tmp_path: Path) -> None:
    Image.new("RGB", (3, 2), (10, 20, 30)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(load_image(tmp_path / "a.png", 5)[:, 2, 3], [10, 20, 30])


def test_a_large_jpeg_is_shrunk_while_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    y, x = np.mgrid[:600, :900]
    waves = 128 + 60 * np.sin(x / 40) + 60 * np.cos(y / 50)
    original = Image.fromarray(np.stack([waves, 255 - waves, x * 255 / 900], axis=2).astype(np.uint8))
    original.save(tmp_path / "a.jpg", quality=95)
    fit, sizes = ImageOps.fit, []

    def spy(image: Image.Image, *arguments: Any) -> Image.Image:
        sizes.append(image.size)
        return fit(image, *arguments)

    monkeypatch.setattr(ImageOps, "fit", spy)
    found = load_image(tmp_path / "a.jpg", 64)
    assert sizes == [(225, 150)]  # an eighth would be less than twice the 64 pixels
    expected = np.asarray(fit(original, (64, 64), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert np.abs(found.astype(int) - expected).mean() < 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_the_orientation_that_a_camera_noted_is_honoured(tmp_path: Path, orientation: int, suffix: str) -> None:
    blocks = np.zeros((40, 64, 3), np.uint8)
    blocks[:20], blocks[:, :32, 1], blocks[20:, 32:, 2] = (200, 0, 0), 150, 90  # like none of its mirror images
    stored = Image.fromarray(blocks)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / f"a.{suffix}", exif=exif, quality=95)
    upright = ImageOps.exif_transpose(Image.open(tmp_path / f"a.{suffix}"))
    Image.fromarray(np.asarray(upright)).save(tmp_path / "upright.png")
    found, expected = load_image(tmp_path / f"a.{suffix}", 32), load_image(tmp_path / "upright.png", 32)
    np.testing.assert_allclose(found.astype(int), expected, atol=1)
    untouched = np.asarray(ImageOps.fit(stored, (32, 32))).transpose(2, 0, 1)
    assert orientation == 1 or np.abs(found.astype(int) - untouched).max() > 50


def test_a_picture_taken_with_the_camera_turned_stands_upright(tmp_path: Path) -> None:
    stored = np.zeros((16, 16, 3), np.uint8)
    stored[:, :8] = 255  # the sky, on the left of the sensor
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    found = load_image(tmp_path / "a.png", 16)
    assert (found[:, :8] == 255).all() and (found[:, 8:] == 0).all()


def test_a_spoilt_note_of_the_orientation_turns_nothing(tmp_path: Path) -> None:
    picture(3, 16, 16).save(tmp_path / "a.png")
    picture(3, 16, 16).save(tmp_path / "b.png", exif=b"Exif\0\0no such thing")
    np.testing.assert_array_equal(load_image(tmp_path / "a.png", 16), load_image(tmp_path / "b.png", 16))


RED, WHITE = (200, 10, 20), (255, 255, 255)


def palette_with_hole() -> Image.Image:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, *RED])
    image.putpixel((0, 0), 0)
    image.info["transparency"] = 0
    return image


def sixteen_bits() -> Image.Image:
    return Image.fromarray(np.full((4, 4), 30_000, np.uint16))


@pytest.mark.parametrize(
    ("image", "suffix", "first", "last"),
    [
        (Image.new("L", (4, 4), 77), "png", (77, 77, 77), (77, 77, 77)),
        (Image.new("L", (4, 4), 77), "jpg", (77, 77, 77), (77, 77, 77)),
        (Image.new("1", (4, 4), 1), "png", WHITE, WHITE),
        (Image.new("LA", (4, 4), (77, 0)), "png", WHITE, WHITE),
        (Image.new("RGBA", (4, 4), (*RED, 255)), "png", RED, RED),
        (Image.new("RGBA", (4, 4), (*RED, 0)), "png", WHITE, WHITE),
        (Image.new("RGBA", (4, 4), (0, 0, 0, 51)), "webp", (204, 204, 204), (204, 204, 204)),
        (palette_with_hole(), "png", WHITE, RED),
        (Image.new("CMYK", (4, 4), (0, 0, 0, 255)), "jpg", (0, 0, 0), (0, 0, 0)),
        (sixteen_bits(), "png", (117, 117, 117), (117, 117, 117)),
    ],
    ids=["grey", "grey-jpg", "bits", "clear-grey", "opaque", "clear", "glass", "palette", "cmyk", "16-bits"],
)
def test_every_colour_mode_becomes_rgb_on_white(
    tmp_path: Path, image: Image.Image, suffix: str, first: Any, last: Any
) -> None:
    options: dict[str, Any] = {"lossless": True} if suffix == "webp" else {}
    image.save(tmp_path / f"a.{suffix}", **options)
    found = load_image(tmp_path / f"a.{suffix}", 4)
    np.testing.assert_allclose(found[:, 0, 0].astype(int), first, atol=2)
    np.testing.assert_allclose(found[:, 3, 3].astype(int), last, atol=2)


def test_the_content_counts_not_the_name(tmp_path: Path) -> None:
    picture(4).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert load_image(tmp_path / "a.jpg", SIZE).shape == (3, SIZE, SIZE)


def as_bytes(image: Image.Image, form: str) -> bytes:
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is no JPEG, PNG or WebP picture"),
        (b"Dear diary, this is no picture.", "it is no JPEG, PNG or WebP picture"),
        (as_bytes(picture(5), "GIF"), "it is no JPEG, PNG or WebP picture"),
        (as_bytes(picture(5, 100, 100), "JPEG")[:-3000], "truncated"),
        (as_bytes(picture(5, 100, 100), "PNG")[:-9000], "truncated"),
        (as_bytes(picture(5, 100, 100), "WEBP")[:-2000], ""),
        (None, "No such file or directory"),
    ],
    ids=["empty", "text", "gif", "jpeg", "png", "webp", "absent"],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "some.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=rf"some\.jpg cannot be read: .*{reason}"):
        load_image(path)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("limit", [100, 10])  # Pillow warns of up to twice the limit, and refuses more itself
def test_a_picture_that_would_fill_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    picture(6, 12, 10).save(tmp_path / "bomb.png")
    assert load_image(tmp_path / "bomb.png", SIZE).any()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(DataError, match=r"bomb\.png cannot be read: .*(12 x 10 pixels are more than the 100|exceeds)"):
        load_image(tmp_path / "bomb.png", SIZE)


# --- folders -----------------------------------------------------------------------------------------------------


def test_folders_are_classes_and_files_are_pictures(root: Path) -> None:
    folder = ImageFolder(root, SIZE)
    assert folder.classes == ("ant", "bee", "cat")
    assert len(folder) == 15 and folder.shape == (15, 3, SIZE, SIZE) and folder.nbytes == 15 * 3 * SIZE * SIZE
    assert folder.labels.tolist() == [0] * 6 + [1] * 5 + [2] * 4 and folder.labels.dtype == np.int64
    names = [os.path.relpath(path, root) for path in folder.paths]
    assert names[:7] == ["ant/0.jpg", "ant/1.PNG", "ant/2.webp", "ant/3.JPEG", "ant/4.jpg", "ant/5.PNG", "bee/0.jpg"]
    assert repr(folder) == f"ImageFolder({str(root)!r}: 15 pictures of 8x8, 3 classes)"


@pytest.mark.parametrize("cache", [False, True])
def test_it_is_indexed_as_an_array(root: Path, cache: bool) -> None:
    folder = ImageFolder(root, SIZE, cache=cache)
    array = np.stack([load_image(path, SIZE) for path in folder.paths])
    for indices in (3, -1, slice(2, 9, 3), [4, 4, 0], np.array([14, 2]), np.arange(15) % 2 == 0, [], np.int64(5)):
        found = folder[indices]
        expected = array[np.arange(15)[indices]]
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, expected)
        found[...] = 0  # what was given out is the caller's
        np.testing.assert_array_equal(folder[indices], expected)
    np.testing.assert_array_equal(np.stack(list(folder)), array)
    for wrong in (15, [0, 15], np.zeros((2, 2), int)):
        with pytest.raises(IndexError):
            folder[wrong]


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
    with pytest.raises(DataError, match=r"cache=True: the 15 pictures of .* take 0.0 GB, and this machine has"):
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


def test_hidden_files_and_files_beside_the_classes_are_passed_over(root: Path) -> None:
    for name in ("README.txt", ".DS_Store", "ant/.DS_Store", "ant/._0.jpg", "bee/Thumbs.db"):
        (root / name).write_bytes(b"no picture")
    (root / ".git").mkdir()
    assert len(ImageFolder(root, SIZE)) == 15


def test_a_class_may_be_a_link(root: Path) -> None:
    (root / "dog").symlink_to(root / "cat")
    assert ImageFolder(root, SIZE).classes == ("ant", "bee", "cat", "dog")


def empty(root: Path) -> None:
    shutil.rmtree(root)
    root.mkdir()


def only_files(root: Path) -> None:
    empty(root)
    picture(0).save(root / "a.png")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shutil.rmtree, r"pictures is not there; expected .*pictures/CLASS/\*\.jpg, a folder for each class"),
        (lambda root: (shutil.rmtree(root), root.touch()), "pictures is a file; expected"),
        (empty, r"pictures holds no folders; expected .*pictures/CLASS/\*\.jpg"),
        (only_files, "pictures holds no folders"),
        (lambda root: (root / "dog").mkdir(), r"the class .*dog has no picture; expected \*\.jpg, \*\.jpeg, \*\.png"),
        (lambda root: (root / "bee/notes.txt").touch(), r"1 file cannot be used: .*bee/notes\.txt is no picture; exp"),
        (lambda root: (root / "bee/sub.png").mkdir(), r"bee/sub\.png is a folder; expected .* directly in bee"),
    ],
    ids=["absent", "file", "empty", "no classes", "empty class", "text", "nested"],
)
def test_what_is_wrong_with_a_folder_is_said(root: Path, change: Callable[[Path], Any], message: str) -> None:
    change(root)
    with pytest.raises(DataError, match=message):
        ImageFolder(root, SIZE)


def test_a_size_must_be_positive(root: Path) -> None:
    with pytest.raises(ValueError, match="size is 0; expected at least 1"):
        ImageFolder(root, 0)


def test_labels_can_follow_another_folder(root: Path) -> None:
    classes = ("zebra", "cat", "bee", "ant")
    folder = ImageFolder(root, SIZE, classes=classes)
    assert folder.classes == classes
    assert Counter(folder.labels.tolist()) == {3: 6, 2: 5, 1: 4}
    with pytest.raises(DataError, match=r"cat is none of the 2 classes \(ant, bee\) that the other folder has"):
        ImageFolder(root, SIZE, classes=("ant", "bee"))


def test_splits_are_told_from_classes(tmp_path: Path, root: Path) -> None:
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


# --- broken pictures ---------------------------------------------------------------------------------------------


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
    with pytest.raises(DataError, match=r"1 file cannot be used: .*notes.txt is no picture.*--skip-bad"):
        ImageFolder(broken, SIZE)
    folder = ImageFolder(broken, SIZE, skip_bad=True)
    assert len(folder) == 13 and folder.labels.tolist() == [0] * 5 + [1] * 4 + [2] * 4
    assert folder[:].shape == (13, 3, SIZE, SIZE)
    notes, png, webp = folder.skipped
    assert "cat/notes.txt is no picture" in notes
    assert "ant/1.PNG cannot be read: " in png and "truncated" in png
    assert webp.endswith("bee/2.webp cannot be read: it is no JPEG, PNG or WebP picture")


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
    with pytest.raises(
        DataError, match=r"the class .*cat has no picture; .*4 files were skipped, such as .*cat/0\.jpg"
    ):
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


# --- statistics --------------------------------------------------------------------------------------------------


def plain_statistics(pictures: Any) -> tuple[Any, Any]:
    """Return the mean image and the covariance of the colours, pixel by pixel."""
    total = np.zeros(pictures.shape[1:])
    for one in pictures:
        total += one
    colours = [one[:, i, j].astype(float) for one in pictures for i in range(SIZE) for j in range(SIZE)]
    centre = sum(colours) / len(colours)
    covariance = np.zeros((3, 3))
    for colour in colours:
        covariance += np.outer(colour - centre, colour - centre)
    return total / len(pictures), covariance / len(colours)


def test_mean_image_and_principal_colours(root: Path) -> None:
    folder = ImageFolder(root, SIZE)
    for pictures in (folder, folder[:]):
        found = pixel_statistics(pictures)
        mean, covariance = plain_statistics(folder[:])
        assert found.mean.dtype == np.float32
        np.testing.assert_array_equal(found.mean, mean.astype(np.float32))
        assert (np.diff(found.eigenvalues) < 0).all()
        for value, vector in zip(found.eigenvalues, found.eigenvectors.T, strict=True):
            np.testing.assert_allclose(covariance @ vector, value * vector, rtol=1e-9, atol=1e-6)
            assert np.linalg.norm(vector) == pytest.approx(1) and vector[np.abs(vector).argmax()] > 0
        # Components scaled by normal numbers have the covariance of the colours: the square root is the right scale.
        np.testing.assert_allclose(found.components @ found.components.T, covariance, rtol=1e-9)


def test_one_colour_only_has_no_components(root: Path) -> None:
    statistics = pixel_statistics(np.full((2, 3, 4, 4), 9, np.uint8))
    assert (statistics.mean == 9).all()
    np.testing.assert_allclose(statistics.components, 0, atol=1e-6)


def test_pieces_of_an_array_add_up(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    pictures = rng.integers(0, 256, (11, 3, 5, 6), dtype=np.uint8)
    whole = pixel_statistics(pictures)
    monkeypatch.setattr("minicnn.data.statistics.PIECE", 100)
    pieces = pixel_statistics(pictures)
    np.testing.assert_array_equal(pieces.mean, whole.mean)
    np.testing.assert_array_equal(pieces.components, whole.components)


@pytest.mark.parametrize(
    ("pictures", "error", "message"),
    [
        (np.zeros((2, 3, 4, 4)), TypeError, "pictures has dtype float64; expected uint8"),
        (np.zeros((0, 3, 4, 4), np.uint8), ValueError, r"pictures has shape \(0, 3, 4, 4\)"),
        (np.zeros((2, 1, 4, 4), np.uint8), ValueError, r"expected \(N, 3, H, W\)"),
    ],
)
def test_other_arrays_are_refused(pictures: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        pixel_statistics(pictures)


def test_statistics_of_a_folder_are_kept_exactly(root: Path, decoded: Counter[str]) -> None:
    first = pixel_statistics(ImageFolder(root, SIZE))
    assert sum(decoded.values()) == 15
    again = pixel_statistics(ImageFolder(root, SIZE))
    ImageFolder(root, SIZE).verify()  # the same reading has shown that all is well
    assert sum(decoded.values()) == 15
    for name in ("mean", "eigenvalues", "eigenvectors"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "ant" / "0.jpg").unlink(),
        lambda root: picture(99).save(root / "cat" / "new.png"),
        lambda root: picture(99, 30, 30).save(root / "ant" / "0.jpg"),
        lambda root: os.utime(root / "ant" / "0.jpg", (1, 1)),
        lambda root: (root / "ant" / "0.jpg").rename(root / "bee" / "0a.jpg"),
    ],
    ids=["gone", "new", "changed", "touched", "moved"],
)
def test_a_changed_folder_is_read_again(root: Path, change: Callable[[Path], Any], decoded: Counter[str]) -> None:
    pixel_statistics(ImageFolder(root, SIZE))
    change(root)
    decoded.clear()
    folder = ImageFolder(root, SIZE)
    found = pixel_statistics(folder)
    assert sum(decoded.values()) == len(folder)
    np.testing.assert_array_equal(found.mean, plain_statistics(folder[:])[0].astype(np.float32))


def test_other_sizes_and_subsets_have_statistics_of_their_own(root: Path) -> None:
    folder = ImageFolder(root, SIZE)
    pixel_statistics(folder)
    assert pixel_statistics(ImageFolder(root, 4)).mean.shape == (3, 4, 4)
    assert ImageFolder(root, 4).fingerprint() != folder.fingerprint()
    part = folder.subset([1, 2, 12])
    np.testing.assert_array_equal(pixel_statistics(part).mean, folder[[1, 2, 12]].mean(axis=0).astype(np.float32))


def test_statistics_name_every_broken_picture(root: Path, own_cache: Path) -> None:
    spoil(root / "ant" / "1.PNG")
    spoil(root / "cat" / "3.JPEG")
    with pytest.raises(DataError, match=r"2 files cannot be used: .*ant/1\.PNG .*; .*cat/3\.JPEG .*skip-bad"):
        pixel_statistics(ImageFolder(root, SIZE))
    assert not list(own_cache.glob("*-sums.npz"))
    for path in (root / "ant").parent.rglob("*.*"):
        path.write_bytes(b"no picture")
    with pytest.raises(DataError, match="15 files cannot be used"):
        pixel_statistics(ImageFolder(root, SIZE))


@pytest.mark.parametrize("content", [b"", b"no such file", b"[1, 2]", b"PK\x03\x04 broken"])
def test_a_spoilt_cache_is_computed_again(root: Path, own_cache: Path, content: bytes) -> None:
    spoil(root / "bee" / "1.PNG")
    good = pixel_statistics(ImageFolder(root, SIZE, skip_bad=True))
    kept = sorted(own_cache.iterdir())
    assert sorted(path.suffix for path in kept) == [".json", ".json", ".npz"]
    for path in kept:
        path.write_bytes(content)
    folder = ImageFolder(root, SIZE, skip_bad=True)
    assert len(folder) == 14
    np.testing.assert_array_equal(pixel_statistics(folder).mean, good.mean)


def test_a_cache_that_cannot_be_written_is_no_reason_to_stop(root: Path, own_cache: Path) -> None:
    own_cache.parent.mkdir()
    own_cache.touch()  # a file where the folder should be
    with pytest.warns(UserWarning, match="cannot be kept and will be computed again next time"):
        assert pixel_statistics(ImageFolder(root, SIZE)).mean.any()


def test_two_processes_may_compute_the_same_at_once(root: Path, own_cache: Path) -> None:
    program = (
        "import sys, numpy as np; from minicnn.data import ImageFolder, pixel_statistics\n"
        "sys.stdin.readline()\n"
        "sys.stdout.buffer.write(pixel_statistics(ImageFolder(sys.argv[1], 8)).mean.tobytes())"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", program, root], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    means = []
    for child in children:  # both have imported everything, or soon will have
        assert child.stdin is not None
        child.stdin.write(b"go\n")
        child.stdin.flush()
    for child in children:
        output, _ = child.communicate(timeout=60)
        assert child.returncode == 0
        means.append(output)
    expected = ImageFolder(root, SIZE)[:].mean(axis=0).astype(np.float32)
    assert means == [expected.tobytes()] * 2
    assert sorted(path.suffix for path in own_cache.iterdir()) == [".json", ".npz"]


def test_a_reader_never_sees_half_a_file(own_cache: Path) -> None:
    contents = [bytes([number]) * 100_000 for number in range(4)]
    writers = [
        threading.Thread(target=lambda content=content: [save_cached("name", content) for _ in range(15)])
        for content in contents
    ]
    save_cached("name", contents[0])
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert load_cached("name") in contents
    assert [path.name for path in own_cache.iterdir()] == ["name"]


def test_an_interrupted_write_leaves_nothing(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_cached("name", b"old")

    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_cached("name", b"new")
    assert load_cached("name") == b"old"
    assert [path.name for path in own_cache.iterdir()] == ["name"]


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_folder() == tmp_path / "cache" / "minicnn"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "minicnn"
    assert load_cached("nothing") is None


# --- validation --------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(("count", "fraction"), [(10, 0), (10, 1), (10, -0.1), (10, float("nan")), (1, 0.5), (0, 0.5)])
def test_no_empty_part_can_be_asked_for(count: int, fraction: float) -> None:
    with pytest.raises(ValueError, match=rf"split_validation: fraction is {fraction} of {count} labels"):
        split_validation(np.zeros(count, int), fraction)
