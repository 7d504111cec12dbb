"""Make the lessons' notebooks from their sources, and run them.

    python notebooks/build.py               make them
    python notebooks/build.py --check       say which are not as their sources would make them
    python notebooks/build.py --run 05      make lesson 05 and run it, with solutions; the result is a page of the docs
    python notebooks/build.py --blank 05    make it and run the student's version, without the cells tagged heavy

For each ``notebooks/NN_name.py``, in jupytext's percent format and with solutions:

- ``notebooks/NN_name.ipynb``, the same as a notebook, with nbgrader's marks, for ``nbgrader generate_assignment``;
- ``minicnn/lessons/student/NN_name.ipynb``, without the solutions, for students.

The sources need not say what nbgrader wants to know: a cell with a solution region is an exercise, named after the
function in it, and a cell that only calls its check is the test.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
STUDENT = ROOT / "minicnn" / "lessons" / "student"
PAGES = ROOT / "docs" / "lessons"

BEGIN_SOLUTION, END_SOLUTION = "### BEGIN SOLUTION", "### END SOLUTION"
BEGIN_HIDDEN, END_HIDDEN = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"
STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")  # as nbgrader writes it
CHECK = re.compile(r"check\.(\w+)\(\1\)")

ON_COLAB = """\
# Only Google Colab needs this cell: minicnn is not installed there.
import sys

if "google.colab" in sys.modules:
    %pip install -q git+https://github.com/minicnn/minicnn"""

Notebook = dict[str, Any]


def sources() -> list[Path]:
    return sorted(HERE.glob("[0-9][0-9]_*.py"))


def files(source: Path) -> dict[Path, str]:
    """Return what is made of a source, by its path."""
    notebook = read(source)
    return {
        source.with_suffix(".ipynb"): text(notebook),
        STUDENT / f"{source.stem}.ipynb": text(blank(notebook)),
    }


def read(source: Path) -> Notebook:
    """Return a source as a notebook with solutions."""
    import jupytext  # the docs need what is below, and not this

    cells = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent").cells
    return {
        "cells": [_cell(cell, number) for number, cell in enumerate(cells)],
        "metadata": {
            "kernelspec": {
                "display_name": "Python 3",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"file_extension": ".py", "name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def blank(notebook: Notebook) -> Notebook:
    """Return a notebook without solutions and hidden tests, ready for Colab."""
    cells = []
    for cell in notebook["cells"]:
        source = without_solution(without_hidden_tests(cell["source"]))
        metadata = {key: value for key, value in cell["metadata"].items()}
        if "nbgrader" in metadata and metadata["nbgrader"]["grade"]:
            metadata |= {"deletable": False, "editable": False}
        cells.append({**cell, "source": source, "metadata": metadata})
    cells.insert(1, _code(ON_COLAB, "colab"))
    return {**notebook, "cells": cells}


def without_solution(source: str) -> str:
    return _replaced(source, BEGIN_SOLUTION, END_SOLUTION, STUB)


def without_hidden_tests(source: str) -> str:
    return _replaced(source, BEGIN_HIDDEN, END_HIDDEN, ())


def _replaced(source: str, begin: str, end: str, stub: tuple[str, ...]) -> str:
    """Put other lines in the place of a region, as far indented as it was."""
    lines: list[str] = []
    inside = False
    for line in source.splitlines():
        if line.strip() == begin and not inside:
            inside = True
            indent = line[: len(line) - len(line.lstrip())]
            lines += [indent + each for each in stub]
        elif line.strip() == end and inside:
            inside = False
        elif line.strip() in (begin, end):
            raise ValueError(f"{line.strip()} without its other half, in:\n{source}")
        elif not inside:
            lines.append(line)
    if inside:
        raise ValueError(f"{begin} without {end}, in:\n{source}")
    return "\n".join(lines)


def _cell(cell: Any, number: int) -> dict[str, Any]:
    metadata = (
        {"tags": sorted(cell.metadata["tags"])} if cell.metadata.get("tags") else {}
    )
    name = f"cell-{number:02d}"
    if cell.cell_type != "code":
        return {
            "cell_type": cell.cell_type,
            "id": name,
            "metadata": metadata,
            "source": cell.source,
        }
    source = cell.source
    checked = CHECK.fullmatch(source.strip())
    if BEGIN_SOLUTION in source:
        name = exercise_in(source)
        metadata["nbgrader"] = _marks(name, solution=True)
    elif checked:
        name = f"check-{checked[1]}"
        metadata["nbgrader"] = _marks(name, solution=False)
        source = f"{BEGIN_HIDDEN}\nassert {checked[0]}.passed\n{END_HIDDEN}\n{source}"  # the last line is shown
    return _code(source, name, metadata)


def exercise_in(source: str) -> str:
    """Return the name of the function that a solution cell defines."""
    functions = [
        node.name
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef)
    ]
    if len(functions) != 1:
        raise ValueError(
            f"a cell with a solution must define one function, this one defines {functions}:\n{source}"
        )
    return functions[0]


def _marks(name: str, solution: bool) -> dict[str, Any]:
    marks = {
        "grade": not solution,
        "grade_id": name,
        "locked": not solution,
        "schema_version": 3,
    }
    marks |= {"solution": solution, "task": False}
    return marks if solution else marks | {"points": 1}


def _code(
    source: str, name: str, metadata: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": name,
        "metadata": metadata or {},
        "outputs": [],
        "source": source,
    }


def text(notebook: Notebook) -> str:
    """Write a notebook as Jupyter does."""
    cells = [
        {**cell, "source": cell["source"].splitlines(keepends=True)}
        for cell in notebook["cells"]
    ]
    return (
        json.dumps(
            {**notebook, "cells": cells}, indent=1, sort_keys=True, ensure_ascii=False
        )
        + "\n"
    )


def stale() -> list[str]:
    """Return what is not as the sources would make it."""
    made = {
        path: content for source in sources() for path, content in files(source).items()
    }
    wrong = [
        path
        for path, content in made.items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    ]
    left_over = [
        path
        for folder in (HERE, STUDENT)
        for path in folder.glob("*.ipynb")
        if path not in made
    ]
    return sorted(path.relative_to(ROOT).as_posix() for path in [*wrong, *left_over])


# --- running them ---------------------------------------------------------------------------------------------


def run(notebooks: Sequence[Path], folder: Path, blank: bool = False) -> dict[str, str]:
    """Run copies of notebooks through nbmake, each in a kernel of its own.

    Parameters
    ----------
    notebooks : sequence of Path
        Which.
    folder : Path
        Where the copies stay, with their outputs.
    blank : bool
        Whether cells tagged heavy are left out.

    Returns
    -------
    dict
        For each notebook's stem what went wrong: nothing, if nothing did.
    """
    for path in notebooks:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"] if blank else ():
            if "heavy" in cell["metadata"].get("tags", ()):
                cell["metadata"]["tags"].append("skip-execution")
        (folder / path.name).write_text(json.dumps(notebook), encoding="utf-8")
    report = folder / "report.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        os.devnull,
        "--rootdir",
        str(folder),
        "-p",
        "no:cacheprovider",
    ]
    command += [
        "--nbmake",
        "--overwrite",
        "--nbmake-timeout=300",
        "-q",
        f"--junitxml={report}",
        str(folder),
    ]
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in ("MPLBACKEND", "PYTEST_ADDOPTS")
    }
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    )
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if not report.exists():
        raise RuntimeError(f"nbmake did not run:\n{done.stdout}\n{done.stderr}")
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        wrong = [
            child.text or child.get("message", "")
            for child in case
            if child.tag in ("failure", "error")
        ]
        found[Path(case.get("name", "")).stem] = "\n".join(wrong)
        print(
            f"{case.get('name')}: {float(case.get('time', 0)):.1f} s{', FAILED' * bool(wrong)}"
        )
    return {
        path.stem: found.get(path.stem, f"not run:\n{done.stdout}")
        for path in notebooks
    }


def run_for_docs(notebooks: Sequence[Path]) -> dict[str, str]:
    """Run notebooks, as :func:`run` does, and make pages of the docs of those in which nothing went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        found = run(notebooks, Path(folder))
        for stem in (stem for stem, wrong in found.items() if not wrong):
            notebook = json.loads(
                Path(folder, f"{stem}.ipynb").read_text(encoding="utf-8")
            )
            PAGES.mkdir(exist_ok=True)
            (PAGES / f"{stem}.ipynb").write_text(
                json.dumps(as_page(notebook), indent=1), encoding="utf-8"
            )
    return found


def as_page(notebook: Notebook) -> Notebook:
    """Return a notebook as the docs show it: solutions folded away, without marks."""
    cells = []
    for cell in notebook["cells"]:
        source = without_hidden_tests("".join(cell["source"]))
        lines = [
            line
            for line in source.splitlines()
            if line.strip() not in (BEGIN_SOLUTION, END_SOLUTION)
        ]
        cell = {**cell, "source": "\n".join(lines), "metadata": dict(cell["metadata"])}
        if cell["metadata"].pop("nbgrader", {}).get("solution"):
            cell["metadata"]["tags"] = ["hide-input", *cell["metadata"].get("tags", ())]
            cell["metadata"]["mystnb"] = {
                "code_prompt_show": "A solution",
                "code_prompt_hide": "A solution",
            }
        cells.append(cell)
    return {**notebook, "cells": cells}


def not_run() -> list[Path]:
    """Return the notebooks without a page of outputs that belong to them."""
    return [path for path in sorted(HERE.glob("*.ipynb")) if not _has_run(path)]


def _has_run(path: Path) -> bool:
    page = PAGES / path.name
    if not page.exists():
        return False
    found = json.loads(page.read_text(encoding="utf-8"))
    wanted = as_page(json.loads(path.read_text(encoding="utf-8")))
    return list(_sources(found)) == list(_sources(wanted)) and any(
        cell.get("outputs") for cell in found["cells"]
    )


def _sources(notebook: Notebook) -> Iterator[str]:
    return ("".join(cell["source"]) for cell in notebook["cells"])


def fill_in_pages() -> None:
    """Give the docs a page without outputs for each notebook that has not run, and none for what is gone."""
    PAGES.mkdir(exist_ok=True)
    for path in not_run():
        page = as_page(json.loads(path.read_text(encoding="utf-8")))
        (PAGES / path.name).write_text(json.dumps(page, indent=1), encoding="utf-8")
    for page_path in PAGES.glob("*.ipynb"):
        if not (HERE / page_path.name).exists():
            page_path.unlink()


# --- the command ----------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Make the lessons' notebooks from their sources, and run them."
    )
    parser.add_argument(
        "lessons", nargs="*", metavar="NN", help="only these lessons, by number"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing, and say which are stale"
    )
    parser.add_argument(
        "--run", action="store_true", help="then run those with solutions, for the docs"
    )
    parser.add_argument(
        "--blank", action="store_true", help="then run those for students"
    )
    options = parser.parse_args()
    if options.check:
        print("\n".join(stale()) or "all notebooks are as their sources say")
        return int(bool(stale()))
    chosen = [
        source
        for source in sources()
        if not options.lessons or source.name[:2] in options.lessons
    ]
    for source in chosen:
        for path, content in files(source).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            print(path.relative_to(ROOT))
    wrong: list[str] = []
    if options.run:
        wrong += run_for_docs(
            [source.with_suffix(".ipynb") for source in chosen]
        ).values()
    if options.blank:
        with tempfile.TemporaryDirectory() as folder:
            students = [STUDENT / f"{source.stem}.ipynb" for source in chosen]
            wrong += run(students, Path(folder), blank=True).values()
    print("\n".join(filter(None, wrong)), end="")
    return int(any(wrong))


if __name__ == "__main__":
    sys.exit(main())
