"""+ - * / ** @ neg exp log, with broadcasting."""

import math
import operator
from collections.abc import Callable
from typing import Any

import naive
import numpy as np
import pytest

import minicnn
from minicnn import Tensor
from minicnn.ops.arithmetic import exp, log, matmul

BINARY = [operator.add, operator.sub, operator.mul, operator.truediv]
SHAPES = [
    ((3, 4), (3, 4)),
    ((3, 4), (4,)),
    ((4,), (3, 4)),
    ((3, 1), (1, 4)),
    ((2, 3, 4), (3, 1)),
    ((1, 1, 1), (2, 4)),
    ((), (2, 3)),
    ((2, 3), ()),
    ((), ()),
    ((1,), ()),
    ((0, 3), (3,)),
    ((0,), (1,)),
    ((2, 0), (2, 1)),
]


@pytest.mark.parametrize("function", BINARY)
@pytest.mark.parametrize(("a_shape", "b_shape"), SHAPES)
def test_binary(
    function: Callable[[Any, Any], Any],
    a_shape: tuple[int, ...],
    b_shape: tuple[int, ...],
    dtype: type,
    rng: np.random.Generator,
) -> None:
    a, b = rng.uniform(1, 2, a_shape).astype(dtype), rng.uniform(-2, -1, b_shape).astype(dtype)
    y = function(Tensor(a), Tensor(b))
    assert y.dtype == dtype
    stretched_a, stretched_b = np.broadcast_arrays(a, b)
    assert y.shape == stretched_a.shape
    for place in np.ndindex(y.shape):
        exact = function(float(stretched_a[place]), float(stretched_b[place]))
        assert float(y.data[place]) == pytest.approx(exact, rel=4 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("function", BINARY)
@pytest.mark.parametrize(("a_shape", "b_shape"), SHAPES)
def test_binary_gradients(
    function: Callable[[Any, Any], Any],
    a_shape: tuple[int, ...],
    b_shape: tuple[int, ...],
    rng: np.random.Generator,
) -> None:
    a = Tensor(rng.uniform(1, 2, a_shape), requires_grad=True)
    b = Tensor(rng.uniform(-2, -1, b_shape), requires_grad=True)
    if 0 in a_shape + b_shape:
        y = function(a, b)
        y.backward(np.ones(y.shape))
        for x in (a, b):  # a sum of nothing
            np.testing.assert_array_equal(x.grad, np.zeros(x.shape))
    else:
        assert minicnn.gradcheck(function, (a, b))


@pytest.mark.parametrize("function", BINARY)
@pytest.mark.parametrize("number", [3, 2.5, True, np.float64(2.5), np.array([[3.0], [2.0]])], ids=repr)
def test_numbers_and_arrays_on_either_side(function: Callable[[Any, Any], Any], number: Any) -> None:
    x = np.array([[1.0, 2.0], [4.0, 8.0]])
    right, left = function(Tensor(x), number), function(number, Tensor(x))
    assert isinstance(right, Tensor)
    assert isinstance(left, Tensor)
    np.testing.assert_array_equal(right.data, function(x, number))
    np.testing.assert_array_equal(left.data, function(number, x))


@pytest.mark.parametrize("function", BINARY)
@pytest.mark.parametrize("number", [3, 2.5, -0.1])
def test_python_numbers_take_the_tensors_precision(
    function: Callable[[Any, Any], Any], number: float, dtype: type
) -> None:
    x = Tensor(np.ones((2, 2), dtype), requires_grad=True)
    for y in (function(x, number), function(number, x)):
        assert y.dtype == dtype
        y.backward(np.ones((2, 2)))
        assert x.grad.dtype == dtype


@pytest.mark.parametrize("function", BINARY)
@pytest.mark.parametrize(
    "number", [np.float64(2.5), np.float32(2.5), np.float16(2.5), np.int64(3), np.uint8(3)], ids=repr
)
def test_numpys_numbers_take_the_tensors_precision(
    function: Callable[[Any, Any], Any], number: Any, dtype: type
) -> None:
    x = Tensor(np.full((2, 2), 4.0, dtype))
    for y, expected in (
        (function(x, number), function(4.0, float(number))),
        (function(number, x), function(float(number), 4.0)),
    ):
        assert y.dtype == dtype
        np.testing.assert_array_equal(y.data, np.full((2, 2), expected, dtype))


@pytest.mark.parametrize("number", [0.1, 1 / 3, np.float64(0.1)])
def test_a_number_keeps_the_digits_that_the_tensor_has(number: float) -> None:
    x = Tensor(np.array([1.0]))
    assert float(x * number) == float(number * x) == number
    assert float(x + number) == 1 + number
    assert float(x - number) == 1 - number
    assert float(number / x) == number


def test_whole_numbers_beside_booleans_stay_whole() -> None:
    mask = Tensor(np.array([True, False]))
    for number in (2, np.int64(2)):
        assert (mask * number).data.tolist() == [2, 0]
        assert (number + mask).data.tolist() == [3, 2]
    assert (mask * True).data.tolist() == [True, False]


@pytest.mark.parametrize("wrong", [None, "2", [1.0, 2.0], 1j])
@pytest.mark.parametrize(("symbol", "function"), list(zip("+-*/", BINARY, strict=True)))
def test_the_other_side_must_be_a_number(symbol: str, function: Callable[[Any, Any], Any], wrong: Any) -> None:
    with pytest.raises(TypeError, match=rf"\{symbol}: the other operand must be a Tensor, an array or a number"):
        function(Tensor([1.0, 2.0]), wrong)


@pytest.mark.parametrize(("symbol", "function"), list(zip("+-*/", BINARY, strict=True)))
def test_shapes_that_do_not_broadcast(symbol: str, function: Callable[[Any, Any], Any]) -> None:
    with pytest.raises(ValueError, match=rf"\{symbol}: shapes \(2, 3\) and \(2,\) do not fit together"):
        function(Tensor(np.ones((2, 3))), Tensor(np.ones(2)))


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3)])
@pytest.mark.parametrize(
    ("function", "reference"),
    [
        (operator.neg, operator.neg),
        (exp, math.exp),
        (log, math.log),
        (lambda x: x**2, lambda x: x * x),
        (lambda x: x**-1.5, lambda x: 1 / (x * math.sqrt(x))),
    ],
    ids=["neg", "exp", "log", "square", "power"],
)
def test_elementwise(
    function: Callable[[Tensor], Tensor],
    reference: Callable[[float], float],
    shape: tuple[int, ...],
    dtype: type,
    rng: np.random.Generator,
) -> None:
    x = rng.uniform(0.5, 2, shape).astype(dtype)
    y = function(Tensor(x))
    assert (y.shape, y.dtype) == (shape, dtype)
    np.testing.assert_allclose(y.data, naive.elementwise(reference, x), rtol=8 * np.finfo(dtype).eps)
    if x.size:
        assert minicnn.gradcheck(function, Tensor(x.astype(np.float64), requires_grad=True))


def test_methods_are_the_functions() -> None:
    x = Tensor([1.0, 2.0])
    np.testing.assert_array_equal(x.exp().data, exp(x).data)
    np.testing.assert_array_equal(x.log().data, log(x).data)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, -1, -2, 0.5, 2.0, -0.75, np.float32(1.5), np.int64(2)])
def test_powers(exponent: float, rng: np.random.Generator) -> None:
    x = Tensor(rng.uniform(0.5, 2, (3, 2)), requires_grad=True)
    assert minicnn.gradcheck(lambda t: t**exponent, x)
    single = Tensor(np.ones(2, np.float32), requires_grad=True) ** exponent
    assert single.dtype == np.float32


@pytest.mark.parametrize(("exponent", "slope"), [(0, 0.0), (1, 1.0), (2, 0.0), (3, 0.0), (1.5, 0.0)])
def test_powers_of_zero(exponent: float, slope: float) -> None:
    x = Tensor(np.zeros(1), requires_grad=True)
    (x**exponent).backward()
    np.testing.assert_array_equal(x.grad, [slope])


@pytest.mark.parametrize("wrong", [None, "2", True, Tensor(2.0), np.ones(2)])
def test_exponents_are_plain_numbers(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"\*\*: the exponent must be a plain number, got"):
        Tensor([1.0]) ** wrong


MATRICES = [
    ((2, 3), (3, 4)),
    ((3,), (3, 4)),
    ((2, 3), (3,)),
    ((3,), (3,)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((6, 1, 2, 3), (5, 3, 4)),
    ((3,), (5, 3, 4)),
    ((5, 2, 3), (3,)),
    ((1, 1), (1, 1)),
]


def naive_matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Stacks of matrices only."""
    leading = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = np.broadcast_to(a, leading + a.shape[-2:]), np.broadcast_to(b, leading + b.shape[-2:])
    y = np.zeros((*leading, a.shape[-2], b.shape[-1]))
    for *i, m, n in np.ndindex(*y.shape):
        y[*i, m, n] = sum(float(a[*i, m, k]) * float(b[*i, k, n]) for k in range(a.shape[-1]))
    return y


@pytest.mark.parametrize(("a_shape", "b_shape"), MATRICES)
def test_matmul(a_shape: tuple[int, ...], b_shape: tuple[int, ...], dtype: type, rng: np.random.Generator) -> None:
    a, b = rng.standard_normal(a_shape).astype(dtype), rng.standard_normal(b_shape).astype(dtype)
    y = Tensor(a) @ Tensor(b)
    expected = naive_matmul(a if a.ndim > 1 else a[None], b if b.ndim > 1 else b[:, None])
    expected = expected if b.ndim > 1 else expected[..., 0]
    if a.ndim == 1:
        expected = expected[..., 0, :] if b.ndim > 1 else expected[..., 0]
    assert (y.shape, y.dtype) == (expected.shape, dtype)
    np.testing.assert_allclose(y.data, expected, rtol=0, atol=20 * np.finfo(dtype).eps)
    for other in (matmul(Tensor(a), b), a @ Tensor(b), Tensor(a) @ b):
        np.testing.assert_array_equal(other.data, y.data)


@pytest.mark.parametrize(("a_shape", "b_shape"), MATRICES)
def test_matmul_gradients(a_shape: tuple[int, ...], b_shape: tuple[int, ...], rng: np.random.Generator) -> None:
    a = Tensor(rng.standard_normal(a_shape), requires_grad=True)
    b = Tensor(rng.standard_normal(b_shape), requires_grad=True)
    assert minicnn.gradcheck(matmul, (a, b))


@pytest.mark.parametrize(("a_shape", "b_shape"), [((0, 3), (3, 4)), ((2, 0), (0, 4)), ((0, 2, 3), (3, 4))])
def test_matmul_of_nothing(a_shape: tuple[int, ...], b_shape: tuple[int, ...]) -> None:
    a, b = Tensor(np.ones(a_shape), requires_grad=True), Tensor(np.ones(b_shape), requires_grad=True)
    y = a @ b
    np.testing.assert_array_equal(y.data, np.zeros(y.shape))
    y.backward(np.ones(y.shape))
    np.testing.assert_array_equal(b.grad, np.zeros(b_shape))
    assert a.grad.shape == a_shape


@pytest.mark.parametrize(("a_shape", "b_shape"), [((2, 3), (2, 3)), ((3,), (4,)), ((), (3,)), ((2, 2, 3), (5, 3, 4))])
def test_matrices_that_do_not_fit(a_shape: tuple[int, ...], b_shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="@: shapes .* and .* do not fit together") as error:
        Tensor(np.ones(a_shape)) @ Tensor(np.ones(b_shape))
    assert str(a_shape) in str(error.value)
    assert str(b_shape) in str(error.value)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (np.ones(2, np.float32), np.ones(2, np.int64), np.float32),
        (np.ones(2, np.float32), np.ones(2, np.float64), np.float64),
        (np.ones(2, np.float32), np.ones((), np.float64), np.float32),
        (np.ones(2, np.int64), np.ones((), np.float64), np.float64),
        (np.ones(2, np.uint8), np.ones((), np.int64), np.uint8),
        (np.ones(2, np.uint8), np.ones(2, np.int64), np.int64),
        (np.ones(2, np.bool_), np.ones(2, np.uint8), np.uint8),
        (np.ones(2, np.bool_), np.ones((), np.int32), np.int32),
    ],
)
def test_tensors_of_different_dtypes(a: np.ndarray, b: np.ndarray, expected: type, device: str) -> None:
    x, y = Tensor(a).to(device), Tensor(b).to(device)
    assert (x + y).dtype == (y * x).dtype == expected
    assert (x + y).tolist() == [2, 2]


def test_the_gradient_of_a_tensor_of_lower_precision_is_its_own() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = Tensor(np.array([3.0, 4.0]), requires_grad=True)
    (x * y).sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == (np.float32, np.float64)
    assert (x.grad.tolist(), y.grad.tolist()) == ([3, 4], [1, 2])


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int32, np.int64])
def test_a_quotient_of_whole_numbers_is_float32(dtype: type, device: str) -> None:
    y = Tensor(np.array([1, 0], dtype)).to(device) / Tensor(np.array([1, 1], dtype)).to(device)
    assert (y.dtype, y.tolist()) == (np.float32, [1, 0])


@pytest.mark.parametrize("function", [Tensor.exp, Tensor.log, Tensor.sqrt, lambda x: x**0.5])
def test_functions_of_whole_numbers_are_float32(function: Callable[[Tensor], Tensor]) -> None:
    y = function(Tensor([1, 4]))
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y.data, function(Tensor([1.0, 4.0])).data)


def test_the_slope_of_abs_is_zero_at_the_kink() -> None:
    x = Tensor([-2.0, 0.0, 3.0], requires_grad=True)
    abs(x).sum().backward()
    assert x.grad.tolist() == [-1, 0, 1]
    assert Tensor([-2, 3]).abs().tolist() == [2, 3]


def test_numbers_in_arrays_go_to_the_gpu_of_their_partner(gpu: str) -> None:
    x = Tensor([1.0, 2.0], requires_grad=True).to(gpu)
    for two in (2, np.float32(2), np.float64(2), np.int64(2), np.array(2.0), np.array(2, np.int32)):
        for y in (x * two, two * x, x + two, x / two, two - x):
            assert y.device == x.device and y.dtype == np.float32
    np.testing.assert_array_equal((np.array(2.0) * x).numpy(), [2, 4])
    assert (x > np.array(1.5)).tolist() == [False, True]
    with pytest.raises(TypeError, match="must be on one device"):
        x * np.ones(2, np.float32)
