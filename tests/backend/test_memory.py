"""Recycled memory: never shared by two arrays, merged again, given back."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import minicnn
from minicnn import backend
from minicnn.backend.memory import _Memory

LARGE = 1 << 20


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("shape", [(), (0,), (3, 4), (1000, 1000)])
def test_empty_is_an_ordinary_array(shape: tuple[int, ...], dtype: type) -> None:
    array = backend.empty(np, shape, dtype)
    assert type(array) is np.ndarray
    assert (array.shape, array.dtype) == (shape, dtype)
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert backend.owns_memory(array)
    assert not backend.owns_memory(array[...])
    array[...] = 7
    assert (array == 7).all()


def test_memory_is_used_again_when_the_last_array_in_it_is_dropped() -> None:
    array = backend.empty(np, (LARGE,), np.float32)
    place = address(array)
    view = array[10:].reshape(2, -1)[1].view(np.int32)
    view[:] = 123
    del array
    others = [backend.empty(np, (LARGE,), np.float32) for _ in range(3)]
    for other in others:
        assert not np.shares_memory(view, other)
        other[:] = 0
    assert (view == 123).all()
    del view
    again = backend.empty(np, (LARGE // 2,), np.float64)  # as many bytes
    assert address(again) == place


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_what_comes_back_becomes_one_gap_again(order: tuple[int, ...]) -> None:
    memory = _Memory()
    whole = memory.take(4 << 20)
    place = whole.ctypes.data
    del whole
    quarters = [memory.take(1 << 20) for _ in range(4)]
    assert [quarter.ctypes.data - place for quarter in quarters] == [i << 20 for i in range(4)]
    for i in order:
        quarters[i] = None  # type: ignore[call-overload]
    again = memory.take(4 << 20)
    assert again.ctypes.data == place


def test_the_first_gap_that_is_large_enough_is_taken() -> None:
    memory = _Memory()
    arrays = [memory.take(size << 20) for size in (2, 1, 3, 1)]
    start = arrays[0].ctypes.data
    arrays[0] = arrays[2] = None  # type: ignore[call-overload]
    kept = [memory.take(size << 20) for size in (3, 1, 1)]
    assert [array.ctypes.data - start for array in kept] == [3 << 20, 0, 1 << 20]


def test_unused_memory_goes_back_when_a_longer_piece_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend.memory, "_RESERVED", 1 << 20)
    memory = _Memory()
    kept = memory.take(1 << 19)
    for size in range(1, 5):
        array = memory.take(size << 20)
        assert [len(segment.memory) for segment in memory.segments] == [1 << 20, size << 20]
        del array
    assert memory.take(1 << 19).ctypes.data == kept.ctypes.data + (1 << 19)


def test_what_is_reserved_uses_no_memory() -> None:
    def resident() -> int:
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) << 10

    if not Path("/proc/self/status").exists():
        pytest.skip("only Linux tells how much memory is in use")
    before = resident()
    memory = _Memory()
    memory.take(1 << 20)[...] = 1
    assert resident() - before < 1 << 26 < len(memory.segments[0].memory)


def test_where_so_much_cannot_be_reserved_it_is_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend.memory, "_RESERVED", 1 << 60)
    memory = _Memory()
    memory.take(1 << 20)
    assert [len(segment.memory) for segment in memory.segments] == [1 << 20]


def test_no_two_threads_get_the_same_memory() -> None:
    def use(number: int) -> bool:
        for _ in range(200):
            array = backend.empty(np, (LARGE // 8,), np.float32)
            array[:] = number
            if not (array == number).all():
                return False
        return True

    with ThreadPoolExecutor(4) as users:
        assert all(users.map(use, range(4)))


def test_results_stay_as_they_are_while_memory_goes_round(rng: np.random.Generator) -> None:
    """Arrays as large as a real layer's, some kept and some dropped, over several steps."""
    F = minicnn.functional
    weight = minicnn.Tensor(rng.standard_normal((8, 4, 3, 3)), requires_grad=True)
    kept = []
    for _ in range(4):
        x = minicnn.Tensor(rng.standard_normal((16, 4, 32, 32)), requires_grad=True)
        y = F.local_response_norm(F.relu(F.conv2d(x, weight, padding=1)), 3)
        z = F.max_pool2d(y, 3, 2, 1)
        z.backward(rng.standard_normal(z.shape))
        arrays = [y.data, z.data, x.grad, weight.grad]
        kept += [(array, array.copy()) for array in arrays]
    for array, copy in kept:
        np.testing.assert_array_equal(array, copy)
