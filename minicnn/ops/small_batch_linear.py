"""The fully connected layer for small batches: two of its three products by kernels of their own.

A matrix product first copies the weights into another order, and clears their gradient before it adds to it. That pays
off only if many rows share the work.
"""

import math
from types import ModuleType

from minicnn import kernels
from minicnn.backend import Array, empty, split
from minicnn.ops.algorithms import add_algorithm
from minicnn.ops.linear import Linear

__all__ = ["SmallBatchLinear"]

SMALL_BATCH = range(2, 129)  # rows for which the kernel is faster than a matrix product,
SMALL_BATCH_BACKWARD = range(2, 65)  # and in the backward pass
MANY_WEIGHTS = 1 << 20  # too many for the caches near a core


class SmallBatchLinear(Linear):
    """The same equations; for few rows, a large layer's weights are read once, and their gradient is written once."""

    textbook, algorithm = Linear, "small batch"

    def product(self, xp: ModuleType) -> Array:
        """Return x w^T."""
        x, w = xp.ascontiguousarray(self.x), xp.ascontiguousarray(self.w)
        y = empty(xp, (len(x), len(w)), x.dtype)

        def some_outputs(start: int, stop: int) -> None:
            part = xp.empty((len(x), stop - start), dtype=x.dtype)
            kernels.linear_forward(x, w[start:stop], part)
            y[:, start:stop] = part

        split(xp, len(w), some_outputs)
        return y

    def grad_w(self, xp: ModuleType, grad_y: Array) -> Array:
        """Return dL/dw."""
        if len(grad_y) not in SMALL_BATCH_BACKWARD:
            return super().grad_w(xp, grad_y)
        x, grad_y = xp.ascontiguousarray(self.x), xp.ascontiguousarray(grad_y)
        grad_w = empty(xp, self.w.shape, x.dtype)
        split(xp, len(grad_w), lambda start, stop: kernels.linear_grad_w(grad_y, x, start, grad_w[start:stop]))
        return grad_w


def small_batch_is_faster(running: str, x: tuple[int, ...], w: tuple[int, ...]) -> bool:
    """When compiled, for few rows and many weights."""
    return running == "numba" and math.prod(x[:-1]) in SMALL_BATCH and math.prod(w) >= MANY_WEIGHTS


add_algorithm(SmallBatchLinear, small_batch_is_faster)
