"""The layers: parameters, arguments passed on to the right function, and arguments refused."""

import inspect

import naive
import numpy as np
import pytest

import minicnn
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


def test_linear_has_its_parameters():
    fc = nn.Linear(4, 6)
    assert fc.weight.shape == (6, 4)
    assert fc.bias.shape == (6,)
    assert fc.weight.dtype == np.float32
    assert nn.Linear(4, 6, bias=False).bias is None
    assert nn.Linear(4, 6, dtype="float64").weight.dtype == np.float64


@pytest.mark.parametrize(
    ("layer", "bound"), [(lambda: nn.Conv2d(8, 64, 5, groups=2), 0.1), (lambda: nn.Linear(100, 64), 0.1)]
)
def test_first_values_are_uniform_up_to_one_over_root_fan_in(layer, bound):
    minicnn.manual_seed(3)
    layer = layer()
    for numbers in (layer.weight.data, layer.bias.data):
        assert abs(numbers).max() <= bound
        assert abs(numbers).max() > 0.9 * bound
        assert numbers.std() == pytest.approx(bound / 3**0.5, rel=0.2)
    minicnn.manual_seed(3)
    again = nn.Linear(100, 64) if isinstance(layer, nn.Linear) else nn.Conv2d(8, 64, 5, groups=2)
    np.testing.assert_array_equal(again.weight.data, layer.weight.data)


def test_conv2d_passes_everything_on():
    conv = nn.Conv2d(4, 6, (3, 2), stride=(2, 3), padding=(1, 0), groups=2)
    expected = F.conv2d(Tensor(IMAGES), conv.weight, conv.bias, (2, 3), (1, 0), 1, 2)
    np.testing.assert_array_equal(conv(Tensor(IMAGES)).data, expected.data)
    conv = nn.Conv2d(4, 6, 3, bias=False)
    np.testing.assert_array_equal(conv(IMAGES).data, F.conv2d(IMAGES, conv.weight).data)


def test_linear_passes_everything_on():
    fc = nn.Linear(9, 5)
    np.testing.assert_array_equal(fc(IMAGES).data, F.linear(IMAGES, fc.weight, fc.bias).data)


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
        (nn.LocalResponseNorm(3), lambda x: F.local_response_norm(x, 3)),
        (nn.LocalResponseNorm(2, 1.5, 0.5, 2), lambda x: F.local_response_norm(x, 2, 1.5, 0.5, 2.0)),
        (nn.ReLU(), F.relu),
        (nn.Tanh(), F.tanh),
        (nn.Sigmoid(), F.sigmoid),
        (nn.Flatten(), lambda x: F.flatten(x, 1)),
        (nn.Flatten(0, 2), lambda x: F.flatten(x, 0, 2)),
    ],
    ids=lambda value: repr(value) if isinstance(value, nn.Module) else "",
)
def test_layers_without_parameters_pass_everything_on(layer, function):
    x = Tensor(IMAGES)
    expected = function(x).data
    output = layer(x).data
    assert output.shape == expected.shape
    np.testing.assert_array_equal(output, expected)
    assert list(layer.parameters()) == []


# --- LRN in the terms of others: below, above, k and a of the plain formula, with alpha near 1 -----------------


@pytest.mark.parametrize(
    ("layer", "below", "above", "k", "a", "beta"),
    [
        (nn.LocalResponseNorm.from_paper(5, 2.0, 0.7, 0.6), 2, 2, 2.0, 0.7, 0.6),
        (nn.LocalResponseNorm.from_paper(n=3, alpha=0.7), 1, 1, 2.0, 0.7, 0.75),
        (nn.LocalResponseNorm.from_paper(1, 1, 0.7, 1), 0, 0, 1.0, 0.7, 1.0),
        (nn.LocalResponseNorm.from_tensorflow(2, 2.0, 0.7, 0.75), 2, 2, 2.0, 0.7, 0.75),
        (nn.LocalResponseNorm.from_tensorflow(1), 1, 1, 1.0, 1.0, 0.5),
        (nn.LocalResponseNorm.from_tensorflow(depth_radius=0, bias=3), 0, 0, 3.0, 1.0, 0.5),
        (nn.LocalResponseNorm.from_caffe(5, 0.7, 0.6, 2.0), 2, 2, 2.0, 0.7 / 5, 0.6),
        (nn.LocalResponseNorm.from_caffe(local_size=3), 1, 1, 1.0, 1 / 3, 0.75),
    ],
    ids=str,
)
def test_lrn_in_the_terms_of_others(layer, below, above, k, a, beta):
    x = np.random.default_rng(4).standard_normal((2, 8, 2, 3))
    expected = naive.local_response_norm(x, below, above, k, a, beta)
    np.testing.assert_allclose(layer(x).data, expected, rtol=1e-12)


def test_lrns_defaults_are_those_of_the_others():
    def numbers(layer):
        return layer.size, layer.alpha / layer.size, layer.beta, layer.k

    assert numbers(nn.LocalResponseNorm.from_paper()) == pytest.approx((5, 1e-4, 0.75, 2))
    assert numbers(nn.LocalResponseNorm.from_tensorflow()) == pytest.approx((11, 1, 0.5, 1))
    assert numbers(nn.LocalResponseNorm.from_caffe()) == pytest.approx((5, 1 / 5, 0.75, 1))


def test_the_numbers_that_the_article_prints():
    """tf.nn.lrn(a, 2, 0, 1, 1) of 1 2 ... 8: 1/14, 2/30, 3/55, 4/90, ..."""
    layer = nn.LocalResponseNorm.from_tensorflow(2, 0, 1, 1)
    y = layer(np.arange(1.0, 9.0).reshape(1, 8)).data
    np.testing.assert_allclose(y[0, :4], [1 / 14, 2 / 30, 3 / 55, 4 / 90], rtol=1e-12)
    np.testing.assert_allclose(y[0, 6:], [0.04022989, 0.05369128], rtol=1e-6)


def test_the_papers_layer_in_three_dialects():
    paper = nn.LocalResponseNorm.from_paper()
    assert repr(paper) == repr(nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2))
    assert repr(paper) == repr(nn.LocalResponseNorm.from_tensorflow(2, 2, 1e-4, 0.75))
    assert repr(paper) == repr(nn.LocalResponseNorm.from_caffe(5, 5e-4, 0.75, 2))


# --- padding ------------------------------------------------------------------------------------------------


def test_pad_to_adds_zeros_below_and_to_the_right():
    x = Tensor(IMAGES, requires_grad=True)  # 7 x 9
    y = nn.PadTo(10)(x)
    assert y.shape == (2, 4, 10, 10)
    np.testing.assert_array_equal(y.data[:, :, :7, :9], IMAGES)
    assert not y.data[:, :, 7:].any()
    assert not y.data[:, :, :, 9:].any()
    gradient = np.random.default_rng(5).standard_normal(y.shape).astype(np.float32)
    y.backward(gradient)
    np.testing.assert_array_equal(x.grad, gradient[:, :, :7, :9])
    assert nn.PadTo(9)(nn.PadTo(9)(IMAGES)).shape == (2, 4, 9, 9)
    assert repr(nn.PadTo(227, 224)) == "PadTo(227, smallest=224)"


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (nn.PadTo(8), (1, 1, 9, 8), "PadTo: input must have a height and width from 1 to 8, got 9x8"),
        (nn.PadTo(8, smallest=6), (1, 1, 8, 5), "PadTo: input must have a height and width from 6 to 8, got 8x5"),
        (nn.PadTo(8), (8, 8), r"PadTo: input must have shape \(N, C, H, W\), got \(8, 8\)"),
    ],
)
def test_pad_to_refuses_pictures(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer(np.zeros(shape, np.float32))


def test_dropout_only_drops_in_training():
    layer = nn.Dropout(0.25)
    ones = np.ones((100, 100), np.float32)
    dropped = layer(ones).data
    assert set(np.unique(dropped)) == {0.0, np.float32(1 / 0.75)}
    assert (dropped == 0).mean() == pytest.approx(0.25, abs=0.02)
    np.testing.assert_array_equal(layer.eval()(ones).data, ones)


def test_gradients_reach_every_parameter():
    net = nn.Sequential(nn.Conv2d(4, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(70, 3))
    net(IMAGES).sum().backward()
    assert all(parameter.grad.shape == parameter.shape for parameter in net.parameters())


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
    assert repr(nn.LocalResponseNorm(5, 5e-4, 0.75, 2)) == ("LocalResponseNorm(5, alpha=0.0005, beta=0.75, k=2.0)")
    assert repr(nn.Linear(2, 3, bias=False)) == "Linear(in_features=2, out_features=3, bias=False)"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Conv2d(0, 8, 3), ValueError, "Conv2d: in_channels must be at least 1, got 0"),
        (lambda: nn.Conv2d(3, 8.0, 3), TypeError, "Conv2d: out_channels must be an integer, got 8.0"),
        (lambda: nn.Conv2d(3, 8, (3, 3, 3)), TypeError, "Conv2d: kernel_size .*got .3, 3, 3."),
        (lambda: nn.Conv2d(3, 8, 3, stride=0), ValueError, "Conv2d: stride must be at least 1, got 0"),
        (lambda: nn.Conv2d(3, 8, 3, padding=-1), ValueError, "Conv2d: padding must be at least 0, got -1"),
        (lambda: nn.Conv2d(3, 8, 3, padding="same"), TypeError, "Conv2d: padding .*got 'same'"),
        (lambda: nn.Conv2d(3, 8, 3, dilation=2), NotImplementedError, "Conv2d: dilation=2 .*accepted: 1"),
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
            "Conv2d: padding_mode='reflect' .*accepted: 'zeros'",
        ),
        (lambda: nn.Conv2d(3, 8, 3, device="tpu"), ValueError, "device must be 'cpu', 'cuda' or 'cuda:N', got 'tpu'"),
        (
            lambda: nn.Conv2d(3, 8, 3, dtype=np.float16),
            NotImplementedError,
            "Conv2d: dtype=.*float32 or float64",
        ),
        (lambda: nn.Linear(-1, 8), ValueError, "Linear: in_features must be at least 1, got -1"),
        (lambda: nn.Linear(3, "8"), TypeError, "Linear: out_features must be an integer, got '8'"),
        (lambda: nn.Linear(3, 8, device="tpu"), ValueError, "device must be 'cpu', 'cuda' or 'cuda:N', got 'tpu'"),
        (lambda: nn.MaxPool2d(0), ValueError, "MaxPool2d: kernel_size must be at least 1, got 0"),
        (lambda: nn.MaxPool2d(3, dilation=2), NotImplementedError, "MaxPool2d: dilation=2"),
        (lambda: nn.MaxPool2d(3, return_indices=True), NotImplementedError, "return_indices=True .*: False"),
        (lambda: nn.AvgPool2d(3, stride=(1, 0)), ValueError, "AvgPool2d: stride must be at least 1"),
        (lambda: nn.LocalResponseNorm(0), ValueError, "LocalResponseNorm: size must be at least 1, got 0"),
        (
            lambda: nn.LocalResponseNorm(5, "a"),
            TypeError,
            "LocalResponseNorm: alpha must be a number, got 'a'",
        ),
        (lambda: nn.LocalResponseNorm.from_paper(4), ValueError, "from_paper: n must be odd, got 4"),
        (lambda: nn.LocalResponseNorm.from_paper(0), ValueError, "from_paper: n must be at least 1, got 0"),
        (lambda: nn.LocalResponseNorm.from_paper(alpha=None), TypeError, "from_paper: alpha must be a number"),
        (lambda: nn.LocalResponseNorm.from_caffe(2), ValueError, "from_caffe: local_size must be odd, got 2"),
        (lambda: nn.LocalResponseNorm.from_caffe(5.0), TypeError, "from_caffe: local_size must be an integer"),
        (lambda: nn.LocalResponseNorm.from_tensorflow(2.5), TypeError, "from_tensorflow: depth_radius must be an int"),
        (lambda: nn.LocalResponseNorm.from_tensorflow(-1), ValueError, "from_tensorflow: depth_radius .*least 0"),
        (lambda: nn.LocalResponseNorm.from_tensorflow(bias="1"), TypeError, "from_tensorflow: bias must be a number"),
        (lambda: nn.PadTo(0), ValueError, "PadTo: size must be at least 1, got 0"),
        (lambda: nn.PadTo(8, 9), ValueError, "PadTo: smallest must be at most size=8, got 9"),
        (lambda: nn.ReLU(inplace=True), NotImplementedError, "ReLU: inplace=True .*accepted: False"),
        (lambda: nn.Dropout(1.5), ValueError, "Dropout: p must lie between 0 and 1, got 1.5"),
        (lambda: nn.Dropout(inplace=True), NotImplementedError, "Dropout: inplace=True"),
        (lambda: nn.Tanh(1), TypeError, "takes 1 positional argument"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()


LAYERS = "AvgPool2d Conv2d Dropout Flatten Linear LocalResponseNorm MaxPool2d ReLU Sigmoid Tanh".split()


@pytest.mark.torch
@pytest.mark.parametrize("name", LAYERS)
def test_arguments_and_defaults_are_torchs(name):
    torch = pytest.importorskip("torch")

    def arguments(layer):
        parameters = inspect.signature(layer).parameters.values()
        kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        return [(p.name, p.default) for p in parameters if p.kind not in kinds]

    assert arguments(getattr(nn, name)) == arguments(getattr(torch.nn, name))


@pytest.mark.torch
def test_a_network_computes_what_torchs_does():
    torch = pytest.importorskip("torch")

    def build(nn, **kind):
        return nn.Sequential(
            nn.Conv2d(4, 6, 3, 1, (1, 2), 1, 2, **kind),
            nn.ReLU(),
            nn.LocalResponseNorm(3, 0.9, 0.75, 2.0),
            nn.MaxPool2d(3, 2, 1),
            nn.Conv2d(6, 5, (2, 3), bias=False, **kind),
            nn.Tanh(),
            nn.AvgPool2d(2, 1, ceil_mode=True),
            nn.Flatten(),
            nn.Dropout(0.9),
            nn.Linear(30, 3, **kind),
            nn.Sigmoid(),
        ).eval()

    ours, theirs = build(nn, dtype=np.float64), build(torch.nn, dtype=torch.float64)
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    images = IMAGES.astype(np.float64)
    output, expected = ours(images), theirs(torch.from_numpy(images))
    np.testing.assert_allclose(output.data, expected.detach().numpy(), rtol=0, atol=1e-10)

    cotangent = np.random.default_rng(1).standard_normal(output.shape)
    output.backward(cotangent)
    expected.backward(torch.from_numpy(cotangent))
    for mine, torchs in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(mine.grad, torchs.grad.numpy(), rtol=0, atol=1e-10)
