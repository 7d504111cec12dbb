"""Copying the lessons, and looking at what is done in a folder of them."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minicnn import cli
from minicnn.lessons import notebooks
from minicnn.lessons.notebooks import LessonError, check_notebook, copy_lessons, progress, student_notebooks
from tools import build_notebooks as build

LRN = "05_local_response_normalisation.ipynb"
Edit = Callable[[str, str], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one lesson in it."""
    (tmp_path / LRN).write_text(student_notebooks()[LRN], encoding="utf-8")
    return tmp_path


@pytest.fixture
def edit(folder: Path) -> Edit:
    """Write something else into the cell of an exercise, as a student does."""

    def write(exercise: str, source: str) -> None:
        notebook = json.loads((folder / LRN).read_text(encoding="utf-8"))
        (cell,) = (cell for cell in notebook["cells"] if cell["id"] == exercise)
        cell["source"] = source
        (folder / LRN).write_text(json.dumps(notebook), encoding="utf-8")

    return write


RIGHT = "def lrn_window(i, n, C):\n    return max(0, i - n // 2), min(C - 1, i + n // 2)"


def states(folder: Path) -> dict[str, str]:
    return {state.exercise: str(state) for state in check_notebook(folder / LRN)}


def test_every_lesson_is_copied_and_none_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "deep" / "down"
    assert cli.main(["lessons", str(folder)]) == 0
    printed = capsys.readouterr().out
    names = [f"{source.stem}.ipynb" for source in build.sources()]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert all((folder / name).read_bytes() == (build.STUDENT / name).read_bytes() for name in names)
    assert f"jupyter lab {folder / names[0]}" in printed
    assert "--progress" in printed


def test_what_is_there_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(notebooks, "student_notebooks", lambda: {"00_a.ipynb": "new", "01_b.ipynb": "new"})
    (tmp_path / "00_a.ipynb").write_text("a student's work")
    assert cli.main(["lessons", str(tmp_path)]) == 0
    assert "00_a.ipynb exists already and was not changed" in capsys.readouterr().out
    assert (tmp_path / "00_a.ipynb").read_text() == "a student's work"
    assert (tmp_path / "01_b.ipynb").read_text() == "new"


def test_jupyter_is_named_where_it_is_absent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(notebooks, "find_spec", lambda name: None)
    assert "pip install -e '.[notebooks]'" in notebooks.how_to_open(tmp_path)
    monkeypatch.setattr(notebooks, "find_spec", lambda name: "found")
    assert "pip install" not in notebooks.how_to_open(tmp_path)


def test_a_folder_that_is_a_file_takes_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert cli.main(["lessons", str(tmp_path / "file")]) == 2
    assert cli.main(["lessons", str(tmp_path), "--progress"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "file" in first
    assert f"{tmp_path} has no lessons: 'minicnn lessons {tmp_path}' copies them there" in second


def test_progress_tells_what_is_done(folder: Path, edit: Edit, capsys: pytest.CaptureFixture[str]) -> None:
    edit("lrn_window", f"print('hello')\n{RIGHT}")
    edit("lrn_forward", "def lrn_forward(a, n, k, alpha, beta):\n    return a / (k + alpha * np.sum(a**2)) ** beta")
    assert cli.main(["lessons", str(folder), "--progress"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "05 local response normalisation: 1 of 4 done",
        "  lrn_window       done",
        "  lrn_forward      not yet: 1 of 4 inputs right",
        "  lrn_backward     not started",
        "  lrn_for_pytorch  not started",
        "",
        "1 of 4 exercises are done",
        "Not in this folder: 00, 01, 02, 03, 04, 06, 07, 08, 09, 10, 11, 12, 13, 14; "
        f"'minicnn lessons {folder}' copies what is missing",
    ]


def test_a_known_mistake_is_named(folder: Path, edit: Edit) -> None:
    edit("lrn_window", "def lrn_window(i, n, C):\n    return i - n // 2, i + n // 2")
    assert states(folder)["lrn_window"] == "not yet: the window is not cut off at the ends"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "def lrn_window(i, n, C):\n    return (",
            "the cell of lrn_window has a syntax error in line 2: '(' was never closed",
        ),
        ("x = 1", "no cell defines it"),
        ("1 / 0\n" + RIGHT, "the cell of lrn_window stops with ZeroDivisionError: division by zero"),
        (
            "def lrn_window(i, n, C):\n    return unknown",
            "0 of 6 inputs right: NameError: name 'unknown' is not defined",
        ),
        ("if False:\n    pass\n'''\ndef lrn_window(i, n, C):\n'''", "its cell does not define it"),
        ("exit()\n" + RIGHT, "the cell of lrn_window stops with SystemExit"),
    ],
)
def test_a_cell_that_does_not_work_is_a_line(folder: Path, edit: Edit, source: str, said: str) -> None:
    edit("lrn_window", source)
    assert states(folder)["lrn_window"].startswith(f"not yet: {said}")
    assert states(folder)["lrn_forward"] == "not started"


def test_what_follows_the_function_in_its_cell_may_fail(folder: Path, edit: Edit) -> None:
    edit("lrn_window", RIGHT + "\n\n%timeit lrn_window(1, 2, 3)\n!ls\nprint(1 / 0)")
    assert states(folder)["lrn_window"] == "done"


def test_a_function_from_an_earlier_cell_is_not_judged_for_a_later_one(folder: Path, edit: Edit) -> None:
    edit("lrn_window", RIGHT + "\nlrn_forward = max")
    edit("lrn_forward", "def lrn_forward(a, n, k, alpha, beta):\n    return (")
    assert states(folder)["lrn_forward"].startswith("not yet: the cell of lrn_forward has a syntax error")


def insert(folder: Path, before: str, source: str) -> None:
    """Put a cell of the student's own before another one."""
    notebook = json.loads((folder / LRN).read_text(encoding="utf-8"))
    at = [cell["id"] for cell in notebook["cells"]].index(before)
    cell = {"cell_type": "code", "execution_count": None, "id": "own", "metadata": {}, "outputs": [], "source": source}
    notebook["cells"].insert(at, cell)
    (folder / LRN).write_text(json.dumps(notebook), encoding="utf-8")


def test_an_answer_may_use_what_is_defined_in_cells_above(folder: Path, edit: Edit) -> None:
    own = "import math\nFIRST = 0\nunknown()\n1 / 0\ndef half(n):\n    return math.floor(n / 2)"
    insert(folder, "lrn_window", own)
    edit("lrn_window", "def lrn_window(i, n, C):\n    return max(FIRST, i - half(n)), min(C - 1, i + half(n))")
    assert states(folder)["lrn_window"] == "done"


def test_what_is_computed_in_cells_above_does_not_run(folder: Path, edit: Edit) -> None:
    edit("lrn_window", RIGHT)
    insert(folder, "lrn_window", "while True:\n    pass\n")
    assert states(folder)["lrn_window"] == "done"


def test_a_lesson_that_is_missing_is_told_and_a_broken_one_counts(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / LRN).write_text("{", encoding="utf-8")
    assert len(notebooks.missing(folder)) == len(student_notebooks()) - 1
    assert cli.main(["lessons", str(folder), "--progress"]) == 0
    printed = capsys.readouterr().out
    assert "0 of 4 exercises are done" in printed
    assert "Not in this folder: 00, 01, 02, 03, 04, 06, " in printed
    copy_lessons(folder)
    assert notebooks.missing(folder) == []


def changed(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    notebook = json.loads((folder / LRN).read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        change(cell)
    (folder / LRN).write_text(json.dumps(notebook), encoding="utf-8")


def test_a_notebook_that_lost_its_marks_is_understood(folder: Path, edit: Edit) -> None:
    edit("lrn_window", RIGHT)
    changed(folder, lambda cell: cell.update(metadata={}))
    assert states(folder)["lrn_window"] == "done"


def test_a_setup_that_fails_is_told_with_each_exercise(folder: Path) -> None:
    def fail(cell: dict[str, Any]) -> None:
        if "setup" in cell["metadata"].get("tags", ()):
            cell["source"] = "import nowhere"

    changed(folder, fail)
    expected = "not yet: the setup cell stops with ModuleNotFoundError: No module named 'nowhere'"
    assert set(states(folder).values()) == {expected}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cells": 3}', "\x00\xff"])
def test_a_broken_file_is_a_line(folder: Path, content: str) -> None:
    (folder / LRN).write_text(content, encoding="utf-8")
    (found,) = progress(folder)
    assert str(found).startswith("05 local response normalisation: cannot be read as a notebook")


def test_a_notebook_that_takes_too_long_is_a_line(folder: Path, edit: Edit) -> None:
    edit("lrn_window", "while True:\n    pass\n" + RIGHT)
    (found,) = progress(folder, seconds=0.5)
    assert {str(state) for state in found.states} == {"not yet: not checked within 0.5 s"}


def test_what_was_found_in_time_counts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(command: list[str], timeout: float, **_: Any) -> None:
        printed = json.dumps({"exercise": "lrn_window", "state": "done", "note": ""}) + "\n"
        raise subprocess.TimeoutExpired(command, timeout, output=printed.encode())

    monkeypatch.setattr(subprocess, "run", late)
    (found,) = progress(folder)
    assert [state.state for state in found.states] == ["done", *["not yet"] * 3]


def test_a_notebook_that_kills_python_is_a_line(folder: Path, edit: Edit) -> None:
    edit("lrn_window", "import os\nos._exit(7)\n" + RIGHT)
    (found,) = progress(folder)
    assert {str(state) for state in found.states} == {"not yet: Python ended with status 7"}


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(LessonError, match="has no lessons"):
        progress(tmp_path)


@pytest.mark.slow
def test_all_solutions_are_done(tmp_path: Path) -> None:
    names = list(copy_lessons(tmp_path))
    assert names == sorted(names)
    for source in build.sources():
        (tmp_path / f"{source.stem}.ipynb").write_text(build.text(build.read(source)), encoding="utf-8")
    for lesson in progress(tmp_path):
        assert lesson.done == len(lesson.states) >= 2, lesson
