import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn.data import sources
from minicnn.training import (
    CheckpointError,
    TrainingError,
    load_model,
    load_training,
    run_state,
    save_training,
    trainer,
)
from tests.training.small_runs import SMALL, assert_same, newest, train
from tests.training.test_saved_models import contents, forge

pytestmark = pytest.mark.usefixtures("ctrl_c", "numpy_kernels")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that no test changes."""
    folder = tmp_path_factory.mktemp("finished")
    with minicnn.use_kernels("numpy"):
        train(folder)
    return folder


def test_unused_outputs_have_names(tmp_path: Path) -> None:
    train(tmp_path, switches={"num_classes": 13}, settings={"epochs": 1})
    classes = load_model(newest(tmp_path)).classes
    assert len(classes) == 13 and classes[:10] == sources.load_parts("shapes", 32, limit=10).classes
    with pytest.raises(TrainingError, match="num_classes must be at least 10, the classes of shapes, got 3"):
        train(tmp_path / "few", switches={"num_classes": 3})
    assert not (tmp_path / "few").exists()


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
    monkeypatch.setattr(run_state, "versions", lambda: {"numpy": "3.0"})
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


def test_the_same_settings_are_no_difference(finished: Path) -> None:
    assert train(finished, resume=True, settings={**SMALL, "lr": 0.01}, switches={"activation": "tanh"})["epochs"] == 2


def test_other_pictures_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(tmp_path, settings={"epochs": 1})
    load = sources.load_shapes
    monkeypatch.setattr(sources, "load_shapes", lambda **more: load(**more, seed=1))
    with pytest.raises(TrainingError, match="the train images are not the same as before"):
        train(tmp_path, resume=True)


def test_a_folder_with_a_run_is_never_overwritten(finished: Path) -> None:
    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    with pytest.raises(TrainingError, match=r"holds a run; resume it with --resume, or choose another"):
        train(finished)
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == before


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    with trainer.RunFolder(tmp_path / "run").alone(), pytest.raises(TrainingError, match="another run is writing"):
        train(tmp_path / "run")


def test_resume_without_a_run_begins_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "step-00000777.safetensors.part").write_text("half a file")
    (tmp_path / "novel.part").write_text("not ours")
    trainer.run("lenet5", "shapes", {}, SMALL | {"epochs": 1}, out=tmp_path, resume=True)
    assert "starting a new run" in capsys.readouterr().err
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
        {"rows": [{}, {}]},
        {"colour": [[1.0]]},
        {"data_dir": 7},
        {"skip_bad": "no"},
        {"environment": {"device": 7, "threads": 2}},
        {"schedule": {"patience": 3, "drops": 3, "lowest": "low", "waited": 0, "dropped": 0, "finished": False}},
        {"schedule": {"patience": 3, "drops": 3, "lowest": 0.5, "waited": -1, "dropped": 0, "finished": False}},
        {"schedule": {"patience": 3, "drops": 3, "lowest": 0.5, "waited": 0, "dropped": 0, "finished": 0}},
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
    with pytest.raises(CheckpointError, match="step-00000006.safetensors cannot be used: "):
        train(tmp_path, None, None, resume=True)


def _other_shape(arrays: dict[str, Any], settings: dict[str, Any]) -> None:
    arrays["optimizer.0.momentum_buffer"] = arrays["optimizer.0.momentum_buffer"][:1].copy()


def _out_of_range(arrays: dict[str, Any], settings: dict[str, Any]) -> None:
    settings["optimizer"]["param_groups"][0]["lr"] = -1


def _other_epoch(arrays: dict[str, Any], settings: dict[str, Any]) -> None:
    settings["progress"]["epoch"] = 7


def _not_finite(arrays: dict[str, Any], settings: dict[str, Any]) -> None:
    arrays["model.conv1.bias"][0] = np.nan


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_other_shape, "momentum_buffer of parameter 0 must have the parameter's shape"),
        (_out_of_range, "lr must be "),
        (_other_epoch, "it is in epoch 7, with 2 epochs in its log"),
        (_not_finite, "model.conv1.bias is infinite or NaN"),
    ],
)
def test_whatever_is_wrong_with_the_newest_checkpoint_the_next_one_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Any, words: str
) -> None:
    """The file is whole and its checksums are right: only its use shows the fault."""
    train(tmp_path / "whole", checkpoint_minutes=0)
    train(tmp_path / "spoilt", checkpoint_minutes=0)
    path = newest(tmp_path / "spoilt")
    arrays, settings = contents(path)
    spoil(arrays, settings)
    forge(path, arrays, settings)
    train(tmp_path / "spoilt", None, None, resume=True)
    printed = capsys.readouterr().err
    assert f"{path} cannot be used: " in printed and words in printed
    assert "The next older checkpoint is tried" in printed
    assert_same(tmp_path / "whole", tmp_path / "spoilt")


def test_a_spoilt_best_network_is_noticed_before_the_first_step(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    best = bytearray((run / "best.safetensors").read_bytes())
    best[-100] ^= 4
    (run / "best.safetensors").write_bytes(best)
    with monkeypatch.context() as patched:
        patched.setattr(trainer, "train_epoch", lambda *given, **more: pytest.fail("a step was made"))
        with pytest.raises(
            CheckpointError, match=r"best.safetensors .* is corrupt.*remove it to keep the best network"
        ):
            train(run, None, None, resume=True, settings={"epochs": 3})
        with pytest.raises(CheckpointError, match=r"best.safetensors .* is corrupt.*\. Restore it from a copy$"):
            train(run, None, None, resume=True)  # no epoch is left
    (run / "best.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"best.safetensors cannot be read.*Restore it from a copy$"):
        train(run, None, None, resume=True)
    assert train(run, None, None, resume=True, settings={"epochs": 3})["best_epoch"] == 3
    assert (
        "best.safetensors is absent: the best network of the coming epochs takes its place" in capsys.readouterr().err
    )
    load_model(run / "best.safetensors")


@pytest.mark.parametrize("name", ["best.safetensors", "log.csv", "result.json", "step-00000003.safetensors"])
def test_any_file_of_a_run_makes_a_folder_used(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("of a run")
    with pytest.raises(TrainingError, match="holds a run; resume it with --resume, or choose another folder"):
        train(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name] and (tmp_path / name).read_text() == "of a run"
