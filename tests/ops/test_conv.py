"""Convolution, by whichever algorithm is chosen."""

import itertools
from typing import Any

import naive
import numpy as np
import pytest

import minicnn
import minicnn.functional as F
from minicnn import Tensor, backend

STRIDES = [1, 2, 3, (3, 1), (1, 2)]
PADDINGS = [0, 1, 2, (2, 0), (0, 3)]
GROUPS = [1, 2, 4]
MIX = list(itertools.product(STRIDES, PADDINGS, GROUPS))


def as_pair(value: Any) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def check_values(
    x: np.ndarray, w: np.ndarray, b: np.ndarray | None, stride: Any, padding: Any, groups: int, dilation: Any = 1
) -> None:
    y = F.conv2d(Tensor(x), Tensor(w), None if b is None else Tensor(b), stride, padding, dilation, groups)
    expected = naive.conv2d(x, w, b, as_pair(stride), as_pair(padding), groups, as_pair(dilation))
    assert (y.shape, y.dtype) == (expected.shape, x.dtype)
    # a sum of w[0].size products, each of size about 1
    np.testing.assert_allclose(y.data, expected, rtol=0, atol=10 * w[0].size * np.finfo(x.dtype).eps)


@pytest.mark.parametrize(("stride", "padding", "groups"), MIX)
def test_values_for_every_mix_of_stride_padding_and_groups(
    stride: Any, padding: Any, groups: int, kernel_file: str, dtype: type, rng: np.random.Generator
) -> None:
    x = rng.standard_normal((2, 4, 5, 4)).astype(dtype)
    w = rng.standard_normal((4, 4 // groups, 3, 2)).astype(dtype)
    check_values(x, w, rng.standard_normal(4).astype(dtype), stride, padding, groups)


@pytest.mark.parametrize(("stride", "padding", "groups"), MIX)
def test_gradients_for_every_mix_of_stride_padding_and_groups(
    stride: Any, padding: Any, groups: int, kernel_file: str, rng: np.random.Generator
) -> None:
    x = Tensor(rng.standard_normal((1, 4, 5, 4)), requires_grad=True)
    w = Tensor(rng.standard_normal((4, 4 // groups, 3, 2)), requires_grad=True)
    b = Tensor(rng.standard_normal(4), requires_grad=True)
    assert minicnn.gradcheck(lambda x, w, b: F.conv2d(x, w, b, stride, padding, 1, groups), (x, w, b))


@pytest.mark.parametrize("dilation", [2, 3, (1, 2), (4, 1)])
@pytest.mark.parametrize(("stride", "padding", "groups"), [(1, 0, 1), (2, 3, 2), ((1, 3), (0, 2), 1), (1, (4, 1), 4)])
def test_dilation_leaves_gaps(
    stride: Any, padding: Any, groups: int, dilation: Any, kernel_file: str, dtype: type, rng: np.random.Generator
) -> None:
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in ((2, 4, 9, 8), (4, 4 // groups, 3, 2), (4,))]
    check_values(*arrays, stride, padding, groups, dilation)
    if dtype is np.float64:
        x, w, b = (Tensor(array, requires_grad=True) for array in arrays)
        assert minicnn.gradcheck(lambda x, w, b: F.conv2d(x, w, b, stride, padding, dilation, groups), (x[:1], w, b))


def test_a_dilated_kernel_is_one_with_zeros_in_its_gaps(kernel_file: str, rng: np.random.Generator) -> None:
    x, w = rng.standard_normal((2, 3, 9, 9)), rng.standard_normal((4, 3, 3, 2))
    wide = np.zeros((4, 3, 5, 4))
    wide[:, :, ::2, ::3] = w
    gaps = F.conv2d(x, w, padding=2, stride=2, dilation=(2, 3))
    np.testing.assert_allclose(gaps.data, F.conv2d(x, wide, padding=2, stride=2).data, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dilation", [1, 2, (3, 1)])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (2, 4), (5, 2)])
def test_padding_that_keeps_the_size(
    kernel: tuple[int, int], dilation: Any, kernel_file: str, rng: np.random.Generator
) -> None:
    """Where the zeros are odd in number, the last row or column of them is behind the image."""
    x, w = rng.standard_normal((2, 2, 5, 7)), rng.standard_normal((3, 2, *kernel))
    zeros = [(size - 1) * gap for size, gap in zip(kernel, as_pair(dilation), strict=True)]
    framed = np.pad(x, [(0, 0), (0, 0), *((total // 2, total - total // 2) for total in zeros)])
    y = F.conv2d(x, w, padding="same", dilation=dilation)
    assert y.shape == (2, 3, 5, 7)
    np.testing.assert_allclose(y.data, F.conv2d(framed, w, dilation=dilation).data, rtol=0, atol=1e-12)
    tensors = [Tensor(array, requires_grad=True) for array in (x[:1], w)]
    assert minicnn.gradcheck(lambda x, w: F.conv2d(x, w, None, 1, "same", dilation), tensors)


def test_valid_is_no_padding(rng: np.random.Generator) -> None:
    x, w = rng.standard_normal((2, 2, 5, 7)), rng.standard_normal((3, 2, 3, 2))
    np.testing.assert_array_equal(F.conv2d(x, w, None, 2, "valid").data, F.conv2d(x, w, None, 2).data)


def test_one_image_without_a_batch(kernel_file: str, rng: np.random.Generator) -> None:
    x, w, b = (Tensor(rng.standard_normal(shape), requires_grad=True) for shape in ((2, 5, 4), (3, 2, 3, 2), (3,)))
    y = F.conv2d(x, w, b, 2, 1)
    np.testing.assert_array_equal(y.data, F.conv2d(x.reshape(1, 2, 5, 4), w, b, 2, 1).data[0])
    y.sum().backward()
    assert x.grad.shape == x.shape


@pytest.mark.parametrize(
    ("picture", "kernel", "stride", "padding"),
    [
        ((1, 1), (1, 1), 1, 0),
        ((7, 5), (1, 1), 1, 0),
        ((7, 5), (1, 1), 2, 0),
        ((7, 5), (7, 5), 1, 0),
        ((7, 5), (1, 5), 1, 0),
        ((5, 7), (5, 1), 2, (2, 0)),
        ((3, 3), (5, 5), 1, 1),
        ((1, 9), (1, 3), (1, 4), 0),
        ((9, 1), (2, 1), (5, 1), 0),
        ((2, 2), (2, 2), 7, 3),
        ((1, 1), (4, 4), 1, 5),
        ((11, 11), (5, 5), 4, 2),
    ],
)
def test_odd_sizes(
    picture: Any, kernel: Any, stride: Any, padding: Any, kernel_file: str, rng: np.random.Generator
) -> None:
    x, w = rng.standard_normal((2, 2, *picture)), rng.standard_normal((3, 2, *kernel))
    check_values(x, w, None, stride, padding, 1)
    tensors = [Tensor(array, requires_grad=True) for array in (x, w)]
    assert minicnn.gradcheck(lambda x, w: F.conv2d(x, w, None, stride, padding), tensors)


@pytest.mark.parametrize("channels_and_filters", [(1, 1, 1), (1, 3, 1), (3, 1, 1), (6, 9, 3), (3, 6, 3), (2, 2, 2)])
def test_channels_and_filters(
    channels_and_filters: tuple[int, int, int], kernel_file: str, rng: np.random.Generator
) -> None:
    C, filters, groups = channels_and_filters
    x, w = rng.standard_normal((2, C, 4, 4)), rng.standard_normal((filters, C // groups, 2, 2))
    check_values(x, w, rng.standard_normal(filters), 1, 0, groups)


def test_groups_are_towers_that_do_not_see_each_other(rng: np.random.Generator) -> None:
    x, w = Tensor(rng.standard_normal((2, 4, 5, 5))), Tensor(rng.standard_normal((6, 2, 3, 3)))
    both = F.conv2d(x, w, groups=2)
    for tower in range(2):
        alone = F.conv2d(x[:, 2 * tower : 2 * tower + 2], w[3 * tower : 3 * tower + 3])
        np.testing.assert_allclose(both.data[:, 3 * tower : 3 * tower + 3], alone.data, rtol=1e-12, atol=1e-12)


def test_alexnets_first_layer_has_55_columns() -> None:
    y = F.conv2d(Tensor(np.zeros((1, 3, 227, 227), np.float32)), Tensor(np.zeros((2, 3, 11, 11), np.float32)), stride=4)
    assert y.shape == (1, 2, 55, 55)


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
@pytest.mark.parametrize("images_in_a_piece", [0, 1, 2, 100])
def test_neither_threads_nor_pieces_change_anything(
    threads: int, images_in_a_piece: int, kernel_file: str, rng: np.random.Generator, monkeypatch: Any
) -> None:
    """Seven images in any number of parts and pieces, even ones and odd ones."""
    arrays = rng.standard_normal((7, 4, 6, 5)), rng.standard_normal((6, 2, 3, 3)), rng.standard_normal(6)
    columns_of_an_image = 4 * 3 * 3 * 6 * 5
    minicnn.set_num_threads(threads)
    monkeypatch.setattr(backend.memory, "_PIECE_BYTES", images_in_a_piece * columns_of_an_image * 8)
    x, w, b = (Tensor(array, requires_grad=True) for array in arrays)
    y = F.conv2d(x, w, b, padding=1, groups=2)
    gradient = rng.standard_normal(y.shape)
    y.backward(gradient)

    np.testing.assert_allclose(y.data, naive.conv2d(*arrays, (1, 1), (1, 1), 2), rtol=0, atol=1e-12)
    grad_x, grad_w = np.zeros(x.shape), np.zeros(w.shape)
    for n in range(7):  # each image on its own
        one, weight = Tensor(arrays[0][n : n + 1], requires_grad=True), Tensor(arrays[1], requires_grad=True)
        F.conv2d(one, weight, b.detach(), padding=1, groups=2).backward(gradient[n : n + 1])
        grad_x[n] = one.grad[0]
        grad_w += weight.grad
    np.testing.assert_allclose(x.grad, grad_x, rtol=0, atol=1e-12)
    np.testing.assert_allclose(w.grad, grad_w, rtol=0, atol=1e-11)
    np.testing.assert_allclose(b.grad, gradient.sum(axis=(0, 2, 3)), rtol=0, atol=1e-12)


def test_the_same_call_gives_the_same_bits(kernel_file: str, rng: np.random.Generator) -> None:
    arrays = rng.standard_normal((9, 4, 6, 5)).astype(np.float32), rng.standard_normal((6, 4, 3, 3)).astype(np.float32)
    minicnn.set_num_threads(3)
    gradients = []
    for _ in range(5):
        x, w = (Tensor(array, requires_grad=True) for array in arrays)
        (F.conv2d(x, w) ** 2).sum().backward()
        gradients.append((x.grad, w.grad))
    for grad_x, grad_w in gradients[1:]:
        np.testing.assert_array_equal(grad_x, gradients[0][0])
        np.testing.assert_array_equal(grad_w, gradients[0][1])


def test_a_batch_of_nothing(kernel_file: str, dtype: type) -> None:
    shapes = (0, 4, 5, 5), (6, 2, 3, 3), (6,)
    x, w, b = (Tensor(np.ones(shape, dtype), requires_grad=True) for shape in shapes)
    y = F.conv2d(x, w, b, stride=2, groups=2)
    assert (y.shape, y.dtype) == ((0, 6, 2, 2), dtype)
    y.sum().backward()
    assert x.grad.shape == x.shape
    np.testing.assert_array_equal(w.grad, np.zeros(w.shape))
    np.testing.assert_array_equal(b.grad, np.zeros(b.shape))


def test_arrays_will_do(rng: np.random.Generator) -> None:
    x, w, b = rng.standard_normal((1, 2, 4, 4)), rng.standard_normal((3, 2, 3, 3)), rng.standard_normal(3)
    np.testing.assert_array_equal(F.conv2d(x, w, b).data, F.conv2d(Tensor(x), Tensor(w), Tensor(b)).data)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"dilation": 0}, ValueError, "dilation must be at least 1, got 0"),
        ({"dilation": 1.5}, TypeError, "dilation must be an integer or a pair of integers, got 1.5"),
        ({"dilation": 3}, ValueError, r"weight has a 3x3 kernel that reaches over 7x7 with dilation=\(3, 3\), larger"),
        ({"padding": "same", "stride": 2}, ValueError, r"stride must be 1 with padding='same', got \(2, 2\)"),
        ({"padding": "full"}, ValueError, "padding must be 'same', 'valid', an integer or a pair, got 'full'"),
        ({"padding": (1, 1, 2, 2)}, TypeError, r"padding must be an integer or a pair .* got \(1, 1, 2, 2\)"),
        (
            {"padding": ((1, 2), (1, 2))},
            TypeError,
            r"padding must be an integer or a pair .* got \(\(1, 2\), \(1, 2\)\)",
        ),
        ({"padding": 1.0}, TypeError, "padding must be an integer or a pair of integers, got 1.0"),
        ({"padding": -1}, ValueError, "padding must be at least 0, got -1"),
        ({"padding": (0, -1)}, ValueError, r"padding must be at least 0, got \(0, -1\)"),
        ({"stride": 0}, ValueError, "stride must be at least 1, got 0"),
        ({"stride": (1, 0)}, ValueError, r"stride must be at least 1, got \(1, 0\)"),
        ({"stride": None}, TypeError, "stride must be an integer or a pair of integers, got None"),
        ({"stride": (1, 1, 1)}, TypeError, r"stride must be .* a pair of integers, got \(1, 1, 1\)"),
        ({"stride": True}, TypeError, "stride must be an integer or a pair of integers, got True"),
        ({"groups": 0}, ValueError, "groups must be at least 1, got 0"),
        ({"groups": 1.0}, TypeError, "groups must be an integer, got 1.0"),
        ({"groups": 3}, ValueError, "input has 4 channels, which do not divide into groups=3"),
        ({"groups": 4, "weight": (6, 1, 3, 3)}, ValueError, "weight has 6 filters, which do not divide into groups=4"),
        ({"groups": 2}, ValueError, r"input has 4 channels, but weight of shape \(6, 4, 3, 3\) with groups=2 takes 8"),
        ({"weight": (6, 3, 3, 3)}, ValueError, r"input has 4 channels, but weight of shape .* takes 3"),
        ({"weight": (6, 4, 3)}, ValueError, r"weight must have shape \(F, C / groups, KH, KW\), .* got \(6, 4, 3\)"),
        ({"weight": (0, 4, 3, 3)}, ValueError, r"weight must have shape .* none of them 0, got \(0, 4, 3, 3\)"),
        ({"weight": (6, 4, 6, 3)}, ValueError, "weight has a 6x3 kernel, larger than the padded input of 5x7"),
        ({"weight": (6, 4, 8, 10), "padding": 1}, ValueError, "weight has a 8x10 kernel, larger than .* input of 7x9"),
        ({"bias": (5,)}, ValueError, r"bias must have shape \(6,\), one number a filter, got \(5,\)"),
        ({"bias": (6, 1, 1)}, ValueError, r"bias must have shape \(6,\), one number a filter, got \(6, 1, 1\)"),
        ({"input": (4, 5)}, ValueError, r"input must have shape \(N, C, H, W\) or \(C, H, W\), got \(4, 5\)"),
        ({"input": (5, 5, 7)}, ValueError, "input has 5 channels, but weight of shape"),
        (
            {"input": (1, 4, 0, 7), "padding": 2},
            ValueError,
            r"input must have at least one pixel, .* got \(1, 4, 0, 7\)",
        ),
    ],
)
def test_refusals(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments: dict[str, Any] = {"input": (2, 4, 5, 7), "weight": (6, 4, 3, 3), "bias": (6,), **changes}
    for name in ("input", "weight", "bias"):
        arguments[name] = Tensor(np.ones(arguments[name]))
    with pytest.raises(error, match=f"conv2d: {message}"):
        F.conv2d(**arguments)


@pytest.mark.parametrize(
    ("dtypes", "message"),
    [
        (("int64", "float64", "float64"), "input must be float32 or float64, got int64"),
        (("uint8", "float32", "float32"), "input must be float32 or float64, got uint8"),
        (("float32", "float64", "float32"), "weight must be float32, as input is, got float64"),
        (("float64", "float64", "float32"), "bias must be float64, as input is, got float32"),
    ],
)
def test_dtypes_that_do_not_fit(dtypes: tuple[str, str, str], message: str) -> None:
    shapes = (2, 4, 5, 7), (6, 4, 3, 3), (6,)
    with pytest.raises(TypeError, match=f"conv2d: {message}"):
        F.conv2d(*(Tensor(np.ones(shape, dtype)) for shape, dtype in zip(shapes, dtypes, strict=True)))
