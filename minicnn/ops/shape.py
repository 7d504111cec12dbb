"""Operations that move numbers without changing them: to another shape, order or position."""

import copy
import itertools
import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from minicnn.arguments import axis, floating, number, whole
from minicnn.autograd import OWN_PLACE, Function, Tensor, Window, as_tensor, install_methods
from minicnn.backend import Array, same_device
from minicnn.ops.arithmetic import sum_to

__all__ = [
    "Concatenate",
    "Expand",
    "Index",
    "Pad",
    "Permute",
    "Reshape",
    "cat",
    "expand",
    "flatten",
    "pad",
    "permute",
    "repeat",
    "reshape",
    "squeeze",
    "stack",
    "transpose",
    "unsqueeze",
]


class Reshape(Function):
    """The same numbers in the same order under another shape; the gradient is reshaped back."""

    views = True

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.input_shape = x.shape
        return x.reshape(self.shape)

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return grad_output.reshape(self.input_shape)


class Permute(Function):
    """Dimension i of the output is dimension dims[i] of the input; the gradient is permuted back."""

    views = True

    def __init__(self, dims: tuple[int, ...]) -> None:
        self.dims = dims

    def forward(self, xp: ModuleType, x: Array) -> Array:
        return x.transpose(self.dims)

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        back = [0] * len(self.dims)
        for position, dim in enumerate(self.dims):
            back[dim] = position
        return grad_output.transpose(back)


class Expand(Function):
    """y = x, repeated along dimensions of length 1 without a copy;  dL/dx = sum of dL/dy over the repetitions."""

    views = True

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.input_shape = x.shape
        return xp.broadcast_to(x, self.shape)

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return sum_to(grad_output, self.input_shape)


class Index(Function):
    """y = x[index];  dL/dx is zero where nothing was read, and the sum of the gradients where x was read twice."""

    views = True

    def __init__(self, index: Any) -> None:
        self.index = index

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.input_shape = x.shape
        return x[self.index]

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        grad_input = xp.zeros(self.input_shape, dtype=grad_output.dtype)
        xp.add.at(grad_input, self.index, grad_output)  # plain `+=` would count an index named twice only once
        return grad_input


class Pad(Function):
    """y is x with a margin of one value around it;  dL/dx is dL/dy without the margin.

    Shapes: x (d0, d1, ...), y (before0 + d0 + after0, before1 + d1 + after1, ...).
    """

    def __init__(self, margins: tuple[tuple[int, int], ...], value: float) -> None:
        self.margins, self.value = margins, value

    def forward(self, xp: ModuleType, x: Array) -> Array:
        sides = list(zip(x.shape, self.margins, strict=True))
        self.inside = tuple(slice(before, before + length) for length, (before, _) in sides)
        y = xp.full([before + length + after for length, (before, after) in sides], self.value, dtype=x.dtype)
        y[self.inside] = x
        return y

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return grad_output[self.inside]

    @property
    def reads(self) -> Window | None:
        if len(self.margins) != 4:
            return None
        *_, (above, _), (left, _) = self.margins
        return Window((1, 1), (1, 1), (above, left))


class Concatenate(Function):
    """y is the inputs, one after the other along one dimension;  each of them gets its own part of dL/dy.

    Shapes: (..., L1, ...), (..., L2, ...) and so on give (..., L1 + L2 + ..., ...).
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim

    @property
    def reads(self) -> Window | None:
        return OWN_PLACE if self.dim == 1 else None

    def forward(self, xp: ModuleType, *arrays: Array) -> Array:
        self.lengths = [array.shape[self.dim] for array in arrays]
        return xp.concatenate(arrays, axis=self.dim)

    def backward(self, xp: ModuleType, grad_output: Array) -> Any:
        ends = itertools.accumulate(self.lengths)
        before = (slice(None),) * self.dim
        return tuple(
            grad_output[(*before, slice(end - length, end))] for end, length in zip(ends, self.lengths, strict=True)
        )


def cat(tensors: Any, dim: int = 0) -> Tensor:
    """Join tensors along one of their dimensions, as ``torch.cat`` does.

    Parameters
    ----------
    tensors : sequence of Tensor
        At least one, of the same dtype and on the same device, and of the same shape except along `dim`.
    dim : int
        Counted from the end if negative.

    Returns
    -------
    Tensor

    Examples
    --------
    >>> cat([Tensor([[1.0], [2.0]]), Tensor([[3.0, 4.0], [5.0, 6.0]])], dim=1).numpy()
    array([[1., 3., 4.],
           [2., 5., 6.]], dtype=float32)
    """
    if isinstance(tensors, Tensor) or not isinstance(tensors, Sequence) or not tensors:
        raise ValueError(f"cat: tensors must be a list of at least one Tensor, got {tensors!r}")
    parts = [as_tensor(tensor) for tensor in tensors]
    first = parts[0]
    dim = axis("cat", "dim", dim, first.ndim)
    for i, part in enumerate(parts):
        others = [length for position, length in enumerate(part.shape) if position != dim]
        if part.ndim != first.ndim or others != [*first.shape[:dim], *first.shape[dim + 1 :]]:
            raise ValueError(
                f"cat: tensors[{i}] has shape {part.shape}, which does not fit {first.shape} along dim={dim}"
            )
    named = {f"tensors[{i}]": part for i, part in enumerate(parts)}
    for name, part in named.items():
        if part.dtype != first.dtype:
            raise TypeError(f"cat: {name} must be {first.dtype}, as tensors[0] is, got {part.dtype}")
    same_device("cat", **{name: part.data for name, part in named.items()})
    return Concatenate(dim)(*parts)


def lengths(given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the numbers of ``f(2, 3)`` and of ``f((2, 3))`` alike."""
    return tuple(given[0]) if len(given) == 1 and isinstance(given[0], (tuple, list)) else given


def reshape(input: Tensor, *shape: Any) -> Tensor:
    """Return the same numbers under another shape; one length may be -1 and is inferred.

    Parameters
    ----------
    input : Tensor
    *shape : int or one tuple of ints
        Of the same number of elements.
    """
    input, wanted = as_tensor(input), lengths(shape)
    known = math.prod(length for length in wanted if length != -1)
    fits = (known and input.numel() % known == 0) if wanted.count(-1) == 1 else known == input.numel()
    if wanted.count(-1) > 1 or any(length < -1 for length in wanted) or not fits:
        raise ValueError(f"reshape: shape {wanted} does not hold the {input.numel()} elements of {input.shape}")
    return Reshape(wanted)(input)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Join the dimensions from `start_dim` to `end_dim`, both included, into one.

    Parameters
    ----------
    input : Tensor
        Any shape; a 0-d one becomes one-dimensional.
    start_dim, end_dim : int
        Counted from the end if negative.
    """
    input = as_tensor(input)
    first = axis("flatten", "start_dim", start_dim, input.ndim)
    last = axis("flatten", "end_dim", end_dim, input.ndim)
    if first > last:
        raise ValueError(f"flatten: start_dim must not come after end_dim, got {start_dim} and {end_dim}")
    joined = math.prod(input.shape[first : last + 1])
    return Reshape((*input.shape[:first], joined, *input.shape[last + 1 :]))(input)


def pad(input: Tensor, pad: Any, mode: str = "constant", value: float | None = None) -> Tensor:
    """Add a margin around a tensor, as ``torch.nn.functional.pad`` does.

    Parameters
    ----------
    input : Tensor
        Any shape, float32 or float64.
    pad : sequence of int
        The size of the margin before and after the last dimension, then the one before it, and so on: ``(left, right,
        top, bottom)`` for images.
    mode : str
        Only "constant".
    value : float, optional
        The value of the margin, by default 0.

    Returns
    -------
    Tensor
        `input` itself if there is nothing to add.
    """
    input = as_tensor(input)
    floating("pad", "input", input)
    if mode != "constant":
        raise NotImplementedError(f"pad: mode={mode!r} is not supported; accepted: 'constant'")
    if not isinstance(pad, (tuple, list)) or len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise ValueError(
            f"pad: pad must be two integers for each of up to {input.ndim} dimensions, the last one first, got {pad!r}"
        )
    amounts = [whole("pad", "pad", amount, 0) for amount in pad]
    value = 0.0 if value is None else number("pad", "value", value)
    if not any(amounts):
        return input
    pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
    margins = (*[(0, 0)] * (input.ndim - len(pairs)), *reversed(pairs))
    return Pad(margins, value)(input)


def permute(input: Tensor, *dims: Any) -> Tensor:
    """Return the dimensions in another order, as ``torch.permute`` does.

    Parameters
    ----------
    input : Tensor
    *dims : int or one tuple of ints
        Each dimension of `input` once.
    """
    input, wanted = as_tensor(input), lengths(dims)
    order = tuple(axis("permute", "dims", dim, input.ndim) for dim in wanted) if input.ndim else ()
    if sorted(order) != list(range(input.ndim)) or len(wanted) != input.ndim:
        raise ValueError(f"permute: dims must name each of the {input.ndim} dimensions once, got {wanted}")
    return Permute(order)(input)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Exchange two dimensions, counted from the end if negative, as ``torch.transpose`` does."""
    input = as_tensor(input)
    dims = list(range(input.ndim))
    i, j = axis("transpose", "dim0", dim0, input.ndim), axis("transpose", "dim1", dim1, input.ndim)
    if dims:
        dims[i], dims[j] = dims[j], dims[i]
    return Permute(tuple(dims))(input)


def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Return the tensor without its dimensions of length 1, or without those of them that `dim` names.

    Parameters
    ----------
    input : Tensor
    dim : int or tuple of ints, optional
        Counted from the end if negative.
    """
    input = as_tensor(input)
    given = range(input.ndim) if dim is None else dim if isinstance(dim, (tuple, list)) else (dim,)
    named = {axis("squeeze", "dim", d, input.ndim) for d in given}
    return reshape(input, tuple(n for d, n in enumerate(input.shape) if n != 1 or d not in named))


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """Return the tensor with a new dimension of length 1 at position `dim`, counted from the end if negative."""
    input = as_tensor(input)
    dim = axis("unsqueeze", "dim", dim, input.ndim + 1)
    return reshape(input, (*input.shape[:dim], 1, *input.shape[dim:]))


def expand(input: Tensor, *sizes: Any) -> Tensor:
    """Return the tensor with dimensions of length 1 repeated to a larger length, without a copy.

    Parameters
    ----------
    input : Tensor
    *sizes : int or one tuple of ints
        The new shape; -1 leaves a length as it is. It may have more dimensions in front.
    """
    wanted = lengths(sizes)
    own = (*[-1] * (len(wanted) - input.ndim), *input.shape)
    shape = tuple(had if want == -1 else want for had, want in zip(own, wanted, strict=False))
    fits = len(wanted) >= input.ndim and all(had in (-1, 1, n) for had, n in zip(own, shape, strict=False))
    if not fits or min(shape, default=0) < 0:
        raise ValueError(f"expand: sizes must be lengths that {input.shape} can be repeated to, got {wanted}")
    return Expand(shape)(input)


def repeat(input: Tensor, *repeats: Any) -> Tensor:
    """Return the tensor repeated along each dimension, as ``torch.Tensor.repeat`` and ``numpy.tile`` do.

    Parameters
    ----------
    input : Tensor
    *repeats : int or one tuple of ints
        How often, for each dimension; for more dimensions than there are, new ones are made in front.
    """
    times = [whole("repeat", "repeats", count, 0) for count in lengths(repeats)]
    if len(times) < input.ndim:
        raise ValueError(f"repeat: repeats must be at least {input.ndim} numbers, one a dimension, got {tuple(times)}")
    own = [*[1] * (len(times) - input.ndim), *input.shape]
    pairs = list(zip(times, own, strict=True))
    apart = reshape(input, tuple(part for _, length in pairs for part in (1, length)))
    return reshape(expand(apart, [n for pair in pairs for n in pair]), tuple(count * length for count, length in pairs))


def stack(tensors: Any, dim: int = 0) -> Tensor:
    """Join tensors of the same shape along a new dimension, as ``torch.stack`` does."""
    tensors = [as_tensor(tensor) for tensor in tensors]
    if len(shapes := {tensor.shape for tensor in tensors}) > 1:
        raise ValueError(f"stack: tensors must have one shape, got {', '.join(map(str, sorted(shapes)))}")
    return cat([unsqueeze(tensor, dim) for tensor in tensors], dim)


def _getitem(x: Tensor, index: Any) -> Tensor:
    parts = index if isinstance(index, tuple) else (index,)
    # A copy: backward reads the index again, which its owner may have changed by then.
    plain = tuple(part.data.copy() if isinstance(part, Tensor) else copy.deepcopy(part) for part in parts)
    return Index(plain if isinstance(index, tuple) else plain[0])(x)


def _t(x: Tensor) -> Tensor:
    if x.ndim > 2:
        raise ValueError(
            f"t: the tensor must have at most two dimensions, got shape {x.shape}; use transpose or permute"
        )
    return permute(x, *reversed(range(x.ndim)))


install_methods(
    __getitem__=_getitem,
    reshape=reshape,
    view=reshape,
    view_as=lambda x, other: reshape(x, other.shape),
    flatten=flatten,
    squeeze=squeeze,
    unsqueeze=unsqueeze,
    expand=expand,
    repeat=repeat,
    permute=permute,
    transpose=transpose,
    t=_t,
    T=property(lambda x: permute(x, *reversed(range(x.ndim)))),
)
