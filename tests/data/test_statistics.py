"""Mean images and colours, compared with plain loops over the pixels; cached until a file changes."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import picture, spoil

from minicnn.data import (
    DataError,
    ImageFolder,
    pixel_statistics,
)

SIZE = 8


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
    ("images", "error", "message"),
    [
        (np.zeros((2, 3, 4, 4)), TypeError, "pixel_statistics: images must be uint8, got float64"),
        (np.zeros((0, 3, 4, 4), np.uint8), ValueError, r"images must have shape .*, got \(0, 3, 4, 4\)"),
        (np.zeros((2, 1, 4, 4), np.uint8), ValueError, r"images must have shape \(N, 3, H, W\)"),
    ],
)
def test_other_arrays_are_refused(images: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        pixel_statistics(images)


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
    with pytest.warns(UserWarning, match="cannot be cached and will be computed again next time"):
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
