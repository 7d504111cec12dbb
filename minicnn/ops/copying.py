"""Copies and pickles of tensors. Neither takes a graph along: it may be thousands of operations deep."""

import copy
from typing import Any

from minicnn.autograd import Tensor, install_methods

__all__: list[str] = []


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


install_methods(__deepcopy__=_deepcopy, __reduce__=_reduce)
