"""The mean squared error: the loss of regression."""

from types import ModuleType
from typing import Any

import numpy as np

from minicnn.arguments import one_of, same_dtype
from minicnn.autograd import Function, Tensor, as_tensor
from minicnn.backend import Array
from minicnn.ops.loss import REDUCTIONS

__all__ = ["MSELoss", "mse_loss"]


class MSELoss(Function):
    """L = (x - t)^2, its sum, or its mean over all n numbers;  dL/dx = 2 (x - t), for the mean over n;  dL/dt = -dL/dx.

    Any shape. Of all constants the mean of the targets has the smallest mean squared error: a network that is trained
    with it predicts an expectation.
    """

    def __init__(self, reduction: str) -> None:
        self.reduction = reduction

    def forward(self, xp: ModuleType, x: Array, t: Array) -> Array:
        self.difference = x - t
        squares = self.difference * self.difference
        if self.reduction == "none":
            return squares
        with np.errstate(invalid="ignore"):  # the mean of nothing is NaN
            return squares.sum() / squares.size if self.reduction == "mean" else squares.sum()

    def backward(self, xp: ModuleType, grad_output: Array) -> tuple[Array, Array]:
        n = max(1, self.difference.size) if self.reduction == "mean" else 1
        grad_x = self.difference * (grad_output * 2 / n)
        return grad_x, -grad_x


def mse_loss(input: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """Return ``(input - target)^2``, or its mean or sum.

    Parameters
    ----------
    input : Tensor
        Any shape.
    target : array or Tensor
        Of the same shape and precision. It can get a gradient, too.
    reduction : {"mean", "sum", "none"}
        Over all numbers.

    Returns
    -------
    Tensor of shape (), or of the input's shape for ``reduction="none"``

    Raises
    ------
    ValueError
        If the shapes differ. PyTorch broadcasts them with a warning: (N, 1) against (N,) would give N x N differences.
    """
    one_of("mse_loss", "reduction", reduction, REDUCTIONS)
    input = as_tensor(input)
    target = as_tensor(target)
    same_dtype("mse_loss", input=input, target=target)
    if input.shape != target.shape:
        raise ValueError(f"mse_loss: target must have the input's shape {input.shape}, got {target.shape}")
    return MSELoss(reduction)(input, target)
