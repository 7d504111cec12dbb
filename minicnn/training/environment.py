"""The environment of a run: a folder of its own, the versions of libraries, and the machine."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from minicnn import kernels
from minicnn._version import __version__
from minicnn.backend import available_cores, get_default_device, get_num_threads, get_tf32, gpu_facts
from minicnn.errors import MinicnnError
from minicnn.files import locked

__all__ = ["FolderError", "alone_in", "machine", "versions"]

LOCK = ".lock"


class FolderError(MinicnnError):
    """A folder for results cannot be made, or another process is writing to it."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make a folder and keep other processes that use it in this way out; afterwards remove it if it is empty.

    Meanwhile the folder holds a file ``.lock``. It stays after a process was killed, but then locks nothing.

    Raises
    ------
    FolderError
        If another process uses the folder, or it cannot be made or written to.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        with ExitStack() as stack:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(locked(folder / LOCK))
            except BlockingIOError:
                raise FolderError(f"another run is writing to {folder}; choose another --out") from None
            except OSError as error:
                raise FolderError(f"{folder} cannot be used for the results: {error.strerror or error}") from error
            yield
    finally:
        for each in made:
            with suppress(OSError):  # usually there are results in it
                each.rmdir()


def versions() -> dict[str, str]:
    """Return the versions of everything that can change the numbers."""
    found = {"minicnn": __version__, "python": platform.python_version(), "numpy": metadata.version("numpy")}
    if kernels.current() == "numba":
        found["numba"] = metadata.version("numba")
    return found


def machine() -> dict[str, Any]:
    """Return the processor, cores and settings; of a GPU, its name, the versions of CUDA and CuPy, and use of TF32."""
    device = get_default_device()
    gpu: dict[str, Any] = {} if device == "cpu" else {**gpu_facts(device), "tf32": get_tf32()}
    return {
        "processor": _processor(),
        "cores": available_cores(),
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
