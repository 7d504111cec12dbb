"""One seed for everything random, and uniform numbers."""

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import backend
from minicnn.backend import BatchPart, random_uniform, working_on
from minicnn.backend.random import drawn_seed, hashed_uniform


def test_manual_seed_repeats_everything_random() -> None:
    def draw() -> list[np.ndarray]:
        ones = minicnn.Tensor(np.ones(50))
        return [
            backend.generator().standard_normal(5),
            backend.random_uniform(np, (3, 4), np.float32),
            minicnn.functional.dropout(ones).numpy(),
        ]

    minicnn.manual_seed(5)
    first = draw()
    other = draw()
    minicnn.manual_seed(5)
    for a, b in zip(first, draw(), strict=True):
        np.testing.assert_array_equal(a, b)
    minicnn.manual_seed(6)
    for a, b, c in zip(first, other, draw(), strict=True):
        assert not np.array_equal(a, b)
        assert not np.array_equal(a, c)


def test_manual_seed_reaches_whoever_holds_the_generator() -> None:
    held = backend.generator()
    minicnn.manual_seed(np.int64(3))
    first = held.random()
    minicnn.manual_seed(3)
    assert held.random() == first
    assert backend.generator() is held


@pytest.mark.parametrize(("wrong", "error"), [(-1, ValueError), (1.0, TypeError), ("1", TypeError), (True, TypeError)])
def test_manual_seed_refuses(wrong: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=rf"manual_seed: seed must be .*, got {wrong!r}"):
        minicnn.manual_seed(wrong)  # type: ignore[arg-type]


def test_random_uniform_has_the_precision_asked_for(dtype: type) -> None:
    numbers = backend.random_uniform(np, (1000,), dtype)
    assert numbers.dtype == dtype
    assert 0 <= numbers.min() < 0.1
    assert 0.9 < numbers.max() < 1


# --- as a GPU draws them -----------------------------------------------------------------------------------


def test_hashed_numbers_are_splitmix64() -> None:
    """The first outputs for a seed that others have published."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    exact = hashed_uniform(np, 1234567, (4,), np.float64)
    assert [int(number * 2**53) for number in exact] == [number >> 11 for number in published]
    assert [int(number * 2**24) for number in hashed_uniform(np, 1234567, (4,), np.float32)] == [
        number >> 40 for number in published
    ]


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_hashed_numbers_are_uniform(seed: int, dtype: Any) -> None:
    numbers = hashed_uniform(np, seed, (400, 1000), dtype)
    assert (numbers.shape, numbers.dtype) == ((400, 1000), dtype)
    assert 0 <= numbers.min() < 1e-4
    assert 1 - 1e-4 < numbers.max() < 1
    counts, _ = np.histogram(numbers, 100, (0, 1))
    assert abs(counts - 4000).max() < 5 * np.sqrt(4000)
    centred = numbers.reshape(-1).astype(np.float64) - 0.5
    for lag in (1, 2, 1000):
        assert abs((centred[:-lag] * centred[lag:]).mean()) < 5 / 12 / np.sqrt(centred.size)
    other = hashed_uniform(np, (seed + 1) % 2**64, (400, 1000), dtype).reshape(-1) - 0.5
    assert abs((centred * other).mean()) < 5 / 12 / np.sqrt(centred.size)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8])
@pytest.mark.parametrize("earlier", [0, 1, 2])
@pytest.mark.parametrize("start", [0, 1, 2, 5])
def test_processes_that_share_a_batch_draw_its_numbers(count: int, earlier: int, start: int, dtype: Any) -> None:
    """Each its own rows; then all generators are where one process's would be, odd numbers of float32 included."""
    start = min(start, count)
    stop = min(start + 2, count)
    results = []
    for part in (None, BatchPart(start, stop, count)):
        minicnn.manual_seed(1)
        random_uniform(np, (earlier,), np.float32)
        if part is None:
            drawn = random_uniform(np, (count, 3), dtype)[start:stop]
        else:
            with working_on(part):
                drawn = random_uniform(np, (stop - start, 3), dtype)
        results.append((drawn, random_uniform(np, (3,), np.float32), random_uniform(np, (3,), np.float64)))
    for alone, shared in zip(*results, strict=True):
        np.testing.assert_array_equal(shared, alone)


def test_on_a_gpu_the_rows_are_those_of_the_whole_batch_too() -> None:
    minicnn.manual_seed(0)
    whole = hashed_uniform(np, drawn_seed((5, 4)), (5, 4), np.float32)
    minicnn.manual_seed(0)
    with working_on(BatchPart(2, 4, 5)):
        seed = drawn_seed((2, 4))
    np.testing.assert_array_equal(hashed_uniform(np, seed, (2, 4), np.float32), whole[2:4])


def test_random_numbers_for_anything_but_the_images_of_a_shared_batch_are_refused() -> None:
    with working_on(BatchPart(0, 2, 4)), pytest.raises(ValueError, match="a row for each of this process's 2 images"):
        random_uniform(np, (3, 4), np.float32)
