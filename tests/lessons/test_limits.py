"""Calling what may never return."""

import threading
from typing import Any

import pytest

from minicnn.lessons.limits import TimeLimit, call


def test_what_a_function_returns_and_raises_comes_through() -> None:
    assert call(divmod, (7, 2), 10) == (3, 1)
    assert call(lambda: None, (), 10) is None
    with pytest.raises(ZeroDivisionError):
        call(divmod, (7, 0), 10)
    with pytest.raises(SystemExit):
        call(exit, (3,), 10)


def forever() -> None:
    while True:
        pass


def held_up() -> None:
    """Takes three times as long to stop as anything should."""
    for _ in range(2):
        try:
            forever()
        except:  # noqa: E722
            pass


@pytest.mark.parametrize("function", [forever, held_up])
def test_a_loop_has_its_time_then_is_stopped_and_leaves_no_thread(
    function: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = threading.active_count()
    join, waited = threading.Thread.join, []

    def waiting(thread: threading.Thread, timeout: float | None = None) -> None:
        waited.append(timeout)
        join(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", waiting)
    with pytest.raises(TimeLimit) as limit:
        call(function, (), 0.05)
    assert limit.value.stopped
    assert waited[0] == 0.05
    assert threading.active_count() == before


def test_it_works_outside_the_main_thread() -> None:
    found: list[Any] = []

    def work() -> None:
        try:
            call(forever, (), 0.05)
        except TimeLimit as limit:
            found.append(limit.stopped)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert found == [True]


def test_what_cannot_be_stopped_is_said_to_be_running_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minicnn.lessons.limits.PATIENCE", 0.03)
    waiting = threading.Event()
    with pytest.raises(TimeLimit) as limit:
        call(waiting.wait, (20,), 0.5)  # time enough for the thread to be waiting
    assert not limit.value.stopped
    waiting.set()
