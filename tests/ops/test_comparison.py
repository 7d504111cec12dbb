"""Comparisons, and a tensor as Python and NumPy see it: PyTorch's answers, or an error that says why."""

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn

COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]


@pytest.mark.parametrize("function", COMPARISONS)
@pytest.mark.parametrize(
    "other",
    [2, 2.5, True, np.float64(2.0), np.int64(3), np.array([[1.0], [2.0]]), np.array([3, 2, 1])],
    ids=repr,
)
def test_comparisons_go_element_by_element(function: Callable[[Any, Any], Any], other: Any, dtype: type) -> None:
    x = np.array([[1.0, 2.0, 3.0], [2.0, 2.5, np.nan]], dtype)
    tensor = Tensor(x, requires_grad=True)
    for found, expected in (
        (function(tensor, other), function(x, other)),
        (function(other, tensor), function(other, x)),
    ):
        assert isinstance(found, Tensor)
        assert (found.dtype, found.requires_grad, found.creator) == (bool, False, None)
        np.testing.assert_array_equal(found.data, expected)
    if isinstance(other, np.ndarray):
        np.testing.assert_array_equal(function(tensor, Tensor(other)).data, function(x, other))


def test_a_number_is_compared_in_the_tensors_precision() -> None:
    assert (Tensor(np.array([0.1], np.float32)) == 0.1).item()
    assert (Tensor(np.array([0.1])) == 0.1).item()
    assert (Tensor(np.array([200], np.uint8)) < 300).item()  # without an overflow
    assert not (Tensor(np.array([2])) == 2.5).item()


def test_what_is_no_number_is_never_equal() -> None:
    x = Tensor([1.0, 2.0])
    for other in (None, "a", [1.0, 2.0], (1.0, 2.0), [], {1: 2}, object()):  # a list, too, as for PyTorch
        assert (x == other, x != other, other == x, other != x) == (False, True, False, True)
    assert x not in [None, [1.0, 2.0]]


def test_the_accuracy_that_users_of_pytorch_write() -> None:
    scores = Tensor(np.array([[1.0, 2.0], [3.0, 1.0], [0.0, 1.0], [5.0, 4.0]]), requires_grad=True)
    labels = np.array([1, 0, 0, 0])
    predicted = scores.max(1)[1]
    for correct in (predicted == labels, labels == predicted, predicted == Tensor(labels)):
        assert np.mean(correct) == 0.75
        assert correct.sum().item() == 3


def test_a_tensor_is_a_key_by_identity() -> None:
    a, b = Tensor([1.0, 2.0]), Tensor([1.0, 2.0])
    assert (a == b).data.all()
    found = {a: "a", b: "b"}
    assert (found[a], found[b], len({a, b, a})) == ("a", "b", 2)
    parameter = nn.Parameter([1.0])
    assert {parameter: 1}[parameter] == 1


def test_the_best_loss_so_far() -> None:
    loss = (Tensor([1.5], requires_grad=True) * 2).sum()
    assert loss < math.inf
    assert not loss < 3.0
    assert min(loss, 4.0) is loss
    assert max(loss, 4.0) == 4.0


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda x: x.eq([1, 2, 3]), TypeError, r"eq: other must be a Tensor, an array or a number, got \[1, 2, 3\]"),
        (lambda x: x.eq("a"), TypeError, "eq: other must be a Tensor, an array or a number, got 'a'"),
        (lambda x: x > [1, 2, 3], TypeError, ">: the other operand must be a Tensor, an array or a number, got a list"),
        (lambda x: x < (1, 2, 3), TypeError, "<: the other operand must .*, got a tuple"),
        (lambda x: x < "a", TypeError, "'<' not supported between instances of 'Tensor' and 'str'"),
        (lambda x: x >= None, TypeError, "'>=' not supported"),
        (lambda x: x == np.ones(2), ValueError, r"==: shapes \(3,\) and \(2,\) do not fit together"),
        (lambda x: np.ones(2) > x, ValueError, r"<: shapes \(3,\) and \(2,\) do not fit together"),
        (bool, ValueError, r"bool: a tensor of shape \(3,\) is neither true nor false; use x.any\(\) or x.all\(\)"),
        (lambda x: x == x or None, ValueError, "neither true nor false"),
        (lambda x: bool(x[:0]), ValueError, r"bool: a tensor of shape \(0,\)"),
        (lambda x: list(x[0]), TypeError, "iteration over a 0-dimensional tensor"),
        (lambda x: "a" in x, TypeError, "in: a tensor contains numbers, got 'a'"),
        (lambda x: [1, 2][x], TypeError, r"index: a tensor must hold one integer, got float64 of shape \(3,\)"),
        (lambda x: [1, 2][x[0]], TypeError, r"index: a tensor must hold one integer, got float64 of shape \(\)"),
        (lambda x: f"{x:.3f}", TypeError, r"format: '.3f' formats one number, got a tensor of shape \(3,\)"),
        (lambda x: ~x, TypeError, "~: the tensor must hold booleans or integers, got float64"),
        (lambda x: x & True, TypeError, "&: the operands must hold booleans or integers, got a Tensor of shape"),
        (lambda x: (x == 1) | 1.5, TypeError, r"\|: the operands must hold booleans or integers, got 1.5"),
        (lambda x: round(x[0]), TypeError, "__round__"),
        (lambda x: 2**x, TypeError, r"\*\*"),
        (lambda x: x // 2, TypeError, "//"),
        (lambda x: x % 2, TypeError, "%"),
        (divmod, TypeError, "divmod"),
        (np.exp, TypeError, "does not support ufuncs"),
        (float, ValueError, "item: the tensor must have exactly one element"),
        (complex, ValueError, "item: the tensor must have exactly one element"),
    ],
)
def test_what_has_no_answer_is_refused(wrong: Callable[..., Any], error: type[Exception], message: str) -> None:
    x = Tensor(np.array([1.0, 2.0, 3.0]))
    with pytest.raises(error, match=message):
        wrong(x, 2) if wrong is divmod else wrong(x)


def test_one_number_formats_as_python_formats_it() -> None:
    loss = (Tensor([0.5, 0.25], requires_grad=True) * 1).sum()
    assert (f"{loss:.3f}", f"{loss}", f"{loss:>6.2f}", f"{Tensor(3):03d}") == ("0.750", "0.75", "  0.75", "003")
    x = Tensor([1.0])
    assert f"{x}" == str(x) == "Tensor([1.], dtype=float32)"


def test_a_tensor_contains_numbers() -> None:
    x = Tensor(np.array([[1, 2], [3, 4]]))
    assert 3 in x
    assert 7 not in x
    assert Tensor(4) in x


def test_an_integer_is_an_index() -> None:
    assert "abc"[Tensor(1)] == "b"
    assert list(range(Tensor([3]))) == [0, 1, 2]


def test_a_tensor_backwards_and_unchanged() -> None:
    x = Tensor(np.array([[1, 2], [3, 4]]))
    assert [row.data.tolist() for row in reversed(x)] == [[3, 4], [1, 2]]
    assert [row.data.tolist() for row in x] == [[1, 2], [3, 4]]
    assert +x is x
    assert complex(Tensor(2.0)) == 2


def test_masks_are_combined() -> None:
    x = Tensor(np.array([1, 2, 3, 4]))
    assert ((x > 1) & (x < 4)).data.tolist() == [False, True, True, False]
    assert ((x == 1) | np.array([False, False, False, True])).data.tolist() == [True, False, False, True]
    assert ((x > 1) ^ True).data.tolist() == [True, False, False, False]
    assert (True & (x > 1)).data.tolist() == [False, True, True, True]
    assert (~(x > 1)).data.tolist() == [True, False, False, False]
    assert x[x > 2].data.tolist() == [3, 4]


# --- NumPy --------------------------------------------------------------------------------------------------------


def test_numpy_sees_an_array(dtype: type) -> None:
    x = Tensor(np.array([[1, 2], [3, 4]], dtype))
    assert np.asarray(x) is x.data
    assert np.array(x).dtype == dtype
    assert not np.shares_memory(np.array(x), x.data)
    assert np.asarray(x, np.int64).tolist() == [[1, 2], [3, 4]]
    assert np.asarray(x, np.int64).dtype == np.int64
    assert np.array(x, copy=False) is x.data
    with pytest.raises(ValueError, match="copy"):
        np.array(x, np.int64, copy=False)


def test_numpys_functions_see_arrays() -> None:
    x = Tensor(np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert np.mean(x, axis=0).tolist() == [2, 3]
    assert np.sum(x) == 10
    assert np.stack([x, x]).shape == (2, 2, 2)
    assert np.concatenate((x, np.ones((1, 2)))).shape == (3, 2)
    assert np.allclose(x, b=x)
    assert np.argmax(x) == 3


@pytest.mark.parametrize(
    "function", [np.array, np.asarray, np.mean, lambda x: np.asarray(x, np.float64), lambda x: np.stack([x, x])]
)
def test_an_array_cannot_carry_a_gradient(function: Callable[[Any], Any]) -> None:
    leaf = Tensor([1.0, 2.0], requires_grad=True)
    for x in (leaf, leaf * 2):
        with pytest.raises(RuntimeError, match=r"np.asarray: the tensor requires a gradient.*use tensor.numpy\(\)"):
            function(x)
        np.testing.assert_array_equal(function(x.detach()), function(x.numpy()))


def test_an_array_is_not_fetched_from_a_gpu(gpu: str) -> None:
    with pytest.raises(TypeError, match=rf"np.asarray: the tensor is on {gpu}.*use tensor.numpy\(\)"):
        np.asarray(Tensor([1.0]).to(gpu))
    x = Tensor([1.0, 2.0]).to(gpu)
    found = x == x
    assert found.device == x.device
    assert found.numpy().all()
    with pytest.raises(TypeError, match="device"):
        x == Tensor([1.0, 2.0])  # noqa: B015


def test_equal_and_allclose() -> None:
    x = Tensor([1.0, 2.0, np.nan])
    assert x[:2].equal(Tensor([1.0, 2.0])) is True
    assert minicnn.equal(x, x) is False  # NaN
    assert minicnn.equal(x, x[:2]) is False
    assert minicnn.allclose(x, x, equal_nan=True) and not x.allclose(x)
    assert minicnn.allclose(Tensor([1.0]), Tensor([1.01]), rtol=0.1)


def test_all_and_any(device: str) -> None:
    x = Tensor([1.0, 0.0]).to(device)
    assert (x.any().item(), x.all().item(), (x < 2).all().item(), (x > 2).any().item()) == (True, False, True, False)
    assert x.eq(0).tolist() == [False, True]
