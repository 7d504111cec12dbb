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
from cupy._core import _routines_linalg as _products

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


def _launch(name: str, threads: int, *arguments: Any, arrays: list[Array] | None = None) -> None:
    """Run a kernel with that many threads, one for each number that it computes, or fewer that loop.

    Arguments are cast to the types of the source: float to REAL, int to Size, bool to bool, a list of lists of arrays
    to Updates. NumPy's numbers and arrays stay as they are. `arrays` are all that the kernel works on, by default those
    among its arguments.
    """
    if threads == 0:
        return
    if arrays is None:
        arrays = [argument for argument in arguments if isinstance(argument, cupy.ndarray)]
    real = arrays[0].dtype
    for array in arrays:
        if not array.flags.c_contiguous or (array.dtype.kind == "f" and array.dtype != real):
            raise ValueError(
                f"{name}: arrays must be contiguous and {real}, got {array.dtype}, strides {array.strides}"
            )
    big_arrays = max(threads, *(array.size for array in arrays)) > MOST_NARROW
    big_windows = any(array.dtype == np.int32 for array in arrays)
    size = np.int64 if big_arrays else np.int32
    casts = {float: real.type, int: size, bool: np.bool_, list: lambda lists: _updates(lists, size)}
    values = [casts[type(value)](value) if type(value) in casts else value for value in arguments]
    blocks = min(-(-threads // THREADS), MOST_BLOCKS)
    with arrays[0].device:
        _compiled(name, real.name, big_windows, big_arrays)((blocks,), (THREADS,), tuple(values))


MOST_UPDATES = 64  # arrays in the source's Updates


def _updates(lists: list[list[Array]], size: type) -> np.ndarray:
    """Return the source's Updates as NumPy's array of one element, which CuPy passes by value."""
    fields = [(name, np.uintp, MOST_UPDATES) for name in ("parameter", "gradient", "velocity")]
    updates = np.zeros(1, [*fields, ("stop", size, MOST_UPDATES)])
    for (name, *_), arrays in zip(fields, lists, strict=False):  # without momentum there is no velocity
        updates[name][0, : len(arrays)] = [array.data.ptr for array in arrays]
    updates["stop"][0, : len(lists[0])] = np.cumsum([array.size for array in lists[0]])
    return updates


def im2col(x: Array, KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, DH: int, DW: int, col: Array) -> None:
    (N, C, H, W), (OH, OW) = x.shape, col.shape[4:]
    x = cupy.ascontiguousarray(x)
    _launch("im2col", C * N * OH * OW, x, N, C, H, W, OH, OW, KH, KW, SH, SW, PH, PW, DH, DW, col)


def col2im(col: Array, KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, DH: int, DW: int, x: Array) -> None:
    (N, C, H, W), (OH, OW) = x.shape, col.shape[4:]
    col = cupy.ascontiguousarray(col)
    _launch("col2im", x.size, col, N, C, H, W, OH, OW, KH, KW, SH, SW, PH, PW, DH, DW, x)


def exchange(x: Array, b: Array | None, y: Array) -> None:
    x = cupy.ascontiguousarray(x)
    bias = x if b is None else cupy.ascontiguousarray(b)
    _launch("exchange", y.size, x, bias, b is not None, *x.shape, y)


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


_TYPES = {"float32": 0, "float64": 1}  # cuBLAS's numbers for them, CUDA_R_32F and CUDA_R_64F


def stacked_product(a: Array, b: Array, y: Array) -> None:
    """One call of cuBLAS, which CuPy's own ``matmul`` makes only after copying what is transposed or has gaps.

    cuBLAS counts along columns first, and so sees every matrix transposed: it is asked for y^T = b^T a^T.
    """
    (B, M, K), N, blas = a.shape, b.shape[2], cupy.cuda.cublas
    if y.size == 0:
        return
    if K == 0:
        y.fill(0)
        return
    (lay_a, step_a), (lay_b, step_b), (lay_y, step_y) = (_layout(matrices) for matrices in (a, b, y))
    if lay_y == blas.CUBLAS_OP_T:
        raise ValueError(f"stacked_product: the rows of y must be contiguous, got strides {y.strides}")
    compute = blas.CUBLAS_COMPUTE_64F
    if y.dtype == np.float32:
        tf32 = _products.get_compute_type(np.float32) == _products.COMPUTE_TYPE_TF32
        compute = blas.CUBLAS_COMPUTE_32F_FAST_TF32 if tf32 else blas.CUBLAS_COMPUTE_32F
    kind, one, nothing = _TYPES[y.dtype.name], np.ones(1, y.dtype), np.zeros(1, y.dtype)
    with y.device:
        blas.gemmStridedBatchedEx(
            cupy.cuda.get_cublas_handle(), lay_b, lay_a, N, M, K, one.ctypes.data,
            b.data.ptr, kind, step_b, b.strides[0] // b.itemsize, a.data.ptr, kind, step_a, a.strides[0] // a.itemsize,
            nothing.ctypes.data, y.data.ptr, kind, step_y, y.strides[0] // y.itemsize,
            B, compute, blas.CUBLAS_GEMM_DEFAULT,
        )  # fmt: skip


def _layout(matrices: Array) -> tuple[int, int]:
    """Return whether matrices lie transposed in memory, and the distance between two rows, or then columns."""
    (_, rows, columns), (down, right) = matrices.shape, (stride // matrices.itemsize for stride in matrices.strides[1:])
    if (right == 1 or columns == 1) and (down >= columns or rows == 1):
        return cupy.cuda.cublas.CUBLAS_OP_N, max(down, columns)
    if (down == 1 or rows == 1) and (right >= rows or columns == 1):
        return cupy.cuda.cublas.CUBLAS_OP_T, max(right, rows)
    raise ValueError(f"stacked_product: rows or columns must be contiguous, got strides {matrices.strides}")


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


def dropout(x: Array, seed: int, p: float, scale: float, y: Array) -> None:
    x = cupy.ascontiguousarray(x)
    _launch("dropout", x.size, x, x.size, np.uint64(seed), float(p), float(scale), y)


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
    velocities = None if velocity is None else [velocity]
    sgd_steps([parameter], [gradient], velocities, lr, momentum, weight_decay, nesterov, paper)


def sgd_steps(
    parameters: list[Array],
    gradients: list[Array],
    velocities: list[Array] | None,
    lr: float,
    momentum: float,
    weight_decay: float,
    nesterov: bool,
    paper: bool,
) -> None:
    gradients = [cupy.ascontiguousarray(gradient) for gradient in gradients]
    for first in range(0, len(parameters), MOST_UPDATES):
        some = slice(first, first + MOST_UPDATES)
        lists = [parameters[some], gradients[some], *([] if velocities is None else [velocities[some]])]
        size, arrays = sum(parameter.size for parameter in lists[0]), sum(lists, [])
        if velocities is None:
            _launch("sgd_plain", size, lists, size, lr, weight_decay, arrays=arrays)
        else:
            numbers = lr, momentum, weight_decay, nesterov, paper
            _launch("sgd_momentum", size, lists, size, *numbers, arrays=arrays)


def cross_entropy_forward(
    x: Array, labels: Array, v: Array, ignored: int, smoothing: float, p: Array, totals: Array, sums: Array
) -> None:
    x, labels, v = (cupy.ascontiguousarray(array) for array in (x, labels, v))
    settings = np.int64(ignored), float(smoothing)
    _launch("cross_entropy_forward", len(x), x, labels, v, *x.shape, *settings, p, totals, sums)


def cross_entropy_backward(
    p: Array,
    totals: Array,
    labels: Array,
    v: Array,
    ignored: int,
    smoothing: float,
    grad: Array,
    divisor: Array | None,
    grad_x: Array,
) -> None:
    one_grad = grad.ndim == 0
    p, totals, labels, v, grad = (cupy.ascontiguousarray(array) for array in (p, totals, labels, v, grad))
    settings = np.int64(ignored), float(smoothing)
    scaling = grad, one_grad, grad if divisor is None else divisor, divisor is not None
    _launch("cross_entropy_backward", p.size, p, totals, labels, v, *p.shape, *settings, *scaling, grad_x)
