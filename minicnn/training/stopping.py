"""Graceful stops: after Ctrl-C, SIGTERM or SIGHUP the current step is finished and everything is saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

from minicnn.training.progress import say

__all__ = ["GracefulStop", "Stopped", "stopped_by_signals"]

ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""What a batch system sends, and a terminal that is closed; Windows has no SIGHUP."""


class Stopped(KeyboardInterrupt):
    """A run was stopped by the user or the system.

    Attributes
    ----------
    signal : int
        The number of the signal: SIGINT, SIGTERM or SIGHUP.
    """

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal


class GracefulStop:
    """In a ``with`` statement, record SIGINT, SIGTERM and SIGHUP instead of interrupting at once.

    A second Ctrl-C has its usual effect. Only the main thread receives signals; in others nothing changes. A signal
    that was ignored before, like SIGINT in a script's background or SIGHUP under nohup, is still ignored.

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
            for number in (signal.SIGINT, *ENDING):
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
def stopped_by_signals() -> Iterator[None]:
    """Raise :class:`Stopped` at SIGTERM and SIGHUP, which would otherwise end the process, as at Ctrl-C."""

    def stop(signal_number: int, frame: FrameType | None) -> None:
        raise Stopped("", signal_number)

    in_main = threading.current_thread() is threading.main_thread()
    ours = [number for number in ENDING if in_main and signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
