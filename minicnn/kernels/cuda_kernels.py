"""The kernels for NVIDIA's GPUs: what launches the CUDA C of ``cuda_kernels.cu``.

Same functions, same signatures, same results as in ``numpy_kernels``, whose docstrings say what each computes. There is
no direct and no Winograd convolution: on a GPU, a convolution is im2col and NVIDIA's matrix product. All of them return
at once: the GPU runs the kernels in order while Python continues.
"""

from functools import cache
from pathlib import Path
from typing import Any

import cupy
import numpy as np

Array = Any

THREADS = 256  # per block
MOST_BLOCKS = 1 << 16
MOST_NARROW = (
    1 << 30
)  # numbers in an array that 32-bit indices can count, including the last step of all threads beyond it


@cache
def _compiled(name: str, real: str, big_windows: bool, big_arrays: bool) -> Any:
    """Return a kernel of the source, compiled once for each kind of array; CuPy also caches the code on disk."""
    options = ["-DREAL=float" if real == "float32" else "-DREAL=double"]
    options += ["-DBIG_WINDOWS"] * big_windows + ["-DBIG_ARRAYS"] * big_arrays
    source = Path(__file__).with_suffix(".cu").read_text(encoding="utf-8")
    return cupy.RawModule(code=source, options=tuple(options)).get_function(name)


def _launch(name: str, threads: int, *arguments: Any) -> None:
    """Run a kernel with that many threads, one for each number that it computes, or fewer that loop.

    Arguments are cast to the types of the source: float to REAL, int to Size, bool to bool.
    """
    if threads == 0:
        return
    arrays = [argument for argument in arguments if isinstance(argument, cupy.ndarray)]
    real = arrays[0].dtype
    for array in arrays:
        if not array.flags.c_contiguous or (array.dtype.kind == "f" and array.dtype != real):
            raise ValueError(
                f"{name}: arrays must be contiguous and {real}, got {array.dtype}, strides {array.strides}"
            )
    big_arrays = max(array.size for array in arrays) > MOST_NARROW
    big_windows = any(array.dtype == np.int32 for array in arrays)
    casts = {float: real.type, int: np.int64 if big_arrays else np.int32, bool: np.bool_}
    values = [value if isinstance(value, cupy.ndarray) else casts[type(value)](value) for value in arguments]
    blocks = min(-(-threads // THREADS), MOST_BLOCKS)
    with arrays[0].device:
        _compiled(name, real.name, big_windows, big_arrays)((blocks,), (THREADS,), tuple(values))


def im2col(x: Array, KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, DH: int, DW: int, col: Array) -> None:
    (N, C, H, W), (OH, OW) = x.shape, col.shape[4:]
    x = cupy.ascontiguousarray(x)
    _launch("im2col", C * N * OH * OW, x, N, C, H, W, OH, OW, KH, KW, SH, SW, PH, PW, DH, DW, col)


def col2im(col: Array, KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, DH: int, DW: int, x: Array) -> None:
    (N, C, H, W), (OH, OW) = x.shape, col.shape[4:]
    col = cupy.ascontiguousarray(col)
    _launch("col2im", x.size, col, N, C, H, W, OH, OW, KH, KW, SH, SW, PH, PW, DH, DW, x)


def max_pool2d_forward(
    x: Array, KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, DH: int, DW: int, y: Array, index: Array
) -> None:
    (N, C, H, W), (OH, OW) = x.shape, y.shape[2:]
    x = cupy.ascontiguousarray(x)
    _launch("max_pool2d_forward", y.size, x, N * C, H, W, OH, OW, KH, KW, SH, SW, PH, PW, DH, DW, y, index)


def max_pool2d_backward(
    grad_y: Array, index: Array,
    KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, DH: int, DW: int, grad_x: Array,
) -> None:  # fmt: skip
    (N, C, H, W), (OH, OW) = grad_x.shape, grad_y.shape[2:]
    grad_y, index = cupy.ascontiguousarray(grad_y), cupy.ascontiguousarray(index)
    sizes = N * C, H, W, OH, OW
    _launch("max_pool2d_backward", grad_x.size, grad_y, index, *sizes, KH, KW, SH, SW, PH, PW, DH, DW, grad_x)


def avg_pool2d_forward(
    x: Array, KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, divisor: Array, y: Array
) -> None:
    (N, C, H, W), (OH, OW) = x.shape, y.shape[2:]
    x, divisor = cupy.ascontiguousarray(x), cupy.ascontiguousarray(divisor)
    _launch("avg_pool2d_forward", y.size, x, N * C, H, W, OH, OW, KH, KW, SH, SW, PH, PW, divisor, y)


def avg_pool2d_backward(
    grad_y: Array, KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, divisor: Array, grad_x: Array
) -> None:
    (N, C, H, W), (OH, OW) = grad_x.shape, grad_y.shape[2:]
    grad_y, divisor = cupy.ascontiguousarray(grad_y), cupy.ascontiguousarray(divisor)
    sizes = N * C, H, W, OH, OW
    _launch("avg_pool2d_backward", grad_x.size, grad_y, *sizes, KH, KW, SH, SW, PH, PW, divisor, grad_x)


def linear_forward(x: Array, w: Array, y: Array) -> None:
    cupy.matmul(x, w.T, out=y)


def linear_grad_w(grad_y: Array, x: Array, start: int, grad_w: Array) -> None:
    cupy.matmul(grad_y[:, start : start + len(grad_w)].T, x, out=grad_w)


def lrn_forward(x: Array, below: int, above: int, k: float, a: float, beta: float, y: Array) -> None:
    N, C, S = x.shape
    x = cupy.ascontiguousarray(x)
    _launch("lrn_forward", N * S, x, N, C, S, below, above, float(k), float(a), float(beta), y)


def lrn_backward(
    x: Array, grad_y: Array, below: int, above: int, k: float, a: float, beta: float, grad_x: Array
) -> None:
    N, C, S = x.shape
    x, grad_y = cupy.ascontiguousarray(x), cupy.ascontiguousarray(grad_y)
    below, above = min(below, C), min(above, C)  # there are no more than C channels, and `recent` grows with both
    recent = cupy.empty((below + above + 1, N * S), x.dtype)
    numbers = float(k), float(a), float(beta)
    _launch("lrn_backward", N * S, x, grad_y, N, C, S, below, above, *numbers, recent, grad_x)


def relu_backward(y: Array, grad_y: Array, grad_x: Array) -> None:
    y, grad_y = cupy.ascontiguousarray(y), cupy.ascontiguousarray(grad_y)
    _launch("relu_backward", y.size, y, grad_y, y.size, grad_x)


def sgd_step(
    parameter: Array,
    gradient: Array,
    velocity: Array | None,
    lr: float,
    momentum: float,
    weight_decay: float,
    nesterov: bool,
    paper: bool,
) -> None:
    gradient, size = cupy.ascontiguousarray(gradient), parameter.size
    if velocity is None:
        _launch("sgd_plain", size, parameter, gradient, size, lr, weight_decay)
    else:
        _launch("sgd_momentum", size, parameter, gradient, velocity, size, lr, momentum, weight_decay, nesterov, paper)


def cross_entropy_forward(
    x: Array, labels: Array, v: Array, smoothing: float, p: Array, totals: Array, losses: Array
) -> None:
    x, labels, v = (cupy.ascontiguousarray(array) for array in (x, labels, v))
    _launch("cross_entropy_forward", len(x), x, labels, v, *x.shape, float(smoothing), p, totals, losses)


def cross_entropy_backward(
    p: Array, totals: Array, labels: Array, v: Array, smoothing: float, scale: Array, grad_x: Array
) -> None:
    p, totals, labels, v, scale = (cupy.ascontiguousarray(array) for array in (p, totals, labels, v, scale))
    _launch("cross_entropy_backward", p.size, p, totals, labels, v, *p.shape, float(smoothing), scale, grad_x)
