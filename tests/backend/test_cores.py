"""How the cores share the work: every part once, the user's BLAS threads restored, errors and forks survived."""

import contextlib
import multiprocessing
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import threadpoolctl

import minicnn
from minicnn import backend


def blas_pools() -> dict[str, int]:
    pools = threadpoolctl.threadpool_info()
    return {pool["filepath"]: pool["num_threads"] for pool in pools if pool["user_api"] == "blas"}


NUMPY_POOLS = tuple(blas_pools())  # other libraries bring more of them in the middle of a test


def blas_threads() -> list[int]:
    pools = blas_pools()
    return [pools[name] for name in NUMPY_POOLS]


# --- split -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 6, 7, 8, 100])
def test_split_shares_everything_exactly_once(count: int, threads: int) -> None:
    minicnn.set_num_threads(threads)
    parts: list[tuple[int, int]] = []
    backend.split(np, count, lambda start, stop: parts.append((start, stop)))
    parts.sort()
    assert [item for start, stop in parts for item in range(start, stop)] == list(range(count))
    assert len(parts) == max(1, min(threads, count))
    sizes = [stop - start for start, stop in parts]
    assert max(sizes) - min(sizes) <= 1


def test_split_runs_the_parts_at_the_same_time() -> None:
    minicnn.set_num_threads(3)
    everyone = threading.Barrier(3)
    backend.split(np, 3, lambda start, stop: everyone.wait(timeout=20) and None)


def test_one_thread_is_the_callers_own() -> None:
    minicnn.set_num_threads(1)
    seen = []
    backend.split(np, 5, lambda start, stop: seen.append((start, stop, threading.current_thread())))
    assert seen == [(0, 5, threading.current_thread())]


def test_split_within_a_part_is_not_split_again() -> None:
    minicnn.set_num_threads(2)
    inner: list[tuple[int, int, bool]] = []

    def part(start: int, stop: int) -> None:
        me = threading.current_thread()
        backend.split(np, 10, lambda i, j: inner.append((i, j, threading.current_thread() is me)))

    backend.split(np, 2, part)
    assert inner == [(0, 10, True)] * 2
    # and afterwards the caller's thread counts as outside again
    outer: list[tuple[int, int]] = []
    backend.split(np, 2, lambda start, stop: outer.append((start, stop)))
    assert sorted(outer) == [(0, 1), (1, 2)]


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_an_error_in_any_part_reaches_the_caller_after_the_others_have_finished(broken: int) -> None:
    minicnn.set_num_threads(3)
    finished = []
    go_on = threading.Event()

    def work(start: int, stop: int) -> None:
        if start == broken:
            go_on.set()
            raise ZeroDivisionError(f"part {start}")
        go_on.wait(timeout=20)
        threading.Event().wait(0.05)  # still busy when the error is raised
        finished.append(start)

    with pytest.raises(ZeroDivisionError, match=f"part {broken}"):
        backend.split(np, 3, work)
    assert sorted(finished) == [part for part in range(3) if part != broken]


def test_several_threads_of_the_user_may_split_at_once() -> None:
    minicnn.set_num_threads(2)
    numbers = np.arange(1000)

    def total(_: int) -> int:
        parts = {}
        backend.split(np, len(numbers), lambda i, j: parts.update({i: numbers[i:j].sum()}))
        return sum(parts.values())

    with ThreadPoolExecutor(4) as users:
        assert set(users.map(total, range(100))) == {numbers.sum()}


def in_child(queue: "multiprocessing.Queue[int]") -> None:
    parts: list[int] = []
    backend.split(np, 6, lambda start, stop: parts.append(stop - start))
    queue.put(sum(parts))


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no signal masks here")
def test_ctrl_c_reaches_the_main_thread_alone() -> None:
    """While the others start it waits: there it would leave the pool waiting for a thread that never comes."""
    minicnn.set_num_threads(3)
    blocked: dict[str, set[int]] = {}

    def work(start: int, stop: int) -> None:
        blocked[threading.current_thread().name] = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        time.sleep(0.05)

    backend.split(np, 3, work)
    assert len(blocked) == 3
    for name, signals in blocked.items():
        assert (signal.SIGINT in signals) == (name != threading.main_thread().name)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_threads_are_started_anew_after_a_fork() -> None:
    minicnn.set_num_threads(3)
    everyone = threading.Barrier(3)
    backend.split(np, 3, lambda start, stop: everyone.wait(timeout=20) and None)
    # All threads of the parent's pool exist now, and wait for work. They die in the fork, but the pool does not know.
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=in_child, args=(queue,), daemon=True)
    child.start()
    child.join(timeout=30)
    hung = child.is_alive()
    child.kill()
    assert not hung
    assert queue.get(timeout=10) == 6


# --- BLAS --------------------------------------------------------------------------------------------------


@pytest.fixture
def user_blas_threads() -> Iterator[list[int]]:
    """The user has set BLAS to two threads; what the pools then say."""
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        if not blas_threads() or set(blas_threads()) == {1}:
            pytest.skip("this NumPy's BLAS has no threads to set")
        yield blas_threads()


@pytest.mark.parametrize("threads", [1, 2])
def test_blas_has_one_thread_inside_and_the_users_threads_after(threads: int, user_blas_threads: list[int]) -> None:
    minicnn.set_num_threads(threads)
    inside: list[int] = []
    backend.split(np, 2, lambda start, stop: inside.extend(blas_threads()))
    assert set(inside) == {1}
    assert blas_threads() == user_blas_threads


@pytest.mark.parametrize("broken", [0, 1])
def test_the_users_blas_threads_come_back_after_an_error(broken: int, user_blas_threads: list[int]) -> None:
    minicnn.set_num_threads(2)

    def work(start: int, stop: int) -> None:
        if start == broken:
            raise ZeroDivisionError

    with contextlib.suppress(ZeroDivisionError):
        backend.split(np, 2, work)
    assert blas_threads() == user_blas_threads


def test_the_users_blas_threads_come_back_when_the_last_of_several_users_leaves(
    user_blas_threads: list[int],
) -> None:
    minicnn.set_num_threads(1)
    first_is_in, second_has_left = threading.Event(), threading.Event()
    inside: list[int] = []

    def first(start: int, stop: int) -> None:
        first_is_in.set()
        second_has_left.wait(timeout=20)
        inside.extend(blas_threads())

    thread = threading.Thread(target=backend.split, args=(np, 1, first))
    thread.start()
    assert first_is_in.wait(timeout=20)
    backend.split(np, 1, lambda start, stop: None)
    second_has_left.set()
    thread.join()
    assert set(inside) == {1}
    assert blas_threads() == user_blas_threads


def test_blas_has_one_thread_inside_whichever_thread_of_the_user_calls(user_blas_threads: list[int]) -> None:
    minicnn.set_num_threads(2)
    inside: list[int] = []

    def in_the_background() -> None:
        backend.split(np, 2, lambda start, stop: inside.extend(blas_threads()))

    thread = threading.Thread(target=in_the_background)
    thread.start()
    thread.join()
    assert set(inside) == {1}
    assert blas_threads() == user_blas_threads


def test_the_user_can_set_blas_threads_while_a_thread_that_used_minicnn_lives() -> None:
    done, may_end = threading.Event(), threading.Event()

    def in_the_background() -> None:
        backend.split(np, 2, lambda start, stop: None)
        done.set()
        may_end.wait(timeout=20)

    thread = threading.Thread(target=in_the_background)
    thread.start()
    assert done.wait(timeout=20)
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        assert set(blas_threads()) <= {1}
    may_end.set()
    thread.join()


def test_operations_give_the_users_blas_threads_back(user_blas_threads: list[int], rng: np.random.Generator) -> None:
    x = minicnn.Tensor(rng.standard_normal((4, 3, 8, 8)), requires_grad=True)
    weight = minicnn.Tensor(rng.standard_normal((2, 3, 3, 3)), requires_grad=True)
    minicnn.functional.conv2d(x, weight).sum().backward()
    minicnn.functional.linear(x, minicnn.Tensor(rng.standard_normal((2, 8)))).sum().backward()
    assert blas_threads() == user_blas_threads


# --- the number of threads ---------------------------------------------------------------------------------


def test_set_num_threads() -> None:
    minicnn.set_num_threads(3)
    assert minicnn.get_num_threads() == 3
    minicnn.set_num_threads(np.int64(2))
    assert minicnn.get_num_threads() == 2
    assert type(minicnn.get_num_threads()) is int


@pytest.mark.parametrize("wrong", [0, -1, 1.5, 2.0, "2", None, True])
def test_set_num_threads_refuses(wrong: object) -> None:
    before = minicnn.get_num_threads()
    with pytest.raises(ValueError, match=rf"set_num_threads: n must be a positive integer, got {wrong!r}"):
        minicnn.set_num_threads(wrong)  # type: ignore[arg-type]
    assert minicnn.get_num_threads() == before


# --- products ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("M", "K", "N"),
    [(1, 1, 1), (3, 4, 5), (200, 100, 90), (90, 100, 201), (0, 4, 5), (4, 0, 5), (4, 5, 0), (1, 999, 999)],
)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_matmul(M: int, K: int, N: int, threads: int, dtype: type, rng: np.random.Generator) -> None:
    minicnn.set_num_threads(threads)
    a, b = rng.standard_normal((M, K)).astype(dtype), rng.standard_normal((K, N)).astype(dtype)
    y = backend.matmul(np, a, b)
    assert (y.shape, y.dtype) == ((M, N), dtype)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    np.testing.assert_allclose(y, exact, rtol=0, atol=np.finfo(dtype).eps * 10 * max(1, K))


def test_matmul_of_transposed_matrices(rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((100, 200)), rng.standard_normal((90, 100))
    np.testing.assert_allclose(backend.matmul(np, a.T, b.T), a.T @ b.T, rtol=0, atol=1e-12)


# --- element by element ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 1000, 65_536, 65_537, 200_001])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_elementwise(size: int, threads: int, dtype: type, rng: np.random.Generator) -> None:
    minicnn.set_num_threads(threads)
    a, b = rng.standard_normal((2, size)).astype(dtype)

    def compute(a: np.ndarray, b: np.ndarray, y: np.ndarray) -> None:
        y[...] = a * b + a

    y = backend.elementwise(np, compute, a, b)
    assert (y.shape, y.dtype) == ((size,), dtype)
    np.testing.assert_array_equal(y, a * b + a)


def test_elementwise_keeps_the_shape_and_pairs_the_right_elements(rng: np.random.Generator) -> None:
    a = rng.standard_normal((7, 3, 64, 65))
    b = np.asfortranarray(rng.standard_normal(a.shape))
    for second in (b, np.ascontiguousarray(b), np.broadcast_to(b[:1], a.shape)):
        np.testing.assert_array_equal(backend.elementwise(np, np.subtract, a, second), a - second)
        np.testing.assert_array_equal(backend.elementwise(np, np.subtract, second, a), second - a)
