from collections.abc import Iterator
from pathlib import Path

import pytest

import minicnn
from tests.experiments.small_studies import make_small, study


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Train on 16 images in batches of 8, with the NumPy kernels, which need no compiling, and draw nothing."""
    make_small(monkeypatch)
    minicnn.set_num_threads(1)
    with minicnn.use_kernels("numpy"):
        yield


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small study of raw inputs, with two runs of three epochs of two steps."""
    out = tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as patch, minicnn.use_kernels("numpy"):
        make_small(patch)
        threads = minicnn.get_num_threads()
        minicnn.set_num_threads(1)
        study(out, inputs="raw", epochs=3)
        minicnn.set_num_threads(threads)
    return out
