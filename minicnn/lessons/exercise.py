"""An exercise: the task, the solution, the inputs to check answers with, and the mistakes that are known by name."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from minicnn.lessons.comparing import same

__all__ = ["Exercise", "Mistake", "Outcome"]

Run = Callable[[Callable[..., Any], Sequence[Any]], Any]


@dataclass(frozen=True)
class Outcome:
    """The outcome of one case.

    Attributes
    ----------
    result, measured : object
        What the function returned, and the value that is compared.
    error : Exception or None
        The error that the function raised; or, if there is a result, the error that ``measure`` raised.
    changed : tuple of str
        The arguments that the function changed.
    """

    result: Any = None
    measured: Any = None
    error: BaseException | None = None
    changed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mistake:
    """A common wrong answer.

    Attributes
    ----------
    name : str
        The mistake in a few words.
    hint : str
        What to look at. It leads to the right answer without giving it away.
    function : callable
        The mistake as a function with the solution's arguments. An answer with the same results makes this mistake.
    also : sequence of callable
        Other ways to make the same mistake.
    """

    name: str
    hint: str
    function: Callable[..., Any]
    also: Sequence[Callable[..., Any]] = ()


@dataclass(frozen=True)
class Exercise:
    """A function to write, and what is needed to check it.

    Attributes
    ----------
    lesson : int
        The number of its lesson.
    task : str
        What to write, in one line.
    solution : callable
        The right answer. Its name is the exercise's name.
    cases : sequence of tuple
        The inputs: the arguments for each case. Every answer gets copies.
    mistakes : sequence of Mistake
        The most common mistakes.
    measure : callable, optional
        Computes what is compared instead of the result: ``measure(result, *arguments)``. For exercises with many right
        answers, such as a learning rate: how well does the network learn with it?
    tolerance : float
        The difference allowed between two numbers, relative to the largest expected number.
    seconds : float
        Time limit for one case.
    """

    lesson: int
    task: str
    solution: Callable[..., Any]
    cases: Sequence[tuple[Any, ...]]
    mistakes: Sequence[Mistake]
    measure: Callable[..., Any] | None = None
    tolerance: float = 1e-6
    seconds: float = 10.0

    @property
    def name(self) -> str:
        """The name of the function to write."""
        return self.solution.__name__

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of the function's arguments."""
        return tuple(inspect.signature(self.solution).parameters)

    @cached_property
    def expected(self) -> list[Outcome]:
        """The solution's outcomes."""
        return self._trusted(self.solution)

    @cached_property
    def mistaken(self) -> list[tuple[Mistake, list[Outcome]]]:
        """The outcomes of each mistake, for each way of making it."""
        ways = [(mistake, way) for mistake in self.mistakes for way in (mistake.function, *mistake.also)]
        return [(mistake, self._trusted(way)) for mistake, way in ways]

    def _trusted(self, function: Callable[..., Any]) -> list[Outcome]:
        with np.errstate(all="ignore"):
            return [self.outcome(function, case, lambda function, given: function(*given)) for case in self.cases]

    def outcome(self, function: Callable[..., Any], case: Sequence[Any], run: Run) -> Outcome:
        """Call a function with copies of a case's arguments, and return the outcome.

        Parameters
        ----------
        function : callable
            An answer, the solution or a mistake.
        case : sequence
            The arguments.
        run : callable
            How it is called: ``run(function, arguments)``.
        """
        given = copy.deepcopy(tuple(case))
        try:
            result = run(function, given)
        except (Exception, SystemExit) as error:
            return Outcome(error=error)
        changed = tuple(name for name, old, new in zip(self.arguments, case, given, strict=True) if not same(old, new))
        if self.measure is None or result is None:
            return Outcome(result, result, changed=changed)
        try:
            return Outcome(result, self.measure(result, *copy.deepcopy(tuple(case))), changed=changed)
        except Exception as error:
            return Outcome(result, error=error, changed=changed)

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(self.arguments)}), lesson {self.lesson:02d}: {self.task}"
