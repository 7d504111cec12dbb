"""Build the lessons' notebooks from their sources, and run them.

    python tools/build_notebooks.py               build them
    python tools/build_notebooks.py --check       list the students' notebooks, and README's table, if out of date
    python tools/build_notebooks.py --run 05      build lesson 05 and run it, with solutions; the result is a docs page
    python tools/build_notebooks.py --blank 05    build it and run the students' version, without cells tagged heavy

Each ``notebooks/NN_name.py``, in jupytext's percent format and with solutions, becomes

- ``minicnn/lessons/student/NN_name.ipynb``: without the solutions, for students. It is part of the package, and in git.
- ``notebooks/NN_name.ipynb``: the same with solutions and nbgrader's metadata, for ``nbgrader generate_assignment``.
  It is not in git, because everything that needs it can build it.

The sources do not contain nbgrader's metadata: a cell with a solution region is an exercise, named after the function
in it, and a cell that only calls its check is the test.
"""

from __future__ import annotations

import argparse
import ast
import configparser
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "notebooks"
STUDENT = ROOT / "minicnn" / "lessons" / "student"
PAGES = ROOT / "docs" / "lessons"
README = ROOT / "README.md"

BEGIN_SOLUTION, END_SOLUTION = "### BEGIN SOLUTION", "### END SOLUTION"
BEGIN_HIDDEN, END_HIDDEN = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"
STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")  # as nbgrader writes it
CHECK = re.compile(r"check\.(\w+)\(\1\)")

Notebook = dict[str, Any]


def sources() -> list[Path]:
    return sorted(SOURCES.glob("[0-9][0-9]_*.py"))


def title(source: Path) -> str:
    """Return a lesson's number and title."""
    (found,) = re.findall(r"^# # (.+)$", source.read_text(encoding="utf-8"), re.MULTILINE)
    return str(found)


def student(source: Path) -> Path:
    """Return the path of a source's notebook for students."""
    return STUDENT / f"{source.stem}.ipynb"


def read(source: Path) -> Notebook:
    """Return a source as a notebook with solutions."""
    import jupytext

    cells = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent").cells
    return {
        "cells": [_cell(cell, number) for number, cell in enumerate(cells)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"file_extension": ".py", "name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def blank(notebook: Notebook) -> Notebook:
    """Return a notebook without solutions and hidden tests."""
    cells = []
    for cell in notebook["cells"]:
        source = without_solution(without_hidden_tests(cell["source"]))
        metadata = dict(cell["metadata"])
        if metadata.get("nbgrader", {}).get("grade"):
            metadata |= {"deletable": False, "editable": False}
        cells.append({**cell, "source": source, "metadata": metadata})
    return {**notebook, "cells": cells}


def without_solution(source: str) -> str:
    return _replaced(source, BEGIN_SOLUTION, END_SOLUTION, STUB)


def without_hidden_tests(source: str) -> str:
    return _replaced(source, BEGIN_HIDDEN, END_HIDDEN, ())


def _replaced(source: str, begin: str, end: str, stub: tuple[str, ...]) -> str:
    """Replace each region by other lines, with the region's indentation."""
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
    metadata: dict[str, Any] = {"tags": sorted(cell.metadata["tags"])} if cell.metadata.get("tags") else {}
    name = f"cell-{number:02d}"
    source: str = cell.source
    if cell.cell_type != "code":
        return {"cell_type": cell.cell_type, "id": name, "metadata": metadata, "source": source}
    checked = CHECK.fullmatch(source.strip())
    if BEGIN_SOLUTION in source:
        name = exercise_in(source)
        metadata["nbgrader"] = _nbgrader(name, solution=True)
    elif checked:
        name = f"check-{checked[1]}"
        metadata["nbgrader"] = _nbgrader(name, solution=False)
        source = f"{BEGIN_HIDDEN}\nassert {checked[0]}.passed\n{END_HIDDEN}\n{source}"  # the last line is shown
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": name,
        "metadata": metadata,
        "outputs": [],
        "source": source,
    }


def exercise_in(source: str) -> str:
    """Return the name of the function that a solution cell defines."""
    functions = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    if len(functions) != 1:
        raise ValueError(f"a cell with a solution must define one function, got {functions}:\n{source}")
    return functions[0]


def _nbgrader(name: str, solution: bool) -> dict[str, Any]:
    metadata = {"grade": not solution, "grade_id": name, "locked": not solution, "schema_version": 3}
    metadata |= {"solution": solution, "task": False}
    return metadata if solution else metadata | {"points": 1}


def text(notebook: Notebook) -> str:
    """Write a notebook as Jupyter does."""
    cells = [{**cell, "source": cell["source"].splitlines(keepends=True)} for cell in notebook["cells"]]
    return json.dumps({**notebook, "cells": cells}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def stale() -> list[str]:
    """Return the students' notebooks that are missing, out of date or without a source."""
    built = {student(source): text(blank(read(source))) for source in sources()}
    wrong = [path for path, content in built.items() if not path.exists() or path.read_text("utf-8") != content]
    left_over = [path for path in STUDENT.glob("*.ipynb") if path not in built]
    return sorted(path.relative_to(ROOT).as_posix() for path in [*wrong, *left_over])


# --- README's table of them ---------------------------------------------------------------------------------------

TABLE = re.compile(r"\| lesson \|.*\n\|---.*\n(?:\|.*\n)+")


def documentation_address() -> str:
    """Return where the documentation is published, from setup.cfg, or an empty string as long as it is not."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    links = setup.get("metadata", "project_urls", fallback="").strip().splitlines()
    addresses = dict(re.split(r"\s*=\s*", link.strip(), maxsplit=1) for link in links)
    return addresses.get("Documentation", "").rstrip("/")


def table(address: str) -> str:
    """Return README's table of lessons; with the documentation's address, also where each opens in the browser."""
    rows = ["| lesson | in the browser |", "|---|---|"] if address else ["| lesson |", "|---|"]
    for source in sources():
        row = f"| [{title(source)}]({student(source).relative_to(ROOT).as_posix()}) |"
        if address:
            row += f" [open]({address}/lite/notebooks/index.html?path={source.stem}.ipynb) |"
        rows.append(row)
    return "\n".join(rows) + "\n"


def readme(address: str) -> str:
    """Return README's text with its table of lessons up to date."""
    text, count = TABLE.subn(lambda found: table(address), README.read_text(encoding="utf-8"))
    if count != 1:
        raise ValueError(f"README.md must have one table of lessons, got {count}")
    return text


# --- running them ---------------------------------------------------------------------------------------------


def run(notebooks: Mapping[str, Notebook], folder: Path, skip_heavy: bool = False) -> dict[str, str]:
    """Run notebooks through nbmake, each in a kernel of its own.

    Parameters
    ----------
    notebooks : mapping of str to Notebook
        By name.
    folder : Path
        Receives ``NAME.ipynb`` with its outputs, for each of them.
    skip_heavy : bool
        Whether to leave out the cells tagged heavy.

    Returns
    -------
    dict
        By name, the error; empty if there was none.
    """
    for name, notebook in notebooks.items():
        path = folder / f"{name}.ipynb"
        path.write_text(text(_skipping_heavy(notebook) if skip_heavy else notebook), encoding="utf-8")
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(folder), "-p", "no:cacheprovider"]
    command += ["--nbmake", "--overwrite", "--nbmake-timeout=300", "-q", f"--junitxml={report}", str(folder)]
    environment = {key: value for key, value in os.environ.items() if key not in ("MPLBACKEND", "PYTEST_ADDOPTS")}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if not report.exists():
        raise RuntimeError(f"nbmake did not run:\n{done.stdout}\n{done.stderr}")
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        wrong = [child.text or child.get("message") or "" for child in case if child.tag in ("failure", "error")]
        found[Path(case.get("name", "")).stem] = "\n".join(wrong)
        print(f"{case.get('name')}: {float(case.get('time', 0)):.1f} s{', FAILED' * bool(wrong)}")
    return {name: found.get(name, f"not run:\n{done.stdout}") for name in notebooks}


def _skipping_heavy(notebook: Notebook) -> Notebook:
    cells = []
    for cell in notebook["cells"]:
        tags = cell["metadata"].get("tags", [])
        if "heavy" in tags:
            cell = {**cell, "metadata": {**cell["metadata"], "tags": [*tags, "skip-execution"]}}
        cells.append(cell)
    return {**notebook, "cells": cells}


def run_for_docs(chosen: Sequence[Path]) -> dict[str, str]:
    """Run sources' notebooks with :func:`run`; those without an error become pages of the docs."""
    with tempfile.TemporaryDirectory() as folder:
        found = run({source.stem: read(source) for source in chosen}, Path(folder))
        for stem in (stem for stem, wrong in found.items() if not wrong):
            _write_page(stem, as_page(json.loads(Path(folder, f"{stem}.ipynb").read_text(encoding="utf-8"))))
    return found


def as_page(notebook: Notebook) -> Notebook:
    """Return a notebook as the docs show it: solutions folded away, without nbgrader's metadata."""
    cells = []
    for cell in notebook["cells"]:
        source = without_hidden_tests("".join(cell["source"]))
        lines = [line for line in source.splitlines() if line.strip() not in (BEGIN_SOLUTION, END_SOLUTION)]
        cell = {**cell, "source": "\n".join(lines), "metadata": dict(cell["metadata"])}
        if cell["metadata"].pop("nbgrader", {}).get("solution"):
            cell["metadata"]["tags"] = ["hide-input", *cell["metadata"].get("tags", ())]
            cell["metadata"]["mystnb"] = {"code_prompt_show": "A solution", "code_prompt_hide": "A solution"}
        cells.append(cell)
    return {**notebook, "cells": cells}


def _write_page(stem: str, page: Notebook) -> None:
    PAGES.mkdir(exist_ok=True)
    (PAGES / f"{stem}.ipynb").write_text(json.dumps(page, indent=1), encoding="utf-8")


def not_run() -> list[Path]:
    """Return the sources that have no page with outputs, or one that is out of date."""
    return [source for source in sources() if not _has_run(source)]


def _has_run(source: Path) -> bool:
    page = PAGES / f"{source.stem}.ipynb"
    if not page.exists():
        return False
    found = json.loads(page.read_text(encoding="utf-8"))
    same = list(_cell_sources(found)) == list(_cell_sources(as_page(read(source))))
    return same and any(cell.get("outputs") for cell in found["cells"])


def _cell_sources(notebook: Notebook) -> Iterator[str]:
    return ("".join(cell["source"]) for cell in notebook["cells"])


def fill_in_pages() -> None:
    """Write a page without outputs for each lesson that has not run, and remove pages without a source."""
    for source in not_run():
        _write_page(source.stem, as_page(read(source)))
    stems = {source.stem for source in sources()}
    for page in PAGES.glob("*.ipynb"):
        if page.stem not in stems:
            page.unlink()


# --- the command ----------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the lessons' notebooks from their sources, and run them.")
    parser.add_argument("lessons", nargs="*", metavar="NN", help="numbers of lessons (default: all)")
    parser.add_argument("--check", action="store_true", help="write nothing; list what is out of date")
    parser.add_argument("--run", action="store_true", help="then run the notebooks with solutions, for the docs")
    parser.add_argument("--blank", action="store_true", help="then run the students' notebooks")
    options = parser.parse_args()
    if options.check:
        found = stale()
        if README.read_text(encoding="utf-8") != readme(documentation_address()):
            found.append("README.md")
        print("\n".join(found) or "all notebooks are up to date")
        return int(bool(found))
    chosen = [source for source in sources() if not options.lessons or source.name[:2] in options.lessons]
    for source in chosen:
        notebook = read(source)
        for path, built in ((source.with_suffix(".ipynb"), notebook), (student(source), blank(notebook))):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text(built), encoding="utf-8")
            print(path.relative_to(ROOT))
    README.write_text(readme(documentation_address()), encoding="utf-8")
    wrong: list[str] = []
    if options.run:
        wrong += run_for_docs(chosen).values()
    if options.blank:
        with tempfile.TemporaryDirectory() as folder:
            blanks = {source.stem: blank(read(source)) for source in chosen}
            wrong += run(blanks, Path(folder), skip_heavy=True).values()
    print("\n".join(filter(None, wrong)), end="")
    return int(any(wrong))


if __name__ == "__main__":
    sys.exit(main())
