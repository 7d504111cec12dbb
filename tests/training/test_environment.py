"""The folder of a run: one process at a time, created when needed, removed if nothing is in it."""

import errno
from pathlib import Path
from typing import Any

import filelock
import pytest

from minicnn import files
from minicnn.training.environment import FolderError, alone_in
from tests.lock_holder import holder


def test_an_empty_folder_is_removed_and_results_stay_without_the_lock_file(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with alone_in(folder):
        assert [path.name for path in folder.iterdir()] == [".lock"]
    assert list(tmp_path.iterdir()) == []
    with alone_in(folder):
        (folder / "log.csv").write_text("1")
    assert [path.name for path in folder.iterdir()] == ["log.csv"]


def test_another_process_is_refused_until_it_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with holder(folder, "minicnn.training.environment", "alone_in") as process:
        with (
            pytest.raises(FolderError, match=f"another run is writing to {folder}; choose another --out"),
            alone_in(folder),
        ):
            pytest.fail("there are two")
        assert folder.exists()
        process.kill()
    with alone_in(folder):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["run"]  # which this process did not create
    assert list(folder.iterdir()) == []


def test_the_same_process_is_refused_too(tmp_path: Path) -> None:
    with alone_in(tmp_path), pytest.raises(FolderError, match="another run is writing"), alone_in(tmp_path):
        pytest.fail("there are two")
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_run_is_passed_on(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="the disk is full"), alone_in(tmp_path / "run"):
        raise OSError("the disk is full")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("where", "failing", "code", "reason"),
    [
        (files, "open", errno.EROFS, "Read-only file system"),
        (filelock, "lock_descriptor", errno.ENOLCK, "No locks available"),  # as on some network file systems
    ],
)
def test_a_folder_that_cannot_be_locked_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: Any, failing: str, code: int, reason: str
) -> None:
    def fails(*arguments: Any, **more: Any) -> Any:
        raise OSError(code, reason)

    monkeypatch.setattr(where, failing, fails, raising=False)
    with pytest.raises(FolderError, match=f"run cannot be used for the results: {reason}"), alone_in(tmp_path / "run"):
        pytest.fail("nothing is locked")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(FolderError, match="out cannot be used for the results: Not a directory"),
        alone_in(tmp_path / "file" / "out"),
    ):
        pytest.fail("there is no folder")
