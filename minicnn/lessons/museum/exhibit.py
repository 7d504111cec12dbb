"""What an exhibit of the museum is: a mistake, its correction, and the check that rejects one and accepts the other."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from minicnn.autograd import Function, Tensor
from minicnn.backend import Array, generator
from minicnn.checks import gradcheck

__all__ = ["Exhibit", "Maker", "normal"]

Maker = Callable[[], Function]


def _once(make: Maker, *inputs: Tensor) -> Tensor:
    return make()(*inputs)


@dataclass(frozen=True)
class Exhibit:
    """A mistake, its correction, and the check that rejects one and accepts the other.

    Attributes
    ----------
    name : str
        Its name in :func:`exhibits`.
    broken, correct : callable
        Make the wrong and the right Function.
    inputs : callable
        Makes the tensors on which the two are tried.
    caught_by : {"gradcheck", "reference"}
        Which check finds the mistake.
    hint : str
        A question that leads to the mistake without naming it, for the bug hunt.
    use : callable
        Runs the Function: ``use(make, *inputs)`` returns the output.
    reference : callable or None
        For exhibits caught by it: the right output for these arrays, in plain loops.
    reference_gradient : callable or None
        If given: the right gradient of the output's sum with respect to the first input, in plain loops.
    """

    name: str
    broken: Maker
    correct: Maker
    inputs: Callable[[], tuple[Tensor, ...]]
    caught_by: Literal["gradcheck", "reference"]
    hint: str
    use: Callable[..., Tensor] = _once
    reference: Callable[..., Array] | None = None
    reference_gradient: Callable[..., Array] | None = None

    @property
    def story(self) -> str:
        """What the mistake is, why it is tempting, and how it shows."""
        return inspect.getdoc(type(self.broken())) or ""

    def complaint(self, make: Maker) -> str:
        """Run the exhibit's check on a Function, and return what is wrong: an empty string if nothing is.

        The global random generator is left as it was.

        Parameters
        ----------
        make : callable
            ``exhibit.broken``, ``exhibit.correct``, or a correction of your own.
        """
        random_state = generator().bit_generator.state
        try:
            return self._complaint(make)
        finally:
            generator().bit_generator.state = random_state

    def _complaint(self, make: Maker) -> str:
        inputs = self.inputs()
        if self.caught_by == "gradcheck":
            report = gradcheck(partial(self.use, make), inputs, raise_exception=False)
            return "" if report else str(report)
        with np.errstate(over="ignore", invalid="ignore"):  # an overflow is what one exhibit is about
            output = self.use(make, *inputs)
        arrays = [tensor.numpy() for tensor in inputs]
        complaint = ""
        if self.reference is not None:
            complaint = _difference("output", output.numpy(), self.reference(*arrays))
        if self.reference_gradient is not None and not complaint:
            output.sum().backward()
            complaint = _difference("gradient", inputs[0].grad, self.reference_gradient(*arrays))
        return complaint


def _difference(what: str, found: Array, expected: Array) -> str:
    if found.shape != expected.shape:
        return f"the {what} has shape {found.shape}, the reference {expected.shape}"
    wrong = ~np.isclose(found, expected, rtol=1e-10, atol=1e-10)
    if not wrong.any():
        return ""
    first = tuple(map(int, np.argwhere(wrong)[0]))
    return f"the {what} at {first} is {found[first]:.10g}, the reference says {expected[first]:.10g}"


def normal(*shapes: tuple[int, ...], scale: float = 1.0, shift: float = 0.0) -> Callable[[], tuple[Tensor, ...]]:
    """Return a function that makes tensors of these shapes from normal random numbers, the same ones each time."""

    def inputs() -> tuple[Tensor, ...]:
        random = np.random.default_rng(0)
        return tuple(Tensor(random.normal(shift, scale, shape), requires_grad=True) for shape in shapes)

    return inputs
