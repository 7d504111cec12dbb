"""Reductions: sum, mean, max."""

from types import ModuleType
from typing import Any, NamedTuple

from minicnn.arguments import axis
from minicnn.autograd import Function, Tensor, install_methods
from minicnn.backend import Array

__all__ = ["Max", "MaxAll", "MaxAlong", "Mean", "Sum", "max", "mean", "sum"]

Dims = tuple[int, ...]


def _restored(grad_output: Array, input_shape: tuple[int, ...], dims: Dims) -> Array:
    """Restore the reduced dimensions with length 1, so that the gradient broadcasts over what was summed."""
    return grad_output.reshape(tuple(1 if i in dims else size for i, size in enumerate(input_shape)))


class Sum(Function):
    """y = sum of x over some dimensions;  dL/dx = dL/dy for every element that went into the sum."""

    def __init__(self, dims: Dims, keepdim: bool) -> None:
        self.dims, self.keepdim = dims, keepdim

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.input_shape = x.shape
        return x.sum(axis=self.dims, keepdims=self.keepdim)

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return xp.broadcast_to(_restored(grad_output, self.input_shape, self.dims), self.input_shape)


class Mean(Function):
    """y = mean of x over some dimensions;  dL/dx = dL/dy / count for every element that went into the mean."""

    def __init__(self, dims: Dims, keepdim: bool) -> None:
        self.dims, self.keepdim = dims, keepdim

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.input_shape = x.shape
        y = x.mean(axis=self.dims, keepdims=self.keepdim)
        self.count = x.size // y.size if y.size else 1
        return y

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        share = _restored(grad_output, self.input_shape, self.dims) / self.count
        return xp.broadcast_to(share, self.input_shape)


class MaxAll(Function):
    """y = the largest element;  dL/dx goes to it, shared equally where several are the largest (as in PyTorch)."""

    def forward(self, xp: ModuleType, x: Array) -> Array:
        y = x.max()
        self.largest = (x == y) | (x != x)  # if the maximum is NaN, it comes from the NaNs
        return y

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return xp.where(self.largest, grad_output / int(self.largest.sum()), 0)


class MaxAlong(Function):
    """y = the largest element along one dimension;  dL/dx goes to the first of the largest."""

    def __init__(self, dim: int, keepdim: bool) -> None:
        self.dim, self.keepdim = dim, keepdim

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.input_shape = x.shape
        self.index = xp.expand_dims(x.argmax(axis=self.dim), self.dim)
        y = xp.take_along_axis(x, self.index, axis=self.dim)
        return y if self.keepdim else y.squeeze(self.dim)

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        grad_input = xp.zeros(self.input_shape, dtype=grad_output.dtype)
        xp.put_along_axis(grad_input, self.index, grad_output.reshape(self.index.shape), axis=self.dim)
        return grad_input


class Max(NamedTuple):
    """What :func:`max` along a dimension returns."""

    values: Tensor
    indices: Tensor


def _dims(function: str, dim: Any, ndim: int) -> Dims:
    if dim is None:
        return tuple(range(ndim))
    given = dim if isinstance(dim, (tuple, list)) else (dim,)
    dims = tuple(axis(function, "dim", d, ndim) for d in given)
    if len(set(dims)) != len(dims):
        raise ValueError(f"{function}: dim must name a dimension once, got {dim!r}")
    return dims if ndim else ()


def sum(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Return the sum over all elements, or over one or several dimensions.

    Parameters
    ----------
    input : Tensor
    dim : int or tuple of ints, optional
        The dimensions to sum over; all by default.
    keepdim : bool
        Keep these dimensions with length 1.
    """
    return Sum(_dims("sum", dim, input.ndim), keepdim)(input)


def mean(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Return the mean over all elements, or over one or several dimensions. Parameters as in :func:`sum`."""
    if input.dtype.kind != "f":
        raise TypeError(f"mean: input must be float32 or float64, got {input.dtype}")
    return Mean(_dims("mean", dim, input.ndim), keepdim)(input)


def max(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """Return the largest element or, along a dimension, the largest elements and their indices.

    Parameters
    ----------
    input : Tensor
    dim : int, optional
    keepdim : bool
        Keep the dimension with length 1.

    Returns
    -------
    Tensor or Max
        Without `dim` one number, whose gradient is shared among ties. With `dim` the named tuple ``(values,
        indices)``; of several equal elements the first is taken, and gets the gradient.

    Raises
    ------
    ValueError
        If there are no elements to choose from.
    TypeError
        If `keepdim` is given without `dim`.
    """
    if dim is None and keepdim:
        raise TypeError("max: keepdim=True needs dim, the dimension to keep; got dim=None")
    if input.numel() == 0 and (dim is None or input.shape[axis("max", "dim", dim, input.ndim)] == 0):
        raise ValueError(f"max: input has no elements to choose from, its shape is {input.shape}")
    if dim is None:
        return MaxAll()(input)
    dim = axis("max", "dim", dim, input.ndim)
    if input.ndim == 0:
        return Max(MaxAll()(input), Tensor((input.data * 0).astype(int)))
    function = MaxAlong(dim, keepdim)
    values = function(input)
    index = function.index
    return Max(values, Tensor(index if keepdim else index.squeeze(dim)))


install_methods(sum=sum, mean=mean, max=max)
