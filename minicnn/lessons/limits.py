"""Call a function with a time limit: in a notebook, on any system, from any thread."""

from __future__ import annotations

import contextvars
import ctypes
import threading
from collections.abc import Callable, Sequence
from typing import Any

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

    Signals would be simpler, but they work only in the main thread, and not on Windows.

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
