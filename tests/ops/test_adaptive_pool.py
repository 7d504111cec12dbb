"""Adaptive average pooling is the average of windows spread evenly."""

import math
from typing import Any

import numpy as np
import pytest

import minicnn.functional as F
from minicnn import Tensor


@pytest.mark.parametrize("size", [(1, 1), (6, 6), (3, 2), (7, 4), (9, 10)])
def test_it_is_its_definition(size: tuple[int, int], rng: np.random.Generator) -> None:
    H, W = 7, 5
    x = rng.standard_normal((2, 3, H, W))
    y = F.adaptive_avg_pool2d(x, size).data
    assert y.shape == (2, 3, *size)
    for i in range(size[0]):
        for j in range(size[1]):
            rows = range(math.floor(i * H / size[0]), math.ceil((i + 1) * H / size[0]))
            columns = range(math.floor(j * W / size[1]), math.ceil((j + 1) * W / size[1]))
            expected = sum(x[1, 2, r, c] for r in rows for c in columns) / (len(rows) * len(columns))
            assert y[1, 2, i, j] == pytest.approx(expected, rel=1e-12)


def test_an_image_of_this_size_already_is_returned() -> None:
    x = Tensor(np.ones((2, 3, 4)))
    assert F.adaptive_avg_pool2d(x, (None, 4)) is x
    assert F.adaptive_avg_pool2d(x, (2, None)).shape == (2, 2, 4)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.ones((3, 4)), 2), ValueError, r"input must have shape \(N, C, H, W\) or \(C, H, W\), got \(3, 4\)"),
        ((np.ones((3, 0, 4)), 2), ValueError, "input must have shape"),
        ((np.ones((3, 4, 4), int), 2), TypeError, "input must be float32 or float64, got int64"),
        ((np.ones((3, 4, 4)), 0), ValueError, "output_size must be at least 1, got 0"),
        ((np.ones((3, 4, 4)), 2.5), TypeError, "output_size must be an integer, got 2.5"),
        ((np.ones((3, 4, 4)), (1, 2, 3)), TypeError, "output_size must be an integer, None, or a pair of them"),
    ],
)
def test_refusals(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"adaptive_avg_pool2d: {message}"):
        F.adaptive_avg_pool2d(*arguments)
