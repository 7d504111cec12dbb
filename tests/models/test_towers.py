"""Two towers on two devices: the same numbers as in one piece, and nothing crosses that need not."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn.functional as F
from minicnn import Tensor, models, nn, optim
from minicnn.backend import asnumpy, device_of, on_device_of, to_device
from minicnn.data import Preparation
from minicnn.models import TwoTowers
from minicnn.ops.conversion import ToDevice
from minicnn.training import load_model, save_model

LABELS = np.array([3, 0, 9])


@pytest.fixture
def images(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((3, 3, 28, 28)).astype(np.float32)


def in_one_piece(**settings: Any) -> models.Network:
    minicnn.manual_seed(5)
    return models.alexnet_cifar(groups=2, dropout=0.0, **settings)


def scores_and_gradients(network: nn.Module, images: np.ndarray) -> dict[str, np.ndarray]:
    """Under the names of the network in one piece."""
    scores = network(Tensor(to_device(images, network.device)))
    F.cross_entropy(scores, to_device(LABELS, scores.device)).backward()
    gradients = {name: asnumpy(parameter.grad) for name, parameter in network.named_parameters()}
    halves = {name[7:] for name in gradients if name.startswith("tower")}
    joined = {name: np.concatenate([gradients.pop(f"tower{side}.{name}") for side in (0, 1)]) for name in halves}
    return {"scores": scores.numpy(), **gradients, **joined}


def assert_alike(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert set(found) == set(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=0, atol=1e-5 * abs(array).max(), err_msg=name)


def test_towers_compute_what_one_piece_computes(images: np.ndarray) -> None:
    expected = scores_and_gradients(in_one_piece(norm="none"), images)
    assert_alike(scores_and_gradients(TwoTowers(in_one_piece(norm="none"), ("cpu", "cpu")), images), expected)


def test_what_is_frozen_and_in_which_mode_a_layer_is_stays_as_it_was(images: np.ndarray) -> None:
    whole = in_one_piece(norm="batch")
    whole.conv2.requires_grad_(False)
    whole.fc8.bias.requires_grad = False
    whole.norm2.eval()
    towers = TwoTowers(whole, ("cpu", "cpu"))
    frozen = {name.split(".", 1)[-1] for name, parameter in towers.named_parameters() if not parameter.requires_grad}
    assert frozen == {"conv2.weight", "bias"}
    assert towers.fc8.weight.requires_grad and not towers.fc8.bias.requires_grad
    modes = {
        name.removeprefix("tower0.").removeprefix("tower1."): layer.training for name, layer in towers.named_modules()
    }
    assert [name for name, training in modes.items() if not training] == ["norm2"]
    assert not any(layer.training for layer in TwoTowers(whole.eval(), ("cpu", "cpu")).modules())


def test_batch_normalisation_belongs_to_channels_so_towers_can_have_it(images: np.ndarray) -> None:
    whole = in_one_piece(norm="batch")
    towers = TwoTowers(whole, ("cpu", "cpu"))
    assert_alike(scores_and_gradients(towers, images), scores_and_gradients(whole, images))
    state = towers.state_dict()
    assert set(state) == set(whole.state_dict())
    assert state["norm1.num_batches_tracked"] == 1
    for name, array in whole.state_dict().items():
        np.testing.assert_allclose(state[name], array, rtol=0, atol=1e-5 * abs(array).max(), err_msg=name)
    other = TwoTowers(in_one_piece(norm="batch"), ("cpu", "cpu"))
    other.load_state_dict(state)
    np.testing.assert_array_equal(other.eval()(Tensor(images)).data, towers.eval()(Tensor(images)).data)


def test_response_normalisation_stays_in_its_tower(images: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    found = scores_and_gradients(TwoTowers(in_one_piece(), ("cpu", "cpu")), images)
    across = scores_and_gradients(in_one_piece(), images)
    normalise = F.local_response_norm

    def each_half(input: Tensor, *settings: Any) -> Tensor:
        middle = input.shape[1] // 2
        return F.cat([normalise(input[:, :middle], *settings), normalise(input[:, middle:], *settings)], 1)

    monkeypatch.setattr(F, "local_response_norm", each_half)
    assert_alike(found, scores_and_gradients(in_one_piece(), images))
    assert abs(found["scores"] - across["scores"]).max() > 1e-5


def test_two_gpus_give_the_numbers_of_one_and_of_the_cpu(gpu: str, images: np.ndarray) -> None:
    import cupy

    if cupy.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("there is one GPU")
    places = [("cpu", "cpu"), ("cuda:0", "cuda:0"), ("cuda:0", "cuda:1"), ("cuda:1", "cuda:0")]
    with minicnn.use_kernels("numpy"):
        here, *there = (scores_and_gradients(TwoTowers(in_one_piece(), place), images) for place in places)
    for found in there:
        assert_alike(found, here)


def test_what_crosses(two_gpus: ModuleType, images: np.ndarray) -> None:
    network = TwoTowers(in_one_piece(), ("cuda:0", "cuda:1"))
    assert network.devices == ("cuda:0", "cuda:1") and network.crossings == ("conv3", "fc6", "fc7", "fc8")
    with minicnn.trace() as seen:
        scores = network(Tensor(to_device(images, "cuda:0")))
    crossed = [record.output.shape for record in seen.records if record.operation is ToDevice]
    maps, units = (3, 48, 7, 7), (3, 256)
    layers = [record.layer for record in seen.records if record.layer.endswith(("conv1", "norm1", "drop6"))]
    assert layers == [f"tower{side}.{name}" for name in ("conv1", "norm1") for side in (0, 1)]  # no dropout: p is 0
    # the pictures to the second tower; both ways before conv3, fc6 (its inputs are 48x3x3 in each) and fc7; to fc8
    assert crossed == [(3, 3, 28, 28), maps, maps, (3, 432), (3, 432), units, units, units]
    assert scores.device == "cuda:0"
    assert {device_of(parameter.data) for parameter in network.parameters()} == {"cuda:0", "cuda:1"}


def test_training_goes_on_on_both(two_gpus: ModuleType, images: np.ndarray) -> None:
    found = []
    for places in (("cpu", "cpu"), ("cuda:0", "cuda:1")):
        network = TwoTowers(in_one_piece(), places)
        optimizer = optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
        losses = []
        for _ in range(3):
            optimizer.zero_grad()
            loss = F.cross_entropy(network(Tensor(to_device(images, places[0]))), to_device(LABELS, places[0]))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        found.append(losses)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4)
    assert found[0][2] < found[0][0]


def test_values_are_those_of_the_network_in_one_piece() -> None:
    whole = in_one_piece()
    values = whole.state_dict()
    towers = TwoTowers(whole, ("cpu", "cpu"))
    assert set(towers.state_dict()) == set(values)
    for name, array in towers.state_dict().items():
        np.testing.assert_array_equal(array, values[name])
    other = TwoTowers(models.alexnet_cifar(groups=2), ("cpu", "cpu"))
    other.load_state_dict(values)
    back = models.alexnet_cifar(groups=2)
    back.load_state_dict(other.state_dict())
    for name, array in back.state_dict().items():
        np.testing.assert_array_equal(array, values[name])


def test_the_network_that_it_is_made_of_stays_as_it_is(two_gpus: ModuleType) -> None:
    whole = in_one_piece()
    towers = TwoTowers(whole, ("cuda:0", "cuda:1"))
    for parameter in towers.parameters():
        with on_device_of(parameter.data):
            parameter.data += 1
    assert {device_of(parameter.data) for parameter in whole.parameters()} == {"cpu"}
    for name, array in whole.state_dict().items():
        np.testing.assert_allclose(towers.state_dict()[name], array + 1, rtol=0, atol=1e-6)


def test_values_that_do_not_fit_change_nothing() -> None:
    network = TwoTowers(in_one_piece(), ("cpu", "cpu"))
    before = network.state_dict()
    wrong = {**before, "conv1.weight": before["conv1.weight"][:7], "fc9.bias": np.ones(3)}
    del wrong["conv2.bias"]
    with pytest.raises(ValueError, match="nothing was loaded") as caught:
        network.load_state_dict(wrong)
    for part in ("missing: tower0.conv2.bias", "unexpected: tower0.fc9.bias", "misshapen: tower0.conv1.weight"):
        assert part in str(caught.value)
    with pytest.raises(TypeError, match="state_dict must be a mapping"):
        network.load_state_dict([1])  # type: ignore[arg-type]
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_alexnet_on_two_devices(tmp_path: Any, rng: np.random.Generator) -> None:
    small = {"num_classes": 10, "in_size": 67, "dropout": 0.0}
    minicnn.manual_seed(1)
    whole = models.alexnet(norm="none", **small)
    minicnn.manual_seed(1)
    network = models.alexnet(norm="none", devices=("cpu", "cpu"), **small)
    assert isinstance(network, TwoTowers) and network.crossings == ("conv3", "fc6", "fc7", "fc8")
    pictures = Tensor(rng.standard_normal((2, 3, 67, 67)).astype(np.float32))
    expected = whole(pictures).numpy()
    np.testing.assert_allclose(network(pictures).numpy(), expected, rtol=0, atol=1e-5 * abs(expected).max())

    square = np.zeros((3, 1, 1), np.float32)
    with pytest.raises(ValueError, match="the network does not take images of 60x60"):
        save_model(tmp_path / "no.safetensors", network, Preparation(76, 60, square, square + 1), ["class"] * 10, {})
    save_model(tmp_path / "towers.safetensors", network, Preparation(76, 67, square, square + 1), ["class"] * 10, {})
    again = load_model(tmp_path / "towers.safetensors").network
    assert isinstance(again, TwoTowers)
    np.testing.assert_array_equal(again(pictures).numpy(), network(pictures).numpy())


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"variant": "merged"}, ValueError, "devices must be None for a network without two towers, got .* 'merged'"),
        ({"variant": "torchvision"}, ValueError, "devices must be None for a network without two towers"),
        ({"groups": 1}, ValueError, "devices must be None .* with groups=1"),
        ({"devices": "cuda:0"}, TypeError, "devices must be a pair such as .*, got 'cuda:0'"),
        ({"devices": ("cpu", "gpu")}, ValueError, "device must be 'cpu', 'cuda' or 'cuda:N', got 'gpu'"),
    ],
)
def test_devices_that_do_not_fit(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    with nn.init.skip_arrays(), pytest.raises(error, match=message):
        models.alexnet(**{"devices": ("cpu", "cpu"), "in_size": 67, "num_classes": 2, **settings})


def test_missing_and_unexpected_keys_are_those_of_the_network_in_one_piece() -> None:
    network = models.alexnet_cifar(groups=2, in_size=12)
    arrays = {**network.state_dict(), "other": np.ones(2)}
    del arrays["conv1.weight"], arrays["fc8.bias"]
    found = TwoTowers(network, ("cpu", "cpu")).load_state_dict(arrays, strict=False)
    assert (found.missing_keys, found.unexpected_keys) == (["conv1.weight", "fc8.bias"], ["other"])
