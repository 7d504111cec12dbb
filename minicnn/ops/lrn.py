"""Local response normalisation: each number is divided by the energy of its neighbours in other channels."""

import math
from types import ModuleType

from minicnn import kernels
from minicnn.arguments import floating, number, whole
from minicnn.autograd import OWN_PLACE, Function, Tensor, as_tensor
from minicnn.backend import Array, empty, split

__all__ = ["LocalResponseNorm", "local_response_norm"]


class LocalResponseNorm(Function):
    """y_c = x_c D_c^-beta  with  D_c = k + a (sum of x_j^2 over the window W(c) = c - below ... c + above).

    x_c is part of its own D and of its neighbours'. Hence, with W'(c) = c - above ... c + below (whose windows hold c),

        dL/dx_c = dL/dy_c D_c^-beta - 2 a beta x_c (sum over i in W'(c) of dL/dy_i y_i / D_i).

    At the edges the sum has fewer terms; a does not change. Any shape (N, C, *): positions are independent.

    Krizhevsky et al. 2012, section 3.3: five channels, k = 2, a = 1e-4, beta = 0.75.
    """

    reads = OWN_PLACE

    def __init__(self, below: int, above: int, k: float, a: float, beta: float) -> None:
        self.below, self.above, self.k, self.a, self.beta = below, above, k, a, beta

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.x = xp.ascontiguousarray(x)
        y = empty(xp, x.shape, x.dtype)
        flat_x, flat_y = positions(self.x), positions(y)
        split(
            xp,
            len(x),
            lambda i, j: kernels.lrn_forward(
                flat_x[i:j], self.below, self.above, self.k, self.a, self.beta, flat_y[i:j]
            ),
        )
        return y

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        grad_x = empty(xp, self.x.shape, self.x.dtype)
        flat_x, flat_grad_y = positions(self.x), positions(xp.ascontiguousarray(grad_output))
        flat_grad_x = positions(grad_x)
        split(
            xp,
            len(grad_x),
            lambda i, j: kernels.lrn_backward(
                flat_x[i:j], flat_grad_y[i:j], self.below, self.above, self.k, self.a, self.beta, flat_grad_x[i:j]
            ),
        )
        return grad_x


def positions(array: Array) -> Array:
    """Return (N, C, *) as (N, C, S), with all positions of an image in one dimension."""
    N, C, *others = array.shape
    return array.reshape(N, C, math.prod(others))


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Normalise each number by `size` neighbouring channels at its position, as ``torch.nn.functional`` does.

    ``y_c = x_c (k + alpha / size * sum of x^2 over the window)^-beta``; the window of channel c reaches from
    ``c - size // 2`` to ``c + (size - 1) // 2``.

    Parameters
    ----------
    input : Tensor of shape (N, C, *)
        Any number of further dimensions, or none.
    size : int
        The number of channels in the window.
    alpha : float
        Divided by `size`, as in PyTorch. The paper does not divide: its 1e-4 is ``alpha=5e-4`` here.
    beta : float
        The exponent.
    k : float
        Added to the sum; 2 in the paper.

    Returns
    -------
    Tensor of the same shape

    References
    ----------
    Krizhevsky et al. 2012, section 3.3.
    """
    tensor = as_tensor(input)
    floating("local_response_norm", "input", tensor)
    if tensor.ndim < 2:
        raise ValueError(f"local_response_norm: input must have shape (N, C, *), got {tensor.shape}")
    size = whole("local_response_norm", "size", size, 1)
    alpha, beta = number("local_response_norm", "alpha", alpha), number("local_response_norm", "beta", beta)
    k = number("local_response_norm", "k", k)
    return LocalResponseNorm(size // 2, (size - 1) // 2, k, alpha / size, beta)(tensor)
