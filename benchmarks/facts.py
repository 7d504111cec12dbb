"""Versions, libraries and memory of a child process."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any


def resident_bytes() -> int:
    """Return the memory that this process uses now."""
    return _status("VmRSS")


def peak_bytes() -> int:
    """Return the peak memory of this process.

    Not ``ru_maxrss``: a process starts with its parent's.
    """
    return _status("VmHWM")


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"benchmarks: /proc/self/status has no {field}")


_for_good = ExitStack()  # a child process uses the same kernels until it ends


def minicnn_facts(threads: int, kernels: str, device: str = "cpu", tf32: bool = False) -> dict[str, Any]:
    """Set up minicnn; return its version, NumPy's and Numba's, and the BLAS that NumPy uses, or the GPU's facts."""
    import numpy as np
    import threadpoolctl

    import minicnn
    from minicnn.backend import gpu_facts
    from minicnn.kernels import current

    _for_good.enter_context(minicnn.use_kernels(kernels))
    minicnn.set_num_threads(threads)
    minicnn.manual_seed(0)
    blas = [
        f"{pool['internal_api']} {pool['version']} {pool.get('architecture', '')}, set to {pool['num_threads']} threads"
        for pool in threadpoolctl.threadpool_info()
        if pool["user_api"] == "blas"
    ]
    if device != "cpu":
        minicnn.set_tf32(tf32)
        return {"version": minicnn.__version__, "numpy": np.__version__, **gpu_facts(device), "tf32": tf32}
    versions = {"version": minicnn.__version__, "kernels": current(), "numpy": np.__version__}
    if current() == "numba":
        import numba

        versions["numba"] = numba.__version__
    return {**versions, "blas": blas, "used_threads": minicnn.get_num_threads()}


def torch_facts(threads: int, device: str = "cpu", tf32: bool = False) -> dict[str, Any]:
    """Set up PyTorch; return its version and its libraries for matrix products and convolutions, or the GPU's facts."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    if device != "cpu":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        cudnn = str(torch.backends.cudnn.version())
        name, cuda = torch.cuda.get_device_name(device), torch.version.cuda
        return {"version": torch.__version__, "gpu": name, "cuda": cuda, "cudnn": cudnn, "tf32": tf32}
    libraries = [line.strip(" -") for line in torch.__config__.show().splitlines() if "Library" in line]
    libraries.append(f"vectors: {torch.backends.cpu.get_cpu_capability()}")
    return {"version": torch.__version__, "blas": libraries, "used_threads": torch.get_num_threads()}


def gpu_bytes(facts: dict[str, Any]) -> int:
    """Return the GPU memory allocated by the library that these facts describe."""
    if "cudnn" in facts:
        import torch

        return int(torch.cuda.max_memory_reserved())
    import cupy

    return int(cupy.get_default_memory_pool().total_bytes())


def use_gpu(device: str, theirs: bool) -> None:
    """Make a GPU the current one, for PyTorch if that is measured, otherwise for CuPy."""
    if theirs:
        import torch

        torch.cuda.set_device(device)
    else:
        import cupy

        cupy.cuda.Device(int(device.partition(":")[2])).use()
