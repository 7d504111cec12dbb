import csv
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn.data import DataError, ImageFolder, sources
from minicnn.training import (
    CheckpointError,
    TrainingError,
    evaluate,
    load_model,
    load_training,
    save_training,
    trainer,
)
from minicnn.training.loop import EpochProgress
from minicnn.training.stopping import GracefulStop, Stopped

SMALL = {"limit": 40, "batch_size": 16, "epochs": 2}  # 36 pictures to learn from: three batches, the last of four


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """As it is in a terminal; where tests run in a script's background, it would be ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def numpy_kernels() -> Iterator[None]:
    """Nothing has to be compiled for these few pictures."""
    with minicnn.use_kernels("numpy"):
        yield


def train(out: Path, model: str | None = "lenet5", data: str | None = "shapes", **more: Any) -> dict[str, Any]:
    settings = SMALL | more.pop("settings", {}) if not more.get("resume") else more.pop("settings", {})
    return trainer.run(model, data, more.pop("switches", {}), settings, out=out, **more)


def newest(folder: Path) -> Path:
    return max(folder.glob("step-*.safetensors"))


def log(folder: Path) -> list[dict[str, str]]:
    with open(folder / "log.csv", newline="") as file:
        return [{k: v for k, v in row.items() if "second" not in k} for row in csv.DictReader(file)]


def assert_same(first: Path, second: Path) -> None:
    one, two = load_training(newest(first)), load_training(newest(second))
    for name, array in one.model.network.state_dict().items():
        np.testing.assert_array_equal(array, two.model.network.state_dict()[name], err_msg=name)
    for number, memories in one.optimizer["state"].items():
        for name, array in memories.items():
            np.testing.assert_array_equal(array, two.optimizer["state"][number][name])
    assert log(first) == log(second)


class Interrupt(Exception):
    pass


def stop_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """The run leaves after so many steps, as after Ctrl-C."""
    after_step, left = trainer.Trainer.after_step, {"steps": steps}

    def step(self: trainer.Trainer, progress: EpochProgress) -> None:
        left["steps"] -= 1
        if left["steps"] == 0:
            signal.raise_signal(signal.SIGINT)
        after_step(self, progress)

    monkeypatch.setattr(trainer.Trainer, "after_step", step)


# --- a run ---------------------------------------------------------------------------------------------------


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


def test_the_paper_is_the_default(tmp_path: Path) -> None:
    train(tmp_path, settings={"epochs": 1})
    group = load_training(newest(tmp_path)).optimizer["param_groups"][0]
    expected = {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.0005, "style": "paper", "nesterov": False}
    assert {name: group[name] for name in expected} == expected
    recipe = trainer.Recipe.new("alexnet", "a folder", {}, {})
    assert (recipe.batch_size, recipe.epochs, recipe.inputs, recipe.size, recipe.crop) == (128, 90, "raw", 256, 224)
    assert recipe.colour and recipe.augment and recipe.padding == 0 and recipe.schedule == "plateau"
    assert trainer.Recipe.new("alexnet", "a folder", {"init": "he"}, {}).inputs == "standardised"
    recipe = trainer.Recipe.new("alexnet-cifar", "cifar10", {}, {})
    assert (recipe.inputs, recipe.size, recipe.crop, recipe.colour, recipe.padding) == (
        "standardised",
        32,
        28,
        False,
        0,
    )
    assert trainer.Recipe.new("four-layer", "cifar10", {}, {}).padding == 4
    assert trainer.Recipe.new("alexnet", "a folder", {"variant": "torchvision"}, {}).crop == 224


def test_the_learning_rate_falls_after_the_given_epochs(tmp_path: Path) -> None:
    train(tmp_path, settings={"lr_drops": [1, 2], "epochs": 3})
    assert [float(row["lr"]) for row in log(tmp_path)] == pytest.approx([0.01, 0.001, 0.0001])


def test_training_is_over_when_the_error_no_longer_improves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = trainer.evaluate

    def constant(*given: Any, **more: Any) -> Any:
        return trainer.replace(judge(*given, **more), error=0.5)

    monkeypatch.setattr(trainer, "evaluate", constant)
    result = train(tmp_path, settings={"patience": 1, "epochs": 20})
    rates = [float(row["lr"]) for row in log(tmp_path)]
    assert rates == pytest.approx([0.01, 0.01, 0.001, 0.0001, 0.00001])
    assert result["best_epoch"] == 1


def test_how_long_the_error_has_not_improved_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = trainer.evaluate
    monkeypatch.setattr(trainer, "evaluate", lambda *given, **more: trainer.replace(judge(*given, **more), error=0.5))
    settings = {"patience": 2, "epochs": 8}
    train(tmp_path / "whole", settings=settings)
    train(tmp_path / "parts", settings=settings | {"epochs": 2})  # one epoch without improvement has passed
    train(tmp_path / "parts", resume=True, settings={"epochs": 4})
    train(tmp_path / "parts", resume=True, settings={"epochs": 8})
    assert_same(tmp_path / "whole", tmp_path / "parts")
    assert [float(row["lr"]) for row in log(tmp_path / "parts")][2:5] == pytest.approx([0.01, 0.001, 0.001])


def test_unused_outputs_have_names(tmp_path: Path) -> None:
    train(tmp_path, switches={"num_classes": 13}, settings={"epochs": 1})
    classes = load_model(newest(tmp_path)).classes
    assert len(classes) == 13 and classes[:10] == sources.load_parts("shapes", 32, limit=10).classes
    with pytest.raises(TrainingError, match="num_classes is 3; shapes has 10 classes"):
        train(tmp_path / "few", switches={"num_classes": 3})
    assert not (tmp_path / "few").exists()


# --- stopping and going on -----------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 3, 4])  # in the middle of an epoch, at its end, at the next one's beginning
def test_a_run_that_was_stopped_goes_on_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], steps: int
) -> None:
    more: dict[str, Any] = {"model": "alexnet-cifar", "switches": {"in_size": 12}, "settings": {"epochs": 3}}
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


def test_more_epochs_go_on_where_fewer_ended(tmp_path: Path) -> None:
    train(tmp_path / "long", settings={"epochs": 3})
    train(tmp_path / "short", settings={"epochs": 1})
    train(tmp_path / "short", resume=True, settings={"epochs": 3})
    assert_same(tmp_path / "long", tmp_path / "short")
    before = newest(tmp_path / "short").read_bytes()
    assert train(tmp_path / "short", None, None, resume=True)["epochs"] == 3  # nothing is left to do
    assert newest(tmp_path / "short").read_bytes() == before


def test_the_number_of_threads_is_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tmp_path, settings={"epochs": 1}, threads=1)
    minicnn.set_num_threads(2)
    train(tmp_path, resume=True)
    assert minicnn.get_num_threads() == 1
    assert "threads" not in capsys.readouterr().err
    train(tmp_path, resume=True, threads=2)
    assert "threads was 1 and is 2 now: the numbers may differ in their last bits" in capsys.readouterr().err


def test_another_version_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    train(tmp_path, settings={"epochs": 1})
    monkeypatch.setattr(trainer, "versions", lambda: {"numpy": "3.0"})
    train(tmp_path, resume=True)
    assert f"numpy was {np.__version__} and is 3.0 now" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"settings": {"lr": 0.02}}, "lr was 0.01 and is 0.02 now"),
        ({"settings": {"batch_size": 8, "seed": 3}}, "batch_size was 16 and is 8 now; seed was 0 and is 3 now"),
        ({"settings": {"lr_drops": [3]}}, r"lr_drops was \(\) and is \(3,\) now"),
        ({"settings": {"augment": False}}, "augment was True and is False now"),
        ({"switches": {"activation": "relu"}}, "activation was tanh and is relu now"),
        ({"switches": {"dropout": 0.5}}, "dropout was None and is 0.5 now"),
        ({"model": "four-layer"}, "model was lenet5 and is four-layer now"),
        ({"settings": {"epochs": 1}}, "2 epochs are done and epochs is 1 now"),
    ],
)
def test_other_settings_are_refused(finished: Path, more: dict[str, Any], words: str) -> None:
    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    with pytest.raises(TrainingError, match=f"cannot be resumed: {words}"):
        train(finished, resume=True, **more)
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == before


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody changes."""
    folder = tmp_path_factory.mktemp("finished")
    with minicnn.use_kernels("numpy"):
        train(folder)
    return folder


def test_the_same_settings_are_no_difference(finished: Path) -> None:
    assert train(finished, resume=True, settings={**SMALL, "lr": 0.01}, switches={"activation": "tanh"})["epochs"] == 2


def test_other_pictures_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(tmp_path, settings={"epochs": 1})
    load = sources.load_shapes
    monkeypatch.setattr(sources, "load_shapes", lambda **more: load(**more, seed=1))
    with pytest.raises(TrainingError, match="the train pictures are not the same as before"):
        train(tmp_path, resume=True)


def test_a_folder_with_a_run_is_never_overwritten(finished: Path) -> None:
    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    with pytest.raises(TrainingError, match=r"holds a run; go on with it by --resume, or choose another"):
        train(finished)
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == before


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    with trainer.RunFolder(tmp_path / "run").alone(), pytest.raises(TrainingError, match="another run is writing"):
        train(tmp_path / "run")


def test_resume_without_a_run_begins_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "step-00000777.safetensors.part").write_text("half a file")
    (tmp_path / "novel.part").write_text("not ours")
    trainer.run("lenet5", "shapes", {}, SMALL | {"epochs": 1}, out=tmp_path, resume=True)
    assert "this is a new run" in capsys.readouterr().err
    assert [path.name for path in tmp_path.glob("*.part")] == ["novel.part"]


def test_the_newest_readable_checkpoint_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tmp_path / "whole", checkpoint_minutes=0)
    train(tmp_path / "spoilt", checkpoint_minutes=0)
    paths = sorted((tmp_path / "spoilt").glob("step-*"))
    assert [path.name[5:13] for path in paths] == ["00000004", "00000005", "00000006"]
    paths[2].write_bytes(paths[2].read_bytes()[:-1])
    paths[1].write_bytes(b"")
    train(tmp_path / "spoilt", resume=True)
    printed = capsys.readouterr().err
    assert "step-00000006.safetensors is truncated" in printed and "step-00000005.safetensors" in printed
    assert_same(tmp_path / "whole", tmp_path / "spoilt")
    for path in (tmp_path / "spoilt").glob("step-*"):
        path.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="step-0"):
        train(tmp_path / "spoilt", resume=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": "3"},
        {"epoch": 1},
        {"epoch": None},
        {"rows": 7},
        {"rows": [7, 7]},
        {"random": {}},
        {"random": {"bit_generator": "MT19937"}},
        {"schedule": {}},
        {"best": None},
        {"best": {"epoch": 1}},
        {"progress": {"steps": 0}},
        {"colour": "red"},
        {"environment": 3},
        {"environment": {"threads": 10**6}},
        {"recipe": {}},
        {"recipe": {"lr": -1}},
        {"checksums": {}},
    ],
)
def test_nonsense_about_the_progress_is_refused(finished: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    saved = load_training(newest(finished))
    network, model = saved.model.network, saved.model
    optimizer = minicnn.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, style="paper")
    optimizer.load_state_dict(saved.optimizer)
    if changes.get("recipe"):
        changes = {"recipe": {**saved.progress["recipe"], **changes["recipe"]}}
    progress = {**saved.progress, **changes}
    path = tmp_path / "step-00000006.safetensors"
    save_training(path, network, model.preparation, model.classes, {}, optimizer, progress)
    with pytest.raises((CheckpointError, TrainingError)):
        train(tmp_path, None, None, resume=True)


# --- what goes wrong -----------------------------------------------------------------------------------------


def test_a_second_ctrl_c_leaves_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), GracefulStop() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.signal == signal.SIGINT
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with GracefulStop() as stop:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    assert stop.signal == signal.SIGTERM
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_another_thread_can_train_too(tmp_path: Path) -> None:
    thread = threading.Thread(target=train, args=(tmp_path,), kwargs={"settings": {"epochs": 1}})
    thread.start()
    thread.join()
    assert (tmp_path / "result.json").exists()


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


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"model": "vgg"}, "model must be one of alexnet, alexnet-cifar, four-layer, lenet5, got 'vgg'"),
        ({"model": None}, "model and data must be given"),
        ({"model": "alexnet"}, "alexnet takes pictures of 224x224, those of shapes have 32x32"),
        ({"switches": {"variant": "paper"}}, "lenet5 has no argument 'variant'"),
        ({"switches": {"activation": "gelu"}}, "activation must be one of relu, tanh, sigmoid"),
        ({"settings": {"lr": 0}}, "lr must be above 0 and finite, got 0"),
        ({"settings": {"lr": float("nan")}}, "lr must be above 0 and finite, got nan"),
        ({"settings": {"momentum": -1}}, "momentum must be 0 or more"),
        ({"settings": {"batch_size": 0}}, "batch_size must be at least 1, got 0"),
        ({"settings": {"epochs": 0}}, "epochs must be at least 1, got 0"),
        ({"settings": {"seed": -1}}, "seed must be at least 0, got -1"),
        ({"settings": {"limit": 1}}, "limit must be at least 2, got 1"),
        ({"settings": {"validation": 1.5}}, "validation must"),
        ({"settings": {"validation": 0}}, "validation must be between 0 and 1, got 0"),
        ({"settings": {"inputs": "grey"}}, "inputs must be one of raw, standardised, got 'grey'"),
        ({"settings": {"sgd": "fast"}}, "sgd must be one of paper, pytorch, got 'fast'"),
        ({"settings": {"lr_drops": [0]}}, "lr_drops must be at least 1, got 0"),
        ({"settings": {"lr_drops": [3], "schedule": "plateau"}}, "lr_drops .* belong to schedule epochs"),
        ({"settings": {"padding": -1}}, "padding must be at least 0, got -1"),
        ({"keep": 0}, "keep is 0"),
        ({"checkpoint_minutes": -1.0}, "checkpoint_minutes is -1"),
    ],
)
def test_settings_out_of_range_are_refused_before_anything_is_written(
    tmp_path: Path, more: dict[str, Any], words: str
) -> None:
    with pytest.raises(TrainingError, match=words):
        train(tmp_path / "run", **more)
    assert not (tmp_path / "run").exists()


# --- folders -------------------------------------------------------------------------------------------------


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
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
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

    os.utime(tmp_path / "elsewhere" / "train" / "red" / "0.png", (1, 1))
    with pytest.raises(TrainingError, match="the train pictures are not the same as before"):
        train(tmp_path / "parts", None, str(tmp_path / "elsewhere"), resume=True)


def test_where_the_data_are_and_what_was_left_out_is_remembered(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "train" / "red" / "bad.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="bad.png"):
        train(tmp_path / "run", data=str(folder), settings={"limit": None, "epochs": 1})
    train(tmp_path / "run", data=str(folder), settings={"limit": None, "epochs": 1}, skip_bad=True)
    train(tmp_path / "run", None, None, resume=True, settings={"epochs": 2})

    asked: list[Any] = []
    shapes = sources.load_shapes(train=30, test=20)
    monkeypatch.setattr(sources, "load_cifar10", lambda home: asked.append(home) or shapes)
    train(tmp_path / "cifar", data="cifar10", data_dir=Path("here"), settings={"epochs": 1})
    train(tmp_path / "cifar", None, None, resume=True)
    train(tmp_path / "cifar", None, None, resume=True, data_dir="there")
    assert asked == [Path("here"), "here", "there"]


def test_without_test_pictures_none_are_reported(tmp_path: Path, folder: Path) -> None:
    result = train(tmp_path / "run", data=str(folder / "train"), settings={"limit": None, "epochs": 1})
    assert result["test"] is None
    saved = load_training(newest(tmp_path / "run"))
    assert saved.model.classes == ("blue", "red")
    part = sources.load_parts(str(folder / "train"), 32)
    assert isinstance(part.train.images, ImageFolder)
    assert len(part.train.labels) == 18 and part.validation.labels.tolist() == [0, 1]
