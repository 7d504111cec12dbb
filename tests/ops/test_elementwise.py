"""The base of operations that treat each number by itself."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor
from minicnn.backend import asnumpy, to_device
from minicnn.ops.elementwise import Elementwise


class LeakyReLU(Elementwise):
    """y = x where x > 0, else s x;  dL/dx = dL/dy where x > 0, else s dL/dy.  Any shape."""

    keeps = "x"

    def __init__(self, slope: float) -> None:
        self.slope = slope

    def value(self, xp: ModuleType, x: Any, out: Any) -> None:
        out[:] = xp.where(x > 0, x, self.slope * x)

    def gradient(self, xp: ModuleType, x: Any, grad_y: Any, out: Any) -> None:
        out[:] = xp.where(x > 0, grad_y, self.slope * grad_y)


class Exp(Elementwise):
    """y = e^x;  dL/dx = dL/dy y.  Any shape."""

    def value(self, xp: ModuleType, x: Any, out: Any) -> None:
        xp.exp(x, out=out)

    def gradient(self, xp: ModuleType, y: Any, grad_y: Any, out: Any) -> None:
        xp.multiply(y, grad_y, out=out)


@pytest.mark.parametrize("slope", [0.1, 0.0, -2.0])
def test_an_activation_is_a_value_and_a_gradient(slope: float, device: str, dtype: type) -> None:
    numbers = np.array([[-2.0, -0.5], [1.0, 3.0]], dtype)
    x = Tensor(to_device(numbers, device), requires_grad=True)
    operation = LeakyReLU(slope)
    y = operation(x)
    assert vars(operation).keys() == {"slope", "x"} and operation.x is x.data
    y.backward(to_device(np.array([[1, 2], [3, 4]], dtype), device))
    assert (y.dtype, x.grad.dtype) == (dtype, dtype)
    np.testing.assert_array_equal(asnumpy(y.data), np.where(numbers > 0, numbers, slope * numbers))
    np.testing.assert_array_equal(asnumpy(x.grad), np.array([[slope, 2 * slope], [3, 4]], dtype))


@pytest.mark.parametrize("operation", [lambda: LeakyReLU(0.1), Exp])
@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3, 4)])
def test_gradients(operation: Any, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    assert minicnn.gradcheck(lambda x: operation()(x), Tensor(rng.standard_normal(shape), requires_grad=True))


def test_the_output_is_kept_by_default() -> None:
    operation = Exp()
    y = operation(Tensor([1.0, 2.0], requires_grad=True))
    assert vars(operation).keys() == {"y"} and operation.y is y.data


def test_the_cores_share_large_arrays(rng: np.random.Generator) -> None:
    minicnn.set_num_threads(2)
    numbers = rng.standard_normal((3, 400_001)).astype(np.float32)
    x = Tensor(numbers, requires_grad=True)
    LeakyReLU(0.5)(x).backward(numbers)
    np.testing.assert_array_equal(x.grad, np.where(numbers > 0, numbers, numbers / 2))


def test_a_class_without_its_methods() -> None:
    class Nothing(Elementwise):
        pass

    class OneWay(Elementwise):
        def value(self, xp: ModuleType, x: Any, out: Any) -> None:
            out[:] = x

    with pytest.raises(TypeError, match="Nothing .*gradient.*value"):
        Nothing()  # type: ignore[abstract]
    with pytest.raises(TypeError, match="OneWay .*gradient"):
        OneWay()  # type: ignore[abstract]
