"""The cross-entropy in one kernel forward and one backward, which saves a GPU from starting some twenty small ones."""

from types import ModuleType

import numpy as np

from minicnn import kernels
from minicnn.backend import Array
from minicnn.ops.algorithms import add_algorithm
from minicnn.ops.loss import CrossEntropy

__all__ = ["FusedCrossEntropy"]


class FusedCrossEntropy(CrossEntropy):
    """The same loss and gradient, each computed by one kernel.

    Nothing here waits for the GPU, so a label out of range raises no error: it makes the loss NaN.
    """

    textbook, algorithm = CrossEntropy, "fused"

    def forward(self, xp: ModuleType, x: Array) -> Array:
        M, C = x.shape
        self.v = xp.ones(C, dtype=x.dtype) if self.weight is None else self.weight.astype(x.dtype)
        self.p, self.totals, sums = xp.empty_like(x, order="C"), xp.empty(M, x.dtype), xp.empty((2, M), x.dtype)
        labels = self.labels, self.v, self.ignore_index
        kernels.cross_entropy_forward(x, *labels, self.label_smoothing, self.p, self.totals, sums)
        self.divisor = None
        if self.reduction == "none":
            return sums[0]
        if self.reduction == "sum":
            return sums[0].sum()
        loss, self.divisor = sums.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return loss / self.divisor  # of no label at all it is NaN, as 0 / 0 is

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        grad_x, labels = xp.empty_like(self.p), (self.labels, self.v, self.ignore_index)
        scaling = self.label_smoothing, grad_output, self.divisor
        kernels.cross_entropy_backward(self.p, self.totals, *labels, *scaling, grad_x)
        return grad_x


add_algorithm(FusedCrossEntropy, faster=lambda running: running == "cuda")
