"""Tensors that cross from one process to another, and their gradients, which cross back.

Every rank applies the operation, forward and backward: each waits for the others. So what an operation returns must
reach the loss on all ranks, or on none.
"""

from types import ModuleType
from typing import Any, Protocol

import numpy as np

from minicnn.arguments import axis, floating
from minicnn.autograd import OWN_PLACE, Function, Tensor, as_tensor
from minicnn.backend import Array, asnumpy, device_of, to_device

__all__ = ["AllGather", "Exchange", "Ranks", "all_gather", "exchange"]


class Ranks(Protocol):
    """What the operations need of :class:`minicnn.distributed.Team`."""

    rank: int
    size: int

    def swap(self, array: Any, other: int) -> Any:
        """Send an array to another rank, and return the one that it sends."""

    def everyone(self, value: Any) -> list[Any]:
        """Return the values of all ranks."""


class Exchange(Function):
    """y_0 = x_1 and y_1 = x_0, where the index is the rank;  dL/dx_0 = dL/dy_1 and dL/dx_1 = dL/dy_0.  Any shape.

    L is the sum of what the two ranks compute. What a rank has sent, it does not use itself: the other one has its
    gradient, and sends it back. So the backward pass is an exchange, too.

    Krizhevsky et al. 2012, section 3.2: two GPUs, which communicate only in certain layers.
    """

    reads = OWN_PLACE

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks

    def forward(self, xp: ModuleType, x: Array) -> Array:
        return self.swapped(x)

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return self.swapped(grad_output)

    def swapped(self, array: Array) -> Array:
        """Return the other rank's array, on the device of this one."""
        other = self.ranks.size - 1 - self.ranks.rank
        return to_device(self.ranks.swap(asnumpy(array), other), device_of(array))


class AllGather(Function):
    """y = [x_0, x_1, ...], joined along an axis, the same on all ranks;  dL/dx_r = part r of dL/dy.

    All ranks then compute the same L from the same y. They are copies of one computation, so L counts once, every rank
    has the whole dL/dy, and the gradient of its own part need not travel. Any shape; all dimensions but the axis are
    the same on all ranks.
    """

    def __init__(self, ranks: Ranks, dim: int) -> None:
        self.ranks, self.dim = ranks, dim

    def forward(self, xp: ModuleType, x: Array) -> Array:
        parts = self.ranks.everyone(asnumpy(x))
        self.stop = sum(part.shape[self.dim] for part in parts[: self.ranks.rank + 1])
        self.start = self.stop - x.shape[self.dim]
        return to_device(np.concatenate(parts, self.dim), device_of(x))

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        own: Array = grad_output[(*(slice(None),) * self.dim, slice(self.start, self.stop))]
        return own


def exchange(input: Tensor, ranks: Ranks) -> Tensor:
    """Send a tensor to the other one of two processes, and return the tensor that it sends.

    Parameters
    ----------
    input : Tensor
        Any shape, the same in both processes.
    ranks : Team
        Of two processes. Of one, it returns a copy of `input`.

    References
    ----------
    Krizhevsky et al. 2012, section 3.2 and figure 2.
    """
    tensor = as_tensor(input)
    floating("exchange", "input", tensor)
    if ranks.size > 2:
        raise ValueError(f"exchange: ranks must be at most 2, got {ranks.size}")
    return Exchange(ranks)(tensor)


def all_gather(input: Tensor, ranks: Ranks, dim: int = 0) -> Tensor:
    """Return the tensors of all processes, joined along a dimension in the order of the ranks.

    All of them must go on to compute the same: see :class:`AllGather` for the gradient.

    Parameters
    ----------
    input : Tensor
        Any shape but (). All dimensions but `dim` must be the same in all processes.
    ranks : Team
    dim : int
    """
    tensor = as_tensor(input)
    floating("all_gather", "input", tensor)
    return AllGather(ranks, axis("all_gather", "dim", dim, tensor.ndim))(tensor)
