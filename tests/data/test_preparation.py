from typing import Any

import numpy as np
import pytest

from minicnn.data import Preparation, pixel_statistics, scaling


@pytest.fixture
def images(rng: np.random.Generator) -> Any:
    colours = (
        rng.normal(0, 40, (20, 3, 1, 1)) + rng.normal(0, 20, (20, 3, 9, 9)) + np.array([90, 120, 150])[:, None, None]
    )
    return colours.clip(0, 255).astype(np.uint8)


def test_it_scales_as_the_two_ways_of_scaling_do(images: Any) -> None:
    (standardised,) = scaling.standardised(images)
    (raw,) = scaling.raw(images)
    np.testing.assert_allclose(Preparation.fit(images, crop=9).prepare(images), standardised, rtol=1e-4, atol=1e-5)
    prepared = Preparation.fit(images, crop=9, inputs="raw").prepare(images)
    assert prepared.dtype == np.float32
    np.testing.assert_allclose(prepared, raw, rtol=1e-6, atol=1e-4)


def test_the_mean_is_subtracted_where_it_belongs_before_the_middle_is_cut_out(images: Any) -> None:
    preparation = Preparation.fit(images, crop=4, inputs="raw")
    expected = (images - images.mean(axis=0, dtype=np.float64))[:, :, 2:6, 2:6]
    np.testing.assert_allclose(preparation.prepare(images), expected, atol=1e-4)


def test_a_constant_channel_becomes_zero(images: Any) -> None:
    images[:, 1] = 77
    prepared = Preparation.fit(images, crop=9).prepare(images)
    assert (prepared[:, 1] == 0).all()
    assert np.allclose(prepared[:, [0, 2]].std(axis=(0, 2, 3)), 1, rtol=1e-4)


def test_ten_crops(images: Any) -> None:
    preparation = Preparation.fit(images, crop=5)
    whole = Preparation(9, 9, preparation.mean, preparation.deviation).prepare(images)
    places = [(0, 0), (0, 4), (4, 0), (4, 4), (2, 2)]
    crops = [whole[:, :, top : top + 5, left : left + 5] for top, left in places]
    expected = np.stack([*crops, *(crop[..., ::-1] for crop in crops)], axis=1)
    np.testing.assert_array_equal(preparation.ten_crops(images), expected)


@pytest.mark.parametrize(("crop", "padding"), [(9, 2), (6, 0), (5, 3)])
def test_each_picture_is_a_crop_of_its_own_or_its_mirror_image(images: Any, crop: int, padding: int) -> None:
    preparation = Preparation.fit(images, crop=crop, inputs="raw")
    got = preparation.augmented(padding=padding)(images, np.random.default_rng(1))
    edge = (padding, padding)
    padded = np.pad((images - preparation.mean).astype(np.float32), ((0, 0), (0, 0), edge, edge))
    room = 9 + 2 * padding - crop
    found = set()
    for picture, original in zip(got, padded, strict=True):
        matches = [
            (top, left, mirrored)
            for top in range(room + 1)
            for left in range(room + 1)
            for mirrored in (False, True)
            if np.array_equal(
                picture[..., ::-1] if mirrored else picture, original[:, top : top + crop, left : left + crop]
            )
        ]
        assert len(matches) == 1
        found.add(matches[0])
    assert len(found) > 8 and {mirrored for *_, mirrored in found} == {False, True}
    again = preparation.augmented(padding=padding)(images, np.random.default_rng(1))
    np.testing.assert_array_equal(got, again)
    straight = preparation.augmented(flip=False, padding=padding)(images, np.random.default_rng(1))
    assert not np.array_equal(straight, got)


@pytest.mark.parametrize("inputs", ["raw", "standardised"])
def test_colours_move_by_as_many_grey_levels_however_pixels_are_scaled(images: Any, inputs: str) -> None:
    preparation = Preparation.fit(images, crop=9, inputs=inputs)
    components = pixel_statistics(images).components
    plain = preparation.augmented(flip=False)(images, np.random.default_rng(1))
    moved = preparation.augmented(flip=False, colour=components)(images, np.random.default_rng(1))
    levels = (moved - plain) * preparation.deviation
    rng = np.random.default_rng(1)
    rng.integers(0, 1, 20), rng.integers(0, 1, 20)  # the crops' places
    expected = rng.normal(0, 0.1, (20, 3)) @ components.T
    np.testing.assert_allclose(levels, np.broadcast_to(expected[:, :, None, None], levels.shape), atol=1e-3)
    assert np.abs(expected).max() > 3


MEAN, DEVIATION = np.zeros((3, 1, 1), np.float32), np.ones((3, 1, 1), np.float32)


def with_one(array: Any, value: float) -> Any:
    changed = array.copy()
    changed.flat[-2] = value
    return changed


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"size": 0}, ValueError, "Preparation: size must be 1 to 4096, got 0"),
        ({"size": 5000}, ValueError, "size must be 1 to 4096, got 5000"),
        ({"size": 32.0}, TypeError, "size must be an integer, got 32.0"),
        ({"crop": 33}, ValueError, "crop must be 1 to 32, got 33"),
        ({"crop": True}, TypeError, "crop must be an integer, got True"),
        (
            {"mean": np.zeros((3, 31, 31), np.float32)},
            ValueError,
            r"mean must be float32 of shape \(3, 32, 32\) or \(3, 1, 1\), got float32 of \(3, 31, 31\)",
        ),
        ({"mean": MEAN.astype(np.float64)}, ValueError, "mean must be float32 .* got float64"),
        ({"mean": MEAN + np.nan}, ValueError, "mean must be finite"),
        ({"mean": with_one(MEAN, np.nan)}, ValueError, "mean must be finite"),
        ({"mean": with_one(MEAN, np.inf)}, ValueError, "mean must be finite"),
        ({"deviation": with_one(DEVIATION, np.nan)}, ValueError, "deviation must be finite"),
        ({"deviation": with_one(DEVIATION, 0)}, ValueError, "deviation must be above 0"),
        ({"deviation": DEVIATION * 0}, ValueError, r"deviation must be above 0, got \[0.0, 0.0, 0.0\]"),
        (
            {"deviation": np.ones((1, 1, 1), np.float32)},
            ValueError,
            r"deviation must be float32 of shape \(3, 1, 1\), got float32 of \(1, 1, 1\)",
        ),
    ],
)
def test_bad_arguments_are_refused(changes: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Preparation(**{"size": 32, "crop": 28, "mean": MEAN, "deviation": DEVIATION, **changes})


def test_pictures_of_another_kind_are_refused(images: Any) -> None:
    preparation = Preparation.fit(images, crop=9)
    for wrong in (images[:, :, :8, :8], images[0], images.astype(np.float32), images[:, :1]):
        with pytest.raises(ValueError, match=r"images must be uint8 of shape \(N, 3, 9, 9\), got "):
            preparation.prepare(wrong)
    with pytest.raises(ValueError, match="inputs must be one of raw, standardised; got 'grey'"):
        Preparation.fit(images, crop=9, inputs="grey")
    with pytest.raises(ValueError, match="augmented: padding must be at least 0, got -1"):
        preparation.augmented(padding=-1)
