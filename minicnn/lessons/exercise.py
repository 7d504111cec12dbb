"""An exercise: what to write, the right answer, the inputs it is tried on, and the mistakes that are known by name."""

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
    """What came of one case.

    Attributes
    ----------
    result, measured : object
        What the function returned, and what is compared of it.
    error : Exception or None
        What it raised instead; or, beside a result, what the measuring raised.
    changed : tuple of str
        The arguments that are not what they were.
    """

    result: Any = None
    measured: Any = None
    error: BaseException | None = None
    changed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that many give.

    Attributes
    ----------
    name : str
        What it is called, in a few words.
    hint : str
        What to look at. It leads to the right answer without being it.
    function : callable
        The mistake itself, to be called as the solution is. Who gets the same results has made it.
    also : sequence of callable
        Other ways to make it.
    """

    name: str
    hint: str
    function: Callable[..., Any]
    also: Sequence[Callable[..., Any]] = ()


@dataclass(frozen=True)
class Exercise:
    """Something to write, and what is needed to judge it.

    Attributes
    ----------
    lesson : int
        To which lesson it belongs.
    task : str
        What to write, in a line.
    solution : callable
        The right answer. Its name is the exercise's.
    cases : sequence of tuple
        The inputs: for each case the arguments, which every answer gets as copies of its own.
    mistakes : sequence of Mistake
        The most common ones.
    measure : callable, optional
        What is compared in place of the results themselves: ``measure(result, *arguments)``. For answers of which many
        are right, such as a learning rate: how well does it learn?
    tolerance : float
        Numbers may differ by so much of the largest expected one.
    seconds : float
        How long an answer may take for one case.
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
        """What the answer is called."""
        return self.solution.__name__

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of what an answer is called with."""
        return tuple(inspect.signature(self.solution).parameters)

    @cached_property
    def expected(self) -> list[Outcome]:
        """What the solution makes of the cases."""
        return self._trusted(self.solution)

    @cached_property
    def mistaken(self) -> list[tuple[Mistake, list[Outcome]]]:
        """What each mistake makes of the cases, each way of making it."""
        ways = [(mistake, way) for mistake in self.mistakes for way in (mistake.function, *mistake.also)]
        return [(mistake, self._trusted(way)) for mistake, way in ways]

    def _trusted(self, function: Callable[..., Any]) -> list[Outcome]:
        with np.errstate(all="ignore"):
            return [self.outcome(function, case, lambda function, given: function(*given)) for case in self.cases]

    def outcome(self, function: Callable[..., Any], case: Sequence[Any], run: Run) -> Outcome:
        """Call a function with copies of a case's arguments, and note what comes of it.

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
