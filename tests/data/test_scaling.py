import numpy as np
import pytest

from minicnn.data import scaling


@pytest.fixture
def pictures(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    spread = np.array([40, 100, 250])[:, None, None]
    train = (rng.random((1500, 3, 6, 5)) * spread).astype(np.uint8)
    return train, (rng.random((20, 3, 6, 5)) * 255).astype(np.uint8)


def test_raw_subtracts_the_mean_image_of_the_training_set(pictures: tuple[np.ndarray, np.ndarray]) -> None:
    train, test = pictures
    scaled_train, scaled_test = scaling.raw(train, test)
    mean = train.astype(np.float64).mean(axis=0)
    assert scaled_train.dtype == scaled_test.dtype == np.float32
    np.testing.assert_allclose(scaled_train, train - mean, atol=2e-5)
    np.testing.assert_allclose(scaled_test, test - mean, atol=2e-5)
    assert scaled_train.max() > 100  # still on the scale of pixels


def test_standardised_has_mean_zero_and_variance_one_in_each_channel(
    pictures: tuple[np.ndarray, np.ndarray],
) -> None:
    train, test = pictures
    scaled_train, scaled_test = scaling.standardised(train, test)
    assert scaled_train.dtype == scaled_test.dtype == np.float32
    np.testing.assert_allclose(scaled_train.mean(axis=(0, 2, 3), dtype=np.float64), 0, atol=1e-5)
    np.testing.assert_allclose(scaled_train.var(axis=(0, 2, 3), dtype=np.float64), 1, atol=1e-5)
    mean, deviation = (
        moment(train.astype(np.float64), axis=(0, 2, 3), keepdims=True)[0] for moment in (np.mean, np.std)
    )
    np.testing.assert_allclose(scaled_test, (test - mean) / deviation, rtol=1e-5, atol=1e-5)


def test_the_arguments_stay_as_they_are_and_floats_are_accepted(
    pictures: tuple[np.ndarray, np.ndarray],
) -> None:
    for dtype in (np.uint8, np.float32, np.float64):
        train = pictures[0].astype(dtype)
        for scale in (scaling.raw, scaling.standardised):
            (scaled,) = scale(train)
            assert scaled.dtype == np.float32
            np.testing.assert_array_equal(train, pictures[0])


def test_a_constant_channel_becomes_zero_not_nan(pictures: tuple[np.ndarray, np.ndarray]) -> None:
    train = pictures[0].copy()
    train[:, 1] = 7
    (scaled,) = scaling.standardised(train)
    assert not scaled[:, 1].any()
    assert np.isfinite(scaled).all()


@pytest.mark.parametrize("scale", [scaling.raw, scaling.standardised])
def test_wrong_shapes_are_refused(scale, pictures: tuple[np.ndarray, np.ndarray]) -> None:  # type: ignore[no-untyped-def]
    train, test = pictures
    with pytest.raises(
        ValueError, match=r"(raw|standardised): train must have shape \(N, C, H, W\), none of it 0, got \(3, 6, 5\)"
    ):
        scale(train[0])
    with pytest.raises(ValueError, match=r"train must have shape .*, got \(0, 3, 6, 5\)"):
        scale(train[:0])
    with pytest.raises(
        ValueError, match=r"others\[1\] must have shape \(M, 3, 6, 5\), as in train, got \(20, 3, 6, 4\)"
    ):
        scale(train, test, test[..., :4])
