"""What tests share: both kernel files, both precisions, a seed, and skipping where a library is absent."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import hypothesis
import numpy as np
import pytest

import minicnn
from minicnn import kernels

# The first example of a test may compile a kernel, which no deadline should count.
hypothesis.settings.register_profile("minicnn", deadline=None)
hypothesis.settings.load_profile("minicnn")


def gpu_is_absent() -> bool:
    if find_spec("cupy") is None:
        return True
    import cupy

    return not cupy.cuda.is_available()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    needs = {
        "torch": (lambda: find_spec("torch") is None, "PyTorch is absent (extra test-torch)"),
        "gpu": (gpu_is_absent, "CuPy or an NVIDIA GPU is absent (extra cuda12 or cuda13)"),
    }
    for marker, (is_absent, reason) in needs.items():
        marked = [item for item in items if item.get_closest_marker(marker)]
        if marked and is_absent():
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def same_start() -> Iterator[None]:
    """Every test starts from the same seed, and gives back the number of threads and the kernels that it found."""
    threads, chosen = minicnn.get_num_threads(), kernels._chosen
    minicnn.manual_seed(0)
    yield
    kernels._chosen = chosen
    if minicnn.get_num_threads() != threads:
        minicnn.set_num_threads(threads)


@pytest.fixture(params=["numpy", "numba"])
def kernel_file(request: pytest.FixtureRequest) -> Iterator[str]:
    """The test runs twice: on the NumPy kernels and on the Numba kernels."""
    if request.param == "numba":
        pytest.importorskip("numba")
    with minicnn.use_kernels(request.param):
        yield request.param


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> Any:
    """The test runs in both precisions."""
    return request.param


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(2012)
