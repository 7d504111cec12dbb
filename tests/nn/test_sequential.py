"""Sequential: order, indexing, names, nested chains."""

from collections import OrderedDict

import numpy as np
import pytest

from minicnn import nn


def test_sequential_runs_in_order_a_repeated_module_each_time():
    double = nn.Linear(1, 1)
    double.load_state_dict({"weight": [[2.0]], "bias": [1.0]})
    net = nn.Sequential(double, nn.ReLU(), double)
    assert len(net) == 3
    assert net(np.array([[3.0]], np.float32)).item() == 15
    assert len(list(net.parameters())) == 2


def test_sequential_indexing_slicing_and_iteration():
    layers = [nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 3), nn.Tanh()]
    net = nn.Sequential(*layers)
    assert list(net) == layers
    assert net[0] is layers[0]
    assert net[-1] is layers[3]
    part = net[1:3]
    assert type(part) is nn.Sequential
    assert list(part) == layers[1:3]
    assert list(part.state_dict()) == ["2.weight", "2.bias"]
    for index in (4, -5):
        with pytest.raises(IndexError, match=f"index {index} is out of range for 4 modules"):
            net[index]


@pytest.mark.parametrize("kind", [nn.Sequential, lambda *modules: nn.ModuleList(modules)])
def test_a_module_is_put_in_the_place_of_another(kind):
    net, last = kind(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 3)), nn.Linear(2, 5)
    net[2] = last
    net[-2] = tanh = nn.Tanh()
    assert list(net)[1:] == [tanh, last]
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    with pytest.raises(IndexError, match="index 3 is out of range for 3 modules"):
        net[3] = last


def test_sequential_append():
    net = nn.Sequential(nn.Linear(2, 2))
    assert net.append(nn.ReLU()) is net
    assert [name for name, _ in net.named_children()] == ["0", "1"]
    tail = nn.Sequential(nn.ReLU(), nn.ReLU(), nn.Tanh())[1:]  # its names are "1" and "2"
    tail.append(nn.Sigmoid())
    assert [type(module).__name__ for module in tail] == ["ReLU", "Tanh", "Sigmoid"]


def test_sequential_with_names():
    net = nn.Sequential(OrderedDict([("fc", nn.Linear(2, 3)), ("act", nn.ReLU())]))
    assert list(net.state_dict()) == ["fc.weight", "fc.bias"]
    assert net.fc is net[0]
    assert repr(net) == ("Sequential(\n  (fc): Linear(in_features=2, out_features=3, bias=True)\n  (act): ReLU()\n)")


@pytest.mark.parametrize(
    ("modules", "error", "message"),
    [
        ((nn.ReLU,), TypeError, "module '0' must be a Module"),
        (([nn.ReLU()],), TypeError, "module '0' must be a Module"),
        (({"a": 1},), TypeError, "module 'a' must be a Module, got 1"),
        (({1: nn.ReLU()},), TypeError, "name of a module must be a string, got 1"),
        (({"": nn.ReLU()},), ValueError, "must not be empty or contain a dot, got ''"),
        (({"a.b": nn.ReLU()},), ValueError, "must not be empty or contain a dot, got 'a.b'"),
        (({"forward": nn.ReLU()},), ValueError, "'forward' is already taken"),
        (({"training": nn.ReLU()},), ValueError, "'training' is already taken"),
    ],
)
def test_sequential_refuses(modules, error, message):
    with pytest.raises(error, match=message):
        nn.Sequential(*modules)


def test_named_layers_goes_through_nested_chains_and_repeats_a_shared_layer():
    class Twice(nn.Sequential):
        def forward(self, input):
            return super().forward(super().forward(input))

    shared, twice = nn.ReLU(), Twice(nn.Tanh())
    net = nn.Sequential(nn.Sequential(nn.Linear(2, 2), shared), nn.Sequential({"inner": nn.Sequential(shared)}), twice)
    layers = list(net.named_layers())
    assert [path for path, _ in layers] == ["0.0", "0.1", "1.inner.0", "2"]
    assert [layer for _, layer in layers] == [net[0][0], shared, shared, twice]  # whose forward is no plain chain
    assert [path for path, _ in net.named_layers("net")][0] == "net.0.0"


def test_a_list_of_modules_is_part_of_the_module_that_has_it():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(2, 2), nn.ReLU()])

    net = Net()
    assert net.layers.append(nn.Linear(2, 3)) is net.layers
    assert net.layers.extend([nn.Tanh()]) is net.layers
    assert list(net.state_dict()) == ["layers.0.weight", "layers.0.bias", "layers.2.weight", "layers.2.bias"]
    assert len(net.layers) == 4
    assert net.layers[-1] is list(net.layers)[3]
    part = net.layers[2:]
    assert type(part) is nn.ModuleList
    assert [name for name, _ in part.named_children()] == ["0", "1"]
    assert len(nn.ModuleList()) == 0
    with pytest.raises(IndexError, match="ModuleList: index 4 is out of range for 4 modules"):
        net.layers[4]
    with pytest.raises(NotImplementedError, match="ModuleList does not define forward"):
        net.layers(1)
