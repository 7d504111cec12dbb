"""The fully connected layer: three matrix products."""

import math
from types import ModuleType
from typing import Any, ClassVar

from minicnn.arguments import same_dtype
from minicnn.autograd import Function, Tensor, as_tensor
from minicnn.backend import Array, matmul
from minicnn.ops.algorithms import choose

__all__ = ["Linear", "linear"]


class Linear(Function):
    """y = x w^T + b;  dL/dx = dL/dy w,  dL/dw = (dL/dy)^T x,  dL/db = sum of dL/dy over all rows.

    Shapes: x (*, I), w (O, I), b (O,), y (*, O): rows are independent. Krizhevsky et al. 2012, section 3.5.
    """

    needed_by: ClassVar = {0: (1,), 1: (0,)}

    def forward(self, xp: ModuleType, x: Array, w: Array, b: Array | None) -> Array:
        self.input_shape = x.shape
        self.x, self.w = x.reshape(math.prod(x.shape[:-1]), x.shape[-1]), w  # (M, I), (O, I)
        y = self.product(xp)
        if b is not None:
            y += b
        return y.reshape(*x.shape[:-1], len(w))

    def product(self, xp: ModuleType) -> Array:
        """Return x w^T."""
        return matmul(xp, self.x, self.w.T)  # (M, I) @ (I, O)

    def backward(self, xp: ModuleType, grad_output: Array) -> Any:
        wants_x, wants_w, wants_b = self.needs_input_grad
        grad_y = grad_output.reshape(len(self.x), len(self.w))  # (M, O)
        grad_x = matmul(xp, grad_y, self.w).reshape(self.input_shape) if wants_x else None  # (M, O) @ (O, I)
        grad_w = self.grad_w(xp, grad_y) if wants_w else None
        return grad_x, grad_w, grad_y.sum(axis=0) if wants_b else None

    def grad_w(self, xp: ModuleType, grad_y: Array) -> Array:
        """Return dL/dw."""
        return matmul(xp, grad_y.T, self.x)  # (O, M) @ (M, I)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``input @ weight.T + bias``.

    Parameters
    ----------
    input : Tensor of shape (*, I)
    weight : Tensor of shape (O, I)
    bias : Tensor of shape (O,), optional

    Returns
    -------
    Tensor of shape (*, O)

    References
    ----------
    Krizhevsky et al. 2012, section 3.5.
    """
    input, weight = as_tensor(input), as_tensor(weight)
    bias = None if bias is None else as_tensor(bias)
    same_dtype("linear", input=input, weight=weight, bias=bias)
    if weight.ndim != 2:
        raise ValueError(f"linear: weight must have shape (out features, in features), got {weight.shape}")
    if input.ndim == 0 or input.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"linear: input must have shape (*, {weight.shape[1]}) for a weight of shape {weight.shape}, "
            f"got {input.shape}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"linear: bias must have shape ({weight.shape[0]},), got {bias.shape}")
    return choose(Linear, input.data, input.shape, weight.shape)()(input, weight, bias)
