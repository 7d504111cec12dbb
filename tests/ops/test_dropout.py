"""Dropout."""

from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn.functional as F
from minicnn import Tensor


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_some_are_silenced_and_the_others_scaled(p: float, dtype: type, rng: np.random.Generator) -> None:
    x = rng.uniform(1, 2, (200, 200)).astype(dtype)
    y = F.dropout(Tensor(x), p)
    assert (y.shape, y.dtype) == (x.shape, dtype)
    dropped = y.data == 0
    np.testing.assert_allclose(y.data[~dropped], x[~dropped] / (1 - p), rtol=4 * np.finfo(dtype).eps)
    # 40,000 coins: five standard deviations on each side
    assert abs(dropped.mean() - p) < 5 * np.sqrt(p * (1 - p) / x.size)
    assert abs(y.data.mean() / x.mean() - 1) < 0.05
    assert dropped.any(axis=0).all()
    assert dropped.any(axis=1).all()


def test_the_gradient_goes_the_way_the_numbers_went(rng: np.random.Generator) -> None:
    x = Tensor(np.ones((20, 20)), requires_grad=True)
    y = F.dropout(x, 0.3)
    gradient = rng.standard_normal(x.shape)
    y.backward(gradient)
    np.testing.assert_allclose(x.grad, gradient * (y.data != 0) / 0.7, rtol=1e-15)


@pytest.mark.parametrize("p", [0.0, 0.4, 1.0])
def test_gradcheck(p: float, rng: np.random.Generator) -> None:
    def same_mask_every_time(x: Tensor) -> Tensor:
        minicnn.manual_seed(3)
        return F.dropout(x, p) * 1

    assert minicnn.gradcheck(same_mask_every_time, Tensor(rng.standard_normal((4, 5)), requires_grad=True))


def test_nothing_happens_outside_training(dtype: type, rng: np.random.Generator) -> None:
    x = Tensor(rng.standard_normal((5, 5)).astype(dtype), requires_grad=True)
    for y in (F.dropout(x, 0.5, training=False), F.dropout(x, 0.0), F.dropout(x, 1.0, False)):
        np.testing.assert_array_equal(y.data, x.data)
        y.backward(np.ones((5, 5)))
    np.testing.assert_array_equal(x.grad, np.full((5, 5), 3.0))


def test_everything_is_dropped(dtype: type) -> None:
    x = Tensor(np.ones((5, 5), dtype), requires_grad=True)
    y = F.dropout(x, 1)
    np.testing.assert_array_equal(y.data, np.zeros((5, 5)))
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, np.zeros((5, 5)))
    assert x.grad.dtype == dtype


def test_a_seed_repeats_the_mask_and_every_call_draws_another() -> None:
    x = Tensor(np.ones(100))
    minicnn.manual_seed(1)
    first, second = F.dropout(x).data, F.dropout(x).data
    minicnn.manual_seed(1)
    np.testing.assert_array_equal(F.dropout(x).data, first)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3)])
def test_small_shapes(shape: tuple[int, ...], dtype: type) -> None:
    x = Tensor(np.ones(shape, dtype), requires_grad=True)
    y = F.dropout(x)
    assert (y.shape, y.dtype) == (shape, dtype)
    y.sum().backward()
    assert x.grad.shape == shape


@pytest.mark.parametrize(
    ("p", "error", "message"),
    [
        (-0.1, ValueError, "dropout: p must lie between 0 and 1, got -0.1"),
        (1.5, ValueError, "dropout: p must lie between 0 and 1, got 1.5"),
        (float("nan"), ValueError, "dropout: p must lie between 0 and 1, got nan"),
        ("0.5", TypeError, "dropout: p must be a number, got '0.5'"),
        (None, TypeError, "dropout: p must be a number, got None"),
        (True, TypeError, "dropout: p must be a number, got True"),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_wrong_probabilities(p: Any, error: type[Exception], message: str, training: bool) -> None:
    with pytest.raises(error, match=message):
        F.dropout(Tensor(np.ones(3)), p, training)


def test_whole_numbers_are_refused() -> None:
    with pytest.raises(TypeError, match="dropout: input must be float32 or float64, got int64"):
        F.dropout(Tensor([1, 2, 3]))
