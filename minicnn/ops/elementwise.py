"""The base of activation functions: operations that compute each number of the output from one number of the input."""

from abc import ABC, abstractmethod
from types import ModuleType
from typing import ClassVar, Literal

from minicnn.autograd import OWN_PLACE, Function
from minicnn.backend import Array, elementwise

__all__ = ["Elementwise"]


class Elementwise(Function, ABC):
    """y = f(x), number by number.

    A subclass defines `value` and `gradient`. Both are called on blocks of the arrays, which the cores share, and write
    their result into `out` instead of returning it: that saves a pass through memory.

    Attributes
    ----------
    keeps : {"y", "x"}
        What the backward pass needs, saved under that name: the output, or the input where the output does not tell the
        slope. Prefer the output, which the next operation often keeps too.

    Examples
    --------
    >>> class Square(Elementwise):
    ...     keeps = "x"
    ...
    ...     def value(self, xp, x, out):
    ...         xp.multiply(x, x, out=out)
    ...
    ...     def gradient(self, xp, x, grad_y, out):
    ...         xp.multiply(2 * x, grad_y, out=out)
    >>> Square()([1.0, -3.0]).numpy()
    array([1., 9.], dtype=float32)
    """

    reads = OWN_PLACE
    keeps: ClassVar[Literal["x", "y"]] = "y"

    x: Array
    y: Array

    @abstractmethod
    def value(self, xp: ModuleType, x: Array, out: Array) -> None:
        """Write f(x) into `out`."""

    @abstractmethod
    def gradient(self, xp: ModuleType, kept: Array, grad_y: Array, out: Array) -> None:
        """Write dL/dx into `out`, given dL/dy and what was kept."""

    def forward(self, xp: ModuleType, x: Array) -> Array:
        y = elementwise(xp, lambda x, out: self.value(xp, x, out), x)
        setattr(self, self.keeps, x if self.keeps == "x" else y)
        return y

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        kept = getattr(self, self.keeps)
        return elementwise(xp, lambda kept, grad_y, out: self.gradient(xp, kept, grad_y, out), kept, grad_output)
