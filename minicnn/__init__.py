"""minicnn: AlexNet from scratch in NumPy, fast through Numba, to read, to step through and to train.

Examples
--------
>>> import minicnn
>>> x = minicnn.Tensor([[1.0, -2.0]], requires_grad=True)
>>> minicnn.functional.relu(x * 3).sum().backward()
>>> x.grad
array([[3., 0.]], dtype=float32)
"""

from typing import TYPE_CHECKING, Any

from numpy import bool, float32, float64, int32, int64, uint8

from minicnn import ops  # gives Tensor its operators
from minicnn._version import __version__
from minicnn.autograd import BackwardStep, Function, Tensor
from minicnn.backend import (
    DeviceError,
    get_default_device,
    get_num_threads,
    get_tf32,
    manual_seed,
    set_default_device,
    set_num_threads,
    set_tf32,
)
from minicnn.checks import GradcheckError, GradcheckReport, gradcheck
from minicnn.errors import MinicnnError
from minicnn.grad_mode import is_grad_enabled, no_grad
from minicnn.kernels import use_kernels, warmup
from minicnn.ops.activation import log_softmax, relu, sigmoid, softmax, tanh
from minicnn.ops.algorithms import use_conv
from minicnn.ops.arithmetic import abs, exp, log, matmul, pow, sqrt
from minicnn.ops.comparison import all, allclose, any, equal
from minicnn.ops.conversion import device
from minicnn.ops.copying import clone
from minicnn.ops.creation import (
    arange,
    empty,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
    tensor,
    zeros,
    zeros_like,
)
from minicnn.ops.einsum import einsum
from minicnn.ops.reduce import argmax, argmin, max, mean, min, std, sum, var
from minicnn.ops.selection import clamp, where
from minicnn.ops.shape import cat, flatten, permute, reshape, squeeze, stack, transpose, unsqueeze
from minicnn.saving import TensorFileError, load, save

from minicnn import cuda, functional, nn, optim  # isort: skip
from minicnn.model_summary import summary

float, double, int, long = float32, float64, int32, int64  # PyTorch's other names for them

if TYPE_CHECKING:
    from minicnn.tracing import trace
    from minicnn.viz.stepping import step_through
else:

    def __getattr__(name: str) -> Any:
        """Import what draws only when it is asked for: matplotlib takes half a second."""
        if name == "trace":
            import minicnn.viz  # noqa: F401  # its cards are how steps show in a notebook
            from minicnn.tracing import trace as found
        elif name == "step_through":
            from minicnn.viz.stepping import step_through as found
        else:
            raise AttributeError(f"module 'minicnn' has no attribute {name!r}")
        globals()[name] = found
        return found


__all__ = [
    "BackwardStep",
    "DeviceError",
    "Function",
    "GradcheckError",
    "GradcheckReport",
    "MinicnnError",
    "Tensor",
    "TensorFileError",
    "__version__",
    "abs",
    "all",
    "allclose",
    "any",
    "arange",
    "argmax",
    "argmin",
    "bool",
    "cat",
    "clamp",
    "clone",
    "cuda",
    "device",
    "double",
    "einsum",
    "empty",
    "equal",
    "exp",
    "eye",
    "flatten",
    "float",
    "float32",
    "float64",
    "from_numpy",
    "full",
    "full_like",
    "functional",
    "get_default_device",
    "get_num_threads",
    "get_tf32",
    "gradcheck",
    "int",
    "int32",
    "int64",
    "is_grad_enabled",
    "linspace",
    "load",
    "log",
    "log_softmax",
    "long",
    "manual_seed",
    "matmul",
    "max",
    "mean",
    "min",
    "nn",
    "no_grad",
    "ones",
    "ones_like",
    "ops",
    "optim",
    "permute",
    "pow",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "randperm",
    "relu",
    "reshape",
    "save",
    "set_default_device",
    "set_num_threads",
    "set_tf32",
    "sigmoid",
    "softmax",
    "sqrt",
    "squeeze",
    "stack",
    "std",
    "step_through",
    "sum",
    "summary",
    "tanh",
    "tensor",
    "trace",
    "transpose",
    "uint8",
    "unsqueeze",
    "use_conv",
    "use_kernels",
    "var",
    "warmup",
    "where",
    "zeros",
    "zeros_like",
]
