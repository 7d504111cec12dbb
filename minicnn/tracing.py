"""The trace: a forward pass, recorded as it happens, and walked through one operation at a time.

What is stepped through is the engine itself. A trace listens while operations are applied and while the backward walk
passes, and keeps the arrays that were there anyway. It draws nothing: whoever can (:mod:`minicnn.viz`) enters itself in
:data:`renderers`.
"""

from __future__ import annotations

import inspect
import math
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from minicnn import kernels, nn
from minicnn.autograd import BackwardStep, Function, Tensor, Window, recording
from minicnn.backend import Array, asnumpy

__all__ = ["OperationRecord", "TraceStep", "Trace", "TracedBackwardStep", "norm", "renderers", "trace", "trace_of"]

PIECE = 1 << 16  # numbers at a time that stay in the cache: fc6 has 38 million weights

renderers: dict[str, Callable[..., str]] = {}
"""Who makes pictures: ``"card"``, of a step; ``"page"``, of a trace. Both return HTML."""


def norm(array: Array) -> float:
    """Return the length of an array seen as one long vector: the root of the sum of its squares."""
    numbers = asnumpy(array).reshape(-1)
    pieces = (numbers[start : start + PIECE].astype(np.float64) for start in range(0, numbers.size, PIECE))
    return math.sqrt(sum(float(piece @ piece) for piece in pieces))


# --- what is kept -------------------------------------------------------------------------------------------------


@dataclass(eq=False, repr=False)
class OperationRecord:
    """What a trace keeps of one operation. Arrays are the engine's own, not copies.

    Attributes
    ----------
    operation : type of Function
        Its class.
    layer : str
        The path of the layer that applied it in the network that was called; empty if there was none.
    position : int
        How many operations came before it.
    inputs : tuple of (array or None)
        What it was given.
    output : array
        What it made.
    hyperparameters, saved : dict
        The two parts of ``vars(function)``: what it was told, and what it keeps for the way back.
    sources : tuple of (OperationRecord or None)
        For each input the operation that made it; None if the trace has not seen it being made.
    kernels : module or None
        Which of :mod:`minicnn.kernels` it ran on; None if nothing has needed any yet.
    reads : Window or None
        Which places of its inputs one place of the output depends on; None: all.
    grad_output, grad_inputs : array or None, tuple of (array or None)
        The gradients of the last backward walk, None and empty before it.
    """

    operation: type[Function]
    layer: str
    position: int
    inputs: tuple[Array | None, ...]
    output: Array
    hyperparameters: dict[str, Any]
    saved: dict[str, Any]
    sources: tuple[OperationRecord | None, ...]
    kernels: ModuleType | None = None
    reads: Window | None = None
    grad_output: Array | None = None
    grad_inputs: tuple[Array | None, ...] = ()

    def walk_back(self, step: BackwardStep) -> TracedBackwardStep:
        """Keep the gradients, and return a step that knows all that was recorded."""
        self.grad_output, self.grad_inputs = step.grad_output, step.grad_inputs
        return TracedBackwardStep(step.function, step.grad_output, step.grad_inputs, self)


# --- what can be asked --------------------------------------------------------------------------------------------


class TraceStep:
    """One operation, on the way forward or on the way back.

    In a notebook it shows as a card with pictures; elsewhere it prints as a few lines of text.

    Parameters
    ----------
    record : OperationRecord
        What was kept of the operation.
    backward : bool
        Which way is gone.
    """

    record: OperationRecord
    backward: bool

    def __init__(self, record: OperationRecord, backward: bool = False) -> None:
        self.record, self.backward = record, backward

    @property
    def name(self) -> str:
        """The operation's name: that of its class."""
        return self.record.operation.__name__

    @property
    def layer(self) -> str:
        """The layer's path in the network, empty for an operation outside of any layer."""
        return self.record.layer

    @property
    def title(self) -> str:
        """Layer and operation: ``"conv2: Conv2d"``."""
        return f"{self.layer}: {self.name}" if self.layer else self.name

    @property
    def equation(self) -> str:
        """The equation of this direction, from the operation's docstring."""
        forward, backward = _equations(self.record.operation)
        return (backward or forward) if self.backward else forward

    @property
    def section(self) -> str:
        """The section of the paper that the operation's docstring names, empty if it names none."""
        for docstring in _docstrings(self.record.operation):
            found = re.search(r"\w+ et al\. \d{4}, sections? \d+(\.\d+)?", " ".join(docstring.split()))
            if found:
                return found.group()
        return ""

    @property
    def explanation(self) -> str:
        """The operation's whole docstring, and those of the operations that it is a kind of."""
        return "\n\n".join(_docstrings(self.record.operation))

    @property
    def source(self) -> str:
        """The lines that run: ``forward`` or ``backward``, and below it the methods, functions and kernels it calls."""
        method = "backward" if self.backward else "forward"
        return "\n\n".join(_source(self.record.operation, method, self.record.kernels))

    @property
    def names(self) -> tuple[str, ...]:
        """What the operation calls its inputs."""
        parameters = list(inspect.signature(self.record.operation.forward).parameters.values())[2:]
        if len(parameters) == len(self.record.inputs) and all(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters):
            return tuple(parameter.name for parameter in parameters)
        return tuple(f"x{number}" for number in range(len(self.record.inputs)))

    @property
    def inputs(self) -> dict[str, Array]:
        """The inputs by name, without those that are absent."""
        named = zip(self.names, self.record.inputs, strict=True)
        return {name: array for name, array in named if array is not None}

    @property
    def output(self) -> Array:
        """What the operation made."""
        return self.record.output

    @property
    def input_shapes(self) -> tuple[tuple[int, ...] | None, ...]:
        """The shapes of the inputs, None for one that is absent."""
        return tuple(None if array is None else array.shape for array in self.record.inputs)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the output."""
        return tuple(self.record.output.shape)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """What the operation was told: stride, padding, ..."""
        return self.record.hyperparameters

    @property
    def saved(self) -> dict[str, Any]:
        """What the operation keeps for the way back: arrays, and the shapes or sizes that it will need."""
        return self.record.saved

    @property
    def gradients_in(self) -> dict[str, Array]:
        """On the way back ``{"dL/dy": the gradient of the output}``; nothing on the way forward."""
        if not self.backward or self.record.grad_output is None:
            return {}
        return {"dL/dy": self.record.grad_output}

    @property
    def gradients_out(self) -> dict[str, Array]:
        """On the way back the gradient of each input that needs one; nothing on the way forward."""
        if not self.backward or not self.record.grad_inputs:
            return {}
        named = zip(self.names, self.record.grad_inputs, strict=True)
        return {f"dL/d{name}": array for name, array in named if array is not None}

    @property
    def norms(self) -> dict[str, float]:
        """The lengths of the gradients that came in and go out: see :func:`norm`."""
        return {name: norm(array) for name, array in {**self.gradients_in, **self.gradients_out}.items()}

    def __repr__(self) -> str:
        lines = [("what", self.equation)] + ([("paper", self.section)] if self.section else [])
        if self.hyperparameters:
            told = (f"{name}={_short(value)}" for name, value in self.hyperparameters.items())
            lines.append(("told", ", ".join(told)))
        arrays = {**self.inputs, "y": self.output} if not self.backward else {}
        lines += [(name, str(array.shape)) for name, array in arrays.items()]
        lines += [("saved", ", ".join(f"{name} {_short(value)}" for name, value in self.saved.items()) or "nothing")]
        for sign, gradients in (("in", self.gradients_in), ("out", self.gradients_out)):
            lines += [(name, f"{a.shape}, norm {norm(a):.4g}, {sign}") for name, a in gradients.items()]
        lines.append(("lines", self.source.partition("\n")[0].removeprefix("# ")))
        width = max(len(label) for label, _ in lines)
        way = "backward" if self.backward else "forward"
        head = f"{self.title}, {way} (operation {self.record.position + 1})"
        return "\n".join([head, *(_block(label.ljust(width), text) for label, text in lines)])

    def _repr_html_(self) -> str | None:
        return renderers["card"](self) if "card" in renderers else None


@dataclass(frozen=True, eq=False, repr=False)
class TracedBackwardStep(TraceStep, BackwardStep):
    """What ``loss.backward_steps()`` yields for an operation that was traced: a BackwardStep that knows more."""

    record: OperationRecord
    backward: bool = field(default=True, init=False)


def _short(value: Any) -> str:
    """Write an array as its shape, and anything else as Python would."""
    return f"{value.dtype}{list(value.shape)}" if hasattr(value, "shape") else repr(value)


def _block(label: str, text: str) -> str:
    indent = " " * (len(label) + 6)
    paragraphs = [textwrap.wrap(line, 100, break_long_words=False) for line in text.splitlines()]
    return f"    {label}  " + f"\n{indent}".join(line for lines in paragraphs for line in lines)


def _docstrings(operation: type[Function]) -> list[str]:
    """Return the docstrings of an operation's class and of those that it is a kind of, the nearest first."""
    kinds = operation.__mro__[: operation.__mro__.index(Function)]
    return [inspect.cleandoc(kind.__doc__) for kind in kinds if kind.__doc__]


def _equations(operation: type[Function]) -> tuple[str, str]:
    """Return what a docstring says of the way forward, and of the way back.

    Equations stand in its first paragraph and in indented ones, with more than one space between them; those of the
    way back begin with dL.
    """
    docstrings = _docstrings(operation)
    for docstring in docstrings:
        first, *others = docstring.split("\n\n")
        display = [first, *(other for other in others if other.startswith(" "))]
        parts = re.split(r"[;,.]?(?:(?<=[;,.])\s{2,}|$)", "  ".join(" ".join(_lines_of(text)) for text in display))
        equations = [part.strip() for part in parts if "=" in part or part.strip().startswith("dL")]
        forward = [equation for equation in equations if not equation.startswith("dL")]
        if forward:
            return "\n".join(forward), "\n".join(equation for equation in equations if equation.startswith("dL"))
    return (docstrings[0].split("\n\n")[0], "") if docstrings else ("", "")


def _lines_of(paragraph: str) -> list[str]:
    return [line.strip() for line in paragraph.splitlines()]


def _source(operation: type[Function], method: str, used: ModuleType | None) -> list[str]:
    """Return the text of a method, and of what it calls: methods of the same operation, functions beside it, kernels.

    What a kernel calls in its turn is left to the file that it stands in.
    """
    functions = [getattr(operation, method)]
    texts = []
    for function in functions:  # which grows on the way
        try:
            lines, start = inspect.getsourcelines(function)
        except (OSError, TypeError):  # typed into a Python shell, say
            texts.append(f"# {function.__module__}: {function.__qualname__}, whose source is not at hand")
            continue
        text = textwrap.dedent("".join(lines)).rstrip()
        texts.append(f"# {function.__module__}, line {start}\n{text}")
        called = dict.fromkeys(_called(operation, function, text, used))
        functions += [one for one in called if inspect.isfunction(one) and one not in functions]
    return texts


def _called(operation: type[Function], function: Any, text: str, used: ModuleType | None) -> list[Any]:
    """Return what the text of a function calls, as far as it is read together with the operation."""
    owner = next((kind for kind in operation.__mro__ if function in vars(kind).values()), operation)
    called = [getattr(operation, name, None) for name in re.findall(r"\bself\.(\w+)\(", text)]
    called += [getattr(super(owner, operation), name) for name in re.findall(r"\bsuper\(\)\.(\w+)\(", text)]
    beside = [function.__globals__.get(name) for name in re.findall(r"(?<![\w.])(\w+)\(", text)]
    called += [one for one in beside if getattr(one, "__module__", "") == operation.__module__]
    loops = [getattr(used, name, None) for name in re.findall(r"\bkernels\.(\w+)", text)]
    return called + [getattr(loop, "py_func", loop) for loop in loops]  # what Numba was given to compile


# --- the trace ----------------------------------------------------------------------------------------------------


class Trace:
    """A recorded forward pass: what :func:`trace` gives.

    Attributes
    ----------
    records : list of OperationRecord
        The operations in the order in which they were applied.
    """

    def __init__(self, records: Sequence[OperationRecord] = ()) -> None:
        self.records = list(records)
        self._makers: dict[
            int, OperationRecord
        ] = {}  # by the identity of what they made; records keep those arrays alive

    def __len__(self) -> int:
        return len(self.records)

    def forward_steps(self) -> Iterator[TraceStep]:
        """Walk through the forward pass again, one operation at a time."""
        return (TraceStep(record) for record in self.records)

    def backward_steps(self) -> Iterator[TraceStep]:
        """Walk once more through what the last backward walk has passed; nothing is computed.

        The walk itself is ``loss.backward_steps()``, or ``loss.backward()``.
        """
        return (TraceStep(record, backward=True) for record in reversed(self.records) if record.grad_output is not None)

    def save_html(
        self,
        path: str | os.PathLike[str],
        picture: np.ndarray | None = None,
        classes: Sequence[str] = (),
        title: str = "",
    ) -> None:
        """Write the walk as one HTML file that needs nothing else: forwards, and backwards if that has been walked.

        Parameters
        ----------
        path : path
            The file; what was there before is replaced.
        picture : ndarray of uint8, (H, W, 3), optional
            What the network was shown; by default its first input, scaled to be seen.
        classes : sequence of str
            The names of the scores.
        title : str
            Above everything.

        Raises
        ------
        ValueError
            If nothing was recorded, or there is a name too many or too few.
        OSError
            If the file cannot be written.
        """
        if "page" not in renderers:
            raise RuntimeError("save_html: import minicnn.viz first; it makes the page")
        page = renderers["page"](self, picture, classes, title)
        with open(path, "w", encoding="utf-8") as file:
            file.write(page)

    def __repr__(self) -> str:
        rows = [(step.layer, step.name, _shapes(step)) for step in self.forward_steps()]
        wide = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
        lines = (f"  {layer:<{wide[0]}}  {name:<{wide[1]}}  {shapes}" for layer, name, shapes in rows)
        return "\n".join([f"trace of {len(rows)} operations", *lines])

    def _record(self, function: Function, inputs: tuple[Tensor | None, ...], output: Tensor) -> OperationRecord:
        arrays = tuple(None if tensor is None else tensor.data for tensor in inputs)
        told = function.hyperparameters
        record = OperationRecord(
            type(function),
            _layer_at_work(),
            len(self.records),
            arrays,
            output.data,
            told,
            {name: value for name, value in vars(function).items() if name not in told},
            tuple(self._makers.get(id(array)) for array in arrays),
            kernels.in_use(output.data),
            function.reads,
        )
        self.records.append(record)
        self._makers[id(output.data)] = record
        return record


@contextmanager
def trace() -> Iterator[Trace]:
    """Record every operation that this thread applies, with all that the backward walk would free.

    Afterwards ``trace.forward_steps()`` walks through the forward pass, and ``loss.backward_steps()`` through the
    backward pass: it leaves the same gradients as ``loss.backward()``, and each of its steps knows what was recorded.
    Since nothing is freed, it can be walked again; leaves add up their gradients, as always.

    The arrays are the engine's own, not copies. An optimiser changes weights in place, so look at a trace before the
    next ``step()``. A trace inside a trace records in its place.

    Yields
    ------
    Trace

    Examples
    --------
    >>> import minicnn
    >>> x = minicnn.Tensor([[1.0, -2.0]], requires_grad=True)
    >>> with minicnn.trace() as trace:
    ...     loss = minicnn.functional.relu(x * 3).sum()
    >>> trace
    trace of 3 operations
        Mul   (1, 2), () -> (1, 2)
        ReLU  (1, 2) -> (1, 2)
        Sum   (1, 2) -> ()
    >>> [step.name for step in loss.backward_steps()]
    ['Sum', 'ReLU', 'Mul']
    """
    recorded = Trace()
    with recording(recorded._record):
        yield recorded


def trace_of(output: Tensor) -> Trace:
    """Return the part of a trace that led to this tensor.

    Parameters
    ----------
    output : Tensor
        A loss, say.

    Returns
    -------
    Trace
        The same records, as far as `output` depends on them.

    Raises
    ------
    ValueError
        If it was not computed within a trace, or depends on nothing that requires a gradient.
    """
    last = output.creator.record if output.creator is not None else None
    if not isinstance(last, OperationRecord):
        raise ValueError("trace_of: output must be computed inside `with minicnn.trace():`, from what needs gradients")
    found = {last}
    waiting = [last]
    while waiting:
        before = {source for source in waiting.pop().sources if source is not None} - found
        found |= before
        waiting += before
    return Trace(sorted(found, key=lambda record: record.position))


def _shapes(step: TraceStep) -> str:
    return f"{', '.join(str(shape) for shape in step.input_shapes if shape is not None)} -> {step.output_shape}"


def _layer_at_work() -> str:
    """Return the path of the innermost module that is being called, in the outermost one.

    They are found on the call stack: so modules need not know that there are traces, and cost nothing without one.
    """
    called: list[nn.Module] = []
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code is nn.Module.__call__.__code__:
            called.append(frame.f_locals["self"])
    if not called:
        return ""
    layer, network = called[0], called[-1]
    paths = (path for path, module in network.named_modules() if module is layer)
    return next(paths, "") or type(layer).__name__
