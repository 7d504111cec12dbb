"""Reductions: sum, mean, variance, the largest and the smallest."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor

SHAPE = (3, 4, 2)
DIMS = [None, 0, 1, -1, (0,), (0, 2), (-1, 0), [1, 2], (0, 1, 2), ()]


def groups(shape: tuple[int, ...], dims: tuple[int, ...]) -> dict[tuple[int, ...], list[tuple[int, ...]]]:
    """Which places of the input go into each place of the output (with the reduced dimensions kept as 1)."""
    members: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for place in np.ndindex(shape):
        goal = tuple(0 if i in dims else position for i, position in enumerate(place))
        members.setdefault(goal, []).append(place)
    return members


def dims_of(dim: Any, ndim: int) -> tuple[int, ...]:
    if dim is None:
        return tuple(range(ndim))
    return tuple(d % ndim for d in (dim if isinstance(dim, (tuple, list)) else (dim,)))


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", DIMS, ids=repr)
def test_sum_and_mean(dim: Any, keepdim: bool, dtype: type, rng: np.random.Generator) -> None:
    x = rng.standard_normal(SHAPE).astype(dtype)
    dims = dims_of(dim, 3)
    kept = tuple(1 if i in dims else size for i, size in enumerate(SHAPE))
    shape = kept if keepdim else tuple(size for i, size in enumerate(SHAPE) if i not in dims)
    total, average = Tensor(x).sum(dim, keepdim), Tensor(x).mean(dim=dim, keepdim=keepdim)
    for y in (total, average):
        assert (y.shape, y.dtype) == (shape, dtype)
    for goal, places in groups(SHAPE, dims).items():
        exact = math.fsum(float(x[place]) for place in places)
        tolerance = 30 * float(np.finfo(dtype).eps)
        assert float(total.data.reshape(kept)[goal]) == pytest.approx(exact, abs=tolerance)
        assert float(average.data.reshape(kept)[goal]) == pytest.approx(exact / len(places), abs=tolerance)


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", DIMS, ids=repr)
@pytest.mark.parametrize("function", [Tensor.sum, Tensor.mean])
def test_sum_and_mean_gradients(
    function: Callable[..., Tensor], dim: Any, keepdim: bool, rng: np.random.Generator
) -> None:
    x = Tensor(rng.standard_normal(SHAPE), requires_grad=True)
    assert minicnn.gradcheck(lambda t: function(t, dim, keepdim), x)


def test_sums_of_nothing() -> None:
    nothing = Tensor(np.ones((0, 3)), requires_grad=True)
    assert nothing.sum().item() == 0
    assert nothing.sum(0).data.tolist() == [0, 0, 0]
    assert nothing.sum(1).shape == (0,)
    nothing.sum().backward()
    assert nothing.grad.shape == (0, 3)


def test_means_of_empty_rows() -> None:
    nothing = Tensor(np.ones((0, 3)), requires_grad=True)
    y = nothing.mean(1)
    assert y.shape == (0,)
    y.backward(np.ones(0))
    assert nothing.grad.shape == (0, 3)


def test_one_number() -> None:
    x = Tensor(np.float64(3.0), requires_grad=True)
    for y in (x.sum(), x.sum(0), x.mean(), x.mean(-1), x.max(), x.max(0).values):
        assert (y.shape, y.item()) == ((), 3.0)
        y.backward()
    assert x.max(0).indices.item() == 0
    np.testing.assert_array_equal(x.grad, 6.0)


@pytest.mark.parametrize("function", [Tensor.sum, Tensor.mean, Tensor.max])
def test_dimensions_that_do_not_exist(function: Callable[..., Any]) -> None:
    name = function.__name__
    with pytest.raises(ValueError, match=f"{name}: dim must lie between -2 and 1, got 2"):
        function(Tensor(np.ones((2, 3))), 2)
    with pytest.raises(ValueError, match=f"{name}: dim must lie between -1 and 0, got -2"):
        function(Tensor(1.0), -2)
    with pytest.raises(TypeError, match=f"{name}: dim must be an integer, got 0.5"):
        function(Tensor(np.ones((2, 3))), 0.5)


@pytest.mark.parametrize("function", [Tensor.sum, Tensor.mean])
def test_a_dimension_named_twice(function: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=rf"{function.__name__}: dim must name a dimension once, got \(0, -2\)"):
        function(Tensor(np.ones((2, 3))), (0, -2))


def test_mean_of_whole_numbers_is_refused() -> None:
    with pytest.raises(TypeError, match="mean: input must be float32 or float64, got int64"):
        Tensor([1, 2]).mean()


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_max_along_a_dimension(dim: int, keepdim: bool, dtype: type, rng: np.random.Generator) -> None:
    x = rng.standard_normal(SHAPE).astype(dtype)
    values, indices = Tensor(x).max(dim, keepdim)
    dims = (dim % 3,)
    kept = tuple(1 if i in dims else size for i, size in enumerate(SHAPE))
    shape = kept if keepdim else tuple(size for i, size in enumerate(SHAPE) if i not in dims)
    assert (values.shape, values.dtype) == (shape, dtype)
    assert (indices.shape, indices.dtype.kind) == (shape, "i")
    for goal, places in groups(SHAPE, dims).items():
        row = [x[place] for place in places]
        assert values.data.reshape(kept)[goal] == max(row)
        assert indices.data.reshape(kept)[goal] == row.index(max(row))
    double = Tensor(x.astype(np.float64), requires_grad=True)
    assert minicnn.gradcheck(lambda t: t.max(dim, keepdim).values, double)


def test_max_of_everything(rng: np.random.Generator) -> None:
    x = Tensor(rng.standard_normal(SHAPE), requires_grad=True)
    assert x.max().item() == max(x.data.ravel().tolist())
    assert minicnn.gradcheck(Tensor.max, x)


def test_ties_along_a_dimension_go_to_the_first() -> None:
    x = Tensor(np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]), requires_grad=True)
    values, indices = x.max(1)
    assert indices.data.tolist() == [1, 0]
    values.backward(np.array([10.0, 20.0]))
    np.testing.assert_array_equal(x.grad, [[0, 10, 0], [20, 0, 0]])


def test_ties_of_everything_are_shared() -> None:
    x = Tensor(np.array([[1.0, 3.0], [3.0, 2.0]]), requires_grad=True)
    x.max().backward(10.0)
    np.testing.assert_array_equal(x.grad, [[0, 5], [5, 0]])


def test_nan_is_the_largest() -> None:
    x = Tensor(np.array([[1.0, np.nan, 3.0], [np.inf, 2.0, np.nan]]), requires_grad=True)
    assert math.isnan(x.max().item())
    values, indices = x.max(1)
    assert np.isnan(values.data).all()
    assert indices.data.tolist() == [1, 2]
    x.max().backward(1.0)
    np.testing.assert_array_equal(x.grad, [[0, 0.5, 0], [0, 0, 0.5]])


def test_max_of_nothing() -> None:
    nothing = Tensor(np.ones((0, 3)))
    for arguments in ((), (0,)):
        with pytest.raises(ValueError, match=r"max: input has no elements to choose from, its shape is \(0, 3\)"):
            nothing.max(*arguments)
    values, indices = nothing.max(1)
    assert values.shape == indices.shape == (0,)


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_min_is_max_of_the_negative(
    dim: int, keepdim: bool, dtype: type, device: str, rng: np.random.Generator
) -> None:
    x = Tensor(rng.standard_normal(SHAPE).astype(dtype)).to(device)
    values, indices = x.min(dim, keepdim)
    expected = (-x).max(dim, keepdim)
    np.testing.assert_array_equal(values.numpy(), -expected.values.numpy())
    np.testing.assert_array_equal(indices.numpy(), expected.indices.numpy())
    assert x.min().item() == -(-x).max().item()


def test_ties_of_the_smallest() -> None:
    x = Tensor(np.array([[1.0, 1.0, 3.0], [2.0, 2.0, 2.0]]), requires_grad=True)
    x.min(1).values.backward(np.array([10.0, 20.0]))
    np.testing.assert_array_equal(x.grad, [[10, 0, 0], [20, 0, 0]])
    x.grad = None
    x.min().backward(10.0)
    np.testing.assert_array_equal(x.grad, [[5, 5, 0], [0, 0, 0]])


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_places(name: str, device: str, rng: np.random.Generator) -> None:
    array = rng.standard_normal(SHAPE)
    x = Tensor(array).to(device)
    for dim in (None, 0, 1, -1):
        for keepdim in (False, True):
            y = getattr(x, name)(dim, keepdim)
            assert y.dtype == np.int64
            np.testing.assert_array_equal(y.numpy(), getattr(np, name)(array, axis=dim, keepdims=keepdim))
    with pytest.raises(ValueError, match=f"{name}: input has no elements to choose from"):
        getattr(Tensor(np.ones((0, 3))), name)(0)
    with pytest.raises(ValueError, match=f"{name}: dim must lie between -3 and 2, got 3"):
        getattr(x, name)(3)


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", [None, 0, -1, (0, 2), [1, 2]], ids=repr)
@pytest.mark.parametrize("correction", [0, 1, 0.5])
def test_var_and_std_are_their_definition(
    dim: Any, keepdim: bool, correction: float, dtype: type, rng: np.random.Generator
) -> None:
    x = rng.standard_normal(SHAPE).astype(dtype) + dtype(3)
    dims = dims_of(dim, 3)
    spread = Tensor(x).var(dim, keepdim=keepdim, correction=correction)
    deviation = Tensor(x).std(dim, keepdim=keepdim, correction=correction)
    kept = tuple(1 if i in dims else size for i, size in enumerate(SHAPE))
    shape = kept if keepdim else tuple(size for i, size in enumerate(SHAPE) if i not in dims)
    assert (spread.shape, deviation.shape, spread.dtype, deviation.dtype) == (shape, shape, dtype, dtype)
    for goal, places in groups(SHAPE, dims).items():
        row = [float(x[place]) for place in places]
        middle = math.fsum(row) / len(row)
        exact = math.fsum((value - middle) ** 2 for value in row) / (len(row) - correction)
        tolerance = 100 * float(np.finfo(dtype).eps)
        assert float(spread.data.reshape(kept)[goal]) == pytest.approx(exact, rel=tolerance)
        assert float(deviation.data.reshape(kept)[goal]) == pytest.approx(math.sqrt(exact), rel=tolerance)


def test_the_spread_of_one_number_is_nan_and_of_equal_numbers_zero() -> None:
    assert math.isnan(Tensor([3.0]).var().item())
    assert Tensor([3.0]).var(unbiased=False).item() == 0
    x = Tensor([2.0, 2.0], requires_grad=True)
    y = x.std()
    y.backward()
    assert (y.item(), x.grad.tolist()) == (0, [0, 0])


def test_spreads_refuse() -> None:
    with pytest.raises(TypeError, match="std: input must be float32 or float64, got int64"):
        Tensor([1, 2]).std()
    with pytest.raises(TypeError, match="var: correction must be a number, got 'a'"):
        Tensor([1.0, 2.0]).var(correction="a")
    with pytest.raises(TypeError, match="var: unbiased must be True or False, got 2"):
        Tensor([1.0, 2.0]).var(0, 2)


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int32, np.int64])
def test_sums_of_whole_numbers_are_int64(dtype: type, device: str) -> None:
    y = Tensor(np.array([[1, 1], [1, 0]], dtype)).to(device).sum(0)
    assert (y.dtype, y.tolist()) == (np.int64, [2, 1])
