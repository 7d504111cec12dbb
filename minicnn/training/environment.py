"""Where a run takes place: a folder that is its own, on a machine with certain versions of everything."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from minicnn import kernels
from minicnn._version import __version__
from minicnn.backend import get_default_device, get_num_threads, get_tf32, gpu_facts
from minicnn.errors import MinicnnError

try:
    import fcntl
except ImportError:  # Windows: there, nobody notices two runs in one folder
    fcntl = None  # type: ignore[assignment]

__all__ = ["FolderError", "alone_in", "machine", "versions"]


class FolderError(MinicnnError):
    """A folder for results cannot be made, or another process is writing to it."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make a folder and keep every other process that does the same out of it; afterwards remove it if it is empty.

    Raises
    ------
    FolderError
        If another one is at work there, or the folder cannot be made.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(f"{folder} cannot be used for the results: {error.strerror}") from error
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderError(f"another run is writing to {folder}; choose another --out") from None
        yield
    finally:
        os.close(handle)
        for each in made:
            with suppress(OSError):  # as a rule there are results in it
                each.rmdir()


def versions() -> dict[str, str]:
    """Return the versions of everything that has a part in the numbers."""
    found = {"minicnn": __version__, "python": platform.python_version(), "numpy": metadata.version("numpy")}
    if kernels.current() == "numba":
        found["numba"] = metadata.version("numba")
    return found


def machine() -> dict[str, Any]:
    """Return what is computed on; of a GPU its name, the versions of CUDA and CuPy, and whether it rounds to TF32."""
    device = get_default_device()
    gpu: dict[str, Any] = {} if device == "cpu" else {**gpu_facts(device), "tf32": get_tf32()}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": _processor(),
        "cores": cores,
        "threads": get_num_threads(),
        "kernels": kernels.current() if device == "cpu" else "cuda",
        "device": device,
        **gpu,
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
