"""NumPy or CuPy for an array, random numbers, and how the processor's cores share the work.

The cores share work in one way only, decided here: :func:`split` hands each core one Python thread and a
contiguous part of the range. Inside a part every matrix product runs on one BLAS thread, and kernels release the
interpreter lock. BLAS's own threads are never used, because after each product they spin for a while and take the
core away from whatever comes next: on AlexNet's step that costs a factor of three.
"""

import bisect
import contextvars
import importlib.util
import math
import os
import re
import signal
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import ModuleType
from typing import Any

import numpy as np
import threadpoolctl

from minicnn.errors import MinicnnError
from minicnn.install import install_command

__all__ = [
    "Array",
    "DeviceError",
    "asnumpy",
    "checked_device",
    "device_of",
    "elementwise",
    "empty",
    "generator",
    "get_array_module",
    "get_default_device",
    "get_num_threads",
    "get_tf32",
    "gpu_facts",
    "manual_seed",
    "matmul",
    "on_device_of",
    "owns_memory",
    "piece_bytes",
    "random_uniform",
    "same_device",
    "set_default_device",
    "set_num_threads",
    "set_tf32",
    "split",
    "staged",
    "to_device",
]

Array = Any
"""A NumPy or CuPy array: the type checker cannot see CuPy where it is not installed."""


# --- arrays ------------------------------------------------------------------------------------------------------


def get_array_module(*arrays: Any) -> ModuleType:
    """Return the module (``numpy`` or ``cupy``) whose functions take these arrays.

    Parameters
    ----------
    *arrays : ndarray or cupy.ndarray or None
        The arguments of one operation.

    Returns
    -------
    module
        ``cupy`` if any of them lives on a GPU, else ``numpy``.
    """
    for array in arrays:
        if type(array).__module__.partition(".")[0] == "cupy":
            import cupy

            return cupy
    return np


def asnumpy(array: Any) -> np.ndarray:
    """Return `array` as a NumPy array, copied from the GPU if it lives there."""
    return array.get() if hasattr(array, "get") else np.asarray(array)


# --- devices -----------------------------------------------------------------------------------------------------


class DeviceError(MinicnnError):
    """A device cannot be used; the message says what is missing, and what to do about it."""


def checked_device(device: str) -> str:
    """Return the full name of a device that can be used.

    Parameters
    ----------
    device : str
        As in PyTorch: "cpu", "cuda" for the current GPU, or "cuda:0", "cuda:1" ... for a certain one.

    Returns
    -------
    str
        "cpu" or "cuda:N".

    Raises
    ------
    ValueError
        If it is none of these.
    DeviceError
        If CuPy, a GPU, or this GPU is absent.
    """
    if device == "cpu":
        return device
    if not isinstance(device, str) or not re.fullmatch(r"cuda(:\d+)?", device, re.ASCII):
        raise ValueError(f"device must be 'cpu', 'cuda' or 'cuda:N', got {device!r}")
    remedy = f"install minicnn with the extra cuda12 or cuda13, the one for your driver: {install_command('cuda12')}"
    try:
        import cupy
    except ImportError as error:
        why = "is not installed" if importlib.util.find_spec("cupy") is None else f"cannot be loaded ({error})"
        raise DeviceError(f"device {device!r} needs CuPy, which {why}; {remedy}") from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except RuntimeError as error:  # without a driver, too
        raise DeviceError(
            f"device {device!r} needs an NVIDIA GPU and its driver, and CuPy finds none ({error}); "
            "'minicnn doctor' shows what there is"
        ) from error
    number = int(device.partition(":")[2] or cupy.cuda.Device().id)
    if number >= count:
        raise DeviceError(f"device {device!r} does not exist; there is 'cuda:N' for N below {count}")
    return f"cuda:{number}"


_default_device = "cpu"


def set_default_device(device: str) -> None:
    """Set where layers make their parameters and where saved networks are read to; "cpu" at first.

    Parameters
    ----------
    device : str
        "cpu", "cuda" for the current GPU, "cuda:0", "cuda:1" ... for a certain one.

    Raises
    ------
    ValueError
        If it is none of these.
    DeviceError
        If CuPy, a GPU, or this GPU is absent.
    """
    global _default_device
    _default_device = checked_device(device)


def get_default_device() -> str:
    """Return where layers make their parameters: "cpu" or "cuda:N"."""
    return _default_device


def gpu_facts(device: str) -> dict[str, str]:
    """Return the name of a GPU, and the versions of what runs on it; nothing for "cpu"."""
    if checked_device(device) == "cpu":
        return {}
    import cupy

    properties = cupy.cuda.runtime.getDeviceProperties(int(checked_device(device).partition(":")[2]))
    version = cupy.cuda.runtime.runtimeGetVersion()
    return {
        "gpu": properties["name"].decode(),
        "cuda": f"{version // 1000}.{version % 1000 // 10}",
        "cupy": cupy.__version__,
    }


_DEFAULT_MATH, _TF32_MATH = 0, 3  # cuBLAS's numbers for CUBLAS_DEFAULT_MATH and CUBLAS_TF32_TENSOR_OP_MATH
_tf32 = False


def set_tf32(allowed: bool) -> None:
    """Say whether GPUs may round the factors of float32 products to TF32's 10 binary digits, instead of 23.

    Their tensor cores multiply such numbers several times faster. It holds for the thread that calls this, on every
    GPU from Ampere (2020) on; at first it is not allowed.

    Parameters
    ----------
    allowed : bool

    Raises
    ------
    DeviceError
        If CuPy or a GPU is absent.
    """
    global _tf32
    checked_device("cuda")
    import cupy
    from cupy._core import _routines_linalg as products

    # CuPy multiplies single matrices by a call that names the arithmetic, and stacks of them by one that does not.
    products.set_compute_type(np.float32, products.COMPUTE_TYPE_TF32 if allowed else products.COMPUTE_TYPE_DEFAULT)
    for number in range(cupy.cuda.runtime.getDeviceCount()):
        with cupy.cuda.Device(number):
            cupy.cuda.cublas.setMathMode(cupy.cuda.get_cublas_handle(), _TF32_MATH if allowed else _DEFAULT_MATH)
    _tf32 = bool(allowed)


def get_tf32() -> bool:
    """Return whether GPUs may round float32 factors to TF32."""
    return _tf32


def device_of(array: Array) -> str:
    """Return where an array lives: "cpu", or "cuda:N" for the GPU number N."""
    return "cpu" if get_array_module(array) is np else f"cuda:{array.device.id}"


def to_device(array: Array, device: str) -> Array:
    """Return an array's copy on another device, or the array itself if it is there already.

    Parameters
    ----------
    array : ndarray or cupy.ndarray
    device : str
        See :func:`checked_device`, which also says what is raised.
    """
    device = checked_device(device)
    if device_of(array) == device:
        return array
    if device == "cpu":
        return asnumpy(array)
    import cupy

    with cupy.cuda.Device(int(device.partition(":")[2])):
        return cupy.asarray(array) if get_array_module(array) is np else array.copy()


def on_device_of(array: Array) -> AbstractContextManager[Any]:
    """Return a context in which new arrays are made where `array` is."""
    return nullcontext() if get_array_module(array) is np else array.device


def same_device(function: str, **arrays: Array | None) -> None:
    """Refuse arrays of several devices.

    Raises
    ------
    TypeError
        Naming the function, the arguments and where they live.
    """
    places = {name: device_of(array) for name, array in arrays.items() if array is not None}
    if len(set(places.values())) > 1:
        listed = ", ".join(f"{name} is on {place}" for name, place in places.items())
        raise TypeError(f"{function}: {listed}; move them to one device with .to(device)")


def staged(batches: Iterable[tuple[Array, ...]], device: str) -> Iterator[tuple[Array, ...]]:
    """Yield each batch with its arrays on a device; to a GPU the next one travels while this one is in use.

    Parameters
    ----------
    batches : iterable of tuple of arrays
        Arrays that are on the device already stay as they are.
    device : str
        See :func:`checked_device`, which also says what is raised.

    Yields
    ------
    tuple of arrays
        What is computed with them afterwards, in the current stream, waits for them to arrive; the processor does not.

    Notes
    -----
    A GPU fetches by itself, beside its other work, only from memory that the operating system does not move. So arrays
    are first copied into such page-locked memory, of which there are two sets that take turns, and then sent on a
    stream of their own.
    """
    device = checked_device(device)
    if device == "cpu":
        yield from (tuple(to_device(array, device) for array in batch) for batch in batches)
        return
    import cupy

    with cupy.cuda.Device(int(device.partition(":")[2])):
        stage = _Stage(device)
    under_way = None
    try:
        for batch in batches:
            sent = stage.send(batch)
            if under_way is not None:
                yield stage.received(*under_way)
            under_way = sent
        if under_way is not None:
            yield stage.received(*under_way)
    finally:
        stage.stream.synchronize()  # whoever leaves early frees memory that a batch is still on its way to


class _Stage:
    """What :func:`staged` has for a GPU: a stream of its own, and two sets of page-locked memory."""

    def __init__(self, device: str) -> None:
        import cupy

        self.device, self.here = device, cupy.cuda.Device()
        self.stream = cupy.cuda.Stream(non_blocking=True)
        self.locked: list[dict[int, np.ndarray]] = [{}, {}]
        self.sent: list[Any] = [None, None]  # an event each: what was sent last from a set has left it
        self.turn = 0

    def send(self, batch: tuple[Array, ...]) -> tuple[list[Array], Any]:
        """Begin to copy a batch; return its arrays on the GPU, and the event that they are complete."""
        import cupy

        self.turn = 1 - self.turn
        if self.sent[self.turn] is not None:
            self.sent[self.turn].synchronize()
        with self.here:
            arrays, copies = [], []
            for position, array in enumerate(batch):
                if get_array_module(array) is np:
                    copies.append((cupy.empty(array.shape, array.dtype), self._page_locked(position, array)))
                    arrays.append(copies[-1][0])
                else:
                    arrays.append(to_device(array, self.device))
            # The memory that was got just now may be that of an array whose last reader is not done yet.
            self.stream.wait_event(cupy.cuda.get_current_stream().record())
            for there, locked in copies:
                there.set(locked, stream=self.stream)
            self.sent[self.turn] = self.stream.record()
        return arrays, self.sent[self.turn]

    def _page_locked(self, position: int, array: np.ndarray) -> np.ndarray:
        """Return a copy in page-locked memory."""
        import cupyx

        memory = self.locked[self.turn].get(position)
        if memory is None or (memory.shape, memory.dtype) != (array.shape, array.dtype):
            memory = self.locked[self.turn][position] = cupyx.empty_pinned(array.shape, array.dtype)
        memory[...] = array
        return memory

    def received(self, arrays: list[Array], complete: Any) -> tuple[Array, ...]:
        """Let what is computed from now on wait for the arrays."""
        import cupy

        with self.here:
            cupy.cuda.get_current_stream().wait_event(complete)
        return tuple(arrays)


# --- memory ------------------------------------------------------------------------------------------------------

_LARGE = 1 << 18  # bytes from which fresh memory costs more than the arithmetic that fills it: 64 pages to be mapped

_HELD = 1.5  # times what was once in use together: what is free stands in pieces, of which not every one fits

_ALIGNMENT = 64  # bytes of a line of the cache, and of the longest vector


class _Recycled(np.ndarray):
    """What an array lives in: when the array and all its views are dropped, the memory goes on to the next."""


class _Segment:
    """Memory in one piece, and the gaps in it that no array uses: (start, stop), in order."""

    def __init__(self, nbytes: int) -> None:
        # Of the owner's class too: NumPy makes an array refer to the memory itself, past the owner, if that is a plain
        # array as well, and the owner would die at once.
        self.memory = _Recycled(nbytes, np.uint8)
        self.gaps = [(0, nbytes)]

    def is_unused(self) -> bool:
        return self.gaps == [(0, len(self.memory))]


class _Memory:
    """Memory of dropped arrays, for new ones: cut to size, joined again, up to `_HELD` times what was once in use."""

    def __init__(self) -> None:
        self.segments: list[_Segment] = []
        # A dropped array comes back at any time, on any thread, in the middle of a request too: it waits here.
        self.returned: deque[tuple[_Segment, int, int]] = deque()
        self.used_bytes = self.most_bytes = 0
        self.lock = threading.RLock()

    def take(self, nbytes: int) -> np.ndarray:
        nbytes = -(-nbytes // _ALIGNMENT) * _ALIGNMENT
        with self.lock:
            while self.returned:
                self.join(*self.returned.popleft())
            segment, gap = self.smallest_gap(nbytes) or (self.new_segment(nbytes), 0)
            start, stop = segment.gaps[gap]
            segment.gaps[gap : gap + 1] = [(start + nbytes, stop)] if start + nbytes < stop else []
            self.used_bytes += nbytes
            self.most_bytes = max(self.most_bytes, self.used_bytes)
        owner = segment.memory[start : start + nbytes]
        weakref.finalize(owner, self.returned.append, (segment, start, start + nbytes)).atexit = False
        return owner

    def smallest_gap(self, nbytes: int) -> tuple[_Segment, int] | None:
        found, size = None, math.inf
        for segment in self.segments:
            for i, (start, stop) in enumerate(segment.gaps):
                if nbytes <= stop - start < size:
                    found, size = (segment, i), stop - start
        return found

    def new_segment(self, nbytes: int) -> _Segment:
        """Give unused segments back to the operating system and ask for one instead that more sizes fit into."""
        unused = sum(len(segment.memory) for segment in self.segments if segment.is_unused())
        self.segments = [segment for segment in self.segments if not segment.is_unused()]
        limit = int(_HELD * max(self.most_bytes, self.used_bytes + nbytes))
        spare = limit // _ALIGNMENT * _ALIGNMENT - sum(len(segment.memory) for segment in self.segments)
        segment = _Segment(max(nbytes, min(unused, spare)))
        self.segments.append(segment)
        return segment

    def join(self, segment: _Segment, start: int, stop: int) -> None:
        """Make a gap of what has come back, one with the gaps beside it."""
        self.used_bytes -= stop - start
        gaps = segment.gaps
        i = bisect.bisect(gaps, (start, stop))
        if i < len(gaps) and gaps[i][0] == stop:
            stop = gaps.pop(i)[1]
        if i > 0 and gaps[i - 1][1] == start:
            start = gaps.pop(i - 1)[0]
            i -= 1
        gaps.insert(i, (start, stop))


_memory = _Memory()


def empty(xp: ModuleType, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an array with anything in it, as ``xp.empty`` does, in memory that a dropped array has left.

    A training step makes and drops the same large arrays again and again. Fresh memory for each of them would have
    to be mapped and cleared by the operating system, page by page, while the cores wait.
    """
    dtype = np.dtype(dtype)
    nbytes = math.prod(shape) * dtype.itemsize
    if xp is not np or nbytes < _LARGE:
        return xp.empty(shape, dtype)
    return np.ndarray(shape, dtype, buffer=_memory.take(nbytes))


_PIECE_BYTES, _PIECE_BYTES_OF_GPU = 1 << 19, 1 << 28


def piece_bytes(xp: ModuleType) -> int:
    """Return how large a piece of an intermediate result may be that is made and used up piece by piece.

    On the processor, it is read again while it is still in the cache. On a GPU, it bounds the memory, and is large
    enough for one piece to keep all of the GPU busy.
    """
    return _PIECE_BYTES if xp is np else _PIECE_BYTES_OF_GPU


def owns_memory(array: Array) -> bool:
    """Return whether the array is a view of no other one."""
    return array.base is None or isinstance(array.base, _Recycled)


# --- random numbers ----------------------------------------------------------------------------------------------

_generator = np.random.default_rng()


def generator() -> np.random.Generator:
    """Return the generator that initial weights, dropout masks and default data orders are drawn from."""
    return _generator


def manual_seed(seed: int) -> None:
    """Seed the generator of everything random in minicnn, as ``torch.manual_seed`` does.

    Parameters
    ----------
    seed : int
        Any integer that is not negative.

    Raises
    ------
    TypeError
        If `seed` is not an integer.
    ValueError
        If it is negative.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"manual_seed: seed must be an integer, got {seed!r}")
    if seed < 0:
        raise ValueError(f"manual_seed: seed must be 0 or more, got {seed}")
    # The same Generator object goes on living: whoever holds it is seeded too.
    _generator.bit_generator.state = type(_generator.bit_generator)(int(seed)).state


def random_uniform(xp: ModuleType, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return numbers drawn uniformly from [0, 1), of the given shape, on the device of `xp`.

    On a GPU they are made there, from one number of :func:`generator`: its state is all that a run needs to remember.
    """
    if xp is np:
        return _generator.random(shape, dtype=dtype)
    return hashed_uniform(xp, int(_generator.integers(2**64, dtype=np.uint64)), shape, dtype)


def hashed_uniform(xp: ModuleType, seed: int, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return numbers drawn uniformly from [0, 1), each one a function of the seed and its place: SplitMix64.

    References
    ----------
    Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators", figure 17.
    """
    number = np.uint64
    z = xp.arange(1, math.prod(shape) + 1, dtype=number)
    z *= number(0x9E3779B97F4A7C15)
    z += number(seed)
    z ^= z >> number(30)
    z *= number(0xBF58476D1CE4E5B9)
    z ^= z >> number(27)
    z *= number(0x94D049BB133111EB)
    z ^= z >> number(31)
    bits = np.finfo(dtype).nmant + 1  # as many as the result can tell apart
    uniform = (z >> number(64 - bits)).astype(dtype)
    uniform *= 2.0**-bits
    return uniform.reshape(shape)


# --- cores -------------------------------------------------------------------------------------------------------


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_num_threads = _available_cores()
_pool: ThreadPoolExecutor | None = None
_inside_part = threading.local()
_blas_lock = threading.Lock()
_blas_users = 0
_blas_libraries: list[Any] | None = None
_blas_threads_of_user: list[int] = []


def set_num_threads(n: int) -> None:
    """Set how many cores minicnn uses. The default is every core that this process may run on.

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
    """Threads do not survive a fork: the child starts its own."""
    global _pool, _blas_lock, _blas_users
    _pool, _blas_lock, _blas_users = None, threading.Lock(), 0
    _memory.lock = threading.RLock()  # a thread that is no more may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Keep BLAS to one thread, and give the user's setting back when the last of several users leaves."""
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
    # Newer versions of threadpoolctl hear only the first living thread that ever set a number, and ignore others in
    # silence. Whoever enters or leaves last here may be any thread, and the user's own must be heard afterwards.
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
        The module of the arrays that `work` touches. On a GPU there is one part: the whole.
    count : int
        How many items (images, as a rule) there are to share.
    work : callable
        Called as ``work(start, stop)``. Parts may run at the same time, so each writes only what is its own.

    Notes
    -----
    The parts depend on `count` and on the number of threads alone, so the same call always adds up in the same
    order. Within a part nothing is split again.
    """
    parts = min(_num_threads, count)
    if xp is not np or getattr(_inside_part, "yes", False):
        work(0, count)
        return
    with _one_blas_thread():
        if parts <= 1:
            work(0, count)
            return
        edges = [count * part // parts for part in range(parts + 1)]
        others = [  # in a copy of this context: np.errstate around a step holds for all of its parts
            _threads().submit(contextvars.copy_context().run, _run_part, work, edges[i], edges[i + 1])
            for i in range(1, parts)
        ]
        try:
            _run_part(work, edges[0], edges[1])
        finally:  # no part may still be writing when the caller goes on, not even after an error
            errors = [other.exception() for other in others]
        for error in errors:
            if error is not None:
                raise error


def _threads() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        pool = ThreadPoolExecutor(max(1, _num_threads - 1), thread_name_prefix="minicnn")
        with _no_signals():
            for _ in range(max(1, _num_threads - 1)):
                pool.submit(time.sleep, 0.001)  # each starts a thread, because those before are busy still
        _pool = pool
    return _pool


@contextmanager
def _no_signals() -> Iterator[None]:
    """Let Ctrl-C wait: in the middle of starting a thread it would leave the pool waiting for it forever."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())  # changes nothing, but asks: a handler may raise below
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run_part(work: Callable[[int, int], None], start: int, stop: int) -> None:
    _inside_part.yes = True
    try:
        work(start, stop)
    finally:
        _inside_part.yes = False


_BLOCK_BYTES = 1 << 18  # small enough that what one line of NumPy leaves is still in the cache for the next


def elementwise(xp: ModuleType, compute: Callable[..., Array], *arrays: Array) -> Array:
    """Return what ``compute(*arrays, out)`` writes, a block at a time, the blocks shared among the cores.

    Parameters
    ----------
    xp : module
        The module of the arrays.
    compute : callable
        Treats every element alike, so that it may be called on blocks of the arrays, and writes into its last argument.
    *arrays : array
        All of the same shape; the result has the shape and the dtype of the first.
    """
    flat = [xp.ascontiguousarray(array).reshape(-1) for array in arrays]
    out = empty(xp, flat[0].shape, flat[0].dtype)
    step = max(1, _BLOCK_BYTES // out.itemsize) if xp is np else max(1, out.size)

    def some_blocks(start: int, stop: int) -> None:
        for block in range(start, stop):
            part = slice(block * step, (block + 1) * step)
            compute(*(array[part] for array in flat), out[part])

    blocks = -(-out.size // step)
    if blocks == 1:
        some_blocks(0, 1)  # not worth waking the other cores
    else:
        split(xp, blocks, some_blocks)
    return out.reshape(arrays[0].shape)


_SMALL_PRODUCT = 1 << 17  # multiply-adds (some 10 microseconds) below which a second thread costs more than it brings


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
            xp.matmul(a, b, out=out)
    elif M >= N:
        split(xp, M, lambda start, stop: xp.matmul(a[start:stop], b, out=out[start:stop]))
    else:
        split(xp, N, lambda start, stop: xp.matmul(a, b[:, start:stop], out=out[:, start:stop]))
    return out
