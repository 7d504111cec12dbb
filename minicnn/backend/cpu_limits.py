"""How many cores this process should use: what the user, the operating system and the container say."""

import math
import os
import sys
from pathlib import Path, PurePosixPath

__all__ = ["IN_BROWSER", "available_cores", "default_threads"]

# Python is WebAssembly there: one core, no threads, no BLAS, and a tenth of the speed.
IN_BROWSER = sys.platform == "emscripten"


def available_cores() -> int:
    """Return how many cores the operating system lets this process use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_threads() -> int:
    """Return ``OMP_NUM_THREADS`` if it is set, else the cores that this process may use, at least 1."""
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # "4,2" is for nested threads
    if wanted.isascii() and wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return max(1, math.ceil(min(available_cores(), cpu_quota())))


def cpu_quota(root: Path = Path("/")) -> float:
    """Return how many cores the control groups of this process pay for; infinity if they do not limit it.

    A container is limited in this way (``docker run --cpus 2``): more threads than that only wait for each other.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` are.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return math.inf
    quota = math.inf
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            mounts, read = ["sys/fs/cgroup", "sys/fs/cgroup/unified"], _quota
        elif "cpu" in controllers.split(","):
            mounts, read = ["sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct"], _quota_of_version_1
        else:
            continue
        place = PurePosixPath(group.lstrip("/"))
        for folder in (place, *place.parents):  # each group limits those below it; in a container its own is the root
            for mount in mounts:
                try:
                    quota = min(quota, read(root / mount / folder))
                except (OSError, ValueError, ZeroDivisionError):
                    pass  # not limited, or not mounted
    return quota


def _quota(group: Path) -> float:
    allowed, period = (group / "cpu.max").read_text().split()
    return math.inf if allowed == "max" else int(allowed) / int(period)


def _quota_of_version_1(group: Path) -> float:
    allowed, period = (int((group / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
    return allowed / period if allowed > 0 else math.inf
