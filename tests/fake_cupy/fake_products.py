"""Matrix products as CuPy 14 does them: when it copies, which arithmetic it names, and cuBLAS by address.

Read in cupy/_core/_routines_linalg.pyx. cuBLAS counts columns first, so what it calls A, transposed, is a row-major B.
"""

import ctypes
import itertools
import threading
from types import ModuleType, SimpleNamespace
from typing import Any

import fake_counts
import numpy as np

DEFAULT, TF32 = 1, 7  # CuPy's numbers for its compute types
COMPUTE_32F, COMPUTE_32F_FAST_TF32, COMPUTE_64F = 68, 77, 70  # cuBLAS's
TYPES = {0: np.dtype(np.float32), 1: np.dtype(np.float64)}  # CUDA_R_32F, CUDA_R_64F

compute_types: dict[Any, int] = {}  # of the process
math_modes: dict[int, int] = {}  # by handle, of which each thread has one for each GPU
_new_handles = itertools.count(1)


class _Handles(threading.local):
    """The handles of a thread, by GPU: gone when the thread is."""

    def __init__(self) -> None:
        self.by_device: dict[int, int] = {}


_handles = _Handles()


def handle_of(device: int) -> int:
    """Return the calling thread's handle for a GPU."""
    if device not in _handles.by_device:
        _handles.by_device[device] = next(_new_handles)
    return _handles.by_device[device]


def _leading(matrix: np.ndarray) -> tuple[int, bool]:
    """Return the leading dimension of a matrix that cuBLAS takes as it is, or would take after a copy; and whether."""
    rows, columns = matrix.shape
    for flag, length, stride in (
        (matrix.flags.f_contiguous, rows, matrix.strides[1]),
        (matrix.flags.c_contiguous, columns, matrix.strides[0]),
    ):
        if flag:
            return max(length, stride // matrix.itemsize), False
    return columns, True


def matmul(a: np.ndarray, b: np.ndarray, out: np.ndarray | None, device: int) -> None:
    """Count a product of two arrays that CuPy's matmul multiplies."""
    if min(a.ndim, b.ndim) < 1 or 0 in (a.size, b.size):
        return
    a, b = (a[None] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    m, k, n = *a.shape[-2:], b.shape[-1]
    single = a.dtype == b.dtype == np.float32
    awry = out is not None and not out.flags.c_contiguous
    if a.ndim == b.ndim == 2:
        if m == n == 1:
            fake_counts.launch("multiply")
            fake_counts.reduction("sum")
            return
        (lda, copies_a), (ldb, copies_b) = _leading(a), _leading(b)
        batch, copies = 1, copies_a + copies_b + awry
        tf32 = single and compute_types.get(np.float32) == TF32
    else:
        lda, ldb = k, n
        batch = int(np.prod(np.broadcast_shapes(a.shape[:-2], b.shape[:-2])))
        copies = (not a.flags.c_contiguous) + (not b.flags.c_contiguous) + awry
        tf32 = single and math_modes.get(handle_of(device), 0) == 3
        if a.shape[:-2] != b.shape[:-2]:
            for _ in "ABC":
                fake_counts.launch("addresses for a product")
    fake_counts.product(m=m, n=n, k=k, batch=batch, leading=(lda, ldb, n), copies=copies, tf32=tf32)


def _stack(address: int, dtype: np.dtype, rows: int, columns: int, leading: int, stride: int, batch: int) -> np.ndarray:
    """Return matrices in host memory, which the fake GPU's is: column by column, as cuBLAS counts."""
    assert leading >= rows > 0 and columns > 0 and address % dtype.itemsize == 0
    place = {
        "data": (address, False),
        "shape": (batch, rows, columns),
        "strides": tuple(dtype.itemsize * step for step in (stride, 1, leading)),
        "typestr": dtype.str,
        "version": 3,
    }
    return np.asarray(SimpleNamespace(__array_interface__=place))


def gemm_strided_batched(
    handle: int,
    transa: int, transb: int, m: int, n: int, k: int, alpha: int,
    A: int, a_type: int, lda: int, a_stride: int,
    B: int, b_type: int, ldb: int, b_stride: int, beta: int,
    C: int, c_type: int, ldc: int, c_stride: int,
    batch: int, compute_type: int, algorithm: int,
) -> None:  # fmt: skip
    """``cublasGemmStridedBatchedEx``: C = alpha op(A) op(B) + beta C for each matrix of the batch."""
    assert handle in _handles.by_device.values(), "this handle belongs to another thread"
    assert a_type == b_type == c_type and algorithm in (-1, 99)
    dtype = TYPES[c_type]
    assert compute_type in ((COMPUTE_64F,) if c_type else (COMPUTE_32F, COMPUTE_32F_FAST_TF32))
    number = ctypes.c_double if c_type else ctypes.c_float
    by, keep = (number.from_address(address).value for address in (alpha, beta))
    a = _stack(A, dtype, *((k, m) if transa else (m, k)), lda, a_stride, batch)
    b = _stack(B, dtype, *((n, k) if transb else (k, n)), ldb, b_stride, batch)
    c = _stack(C, dtype, m, n, ldc, c_stride, batch)
    tf32 = compute_type == COMPUTE_32F_FAST_TF32
    fake_counts.product(m=n, n=m, k=k, batch=batch, leading=(ldb, lda, ldc), copies=0, tf32=tf32)
    if not fake_counts.computes():
        return
    result = by * np.matmul(a.swapaxes(1, 2) if transa else a, b.swapaxes(1, 2) if transb else b)
    c[...] = result + keep * c if keep else result  # beta = 0 does not read C, which may hold NaN


def install(cupy: Any, current_device: Any) -> None:
    """Put the parts of CuPy that name cuBLAS into a fake module."""
    compute_types.clear()
    math_modes.clear()
    cupy._core = ModuleType("cupy._core")
    products = cupy._core._routines_linalg = ModuleType("cupy._core._routines_linalg")
    products.COMPUTE_TYPE_DEFAULT, products.COMPUTE_TYPE_TF32 = DEFAULT, TF32
    products.set_compute_type = compute_types.__setitem__
    products.get_compute_type = lambda dtype: compute_types.get(dtype, DEFAULT)
    cupy.cuda.get_cublas_handle = lambda: handle_of(current_device())
    cublas = cupy.cuda.cublas = ModuleType("cupy.cuda.cublas")
    cublas.setMathMode = math_modes.__setitem__
    cublas.CUBLAS_OP_N, cublas.CUBLAS_OP_T, cublas.CUBLAS_GEMM_DEFAULT = 0, 1, -1
    cublas.CUBLAS_COMPUTE_32F, cublas.CUBLAS_COMPUTE_64F = COMPUTE_32F, COMPUTE_64F
    cublas.CUBLAS_COMPUTE_32F_FAST_TF32 = COMPUTE_32F_FAST_TF32
    cublas.gemmStridedBatchedEx = gemm_strided_batched
