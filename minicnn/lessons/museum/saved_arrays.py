"""An operation that does not keep its saved array to itself."""

from types import ModuleType

import numpy as np

from minicnn.autograd import Function, Tensor
from minicnn.backend import Array
from minicnn.lessons.museum.exhibit import Exhibit, Maker, normal


class Square(Function):
    """y = x^2;  dL/dx = dL/dy 2 x."""

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.x = x
        return x * x

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return grad_output * 2 * self.x


class SquareSharesBuffer(Square):
    """What backward needs is saved in a buffer that all instances of the operation share.

    Tempting because it saves an allocation in each step, and the shape never changes.

    Symptom: right as long as the operation occurs once in the network. The second use overwrites what the first has
    saved, and the gradient of the first is computed from the input of the second.
    """

    buffer = np.empty((3, 4))

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.x = self.buffer
        self.x[...] = x
        return x * x


def _twice(make: Maker, x: Tensor) -> Tensor:
    return make()(x) * make()(x + 1)


_ROWS = normal((3, 4))


EXHIBITS = [
    Exhibit(
        "square-shares-buffer",
        SquareSharesBuffer,
        Square,
        _ROWS,
        "gradcheck",
        "Use it twice before you call backward.",
        use=_twice,
    ),
]
