"""Arithmetic with broadcasting: + - * / ** @ neg exp log sqrt abs, and Tensor's operators for them."""

import numbers
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from minicnn.arguments import shown
from minicnn.autograd import OWN_PLACE, Function, Tensor, as_tensor, install_methods
from minicnn.backend import Array, get_array_module, on_device_of, product
from minicnn.ops.conversion import to

__all__ = [
    "Abs",
    "Add",
    "Div",
    "Exp",
    "Log",
    "MatMul",
    "Mul",
    "Neg",
    "Pow",
    "Sqrt",
    "Sub",
    "abs",
    "exp",
    "log",
    "matmul",
    "pow",
    "sqrt",
]


def sum_to(grad: Array, shape: tuple[int, ...]) -> Array:
    """Undo broadcasting: the gradient of a value that was used many times is the sum over all its uses."""
    if grad.shape == shape:
        return grad
    grad = grad.sum(axis=tuple(range(grad.ndim - len(shape))))
    stretched = tuple(i for i, size in enumerate(shape) if size == 1 and grad.shape[i] != 1)
    return grad.sum(axis=stretched, keepdims=True) if stretched else grad


class _Binary(Function):
    """Base of the four operations: they save the shapes that the gradients are summed back to."""

    reads = OWN_PLACE

    a_shape: tuple[int, ...]
    b_shape: tuple[int, ...]

    def remember_shapes(self, a: Array, b: Array) -> None:
        self.a_shape, self.b_shape = a.shape, b.shape


class Add(_Binary):
    """y = a + b;  dL/da = dL/dy,  dL/db = dL/dy.  Any shapes that broadcast."""

    def forward(self, xp: ModuleType, a: Array, b: Array) -> Array:
        self.remember_shapes(a, b)
        return a + b

    def backward(self, xp: ModuleType, grad_output: Array) -> Any:
        return sum_to(grad_output, self.a_shape), sum_to(grad_output, self.b_shape)


class Sub(_Binary):
    """y = a - b;  dL/da = dL/dy,  dL/db = -dL/dy.  Any shapes that broadcast."""

    def forward(self, xp: ModuleType, a: Array, b: Array) -> Array:
        self.remember_shapes(a, b)
        return a - b

    def backward(self, xp: ModuleType, grad_output: Array) -> Any:
        return sum_to(grad_output, self.a_shape), sum_to(-grad_output, self.b_shape)


class Mul(_Binary):
    """y = a b;  dL/da = dL/dy b,  dL/db = dL/dy a.  Any shapes that broadcast."""

    needed_by: ClassVar = {0: (1,), 1: (0,)}

    def forward(self, xp: ModuleType, a: Array, b: Array) -> Array:
        self.remember_shapes(a, b)
        self.a, self.b = a, b
        return a * b

    def backward(self, xp: ModuleType, grad_output: Array) -> Any:
        wants_a, wants_b = self.needs_input_grad
        grad_a = sum_to(grad_output * self.b, self.a_shape) if wants_a else None
        grad_b = sum_to(grad_output * self.a, self.b_shape) if wants_b else None
        return grad_a, grad_b


class Div(_Binary):
    """y = a / b;  dL/da = dL/dy / b,  dL/db = -dL/dy a / b^2.  Any shapes that broadcast.

    Whole numbers give float32, as in PyTorch.
    """

    needed_by: ClassVar = {0: (1,), 1: (0, 1)}

    def forward(self, xp: ModuleType, a: Array, b: Array) -> Array:
        self.remember_shapes(a, b)
        self.a, self.b = a, b
        return a / b if a.dtype.kind == "f" else xp.divide(a, b, dtype=np.float32)

    def backward(self, xp: ModuleType, grad_output: Array) -> Any:
        wants_a, wants_b = self.needs_input_grad
        grad_a = sum_to(grad_output / self.b, self.a_shape) if wants_a else None
        grad_b = sum_to(-grad_output * self.a / (self.b * self.b), self.b_shape) if wants_b else None
        return grad_a, grad_b


class Neg(Function):
    """y = -x;  dL/dx = -dL/dy.  Any shape."""

    reads = OWN_PLACE

    def forward(self, xp: ModuleType, x: Array) -> Array:
        return -x

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return -grad_output


class Pow(Function):
    """y = x^p for a constant number p;  dL/dx = dL/dy p x^(p - 1).  Any shape."""

    reads = OWN_PLACE

    def __init__(self, exponent: float) -> None:
        self.exponent = exponent

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.x = x
        return x**self.exponent

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        if self.exponent == 0:  # 0 x^-1 would be NaN at x = 0
            return xp.zeros_like(grad_output)
        return grad_output * (self.exponent * self.x ** (self.exponent - 1))


class Exp(Function):
    """y = e^x;  dL/dx = dL/dy y.  Any shape."""

    reads = OWN_PLACE

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.y = xp.exp(x)
        return self.y

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return grad_output * self.y


class Log(Function):
    """y = ln x;  dL/dx = dL/dy / x.  Any shape."""

    reads = OWN_PLACE

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.x = x
        return xp.log(x)

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return grad_output / self.x


class Sqrt(Function):
    """y = x^(1/2);  dL/dx = dL/dy / (2 y).  Any shape."""

    reads = OWN_PLACE

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.y = xp.sqrt(x)
        return self.y

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return grad_output / (2 * self.y)


class Abs(Function):
    """y = |x|;  dL/dx = dL/dy where x > 0, -dL/dy where x < 0, and 0 at the kink x = 0.  Any shape."""

    reads = OWN_PLACE

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.x = x
        return xp.abs(x)

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return grad_output * xp.sign(self.x)


class MatMul(Function):
    """Y = A B for stacks of matrices;  dL/dA = dL/dY B^T,  dL/dB = A^T dL/dY.

    Shapes: A (..., M, K), B (..., K, N), Y (..., M, N), leading dimensions broadcast. As with NumPy's ``@`` a vector
    is a matrix of one row on the left, and of one column on the right.
    """

    needed_by: ClassVar = {0: (1,), 1: (0,)}

    def forward(self, xp: ModuleType, a: Array, b: Array) -> Array:
        self.a, self.b = a, b
        return product(xp, a, b)

    def backward(self, xp: ModuleType, grad_output: Array) -> Any:
        a = self.a[None, :] if self.a.ndim == 1 else self.a  # (M, K)
        b = self.b[:, None] if self.b.ndim == 1 else self.b  # (K, N)
        grad = grad_output
        if self.b.ndim == 1:
            grad = grad[..., None]
        if self.a.ndim == 1:
            grad = grad[..., None, :]  # (..., M, N)
        wants_a, wants_b = self.needs_input_grad
        grad_a = sum_to(product(xp, grad, b.swapaxes(-1, -2)), a.shape).reshape(self.a.shape) if wants_a else None
        grad_b = sum_to(product(xp, a.swapaxes(-1, -2), grad), b.shape).reshape(self.b.shape) if wants_b else None
        return grad_a, grad_b


def operand(name: str, value: Any, partner: Tensor) -> Tensor:
    """Return the other operand as a tensor, on the device of its partner if it is a number.

    A number, NumPy's included, takes the dtype of its partner. An array without dimensions keeps its own.
    """
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (numbers.Real, np.bool_)):
        whole = isinstance(value, (numbers.Integral, np.bool_))
        weak = partner.dtype if partner.dtype.kind == "f" or whole else np.float32
        if partner.dtype.kind == "b" and whole and not isinstance(value, (bool, np.bool_)):
            weak = np.int64  # 2 is not a boolean
        with on_device_of(partner.data):
            return Tensor(get_array_module(partner.data).asarray(value, dtype=weak))
    if hasattr(value, "__array__"):
        return Tensor(value) if np.ndim(value) else Tensor(value).to(partner.device)
    raise TypeError(f"{name}: the other operand must be a Tensor, an array or a number, got {value!r}")


def common_dtype(a: Tensor, b: Tensor) -> Any:
    """Return the dtype of a result, by PyTorch's rules.

    Real numbers win over whole ones, whatever their precision, and these over booleans. Of the same kind, a tensor
    without dimensions follows the other one; otherwise the larger dtype wins.
    """
    kinds = ["biuf".index(x.dtype.kind) for x in (a, b)]
    ranks = [0 if kind == 0 else 2 if kind == 3 else 1 for kind in kinds]
    if ranks[0] != ranks[1]:
        return (a if ranks[0] > ranks[1] else b).dtype
    if (a.ndim == 0) != (b.ndim == 0):
        return (b if a.ndim == 0 else a).dtype
    return np.promote_types(a.dtype, b.dtype)


def _apply(function: type[Function], symbol: str, a: Any, b: Any) -> Tensor:
    a = operand(symbol, a, b) if not isinstance(a, Tensor) else a
    b = operand(symbol, b, a)
    if a.data.dtype is not b.data.dtype and a.dtype != b.dtype:
        common = common_dtype(a, b)
        a, b = to(a, common), to(b, common)
    try:
        return function()(a, b)
    except ValueError as error:
        raise ValueError(f"{symbol}: shapes {a.shape} and {b.shape} do not fit together") from error


def _real(input: Any) -> Tensor:
    """Return whole numbers as float32, as PyTorch does for functions whose values are no whole numbers."""
    tensor = as_tensor(input)
    return tensor if tensor.dtype.kind == "f" else to(tensor, np.float32)


def exp(input: Tensor) -> Tensor:
    """Return e to the power of each element. Any shape."""
    return Exp()(_real(input))


def log(input: Tensor) -> Tensor:
    """Return the natural logarithm of each element. Any shape."""
    return Log()(_real(input))


def sqrt(input: Tensor) -> Tensor:
    """Return the square root of each element. Any shape."""
    return Sqrt()(_real(input))


def abs(input: Tensor) -> Tensor:
    """Return the absolute value of each element. Any shape."""
    return Abs()(input)


def matmul(input: Any, other: Any) -> Tensor:
    """Return the matrix product ``input @ other``: (..., M, K) and (..., K, N) give (..., M, N)."""
    return _apply(MatMul, "@", input, other)


def pow(input: Tensor, exponent: Any) -> Tensor:
    """Return each element to the power of a number."""
    if isinstance(exponent, bool) or not isinstance(exponent, numbers.Real):
        raise TypeError(f"**: the exponent must be a plain number, got {shown(exponent)}")
    if isinstance(exponent, numbers.Integral):
        return Pow(int(exponent))(as_tensor(input))
    return Pow(float(exponent))(_real(input))


install_methods(
    __add__=lambda a, b: _apply(Add, "+", a, b),
    __radd__=lambda a, b: _apply(Add, "+", b, a),
    __sub__=lambda a, b: _apply(Sub, "-", a, b),
    __rsub__=lambda a, b: _apply(Sub, "-", b, a),
    __mul__=lambda a, b: _apply(Mul, "*", a, b),
    __rmul__=lambda a, b: _apply(Mul, "*", b, a),
    __truediv__=lambda a, b: _apply(Div, "/", a, b),
    __rtruediv__=lambda a, b: _apply(Div, "/", b, a),
    __matmul__=lambda a, b: _apply(MatMul, "@", a, b),
    __rmatmul__=lambda a, b: _apply(MatMul, "@", b, a),
    __neg__=lambda x: Neg()(x),
    __pow__=pow,
    __abs__=abs,
    pow=pow,
    abs=abs,
    exp=exp,
    log=log,
    sqrt=sqrt,
    matmul=matmul,
    mm=lambda x, mat2: matmul(x, mat2),
)
