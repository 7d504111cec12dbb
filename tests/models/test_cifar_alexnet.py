"""AlexNet's recipe for small images: shapes, counts, initial weights, switches."""

import numpy as np
import pytest

import minicnn
import minicnn.functional as F
from minicnn import Tensor, nn, optim
from minicnn.models import alexnet, alexnet_cifar


def shapes_of(make, **arguments):
    """The network without its numbers, and the summary through it."""
    with nn.init.skip_arrays():
        network = make(**arguments)
    size = network.config["in_size"]
    return network, minicnn.summary(network, (1, 3, size, size))


def test_alexnet_cifars_layers():
    network, summary = shapes_of(alexnet_cifar)
    assert (summary.parameters, summary.macs) == (1_191_722, 32_997_888)
    assert [name for name, _ in network.named_children()] == [
        name for name, _ in shapes_of(alexnet)[0].named_children() if name != "pad"
    ]
    assert [summary[f"pool{n}"].output_shape[1:] for n in (1, 2, 5)] == [(48, 14, 14), (96, 7, 7), (96, 3, 3)]


@pytest.mark.parametrize("in_size", [12, 13, 24, 25, 28, 31, 32])
def test_pools_halve_whether_they_overlap_or_not(in_size):
    for overlapping, window in ((True, (3, 3)), (False, (2, 2))):
        network, summary = shapes_of(alexnet_cifar, in_size=in_size, overlapping=overlapping)
        assert {layer.kernel_size for layer in network if isinstance(layer, nn.MaxPool2d)} == {window}
        sizes = [summary[f"pool{n}"].output_shape[2] for n in (1, 2, 5)]
        assert sizes == [in_size // 2, in_size // 4, in_size // 8]


def test_alexnet_cifars_switches():
    shallow, summary = shapes_of(alexnet_cifar, depth=3)
    assert [name for name, _ in shallow.named_children() if name.startswith("conv")] == ["conv1", "conv2", "conv5"]
    assert summary.macs == 15_724_800
    bare, _ = shapes_of(alexnet_cifar, norm="none", dropout=0.0, activation="tanh", groups=2)
    assert not any(isinstance(layer, nn.LocalResponseNorm | nn.ReLU) for layer in bare)
    assert [layer.p for layer in bare if isinstance(layer, nn.Dropout)] == [0, 0]
    assert [layer.groups for layer in bare if isinstance(layer, nn.Conv2d)] == [1, 2, 1, 2, 2]
    norms = [layer for layer in shapes_of(alexnet_cifar)[0] if isinstance(layer, nn.LocalResponseNorm)]
    assert [(norm.size, norm.k, norm.beta) for norm in norms] == [(5, 2.0, 0.75)] * 2
    assert [norm.alpha / norm.size for norm in norms] == pytest.approx([0.36] * 2)


def test_batch_normalisation_stands_between_each_convolution_and_its_activation():
    network, summary = shapes_of(alexnet_cifar, norm="batch", depth=3)
    names = [name for name, _ in network.named_children()]
    assert names[:4] == ["conv1", "norm1", "relu1", "pool1"]
    assert [name for name in names if name.startswith("norm")] == ["norm1", "norm2", "norm5"]
    assert all(layer.bias is None for layer in network if isinstance(layer, nn.Conv2d))
    assert summary["norm2"].parameters == 2 * 96


@pytest.mark.parametrize(
    ("arguments", "behind_lrn"),
    [
        ({}, {"conv2", "conv3"}),
        ({"norm": "none", "activation": "tanh"}, set()),
        ({"depth": 3, "activation": "sigmoid"}, {"conv2", "conv5"}),
    ],
)
def test_alexnet_cifars_first_values(arguments, behind_lrn):
    for name, parameter in alexnet_cifar(**arguments).named_parameters():
        layer, _, kind = name.partition(".")
        if kind == "bias":
            assert (parameter.data == 0).all()
            continue
        fan_in, fan_out = parameter.data[0].size, parameter.numel() // parameter.shape[1]
        std = (2 / (fan_in + fan_out)) ** 0.5 if "activation" in arguments else (2 / fan_in) ** 0.5
        std = 0.01 if layer == "fc8" else std * (2**0.75 if layer in behind_lrn else 1)
        assert parameter.data.std() == pytest.approx(std, rel=0.04), name


def test_alexnet_cifar_learns_a_handful_of_pictures_by_heart(rng):
    images, labels = rng.standard_normal((10, 3, 24, 24)).astype(np.float32), np.arange(10)
    network = alexnet_cifar(in_size=24, dropout=0.0)
    optimizer = optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    for _ in range(60):
        loss = F.cross_entropy(network(Tensor(images)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (network(images).data.argmax(axis=1) == labels).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"depth": 4}, ValueError, "alexnet_cifar: depth must be one of 5, 3; got 4"),
        ({"in_size": 11}, ValueError, "alexnet_cifar: in_size must be at least 12, got 11"),
        ({"activation": None}, ValueError, "alexnet_cifar: activation must be one of"),
        ({"norm": 1}, ValueError, "alexnet_cifar: norm must be one of lrn, batch, none; got 1"),
        ({"overlapping": None}, TypeError, "alexnet_cifar: overlapping must be True or False, got None"),
        ({"dropout": "no"}, TypeError, "alexnet_cifar: dropout must be a number, got 'no'"),
        ({"groups": 5}, ValueError, "alexnet_cifar: groups must divide .*, got 5"),
        ({"num_classes": 2.5}, TypeError, "alexnet_cifar: num_classes must be an integer, got 2.5"),
    ],
)
def test_alexnet_cifars_refusals(arguments, error, message):
    with pytest.raises(error, match=message):
        alexnet_cifar(**arguments)
