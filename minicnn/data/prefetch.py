"""Work that threads do in advance, with results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from minicnn.backend import IN_BROWSER, match_tf32

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_ahead(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int, prefetch: int = 2
) -> Iterator[Result]:
    """Yield ``work(item)`` for each item, in the order of the items, while threads work on the next ones.

    Threads are enough if the work runs in C without the interpreter lock, as Pillow's decoding and NumPy's arithmetic
    do.

    Parameters
    ----------
    work : callable
        Runs in several threads at once, so it must not modify what they share.
    items : iterable
        The arguments of `work`, one at a time.
    workers : int
        The number of threads. With 0, and in a browser, which has none, each item is processed when its result is
        requested.
    prefetch : int
        The number of results that may be ready in advance. At most ``workers + prefetch`` are started or ready, but not
        yet requested.

    Yields
    ------
    object
        The results. An error in `work` is raised here, in the turn of its item, and ends the iteration.

    Notes
    -----
    A consumer that stops early (``break``, an error, Ctrl-C) stops the threads too: items that have not been started
    are cancelled, and the others finish in the background.

    Examples
    --------
    >>> from minicnn.data.prefetch import run_ahead
    >>> list(run_ahead(str.upper, "abc", workers=2))
    ['A', 'B', 'C']
    """
    if workers == 0 or IN_BROWSER:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="minicnn-ahead", initializer=match_tf32)
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > workers + prefetch:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
