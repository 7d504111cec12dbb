"""The doctor: what minicnn uses on this machine, what is wrong with it, and how to fix it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
import time
import warnings
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl

from minicnn import kernels
from minicnn._version import __version__
from minicnn.backend import (
    DeviceError,
    asnumpy,
    get_array_module,
    get_num_threads,
    gpu_facts,
    matmul,
    to_device,
)
from minicnn.install import DISTRIBUTION, install_command, pip_install

__all__ = ["Diagnosis", "DoctorReport", "examine"]


@dataclass(frozen=True)
class Diagnosis:
    """Something that is wrong.

    Attributes
    ----------
    what : str
        The problem and its effect.
    remedy : str
        How to fix it.
    prevents_training : bool
        False if minicnn still works, but more slowly.
    """

    what: str
    remedy: str
    prevents_training: bool = False


@dataclass(frozen=True)
class DoctorReport:
    """The result of :func:`examine`. As text, it is the output of ``minicnn doctor``.

    Attributes
    ----------
    facts : dict of str
        By name.
    diagnoses : tuple of Diagnosis
        Empty if all is well.
    """

    facts: dict[str, str]
    diagnoses: tuple[Diagnosis, ...]

    @property
    def can_train(self) -> bool:
        """Whether nothing prevents training."""
        return not any(diagnosis.prevents_training for diagnosis in self.diagnoses)

    def __str__(self) -> str:
        width = max(map(len, self.facts))
        lines = [f"{name:{width}}  {fact}" for name, fact in self.facts.items()]
        if not self.diagnoses:
            return "\n".join([*lines, "", "All is well."])
        for diagnosis in self.diagnoses:
            kind = "broken" if diagnosis.prevents_training else "slow"
            lines += ["", f"{kind}: {diagnosis.what}", f"  -> {diagnosis.remedy}"]
        return "\n".join(lines)


def examine() -> DoctorReport:
    """Check everything that minicnn computes with. Takes a second or two.

    Returns
    -------
    DoctorReport
    """
    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    kernel_facts, kernel_diagnoses = _kernels()
    of_gpus, gpu_diagnoses = _gpu()
    facts = {
        "minicnn": f"{__version__}, {get_num_threads()} of {os.cpu_count()} cores",
        "Python": f"{platform.python_version()}, {platform.system()} {platform.machine()}",
        "NumPy": np.__version__,
        "BLAS": "; ".join(_pool(pool) for pool in pools) or "unknown to threadpoolctl",
        "speed": f"{_gflops():.0f} GFLOP/s, a matrix product in single precision",
        **kernel_facts,
        **of_gpus,
    }
    diagnoses = [*_requirements(), *_wrong_products(), *kernel_diagnoses, *_narrow_blas(pools), *_one_core()]
    return DoctorReport(facts, (*diagnoses, *gpu_diagnoses))


# --- requirements ----------------------------------------------------------------------------------------------------


def _requirements() -> list[Diagnosis]:
    """Compare the installed versions with those that minicnn requires. Only Numba may be absent."""
    try:
        from packaging.requirements import Requirement
    except ModuleNotFoundError:
        return [Diagnosis("packaging is not installed", pip_install("packaging"), True)]
    try:
        required = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # run from the source, without an installation
        return []
    found = []
    for requirement in map(Requirement, required):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        wanted = f"{requirement.name}{requirement.specifier}"
        version = _version(requirement.name)
        if version is None:
            if requirement.name != "numba":
                found.append(Diagnosis(f"{requirement.name} is not installed", pip_install(wanted), True))
        elif not requirement.specifier.contains(version, prereleases=True):
            what = f"{requirement.name} {version} is older than minicnn requires"
            found.append(Diagnosis(what, pip_install("--upgrade", wanted), True))
    return found


def _wrong_products() -> list[Diagnosis]:
    """Compare a matrix product by BLAS with one that does not come from BLAS."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 65, 65), dtype=np.float32)
    if np.allclose(_product(a, b), (a[:, :, None] * b).sum(axis=1), rtol=1e-3, atol=1e-3):
        return []
    what = "NumPy's matrix products are wrong: this BLAS does not work on this processor"
    return [Diagnosis(what, f"unset OPENBLAS_CORETYPE, or {pip_install('--force-reinstall', 'numpy')}", True)]


def _product(a: Any, b: Any) -> Any:
    return matmul(np, a, b)


# --- speed -----------------------------------------------------------------------------------------------------------


def _kernels() -> tuple[dict[str, str], list[Diagnosis]]:
    """Return facts about the kernels and the cache of compiled code."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            name = kernels.current()
        except Exception as error:  # any error here would also stop training
            what = f"the Numba kernels cannot be loaded: {type(error).__name__}: {error}"
            upgrade = pip_install("--upgrade", "numba")
            remedy = f"{upgrade}, or python -m pip uninstall numba to use the NumPy kernels, which are slower"
            return {"Numba": "broken"}, [Diagnosis(what, remedy, True)]
    if name == "numpy":
        why = (
            str(caught[0].message) if caught else "Numba is not installed: the NumPy kernels are used, which are slower"
        )
        return {"Numba": "not in use"}, [Diagnosis(why, pip_install("--upgrade", "numba"))]

    import numba

    from minicnn.kernels import direct_convolution, numba_kernels

    bits = 8 * direct_convolution.VECTOR_BYTES
    facts = {"Numba": f"{numba.__version__}, vectors of {bits} bits"}
    folder = numba_kernels.im2col.stats.cache_path
    if folder is not None and _writable(Path(folder)):
        return {**facts, "cache": f"{folder}, writable"}, []
    if folder is None:
        what = "compiled kernels cannot be cached: every process compiles them again"
    else:
        what = f"the cache of compiled kernels, {folder}, is not writable: kernels that it lacks are compiled each time"
    remedy = "set NUMBA_CACHE_DIR to a folder that you can write to"
    return {**facts, "cache": f"{folder or 'none'}, not writable"}, [Diagnosis(what, remedy)]


def _writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


_BITS = {
    "SkylakeX": 512,
    "Cooperlake": 512,
    "SapphireRapids": 512,
    "Haswell": 256,
    "Zen": 256,
    "Excavator": 256,
    "Steamroller": 256,
    "Piledriver": 256,
    "Bulldozer": 256,
    "Sandybridge": 256,
}
"""OpenBLAS's vector width for each kind of x86 processor that it distinguishes; 128 for all others."""


def _narrow_blas(pools: list[dict[str, Any]]) -> list[Diagnosis]:
    """Find an OpenBLAS that uses narrower vectors than the processor has."""
    able = _processor_bits()
    for pool in pools:
        bits = _BITS.get(pool.get("architecture", ""), 128)
        if pool["internal_api"] != "openblas" or able is None or bits >= able:
            continue
        chosen = os.environ.get("OPENBLAS_CORETYPE")
        what = (
            f"OpenBLAS is set to {pool['architecture']}, with vectors of {bits} bits; this processor has {able}: "
            f"matrix products take up to {able // bits} times as long"
        )
        if chosen:
            remedy = f"unset OPENBLAS_CORETYPE, which is {chosen!r}"
        else:
            remedy = f"{pip_install('--upgrade', 'numpy')}: a newer OpenBLAS may know this processor"
        return [Diagnosis(what, remedy)]
    return []


def _processor_bits() -> int | None:
    """Return the width of this processor's vectors, or None where OpenBLAS has only one choice."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return None
    config: Any = np.show_config(mode="dicts")
    able = config["SIMD Extensions"]
    names = {*able.get("baseline", []), *able.get("found", [])}  # NumPy before 2.4 calls them AVX2 and AVX512_SKX
    if names & {"X86_V4", "AVX512_SKX"}:
        return 512
    return 256 if names & {"X86_V3", "AVX2"} else 128


def _one_core() -> list[Diagnosis]:
    cores = os.cpu_count() or 1
    if get_num_threads() > 1 or cores == 1:
        return []
    what = f"minicnn uses one core of {cores}"
    remedy = "allow the process more cores (taskset, the container's or the batch system's limit), or set_num_threads"
    return [Diagnosis(what, remedy)]


# --- facts -----------------------------------------------------------------------------------------------------------


def _pool(pool: dict[str, Any]) -> str:
    parts = [pool["internal_api"], pool.get("version") or "", pool.get("architecture", "")]
    count = pool["num_threads"]
    return f"{' '.join(filter(None, parts))}, set to {count} thread{'s' * (count != 1)}"


def _gflops(side: int = 1024, times: int = 5) -> float:
    """Return the speed of a matrix product, on all cores that minicnn uses, in 10^9 operations per second."""
    a, b = np.ones((2, side, side), np.float32)
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        _product(a, b)
        seconds.append(time.perf_counter() - started)
    return 2 * side**3 / min(seconds) / 1e9


def _gpu() -> tuple[dict[str, str], list[Diagnosis]]:
    """Return facts about CuPy and NVIDIA's GPUs, and why a GPU cannot be used."""
    installed = [name for name in ("cupy-cuda13x", "cupy-cuda12x", "cupy") if _version(name)]
    cupy = ", ".join(f"{name} {_version(name)}" for name in installed) or "not installed"
    command = shutil.which("nvidia-smi")
    gpus = "none found"
    listed: list[str] = []
    if command:
        query = [command, "--query-gpu=index,name,memory.total,driver_version", "--format=csv,noheader"]
        try:
            listed = subprocess.run(query, capture_output=True, text=True, timeout=5).stdout.splitlines()
        except (OSError, subprocess.TimeoutExpired):
            gpus = "nvidia-smi does not answer"
    parts = [line.split(", ") for line in listed if line.count(", ") == 3]
    if parts:
        gpus = "; ".join(f"GPU {number}: {name}, {memory}" for number, name, memory, _ in parts)
    facts = {"CuPy": cupy, "GPUs": gpus}
    if parts:
        facts["driver"] = parts[0][3]
    if not parts:
        return facts, []
    if not installed:
        remedy = f"{install_command('cuda13')}, or cuda12 for an older driver; then use --device cuda"
        return facts, [Diagnosis("there is a GPU, but CuPy, which it needs, is not installed", remedy)]
    try:
        facts["CUDA"] = gpu_facts("cuda")["cuda"]
    except DeviceError as error:
        return facts, [Diagnosis(f"there is a GPU, but it cannot be used: {error}", "run nvidia-smi to see its state")]
    return facts, _broken_gpu()


def _broken_gpu() -> list[Diagnosis]:
    """Compile a kernel and multiply two matrices on the GPU: only then CuPy loads NVRTC and cuBLAS."""
    install = f"{install_command('cuda13')}, or cuda12 for an older driver, which installs NVIDIA's libraries with CuPy"
    found = []
    for what, works in (("compile a kernel (NVRTC)", _compiles), ("multiply matrices (cuBLAS)", _multiplies)):
        try:
            right = works()
        except Exception as error:  # of many kinds: a library or a header that is absent, a driver that is too old
            message = str(error).partition("\n")[0]
            found.append(Diagnosis(f"the GPU cannot {what}: {type(error).__name__}: {message}", install))
        else:
            if not right:
                found.append(Diagnosis(f"the GPU's results are wrong when asked to {what}", "run nvidia-smi"))
    return found


def _compiles() -> bool:
    y, slope = to_device(np.array([-1, 2], np.float32), "cuda"), to_device(np.empty(2, np.float32), "cuda")
    kernels.relu_backward(y, y, slope)
    return bool((asnumpy(slope) == [0, 2]).all())


def _multiplies() -> bool:
    a = np.arange(4, dtype=np.float32).reshape(2, 2)
    there = to_device(a, "cuda")
    return bool((asnumpy(get_array_module(there).matmul(there, there)) == a @ a).all())


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
