"""Fixtures for all tests: kernels, devices, precisions, a seed, the built site; skipping where a library is absent."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import fake_cupy
import hypothesis
import numpy as np
import pytest
from mpi_processes import launcher

import minicnn
from minicnn import kernels
from tools import build_notebooks as build

# No deadline, because the first example of a test may compile a kernel.
hypothesis.settings.register_profile("minicnn", deadline=None)
hypothesis.settings.load_profile("minicnn")


def pytest_configure() -> None:
    """Let Ctrl-C arrive, in tests and in the processes that they start, also where a script's background ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def gpu_is_absent() -> bool:
    if find_spec("cupy") is None:
        return True
    import cupy

    return not cupy.cuda.is_available()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    needs = {
        "mpi": (lambda: find_spec("mpi4py") is None or launcher() is None, "mpi4py or mpiexec is absent (extra mpi)"),
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
    """Start every test from the same seed and on the CPU, and restore threads and kernels after it."""
    threads, chosen = minicnn.get_num_threads(), kernels._chosen
    minicnn.manual_seed(0)
    yield
    kernels._chosen = chosen
    minicnn.set_default_device("cpu")
    if minicnn.get_num_threads() != threads:
        minicnn.set_num_threads(threads)


LONGEST = 900  # seconds


def once(tmp_path_factory: pytest.TempPathFactory, name: str, work: Callable[[Path], str]) -> tuple[Path, str]:
    """Do the work in a folder once for all workers of the session; return the folder and what the work returned."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # the folder of the workers' folders
    folder, log = shared / name, shared / name / "log.txt"
    try:
        folder.mkdir()
    except FileExistsError:  # another worker is doing it
        patience = time.monotonic() + LONGEST
        while not log.exists() and time.monotonic() < patience:
            time.sleep(0.5)
    else:
        unread = folder / "log"
        try:
            unread.write_text(work(folder), encoding="utf-8")
        except Exception as error:
            unread.write_text(f"{type(error).__name__}: {error}", encoding="utf-8")
            raise
        finally:
            unread.rename(log)  # so that it appears only when it is complete
    return folder, log.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def lessons_that_ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The error of each lesson's notebook, or "". They run once, with solutions, and become pages of the docs."""
    pytest.importorskip("nbmake", reason="nbmake is not installed (extra test)")
    _, wrong = once(tmp_path_factory, "lessons", lambda folder: json.dumps(build.run_for_docs(build.sources())))
    return json.loads(wrong)


@pytest.fixture(params=["numpy", "numba"])
def kernel_file(request: pytest.FixtureRequest) -> Iterator[str]:
    """The test runs twice: on the NumPy kernels and on the Numba kernels."""
    if request.param == "numba":
        pytest.importorskip("numba")
    with minicnn.use_kernels(request.param):
        yield request.param


@pytest.fixture(params=["numpy", "numba", "fake", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """The test runs on all kernels and gets their device: the CPU (NumPy, Numba), a fake GPU, a real one if present."""
    if request.param == "numba":
        pytest.importorskip("numba")
    if request.param in ("numpy", "numba"):
        with minicnn.use_kernels(request.param):
            yield "cpu"
    else:
        with on_gpu(request.param):
            yield "cuda"


@pytest.fixture(params=["fake", pytest.param("cuda", marks=pytest.mark.gpu)])
def gpu(request: pytest.FixtureRequest) -> Iterator[str]:
    """The test runs on a fake GPU, and on a real one if present."""
    with on_gpu(request.param):
        yield "cuda"


@pytest.fixture
def two_gpus() -> Iterator[ModuleType]:
    """The test has two fake GPUs, and gets their CuPy."""
    if fake_cupy.COMPILER is None:
        pytest.skip("g++ is absent, which compiles the CUDA kernels for the CPU")
    with fake_cupy.installed() as cupy:
        yield cupy


@contextmanager
def on_gpu(kind: str) -> Iterator[None]:
    if kind == "cuda":
        yield
    elif fake_cupy.COMPILER is None:
        pytest.skip("g++ is absent, which compiles the CUDA kernels for the CPU")
    else:
        with fake_cupy.installed():
            yield


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> Any:
    """The test runs in both precisions."""
    return request.param


SITE_NEEDS = ("sphinx", "myst_nb", "sphinx_book_theme", "numpydoc")


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the documentation, built once for all tests. A warning of Sphinx is an error."""
    absent = [name for name in SITE_NEEDS if find_spec(name) is None]
    if absent:
        pytest.skip(f"{', '.join(absent)} not installed (extra docs)")

    def built(folder: Path) -> str:
        if build.not_run():  # a lesson that fails has a test of its own; its page has no outputs
            request.getfixturevalue("lessons_that_ran")
        root = Path(__file__).parents[1]
        command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", folder / "doctrees"]
        command += [root / "docs", folder / "html"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
        return result.stderr if result.returncode else ""

    folder, said = once(tmp_path_factory, "site", built)
    assert said == "", said
    return folder / "html"


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(2012)
