"""minicnn: AlexNet from scratch in NumPy, fast through Numba, to be read, stepped through and trained.

Examples
--------
>>> import minicnn
>>> x = minicnn.Tensor([[1.0, -2.0]], requires_grad=True)
>>> minicnn.functional.relu(x * 3).sum().backward()
>>> x.grad
array([[3., 0.]], dtype=float32)
"""

from minicnn import ops  # gives Tensor its operators
from minicnn._version import __version__
from minicnn.autograd import BackwardStep, Function, Tensor, is_grad_enabled, no_grad
from minicnn.backend import get_num_threads, manual_seed, set_num_threads
from minicnn.checks import GradcheckError, GradcheckReport, gradcheck
from minicnn.kernels import use_kernels, warmup

from minicnn import functional, nn, optim  # isort: skip
from minicnn.walking import walk

__all__ = [
    "BackwardStep",
    "Function",
    "GradcheckError",
    "GradcheckReport",
    "Tensor",
    "__version__",
    "functional",
    "get_num_threads",
    "gradcheck",
    "is_grad_enabled",
    "manual_seed",
    "nn",
    "no_grad",
    "ops",
    "optim",
    "set_num_threads",
    "use_kernels",
    "walk",
    "warmup",
]
