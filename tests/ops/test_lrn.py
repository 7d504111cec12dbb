"""Local response normalisation."""

from typing import Any

import naive
import numpy as np
import pytest

import minicnn
import minicnn.functional as F
from minicnn import Tensor

# The seed article's example: what tf.nn.lrn(a, 2, 0, 1, 1), that is depth_radius 2, bias 0, alpha 1, beta 1, printed
# for one picture of 2x2 pixels with 8 channels, channels last.
ARTICLE_INPUT = [
    [1, 2, 3, 4, 5, 6, 7, 8],
    [8, 7, 6, 5, 4, 3, 2, 1],
    [4, 3, 2, 1, 8, 7, 6, 5],
    [1, 2, 3, 4, 5, 6, 7, 8],
]
ARTICLE_OUTPUT = [
    [0.07142857, 0.06666667, 0.05454545, 0.04444445, 0.03703704, 0.03157895, 0.04022989, 0.05369128],
    [0.05369128, 0.04022989, 0.03157895, 0.03703704, 0.04444445, 0.05454545, 0.06666667, 0.07142857],
    [0.13793103, 0.10000001, 0.02127660, 0.00787402, 0.05194805, 0.04000000, 0.03448276, 0.04545454],
    [0.07142857, 0.06666667, 0.05454545, 0.04444445, 0.03703704, 0.03157895, 0.04022989, 0.05369128],
]


def test_all_32_numbers_of_the_seed_article(kernel_file: str, dtype: type) -> None:
    picture = np.array(ARTICLE_INPUT, dtype).reshape(1, 2, 2, 8).transpose(0, 3, 1, 2)
    # a radius of 2 is a window of 5, and PyTorch's alpha is divided by that
    y = F.local_response_norm(Tensor(picture), size=5, alpha=5.0, beta=1.0, k=0.0)
    printed = y.data.transpose(0, 2, 3, 1).reshape(4, 8)
    assert printed.size == 32
    np.testing.assert_allclose(printed, ARTICLE_OUTPUT, rtol=0, atol=1.5e-8)  # eight digits, the last one float32's


SIZES = [1, 2, 3, 4, 5, 6, 9, 12]  # the last two reach beyond all seven channels on both sides


@pytest.mark.parametrize("beta", [0.75, 0.5, 1.0, 0.6, 2.0])
@pytest.mark.parametrize("size", SIZES)
def test_values(size: int, beta: float, kernel_file: str, dtype: type, rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 7, 3, 2)).astype(dtype)
    alpha, k = 1.2, 1.5
    y = F.local_response_norm(Tensor(x), size, alpha, beta, k)
    expected = naive.local_response_norm(x, size // 2, (size - 1) // 2, k, alpha / size, beta)
    assert (y.shape, y.dtype) == (x.shape, dtype)
    np.testing.assert_allclose(y.data, expected, rtol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("beta", [0.75, 0.5, 1.0, 0.6])
@pytest.mark.parametrize("size", SIZES)
def test_gradients(size: int, beta: float, kernel_file: str, rng: np.random.Generator) -> None:
    """With an alpha near 1: with the paper's 1e-4 a window that is off by one would pass."""
    x = Tensor(rng.standard_normal((2, 7, 2, 2)), requires_grad=True)
    assert minicnn.gradcheck(lambda t: F.local_response_norm(t, size, 1.3 * size, beta, 2.0), x)


def test_the_defaults_are_pytorchs(kernel_file: str, rng: np.random.Generator) -> None:
    x = 100 * rng.standard_normal((2, 7, 2, 2))
    expected = naive.local_response_norm(x, 2, 2, 1.0, 1e-4 / 5, 0.75)
    np.testing.assert_allclose(F.local_response_norm(Tensor(x), 5).data, expected, rtol=1e-14)


def test_an_even_window_reaches_further_down(kernel_file: str) -> None:
    x = np.zeros((1, 4, 1))
    x[0, 1] = 1
    y = F.local_response_norm(Tensor(x + 1e-9), 2, alpha=2.0, beta=1.0, k=1.0).data[0, :, 0] / (x[0, :, 0] + 1e-9)
    np.testing.assert_allclose(y, [1, 0.5, 0.5, 1], rtol=1e-6)  # channels 1 and 2 see channel 1; channel 0 does not


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 3, 4, 5), (2, 3, 2, 2, 2), (1, 1, 1, 1), (3, 1)])
def test_any_number_of_further_dimensions(shape: tuple[int, ...], kernel_file: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal(shape)
    y = F.local_response_norm(Tensor(x), 3, 3.0)
    np.testing.assert_allclose(y.data, naive.local_response_norm(x, 1, 1, 1.0, 1.0, 0.75), rtol=1e-14)
    assert minicnn.gradcheck(lambda t: F.local_response_norm(t, 3, 3.0), Tensor(x, requires_grad=True))


@pytest.mark.parametrize("positions", [255, 256, 257, 600])
def test_more_positions_than_one_block_holds(
    positions: int, kernel_file: str, dtype: type, rng: np.random.Generator
) -> None:
    numbers = rng.standard_normal((2, 3, positions)).astype(dtype)
    gradient = rng.standard_normal(numbers.shape).astype(dtype)
    x = Tensor(numbers, requires_grad=True)
    y = F.local_response_norm(x, 2, 2.0)
    y.backward(gradient)
    expected = naive.local_response_norm(numbers, 1, 0, 1.0, 1.0, 0.75)
    np.testing.assert_allclose(y.data, expected, rtol=20 * np.finfo(dtype).eps)
    for part in (slice(0, 100), slice(100, positions)):  # positions have nothing to do with each other
        some = Tensor(numbers[..., part], requires_grad=True)
        F.local_response_norm(some, 2, 2.0).backward(gradient[..., part])
        np.testing.assert_allclose(x.grad[..., part], some.grad, rtol=0, atol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_changes_nothing(threads: int, kernel_file: str, rng: np.random.Generator) -> None:
    numbers, gradient = rng.standard_normal((2, 7, 4, 5, 5))
    minicnn.set_num_threads(threads)
    x = Tensor(numbers, requires_grad=True)
    y = F.local_response_norm(x, 3, 3.0)
    y.backward(gradient)
    for n in range(7):
        one = Tensor(numbers[n : n + 1], requires_grad=True)
        alone = F.local_response_norm(one, 3, 3.0)
        alone.backward(gradient[n : n + 1])
        np.testing.assert_allclose(y.data[n], alone.data[0], rtol=1e-14)
        np.testing.assert_allclose(x.grad[n], one.grad[0], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4), (2, 3, 0), (0, 3)])
def test_nothing_to_normalise(shape: tuple[int, ...], kernel_file: str, dtype: type) -> None:
    x = Tensor(np.ones(shape, dtype), requires_grad=True)
    y = F.local_response_norm(x, 3)
    assert (y.shape, y.dtype) == (shape, dtype)
    y.sum().backward()
    assert x.grad.shape == shape


def test_nan_spreads_over_its_window_and_no_further(kernel_file: str, dtype: type) -> None:
    x = np.ones((1, 6, 1), dtype)
    x[0, 4] = np.nan
    y = F.local_response_norm(Tensor(x), 3).data
    assert np.isnan(y[0, :, 0]).tolist() == [False, False, False, True, True, True]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"size": 0}, ValueError, "size must be at least 1, got 0"),
        ({"size": -3}, ValueError, "size must be at least 1, got -3"),
        ({"size": 5.0}, TypeError, "size must be an integer, got 5.0"),
        ({"size": (5, 5)}, TypeError, r"size must be an integer, got \(5, 5\)"),
        ({"size": True}, TypeError, "size must be an integer, got True"),
        ({"alpha": "1e-4"}, TypeError, "alpha must be a number, got '1e-4'"),
        ({"alpha": None}, TypeError, "alpha must be a number, got None"),
        ({"beta": None}, TypeError, "beta must be a number, got None"),
        ({"k": [1]}, TypeError, r"k must be a number, got \[1\]"),
        ({"input": np.ones(4)}, ValueError, r"input must have shape \(N, C, \*\), got \(4,\)"),
        ({"input": np.float64(1)}, ValueError, r"input must have shape \(N, C, \*\), got \(\)"),
        ({"input": np.ones((1, 3, 2, 2), int)}, TypeError, "input must be float32 or float64, got int64"),
    ],
)
def test_refusals(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments = {"input": np.ones((1, 3, 2, 2)), "size": 3, **changes}
    arguments["input"] = Tensor(arguments["input"])
    with pytest.raises(error, match=f"local_response_norm: {message}"):
        F.local_response_norm(**arguments)
