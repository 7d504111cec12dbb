import os
import signal
from collections.abc import Iterator

import pytest

from minicnn.training.stopping import ENDING, GracefulStop, Stopped, stopped_by_signals

pytestmark = pytest.mark.usefixtures("ctrl_c")


def test_a_second_ctrl_c_leaves_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), GracefulStop() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.signal == signal.SIGINT
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with GracefulStop() as stop:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    assert stop.signal == signal.SIGTERM
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.fixture(params=ENDING, ids=lambda number: number.name)
def ending(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal that ends a process, with its usual effect: a pytest under nohup ignores SIGHUP."""
    before = signal.signal(request.param, signal.SIG_DFL)
    yield request.param
    signal.signal(request.param, before)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to handle")
def test_a_signal_stops_a_study_and_is_left_alone_where_it_has_another_meaning(ending: signal.Signals) -> None:
    with pytest.raises(Stopped) as caught, stopped_by_signals():
        signal.raise_signal(ending)
    assert caught.value.signal == ending
    assert signal.getsignal(ending) is signal.SIG_DFL
    signal.signal(ending, signal.SIG_IGN)
    with stopped_by_signals():
        signal.raise_signal(ending)
    assert signal.getsignal(ending) is signal.SIG_IGN


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to handle")
def test_a_signal_is_recorded_and_its_meaning_comes_back(ending: signal.Signals) -> None:
    with GracefulStop() as stop:
        signal.raise_signal(ending)
        assert stop.signal == ending
    assert signal.getsignal(ending) is signal.SIG_DFL
