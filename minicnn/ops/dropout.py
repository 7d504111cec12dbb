"""Dropout: train many thinned networks at once by setting random units to zero."""

from types import ModuleType

from minicnn.arguments import floating, only, probability
from minicnn.autograd import OWN_PLACE, Function, Tensor, as_tensor
from minicnn.backend import Array, random_uniform
from minicnn.ops.algorithms import choose

__all__ = ["Dropout", "dropout"]


class Dropout(Function):
    """y = x m / (1 - p)  with  m = 1 with probability 1 - p, else 0;  dL/dx = dL/dy m / (1 - p).  Any shape.

    Activations (not weights) are divided by the probability of being *kept* during training, so that their expectation
    is the same as at test time, when nothing happens here. Krizhevsky et al. 2012, section 4.2, multiplies by 0.5 at
    test time instead: the same expectation, but the network must know at test time how it was trained.
    """

    reads = OWN_PLACE

    def __init__(self, p: float) -> None:
        self.p = p

    def forward(self, xp: ModuleType, x: Array) -> Array:
        keep = random_uniform(xp, x.shape, x.dtype) >= self.p
        self.mask = keep * x.dtype.type(1 / (1 - self.p) if self.p < 1 else 0)
        return x * self.mask

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return grad_output * self.mask


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Set each element to 0 with probability `p`, and scale the others by ``1 / (1 - p)``.

    Parameters
    ----------
    input : Tensor
        Any shape.
    p : float
        The probability of being *dropped*, between 0 and 1.
    training : bool
        If False, `input` is returned unchanged.
    inplace : bool
        Only False.

    References
    ----------
    Krizhevsky et al. 2012, section 4.2; Hinton et al. 2012, arXiv:1207.0580.
    """
    tensor = as_tensor(input)
    floating("dropout", "input", tensor)
    p = probability("dropout", "p", p)
    only("dropout", "inplace", inplace, False)
    return choose(Dropout, tensor.data)(p)(tensor) if training and p > 0 else tensor
