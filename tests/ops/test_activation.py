"""relu, tanh, sigmoid, softmax, log_softmax."""

import math
from collections.abc import Callable
from typing import Any

import naive
import numpy as np
import pytest

import minicnn
import minicnn.functional as F
from minicnn import Tensor
from minicnn.tracing import trace

ELEMENTWISE = [
    (F.relu, lambda x: x if x > 0 else 0.0),
    (F.tanh, math.tanh),
    (F.sigmoid, lambda x: 1 / (1 + math.exp(-x))),
]
elementwise = pytest.mark.parametrize(("function", "reference"), ELEMENTWISE, ids=["relu", "tanh", "sigmoid"])


@elementwise
@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 0, 3), (2, 3), (2, 3, 4, 5), (1, 2, 1, 2, 3)])
def test_values(
    function: Callable[[Any], Tensor],
    reference: Callable[[float], float],
    shape: tuple[int, ...],
    dtype: type,
    rng: np.random.Generator,
) -> None:
    x = (3 * rng.standard_normal(shape)).astype(dtype)
    y = function(Tensor(x))
    assert (y.shape, y.dtype) == (shape, dtype)
    np.testing.assert_allclose(y.data, naive.elementwise(reference, x), rtol=8 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(function(x).data, y.data)  # an array will do


@elementwise
@pytest.mark.parametrize("shape", [(), (1,), (3, 4), (2, 3, 2)])
def test_gradients(
    function: Callable[[Any], Tensor], reference: Any, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    assert minicnn.gradcheck(function, Tensor(rng.standard_normal(shape), requires_grad=True))


@elementwise
@pytest.mark.parametrize("shape", [(0,), (2, 0, 3)])
def test_gradients_of_nothing(function: Callable[[Any], Tensor], reference: Any, shape: tuple[int, ...]) -> None:
    x = Tensor(np.ones(shape), requires_grad=True)
    function(x).sum().backward()
    assert x.grad.shape == shape


@elementwise
def test_nan_goes_through(function: Callable[[Any], Tensor], reference: Any, dtype: type) -> None:
    x = Tensor(np.array([np.nan, 1.0], dtype), requires_grad=True)
    y = function(x)
    assert np.isnan(y.data).tolist() == [True, False]
    y.backward(np.array([np.nan, 1.0], dtype))
    assert np.isnan(x.grad).tolist() == [True, False]


@elementwise
@pytest.mark.parametrize("wrong", [[1, 2], [True], np.ones(2, np.uint8)], ids=repr)
def test_whole_numbers_are_refused(function: Callable[[Any], Tensor], reference: Any, wrong: Any) -> None:
    dtype = Tensor(wrong).dtype
    with pytest.raises(TypeError, match=f"{function.__name__}: input must be float32 or float64, got {dtype}"):
        function(Tensor(wrong))


def test_relu_at_its_kink_and_far_out() -> None:
    x = Tensor(np.array([-np.inf, -1.0, -0.0, 0.0, 1e-300, np.inf]), requires_grad=True)
    y = F.relu(x)
    np.testing.assert_array_equal(y.data, [0, 0, 0, 0, 1e-300, np.inf])
    y.backward(np.full(6, 2.0))
    np.testing.assert_array_equal(x.grad, [0, 0, 0, 0, 2, 2])


def test_relu_hands_on_nan_that_comes_back() -> None:
    """A NaN gradient is noticed where the unit is on, and where the unit itself is NaN."""
    x = Tensor(np.array([np.nan, 1.0, -1.0]), requires_grad=True)
    F.relu(x).backward(np.array([1.0, np.nan, 1.0]))
    np.testing.assert_array_equal(x.grad, [1.0, np.nan, 0.0])


def test_sigmoid_is_stable_far_out(dtype: type) -> None:
    x = Tensor(np.array([-np.inf, -1000, -50, 50, 1000, np.inf], dtype), requires_grad=True)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = F.sigmoid(x)
        y.backward(np.ones(6))
    np.testing.assert_allclose(y.data, [0, 0, math.exp(-50), 1, 1, 1], rtol=10 * np.finfo(dtype).eps)
    np.testing.assert_allclose(x.grad, [0, 0, math.exp(-50), 0, 0, 0], rtol=1e-5, atol=1e-21)


def test_tanh_is_stable_far_out(dtype: type) -> None:
    x = Tensor(np.array([-np.inf, -1000, 1000, np.inf], dtype), requires_grad=True)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = F.tanh(x)
        y.backward(np.ones(4))
    np.testing.assert_array_equal(y.data, [-1, -1, 1, 1])
    np.testing.assert_array_equal(x.grad, [0, 0, 0, 0])


# --- softmax ------------------------------------------------------------------------------------------------

softmaxes = pytest.mark.parametrize("function", [F.softmax, F.log_softmax])


@pytest.mark.parametrize(("shape", "dim"), [((5,), 0), ((3, 4), 0), ((3, 4), 1), ((3, 4), -1), ((2, 3, 4), 1)])
def test_softmax_values(shape: tuple[int, ...], dim: int, dtype: type, rng: np.random.Generator) -> None:
    x = rng.standard_normal(shape).astype(dtype)
    expected = np.apply_along_axis(naive.softmax, dim, x.astype(np.float64))
    y, log_y = F.softmax(Tensor(x), dim), F.log_softmax(Tensor(x), dim=dim)
    assert (y.shape, y.dtype, log_y.shape, log_y.dtype) == (shape, dtype, shape, dtype)
    tolerance = 20 * np.finfo(dtype).eps
    np.testing.assert_allclose(y.data, expected, rtol=tolerance)
    np.testing.assert_allclose(log_y.data, np.log(expected), rtol=tolerance, atol=tolerance)


@softmaxes
@pytest.mark.parametrize(("shape", "dim"), [((5,), 0), ((3, 4), 0), ((3, 4), -1), ((2, 3, 4), 1), ((), 0)])
def test_softmax_gradients(
    function: Callable[[Tensor, int], Tensor], shape: tuple[int, ...], dim: int, rng: np.random.Generator
) -> None:
    assert minicnn.gradcheck(lambda x: function(x, dim), Tensor(rng.standard_normal(shape), requires_grad=True))


def test_softmax_is_stable_far_out(dtype: type) -> None:
    x = Tensor(np.array([[1000.0, 0.0, -1000.0], [-1e30, -1e30, -np.inf]], dtype), requires_grad=True)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y, log_y = F.softmax(x, 1), F.log_softmax(x, 1)
        y.backward(np.ones((2, 3)))
    np.testing.assert_array_equal(y.data, [[1, 0, 0], [0.5, 0.5, 0]])
    np.testing.assert_allclose(log_y.data, [[0, -1000, -2000], [-math.log(2), -math.log(2), -np.inf]])
    np.testing.assert_array_equal(x.grad, np.zeros((2, 3)))


@softmaxes
def test_softmax_of_one_number_and_of_none(function: Callable[[Tensor, int], Tensor], dtype: type) -> None:
    certain = 1 if function is F.softmax else 0
    y = function(Tensor(np.array(3.0, dtype)), -1)
    assert (y.shape, y.dtype, y.item()) == ((), dtype, certain)
    for shape in ((0,), (0, 3), (3, 0)):
        x = Tensor(np.ones(shape, dtype), requires_grad=True)
        y = function(x, 0)
        assert (y.shape, y.dtype) == (shape, dtype)
        y.sum().backward()
        assert x.grad.shape == shape


@softmaxes
def test_softmax_refuses(function: Callable[..., Tensor]) -> None:
    name, x = function.__name__, Tensor(np.ones((2, 3)))
    with pytest.raises(ValueError, match=f"{name}: dim must lie between -2 and 1, got 2"):
        function(x, 2)
    with pytest.raises(ValueError, match=f"{name}: dim must lie between -1 and 0, got 1"):
        function(Tensor(1.0), 1)
    with pytest.raises(TypeError, match=f"{name}: dim must be an integer, got None"):
        function(x, None)
    with pytest.raises(TypeError, match=f"{name}: input must be float32 or float64, got int64"):
        function(Tensor([1, 2]), 0)
    with pytest.raises(TypeError, match="dim"):
        function(x)


@pytest.mark.parametrize("slope", [0.0, 0.01, 0.5, 1.0, -2.0])
def test_leaky_relu_is_its_definition(slope: float, rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 3, 5, 5))
    expected = [v if v > 0 else slope * v for v in x.ravel()]
    np.testing.assert_array_equal(F.leaky_relu(x, slope).numpy().ravel(), expected)


def test_nothing_is_written_into_the_input() -> None:
    for function in (F.leaky_relu, F.dropout):
        with pytest.raises(NotImplementedError, match=f"{function.__name__}: inplace must be False, got True"):
            function(np.ones(3), inplace=True)
    with pytest.raises(TypeError, match="leaky_relu: negative_slope must be a number, got 'steep'"):
        F.leaky_relu(np.ones(3), "steep")


def computed() -> tuple[Tensor, Tensor]:
    """A leaf, and the output of an operation that does not need it for its backward pass."""
    x = Tensor(np.array([-1.0, 2.0, -3.0]), requires_grad=True)
    return x, x * 2


def test_relu_in_place_takes_the_memory_and_the_place_in_the_graph() -> None:
    x, z = computed()
    memory, product = z.data, z.creator
    y = F.relu(z, inplace=True)
    assert y is z and y.data.base is memory or y.data is memory
    assert z.creator is not product and type(z.creator).__name__ == "_ReLUInPlace"
    np.testing.assert_array_equal(memory, [0, 4, 0])
    (y + z).sum().backward()  # z is the output now, as in PyTorch
    np.testing.assert_array_equal(x.grad, [0, 4, 0])


def test_relu_in_place_spares_what_others_need() -> None:
    leaf = Tensor(np.array([-1.0, 2.0]), requires_grad=True)
    _, z = computed()
    _, recorded = computed()
    _, unrecorded = computed()
    exponential = leaf.exp()  # which needs its output
    viewed = z.reshape(3, 1)
    inputs = [leaf, Tensor(np.array([-1.0, 2.0])), exponential, viewed]
    outputs = [F.relu(each, inplace=True) for each in inputs]
    with minicnn.no_grad():
        inputs, outputs = [*inputs, unrecorded], [*outputs, F.relu(unrecorded, inplace=True)]
    with trace():
        inputs, outputs = [*inputs, recorded], [*outputs, F.relu(recorded, inplace=True)]
    for before, after in zip(inputs, outputs, strict=True):
        assert before is not after and not np.shares_memory(before.data, after.data)


def test_an_operation_that_has_saved_the_input_refuses_its_backward_pass() -> None:
    _, z = computed()
    square = z * z
    F.relu(z, inplace=True)
    with pytest.raises(RuntimeError, match=r"Mul needs its input 0.*changed in place since, by relu\(inplace=True\)"):
        square.sum().backward()


def test_the_gradient_that_is_retained_is_that_of_the_output_in_place() -> None:
    _, z = computed()
    z.retain_grad()
    F.relu(z, inplace=True)
    (z * np.array([1.0, 10.0, 100.0])).sum().backward()
    np.testing.assert_array_equal(z.grad, [1, 10, 100])
