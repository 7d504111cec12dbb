"""The students' notebooks: copying them out of the package, and finding out which exercises are done.

To find out, a child process runs parts of the notebook: its setup cell, the cells that define an exercise's function,
and the imports and definitions in other cells above, which an answer may use. Nothing else runs, so a lesson that
trains for minutes is checked in seconds.
"""

from __future__ import annotations

import ast
import contextlib
import json
import linecache
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from minicnn.errors import MinicnnError
from minicnn.files import write_atomically
from minicnn.install import install_command
from minicnn.lessons.exercises import registry
from minicnn.lessons.judging import Check
from minicnn.lessons.report import Report

__all__ = ["LessonError", "Progress", "State", "check_notebook", "copy_lessons", "how_to_open", "missing", "progress"]

SECONDS = 60.0  # for one notebook
DEFINES = re.compile(r"^def (\w+)\(", re.MULTILINE)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
MAGIC = re.compile(r"^(\s*)[%!].*$", re.MULTILINE)

Cell = dict[str, Any]


class LessonError(MinicnnError):
    """A problem with a folder of lessons."""


@dataclass(frozen=True)
class State:
    """The state of an exercise.

    Attributes
    ----------
    exercise : str
        Its name.
    state : {"done", "not yet", "not started"}
        Whether the answer is right, wrong or missing.
    note : str
        What the check says, if the state is "not yet".
    """

    exercise: str
    state: Literal["done", "not yet", "not started"]
    note: str = ""

    def __str__(self) -> str:
        return f"{self.state}{': ' * bool(self.note)}{self.note}"


@dataclass(frozen=True)
class Progress:
    """The state of a lesson.

    Attributes
    ----------
    name : str
        The notebook's name without .ipynb.
    states : sequence of State
        The states of its exercises.
    problem : str
        Why the notebook could not be checked.
    """

    name: str
    states: Sequence[State] = ()
    problem: str = ""

    @property
    def done(self) -> int:
        """How many exercises are done."""
        return sum(state.state == "done" for state in self.states)

    def __str__(self) -> str:
        title = self.name.replace("_", " ")
        if self.problem:
            return f"{title}: {self.problem}"
        width = max((len(state.exercise) for state in self.states), default=0)
        lines = [f"  {state.exercise:<{width}}  {state}" for state in self.states]
        return "\n".join([f"{title}: {self.done} of {len(self.states)} done", *lines])


def student_notebooks() -> dict[str, str]:
    """Return the text of the students' notebooks by file name."""
    folder = files("minicnn.lessons") / "student"
    names = sorted(file.name for file in folder.iterdir() if file.name.endswith(".ipynb"))
    return {name: (folder / name).read_text(encoding="utf-8") for name in names}


def copy_lessons(folder: Path) -> dict[str, bool]:
    """Copy the students' notebooks into a folder. Existing files are not changed.

    Parameters
    ----------
    folder : Path
        Created if it does not exist.

    Returns
    -------
    dict
        For each file name whether the file was copied. If not, it existed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return {name: _write_new(folder / name, text) for name, text in student_notebooks().items()}


def _write_new(path: Path, text: str) -> bool:
    if path.exists():
        return False
    write_atomically(path, text)
    return True


def how_to_open(folder: Path) -> str:
    """Return how to open the notebooks, and what is missing for it on this machine, in a few lines."""
    first = next(iter(student_notebooks()))
    lines = ["", f"To start: jupyter lab {shlex.quote(str(folder / first))}"]
    if find_spec("jupyterlab") is None:
        lines.append(f"Jupyter is not installed yet: {install_command('notebooks')}")
    lines.append(f"To see what is done: minicnn lessons {shlex.quote(str(folder))} --progress")
    return "\n".join(lines)


# --- progress -------------------------------------------------------------------------------------------------


def progress(folder: Path, seconds: float = SECONDS) -> list[Progress]:
    """Check the exercises in a folder of lessons.

    Parameters
    ----------
    folder : Path
        The folder with the notebooks.
    seconds : float
        Time limit for one notebook.

    Raises
    ------
    LessonError
        If there is no lesson in the folder.
    """
    names = [name for name in student_notebooks() if (folder / name).is_file()]
    if not names:
        raise LessonError(f"{folder} has no lessons: 'minicnn lessons {folder}' copies them there")
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(lambda name: _in_a_child(folder / name, seconds), names))


def _in_a_child(path: Path, seconds: float) -> Progress:
    try:
        cells = _code_cells(path)
    except (OSError, ValueError) as error:
        problem = f"cannot be read as a notebook ({type(error).__name__})"
        return Progress(path.stem, [State(name, "not yet", problem) for name in _asked_for(path, [])], problem)
    command = [sys.executable, "-m", __name__, path.name]
    environment = os.environ | {"MPLBACKEND": "agg"}
    try:
        done = subprocess.run(command, cwd=path.parent, env=environment, capture_output=True, timeout=seconds)
        printed, otherwise = done.stdout, f"Python ended with status {done.returncode}"
    except subprocess.TimeoutExpired as error:
        printed, otherwise = error.stdout or b"", f"not checked within {seconds:g} s"
    found = [State(**json.loads(line)) for line in printed.decode().splitlines()]
    missing = _asked_for(path, cells)[len(found) :]
    return Progress(path.stem, [*found, *(State(name, "not yet", otherwise) for name in missing)])


def check_notebook(path: Path) -> Iterator[State]:
    """Run a notebook's setup cell and exercises in this process, and check them.

    Parameters
    ----------
    path : Path
        The notebook.

    Yields
    ------
    State
        The state of each exercise.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read as a notebook.
    """
    cells = _code_cells(path)
    names: dict[str, Any] = {"__name__": "__main__"}
    problem = _run(_setup(cells), "the setup cell", names)
    above = 0
    for name in _asked_for(path, cells):
        wanted = [at for at, cell in enumerate(cells) if name in DEFINES.findall(_source(cell))]
        if not wanted:
            yield State(name, "not yet", "no cell defines it")
            continue
        for cell in cells[above : wanted[-1]]:
            _define(cell, names)
        above = max(above, wanted[-1])
        names.pop(name, None)
        wrong = problem or _run(cells[wanted[-1]], f"the cell of {name}", names)
        if name not in names:
            yield State(name, "not yet", wrong or "its cell does not define it")
            continue
        report = Check(registry()[name])(names[name])
        state: Literal["done", "not yet", "not started"]
        state = "done" if report.passed else "not yet" if report.done else "not started"
        yield State(name, state, _note(report) if state == "not yet" else "")


def _note(report: Report) -> str:
    """Return what is wrong with an answer, in one line."""
    verdict = report.verdict.removeprefix("not yet").removeprefix(": ").splitlines()
    error = dict(report.lines).get("error", "").splitlines()
    return report.mistake or ": ".join([*verdict[:1], *error[:1]])


def missing(folder: Path) -> list[str]:
    """Return the names of the lessons that are not in a folder."""
    return [name.removesuffix(".ipynb") for name in student_notebooks() if not (folder / name).is_file()]


def _asked_for(path: Path, cells: Sequence[Cell]) -> list[str]:
    """Return the names of a lesson's exercises in the order of the cells, with those that have no cell last."""
    names = [name for name, exercise in registry().items() if path.stem.startswith(f"{exercise.lesson:02d}_")]
    defined = [name for cell in cells for name in DEFINES.findall(_source(cell))]
    return sorted(names, key=lambda name: defined.index(name) if name in defined else len(defined))


def _code_cells(path: Path) -> list[Cell]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise ValueError("no cells")
    return [cell for cell in notebook["cells"] if isinstance(cell, dict) and cell.get("cell_type") == "code"]


def _source(cell: Cell) -> str:
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def _setup(cells: Sequence[Cell]) -> Cell:
    """Return the cell tagged setup; if the tags are lost, the first cell that imports the checks."""
    tagged = [cell for cell in cells if "setup" in cell.get("metadata", {}).get("tags", ())]
    importing = [cell for cell in cells if "minicnn.lessons" in _source(cell)]
    return next(iter([*tagged, *importing]), {})


def _run(cell: Cell, what: str, names: dict[str, Any]) -> str:
    """Run a cell, and return the error that stopped it, or an empty string."""
    source = MAGIC.sub(r"\1pass", _source(cell))  # lines that only Jupyter understands
    linecache.cache[what] = (
        len(source),
        None,
        source.splitlines(keepends=True),
        what,
    )  # for the lines in error reports
    try:
        exec(compile(source, what, "exec"), names)
    except SyntaxError as error:
        return f"{what} has a syntax error in line {error.lineno}: {error.msg}"
    except (Exception, SystemExit) as error:
        return f"{what} stops with {type(error).__name__}: {error}"
    return ""


def _define(cell: Cell, names: dict[str, Any]) -> None:
    """Run a cell's imports and definitions of functions, classes and constants, except those that fail."""
    try:
        statements = ast.parse(MAGIC.sub(r"\1pass", _source(cell))).body
    except (SyntaxError, ValueError):
        return
    for statement in statements:
        if isinstance(statement, DEFINITIONS) or (isinstance(statement, ast.Assign) and _is_constant(statement.value)):
            with contextlib.suppress(Exception, SystemExit):
                exec(compile(ast.Module([statement], []), "a cell of the notebook", "exec"), names)


def _is_constant(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError):
        return False
    return True


if __name__ == "__main__":
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # keeps the student's output apart from the states
    for found in check_notebook(Path(sys.argv[1])):
        print(json.dumps(asdict(found)), file=out, flush=True)
    out.close()
    os._exit(0)  # does not wait for threads that could not be stopped
