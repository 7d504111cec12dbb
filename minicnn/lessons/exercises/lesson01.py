"""Lesson 01, tensors and the backward pass."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minicnn.lessons.exercise import Exercise, Mistake

__all__ = ["EXERCISES"]

Numbers = NDArray[np.float64]
Places = NDArray[np.int64]
Graph = Mapping[str, Sequence[str]]

_rng = np.random.default_rng(1)


# --- a division -----------------------------------------------------------------------------------------------


def divide_backward(a: Numbers, b: Numbers, grad_y: Numbers) -> tuple[Numbers, Numbers]:
    """Return (dL/da, dL/db) of y = a / b."""
    return grad_y / b, -grad_y * a / b**2


def _divides_in_place(a: Numbers, b: Numbers, grad_y: Numbers) -> tuple[Numbers, Numbers]:
    grad_b = -grad_y * a / b**2
    grad_y /= b
    return grad_y, grad_b


A, B, GRADIENT = _rng.normal(size=(3, 2, 3)).round(2)

division = Exercise(
    lesson=1,
    task="Return dL/da and dL/db of y = a / b, number by number, from a, b and dL/dy.",
    solution=divide_backward,
    cases=[
        (np.array([6.0, -3.0]), np.array([2.0, 4.0]), np.array([1.0, 1.0])),
        (np.array([6.0, -3.0]), np.array([2.0, 4.0]), np.array([10.0, -2.0])),
        (A, B, GRADIENT),
    ],
    mistakes=[
        Mistake(
            "the sign of dL/db",
            "If b rises, does a / b rise or fall? (Take a = 6 and b = 2.)",
            lambda a, b, grad_y: (grad_y / b, grad_y * a / b**2),
        ),
        Mistake(
            "a / b instead of a / b^2",
            "Write a / b as a times b to the power of -1. What is the derivative of that power?",
            lambda a, b, grad_y: (grad_y / b, -grad_y * a / b),
        ),
        Mistake(
            "the incoming gradient is missing",
            "These are the derivatives of y. The chain rule multiplies them by dL/dy.",
            lambda a, b, grad_y: (1 / b, -a / b**2),
        ),
        Mistake(
            "treated like a product",
            "grad_y b and grad_y a are the gradients of y = a b. How fast does 6 / b change?",
            lambda a, b, grad_y: (grad_y * b, grad_y * a),
        ),
        Mistake(
            "writes into the incoming gradient",
            "/= changes the caller's array, which may still be needed. Make a new array, with a plain /.",
            _divides_in_place,
        ),
    ],
)


# --- differences ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Formula:
    """A function that a report can show."""

    text: str
    function: Callable[[Numbers], Any]

    def __call__(self, x: Numbers) -> float:
        """Return one number for an array."""
        return float(self.function(x))

    def __repr__(self) -> str:
        return f"<{self.text}>"


def central_difference(f: Callable[[Numbers], float], x: Numbers, h: float) -> Numbers:
    """Return the gradient of f at x."""
    return _differences(f, x, lambda moved, still: (f(still + moved) - f(still - moved)) / (2 * h), h)


def _differences(
    f: Callable[[Numbers], float], x: Numbers, slope: Callable[[Numbers, Numbers], float], h: float
) -> Numbers:
    """Return slope(moved, x) for each place, where moved is h at this place and 0 elsewhere."""
    slopes = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        moved = np.zeros_like(x)
        moved[place] = h
        slopes[place] = slope(moved, x)
    return slopes


def _not_put_back(f: Callable[[Numbers], float], x: Numbers, h: float) -> Numbers:
    moved, slopes = x.copy(), np.zeros_like(x)
    for place in np.ndindex(x.shape):
        moved[place] += h
        up = f(moved)
        moved[place] -= 2 * h
        slopes[place] = (up - f(moved)) / (2 * h)
    return slopes


def _one_array_under_two_names(f: Callable[[Numbers], float], x: Numbers, h: float) -> Numbers:
    slopes = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        up = x
        up[place] += h
        down = x
        down[place] -= h
        slopes[place] = (f(up) - f(down)) / (2 * h)
    return slopes


differences = Exercise(
    lesson=1,
    task="Return the gradient of f at x, shape of x, by central differences with the step h.",
    solution=central_difference,
    cases=[
        (Formula("the sum of the cubes", lambda x: np.sum(x**3)), np.array([1.0, 2.0]), 0.1),
        (Formula("the product of all numbers", np.prod), np.array([3.0, -2.0, 5.0]), 0.1),
        (Formula("the square of the sum of exp", lambda x: np.sum(np.exp(x)) ** 2), A, 0.01),
    ],
    mistakes=[
        Mistake(
            "only one side",
            "The central difference goes from x - h to x + h, not from x to x + h.",
            lambda f, x, h: _differences(f, x, lambda moved, still: (f(still + moved) - f(still)) / h, h),
        ),
        Mistake(
            "divided by h instead of 2 h",
            "How far is it from x - h to x + h?",
            lambda f, x, h: _differences(f, x, lambda moved, still: (f(still + moved) - f(still - moved)) / h, h),
        ),
        Mistake(
            "all numbers are changed at once",
            "x + h changes every number of x. To find the slope along one of them, keep the others constant.",
            lambda f, x, h: (f(x + h) - f(x - h)) / (2 * h),
        ),
        Mistake(
            "the changed numbers are not restored",
            "When you change the second number, is the first one restored? Take a new copy of x for each place.",
            _not_put_back,
        ),
        Mistake(
            "the sign is reversed",
            "From which value is which subtracted? Where f rises, the slope is positive.",
            lambda f, x, h: _differences(f, x, lambda moved, still: (f(still - moved) - f(still + moved)) / (2 * h), h),
        ),
        Mistake(
            "one array under two names",
            "up = x does not make a new array: up, down and x are the same one. x.copy() makes a new one.",
            _one_array_under_two_names,
        ),
    ],
)


# --- used twice -----------------------------------------------------------------------------------------------


def gather_backward(places: Places, grad_y: Numbers, size: int) -> Numbers:
    """Return dL/dx of y = x[places]."""
    grad_x = np.zeros(size)
    np.add.at(grad_x, places, grad_y)
    return grad_x


def _last_wins(places: Places, grad_y: Numbers, size: int) -> Numbers:
    grad_x = np.zeros(size)
    grad_x[places] = grad_y
    return grad_x


def _average(places: Places, grad_y: Numbers, size: int) -> Numbers:
    return gather_backward(places, grad_y, size) / np.maximum(1, np.bincount(places, minlength=size))


used_twice = Exercise(
    lesson=1,
    task="Return dL/dx, shape (size,), of y = x[places], from places and dL/dy.",
    solution=gather_backward,
    cases=[
        (np.array([2, 0, 2]), np.array([5.0, 7.0, 1.0]), 3),
        (np.array([1, 1, 1, 0]), np.array([1.0, -2.0, 4.0, 0.5]), 5),
        (_rng.integers(6, size=12), _rng.normal(size=12).round(2), 8),
    ],
    mistakes=[
        Mistake(
            "only the last use counts",
            "x[2] is used twice, and both gradients flow back to it. With = the second overwrites the first. So does "
            "grad_x[places] += grad_y, because NumPy writes to each place once. A loop adds them one by one.",
            _last_wins,
        ),
        Mistake(
            "the average of all uses",
            "If x[2] rises by 1, both y[0] and y[2] rise by 1. By how much does L change: by the mean of the two?",
            _average,
        ),
        Mistake(
            "counts how often each was used",
            "Each use contributes its own gradient grad_y, not 1.",
            lambda places, grad_y, size: np.bincount(places, minlength=size).astype(float),
        ),
        Mistake(
            "reads at the places instead of writing there",
            "Forward reads: y[n] = x[places[n]]. In the backward pass the gradient of y[n] goes *to* places[n].",
            lambda places, grad_y, size: grad_y[places],
        ),
        Mistake(
            "numbers that are not used are missing",
            "x has size numbers. Those after the last one that is used have a gradient too: which?",
            lambda places, grad_y, size: np.bincount(places, weights=grad_y),
        ),
    ],
)


# --- the order of the backward pass ---------------------------------------------------------------------------

IN_ORDER = "users come before what they use"
FIRST = {"a": [], "b": [], "c": [], "d": ["a", "b"], "e": ["d", "c"], "L": ["e", "c"]}
SHARED = {"z": ["u", "s"], "s": ["u", "u"], "u": ["x"], "x": [], "v": ["u"]}
LADDER = {"w": [], "h": ["x", "w"], "y": ["t", "x"], "t": ["h", "k"], "x": [], "k": ["h", "x"], "loss": ["y", "t"]}
LADDER["other"] = ["loss", "k"]


def backward_order(inputs: Graph, start: str) -> list[str]:
    """Return the names in the order of the backward pass."""
    return _inputs_first(inputs, start)[::-1]


def _inputs_first(inputs: Graph, start: str) -> list[str]:
    listed: list[str] = []

    def visit(name: str) -> None:
        if name not in listed:
            for source in inputs[name]:
                visit(source)
            listed.append(name)

    visit(start)
    return listed


def _on_arrival(inputs: Graph, start: str) -> list[str]:
    """List each name when it is first reached."""
    listed: list[str] = []

    def visit(name: str) -> None:
        if name not in listed:
            listed.append(name)
            for source in inputs[name]:
                visit(source)

    visit(start)
    return listed


def _every_path(inputs: Graph, start: str) -> list[str]:
    return [start] + [name for source in inputs[start] for name in _every_path(inputs, source)]


def _everything(inputs: Graph, start: str) -> list[str]:
    rest = [name for end in inputs for name in backward_order(inputs, end)]
    return _without_repetition([*backward_order(inputs, start), *rest])


def _without_repetition(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _what_is_wrong(order: Any, inputs: Graph, start: str) -> str:
    """Return what is wrong with an order, in words. This is compared, because many orders are right."""
    if not isinstance(order, list | tuple) or not all(isinstance(name, str) for name in order):
        raise ValueError("expected a list of names")
    needed = _inputs_first(inputs, start)
    if len(set(order)) < len(order):
        return "a name is listed more than once"
    if set(order) - set(needed):
        return f"{start} does not depend on {', '.join(sorted(set(order) - set(needed)))}"
    if set(needed) - set(order):
        return f"missing: {', '.join(sorted(set(needed) - set(order)))}"
    if order[0] != start:
        return f"it does not start with {start}"
    position = {name: number for number, name in enumerate(order)}
    late = any(position[source] < position[name] for name in order for source in inputs[name])
    return "a name comes before something that uses it" if late else IN_ORDER


order = Exercise(
    lesson=1,
    task="Return the names that start depends on, each after everything that uses it.",
    solution=backward_order,
    cases=[(FIRST, "L"), (SHARED, "z"), (LADDER, "loss"), (LADDER, "k"), (FIRST, "a")],
    mistakes=[
        Mistake(
            "listed when first reached",
            "You list a name when you reach the first of its users, but another user may come later. Append a name "
            "when everything it was made from is in the list, and think about what order that list has.",
            _on_arrival,
        ),
        Mistake(
            "once for each path",
            "Where two paths meet, everything behind them is listed twice. Check whether a name is listed already.",
            _every_path,
        ),
        Mistake(
            "from the inputs to the result",
            "This is the order of the forward pass. And the backward pass?",
            _inputs_first,
        ),
        Mistake(
            "all names are listed",
            "Some names have nothing to do with start. Follow only the inputs, and the inputs' inputs.",
            _everything,
        ),
        Mistake(
            "names without inputs are missing",
            "A name without inputs belongs in the list too: its gradient is what the backward pass is for.",
            lambda inputs, start: [name for name in backward_order(inputs, start) if inputs[name]],
        ),
    ],
    measure=_what_is_wrong,
)

EXERCISES = [division, differences, used_twice, order]
