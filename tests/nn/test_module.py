"""Module and Parameter: what they hold, in which order, how it is saved, shown and refused."""

import copy
import pickle
from collections import OrderedDict

import every_layer
import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.autograd import Tensor


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=1)
        self.scale = nn.Parameter([1.0, 2.0, 3.0])
        self.act = nn.ReLU()

    def forward(self, input):
        return self.act(self.conv(input))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = Block()
        self.gain = nn.Parameter(np.ones((2, 2)))
        self.tail = nn.Sequential(nn.Flatten(), nn.Linear(48, 5), nn.Dropout())

    def forward(self, input):
        return self.tail(self.block(input))


NAMES = ["gain", "block.scale", "block.conv.weight", "block.conv.bias", "tail.1.weight", "tail.1.bias"]


def test_parameter_is_a_leaf_that_wants_a_gradient():
    parameter = nn.Parameter([[1.0, 2.0]])
    assert isinstance(parameter, Tensor)
    assert parameter.requires_grad
    assert parameter.dtype == np.float32
    assert nn.Parameter(np.zeros(2)).dtype == np.float64
    assert not nn.Parameter([1.0], requires_grad=False).requires_grad
    tensor = Tensor([1.0, 2.0])
    assert nn.Parameter(tensor).data is tensor.data
    assert repr(parameter).startswith("Parameter containing:\nTensor([[1., 2.]]")


def test_whole_numbers_cannot_be_a_parameter():
    with pytest.raises(TypeError, match="int64"):
        nn.Parameter(np.arange(3))


def test_parameters_come_in_order_of_assignment_own_ones_first():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert [id(p) for p in net.parameters()] == [id(p) for _, p in net.named_parameters()]
    assert [name for name, _ in net.named_parameters(recurse=False)] == ["gain"]
    assert [name for name, _ in net.block.named_parameters(prefix="net.block")][0] == "net.block.scale"


def test_modules_and_children():
    net = Net()
    expected = ["", "block", "block.conv", "block.act", "tail", "tail.0", "tail.1", "tail.2"]
    assert [name for name, _ in net.named_modules()] == expected
    assert next(iter(net.modules())) is net
    assert [name for name, _ in net.named_children()] == ["block", "tail"]
    assert list(net.children()) == [net.block, net.tail]


def test_what_is_shared_is_counted_once_but_saved_under_each_name():
    net = nn.Module()
    net.first = nn.Linear(2, 2)
    net.second = nn.Linear(2, 2)
    net.second.weight = net.first.weight
    net.third = net.first
    assert [name for name, _ in net.named_parameters()] == ["first.weight", "first.bias", "second.bias"]
    assert [name for name, _ in net.named_children()] == ["first", "second"]
    assert [name for name, _ in net.named_modules()] == ["", "first", "second"]
    assert list(net.state_dict()) == [
        f"{part}.{name}" for part in ("first", "second", "third") for name in ("weight", "bias")
    ]
    net.load_state_dict(net.state_dict())
    assert net.second.weight is net.first.weight


def test_train_and_eval_reach_every_module():
    net = Net()
    assert all(module.training for module in net.modules())
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    assert net.train() is net
    assert all(module.training for module in net.modules())
    with pytest.raises(TypeError, match=r"Net.train: mode must be True or False, got \[1\]"):
        net.train([1])


def test_zero_grad_forgets_every_gradient():
    net = Net()
    net(np.ones((1, 2, 4, 4), np.float32)).sum().backward()
    assert net.tail[1].weight.grad is not None
    net.zero_grad(set_to_none=True)
    assert all(parameter.grad is None for parameter in net.parameters())
    with pytest.raises(NotImplementedError, match="zero_grad: set_to_none must be True, got False"):
        net.zero_grad(set_to_none=False)


def test_cpu_and_cuda(gpu):
    net = Net()
    assert net.cuda() is net
    assert net.device == "cuda:0"
    assert net.cpu().device == "cpu"
    assert net.cuda(0).device == "cuda:0"


def test_forgetting_super_init_is_named():
    class Forgetful(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter([1.0])

    class ForgetfulWithLayer(nn.Module):
        def __init__(self):
            self.fc = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"Forgetful: cannot assign weight yet; call super\(\).__init__"):
        Forgetful()
    with pytest.raises(AttributeError, match="cannot assign fc yet"):
        ForgetfulWithLayer()


def test_a_misspelt_attribute_says_what_there_is():
    with pytest.raises(AttributeError, match="Net has no attribute 'blok'.*: block, gain, tail"):
        Net().blok  # noqa: B018
    with pytest.raises(AttributeError, match="ReLU has no attribute 'weight'.*: nothing"):
        nn.ReLU().weight  # noqa: B018
    assert not hasattr(Net(), "blok")


def test_a_parameter_or_module_cannot_be_replaced_by_something_that_is_not_trained():
    layer = nn.Linear(2, 3)
    with pytest.raises(TypeError, match="Linear: weight is a Parameter and must stay one.*got Tensor"):
        layer.weight = Tensor(np.zeros((3, 2), np.float32))
    layer.bias = None
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    net = Net()
    with pytest.raises(TypeError, match="Net: tail is a Module and must stay one.*got function"):
        net.tail = lambda x: x
    net.tail = nn.Flatten()
    assert [name for name, _ in net.named_children()] == ["block", "tail"]


def test_a_module_without_forward_says_so():
    class Empty(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match="Empty does not define forward"):
        Empty()(1)


# --- buffers ------------------------------------------------------------------------------------------------


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter([2.0])
        self.register_buffer("mean", Tensor([1.0, 2.0]))
        self.register_buffer("count", Tensor(np.array(0)))
        self.register_buffer("absent", None)


def test_buffers_are_saved_and_loaded_but_not_trained():
    net = nn.Sequential(Counting(), nn.Linear(2, 2))
    assert [name for name, _ in net.named_buffers()] == ["0.mean", "0.count"]
    assert list(net.buffers()) == [net[0].mean, net[0].count]
    assert [name for name, _ in net.named_parameters()] == ["0.scale", "1.weight", "1.bias"]
    assert net[0].absent is None
    state = net.state_dict()
    assert list(state) == ["0.scale", "0.mean", "0.count", "1.weight", "1.bias"]
    state["0.mean"] += 1
    state["0.count"] = np.array(3)
    net.load_state_dict(state)
    np.testing.assert_array_equal(net[0].mean.data, [2, 3])
    assert net[0].count.item() == 3
    assert net[0].count.dtype == np.int64
    del state["0.count"]
    state["0.mean"] = np.zeros(3)
    with pytest.raises(
        ValueError, match=r"(?s)missing: 0.count.*misshapen: 0.mean has shape \(3,\), the buffer has \(2,\)"
    ):
        net.load_state_dict(state)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_buffers_are_copied(duplicate):
    net = Counting()
    other = duplicate(net)
    assert isinstance(other.mean, nn.Buffer)
    other.mean.data[:] = 7
    np.testing.assert_array_equal(net.mean.data, [1, 2])


def test_a_buffer_stays_one():
    net = Counting()
    net.mean = Tensor([5.0, 6.0])
    assert list(net.state_dict()) == ["scale", "mean", "count"]
    net.count = None
    assert list(net.state_dict()) == ["scale", "mean"]
    with pytest.raises(TypeError, match="mean is a Buffer and must stay one.*got list"):
        net.mean = [1.0]
    with pytest.raises(NotImplementedError, match="register_buffer: persistent must be True, got False"):
        net.register_buffer("other", Tensor([1.0]), persistent=False)


def test_buffers_move_with_the_network(device):
    net = Counting().to(device)
    assert {buffer.device.partition(":")[0] for buffer in net.buffers()} == {device.partition(":")[0]}


def test_register_parameter_and_apply():
    net = Net()
    net.register_parameter("offset", nn.Parameter([1.0]))
    assert net.offset.requires_grad
    seen = []
    assert net.apply(lambda module: seen.append(module)) is net
    assert seen[-1] is net
    assert set(seen) == set(net.modules())
    assert seen.index(net.block.conv) < seen.index(net.block)


# --- errors name the layer ----------------------------------------------------------------------------------


def test_an_error_names_the_path_of_the_layer():
    net = nn.Sequential(OrderedDict(net=Net(), act=nn.ReLU()))
    with pytest.raises(ValueError) as caught:
        net(np.ones((1, 5, 4, 4), np.float32))
    assert str(caught.value).startswith("net.block.conv (Conv2d): conv2d: input has 5 channels")
    with pytest.raises(TypeError, match=r"^net\.block\.conv \(Conv2d\): conv2d: "):
        net(np.ones((1, 2, 4, 4)))
    with pytest.raises(ValueError, match=r"^net\.tail\.1 \(Linear\): linear: "):
        net(np.ones((1, 2, 4, 5), np.float32))


def test_an_error_in_a_layer_on_its_own_names_its_kind():
    with pytest.raises(ValueError, match=r"^Linear: linear: input must have shape"):
        nn.Linear(3, 2)(np.ones((1, 4), np.float32))


def test_an_error_of_a_nested_part_called_past_its_parent_is_named_too():
    class Skip(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = nn.Sequential(nn.Linear(2, 2), nn.Linear(3, 2))

        def forward(self, input):
            return self.parts[1](input)

    with pytest.raises(ValueError, match=r"^parts\.1 \(Linear\): linear"):
        Skip()(np.ones((1, 2), np.float32))


# --- saving and loading -------------------------------------------------------------------------------------


def test_state_dict_holds_copies():
    net = Net()
    state = net.state_dict()
    assert list(state) == NAMES
    for name, parameter in net.named_parameters():
        assert type(state[name]) is np.ndarray
        assert state[name].dtype == parameter.dtype
        np.testing.assert_array_equal(state[name], parameter.data)
        assert not np.shares_memory(state[name], parameter.data)


def test_load_state_dict_copies_into_the_same_arrays():
    source, target = Net(), Net()
    arrays = [parameter.data for parameter in target.parameters()]
    assert target.load_state_dict(source.state_dict()) == ([], [])
    for name, parameter in target.named_parameters():
        np.testing.assert_array_equal(parameter.data, source.state_dict()[name])
    assert all(parameter.data is array for parameter, array in zip(target.parameters(), arrays, strict=True))
    state = {name: value.astype(np.float64) for name, value in source.state_dict().items()}
    target.load_state_dict(state)
    assert target.block.conv.weight.dtype == np.float32
    state["gain"][:] = 7
    assert target.gain.data[0, 0] == 1


def test_load_state_dict_names_everything_that_is_wrong_and_loads_nothing():
    net = Net()
    before = net.state_dict()
    state = {name: value + 1 for name, value in before.items()}
    del state["gain"], state["tail.1.bias"]
    state["tail.1.weight"] = state["tail.1.weight"].T
    state["block.conv.bias"] = np.array(["a", "b", "c"])
    state["block.bn.weight"] = state["head"] = np.zeros(3)
    with pytest.raises(ValueError) as caught:
        net.load_state_dict(state)
    assert [line.strip() for line in str(caught.value).splitlines()] == [
        "Net.load_state_dict: nothing was loaded",
        "missing: gain",
        "missing: tail.1.bias",
        "unexpected: block.bn.weight",
        "unexpected: head",
        "not real numbers: block.conv.bias has dtype <U1",
        "misshapen: tail.1.weight has shape (48, 5), the parameter has (5, 48)",
    ]
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_load_state_dict_not_strict_tells_what_it_left_out_but_not_a_wrong_shape():
    net = Net()
    state = {"gain": np.full((2, 2), 5.0), "head": np.zeros(3)}
    result = net.load_state_dict(state, strict=False)
    assert result.missing_keys == NAMES[1:]
    assert result.unexpected_keys == ["head"]
    assert (net.gain.data == 5).all()
    with pytest.raises(ValueError, match="misshapen: gain"):
        net.load_state_dict({"gain": np.zeros(2)}, strict=False)
    with pytest.raises(TypeError, match="state_dict must be a mapping, got a list"):
        net.load_state_dict([1])


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_module_can_be_copied_and_pickled(duplicate):
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    other = duplicate(net)
    for ours, theirs in zip(net.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(ours.data, theirs.data)
        assert not np.shares_memory(ours.data, theirs.data)
    assert repr(other) == repr(net)


# --- reading ------------------------------------------------------------------------------------------------


def test_repr_reads_like_the_network():
    assert (
        repr(Net())
        == """\
Net(
  (block): Block(
    (conv): Conv2d(2, 3, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    (act): ReLU()
  )
  (tail): Sequential(
    (0): Flatten(start_dim=1, end_dim=-1)
    (1): Linear(in_features=48, out_features=5, bias=True)
    (2): Dropout(p=0.5)
  )
)"""
    )
    assert repr(nn.Sequential()) == "Sequential()"


@pytest.mark.parametrize("layer", [layer for layer, _ in every_layer.examples()], ids=repr)
def test_every_layer_begins_in_training_mode(layer):
    assert layer.training is True
    assert layer.eval() is layer
    assert layer.training is False
    assert layer.train().training is True


def test_repr_has_the_settings_before_the_parts():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(2, 1)

        def extra_repr(self):
            return "factor=2"

    fc = "Linear(in_features=2, out_features=1, bias=True)"
    assert repr(Scaled()) == f"Scaled(\n  factor=2\n  (fc): {fc}\n)"
    assert repr(nn.Sequential(Scaled())) == f"Sequential(\n  (0): Scaled(\n    factor=2\n    (fc): {fc}\n  )\n)"
    bare = Scaled()
    bare.fc = None
    assert repr(bare) == "Scaled(factor=2)"


def test_nothing_is_remembered_under_no_grad():
    with minicnn.no_grad():
        assert not Net()(np.ones((1, 2, 4, 4), np.float32)).requires_grad


@pytest.mark.torch
def test_names_order_and_lookup_agree_with_torch():
    torch = pytest.importorskip("torch")

    def build(nn):
        inner = nn.Sequential(OrderedDict([("conv", nn.Conv2d(2, 4, 3, bias=False)), ("act", nn.ReLU())]))
        net = nn.Sequential(inner, nn.Flatten(), nn.Linear(16, 3))
        net.append(inner)  # the same module twice
        return net

    ours, theirs = build(nn), build(torch.nn)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert [n for n, _ in ours.named_modules()] == [n for n, _ in theirs.named_modules()]
    assert [n for n, _ in ours.named_children()] == [n for n, _ in theirs.named_children()]
    assert list(ours[1:3].state_dict()) == list(theirs[1:3].state_dict())
    assert len(ours) == len(theirs)


def test_a_read_only_parameter_is_refused_before_anything_is_loaded():
    layer = nn.Linear(3, 2)
    before = layer.weight.numpy().copy()
    layer.bias.data.flags.writeable = False
    with pytest.raises(ValueError, match="load_state_dict: the parameter bias must be writeable, got a read-only"):
        layer.load_state_dict({"weight": np.zeros((2, 3)), "bias": np.zeros(2)})
    np.testing.assert_array_equal(layer.weight.numpy(), before)
