"""Call a function with a time limit: in a notebook, on any system, from any thread, and in a browser."""

from __future__ import annotations

import contextvars
import ctypes
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from minicnn.backend import IN_BROWSER

__all__ = ["TimeLimit", "call"]

PATIENCE = 1.0  # seconds to wait for a function to stop


class TimeLimit(Exception):
    """A function has not returned in time.

    Attributes
    ----------
    stopped : bool
        Whether it could be stopped. Python code can be, but not a library that computes or waits.
    """

    def __init__(self, stopped: bool) -> None:
        super().__init__()
        self.stopped = stopped


class _Stop(BaseException):
    """Raised inside the function, where ``except Exception`` does not catch it."""


def call(function: Callable[..., Any], arguments: Sequence[Any], seconds: float) -> Any:
    """Call a function in its own thread, and stop it when the time limit is reached.

    Signals would be simpler, but they work only in the main thread, and not on Windows. A browser has neither: there
    Python looks at the clock as the function runs (:func:`call_in_place`).

    Parameters
    ----------
    function : callable
        The function.
    arguments : sequence
        Its arguments.
    seconds : float
        The time limit.

    Returns
    -------
    What the function returns.

    Raises
    ------
    TimeLimit
        If the function takes longer.
    BaseException
        What the function raises.
    """
    if IN_BROWSER:
        return call_in_place(function, arguments, seconds)
    returned: list[Any] = []
    raised: list[BaseException] = []

    def work() -> None:
        try:
            try:
                returned.append(function(*arguments))
            except BaseException as error:
                raised.append(error)
        except _Stop:
            pass  # raised between the two lines above

    # The copied context makes a notebook show the function's output below its cell.
    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True)
    thread.start()
    try:
        thread.join(seconds)
    except BaseException:  # Ctrl-C, or a notebook's stop button
        _stop(thread)
        raise
    if thread.is_alive():
        raise TimeLimit(_stop(thread))
    if raised:
        raise raised[0]
    return returned[0]


def _stop(thread: threading.Thread) -> bool:
    """Raise _Stop inside a thread, several times because a bare ``except`` may catch it."""
    for _ in range(3):
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Stop))
        thread.join(PATIENCE / 3)
        if not thread.is_alive():
            return True
    return False


def call_in_place(function: Callable[..., Any], arguments: Sequence[Any], seconds: float) -> Any:
    """Call a function in this thread, and raise an error in it at the first jump or call after the time limit.

    Every endless loop jumps or calls. What never returns from one call of a library cannot be stopped in this way. A
    loop of the function's own becomes eight times as slow. Python 3.12 or newer.

    Parameters
    ----------
    function, arguments, seconds
        As in :func:`call`.
    """
    watching: Any = getattr(sys, "monitoring")  # noqa: B009  the type checker may run on an older Python
    tool, events = watching.PROFILER_ID, [watching.events.JUMP, watching.events.PY_START, watching.events.PY_RESUME]
    end, late = time.monotonic() + seconds, False

    def look(*where: Any) -> None:
        nonlocal late
        late = late or time.monotonic() >= end
        if late:
            raise _Stop  # again and again, because a bare `except` may catch it

    watching.use_tool_id(tool, __name__)
    try:
        for event in events:
            watching.register_callback(tool, event, look)
        watching.set_events(tool, sum(events))
        returned = function(*arguments)
    except _Stop:
        pass
    finally:
        watching.set_events(tool, 0)
        watching.free_tool_id(tool)
    if late:
        raise TimeLimit(stopped=True)
    return returned
