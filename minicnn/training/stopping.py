"""Ctrl-C and SIGTERM: the step that has begun is finished, and everything is saved, before the process leaves."""

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
    """The user, or the system, has asked a run to end before it was over.

    Attributes
    ----------
    signal : int
        How it was asked: the number of SIGINT or SIGTERM.
    """

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal


class GracefulStop:
    """In a ``with`` statement, remember SIGINT and SIGTERM instead of being torn out of what is going on.

    A second Ctrl-C has its usual effect, at once. Only the main thread can hear signals; in others nothing changes. A
    signal that was ignored before, as SIGINT is in a script's background, is ignored still.

    Attributes
    ----------
    signal : int or None
        The signal that has come, if any.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self.before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._restore()

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self._restore()
        say("This step is finished and saved before training ends. Ctrl-C once more ends it at once")

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
