"""New tensors. Their values and dtypes are compared with PyTorch's in tests/torch/test_tensor.py."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor

MAKERS: dict[str, Callable[..., Tensor]] = {
    "tensor": lambda **settings: minicnn.tensor([[1.0, 2.0]], **settings),
    "zeros": lambda **settings: minicnn.zeros(1, 2, **settings),
    "ones": lambda **settings: minicnn.ones((1, 2), **settings),
    "empty": lambda **settings: minicnn.empty(1, 2, **settings),
    "full": lambda **settings: minicnn.full((1, 2), 0.5, **settings),
    "arange": lambda **settings: minicnn.arange(2.0, **settings).view(1, 2),
    "linspace": lambda **settings: minicnn.linspace(0, 1, 2, **settings).view(1, 2),
    "eye": lambda **settings: minicnn.eye(1, 2, **settings),
    "rand": lambda **settings: minicnn.rand(1, 2, **settings),
    "randn": lambda **settings: minicnn.randn((1, 2), **settings),
    "zeros_like": lambda **settings: minicnn.zeros_like(minicnn.ones(1, 2), **settings),
    "ones_like": lambda **settings: minicnn.ones_like(minicnn.ones(1, 2), **settings),
    "full_like": lambda **settings: minicnn.full_like(minicnn.ones(1, 2), 3.0, **settings),
    "rand_like": lambda **settings: minicnn.rand_like(minicnn.ones(1, 2), **settings),
    "randn_like": lambda **settings: minicnn.randn_like(minicnn.ones(1, 2), **settings),
}


@pytest.mark.parametrize("name", MAKERS)
def test_dtype_device_and_gradient(name: str, device: str) -> None:
    make = MAKERS[name]
    plain = make()
    assert (plain.shape, plain.dtype, plain.device, plain.requires_grad) == ((1, 2), np.float32, "cpu", False)
    double = make(dtype=minicnn.float64, device=device, requires_grad=True)
    assert double.dtype == np.float64
    assert double.device.partition(":")[0] == device
    assert double.requires_grad
    assert double.creator is None or name in ("arange", "linspace")


@pytest.mark.parametrize("name", MAKERS)
def test_what_is_no_dtype_of_tensors_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match="dtype must be float32, float64, an integer or bool, got float16"):
        MAKERS[name](dtype=np.float16)


def test_new_tensors_are_made_on_the_default_device(gpu: str) -> None:
    minicnn.set_default_device(gpu)
    try:
        assert minicnn.zeros(2).device == minicnn.randn(2).device == minicnn.tensor([1.0]).device == "cuda:0"
        assert minicnn.zeros_like(Tensor([1.0])).device == "cpu"
        assert minicnn.tensor(Tensor([1.0])).device == "cpu"
    finally:
        minicnn.set_default_device("cpu")


@pytest.mark.parametrize("draw", [minicnn.rand, minicnn.randn, lambda n: minicnn.randint(1000, (n,)), minicnn.randperm])
def test_a_seed_gives_the_same_numbers_again(draw: Callable[[int], Tensor]) -> None:
    minicnn.manual_seed(7)
    first = draw(50)
    assert not minicnn.equal(first, draw(50))
    minicnn.manual_seed(7)
    assert minicnn.equal(first, draw(50))


def test_every_device_gets_the_same_random_numbers(device: str) -> None:
    minicnn.manual_seed(0)
    there = minicnn.randn(3, device=device)
    minicnn.manual_seed(0)
    np.testing.assert_array_equal(there.numpy(), minicnn.randn(3).numpy())


def test_how_random_numbers_are_spread() -> None:
    minicnn.manual_seed(0)
    uniform, normal, dice = minicnn.rand(10_000), minicnn.randn(10_000), minicnn.randint(1, 7, (10_000,))
    assert 0 <= uniform.min().item() < 0.01 and 0.99 < uniform.max().item() < 1
    assert abs(normal.mean().item()) < 0.05 and abs(normal.std().item() - 1) < 0.05
    assert sorted(set(dice.tolist())) == [1, 2, 3, 4, 5, 6]


def test_tensor_copies_and_from_numpy_does_not() -> None:
    array = np.array([1.0, 2.0])
    copied, shared = minicnn.tensor(array), minicnn.from_numpy(array)
    array[0] = 5
    assert (copied.tolist(), shared.tolist()) == ([1, 2], [5, 2])
    assert copied.dtype == shared.dtype == np.float64
    leaf = Tensor([1.0], requires_grad=True)
    assert not minicnn.tensor(leaf * 2).requires_grad


def test_numbers_keep_the_precision_that_is_asked_for() -> None:
    assert minicnn.tensor(0.1, dtype=minicnn.float64).item() == 0.1
    assert minicnn.full((1,), 0.1, dtype=minicnn.float64).item() == 0.1
    assert minicnn.tensor(2**53 + 1).item() == 2**53 + 1


def test_an_end_alone_may_be_named() -> None:
    drawn = minicnn.randint(3, size=(4, 5))
    assert drawn.shape == (4, 5)
    assert drawn.max().item() < 3
    assert minicnn.randint(low=2, high=3, size=(2,)).tolist() == [2, 2]
    assert minicnn.randint(1, (2,)).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda: minicnn.zeros(2.0), TypeError, "zeros: size must be an integer, got 2.0"),
        (lambda: minicnn.ones(2, -1), ValueError, "ones: size must be at least 0, got -1"),
        (lambda: minicnn.arange(0, 3, -1), ValueError, "arange: step must lead from start to end, got 0, 3 and -1"),
        (lambda: minicnn.arange(3, 0), ValueError, "arange: step must lead from start to end"),
        (lambda: minicnn.linspace(0, 1, 2.5), TypeError, "linspace: steps must be an integer, got 2.5"),
        (lambda: minicnn.randint(5, 5, (2,)), ValueError, "randint: high must be at least 6, got 5"),
        (lambda: minicnn.randn(2, dtype=np.int64), TypeError, "randn: dtype must be float32 or float64, got int64"),
        (lambda: minicnn.from_numpy([1.0]), TypeError, "from_numpy: ndarray must be a NumPy array, got list"),
        (lambda: minicnn.tensor("text"), TypeError, "data must be float32, float64, integers or booleans"),
        (lambda: minicnn.zeros(2, device="gpu"), ValueError, "device must be 'cpu', 'cuda' or 'cuda:N', got 'gpu'"),
        (lambda: minicnn.randperm(3, requires_grad=True), TypeError, "only float32 and float64 can require a gradient"),
    ],
)
def test_refusals(wrong: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        wrong()
