"""Is the gradient right? Finite differences answer without knowing how it was derived.

Examples
--------
>>> import numpy as np
>>> import minicnn
>>> x = minicnn.Tensor(np.array([0.5, -1.5, 2.0]), requires_grad=True)
>>> bool(gradcheck(minicnn.functional.tanh, x))
True
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minicnn.autograd import Function, Tensor
from minicnn.backend import Array, asnumpy, generator, get_array_module
from minicnn.checks.report import GradcheckError, GradcheckReport, is_between

__all__ = ["gradcheck"]

EVERY_INDEX_UP_TO = 500  # an input of more elements is checked along random directions
DIRECTIONS = 100


class _Broken(Exception):
    """A problem that no comparison of derivatives would show."""


@dataclass(frozen=True)
class _Comparison:
    """One derivative, computed and measured: by one element, or by several that move together."""

    input: int
    positions: np.ndarray
    weights: np.ndarray
    analytic: float
    left: float
    right: float
    atol: float
    rtol: float

    @property
    def numeric(self) -> float:
        return (self.left + self.right) / 2

    @property
    def allowed(self) -> float:
        return self.atol + self.rtol * abs(self.numeric)

    @property
    def ok(self) -> bool:
        return abs(self.analytic - self.numeric) <= self.allowed  # NaN is not

    @property
    def kink(self) -> bool:
        return abs(self.right - self.left) > self.atol + self.rtol * max(abs(self.left), abs(self.right))

    @property
    def badness(self) -> tuple[bool, bool, float]:
        """Sort key: certain failures, then failures that a kink may excuse, then agreement."""
        excused = self.kink and is_between(self.analytic, self.left, self.right, self.allowed)
        error = abs(self.analytic - self.numeric)
        ratio = 0.0 if error == 0 else error / self.allowed if self.allowed else math.inf
        return not self.ok and not excused, not self.ok, math.inf if math.isnan(ratio) else ratio


# --- the check ----------------------------------------------------------------------------------------------


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Tensor],
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> GradcheckReport:
    """Compare backward with central finite differences, in float64.

    The output y is multiplied by a random cotangent v, which makes it one number L = sum of v y. Then each
    dL/dx is measured as (L(x + eps) - L(x - eps)) / (2 eps). A plain sum (v = 1 everywhere) would miss many mistakes:
    the sum of a softmax never changes, whatever its gradient.

    An input of up to 500 elements is checked at every index. A larger one is split at random into 100 parts. The
    elements of a part move together, each by its own random amount, so that every element takes part.

    Parameters
    ----------
    func : callable
        Takes the inputs and returns a Tensor, or a tuple of them (integer ones are skipped). It must be
        deterministic: a function that draws random numbers, such as dropout, must seed them inside.
    inputs : Tensor or tuple of Tensors
        Those with ``requires_grad`` are checked; at least one. They are restored afterwards.
    eps : float
        The step of the differences.
    atol, rtol : float
        A derivative passes if ``abs(analytic - numeric) <= atol + rtol * abs(numeric)``.
    raise_exception : bool
        Whether to raise if the check fails, rather than return a report that is false.

    Returns
    -------
    GradcheckReport
        True if the check passed. The generator behind :func:`minicnn.manual_seed` keeps its state.

    Raises
    ------
    GradcheckError
        If a derivative is wrong; also, as in PyTorch, at a kink or a tie, where finite differences have no
        answer (the message says so); if backward raises an error or writes into the gradient it is given; if
        func changes its inputs, gives two results for the same inputs, or returns something that is not finite
        or needs no gradient.
    TypeError
        If an input or an output is not a Tensor, or is float32, which has too few digits.
    ValueError
        If no input requires a gradient.

    Examples
    --------
    >>> import minicnn
    >>> x = Tensor(np.array([0.0, 1.0]), requires_grad=True)
    >>> print(gradcheck(minicnn.functional.relu, x, raise_exception=False))  # doctest: +ELLIPSIS
    gradcheck failed: 1 of 2 derivatives disagree
      worst       inputs[0][0]
    ...
    """
    tensors = _checked_inputs(inputs)
    if not 0 < eps < math.inf:
        raise ValueError(f"gradcheck: eps must be positive and finite, got {eps!r}")
    for name, tolerance in (("atol", atol), ("rtol", rtol)):
        if not 0 <= tolerance < math.inf:
            raise ValueError(f"gradcheck: {name} must be 0 or more and finite, got {tolerance!r}")
    cause = None
    try:
        with _borrowed(tensors):
            report = _Check(func, tensors, eps, atol, rtol).run()
    except _Broken as broken:
        report, cause = GradcheckReport(ok=False, problem=str(broken)), broken.__cause__
    if raise_exception and not report:
        raise GradcheckError(report) from cause
    return report


def _checked_inputs(inputs: Any) -> tuple[Tensor, ...]:
    tensors = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    for number, tensor in enumerate(tensors):
        name = f"inputs[{number}]" if isinstance(inputs, (tuple, list)) else "inputs"
        if not isinstance(tensor, Tensor):
            raise TypeError(f"gradcheck: {name} must be a Tensor, got {type(tensor).__name__}")
        if tensor.dtype.kind == "f" and tensor.dtype != np.float64:
            raise TypeError(
                f"gradcheck: {name} must be float64, got {tensor.dtype}, which has too few digits for "
                "finite differences; convert it: Tensor(x.data.astype('float64'), requires_grad=True)"
            )
    if not any(tensor.requires_grad for tensor in tensors):
        raise ValueError("gradcheck: inputs must include a tensor that requires a gradient (requires_grad=True)")
    return tensors


@contextmanager
def _borrowed(tensors: tuple[Tensor, ...]) -> Iterator[None]:
    """Give each tensor a private array to modify, and restore everything afterwards."""
    before = [(tensor, tensor.data, tensor.grad, tensor.creator) for tensor in tensors]
    random_state = generator().bit_generator.state
    for tensor in tensors:
        tensor.data, tensor.grad, tensor.creator = tensor.data.copy(), None, None
    try:
        yield
    finally:
        for tensor, data, grad, creator in before:
            tensor.data, tensor.grad, tensor.creator = data, grad, creator
        generator().bit_generator.state = random_state


class _Check:
    """One run of :func:`gradcheck`."""

    def __init__(
        self, func: Callable[..., Any], tensors: tuple[Tensor, ...], eps: float, atol: float, rtol: float
    ) -> None:
        self.func, self.tensors, self.eps, self.atol, self.rtol = func, tensors, eps, atol, rtol
        self.random = np.random.default_rng(0)  # not the global one, whose state belongs to the user

    def run(self) -> GradcheckReport:
        untouched = [asnumpy(tensor.data).copy() for tensor in self.tensors]
        self.base = self.evaluate()
        self.refuse_changed_inputs(untouched, "func")
        if not np.isfinite(self.base).all():
            raise _Broken("func returned NaN or infinity, where no derivative can be measured")
        if not np.array_equal(self.base, self.evaluate()):
            raise _Broken(
                "func gave two different results for the same inputs; if it draws random numbers, as dropout "
                "does, seed them inside func: minicnn.manual_seed(0)"
            )
        self.cotangent = self.away_from_zero(self.base.size)
        self.gradients = self.backward()
        self.refuse_changed_inputs(untouched, "backward")

        found = [
            self.compare(number, part, weights)
            for number, tensor in enumerate(self.tensors)
            if tensor.requires_grad
            for part, weights in self.directions(tensor.numel())
        ]
        if not found:
            return GradcheckReport(ok=True)
        worst = max(found, key=lambda comparison: comparison.badness)
        failed = sum(not comparison.ok for comparison in found)
        if failed:
            worst = self.narrowed(worst)
        shape, single = self.tensors[worst.input].shape, len(worst.positions) == 1
        return GradcheckReport(
            ok=not failed,
            compared=len(found),
            failed=failed,
            input=worst.input,
            index=tuple(map(int, np.unravel_index(worst.positions[0], shape))) if single else None,
            analytic=worst.analytic,
            numeric=worst.numeric,
            left=worst.left,
            right=worst.right,
            allowed=worst.allowed,
            kink=worst.kink,
        )

    def outputs(self) -> list[Tensor]:
        """Run func and return those of its outputs that have derivatives."""
        returned = self.func(*self.tensors)
        outputs = list(returned) if isinstance(returned, (tuple, list)) else [returned]
        for output in outputs:
            if not isinstance(output, Tensor):
                kind = type(output).__name__
                raise TypeError(f"gradcheck: func must return a Tensor or a tuple of Tensors, got {kind}")
            if output.dtype == np.float32:
                raise TypeError("gradcheck: func must keep the precision of its float64 inputs, it returned float32")
        return [output for output in outputs if output.dtype.kind == "f"]

    def evaluate(self) -> np.ndarray:
        """Return all numbers that func computes, as one flat array of its own."""
        return np.concatenate([np.empty(0), *(asnumpy(output.data).ravel() for output in self.outputs())])

    def backward(self) -> list[np.ndarray]:
        """Return the gradient of cotangent times output by each input, as flat arrays."""
        outputs = self.outputs()
        if not any(output.requires_grad for output in outputs):
            raise _Broken("the output of func needs no gradient: is there a detach() or a no_grad() inside?")
        ends = list(itertools.accumulate(output.numel() for output in outputs))
        tampered: list[str] = []
        for number, end in enumerate(ends):
            output = self.outputs()[number]  # func runs again: backward frees its graph, which outputs may share
            if not output.requires_grad:
                continue
            _watch(output, tampered)
            cotangent = self.cotangent[end - output.numel() : end].reshape(output.shape)
            try:
                output.backward(get_array_module(output.data).asarray(cotangent))
            except Exception as error:
                raise _Broken(f"backward raised {type(error).__name__}: {error}") from error
        if tampered:
            raise _Broken(f"{tampered[0]}.backward writes into the gradient it is given, which others may need")
        gradients = (tensor.data * 0 if tensor.grad is None else tensor.grad for tensor in self.tensors)
        return [asnumpy(gradient).ravel() for gradient in gradients]

    def refuse_changed_inputs(self, untouched: list[np.ndarray], culprit: str) -> None:
        for number, (tensor, before) in enumerate(zip(self.tensors, untouched, strict=True)):
            if not np.array_equal(asnumpy(tensor.data), before, equal_nan=tensor.dtype.kind == "f"):
                raise _Broken(f"{culprit} changed inputs[{number}] in place")

    def away_from_zero(self, count: int) -> np.ndarray:
        """Draw numbers of either sign, none near 0: the absolute tolerance would hide a mistake there."""
        return self.random.choice([-1.0, 1.0], count) * self.random.uniform(0.5, 1.5, count)

    def directions(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield which elements to move together, and by how many times eps."""
        if size <= EVERY_INDEX_UP_TO:
            yield from ((np.array([position]), np.ones(1)) for position in range(size))
        else:
            for part in np.array_split(self.random.permutation(size), DIRECTIONS):
                yield part, self.away_from_zero(len(part))

    def compare(self, number: int, positions: np.ndarray, weights: np.ndarray) -> _Comparison:
        flat = self.tensors[number].data.reshape(-1)  # a view: the private array is contiguous
        original = flat[positions]
        step = get_array_module(flat).asarray(self.eps * weights)
        flat[positions] = original + step
        right = float(self.cotangent @ (self.evaluate() - self.base)) / self.eps
        flat[positions] = original - step
        left = float(self.cotangent @ (self.base - self.evaluate())) / self.eps
        flat[positions] = original
        analytic = float(self.gradients[number][positions] @ weights)
        return _Comparison(number, positions, weights, analytic, left, right, self.atol, self.rtol)

    def narrowed(self, comparison: _Comparison) -> _Comparison:
        """Halve a failing direction for as long as one half still fails, to name the element at fault."""
        while not comparison.ok and len(comparison.positions) > 1:
            middle = len(comparison.positions) // 2
            halves = [
                self.compare(comparison.input, comparison.positions[part], comparison.weights[part])
                for part in (slice(middle), slice(middle, None))
            ]
            worse = max(halves, key=lambda half: half.badness)
            if worse.ok:
                return comparison
            comparison = worse
        return self.compare(comparison.input, comparison.positions, np.ones(1))  # the derivative itself


def _watch(output: Tensor, tampered: list[str]) -> None:
    """Make every operation behind `output` append its name if its backward writes into the gradient it is given."""
    waiting, seen = [output.creator], set()
    while waiting:
        function = waiting.pop()
        if function is None or function in seen:
            continue
        seen.add(function)
        function.backward = partial(_watched, function, function.backward, tampered)  # type: ignore[method-assign]
        waiting += [origin.creator for origin in function.inputs or () if origin is not None]


def _watched(function: Function, backward: Callable[..., Any], tampered: list[str], xp: Any, grad_output: Array) -> Any:
    before = grad_output.copy()
    grad_inputs = backward(xp, grad_output)
    if not xp.array_equal(before, grad_output, equal_nan=True):
        tampered.append(type(function).__name__)
    return grad_inputs
