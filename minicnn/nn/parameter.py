"""The two kinds of tensors that a module owns: parameters, which training changes, and buffers."""

from typing import Any

from minicnn.autograd import Tensor

__all__ = ["Buffer", "Parameter"]


class Parameter(Tensor):
    """A tensor that training changes. A module that has one as an attribute lists it among its parameters.

    Parameters
    ----------
    data : array_like or Tensor
        The starting values, not copied. Lists become float32; arrays keep float32 or float64.
    requires_grad : bool
        False freezes the parameter: it gets no gradient, and optimisers skip it.
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(data.data if isinstance(data, Tensor) else data, requires_grad)
        if isinstance(data, Tensor):
            self.edits = data.edits

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


class Buffer(Tensor):
    """A tensor of a module that is saved, loaded and moved with its parameters, but not trained.

    Batch normalisation keeps its running statistics in buffers.

    Parameters
    ----------
    data : array_like or Tensor
        The values, not copied.
    """

    __slots__ = ()

    def __init__(self, data: Any) -> None:
        super().__init__(data.data if isinstance(data, Tensor) else data)
        if isinstance(data, Tensor):
            self.edits = data.edits
