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
