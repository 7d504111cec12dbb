"""The trace: a forward pass and its backward pass, recorded as they happen, to step through one operation at a time.

What you step through is the engine itself. A trace is called when an operation has been applied and when a gradient has
flowed back through it, and keeps the arrays that exist anyway. It draws nothing: :mod:`minicnn.viz` adds what draws to
:data:`renderers`.
"""

from __future__ import annotations

import inspect
import math
import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from minicnn import explanations, kernels, nn
from minicnn.autograd import BackwardStep, Function, Tensor, Window
from minicnn.backend import Array, asnumpy
from minicnn.files import write_atomically
from minicnn.grad_mode import recording

__all__ = ["OperationRecord", "TraceStep", "Trace", "TracedBackwardStep", "norm", "renderers", "trace", "trace_of"]

PIECE = 1 << 16  # numbers at a time, which fit in the cache: fc6 has 38 million weights

renderers: dict[str, Callable[..., str]] = {}
"""What draws: ``"card"`` a step, ``"page"`` a trace. Both return HTML."""


def norm(array: Array) -> float:
    """Return the norm of an array as one long vector: the square root of the sum of its squares."""
    values = asnumpy(array).reshape(-1)
    pieces = (values[start : start + PIECE].astype(np.float64) for start in range(0, values.size, PIECE))
    return math.sqrt(sum(float(piece @ piece) for piece in pieces))


# --- what is recorded ---------------------------------------------------------------------------------------------


@dataclass(eq=False, repr=False)
class OperationRecord:
    """What a trace keeps of one operation. Arrays are the engine's own, not copies.

    Attributes
    ----------
    operation : type of Function
        Its class.
    layer : str
        The path of the layer that applied it in the network that was called; empty outside of any layer.
    position : int
        The number of operations before it.
    inputs, output : tuple of (array or None), array
        What it was applied to, and its result.
    hyperparameters, saved : dict
        The two parts of ``vars(function)``: its settings, and what it saved for the backward pass.
    sources : tuple of (OperationRecord or None)
        For each input the operation that computed it; None if that was not recorded.
    kernels : module or None
        The back end of :mod:`minicnn.kernels` that it ran on; None if no operation has needed one yet.
    reads : Window or None
        Which positions of its inputs one position of the output depends on; None: all.
    grad_output, grad_inputs : array or None, tuple of (array or None)
        The gradients of the last backward pass, None and empty before it.
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

    def keep_gradients(self, step: BackwardStep) -> TracedBackwardStep:
        """Keep the gradients, and return a step that has everything that was recorded."""
        self.grad_output, self.grad_inputs = step.grad_output, step.grad_inputs
        return TracedBackwardStep(step.function, step.grad_output, step.grad_inputs, step.finished, self)


# --- steps --------------------------------------------------------------------------------------------------------


class TraceStep:
    """One operation, in the forward or the backward pass.

    In a notebook it shows as a card with images; elsewhere it prints as a few lines of text. Its attribute `record` has
    what was recorded of the operation, and `backward` is True for a step of the backward pass.
    """

    def __init__(self, record: OperationRecord, backward: bool = False) -> None:
        self.record, self.backward = record, backward

    @property
    def name(self) -> str:
        """The operation's name, the textbook's whatever the algorithm: ``"Conv2d"``."""
        return explanations.name(self.record.operation)

    @property
    def algorithm(self) -> str:
        """The algorithm that ran, for an operation that has several: ``"direct"``."""
        return self.record.operation.algorithm

    @property
    def layer(self) -> str:
        """The layer's path in the network, empty for an operation outside of any layer."""
        return self.record.layer

    @property
    def title(self) -> str:
        """Layer, operation and algorithm: ``"conv2: Conv2d (direct)"``."""
        return f"{self.layer}: {_with_algorithm(self)}" if self.layer else _with_algorithm(self)

    @property
    def equation(self) -> str:
        """The equation of this pass, from the operation's docstring."""
        forward, backward = explanations.equations(self.record.operation)
        return (backward or forward) if self.backward else forward

    @property
    def section(self) -> str:
        """The section of the paper that the operation's docstring names, empty if it names none."""
        return explanations.section(self.record.operation)

    @property
    def explanation(self) -> str:
        """The operation's whole docstring, and those of the operations that it inherits from."""
        return "\n\n".join(explanations.docstrings(self.record.operation))

    @property
    def source(self) -> str:
        """The lines that run: ``forward`` or ``backward``, and below it the methods, functions and kernels it calls."""
        method = "backward" if self.backward else "forward"
        return explanations.source(self.record.operation, method, self.record.kernels)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the inputs, as ``forward`` has them."""
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
        """The output of the operation."""
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
        """The settings of the operation: stride, padding, ..."""
        return self.record.hyperparameters

    @property
    def saved(self) -> dict[str, Any]:
        """What the operation saved for the backward pass: arrays, and the shapes or sizes that it will need."""
        return self.record.saved

    @property
    def gradients_in(self) -> dict[str, Array]:
        """In the backward pass ``{"dL/dy": the gradient of the output}``; empty in the forward pass."""
        gradient = self.record.grad_output if self.backward else None
        return {} if gradient is None else {"dL/dy": gradient}

    @property
    def gradients_out(self) -> dict[str, Array]:
        """In the backward pass the gradient of each input that needs one; empty in the forward pass."""
        if not self.backward or not self.record.grad_inputs:
            return {}
        named = zip(self.names, self.record.grad_inputs, strict=True)
        return {f"dL/d{name}": array for name, array in named if array is not None}

    @property
    def norms(self) -> dict[str, float]:
        """The norms of the gradients that flow in and out: see :func:`norm`."""
        return {name: norm(array) for name, array in {**self.gradients_in, **self.gradients_out}.items()}

    def __repr__(self) -> str:
        lines = [("what", self.equation)] + ([("paper", self.section)] if self.section else [])
        if self.hyperparameters:
            settings = (f"{name}={_short(value)}" for name, value in self.hyperparameters.items())
            lines.append(("with", ", ".join(settings)))
        arrays = {**self.inputs, "y": self.output} if not self.backward else {}
        lines += [(name, str(array.shape)) for name, array in arrays.items()]
        lines += [("saved", ", ".join(f"{name} {_short(value)}" for name, value in self.saved.items()) or "nothing")]
        for sign, gradients in (("in", self.gradients_in), ("out", self.gradients_out)):
            lines += [(name, f"{a.shape}, norm {norm(a):.4g}, {sign}") for name, a in gradients.items()]
        lines.append(("lines", self.source.partition("\n")[0].removeprefix("# ")))
        width = max(len(label) for label, _ in lines)
        head = f"{self.title}, {'backward' if self.backward else 'forward'} (operation {self.record.position + 1})"
        return "\n".join([head, *(_block(label.ljust(width), text) for label, text in lines)])

    def _repr_html_(self) -> str | None:
        return renderers["card"](self) if "card" in renderers else None


@dataclass(frozen=True, eq=False, repr=False)
class TracedBackwardStep(TraceStep, BackwardStep):
    """What ``loss.backward_steps()`` yields for an operation that was traced: a BackwardStep with more to ask for."""

    record: OperationRecord
    backward: bool = field(default=True, init=False)


def _short(value: Any) -> str:
    """Write an array as its dtype and shape, and anything else as Python does."""
    return f"{value.dtype}{list(value.shape)}" if hasattr(value, "shape") else repr(value)


def _block(label: str, text: str) -> str:
    indent = " " * (len(label) + 6)
    paragraphs = [textwrap.wrap(line, 100, break_long_words=False) for line in text.splitlines()]
    return f"    {label}  " + f"\n{indent}".join(line for lines in paragraphs for line in lines)


# --- the trace ----------------------------------------------------------------------------------------------------


class Trace:
    """A recorded forward pass, as :func:`trace` yields it; ``records`` has its operations in order."""

    def __init__(self, records: Sequence[OperationRecord] = ()) -> None:
        self.records = list(records)
        self._makers: dict[int, OperationRecord] = {}  # by the id of the output, which the record keeps alive

    def __len__(self) -> int:
        return len(self.records)

    def forward_steps(self) -> Iterator[TraceStep]:
        """Return the steps of the forward pass, one for each operation."""
        return (TraceStep(record) for record in self.records)

    def backward_steps(self) -> Iterator[TraceStep]:
        """Return the steps of the last backward pass, as far as it has got; nothing is computed.

        What computes is ``loss.backward_steps()``, or ``loss.backward()``.
        """
        return (TraceStep(record, backward=True) for record in reversed(self.records) if record.grad_output is not None)

    def save_html(
        self,
        path: str | os.PathLike[str],
        picture: np.ndarray | None = None,
        classes: Sequence[str] = (),
        title: str = "",
    ) -> None:
        """Write the steps as one self-contained HTML file: the forward pass, and the backward pass if there was one.

        Parameters
        ----------
        path : path
            The file; an existing one is replaced.
        picture : ndarray of uint8, (H, W, 3), optional
            The image to show as the input; by default the network's first input, scaled to be visible.
        classes : sequence of str
            The names of the scores.
        title : str
            The heading.

        Raises
        ------
        ValueError
            If nothing was recorded, or the number of names is not the number of scores.
        """
        if "page" not in renderers:
            raise RuntimeError("save_html: import minicnn.viz first; it makes the page")
        page = renderers["page"](self, picture, classes, title)
        write_atomically(path, page)

    def __repr__(self) -> str:
        rows = [(step.layer, _with_algorithm(step), _shapes(step)) for step in self.forward_steps()]
        wide = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
        lines = (f"  {layer:<{wide[0]}}  {operation:<{wide[1]}}  {shapes}" for layer, operation, shapes in rows)
        return "\n".join([f"trace of {len(rows)} operations", *lines])

    def _record(self, function: Function, inputs: tuple[Tensor | None, ...], output: Tensor) -> OperationRecord:
        arrays = tuple(None if tensor is None else tensor.data for tensor in inputs)
        settings = function.hyperparameters
        record = OperationRecord(
            type(function),
            _current_layer(),
            len(self.records),
            arrays,
            output.data,
            settings,
            {name: value for name, value in vars(function).items() if name not in settings},
            tuple(self._makers.get(id(array)) for array in arrays),
            kernels.in_use(output.data),
            function.reads,
        )
        self.records.append(record)
        self._makers[id(output.data)] = record
        return record


@contextmanager
def trace() -> Iterator[Trace]:
    """Record every operation that this thread applies, with everything that the backward pass would free.

    Afterwards ``trace.forward_steps()`` steps through the forward pass, and ``loss.backward_steps()`` through the
    backward pass: it computes the same gradients as ``loss.backward()``, and its steps have what was recorded. Since
    nothing is freed, a second backward pass is possible; gradients accumulate in the leaves, as always.

    The arrays are the engine's own, not copies. An optimiser changes weights in place, so look at a trace before the
    next ``step()``. Inside another trace, only the inner one records.

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
    """Return the part of a trace that `output`, for example a loss, depends on.

    Raises
    ------
    ValueError
        If it was not computed inside a trace, or depends on nothing that requires a gradient.
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


def _with_algorithm(step: TraceStep) -> str:
    return f"{step.name} ({step.algorithm})" if step.algorithm else step.name


def _current_layer() -> str:
    """Return the path of the innermost module that is being called, in the outermost one.

    The call stack has them, so modules need not know about traces, and cost nothing without one.
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
