"""Single pictures of every format, colour mode and orientation, some of them broken."""

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import picture
from PIL import Image, ImageOps

from minicnn.data import DataError, decoding, load_image

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
        (b"", "it is not an image; JPEG, PNG and WebP images are read"),
        (b"Dear diary, this is no picture.", "it is not an image; JPEG, PNG and WebP images are read"),
        (as_bytes(picture(5), "GIF"), "it is a GIF image; JPEG, PNG and WebP images are read"),
        (as_bytes(picture(5), "BMP"), "it is a BMP image; JPEG, PNG and WebP images are read"),
        (as_bytes(picture(5), "TIFF"), "it is a TIFF image; JPEG, PNG and WebP images are read"),
        (as_bytes(picture(5), "PPM"), "it is a PPM image; JPEG, PNG and WebP images are read"),
        (as_bytes(picture(5, 100, 100), "JPEG")[:-3000], "truncated"),
        (as_bytes(picture(5, 100, 100), "PNG")[:-9000], "truncated"),
        (as_bytes(picture(5, 100, 100), "WEBP")[:-2000], ""),
        (None, "No such file or directory"),
    ],
    ids=["empty", "text", "gif", "bmp", "tiff", "ppm", "jpeg", "png", "webp", "absent"],
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
    with pytest.raises(DataError, match=r"bomb\.png cannot be read: .*pixels are more than the .*--max-pixels"):
        load_image(tmp_path / "bomb.png", SIZE)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def sixteen_bit_png(colour_type: int, pixels: list[int], clear: list[int] | None = None) -> bytes:
    """A PNG of one row of two pixels."""
    header = struct.pack(">IIBBBBB", 2, 1, 16, colour_type, 0, 0, 0)
    row = zlib.compress(b"\0" + struct.pack(f">{len(pixels)}H", *pixels))
    transparency = chunk(b"tRNS", struct.pack(f">{len(clear)}H", *clear)) if clear else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + transparency + chunk(b"IDAT", row) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "last"),
    [
        (sixteen_bit_png(0, [30_000, 5_000], [30_000]), (19, 19, 19)),
        (sixteen_bit_png(2, [30_000, 20_000, 10_000, 5_000, 6_000, 7_000], [30_000, 20_000, 10_000]), (19, 23, 27)),
        (sixteen_bit_png(4, [30_000, 0, 5_000, 65_535]), (19, 19, 19)),
    ],
    ids=["grey", "colour", "grey and alpha"],
)
def test_clear_pixels_of_16_bits_become_white(tmp_path: Path, content: bytes, last: Any) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with Image.open(tmp_path / "a.png") as image:
        found = np.asarray(decoding._rgb(image))
    assert tuple(found[0, 0]) == WHITE and tuple(found[0, 1]) == last


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95, 0.999])
@pytest.mark.parametrize(("form", "suffix"), [("PNG", "png"), ("JPEG", "jpg")])
def test_an_end_of_zeros_is_noticed(tmp_path: Path, form: str, suffix: str, share: float) -> None:
    """As after a power cut or a broken download: the size is right, the last blocks were never written."""
    content = as_bytes(picture(7, 100, 100), form)
    kept = round(share * len(content))
    (tmp_path / f"a.{suffix}").write_bytes(content[:kept] + bytes(len(content) - kept))
    with pytest.raises(DataError, match="corrupt|truncated"):
        load_image(tmp_path / f"a.{suffix}", 100)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_cut_anywhere_is_noticed(tmp_path: Path, progressive: bool) -> None:
    file, thumbnail = io.BytesIO(), as_bytes(picture(1), "JPEG")  # which has an end marker, too
    picture(7, 40, 40).save(file, "JPEG", progressive=progressive, exif=b"Exif\0\0" + thumbnail)
    for length in range(len(file.getvalue()) - (0 if progressive else 2)):
        (tmp_path / "a.jpg").write_bytes(file.getvalue()[:length])
        with pytest.raises(DataError):
            load_image(tmp_path / "a.jpg", 40)
    (tmp_path / "a.jpg").write_bytes(file.getvalue() + b"\xff\xda what a camera appends")
    load_image(tmp_path / "a.jpg", 40)


@pytest.mark.parametrize("tail", [b"", b"\xff", b"\0", bytes(1000), b"\xff" * 7])
def test_a_jpeg_that_lacks_only_its_end_marker_is_read(tmp_path: Path, tail: bytes) -> None:
    """As cameras and webcams write it, perhaps with padding; what lacks pixels, too, is refused."""
    for seed, side in ((3, 16), (7, 40), (8, 333)):
        content = as_bytes(picture(seed, side, side), "JPEG")
        (tmp_path / "whole.jpg").write_bytes(content)
        (tmp_path / "a.jpg").write_bytes(content[:-2] + tail)
        np.testing.assert_array_equal(load_image(tmp_path / "a.jpg", 40), load_image(tmp_path / "whole.jpg", 40))
        for cut in (4, 8, 100):
            (tmp_path / "a.jpg").write_bytes(content[:-cut] + tail)
            with pytest.raises(DataError, match="its end marker is missing, and perhaps pixels with it"):
                load_image(tmp_path / "a.jpg", 40)


def test_padding_between_the_parts_of_a_jpeg_hides_no_missing_rows(tmp_path: Path) -> None:
    content = as_bytes(picture(7, 100, 100), "JPEG")
    padded = content.replace(b"\xff\xda", b"\xff\xff\xff\xda", 1)
    (tmp_path / "a.jpg").write_bytes(padded)
    assert load_image(tmp_path / "a.jpg", 100).shape == (3, 100, 100)
    (tmp_path / "a.jpg").write_bytes(padded[: len(padded) // 2] + bytes(len(padded) // 2))
    with pytest.raises(DataError, match="its end marker is missing"):
        load_image(tmp_path / "a.jpg", 100)


@pytest.mark.parametrize("settings", [{"progressive": True}, {"restart_marker_blocks": 1}])
def test_without_an_end_marker_missing_scans_and_intervals_cannot_be_seen(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    file = io.BytesIO()
    picture(7, 40, 40).save(file, "JPEG", **settings)
    (tmp_path / "a.jpg").write_bytes(file.getvalue()[:-2])
    with pytest.raises(DataError, match="its end marker is missing, and perhaps pixels with it"):
        load_image(tmp_path / "a.jpg", 40)


def test_a_flipped_bit_in_the_pixels_of_a_png_is_noticed(tmp_path: Path) -> None:
    content = bytearray(as_bytes(picture(7, 30, 30), "PNG"))
    content[content.index(b"IDAT") + 200] ^= 4
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match="the checksum of its chunk 'IDAT' is wrong"):
        load_image(tmp_path / "a.png", 30)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(DataError, match="not a regular file"):
        load_image(tmp_path / "a.png")
