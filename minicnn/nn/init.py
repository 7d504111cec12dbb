"""Initialisers: they fill a parameter in place, under PyTorch's names.

Each function fills a tensor, or an array such as ``tensor.data``, and returns it. Random numbers come from
`generator`, a ``numpy.random.Generator``; without one, from the generator that :func:`minicnn.manual_seed` seeds.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np

from minicnn.arguments import writeable
from minicnn.autograd import Tensor, as_tensor, mark_written
from minicnn.backend import Array, checked_device, device_of, get_default_device, on_device_of, to_device
from minicnn.backend import generator as default_generator
from minicnn.nn.parameter import Parameter

__all__ = [
    "calculate_gain",
    "constant_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "skip_arrays",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

T = TypeVar("T", bound=Tensor)

_skipping = ContextVar("skipping", default=False)


@contextmanager
def skip_arrays() -> Iterator[None]:
    """Build networks without allocating their parameters: in this context a layer only knows their shapes.

    Each parameter is a single zero broadcast to its shape, read-only. Nothing is drawn at random, and the
    initialisers do nothing. It is for looking at a network, as :func:`minicnn.summary` does.

    Examples
    --------
    >>> from minicnn import nn
    >>> with nn.init.skip_arrays():
    ...     fc = nn.Linear(1_000_000, 1_000_000)  # 4 TB
    >>> fc.weight.shape
    (1000000, 1000000)
    """
    token = _skipping.set(True)
    try:
        yield
    finally:
        _skipping.reset(token)


def new_array(shape: tuple[int, ...], dtype: Any, device: str | None = None) -> Array:
    """Return the uninitialised array of a new parameter, on the default device if `device` is None."""
    device = get_default_device() if device is None else checked_device(device)
    return np.broadcast_to(np.zeros((), dtype), shape) if _skipping.get() else to_device(np.empty(shape, dtype), device)


def new_zero(dtype: Any, device: str | None = None) -> Array:
    """Return a single zero, a counter's array, on the default device if `device` is None."""
    return to_device(np.zeros((), dtype), get_default_device() if device is None else checked_device(device))


def checked_dtype(layer: str, dtype: Any) -> Any:
    """Return the dtype of a layer's parameters, float32 by default."""
    if dtype not in (None, "float32", "float64", np.float32, np.float64):
        raise NotImplementedError(f"{layer}: dtype must be float32 or float64, got {dtype!r}")
    return dtype or np.float32


def weight_and_bias(
    layer: str, shape: tuple[int, ...], bias: bool, device: str | None, dtype: Any, outputs: int | None = None
) -> tuple[Parameter, Parameter | None]:
    """Return a layer's parameters as PyTorch makes them: both from U(-b, b), b = 1 / sqrt(fan_in).

    Parameters
    ----------
    layer : str
        The name of its class, for errors.
    shape : (out, in, ...)
        Of the weight.
    bias : bool
        Whether there is a bias, of shape (out,).
    device, dtype
        Of the parameters.
    outputs : int, optional
        The length of the bias, if it is another.
    """
    if not isinstance(bias, bool):
        raise TypeError(f"{layer}: bias must be True or False, got {bias!r}")
    dtype = checked_dtype(layer, dtype)
    bound = 1 / math.sqrt(math.prod(shape[1:]))
    weight = Parameter(new_array(shape, dtype, device))
    uniform_(weight, -bound, bound)
    if not bias:
        return weight, None
    return weight, uniform_(Parameter(new_array((outputs or shape[0],), dtype, device)), -bound, bound)


def uniform_(tensor: T, a: float = 0.0, b: float = 1.0, generator: np.random.Generator | None = None) -> T:
    """Draw from the uniform distribution on [a, b). Any shape."""
    if a > b:
        raise ValueError(f"uniform_: a must be at most b, got a={a} and b={b}")
    return _fill(tensor, lambda: a + (b - a) * _source(generator).random(tensor.shape, dtype=tensor.dtype))


def normal_(tensor: T, mean: float = 0.0, std: float = 1.0, generator: np.random.Generator | None = None) -> T:
    """Draw from the normal distribution N(mean, std^2). Any shape. AlexNet's weights: std 0.01.

    References
    ----------
    Krizhevsky et al. 2012, section 5.
    """
    if std < 0:
        raise ValueError(f"normal_: std must be 0 or more, got {std}")
    return _fill(tensor, lambda: mean + std * _source(generator).standard_normal(tensor.shape, dtype=tensor.dtype))


def constant_(tensor: T, val: float) -> T:
    """Set every element to `val`. Any shape."""
    return _fill(tensor, lambda: val)


def ones_(tensor: T) -> T:
    """Set every element to 1. Any shape."""
    return _fill(tensor, lambda: 1.0)


def zeros_(tensor: T) -> T:
    """Set every element to 0. Any shape."""
    return _fill(tensor, lambda: 0.0)


def xavier_uniform_(tensor: T, gain: float = 1.0, generator: np.random.Generator | None = None) -> T:
    """Draw from U(-b, b), b = gain sqrt(6 / (fan_in + fan_out)).

    The variance is then gain^2 2 / (fan_in + fan_out), a compromise between keeping the size of activations in the
    forward pass (1 / fan_in) and that of gradients in the backward pass (1 / fan_out).

    Parameters
    ----------
    tensor : Tensor of shape (out, in, ...)
        A weight. An output reads fan_in = in * ... numbers; an input is read by fan_out = out * ... outputs.
    gain : float
        A factor for the activation function that follows, see :func:`calculate_gain`.
    generator : numpy.random.Generator, optional

    Raises
    ------
    ValueError
        If `tensor` has fewer than two dimensions.

    References
    ----------
    Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks",
    equation 16.
    """
    fan_in, fan_out = _fans("xavier_uniform_", tensor)
    bound = gain * math.sqrt(6 / (fan_in + fan_out))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: T, gain: float = 1.0, generator: np.random.Generator | None = None) -> T:
    """Draw from N(0, std^2), std = gain sqrt(2 / (fan_in + fan_out)); else as :func:`xavier_uniform_`."""
    fan_in, fan_out = _fans("xavier_normal_", tensor)
    return normal_(tensor, 0.0, gain * math.sqrt(2 / (fan_in + fan_out)), generator)


def kaiming_uniform_(
    tensor: T,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: np.random.Generator | None = None,
) -> T:
    """Draw from U(-b, b), b = gain sqrt(3 / fan); else as :func:`kaiming_normal_`."""
    std = _kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -math.sqrt(3) * std, math.sqrt(3) * std, generator)


def kaiming_normal_(
    tensor: T,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: np.random.Generator | None = None,
) -> T:
    """Draw from N(0, std^2), std = gain / sqrt(fan): He's initialisation.

    ReLU sets half of its inputs to zero, which halves the mean square of its output; a gain of sqrt(2) makes up for
    it.

    Parameters
    ----------
    tensor : Tensor of shape (out, in, ...)
        A weight. An output reads fan_in = in * ... numbers; an input is read by fan_out = out * ... outputs.
    a : float
        The slope of a leaky ReLU for negative inputs; 0 is the ReLU.
    mode : {"fan_in", "fan_out"}
        Keep the size of activations in the forward pass, or of gradients in the backward pass.
    nonlinearity : str
        The activation function that follows, see :func:`calculate_gain`.
    generator : numpy.random.Generator, optional

    Raises
    ------
    ValueError
        If `tensor` has fewer than two dimensions, or `mode` or `nonlinearity` is unknown.

    References
    ----------
    He et al. 2015, "Delving deep into rectifiers", equation 10.
    """
    return normal_(tensor, 0.0, _kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity), generator)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor for the weights in front of an activation function.

    Parameters
    ----------
    nonlinearity : {"linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu"}
        The gains are 1, 1, 1, 5/3, sqrt(2) and sqrt(2 / (1 + param^2)).
    param : float, optional
        The negative slope of "leaky_relu", by default 0.01.
    """
    slope = 0.01 if param is None else param
    gains = {
        "linear": 1.0,
        "conv2d": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + slope * slope)),
    }
    if nonlinearity not in gains:
        known = ", ".join(gains)
        raise ValueError(f"calculate_gain: nonlinearity must be one of {known}, got {nonlinearity!r}")
    return gains[nonlinearity]


def _source(generator: np.random.Generator | None) -> np.random.Generator:
    return default_generator() if generator is None else generator


def _fill(tensor: T, numbers: Callable[[], Any]) -> T:
    target = as_tensor(tensor)  # layer.weight.data is an array
    if not _skipping.get():
        writeable("init", "tensor", target.data)
        with on_device_of(target.data):
            target.data[...] = to_device(np.asarray(numbers()), device_of(target.data))
        mark_written(target, "an initialiser")
    return tensor


def _fans(function: str, tensor: Tensor) -> tuple[int, int]:
    if tensor.ndim < 2:
        raise ValueError(f"{function}: tensor must have shape (out, in, ...), got {tensor.shape}")
    out, into, *kernel = tensor.shape
    return into * math.prod(kernel), out * math.prod(kernel)


def _kaiming_std(function: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    fan_in, fan_out = _fans(function, tensor)
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"{function}: mode must be 'fan_in' or 'fan_out', got {mode!r}")
    return calculate_gain(nonlinearity, a) / math.sqrt(fan_in if mode == "fan_in" else fan_out)
