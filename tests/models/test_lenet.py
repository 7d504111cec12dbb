import numpy as np
import pytest

import minicnn
import minicnn.functional as F
from minicnn import nn, optim
from minicnn.models import lenet5


def test_layers_and_parameters():
    network = lenet5(in_channels=1)
    summary = minicnn.summary(network, (1, 1, 32, 32))
    assert summary.parameters == 61_706
    assert [row.output_shape[1:] for row in summary if row.layer in set(network.modules()) and row.arithmetic] == [
        (6, 28, 28),
        (6, 14, 14),
        (16, 10, 10),
        (16, 5, 5),
        (400,),
    ]
    assert [row.output_shape[1] for row in summary if isinstance(row.layer, nn.Linear)] == [120, 84, 10]
    assert [name for name, _ in network.named_children()] == (
        "conv1 tanh1 pool1 conv2 tanh2 pool2 flatten fc3 tanh3 fc4 tanh4 fc5".split()
    )
    assert all(isinstance(layer, nn.AvgPool2d) for name, layer in network.named_children() if name.startswith("pool"))


@pytest.mark.parametrize(("in_size", "channels", "inputs"), [(28, 1, 400), (32, 3, 400), (33, 3, 400), (64, 3, 2704)])
def test_pictures_of_other_sizes(in_size, channels, inputs):
    network = lenet5(num_classes=7, in_size=in_size, in_channels=channels)
    assert network.fc3.in_features == inputs
    assert network(np.zeros((2, channels, in_size, in_size), np.float32)).shape == (2, 7)


def test_first_values_keep_the_size_of_activations():
    network = lenet5()
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            assert (parameter.data == 0).all()
        else:
            fan_in, fan_out = parameter.data[0].size, parameter.numel() // parameter.shape[1]
            assert abs(parameter.data).max() <= (6 / (fan_in + fan_out)) ** 0.5
            assert parameter.data.std() == pytest.approx((2 / (fan_in + fan_out)) ** 0.5, rel=0.15)


def test_it_learns_a_handful_of_pictures_by_heart(rng):
    images, labels = rng.standard_normal((8, 3, 32, 32)).astype(np.float32), np.arange(8)
    network = lenet5()
    optimizer = optim.SGD(network.parameters(), lr=0.02, momentum=0.9)
    for _ in range(30):
        loss = F.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (network(images).data.argmax(axis=1) == labels).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"in_size": 27}, ValueError, "lenet5: in_size must be 28, or at least 32, got 27"),
        ({"in_size": 31}, ValueError, "lenet5: in_size must be 28, or at least 32, got 31"),
        ({"in_channels": 0}, ValueError, "lenet5: in_channels must be at least 1, got 0"),
        ({"num_classes": "10"}, TypeError, "lenet5: num_classes must be an integer, got '10'"),
        ({"activation": "elu"}, ValueError, "lenet5: activation must be one of relu, tanh, sigmoid; got 'elu'"),
    ],
)
def test_refusals(arguments, error, message):
    with pytest.raises(error, match=message):
        lenet5(**arguments)
