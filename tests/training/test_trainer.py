import json
import os
import shutil
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
from PIL import Image

import minicnn
from minicnn.data import DataError, ImageFolder, sources
from minicnn.training import TrainingError, evaluate, load_model, load_training, run_state, trainer
from minicnn.training.loop import DivergedError
from minicnn.training.stopping import Stopped
from tests.training.small_runs import assert_same, log, newest, stop_after, train

pytestmark = pytest.mark.usefixtures("ctrl_c", "numpy_kernels")


def test_a_run_leaves_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn = []
    result = train(tmp_path, draw=lambda rows, path: drawn.append((len(rows), path)), keep=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best.safetensors",
        "log.csv",
        "result.json",
        "step-00000006.safetensors",
    ]
    assert drawn == [(1, tmp_path / "curves.png"), (2, tmp_path / "curves.png")]
    rows = log(tmp_path)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert json.loads((tmp_path / "result.json").read_text()) == result
    assert result["epochs"] == 2 and result["test"]["images"] == 40
    errors = [float(row["validation_error"]) for row in rows]
    assert result["validation_error"] == min(errors) and result["best_epoch"] == errors.index(min(errors)) + 1

    # What is reported is what the best network does on pictures that it has neither learnt nor been chosen by.
    best, parts = load_model(tmp_path / "best.safetensors"), sources.load_parts("shapes", 32, limit=40)
    assert parts.test is not None
    judged = evaluate(best.network, best.preparation, *parts.test)
    assert (judged.error, judged.loss) == (result["test"]["error"], result["test"]["loss"])
    judged = evaluate(best.network, best.preparation, *parts.validation)
    assert judged.error == min(errors)
    assert best.classes == parts.classes and best.info["best"]["epoch"] == result["best_epoch"]
    printed = capsys.readouterr()
    assert printed.err.count("epoch ") == 2 and "validation error" in printed.err
    assert f"{100 * judged.error:.2f} %" in printed.out and "top-5 error" in printed.out


def test_the_network_sees_the_training_part_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    loader = trainer.Loader
    monkeypatch.setattr(trainer, "Loader", lambda *given, **more: seen.append(given) or loader(*given, **more))
    train(tmp_path)
    parts = sources.load_parts("shapes", 32, limit=40)
    assert len(parts.train.labels) == 36 and len(parts.validation.labels) == 4
    np.testing.assert_array_equal(seen[0][0], parts.train.images)
    mean = load_model(newest(tmp_path)).preparation.mean
    np.testing.assert_allclose(mean.ravel(), np.asarray(parts.train.images).mean(axis=(0, 2, 3)), rtol=1e-5)


def test_the_learning_rate_falls_after_the_given_epochs(tmp_path: Path) -> None:
    train(tmp_path, settings={"lr_drops": [1, 2], "epochs": 3})
    assert [float(row["lr"]) for row in log(tmp_path)] == pytest.approx([0.01, 0.001, 0.0001])


def test_training_is_over_when_the_error_no_longer_improves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = trainer.evaluate

    def constant(*given: Any, **more: Any) -> Any:
        return replace(judge(*given, **more), error=0.5)

    monkeypatch.setattr(trainer, "evaluate", constant)
    result = train(tmp_path, settings={"patience": 1, "epochs": 20})
    rates = [float(row["lr"]) for row in log(tmp_path)]
    assert rates == pytest.approx([0.01, 0.01, 0.001, 0.0001, 0.00001])
    assert result["best_epoch"] == 1


def test_how_long_the_error_has_not_improved_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = trainer.evaluate
    monkeypatch.setattr(trainer, "evaluate", lambda *given, **more: replace(judge(*given, **more), error=0.5))
    settings = {"patience": 2, "epochs": 8}
    train(tmp_path / "whole", settings=settings)
    train(tmp_path / "parts", settings=settings | {"epochs": 2})  # one epoch without improvement has passed
    train(tmp_path / "parts", resume=True, settings={"epochs": 4})
    train(tmp_path / "parts", resume=True, settings={"epochs": 8})
    assert_same(tmp_path / "whole", tmp_path / "parts")
    assert [float(row["lr"]) for row in log(tmp_path / "parts")][2:5] == pytest.approx([0.01, 0.001, 0.001])


def test_without_validation_the_last_network_is_the_best(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"validation": 0, "epochs": 3}
    result = train(tmp_path / "whole", settings=settings)
    printed = capsys.readouterr()
    assert "no validation set: the network after the last epoch, 3, is kept as the best" in printed.out
    assert "validation" not in printed.err
    assert (result["best_epoch"], result["validation_error"], result["epochs"]) == (3, None, 3)
    assert json.loads((tmp_path / "whole" / "result.json").read_text())["validation_error"] is None
    rows = log(tmp_path / "whole")
    assert {row[f"validation_{name}"] for row in rows for name in ("error", "top5_error", "loss")} == {""}
    assert result["train_error"] == float(rows[-1]["train_error"])
    best, last = load_model(tmp_path / "whole" / "best.safetensors"), load_training(newest(tmp_path / "whole"))
    for name, array in best.network.state_dict().items():
        np.testing.assert_array_equal(array, last.model.network.state_dict()[name])
    assert newest(tmp_path / "whole").name == "step-00000009.safetensors"  # 40 images are three batches of 16
    mean = np.asarray(sources.load_shapes(train=40, test=1).train_images).mean(axis=(0, 2, 3))
    np.testing.assert_allclose(best.preparation.mean.ravel(), mean, rtol=1e-5)  # none is held out

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
        stop_after(patch, 5)
        train(tmp_path / "parts", settings=settings)
    train(tmp_path / "parts", None, None, resume=True)
    assert_same(tmp_path / "whole", tmp_path / "parts")


def test_without_validation_the_training_error_is_to_improve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train_epoch = trainer.train_epoch

    def constant(*given: Any, **more: Any) -> Any:
        return replace(train_epoch(*given, **more), wrong=20)

    monkeypatch.setattr(trainer, "train_epoch", constant)
    train(tmp_path, settings={"patience": 1, "epochs": 20, "validation": 0})
    assert [float(row["lr"]) for row in log(tmp_path)] == pytest.approx([0.01, 0.01, 0.001, 0.0001, 0.00001])


def test_a_run_can_be_ended_after_any_epoch(tmp_path: Path) -> None:
    seen: list[list[int]] = []

    def after_epoch(rows: Any) -> bool:
        seen.append([row["epoch"] for row in rows])
        assert len(log(tmp_path / "ended")) == len(rows)  # written before
        return len(rows) == 2

    train(tmp_path / "whole", settings={"epochs": 4})
    assert train(tmp_path / "ended", settings={"epochs": 4}, after_epoch=after_epoch)["epochs"] == 2
    assert seen == [[1], [1, 2]] and (tmp_path / "ended" / "result.json").exists()
    assert train(tmp_path / "ended", None, None, resume=True)["epochs"] == 4
    assert_same(tmp_path / "whole", tmp_path / "ended")


def test_a_run_is_called_what_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tmp_path / "one", settings={"epochs": 1})
    training, validation, test, recipe, first, *_ = capsys.readouterr().err.splitlines()
    assert training.startswith("Training: 36 images of 10 classes, from 1 (")
    assert validation.startswith("Validation: 4 images of 4 classes, from 1 (")
    assert test.startswith("Test: 40 images of 9 classes, from 3 (stripes) to ")
    assert recipe.startswith("Recipe: paper (--recipe): ")
    assert first.startswith("lenet5 on shapes, epoch 1/1: error ")
    train(tmp_path / "two", settings={"epochs": 1}, name="my run")
    assert capsys.readouterr().err.startswith("my run, epoch 1/1: error ")


# --- stopping ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["lrn", "batch"])  # batch normalisation has buffers
@pytest.mark.parametrize("steps", [1, 3, 4])  # in the middle of an epoch, at its end, at the next one's beginning
def test_a_run_that_was_stopped_goes_on_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], steps: int, norm: str
) -> None:
    switches = {"in_size": 12, "norm": norm}
    more: dict[str, Any] = {"model": "alexnet-cifar", "switches": switches, "settings": {"epochs": 3}}
    train(tmp_path / "whole", **more)
    with monkeypatch.context() as patch, pytest.raises(Stopped, match="--resume") as caught:
        stop_after(patch, steps)
        train(tmp_path / "parts", **more)
    assert caught.value.signal == signal.SIGINT
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert newest(tmp_path / "parts").name == f"step-{steps:08d}.safetensors"
    assert "Ctrl-C once more" in capsys.readouterr().err
    minicnn.manual_seed(99)  # whatever the process did before
    train(tmp_path / "parts", None, None, resume=True)
    assert_same(tmp_path / "whole", tmp_path / "parts")


def test_a_signal_during_validation_stops_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(tmp_path / "whole")
    judge = trainer.evaluate

    def interrupted(*given: Any, **more: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return judge(*given, **more)

    with monkeypatch.context() as patch, pytest.raises(Stopped) as caught:
        patch.setattr(trainer, "evaluate", interrupted)
        train(tmp_path / "parts")
    assert caught.value.signal == signal.SIGTERM
    assert not (tmp_path / "parts" / "log.csv").exists()
    train(tmp_path / "parts", resume=True)
    assert_same(tmp_path / "whole", tmp_path / "parts")


def test_another_thread_can_train_too(tmp_path: Path) -> None:
    thread = threading.Thread(target=train, args=(tmp_path,), kwargs={"settings": {"epochs": 1}})
    thread.start()
    thread.join()
    assert (tmp_path / "result.json").exists()


# --- what goes wrong ---------------------------------------------------------------------------------------------


def test_a_full_disk_stops_training_and_the_old_checkpoint_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tmp_path / "whole", checkpoint_minutes=0)
    fsync, room = os.fsync, {"files": 3}

    def until_full(file: int) -> None:
        room["files"] -= 1
        if room["files"] < 0:
            raise OSError(28, "No space left on device")
        fsync(file)

    with monkeypatch.context() as patch, pytest.raises(TrainingError, match="No space left on device.*--resume"):
        patch.setattr("os.fsync", until_full)
        train(tmp_path / "full", checkpoint_minutes=0)
    assert sorted(path.name for path in (tmp_path / "full").iterdir()) == [
        f"step-{steps:08d}.safetensors" for steps in range(3)
    ]
    train(tmp_path / "full", resume=True)
    assert_same(tmp_path / "whole", tmp_path / "full")


def test_a_file_that_cannot_grow_stops_training_the_same_way(tmp_path: Path) -> None:
    """The system itself refuses, in the middle of writing."""
    resource = pytest.importorskip("resource")
    train(tmp_path, settings={"epochs": 1})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(TrainingError, match="a checkpoint cannot be written.*large"):
            train(tmp_path, resume=True, settings={"epochs": 2}, checkpoint_minutes=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_is_not_finite_stops_training_and_names_the_layer(tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"the loss is \w+ in epoch 1.* in the \w+ .*The last checkpoint is .*step-0"
    ):
        train(tmp_path, "four-layer", settings={"lr": 1e30})
    load_training(newest(tmp_path))


def test_a_validation_loss_that_is_not_finite_is_divergence(tmp_path: Path) -> None:
    """The only step of this run spoils the weights after its loss was read."""
    words = r"validation loss after epoch 1, at a learning rate of 1e\+20, is nan: .*a lower .*The last .*step-00000000"
    with pytest.raises(DivergedError, match=words):
        train(tmp_path, "four-layer", settings={"lr": 1e20, "batch_size": 64, "epochs": 1})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000000.safetensors"]


@pytest.mark.parametrize("settings", [{"lr": 1e20}, {"lr": 3e38, "weight_decay": 3e38}], ids=["huge", "infinite"])
@pytest.mark.parametrize("test", [True, False])
def test_without_validation_divergence_shows_in_a_few_training_images(
    tmp_path: Path, folder: Path, settings: dict[str, float], test: bool
) -> None:
    if not test:
        shutil.rmtree(folder / "test")
    settings = {"batch_size": 64, "epochs": 1, "validation": 0, **settings}
    with pytest.raises(DivergedError, match=r"the training loss after epoch 1, at a learning rate of \S+, is nan"):
        train(tmp_path / "run", "four-layer", str(folder), settings=settings)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["step-00000000.safetensors"]


def test_a_run_needs_no_stderr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is closed, as for a program without a terminal on Windows, Python has None."""
    monkeypatch.setattr(sys, "stderr", None)
    assert train(tmp_path, settings={"epochs": 1})["epochs"] == 1


# --- folders -----------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Red and blue pictures of several sizes."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for part, count in (("train", 10), ("val", 4), ("test", 4)):
        for position, name in enumerate(("blue", "red")):
            place = tmp_path / "pictures" / part / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 100, (34, 40 + number, 3), dtype=np.uint8)
                pixels[..., 2 - 2 * position] += 150
                Image.fromarray(pixels).save(place / f"{number}.png")
    return tmp_path / "pictures"


def test_a_folder_is_learnt_and_workers_change_nothing(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"limit": None, "batch_size": 4, "epochs": 2, "lr": 0.02}
    result = train(tmp_path / "whole", data=str(folder), settings=settings, workers=0)
    assert result["test"]["images"] == 8 and result["test"]["error"] == 0
    assert load_training(newest(tmp_path / "whole")).progress["recipe"]["colour"]
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        stop_after(patch, 2)
        train(tmp_path / "parts", data=str(folder), settings=settings, workers=2)
    folder.rename(tmp_path / "elsewhere")
    train(tmp_path / "parts", None, str(tmp_path / "elsewhere"), resume=True, workers=1)
    assert_same(tmp_path / "whole", tmp_path / "parts")

    red = tmp_path / "elsewhere" / "train" / "red" / "0.png"
    os.utime(red, (1, 1))  # the contents decide
    with monkeypatch.context() as patch:
        patch.setattr(run_state.PIL, "__version__", "1.0")
        train(tmp_path / "parts", None, str(tmp_path / "elsewhere"), resume=True, workers=1)
    assert f"pillow was {PIL.__version__} and is 1.0 now: the numbers may differ" in capsys.readouterr().err
    Image.open(red).rotate(180).save(red)
    with pytest.raises(TrainingError, match="the train images are not the same as before"):
        train(tmp_path / "parts", None, str(tmp_path / "elsewhere"), resume=True)


def test_broken_pictures_of_every_part_are_named_before_the_first_step(tmp_path: Path, folder: Path) -> None:
    for part in ("train", "val", "test"):
        (folder / part / "blue" / "0.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"3 files cannot be used: .*train/blue/0.*val/blue/0.*test/blue/0"):
        train(tmp_path / "run", data=str(folder), settings={"limit": None})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("left_out", [1, 8])
def test_a_run_goes_on_with_changed_pictures_if_the_user_says_so(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, left_out: int
) -> None:
    settings = {"limit": None, "batch_size": 1, "epochs": 2}
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        stop_after(patch, 39)
        train(tmp_path / "run", data=str(folder), settings=settings)
    for number in range(left_out):
        (folder / "train" / "blue" / f"{number}.png").write_bytes(b"")
    with pytest.raises(DataError, match="train/blue/0.png cannot be read"):
        train(tmp_path / "run", None, None, resume=True)
    with pytest.raises(TrainingError, match=r"the train images are not the same .* by --accept-changed-images"):
        train(tmp_path / "run", None, None, resume=True, skip_bad=True)
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        stop_after(patch, 2)
        train(tmp_path / "run", None, None, resume=True, skip_bad=True, accept_changed_images=True)
    assert "the train images are not the same as before: errors before and after epoch 2" in capsys.readouterr().err
    assert newest(tmp_path / "run").name == f"step-{20 - left_out + 2:08d}.safetensors"
    assert load_training(newest(tmp_path / "run")).progress["progress"]["images"] == 2
    assert train(tmp_path / "run", None, None, resume=True)["epochs"] == 2  # it is accepted once and for all
    (folder / "train" / "blue").rename(folder / "train" / "azure")
    (folder / "val" / "blue").rename(folder / "val" / "azure")
    (folder / "test" / "blue").rename(folder / "test" / "azure")
    with pytest.raises(TrainingError, match="the classes are not the same as before"):
        train(tmp_path / "run", None, None, resume=True, accept_changed_images=True)


def test_where_the_data_are_and_what_was_left_out_is_remembered(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "train" / "red" / "bad.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="bad.png"):
        train(tmp_path / "run", data=str(folder), settings={"limit": None, "epochs": 1})
    train(tmp_path / "run", data=folder, settings={"limit": None, "epochs": 1}, skip_bad=True)  # a Path
    train(tmp_path / "run", None, folder, resume=True, settings={"epochs": 2})
    left_out = json.loads((tmp_path / "run" / "result.json").read_text())["left_out"]
    assert left_out == [
        f"{folder}/train/red/bad.png cannot be read: it is not an image; JPEG, PNG and WebP images are read"
    ]

    asked: list[Any] = []
    shapes = sources.load_shapes(train=30, test=20)
    monkeypatch.setattr(sources, "load_cifar10", lambda home: asked.append(home) or shapes)
    train(tmp_path / "cifar", data="cifar10", data_dir=Path("here"), settings={"epochs": 1})
    train(tmp_path / "cifar", None, None, resume=True)
    train(tmp_path / "cifar", None, None, resume=True, data_dir="there")
    assert asked == [Path("here"), "here", "there"]


def test_the_pictures_may_be_in_the_current_folder(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder / "train")
    for again in (False, True):
        trainer.run("lenet5", ".", {}, {"epochs": 1, "batch_size": 16}, resume=again)
    assert load_model(Path("runs", "lenet5-train", "best.safetensors")).classes == ("blue", "red")


def test_without_test_pictures_none_are_reported(tmp_path: Path, folder: Path) -> None:
    result = train(tmp_path / "run", data=str(folder / "train"), settings={"limit": None, "epochs": 1})
    assert result["test"] is None
    saved = load_training(newest(tmp_path / "run"))
    assert saved.model.classes == ("blue", "red")
    part = sources.load_parts(str(folder / "train"), 32)
    assert isinstance(part.train.images, ImageFolder)
    assert len(part.train.labels) == 18 and part.validation.labels.tolist() == [0, 1]
