"""Single pictures of every format, colour mode and orientation, some of them broken."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import picture
from PIL import Image, ImageOps

from minicnn.data import (
    DataError,
    load_image,
)

SIZE = 8


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
        (b"", "it is not a JPEG, PNG or WebP image"),
        (b"Dear diary, this is no picture.", "it is not a JPEG, PNG or WebP image"),
        (as_bytes(picture(5), "GIF"), "it is not a JPEG, PNG or WebP image"),
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
