import math

import numpy as np
import pytest

from minicnn.data import load_shapes, load_sketches
from minicnn.data.shapes import CLASSES
from minicnn.data.sketches import HANDS, pen


def test_every_other_image_is_a_sketch_and_the_rest_are_the_shapes() -> None:
    sketches, shapes = load_sketches(train=120, test=30), load_shapes(train=120, test=30)
    assert sketches.classes == shapes.classes == tuple(HANDS) == CLASSES
    for part, count in (("train", 120), ("test", 30)):
        images, drawn = (getattr(each, f"{part}_images") for each in (sketches, shapes))
        assert images.shape == (count, 3, 32, 32) and images.dtype == np.uint8
        np.testing.assert_array_equal(getattr(sketches, f"{part}_labels"), getattr(shapes, f"{part}_labels"))
        same = [bool((image == other).all()) for image, other in zip(images, drawn, strict=True)]
        assert same == [False, True] * (count // 2)


def test_a_seed_determines_the_images_and_a_smaller_set_begins_a_larger_one() -> None:
    larger, smaller, other = load_sketches(130, 6), load_sketches(21, 3), load_sketches(21, 3, seed=1)
    np.testing.assert_array_equal(smaller.train_images, larger.train_images[:21])
    np.testing.assert_array_equal(smaller.test_images, larger.test_images[:3])
    assert (smaller.train_images != other.train_images).mean() > 0.9
    assert len({image.tobytes() for image in (*larger.train_images, *larger.test_images)}) == 136


def test_a_figure_is_lighter_than_its_ground_and_neither_all_nor_nothing() -> None:
    sketches = load_sketches(train=200, test=1)
    for image in sketches.train_images[::2].astype(float):
        grey = image.mean(axis=0)
        low, high = np.quantile(grey, [0.02, 0.999])
        assert high - low > 40
        lit = (grey > (low + high) / 2).mean()
        assert 0.005 < lit < 0.85


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("figure", CLASSES)
def test_a_hand_draws_about_its_size_around_the_origin(figure: str, seed: int) -> None:
    points = np.concatenate(HANDS[figure](np.random.default_rng(seed)))
    assert np.abs(points).max() < 1.7 and np.abs(points).max() > 0.7
    assert np.abs(points.mean(axis=0)).max() < 0.5


def test_a_pen_covers_what_is_within_half_its_width_of_a_line() -> None:
    covered = pen([np.array([[4.0, 8.0], [12.0, 8.0]])], 4, side=16)
    assert covered.dtype == np.float32 and covered.shape == (16, 16)
    for row in range(16):
        for column in range(16):
            x, y = column + 0.5, row + 0.5
            distance = math.hypot(x - min(max(x, 4), 12), y - 8)
            assert covered[row, column] == pytest.approx(min(1, max(0, 2.5 - distance)), abs=1e-5)


def test_a_dot_is_a_disc_and_strokes_are_not_joined() -> None:
    dots = pen([np.full((2, 2), 3.0), np.full((2, 2), 13.0)], 4, side=16)
    assert dots.sum() == pytest.approx(2 * math.pi * 4, rel=0.05)
    assert dots[8, 8] == 0


def test_what_a_stroke_goes_round_can_be_filled() -> None:
    square = np.array([[4.0, 4.0], [12.0, 4.0], [12.0, 12.0], [4.0, 12.0]])  # its end is joined to its beginning
    filled = pen([square], 1, side=16, filled=True)
    assert (filled[4:12, 4:12] == 1).all() and filled[:3].sum() == filled[13:].sum() == 0
    assert pen([square], 1, side=16)[6:10, 6:10].sum() == 0


@pytest.mark.parametrize(
    ("arguments", "message"), [((0, 1), "train must be"), ((1, 0), "test must be"), ((1, 1, -1), "seed must be")]
)
def test_wrong_counts_are_refused(arguments: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"load_sketches: {message}"):
        load_sketches(*arguments)
