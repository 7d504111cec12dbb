"""The cross-entropy in one kernel forward and one backward, which saves a GPU from starting some twenty small ones."""

from types import ModuleType

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
        counted = self.labels != self.ignore_index  # (M,)
        # the kernel ignores rows labelled -1; a wrong label that happens to be -1 becomes C, also out of range
        self.marked = xp.where(counted, xp.where(self.labels < 0, C, self.labels), -1)
        self.v = xp.ones(C, dtype=x.dtype) if self.weight is None else self.weight.astype(x.dtype)
        self.p, self.totals, losses = xp.empty_like(x, order="C"), xp.empty(M, x.dtype), xp.empty(M, x.dtype)
        kernels.cross_entropy_forward(x, self.marked, self.v, self.label_smoothing, self.p, self.totals, losses)
        self.divisor = (self.v[self.labels % C] * counted).sum() if self.reduction == "mean" else None
        if self.reduction == "none":
            return losses
        return self.reduced(losses)

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        scale = xp.broadcast_to(self.scaled(xp, grad_output), (len(self.p),))
        grad_x = xp.empty_like(self.p)
        kernels.cross_entropy_backward(self.p, self.totals, self.marked, self.v, self.label_smoothing, scale, grad_x)
        return grad_x


add_algorithm(FusedCrossEntropy, faster=lambda running: running == "cuda")
