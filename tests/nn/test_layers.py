"""The layers: parameters, arguments passed on to the right function, and arguments refused.

Convolution and pools have test_windows.py, response normalisation test_normalisation.py.
"""

import inspect

import every_layer
import numpy as np
import pytest

import minicnn
import minicnn.functional as F
from minicnn import nn
from minicnn.autograd import Tensor

IMAGES = np.random.default_rng(0).standard_normal((2, 4, 7, 9)).astype(np.float32)


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


def test_linear_passes_everything_on():
    fc = nn.Linear(9, 5)
    np.testing.assert_array_equal(fc(IMAGES).data, F.linear(IMAGES, fc.weight, fc.bias).data)


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (nn.ReLU(), F.relu),
        (nn.ReLU(inplace=True), F.relu),
        (nn.LeakyReLU(0.2, inplace=True), lambda x: F.leaky_relu(x, 0.2)),
        (nn.Identity(54, unused=True), lambda x: x),
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


def test_repr():
    assert repr(nn.Linear(2, 3, bias=False)) == "Linear(in_features=2, out_features=3, bias=False)"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Linear(-1, 8), ValueError, "Linear: in_features must be at least 1, got -1"),
        (lambda: nn.Linear(3, "8"), TypeError, "Linear: out_features must be an integer, got '8'"),
        (lambda: nn.Linear(3, 8, device="tpu"), ValueError, "device must be 'cpu', 'cuda' or 'cuda:N', got 'tpu'"),
        (lambda: nn.PadTo(0), ValueError, "PadTo: size must be at least 1, got 0"),
        (lambda: nn.PadTo(8, 9), ValueError, "PadTo: smallest must be at most size=8, got 9"),
        (lambda: nn.ReLU(inplace=1), TypeError, "ReLU: inplace must be True or False, got 1"),
        (lambda: nn.Dropout(1.5), ValueError, "Dropout: p must lie between 0 and 1, got 1.5"),
        (lambda: nn.Dropout(inplace="a"), TypeError, "Dropout: inplace must be True or False, got 'a'"),
        (lambda: nn.Tanh(1), TypeError, "takes 1 positional argument"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_every_layer_is_public():
    assert len(every_layer.KINDS) >= 11
    for module in (minicnn.nn.layers, minicnn.nn.normalisation, minicnn.nn.windows, minicnn.nn.convolution):
        here = {name for name, thing in vars(module).items() if getattr(thing, "__module__", "") == module.__name__}
        assert {name for name in here if name[0] != "_"} - {"Pair"} == set(module.__all__)
        assert set(module.__all__) <= set(nn.__all__)


@pytest.mark.parametrize("kind", every_layer.KINDS)
def test_every_layer_declares_its_output(kind):
    assert kind.output_info is not nn.Module.output_info


@pytest.mark.torch
@pytest.mark.parametrize("name", [kind.__name__ for kind in every_layer.KINDS if kind is not nn.PadTo])
def test_arguments_and_defaults_are_torchs(name):
    torch = pytest.importorskip("torch")
    if not hasattr(torch.nn, name):
        pytest.skip(f"PyTorch has no {name}")

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
