"""Transposed convolution: against its definition, and against the backward pass of the convolution that it is."""

from typing import Any

import naive
import numpy as np
import pytest

import minicnn
import minicnn.functional as F
from minicnn import Tensor
from minicnn.viz import receptive_field

# stride, padding, output_padding, dilation
WINDOWS: list[tuple[Any, Any, Any, Any]] = [
    (1, 0, 0, 1),
    (2, 1, 1, 1),
    (3, 0, 2, 1),
    ((1, 3), (2, 0), (0, 1), 1),
    (1, 1, 0, 2),
    ((2, 1), 1, (1, 2), (1, 3)),
]


def pairs(values: tuple[Any, ...]) -> list[tuple[int, int]]:
    return [value if isinstance(value, tuple) else (value, value) for value in values]


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("window", WINDOWS)
def test_values_and_gradients(
    window: Any, groups: int, kernel_file: str, dtype: type, rng: np.random.Generator
) -> None:
    stride, padding, output_padding, dilation = window
    x, w, b = (rng.standard_normal(shape).astype(dtype) for shape in ((2, 4, 3, 4), (4, 3, 3, 2), (3 * groups,)))
    options = stride, padding, output_padding, groups, dilation
    y = F.conv_transpose2d(x, w, b, *options)
    assert y.dtype == dtype
    S, P, D = pairs((stride, padding, dilation))
    expected = naive.conv_transpose2d(x, w, y.shape[2:], S, P, groups, D) + b[:, None, None]
    np.testing.assert_allclose(y.data, expected, rtol=0, atol=100 * np.finfo(dtype).eps)
    if dtype is np.float64:
        tensors = [Tensor(array, requires_grad=True) for array in (x, w, b)]
        assert minicnn.gradcheck(lambda x, w, b: F.conv_transpose2d(x, w, b, *options), tensors)


@pytest.mark.parametrize("window", WINDOWS[:-1])  # the last adds so much that one more window fits
def test_it_is_the_gradient_of_a_convolutions_image(window: Any, kernel_file: str, rng: np.random.Generator) -> None:
    stride, padding, output_padding, dilation = window
    x, w = rng.standard_normal((2, 4, 3, 4)), Tensor(rng.standard_normal((4, 2, 3, 2)))
    y = F.conv_transpose2d(x, w, None, stride, padding, output_padding, 2, dilation)
    image = Tensor(np.zeros(y.shape), requires_grad=True)
    convolved = F.conv2d(image, w, None, stride, padding, dilation, 2)
    assert convolved.shape == x.shape  # output_padding has chosen an image of which the convolution makes this
    convolved.backward(x)
    np.testing.assert_allclose(y.data, image.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_changes_only_the_order_of_sums(threads: int, rng: np.random.Generator) -> None:
    arrays = [rng.standard_normal(shape) for shape in ((5, 2, 3, 3), (2, 3, 2, 2), (3,))]
    results = []
    for count in (1, threads):
        minicnn.set_num_threads(count)
        x, w, b = (Tensor(array, requires_grad=True) for array in arrays)
        y = F.conv_transpose2d(x, w, b, 2)
        (y * y).sum().backward()
        results.append([y.data, x.grad, w.grad, b.grad])
    for expected, actual in zip(*results, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


def test_one_image_and_a_batch_of_nothing(kernel_file: str, rng: np.random.Generator) -> None:
    x, w = Tensor(rng.standard_normal((2, 3, 4)), requires_grad=True), Tensor(rng.standard_normal((2, 3, 3, 3)))
    y = F.conv_transpose2d(x, w, stride=2)
    np.testing.assert_array_equal(y.data, F.conv_transpose2d(x.reshape(1, 2, 3, 4), w, stride=2).data[0])
    y.sum().backward()
    assert x.grad.shape == x.shape

    nothing, w = Tensor(np.ones((0, 2, 3, 4)), requires_grad=True), Tensor(w.data, requires_grad=True)
    y = F.conv_transpose2d(nothing, w)
    y.sum().backward()
    assert y.shape == (0, 3, 5, 6) and nothing.grad.shape == nothing.shape
    np.testing.assert_array_equal(w.grad, np.zeros(w.shape))


def test_what_a_unit_depends_on(rng: np.random.Generator) -> None:
    """At stride 1 it is a window of the input; at others there is no such window for all units."""
    x = np.zeros((1, 1, 8, 8), np.float32)
    x[0, 0, 3, 4] = np.nan
    with minicnn.trace() as trace:
        y = F.conv_transpose2d(x, np.ones((1, 1, 3, 2), np.float32), padding=(1, 0))
        F.conv_transpose2d(x, np.ones((1, 1, 3, 2), np.float32), stride=2)
    field = receptive_field(trace.records[0])
    assert field is not None
    for (i, j), seen in np.ndenumerate(np.isnan(y.data[0, 0])):
        inside = [
            start + at * step <= place < start + at * step + size
            for at, place, start, step, size in zip((i, j), (3, 4), *field, strict=True)
        ]
        assert seen == all(inside), (i, j)
    assert receptive_field(trace.records[1]) is None


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"input": (5, 7)}, ValueError, r"input must have shape \(N, C, H, W\) or \(C, H, W\), got \(5, 7\)"),
        ({"weight": (4, 3, 3)}, ValueError, r"weight must have shape \(C, F / groups, KH, KW\), .* got \(4, 3, 3\)"),
        (
            {"weight": (3, 4, 3, 3)},
            ValueError,
            r"weight must have shape \(4, ...\) for 4 channels of input, got \(3, 4",
        ),
        ({"groups": 3}, ValueError, "input has 4 channels, which do not divide into groups=3"),
        ({"bias": (3,), "groups": 2}, ValueError, r"bias must have shape \(6,\), one number a channel, got \(3,\)"),
        ({"stride": 0}, ValueError, "stride must be at least 1, got 0"),
        ({"padding": "same"}, TypeError, "padding must be an integer or a pair of integers, got 'same'"),
        ({"padding": 4}, ValueError, r"padding must leave something of the output, got \(4, 4\)"),
        (
            {"output_padding": 1},
            ValueError,
            r"output_padding must be less than stride=\(1, 1\) or dilation=\(1, 1\), got \(1, 1\)",
        ),
    ],
)
def test_refusals(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments: dict[str, Any] = {"input": (2, 4, 5, 7), "weight": (4, 3, 3, 3), "bias": (3,), **changes}
    for name in ("input", "weight", "bias"):
        arguments[name] = Tensor(np.ones(arguments[name]))
    with pytest.raises(error, match=f"conv_transpose2d: {message}"):
        F.conv_transpose2d(**arguments)


def test_dtypes_that_do_not_fit() -> None:
    x, w = np.ones((1, 2, 3, 3), np.float32), np.ones((2, 3, 3, 3))
    with pytest.raises(TypeError, match="conv_transpose2d: weight must be float32, as input is, got float64"):
        F.conv_transpose2d(x, w)
