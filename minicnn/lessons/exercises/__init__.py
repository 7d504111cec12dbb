"""The exercises, a module for each lesson: every ``lessonNN.py`` here has a list EXERCISES."""

import difflib
import pkgutil
from functools import cache
from importlib import import_module

from minicnn.lessons.exercise import Exercise

__all__ = ["find", "registry"]


@cache
def registry() -> dict[str, Exercise]:
    """Return all exercises by name, in the lessons' order.

    Raises
    ------
    ValueError
        If two have the same name.
    """
    found: dict[str, Exercise] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
        for exercise in import_module(f"{__name__}.{module}").EXERCISES:
            if exercise.name in found:
                raise ValueError(f"two exercises are called {exercise.name}")
            found[exercise.name] = exercise
    return found


def find(name: str) -> Exercise:
    """Return the exercise of a name.

    Raises
    ------
    AttributeError
        If there is none; it says which names are near.
    """
    exercises = registry()
    if name in exercises:
        return exercises[name]
    near = difflib.get_close_matches(name, exercises, n=3, cutoff=0.5)
    raise AttributeError(f"no exercise is called {name!r}" + (f"; did you mean {' or '.join(near)}?" if near else ""))
