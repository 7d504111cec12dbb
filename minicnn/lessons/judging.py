"""Checks an answer: runs it on every case and compares it with the solution, then with the known mistakes."""

from __future__ import annotations

import inspect
import linecache
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn.lessons.comparing import difference, general_hint, shown, value_shown
from minicnn.lessons.exercise import Exercise, Mistake, Outcome
from minicnn.lessons.limits import TimeLimit, call
from minicnn.lessons.report import Report

__all__ = ["Check"]


@dataclass(frozen=True, repr=False)
class Check:
    """Checks answers to an exercise: ``check(answer)`` returns a :class:`~minicnn.lessons.report.Report`."""

    exercise: Exercise

    def __call__(self, answer: Any = None, seconds: float | None = None) -> Report:
        """Check an answer. Always returns a report, also if the answer raises an error or does not return.

        Parameters
        ----------
        answer : callable
            The function that the exercise asks for.
        seconds : float, optional
            Time limit for one case; default: the exercise's.
        """
        try:
            return _judge(self.exercise, answer, self.exercise.seconds if seconds is None else seconds)
        except Exception as error:  # from an object that cannot even be compared
            return Report(self.exercise.name, f"not yet: the result cannot be compared ({type(error).__name__})")

    def __repr__(self) -> str:
        return repr(self.exercise)


def _judge(exercise: Exercise, answer: Any, seconds: float) -> Report:
    complaint = _not_an_answer(exercise, answer)
    if complaint:
        return Report(exercise.name, complaint)
    found = []
    for case in exercise.cases:
        outcome = exercise.outcome(answer, case, lambda function, given: call(function, given, seconds))
        if isinstance(outcome.error, NotImplementedError):
            return Report(exercise.name, "not done yet", [("task", exercise.task)], done=False)
        if isinstance(outcome.error, TimeLimit):
            return _too_slow(exercise, case, seconds, outcome.error.stopped)
        found.append(outcome)
    right = [_wrong(exercise, *pair) is None for pair in zip(exercise.expected, found, strict=True)]
    if all(right):
        return Report(exercise.name, "right" + f", for all {len(right)} inputs" * (len(right) > 1), passed=True)
    return _explanation(exercise, answer, found, right)


# --- what is wrong --------------------------------------------------------------------------------------------


def _wrong(exercise: Exercise, expected: Outcome, found: Outcome) -> str | None:
    """Return what is wrong with one case, or None."""
    if found.error is not None:
        if found.result is not None:  # the function returned, but exercise.measure failed
            return f"{value_shown(found.result)} cannot be used: {found.error}"
        return f"{type(found.error).__name__}: {found.error}"
    if exercise.measure is not None and found.result is None:
        return "your function returns None: is a return missing?"
    different = difference(expected.measured, found.measured, exercise.tolerance)
    if different is None and found.changed != expected.changed:
        return f"your function changes its argument {' and '.join(found.changed)}"
    return different


def _recognised(exercise: Exercise, found: Sequence[Outcome]) -> Mistake | None:
    """Return the known mistake that has the same outcomes; otherwise one that explains every wrong value."""
    for mistake, mistaken in exercise.mistaken:
        if all(_alike(exercise, *pair) for pair in zip(mistaken, found, strict=True)):
            return mistake
    for mistake, mistaken in exercise.mistaken:
        seen = [_in_part(exercise, *three) for three in zip(exercise.expected, mistaken, found, strict=True)]
        if any(seen) and None not in seen:
            return mistake
    return None


def _alike(exercise: Exercise, mistaken: Outcome, found: Outcome) -> bool:
    if mistaken.error is not None or found.error is not None:
        return type(mistaken.error) is type(found.error) and str(mistaken.error) == str(found.error)
    if mistaken.changed != found.changed or _wrong(exercise, mistaken, found) is not None:
        return False
    one, other = mistaken.measured, found.measured
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        # In both directions: the tolerance is relative, and every small number is close to a mistake that gives 0.
        return difference(other, one, exercise.tolerance) is None
    return True


def _in_part(exercise: Exercise, expected: Outcome, mistaken: Outcome, found: Outcome) -> bool | None:
    """Return whether a value is wrong as the mistake's is; None if a value is neither right nor the mistake's.

    Dtypes are not compared here.
    """
    if any(outcome.error is not None or outcome.changed for outcome in (expected, mistaken, found)):
        return None
    right, wrong, got = (_parts(outcome.measured) for outcome in (expected, mistaken, found))
    if not len(right) == len(wrong) == len(got):
        return None

    def same(one: Any, other: Any) -> bool:
        # in both directions, as in _alike
        pairs = [(one, other), (other, one)]
        return all(difference(*pair, exercise.tolerance) is None for pair in pairs)

    values = list(zip(right, wrong, got, strict=True))
    if not all(same(r, g) or same(w, g) for r, w, g in values):
        return None
    shows = any(same(w, g) and not same(r, g) for r, w, g in values)
    could_show = any(not same(r, w) for r, w, _ in values)
    return shows if shows == could_show else None


def _parts(result: Any) -> list[Any]:
    """Return the values of a result as a list, with all numbers converted to float64."""
    if isinstance(result, tuple | list):
        return [_parts(part)[0] if not isinstance(part, tuple | list) else part for part in result]
    if isinstance(result, np.ndarray | np.number) and result.dtype.kind in "iuf":
        return [result.astype(float)]
    return [float(result) if isinstance(result, int | float) and not isinstance(result, bool) else result]


def _not_an_answer(exercise: Exercise, answer: Any) -> str:
    """Return what is wrong with an answer before it is called, or an empty string."""
    call_it = f"check.{exercise.name}({exercise.name})"
    if not callable(answer):
        return (
            f"check.{exercise.name} needs the function itself, got {value_shown(answer)}: "
            f"write {call_it}, without brackets after the second name"
        )
    try:
        signature = inspect.signature(answer)
    except (TypeError, ValueError):
        return ""  # some built-in functions have no signature
    try:
        signature.bind(*exercise.arguments)
    except TypeError:
        wanted, got = ", ".join(exercise.arguments), ", ".join(signature.parameters)
        return f"your function must take the arguments ({wanted}), but it takes ({got})"
    return ""


# --- the report -------------------------------------------------------------------------------------------


def _explanation(exercise: Exercise, answer: Any, found: Sequence[Outcome], right: Sequence[bool]) -> Report:
    first = right.index(False)
    case, expected, got = exercise.cases[first], exercise.expected[first], found[first]
    complaint = _wrong(exercise, expected, got) or ""
    lines = _input(exercise, case)
    if got.error is not None and got.result is None:
        lines += [("error", complaint), *_place(answer, got.error)]
        hint = _error_hint(got.error)
    else:
        lines += [*_both(exercise, expected, got), ("problem", complaint)]
        hint = _general_hint(exercise, found, first)
    mistake = _recognised(exercise, found)
    return Report(
        exercise.name,
        "not yet" + f": {sum(right)} of {len(right)} inputs right" * (len(right) > 1),
        lines,
        mistake=mistake.name if mistake else "",
        hint=mistake.hint if mistake else hint,
    )


def _both(exercise: Exercise, expected: Outcome, got: Outcome) -> list[tuple[str, str]]:
    if exercise.measure is None:
        return [("expected", shown(expected.result)), ("got", shown(got.result))]
    lines = [("your answer", shown(got.result))]
    if got.error is None and got.result is not None:
        lines += [("expected", shown(expected.measured)), ("got", shown(got.measured))]
    return lines


def _general_hint(exercise: Exercise, found: Sequence[Outcome], first: int) -> str:
    """Return a hint for a mistake that is not known by name, from all cases that are wrong.

    If the results are single numbers, the right ones count too, because any two numbers differ by some factor.
    """
    expected, got = exercise.expected[first], found[first]
    if got.changed != expected.changed:
        return (
            f"The caller may need the arguments again. "
            f"Work on a copy or compute a new array, and do not change {' and '.join(got.changed)}."
        )
    if exercise.measure is not None or got.error is not None:
        return ""
    single = isinstance(expected.result, int | float | np.number)
    pairs = [
        (right.result, outcome.result)
        for right, outcome in zip(exercise.expected, found, strict=True)
        if outcome.error is None and (single or _wrong(exercise, right, outcome) is not None)
    ]
    return general_hint([right for right, _ in pairs], [result for _, result in pairs], exercise.tolerance)


# Parts of the most common error messages, and what they mean.
ERRORS = [
    (
        "truth value of an array",
        "An array holds many numbers, but if, and, or and max(a, b) need a single True or False. Compare element by "
        "element: np.where(condition, a, b) takes from a where the condition is True and from b elsewhere. A loop over "
        "all elements works as well.",
    ),
    (
        "converted to Python scalars",
        "Functions of Python's math module take one number; those of NumPy, such as np.exp, take arrays.",
    ),
    ("interpreted as an integer", "Sizes and indices are integers: // divides and rounds down, / gives a float."),
    ("or a single integer", "Lengths are integers: // divides and rounds down, / gives a float."),
    ("must be integers", "An index is an integer: // divides and rounds down, / gives a float."),
    ("only integers, slices", "An index is an integer: // divides and rounds down, / gives a float."),
    ("bitwise_xor", "In Python ^ is not a power. Write **."),
    ("broadcast", "That line combines two arrays whose shapes do not match. Print the shape of each."),
    ("out of bounds", "There is no element with this index: indices start at 0, so the last is the length minus 1."),
    ("maximum recursion depth", "The function calls itself without end. In which case should it stop?"),
    ("is not defined", "Python does not know this name. Is it spelled correctly, and has its cell been run?"),
]


def _error_hint(error: BaseException | None) -> str:
    """Return a hint for an error, with what it means if it is a common one."""
    meaning = next((f" {hint}" for words, hint in ERRORS if words in str(error)), "")
    return "Python stops at that line, so the function returns nothing." + meaning


def _too_slow(exercise: Exercise, case: Sequence[Any], seconds: float, stopped: bool) -> Report:
    hint = "Does the condition of your loop ever become False? Print the variables in it."
    if not stopped:
        hint += " Your function could not be stopped and is still running: restart the kernel before you continue."
    verdict = f"not yet: your function had not returned after {seconds:g} s"
    return Report(exercise.name, verdict, _input(exercise, case), hint=hint)


def _input(exercise: Exercise, case: Sequence[Any]) -> list[tuple[str, str]]:
    lines: list[str] = []
    for name, value in zip(exercise.arguments, case, strict=True):
        text = f"{name} = {shown(value, len(name) + 3)}"
        if lines and "[" not in lines[-1] + text and len(lines[-1] + text) < 80:
            lines[-1] += f", {text}"  # short values share a line
        else:
            lines.append(text)
    return [("input", "\n".join(lines))] if lines else []


def _place(answer: Any, error: BaseException) -> list[tuple[str, str]]:
    """Return the line in the answer's file or cell where an error was raised."""
    file = getattr(getattr(answer, "__code__", None), "co_filename", None)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    if not frames:
        return []
    line = frames[-1].lineno or 0
    return [("at line", f"{line}: {(frames[-1].line or linecache.getline(str(file), line)).strip()}")]
