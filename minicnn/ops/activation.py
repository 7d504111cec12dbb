"""Activation functions: ReLU, tanh, sigmoid, and softmax and its logarithm."""

from types import ModuleType
from typing import Any

from minicnn import kernels
from minicnn.arguments import axis, floating, number, only, switch
from minicnn.autograd import Function, Tensor, as_tensor, install_methods, mark_written
from minicnn.backend import Array, elementwise
from minicnn.ops.conversion import to
from minicnn.ops.elementwise import Elementwise
from minicnn.ops.in_place import may_be_overwritten, replaced

__all__ = [
    "LeakyReLU",
    "LogSoftmax",
    "ReLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "leaky_relu",
    "log_softmax",
    "relu",
    "sigmoid",
    "softmax",
    "tanh",
]


class ReLU(Elementwise):
    """y = max(0, x);  dL/dx = dL/dy where x > 0, else 0.  Any shape.

    At the kink x = 0 the slope is taken as 0. NaN passes through, forward and backward, so that it is noticed.
    Krizhevsky et al. 2012, section 3.1.
    """

    def value(self, xp: ModuleType, x: Array, out: Array) -> None:
        xp.maximum(x, 0, out=out)

    def gradient(self, xp: ModuleType, y: Array, grad_y: Array, out: Array) -> None:
        kernels.relu_backward(y, grad_y, out)


class _ReLUInPlace(ReLU):
    """The same, but y takes the memory of x, whose numbers are lost: the slope can be told from y alone."""

    textbook = ReLU
    algorithm = "in place"
    views = True

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.y = elementwise(xp, lambda x, out: self.value(xp, x, out), x, in_place=True)
        return self.y


class LeakyReLU(Elementwise):
    """y = x where x > 0, else s x;  dL/dx = dL/dy where x > 0, else s dL/dy.  Any shape.

    A unit that is negative for every image still learns. Maas, Hannun and Ng 2013, section 2.
    """

    keeps = "x"

    def __init__(self, slope: float) -> None:
        self.slope = slope

    def value(self, xp: ModuleType, x: Array, out: Array) -> None:
        xp.multiply(x, xp.where(x > 0, x.dtype.type(1), x.dtype.type(self.slope)), out=out)

    def gradient(self, xp: ModuleType, x: Array, grad_y: Array, out: Array) -> None:
        xp.multiply(grad_y, xp.where(x > 0, x.dtype.type(1), x.dtype.type(self.slope)), out=out)


class Tanh(Elementwise):
    """y = tanh x = (e^x - e^-x) / (e^x + e^-x);  dL/dx = dL/dy (1 - y^2).  Any shape.

    For |x| beyond 3 the slope is under 1 %: the unit saturates. Krizhevsky et al. 2012, section 3.1.
    """

    def value(self, xp: ModuleType, x: Array, out: Array) -> None:
        xp.tanh(x, out=out)

    def gradient(self, xp: ModuleType, y: Array, grad_y: Array, out: Array) -> None:
        xp.multiply(grad_y, 1 - y * y, out=out)


class Sigmoid(Elementwise):
    """y = 1 / (1 + e^-x);  dL/dx = dL/dy y (1 - y).  Any shape.

    e^-|x| never overflows, so both halves of the curve are computed from it: 1 / (1 + e^-|x|) is right for x >= 0,
    and multiplied by e^-|x| it is right for x < 0, small values included. Krizhevsky et al. 2012, section 3.1.
    """

    def value(self, xp: ModuleType, x: Array, out: Array) -> None:
        small = xp.exp(-xp.abs(x))
        xp.divide(xp.where(x < 0, small, 1), 1 + small, out=out)

    def gradient(self, xp: ModuleType, y: Array, grad_y: Array, out: Array) -> None:
        xp.multiply(grad_y * y, 1 - y, out=out)


class Softmax(Function):
    """y_i = e^(x_i) / sum_j e^(x_j) along one dimension;  dL/dx_i = y_i (dL/dy_i - sum_j dL/dy_j y_j).

    Subtracting the largest x first changes nothing but keeps e^x from overflowing. Krizhevsky et al. 2012, section 3.5.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, xp: ModuleType, x: Array) -> Array:
        e = xp.exp(x - x.max(axis=self.dim, keepdims=True))
        self.y = e / e.sum(axis=self.dim, keepdims=True)
        return self.y

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return self.y * (grad_output - (grad_output * self.y).sum(axis=self.dim, keepdims=True))


class LogSoftmax(Function):
    """y_i = x_i - ln sum_j e^(x_j) along one dimension;  dL/dx_i = dL/dy_i - e^(y_i) sum_j dL/dy_j."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, xp: ModuleType, x: Array) -> Array:
        shifted = x - x.max(axis=self.dim, keepdims=True)
        self.y = shifted - xp.log(xp.exp(shifted).sum(axis=self.dim, keepdims=True))
        return self.y

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return grad_output - xp.exp(self.y) * grad_output.sum(axis=self.dim, keepdims=True)


def _tensor(function: str, input: Any) -> Tensor:
    tensor = as_tensor(input)
    floating(function, "input", tensor)
    return tensor


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """Return ``max(0, input)``, element by element. Any shape.

    Parameters
    ----------
    input : Tensor
    inplace : bool
        Whether the result may take the memory of `input`, which is returned with the new values. It does so where a
        graph is recorded and `input` is the output of an operation that does not need it for its backward pass; not
        while a trace records every step. An operation that has saved `input` refuses its backward pass then.

    References
    ----------
    Krizhevsky et al. 2012, section 3.1.
    """
    tensor = _tensor("relu", input)
    if not switch("relu", "inplace", inplace) or not may_be_overwritten(tensor):
        return ReLU()(tensor)
    mark_written(tensor, "relu(inplace=True)")  # before the operation, which may use what it wrote itself
    return replaced(tensor, _ReLUInPlace()(tensor))


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """Return `input` where it is positive, else ``negative_slope * input``. Any shape.

    Parameters
    ----------
    input : Tensor
    negative_slope : float
        The slope for negative numbers.
    inplace : bool
        Only False.

    References
    ----------
    Maas, Hannun and Ng 2013, "Rectifier nonlinearities improve neural network acoustic models".
    """
    only("leaky_relu", "inplace", inplace, False)
    return LeakyReLU(number("leaky_relu", "negative_slope", negative_slope))(_tensor("leaky_relu", input))


def tanh(input: Tensor) -> Tensor:
    """Return the hyperbolic tangent, element by element. Any shape."""
    return Tanh()(_tensor("tanh", input))


def sigmoid(input: Tensor) -> Tensor:
    """Return ``1 / (1 + exp(-input))``, element by element. Any shape."""
    return Sigmoid()(_tensor("sigmoid", input))


def _along(function: type[Softmax] | type[LogSoftmax], name: str, input: Any, dim: int, dtype: Any) -> Tensor:
    tensor = as_tensor(input)
    tensor = _tensor(name, to(tensor, dtype=dtype))
    dim = axis(name, "dim", dim, tensor.ndim)
    if tensor.ndim == 0:
        return function(0)(tensor.reshape(1)).reshape(())
    if tensor.numel() == 0:
        return tensor * 1
    return function(dim)(tensor)


def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """Return probabilities: positive, adding up to 1 along `dim`, and proportional to ``exp(input)``.

    Parameters
    ----------
    input : Tensor
        Any shape.
    dim : int
        The dimension along which the probabilities add up to 1.
    dtype : dtype, optional
        Convert the numbers first.
    """
    return _along(Softmax, "softmax", input, dim, dtype)


def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """Return the logarithm of :func:`softmax`, computed without a probability that could round to 0.

    Parameters
    ----------
    input : Tensor
        Any shape.
    dim, dtype
        As in :func:`softmax`.
    """
    return _along(LogSoftmax, "log_softmax", input, dim, dtype)


install_methods(relu=relu, tanh=tanh, sigmoid=sigmoid, softmax=softmax, log_softmax=log_softmax)
