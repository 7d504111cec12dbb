"""Numbers chosen by a condition or cut off at a bound: where, clamp."""

from types import ModuleType
from typing import Any

from minicnn.arguments import number
from minicnn.autograd import OWN_PLACE, Function, Tensor, as_tensor, install_methods
from minicnn.backend import Array, same_device
from minicnn.ops.arithmetic import common_dtype, operand, sum_to
from minicnn.ops.conversion import to

__all__ = ["Clamp", "Where", "clamp", "where"]


class Where(Function):
    """y = a where the condition holds, else b;  dL/da = dL/dy there and 0 elsewhere, dL/db the other way round.

    Any shapes that broadcast.
    """

    reads = OWN_PLACE

    def __init__(self, condition: Array) -> None:
        self.condition = condition

    def forward(self, xp: ModuleType, a: Array, b: Array) -> Array:
        self.a_shape, self.b_shape = a.shape, b.shape
        return xp.where(self.condition, a, b)

    def backward(self, xp: ModuleType, grad_output: Array) -> Any:
        grad_a = sum_to(xp.where(self.condition, grad_output, 0), self.a_shape)
        grad_b = sum_to(xp.where(self.condition, 0, grad_output), self.b_shape)
        return grad_a, grad_b


class Clamp(Function):
    """y = min(max(x, low), high);  dL/dx = dL/dy where low <= x <= high, else 0.  Any shape.

    A bound may be None. As in PyTorch, a number that is equal to a bound passes its gradient on.
    """

    reads = OWN_PLACE

    def __init__(self, low: float | None, high: float | None) -> None:
        self.low, self.high = low, high

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.x = x
        y = x if self.low is None else xp.maximum(x, self.low)
        return y if self.high is None else xp.minimum(y, self.high)

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        inside = xp.ones(self.x.shape, dtype=bool)
        if self.low is not None:
            inside = inside & (self.x >= self.low)
        if self.high is not None:
            inside = inside & (self.x <= self.high)
        return xp.where(inside, grad_output, 0)


def where(condition: Tensor, input: Any, other: Any) -> Tensor:
    """Return `input` where the condition holds and `other` elsewhere, with broadcasting.

    Parameters
    ----------
    condition : Tensor
        Of booleans.
    input, other : Tensor or number
    """
    mask = as_tensor(condition)
    if mask.dtype.kind != "b":
        raise TypeError(f"where: condition must hold booleans, got {mask.dtype}")
    a = input if isinstance(input, Tensor) else operand("where", input, other if isinstance(other, Tensor) else mask)
    b = operand("where", other, a)
    same_device("where", condition=mask.data, input=a.data, other=b.data)
    common = common_dtype(a, b)
    try:
        kept = mask.data.copy()  # backward reads it again, and its owner may have changed it by then
        return Where(kept)(to(a, common), to(b, common))
    except ValueError as error:
        raise ValueError(f"where: shapes {mask.shape}, {a.shape} and {b.shape} do not fit together") from error


def clamp(input: Tensor, min: float | None = None, max: float | None = None) -> Tensor:
    """Return each element, or the bound that it lies beyond. Any shape.

    Parameters
    ----------
    input : Tensor
    min, max : number, optional
        The bounds; at least one of them.
    """
    input = as_tensor(input)
    if min is None and max is None:
        raise ValueError("clamp: min or max must be given, got None for both")
    bounds = [bound for bound in (min, max) if bound is not None]
    for name, bound in (("min", min), ("max", max)):
        if bound is not None:
            number("clamp", name, bound)
    if any(isinstance(bound, float) for bound in bounds) and input.dtype.kind != "f":
        input = input.float()
    return Clamp(min, max)(input)


install_methods(clamp=clamp, where=lambda x, condition, other: where(condition, x, other))
