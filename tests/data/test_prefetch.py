"""Threads that run ahead: in order, not too far, and gone when no one waits for results."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn.data import Loader
from minicnn.data.prefetch import run_ahead


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("minicnn-ahead")]


def soon(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 60  # far more than is needed, also on a busy machine
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Any:
    yield
    assert soon(lambda: not threads())


@pytest.mark.parametrize("workers", [0, 1, 2, 5])
def test_results_come_in_order_whoever_is_first(workers: int) -> None:
    def work(number: int) -> int:
        time.sleep(0.002 * (number % 3 == 0))  # each third one is late
        return number * number

    assert list(run_ahead(work, range(20), workers)) == [number * number for number in range(20)]
    assert list(run_ahead(work, [], workers)) == []


@pytest.mark.parametrize(("workers", "prefetch"), [(1, 0), (2, 3), (3, 1)])
def test_no_more_is_begun_than_may_wait(workers: int, prefetch: int) -> None:
    begun: list[int] = []
    results = run_ahead(begun.append, range(100), workers, prefetch)
    assert begun == []  # nothing before the first is asked for
    for asked_for in range(1, 11):
        next(results)
        assert soon(lambda: len(begun) == asked_for + workers + prefetch)  # noqa: B023
        time.sleep(0.005)
        assert len(begun) == asked_for + workers + prefetch
    results.close()  # type: ignore[attr-defined]


def test_workers_work_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=60)
    assert len(list(run_ahead(lambda item: meeting.wait(), range(6), workers=3))) == 6


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_an_error_is_raised_when_its_turn_comes(workers: int) -> None:
    def work(number: int) -> int:
        if number == 4:
            raise OSError("picture 4 is broken")
        return number

    seen = []
    with pytest.raises(OSError, match="picture 4 is broken"):
        for number in run_ahead(work, range(50), workers):
            seen.append(number)
    assert seen == [0, 1, 2, 3]


class Stop(Exception):
    pass


@pytest.mark.parametrize("how", ["break", "error", "close", "drop"])
def test_who_leaves_early_stops_the_threads(how: str) -> None:
    begun: list[int] = []
    results = run_ahead(begun.append, range(10_000), 2)
    next(results)
    if how == "break":
        for _ in results:
            break
    elif how == "error":
        with pytest.raises(Stop):
            for _ in results:
                raise Stop
    elif how == "close":
        results.close()  # type: ignore[attr-defined]
    del results
    assert soon(lambda: not threads())
    assert len(begun) < 20


def test_who_leaves_waits_for_nothing_and_nothing_more_is_begun() -> None:
    go, begun = threading.Event(), []

    def work(number: int) -> None:
        begun.append(number)
        if number:
            go.wait(60)

    results = run_ahead(work, range(100), workers=1, prefetch=20)
    next(results)
    assert soon(lambda: begun == [0, 1])
    results.close()  # type: ignore[attr-defined]
    assert threads()  # the worker is still busy
    go.set()
    assert soon(lambda: not threads())
    assert begun == [0, 1]


def test_ctrl_c_ends_a_program_that_waits_for_its_loader() -> None:
    program = """
import numpy as np, time
from minicnn.data import Loader

def slow(images, rng):
    time.sleep(0.2)
    return images

for images, labels in Loader(np.zeros((1000, 1)), np.zeros(1000, int), batch_size=1, transform=slow, workers=3):
    print("one", flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"one\n"
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert errors.rstrip().endswith(b"KeyboardInterrupt")
    assert child.returncode in (-signal.SIGINT, 130)


# --- the loader --------------------------------------------------------------------------------------------------

IMAGES = np.arange(50, dtype=np.float32).reshape(50, 1) * np.ones((1, 6), np.float32)
LABELS = np.arange(50)


def jitter(images: Any, rng: np.random.Generator) -> Any:
    time.sleep(0.001 * rng.random())
    return images + rng.random(images.shape, dtype=np.float32) / 2


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("prefetch", [0, 1, 5])
def test_batches_do_not_depend_on_the_number_of_workers(workers: int, prefetch: int) -> None:
    alone = Loader(IMAGES, LABELS, batch_size=4, seed=5, transform=jitter)
    ahead = Loader(IMAGES, LABELS, batch_size=4, seed=5, transform=jitter, workers=workers, prefetch=prefetch)
    for _ in range(2):
        for (images, labels), (other_images, other_labels) in zip(alone, ahead, strict=True):
            np.testing.assert_array_equal(images, other_images)
            np.testing.assert_array_equal(labels, other_labels)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_half_read_epoch_does_not_disturb_the_next(workers: int) -> None:
    whole, broken = (Loader(IMAGES, LABELS, batch_size=4, transform=jitter, workers=workers) for _ in range(2))
    list(whole)
    for _ in broken:
        break
    for (images, _), (others, _) in zip(whole, broken, strict=True):
        np.testing.assert_array_equal(images, others)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_can_be_entered_in_the_middle(workers: int) -> None:
    loader = Loader(IMAGES, LABELS, batch_size=4, transform=jitter, workers=workers)
    list(loader)
    second = list(loader)
    rest = list(loader.batches(1, start=9))
    assert len(rest) == 13 - 9 and loader.epoch == 2
    for (images, labels), (other_images, other_labels) in zip(second[9:], rest, strict=True):
        np.testing.assert_array_equal(images, other_images)
        np.testing.assert_array_equal(labels, other_labels)
    assert list(loader.batches(1, start=13)) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_a_transform_reaches_the_consumer(workers: int) -> None:
    def transform(images: Any, rng: np.random.Generator) -> Any:
        if 17 in images:
            raise ZeroDivisionError("seventeen")
        return images

    seen = 0
    with pytest.raises(ZeroDivisionError, match="seventeen"):
        for _ in Loader(IMAGES, LABELS, batch_size=5, shuffle=False, transform=transform, workers=workers):
            seen += 1
    assert seen == 3


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"workers": -1}, ValueError, "Loader: workers must be at least 0, got -1"),
        ({"workers": 1.5}, TypeError, "workers must be an integer, got 1.5"),
        ({"prefetch": -1}, ValueError, "Loader: prefetch must be at least 0, got -1"),
        ({"prefetch": None}, TypeError, "prefetch must be an integer, got None"),
    ],
)
def test_bad_numbers_are_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Loader(IMAGES, LABELS, **arguments)


def test_a_forgotten_loader_does_not_keep_a_program_alive() -> None:
    program = """
import numpy as np
from minicnn.data import Loader
batches = iter(Loader(np.zeros((1000, 1)), np.zeros(1000, int), batch_size=1, workers=3))
next(batches)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
