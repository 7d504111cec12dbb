import csv
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

import minicnn
from minicnn import cli
from minicnn.data import sources
from minicnn.experiments import contributions
from minicnn.experiments import study as machinery
from minicnn.experiments.contributions import (
    LEARNING,
    OVERFITTING,
    VARIANTS,
    Contributions,
    conclusion,
    spread_of_seeds,
    verdict,
)
from minicnn.experiments.results import StudyError
from minicnn.training import DivergedError, TrainingError, load_training, trainer
from minicnn.training.run_folder import RunFolder
from minicnn.training.stopping import Stopped
from minicnn.viz import save_figure

COLUMNS = "variant seed epoch lr train_error evaluated_train_error validation_error seconds".split()
LIMIT = 40  # 36 to learn from: one batch of
BATCH_SIZE = 36


@pytest.fixture(autouse=True)
def small_and_quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tiny crops on the NumPy kernels, which need no compiling; drawing would take the most time."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's background ignores it
    monkeypatch.setattr(contributions, "CROP", 12)
    monkeypatch.setitem(contributions.BATCH_SIZES, "shapes", BATCH_SIZE)
    monkeypatch.setattr(machinery, "save_figure", lambda figure, path: path.write_text("a figure"))
    with minicnn.use_kernels("numpy"):
        yield
    signal.signal(signal.SIGINT, before)


def study(out: Path, **options: Any) -> dict[str, Any]:
    rates = {"lr_relu": 0.01, "lr_tanh": 0.02}
    defaults = {"data": "shapes", "seeds": [0], "epochs": 2, "limit": LIMIT, "threads": 1, "out": out}
    return contributions.run(**{**defaults, **rates, **options})


def resume(out: Path, **options: Any) -> dict[str, Any]:
    """What is not given is as it was when the study began."""
    return contributions.run(out=out, resume=True, **options)


def rows(out: Path) -> list[dict[str, str]]:
    with open(out / "contributions.csv", newline="") as file:
        return list(csv.DictReader(file))


def numbers(out: Path) -> list[tuple[str, ...]]:
    return [tuple(row[name] for name in COLUMNS[:-1]) for row in rows(out)]


def summary(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "summary.json").read_text()))


def result(out: Path, variant: str, seed: int = 3) -> dict[str, Any]:
    return dict(json.loads((out / "states" / f"{variant}-{seed}" / "result.json").read_text()))


def reported_errors(out: Path) -> dict[str, dict[str, float]]:
    return {name: one["test_error"] for name, one in summary(out)["results"]["variants"].items()}


# --- one study ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of all variants."""
    out = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch, minicnn.use_kernels("numpy"):
        patch.setattr(contributions, "CROP", 12)
        patch.setitem(contributions.BATCH_SIZES, "shapes", BATCH_SIZE)
        patch.setattr(machinery, "save_figure", save_figure)
        threads = minicnn.get_num_threads()
        (out / "returned").write_text(json.dumps(study(out, seeds=[3])))
        minicnn.set_num_threads(threads)
    return out


@pytest.mark.slow
@pytest.mark.slow
def test_a_study_writes_a_row_for_each_variant_seed_and_epoch(whole: Path) -> None:
    assert list(rows(whole)[0]) == COLUMNS
    found = [(row["variant"], int(row["seed"]), int(row["epoch"])) for row in rows(whole)]
    assert found == [(variant, 3, epoch) for variant in VARIANTS for epoch in (1, 2)]
    for row in rows(whole):
        assert 0 < float(row["train_error"]) <= 1 and 0 < float(row["validation_error"]) <= 1
        assert float(row["seconds"]) > 0
        assert 0 <= float(row["lr"]) < (0.02 if row["variant"] == "relu" else 0.01)
    log = (whole / "states" / "lrn-3" / "log.csv").read_text().splitlines()
    assert [(cells[2], cells[-1]) for cells in (line.split(",") for line in log[1:])] == [
        (row["train_error"], row["evaluated_train_error"])
        for row in rows(whole)
        if (row["variant"], row["seed"]) == ("lrn", "3")
    ]
    for name in ("contributions.png", "contributions.svg"):
        assert (whole / name).stat().st_size > 10_000


@pytest.mark.slow
def test_the_summary_tells_what_came_of_each_run(whole: Path) -> None:
    written = summary(whole)
    assert written == json.loads((whole / "returned").read_text())
    assert written["finished"] is True
    assert written["versions"]["minicnn"] == minicnn.__version__
    assert set(written["machine"]) == {"processor", "cores", "threads", "kernels", "device", "system"}
    assert written["settings"]["limit"] == written["settings"]["test_images"] == LIMIT
    assert list(written["results"]["variants"])[0] == "everything"
    assert set(written["results"]["variants"]) == set(VARIANTS)
    for variant, one in written["results"]["variants"].items():
        reported = result(whole, variant)
        assert one["test_error"] == {"3": reported["test"]["error"]}
        fitted = [float(row["evaluated_train_error"]) for row in rows(whole) if row["variant"] == variant]
        assert one["train_error"] == {"3": fitted[reported["best_epoch"] - 1]}
        assert one["gap"] == pytest.approx(one["test_error"]["3"] - one["train_error"]["3"])
        assert one["learning_rate"] == (0.02 if variant == "relu" else 0.01)
        assert one["seconds"] == {"3": reported["seconds"]} and reported["seconds"] > 0
        assert one["epochs_to_target"] == {"3": None} and one["epochs_to_target_text"] == "> 2"


@pytest.mark.slow
def test_nothing_differs_but_what_is_switched_off(whole: Path) -> None:
    def recipe(variant: str) -> dict[str, Any]:
        found = result(whole, variant)["recipe"]
        return found | found.pop("config")

    everything = recipe("everything")
    assert (everything["schedule"], everything["batch_size"]) == ("one-cycle", BATCH_SIZE) and everything[
        "in_size"
    ] == 12
    assert (everything["depth"], everything["activation"], everything["dropout"]) == (5, "relu", 0.5)
    assert everything["norm"] == "lrn" and everything["augment"] is everything["overlapping"] is True
    off = {
        "everything": {},
        "depth": {"depth": 3},
        "relu": {"activation": "tanh", "lr": 0.02},
        "dropout": {"dropout": 0.0},
        "lrn": {"norm": "none"},
        "augmentation": {"augment": False},
        "overlapping": {"overlapping": False},
        "regularisation": {"dropout": 0.0, "augment": False},
    }
    for variant in VARIANTS:
        assert {name: now for name, now in recipe(variant).items() if now != everything[name]} == off[variant]


def test_the_table_and_the_conclusion_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study(tmp_path, only=["lrn"], epochs=1, target_error=0.99)
    printed = capsys.readouterr()
    table = [line.split() for line in printed.out.splitlines() if " one seed " in line]
    assert [line[:2] for line in table] == [["everything", "on"], ["without", "LRN"]]
    assert "40 images of drawn shapes, 40 test images, 1 epoch" in printed.out
    assert "epochs to 99 %" in printed.out
    assert "Unclear with these seeds: LRN (" in printed.out
    assert "With one seed, no difference can be distinguished from chance" in printed.out
    assert "Run 2 of 2: without LRN, seed 0, learning rate 0.01" in printed.err


# --- made-up runs ------------------------------------------------------------------------------------------------

ERRORS = {
    "everything": [0.30, 0.31, 0.32],
    "depth": [0.335, 0.33, 0.34],  # with two seeds +2.75, above the spread of 2.0
    "relu": [0.35, 0.36, 0.34],
    "dropout": [0.28, 0.285, 0.275],  # -2.25
    "lrn": [0.31, 0.32, 0.33],
    "augmentation": [0.32, 0.328, 0.33],  # +1.9, not above it
    "overlapping": [0.30, 0.305, 0.31],
    "regularisation": [0.309, 0.319, 0.33],
}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Training is replaced by one that has the errors above, and 80, 40, 27, 20 % ... of evaluated training error."""
    trained: list[str] = []

    def train(model: str, data: str, switches: Any, settings: Any, *, out: Path, **options: Any) -> dict[str, Any]:
        out.mkdir(parents=True)
        trained.append(out.name)
        variant = out.name.rpartition("-")[0]
        error = ERRORS[variant][settings["seed"]] if variant in ERRORS else 0.5
        epochs = range(1, settings["epochs"] + 1)
        row = {"lr": 0.001, "train_error": 0.9, "validation_error": 0.5, "seconds": 1.5}
        RunFolder(out).write_log([{"epoch": epoch, "evaluated_train_error": 0.8 / epoch, **row} for epoch in epochs])
        recipe = {**settings, "data": data, "config": switches}
        found = {
            "recipe": recipe,
            "best_epoch": 2 if settings["epochs"] > 1 else 1,
            "test": {"error": error},
            "seconds": 3.0,
            "validation_error": abs(settings["lr"] - 0.05),
        }
        RunFolder(out).write_result(found)
        return found

    monkeypatch.setattr(trainer, "run", train)
    monkeypatch.setattr(Contributions, "compile_kernels", lambda self, runs: None)
    return trained


def test_what_hurts_what_helps_and_what_cannot_be_told(
    tmp_path: Path, quick: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = study(tmp_path, seeds=[0, 1, 2], target_error=0.4)["results"]
    assert found["spread_of_seeds"] == pytest.approx(0.02)
    order = ["everything", "relu", "depth", "augmentation", "lrn", "regularisation", "overlapping", "dropout"]
    assert list(found["variants"]) == order
    differences = [found["variants"][name]["difference"] for name in order]
    assert differences == pytest.approx([0, 0.05, 0.0275, 0.019, 0.01, 0.009, -0.0025, -0.0225])
    verdicts = [found["variants"][name]["verdict"] for name in order[1:]]
    assert verdicts == ["worse", "worse", "unclear", "unclear", "unclear", "unclear", "better"]
    assert found["variants"]["lrn"]["mean"] == pytest.approx(0.315)
    assert found["variants"]["lrn"]["epochs_to_target"] == {"0": 2, "1": 2}
    assert found["variants"]["everything"]["epochs_to_target"] == {"0": 2, "1": 2, "2": 2}
    assert found["variants"]["lrn"]["gap"] == pytest.approx(0.315 - 0.4)
    printed = capsys.readouterr().out
    assert "Helps here (without it the error is higher): ReLU (+5.0), depth (+2.8)\n" in printed
    assert "Hurts here (without it the error is lower): dropout (-2.2)\n" in printed
    unclear = "augmentation (+1.9), LRN (+1.0), dropout and augmentation (+0.9), overlapping pooling (-0.3)"
    assert f"Unclear with these seeds: {unclear}\n" in printed
    assert "in points: -9.0 everything on, -11.8 without dropout, -7.6 without augmentation, -8.6 without" in printed
    assert "A difference counts above 2.0 points" in printed
    lines = [line for line in printed.splitlines() if line.startswith("tanh instead of ReLU")]
    expected = ["0.02", "40.0", "%", "35.5", "%", "35.0", "to", "36.0", "%", "+5.0", "2", "3.0"]
    assert lines[0].split()[4:] == expected


def test_what_is_praised_for_speed_and_what_for_overfitting_have_a_panel_each(
    tmp_path: Path, quick: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Figure] = []

    def keep(figure: Figure, path: Path) -> None:
        figures.append(figure)
        path.write_text("a figure")

    monkeypatch.setattr(machinery, "save_figure", keep)
    study(tmp_path)
    for axes, names, dashed in zip(figures[-1].axes[2:], (LEARNING, OVERFITTING), (0, len(OVERFITTING)), strict=True):
        curves = [line for line in axes.lines if line.get_linewidth() == 2]
        assert len(curves) == len(names) + dashed
        assert [line.get_linestyle() for line in curves].count("--") == dashed
        legend = axes.get_legend()
        assert legend is not None
        assert [text.get_text() for text in legend.get_texts()] == [VARIANTS[name].label for name in names]
    assert {*LEARNING, *OVERFITTING} == set(VARIANTS)


def test_a_difference_counts_above_the_spread_of_at_least_two_seeds() -> None:
    assert verdict([0.03, 0.03], 0.02) == "worse"
    assert verdict([-0.03, -0.01], 0.01) == "better"
    assert verdict([0.03, 0.01], 0.02) == "unclear"
    assert verdict([0.5], 0.02) == "unclear"
    assert verdict([0.5], None) == "unclear"
    assert spread_of_seeds({"a": {0: 0.1, 1: 0.4, 2: 0.2}, "b": {0: 0.1, 1: 0.2}, "c": {0: 0.9}}) == pytest.approx(0.3)
    assert spread_of_seeds({"a": {0: 0.1}, "b": {0: 0.2}}) is None


def test_nothing_is_said_to_help_or_hurt_where_nothing_does() -> None:
    text = conclusion({"spread_of_seeds": 0.1, "variants": {}})
    assert text.count(": nothing\n") == 3


def test_only_seeds_that_both_have_are_compared(tmp_path: Path, quick: list[str]) -> None:
    study(tmp_path, only=["relu"], seeds=[1, 2])
    found = resume(tmp_path, only=["lrn"], seeds=[0, 1, 2])["results"]["variants"]
    assert found["lrn"]["difference"] == pytest.approx(0.01) and list(found["lrn"]["test_error"]) == ["0", "1"]
    assert found["relu"]["difference"] == pytest.approx(0.035)  # of seeds 1 and 2
    assert list(found["relu"]["test_error"]) == ["1", "2"] and list(found["everything"]["test_error"]) == [
        "0",
        "1",
        "2",
    ]


def test_a_study_can_be_extended_and_trains_nothing_twice(tmp_path: Path, quick: list[str]) -> None:
    study(tmp_path, only=["lrn"])
    assert quick == ["everything-0", "lrn-0"]
    resume(tmp_path, only=["depth", "lrn"], seeds=[0, 2])
    assert quick[2:] == ["depth-0", "everything-2", "depth-2", "lrn-2"]
    before = rows(tmp_path)
    assert len(before) == 12
    resume(tmp_path, target_error=0.9)
    assert len(quick) == 6 and rows(tmp_path) == before
    assert summary(tmp_path)["results"]["variants"]["lrn"]["epochs_to_target"] == {"0": 1, "2": 1}


def test_seeds_that_were_trained_in_two_folders_are_merged_by_copying_the_runs(
    tmp_path: Path, quick: list[str]
) -> None:
    one, two, other = tmp_path / "one", tmp_path / "two", tmp_path / "other"
    study(one, seeds=[0])
    study(two, seeds=[1])
    study(other, seeds=[1], lr_relu=0.02)
    trained = len(quick)
    shutil.copytree(two / "states", one / "states", dirs_exist_ok=True)
    merged = resume(one, seeds=[0, 1, 2])["results"]
    assert quick[trained:] == ["everything-2"]
    assert merged == study(tmp_path / "at once", seeds=[0, 1, 2])["results"]
    shutil.copytree(other / "states", one / "states", dirs_exist_ok=True)
    with pytest.raises(StudyError, match="result.json is from another run: lr is 0.02, not 0.01"):
        resume(one)


def test_a_finished_run_is_on_the_disk_before_the_next_one_begins(
    tmp_path: Path, quick: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, written = trainer.run, []

    def watched(*ordered: Any, **named: Any) -> dict[str, Any]:
        written.append((len(rows(tmp_path)), len(reported_errors(tmp_path)), summary(tmp_path)["finished"]))
        return train(*ordered, **named)

    monkeypatch.setattr(trainer, "run", watched)
    study(tmp_path, only=["lrn", "depth"])
    assert written == [(0, 0, False), (2, 1, False), (4, 2, False)]


def test_a_finished_study_is_moved_aside_and_an_unfinished_one_is_not(tmp_path: Path, quick: list[str]) -> None:
    study(tmp_path, only=["lrn"])
    study(tmp_path, only=["depth"])
    assert {row["variant"] for row in rows(tmp_path)} == {"everything", "depth"}
    assert {row["variant"] for row in rows(tmp_path / "earlier-1")} == {"everything", "lrn"}
    (tmp_path / "summary.json").write_text(json.dumps({**summary(tmp_path), "finished": False}))
    with pytest.raises(StudyError, match="a study that is not finished; resume it with --resume"):
        study(tmp_path)


def test_resuming_with_other_settings_is_refused_by_name(tmp_path: Path, quick: list[str]) -> None:
    study(tmp_path, only=["lrn", "relu"])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for options, message in (
        ({"epochs": 3}, "epochs was 2 and is 3 now"),
        ({"limit": 50}, "limit was 40 and is 50 now"),
        ({"threads": 2}, "threads was 1 and is 2 now"),
        ({"data": "cifar10"}, "data was shapes and is cifar10 now"),
        ({"lr_tanh": 0.5}, "lr_tanh was 0.02 and is 0.5 now"),
        ({"lr_relu": 0.5}, "lr_relu was 0.01 and is 0.5 now"),
    ):
        with pytest.raises(StudyError, match=f"cannot be resumed: .*{message}"):
            resume(tmp_path, **options)
    with pytest.MonkeyPatch.context() as patch:
        load = sources.load_shapes
        patch.setattr(sources, "load_shapes", lambda **named: load(**named, seed=7))
        with pytest.raises(StudyError, match="checksum was"):
            resume(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contributions, "CROP", 14)
        with pytest.raises(StudyError, match="crop was 12 and is 14 now"):
            resume(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_files_that_are_damaged_or_of_another_run_are_refused_by_name(tmp_path: Path, quick: list[str]) -> None:
    study(tmp_path, only=["lrn"])
    folder = tmp_path / "states" / "lrn-0"
    for name, old, new, message in (
        ("result.json", '"norm": "none"', '"norm": "lrn"', "result.json is from another run: norm is lrn, not none"),
        ("result.json", '"lr": 0.01', '"lr": 0.1', "result.json is from another run: lr is 0.1, not 0.01"),
        ("result.json", '"error"', '"mistake"', "result.json cannot be read: KeyError"),
        ("result.json", "}", "", "result.json cannot be read"),
        ("result.json", '"best_epoch"', '"epoch"', "result.json cannot be read: KeyError"),
        ("result.json", '"one-cycle"', '"epochs"', "is from another run: schedule is epochs, not one-cycle"),
        ("log.csv", "train_error", "error", "log.csv, line 2, cannot be read: KeyError"),
        ("log.csv", "2,0.4,", "3,0.4,", "log.csv, line 3, cannot be read: .*epoch 3 where epoch 2 belongs"),
        ("log.csv", "2,0.4,0.001,0.9,0.5,1.5\n", "", "log.csv does not have the epochs 1 to 2"),
    ):
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))
        with pytest.raises(StudyError, match=message):
            resume(tmp_path)
        (folder / name).write_text(text)
    resume(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": "mnist"}, "data must be one of cifar10, shapes; got 'mnist'"),
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"limit": 1}, "limit must be at least 2, got 1"),
        ({"limit": 10_001}, "limit must be at most 10000, the training images of shapes, got 10001"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
        ({"seeds": []}, r"seeds must be one or more different numbers, got \[\]"),
        ({"seeds": [1, 1]}, "seeds must be one or more different numbers"),
        ({"seeds": [-1]}, "seeds must be at least 0, got -1"),
        ({"target_error": 25}, "target_error must be between 0 and 1, got 25"),
        ({"only": ["norm"]}, "only must be some of everything, depth, relu, .* got 'norm'"),
        ({"lr_relu": 0.0}, "lr_relu must be above 0 and finite, got 0.0"),
        ({"lr_tanh": float("nan")}, "lr_tanh must be above 0 and finite, got nan"),
    ],
)
def test_settings_out_of_range_are_refused_and_leave_nothing(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(StudyError, match=message):
        study(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


# --- learning rates ----------------------------------------------------------------------------------------------


def test_each_activation_gets_the_rate_with_the_lowest_validation_error(tmp_path: Path, quick: list[str]) -> None:
    found = study(tmp_path, only=["relu", "lrn"], lr_relu=None, lr_tanh=None, epochs=6, seeds=[1, 0])
    searched = [f"{{}}-{lr:g}" for lr in Contributions.searched_rates]
    own = ["everything-1", *(name.format("search-tanh") for name in searched), "relu-1", "lrn-1"]
    assert quick == [*(name.format("search-relu") for name in searched), *own, "everything-0", "relu-0", "lrn-0"]
    assert found["settings"]["learning_rates"] == {"relu": 0.05, "tanh": 0.05}
    assert [trial["activation"] for trial in found["search"]["trials"]] == ["relu"] * 5 + ["tanh"] * 5
    assert {row["variant"] for row in rows(tmp_path)} == {"everything", "relu", "lrn"}, "trials are no results"
    for activation in ("relu", "tanh"):
        recipe = json.loads((tmp_path / "states" / f"search-{activation}-0.1" / "result.json").read_text())["recipe"]
        assert (recipe["lr"], recipe["seed"], recipe["epochs"], recipe["limit"]) == (0.1, 1, 4, LIMIT)
        assert recipe["config"].get("activation", "relu") == activation


def test_a_rate_that_is_given_is_not_searched(tmp_path: Path, quick: list[str]) -> None:
    study(tmp_path, only=["relu"], lr_relu=None, lr_tanh=0.2)
    assert [name for name in quick if "search" in name] == [
        f"search-relu-{lr:g}" for lr in Contributions.searched_rates
    ]
    assert summary(tmp_path)["settings"]["learning_rates"] == {"relu": 0.05, "tanh": 0.2}


def fails_at(monkeypatch: pytest.MonkeyPatch, fails: Callable[[float], str | None]) -> None:
    """Let runs with some learning rates raise what `fails` says."""
    train = trainer.run

    def failing(model: str, data: str, switches: Any, settings: Any, **options: Any) -> dict[str, Any]:
        message = fails(settings["lr"])
        if message is not None:
            raise (DivergedError if "the loss is" in message else TrainingError)(message)
        return train(model, data, switches, settings, **options)

    monkeypatch.setattr(trainer, "run", failing)


def test_a_rate_at_which_training_diverges_is_passed_over(
    tmp_path: Path, quick: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fails_at(monkeypatch, lambda lr: "the loss is nan" if lr > 0.02 else None)
    found = study(tmp_path, only=["everything"], lr_relu=None)
    assert found["settings"]["learning_rates"]["relu"] == 0.02
    assert [trial["validation_error"] for trial in found["search"]["trials"]][3:] == [None, None]
    assert "relu: learning rate 0.02, with a validation error of 3.0 %\n" in capsys.readouterr().err


def test_diverging_everywhere_and_a_full_disk_end_the_study(
    tmp_path: Path, quick: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        fails_at(patch, lambda lr: "a checkpoint cannot be written: no space left")
        with pytest.raises(TrainingError, match="no space left.* is kept in"):
            study(tmp_path / "full", lr_relu=None)
    with pytest.MonkeyPatch.context() as patch:
        fails_at(patch, lambda lr: "the loss is nan")
        with pytest.raises(StudyError, match="relu: training diverged at every learning rate"):
            study(tmp_path / "nowhere", lr_relu=None)
    fails_at(monkeypatch, lambda lr: "the loss is nan" if lr == 0.02 else None)
    with pytest.raises(TrainingError, match=r"tanh instead of ReLU, seed 0: the loss is nan \(--lr-tanh\).*\(4 epochs"):
        study(tmp_path / "tanh")
    assert summary(tmp_path / "tanh")["finished"] is False
    assert list(summary(tmp_path / "tanh")["results"]["variants"]) == ["everything", "depth"]


# --- interrupted and resumed -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as patch, minicnn.use_kernels("numpy"):
        patch.setattr(contributions, "CROP", 12)
        patch.setitem(contributions.BATCH_SIZES, "shapes", BATCH_SIZE)
        patch.setattr(machinery, "save_figure", lambda figure, path: None)
        threads = minicnn.get_num_threads()
        study(out, only=["dropout"])
        minicnn.set_num_threads(threads)
    return out


def signal_at(monkeypatch: pytest.MonkeyPatch, name: str, call: int, number: int) -> None:
    """Send this process a signal when a method of the trainer, or its report, is called for the so-many-th time."""
    place = trainer if name == "report" else trainer.Trainer
    original, calls = getattr(place, name), iter(range(1, 1000))

    def interrupted(*arguments: Any, **named: Any) -> Any:
        if next(calls) == call:
            os.kill(os.getpid(), number)
        return original(*arguments, **named)

    monkeypatch.setattr(place, name, interrupted)


def same(one: Path, two: Path) -> None:
    """Compare everything but the seconds."""
    assert numbers(one) == numbers(two)
    assert reported_errors(one) == reported_errors(two)
    for name in ("everything-0", "dropout-0"):
        weights, others = (
            load_training(max((out / "states" / name).glob("step-*"))).model.network.state_dict() for out in (one, two)
        )
        assert all((array == others[key]).all() for key, array in weights.items())


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send itself a signal")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "call", "number", "done", "epochs"),
    [
        ("after_step", 1, signal.SIGINT, 0, 0),
        ("after_step", 3, signal.SIGINT, 1, 2),
        ("after_step", 4, signal.SIGTERM, 1, 3),
        ("report", 1, signal.SIGTERM, 0, 2),  # while nothing is trained
        ("report", 2, signal.SIGINT, 1, 4),
    ],
)
def test_wherever_it_is_stopped_the_resumed_study_gives_the_same_numbers(
    tmp_path: Path, unbroken: Path, name: str, call: int, number: int, done: int, epochs: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        signal_at(patch, name, call, number)
        with pytest.raises(Stopped) as caught:
            study(tmp_path, only=["dropout"])
    assert caught.value.signal == number
    assert f"({epochs} epochs) is kept in {tmp_path}" in str(caught.value)
    assert str(caught.value).endswith("the same command with --resume continues it")
    assert len(rows(tmp_path)) == 2 * done and summary(tmp_path)["finished"] is False
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    study(tmp_path, only=["dropout"], resume=True)
    same(tmp_path, unbroken)
    assert summary(tmp_path)["finished"] is True


# --- the command line --------------------------------------------------------------------------------------------


def call(*arguments: str) -> int:
    try:
        return cli.main(arguments)
    except SystemExit as leave:
        return int(leave.code or 0)


def test_every_option_reaches_the_study(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(contributions, "run", lambda **options: given.update(options))
    line = "--data shapes --data-dir here --seeds 0,2 --epochs 3 --limit 50 --threads 1 --target-error 0.3"
    assert (
        call("contributions", *line.split(), *"--only relu,lrn --lr-relu 0.1 --lr-tanh 0.2 --out o --resume".split())
        == 0
    )
    expected = {"data": "shapes", "data_dir": Path("here"), "seeds": [0, 2], "epochs": 3, "limit": 50, "threads": 1}
    expected |= {"target_error": 0.3, "only": ["relu", "lrn"], "lr_relu": 0.1, "lr_tanh": 0.2, "out": Path("o")}
    assert given == expected | {"resume": True}
    assert call("contributions") == 0
    assert given.pop("resume") is False and set(given.values()) == {None}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--data mnist", "--data mnist shapes"),
        ("--epochs 0", "--epochs at least 1"),
        ("--seeds a", "--seeds 0,1,2"),
        ("--only norm --data shapes", "norm lrn"),
        ("--target-error 50 --data shapes", "target_error 50"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    line: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("contributions", *line.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("minicnn: error: ") and printed.err.count("\n") == 1
    assert all(word in printed.err for word in words.split())
    assert list(tmp_path.iterdir()) == []
