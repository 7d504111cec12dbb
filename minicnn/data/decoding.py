"""Reading an image file of any size as a square array, as the paper does (section 2)."""

from __future__ import annotations

import os

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from minicnn.data.dataset import DataError

FORMATS = ("JPEG", "PNG", "WEBP")  # by content, because a JPEG file may well be called .png

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
        (``PIL.Image.MAX_IMAGE_PIXELS``).

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
    with Image.open(path, formats=FORMATS) as image:
        limit = Image.MAX_IMAGE_PIXELS
        if limit is not None and image.width * image.height > limit:
            raise ValueError(
                f"{image.width:,} x {image.height:,} pixels are more than the {limit:,} that Pillow considers safe "
                f"(PIL.Image.MAX_IMAGE_PIXELS)"
            )
        # A JPEG decoder can shrink by 2, 4 or 8 at almost no cost. Twice the size is left for a proper resampling.
        image.draft(None, (2 * size, 2 * size))
        square = ImageOps.fit(_rgb(image), (size, size), Image.Resampling.BILINEAR)
        turn = TURNS.get(_orientation(image))
    if turn is not None:  # the central square stays central when it is turned
        square = square.transpose(turn)
    return np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # Pillow would clip 16 bits at 255, and the image would be white
        return Image.fromarray((np.asarray(image).clip(0, 0xFFFF) >> 8).astype(np.uint8)).convert("RGB")
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
        return "it is not a JPEG, PNG or WebP image"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
