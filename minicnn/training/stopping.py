"""Graceful stops: after Ctrl-C or SIGTERM the current step is finished and everything is saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

from minicnn.training.progress import say

__all__ = ["GracefulStop", "Stopped", "stopped_by_sigterm"]


class Stopped(KeyboardInterrupt):
    """A run was stopped by the user or the system.

    Attributes
    ----------
    signal : int
        The number of the signal, SIGINT or SIGTERM.
    """

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal


class GracefulStop:
    """In a ``with`` statement, record SIGINT and SIGTERM instead of interrupting at once.

    A second Ctrl-C has its usual effect. Only the main thread receives signals; in others nothing changes. A signal
    that was ignored before, like SIGINT in a script's background, is still ignored.

    Attributes
    ----------
    signal : int or None
        The signal that has arrived, if any.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self.before[number] = signal.signal(number, self._record)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._restore()

    def _record(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self._restore()
        say("Finishing and saving this step before training stops. Ctrl-C once more stops it at once")

    def _restore(self) -> None:
        while self.before:
            number, handler = self.before.popitem()
            signal.signal(number, handler)


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """Raise :class:`Stopped` at SIGTERM, which would otherwise end the process, as Ctrl-C raises KeyboardInterrupt."""

    def stop(signal_number: int, frame: FrameType | None) -> None:
        raise Stopped("", signal_number)

    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
