"""The network of Figure 1: its shapes, its parameters, its first values."""

import numpy as np
import pytest

import minicnn
import minicnn.functional as F
from minicnn import nn, optim
from minicnn.models import four_layer

SHAPES = {
    "conv1.weight": (32, 3, 5, 5),
    "conv1.bias": (32,),
    "conv2.weight": (32, 32, 5, 5),
    "conv2.bias": (32,),
    "conv3.weight": (64, 32, 5, 5),
    "conv3.bias": (64,),
    "fc.weight": (10, 576),
    "fc.bias": (10,),
}


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_layers_and_shapes(activation):
    net = four_layer(activation)
    assert {name: parameter.shape for name, parameter in net.named_parameters()} == SHAPES
    assert sum(parameter.numel() for parameter in net.parameters()) == 85_098
    act = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}[activation]
    assert [type(layer) for layer in net] == [nn.Conv2d, act, nn.MaxPool2d] * 3 + [nn.Flatten, nn.Linear]
    x = np.zeros((2, 3, 32, 32), np.float32)
    sizes = []
    for layer in net:
        x = layer(x)
        sizes.append(x.shape)
    assert sizes[2::3][:3] == [(2, 32, 15, 15), (2, 32, 7, 7), (2, 64, 3, 3)]
    assert sizes[-1] == (2, 10)


@pytest.mark.parametrize("init", ["normal", "xavier", "he"])
def test_first_values(init):
    minicnn.manual_seed(0)
    net = four_layer(init=init)
    for name, parameter in net.named_parameters():
        if name.endswith("bias"):
            assert (parameter.data == 0).all()
            continue
        fan_in, fan_out = parameter.data[0].size, parameter.numel() // parameter.shape[1]
        std = {"normal": 0.01, "xavier": (2 / (fan_in + fan_out)) ** 0.5, "he": (2 / fan_in) ** 0.5}[init]
        assert parameter.data.std() == pytest.approx(std, rel=0.05)
        assert parameter.data.mean() == pytest.approx(0, abs=0.05 * std)
        within_one_std = 3**-0.5 if init == "xavier" else 0.6827
        assert (abs(parameter.data) < std).mean() == pytest.approx(within_one_std, abs=0.03)


def test_the_seed_decides_the_weights():
    minicnn.manual_seed(7)
    first = four_layer().state_dict()
    minicnn.manual_seed(7)
    for name, value in four_layer().state_dict().items():
        np.testing.assert_array_equal(value, first[name])


def test_other_numbers_of_classes():
    assert four_layer(num_classes=3)(np.zeros((1, 3, 32, 32), np.float32)).shape == (1, 3)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_it_learns_a_handful_of_pictures_by_heart(activation):
    minicnn.manual_seed(0)
    random = np.random.default_rng(0)
    images, labels = random.standard_normal((8, 3, 32, 32)).astype(np.float32), np.arange(8)
    net = four_layer(activation, init="xavier")
    optimizer = optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    for _ in range(25):
        loss = F.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (net(images).data.argmax(axis=1) == labels).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"activation": "gelu"},
            ValueError,
            "four_layer: activation must be one of relu, tanh, sigmoid; got 'gelu'",
        ),
        ({"init": "zeros"}, ValueError, "four_layer: init must be one of normal, xavier, he; got 'zeros'"),
        ({"num_classes": 0}, ValueError, "out_features must be at least 1, got 0"),
    ],
)
def test_refusals(arguments, error, message):
    with pytest.raises(error, match=message):
        four_layer(**arguments)


def test_pictures_of_another_size_are_refused_by_the_layer_that_cannot_take_them():
    with pytest.raises(ValueError, match=r"^fc \(Linear\): linear: "):
        four_layer()(np.zeros((1, 3, 40, 40), np.float32))
    with pytest.raises(ValueError, match=r"^conv1 \(Conv2d\): conv2d: input has 1 channels"):
        four_layer()(np.zeros((1, 1, 32, 32), np.float32))
