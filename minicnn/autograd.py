"""The engine: a Tensor remembers the Function that made it, and the backward pass follows that memory home.

A graph is nothing but these memories: output -> Function -> the inputs' Functions, and at the end the leaves. It keeps
only the arrays that Functions have saved, and it has no reference cycles, so it is freed as soon as its last tensor is
dropped.
"""

import heapq
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar, NamedTuple, Protocol

from minicnn.backend import (
    Array,
    Edits,
    any_shares,
    device_of,
    get_array_module,
    on_device_of,
    owns_memory,
    same_device,
)
from minicnn.grad_mode import is_grad_enabled, mode
from minicnn.tensors import Tensor, as_tensor, clock, install_methods, mark_written

__all__ = ["OWN_PLACE", "BackwardStep", "Function", "Tensor", "Window", "as_tensor", "install_methods", "mark_written"]


# --- operations --------------------------------------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class Origin:
    """Where an input came from: what the backward pass needs to know of it. It does not keep the data alive."""

    creator: "Function | None"  # None for a leaf
    leaf: Tensor | None  # the leaf itself, if it requires a gradient
    shape: tuple[int, ...]
    dtype: Any
    edits: Edits

    @staticmethod
    def of(tensor: Tensor) -> "Origin":
        """Return where this tensor came from."""
        leaf = tensor if tensor.creator is None and tensor._requires_grad else None
        return Origin(tensor.creator, leaf, tensor.shape, tensor.dtype, tensor.edits)


class Window(NamedTuple):
    """Which positions of an input map one position of the output reads: a window, in height and width."""

    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


OWN_PLACE = Window((1, 1), (1, 1), (0, 0))


class Function:
    """One operation: how it is computed, and how the gradient flows back through it.

    A subclass takes its hyperparameters in ``__init__`` and defines

    ``forward(self, xp, *arrays)``
        returns the output array. It saves what the backward pass needs as named attributes, so that ``vars(op)`` shows
        the hyperparameters and the saved arrays and nothing else.
    ``backward(self, xp, grad_output)``
        returns the gradient of the input (a tuple if there are several inputs): new arrays or views of `grad_output`,
        which it never writes into. It may return None for an input whose ``self.needs_input_grad`` is False.

    Both take and return plain arrays; `xp` is their module, NumPy or CuPy. An instance is applied once, by calling it
    with tensors.

    Attributes
    ----------
    textbook : type of Function or None
        For a class that computes the same as another one by a different algorithm: the other one, whose name and
        equations it shares.
    algorithm : str
        The name of the algorithm, for an operation that has several.
    needed_by : dict
        For an input that is saved, by position: the positions of the inputs whose gradients it serves; of all, if it
        is not listed. A product saves each factor for the other one.
    views : bool
        Whether the output may be a view of the first input.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "edits",
        "hyperparameters",
        "inputs",
        "needs_input_grad",
        "number",
        "record",
        "retained",
    )

    inputs: tuple[Origin | None, ...] | None
    needs_input_grad: tuple[bool, ...]
    record: "StepRecorder | None"
    retained: weakref.ref[Tensor] | None
    textbook: "ClassVar[type[Function] | None]" = None
    algorithm: ClassVar[str] = ""
    needed_by: ClassVar[dict[int, tuple[int, ...]]] = {}
    views: ClassVar[bool] = False
    edits: Edits  # of the output

    @property
    def reads(self) -> Window | None:
        """Which positions of the inputs one position (row, column) of the output depends on; None: all of them.

        Known after forward. A subclass that treats each position by itself declares ``reads = OWN_PLACE``. Receptive
        fields are computed from it.
        """
        return None

    def forward(self, xp: ModuleType, *arrays: Any) -> Array:
        """Return the output array for these input arrays."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    def backward(self, xp: ModuleType, grad_output: Array) -> Any:
        """Return the gradient of each input, given the gradient of the output."""
        raise NotImplementedError(f"{type(self).__name__} defines no backward")

    def __call__(self, *inputs: Any) -> Tensor:
        """Apply the operation to tensors, to arrays, which need no gradient, or to None for an absent input."""
        if hasattr(self, "number"):
            raise RuntimeError(f"{type(self).__name__}: an operation can be applied only once; make a new one")
        tensors = tuple(x if x is None or isinstance(x, Tensor) else Tensor(x) for x in inputs)
        arrays = [None if tensor is None else tensor.data for tensor in tensors]
        xp = get_array_module(*arrays)
        wanted = tuple(t is not None and t._requires_grad for t in tensors)
        self.number = next(clock)
        self.retained = None
        self.needs_input_grad = wanted if is_grad_enabled() else (False,) * len(tensors)
        self.hyperparameters = dict(vars(self))
        with self._on_one_device(arrays):
            output = Tensor(self.forward(xp, *arrays))
        if self.views and tensors[0] is not None and any_shares([output.data], tensors[0].data):
            output.edits = tensors[0].edits
        self.edits = output.edits
        if any(self.needs_input_grad):
            self.inputs = tuple(None if tensor is None else Origin.of(tensor) for tensor in tensors)
            output.creator = self
            output._requires_grad = True
        self.record = None if mode.recorder is None else mode.recorder(self, tensors, output)
        return output

    def _on_one_device(self, arrays: list[Array | None]) -> AbstractContextManager[Any]:
        """Return a context for computing on the device of the inputs; refuse inputs on different devices."""
        present = [array for array in arrays if array is not None]
        if len({device_of(array) for array in present}) > 1:
            names = self.forward.__code__.co_varnames[2:]
            same_device(type(self).__name__, **dict(zip(names, arrays, strict=False)))
        return on_device_of(present[0])

    def release(self) -> None:
        """Drop the saved arrays and the links to the inputs, but keep the hyperparameters."""
        self.inputs = None
        vars(self).clear()
        vars(self).update(self.hyperparameters)


@dataclass(frozen=True, eq=False)
class BackwardStep:
    """One step of the backward pass.

    Attributes
    ----------
    function : Function
        The operation.
    grad_output : array
        The gradient of its output: ``d loss / d output``.
    grad_inputs : tuple of (array or None)
        The gradient of each input; None where none is needed.
    finished : tuple of Tensor
        The leaves whose gradient is complete now: no later step adds to it, so it can already be used or sent.
    """

    function: Function
    grad_output: Array
    grad_inputs: tuple[Array | None, ...]
    finished: tuple[Tensor, ...]


class StepRecorder(Protocol):
    """What a trace keeps of an operation. The backward pass frees nothing of an operation that has one."""

    def keep_gradients(self, step: BackwardStep) -> BackwardStep:
        """Keep the gradients of this step, and return the step to yield in its place."""
        ...


# --- the backward pass ---------------------------------------------------------------------------------------------


def backward(tensor: Tensor, gradient: Any = None) -> None:
    """Compute the gradient of this tensor with respect to the leaves, and add it to each leaf's ``grad``.

    Parameters
    ----------
    gradient : array or Tensor, optional
        ``d loss / d tensor``, of this tensor's shape. Not needed for a tensor of one element, where it is 1.

    Raises
    ------
    RuntimeError
        If the tensor depends on nothing that requires a gradient, the graph has been freed by an earlier backward
        pass, or numbers that an operation has saved were changed in place since.
    ValueError
        If `gradient` has another shape, or is missing for a tensor of more than one element.
    """
    for _ in backward_steps(tensor, gradient):
        pass


def backward_steps(tensor: Tensor, gradient: Any = None) -> Iterator[BackwardStep]:
    """Do what :meth:`Tensor.backward` does one operation at a time. Parameters and errors are the same.

    Yields
    ------
    BackwardStep
        The operation, the gradient of its output and the gradients of its inputs.
    """
    with on_device_of(tensor.data):
        start = _starting_gradient(tensor, gradient)
    if tensor.creator is None:
        _accumulate(tensor, start, fresh=False)
        return
    # A Function is numbered when it is applied, after everything that it depends on. Taking the highest number
    # first therefore visits each one only when everything downstream has delivered its gradient.
    waiting = [(-tensor.creator.number, tensor.creator)]
    gradients: dict[int, Array] = {tensor.creator.number: start}
    missing = _uses_of_leaves(tensor.creator)
    while waiting:
        _, function = heapq.heappop(waiting)
        grad_output = gradients.pop(function.number)
        inputs = function.inputs
        if inputs is None:
            raise RuntimeError(
                f"backward: the graph behind {type(function).__name__} was freed by an earlier backward pass; "
                "run the forward pass again"
            )
        retained = function.retained() if function.retained is not None else None
        if retained is not None:
            _accumulate(retained, grad_output, fresh=False)
        grad_inputs = _checked_gradients(function, grad_output)
        finished = []
        for origin, grad in zip(inputs, grad_inputs, strict=True):
            if origin is None or grad is None:
                continue
            source = origin.creator
            if origin.leaf is not None:
                shared = grad is grad_output or sum(grad is other for other in grad_inputs) > 1
                _accumulate(origin.leaf, grad, fresh=not shared and owns_memory(grad))
                missing[origin.leaf] -= 1
                if missing[origin.leaf] == 0:
                    finished.append(origin.leaf)
            elif source is not None and source.number in gradients:
                gradients[source.number] = _sum(gradients[source.number], grad)
            elif source is not None:
                gradients[source.number] = grad
                heapq.heappush(waiting, (-source.number, source))
        step = BackwardStep(function, grad_output, grad_inputs, tuple(finished))
        if function.record is None:
            function.release()
        else:
            step = function.record.keep_gradients(step)
        del function, inputs, origin, source, grad, grad_output, grad_inputs, retained, finished
        yield step
        del step


def _uses_of_leaves(last: Function) -> Counter[Tensor]:
    """Count how often each leaf that needs a gradient is an input of the graph that ends with this operation."""
    uses: Counter[Tensor] = Counter()
    seen, waiting = {last.number}, [last]
    while waiting:
        for origin in waiting.pop().inputs or ():
            if origin is None:
                continue
            if origin.leaf is not None:
                uses[origin.leaf] += 1
            elif origin.creator is not None and origin.creator.number not in seen:
                seen.add(origin.creator.number)
                waiting.append(origin.creator)
    return uses


def _starting_gradient(tensor: Tensor, gradient: Any) -> Array:
    if not tensor.requires_grad:
        raise RuntimeError("backward: this tensor depends on nothing that requires a gradient")
    xp = get_array_module(tensor.data)
    if gradient is None:
        if tensor.numel() != 1:
            raise ValueError(
                f"backward: gradient is required unless the tensor has one element, got shape {tensor.shape}"
            )
        return xp.ones_like(tensor.data)
    gradient = xp.asarray(gradient.data if isinstance(gradient, Tensor) else gradient, dtype=tensor.dtype)
    if gradient.shape != tensor.shape:
        raise ValueError(f"backward: gradient has shape {gradient.shape}, the tensor has shape {tensor.shape}")
    return gradient


def _checked_gradients(function: Function, grad_output: Array) -> tuple[Array | None, ...]:
    """Run one backward, and check its gradients against the inputs: a wrong shape must not flow further."""
    name = type(function).__name__
    xp = get_array_module(grad_output)
    inputs: Sequence[Origin | None] = function.inputs or ()
    _refuse_changed(function, inputs)
    with on_device_of(grad_output):
        grads = function.backward(xp, grad_output)
    grads = tuple(grads) if isinstance(grads, (tuple, list)) else (grads,)
    if len(grads) != len(inputs):
        raise RuntimeError(f"{name}.backward returned {len(grads)} gradients for {len(inputs)} inputs")
    checked: list[Array | None] = []
    for position, (origin, grad, needed) in enumerate(zip(inputs, grads, function.needs_input_grad, strict=True)):
        if origin is None or not needed:
            checked.append(None)
            continue
        if grad is None:
            raise RuntimeError(f"{name}.backward returned None for input {position}, which needs a gradient")
        if grad.shape != origin.shape:
            raise RuntimeError(
                f"{name}.backward returned a gradient of shape {grad.shape} for input {position}, "
                f"which has shape {origin.shape}"
            )
        xp = get_array_module(grad)  # another module, if the operation moved its input to another device
        with on_device_of(grad):  # CuPy would copy it to the current GPU
            checked.append(xp.asarray(grad, dtype=origin.dtype))  # NumPy's 0-d arithmetic returns scalars, not arrays
    return tuple(checked)


def _refuse_changed(function: Function, inputs: Sequence[Origin | None]) -> None:
    """Refuse to compute with saved arrays that were written into after the operation was applied."""
    for position, origin in enumerate(inputs):
        if origin is not None and origin.edits.number > function.number:
            readers = function.needed_by.get(position, range(len(inputs)))
            if any(function.needs_input_grad[reader] for reader in readers):
                what = f"its input {position}, a tensor of shape {origin.shape},"
                _refuse_if_saved(function, origin.edits, what)
    if function.edits.number > function.number:
        _refuse_if_saved(function, function.edits, "its output")


def _refuse_if_saved(function: Function, edits: Edits, what: str) -> None:
    if edits.place is not None and any_shares(vars(function).values(), edits.place):
        raise RuntimeError(
            f"backward: {type(function).__name__} needs {what} as it was in the forward pass, but it has been changed "
            f"in place since, by {edits.by}; run the forward pass again after the change"
        )


def _accumulate(leaf: Tensor, grad: Array, fresh: bool) -> None:
    """Add to a leaf's gradient. A first array that is not `fresh` is copied: ``leaf.grad`` is shared with nothing."""
    if leaf.grad is None:
        with on_device_of(grad):
            leaf.grad = grad if fresh else grad.copy()
    else:
        leaf.grad = _sum(leaf.grad, grad)


def _sum(a: Array, b: Array) -> Array:
    """Return a + b as an array even for 0-d arrays, whose sum is a scalar in NumPy."""
    with on_device_of(a):
        return get_array_module(a).asarray(a + b)


def retain_grad(tensor: Tensor) -> None:
    """Have the backward pass keep the gradient of a computed tensor in its ``grad``, as it does for leaves."""
    if not tensor.requires_grad:
        raise RuntimeError("retain_grad: this tensor depends on nothing that requires a gradient")
    if tensor.creator is not None:  # which must not keep the tensor alive
        tensor.creator.retained = weakref.ref(tensor)


install_methods(backward=backward, backward_steps=backward_steps, retain_grad=retain_grad)
