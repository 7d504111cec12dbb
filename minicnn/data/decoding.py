"""Reading an image file of any size as a square array, as the paper does (section 2)."""

from __future__ import annotations

import errno
import io
import os
import struct
import zlib

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from minicnn.data.errors import DataError
from minicnn.files import regular_file

FORMATS = ("JPEG", "PNG", "WEBP")  # by content, because a JPEG file may well be called .png
ACCEPTED = "JPEG, PNG and WebP images are read"
PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
JPEG_END = b"\xff\xd9"
CONTINUATIONS = (b"", b"\x55" * 64, b"\xaa" * 64, b"\x33" * 64, b"\xcc" * 64, b"\xfe\x01" * 32)

# Formats that are refused by name, by how their files begin.
REFUSED = {
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    **{b"P%d" % number + space: "PPM" for number in range(1, 7) for space in (b"\n", b" ", b"\r", b"\t")},
}

# How an image must be turned, by its EXIF orientation (EXIF 2.32, tag 0x0112; 1 is upright).
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def load_image(path: str | os.PathLike[str], size: int = 256) -> NDArray[np.uint8]:
    """Read an image: the shorter side is resized to `size`, and the central square is cropped.

    Both happen in one resampling (bilinear, over all pixels that a new one covers), so the square is exactly central.
    The EXIF orientation is applied. Every colour mode becomes RGB: grey is repeated, 16 bits become 8, CMYK is
    converted, and transparent pixels are put on white. Of an animation, the first frame is read.

    Parameters
    ----------
    path : path
        A JPEG, PNG or WebP file.
    size : int
        Height and width of the result.

    Returns
    -------
    ndarray of uint8, (3, size, size)
        Red, green and blue.

    Raises
    ------
    DataError
        If the file cannot be read, is truncated, corrupt or not an image, or has more pixels than Pillow considers safe
        (``PIL.Image.MAX_IMAGE_PIXELS``, which may be set to another number).

    References
    ----------
    Krizhevsky et al. 2012, section 2.
    """
    try:
        return _decode(path, size)
    except MemoryError:
        raise
    except Exception as error:  # a decoder can raise anything
        raise DataError(f"{os.fspath(path)} cannot be read: {reason_of(error)}") from error


def _decode(path: str | os.PathLike[str], size: int) -> NDArray[np.uint8]:
    regular_file(path)
    with open(path, "rb") as file:
        content = file.read()
    for start, name in REFUSED.items():
        if content.startswith(start):
            raise ValueError(f"it is a {name} image; {ACCEPTED}")
    if content.startswith(PNG):
        _check_png(content)
    if content.startswith(JPEG):
        content = _ended_jpeg(content)
    with _opened(content) as image:
        # A JPEG decoder can shrink by 2, 4 or 8 at almost no cost. Twice the size is left for a proper resampling.
        image.draft(None, (2 * size, 2 * size))
        square = ImageOps.fit(_rgb(image), (size, size), Image.Resampling.BILINEAR)
        turn = TURNS.get(_orientation(image))
    if turn is not None:  # the central square stays central when it is turned
        square = square.transpose(turn)
    return np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1))


def _opened(content: bytes) -> Image.Image:
    limit = Image.MAX_IMAGE_PIXELS
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError as error:  # Pillow's own words for more than twice the limit name no switch
        assert limit is not None
        raise _too_large("its pixels are", limit) from error
    if limit is not None and image.width * image.height > limit:
        raise _too_large(f"{image.width:,} x {image.height:,} pixels are", limit)
    return image


def _too_large(pixels: str, limit: int) -> OSError:
    """Return an OSError with a number: like a missing permission it depends on the machine, and is not remembered."""
    return OSError(
        errno.EFBIG,
        f"{pixels} more than the {limit:,} that Pillow considers safe; to read it all the same, set --max-pixels "
        f"(in Python: PIL.Image.MAX_IMAGE_PIXELS)",
    )


def _check_png(content: bytes) -> None:
    """Compare the checksums of a PNG's critical chunks (PNG 3rd edition, section 5.3), which Pillow does not."""
    place = len(PNG)
    while place + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, place)
        kind, end = content[place + 4 : place + 8], place + 8 + length
        if end + 4 > len(content):
            break
        critical = not kind[0] & 0x20  # the first letter is a capital
        checked = memoryview(content)[place + 4 : end]
        if critical and zlib.crc32(checked) != struct.unpack_from(">I", content, end)[0]:
            raise ValueError(f"it is corrupt: the checksum of its chunk {kind.decode('ascii', 'replace')!r} is wrong")
        if kind == b"IEND":
            return
        place = end + 4
    raise ValueError("it is truncated: its last chunk is missing")


def _ended_jpeg(content: bytes) -> bytes:
    """Look for the end marker behind the first scan: without it, libjpeg makes up the missing rows.

    Some cameras leave out only the marker. Then the file is returned with one.
    """
    place, checkable, components = 2, False, b""
    while place + 4 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        if marker == 0xFF:  # padding
            place += 1
            continue
        if marker in (0xC0, 0xC1):  # a frame that is not progressive
            checkable, components = True, content[place + 9 : place + 10]
        if marker == 0xDD:  # restart intervals
            checkable = False
        if marker == 0xDA:  # the start of a scan; what came before, a thumbnail perhaps, has end markers of its own
            if content.find(JPEG_END, place) >= 0:
                return content
            # Of several scans or intervals, nothing says whether the last ones are missing.
            if checkable and content[place + 4 : place + 5] == components and _all_pixels_in(content):
                return content + JPEG_END
            raise ValueError("it is truncated or corrupt: its end marker is missing, and perhaps pixels with it")
        place += 2 + struct.unpack_from(">H", content, place + 2)[0]
    return content


def _all_pixels_in(content: bytes) -> bool:
    """Return whether a JPEG of one scan, without an end marker, has all pixels.

    Then they do not depend on what follows, and all continuations give the same image. Padding behind the data would be
    read as pixels, and is left out.
    """
    data = content.rstrip(b"\0\xff")
    images = []
    for more in CONTINUATIONS:
        with _opened(data + more + JPEG_END) as image:
            images.append(np.asarray(image))
        if not np.array_equal(images[0], images[-1]):
            return False
        del images[1:]
    return True


def _rgb(image: Image.Image) -> Image.Image:
    clear = image.info.get("transparency")
    if image.mode.startswith("I"):  # Pillow would clip 16 bits at 255, and the image would be white
        grey = np.asarray(image).clip(0, 0xFFFF)
        eight_bits = (grey >> 8).astype(np.uint8)
        if clear is not None:
            eight_bits[grey == clear] = 255
        return Image.fromarray(eight_bits).convert("RGB")
    if image.mode == "RGB" and isinstance(clear, tuple) and max(clear) > 0xFF:  # one of 16 bits; the pixels now have 8
        image.info["transparency"] = tuple(value >> 8 for value in clear)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # corrupt EXIF data is no reason to refuse the image
        return 1


def reason_of(error: Exception) -> str:
    """Return in words why an image could not be read."""
    if isinstance(error, PIL.UnidentifiedImageError):
        return f"it is not an image; {ACCEPTED}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
