"""Tensors: an array that remembers the Function that made it.

A tensor holds its numbers, its gradient, and when it was last written. How a gradient is computed is on the next page,
autograd.py, which gives it ``backward``; the operators and methods that compute something are on the pages of ops.
"""

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.arguments import axis, switch
from minicnn.backend import Array, Edits, asnumpy, device_of, get_array_module, place_of

if TYPE_CHECKING:
    from minicnn.tensor_methods import TensorMethods
else:
    TensorMethods = object

__all__ = ["Tensor", "as_tensor", "clock", "install_methods", "mark_written"]

clock = itertools.count()  # operations and writes take their numbers from it: which of two came first


class Tensor(TensorMethods):
    """An array that remembers how it was computed.

    Parameters
    ----------
    data : array_like
        A NumPy or CuPy array keeps its dtype and is not copied. Python floats, and lists of them, become float32 as
        in PyTorch.
    requires_grad : bool
        Whether :meth:`backward` accumulates the gradient ``d loss / d self`` in :attr:`grad`.

    Attributes
    ----------
    data : array
        The values, a plain NumPy or CuPy array.
    grad : array or None
        The accumulated gradient, a plain array of the same shape and dtype.
    creator : Function or None
        The operation that made this tensor, None for a leaf.

    Raises
    ------
    TypeError
        If `data` is not numeric, is floating point but neither float32 nor float64, or holds integers and
        `requires_grad` is True.

    Notes
    -----
    Operations save arrays for the backward pass, not copies of them. What changes a tensor in place (an optimiser's
    step, ``nn.init``, ``load_state_dict``, ``+=``, ``x[index] = value``) leaves a note, and :meth:`backward` refuses to
    compute with what has changed since the forward pass. Who writes into :attr:`data` directly leaves no note, and gets
    a wrong gradient.

    Examples
    --------
    >>> x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    array([2., 4., 6.], dtype=float32)
    """

    __slots__ = ("__weakref__", "_requires_grad", "creator", "data", "edits", "grad")
    __array_ufunc__ = None  # numpy_array * tensor then calls Tensor.__rmul__, not NumPy's product for each element

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        self.data: Array = _as_array(data)
        self.grad: Array | None = None
        self.creator = None
        self.edits = Edits()
        self._requires_grad = bool(requires_grad)
        if requires_grad and self.data.dtype.kind != "f":
            raise TypeError(f"Tensor: only float32 and float64 can require a gradient, got dtype {self.data.dtype}")

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient is accumulated, or flows through. Only that of a leaf of real numbers can be changed."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not switch("Tensor", "requires_grad", value) and self.creator is not None:
            raise RuntimeError(
                f"Tensor: requires_grad can be set to False only for leaves, got a tensor computed by "
                f"{type(self.creator).__name__}; use tensor.detach()"
            )
        if value and self.data.dtype.kind != "f":
            raise TypeError(f"Tensor: only float32 and float64 can require a gradient, got dtype {self.data.dtype}")
        self._requires_grad = value

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each dimension."""
        return tuple(self.data.shape)

    @property
    def dtype(self) -> Any:
        """The NumPy dtype."""
        return self.data.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    def size(self, dim: int | None = None) -> Any:
        """Return :attr:`shape`, or the length of one dimension; for the number of elements see :meth:`numel`."""
        return self.shape if dim is None else self.shape[axis("size", "dim", dim, self.ndim)]

    def numel(self) -> int:
        """Return the number of elements."""
        return int(self.data.size)

    def dim(self) -> int:
        """Return the number of dimensions, :attr:`ndim`."""
        return self.ndim

    @property
    def device(self) -> str:
        """Where the data is: "cpu", or "cuda:0" for the first GPU."""
        return device_of(self.data)

    def numpy(self) -> np.ndarray:
        """Return the data as a NumPy array; on the CPU it is :attr:`data` itself, not a copy."""
        return asnumpy(self.data)

    def tolist(self) -> Any:
        """Return the numbers as nested lists of Python's; of a tensor without dimensions, one number."""
        return self.data.tolist()

    def item(self) -> Any:
        """Return the value of a one-element tensor as a Python scalar; ValueError for any other tensor."""
        if self.data.size != 1:
            raise ValueError(f"item: the tensor must have exactly one element, got shape {self.shape}")
        return self.data.item()

    def detach(self) -> "Tensor":
        """Return a tensor on the same array that does not remember how it was computed."""
        detached = Tensor(self.data)
        detached.edits = self.edits
        return detached

    def requires_grad_(self, requires_grad: bool = True) -> "Tensor":
        """Set :attr:`requires_grad`, and return the tensor itself."""
        self.requires_grad = requires_grad
        return self

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len() of a 0-dimensional tensor")
        return self.shape[0]

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __repr__(self) -> str:
        numbers = np.array2string(self.numpy(), separator=", ", prefix="Tensor(", threshold=100)
        origin = f", creator={type(self.creator).__name__}" if self.creator is not None else ""
        wants = ", requires_grad=True" if self.requires_grad and self.creator is None else ""
        return f"Tensor({numbers}, dtype={self.dtype}{origin}{wants})"


def install_methods(**methods: Any) -> None:
    """Give Tensor operators and methods; called by the pages that define them."""
    for name, method in methods.items():
        if "<" in getattr(method, "__qualname__", ""):  # made by a lambda or a function: errors show the method's name
            method.__name__, method.__qualname__ = name, f"Tensor.{name}"
        setattr(Tensor, name, method)


def as_tensor(data: Any) -> Tensor:
    """Return a tensor itself, and an array as a tensor on its memory: functions take either."""
    return data if isinstance(data, Tensor) else Tensor(data)


def mark_written(tensor: Tensor, by: str) -> None:
    """Note that `by` has just written into the tensor's array: what was computed before must not use it any more."""
    edits = tensor.edits
    edits.number, edits.place, edits.by = next(clock), place_of(tensor.data), by


def _as_array(data: Any) -> Array:
    if isinstance(data, Tensor):
        raise TypeError("Tensor: data is already a Tensor; use it as it is, or tensor.detach()")
    if get_array_module(data) is not np:
        array = data
    elif hasattr(data, "dtype"):
        array = np.asarray(data)
    else:
        array = np.asarray(data)
        if array.dtype == np.float64:  # Python floats carry no precision of their own
            array = array.astype(np.float32)
    if array.dtype.kind not in "fiub" or (array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8)):
        raise TypeError(f"Tensor: data must be float32, float64, integers or booleans, got {array.dtype}")
    if not array.dtype.isnative:  # another byte order, as some file formats have it
        array = array.astype(array.dtype.newbyteorder("="))
    return array
