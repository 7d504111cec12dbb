"""What changes a tensor in place: += -= *= /= and x[index] = value, and methods such as add_ and zero_.

None of these is part of a graph. They serve what is done beside it: ``with no_grad(): w -= lr * w.grad``. An operation
with an argument `inplace` is: the tensor stays the same object, with new numbers and a new place in the graph.
"""

from collections.abc import Callable
from typing import Any

from minicnn.autograd import Tensor, install_methods, mark_written
from minicnn.backend import any_shares, on_device_of, same_device
from minicnn.grad_mode import is_grad_enabled, mode
from minicnn.ops.arithmetic import operand

__all__ = ["may_be_overwritten", "replaced"]


def may_be_overwritten(x: Tensor) -> bool:
    """Return whether an operation with `inplace` may write its output over `x`: its values are lost to everyone.

    Not those of a leaf, which belong to the user; not those of a view, through which another tensor would change; not
    what the operation that computed them needs for its backward pass; not without a graph, whose memory is free anyway;
    and not while a recorder keeps every step.
    """
    creator = x.creator
    if creator is None or creator.views or not is_grad_enabled() or mode.recorder is not None:
        return False
    return bool(x.data.flags.c_contiguous) and not any_shares(vars(creator).values(), x.data)


def replaced(x: Tensor, output: Tensor) -> Tensor:
    """Return `x` in the place of `output`, which an operation has written over it: later uses depend on the output."""
    before, after = x.creator, output.creator
    if before is not None and after is not None and before.retained is not None and before.retained() is x:
        before.retained, after.retained = None, before.retained
    x.creator = after
    return x


def _recorded(symbol: str, x: Tensor, value: Any) -> bool:
    """Return whether a graph would have to record the change; refuse it for a leaf that it would make none."""
    if not is_grad_enabled() or not (x.requires_grad or getattr(value, "requires_grad", False)):
        return False
    if x.requires_grad and x.creator is None:
        raise RuntimeError(
            f"{symbol}: a leaf that requires a gradient cannot be changed in place; use `with minicnn.no_grad():`"
        )
    return True


def _refuse_recorded(symbol: str, x: Tensor, value: Any) -> None:
    if _recorded(symbol, x, value):
        raise RuntimeError(
            f"{symbol}: there is no derivative of it; compute a new tensor, or use `with minicnn.no_grad():`"
        )


def _operator(symbol: str, name: str) -> Callable[[Tensor, Any], Tensor]:
    change = _change(symbol, name)

    def method(x: Tensor, value: Any) -> Tensor:
        if _recorded(symbol, x, value):  # x += y is then x = x + y
            computed: Tensor = getattr(x, f"__{name}__")(value)
            return computed
        return change(x, value)

    return method


def _change(symbol: str, name: str) -> Callable[[Tensor, Any], Tensor]:
    def method(x: Tensor, other: Any) -> Tensor:
        _refuse_recorded(symbol, x, other)
        numbers = operand(symbol, other, x).data
        same_device(symbol, a=x.data, b=numbers)
        with on_device_of(x.data):
            result = getattr(x.data, f"__{name}__")(numbers)
            if result.shape != x.shape:
                raise ValueError(f"{symbol}: shape {x.shape} cannot hold the result, whose shape is {result.shape}")
            if result.dtype.kind == "f" and x.dtype.kind != "f":
                raise TypeError(f"{symbol}: a tensor of {x.dtype} cannot hold the result, which is {result.dtype}")
            x.data[...] = result
        mark_written(x, symbol)
        return x

    return method


def _scaled(symbol: str, name: str) -> Callable[..., Tensor]:
    change = _change(symbol, name)
    return lambda x, other, *, alpha=1: change(x, other if alpha == 1 else other * alpha)


def _setitem(x: Tensor, index: Any, value: Any, symbol: str = "x[index] = value") -> None:
    _refuse_recorded(symbol, x, value)
    parts = index if isinstance(index, tuple) else (index,)
    plain = tuple(part.data if isinstance(part, Tensor) else part for part in parts)
    other = value.data if isinstance(value, Tensor) else value
    if isinstance(value, Tensor):
        same_device(symbol, tensor=x.data, value=other)
    with on_device_of(x.data):
        x.data[plain if isinstance(index, tuple) else plain[0]] = other
    mark_written(x, symbol)


def _fill(symbol: str) -> Callable[[Tensor, Any], Tensor]:
    def method(x: Tensor, value: Any) -> Tensor:
        _setitem(x, ..., value, symbol)
        return x

    return method


def _copy(x: Tensor, other: Any) -> Tensor:
    _setitem(x, ..., other, "copy_")
    return x


install_methods(
    __iadd__=_operator("+=", "add"),
    __isub__=_operator("-=", "sub"),
    __imul__=_operator("*=", "mul"),
    __itruediv__=_operator("/=", "truediv"),
    __setitem__=_setitem,
    add_=_scaled("add_", "add"),
    sub_=_scaled("sub_", "sub"),
    mul_=_change("mul_", "mul"),
    div_=_change("div_", "truediv"),
    copy_=_copy,
    fill_=_fill("fill_"),
    zero_=lambda x: _fill("zero_")(x, 0),
)
