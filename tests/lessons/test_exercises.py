"""Every exercise: its solution is right, each mistake is known by its name, and no answer makes a traceback."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn.lessons import check, notebooks
from minicnn.lessons.exercise import Exercise, Mistake
from minicnn.lessons.exercises import registry
from minicnn.lessons.judging import Check
from minicnn.lessons.report import Report
from tools import build_notebooks as build

EXERCISES = list(registry().values())
MISTAKES = [(exercise, mistake) for exercise in EXERCISES for mistake in exercise.mistakes]
WAYS = [(exercise, mistake, way) for exercise, mistake in MISTAKES for way in (mistake.function, *mistake.also)]


def label(value: Any) -> str:
    if isinstance(value, Exercise):
        return f"lesson{value.lesson:02d}-{value.name}"
    return value.name.replace(" ", "-") if isinstance(value, Mistake) else value.__name__


each_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=label)


def judged(exercise: Exercise, answer: Any, seconds: float | None = None) -> Report:
    """Return the report, after looking at it as text and as a card."""
    with np.errstate(all="ignore"):
        report = Check(exercise)(answer, seconds)
    assert exercise.name in repr(report)
    assert exercise.name in report._repr_html_()
    assert "Traceback" not in repr(report)
    assert "cannot be compared" not in report.verdict
    return report


@each_exercise
def test_the_solution_is_right(exercise: Exercise) -> None:
    report = judged(exercise, exercise.solution)
    assert report.passed, report
    assert report.done


@pytest.mark.parametrize(("exercise", "mistake", "way"), WAYS, ids=label)
def test_each_mistake_is_recognised(exercise: Exercise, mistake: Mistake, way: Callable[..., Any]) -> None:
    report = judged(exercise, way)
    assert not report.passed
    assert report.mistake == mistake.name, report
    assert report.hint == mistake.hint


@each_exercise
def test_there_are_at_least_five_mistakes_and_they_differ(exercise: Exercise) -> None:
    assert len(exercise.mistakes) >= 5
    for what in ("name", "hint"):
        texts = [getattr(mistake, what) for mistake in exercise.mistakes]
        assert len(set(texts)) == len(texts)
        assert all(texts)


@each_exercise
def test_garbage_is_answered_with_a_report(exercise: Exercise) -> None:
    names = ", ".join(exercise.arguments)

    def function(body: str) -> Any:
        found: dict[str, Any] = {"np": np}
        exec(f"def answer({names}):\n    {body}", found)
        return found["answer"]

    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    results: list[Any] = [None, "text", np.zeros((3, 1, 4, 1)), np.nan, np.full((2, 2), np.nan), Odd(), {}, [], ()]
    answers = [lambda *_, result=result: result for result in results]
    answers += [function("raise ValueError('an unlucky number')"), function("return 1 / 0"), function("exit(3)")]
    answers += [function("return answer(" + names + ")"), np.zeros, int, None, np.zeros(3), "relu", Odd()]
    answers += [lambda *_, one_too_many: 0, print]
    for answer in answers:
        report = judged(exercise, answer)
        assert not report.passed
        assert report.done
        assert len(repr(report)) > len(exercise.name) + 5


@each_exercise
def test_a_stub_is_not_done_yet(exercise: Exercise) -> None:
    def stub(*arguments: Any) -> None:
        raise NotImplementedError()

    report = judged(exercise, stub)
    assert not report.done
    assert not report.passed
    assert "not done yet" in repr(report)
    assert exercise.task in " ".join(repr(report).split())


@each_exercise
def test_an_infinite_loop_is_stopped(exercise: Exercise) -> None:
    def forever(*arguments: Any) -> None:
        while True:
            pass

    report = judged(exercise, forever, seconds=0.05)
    assert not report.passed
    assert "0.05 s" in report.verdict
    assert "still running" not in report.hint


@each_exercise
def test_it_can_be_found_by_its_name(exercise: Exercise) -> None:
    assert getattr(check, exercise.name).exercise is exercise
    assert exercise.name in dir(check)
    assert exercise.solution.__module__ == f"minicnn.lessons.exercises.lesson{exercise.lesson:02d}"
    assert len(exercise.task) < 120
    assert exercise.cases


@pytest.fixture(scope="module")
def notebooks_with_solutions(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Return a notebook for each lesson, built from its source: with solutions, they are not kept in git."""
    folder = tmp_path_factory.mktemp("notebooks")
    found = {int(source.stem[:2]): folder / f"{source.stem}.ipynb" for source in build.sources()}
    for source, path in zip(build.sources(), found.values(), strict=True):
        path.write_text(build.text(build.read(source)), encoding="utf-8")
    return found


@each_exercise
def test_its_notebook_asks_for_it_and_knows_the_answer(
    exercise: Exercise, notebooks_with_solutions: dict[int, Path]
) -> None:
    notebook = json.loads(notebooks_with_solutions[exercise.lesson].read_text(encoding="utf-8"))
    sources = ["".join(cell["source"]) for cell in notebook["cells"]]
    assert sum(f"def {exercise.name}(" in source for source in sources) == 1
    assert sum(source.endswith(f"check.{exercise.name}({exercise.name})") for source in sources) == 1


@pytest.mark.parametrize("number", sorted({exercise.lesson for exercise in EXERCISES}))
def test_the_solutions_in_the_notebook_are_right_with_its_setup_alone(
    number: int, notebooks_with_solutions: dict[int, Path]
) -> None:
    states = {state.exercise: state for state in notebooks.check_notebook(notebooks_with_solutions[number])}
    assert {name: state.state for name, state in states.items()} == {
        exercise.name: "done" for exercise in EXERCISES if exercise.lesson == number
    }


def test_a_name_that_is_nearly_right_is_met_with_the_right_one() -> None:
    name = EXERCISES[0].name
    with pytest.raises(AttributeError, match=rf"no exercise is called '{name}x'; did you mean .*{name}"):
        getattr(check, f"{name}x")
    with pytest.raises(AttributeError):
        check.__wrapped__  # noqa: B018  # nor is everything that Python asks a module for an exercise
