"""What each thread has switched off or on: whether operations remember how they were computed, and who records them."""

import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import ContextDecorator, contextmanager
from typing import Any

__all__ = ["is_grad_enabled", "mode", "no_grad", "recording"]

Recorder = Callable[..., Any]  # called with a Function, its inputs and its output; returns what it keeps of them


class _Mode(threading.local):
    no_grad_depth = 0
    recorder: Recorder | None = None


mode = _Mode()


def is_grad_enabled() -> bool:
    """Return whether operations in this thread remember how they were computed."""
    return mode.no_grad_depth == 0


class no_grad(ContextDecorator):  # PyTorch's name
    """Within this context (or decorated function) no graph is recorded, and no memory is kept for a backward pass.

    A decorated generator is in the context while it computes the next value, and leaves it while it waits.

    Examples
    --------
    >>> from minicnn import Tensor
    >>> weight = Tensor([2.0], requires_grad=True)
    >>> with no_grad():
    ...     (weight * 3).requires_grad
    False
    """

    def __call__(self, func: Any) -> Any:
        """Decorate a function, or a generator function; a coroutine, which other work interrupts, is refused."""
        if inspect.iscoroutinefunction(func) or inspect.isasyncgenfunction(func):
            raise TypeError(f"no_grad: cannot decorate {func.__name__}, which is async; use `with no_grad():` inside")
        return _step_by_step(func) if inspect.isgeneratorfunction(func) else super().__call__(func)

    def __enter__(self) -> None:
        mode.no_grad_depth += 1

    def __exit__(self, *error: object) -> None:
        mode.no_grad_depth -= 1


def _step_by_step(func: Callable[..., Any]) -> Callable[..., Any]:
    """Return a generator function whose every step, but not the time between, is within no_grad."""

    @functools.wraps(func)
    def stepping(*args: Any, **kwargs: Any) -> Any:
        steps = func(*args, **kwargs)
        resume, value = steps.send, None
        while True:
            try:
                with no_grad():
                    result = resume(value)
            except StopIteration as end:
                return end.value
            try:
                resume, value = steps.send, (yield result)
            except GeneratorExit:
                with no_grad():
                    steps.close()
                raise
            except BaseException as error:  # what the caller throws in is for the generator
                resume, value = steps.throw, error

    return stepping


@contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Within this context `recorder` is called with each operation of this thread, once it is computed."""
    before, mode.recorder = mode.recorder, recorder
    try:
        yield
    finally:
        mode.recorder = before
