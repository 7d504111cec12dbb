import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn import Tensor, models, nn, optim
from minicnn import functional as F
from minicnn.data import Preparation
from minicnn.ops.conv import Conv2d as Convolution
from minicnn.training import TrainingError, load_model, load_training, save_model
from minicnn.training.fine_tuning import freeze_layers, new_recipe, start_from
from minicnn.training.stopping import Stopped
from tests.training.small_runs import assert_same, newest, stop_after, train

pytestmark = pytest.mark.usefixtures("ctrl_c", "numpy_kernels")
FROZEN = ["conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias"]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A network of 7 classes, whose preparation is not that of the drawn shapes."""
    mean, deviation = np.full((3, 1, 1), 11, np.float32), np.full((3, 1, 1), 7, np.float32)
    path = tmp_path / "weights.safetensors"
    save_model(path, models.lenet5(7, activation="relu"), Preparation(32, 32, mean, deviation), list("abcdefg"))
    return path


def test_layers_are_taken_made_anew_and_frozen(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    result = train(out, settings={"weights": weights, "freeze": "conv1-conv2", "weight_decay": 0.1})
    taken = ["conv1", "conv2", "fc3", "fc4"]
    start = {"weights": str(weights), "taken": taken, "made_anew": ["fc5"], "frozen": ["conv1", "conv2"]}
    assert json.loads((out / "result.json").read_text())["start"] == result["start"] == start
    printed = capsys.readouterr().err
    assert "conv1, conv2, fc3, fc4" in printed and "Made anew: fc5" in printed and "Frozen: conv1, conv2" in printed

    before, after = load_model(weights), load_training(newest(out))
    old, new = before.network.state_dict(), after.model.network.state_dict()
    for name in FROZEN:
        np.testing.assert_array_equal(new[name], old[name])
    assert not np.array_equal(new["fc3.weight"], old["fc3.weight"])
    assert after.model.network.config == {**before.network.config, "num_classes": len(after.model.classes)}
    assert len(after.optimizer["param_groups"][0]["params"]) == 6
    np.testing.assert_array_equal(after.model.preparation.mean, before.preparation.mean)
    np.testing.assert_array_equal(after.model.preparation.deviation, before.preparation.deviation)


def test_a_stopped_run_resumes_bit_for_bit_without_the_weights(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"weights": weights, "freeze": "conv1"}
    whole = train(tmp_path / "whole", settings=settings)
    with monkeypatch.context() as stopping, pytest.raises(Stopped):
        stop_after(stopping, 4)
        train(tmp_path / "stopped", settings=settings)
    weights.unlink()
    resumed = train(
        tmp_path / "stopped", None, None, resume=True, settings={"weights": weights}
    )  # a path, not its text
    assert_same(tmp_path / "whole", tmp_path / "stopped")
    assert resumed["start"] == whole["start"]


def test_a_frozen_layer_costs_no_backward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    network = models.lenet5()
    assert freeze_layers(network, "conv1-conv2") == ["conv1", "conv2"]
    calls: list[Any] = []
    backward = Convolution.backward
    monkeypatch.setattr(Convolution, "backward", lambda self, *given: calls.append(self) or backward(self, *given))
    images, labels = Tensor(np.ones((2, 3, 32, 32), np.float32)), np.array([0, 1])
    F.cross_entropy(network(images), labels).backward()
    assert calls == [] and network.conv2.weight.grad is None and network.fc3.weight.grad is not None

    network.conv2.requires_grad_()
    F.cross_entropy(network(images), labels).backward()
    assert [call.needs_input_grad for call in calls] == [(False, True, True)]


def test_an_optimiser_leaves_a_frozen_parameter_alone() -> None:
    layer = nn.Linear(3, 2)
    layer.weight.requires_grad = False
    before = layer.state_dict()
    for kind in (optim.SGD(layer.parameters(), 0.1, 0.9, weight_decay=0.5), optim.Adam(layer.parameters(), 0.1)):
        layer(Tensor(np.ones((1, 3), np.float32))).sum().backward()
        kind.step()
        assert len(kind.state_dict()["state"]) == 1
    np.testing.assert_array_equal(layer.weight.data, before["weight"])
    assert not np.array_equal(layer.bias.data, before["bias"])


def test_missing_and_unexpected_keys_are_returned() -> None:
    found = nn.Linear(3, 2).load_state_dict({"weight": np.ones((2, 3)), "other": np.ones(2)}, strict=False)
    assert found == (["bias"], ["other"])
    assert found.missing_keys == ["bias"] and found.unexpected_keys == ["other"]


@pytest.mark.parametrize(
    ("names", "frozen"),
    [
        ("conv1", ["features.0"]),
        ("conv1-conv3, fc6", ["features.0", "features.3", "features.6", "classifier.1"]),
        ("features", [f"features.{number}" for number in (0, 3, 6, 8, 10)]),
        ("features.8-classifier", [*(f"features.{n}" for n in (8, 10)), *(f"classifier.{n}" for n in (1, 4, 6))]),
        (None, []),
    ],
)
def test_names_and_ranges_of_layers(names: str | None, frozen: list[str]) -> None:
    with nn.init.skip_arrays():
        network = models.alexnet("torchvision", in_size=63)
    assert freeze_layers(network, names) == frozen
    assert [name for name, p in network.named_parameters() if not p.requires_grad] == [
        f"{layer}.{kind}" for layer in frozen for kind in ("weight", "bias")
    ]


@pytest.mark.parametrize(
    ("settings", "switches", "message"),
    [
        ({"freeze": "conv1,fc9"}, {}, "freeze must name layers among conv1, conv2, fc3, fc4, fc5, got 'fc9'"),
        ({"freeze": "conv1-conv3"}, {}, "freeze must name layers among .*, got 'conv1-conv3'"),
        ({"freeze": "conv1,"}, {}, "freeze must name layers among .*, got ''"),
        ({"freeze": "fc3-conv1"}, {}, "earlier layer of a range first, got 'fc3-conv1'"),
        ({"freeze": "fc4-fc5"}, {}, "taken from weights, got 'fc5', made anew"),
        ({"inputs": "raw"}, {}, "inputs must be standardised, as in .*, got raw"),
        ({}, {"in_size": 28}, "in_size must be 32, as in .*, got 28"),
        ({"weights": None, "freeze": "conv1"}, {}, "freeze must be None without weights, got 'conv1'"),
    ],
)
def test_what_contradicts_the_weights_is_refused(
    settings: dict[str, Any], switches: dict[str, Any], message: str, weights: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=message):
        train(tmp_path / "run", settings={"weights": weights, **settings}, switches=switches)


def test_another_network_is_refused(weights: Path) -> None:
    with pytest.raises(TrainingError, match="model must be lenet5, the network in .*, got 'alexnet-cifar'"):
        new_recipe("alexnet-cifar", "shapes", {}, {"weights": weights})


@pytest.mark.slow
def test_the_network_is_the_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "torchvision.safetensors"
    mean = np.zeros((3, 1, 1), np.float32)
    network = models.alexnet("torchvision", num_classes=2, in_size=67)
    save_model(path, network, Preparation(76, 67, mean, mean + 2), ["a", "b"])
    recipe = new_recipe("alexnet", "a folder", {"dropout": 0.1}, {"weights": path})
    assert recipe.config["variant"] == "torchvision" and recipe.config["dropout"] == 0.1
    assert (recipe.size, recipe.crop, recipe.inputs) == (76, 67, "standardised")
    other = new_recipe("alexnet", "a folder", {"variant": "merged"}, {"weights": path})
    assert other.config["norm"] == "lrn" and other.config["groups"] == 1


def test_layers_that_do_not_fit_are_made_anew(tmp_path: Path) -> None:
    wide = models.build({"model": "alexnet_cifar", "in_size": 12, "groups": 2})
    path = tmp_path / "towers.safetensors"
    mean = np.zeros((3, 1, 1), np.float32)
    save_model(path, wide, Preparation(14, 12, mean, mean + 2), [str(number) for number in range(10)])
    recipe = new_recipe("alexnet-cifar", "a folder", {"groups": 1}, {"weights": path})
    _, start = start_from(models.build(recipe.config), recipe)
    assert start["taken"] == ["conv1", "conv3", "fc6", "fc7"] and start["made_anew"] == [
        "conv2",
        "conv4",
        "conv5",
        "fc8",
    ]


def test_batch_normalisation_is_taken_and_frozen_with_its_running_statistics(tmp_path: Path) -> None:
    network = models.alexnet_cifar(7, in_size=12, norm="batch")
    network(np.random.default_rng(0).standard_normal((9, 3, 12, 12)).astype(np.float32))
    path = tmp_path / "weights.safetensors"
    zeros, ones = np.zeros((3, 1, 1), np.float32), np.ones((3, 1, 1), np.float32)
    save_model(path, network, Preparation(32, 12, zeros, ones), list("abcdefg"))
    out = tmp_path / "run"
    settings = {"weights": path, "freeze": "conv1-conv2", "lr": 1e-5}
    assert train(out, model="alexnet-cifar", settings=settings)["start"]["frozen"] == ["conv1", "norm1", "conv2"]
    old, new = network.state_dict(), load_training(newest(out)).model.network.state_dict()
    for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
        np.testing.assert_array_equal(new[f"norm1.{name}"], old[f"norm1.{name}"])
    assert new["norm2.num_batches_tracked"] == 1 + 2 * 3  # two epochs of three batches, after the one above
    best = load_model(out / "best.safetensors").network.state_dict()
    assert best["norm2.num_batches_tracked"] > 1
