"""Names of devices, and arrays moved between them, on a fake GPU or two and on a real one."""

import sys
from types import ModuleType
from typing import Any

import fake_counts
import fake_products
import numpy as np
import pytest

import minicnn
from minicnn import DeviceError, Tensor, nn
from minicnn.backend import asnumpy, checked_device, device_of, on_device_of, same_device, to_device
from minicnn.data import Loader

# --- names --------------------------------------------------------------------------------------------------


def test_names_of_devices(gpu: str) -> None:
    assert checked_device("cpu") == "cpu"
    assert checked_device("cuda:0") == checked_device("cuda") == "cuda:0"


def test_cuda_is_the_current_gpu(two_gpus: ModuleType) -> None:
    assert checked_device("cuda:1") == "cuda:1"
    with two_gpus.cuda.Device(1):
        assert checked_device("cuda") == "cuda:1"
    assert checked_device("cuda") == "cuda:0"


@pytest.mark.parametrize(
    "wrong", ["gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:0 ", "CUDA", "", 0, None, "cpu:0", "cuda:²"]
)
def test_names_of_no_device(wrong: Any) -> None:
    expected = f"device must be 'cpu', 'cuda' or 'cuda:N', got {wrong!r}"
    for function in (checked_device, minicnn.set_default_device, Tensor([1.0]).to, nn.Linear(2, 2).to):
        with pytest.raises(ValueError) as caught:
            function(wrong)
        assert str(caught.value) == expected


def test_a_gpu_that_is_not_there(two_gpus: ModuleType) -> None:
    with pytest.raises(DeviceError, match="device 'cuda:2' does not exist; there is 'cuda:N' for N below 2"):
        checked_device("cuda:2")


def test_where_cupy_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    message = r"device 'cuda' needs CuPy, which is not installed; install minicnn with the extra cuda12 or cuda13"
    with pytest.raises(DeviceError, match=message):
        Tensor([1.0]).to("cuda")
    assert Tensor([1.0]).to("cpu").device == "cpu"


def test_where_cupy_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    with pytest.raises(
        DeviceError, match=r"device 'cuda:1' needs CuPy, which cannot be loaded \(.*\); install minicnn"
    ):
        checked_device("cuda:1")


def test_where_no_gpu_is(two_gpus: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_driver() -> int:
        raise RuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")

    monkeypatch.setattr(two_gpus.cuda.runtime, "getDeviceCount", no_driver)
    message = r"device 'cuda' needs an NVIDIA GPU and its driver, and CuPy finds none \(cudaErrorNoDevice.*doctor"
    with pytest.raises(DeviceError, match=message):
        checked_device("cuda")


# --- arrays -------------------------------------------------------------------------------------------------


def test_arrays_go_there_and_back(gpu: str, dtype: Any) -> None:
    here = np.arange(6, dtype=dtype).reshape(2, 3)
    there = to_device(here, gpu)
    assert (device_of(here), device_of(there)) == ("cpu", "cuda:0")
    assert (there.shape, there.dtype) == (here.shape, here.dtype)
    assert to_device(there, gpu) is there
    assert to_device(here, "cpu") is here
    back = to_device(there, "cpu")
    assert isinstance(back, np.ndarray)
    np.testing.assert_array_equal(back, here)
    here[0, 0] = 7
    assert asnumpy(there)[0, 0] == 0


def test_arrays_go_from_one_gpu_to_another(two_gpus: ModuleType) -> None:
    first = to_device(np.arange(3.0), "cuda:0")
    second = to_device(first, "cuda:1")
    assert (device_of(first), device_of(second)) == ("cuda:0", "cuda:1")
    with on_device_of(second):
        assert device_of(two_gpus.zeros(3)) == "cuda:1"
    with pytest.raises(ValueError, match="Array device must be same"):
        first + second


def test_arrays_on_several_devices_are_refused(gpu: str) -> None:
    here = np.zeros(3)
    there = to_device(here, gpu)
    same_device("f", a=here, b=here, c=None)
    same_device("f", a=there, b=there)
    with pytest.raises(
        TypeError, match=r"f: a, b must be on one device, got a on cpu, b on cuda:0; move them with \.to\(device\)"
    ):
        same_device("f", a=here, b=there, c=None)


# --- TF32 ---------------------------------------------------------------------------------------------------


def test_tf32_needs_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert minicnn.get_tf32() is False
    with pytest.raises(DeviceError, match="needs CuPy"):
        minicnn.set_tf32(True)
    assert minicnn.get_tf32() is False


def test_tf32_is_set_for_both_ways_to_multiply_and_on_every_gpu(two_gpus: Any) -> None:
    types, modes = fake_products.compute_types, fake_products.math_modes
    minicnn.set_tf32(True)
    assert minicnn.get_tf32() is True
    assert (types, list(modes.values())) == ({np.float32: 7}, [3, 3])
    minicnn.set_tf32(False)
    assert minicnn.get_tf32() is False
    assert (types, list(modes.values())) == ({np.float32: 1}, [0, 0])


def test_the_threads_of_a_loader_multiply_stacks_as_was_chosen(two_gpus: Any) -> None:
    """The compute type is the process's, but each thread has handles of its own."""
    images = to_device(np.ones((4, 1, 2, 2), np.float32), "cuda")

    def transform(images: Any, rng: Any) -> Any:
        return images @ images

    for allowed in (True, False):
        minicnn.set_tf32(allowed)
        with fake_counts.counting() as counts:
            list(Loader(images, np.zeros(4, int), 2, transform=transform, workers=2))
        assert [product.tf32 for product in counts.products] == [allowed] * 2


def test_tf32_without_cublas_says_what_to_install(two_gpus: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise ImportError("libcublas.so.12: cannot open shared object file")

    monkeypatch.setattr(two_gpus.cuda, "get_cublas_handle", absent)
    with pytest.raises(DeviceError, match=r"TF32 needs cuBLAS, which cannot be loaded .*libcublas.*cuda12"):
        minicnn.set_tf32(True)
    assert minicnn.get_tf32() is False


@pytest.mark.gpu
def test_tf32_rounds_products_of_single_matrices_and_of_stacks(rng: Any) -> None:
    import cupy

    if int(cupy.cuda.Device().compute_capability) < 80:
        pytest.skip("GPUs have TF32 from Ampere on")
    for shape in ((512, 512), (2, 512, 512)):
        a, b = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
        exact = a.astype(np.float64) @ b
        errors = []
        for allowed in (False, True, False):
            minicnn.set_tf32(allowed)
            product = Tensor(to_device(a, "cuda")) @ Tensor(to_device(b, "cuda"))
            errors.append(abs(product.numpy() - exact).max())
        assert errors[0] == errors[2] < 1e-3 < errors[1] < 0.5
