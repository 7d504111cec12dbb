"""Max and average pooling."""

import itertools
import math
from typing import Any

import naive
import numpy as np
import pytest

import minicnn
import minicnn.functional as F
from minicnn import Tensor

# kernel, stride (None: the kernel's size), padding: overlapping, side by side, with gaps, padded, oblong
WINDOWS = [
    (3, 2, 0),
    (3, 1, 1),
    (2, None, 0),
    (2, 3, 1),
    (1, 2, 0),
    (1, 1, 0),
    (5, 2, 2),
    ((3, 2), (2, 1), (1, 0)),
    ((1, 4), (3, 2), (0, 2)),
    ((5, 1), 1, (2, 0)),
]
PICTURES = [(5, 5), (6, 7), (5, 4)]
MIX = list(itertools.product(WINDOWS, PICTURES, [False, True]))
mix = pytest.mark.parametrize(("window", "picture", "ceil_mode"), MIX)


def pairs(window: tuple[Any, Any, Any]) -> tuple[tuple[int, int], ...]:
    kernel, stride, padding = window
    values = kernel, kernel if stride is None else stride, padding
    return tuple(value if isinstance(value, tuple) else (value, value) for value in values)


def all_different(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Numbers far enough apart that a finite difference never makes another one the largest."""
    return rng.permutation(math.prod(shape)).reshape(shape) / 10 - 3.0


@mix
def test_max(
    window: Any, picture: Any, ceil_mode: bool, kernel_file: str, dtype: type, rng: np.random.Generator
) -> None:
    x = rng.integers(-5, 5, (2, 3, *picture)).astype(dtype)  # with many ties
    tensor = Tensor(x, requires_grad=True)
    y = F.max_pool2d(tensor, *window, ceil_mode=ceil_mode)
    expected, winners = naive.max_pool2d(x, *pairs(window), ceil_mode)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y.data, expected)

    gradient = rng.integers(-5, 5, y.shape).astype(dtype)
    y.backward(gradient)
    grad_x = np.zeros(x.shape)
    for (n, c, oh, ow), place in winners.items():
        grad_x[n, c, *place] += gradient[n, c, oh, ow]
    np.testing.assert_array_equal(tensor.grad, grad_x)


@mix
def test_max_gradients(window: Any, picture: Any, ceil_mode: bool, kernel_file: str, rng: np.random.Generator) -> None:
    x = Tensor(all_different((1, 2, *picture), rng), requires_grad=True)
    assert minicnn.gradcheck(lambda t: F.max_pool2d(t, *window, ceil_mode=ceil_mode), x)


@mix
@pytest.mark.parametrize(("count_include_pad", "divisor_override"), [(True, None), (False, None), (True, 7)])
def test_average(
    window: Any,
    picture: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
    kernel_file: str,
    dtype: type,
    rng: np.random.Generator,
) -> None:
    x = rng.standard_normal((2, 2, *picture)).astype(dtype)
    y = F.avg_pool2d(Tensor(x), *window, ceil_mode, count_include_pad, divisor_override)
    expected = naive.avg_pool2d(x, *pairs(window), ceil_mode, count_include_pad, divisor_override)
    assert (y.shape, y.dtype) == (expected.shape, dtype)
    np.testing.assert_allclose(y.data, expected, rtol=0, atol=20 * np.finfo(dtype).eps)


@mix
@pytest.mark.parametrize("count_include_pad", [True, False])
def test_average_gradients(
    window: Any,
    picture: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    kernel_file: str,
    rng: np.random.Generator,
) -> None:
    x = Tensor(rng.standard_normal((1, 2, *picture)), requires_grad=True)
    assert minicnn.gradcheck(lambda t: F.avg_pool2d(t, *window, ceil_mode, count_include_pad), x)


def test_average_divided_by_a_chosen_number(kernel_file: str, rng: np.random.Generator) -> None:
    x = Tensor(rng.standard_normal((1, 2, 5, 5)), requires_grad=True)
    assert minicnn.gradcheck(lambda t: F.avg_pool2d(t, 3, 2, 1, divisor_override=4), x)


@pytest.mark.parametrize(
    ("length", "window", "floor", "ceil"),
    [
        (55, (3, 2, 0), 27, 27),
        (32, (3, 2, 0), 15, 16),  # cuda-convnet's 32-16-8-4 comes from rounding up
        (16, (3, 2, 0), 7, 8),
        (8, (3, 2, 0), 3, 4),
        (5, (2, 2, 1), 3, 3),  # a fourth window would start in the padding behind the picture
        (6, (2, 3, 1), 3, 3),
        (4, (1, 3, 0), 2, 2),
        (5, (1, 3, 0), 2, 2),  # so would a third one here, behind the picture itself
        (4, (2, 5, 0), 1, 1),
    ],
)
def test_how_many_windows(length: int, window: Any, floor: int, ceil: int, kernel_file: str) -> None:
    x = Tensor(np.zeros((1, 1, length, length)))
    for pool in (F.max_pool2d, F.avg_pool2d):
        assert pool(x, *window).shape == (1, 1, floor, floor)
        assert pool(x, *window, ceil_mode=True).shape == (1, 1, ceil, ceil)


GAPS = [(2, None, 0, 2), (3, 2, 1, (1, 2)), (4, 1, 2, 2), ((2, 3), (2, 1), (1, 0), (4, 2)), (1, 2, 0, 5)]


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("window", GAPS)
def test_max_with_gaps_and_where_it_is(
    window: Any, ceil_mode: bool, kernel_file: str, dtype: type, rng: np.random.Generator
) -> None:
    x = rng.integers(-5, 5, (2, 3, 8, 9)).astype(dtype)  # with many ties
    tensor = Tensor(x, requires_grad=True)
    y, indices = F.max_pool2d(tensor, *window, ceil_mode, True)
    *usual, dilation = window
    gaps = dilation if isinstance(dilation, tuple) else (dilation, dilation)
    expected, winners = naive.max_pool2d(x, *pairs((usual[0], usual[1], usual[2])), ceil_mode, gaps)
    assert (y.dtype, indices.dtype) == (dtype, np.int64)
    np.testing.assert_array_equal(y.data, expected)
    gradient = rng.integers(-5, 5, y.shape).astype(dtype)
    y.backward(gradient)
    grad_x = np.zeros(x.shape)
    for (n, c, oh, ow), (h, w) in winners.items():
        assert indices.data[n, c, oh, ow] == h * 9 + w
        grad_x[n, c, h, w] += gradient[n, c, oh, ow]
    np.testing.assert_array_equal(tensor.grad, grad_x)


def test_indices_find_the_maxima_again(kernel_file: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 3, 7, 6))
    for window in ((3, 2, 0), (3, 2, 1), ((2, 4), 1, (1, 2))):
        y, indices = F.max_pool2d(x, *window, return_indices=True)
        found = np.take_along_axis(x.reshape(2, 3, 42), indices.data.reshape(2, 3, -1), axis=2)
        np.testing.assert_array_equal(found.reshape(y.shape), y.data)
        assert not indices.requires_grad


# --- what is special about the maximum ----------------------------------------------------------------------


def test_ties_go_to_the_first_in_reading_order(kernel_file: str) -> None:
    x = Tensor(np.ones((1, 1, 3, 3)), requires_grad=True)
    F.max_pool2d(x, 2, 1).backward(np.array([[[[1.0, 10.0], [100.0, 1000.0]]]]))
    np.testing.assert_array_equal(x.grad[0, 0], [[1, 10, 0], [100, 1000, 0], [0, 0, 0]])


def test_overlapping_windows_add_up(kernel_file: str) -> None:
    x = Tensor(np.zeros((1, 1, 5, 5)), requires_grad=True)
    x.data[0, 0, 2, 2] = 1  # the largest of all four windows
    F.max_pool2d(x, 3, 2).backward(np.array([[[[1.0, 10.0], [100.0, 1000.0]]]]))
    expected = np.zeros((5, 5))
    expected[2, 2] = 1111
    np.testing.assert_array_equal(x.grad[0, 0], expected)


def test_padding_never_wins(kernel_file: str, dtype: type) -> None:
    x = Tensor(np.full((1, 1, 4, 4), -5, dtype), requires_grad=True)
    y = F.max_pool2d(x, 3, 2, 1)
    np.testing.assert_array_equal(y.data, np.full((1, 1, 2, 2), -5))
    y.backward(np.array([[[[1, 10], [100, 1000]]]], dtype))
    np.testing.assert_array_equal(x.grad[0, 0], [[1, 10, 0, 0], [100, 1000, 0, 0], [0] * 4, [0] * 4])


def test_a_window_of_minus_infinity_has_a_first_element(kernel_file: str, dtype: type) -> None:
    x = Tensor(np.full((1, 1, 4, 4), -np.inf, dtype), requires_grad=True)
    y = F.max_pool2d(x, 3, 2, 1)
    np.testing.assert_array_equal(y.data, np.full((1, 1, 2, 2), -np.inf))
    y.backward(np.array([[[[1, 10], [100, 1000]]]], dtype))
    np.testing.assert_array_equal(x.grad[0, 0], [[1, 10, 0, 0], [100, 1000, 0, 0], [0] * 4, [0] * 4])


def test_nan_wins_and_the_last_nan_takes_the_gradient_as_in_pytorch(kernel_file: str, dtype: type) -> None:
    nan = np.nan
    x = Tensor(np.array([[[[1, nan, 3, 4], [nan, np.inf, 7, 2]]]], dtype), requires_grad=True)
    y = F.max_pool2d(x, 2)
    np.testing.assert_array_equal(y.data, [[[[nan, 7]]]])
    y.backward(np.array([[[[1, 10]]]], dtype))
    np.testing.assert_array_equal(x.grad[0, 0], [[0, 0, 0, 0], [1, 0, 10, 0]])


def test_infinity_wins_against_numbers(kernel_file: str) -> None:
    x = Tensor(np.array([[[[-np.inf, 1.0], [np.inf, 1e308]]]]), requires_grad=True)
    y = F.max_pool2d(x, 2)
    assert y.item() == np.inf
    y.backward()
    np.testing.assert_array_equal(x.grad[0, 0], [[0, 0], [1, 0]])


def test_windows_of_more_than_a_bytes_worth_of_pixels(kernel_file: str, rng: np.random.Generator) -> None:
    """Where the maximum stood is kept in a byte, up to 16x16."""
    for kernel in ((16, 16), (17, 16), (2, 300)):
        x = Tensor(all_different((1, 1, kernel[0] + 1, kernel[1] + 1), rng), requires_grad=True)
        x.data[0, 0, kernel[0] - 1, kernel[1] - 1] = 1e6  # the last pixel of the first window
        F.max_pool2d(x, kernel, 1).sum().backward()
        assert x.grad[0, 0, kernel[0] - 1, kernel[1] - 1] == 4


def test_a_window_larger_than_the_picture_hangs_over_if_it_may(kernel_file: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 2, 2, 3))
    for pool, expected in ((F.max_pool2d, x.max((2, 3))), (F.avg_pool2d, x.mean((2, 3)))):
        y = pool(x, 4, ceil_mode=True)
        np.testing.assert_allclose(y.data, expected[:, :, None, None], rtol=1e-12)
        with pytest.raises(ValueError, match="kernel_size 4 is larger than the padded input of 2x3"):
            pool(x, 4)
        with pytest.raises(ValueError, match="kernel_size 4 is larger than the padded input of 2x3"):
            pool(x, 4, 2, ceil_mode=True)  # as in PyTorch: rounded up, none fits


# --- what both have in common -------------------------------------------------------------------------------

both = pytest.mark.parametrize("pool", [F.max_pool2d, F.avg_pool2d])


@both
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_changes_nothing(
    pool: Any, threads: int, kernel_file: str, rng: np.random.Generator
) -> None:
    numbers, gradient = rng.standard_normal((7, 2, 6, 6)), rng.standard_normal((7, 2, 2, 2))
    minicnn.set_num_threads(threads)
    x = Tensor(numbers, requires_grad=True)
    y = pool(x, 3, 2)
    y.backward(gradient)
    for n in range(7):
        one = Tensor(numbers[n : n + 1], requires_grad=True)
        alone = pool(one, 3, 2)
        alone.backward(gradient[n : n + 1])
        np.testing.assert_array_equal(y.data[n], alone.data[0])
        np.testing.assert_array_equal(x.grad[n], one.grad[0])


@both
def test_one_image_without_a_batch(pool: Any, kernel_file: str, rng: np.random.Generator) -> None:
    x = Tensor(rng.standard_normal((2, 5, 4)), requires_grad=True)
    y = pool(x, 3, 2, 1)
    np.testing.assert_array_equal(y.data, pool(x.reshape(1, 2, 5, 4), 3, 2, 1).data[0])
    y.sum().backward()
    assert x.grad.shape == x.shape
    _, indices = F.max_pool2d(x, 2, return_indices=True)
    assert indices.shape == (2, 2, 2)


@both
def test_batches_of_nothing(pool: Any, kernel_file: str, dtype: type) -> None:
    for shape in ((0, 3, 5, 5), (2, 0, 5, 5)):
        x = Tensor(np.ones(shape, dtype), requires_grad=True)
        y = pool(x, 3, 2)
        assert (y.shape, y.dtype) == ((*shape[:2], 2, 2), dtype)
        y.sum().backward()
        assert x.grad.shape == shape


REFUSALS = [
    ({"input": (5, 5)}, ValueError, r"input must have shape \(N, C, H, W\) or \(C, H, W\), got \(5, 5\)"),
    ({"input": (3, 0, 5)}, ValueError, r"input must have at least one pixel"),
    ({"input": (1, 3, 0, 5), "kernel_size": 2, "padding": 1}, ValueError, r"input must have at least one pixel"),
    (
        {"input": (1, 3, 5, 0), "kernel_size": 2, "padding": 1},
        ValueError,
        r"input must have at least one pixel, .* got \(1, 3, 5, 0\)",
    ),
    ({"kernel_size": 6}, ValueError, "kernel_size 6 is larger than the padded input of 5x7"),
    ({"kernel_size": (3, 10), "padding": 1}, ValueError, r"kernel_size \(3, 10\) is larger than .* input of 7x9"),
    ({"kernel_size": 0}, ValueError, "kernel_size must be at least 1, got 0"),
    ({"kernel_size": 2.0}, TypeError, "kernel_size must be an integer or a pair of integers, got 2.0"),
    ({"kernel_size": (2, 2, 2)}, TypeError, r"kernel_size must be an integer or a pair .* got \(2, 2, 2\)"),
    ({"kernel_size": None}, TypeError, "kernel_size must be an integer or a pair of integers, got None"),
    ({"stride": 0}, ValueError, "stride must be at least 1, got 0"),
    ({"stride": "2"}, TypeError, "stride must be an integer or a pair of integers, got '2'"),
    ({"padding": -1}, ValueError, "padding must be at least 0, got -1"),
    ({"padding": 2}, ValueError, r"padding must be at most half of kernel_size=\(3, 3\), got 2"),
    ({"padding": (0, 2)}, ValueError, r"padding must be at most half of kernel_size=\(3, 3\), got \(0, 2\)"),
    ({"padding": (1, 1, 0, 0)}, TypeError, r"padding must be an integer or a pair of integers, got \(1, 1, 0, 0\)"),
    ({"padding": "same"}, TypeError, "padding must be an integer or a pair of integers, got 'same'"),
]


@both
@pytest.mark.parametrize(("changes", "error", "message"), REFUSALS)
def test_refusals(pool: Any, changes: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments = {"input": (2, 3, 5, 7), "kernel_size": 3, **changes}
    arguments["input"] = Tensor(np.ones(arguments["input"]))
    with pytest.raises(error, match=f"{pool.__name__}: {message}"):
        pool(**arguments)


@both
def test_whole_numbers_are_refused(pool: Any) -> None:
    with pytest.raises(TypeError, match=f"{pool.__name__}: input must be float32 or float64, got int64"):
        pool(Tensor(np.ones((1, 1, 4, 4), int)), 2)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"dilation": 0}, ValueError, "dilation must be at least 1, got 0"),
        ({"dilation": 1.0}, TypeError, "dilation must be an integer or a pair of integers, got 1.0"),
        ({"return_indices": 1}, TypeError, "return_indices must be True or False, got 1"),
        ({"dilation": 5}, ValueError, r"kernel_size 2 that reaches over 6x6 with dilation=\(5, 5\) is larger than"),
        (
            {"dilation": 2, "padding": 2},
            ValueError,
            r"padding must be at most half of kernel_size=\(2, 2\), got 2",
        ),
        (
            {"dilation": 6, "padding": 1},
            ValueError,
            r"every window must have a pixel of the input, got dilation=\(6, 6\) and padding=\(1, 1\) for 5x5 pixels",
        ),
    ],
)
def test_what_max_pooling_refuses(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"max_pool2d: {message}"):
        F.max_pool2d(Tensor(np.ones((1, 1, 5, 5))), 2, **changes)


@pytest.mark.parametrize(
    ("divisor", "error", "message"),
    [
        (0, ValueError, "divisor_override must be at least 1, got 0"),
        (2.5, TypeError, "divisor_override must be an integer, got 2.5"),
    ],
)
def test_divisors_that_are_refused(divisor: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"avg_pool2d: {message}"):
        F.avg_pool2d(Tensor(np.ones((1, 1, 5, 5))), 2, divisor_override=divisor)
