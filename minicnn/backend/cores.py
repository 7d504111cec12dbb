"""How the processor's cores share the work: split, matrix products, and functions applied element by element.

The cores share work in one way only, decided here: :func:`split` gives each core one Python thread and a contiguous
part of the range. Inside a part every matrix product runs on one BLAS thread, and kernels release the interpreter
lock. BLAS's own threads are never used: after each product they spin for a while and keep the core from whatever comes
next. On AlexNet's step that costs a factor of three.
"""

import contextvars
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import threadpoolctl

from minicnn.backend.arrays import Array
from minicnn.backend.cpu_limits import IN_BROWSER, default_threads
from minicnn.backend.memory import empty

_num_threads = default_threads()
_pool: ThreadPoolExecutor | None = None
_inside_part = threading.local()
_blas_lock = threading.Lock()
_blas_users = 0
_blas_libraries: list[Any] | None = [] if IN_BROWSER else None  # there is none there, and threadpoolctl would warn
_blas_threads_of_user: list[int] = []


def set_num_threads(n: int) -> None:
    """Set how many cores minicnn uses.

    By default these are ``OMP_NUM_THREADS`` if that is set, else all cores that this process may run on, but not more
    than a container's CPU quota pays for.

    Parameters
    ----------
    n : int
        At least 1.

    Raises
    ------
    ValueError
        If `n` is not a positive integer.
    """
    global _num_threads, _pool
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise ValueError(f"set_num_threads: n must be a positive integer, got {n!r}")
    _num_threads = int(n)
    _pool = None  # the next split makes one of the right size


def get_num_threads() -> int:
    """Return how many cores minicnn uses."""
    return _num_threads


def _forget_threads() -> None:
    """Forget the threads after a fork: they do not exist in the child, which starts its own."""
    global _pool, _blas_lock, _blas_users
    _pool, _blas_lock, _blas_users = None, threading.Lock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread, and restore the user's setting when the last of several callers leaves."""
    global _blas_users, _blas_libraries, _blas_threads_of_user
    with _blas_lock:
        if _blas_libraries is None:
            found = threadpoolctl.ThreadpoolController().select(user_api="blas")
            _blas_libraries = list(found.lib_controllers)
        if _blas_users == 0:
            _blas_threads_of_user = [library.num_threads for library in _blas_libraries]
            for library in _blas_libraries:
                _set_blas_threads(library, 1)
        _blas_users += 1
    try:
        yield
    finally:
        with _blas_lock:
            _blas_users -= 1
            if _blas_users == 0:
                for library, threads in zip(_blas_libraries, _blas_threads_of_user, strict=True):
                    _set_blas_threads(library, threads)


def _set_blas_threads(library: Any, threads: int) -> None:
    # Newer versions of threadpoolctl obey only the first living thread that ever set a number, and silently ignore the
    # others. Any thread may be the first or the last in here, and the user's own must be obeyed afterwards.
    forget_first = getattr(library, "clear_controlling_thread", None)
    if forget_first is not None:
        forget_first(force=True)
    library.set_num_threads(threads)
    if forget_first is not None:
        forget_first(force=True)


def split(xp: ModuleType, count: int, work: Callable[[int, int], None]) -> None:
    """Call ``work(start, stop)`` for contiguous parts of ``range(count)``, one part a core.

    Parameters
    ----------
    xp : module
        The module of the arrays that `work` uses. On a GPU there is one part: the whole range.
    count : int
        The number of items (usually images).
    work : callable
        Called as ``work(start, stop)``. Parts may run at the same time, so none may write where another one does.

    Notes
    -----
    The parts depend only on `count` and the number of threads, so the same call always adds up in the same order.
    Within a part nothing is split again.
    """
    parts = min(_num_threads, count)
    if xp is not np or IN_BROWSER or getattr(_inside_part, "yes", False):
        work(0, count)
        return
    with _one_blas_thread():
        if parts <= 1:
            work(0, count)
            return
        edges = [count * part // parts for part in range(parts + 1)]
        others = [  # in a copy of this context: np.errstate around a step applies to all of its parts
            _threads().submit(contextvars.copy_context().run, _run_part, work, edges[i], edges[i + 1])
            for i in range(1, parts)
        ]
        try:
            _run_part(work, edges[0], edges[1])
        finally:  # no part may still be writing when the caller continues, even after an error
            errors = [other.exception() for other in others]
        for error in errors:
            if error is not None:
                raise error


def _threads() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        count = max(1, _num_threads - 1)
        pool = ThreadPoolExecutor(count, thread_name_prefix="minicnn")
        all_started = threading.Barrier(count)
        with _no_signals():
            for _ in range(count):
                pool.submit(all_started.wait, 10)  # each starts a thread, because the earlier ones are still waiting
        _pool = pool
    return _pool


@contextmanager
def _no_signals() -> Iterator[None]:
    """Delay Ctrl-C: during the start of a thread it would leave the pool waiting for that thread forever."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())  # only a query: a handler may raise below
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run_part(work: Callable[[int, int], None], start: int, stop: int) -> None:
    _inside_part.yes = True
    try:
        work(start, stop)
    finally:
        _inside_part.yes = False


_BLOCK_BYTES = 1 << 18  # small enough that the result of one NumPy call is still in the cache for the next


def elementwise(xp: ModuleType, compute: Callable[..., Array], *arrays: Array, in_place: bool = False) -> Array:
    """Return what ``compute(*arrays, out)`` writes into `out`, block by block, the blocks shared among the cores.

    Parameters
    ----------
    xp : module
        The module of the arrays.
    compute : callable
        Works element by element, so that it can be called on blocks of the arrays, and writes into its last argument.
    *arrays : array
        All of the same shape; the result has the shape and the dtype of the first.
    in_place : bool
        Whether the result takes the memory of the first array, which must be contiguous.
    """
    flat = [xp.ascontiguousarray(array).reshape(-1) for array in arrays]
    out = flat[0] if in_place else empty(xp, flat[0].shape, flat[0].dtype)
    step = max(1, _BLOCK_BYTES // out.itemsize) if xp is np else max(1, out.size)

    def some_blocks(start: int, stop: int) -> None:
        for block in range(start, stop):
            part = slice(block * step, (block + 1) * step)
            compute(*(array[part] for array in flat), out[part])

    blocks = -(-out.size // step)
    if blocks == 1:
        some_blocks(0, 1)  # too small for the other cores to help
    else:
        split(xp, blocks, some_blocks)
    return out.reshape(arrays[0].shape)


_SMALL_PRODUCT = 1 << 17  # multiply-adds (some 10 microseconds) below which a second thread costs more than it gains


def matmul(xp: ModuleType, a: Array, b: Array) -> Array:
    """Return ``a @ b`` for two matrices, the longer side of the result shared among the cores.

    Parameters
    ----------
    xp : module
        The module of `a` and `b`.
    a, b : array of shape (M, K) and (K, N)

    Returns
    -------
    array of shape (M, N)
    """
    (M, K), N = a.shape, b.shape[1]
    out = empty(xp, (M, N), xp.result_type(a, b))
    if M * K * N < _SMALL_PRODUCT:
        with _one_blas_thread():
            product(xp, a, b, out)
    elif M >= N:
        split(xp, M, lambda start, stop: product(xp, a[start:stop], b, out[start:stop]))
    else:
        split(xp, N, lambda start, stop: product(xp, a, b[:, start:stop], out[:, start:stop]))
    return out


def product(xp: ModuleType, a: Array, b: Array, out: Array | None = None) -> Array:
    """Return ``xp.matmul(a, b, out)``, which does not share the work; by a faster way where NumPy has no BLAS.

    Parameters
    ----------
    xp : module
        The module of `a` and `b`.
    a, b : array of shape (..., M, K) and (..., K, N)
    out : array of shape (..., M, N), optional
    """
    if (
        IN_BROWSER
        and a.ndim > 1
        and b.ndim > 1
        and a.dtype == b.dtype == np.float32
        and max(a.size * b.shape[-1], b.size * a.shape[-2]) < 1 << 31  # einsum counts multiply-adds in 32 bits there
    ):
        # NumPy's own matmul walks down the columns of b; einsum multiplies two rows in memory by the vector.
        rows = np.ascontiguousarray(b.swapaxes(-1, -2))
        return np.einsum("...mk,...nk->...mn", np.ascontiguousarray(a), rows, out=out)
    return xp.matmul(a, b, out=out)
