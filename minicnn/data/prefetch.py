"""Work that runs ahead of whoever waits for it, in threads, and still arrives in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_ahead(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int, prefetch: int = 2
) -> Iterator[Result]:
    """Yield ``work(item)`` for each item, in the order of the items, while threads work on the next ones.

    Threads are enough where the work is done in C outside the interpreter lock, as Pillow's decoding and NumPy's
    arithmetic are.

    Parameters
    ----------
    work : callable
        Runs in several threads at once, so it must not change what they share.
    items : iterable
        What to work on.
    workers : int
        How many threads; with 0 there are none, and each item is worked on when it is asked for.
    prefetch : int
        How many results may lie ready. So at most ``workers + prefetch`` are begun or ready but not yet asked for.

    Yields
    ------
    object
        The results. If `work` raised an error, it is raised here when its turn comes; nothing follows it.

    Notes
    -----
    Whoever stops early (``break``, an error, Ctrl-C) stops the threads too: what has not begun never will, and what
    has begun is finished in the background, without anybody waiting for it.

    Examples
    --------
    >>> from minicnn.data.prefetch import run_ahead
    >>> list(run_ahead(str.upper, "abc", workers=2))
    ['A', 'B', 'C']
    """
    if workers == 0:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="minicnn-ahead")
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
