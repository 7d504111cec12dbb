"""A fully connected layer forward and back: every number of pictures, and weights that do not fill whole tiles."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")
from minicnn.kernels import linear_layers, numba_kernels, numpy_kernels


@pytest.mark.parametrize("M", [1, 2, 3, 8, 15, 16, 17, 32, 47, 48, 64, 65, 128, 200])
@pytest.mark.parametrize(("O", "K"), [(1, 1), (5, 7), (23, 100), (96, 48), (131, 33)])
def test_linear_forward(M: int, O: int, K: int, dtype: Any, rng: np.random.Generator) -> None:  # noqa: E741
    x, w = rng.standard_normal((M, K)).astype(dtype), rng.standard_normal((O, K)).astype(dtype)
    expected, y = np.empty((M, O), dtype), np.full((M, O), np.nan, dtype)
    numpy_kernels.linear_forward(x, w, expected)
    numba_kernels.linear_forward(x, w, y)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-4 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("M", [1, 2, 3, 16, 33, 64, 90])
@pytest.mark.parametrize(("O", "K"), [(1, 1), (5, 7), (23, 100), (96, 64), (131, 33)])
def test_linear_grad_w(M: int, O: int, K: int, dtype: Any, rng: np.random.Generator) -> None:  # noqa: E741
    grad_y, x = rng.standard_normal((M, O)).astype(dtype), rng.standard_normal((M, K)).astype(dtype)
    found = []
    for file in (numpy_kernels, numba_kernels):
        grad_w = np.full((O, K), np.nan, dtype)
        for start, stop in ((0, O // 3), (O // 3, O)):
            file.linear_grad_w(grad_y, x, start, grad_w[start:stop])
        found.append(grad_w)
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=1e-4 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("M", [16, 40, 150])
def test_long_rows_are_taken_in_parts(M: int, rng: np.random.Generator) -> None:
    K = linear_layers.PACKED_BYTES // (4 * 16) + 1000  # more than is laid out for one vector of pictures at a time
    x, w = rng.standard_normal((M, K)).astype(np.float32), rng.standard_normal((7, K)).astype(np.float32)
    y = np.full((M, 7), np.nan, np.float32)
    numba_kernels.linear_forward(x, w, y)
    np.testing.assert_allclose(y, x.astype(np.float64) @ w.T, rtol=0, atol=0.01)
    grad_w, grad_y = np.full((7, K), np.nan, np.float32), rng.standard_normal((M, 7)).astype(np.float32)
    numba_kernels.linear_grad_w(grad_y, x, 0, grad_w)
    np.testing.assert_allclose(grad_w, grad_y.astype(np.float64).T @ x, rtol=0, atol=0.01)
