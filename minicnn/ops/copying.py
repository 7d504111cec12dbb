"""Copies of tensors: clone, which is an operation; deep copies and pickles, which take no graph along.

A graph may be thousands of operations deep.
"""

import copy
from types import ModuleType
from typing import Any

from minicnn.autograd import OWN_PLACE, Function, Tensor, install_methods
from minicnn.backend import Array

__all__ = ["Clone", "clone"]


class Clone(Function):
    """y = x in memory of its own, in the order of its dimensions;  dL/dx = dL/dy."""

    reads = OWN_PLACE

    def forward(self, xp: ModuleType, x: Array) -> Array:
        return x.copy()

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return grad_output


def clone(input: Tensor) -> Tensor:
    """Return a copy, through which gradients flow."""
    return Clone()(input)


def _contiguous(x: Tensor) -> Tensor:
    return x if x.data.flags.c_contiguous else clone(x)


def _rebuilt(kind: type[Tensor], data: Any, grad: Any, requires_grad: bool) -> Tensor:
    tensor = Tensor.__new__(kind)
    Tensor.__init__(tensor, data, requires_grad)
    tensor.grad = grad
    return tensor


def _deepcopy(x: Tensor, memo: dict[int, Any]) -> Tensor:
    if x.creator is not None:
        raise RuntimeError(
            f"deepcopy: only leaves can be copied, got a tensor computed by {type(x.creator).__name__}; use "
            "copy.deepcopy(tensor.detach())"
        )
    with_gradient = None if x.grad is None else copy.deepcopy(x.grad, memo)
    copied = _rebuilt(type(x), copy.deepcopy(x.data, memo), with_gradient, x.requires_grad)
    memo[id(x)] = copied
    return copied


def _reduce(x: Tensor) -> Any:
    """Pickle the numbers. A computed tensor comes back as a leaf, as PyTorch's does."""
    return _rebuilt, (type(x), x.data, x.grad, x.requires_grad)


install_methods(clone=clone, contiguous=_contiguous, __deepcopy__=_deepcopy, __reduce__=_reduce)
