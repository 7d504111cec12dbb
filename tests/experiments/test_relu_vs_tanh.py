import csv
import json
import math
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn.data import load_shapes, scaling, sources
from minicnn.experiments import relu_vs_tanh
from minicnn.experiments import study as machinery
from minicnn.experiments.relu_vs_tanh import ReluVsTanh
from minicnn.experiments.results import ResultsFolder, StudyError
from minicnn.training import DivergedError, TrainingError, trainer
from minicnn.training.run_folder import RunFolder
from minicnn.training.stopping import Stopped
from minicnn.viz import save_figure

COLUMNS = "inputs activation seed lr epoch train_error train_loss seconds".split()


@pytest.fixture(autouse=True)
def small_and_quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Train on 16 images in batches of 8, with the NumPy kernels, which need no compiling, and draw nothing."""
    make_small(monkeypatch)
    minicnn.set_num_threads(1)
    with minicnn.use_kernels("numpy"):
        yield


def make_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(relu_vs_tanh.LIMIT, "shapes", 16)
    monkeypatch.setitem(relu_vs_tanh.RECIPE, "batch_size", 8)
    monkeypatch.setattr(machinery, "save_figure", lambda figure, path: path.write_text("a figure"))


def study(out: Path, **options: Any) -> dict[str, Any]:
    return relu_vs_tanh.run(**{"data": "shapes", "epochs": 2, "out": out, **options})


def resume(out: Path, **options: Any) -> dict[str, Any]:
    """What is not given is as it was when the study began."""
    return relu_vs_tanh.run(out=out, resume=True, **options)


def rows(out: Path) -> list[dict[str, str]]:
    with open(out / "relu_vs_tanh.csv", newline="") as file:
        return list(csv.DictReader(file))


def numbers(out: Path) -> list[tuple[str, ...]]:
    """Everything but the seconds, sorted: an extended study has its rows in another order."""
    return sorted(tuple(row[name] for name in COLUMNS[:-1]) for row in rows(out))


def summary(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "summary.json").read_text()))


# --- one study ---------------------------------------------------------------------------------------------------


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
        assert 0 < float(row["seconds"]) < 60
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
        ["raw", "ReLU", "0.003", ">", "2"],
        ["raw", "tanh", "0.03", ">", "2"],
        ["standardised", "ReLU", "0.03", ">", "2"],
        ["standardised", "tanh", "0.05", ">", "2"],
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
    recipe |= {"schedule": "epochs", "lr_drops": [], "lr": 0.03, "inputs": "raw", "seed": 0, "limit": 16}
    assert {name: result["recipe"][name] for name in recipe} == recipe
    assert result["recipe"]["config"]["model"] == "four_layer" and result["validation_error"] is None


def test_a_run_ends_at_its_target_if_asked_to(tmp_path: Path) -> None:
    study(tmp_path / "on", inputs="raw", epochs=3)
    whole = rows(tmp_path / "on")
    assert len(whole) == 6
    errors = {
        name: [float(row["train_error"]) for row in whole if row["activation"] == name] for name in ("relu", "tanh")
    }
    target = min(errors["tanh"])  # reached by tanh in some epoch
    study(tmp_path / "stop", inputs="raw", epochs=3, target_error=target, stop_at_target=True)
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
    assert found[("raw", "relu")] == 0.003


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": "mnist"}, "data must be one of cifar10, shapes, got 'mnist'"),
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


# --- interrupted and resumed -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as patch, minicnn.use_kernels("numpy"):
        make_small(patch)
        threads = minicnn.get_num_threads()
        minicnn.set_num_threads(1)
        study(out, inputs="raw", epochs=3)
        minicnn.set_num_threads(threads)
    return out


def stop_at(monkeypatch: pytest.MonkeyPatch, name: str, call: int, before: bool) -> None:
    """Interrupt the call with that number, from 1, to a method of the trainer, before or after its work."""
    original, calls = getattr(trainer.Trainer, name), iter(range(1, 1_000))

    def interrupted(self: trainer.Trainer, *arguments: Any) -> None:
        now = next(calls) == call
        if now and before:
            raise KeyboardInterrupt
        original(self, *arguments)
        if now:
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer.Trainer, name, interrupted)


# Each of the two runs has three epochs of two steps, and writes a checkpoint at its beginning and after each epoch.
STOPS = [("after_step", call, False, (call - 1) // 2) for call in (1, 2, 3, 8, 12)]
STOPS += [
    ("keep_checkpoint", call, before, done)
    for call, done in ((1, 0), (2, 0), (4, 2), (5, 3), (8, 5))
    for before in (True, False)
]
STOPS += [("show_log", call, before, call - before) for call in (1, 3, 6) for before in (True, False)]


@pytest.mark.parametrize(("name", "call", "before", "done"), STOPS)
def test_wherever_it_is_interrupted_the_resumed_study_gives_the_same_numbers(
    tmp_path: Path, unbroken: Path, name: str, call: int, before: bool, done: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, name, call, before)
        with pytest.raises(Stopped) as caught:
            study(tmp_path, inputs="raw", epochs=3)
    assert f"({done} epochs) is kept in {tmp_path}; the same command with --resume goes on" in str(caught.value)
    assert len(rows(tmp_path)) == done
    assert summary(tmp_path)["finished"] is False
    study(tmp_path, inputs="raw", epochs=3, resume=True)
    assert numbers(tmp_path) == numbers(unbroken)
    assert summary(tmp_path)["results"] == summary(unbroken)["results"]
    assert summary(tmp_path)["finished"] is True


def test_a_process_killed_in_the_middle_loses_one_epoch_at_most(tmp_path: Path, unbroken: Path) -> None:
    program = f"""
        import os
        from pathlib import Path
        import minicnn
        from minicnn.experiments import relu_vs_tanh
        from minicnn.training import trainer

        relu_vs_tanh.LIMIT["shapes"] = 16
        relu_vs_tanh.RECIPE["batch_size"] = 8
        minicnn.set_num_threads(1)
        after_step, calls = trainer.Trainer.after_step, iter(range(1, 100))

        def dying(*arguments):
            if next(calls) == 10:
                os._exit(9)  # nothing is cleaned up, as with kill -9
            after_step(*arguments)

        trainer.Trainer.after_step = dying
        with minicnn.use_kernels("numpy"):
            relu_vs_tanh.run(data="shapes", epochs=3, inputs="raw", out=Path({str(tmp_path)!r}))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], cwd=Path(__file__).parents[2])
    assert done.returncode == 9
    assert len(rows(tmp_path)) == 4
    resume(tmp_path)
    assert numbers(tmp_path) == numbers(unbroken)


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_a_lost_state_costs_time_but_changes_nothing(
    tmp_path: Path, unbroken: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, "show_log", 4, before=False)
        with pytest.raises(Stopped):
            study(tmp_path, inputs="raw", epochs=3)
    (state,) = (tmp_path / "states" / "raw-tanh-0").glob("step-*")
    if damage == "missing":
        state.unlink()
    else:
        state.write_bytes(state.read_bytes()[:1000])
    resume(tmp_path)
    assert "raw inputs, tanh, seed 0: starts again from epoch 1" in capsys.readouterr().err
    assert numbers(tmp_path) == numbers(unbroken)


def test_a_study_can_be_extended(tmp_path: Path) -> None:
    study(tmp_path / "grown", inputs="raw", epochs=1)
    resume(tmp_path / "grown", inputs="both", epochs=2, seeds=[0, 1])
    study(tmp_path / "at once", inputs="both", epochs=2, seeds=[0, 1])
    assert numbers(tmp_path / "grown") == numbers(tmp_path / "at once")
    assert summary(tmp_path / "grown")["results"] == summary(tmp_path / "at once")["results"]


def test_resuming_a_finished_study_trains_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study(tmp_path)
    before = rows(tmp_path)
    (tmp_path / "relu_vs_tanh.png").unlink()
    monkeypatch.setattr(trainer, "run", None)
    resume(tmp_path, target_error=0.5)
    assert rows(tmp_path) == before
    assert (tmp_path / "relu_vs_tanh.png").exists()
    assert summary(tmp_path)["settings"]["target_error"] == 0.5


def test_resuming_with_other_settings_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study(tmp_path, inputs="raw", epochs=1, limit=24)
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    for options, message in (
        ({"limit": 32}, "limit was 24 and is 32 now"),
        ({"data": "cifar10"}, "data was shapes and is cifar10 now"),
        ({"lr_tanh": 0.5}, "lr_tanh was 0.03 and is 0.5 now"),
        ({"search": True}, "search was False and is True now"),
    ):
        with pytest.raises(StudyError, match=message):
            resume(tmp_path, epochs=5, **options)
    load = sources.load_shapes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "load_shapes", lambda **more: load(**more, seed=1))
        with pytest.raises(StudyError, match="checksum was"):
            resume(tmp_path, epochs=5)
    monkeypatch.setitem(relu_vs_tanh.RECIPE, "batch_size", 16)
    with pytest.raises(StudyError, match="batch_size was 8 and is 16 now"):
        resume(tmp_path, epochs=5)
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_damaged_results_are_refused_by_file_and_line(tmp_path: Path) -> None:
    study(tmp_path / "good", inputs="raw", epochs=2)
    log = "states/raw-tanh-0/log.csv"
    for name, old, new, message in (
        (log, "train_loss", "loss", r"log.csv, line 2, cannot be read: KeyError\('train_loss'\)"),
        (log, "\n2,", "\ntwo,", "log.csv, line 3, cannot be read"),
        (log, "\n1,", "\n7,", "it has epoch 7 where epoch 1 belongs"),
        ("summary.json", "{", "", "summary.json cannot be read"),
    ):
        bad = tmp_path / "bad"
        shutil.copytree(tmp_path / "good", bad)
        text = (bad / name).read_text()
        assert old in text
        (bad / name).write_text(text.replace(old, new, 1))
        with pytest.raises(StudyError, match=message):
            resume(bad)
        shutil.rmtree(bad)


# --- nothing is lost ---------------------------------------------------------------------------------------------


def test_a_finished_study_is_moved_aside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        study(tmp_path, inputs="raw", epochs=1)
        first = rows(tmp_path)
    assert f"The earlier results are now in {tmp_path / 'earlier-2'}" in capsys.readouterr().err
    for name in ("earlier-1", "earlier-2"):
        kept = {path.name for path in (tmp_path / name).iterdir()}
        assert kept == {"relu_vs_tanh.csv", "relu_vs_tanh.png", "relu_vs_tanh.svg", "summary.json", "states"}
        assert len(rows(tmp_path / name)) == len(first)
    resume(tmp_path / "earlier-1", epochs=2)
    assert len(rows(tmp_path / "earlier-1")) == 4


def test_an_unfinished_study_is_not_touched_without_resume(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, "after_step", 3, before=True)
        with pytest.raises(Stopped):
            study(tmp_path)
    before = (tmp_path / "relu_vs_tanh.csv").read_bytes()
    with pytest.raises(StudyError, match="not finished; resume it with --resume, or choose another"):
        study(tmp_path)
    assert (tmp_path / "relu_vs_tanh.csv").read_bytes() == before


def test_two_studies_at_once_in_one_folder_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    folder = ResultsFolder(tmp_path, "relu_vs_tanh", COLUMNS)
    with folder.alone(), pytest.raises(StudyError, match="another run is writing"):
        study(tmp_path)
    study(tmp_path, epochs=1, inputs="raw")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StudyError, match=r"file.* cannot be used for the results"):
        study(tmp_path / "file" / "out")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_run_that_diverges_is_an_error_and_what_is_finished_is_kept(tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as caught:
        study(tmp_path, inputs="raw", epochs=1, lr_tanh=1e38)
    for part in ("raw inputs, tanh, seed 0", "--lr-tanh", "lower learning rate", f"(1 epochs) is kept in {tmp_path}"):
        assert part in str(caught.value)
    assert [row["activation"] for row in rows(tmp_path)] == ["relu"]
    assert (tmp_path / "relu_vs_tanh.png").exists()
    resume(tmp_path, lr_tanh=0.01)
    assert [row["activation"] for row in rows(tmp_path)] == ["relu", "tanh"]


def test_a_run_may_have_another_learning_rate_until_it_has_finished_an_epoch(tmp_path: Path) -> None:
    for call, lr in ((5, 0.02), (1, 0.03), (1, 0.04)):  # each time in the first step of the second run
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
            stop_at(patch, "after_step", call, before=False)
            study(tmp_path, inputs="raw", lr_tanh=lr, resume=True)
    resume(tmp_path)
    assert [row["lr"] for row in rows(tmp_path)] == ["0.003", "0.003", "0.04", "0.04"]


# --- the search --------------------------------------------------------------------------------------------------


def test_the_search_tries_each_pair_by_itself_and_takes_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    errors = {("raw", "relu"): [0.5, 0.3, None], ("raw", "tanh"): [0.6, None, 0.4]}
    tried, train = [], trainer.run

    def try_out(model: str, data: str, switches: Any, settings: Any, *, out: Path, **options: Any) -> dict[str, Any]:
        if not out.name.startswith("search"):
            return train(model, data, switches, settings, out=out, **options)
        assert settings["epochs"] == relu_vs_tanh.SEARCH_EPOCHS and settings["limit"] == 16
        tried.append((settings["inputs"], switches["activation"], settings["lr"]))
        if len(tried) == 5:
            raise KeyboardInterrupt
        error = errors[tried[-1][:2]][ReluVsTanh.searched_rates.index(settings["lr"])]
        if error is None:
            raise DivergedError("the loss is nan")
        return {"train_error": error}

    monkeypatch.setattr(ReluVsTanh, "searched_rates", (0.1, 0.01, 0.001))
    monkeypatch.setattr(trainer, "run", try_out)
    with pytest.raises(Stopped, match=r"1 epochs and 4 runs of the search\) is kept"):
        study(tmp_path, inputs="raw", epochs=1, search=True)
    resume(tmp_path)
    assert tried == [("raw", "relu", lr) for lr in (0.1, 0.01, 0.001)] + [
        ("raw", "tanh", lr) for lr in (0.1, 0.01, 0.01, 0.001)
    ]
    assert [float(row["lr"]) for row in rows(tmp_path)] == [0.01, 0.001]
    assert summary(tmp_path)["settings"]["learning_rates"] == {"raw": {"relu": 0.01, "tanh": 0.001}}
    assert [trial["train_error"] for trial in summary(tmp_path)["search"]["trials"]] == [0.5, 0.3, None, 0.6, None, 0.4]
    assert "raw, tanh: learning rate 0.001, with a train error of 40.0 %, at the edge" in capsys.readouterr().err


def test_the_search_takes_the_error_of_its_last_epoch_whatever_the_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReluVsTanh, "searched_rates", (0.01,))
    monkeypatch.setattr(relu_vs_tanh, "SEARCH_EPOCHS", 2)
    study(tmp_path, inputs="raw", epochs=1, search=True, target_error=0.99, stop_at_target=True)
    with open(tmp_path / "states" / "search-raw-tanh-0.01" / "log.csv", newline="") as file:
        errors = [float(row["train_error"]) for row in csv.DictReader(file)]
    assert len(errors) == 2 and summary(tmp_path)["search"]["trials"][1]["train_error"] == errors[1]


def test_a_learning_rate_that_diverges_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ReluVsTanh, "searched_rates", (1e38, 0.001))
    monkeypatch.setattr(relu_vs_tanh, "SEARCH_EPOCHS", 1)
    study(tmp_path, inputs="standardised", epochs=1, search=True, lr_tanh=0.02)
    assert [float(row["lr"]) for row in rows(tmp_path)] == [0.001, 0.02]
    failed, good = summary(tmp_path)["search"]["trials"]
    assert (failed["lr"], failed["train_error"]) == (1e38, None)
    assert 0 < good["train_error"] <= 1
    assert "learning rate 1e+38 failed, the loss is" in capsys.readouterr().err

    monkeypatch.setattr(ReluVsTanh, "searched_rates", (1e38,))
    with pytest.raises(StudyError, match="diverged at every learning rate"):
        study(tmp_path / "none", inputs="raw", epochs=1, search=True)


# --- what is made of the numbers ---------------------------------------------------------------------------------


def results_of(relu: list[list[float]], tanh: list[list[float]], out: Path) -> dict[str, Any]:
    shutil.rmtree(out / "states", ignore_errors=True)
    for activation, runs in (("relu", relu), ("tanh", tanh)):
        for seed, errors in enumerate(runs):
            folder = out / "states" / f"raw-{activation}-{seed}"
            folder.mkdir(parents=True)
            row = {"lr": 0.1, "train_loss": 1.0, "seconds": 1.0}
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
