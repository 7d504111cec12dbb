import csv
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from minicnn.experiments import relu_vs_tanh
from minicnn.experiments.relu_vs_tanh import ReluVsTanh
from minicnn.experiments.results import StudyError
from minicnn.training import DivergedError, TrainingError, trainer
from minicnn.training.stopping import Stopped
from tests.experiments.small_studies import numbers, resume, rows, stop_at, study, summary

pytestmark = pytest.mark.usefixtures("small")


# Each of the two runs has three epochs of two steps, and writes a checkpoint at its beginning and after each epoch.
STOPS = [("after_step", call, False, (call - 1) // 2) for call in (1, 2, 3, 8, 12)]
STOPS += [
    ("keep_checkpoint", call, before, done)
    for call, done in ((1, 0), (2, 0), (4, 2), (5, 3), (8, 5))
    for before in (True, False)
]
STOPS += [("show_log", call, before, call - before) for call in (1, 3, 6) for before in (True, False)]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "call", "before", "done"), STOPS)
def test_wherever_it_is_interrupted_the_resumed_study_gives_the_same_numbers(
    tmp_path: Path, unbroken: Path, name: str, call: int, before: bool, done: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, name, call, before)
        with pytest.raises(Stopped) as caught:
            study(tmp_path, inputs="raw", epochs=3)
    assert f"({done} epochs) is kept in {tmp_path}; the same command with --resume continues it" in str(caught.value)
    assert len(rows(tmp_path)) == done
    assert summary(tmp_path)["finished"] is False
    study(tmp_path, inputs="raw", epochs=3, resume=True)
    assert numbers(tmp_path) == numbers(unbroken)
    assert summary(tmp_path)["results"] == summary(unbroken)["results"]
    assert summary(tmp_path)["finished"] is True


@pytest.mark.slow
def test_a_process_killed_in_the_middle_loses_one_epoch_at_most(tmp_path: Path, unbroken: Path) -> None:
    program = f"""
        import os
        from pathlib import Path
        import minicnn
        from minicnn.experiments import relu_vs_tanh
        from minicnn.training import trainer

        relu_vs_tanh.LIMIT["shapes"] = 16
        relu_vs_tanh.BATCH_SIZES["shapes"] = 8
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


@pytest.mark.slow
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


def test_a_run_that_diverges_is_an_error_and_what_is_finished_is_kept(tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as caught:
        study(tmp_path, inputs="raw", epochs=1, lr_tanh=1e38)
    for part in ("raw inputs, tanh, seed 0", "--lr-tanh", "lower learning rate", f"(1 epochs) is kept in {tmp_path}"):
        assert part in str(caught.value)
    assert [row["activation"] for row in rows(tmp_path)] == ["relu"]
    assert (tmp_path / "relu_vs_tanh.png").exists()
    resume(tmp_path, lr_tanh=0.01)
    assert [row["activation"] for row in rows(tmp_path)] == ["relu", "tanh"]


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
