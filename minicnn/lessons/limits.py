"""Calling what may never return: in a notebook, on any system, from any thread."""

from __future__ import annotations

import contextvars
import ctypes
import threading
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["TimeLimit", "call"]

PATIENCE = 1.0  # seconds for what has been told to stop


class TimeLimit(Exception):
    """A function has not returned in time.

    Attributes
    ----------
    stopped : bool
        Whether it has ended since. Python can stop its own loops, but not a library that computes or waits.
    """

    def __init__(self, stopped: bool) -> None:
        super().__init__()
        self.stopped = stopped


class _Stop(BaseException):
    """Raised inside the function. No ``except Exception`` holds it up."""


def call(function: Callable[..., Any], arguments: Sequence[Any], seconds: float) -> Any:
    """Call a function in a thread of its own, and stop it when its time is over.

    Signals would be simpler, but work in the main thread alone, and not on Windows.

    Parameters
    ----------
    function : callable
        What is called.
    arguments : sequence
        With what.
    seconds : float
        How long it may take.

    Returns
    -------
    What the function returns.

    Raises
    ------
    TimeLimit
        If it takes longer.
    BaseException
        Whatever the function raises.
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
            pass  # it arrived between the two lines above

    # With this context a notebook shows what the function prints where the cell is.
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
    """Raise _Stop inside a thread, a few times because a bare ``except`` may catch it."""
    for _ in range(3):
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Stop))
        thread.join(PATIENCE / 3)
        if not thread.is_alive():
            return True
    return False
