"""To another device or dtype, and the way back of the gradient."""

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor


@pytest.mark.parametrize(
    ("convert", "dtype"),
    [
        (Tensor.float, np.float32),
        (Tensor.double, np.float64),
        (Tensor.int, np.int32),
        (Tensor.long, np.int64),
        (Tensor.bool, np.bool_),
        (lambda x: x.to(minicnn.float64), np.float64),
        (lambda x: x.to(dtype=np.uint8), np.uint8),
        (lambda x: x.type(minicnn.float64), np.float64),
        (lambda x: x.to("cpu", minicnn.long), np.int64),
        (lambda x: x.to(Tensor(np.ones(1))), np.float64),
    ],
)
def test_dtypes(convert: Any, dtype: Any, device: str) -> None:
    x = Tensor([0.0, 1.5, 2.0]).to(device)
    y = convert(x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y.numpy(), x.numpy().astype(dtype))
    assert convert(y) is y


def test_the_gradient_comes_back_in_the_tensors_own_precision(device: str) -> None:
    x = Tensor([1.0, 2.0]).to(device).requires_grad_()
    y = x.double() * 3
    assert y.dtype == np.float64
    y.sum().backward()
    assert x.grad.dtype == np.float32
    assert x.grad.tolist() == [3, 3]


def test_whole_numbers_have_no_gradient() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    assert not x.long().requires_grad
    assert not (x > 1).float().requires_grad


def test_names_of_devices(gpu: str) -> None:
    x = Tensor([1.0])
    assert x.cuda().device == x.cuda(0).device == x.cuda("cuda:0").device == "cuda:0"
    assert x.to("cuda", non_blocking=True).cpu().device == "cpu"
    assert x.cpu() is x.to("cpu") is x


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda x: x.to(np.float16), TypeError, "to: dtype must be float32, float64, an integer or bool, got float16"),
        (lambda x: x.to("float32"), ValueError, "device must be 'cpu', 'cuda' or 'cuda:N', got 'float32'"),
        (lambda x: x.to(3), ValueError, "device must be 'cpu', 'cuda' or 'cuda:N', got 3"),
        (lambda x: x.to(str), TypeError, "to: dtype must be float32, float64, an integer or bool, got <U0"),
        (lambda x: x.float(memory_format=None), TypeError, r"Tensor.float\(\) got an unexpected keyword argument"),
        (lambda x: x.add_(1, 2), TypeError, r"Tensor.add_\(\) takes 2 positional arguments"),
        (lambda x: x.cuda(1.5), NotImplementedError, "cuda: device must be None, got 1.5"),
    ],
)
def test_refusals(wrong: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        wrong(Tensor([1.0]))
