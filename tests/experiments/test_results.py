import shutil
from pathlib import Path

import pytest

from minicnn.experiments.results import ResultsFolder, StudyError
from minicnn.training.stopping import Stopped
from tests.experiments.small_studies import COLUMNS, resume, rows, stop_at, study

pytestmark = pytest.mark.usefixtures("small")


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
