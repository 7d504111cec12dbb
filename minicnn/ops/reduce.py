"""Reductions: sum, mean, variance, the largest and the smallest number and where it is."""

import builtins
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

import numpy as np

from minicnn.arguments import axis, floating, number, switch
from minicnn.autograd import Function, Tensor, as_tensor, install_methods
from minicnn.backend import Array, get_array_module, on_device_of
from minicnn.ops.conversion import to

__all__ = [
    "Extremes",
    "MaxAll",
    "MaxAlong",
    "Mean",
    "MinAll",
    "MinAlong",
    "Std",
    "Sum",
    "Var",
    "argmax",
    "argmin",
    "max",
    "mean",
    "min",
    "std",
    "sum",
    "var",
]

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
        dtype = x.dtype if x.dtype.kind == "f" else np.int64  # as in PyTorch: booleans are counted
        return x.sum(axis=self.dims, keepdims=self.keepdim, dtype=dtype)

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


class Var(Function):
    """y = sum of (x - m)^2 over some dimensions, divided by n - c;  dL/dx = dL/dy 2 (x - m) / (n - c).

    Here m is the mean and n the number of elements in each sum. The correction c is 1 for a sample's variance (Bessel).
    That m depends on x, too, changes nothing: the deviations from it add up to 0.
    """

    def __init__(self, dims: Dims, keepdim: bool, correction: float) -> None:
        self.dims, self.keepdim, self.correction = dims, keepdim, correction

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.deviation = x - x.mean(axis=self.dims, keepdims=True)
        y = (self.deviation * self.deviation).sum(axis=self.dims, keepdims=self.keepdim)
        self.divisor = builtins.max(x.size / y.size - self.correction, 0.0) if y.size else 1.0
        return self._divided(y)

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return self._divided(_restored(grad_output, self.deviation.shape, self.dims) * 2 * self.deviation)

    def _divided(self, numbers: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):  # the variance of one number is NaN
            return numbers / self.divisor


class Std(Var):
    """y = v^(1/2) for the variance v of x over some dimensions;  dL/dx = dL/dy / (2 y) dv/dx, and 0 where y = 0."""

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.y = xp.sqrt(super().forward(xp, x))
        return self.y

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        slope = 2 * xp.where(self.y == 0, 1, self.y)  # where all numbers are equal, their deviations make it 0
        return super().backward(xp, grad_output / slope)


class MaxAll(Function):
    """y = the largest element;  dL/dx goes to it, shared equally where several are the largest (as in PyTorch)."""

    find: ClassVar[str] = "max"

    def forward(self, xp: ModuleType, x: Array) -> Array:
        y = getattr(x, self.find)()
        self.extreme = (x == y) | (x != x)  # if the maximum is NaN, it comes from the NaNs
        return y

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return xp.where(self.extreme, grad_output / int(self.extreme.sum()), 0)


class MinAll(MaxAll):
    """y = the smallest element;  dL/dx goes to it, shared equally where several are the smallest."""

    find = "min"


class MaxAlong(Function):
    """y = the largest element along one dimension;  dL/dx goes to the first of the largest."""

    find: ClassVar[str] = "argmax"

    def __init__(self, dim: int, keepdim: bool) -> None:
        self.dim, self.keepdim = dim, keepdim

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.input_shape = x.shape
        self.index = xp.expand_dims(getattr(x, self.find)(axis=self.dim), self.dim)
        y = xp.take_along_axis(x, self.index, axis=self.dim)
        return y if self.keepdim else y.squeeze(self.dim)

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        grad_input = xp.zeros(self.input_shape, dtype=grad_output.dtype)
        xp.put_along_axis(grad_input, self.index, grad_output.reshape(self.index.shape), axis=self.dim)
        return grad_input


class MinAlong(MaxAlong):
    """y = the smallest element along one dimension;  dL/dx goes to the first of the smallest."""

    find = "argmin"


class Extremes(NamedTuple):
    """What :func:`max` and :func:`min` along a dimension return."""

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


def sum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the sum over all elements, or over one or several dimensions. Whole numbers and booleans give int64.

    Parameters
    ----------
    input : Tensor
    dim : int or tuple of ints, optional
        The dimensions to sum over; all by default.
    keepdim : bool
        Keep these dimensions with length 1.
    dtype : dtype, optional
        Convert the numbers first.
    """
    input = to(as_tensor(input), dtype=dtype)
    return Sum(_dims("sum", dim, input.ndim), keepdim)(input)


def mean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return the mean over all elements, or over one or several dimensions. Parameters as in :func:`sum`."""
    input = to(as_tensor(input), dtype=dtype)
    if input.dtype.kind != "f":
        raise TypeError(f"mean: input must be float32 or float64, got {input.dtype}")
    return Mean(_dims("mean", dim, input.ndim), keepdim)(input)


def var(
    input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    """Return the variance over all elements, or over one or several dimensions.

    Parameters
    ----------
    input : Tensor
    dim : int or tuple of ints, optional
    unbiased : bool
        Whether to divide by one less than the number of elements.
    keepdim : bool
        Keep these dimensions with length 1.
    correction : number, optional
        What the divisor is less than the number of elements by, in place of `unbiased`.
    """
    input = as_tensor(input)
    return Var(*_spread("var", input, dim, unbiased, keepdim, correction))(input)


def std(
    input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    """Return the standard deviation, the square root of :func:`var`, which has the same parameters."""
    input = as_tensor(input)
    return Std(*_spread("std", input, dim, unbiased, keepdim, correction))(input)


def _spread(
    function: str, input: Tensor, dim: Any, unbiased: bool, keepdim: bool, correction: float | None
) -> tuple[Dims, bool, float]:
    if isinstance(dim, bool):  # x.var(False) is x.var(unbiased=False) in PyTorch
        dim, unbiased = None, dim
    floating(function, "input", input)
    one = int(switch(function, "unbiased", unbiased))
    return (
        _dims(function, dim, input.ndim),
        keepdim,
        one if correction is None else number(function, "correction", correction),
    )


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
    Tensor or Extremes
        Without `dim` one number, whose gradient is shared among ties. With `dim` the named tuple ``(values,
        indices)``; of several equal elements the first is taken, and gets the gradient.

    Raises
    ------
    ValueError
        If there are no elements to choose from.
    TypeError
        If `keepdim` is given without `dim`.
    """
    return _extremes("max", MaxAll, MaxAlong, as_tensor(input), dim, keepdim)


def min(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """Return the smallest element or, along a dimension, the smallest elements and their indices, as :func:`max`."""
    return _extremes("min", MinAll, MinAlong, as_tensor(input), dim, keepdim)


def _extremes(
    name: str, all_of: type[MaxAll], along: type[MaxAlong], input: Tensor, dim: int | None, keepdim: bool
) -> Any:
    if dim is None and keepdim:
        raise TypeError(f"{name}: keepdim=True needs dim, the dimension to keep; got dim=None")
    _refuse_nothing(name, input, dim)
    if dim is None:
        return all_of()(input)
    dim = axis(name, "dim", dim, input.ndim)
    if input.ndim == 0:
        return Extremes(all_of()(input), Tensor((input.data * 0).astype(int)))
    function = along(dim, keepdim)
    values = function(input)
    index = function.index
    return Extremes(values, Tensor(index if keepdim else index.squeeze(dim)))


def _refuse_nothing(name: str, input: Tensor, dim: int | None) -> None:
    if input.numel() == 0 and (dim is None or input.shape[axis(name, "dim", dim, input.ndim)] == 0):
        raise ValueError(f"{name}: input has no elements to choose from, its shape is {input.shape}")


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Return where the largest element is: its place in the flattened tensor, or the index along a dimension.

    Parameters
    ----------
    input : Tensor
    dim : int, optional
    keepdim : bool
        Keep the dimension with length 1.

    Returns
    -------
    Tensor
        Of int64; of several equal elements the first is taken.
    """
    return _place("argmax", as_tensor(input), dim, keepdim)


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Return where the smallest element is, as :func:`argmax` does for the largest."""
    return _place("argmin", as_tensor(input), dim, keepdim)


def _place(name: str, input: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    _refuse_nothing(name, input, dim)
    along = None if dim is None or input.ndim == 0 else axis(name, "dim", dim, input.ndim)
    with on_device_of(input.data):
        found = get_array_module(input.data).asarray(getattr(input.data, name)(axis=along)).astype(np.int64, copy=False)
        kept = tuple(1 if along in (None, i) else n for i, n in enumerate(input.shape))
        return Tensor(found.reshape(kept) if keepdim else found)


install_methods(sum=sum, mean=mean, var=var, std=std, max=max, min=min, argmax=argmax, argmin=argmin)
