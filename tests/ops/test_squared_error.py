"""The mean squared error is its definition, and refuses shapes that would be broadcast."""

import math

import numpy as np
import pytest

import minicnn.functional as F
from minicnn import Tensor


def test_values(rng: np.random.Generator) -> None:
    x, t = rng.standard_normal((2, 3, 4))[:, :, 0], rng.standard_normal((2, 3))
    squares = [(a - b) ** 2 for a, b in zip(x.ravel(), t.ravel(), strict=True)]
    np.testing.assert_allclose(F.mse_loss(x, t, "none").data.ravel(), squares, rtol=1e-12)
    assert F.mse_loss(x, t).item() == pytest.approx(sum(squares) / 6, rel=1e-12)
    assert F.mse_loss(x, t, "sum").item() == pytest.approx(sum(squares), rel=1e-12)


def test_the_mean_of_nothing() -> None:
    x = Tensor(np.zeros((0, 3)), requires_grad=True)
    loss = F.mse_loss(x, np.zeros((0, 3)))
    assert math.isnan(loss.item())
    loss.backward()
    assert x.grad.shape == (0, 3)


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"mse_loss: target must have the input's shape \(4, 1\), got \(4,\)"):
        F.mse_loss(np.zeros((4, 1)), np.zeros(4))
    with pytest.raises(TypeError, match="mse_loss: target must be float64, as input is, got int64"):
        F.mse_loss(np.zeros(4), np.zeros(4, int))
    with pytest.raises(ValueError, match="mse_loss: reduction must be one of mean, sum, none; got 'max'"):
        F.mse_loss(np.zeros(4), np.zeros(4), "max")
