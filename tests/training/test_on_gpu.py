"""Whole networks on a GPU against the same ones on the CPU: forward, back, training, and the commands."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
import minicnn.functional as F
from minicnn import Tensor, backend, cli, models, nn, optim
from minicnn.backend import asnumpy, checked_device, device_of, to_device
from minicnn.data import Loader, Preparation, load_shapes, pixel_statistics, transforms
from minicnn.data.scaling import standardised
from minicnn.experiments import contributions
from minicnn.experiments.results import ResultsFolder
from minicnn.training import TrainingError, load_model, train_epoch, trainer
from minicnn.training.loop import EpochProgress


@pytest.fixture(autouse=True)
def numpy_kernels() -> Iterator[None]:
    """On the CPU, nothing has to be compiled for these few pictures."""
    with minicnn.use_kernels("numpy"):
        yield


# Without dropout: its masks are drawn where the network is, and come out otherwise.
NETWORKS: list[tuple[dict[str, Any], int]] = [
    ({"model": "four_layer"}, 32),
    ({"model": "lenet5"}, 32),
    ({"model": "alexnet_cifar", "dropout": 0.0, "groups": 2}, 28),
    ({"model": "alexnet", "num_classes": 10, "dropout": 0.0, "in_size": 67, "init": "he"}, 67),
]


@pytest.mark.parametrize(
    ("config", "size"), NETWORKS, ids=lambda value: value.get("model") if isinstance(value, dict) else ""
)
def test_networks_give_the_same_scores_and_gradients(gpu: str, config: dict[str, Any], size: int, rng: Any) -> None:
    if config["model"] == "alexnet" and backend.gpu_facts(gpu)["cupy"] == "fake":
        pytest.skip("takes its time on a fake GPU; the network for CIFAR-10 has the same layers")
    images, labels = rng.standard_normal((3, 3, size, size)).astype(np.float32), np.array([0, 9, 4])
    found = []
    for device in ("cpu", gpu):
        minicnn.manual_seed(1)
        network = models.build(config).to(device)
        scores = network(Tensor(to_device(images, device)))
        loss = F.cross_entropy(scores, to_device(labels, device))
        loss.backward()
        gradients = {name: asnumpy(parameter.grad) for name, parameter in network.named_parameters()}
        found.append({"scores": scores.numpy(), "loss": loss.numpy(), **gradients})
    here, there = found
    for name, expected in here.items():
        size_of_numbers = abs(expected).max()
        np.testing.assert_allclose(there[name], expected, rtol=0, atol=1e-4 * size_of_numbers, err_msg=name)


def training_losses(device: str, steps: int) -> list[float]:
    """Train the four-layer network on drawn shapes, and return the loss of every step."""
    minicnn.manual_seed(2)
    network = models.four_layer(init="he").to(device)
    optimizer = optim.SGD(network.parameters(), lr=0.002, momentum=0.9, weight_decay=0.0005, style="paper")
    shapes = load_shapes(train=64, test=1)
    (images,) = standardised(shapes.train_images)
    loader, sums = Loader(images, shapes.train_labels, 16, seed=1), []

    def note(progress: EpochProgress) -> None:
        sums.append(progress.summed_loss)

    for _ in range(steps // len(loader)):
        train_epoch(network, optimizer, loader, after_step=note, read_every=1)
    # each epoch is added up for itself
    starts = [0.0 if step % len(loader) == 0 else sums[step - 1] for step in range(steps)]
    return [end - start for start, end in zip(starts, sums, strict=True)]


@pytest.mark.slow
def test_training_goes_the_same_way(gpu: str) -> None:
    steps = 52 if backend.gpu_facts(gpu)["cupy"] != "fake" else 8
    here, there = training_losses("cpu", steps), training_losses(gpu, steps)
    assert len(there) == steps
    np.testing.assert_allclose(there, here, rtol=1e-3)
    assert here[-1] < here[0]


@pytest.mark.parametrize("read_every", [1, 3, 16])
def test_losses_that_are_read_later_are_the_same(gpu: str, read_every: int, rng: Any) -> None:
    """Checkpoints are made when losses are read: the counts have to be those of the steps that were made."""
    images, labels = rng.standard_normal((70, 3, 8, 8)).astype(np.float32), rng.integers(0, 4, 70)
    seen: list[EpochProgress] = []
    found = []
    for every in (1, read_every):
        minicnn.manual_seed(1)
        network = nn.Sequential(nn.Flatten(), nn.Linear(192, 4)).to(gpu)
        seen.clear()
        optimizer = optim.SGD(network.parameters(), lr=0.01)
        result = train_epoch(network, optimizer, Loader(images, labels, 10), after_step=seen.append, read_every=every)
        parameters = [parameter.numpy().tolist() for parameter in network.parameters()]
        found.append([replace(result, seconds=0.0), *parameters])
    assert found[0] == found[1]
    assert [progress.steps for progress in seen] == {1: [*range(1, 8)], 3: [3, 6, 7], 16: [7]}[read_every]


def test_a_label_that_is_no_class_is_named(gpu: str) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 4)).to(gpu)
    batch = np.ones((2, 3, 2, 2), np.float32), np.array([1, 4])
    for every in (1, 2):
        with pytest.raises(ValueError, match="train_epoch: labels must lie between 0 and 3, got 4"):
            train_epoch(network, optim.SGD(network.parameters(), lr=0.1), [batch], read_every=every)


def test_a_loss_that_is_read_late_ends_training_too(gpu: str) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 4)).to(gpu)
    batches = [(np.full((2, 3, 2, 2), value, np.float32), np.array([1, 2])) for value in (1, np.inf, 1)]
    with pytest.raises(TrainingError, match="loss is nan in epoch 1, step 2 .losses are read after every 3 steps"):
        train_epoch(network, optim.SGD(network.parameters(), lr=0.1), batches, read_every=3)


def test_pictures_that_live_on_the_gpu_are_prepared_there_alike(gpu: str) -> None:
    """Crops, mirror images and colours are the same as on the CPU, because what is random is drawn there."""
    shapes = load_shapes(train=40, test=1)
    statistics = pixel_statistics(shapes.train_images)
    for inputs in ("raw", "standardised"):
        preparation = Preparation.of(statistics, 28, inputs)
        for transform in (
            preparation.augmented(colour=statistics.components, padding=2),
            lambda images, rng, preparation=preparation: preparation.prepare(images),
            lambda images, rng, preparation=preparation: preparation.ten_crops(images),
            transforms.pad_and_crop,
        ):
            batches = []
            for device in ("cpu", gpu):
                images = to_device(shapes.train_images, device)
                loader = Loader(images, shapes.train_labels, 16, seed=3, transform=transform)
                batches.append([(asnumpy(images), labels) for images, labels in loader])
                assert {device_of(images) for images, _ in loader} == {checked_device(device)}
            for (here, labels), (there, same_labels) in zip(*batches, strict=True):
                assert here.dtype == there.dtype
                np.testing.assert_allclose(there, here, rtol=1e-6, atol=1e-4)
                np.testing.assert_array_equal(labels, same_labels)


def test_the_same_step_gives_the_same_bits(gpu: str, rng: Any) -> None:
    images, labels = rng.standard_normal((8, 3, 28, 28)).astype(np.float32), np.arange(8)
    found = []
    for _ in range(2):
        minicnn.manual_seed(1)
        network = models.alexnet_cifar(dropout=0.5).to(gpu)
        loss = F.cross_entropy(network(Tensor(to_device(images, gpu))), to_device(labels, gpu))
        loss.backward()
        found.append([loss.numpy(), *(asnumpy(parameter.grad) for parameter in network.parameters())])
    for first, second in zip(*found, strict=True):
        np.testing.assert_array_equal(first, second)


# --- the commands -------------------------------------------------------------------------------------------


def call(line: str) -> int:
    try:
        return cli.main(line.split())
    except SystemExit as leave:
        return int(leave.code or 0)


def log(folder: Path) -> list[str]:
    """Return the log without the time it took."""
    return [",".join(line.split(",")[:8]) for line in (folder / "log.csv").read_text().splitlines()]


@pytest.mark.slow
def test_a_run_on_a_gpu_goes_on_as_if_it_had_not_stopped(
    gpu: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    once, twice = tmp_path / "once", tmp_path / "twice"
    settings = "--data shapes --limit 60 --batch-size 16 --lr 0.05 --recipe paper"
    assert call(f"train lenet5 {settings} --epochs 2 --out {once} --device {gpu}") == 0
    facts = backend.gpu_facts(gpu)
    first_line = capsys.readouterr().out.splitlines()[0]
    assert first_line == f"On cuda:0: {facts['gpu']}, CUDA {facts['cuda']}, CuPy {facts['cupy']}, float32 products"
    assert call(f"train lenet5 {settings} --epochs 1 --out {twice} --device {gpu}") == 0
    minicnn.set_default_device("cpu")
    assert call(f"train --epochs 2 --out {twice} --resume") == 0
    assert minicnn.get_default_device() == "cuda:0"  # as before
    assert log(once) == log(twice)
    minicnn.set_default_device("cpu")
    networks = [load_model(folder / "best.safetensors").network.state_dict() for folder in (once, twice)]
    for name, array in networks[0].items():
        np.testing.assert_array_equal(array, networks[1][name])
    here = json.loads((twice / "result.json").read_text())["machine"]
    assert {name: here[name] for name in ("device", "kernels", "tf32", *facts)} == {
        "device": "cuda:0", "kernels": "cuda", "tf32": False, **facts
    }  # fmt: skip

    capsys.readouterr()
    assert call(f"train --epochs 3 --out {twice} --resume --device cpu") == 0
    assert "device was cuda:0 and is cpu now: the numbers may differ in their last bits" in capsys.readouterr().err
    assert json.loads((twice / "result.json").read_text())["machine"]["device"] == "cpu"


def test_commands_on_a_gpu(gpu: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    try:
        assert call(f"train lenet5 --data shapes --limit 40 --epochs 1 --out {out} --device {gpu} --tf32") == 0
        assert "TF32 products" in capsys.readouterr().out.splitlines()[0]
        assert json.loads((out / "result.json").read_text())["machine"]["tf32"] is True
    finally:
        minicnn.set_tf32(False)

    checkpoint, found = out / "best.safetensors", []
    for device in ("cpu", gpu):
        line = f"evaluate {checkpoint} --data shapes --limit 40 --ten-crop --json {tmp_path / 'judged.json'}"
        assert call(f"{line} --device {device}") == 0
        found.append(json.loads((tmp_path / "judged.json").read_text()))
    assert found[0]["error"] == found[1]["error"]
    assert found[0]["loss"] == pytest.approx(found[1]["loss"], rel=1e-5)

    Image.fromarray(load_shapes(train=1, test=1).test_images[0].transpose(1, 2, 0)).save(tmp_path / "shape.png")
    answers = []
    for device in ("cpu", gpu):
        capsys.readouterr()
        assert call(f"predict {checkpoint} {tmp_path / 'shape.png'} --device {device}") == 0
        answers.append([line for line in capsys.readouterr().out.splitlines() if not line.startswith("On cuda")])
    assert answers[0] == answers[1]


def test_the_study_on_a_gpu(gpu: str, tmp_path: Path) -> None:
    settings = "--data shapes --limit 16 --epochs 1 --inputs standardised"
    assert call(f"relu-vs-tanh {settings} --out {tmp_path / 'study'} --device {gpu}") == 0
    summary = json.loads((tmp_path / "study" / "summary.json").read_text())
    assert summary["machine"]["device"] == "cuda:0"
    assert summary["machine"]["gpu"] == backend.gpu_facts(gpu)["gpu"]


def test_every_variant_of_a_study_is_trained_there(gpu: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = []
    monkeypatch.setattr(trainer, "run", lambda *_, **named: devices.append(named["device"]) or {})
    settings = {"limit": 20, "data": "shapes", "crop": 28, "batch_size": 32}
    study = contributions.Contributions(ResultsFolder(tmp_path, "contributions", []), settings)
    for device in ("cpu", gpu):
        minicnn.set_default_device(device)
        study.train(contributions.AblationRun("everything", 0), tmp_path, 0.1, 2, 20)
    assert devices == ["cpu", "cuda:0"]


@pytest.mark.parametrize(
    "command", ["train lenet5 --data shapes", "gradcheck", "relu-vs-tanh --data shapes", "contributions"]
)
def test_where_there_is_no_gpu_one_line_says_so(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.chdir(tmp_path)
    assert call(f"{command} --device cuda:1") == 2
    message = capsys.readouterr().err
    assert message.startswith("minicnn: error: device 'cuda:1' needs CuPy")
    assert message.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", ["gpu", "cuda:", "cuda:one", "CPU"])
def test_devices_that_no_command_knows(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(f"gradcheck --device {wrong}") == 2
    assert f"must be cpu, cuda or cuda:N, got '{wrong}'" in capsys.readouterr().err


@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Adam])
def test_nothing_falls_back_on_the_current_gpu(two_gpus: ModuleType, optimizer: Any, rng: Any) -> None:
    """What is made, read and trained for the second GPU stays there, though the first is the current one."""
    minicnn.set_default_device("cuda:1")
    network = models.lenet5()
    network.load_state_dict(network.state_dict())
    descent = optimizer(network.parameters(), lr=0.01)
    images, labels = rng.standard_normal((6, 3, 32, 32)).astype(np.float32), np.arange(6)
    for pictures in (images, to_device(images, "cuda:1")):
        assert train_epoch(network, descent, Loader(pictures, labels, 4)).steps == 2
        descent.load_state_dict(descent.state_dict())
    assert {device_of(parameter.data) for parameter in network.parameters()} == {"cuda:1"}


@pytest.mark.slow
def test_commands_on_the_second_gpu(two_gpus: ModuleType, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert call(f"train lenet5 --data shapes --limit 40 --epochs 1 --out {out} --device cuda:1") == 0
    assert call(f"train --epochs 2 --out {out} --resume") == 0
    best = out / "best.safetensors"
    assert call(f"evaluate {best} --data shapes --limit 40 --ten-crop --device cuda:1") == 0
    study = f"relu-vs-tanh --data shapes --limit 16 --epochs 1 --inputs raw --out {tmp_path / 'study'}"
    assert call(f"{study} --device cuda:1") == 0
