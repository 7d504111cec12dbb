import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn.data import load_shapes, scaling
from minicnn.experiments import relu_vs_tanh, saturation
from minicnn.experiments import study as machinery
from minicnn.experiments.relu_vs_tanh import ReluVsTanh
from minicnn.experiments.results import ResultsFolder, StudyError
from minicnn.training import trainer
from minicnn.training.run_folder import RunFolder
from minicnn.viz import save_figure
from tests.experiments.small_studies import COLUMNS, rows, study, summary

pytestmark = pytest.mark.usefixtures("small")


@pytest.mark.slow
def test_a_study_writes_a_row_for_each_run_and_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machinery, "save_figure", save_figure)
    returned = study(tmp_path, seeds=[0, 3])
    assert list(rows(tmp_path)[0]) == COLUMNS
    found = [(row["inputs"], row["activation"], int(row["seed"]), int(row["epoch"])) for row in rows(tmp_path)]
    expected = [
        (inputs, activation, seed, epoch)
        for inputs in ("raw", "standardised")
        for seed in (0, 3)
        for activation in ("relu", "tanh")
        for epoch in (1, 2)
    ]
    assert found == expected
    for row in rows(tmp_path):
        assert 0 < float(row["train_error"]) <= 1
        assert 0 < float(row["train_loss"]) < 10
        assert float(row["seconds"]) > 0
        assert float(row["lr"]) == relu_vs_tanh.LEARNING_RATES["shapes"][row["inputs"]][row["activation"]]
    for name in ("relu_vs_tanh.png", "relu_vs_tanh.svg"):
        assert (tmp_path / name).stat().st_size > 10_000

    written = summary(tmp_path)
    assert written == returned
    assert written["finished"] is True
    assert written["versions"]["minicnn"] == minicnn.__version__
    assert set(written["machine"]) == {"processor", "cores", "threads", "kernels", "device", "system"}
    assert written["settings"]["images"] == 16
    assert written["results"]["raw"]["tanh"]["epochs_to_target"] == {"0": None, "3": None}
    assert written["results"]["raw"]["tanh"]["median"] == "> 2"

    printed = capsys.readouterr()
    assert [line.split()[:5] for line in printed.out.splitlines() if "> 2" in line] == [
        ["raw", "ReLU", "0.001", ">", "2"],
        ["raw", "tanh", "0.01", ">", "2"],
        ["standardised", "ReLU", "0.01", ">", "2"],
        ["standardised", "tanh", "0.02", ">", "2"],
    ]
    assert "raw inputs, tanh, seed 3, epoch 2/2: error" in printed.err
    assert "\r" not in printed.err, "a bar where the output is no terminal"


def watch_epochs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Any], list[Any]]]:
    """Return a list that is filled with the weights at the beginning of each epoch, and the epoch's batches."""
    seen: list[tuple[dict[str, Any], list[Any]]] = []
    train_epoch = trainer.train_epoch

    def watched(network: Any, optimizer: Any, batches: Any, **options: Any) -> Any:
        batches = list(batches)
        seen.append(({name: array.copy() for name, array in network.state_dict().items()}, batches))
        return train_epoch(network, optimizer, batches, **options)

    monkeypatch.setattr(trainer, "train_epoch", watched)
    return seen


@pytest.mark.slow
def test_both_activations_start_from_the_same_weights_and_see_the_same_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = watch_epochs(monkeypatch)
    study(tmp_path, inputs="raw", seeds=[5, 6])
    assert len(seen) == 8  # two epochs of each run
    (relu, _), (tanh, _), (other, _) = seen[0], seen[2], seen[4]
    assert list(relu) == list(tanh)
    for name, array in relu.items():
        np.testing.assert_array_equal(array, tanh[name])
    assert not np.array_equal(relu["conv1.weight"], other["conv1.weight"])
    assert relu["conv2.weight"].std() == pytest.approx(0.01, rel=0.05)
    for epoch in (0, 1):
        for (images, labels), (same, its_labels) in zip(seen[epoch][1], seen[2 + epoch][1], strict=True):
            np.testing.assert_array_equal(images, same)
            np.testing.assert_array_equal(labels, its_labels)
    orders = [np.concatenate([labels for _, labels in seen[number][1]]).tolist() for number in (0, 1, 4)]
    assert orders[0] != orders[1] and orders[0] != orders[2]


@pytest.mark.slow
def test_inputs_are_scaled_as_in_2012_or_as_is_usual_since(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = watch_epochs(monkeypatch)
    study(tmp_path, epochs=1, limit=24)
    pixels, order = load_shapes(train=24).train_images, np.arange(24)
    np.random.default_rng((0, 0)).shuffle(order)
    raw, standardised = (np.concatenate([images for images, _ in seen[run][1]]) for run in (0, 2))
    np.testing.assert_allclose(raw, (pixels - pixels.mean(axis=0))[order], atol=1e-3)
    np.testing.assert_allclose(standardised.mean(axis=(0, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(standardised.std(axis=(0, 2, 3)), 1, atol=1e-4)
    np.testing.assert_array_equal(raw, scaling.raw(pixels)[0][order])
    np.testing.assert_allclose(standardised, scaling.standardised(pixels)[0][order], atol=1e-6)


def test_nothing_regularises_and_the_learning_rate_is_constant(tmp_path: Path) -> None:
    study(tmp_path, inputs="raw", epochs=1)
    result = json.loads((tmp_path / "states" / "raw-tanh-0" / "result.json").read_text())
    recipe = {"augment": False, "weight_decay": 0, "momentum": 0.9, "sgd": "pytorch", "validation": 0}
    recipe |= {"schedule": "epochs", "lr_drops": [], "lr": 0.01, "inputs": "raw", "seed": 0, "limit": 16}
    assert {name: result["recipe"][name] for name in recipe} == recipe
    assert result["recipe"]["config"]["model"] == "four_layer" and result["validation_error"] is None


def test_batches_are_small_where_there_are_few_images() -> None:
    def recipe(data: str) -> dict[str, Any]:
        settings = ReluVsTanh.settle({"data": data}, {"relu": None, "tanh": None}, {})
        study = ReluVsTanh(ResultsFolder("nowhere", "relu_vs_tanh", COLUMNS), settings)
        return study.recipe(study.runs()[0], epochs=1)[2]

    assert recipe("cifar10")["batch_size"] == 128
    assert recipe("shapes")["batch_size"] == relu_vs_tanh.BATCH_SIZES["shapes"]


@pytest.mark.slow
def test_a_run_ends_at_its_target_if_asked_to(tmp_path: Path) -> None:
    study(tmp_path / "on", inputs="raw", epochs=3, lr_tanh=0.03)
    whole = rows(tmp_path / "on")
    assert len(whole) == 6
    errors = {
        name: [float(row["train_error"]) for row in whole if row["activation"] == name] for name in ("relu", "tanh")
    }
    target = min(errors["tanh"])  # reached by tanh in some epoch
    study(tmp_path / "stop", inputs="raw", epochs=3, lr_tanh=0.03, target_error=target, stop_at_target=True)
    needed = {
        name: next((n for n, error in enumerate(found, 1) if error <= target), 3) for name, found in errors.items()
    }
    assert needed["tanh"] < 3
    expected = [row for row in whole if int(row["epoch"]) <= needed[row["activation"]]]
    assert [(row["activation"], row["epoch"], row["train_error"]) for row in rows(tmp_path / "stop")] == [
        (row["activation"], row["epoch"], row["train_error"]) for row in expected
    ]


def test_an_explicit_learning_rate_holds_for_all_inputs(tmp_path: Path) -> None:
    study(tmp_path, epochs=1, lr_tanh=0.002)
    found = {(row["inputs"], row["activation"]): float(row["lr"]) for row in rows(tmp_path)}
    assert found[("raw", "tanh")] == found[("standardised", "tanh")] == 0.002
    assert found[("raw", "relu")] == 0.001


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": "mnist"}, "data must be one of cifar10, shapes; got 'mnist'"),
        ({"inputs": "grey"}, "inputs must be one of raw, standardised, both, got 'grey'"),
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"limit": 0}, "limit must be at least 2, got 0"),
        ({"limit": 10_001}, "limit must be at most 10000, the training images of shapes, got 10001"),
        ({"seeds": []}, r"seeds must be one or more different numbers, got \[\]"),
        ({"seeds": [1, 1]}, "seeds must be one or more different numbers"),
        ({"seeds": [-1]}, "seeds must be at least 0, got -1"),
        ({"target_error": 25}, "target_error must be between 0 and 1, got 25"),
        ({"lr_relu": 0.0}, "lr_relu must be above 0 and finite, got 0.0"),
        ({"lr_tanh": math.nan}, "lr_tanh must be above 0 and finite, got nan"),
    ],
)
def test_settings_out_of_range_are_refused_and_leave_nothing(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(StudyError, match=message):
        study(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


# --- the results -------------------------------------------------------------------------------------------------


def results_of(relu: list[list[float]], tanh: list[list[float]], out: Path) -> dict[str, Any]:
    shutil.rmtree(out / "states", ignore_errors=True)
    for activation, runs in (("relu", relu), ("tanh", tanh)):
        for seed, errors in enumerate(runs):
            folder = out / "states" / f"raw-{activation}-{seed}"
            folder.mkdir(parents=True)
            row = {"lr": 0.1, "train_loss": 1.0, "seconds": 1.0, **dict.fromkeys(saturation.COLUMNS, 0.5)}
            made = [{"epoch": epoch, "train_error": error, **row} for epoch, error in enumerate(errors, start=1)]
            RunFolder(folder).write_log(made)
    settings = ReluVsTanh.settle({"data": "shapes"}, {"relu": None, "tanh": None}, {})
    return dict(ReluVsTanh(ResultsFolder(out, "relu_vs_tanh", COLUMNS), settings).results()["raw"])


def reaching(epoch: int, length: int = 40) -> list[float]:
    return [0.5] * (epoch - 1) + [0.2] * (length - epoch + 1)


def test_medians_means_and_ratio_when_all_cross(tmp_path: Path) -> None:
    found = results_of([reaching(6), reaching(7), reaching(8)], [reaching(35), reaching(40), reaching(36)], tmp_path)
    assert (found["relu"]["median"], found["relu"]["mean"]) == ("7", "7")
    assert (found["tanh"]["median"], found["tanh"]["mean"]) == ("36", "37")
    assert found["tanh"]["epochs_to_target"] == {"0": 35, "1": 40, "2": 36}
    assert found["ratio"] == "5.14"


def test_a_curve_that_never_crosses_is_a_lower_bound_and_is_not_dropped(tmp_path: Path) -> None:
    never = [0.5] * 40
    found = results_of([reaching(7)] * 3, [never] * 3, tmp_path)
    assert (found["tanh"]["median"], found["tanh"]["mean"], found["ratio"]) == ("> 40", "> 40", "> 5.71")
    found = results_of([reaching(7)] * 3, [reaching(36), never, reaching(38)], tmp_path)
    assert (found["tanh"]["median"], found["tanh"]["mean"], found["ratio"]) == ("38", "> 38", "5.43")
    assert found["tanh"]["epochs_to_target"] == {"0": 36, "1": None, "2": 38}
    assert found["tanh"]["epochs_run"]["1"] == 40
    found = results_of([never, reaching(7)], [reaching(36)] * 2, tmp_path)
    assert (found["relu"]["median"], found["ratio"]) == ("> 23.5", None)
