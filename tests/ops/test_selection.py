"""where and clamp."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor


def test_where_is_its_definition(dtype: Any, device: str, rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((2, 1, 3)).astype(dtype), rng.standard_normal((4, 1)).astype(dtype)
    mask = rng.random((4, 3)) < 0.5
    y = minicnn.where(Tensor(mask).to(device), Tensor(a).to(device), Tensor(b).to(device))
    assert (y.shape, y.dtype) == ((2, 4, 3), dtype)
    for n, i, j in np.ndindex(y.shape):
        assert y.numpy()[n, i, j] == (a[n, 0, j] if mask[i, j] else b[i, 0])


@pytest.mark.parametrize("bounds", [(-0.5, 0.5), (None, 0.5), (-0.5, None), (0, 1), (0.5, -0.5)])
def test_clamp_is_its_definition(bounds: Any, dtype: Any, rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 4)).astype(dtype)
    y = minicnn.clamp(Tensor(x), *bounds)
    assert y.dtype == dtype
    low, high = (-np.inf if bounds[0] is None else bounds[0]), (np.inf if bounds[1] is None else bounds[1])
    np.testing.assert_array_equal(y.data, [[min(max(v, dtype(low)), dtype(high)) for v in row] for row in x])


def test_a_number_at_a_bound_passes_its_gradient_on() -> None:
    x = Tensor([-1.0, 0.0, 1.0, 2.0, np.nan], requires_grad=True)
    x.clamp(0, 1).sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 0, 0]


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda x: x.clamp(), ValueError, "clamp: min or max must be given"),
        (lambda x: x.clamp("a"), TypeError, "clamp: min must be a number, got 'a'"),
        (lambda x: x.clamp(x), TypeError, r"clamp: min must be a number, got a Tensor of shape \(\d,.*\)$"),
        (lambda x: x.max(x), TypeError, r"max: dim must be an integer, got a Tensor of shape \(\d,.*\)$"),
        (lambda x: x**x, TypeError, r"\*\*: the exponent must be a plain number, got a Tensor of shape \(\d,.*\)$"),
        (lambda x: x & x, TypeError, r"&: the operands must hold .*, got a Tensor of shape \(\d,.*\)$"),
        (lambda x: minicnn.where(x, x, x), TypeError, "where: condition must hold booleans, got float32"),
        (lambda x: minicnn.where(x > 0, x, [1.0]), TypeError, "where: the other operand must be a Tensor"),
        (lambda x: minicnn.where(x > 0, x, Tensor([1.0, 2.0])), ValueError, r"where: shapes \(3,\), \(3,\) and \(2,\)"),
    ],
)
def test_refusals(wrong: Callable[[Tensor], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        wrong(Tensor([1.0, 2.0, 3.0]))
