"""Large arrays in recycled memory: a new array takes the memory that dropped arrays have left."""

import bisect
import math
import os
import threading
import weakref
from collections import deque
from types import ModuleType
from typing import Any

import numpy as np

from minicnn.backend.arrays import Array
from minicnn.backend.cpu_limits import IN_BROWSER

_LARGE = 1 << 18  # bytes from which fresh memory costs more than the arithmetic that fills it: 64 pages to be mapped

# Bytes of a segment. Operating systems give a page its memory when it is first written to, so that what is reserved and
# not used costs nothing: one long segment, filled from its start, has fewer gaps that are too short than several. In a
# browser, what is reserved is used.
_RESERVED = 1 << (26 if IN_BROWSER else 30)

_ALIGNMENT = 64  # bytes of a cache line, and of the longest vector


class _Recycled(np.ndarray):
    """The owner of an array's memory: when the array and all its views are dropped, the memory can be used again."""


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
    """The memory of dropped arrays: cut to size for new ones, merged again."""

    def __init__(self) -> None:
        self.segments: list[_Segment] = []
        # An array can be dropped at any time, on any thread, even during a request: its memory is queued here.
        self.returned: deque[tuple[_Segment, int, int]] = deque()
        self.lock = threading.RLock()

    def take(self, nbytes: int) -> np.ndarray:
        nbytes = -(-nbytes // _ALIGNMENT) * _ALIGNMENT
        with self.lock:
            while self.returned:
                self.join(*self.returned.popleft())
            segment, gap = self.first_gap(nbytes) or (self.new_segment(nbytes), 0)
            start, stop = segment.gaps[gap]
            segment.gaps[gap : gap + 1] = [(start + nbytes, stop)] if start + nbytes < stop else []
        owner = segment.memory[start : start + nbytes]
        weakref.finalize(owner, self.returned.append, (segment, start, start + nbytes)).atexit = False
        return owner

    def first_gap(self, nbytes: int) -> tuple[_Segment, int] | None:
        for segment in self.segments:
            for i, (start, stop) in enumerate(segment.gaps):
                if nbytes <= stop - start:
                    return segment, i
        return None

    def new_segment(self, nbytes: int) -> _Segment:
        """Give unused segments back to the operating system, and reserve another one."""
        self.segments = [segment for segment in self.segments if not segment.is_unused()]
        try:
            segment = _Segment(max(nbytes, _RESERVED))
        except MemoryError:  # where even what is only reserved is limited
            segment = _Segment(nbytes)
        self.segments.append(segment)
        return segment

    def join(self, segment: _Segment, start: int, stop: int) -> None:
        """Make a gap of returned memory, merged with the gaps beside it."""
        gaps = segment.gaps
        i = bisect.bisect(gaps, (start, stop))
        if i < len(gaps) and gaps[i][0] == stop:
            stop = gaps.pop(i)[1]
        if i > 0 and gaps[i - 1][1] == start:
            start = gaps.pop(i - 1)[0]
            i -= 1
        gaps.insert(i, (start, stop))


_memory = _Memory()


def _new_lock() -> None:
    """Replace the lock after a fork: a thread that does not exist in the child may have held it."""
    _memory.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)


def empty(xp: ModuleType, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an uninitialised array, as ``xp.empty`` does, in recycled memory if it is large.

    A training step allocates and drops the same large arrays again and again. Fresh memory for each of them would have
    to be mapped and cleared by the operating system, page by page, while the cores wait.
    """
    dtype = np.dtype(dtype)
    nbytes = math.prod(shape) * dtype.itemsize
    if xp is not np or nbytes < _LARGE:
        return xp.empty(shape, dtype)
    return np.ndarray(shape, dtype, buffer=_memory.take(nbytes))


_PIECE_BYTES, _PIECE_BYTES_OF_GPU = 1 << 19, 1 << 30
_IMAGES_OF_GPU = 16


def whole_images(xp: ModuleType, image_bytes: int) -> int:
    """Return for how many images at once an intermediate result is computed and used, at least 1.

    On the processor, such a piece is small enough to stay in the cache until it is used. On a GPU, it bounds the
    memory, and is large enough to keep all of the GPU busy; with a multiple of 16 images, the rows of its matrices
    begin at multiples of 16 bytes whatever the size of an image, which tensor cores need to be fast.
    """
    if xp is np:
        return max(1, _PIECE_BYTES // max(1, image_bytes))
    images = max(1, _PIECE_BYTES_OF_GPU // max(1, image_bytes))
    return images if images < _IMAGES_OF_GPU else images // _IMAGES_OF_GPU * _IMAGES_OF_GPU


def owns_memory(array: Array) -> bool:
    """Return whether an array is not a view of another one."""
    return array.base is None or isinstance(array.base, _Recycled)
