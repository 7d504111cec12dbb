"""Which algorithm an operation runs: one place chooses, by where its arrays are, how large they are, and `use_conv`.

The textbook's operations, Conv2d, Linear and CrossEntropy, run everywhere. Other classes compute the same numbers by
another algorithm that is faster in some cases: they are listed here by the pages that define them, together with the
cases. An operation's page asks :func:`choose` and does not know what else there is.
"""

import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from minicnn import kernels
from minicnn.arguments import one_of
from minicnn.autograd import Function
from minicnn.backend import Array

__all__ = ["CONV_ALGORITHMS", "add_algorithm", "choose", "use_conv"]

CONV_ALGORITHMS = "auto", "im2col", "direct", "winograd"

Operation = TypeVar("Operation", bound=Function)


class _Algorithm(NamedTuple):
    operation: Any
    possible: Callable[..., bool]
    faster: Callable[..., bool]


_algorithms: dict[type[Function], list[_Algorithm]] = {}


def _everywhere(*case: Any) -> bool:
    return True


def add_algorithm(
    operation: type[Function], faster: Callable[..., bool], possible: Callable[..., bool] = _everywhere
) -> None:
    """List an operation as another algorithm for its `textbook` operation.

    Parameters
    ----------
    operation : type of Function
        Its `textbook` and `algorithm` say what it computes and how.
    faster, possible : callable
        Called as ``faster(running, *case)``, with the kernels that run, "numpy", "numba" or "cuda", and the case that
        :func:`choose` was given. `possible` tells whether this algorithm can compute it, and `faster` whether it is
        faster than the textbook's, and than those that are listed after it.
    """
    if operation.textbook is None:
        raise TypeError(f"add_algorithm: {operation.__name__} must name its textbook operation")
    _algorithms.setdefault(operation.textbook, []).append(_Algorithm(operation, possible, faster))


class _Wanted(threading.local):
    algorithm = "auto"


_wanted = _Wanted()


def choose(textbook: type[Operation], array: Array, *case: Any) -> type[Operation]:
    """Return the class that computes what `textbook` does, in this case.

    Parameters
    ----------
    textbook : type of Function
        The operation.
    array : array
        One of its inputs, which tells on which kernels it runs.
    *case
        Shapes and settings, as the operation's algorithms take them.

    Returns
    -------
    type of Function
        The algorithm that :class:`use_conv` asks for if it is possible, else the first that is faster than the
        textbook's.
    """
    running = kernels.current(array)
    possible = [one for one in _algorithms.get(textbook, ()) if one.possible(running, *case)]
    by_name: dict[str, type[Operation]] = {textbook.algorithm: textbook}
    by_name |= {one.operation.algorithm: one.operation for one in possible}
    if _wanted.algorithm in by_name:  # only convolutions have algorithms of these names
        return by_name[_wanted.algorithm]
    return next((one.operation for one in possible if one.faster(running, *case)), textbook)


class use_conv:  # lower case, like no_grad, because it is used as a function
    """Choose the algorithm of convolutions: for all that follow, or for a ``with`` block.

    Parameters
    ----------
    algorithm : {"auto", "im2col", "direct", "winograd"}
        "im2col" writes the windows to a matrix and multiplies. "direct" reads the windows in place from the
        image. "winograd" needs fewer multiplications, with rounding errors about six times as large. "auto", the
        default, chooses the one that is likely to be the fastest.

    Raises
    ------
    ValueError
        If there is no algorithm of that name.

    Notes
    -----
    ``use_conv("direct")`` takes effect at once, like ``torch.set_grad_enabled``; as a context manager it restores
    the algorithm that was set before. The setting belongs to the thread, as with :class:`no_grad`: a new thread starts
    with "auto".

    A convolution that the algorithm cannot compute falls back to "auto", so that a whole network can be timed: on a GPU
    only im2col is possible, and "auto" multiplies its columns in another way (``ops/gpu_conv.py``); Winograd's needs a
    kernel of 3x3 or 5x5, stride 1, and channels and filters in multiples of 16 in each group; both others need a
    dilation of 1, and less padding than the kernel is wide. A trace shows which algorithm ran
    (:attr:`TraceStep.algorithm <minicnn.tracing.TraceStep.algorithm>`).

    The backward pass uses the same algorithm, except that dL/dx at a stride other than 1 is always computed with
    im2col. On the NumPy kernels "direct" and "winograd" run too, but slowly: they show the method.

    Examples
    --------
    >>> import minicnn
    >>> import minicnn.functional as F
    >>> image, filters = minicnn.Tensor([[[[1.0, 2.0, 3.0]]]]), minicnn.Tensor([[[[1.0, -1.0]]]])
    >>> with use_conv("im2col"), minicnn.trace() as trace:
    ...     F.conv2d(image, filters)
    Tensor([[[[-1., -1.]]]], dtype=float32)
    >>> next(trace.forward_steps()).algorithm
    'im2col'
    """

    def __init__(self, algorithm: str) -> None:
        one_of("use_conv", "algorithm", algorithm, CONV_ALGORITHMS)
        self._before, _wanted.algorithm = _wanted.algorithm, algorithm

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        _wanted.algorithm = self._before
