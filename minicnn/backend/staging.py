"""Copying to a GPU and from it while it computes."""

import weakref
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from minicnn.backend.arrays import Array, get_array_module
from minicnn.backend.devices import checked_device, to_device

# The arrays that `page_locked` has made and that are still alive, by their id.
_page_locked: weakref.WeakValueDictionary[int, np.ndarray] = weakref.WeakValueDictionary()


def page_locked(array: Array) -> Array:
    """Return a copy in page-locked memory, or the array itself if it is on a GPU. Needs CuPy and a GPU."""
    if get_array_module(array) is not np:
        return array
    import cupyx

    copy: np.ndarray = cupyx.empty_pinned(array.shape, array.dtype)
    copy[...] = array
    _page_locked[id(copy)] = copy
    return copy


def staged(batches: Iterable[tuple[Array, ...]], device: str) -> Iterator[tuple[Array, ...]]:
    """Yield each batch with its arrays on a device; a GPU receives the next batch while it computes with this one.

    Parameters
    ----------
    batches : iterable of tuple of arrays
        Arrays that are on the device already stay as they are.
    device : str
        See :func:`minicnn.backend.checked_device`, also for the errors.

    Yields
    ------
    tuple of arrays
        Work queued on the current stream afterwards waits for them to arrive; the processor does not.

    Notes
    -----
    A GPU copies in the background only from page-locked memory, which the operating system does not move. So arrays
    that are not from :func:`page_locked` are first copied into page-locked memory, of which there are two sets that
    take turns. All are sent on a stream of their own.
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
        stage.stream.synchronize()  # a consumer that stops early frees memory that a batch is still being copied to


class _Stage:
    """The state of :func:`staged` for a GPU: a stream of its own, and two sets of page-locked memory."""

    def __init__(self, device: str) -> None:
        import cupy

        self.device, self.here = device, cupy.cuda.Device()
        self.stream = cupy.cuda.Stream(non_blocking=True)
        self.locked: list[dict[int, np.ndarray]] = [{}, {}]
        self.lent: list[list[np.ndarray]] = [[], []]  # what is sent from the batches' own memory
        self.sent: list[Any] = [None, None]  # for each set, the event after its last copy to the GPU
        self.turn = 0

    def send(self, batch: tuple[Array, ...]) -> tuple[list[Array], Any]:
        """Begin to copy a batch; return its arrays on the GPU, and the event that marks the end of the copy."""
        import cupy

        self.turn = 1 - self.turn
        if self.sent[self.turn] is not None:
            self.sent[self.turn].synchronize()
        self.lent[self.turn].clear()
        with self.here:
            arrays, copies = [], []
            for position, array in enumerate(batch):
                if get_array_module(array) is np:
                    copies.append((cupy.empty(array.shape, array.dtype), self._page_locked(position, array)))
                    arrays.append(copies[-1][0])
                else:
                    arrays.append(to_device(array, self.device))
            # The new arrays may reuse memory that work queued earlier still reads.
            self.stream.wait_event(cupy.cuda.get_current_stream().record())
            for there, locked in copies:
                there.set(locked, stream=self.stream)
            self.sent[self.turn] = self.stream.record()
        return arrays, self.sent[self.turn]

    def _page_locked(self, position: int, array: np.ndarray) -> np.ndarray:
        """Return a copy in page-locked memory, or the array itself if it is there, and keep it until it is sent."""
        import cupyx

        if _page_locked.get(id(array)) is array:
            self.lent[self.turn].append(array)
            return array
        memory = self.locked[self.turn].get(position)
        if memory is None or (memory.shape, memory.dtype) != (array.shape, array.dtype):
            memory = self.locked[self.turn][position] = cupyx.empty_pinned(array.shape, array.dtype)
        memory[...] = array
        return memory

    def received(self, arrays: list[Array], complete: Any) -> tuple[Array, ...]:
        """Return the arrays, and make work queued from now on wait until they are complete."""
        import cupy

        with self.here:
            cupy.cuda.get_current_stream().wait_event(complete)
        return tuple(arrays)


class HostBuffer:
    """Memory of the processor, to which a GPU copies arrays while it computes, and from which it takes them back.

    It is page-locked, and copies have a stream of their own: they wait for the work that was queued on the current
    stream before them, and nobody else waits for them who does not ask.

    Parameters
    ----------
    size : int
        How many numbers the arrays have together.
    dtype : dtype
    device : str
        A GPU, see :func:`minicnn.backend.checked_device`, also for the errors.

    Attributes
    ----------
    numbers : ndarray of shape (size,)
        After :meth:`take` and :meth:`wait`, the arrays' numbers, one array after the other.
    """

    def __init__(self, size: int, dtype: Any, device: str) -> None:
        import cupy
        import cupyx

        self.here = cupy.cuda.Device(int(checked_device(device).partition(":")[2]))
        with self.here:
            self.stream = cupy.cuda.Stream(non_blocking=True)
            self.numbers: np.ndarray = cupyx.empty_pinned((size,), dtype)
        self.arrays: list[Any] = []
        self.taken: Any = None

    def take(self, arrays: Iterable[Array]) -> None:
        """Begin to copy arrays of the GPU into this memory. They must not change until :meth:`wait` has returned."""
        import cupy

        with self.here:
            # CuPy's pool must not hand out their memory, or that of contiguous copies, while the stream reads it.
            self.arrays = [cupy.ascontiguousarray(array) for array in arrays]
            self.stream.wait_event(cupy.cuda.get_current_stream().record())
            start = 0
            for array in self.arrays:
                part = self.numbers[start : start + array.size].reshape(array.shape)
                array.get(stream=self.stream, out=part, blocking=False)
                start += array.size
            self.taken = self.stream.record()

    def wait(self) -> None:
        """Wait until the arrays are here. Another thread may do this."""
        self.taken.synchronize()

    def give(self) -> Any:
        """Return the numbers in an array on the GPU; work that is queued from now on waits for it."""
        import cupy

        with self.here:
            self.arrays.clear()
            there = cupy.empty(self.numbers.shape, self.numbers.dtype)
            self.stream.wait_event(cupy.cuda.get_current_stream().record())  # `there` may be memory still in use
            there.set(self.numbers, stream=self.stream)
            cupy.cuda.get_current_stream().wait_event(self.stream.record())
        return there
