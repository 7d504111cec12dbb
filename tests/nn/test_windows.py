"""Pools as layers: arguments passed on, and arguments refused."""

import numpy as np
import pytest

import minicnn.functional as F
from minicnn import nn
from minicnn.autograd import Tensor

IMAGES = np.random.default_rng(0).standard_normal((2, 4, 7, 9)).astype(np.float32)


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (nn.MaxPool2d(3), lambda x: F.max_pool2d(x, 3)),
        (nn.MaxPool2d((3, 2), (2, 3), (1, 0)), lambda x: F.max_pool2d(x, (3, 2), (2, 3), (1, 0))),
        (nn.MaxPool2d(2, ceil_mode=True), lambda x: F.max_pool2d(x, 2, ceil_mode=True)),
        (nn.MaxPool2d(2, 1, 1, (2, 3)), lambda x: F.max_pool2d(x, 2, 1, 1, (2, 3))),
        (nn.AvgPool2d(3), lambda x: F.avg_pool2d(x, 3)),
        (nn.AvgPool2d((3, 2), (2, 3), (1, 0)), lambda x: F.avg_pool2d(x, (3, 2), (2, 3), (1, 0))),
        (nn.AvgPool2d(4, 2, 1, True, False), lambda x: F.avg_pool2d(x, 4, 2, 1, True, False)),
        (nn.AvgPool2d(3, divisor_override=5), lambda x: F.avg_pool2d(x, 3, divisor_override=5)),
    ],
    ids=lambda value: repr(value) if isinstance(value, nn.Module) else "",
)
def test_pools_pass_everything_on(layer, function):
    x = Tensor(IMAGES)
    expected = function(x).data
    output = layer(x).data
    assert output.shape == expected.shape
    np.testing.assert_array_equal(output, expected)
    assert list(layer.parameters()) == []


def test_a_pool_that_says_where_the_maxima_are():
    x = Tensor(IMAGES)
    maxima, indices = nn.MaxPool2d(2, return_indices=True)(x)
    np.testing.assert_array_equal(maxima.data, F.max_pool2d(x, 2).data)
    np.testing.assert_array_equal(indices.data, F.max_pool2d(x, 2, return_indices=True)[1].data)


def test_the_arithmetic_of_gaps():
    info = nn.MaxPool2d(3, 2, 1, dilation=2).output_info((2, 4, 9, 9))
    assert info.arithmetic == "(9 + 2*1 - 5)/2 + 1 = 4"
    assert info.what == "max pool 3x3, stride 2, padding 1, dilation 2"
    assert info.kernel_size == (5, 5)


def test_reprs():
    assert repr(nn.MaxPool2d(3, dilation=2)) == (
        "MaxPool2d(kernel_size=3, stride=3, padding=0, dilation=2, ceil_mode=False)"
    )
    assert repr(nn.MaxPool2d(3, 2)) == "MaxPool2d(kernel_size=3, stride=2, padding=0, ceil_mode=False)"
    assert repr(nn.AvgPool2d((3, 2), ceil_mode=True)) == (
        "AvgPool2d(kernel_size=(3, 2), stride=(3, 2), padding=0, ceil_mode=True)"
    )


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.MaxPool2d(0), ValueError, "MaxPool2d: kernel_size must be at least 1, got 0"),
        (lambda: nn.MaxPool2d(3, dilation=0), ValueError, "MaxPool2d: dilation must be at least 1, got 0"),
        (
            lambda: nn.MaxPool2d(3, return_indices=2),
            TypeError,
            "MaxPool2d: return_indices must be True or False, got 2",
        ),
        (lambda: nn.AvgPool2d(3, stride=(1, 0)), ValueError, "AvgPool2d: stride must be at least 1"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()
