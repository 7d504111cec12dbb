"""Convolution and pools as layers: parameters, arguments passed on, and arguments refused."""

import numpy as np
import pytest

import minicnn.functional as F
from minicnn import nn
from minicnn.autograd import Tensor

IMAGES = np.random.default_rng(0).standard_normal((2, 4, 7, 9)).astype(np.float32)


def test_conv2d_has_its_parameters():
    conv = nn.Conv2d(4, 6, (3, 2), groups=2)
    assert conv.weight.shape == (6, 2, 3, 2)
    assert conv.bias.shape == (6,)
    assert conv.weight.dtype == conv.bias.dtype == np.float32
    assert list(conv.state_dict()) == ["weight", "bias"]
    assert nn.Conv2d(4, 6, 3, bias=False).bias is None
    assert nn.Conv2d(4, 6, 3, dtype=np.float64).bias.dtype == np.float64
    assert nn.Conv2d(4, 6, 3, device="cpu", dtype="float32").weight.dtype == np.float32


def test_conv2d_passes_everything_on():
    conv = nn.Conv2d(4, 6, (3, 2), stride=(2, 3), padding=(1, 0), groups=2)
    expected = F.conv2d(Tensor(IMAGES), conv.weight, conv.bias, (2, 3), (1, 0), 1, 2)
    np.testing.assert_array_equal(conv(Tensor(IMAGES)).data, expected.data)
    conv = nn.Conv2d(4, 6, 3, bias=False)
    np.testing.assert_array_equal(conv(IMAGES).data, F.conv2d(IMAGES, conv.weight).data)


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (nn.MaxPool2d(3), lambda x: F.max_pool2d(x, 3)),
        (nn.MaxPool2d((3, 2), (2, 3), (1, 0)), lambda x: F.max_pool2d(x, (3, 2), (2, 3), (1, 0))),
        (nn.MaxPool2d(2, ceil_mode=True), lambda x: F.max_pool2d(x, 2, ceil_mode=True)),
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


def test_reprs():
    assert repr(nn.Conv2d(3, 8, (3, 2), 2, groups=1, bias=False)) == (
        "Conv2d(3, 8, kernel_size=(3, 2), stride=(2, 2), bias=False)"
    )
    assert repr(nn.Conv2d(4, 8, 5, padding=2, groups=2)) == (
        "Conv2d(4, 8, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2), groups=2)"
    )
    assert repr(nn.MaxPool2d(3, 2)) == "MaxPool2d(kernel_size=3, stride=2, padding=0, ceil_mode=False)"
    assert repr(nn.AvgPool2d((3, 2), ceil_mode=True)) == (
        "AvgPool2d(kernel_size=(3, 2), stride=(3, 2), padding=0, ceil_mode=True)"
    )


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Conv2d(0, 8, 3), ValueError, "Conv2d: in_channels must be at least 1, got 0"),
        (lambda: nn.Conv2d(3, 8.0, 3), TypeError, "Conv2d: out_channels must be an integer, got 8.0"),
        (lambda: nn.Conv2d(3, 8, (3, 3, 3)), TypeError, "Conv2d: kernel_size .*got .3, 3, 3."),
        (lambda: nn.Conv2d(3, 8, 3, stride=0), ValueError, "Conv2d: stride must be at least 1, got 0"),
        (lambda: nn.Conv2d(3, 8, 3, padding=-1), ValueError, "Conv2d: padding must be at least 0, got -1"),
        (lambda: nn.Conv2d(3, 8, 3, padding="same"), TypeError, "Conv2d: padding .*got 'same'"),
        (lambda: nn.Conv2d(3, 8, 3, dilation=2), NotImplementedError, r"Conv2d: dilation must be 1 or \(1, 1\), got 2"),
        (
            lambda: nn.Conv2d(3, 8, 3, groups=2),
            ValueError,
            "in_channels must be divisible by groups=2, got 3",
        ),
        (
            lambda: nn.Conv2d(4, 7, 3, groups=2),
            ValueError,
            "out_channels must be divisible by groups=2, got 7",
        ),
        (lambda: nn.Conv2d(3, 8, 3, bias=np.zeros(8)), TypeError, "Conv2d: bias must be True or False"),
        (
            lambda: nn.Conv2d(3, 8, 3, padding_mode="reflect"),
            NotImplementedError,
            "Conv2d: padding_mode must be 'zeros', got 'reflect'",
        ),
        (lambda: nn.Conv2d(3, 8, 3, device="tpu"), ValueError, "device must be 'cpu', 'cuda' or 'cuda:N', got 'tpu'"),
        (
            lambda: nn.Conv2d(3, 8, 3, dtype=np.float16),
            NotImplementedError,
            "Conv2d: dtype must be float32 or float64, got <class 'numpy.float16'>",
        ),
        (lambda: nn.MaxPool2d(0), ValueError, "MaxPool2d: kernel_size must be at least 1, got 0"),
        (lambda: nn.MaxPool2d(3, dilation=2), NotImplementedError, "MaxPool2d: dilation must be 1 or .*, got 2"),
        (
            lambda: nn.MaxPool2d(3, return_indices=True),
            NotImplementedError,
            "MaxPool2d: return_indices must be False, got True",
        ),
        (lambda: nn.AvgPool2d(3, stride=(1, 0)), ValueError, "AvgPool2d: stride must be at least 1"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()
