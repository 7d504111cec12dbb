import shutil
from pathlib import Path

import pytest

from minicnn.data import sources
from minicnn.experiments import relu_vs_tanh
from minicnn.experiments.results import StudyError
from minicnn.training import trainer
from minicnn.training.stopping import Stopped
from tests.experiments.small_studies import numbers, resume, rows, stop_at, study, summary

pytestmark = pytest.mark.usefixtures("small")


@pytest.mark.slow
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
        ({"lr_tanh": 0.5}, "lr_tanh was 0.01 and is 0.5 now"),
        ({"search": True}, "search was False and is True now"),
    ):
        with pytest.raises(StudyError, match=message):
            resume(tmp_path, epochs=5, **options)
    load = sources.load_shapes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "load_shapes", lambda **more: load(**more, seed=1))
        with pytest.raises(StudyError, match="checksum was"):
            resume(tmp_path, epochs=5)
    monkeypatch.setitem(relu_vs_tanh.RECIPE, "momentum", 0.8)
    with pytest.raises(StudyError, match="momentum was 0.9 and is 0.8 now"):
        resume(tmp_path, epochs=5)
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_resumed_study_keeps_its_batch_size_whatever_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study(tmp_path / "at once", inputs="raw")
    study(tmp_path / "resumed", inputs="raw", epochs=1)
    monkeypatch.setitem(relu_vs_tanh.BATCH_SIZES, "shapes", 16)
    resume(tmp_path / "resumed", epochs=2)
    assert summary(tmp_path / "resumed")["settings"]["batch_size"] == 8
    assert numbers(tmp_path / "resumed") == numbers(tmp_path / "at once")


def test_a_run_may_have_another_learning_rate_until_it_has_finished_an_epoch(tmp_path: Path) -> None:
    for call, lr in ((5, 0.02), (1, 0.03), (1, 0.04)):  # each time in the first step of the second run
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
            stop_at(patch, "after_step", call, before=False)
            study(tmp_path, inputs="raw", lr_tanh=lr, resume=True)
    resume(tmp_path)
    assert [row["lr"] for row in rows(tmp_path)] == ["0.001", "0.001", "0.04", "0.04"]


@pytest.mark.slow
def test_two_halves_of_a_study_are_merged_by_copying_their_runs(tmp_path: Path) -> None:
    study(tmp_path / "raw", inputs="raw")
    study(tmp_path / "standardised", inputs="standardised")
    shutil.copytree(tmp_path / "standardised" / "states", tmp_path / "raw" / "states", dirs_exist_ok=True)
    with pytest.raises(StudyError, match=r"standardised-relu-0 is not a run of this study: .* with the inputs of both"):
        resume(tmp_path / "raw")
    study(tmp_path / "at once", inputs="both")
    with pytest.raises(StudyError, match=r"lr_tanh was 0.02 and is 0.01 now \(standardised inputs, tanh, seed 0\)"):
        resume(tmp_path / "raw", inputs="both", lr_tanh=0.01)
    resume(tmp_path / "raw", inputs="both")
    assert numbers(tmp_path / "raw") == numbers(tmp_path / "at once")
