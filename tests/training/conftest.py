import signal
from collections.abc import Iterator

import pytest

import minicnn


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, as in a terminal; where tests run in the background it would be ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def numpy_kernels() -> Iterator[None]:
    """For a few images nothing should have to be compiled."""
    with minicnn.use_kernels("numpy"):
        yield
