"""Devices: their names, moving between them, and what is refused; on a fake GPU or two, and on a real one."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import fake_cupy
import numpy as np
import pytest

import minicnn
import minicnn.functional as F
from minicnn import DeviceError, Tensor, backend, models, nn, optim
from minicnn.backend import asnumpy, checked_device, device_of, on_device_of, same_device, to_device
from minicnn.data import Preparation
from minicnn.training import load_model, save_model

# --- names --------------------------------------------------------------------------------------------------


def test_names_of_devices(gpu: str) -> None:
    assert checked_device("cpu") == "cpu"
    assert checked_device("cuda:0") == checked_device("cuda") == "cuda:0"


def test_cuda_is_the_current_gpu(two_gpus: ModuleType) -> None:
    assert checked_device("cuda:1") == "cuda:1"
    with two_gpus.cuda.Device(1):
        assert checked_device("cuda") == "cuda:1"
    assert checked_device("cuda") == "cuda:0"


@pytest.mark.parametrize(
    "wrong", ["gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:0 ", "CUDA", "", 0, None, "cpu:0", "cuda:²"]
)
def test_names_of_no_device(wrong: Any) -> None:
    expected = f"device must be 'cpu', 'cuda' or 'cuda:N', got {wrong!r}"
    for function in (checked_device, minicnn.set_default_device, Tensor([1.0]).to, nn.Linear(2, 2).to):
        with pytest.raises(ValueError) as caught:
            function(wrong)
        assert str(caught.value) == expected


def test_a_gpu_that_is_not_there(two_gpus: ModuleType) -> None:
    with pytest.raises(DeviceError, match="device 'cuda:2' does not exist; there is 'cuda:N' for N below 2"):
        checked_device("cuda:2")


def test_where_cupy_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    message = r"device 'cuda' needs CuPy, which is not installed; install minicnn with the extra cuda12 or cuda13"
    with pytest.raises(DeviceError, match=message):
        Tensor([1.0]).to("cuda")
    assert Tensor([1.0]).to("cpu").device == "cpu"


def test_where_cupy_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    with pytest.raises(
        DeviceError, match=r"device 'cuda:1' needs CuPy, which cannot be loaded \(.*\); install minicnn"
    ):
        checked_device("cuda:1")


def test_where_no_gpu_is(two_gpus: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_driver() -> int:
        raise RuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")

    monkeypatch.setattr(two_gpus.cuda.runtime, "getDeviceCount", no_driver)
    message = r"device 'cuda' needs an NVIDIA GPU and its driver, and CuPy finds none \(cudaErrorNoDevice.*doctor"
    with pytest.raises(DeviceError, match=message):
        checked_device("cuda")


# --- arrays -------------------------------------------------------------------------------------------------


def test_arrays_go_there_and_back(gpu: str, dtype: Any) -> None:
    here = np.arange(6, dtype=dtype).reshape(2, 3)
    there = to_device(here, gpu)
    assert (device_of(here), device_of(there)) == ("cpu", "cuda:0")
    assert (there.shape, there.dtype) == (here.shape, here.dtype)
    assert to_device(there, gpu) is there
    assert to_device(here, "cpu") is here
    back = to_device(there, "cpu")
    assert isinstance(back, np.ndarray)
    np.testing.assert_array_equal(back, here)
    here[0, 0] = 7
    assert asnumpy(there)[0, 0] == 0


def test_arrays_go_from_one_gpu_to_another(two_gpus: ModuleType) -> None:
    first = to_device(np.arange(3.0), "cuda:0")
    second = to_device(first, "cuda:1")
    assert (device_of(first), device_of(second)) == ("cuda:0", "cuda:1")
    with on_device_of(second):
        assert device_of(two_gpus.zeros(3)) == "cuda:1"
    with pytest.raises(ValueError, match="Array device must be same"):
        first + second


def test_several_devices_are_told_apart(gpu: str) -> None:
    here = np.zeros(3)
    there = to_device(here, gpu)
    same_device("f", a=here, b=here, c=None)
    same_device("f", a=there, b=there)
    with pytest.raises(TypeError, match=r"f: a is on cpu, b is on cuda:0; move them to one device with \.to\(device\)"):
        same_device("f", a=here, b=there, c=None)


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
    with pytest.raises(TypeError, match=r"Conv2d: x is on cpu, w is on cuda:0; move them to one device with \.to"):
        F.conv2d(here, there)
    with pytest.raises(TypeError, match=r"Conv2d: x is on cuda:0, w is on cpu, b is on cpu; move"):
        F.conv2d(Tensor(to_device(here.data, gpu)), Tensor(np.ones((3, 2, 2, 2))), Tensor(np.ones(3)))
    with pytest.raises(TypeError, match=r"Add: a is on cpu, b is on cuda:0"):
        here + Tensor(to_device(here.data, gpu))
    with pytest.raises(TypeError, match=r"Mul: a is on cuda:0, b is on cpu"):
        there * np.ones(2)
    with pytest.raises(TypeError, match=r"cross_entropy: input is on cuda:0, target is on cpu"):
        F.cross_entropy(there.reshape(3, 8), np.zeros(3, np.int64))
    with pytest.raises(TypeError, match=r"0 \(Linear\): Linear: x is on cpu, w is on cuda:0"):
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
        TypeError, match=r"SGD: parameter is on cuda:0, gradient is on cuda:0, momentum_buffer is on cpu"
    ):
        step()
    optimizer.load_state_dict(saved)
    step()
    memory = optimizer.state[layer.weight]["momentum_buffer"]
    assert device_of(memory) == "cuda:0"
    np.testing.assert_allclose(asnumpy(memory), 1.9)


# --- batches on their way to a GPU --------------------------------------------------------------------------


def test_staged_batches_arrive_in_order_and_stay_as_they_are(gpu: str, rng: Any) -> None:
    sizes = (4, 4, 4, 4, 3)
    batches = [(rng.standard_normal((n, 3)).astype(np.float32), np.arange(n)) for n in sizes]
    kept = list(backend.staged(((images.copy(), labels) for images, labels in batches), gpu))
    for (images, labels), (there, labels_there) in zip(batches, kept, strict=True):
        assert (device_of(there), there.dtype, labels_there.dtype) == ("cuda:0", images.dtype, labels.dtype)
        np.testing.assert_array_equal(asnumpy(there), images)
        np.testing.assert_array_equal(asnumpy(labels_there), labels)


def test_staged_reads_one_batch_ahead(gpu: str) -> None:
    asked = []

    def batches() -> Iterator[tuple[np.ndarray]]:
        for number in range(4):
            asked.append(number)
            yield (np.full(3, number),)

    handed_out = [(int(asnumpy(array)[0]), asked[-1]) for (array,) in backend.staged(batches(), gpu)]
    assert handed_out == [(0, 1), (1, 2), (2, 3), (3, 3)]


def test_staged_waits_for_what_is_on_its_way_when_it_is_left(two_gpus: ModuleType) -> None:
    stages = backend.staged(((np.full(3, number),) for number in range(4)), "cuda:1")
    next(stages)
    stream = stages.gi_frame.f_locals["stage"].stream
    assert stream.waiting  # for the second batch
    stages.close()
    assert not stream.waiting


def test_staged_leaves_alone_what_is_there_already(gpu: str) -> None:
    there, here = to_device(np.ones(3), gpu), np.ones(3)
    ((first, second),) = backend.staged([(there, here)], gpu)
    assert first is there and device_of(second) == "cuda:0"
    ((same,),) = backend.staged([(here,)], "cpu")
    assert same is here
    assert list(backend.staged([], gpu)) == []


# --- random numbers -----------------------------------------------------------------------------------------


def test_hashed_numbers_are_splitmix64() -> None:
    """The first outputs for a seed that others have published."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    exact = backend.hashed_uniform(np, 1234567, (4,), np.float64)
    assert [int(number * 2**53) for number in exact] == [number >> 11 for number in published]
    assert [int(number * 2**24) for number in backend.hashed_uniform(np, 1234567, (4,), np.float32)] == [
        number >> 40 for number in published
    ]


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_hashed_numbers_are_uniform(seed: int, dtype: Any) -> None:
    numbers = backend.hashed_uniform(np, seed, (400, 1000), dtype)
    assert (numbers.shape, numbers.dtype) == ((400, 1000), dtype)
    assert 0 <= numbers.min() < 1e-4
    assert 1 - 1e-4 < numbers.max() < 1
    counts, _ = np.histogram(numbers, 100, (0, 1))
    assert abs(counts - 4000).max() < 5 * np.sqrt(4000)
    centred = numbers.reshape(-1).astype(np.float64) - 0.5
    for lag in (1, 2, 1000):
        assert abs((centred[:-lag] * centred[lag:]).mean()) < 5 / 12 / np.sqrt(centred.size)
    other = backend.hashed_uniform(np, (seed + 1) % 2**64, (400, 1000), dtype).reshape(-1) - 0.5
    assert abs((centred * other).mean()) < 5 / 12 / np.sqrt(centred.size)


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


# --- TF32 ---------------------------------------------------------------------------------------------------


def test_tf32_needs_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert minicnn.get_tf32() is False
    with pytest.raises(DeviceError, match="needs CuPy"):
        minicnn.set_tf32(True)
    assert minicnn.get_tf32() is False


def test_tf32_is_set_for_both_ways_to_multiply_and_on_every_gpu(two_gpus: Any) -> None:
    types, modes = two_gpus._core._routines_linalg.types, two_gpus.cuda.cublas.modes
    minicnn.set_tf32(True)
    assert minicnn.get_tf32() is True
    assert (types, modes) == ({np.float32: 7}, {0: 3, 1: 3})
    minicnn.set_tf32(False)
    assert minicnn.get_tf32() is False
    assert (types, modes) == ({np.float32: 1}, {0: 0, 1: 0})


@pytest.mark.gpu
def test_tf32_rounds_products_of_single_matrices_and_of_stacks(rng: Any) -> None:
    import cupy

    if int(cupy.cuda.Device().compute_capability) < 80:
        pytest.skip("GPUs have TF32 from Ampere on")
    for shape in ((512, 512), (2, 512, 512)):
        a, b = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
        exact = a.astype(np.float64) @ b
        errors = []
        for allowed in (False, True, False):
            minicnn.set_tf32(allowed)
            product = Tensor(to_device(a, "cuda")) @ Tensor(to_device(b, "cuda"))
            errors.append(abs(product.numpy() - exact).max())
        assert errors[0] == errors[2] < 1e-3 < errors[1] < 0.5
