"""Convolution and transposed convolution as layers: parameters, arguments, what they declare, what they refuse."""

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
    conv = nn.Conv2d(4, 6, (3, 2), padding="same", dilation=(2, 3))
    expected = F.conv2d(IMAGES, conv.weight, conv.bias, 1, "same", (2, 3))
    np.testing.assert_array_equal(conv(Tensor(IMAGES)).data, expected.data)
    conv = nn.Conv2d(4, 6, 3, bias=False)
    np.testing.assert_array_equal(conv(IMAGES).data, F.conv2d(IMAGES, conv.weight).data)


def test_conv_transpose2d_passes_everything_on():
    layer = nn.ConvTranspose2d(4, 6, (3, 2), (2, 3), (1, 0), (1, 2), 2, dilation=(2, 1))
    assert (layer.weight.shape, layer.bias.shape) == ((4, 3, 3, 2), (6,))
    assert abs(layer.weight.data).max() <= abs(layer.bias.data).max() * 6 and abs(layer.weight.data).max() <= 18**-0.5
    expected = F.conv_transpose2d(IMAGES, layer.weight, layer.bias, (2, 3), (1, 0), (1, 2), 2, (2, 1))
    np.testing.assert_array_equal(layer(Tensor(IMAGES)).data, expected.data)
    assert nn.ConvTranspose2d(4, 6, 3, bias=False).bias is None


@pytest.mark.parametrize(
    ("layer", "arithmetic", "what"),
    [
        (
            nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=2),
            "(7 + 2*2 - 5)/1 + 1 = 7; (9 + 2*2 - 5)/1 + 1 = 9",
            "conv 3x3x2, padding 2, dilation 2, 2 groups",
        ),
        (
            nn.Conv2d(4, 8, (3, 2), padding="same"),
            "(7 + 2*1 - 3)/1 + 1 = 7; (9 + 0 + 1 - 2)/1 + 1 = 9",
            "conv 3x2x4, padding same",
        ),
        (
            nn.ConvTranspose2d(4, 8, 3, 2, 1, 1),
            "(7 - 1)*2 + 3 - 2*1 + 1 = 14; (9 - 1)*2 + 3 - 2*1 + 1 = 18",
            "transposed conv 3x3x8, stride 2, padding 1",
        ),
    ],
)
def test_the_arithmetic(layer, arithmetic, what):
    info = layer.output_info((2, 4, 7, 9))
    assert (info.arithmetic, info.what) == (arithmetic, what)
    assert info.output_shape == layer(Tensor(IMAGES)).shape


def test_multiply_accumulates_do_not_grow_with_the_gaps():
    wide, dense = (nn.Conv2d(4, 8, 3, padding="same", dilation=gap).output_info((2, 4, 7, 9)) for gap in (3, 1))
    assert wide.macs == dense.macs == 8 * 7 * 9 * 4 * 3 * 3
    # each pixel of each channel is multiplied by all that it writes
    assert nn.ConvTranspose2d(4, 8, 3, 2, groups=2).output_info((2, 4, 7, 9)).macs == 4 * 7 * 9 * 4 * 3 * 3


def test_reprs():
    assert repr(nn.Conv2d(3, 8, (3, 2), 2, groups=1, bias=False)) == (
        "Conv2d(3, 8, kernel_size=(3, 2), stride=(2, 2), bias=False)"
    )
    assert repr(nn.Conv2d(4, 8, 5, padding=2, groups=2)) == (
        "Conv2d(4, 8, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2), groups=2)"
    )
    assert repr(nn.Conv2d(4, 8, 3, padding="same", dilation=2)) == (
        "Conv2d(4, 8, kernel_size=(3, 3), stride=(1, 1), padding=same, dilation=(2, 2))"
    )
    assert repr(nn.ConvTranspose2d(4, 8, 3, 2, 1, 1)) == (
        "ConvTranspose2d(4, 8, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), output_padding=(1, 1))"
    )


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Conv2d(0, 8, 3), ValueError, "Conv2d: in_channels must be at least 1, got 0"),
        (lambda: nn.Conv2d(3, 8.0, 3), TypeError, "Conv2d: out_channels must be an integer, got 8.0"),
        (lambda: nn.Conv2d(3, 8, (3, 3, 3)), TypeError, "Conv2d: kernel_size .*got .3, 3, 3."),
        (lambda: nn.Conv2d(3, 8, 3, stride=0), ValueError, "Conv2d: stride must be at least 1, got 0"),
        (lambda: nn.Conv2d(3, 8, 3, padding=-1), ValueError, "Conv2d: padding must be at least 0, got -1"),
        (lambda: nn.Conv2d(3, 8, 3, 2, "same"), ValueError, "Conv2d: stride must be 1 with padding='same', got .2, 2."),
        (lambda: nn.Conv2d(3, 8, 3, padding="full"), ValueError, "Conv2d: padding must be 'same', .* got 'full'"),
        (lambda: nn.Conv2d(3, 8, 3, dilation=0), ValueError, "Conv2d: dilation must be at least 1, got 0"),
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
        (lambda: nn.ConvTranspose2d(3, 8, 0), ValueError, "ConvTranspose2d: kernel_size must be at least 1, got 0"),
        (lambda: nn.ConvTranspose2d(3, 8, 3, padding="same"), TypeError, "ConvTranspose2d: padding .* got 'same'"),
        (lambda: nn.ConvTranspose2d(3, 8, 3, groups=2), ValueError, "ConvTranspose2d: in_channels must be divisible"),
        (
            lambda: nn.ConvTranspose2d(3, 8, 3, padding_mode="reflect"),
            NotImplementedError,
            "ConvTranspose2d: padding_mode must be 'zeros', got 'reflect'",
        ),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_what_does_not_fit_is_refused_on_shapes_alone():
    for layer, message in (
        (nn.Conv2d(3, 8, 3), "conv2d: input has 4 channels, the layer takes 3"),
        (nn.Conv2d(4, 8, 3, dilation=4), r"the window of 9 is larger than the input of 7"),
        (nn.ConvTranspose2d(3, 8, 3), "conv_transpose2d: input has 4 channels, the layer takes 3"),
        (nn.ConvTranspose2d(4, 8, 1, padding=4), r"conv_transpose2d: padding=\(4, 4\) leaves nothing of the output"),
    ):
        with pytest.raises(ValueError, match=message):
            layer.output_info((2, 4, 7, 9))
