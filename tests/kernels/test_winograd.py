"""Winograd's convolution: its matrices, the vectors they are applied to, and the kernels against the definition."""

from types import ModuleType
from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from minicnn.kernels import numpy_kernels, winograd
from minicnn.kernels.winograd import TILE, matrices

TOLERANCE = {np.float32: 3e-5, np.float64: 1e-12}
FILES = ["numpy", "numba"]


def kernels_of(name: str) -> Any:
    return numpy_kernels if name == "numpy" else pytest.importorskip("minicnn.kernels.numba_kernels")


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_six_multiplications_are_enough(size: int, rng: np.random.Generator) -> None:
    B_T, G, A_T = matrices(size)
    x, w = rng.standard_normal(TILE), rng.standard_normal(size)
    np.testing.assert_allclose(A_T @ ((G @ w) * (B_T @ x)), np.correlate(x, w), rtol=1e-13, atol=1e-13)


def test_points_do_not_meet() -> None:
    assert len(set(winograd.POINTS)) == TILE - 1


@pytest.mark.parametrize("vector_bytes", [16, 32, 64])
@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("which", range(5))
def test_sandwich(which: int, size: int, vector_bytes: int, dtype: type, rng: np.random.Generator) -> None:
    numba: Any = pytest.importorskip("numba")
    from minicnn.kernels.winograd_convolution import sandwich

    B_T, G, A_T = matrices(size)
    matrix = [B_T, G, A_T, G.T, A_T.T][which]
    (R, T), lanes = matrix.shape, vector_bytes // np.dtype(dtype).itemsize
    compute = sandwich(matrix, vector_bytes)

    @numba.njit
    def run(source: Any, target: Any) -> None:
        compute(source, 2, T * lanes + 3, lanes, target, 1, R * lanes + 1, lanes)

    source = rng.standard_normal(2 + T * (T * lanes + 3)).astype(dtype)
    target = np.full(1 + R * (R * lanes + 1), 7, dtype)
    run(source, target)
    square = source[2:].reshape(T, -1)[:, : T * lanes].reshape(T, T, lanes).astype(np.float64)
    expected = np.einsum("ik,klv,jl->ijv", matrix, square, matrix)
    result = target[1:].reshape(R, -1)
    np.testing.assert_allclose(result[:, :-1].reshape(R, R, lanes), expected, rtol=0, atol=TOLERANCE[dtype] * 10)
    assert (result[:, -1] == 7).all()
    assert target[0] == 7


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@hypothesis.settings(max_examples=40)
@hypothesis.given(
    N=st.integers(1, 5),
    size=st.sampled_from([3, 5]),
    height=st.integers(0, 14),
    width=st.integers(0, 14),
    padding=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    groups=st.integers(1, 2),
    channels=st.sampled_from([16, 48]),
    filters=st.sampled_from([16, 32, 80]),
    seed=st.integers(0, 99),
)
def test_it_is_a_convolution(
    file: str,
    dtype: Any,
    N: int,
    size: int,
    height: int,
    width: int,
    padding: tuple[int, int],
    groups: int,
    channels: int,
    filters: int,
    seed: int,
) -> None:
    fast, random = kernels_of(file), np.random.default_rng(seed)
    PH, PW = (min(p, size - 1) for p in padding)
    C, F, H, W = channels * groups, filters * groups, max(1, size - 2 * PH) + height, max(1, size - 2 * PW) + width
    x = random.standard_normal((N, C, H, W)).astype(dtype)
    w = (random.standard_normal((F, channels, size, size)) / (size * channels**0.5)).astype(dtype)
    b = random.standard_normal(F).astype(dtype)
    grad_y = random.standard_normal((N, F, H + 2 * PH - size + 1, W + 2 * PW - size + 1)).astype(dtype)
    y, grad_w = np.full_like(grad_y, np.nan), np.full_like(w, np.nan)
    at_points = np.full((TILE, TILE, F, channels), np.nan, dtype)
    for start, stop in ((0, 5), (5, w.shape[1])):
        fast.winograd_filters(w, groups, start, stop, at_points)
    fast.winograd_conv2d(x, at_points, b, PH, PW, y)
    fast.winograd_grad_w(x, grad_y, PH, PW, grad_w)

    x, w, b, grad_y = (array.astype(np.float64) for array in (x, w, b, grad_y))
    expected_y, expected_grad_w = np.empty_like(grad_y), np.empty_like(w)
    numpy_kernels.conv2d(x, w, b, 1, 1, PH, PW, expected_y)
    numpy_kernels.conv2d_grad_w(x, grad_y, 1, 1, PH, PW, expected_grad_w)
    np.testing.assert_allclose(y, expected_y, rtol=0, atol=TOLERANCE[dtype])
    scale = max(1.0, abs(expected_grad_w).max())
    np.testing.assert_allclose(grad_w, expected_grad_w, rtol=0, atol=TOLERANCE[dtype] * scale)


@pytest.mark.parametrize(("N", "size", "side"), [(70, 3, 4), (3, 5, 37), (40, 5, 7)])
def test_more_squares_than_are_treated_at_a_time(N: int, size: int, side: int, rng: np.random.Generator) -> None:
    fast: ModuleType = kernels_of("numba")
    x, w, b = rng.standard_normal((N, 16, side, side)), rng.standard_normal((32, 16, size, size)), np.zeros(32)
    y, expected, at_points = np.empty((N, 32, side, side)), np.empty((N, 32, side, side)), np.empty((6, 6, 32, 16))
    fast.winograd_filters(w, 1, 0, w.shape[1], at_points)
    fast.winograd_conv2d(x, at_points, b, size // 2, size // 2, y)
    numpy_kernels.conv2d(x, w, b, 1, 1, size // 2, size // 2, expected)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-11)
    grad_w, expected_grad_w = np.empty_like(w), np.empty_like(w)
    fast.winograd_grad_w(x, y, size // 2, size // 2, grad_w)
    numpy_kernels.conv2d_grad_w(x, y, 1, 1, size // 2, size // 2, expected_grad_w)
    np.testing.assert_allclose(grad_w, expected_grad_w, rtol=1e-11, atol=1e-9)
