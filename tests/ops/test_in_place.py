"""Changes in place: += and its like, and x[index] = value."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn

OPERATORS = [operator.iadd, operator.isub, operator.imul, operator.itruediv]


@pytest.mark.parametrize("change", OPERATORS)
@pytest.mark.parametrize(
    "value", [2, 0.5, np.float64(0.1), np.array([2.0, 4.0], np.float32), Tensor([2.0, 4.0])], ids=repr
)
def test_a_tensor_without_gradient_is_changed_where_it_is(change: Callable[..., Any], value: Any, device: str) -> None:
    array = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    other = value.data if isinstance(value, Tensor) else value
    expected = change(array.copy(), other)
    x = Tensor(array).to(device)
    if isinstance(value, Tensor):
        value = value.to(device)
    elif isinstance(value, np.ndarray):
        value = Tensor(value).to(device)
    before, view = x.data, x.reshape(-1)
    changed = change(x, value)
    assert changed is x
    assert x.data is before
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x.numpy(), expected)
    np.testing.assert_array_equal(view.numpy(), expected.ravel())


def test_the_other_operand_has_pytorchs_name() -> None:
    x = Tensor([1.0, 2.0])
    assert x.mul_(other=3).div_(other=2).tolist() == [1.5, 3]
    assert x.copy_(other=Tensor([4.0, 5.0])).eq(other=4).tolist() == [True, False]
    assert x.reshape(1, 2).mm(mat2=x.reshape(2, 1)).item() == 41


def test_one_number_is_changed_in_place() -> None:
    total = Tensor(np.float32(1))
    total += 2
    assert (total.shape, total.item()) == ((), 3)


def test_gradient_descent_by_hand() -> None:
    weight = nn.Parameter([1.0, 2.0])
    (weight * weight).sum().backward()
    with minicnn.no_grad():
        for parameter in [weight]:
            parameter -= 0.25 * parameter.grad
    assert weight.data.tolist() == [0.5, 1.0]
    assert weight.requires_grad


def test_losses_are_added_up_in_a_graph() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    total = first = (x * 3).sum()
    total += (x * x).sum()
    assert total.item() == 14
    assert first.item() == 9
    total.backward()
    assert x.grad.tolist() == [5, 7]


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda x, w: operator.iadd(w, 1), RuntimeError, r"\+=: a leaf that requires a gradient cannot be changed"),
        (lambda x, w: operator.itruediv(w, x), RuntimeError, "/=: a leaf that requires a gradient"),
        (lambda x, w: operator.setitem(w, 0, 1), RuntimeError, r"x\[index\] = value: a leaf that requires a gradient"),
        (lambda x, w: operator.setitem(w * 2, 0, 1), RuntimeError, r"x\[index\] = value: there is no derivative of it"),
        (lambda x, w: operator.setitem(x, 0, w[0]), RuntimeError, r"x\[index\] = value: there is no derivative of it"),
        (lambda x, w: operator.isub(x, np.ones((2, 2))), ValueError, r"-=: shape \(2,\) cannot hold .*\(2, 2\)"),
        (lambda x, w: operator.imul(Tensor([1, 2]), 0.5), TypeError, r"\*=: a tensor of int64 cannot hold .*float"),
        (
            lambda x, w: operator.iadd(x, "a"),
            TypeError,
            r"\+=: the other operand must be a Tensor, an array or a number",
        ),
        (lambda x, w: operator.ipow(w, "a"), TypeError, "exponent"),
    ],
)
def test_refusals(wrong: Callable[..., Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        wrong(Tensor([1.0, 2.0]), Tensor([3.0, 4.0], requires_grad=True))


def test_elements_are_assigned() -> None:
    x = Tensor(np.zeros((2, 3), np.float32))
    x[0] = 1
    x[1, 1:] = Tensor([2.0, 3.0])
    x[Tensor([1]), 0] = np.array([4.0])
    assert x.data.tolist() == [[1, 1, 1], [4, 2, 3]]
    x[x > 2] = 0
    assert x.data.tolist() == [[1, 1, 1], [0, 2, 0]]


METHODS = {
    "add_": lambda x, y: x + y,
    "sub_": lambda x, y: x - y,
    "mul_": lambda x, y: x * y,
    "div_": lambda x, y: x / y,
    "copy_": lambda x, y: y,
    "fill_": lambda x, y: y,
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("value", [2.0, np.array([2.0, 4.0], np.float32)], ids=["number", "row"])
def test_methods(name: str, value: Any, device: str) -> None:
    array = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    x = Tensor(array.copy()).to(device)
    before = x.data
    other = value if isinstance(value, float) else Tensor(value).to(device)
    assert getattr(x, name)(other) is x
    assert x.data is before
    np.testing.assert_array_equal(x.numpy(), np.broadcast_to(METHODS[name](array, value), (2, 2)))


def test_a_factor_for_what_is_added() -> None:
    x = Tensor([1.0, 2.0])
    assert x.add_(Tensor([10.0, 20.0]), alpha=0.5).tolist() == [6, 12]
    assert x.sub_(np.array([1.0, 1.0], np.float32), alpha=2).tolist() == [4, 10]
    assert x.zero_().tolist() == [0, 0]


@pytest.mark.parametrize("name", [*METHODS, "zero_"])
def test_methods_never_make_a_new_tensor(name: str) -> None:
    """Unlike ``y += x``, which a graph turns into ``y = y + x``."""
    value = () if name == "zero_" else (Tensor([1.0], requires_grad=True),)
    with pytest.raises(RuntimeError, match=f"{name}: (there is no derivative of it|a leaf that requires a gradient)"):
        getattr(Tensor([2.0], requires_grad=True) * 2, name)(*value)
    with pytest.raises(RuntimeError, match=f"{name}: a leaf that requires a gradient cannot be changed in place"):
        getattr(Tensor([2.0], requires_grad=True), name)(*value)
    weight = nn.Parameter([2.0])
    with minicnn.no_grad():
        getattr(weight, name)(*value)


def test_a_backward_pass_notices_methods() -> None:
    x, w = Tensor([2.0]), Tensor([3.0], requires_grad=True)
    y = w * x
    x.zero_()
    with pytest.raises(RuntimeError, match="changed in place since, by zero_"):
        y.backward()
