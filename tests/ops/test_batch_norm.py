"""Batch normalisation is its definition; running statistics; refusals."""

from typing import Any

import numpy as np
import pytest

import minicnn.functional as F
from minicnn import Tensor
from minicnn.backend import asnumpy, to_device


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 2), (2, 3, 4, 5), (2, 3, 1, 2, 2)])
def test_it_is_its_definition(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    x, g, b = rng.standard_normal(shape), rng.standard_normal(3), rng.standard_normal(3)
    y = F.batch_norm(x, None, None, g, b, training=True, eps=0.1).data
    for channel in range(3):
        values = [float(value) for value in x[:, channel].ravel()]
        mean = sum(values) / len(values)
        variance = sum((value - mean) ** 2 for value in values) / len(values)
        expected = [(value - mean) / (variance + 0.1) ** 0.5 * g[channel] + b[channel] for value in values]
        np.testing.assert_allclose(y[:, channel].ravel(), expected, rtol=1e-10, atol=1e-12)


def test_running_statistics_follow_the_batch_with_the_unbiased_variance(device: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 3, 2))
    mean, variance = (Tensor(to_device(np.full(3, value), device)) for value in (1.0, 2.0))
    arrays = mean.data, variance.data
    F.batch_norm(Tensor(to_device(x, device)), mean, variance, training=True, momentum=0.25)
    assert mean.data is arrays[0] and variance.data is arrays[1]
    np.testing.assert_allclose(asnumpy(mean.data), 0.75 + 0.25 * x.mean(axis=(0, 2)), rtol=1e-12)
    np.testing.assert_allclose(asnumpy(variance.data), 1.5 + 0.25 * x.var(axis=(0, 2), ddof=1), rtol=1e-12)


def test_training_on_after_an_evaluation_leaves_its_backward_right(rng: np.random.Generator) -> None:
    x = Tensor(rng.standard_normal((4, 3)), requires_grad=True)
    mean, variance = Tensor(np.zeros(3)), Tensor(np.full(3, 4.0))
    y = F.batch_norm(x, mean, variance, eps=0)
    F.batch_norm(x, mean, variance, training=True)
    y.sum().backward()
    np.testing.assert_allclose(x.grad, 0.5)


X, C = np.ones((4, 3)), np.ones(3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((X[0], C, C), ValueError, r"input must have shape \(N, C\) or \(N, C, \*\), got \(3,\)"),
        ((X.astype(int), C, C), TypeError, "input must be float32 or float64, got int64"),
        ((X, C[:2], C), ValueError, r"running_mean must have shape \(3,\), one number a channel, got \(2,\)"),
        ((X, C, C, np.ones(4)), ValueError, r"weight must have shape \(3,\)"),
        ((X, C, C, C.astype(np.float32)), TypeError, "weight must be float64, as input is, got float32"),
        ((X, C, None), ValueError, "running_mean and running_var must both be given, or neither"),
        ((X, None, None), ValueError, "running_mean must be given unless training=True, got None"),
        ((X[:1], C, C, None, None, True), ValueError, r"input must have more than one value per channel in training"),
        ((X, C, C, None, None, 1), TypeError, "training must be True or False, got 1"),
        ((X, C, C, None, None, True, "a"), TypeError, "momentum must be a number, got 'a'"),
        ((X, C, C, None, None, True, 0.1, -1.0), ValueError, "eps must be 0 or more"),
    ],
)
def test_refusals(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"batch_norm: {message}"):
        F.batch_norm(*arguments)
