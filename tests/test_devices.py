"""Tensors, layers and optimisers on devices, on a fake GPU or two and on a real one."""

from pathlib import Path
from types import ModuleType
from typing import Any

import fake_cupy
import numpy as np
import pytest

import minicnn
import minicnn.functional as F
from minicnn import Tensor, models, nn, optim
from minicnn.backend import asnumpy, checked_device, device_of, to_device
from minicnn.data import Preparation
from minicnn.training import load_model, save_model

# --- tensors ------------------------------------------------------------------------------------------------


def test_tensors_take_their_gradients_along(gpu: str) -> None:
    x = Tensor(np.arange(3.0), requires_grad=True)
    assert x.device == "cpu"
    assert x.to("cpu") is x
    there = x.to(gpu)
    assert there.device == "cuda:0"
    assert there.to(gpu) is there
    back = (there * there).to("cpu")
    assert back.device == "cpu"
    (back * Tensor(np.array([1.0, 10.0, 100.0]))).sum().backward()
    assert isinstance(x.grad, np.ndarray)
    np.testing.assert_array_equal(x.grad, [0, 20, 400])


def test_gradients_may_be_given_from_the_cpu(gpu: str) -> None:
    x = Tensor(to_device(np.ones(2), gpu), requires_grad=True)
    (x * 3).backward(np.array([1.0, 2.0]))
    assert device_of(x.grad) == "cuda:0"
    np.testing.assert_array_equal(asnumpy(x.grad), [3, 6])
    assert x.numpy().tolist() == [1, 1]
    assert repr(x * 1).startswith("Tensor([1., 1.]")


def test_mixing_devices_names_the_arguments(gpu: str) -> None:
    here, there = Tensor(np.ones((1, 2, 4, 4))), Tensor(to_device(np.ones((3, 2, 2, 2)), gpu))
    with pytest.raises(
        TypeError, match=r"Conv2d: x, w must be on one device, got x on cpu, w on cuda:0; move them with \.to"
    ):
        F.conv2d(here, there)
    with pytest.raises(
        TypeError, match=r"Conv2d: x, w, b must be on one device, got x on cuda:0, w on cpu, b on cpu; move"
    ):
        F.conv2d(Tensor(to_device(here.data, gpu)), Tensor(np.ones((3, 2, 2, 2))), Tensor(np.ones(3)))
    with pytest.raises(TypeError, match=r"Add: a, b must be on one device, got a on cpu, b on cuda:0"):
        here + Tensor(to_device(here.data, gpu))
    with pytest.raises(TypeError, match=r"Mul: a, b must be on one device, got a on cuda:0, b on cpu"):
        there * np.ones(2)
    with pytest.raises(
        TypeError, match=r"cross_entropy: input, target must be on one device, got input on cuda:0, target on cpu"
    ):
        F.cross_entropy(there.reshape(3, 8), np.zeros(3, np.int64))
    with pytest.raises(
        TypeError, match=r"0 \(Linear\): Linear: x, w, b must be on one device, got x on cpu, w on cuda:0, b"
    ):
        nn.Sequential(nn.Linear(4, 2)).to(gpu)(Tensor(np.ones((1, 4), np.float32)))


def test_plain_numbers_and_indices_fit_any_device(gpu: str) -> None:
    x = Tensor(to_device(np.arange(6.0).reshape(2, 3), gpu), requires_grad=True)
    y = (2 * x + 1) / 2 - x**2 + x[np.array([1, 0])]
    y.sum().backward()
    np.testing.assert_allclose(asnumpy(x.grad), 2 - 2 * np.arange(6).reshape(2, 3))


def test_the_second_gpu_computes_where_it_is(two_gpus: ModuleType) -> None:
    """Whatever GPU is the current one: outputs, gradients and an optimiser's memories are beside their inputs."""
    minicnn.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.ReLU(), nn.LocalResponseNorm(3), nn.MaxPool2d(2), nn.AvgPool2d(1), nn.Dropout(0.5),
        nn.Flatten(), nn.Linear(3, 2),
    ).to("cuda:1")  # fmt: skip
    x, labels = to_device(np.ones((2, 2, 4, 4), np.float32), "cuda:1"), to_device(np.array([0, 1]), "cuda:1")
    for optimizer in (optim.SGD(network.parameters(), 0.1, 0.9), optim.Adam(network.parameters())):
        loss = F.cross_entropy(network(Tensor(x)), labels)
        optimizer.zero_grad()
        (2 * loss + loss).backward()
        optimizer.step()
        assert loss.device == network.device == "cuda:1"
        assert {device_of(parameter.grad) for parameter in network.parameters()} == {"cuda:1"}
        memories = [
            value for state in optimizer.state.values() for value in state.values() if not isinstance(value, int)
        ]
        assert {device_of(memory) for memory in memories} == {"cuda:1"}
    assert fake_cupy.Device.current == 0


def test_dropout_draws_on_the_device_what_the_seed_says(gpu: str, dtype: Any) -> None:
    x = Tensor(to_device(np.ones((100, 100), dtype), gpu))
    masks = []
    for _ in range(2):
        minicnn.manual_seed(3)
        masks += [F.dropout(x, 0.25).numpy() for _ in range(2)]
    assert masks[0].dtype == dtype
    np.testing.assert_array_equal(masks[0], masks[2])
    np.testing.assert_array_equal(masks[1], masks[3])
    assert (masks[0] != masks[1]).any()
    assert set(np.unique(masks[0])) == {dtype(0), dtype(1 / 0.75)}
    assert abs((masks[0] == 0).mean() - 0.25) < 0.02


# --- modules and optimisers ---------------------------------------------------------------------------------
def test_modules_move_with_their_gradients(gpu: str) -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2))
    before = network.state_dict()
    network(Tensor(np.ones((1, 3), np.float32))).sum().backward()
    assert network.to(gpu) is network
    assert network.device == "cuda:0"
    assert (
        {device_of(p.data) for p in network.parameters()}
        == {device_of(p.grad) for p in network.parameters()}
        == {"cuda:0"}
    )
    after = network.state_dict()
    for name, array in before.items():
        assert isinstance(after[name], np.ndarray)
        np.testing.assert_array_equal(after[name], array)
    assert network.to("cpu").device == "cpu"
    assert nn.ReLU().to(gpu).device == "cpu"


def test_parameters_are_drawn_on_the_cpu_wherever_they_are(gpu: str) -> None:
    values = []
    for place in ("cpu", gpu):
        minicnn.manual_seed(5)
        layer = nn.Conv2d(2, 3, 3, device=place)
        nn.init.normal_(layer.weight, std=0.5)
        assert layer.device == checked_device(place)
        values.append(layer.state_dict())
    for name in ("weight", "bias"):
        np.testing.assert_array_equal(values[0][name], values[1][name])
    loaded = nn.Conv2d(2, 3, 3, device=gpu)
    loaded.load_state_dict(values[0])
    np.testing.assert_array_equal(loaded.weight.numpy(), values[0]["weight"])
    assert nn.Linear(2, 2, device=gpu).device == "cuda:0"


def test_the_default_device(gpu: str) -> None:
    assert minicnn.get_default_device() == "cpu"
    minicnn.set_default_device(gpu)
    assert minicnn.get_default_device() == "cuda:0"
    assert nn.Linear(2, 2).device == "cuda:0"
    assert nn.Linear(2, 2, device="cpu").device == "cpu"
    assert Tensor([1.0]).device == "cpu"
    with nn.init.skip_arrays():
        assert nn.Linear(10**6, 10**6).weight.shape == (10**6, 10**6)
    minicnn.set_default_device("cpu")
    assert nn.Linear(2, 2).device == "cpu"


def test_saved_networks_are_read_to_the_default_device(gpu: str, tmp_path: Path) -> None:
    colour = np.ones((3, 1, 1), np.float32)
    network, preparation = models.lenet5(num_classes=2), Preparation(32, 32, colour, colour)
    save_model(tmp_path / "saved.safetensors", network, preparation, ("a", "b"))
    for device in (gpu, "cpu"):
        minicnn.set_default_device(device)
        assert load_model(tmp_path / "saved.safetensors").network.device == checked_device(device)


def test_an_optimiser_keeps_its_memories_where_they_are(gpu: str) -> None:
    layer = nn.Linear(3, 2)
    optimizer = optim.SGD(layer.parameters(), 0.1, 0.9)

    def step() -> None:
        optimizer.zero_grad()
        layer(Tensor(to_device(np.ones((1, 3), np.float32), layer.device))).sum().backward()
        optimizer.step()

    step()
    saved = optimizer.state_dict()
    layer.to(gpu)
    with pytest.raises(
        TypeError,
        match=r"SGD: .* must be on one device, got parameter on cuda:0, gradient on cuda:0, momentum_buffer on cpu",
    ):
        step()
    optimizer.load_state_dict(saved)
    step()
    memory = optimizer.state[layer.weight]["momentum_buffer"]
    assert device_of(memory) == "cuda:0"
    np.testing.assert_allclose(asnumpy(memory), 1.9)
