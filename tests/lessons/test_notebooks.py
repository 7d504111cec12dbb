"""The lessons' notebooks: made from their sources, understood by nbgrader, and run."""

import ast
import csv
import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from matplotlib.mathtext import MathTextParser

from minicnn.lessons.exercises import registry
from tools import build_notebooks as build

SOURCES = build.sources()
each_lesson = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)


def cells(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [{**cell, "source": "".join(cell["source"])} for cell in found]


def solved(source: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = build.read(source)["cells"]
    return found


# --- made from their sources ----------------------------------------------------------------------------------


def test_the_notebooks_are_as_their_sources_say() -> None:
    assert build.stale() == [], "python tools/build_notebooks.py builds them"


def test_readmes_table_lists_the_lessons_and_once_published_where_they_open_in_the_browser() -> None:
    text = build.README.read_text(encoding="utf-8")
    assert text == build.readme(build.documentation_address()), "python tools/build_notebooks.py writes it"
    published = build.readme("https://example.org/docs")
    for source in SOURCES:
        assert f"](minicnn/lessons/student/{source.stem}.ipynb) |" in published
        assert f"(https://example.org/docs/lite/notebooks/index.html?path={source.stem}.ipynb) |" in published


def test_the_documentations_address_stands_in_setup_cfg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build, "ROOT", tmp_path)
    links = "    Source = https://example.org/source\n    Documentation = https://example.org/docs/\n"
    (tmp_path / "setup.cfg").write_text(f"[metadata]\nname = m\nproject_urls =\n{links}")
    assert build.documentation_address() == "https://example.org/docs"
    (tmp_path / "setup.cfg").write_text("[metadata]\nname = m\n")
    assert build.documentation_address() == ""


def test_a_stale_notebook_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "SOURCES", tmp_path / "notebooks")
    monkeypatch.setattr(build, "STUDENT", tmp_path / "student")
    for folder in ("notebooks", "student"):
        (tmp_path / folder).mkdir()
    source = tmp_path / "notebooks" / "07_seven.py"
    source.write_text("# %% [markdown]\n# # Seven\n\n# %%\nprint(7)\n", encoding="utf-8")
    assert build.stale() == ["student/07_seven.ipynb"]
    built = build.text(build.blank(build.read(source)))
    build.student(source).write_text(built, encoding="utf-8")
    assert build.stale() == []
    source.write_text("# %% [markdown]\n# # Seven\n\n# %%\nprint(8)\n", encoding="utf-8")
    assert build.stale() == ["student/07_seven.ipynb"]
    source.rename(tmp_path / "notebooks" / "08_eight.py")
    assert build.stale() == ["student/07_seven.ipynb", "student/08_eight.ipynb"]


@pytest.mark.parametrize(
    "source",
    [
        "### BEGIN SOLUTION\nx = 1",
        "x = 1\n### END SOLUTION",
        "### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION",
    ],
)
def test_half_a_region_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match="SOLUTION without"):
        build.without_solution(source)


@each_lesson
def test_a_lesson_is_built_like_the_others(source: Path) -> None:
    found = solved(source)
    headings = re.findall(
        r"^(#+) (.*)$", "\n".join(cell["source"] for cell in found if cell["cell_type"] == "markdown"), re.MULTILINE
    )
    assert [text[:3] for level, text in headings if level == "#"] == [f"{source.stem[:2]} "]
    levels = [len(level) for level, _ in headings]
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False)), "a level is skipped"
    code = [cell for cell in found if cell["cell_type"] == "code"]
    assert [number for number, cell in enumerate(code) if "setup" in cell["metadata"].get("tags", ())] == [0]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
    assert len({cell["id"] for cell in found}) == len(found)
    tags = {tag for cell in found for tag in cell["metadata"].get("tags", ())}
    assert tags <= {"setup", "heavy"}


@each_lesson
def test_its_exercises_are_those_of_its_module(source: Path) -> None:
    asked = [
        cell["id"] for cell in cells(build.student(source)) if cell["metadata"].get("nbgrader", {}).get("solution")
    ]
    lesson = int(source.stem[:2])
    assert asked == [name for name, exercise in registry().items() if exercise.lesson == lesson]
    assert 2 <= len(asked) <= 4


@each_lesson
def test_a_grader_asks_whether_the_check_passes(source: Path) -> None:
    graded = [cell for cell in solved(source) if cell["metadata"].get("nbgrader", {}).get("grade")]
    asked = [cell["id"].removeprefix("check-") for cell in graded]
    assert asked == [name for name, exercise in registry().items() if exercise.lesson == int(source.stem[:2])]
    for name, cell in zip(asked, graded, strict=True):
        assert f"assert check.{name}({name}).passed" in cell["source"].splitlines()


@each_lesson
def test_the_students_version_has_no_solution(source: Path) -> None:
    text = build.student(source).read_text(encoding="utf-8")
    assert "BEGIN" not in text and "END" not in text
    for cell in cells(build.student(source)):
        if cell["metadata"].get("nbgrader", {}).get("solution"):
            assert cell["source"].endswith('"""\n    # YOUR CODE HERE\n    raise NotImplementedError()'), cell["source"]


def test_the_readme_links_to_each_lesson_without_its_solutions() -> None:
    readme = (build.ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"^\| \[\d\d [^]]+\]\(([^)]+)\) \|$", readme, re.MULTILINE)
    assert links == [build.student(source).relative_to(build.ROOT).as_posix() for source in SOURCES]


def test_the_lesson_on_training_quotes_the_results_as_they_are() -> None:
    results = build.ROOT / "docs" / "results"
    source = (build.SOURCES / "10_training.py").read_text(encoding="utf-8")
    (quoted,) = re.findall(r"^contributions = (\{.*?^\})", source, re.MULTILINE | re.DOTALL)
    variants = json.loads((results / "contributions.json").read_text(encoding="utf-8"))["results"]["variants"]
    measured = [
        [
            (round(100 * each["train_error"][seed], 2), round(100 * error, 2))
            for seed, error in each["test_error"].items()
        ]
        for each in variants.values()
    ]
    assert sorted(ast.literal_eval(quoted).values()) == sorted(measured)
    rows = re.findall(r"^# \| (\d+) \| ([\d.]+) \| ([\d.]+) % \| ([\d.]+) % \|$", source, re.MULTILINE)
    with (results / "alexnet_cifar_steps.csv").open(encoding="utf-8") as file:
        epochs = {row["epoch"]: row for row in csv.DictReader(file)}
    assert rows
    for epoch, rate, *errors in rows:
        named = [f"{100 * float(epochs[epoch][f'{which}_error']):.1f}" for which in ("train", "validation")]
        assert (float(rate), errors) == (float(epochs[epoch]["lr"]), named)


@each_lesson
def test_its_formulas_can_be_drawn_without_tex(source: Path) -> None:
    parser = MathTextParser("path")
    for cell in solved(source):
        if cell["cell_type"] == "markdown":
            text = re.sub(r"`[^`]*`", "", cell["source"])
            assert text.replace("$$", "").count("$") % 2 == 0, text
            for formula in re.findall(r"\$\$(.+?)\$\$|\$(.+?)\$", text, re.DOTALL):
                parser.parse(f"${' '.join(''.join(formula).split())}$")


@pytest.mark.slow
def test_nbgrader_makes_the_same_version_for_students(tmp_path: Path) -> None:
    if find_spec("nbgrader") is None:
        pytest.skip("nbgrader is not installed (extra test)")
    course = tmp_path / "source" / "lessons"
    course.mkdir(parents=True)
    for source in SOURCES:
        (course / f"{source.stem}.ipynb").write_text(build.text(build.read(source)), encoding="utf-8")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # it calls a command by its name
    command = [sys.executable, "-m", "nbgrader", "generate_assignment", "lessons", "--create"]
    command.append(f"--CourseDirectory.root={tmp_path}")
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | {"PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for source in SOURCES:
        theirs = cells(tmp_path / "release" / "lessons" / f"{source.stem}.ipynb")
        ours = cells(build.student(source))
        assert len(theirs) == len(ours)
        for their, our in zip(theirs, ours, strict=True):
            for what in ("cell_type", "id", "source"):
                assert their[what] == our[what]
            marks = dict(their["metadata"].get("nbgrader", {}))
            marks.pop("checksum", None)
            if "cell_type" not in our["metadata"].get("nbgrader", {}):
                marks.pop("cell_type", None)
            assert marks == our["metadata"].get("nbgrader", {})


# --- run ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@each_lesson
def test_it_runs_and_every_check_passes(source: Path, lessons_that_ran: dict[str, str]) -> None:
    assert lessons_that_ran[source.stem] == ""
    outputs = [output for cell in cells(build.PAGES / f"{source.stem}.ipynb") for output in cell.get("outputs", ())]
    streams = [output for output in outputs if output["output_type"] == "stream"]
    assert [output["text"] for output in streams if output["name"] == "stderr"] == []
    shown = [str(output.get("data", {}).get("text/plain", "")) for output in outputs]
    exercises = [name for name, exercise in registry().items() if exercise.lesson == int(source.stem[:2])]
    assert [name for name in exercises if not any(f"{name}: right" in text for text in shown)] == []


@pytest.fixture(scope="module")
def blanks_that_ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    folder = tmp_path_factory.mktemp("blank")
    blanks = {source.stem: build.blank(build.read(source)) for source in SOURCES}
    return folder, build.run(blanks, folder, skip_heavy=True)


@pytest.mark.slow
@each_lesson
def test_the_blank_runs_and_nothing_is_done_yet(source: Path, blanks_that_ran: tuple[Path, dict[str, str]]) -> None:
    folder, wrong = blanks_that_ran
    assert wrong[source.stem] == ""
    checks = [
        cell for cell in cells(folder / f"{source.stem}.ipynb") if cell["metadata"].get("nbgrader", {}).get("grade")
    ]
    assert checks
    for cell in checks:
        (output,) = cell["outputs"]
        assert "not done yet" in "".join(output["data"]["text/plain"])


# --- as pages of the docs -------------------------------------------------------------------------------------


def test_a_page_has_solutions_to_unfold_and_no_marks() -> None:
    for source in SOURCES:
        page = build.as_page(build.read(source))
        for cell in page["cells"]:
            assert not re.search("BEGIN|END|HIDDEN", cell["source"])
            if cell["id"] in registry():
                assert "hide-input" in cell["metadata"]["tags"]
                assert "NotImplementedError" not in cell["source"]


def test_pages_that_are_missing_or_old_are_filled_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build, "PAGES", tmp_path / "pages")
    assert build.not_run() == SOURCES
    build.fill_in_pages()
    assert build.not_run() == SOURCES, "they are there, and have no outputs"
    first = build.PAGES / f"{SOURCES[0].stem}.ipynb"
    page = json.loads(first.read_text(encoding="utf-8"))
    next(cell for cell in page["cells"] if cell["cell_type"] == "code")["outputs"] = [{"output_type": "stream"}]
    first.write_text(json.dumps(page), encoding="utf-8")
    (build.PAGES / "99_gone.ipynb").write_text("{}", encoding="utf-8")
    assert build.not_run() == SOURCES[1:]
    build.fill_in_pages()
    assert json.loads(first.read_text(encoding="utf-8")) == page
    assert not (build.PAGES / "99_gone.ipynb").exists()
    page["cells"][0]["source"] = "# Another lesson"
    first.write_text(json.dumps(page), encoding="utf-8")
    assert build.not_run() == SOURCES
