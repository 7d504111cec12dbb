"""Broken activation functions."""

from functools import partial
from types import ModuleType

import numpy as np

from minicnn.backend import Array
from minicnn.lessons.museum.exhibit import Exhibit, normal
from minicnn.ops.activation import ReLU, Softmax, Tanh


class ReLUWritesIntoGradient(ReLU):
    """The incoming gradient is masked in place and returned.

    Tempting because it saves an array. But where a tensor is used twice, both branches may hold the same gradient
    array, and the other branch gets it with holes.

    Symptom: a plain chain of layers trains perfectly; with the first branch or skip connection, gradients of
    unrelated layers are wrong.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        grad_output[self.y <= 0] = 0
        return grad_output


class ReLUInPlace(ReLU):
    """The input is overwritten with the output.

    Tempting because it halves the memory, and ReLU itself needs only its output. But the array belongs to
    the operation before, which may have saved it for its own backward.

    Symptom: right after a convolution, whose backward does not read its output; wrong after tanh, whose backward does.
    The same input gives a different result when it is used a second time.
    """

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.y = xp.maximum(x, 0, out=x)
        return self.y


class ReLUMaskedByGradient(ReLU):
    """The gradient passes where the *gradient* is positive, instead of where the input was.

    Tempting because forward is "max(0, ...) of what comes in", so backward gets the same line. (The "deconvnet"
    visualisations use this rule on purpose; it is not the derivative.)

    Symptom: only positive gradients pass, so activations are only ever pushed down and never up, until most units are
    silent.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return xp.where(grad_output > 0, grad_output, 0)


class TanhDerivativeOfInput(Tanh):
    """1 - x^2 instead of 1 - tanh(x)^2.

    Tempting because the formula is learnt as 1 - y^2 and typed with the name of the saved array, which is x.

    Symptom: near 0, where tanh(x) is close to x, nothing is wrong, so small initial weights hide it; once x leaves
    [-1, 1] the gradient has the wrong sign, and grows without bound.
    """

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.x = x
        return xp.tanh(x)

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return grad_output * (1 - self.x * self.x)


class SoftmaxElementwise(Softmax):
    """dL/dx = dL/dy y (1 - y), as for the sigmoid: only the diagonal of the Jacobian.

    Tempting because softmax looks like an activation function. But every output depends on every input of its
    row.

    Symptom: the gradients of a row no longer add up to zero; training is slow, but it works, so the bug stays.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return grad_output * self.y * (1 - self.y)


class SoftmaxOverflowing(Softmax):
    """e^x without subtracting the largest x first.

    Tempting because it is the formula. But e^710 overflows a float64, and e^89 a float32.

    Symptom: none for weeks, then one large score makes inf / inf = NaN, and one step later every parameter is NaN.
    """

    def forward(self, xp: ModuleType, x: Array) -> Array:
        e = xp.exp(x)
        self.y = e / e.sum(axis=self.dim, keepdims=True)
        return self.y


def _softmax(x: Array) -> Array:
    y = np.empty_like(x)
    for row, column in np.ndindex(*x.shape):
        y[row, column] = 1 / sum(np.exp(min(other - x[row, column], 700)) for other in x[row])
    return y


_ROWS = normal((3, 4))


EXHIBITS = [
    Exhibit(
        "relu-writes-into-gradient",
        ReLUWritesIntoGradient,
        ReLU,
        _ROWS,
        "gradcheck",
        "Who else may hold the array grad_output?",
    ),
    Exhibit(
        "relu-in-place",
        ReLUInPlace,
        ReLU,
        _ROWS,
        "gradcheck",
        "Compare the input before and after forward.",
    ),
    Exhibit(
        "relu-masked-by-gradient",
        ReLUMaskedByGradient,
        ReLU,
        _ROWS,
        "gradcheck",
        "Which array's sign decides whether a unit was active? Section 3.1.",
    ),
    Exhibit(
        "tanh-derivative-of-input",
        TanhDerivativeOfInput,
        Tanh,
        normal((3, 4), scale=2.0),
        "gradcheck",
        "What is the slope of tanh at 2, and can it be negative? Section 3.1.",
    ),
    Exhibit(
        "softmax-elementwise",
        partial(SoftmaxElementwise, 1),
        partial(Softmax, 1),
        _ROWS,
        "gradcheck",
        "If one score rises, what happens to the probabilities of the others?",
    ),
    Exhibit(
        "softmax-overflows",
        partial(SoftmaxOverflowing, 1),
        partial(Softmax, 1),
        normal((3, 4), scale=1000.0),
        "reference",
        "What is e to the power of 1000 in float64?",
        reference=_softmax,
    ),
]
