import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from minicnn.backend import cpu_limits
from minicnn.backend.cpu_limits import cpu_quota, default_threads

ROOT = Path(__file__).parents[2]


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(cpu_limits, "cpu_quota", lambda: math.inf)
    if hasattr(os, "sched_getaffinity"):
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    else:
        monkeypatch.setattr(os, "cpu_count", lambda: 8)


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(
    ("value", "threads"),
    [("3", 3), ("12", 12), ("4,2", 4), ("", 8), ("0", 8), ("-1", 8), ("many", 8), ("\N{SUPERSCRIPT TWO}", 8)],
)
def test_openmps_variable_is_obeyed(monkeypatch: pytest.MonkeyPatch, value: str, threads: int) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert default_threads() == threads


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(("quota", "threads"), [(math.inf, 8), (8.0, 8), (2.0, 2), (1.5, 2), (0.2, 1), (64.0, 8)])
def test_a_quota_is_rounded_up(monkeypatch: pytest.MonkeyPatch, quota: float, threads: int) -> None:
    monkeypatch.setattr(cpu_limits, "cpu_quota", lambda: quota)
    assert default_threads() == threads


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, math.inf),
        ({"proc/self/cgroup": "0::/\n"}, math.inf),
        (
            {
                "proc/self/cgroup": "0::/batch/job\n",
                "sys/fs/cgroup/batch/job/cpu.max": "max 100000",
                "sys/fs/cgroup/batch/cpu.max": "300000 100000",
            },
            3.0,
        ),
        (
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/docker/0a\n4:memory:/docker/0a\n0::/docker/0a\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            2.0,
        ),
        (
            {
                "proc/self/cgroup": "5:cpuacct,cpu:/\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            math.inf,
        ),
        ({"proc/self/cgroup": "1:cpuset:/\n", "sys/fs/cgroup/cpu.max": "100000 100000"}, math.inf),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "nonsense\n"}, math.inf),
        ({}, math.inf),
    ],
)
def test_control_groups_are_read(tmp_path: Path, files: dict[str, str], quota: float) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cpu_quota(tmp_path) == quota


def test_a_new_process_starts_with_that_number() -> None:
    command = [sys.executable, "-c", "import minicnn; print(minicnn.get_num_threads())"]
    environment = {**os.environ, "OMP_NUM_THREADS": "3", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.stdout == "3\n", done.stderr
