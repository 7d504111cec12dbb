"""The convolution for GPUs: on NumPy's arrays against the textbook's, on a fake GPU for what it asks cuBLAS."""

from types import ModuleType
from typing import Any

import fake_counts
import numpy as np
import pytest

import minicnn.functional as F
from minicnn import Tensor
from minicnn.backend import asnumpy, memory, to_device
from minicnn.ops import gpu_conv
from minicnn.ops.conv import Conv2d
from minicnn.ops.gpu_conv import GpuConv2d, slices_of


def everything(operation: type[Conv2d], arrays: list[np.ndarray], device: str, *settings: Any) -> list[np.ndarray]:
    """Return the output and the gradients of a convolution."""
    x, w, b = (Tensor(to_device(array, device), requires_grad=True) for array in arrays)
    y = operation(*settings)(x, w, b)
    y.backward(to_device(np.random.default_rng(3).standard_normal(y.shape).astype(y.dtype), device))
    return [y.numpy(), *(asnumpy(tensor.grad) for tensor in (x, w, b))]


@pytest.mark.parametrize("piece", [1, 40000, 1 << 30])
@pytest.mark.parametrize("shortest", [1, 1024])
@pytest.mark.parametrize("settings", [((1, 1), (0, 0), 1, (1, 1)), ((2, 1), (2, 1), 2, (1, 2))])
def test_pieces_and_slices_change_nothing(
    gpu: str, monkeypatch: pytest.MonkeyPatch, rng: Any, piece: int, shortest: int, settings: Any
) -> None:
    monkeypatch.setattr(memory, "_PIECE_BYTES_OF_GPU", piece)
    monkeypatch.setattr(gpu_conv, "SHORTEST", shortest)
    shapes = (8, 4, 9, 8), (6, 4 // settings[2], 3, 3), (6,)
    arrays = [rng.standard_normal(shape) for shape in shapes]
    expected = everything(Conv2d, arrays, "cpu", *settings)
    for actual, reference in zip(everything(GpuConv2d, arrays, gpu, *settings), expected, strict=True):
        np.testing.assert_allclose(actual, reference, rtol=1e-11, atol=1e-11)


def test_no_images_have_gradients_of_zero(gpu: str) -> None:
    arrays = [np.zeros(shape) for shape in ((0, 2, 5, 5), (4, 2, 3, 3), (4,))]
    y, grad_x, grad_w, grad_b = everything(GpuConv2d, arrays, gpu, (1, 1), (0, 0), 1)
    assert y.shape == (0, 4, 3, 3) and grad_x.shape == (0, 2, 5, 5)
    assert not grad_w.any() and not grad_b.any()


def test_slices_fill_the_processors_and_are_whole() -> None:
    assert slices_of(96, 363, 128 * 3025) == 32  # three tiles
    assert slices_of(96, 363, 128 * 3025 + 1) == 1  # which cannot be cut
    assert slices_of(96, 363, 16 * 3025) == 4  # and not into slices that begin elsewhere than at 16 bytes
    assert slices_of(4096, 4096, 1 << 20) == 1  # enough tiles
    assert slices_of(96, 363, 4096) == 4  # too short for more


def test_products_copy_nothing_and_their_rows_begin_at_16_bytes(two_gpus: ModuleType, rng: Any) -> None:
    """As many columns as the first convolution of AlexNet has filters, K = 363; 32 images of 4, 9 or 25 columns."""
    for side, groups in ((12, 1), (13, 3), (15, 1)):
        x, w = (
            rng.standard_normal(shape).astype(np.float32) for shape in ((32, 3, side, side), (12, 3 // groups, 11, 11))
        )
        x, w = (Tensor(to_device(array, "cuda"), requires_grad=True) for array in (x, w))
        with fake_counts.counting() as counts:
            F.conv2d(x, w, padding=0, groups=groups).sum().backward()
        assert len(counts.products) == 3 or groups > 1
        for product in counts.products:
            assert product.copies == 0
            assert all(leading % 4 == 0 for leading in product.leading), product


def test_on_a_gpu_pieces_have_a_multiple_of_16_images(two_gpus: ModuleType) -> None:
    assert [memory.whole_images(two_gpus, (1 << 30) // count) for count in (1, 15, 16, 61, 100)] == [1, 15, 16, 48, 96]
    assert memory.whole_images(np, 1 << 18) == 2
    assert memory.whole_images(np, 1 << 20) == memory.whole_images(two_gpus, 1 << 31) == 1
