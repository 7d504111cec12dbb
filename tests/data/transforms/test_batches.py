"""Every transform against loops that do the same thing picture by picture and pixel by pixel."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from minicnn.data import Loader, pixel_statistics, transforms

Array = Any


@pytest.fixture(params=[np.uint8, np.float32, np.float64], ids=["uint8", "float32", "float64"])
def images(request: pytest.FixtureRequest, rng: np.random.Generator) -> Array:
    return rng.integers(0, 256, (7, 3, 10, 12)).astype(request.param)


def same_rng() -> tuple[np.random.Generator, np.random.Generator]:
    return np.random.default_rng(4), np.random.default_rng(4)


def cut(picture: Array, top: int, left: int, height: int, width: int) -> Array:
    result = np.zeros((picture.shape[0], height, width), picture.dtype)
    for c in range(picture.shape[0]):
        for i in range(height):
            for j in range(width):
                result[c, i, j] = picture[c, top + i, left + j]
    return result


def mirrored(picture: Array) -> Array:
    result = np.zeros_like(picture)
    for j in range(picture.shape[2]):
        result[:, :, j] = picture[:, :, picture.shape[2] - 1 - j]
    return result


def test_random_crop_cuts_each_picture_at_the_place_drawn_for_it(images: Array) -> None:
    rng, other = same_rng()
    crops = transforms.random_crop(images, rng, size=6)
    tops, lefts = other.integers(0, 5, 7), other.integers(0, 7, 7)
    assert crops.dtype == images.dtype and crops.shape == (7, 3, 6, 6)
    for n in range(7):
        np.testing.assert_array_equal(crops[n], cut(images[n], tops[n], lefts[n], 6, 6))


def test_every_place_of_a_crop_is_as_likely_as_any_other() -> None:
    place = np.arange(20.0).reshape(1, 1, 4, 5) * np.ones((6000, 3, 1, 1))
    found = transforms.random_crop(place, np.random.default_rng(0), size=3)[:, 0, 0, 0]
    places, counts = np.unique(found, return_counts=True)
    assert places.tolist() == [0, 1, 2, 5, 6, 7]
    assert counts.min() > 900 and counts.max() < 1100


def test_random_crop_of_the_whole_picture_is_the_picture(images: Array, rng: np.random.Generator) -> None:
    square = images[..., :10]
    np.testing.assert_array_equal(transforms.random_crop(square, rng, size=10), square)


def test_random_crop_takes_224_from_256() -> None:
    assert transforms.random_crop(np.zeros((2, 3, 256, 256), np.uint8), np.random.default_rng(0)).shape[2:] == (
        224,
        224,
    )


def test_pad_and_crop_shifts_in_zeros(images: Array) -> None:
    rng, other = same_rng()
    shifted = transforms.pad_and_crop(images, rng, padding=3)
    tops, lefts = other.integers(0, 7, 7), other.integers(0, 7, 7)
    assert shifted.dtype == images.dtype
    for n in range(7):
        padded = np.zeros((3, 16, 18), images.dtype)
        for i in range(10):
            for j in range(12):
                padded[:, 3 + i, 3 + j] = images[n, :, i, j]
        np.testing.assert_array_equal(shifted[n], cut(padded, tops[n], lefts[n], 10, 12))


def test_center_crop_cuts_the_middle(images: Array) -> None:
    crops = transforms.center_crop(images, size=5)
    assert crops.dtype == images.dtype and crops.flags.c_contiguous
    for n in range(7):
        np.testing.assert_array_equal(crops[n], cut(images[n], 2, 3, 5, 5))
    np.testing.assert_array_equal(transforms.center_crop(images, np.random.default_rng(0), size=5), crops)


def test_ten_crop_has_corners_centre_and_their_mirror_images(images: Array) -> None:
    crops = transforms.ten_crop(images, size=6)
    assert crops.dtype == images.dtype and crops.shape == (7, 10, 3, 6, 6)
    for n in range(7):
        for k, (top, left) in enumerate([(0, 0), (0, 6), (4, 0), (4, 6), (2, 3)]):
            crop = cut(images[n], top, left, 6, 6)
            np.testing.assert_array_equal(crops[n, k], crop)
            np.testing.assert_array_equal(crops[n, 5 + k], mirrored(crop))


@pytest.mark.parametrize("p", [0.5, 0.2])
def test_random_flip_mirrors_the_pictures_drawn(images: Array, p: float) -> None:
    rng, other = same_rng()
    flipped = transforms.random_flip(images, rng, p=p)
    drawn = other.random(7)
    assert flipped.dtype == images.dtype
    assert 0 < (drawn < p).sum() < 7  # else this test would show little
    for n in range(7):
        np.testing.assert_array_equal(flipped[n], mirrored(images[n]) if drawn[n] < p else images[n])


def test_random_flip_always_and_never(images: Array, rng: np.random.Generator) -> None:
    np.testing.assert_array_equal(transforms.random_flip(images, rng, p=0), images)
    np.testing.assert_array_equal(transforms.random_flip(images, rng, p=1)[3], mirrored(images[3]))


def test_pca_colour_adds_one_colour_to_all_pixels_of_a_picture(images: Array) -> None:
    rng, other = same_rng()
    components = np.array([[50.0, 5, 1], [52, -3, 2], [48, 1, -4]])
    shifted = transforms.pca_colour(images, rng, components=components, std=0.2)
    assert shifted.dtype == (np.float32 if images.dtype == np.uint8 else images.dtype)
    a = other.normal(0, 0.2, (7, 3))
    for n in range(7):
        for c in range(3):
            shift = sum(components[c, k] * a[n, k] for k in range(3))
            np.testing.assert_allclose(shifted[n, c], images[n, c].astype(np.float64) + shift, rtol=0, atol=1e-4)


def test_pca_colour_shifts_by_a_tenth_of_the_standard_deviation_not_of_the_variance() -> None:
    rng = np.random.default_rng(7)
    grey = rng.normal(120, 60, (200, 1, 8, 8)) + rng.normal(0, 10, (200, 3, 8, 8))
    pictures = grey.clip(0, 255).round().astype(np.uint8)
    statistics = pixel_statistics(pictures)
    black = np.zeros((20_000, 3, 1, 1))
    shifts = transforms.pca_colour(black, rng, components=statistics.components)[:, :, 0, 0]
    along = shifts @ statistics.eigenvectors
    np.testing.assert_allclose(along.std(axis=0), 0.1 * np.sqrt(statistics.eigenvalues), rtol=0.03)
    assert 2 < shifts.std(axis=0).max() < 10  # grey levels


def test_subtract_mean(images: Array, rng: np.random.Generator) -> None:
    mean = rng.random((3, 10, 12), dtype=np.float32) * 255
    result = transforms.subtract_mean(images, mean=mean)
    assert result.dtype == (np.float32 if images.dtype == np.uint8 else images.dtype)
    for n in range(7):
        np.testing.assert_allclose(result[n], images[n].astype(np.float64) - mean, atol=1e-4)
    colour = np.array([10.0, 20, 30]).reshape(3, 1, 1)
    result = transforms.subtract_mean(images, rng, mean=colour)
    for c in range(3):
        np.testing.assert_array_equal(result[:, c], images[:, c].astype(np.float64) - 10 * (c + 1))


def test_compose_takes_the_steps_in_order_with_one_generator(images: Array) -> None:
    rng, other = same_rng()
    both = transforms.compose(partial(transforms.random_crop, size=6), transforms.random_flip)
    np.testing.assert_array_equal(
        both(images, rng), transforms.random_flip(transforms.random_crop(images, other, size=6), other)
    )
    assert transforms.compose()(images, rng) is images


EVERY = {
    "random_crop": partial(transforms.random_crop, size=4),
    "pad_and_crop": transforms.pad_and_crop,
    "center_crop": partial(transforms.center_crop, size=10),
    "ten_crop": partial(transforms.ten_crop, size=4),
    "random_flip": partial(transforms.random_flip, p=1),
    "pca_colour": partial(transforms.pca_colour, components=np.eye(3)),
    "subtract_mean": partial(transforms.subtract_mean, mean=np.ones((3, 1, 1))),
}


@pytest.mark.parametrize("name", EVERY)
def test_what_is_given_stays_as_it_is_and_what_comes_back_is_new(images: Array, name: str) -> None:
    before = images.copy()
    result = EVERY[name](images, np.random.default_rng(0))
    np.testing.assert_array_equal(images, before)
    assert not np.shares_memory(result, images)
    np.testing.assert_array_equal(EVERY[name](images, np.random.default_rng(0)), result)


@pytest.mark.parametrize("name", EVERY)
def test_an_empty_batch_stays_empty(images: Array, name: str) -> None:
    assert len(EVERY[name](images[:0], np.random.default_rng(0))) == 0


@pytest.mark.parametrize("name", EVERY)
def test_a_loader_takes_each_of_them(images: Array, name: str) -> None:
    assert len(list(Loader(images, np.arange(7), batch_size=3, transform=EVERY[name], workers=1))) == 3


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("random_crop", {"size": 11}, "random_crop: size must be 1 to 10 for images of 10x12, got 11"),
        ("center_crop", {"size": 0}, "center_crop: size must be 1 to 10 for images of 10x12, got 0"),
        ("ten_crop", {"size": 13}, "ten_crop: size must be 1 to 10 for images of 10x12, got 13"),
        ("pad_and_crop", {"padding": -1}, "pad_and_crop: padding must be at least 0, got -1"),
        ("random_flip", {"p": 1.5}, "random_flip: p must lie between 0 and 1, got 1.5"),
        ("random_flip", {"p": float("nan")}, "random_flip: p must lie between 0 and 1, got nan"),
        ("pca_colour", {"components": np.eye(2)}, r"pca_colour: components must have shape \(3, 3\), got \(2, 2\)"),
        ("pca_colour", {"components": np.eye(3), "std": -0.1}, "pca_colour: std must be at least 0, got -0.1"),
        (
            "subtract_mean",
            {"mean": np.ones((3, 5, 5))},
            r"subtract_mean: mean must have shape \(3, 10, 12\) or .* got \(3, 5, 5\); subtract before cropping",
        ),
    ],
)
def test_bad_settings_are_refused(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(transforms, name)(np.zeros((2, 3, 10, 12)), np.random.default_rng(0), **settings)


@pytest.mark.parametrize("name", EVERY)
def test_a_single_picture_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}: images must have shape \(N, C, H, W\), got \(3, 10, 10\)"):
        EVERY[name](np.zeros((3, 10, 10)), np.random.default_rng(0))


def test_grey_pictures_have_no_principal_colours() -> None:
    with pytest.raises(ValueError, match="pca_colour: images must have 3 channels, red, green and blue, got 1"):
        transforms.pca_colour(np.zeros((2, 1, 4, 4)), np.random.default_rng(0), components=np.eye(3))
