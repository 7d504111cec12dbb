"""Dropout in one kernel forward and one backward: a GPU need not start a dozen, nor store the mask."""

from types import ModuleType

from minicnn import kernels
from minicnn.backend import Array, drawn_seed
from minicnn.ops.algorithms import add_algorithm
from minicnn.ops.dropout import Dropout

__all__ = ["FusedDropout"]


class FusedDropout(Dropout):
    """The same, with a mask that is a function of a seed and the position: backward computes it again.

    The seed is drawn from the generator that :func:`minicnn.manual_seed` seeds.
    """

    textbook, algorithm = Dropout, "fused"

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.seed = drawn_seed(x.shape)
        return self.masked(xp, x)

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return self.masked(xp, grad_output)

    def masked(self, xp: ModuleType, x: Array) -> Array:
        """Return x m / (1 - p)."""
        y = xp.empty(x.shape, x.dtype)
        scale = 1 / (1 - self.p) if self.p < 1 else 0.0
        kernels.dropout(x.reshape(-1), self.seed, self.p, scale, y.reshape(-1))
        return y


add_algorithm(FusedDropout, faster=lambda running: running == "cuda")
