"""What a report says, on an exercise of the tests' own."""

import html
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn import Tensor
from minicnn.lessons.exercise import Exercise, Mistake
from minicnn.lessons.exercises import find
from minicnn.lessons.judging import Check
from minicnn.lessons.report import Report


def scaled(x: Any, factor: float = 1.0) -> Any:
    return factor * x


def _writes(x: Any, factor: float = 1.0) -> Any:
    x *= factor
    return x


X = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])
EXERCISE = Exercise(
    lesson=99,
    task="Multiply.",
    solution=scaled,
    cases=[(X, 3.0), (X[0], 1.0)],
    mistakes=[
        Mistake("adds", "Multiply.", lambda x, factor: x + factor),
        Mistake("divides by the whole sum", "Do not.", lambda x, factor: x / np.zeros(7)),
    ],
)
check = Check(EXERCISE)


def test_a_right_answer() -> None:
    report = check(scaled)
    assert report and report.passed and report.done
    assert repr(report) == "scaled: right, for all 2 inputs"


def test_a_known_mistake_is_named_with_input_expected_and_got() -> None:
    def answer(x: Any, factor: float) -> Any:
        return factor + x

    assert repr(check(answer)).splitlines() == [
        "scaled: not yet: 0 of 2 inputs right",
        "  input     x = [[ 1., -2.,  3.],",
        "                 [ 4.,  5., -6.]]",
        "            factor = 3",
        "  expected  [[  3.,  -6.,   9.],",
        "             [ 12.,  15., -18.]]",
        "  got       [[ 4.,  1.,  6.],",
        "             [ 7.,  8., -3.]]",
        "  problem   6 of 6 numbers are wrong; at [0, 0] it is 4 instead of 3",
        "  mistake   adds",
        "  hint      Multiply.",
    ]


def test_an_error_is_shown_with_the_line_where_it_arose() -> None:
    def answer(x: Any, factor: float) -> Any:
        total = factor
        return total / np.zeros(3).no_such_thing

    report = check(answer)
    assert dict(report.lines)["error"].startswith("AttributeError: 'numpy.ndarray' object has no attribute")
    assert dict(report.lines)["at line"].endswith(": return total / np.zeros(3).no_such_thing")
    assert not report.mistake


def test_a_mistake_that_raises_is_recognised_by_its_error() -> None:
    assert check(lambda x, factor: x / np.zeros(7)).mistake == "divides by the whole sum"
    assert not check(lambda x, factor: x / np.zeros(8)).mistake


def test_writing_into_an_argument_is_noticed() -> None:
    report = check(_writes)
    assert not report.passed
    assert dict(report.lines)["problem"] == "your function changes its argument x"
    assert "do not change x" in report.hint


def test_an_array_of_many_dimensions_is_shown_without_empty_lines() -> None:
    block = np.arange(8.0).reshape(2, 2, 2)
    exercise = Exercise(lesson=99, task="x.", solution=lambda x: x, cases=[(block,)], mistakes=[])
    report = Check(exercise)(lambda x: -x)
    assert dict(report.lines)["got"].count("\n") == 3
    assert all(line.strip() for line in repr(report).splitlines())


def says(result: Any, expected: Any = X) -> str:
    exercise = Exercise(lesson=99, task="Return it.", solution=lambda: expected, cases=[()], mistakes=[])
    report = Check(exercise)(lambda: result)
    return "" if report.passed else dict(report.lines)["problem"] + ". " + report.hint


@pytest.mark.parametrize(
    ("result", "expected", "said"),
    [
        (None, X, "your function returns None: is a return missing?"),
        (Tensor(X), X, "expected an array, got a Tensor: return its array, tensor.data"),
        (X.tolist(), X, "expected an array of shape (2, 3), got a list of length 2"),
        (X[0], X, "expected shape (2, 3), got (3,)"),
        (X.T, X, "is a transpose missing?"),
        (X.astype(np.float32), X, "expected dtype float64, got float32"),
        (X.astype(np.float32), X, "np.zeros_like"),
        (X.astype(int), X, "cannot hold fractions"),
        (X.astype(int), X, "expected dtype float64, got int64"),
        (np.where(X > 0, X, np.nan), X, "2 of 6 numbers are wrong; at [0, 1] it is NaN instead of -2"),
        (np.where(X > 0, X, np.nan), X, "NaN and inf come from"),
        (-X, X, "The sign is reversed."),
        (X / 6, X, "Every number is 0.1667 times the right one"),
        (X + 0.5, X, "Every number is off by 0.5."),
        (X.astype(int), X, "np.zeros(shape) makes an array of floats"),
        (X.tolist(), X, "np.array(...) converts a list to an array"),
        (np.array([1.0, 2.0]), np.array([1, 2]), ".astype(int) converts them"),
        ((X[0], X[1] / 6), (X[0], X[1]), "Every number is 0.1667 times the right one"),
        (X, (X[0], X[1], X[0]), "expected 3 values, got 2"),
        (X[0], (X, X[0]), "expected 2 values, got an array of shape (3,)"),
        (55.0, 55, "expected an integer, got the float 55.0. The number is right, but it is a float"),
        (54, 55, "54 instead of 55"),
        (True, 1, "expected an integer, got the bool True"),
        ((3, 4), (3, 5), "value 2 of 2: 4 instead of 5"),
        ((5, 3), (3, 5), "The values are right, but in a different order."),
        ((X[0], X[1]), (X[1], X[0]), "The values are right, but in a different order."),
        ((X, -X), (X, X), "value 2 of 2: 6 of 6 numbers are wrong; at [0, 0] it is -1 instead of 1. The sign"),
        (X, (X, X), "expected 2 values, got an array of shape (2, 3)"),
        ((3,), (3, 5), "expected 2 values, got 1"),
        (7, (3, 5), "expected 2 values, got the int 7"),
        ((3, None), (3, 5), "value 2 of 2: it is None: is a return missing?"),
        ("conv", "conv1", "'conv' instead of 'conv1'"),
        (3, "conv1", "expected the str 'conv1', got the int 3"),
        ("0.5", 0.5, "expected a number, got the str '0.5'"),
        (0.25, 0.5, "0.25 instead of 0.5"),
        (1, True, "1 instead of True"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said(result: Any, expected: Any, said: str) -> None:
    assert said in says(result, expected)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (X * (1 + 1e-9), X),
        (np.float64(0.5), 0.5),
        (np.array(0.5), 0.5),
        (np.int64(55), 55),
        ([3, 5], (3, 5)),
        (np.array([3, 5]), (3, 5)),
        ((X, 2), [X, 2]),
        (np.array([np.nan, np.inf]), np.array([np.nan, np.inf])),
        (np.True_, True),
        (1, 1.0),
    ],
    ids=str,
)
def test_what_is_as_good_as_right_is_right(result: Any, expected: Any) -> None:
    assert says(result, expected) == ""


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda x: 100 * x, "Every number is 100 times the right one"),
        (lambda x: -x, "The sign is reversed."),
        (lambda x: x + 2, "Every number is off by 2."),
        (lambda x: x * x, ""),
        (lambda x: 2 * x if x > 1 else x, ""),
    ],
)
def test_of_single_numbers_all_cases_must_be_off_alike(answer: Any, said: str) -> None:
    exercise = Exercise(lesson=99, task="x.", solution=lambda x: x, cases=[(0.5,), (2.0,), (3.0,)], mistakes=[])
    report = Check(exercise)(answer)
    assert not report.passed
    assert report.hint.startswith(said) and bool(report.hint) == bool(said)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda x: x if x > 0 else 0, "np.where(condition, a, b)"),
        (lambda x: x + np.zeros(7), "Print the shape of each"),
        (lambda x: math.exp(x), "take one number"),
        (lambda x: x[len(x)], "indices start at 0"),
        (lambda x: x[len(x) / 2], "// divides and rounds down"),
        (lambda x: np.zeros(len(x) / 2), "// divides and rounds down"),
        (lambda x: x ^ 2, "Write **"),
        (lambda x: 1 / 0, "so the function returns nothing."),
    ],
)
def test_common_errors_are_explained(answer: Any, said: str) -> None:
    exercise = Exercise(lesson=99, task="x.", solution=lambda x: x, cases=[(X,)], mistakes=[])
    report = Check(exercise)(answer)
    assert said in report.hint
    assert dict(report.lines)["error"]


def test_beside_a_mistake_that_gives_zero_a_small_number_is_not_that_mistake() -> None:
    tiny = np.array([2e-300])
    exercise = Exercise(
        lesson=99,
        task="Return it.",
        solution=lambda: tiny,
        cases=[()],
        mistakes=[Mistake("lost", "It is 0.", lambda: 0 * tiny)],
    )
    assert Check(exercise)(lambda: 0 * tiny).mistake == "lost"
    assert not Check(exercise)(lambda: 3 * tiny).mistake


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (0.25, 0.5),  # half of it, as any number is some part of any other
        (np.array([0.0, 3.0]), np.array([0.0, 2.0])),
        ((X, 4), (X, 5)),  # not "off by 0"
        (("no", "yes"), ("yes", "no")),
        (54.5, 55),
    ],
    ids=str,
)
def test_no_hint_is_better_than_one_that_misleads(result: Any, expected: Any) -> None:
    assert says(result, expected).endswith(". ")


def test_what_numbers_have_in_common_over_all_inputs_is_said() -> None:
    exercise = Exercise(99, "Double it.", lambda n: 2 * n, [(3,), (5,), (0.5,)], [])
    assert Check(exercise)(lambda n: 6 * n).hint.startswith("Every number is 3 times the right one")
    assert Check(exercise)(lambda n: -2 * n).hint == "The sign is reversed."
    assert Check(exercise)(lambda n: 2 * n + 7).hint == "Every number is off by 7."
    assert not Check(exercise)(lambda n: n * n).hint


def divided(x: Any) -> Any:
    return x / 2, int(x.sum())


@pytest.mark.parametrize(
    ("answer", "recognised"),
    [
        (lambda x: (2 * x, int(x.sum())), True),
        (lambda x: (2 * x, int(x.sum()) + 1), True),
        (lambda x: (x / 2, int(x.sum()) + 1), True),
        (lambda x: ((2 * x).astype(np.float32), x.sum() + 1.0), True),
        (lambda x: (2 * x, 77), False),
        (lambda x: (3 * x, int(x.sum()) + 1), False),
        (lambda x: (x / 2, float(x.sum())), False),  # a float, and no other mistake
    ],
)
def test_a_mistake_is_recognised_in_one_of_several_values_and_in_another_dtype(answer: Any, recognised: bool) -> None:
    cases = [(np.array([1.0, 2.0]),), (np.array([5.0]),)]
    mistake = Mistake("doubled", "Halve.", lambda x: (2 * x, int(x.sum()) + 1))
    report = Check(Exercise(99, "Halve them, and add them up.", divided, cases, [mistake]))(answer)
    assert not report.passed
    assert (report.mistake == "doubled") == recognised


def test_a_wrong_dtype_is_no_mistake_that_overflows_with_the_right_numbers() -> None:
    mistake = Mistake("overflows", "Do not.", lambda x: 1 * x)
    report = Check(Exercise(99, "Return it.", lambda x: x, [(X,)], [mistake]))(lambda x: x.astype(np.float32))
    assert not report.mistake


def test_a_mistake_can_be_made_in_several_ways() -> None:
    mistake = Mistake("off by one", "Count.", lambda n: n + 1, [lambda n: n - 1])
    check = Check(Exercise(99, "Return it.", lambda n: n, [(3,), (5,)], [mistake]))
    assert check(lambda n: n + 1).mistake == check(lambda n: n - 1).mistake == "off by one"
    assert not check(lambda n: n + 2).mistake


def test_of_many_right_answers_each_is_right() -> None:
    exercise = Exercise(
        lesson=99,
        task="Choose one.",
        solution=lambda: 0.1,
        cases=[()],
        mistakes=[Mistake("far too large", "Smaller.", lambda: 7.0)],
        measure=lambda rate: "diverges" if rate > 1 else "learns" if rate > 0.01 else "hardly moves",
    )
    assert Check(exercise)(lambda: 0.2).passed
    report = Check(exercise)(lambda: 3.0)
    assert report.mistake == "far too large"
    assert dict(report.lines) == {
        "your answer": "3",
        "expected": "'learns'",
        "got": "'diverges'",
        "problem": "'diverges' instead of 'learns'",
    }
    assert not Check(exercise)(lambda: 0.001).mistake
    assert "cannot be used" in repr(Check(exercise)(lambda: "fast"))
    assert "is a return missing?" in repr(Check(exercise)(lambda: None))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "needs the function itself, got None: write check.scaled(scaled)"),
        (3.0, "needs the function itself, got 3: write check.scaled(scaled), without brackets"),
        (lambda x: x, "must take the arguments (x, factor), but it takes (x)"),
    ],
)
def test_what_is_not_such_a_function_is_refused(answer: Any, said: str) -> None:
    assert said in check(answer).verdict


def test_the_card_shows_what_the_text_shows() -> None:
    report = Report("name", "not <yet>", [("input", "x = <&>")], mistake="a & b", hint="why?")
    card = report._repr_html_()
    text = html.unescape(re.sub(r"<[^>]+>", "", card))
    assert all(part in text for part in ("name", "not <yet>", "x = <&>", "a & b", "why?"))
    colours = re.findall(r"(?<![-\w])(?:color|background(?:-color)?):\s*([^;\"]+)", card)
    assert set(colours) <= {"none", "inherit"}, "text and ground keep the notebook's colours, light or dark"


def test_names_may_be_used_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from minicnn.lessons import exercises

    class Twice:
        EXERCISES = [EXERCISE]

    monkeypatch.setattr(exercises, "import_module", lambda name: Twice)
    monkeypatch.setattr(exercises.pkgutil, "iter_modules", lambda path: [Named("lesson01"), Named("lesson02")])
    exercises.registry.cache_clear()
    try:
        with pytest.raises(ValueError, match="two exercises are called scaled"):
            find("scaled")
    finally:
        exercises.registry.cache_clear()


class Named:
    def __init__(self, name: str) -> None:
        self.name = name


def test_a_case_is_not_changed_by_an_answer() -> None:
    before = X.copy()
    answers: list[Callable[..., Any]] = [_writes, scaled]
    for answer in answers:
        check(answer)
    assert np.array_equal(X, before)
