"""Is the gradient right? Finite differences answer without knowing how the gradient was derived.

Examples
--------
>>> import numpy as np
>>> import minicnn
>>> x = minicnn.Tensor(np.array([0.5, -1.5, 2.0]), requires_grad=True)
>>> bool(gradcheck(minicnn.functional.tanh, x))
True
"""

import importlib.util
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minicnn import functional as F
from minicnn import kernels
from minicnn.autograd import Function, Tensor
from minicnn.backend import Array, asnumpy, checked_device, generator, get_array_module, manual_seed, to_device
from minicnn.errors import MinicnnError
from minicnn.ops.fused_cross_entropy import FusedCrossEntropy
from minicnn.ops.shape import ToDevice
from minicnn.ops.small_batch_linear import SmallBatchLinear

__all__ = [
    "GradcheckError",
    "GradcheckReport",
    "OperationCheck",
    "check_operations",
    "format_table",
    "gradcheck",
]

EVERY_INDEX_UP_TO = 500  # an input of more elements is checked along random directions
DIRECTIONS = 100


# --- what is found ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GradcheckReport:
    """What :func:`gradcheck` found; its truth value is the verdict, ``print`` shows it.

    Attributes
    ----------
    ok : bool
        Whether every derivative agreed.
    compared, failed : int
        How many derivatives were compared, and how many of them disagreed.
    input : int or None
        Which of the inputs holds the worst derivative; None if nothing was compared.
    index : tuple of int or None
        Where in that input; None if it belongs to a direction that moves many elements at once.
    analytic, numeric : float
        The worst derivative as backward computes it, and as the central difference measures it.
    left, right : float
        The two one-sided differences, whose average is `numeric`.
    allowed : float
        How far `analytic` may lie from `numeric`: ``atol + rtol * abs(numeric)``.
    kink : bool
        Whether the one-sided differences disagree: the function has a kink, a tie or a jump here.
    problem : str
        What went wrong before anything could be compared; empty if nothing did.
    """

    ok: bool
    compared: int = 0
    failed: int = 0
    input: int | None = None
    index: tuple[int, ...] | None = None
    analytic: float = math.nan
    numeric: float = math.nan
    left: float = math.nan
    right: float = math.nan
    allowed: float = math.nan
    kink: bool = False
    problem: str = ""

    def __bool__(self) -> bool:
        return self.ok

    @property
    def difference(self) -> float:
        """How far the worst derivative is off."""
        return abs(self.analytic - self.numeric)

    def __str__(self) -> str:
        if self.problem:
            return f"gradcheck failed: {self.problem}"
        if self.ok:
            lines = [f"gradcheck passed: {self.compared} derivatives compared"]
        else:
            lines = [f"gradcheck failed: {self.failed} of {self.compared} derivatives disagree"]
        if self.input is None:
            return lines[0]
        place = " along a random direction" if self.index is None else f"[{', '.join(map(str, self.index))}]"
        lines += [
            f"  worst       inputs[{self.input}]{place}",
            f"  analytic    {self.analytic:.10g}  (from backward)",
            f"  numeric     {self.numeric:.10g}  (central difference)",
            f"  difference  {self.difference:.3g}, allowed {self.allowed:.3g}",
        ]
        if self.kink:
            lines.append(f"  kink or tie here: the slope is {self.left:.6g} left of it, {self.right:.6g} right of it")
        if self.kink and not self.ok:
            if _between(self.analytic, self.left, self.right, self.allowed):
                lines.append("  analytic lies between the two and may be right: move the input away, try again")
            else:
                lines.append("  analytic lies outside the two, so it is wrong all the same")
        return "\n".join(lines)


class GradcheckError(MinicnnError):
    """A gradient is wrong, or could not be checked.

    Attributes
    ----------
    report : GradcheckReport
        What was found; the message is its text.
    """

    def __init__(self, report: GradcheckReport) -> None:
        super().__init__(str(report))
        self.report = report


class _Broken(Exception):
    """Something is wrong that no comparison of numbers would show."""


@dataclass(frozen=True)
class _Comparison:
    """One derivative, computed and measured: along one element, or along several that are moved together."""

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
        """Sort key: certain failures come before those that a kink may excuse, and these before agreement."""
        excused = self.kink and _between(self.analytic, self.left, self.right, self.allowed)
        error = abs(self.analytic - self.numeric)
        ratio = 0.0 if error == 0 else error / self.allowed if self.allowed else math.inf
        return not self.ok and not excused, not self.ok, math.inf if math.isnan(ratio) else ratio


def _between(value: float, a: float, b: float, slack: float) -> bool:
    return min(a, b) - slack <= value <= max(a, b) + slack


# --- the check ----------------------------------------------------------------------------------------------


def gradcheck(
    fn: Callable[..., Any],
    inputs: Tensor | Sequence[Tensor],
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> GradcheckReport:
    """Hold what backward computes against central finite differences, in float64.

    The output y is multiplied by a random cotangent v, which makes it one number L = sum of v y. Then each
    dL/dx is measured as (L(x + eps) - L(x - eps)) / (2 eps). A plain sum (v = 1 everywhere) would be blind to
    much: that of a softmax never changes, whatever its gradient.

    An input of up to 500 elements is checked at every index. A larger one is cut at random into 100 parts,
    and the elements of a part are moved together, each by its own random amount: every element takes part.

    Parameters
    ----------
    fn : callable
        Takes the inputs and returns a Tensor, or a tuple of them (whole-number ones are left out). It must
        give the same result every time: what is random inside, such as dropout, must be seeded inside.
    inputs : Tensor or tuple of Tensors
        Those with ``requires_grad`` are checked; there must be one. Afterwards all are as they were before.
    eps : float
        The step of the differences.
    atol, rtol : float
        A derivative passes if ``abs(analytic - numeric) <= atol + rtol * abs(numeric)``.
    raise_exception : bool
        Whether to raise if the check fails, rather than return a report that counts as false.

    Returns
    -------
    GradcheckReport
        Its truth value is the verdict. The generator behind :func:`minicnn.manual_seed` is as it was before.

    Raises
    ------
    GradcheckError
        If a derivative is wrong; also, as in PyTorch, at a kink or a tie, where finite differences have no
        answer (the message says so); if backward raises an error or writes into the gradient it is given; if
        fn changes its inputs, gives two results for the same inputs, or returns something that is not finite
        or needs no gradient.
    TypeError
        If an input or an output is not a Tensor, or is float32: too few digits to take differences of.
    ValueError
        If no input requires a gradient, or a number is out of range.

    Examples
    --------
    >>> x = Tensor(np.array([0.0, 1.0]), requires_grad=True)
    >>> print(gradcheck(F.relu, x, raise_exception=False))  # doctest: +ELLIPSIS
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
            report = _Check(fn, tensors, eps, atol, rtol).run()
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
                f"gradcheck: {name} must be float64, got {tensor.dtype}, which has too few digits to take "
                "differences of; convert it: Tensor(x.data.astype('float64'), requires_grad=True)"
            )
    if not any(tensor.requires_grad for tensor in tensors):
        raise ValueError("gradcheck: inputs hold no tensor that requires a gradient (requires_grad=True)")
    return tensors


@contextmanager
def _borrowed(tensors: tuple[Tensor, ...]) -> Iterator[None]:
    """Give each tensor a private array to be pushed about, and afterwards everything back as it was."""
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
        self, fn: Callable[..., Any], tensors: tuple[Tensor, ...], eps: float, atol: float, rtol: float
    ) -> None:
        self.fn, self.tensors, self.eps, self.atol, self.rtol = fn, tensors, eps, atol, rtol
        self.random = np.random.default_rng(0)  # not the global one, whose next numbers belong to the user

    def run(self) -> GradcheckReport:
        untouched = [asnumpy(tensor.data).copy() for tensor in self.tensors]
        self.base = self.evaluate()
        self.refuse_changed_inputs(untouched, "fn")
        if not np.isfinite(self.base).all():
            raise _Broken("fn returned NaN or infinity, where no derivative can be measured")
        if not np.array_equal(self.base, self.evaluate()):
            raise _Broken(
                "fn gave two different results for the same inputs; if it draws random numbers, as dropout "
                "does, seed them inside fn: minicnn.manual_seed(0)"
            )
        self.cotangent = self.away_from_zero(self.base.size)
        self.gradients = self.backward()
        self.refuse_changed_inputs(untouched, "backward")

        found = [
            self.compare(number, part, weights)
            for number, tensor in enumerate(self.tensors)
            if tensor.requires_grad
            for part, weights in self.directions(tensor.size)
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
        """Run fn and return those of its outputs that have derivatives."""
        returned = self.fn(*self.tensors)
        outputs = list(returned) if isinstance(returned, (tuple, list)) else [returned]
        for output in outputs:
            if not isinstance(output, Tensor):
                kind = type(output).__name__
                raise TypeError(f"gradcheck: fn must return a Tensor or a tuple of Tensors, got {kind}")
            if output.dtype == np.float32:
                raise TypeError("gradcheck: fn must keep the precision of its float64 inputs, it returned float32")
        return [output for output in outputs if output.dtype.kind == "f"]

    def evaluate(self) -> np.ndarray:
        """Return all numbers that fn computes, as one flat array of its own."""
        return np.concatenate([np.empty(0), *(asnumpy(output.data).ravel() for output in self.outputs())])

    def backward(self) -> list[np.ndarray]:
        """Return the gradient of cotangent times output by each input, as flat arrays."""
        outputs = self.outputs()
        if not any(output.requires_grad for output in outputs):
            raise _Broken("what fn returns needs no gradient: is there a detach() or a no_grad() on the way?")
        ends = list(itertools.accumulate(output.size for output in outputs))
        tampered: list[str] = []
        for number, end in enumerate(ends):
            output = self.outputs()[number]  # fn runs again: a walk frees its graph, which outputs may share
            if not output.requires_grad:
                continue
            _watch(output, tampered)
            cotangent = self.cotangent[end - output.size : end].reshape(output.shape)
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
        """Draw numbers of either sign; one near 0 would hide a mistake from the absolute tolerance."""
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
    """Make every operation behind `output` put its name down if its backward writes into what it is given."""
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


# --- every operation ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OperationCheck:
    """The gradient check of one operation in one configuration.

    Attributes
    ----------
    operation : str
        As in :mod:`minicnn.functional`, or Tensor's operator or method.
    configuration : str
        Shapes and hyperparameters.
    kernels : str
        On which kernels it ran: ``"numpy"``, ``"numba"`` or ``"cuda"``.
    report : GradcheckReport
        What was found.
    seconds : float
        How long it took.
    """

    operation: str
    configuration: str
    kernels: str
    report: GradcheckReport
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the gradient is right."""
        return self.report.ok


def check_operations(
    progress: Callable[[OperationCheck], None] | None = None, device: str = "cpu"
) -> list[OperationCheck]:
    """Check the gradient of every operation in many configurations, on each kind of kernels that the device has.

    Parameters
    ----------
    progress : callable, optional
        Called with each row as soon as it is known.
    device : str
        "cpu", "cuda" for the current GPU, "cuda:0", "cuda:1" ... for a certain one.

    Returns
    -------
    list of OperationCheck
        One row for each operation, configuration and kind of kernels.

    Raises
    ------
    DeviceError
        If CuPy or this GPU is absent.
    """
    rows = []
    of_processors = ("numpy", "numba") if importlib.util.find_spec("numba") else ("numpy",)
    for kind in of_processors if checked_device(device) == "cpu" else ("cuda",):
        with nullcontext() if kind == "cuda" else kernels.use_kernels(kind):
            for operation, configuration, fn, inputs in _cases():
                for tensor in inputs:
                    tensor.data = to_device(tensor.data, device)
                start = time.perf_counter()
                report = gradcheck(fn, inputs, raise_exception=False)
                seconds = time.perf_counter() - start
                rows.append(OperationCheck(operation, configuration, kind, report, seconds))
                if progress is not None:
                    progress(rows[-1])
    return rows


def format_table(rows: Sequence[OperationCheck]) -> str:
    """Return the rows as a table with one line an operation; what failed follows in full.

    Parameters
    ----------
    rows : sequence of OperationCheck
        From :func:`check_operations`.
    """
    kinds = sorted({row.kernels for row in rows}, reverse=True)  # numpy, the reference, first
    by_operation: dict[str, list[OperationCheck]] = {}
    for row in rows:
        by_operation.setdefault(row.operation, []).append(row)
    width = max(map(len, ["operation", *by_operation]))
    head = f"{'operation':<{width}}  configurations  derivatives  largest error"
    lines = [head + "".join(f"  {kind:>8}" for kind in kinds)]
    for operation, own in by_operation.items():
        configurations = len({row.configuration for row in own})
        compared = sum(row.report.compared for row in own)
        error = max((row.report.difference for row in own if row.report.input is not None), default=math.nan)
        line = f"{operation:<{width}}  {configurations:>14}  {compared:>11}  {error:>13.1e}"
        for kind in kinds:
            failed = sum(not row.ok for row in own if row.kernels == kind)
            line += f"  {f'{failed} FAILED' if failed else 'ok':>8}"
        lines.append(line)
    failures = [row for row in rows if not row.ok]
    for row in failures:
        lines += ["", f"{row.operation} ({row.configuration}; {row.kernels} kernels)", str(row.report)]
    seconds = sum(row.seconds for row in rows)
    passed = f"all {len(rows)} checks passed"
    verdict = f"{len(failures)} of {len(rows)} checks FAILED" if failures else passed
    return "\n".join([*lines, "", f"{verdict} in {seconds:.1f} s"])


_Case = tuple[str, str, Callable[..., Any], tuple[Tensor, ...]]


class _Draw:
    """Inputs for the table, the same in every run."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(2012)

    def normal(self, *shape: int, scale: float = 1.0) -> Tensor:
        return Tensor(np.asarray(scale * self.random.standard_normal(shape)), requires_grad=True)

    def positive(self, *shape: int) -> Tensor:
        return Tensor(np.asarray(self.random.uniform(0.5, 2, shape)), requires_grad=True)

    def distinct(self, *shape: int) -> Tensor:
        """Numbers from -2 to 2, far from each other and from 0: no ties, no kinks."""
        size = math.prod(shape)
        values = (self.random.permutation(size) + 0.25) * (4 / size) - 2
        return Tensor(values.reshape(shape), requires_grad=True)


def _cases() -> Iterator[_Case]:
    draw = _Draw()
    yield from _operator_cases(draw)
    yield from _activation_cases(draw)
    yield from _network_cases(draw)
    yield from _pool_cases(draw)
    yield from _loss_cases(draw)
    yield from _joining_cases(draw)


def _operator_cases(draw: _Draw) -> Iterator[_Case]:
    normal, positive, distinct = draw.normal, draw.positive, draw.distinct
    broadcasts = [((3, 4), (3, 4)), ((3, 4), (4,)), ((2, 1, 4), (3, 1)), ((3, 4), ())]
    for a, b in broadcasts:
        yield "+", f"{a} + {b}", lambda a, b: a + b, (normal(*a), normal(*b))
        yield "-", f"{a} - {b}", lambda a, b: a - b, (normal(*a), normal(*b))
        yield "*", f"{a} * {b}", lambda a, b: a * b, (normal(*a), normal(*b))
        yield "/", f"{a} / {b}", lambda a, b: a / b, (normal(*a), positive(*b))
    yield "+", "2 + x + 3", lambda x: 2 + x + 3, (normal(3, 4),)
    yield "-", "2 - (x - 3)", lambda x: 2 - (x - 3), (normal(3, 4),)
    yield "*", "x * x * 2.5, used twice", lambda x: x * x * 2.5, (normal(3, 4),)
    yield "/", "1 / (x / 3)", lambda x: 1 / (x / 3), (positive(3, 4),)
    yield "neg", "(3, 4)", lambda x: -x, (normal(3, 4),)
    yield "**", "x ** 3", lambda x: x**3, (normal(3, 4),)
    yield "**", "x ** 0", lambda x: x**0, (normal(3, 4),)
    yield "**", "x ** -0.75", lambda x: x**-0.75, (positive(3, 4),)
    for a, b in [((3, 4), (4, 2)), ((4,), (4, 2)), ((3, 4), (4,)), ((4,), (4,)), ((2, 1, 3, 4), (5, 4, 2))]:
        yield "@", f"{a} @ {b}", lambda a, b: a @ b, (normal(*a), normal(*b))
    yield "exp", "(3, 4)", Tensor.exp, (normal(3, 4),)
    yield "log", "(3, 4)", Tensor.log, (positive(3, 4),)
    for dim in (None, 0, -1, (0, 2)):
        for keepdim in (False, True):
            text = f"dim={dim}, keepdim={keepdim}"
            yield "sum", text, partial(Tensor.sum, dim=dim, keepdim=keepdim), (normal(2, 3, 4),)
            yield "mean", text, partial(Tensor.mean, dim=dim, keepdim=keepdim), (normal(2, 3, 4),)
            if isinstance(dim, int) or (dim is None and not keepdim):
                yield "max", text, partial(Tensor.max, dim=dim, keepdim=keepdim), (distinct(2, 3, 4),)
    yield "reshape", "(2, 3, 4) to (4, -1)", lambda x: x.reshape(4, -1), (normal(2, 3, 4),)
    yield "transpose", "0, 2", lambda x: x.transpose(0, 2), (normal(2, 3, 4),)
    yield "permute", "2, 0, 1", lambda x: x.permute(2, 0, 1), (normal(2, 3, 4),)
    yield "T", "(2, 3)", lambda x: x.T, (normal(2, 3),)
    yield "to", "the CPU", lambda x: ToDevice("cpu")(x), (normal(3, 4),)
    yield "[]", "[1:, ::2]", lambda x: x[1:, ::2], (normal(3, 4),)
    yield "[]", "[..., -1]", lambda x: x[..., -1], (normal(2, 3, 4),)
    yield "[]", "rows 0, 2, 2: one read twice", lambda x: x[np.array([0, 2, 2])], (normal(3, 4),)
    yield "[]", "boolean mask", lambda x: x[np.eye(3, 4, dtype=bool)], (normal(3, 4),)
    yield "flatten", "all", F.flatten, (normal(2, 3, 4),)
    yield "flatten", "from dimension 1", partial(F.flatten, start_dim=1), (normal(2, 3, 4),)
    for margins in ((0, 3, 0, 2), (1, 2), (2, 0, 0, 1, 1, 1)):
        yield "pad", f"{margins}", partial(F.pad, pad=margins, value=0.5), (normal(2, 3, 4),)


def _activation_cases(draw: _Draw) -> Iterator[_Case]:
    for shape in ((3, 5), (2, 3, 3, 2), ()):
        yield "relu", f"{shape}", F.relu, (draw.distinct(*shape),)
        yield "tanh", f"{shape}", F.tanh, (draw.normal(*shape),)
        yield "sigmoid", f"{shape}", F.sigmoid, (draw.normal(*shape),)
        yield "dropout", f"{shape}, p=0.3", partial(_seeded_dropout, p=0.3), (draw.normal(*shape),)
        for dim in range(len(shape)):
            text = f"{shape}, dim={dim}"
            yield "softmax", text, partial(F.softmax, dim=dim), (draw.normal(*shape),)
            yield "log_softmax", text, partial(F.log_softmax, dim=dim), (draw.normal(*shape),)
    yield "dropout", "p=0", partial(_seeded_dropout, p=0.0), (draw.normal(3, 5),)
    yield "dropout", "p=1", partial(_seeded_dropout, p=1.0), (draw.normal(3, 5),)
    yield "dropout", "not training", partial(F.dropout, training=False), (draw.normal(3, 5),)


def _seeded_dropout(x: Tensor, p: float) -> Tensor:
    manual_seed(0)
    return F.dropout(x, p)


def _network_cases(draw: _Draw) -> Iterator[_Case]:
    for leading in ((3,), (2, 3), ()):
        x = (*leading, 5)
        yield "linear", f"{x}", F.linear, (draw.normal(*x), draw.normal(4, 5), draw.normal(4))
    yield "linear", "no bias", F.linear, (draw.normal(3, 5), draw.normal(4, 5))
    yield (
        "linear",
        "small batch",
        lambda *x: SmallBatchLinear()(*x),
        (draw.normal(3, 5), draw.normal(4, 5), draw.normal(4)),
    )
    for stride, padding, groups in itertools.product((1, 2, 3, (2, 1)), (0, 1, (2, 1)), (1, 2)):
        H, W, CG = (5, 4, 3) if groups == 1 else (4, 3, 2)
        text = f"{H}x{W} image, 3x2 kernel, stride={stride}, padding={padding}, groups={groups}"
        inputs = draw.normal(2, groups * CG, H, W), draw.normal(4, CG, 3, 2), draw.normal(4)
        yield "conv2d", text, partial(F.conv2d, stride=stride, padding=padding, groups=groups), inputs
    depthwise = draw.normal(2, 3, 5, 3), draw.normal(6, 1, 3, 2), draw.normal(6)
    yield "conv2d", "groups=3, one channel each", partial(F.conv2d, padding=1, groups=3), depthwise
    yield "conv2d", "no bias, 1x1 kernel", F.conv2d, (draw.normal(2, 3, 3, 5), draw.normal(2, 3, 1, 1))
    full = draw.normal(2, 2, 3, 5), draw.normal(3, 2, 3, 5)
    yield "conv2d", "kernel as large as the image", F.conv2d, full
    text = "11x11 kernel, stride=4: AlexNet's first, small"
    yield "conv2d", text, partial(F.conv2d, stride=4), (draw.normal(1, 2, 19, 15), draw.normal(2, 2, 11, 11))
    for size in (3, 5):  # so many pictures that a few multiplications are saved, on a machine with many cores, too
        many = draw.normal(256, 16, 2, 2), draw.normal(16, 16, size, size, scale=0.05), draw.normal(16)
        text = f"256 images of 2x2, {size}x{size} kernel, padding={size // 2}"
        yield "conv2d", text, partial(F.conv2d, padding=size // 2), many
    # With AlexNet's alpha = 1e-4 the sum over the window hardly counts: a wrong window would pass.
    for size in (1, 2, 3, 4, 5, 8):
        for k, alpha, beta in ((2.0, 1.0 * size, 0.75), (1.0, 0.9, 1.0)):
            text = f"size={size}, alpha={alpha}, beta={beta}, k={k}"
            norm = partial(F.local_response_norm, size=size, alpha=alpha, beta=beta, k=k)
            yield "local_response_norm", text, norm, (draw.normal(2, 7, 2, 3),)
    for shape in ((3, 5), (2, 5, 3), (2, 3, 2, 2, 2)):
        norm = partial(F.local_response_norm, size=4, alpha=1.0)
        yield "local_response_norm", f"{shape}, size=4, alpha=1.0", norm, (draw.normal(*shape),)


def _pool_cases(draw: _Draw) -> Iterator[_Case]:
    windows: list[tuple[Any, Any, Any]] = [
        (2, None, 0),
        (3, 2, 0),
        (3, 2, 1),
        (3, 1, 1),
        (2, 3, 1),
        ((2, 4), (3, 2), (1, 2)),
        ((3, 1), (1, 2), 0),
    ]
    for (kernel_size, stride, padding), ceil_mode in itertools.product(windows, (False, True)):
        window = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "ceil_mode": ceil_mode}
        yield "max_pool2d", _settings(window), partial(F.max_pool2d, **window), (draw.distinct(2, 2, 5, 6),)
        for extra in ({}, {"count_include_pad": False}, {"divisor_override": 5}):
            average = {**window, **extra}
            yield "avg_pool2d", _settings(average), partial(F.avg_pool2d, **average), (draw.normal(1, 2, 5, 6),)


def _settings(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.items())


def _loss_cases(draw: _Draw) -> Iterator[_Case]:
    labels, weight = np.array([0, 3, 2, 3, 1]), Tensor(np.array([0.5, 1.0, 2.0, 1.5]))
    for reduction in ("mean", "sum", "none"):
        settings: list[dict[str, Any]] = [
            {},
            {"weight": weight},
            {"ignore_index": 3},
            {"label_smoothing": 0.1},
            {"weight": weight, "ignore_index": 3, "label_smoothing": 0.2},
        ]
        for setting in settings:
            text = ", ".join([f"reduction={reduction}", *setting])
            constants = (Tensor(labels), setting.pop("weight")) if "weight" in setting else (Tensor(labels),)
            loss = partial(F.cross_entropy, reduction=reduction, **setting)
            yield "cross_entropy", text, loss, (draw.normal(5, 4), *constants)
        loss = partial(F.cross_entropy, reduction=reduction)
        square = Tensor(labels[:4].reshape(2, 2))
        yield "cross_entropy", f"reduction={reduction}, (N, C, L) input", loss, (draw.normal(2, 4, 2), square)
    yield "cross_entropy", "in one kernel", _fused_cross_entropy, (draw.normal(5, 4), Tensor(labels), weight)


def _fused_cross_entropy(x: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    return FusedCrossEntropy(labels.data, weight.data, 3, "mean", 0.2)(x)


def _joining_cases(draw: _Draw) -> Iterator[_Case]:
    def cat(*tensors: Tensor) -> Tensor:
        return F.cat(tensors, 1)

    yield "cat", "(2, 3, 4) and (2, 1, 4), dim=1", cat, (draw.normal(2, 3, 4), draw.normal(2, 1, 4))
    x = draw.normal(2, 3)
    yield "cat", "the same twice", lambda x: F.cat([x, x]), (x,)
