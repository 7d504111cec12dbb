"""New tensors: from numbers, filled, counted and drawn at random, with PyTorch's names and arguments.

Real numbers are float32 unless `dtype` says otherwise, whole ones int64. They are made on the default device, see
:func:`minicnn.set_default_device`; random numbers are drawn on the CPU, so that every device gets the same.
"""

import math
from typing import Any

import numpy as np

from minicnn.arguments import floating, number, numeric, whole
from minicnn.autograd import Tensor, as_tensor
from minicnn.backend import Array, device_of, generator, get_array_module, get_default_device, to_device
from minicnn.ops.shape import lengths

__all__ = [
    "arange",
    "empty",
    "eye",
    "from_numpy",
    "full",
    "full_like",
    "linspace",
    "ones",
    "ones_like",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "randperm",
    "tensor",
    "zeros",
    "zeros_like",
]


def _made(function: str, array: Array, dtype: Any, device: str | None, requires_grad: bool) -> Tensor:
    if dtype is not None:
        array = array.astype(numeric(function, dtype), copy=False)
    return Tensor(to_device(array, get_default_device() if device is None else device), requires_grad)


def tensor(data: Any, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor with a copy of the numbers of a number, a list or an array.

    Parameters
    ----------
    data : array_like
        Python's real numbers become float32, its whole numbers int64; an array keeps its dtype, and its device.
    dtype : dtype, optional
    device : str, optional
    requires_grad : bool
    """
    array = data.data if isinstance(data, Tensor) else Tensor(data).data
    if device is None and (isinstance(data, Tensor) or get_array_module(data) is not np):
        device = device_of(array)
    if dtype is not None and not hasattr(data, "dtype"):
        array = np.asarray(data, numeric("tensor", dtype))  # not by way of float32
    return _made("tensor", array.copy(), dtype, device, requires_grad)


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """Return a tensor on the memory of a NumPy array."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy: ndarray must be a NumPy array, got {type(ndarray).__name__}")
    return Tensor(ndarray)


def _shape(function: str, size: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(whole(function, "size", length, 0) for length in lengths(size))


def zeros(*size: Any, dtype: Any = np.float32, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor of zeros: ``zeros(2, 3)`` or ``zeros((2, 3))``."""
    return _made("zeros", np.zeros(_shape("zeros", size)), dtype, device, requires_grad)


def ones(*size: Any, dtype: Any = np.float32, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor of ones: ``ones(2, 3)`` or ``ones((2, 3))``."""
    return _made("ones", np.ones(_shape("ones", size)), dtype, device, requires_grad)


def empty(*size: Any, dtype: Any = np.float32, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor whose numbers are to be written before they are read."""
    return _made("empty", np.empty(_shape("empty", size), numeric("empty", dtype)), None, device, requires_grad)


def full(
    size: Any, fill_value: Any, *, dtype: Any = None, device: str | None = None, requires_grad: bool = False
) -> Tensor:
    """Return a tensor of one number, in the dtype that :func:`tensor` gives to it."""
    value = tensor(fill_value, dtype=dtype, device="cpu").data
    return _made("full", np.full(_shape("full", (size,)), value), None, device, requires_grad)


def arange(
    start: Any,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return ``start, start + step, ...`` up to `end`, which is left out: ``arange(5)`` begins with 0.

    Whole numbers give int64. If one of the three is a float, the result is float32.
    """
    start, end = (0, start) if end is None else (start, end)
    given = {"start": start, "end": end, "step": step}
    real = any(isinstance(bound, (float, np.floating)) for bound in given.values())
    start, end, step = (_bound("arange", name, bound, dtype if real else np.int64) for name, bound in given.items())
    if step == 0 or (end - start) * step < 0:
        raise ValueError(f"arange: step must lead from start to end, got {start}, {end} and {step}")
    numbers = start + step * np.arange(math.ceil((end - start) / step))
    return _made(
        "arange", numbers, (np.float32 if real else np.int64) if dtype is None else dtype, device, requires_grad
    )


def _bound(function: str, name: str, value: Any, dtype: Any) -> float:
    """Return a number; without its fraction, if the dtype is that of whole numbers, as in PyTorch."""
    number(function, name, value)
    return value if dtype is None or np.dtype(dtype).kind == "f" else int(value)


def linspace(
    start: float,
    end: float,
    steps: int,
    *,
    dtype: Any = np.float32,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return `steps` numbers at equal distances from `start` to `end`, both included."""
    first, last = _bound("linspace", "start", start, dtype), _bound("linspace", "end", end, dtype)
    places = np.arange(whole("linspace", "steps", steps, 0))
    step = (last - first) / max(steps - 1, 1)
    # counted from the nearer end, so that both are exact
    numbers = np.where(places < steps / 2, first + step * places, last - step * (steps - 1 - places))
    return _made("linspace", numbers, dtype, device, requires_grad)


def eye(
    n: int, m: int | None = None, *, dtype: Any = np.float32, device: str | None = None, requires_grad: bool = False
) -> Tensor:
    """Return a matrix of `n` rows and `m` columns (by default `n`) with ones on its diagonal."""
    array = np.eye(whole("eye", "n", n, 0), None if m is None else whole("eye", "m", m, 0))
    return _made("eye", array, dtype, device, requires_grad)


def rand(*size: Any, dtype: Any = np.float32, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Return numbers drawn uniformly from [0, 1): ``rand(2, 3)`` or ``rand((2, 3))``."""
    drawn = generator().random(_shape("rand", size), dtype=_real("rand", dtype))
    return _made("rand", drawn, None, device, requires_grad)


def randn(*size: Any, dtype: Any = np.float32, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Return numbers drawn from the normal distribution: ``randn(2, 3)`` or ``randn((2, 3))``."""
    drawn = generator().standard_normal(_shape("randn", size), dtype=_real("randn", dtype))
    return _made("randn", np.asarray(drawn), None, device, requires_grad)


def _real(function: str, dtype: Any) -> Any:
    floating(function, "dtype", np.empty(0, found := numeric(function, dtype)))
    return found


def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    dtype: Any = np.int64,
    device: str | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Return whole numbers drawn from `low` (by default 0) to `high`, which is left out.

    ``randint(10, (2, 3))`` draws digits, ``randint(1, 7, (2, 3))`` throws dice.
    """
    if high is None or size is None:  # randint(10, (2, 3)) and randint(10, size=(2, 3))
        low, high, size = 0, low, high if size is None else size
    drawn = generator().integers(
        whole("randint", "low", low), whole("randint", "high", high, low + 1), _shape("randint", (size,))
    )
    return _made("randint", drawn, dtype, device, requires_grad)


def randperm(n: int, *, dtype: Any = np.int64, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Return the whole numbers below `n` in random order."""
    return _made("randperm", generator().permutation(whole("randperm", "n", n, 0)), dtype, device, requires_grad)


def _like(input: Tensor, given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a tensor like `input`, except for what is given."""
    input = as_tensor(input)
    return {"dtype": input.dtype, "device": input.device} | {k: v for k, v in given.items() if v is not None}


# The last ones take the settings of the functions that they are named after, which default to those of `input`.


def zeros_like(input: Tensor, **settings: Any) -> Tensor:
    """Return zeros of the shape of `input`, by default also of its dtype and on its device."""
    return zeros(input.shape, **_like(input, settings))


def ones_like(input: Tensor, **settings: Any) -> Tensor:
    """Return ones of the shape of `input`, by default also of its dtype and on its device."""
    return ones(input.shape, **_like(input, settings))


def full_like(input: Tensor, fill_value: Any, **settings: Any) -> Tensor:
    """Return one number in the shape of `input`, by default also of its dtype and on its device."""
    return full(input.shape, fill_value, **_like(input, settings))


def rand_like(input: Tensor, **settings: Any) -> Tensor:
    """Return :func:`rand` in the shape of `input`, by default also of its dtype and on its device."""
    return rand(input.shape, **_like(input, settings))


def randn_like(input: Tensor, **settings: Any) -> Tensor:
    """Return :func:`randn` in the shape of `input`, by default also of its dtype and on its device."""
    return randn(input.shape, **_like(input, settings))
