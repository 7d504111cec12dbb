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
from minicnn.ops.algorithms import use_conv

from minicnn import functional, nn, optim  # isort: skip
from minicnn.model_summary import summary

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
    "__version__",
    "functional",
    "get_default_device",
    "get_num_threads",
    "get_tf32",
    "gradcheck",
    "is_grad_enabled",
    "manual_seed",
    "nn",
    "no_grad",
    "ops",
    "optim",
    "set_default_device",
    "set_num_threads",
    "set_tf32",
    "step_through",
    "summary",
    "trace",
    "use_conv",
    "use_kernels",
    "warmup",
]
