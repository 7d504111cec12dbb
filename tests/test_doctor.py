"""The doctor: each fault is simulated, is found, and comes with its remedy; a healthy machine has none."""

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import doctor, kernels

ROOT = Path(__file__).parents[1]
MEASURE = doctor._gflops
OPENBLAS = {
    "user_api": "blas",
    "internal_api": "openblas",
    "version": "0.3.30",
    "architecture": "SkylakeX",
    "num_threads": 8,
}


@pytest.fixture(autouse=True)
def healthy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A machine that nothing is wrong with, whatever the tests run on."""
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: [])
    monkeypatch.setattr(doctor.threadpoolctl, "threadpool_info", lambda: [OPENBLAS])
    monkeypatch.setattr(doctor, "_processor_bits", lambda: 512)
    monkeypatch.setattr(doctor, "get_num_threads", lambda: 8)
    monkeypatch.setattr(doctor.os, "cpu_count", lambda: 8)
    monkeypatch.setattr(doctor, "_gflops", lambda: 432.1)
    monkeypatch.setattr(doctor, "_gpu", lambda: ({"CuPy": "not installed", "GPUs": "none found"}, []))
    cache(monkeypatch, tmp_path)
    return monkeypatch


def cache(monkeypatch: pytest.MonkeyPatch, folder: Path | None) -> None:
    """Let compiled kernels be kept in that folder, or nowhere."""
    monkeypatch.setattr(kernels, "current", lambda: "numba")
    monkeypatch.setitem(sys.modules, "numba", SimpleNamespace(__version__="0.68.1"))
    compiled = SimpleNamespace(stats=SimpleNamespace(cache_path=folder and str(folder)))
    for name, module in (
        ("numba_kernels", SimpleNamespace(im2col=compiled)),
        ("direct_convolution", SimpleNamespace(VECTOR_BYTES=64)),
    ):
        monkeypatch.setitem(sys.modules, f"minicnn.kernels.{name}", module)
        monkeypatch.setattr(kernels, name, module, raising=False)


def only_diagnosis() -> doctor.Diagnosis:
    (found,) = doctor.examine().diagnoses
    return found


def test_a_healthy_machine(tmp_path: Path) -> None:
    report = doctor.examine()
    assert report.diagnoses == ()
    assert report.can_train
    assert report.facts["minicnn"] == f"{minicnn.__version__}, 8 of 8 cores"
    assert report.facts["NumPy"] == np.__version__
    assert report.facts["BLAS"] == "openblas 0.3.30 SkylakeX, set to 8 threads"
    assert report.facts["Numba"] == "0.68.1, vectors of 512 bits"
    assert report.facts["cache"] == f"{tmp_path}, writable"
    assert report.facts["speed"] == "432 GFLOP/s, a matrix product in single precision"
    assert str(report).endswith("All is well.")
    assert str(report).startswith("minicnn  ")


@pytest.mark.parametrize(
    ("architecture", "able", "times"),
    [("Haswell", 512, 2), ("Zen", 512, 2), ("Nehalem", 512, 4), ("Prescott", 256, 2), ("Haswell", 256, 0)],
)
def test_an_openblas_that_is_held_below_the_processor(
    architecture: str, able: int, times: int, healthy: pytest.MonkeyPatch
) -> None:
    healthy.setattr(doctor.threadpoolctl, "threadpool_info", lambda: [{**OPENBLAS, "architecture": architecture}])
    healthy.setattr(doctor, "_processor_bits", lambda: able)
    healthy.setenv("OPENBLAS_CORETYPE", architecture)
    if not times:
        assert doctor.examine().diagnoses == ()
        return
    found = only_diagnosis()
    assert architecture in found.what and f"this processor has {able}" in found.what and f"{times} times" in found.what
    assert found.remedy == f"unset OPENBLAS_CORETYPE, which is {architecture!r}"
    assert not found.prevents_training
    healthy.delenv("OPENBLAS_CORETYPE")
    assert "pip install --upgrade numpy" in only_diagnosis().remedy


def test_another_blas_or_processor_is_not_judged(healthy: pytest.MonkeyPatch) -> None:
    healthy.setattr(doctor, "_processor_bits", lambda: None)
    healthy.setattr(doctor.threadpoolctl, "threadpool_info", lambda: [{**OPENBLAS, "architecture": "neoversen1"}])
    assert doctor.examine().diagnoses == ()
    healthy.setattr(doctor, "_processor_bits", lambda: 512)
    mkl = {"user_api": "blas", "internal_api": "mkl", "version": "2024.2", "num_threads": 1}
    healthy.setattr(doctor.threadpoolctl, "threadpool_info", lambda: [mkl])
    report = doctor.examine()
    assert report.diagnoses == ()
    assert report.facts["BLAS"] == "mkl 2024.2, set to 1 thread"
    healthy.setattr(doctor.threadpoolctl, "threadpool_info", lambda: [])
    assert doctor.examine().facts["BLAS"] == "unknown to threadpoolctl"


@pytest.mark.parametrize(
    ("names", "bits"),
    [
        (["X86_V2", "X86_V3", "X86_V4"], 512),
        (["SSE41", "AVX2", "AVX512F", "AVX512_SKX"], 512),
        (["SSE41", "AVX2", "FMA3"], 256),
        (["X86_V2", "X86_V3"], 256),
        (["X86_V2"], 128),
    ],
)
def test_the_processors_vectors_by_numpys_names(names: list[str], bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(doctor.platform, "machine", lambda: "x86_64")
    lists = {"baseline": names[:1], "found": names[1:], "not found": ["X86_V4", "AVX512_SKX"]}
    config = {"SIMD Extensions": {name: able for name, able in lists.items() if able}}  # NumPy leaves empty lists out
    monkeypatch.setattr(doctor.np, "show_config", lambda mode: config)
    assert doctor._processor_bits() == bits
    monkeypatch.setattr(doctor.platform, "machine", lambda: "arm64")
    assert doctor._processor_bits() is None


def test_no_folder_for_compiled_kernels(healthy: pytest.MonkeyPatch) -> None:
    cache(healthy, None)
    assert doctor.examine().facts["cache"] == "none, not writable"
    found = only_diagnosis()
    assert "every process compiles them again" in found.what
    assert "NUMBA_CACHE_DIR" in found.remedy
    assert not found.prevents_training


def test_a_folder_for_compiled_kernels_that_cannot_be_written_to(healthy: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cache(healthy, tmp_path / "absent")  # writing fails for root, too
    found = only_diagnosis()
    assert str(tmp_path / "absent") in found.what and "is not writable" in found.what
    assert "NUMBA_CACHE_DIR" in found.remedy
    assert not found.prevents_training


def test_one_core_of_several(healthy: pytest.MonkeyPatch) -> None:
    healthy.setattr(doctor, "get_num_threads", lambda: 1)
    found = only_diagnosis()
    assert found.what == "minicnn uses one core of 8"
    assert "set_num_threads" in found.remedy
    assert not found.prevents_training
    healthy.setattr(doctor.os, "cpu_count", lambda: 1)
    assert doctor.examine().diagnoses == ()


def test_numba_is_absent(healthy: pytest.MonkeyPatch) -> None:
    healthy.setattr(kernels, "current", lambda: "numpy")
    assert doctor.examine().facts["Numba"] == "not in use"
    found = only_diagnosis()
    assert found.what.startswith("Numba is not installed")
    assert found.remedy == "python -m pip install --upgrade numba"
    assert not found.prevents_training


def test_numba_is_there_but_does_not_go_with_numpy(healthy: pytest.MonkeyPatch) -> None:
    def fall_back() -> str:
        warnings.warn("Numba needs NumPy 2.3 or less. The NumPy kernels are used", RuntimeWarning, stacklevel=2)
        return "numpy"

    healthy.setattr(kernels, "current", fall_back)
    assert only_diagnosis().what == "Numba needs NumPy 2.3 or less. The NumPy kernels are used"


def test_numba_cannot_be_loaded(healthy: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise OSError("libllvm is damaged")

    healthy.setattr(kernels, "current", fail)
    found = only_diagnosis()
    assert "OSError: libllvm is damaged" in found.what
    assert found.prevents_training
    assert not doctor.examine().can_train


def test_products_that_are_wrong(healthy: pytest.MonkeyPatch) -> None:
    healthy.setattr(doctor, "matmul", lambda xp, a, b: xp.matmul(a, b) + 0.1)
    found = only_diagnosis()
    assert "products are wrong" in found.what
    assert found.prevents_training


@pytest.mark.parametrize(
    ("versions", "what"),
    [
        ({"numpy": "2.4.0rc1", "numba": "0.68.1", "Pillow": "12.0"}, None),
        ({"numpy": "1.26.4", "numba": "0.68.1", "Pillow": "12.0"}, "numpy 1.26.4 is older"),
        ({"numpy": "2.0", "numba": "0.59.1", "Pillow": "12.0"}, "numba 0.59.1 is older"),
        ({"numpy": "2.0", "numba": "0.100", "Pillow": "12.0"}, None),
        ({"numpy": "2.0", "numba": "0.61"}, "Pillow is not installed"),
        ({"numpy": "2.0", "Pillow": "12.0"}, None),  # whose diagnosis is the kernels'
    ],
)
def test_what_is_installed_is_held_against_what_is_required(
    versions: dict[str, str], what: str | None, healthy: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    required = [
        "numpy>=2.0",
        'numba>=0.61; platform_system != "Emscripten"',
        "Pillow >= 12",
        'torch>=2.6; extra == "t"',
    ]
    healthy.setattr(doctor.metadata, "requires", lambda name: required)
    healthy.setattr(doctor.metadata, "version", version)
    if what is None:
        assert doctor.examine().diagnoses == ()
        return
    found = only_diagnosis()
    assert found.what.startswith(what)
    assert found.remedy.startswith("python -m pip install ")
    assert found.prevents_training


def test_run_from_its_source_there_are_no_requirements_to_check(healthy: pytest.MonkeyPatch) -> None:
    def not_installed(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    healthy.setattr(doctor.metadata, "requires", not_installed)
    assert doctor.examine().diagnoses == ()


@pytest.fixture
def nvidia_smi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Put an impostor in the place of NVIDIA's command."""
    if os.name == "nt":
        pytest.skip("the impostor is a shell script")
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path))

    def write(script: str) -> None:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)

    return write


TWO_GPUS = "echo '0, NVIDIA H200, 143771 MiB, 580.1'; echo '1, NVIDIA H200, 143771 MiB, 580.1'"


def test_gpus_are_those_that_nvidia_smi_lists(
    nvidia_smi: Callable[[str], None], gpu: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia_smi(TWO_GPUS)
    monkeypatch.setattr(doctor, "_version", {"cupy-cuda12x": "14.0.1"}.get)
    facts, diagnoses = doctor._gpu()
    assert facts == {
        "CuPy": "cupy-cuda12x 14.0.1",
        "GPUs": "GPU 0: NVIDIA H200, 143771 MiB; GPU 1: NVIDIA H200, 143771 MiB",
        "driver": "580.1",
        "CUDA": minicnn.backend.gpu_facts(gpu)["cuda"],
    }
    assert diagnoses == []


def test_a_gpu_that_cannot_be_used(nvidia_smi: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi(TWO_GPUS)
    monkeypatch.setattr(doctor, "_version", lambda name: None)
    _, (found,) = doctor._gpu()
    assert found.what == "there is a GPU, but CuPy, which it needs, is not installed" and "'.[cuda13]'" in found.remedy
    assert not found.prevents_training
    monkeypatch.setattr(doctor, "_version", {"cupy-cuda12x": "14.0.1"}.get)
    monkeypatch.setitem(sys.modules, "cupy", None)
    _, (found,) = doctor._gpu()
    assert found.what.startswith("there is a GPU, but it cannot be used: device 'cuda' needs CuPy, which")


def test_a_gpu_without_nvidias_libraries_is_found_before_training(
    nvidia_smi: Callable[[str], None], two_gpus: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia_smi(TWO_GPUS)
    monkeypatch.setattr(doctor, "_version", {"cupy-cuda12x": "14.0.1"}.get)

    def absent(*_: Any, **__: Any) -> None:
        raise ImportError('Failure finding "libcublasLt.so.12"\nand more')

    for name, what in (("RawModule", "compile a kernel"), ("matmul", "multiply matrices")):
        with monkeypatch.context() as patch:
            patch.setattr(two_gpus, name, absent)
            _, (found,) = doctor._gpu()
        assert found.what.startswith(f"the GPU cannot {what}") and found.what.endswith('"libcublasLt.so.12"')
        assert "cuda13" in found.remedy
    monkeypatch.setattr(two_gpus, "matmul", lambda a, b: a)
    _, (found,) = doctor._gpu()
    assert found.what == "the GPU's results are wrong when asked to multiply matrices (cuBLAS)"


@pytest.mark.parametrize("script", ["echo 'Failed to initialize NVML'; exit 9", "exit 1", None])
def test_where_there_is_no_gpu(
    script: str | None, nvidia_smi: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    if script is not None:
        nvidia_smi(script)
    monkeypatch.setattr(doctor, "_version", lambda name: None)
    assert doctor._gpu() == ({"CuPy": "not installed", "GPUs": "none found"}, [])


def test_the_speed_needs_few_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    """A core that does 5 * 10^9 operations in a second needs four seconds at most."""
    operations = []
    monkeypatch.setattr(doctor, "_product", lambda a, b: operations.append(2 * a.shape[0] * a.shape[1] * b.shape[1]))
    assert MEASURE() > 0
    assert 0 < sum(operations) < 2e10


def test_the_command_compiles_no_kernel() -> None:
    program = """if True:
        from minicnn.cli import main
        main(["doctor"])
        from minicnn.kernels import direct_convolution, numba_kernels
        functions = [*vars(direct_convolution).values(), *vars(numba_kernels).values()]
        print("compiled:", sum(len(each.signatures) for each in functions if hasattr(each, "signatures")))
    """
    pytest.importorskip("numba")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.endswith("\ncompiled: 0\n"), done.stdout + done.stderr
