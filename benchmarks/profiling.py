"""Where the time of a training step of minicnn goes."""

import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from minicnn.autograd import Function
from minicnn.optim import Optimizer


@contextmanager
def timed_operations() -> Iterator[dict[str, float]]:
    """Add up the seconds of every operation's forward and backward, and of the optimiser, while the block runs.

    A method that calls its base class's is counted once. These are wall-clock seconds: an operation returns when all
    cores have finished.
    """
    seconds: dict[str, float] = defaultdict(float)
    running: list[str] = []

    def timed(method: Callable[..., Any], label: str) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(self: Any, *arguments: Any) -> Any:
            if running:
                return method(self, *arguments)
            running.append(label)
            started = time.perf_counter()
            try:
                return method(self, *arguments)
            finally:
                seconds[f"{type(self).__name__.lstrip('_')} {label}".rstrip()] += time.perf_counter() - started
                running.pop()

        return call

    patches: list[Any] = [
        mock.patch.object(kind, name, timed(vars(kind)[name], name))
        for kind in _with_subclasses(Function)
        for name in ("forward", "backward")
        if name in vars(kind)
    ]
    patches += [mock.patch.object(Optimizer, "step", timed(Optimizer.step, ""))]
    for patch in patches:
        patch.start()
    try:
        yield seconds
    finally:
        for patch in patches:
            patch.stop()


def _with_subclasses(kind: type) -> Iterator[type]:
    yield kind
    subclasses: list[type] = kind.__subclasses__()
    for each in subclasses:
        yield from _with_subclasses(each)
