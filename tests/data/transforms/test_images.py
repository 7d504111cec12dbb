"""The transforms of single images against loops, against the transforms of batches, and against Pillow."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import Tensor
from minicnn.data import transforms

IMAGE = np.random.default_rng(3).integers(0, 256, (3, 10, 12), dtype=np.uint8)
PICTURE = Image.fromarray(IMAGE.transpose(1, 2, 0))
EVERY: dict[str, Callable[[Any], Any]] = {
    "RandomHorizontalFlip": transforms.RandomHorizontalFlip(p=1),
    "RandomCrop": transforms.RandomCrop(6, padding=2),
    "CenterCrop": transforms.CenterCrop(5),
    "Resize": transforms.Resize(7),
    "Compose": transforms.Compose([transforms.Resize((9, 8)), transforms.CenterCrop(8)]),
}


def same(a: Any, b: Any) -> None:
    assert type(a) is type(b) and a.dtype == b.dtype
    np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("name", EVERY)
def test_arrays_tensors_and_pictures_are_the_same_image(name: str) -> None:
    results = []
    for image in (IMAGE, PICTURE, Tensor(IMAGE)):
        minicnn.manual_seed(1)
        results.append(EVERY[name](image))
    array, of_picture, tensor = results
    assert array.dtype == np.uint8
    same(of_picture, array)
    same(tensor, Tensor(array))


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_what_is_given_stays_as_it_is_and_what_comes_back_is_new(name: str, dtype: Any) -> None:
    image = IMAGE.astype(dtype)
    result = EVERY[name](image)
    assert result.dtype == dtype and not np.shares_memory(result, image)
    np.testing.assert_array_equal(image, IMAGE)


def test_to_tensor_scales_bytes_to_one_and_leaves_floats() -> None:
    tensor = transforms.ToTensor()(IMAGE)
    same(tensor, Tensor(IMAGE.astype(np.float32) / 255))
    same(transforms.ToTensor()(PICTURE), tensor)
    same(transforms.ToTensor()(IMAGE.astype(np.float64)), Tensor(IMAGE.astype(np.float64)))
    grey = transforms.ToTensor()(PICTURE.convert("L"))
    assert grey.shape == (1, 10, 12)


def test_normalize_is_of_each_channel() -> None:
    image = IMAGE.astype(np.float64)
    result = transforms.Normalize((1.0, 2.0, 3.0), (2.0, 4.0, 5.0))(image)
    for c, (mean, std) in enumerate(((1, 2), (2, 4), (3, 5))):
        np.testing.assert_array_equal(result[c], (image[c] - mean) / std)
    one = transforms.Normalize((0.5,), (0.25,))(transforms.ToTensor()(IMAGE))
    same(one, Tensor((IMAGE / np.float32(255) - np.float32(0.5)) / np.float32(0.25)))


def test_a_flip_is_drawn_with_its_probability() -> None:
    flip = transforms.RandomHorizontalFlip(p=0.3)
    flipped = sum(bool((flip(IMAGE) != IMAGE).any()) for _ in range(500))
    assert 110 < flipped < 190
    np.testing.assert_array_equal(transforms.RandomHorizontalFlip(p=1)(IMAGE), IMAGE[:, :, ::-1])


def test_a_random_crop_is_one_of_all() -> None:
    padded = np.pad(IMAGE, ((0, 0), (1, 1), (1, 1)))
    every = {padded[:, i : i + 10, j : j + 10].tobytes() for i in range(3) for j in range(5)}
    crop = transforms.RandomCrop(10, padding=1)
    assert {crop(IMAGE).tobytes() for _ in range(500)} == every
    assert len(every) == 15


def test_a_central_crop_is_that_of_a_batch() -> None:
    same(transforms.CenterCrop(5)(IMAGE), transforms.center_crop(IMAGE[None], size=5)[0])


@pytest.mark.parametrize(("size", "shape"), [(5, (5, 6)), (7, (7, 8)), ((4, 20), (4, 20)), ([9, 3], (9, 3))])
def test_resize_is_pillows(size: Any, shape: tuple[int, int]) -> None:
    expected = np.asarray(PICTURE.resize(shape[::-1], Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    same(transforms.Resize(size)(IMAGE), np.ascontiguousarray(expected))
    turned = transforms.Resize(size)(IMAGE.transpose(0, 2, 1))
    assert turned.shape[1:] == (shape[::-1] if isinstance(size, int) else shape)
    np.testing.assert_allclose(transforms.Resize(size)(IMAGE.astype(np.float64)), expected, rtol=0, atol=1)


def test_a_seed_determines_what_is_drawn() -> None:
    crop, found = transforms.RandomCrop(4), []
    for _ in range(2):
        minicnn.manual_seed(9)
        found.append([crop(IMAGE).tobytes() for _ in range(5)])
    assert found[0] == found[1] and len(set(found[0])) > 1


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (transforms.RandomCrop(11), "size must be 1 to 10 for images of 10x12, got 11"),
        (transforms.CenterCrop(11), "size must be 1 to 10 for images of 10x12, got 11"),
        (transforms.Normalize((1, 2), (1, 1)), r"mean must have 3 numbers, one a channel, got 2"),
    ],
)
def test_images_that_do_not_fit_are_refused(transform: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        transform(IMAGE.astype(np.float32))


@pytest.mark.parametrize("name", [*EVERY, "ToTensor"])
def test_channels_that_come_last_are_refused(name: str) -> None:
    transform = EVERY.get(name, transforms.ToTensor())
    for wrong in (np.zeros((10, 12, 3), np.uint8), np.zeros((2, 3, 10, 12))):
        with pytest.raises(
            ValueError, match=r"image must be of Pillow, or have shape \(C, H, W\) with 1, 3 or 4 channels"
        ):
            transform(wrong)


def test_bytes_are_not_normalised() -> None:
    with pytest.raises(TypeError, match="Normalize: image must be float32 or float64, as ToTensor .* uint8"):
        transforms.Normalize((0.5,), (0.5,))(IMAGE)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: transforms.Compose([3]), TypeError, "Compose: transforms must be callables, got 3"),
        (lambda: transforms.Normalize((1,), (0,)), ValueError, r"Normalize: std must be above 0, got \(0,\)"),
        (lambda: transforms.RandomHorizontalFlip(2), ValueError, "RandomHorizontalFlip: p must lie between 0 and 1"),
        (lambda: transforms.RandomCrop((3, 3)), TypeError, r"RandomCrop: size must be an integer, got \(3, 3\)"),
        (lambda: transforms.RandomCrop(3, -1), ValueError, "RandomCrop: padding must be at least 0, got -1"),
        (lambda: transforms.CenterCrop(0), ValueError, "CenterCrop: size must be at least 1, got 0"),
        (lambda: transforms.Resize("3"), TypeError, "Resize: size must be an integer or a pair of integers, got '3'"),
    ],
)
def test_bad_settings_are_refused(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
