"""reshape, flatten, transpose, permute, indexing, padding."""

import itertools
from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn.functional as F
from minicnn import Tensor


def counted(*shape: int, dtype: type = np.float64) -> np.ndarray:
    return np.arange(np.prod(shape, dtype=int), dtype=dtype).reshape(shape)


@pytest.mark.parametrize(
    ("shape", "wanted", "result"),
    [
        ((2, 6), (3, 4), (3, 4)),
        ((2, 6), (3, -1), (3, 4)),
        ((2, 6), (-1,), (12,)),
        ((2, 6), (2, 1, 6), (2, 1, 6)),
        ((1,), (), ()),
        ((), (1, 1), (1, 1)),
        ((), (-1,), (1,)),
        ((0, 3), (3, 0, 2), (3, 0, 2)),
        ((0, 3), (-1, 3), (0, 3)),
    ],
)
def test_reshape(shape: tuple[int, ...], wanted: tuple[int, ...], result: tuple[int, ...], dtype: type) -> None:
    x = Tensor(counted(*shape, dtype=dtype), requires_grad=True)
    for y in (x.reshape(wanted), x.reshape(*wanted), x.reshape(list(wanted))):
        assert (y.shape, y.dtype) == (result, dtype)
        assert y.data.ravel().tolist() == list(range(x.numel()))
    gradient = counted(*result)
    y.backward(gradient)
    np.testing.assert_array_equal(x.grad.ravel(), gradient.ravel())


@pytest.mark.parametrize("wanted", [(5,), (-1, 5), (-1, -1), (2, 7), (-2, 6), (0, -1), ()])
def test_reshape_refuses(wanted: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"reshape: shape .* does not hold the 12 elements of \(2, 6\)") as error:
        Tensor(counted(2, 6)).reshape(wanted)
    assert str(wanted) in str(error.value)


@pytest.mark.parametrize(
    ("shape", "wanted"), [((1,), (-1, -1)), ((), (-1, -1)), ((0,), (-1, -1, 0)), ((0, 3), (-1, 0))]
)
def test_reshape_infers_one_length_only(shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"reshape: shape .* does not hold the \d elements of"):
        Tensor(counted(*shape)).reshape(*wanted)


@pytest.mark.parametrize(
    ("shape", "dims", "result"),
    [
        ((2, 3, 4), (), (24,)),
        ((2, 3, 4), (1,), (2, 12)),
        ((2, 3, 4), (0, 1), (6, 4)),
        ((2, 3, 4), (-2, -1), (2, 12)),
        ((2, 3, 4), (1, 1), (2, 3, 4)),
        ((), (), (1,)),
        ((), (0, -1), (1,)),
        ((0, 3, 4), (1,), (0, 12)),
        ((2, 0, 4), (), (0,)),
    ],
)
def test_flatten(shape: tuple[int, ...], dims: tuple[int, ...], result: tuple[int, ...], dtype: type) -> None:
    x = Tensor(counted(*shape, dtype=dtype), requires_grad=True)
    y = F.flatten(x, *dims)
    assert (y.shape, y.dtype) == (result, dtype)
    assert x.flatten(*dims).shape == result
    np.testing.assert_array_equal(y.data.ravel(), x.data.ravel())
    y.backward(y.data * 2)
    np.testing.assert_array_equal(x.grad, x.data * 2)


@pytest.mark.parametrize(
    ("dims", "error", "message"),
    [
        ((3,), ValueError, r"flatten: start_dim must lie between -3 and 2, got 3"),
        ((0, -4), ValueError, r"flatten: end_dim must lie between -3 and 2, got -4"),
        ((2, 1), ValueError, r"flatten: start_dim must not come after end_dim, got 2 and 1"),
        ((1.0,), TypeError, r"flatten: start_dim must be an integer, got 1.0"),
        ((0, None), TypeError, r"flatten: end_dim must be an integer, got None"),
    ],
)
def test_flatten_refuses(dims: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        F.flatten(Tensor(counted(2, 3, 4)), *dims)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_permute(order: tuple[int, ...], rng: np.random.Generator) -> None:
    x = Tensor(rng.standard_normal((2, 3, 4)), requires_grad=True)
    y = x.permute(*order)
    for place in np.ndindex(y.shape):
        source = [0, 0, 0]
        for position, dim in enumerate(order):
            source[dim] = place[position]
        assert y.data[place] == x.data[tuple(source)]
    np.testing.assert_array_equal(x.permute([dim - 3 for dim in order]).data, y.data)
    assert minicnn.gradcheck(lambda t: t.permute(order), x)


@pytest.mark.parametrize("dims", [(0, 1), (1, 0), (0, 2), (-1, -3), (1, 1)])
def test_transpose(dims: tuple[int, int], rng: np.random.Generator) -> None:
    x = Tensor(rng.standard_normal((2, 3, 4)), requires_grad=True)
    y = x.transpose(*dims)
    for place in np.ndindex(y.shape):
        source = list(place)
        source[dims[0]], source[dims[1]] = source[dims[1]], source[dims[0]]
        assert y.data[place] == x.data[tuple(source)]
    assert minicnn.gradcheck(lambda t: t.transpose(*dims), x)


def test_transposes_of_small_shapes() -> None:
    assert Tensor(counted(2, 3)).T.shape == (3, 2)
    assert Tensor(counted(2, 3, 4)).T.shape == (4, 3, 2)
    assert Tensor(1.0).T.shape == ()
    assert Tensor(1.0).permute().shape == ()
    assert Tensor(1.0).transpose(0, -1).shape == ()
    assert Tensor(counted(0, 3)).T.shape == (3, 0)


@pytest.mark.parametrize("dims", [(0, 1), (0, 1, 1), (0, 1, 2, 0), ()])
def test_permute_refuses(dims: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="permute: dims must name each of the 3 dimensions once, got"):
        Tensor(counted(2, 3, 4)).permute(dims)


@pytest.mark.parametrize(
    ("dims", "error", "message"),
    [
        ((0, 3), ValueError, "transpose: dim1 must lie between -3 and 2, got 3"),
        ((-4, 0), ValueError, "transpose: dim0 must lie between -3 and 2, got -4"),
        (("a", 0), TypeError, "transpose: dim0 must be an integer, got 'a'"),
    ],
)
def test_transpose_refuses(dims: tuple[Any, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Tensor(counted(2, 3, 4)).transpose(*dims)


@pytest.mark.parametrize(
    ("shape", "amounts", "margins"),
    [
        ((2, 3), (1, 2), [(0, 0), (1, 2)]),
        ((2, 3), (1, 2, 3, 0), [(3, 0), (1, 2)]),
        ((2, 3, 4, 5), (0, 1, 2, 0), [(0, 0), (0, 0), (2, 0), (0, 1)]),
        ((4,), [2, 0], [(2, 0)]),
        ((0, 2), (1, 1, 1, 1), [(1, 1), (1, 1)]),
        ((), (), []),
        ((2, 3), (0, 0, 0, 0), [(0, 0), (0, 0)]),
    ],
)
@pytest.mark.parametrize("value", [None, 0.5, -np.inf])
def test_pad(shape: Any, amounts: Any, margins: Any, value: float | None, dtype: type) -> None:
    x = Tensor(counted(*shape, dtype=dtype), requires_grad=True)
    y = F.pad(x, amounts, value=value)
    assert y.dtype == dtype
    assert y.shape == tuple(before + size + after for size, (before, after) in zip(shape, margins, strict=True))
    gradient = counted(*y.shape, dtype=dtype)
    y.backward(gradient)
    for place in np.ndindex(y.shape):
        source = tuple(i - before for i, (before, _) in zip(place, margins, strict=True))
        if all(0 <= i < size for i, size in zip(source, shape, strict=True)):
            assert y.data[place] == x.data[source]
            assert x.grad[source] == gradient[place]
        else:
            assert y.data[place] == (value or 0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (((1, 2, 3),), ValueError, r"pad must be two integers for each .* got \(1, 2, 3\)"),
        (((1,) * 6,), ValueError, r"pad must be two integers for each of up to 2 dimensions"),
        ((1,), ValueError, "pad must be two integers .* got 1"),
        (((1, -1),), ValueError, "pad must be at least 0, got -1"),
        (((1, 1.5),), TypeError, "pad must be an integer, got 1.5"),
        (((1, 1), "reflect"), NotImplementedError, "mode='reflect' is not supported; accepted: 'constant'"),
        (((1, 1), "constant", "0"), TypeError, "value must be a number, got '0'"),
    ],
)
def test_pad_refuses(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"pad: {message}"):
        F.pad(Tensor(counted(2, 3)), *arguments)


INDICES = [
    0,
    -1,
    slice(1, None),
    slice(None, None, -2),
    (0, 1),
    (slice(None), 2),
    (..., 0),
    None,
    (slice(None), None, 1),
    [0, 2, 0],
    ([0, 2, 0], [1, 1, 1]),
    np.array([True, False, True]),
    (slice(None), np.array([[0, 1], [1, 0]])),
    (1, 2, 3),
    slice(0, 0),
    np.array([], int),
]


@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_indexing(index: Any, rng: np.random.Generator) -> None:
    x = Tensor(rng.standard_normal((3, 4, 5)), requires_grad=True)
    y = x[index]
    np.testing.assert_array_equal(y.data, x.data[index])
    gradient = rng.standard_normal(y.shape)
    y.backward(gradient)
    places = np.arange(60).reshape(3, 4, 5)[index]  # an element that was read twice gets both gradients
    expected = np.zeros(60)
    for place, value in zip(np.ravel(places), np.ravel(gradient), strict=True):
        expected[place] += value
    np.testing.assert_allclose(x.grad.ravel(), expected, rtol=1e-15)


def test_a_tensor_as_an_index() -> None:
    x = Tensor(counted(3, 4), requires_grad=True)
    labels = Tensor([3, 0, 3])
    picked = x[np.arange(3), labels]
    assert picked.data.tolist() == [3, 4, 11]
    assert x[labels.data % 3].shape == (3, 4)
    assert x[Tensor([0, 0])].shape == (2, 4)
    picked.sum().backward()
    assert x.grad.sum() == 3


def test_an_index_that_does_not_exist() -> None:
    with pytest.raises(IndexError):
        Tensor(counted(3, 4))[3]
    with pytest.raises(IndexError):
        Tensor(1.0)[0]


# --- cat ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_cat(dim: int, rng: Any) -> None:
    lengths = (2, 1, 3)
    arrays = []
    for length in lengths:
        shape = [2, 3, 4]
        shape[dim] = length
        arrays.append(rng.standard_normal(shape))
    tensors = [Tensor(array, requires_grad=True) for array in arrays]
    np.testing.assert_array_equal(F.cat(tensors, dim).numpy(), np.concatenate(arrays, axis=dim))
    assert minicnn.gradcheck(lambda *parts: F.cat(parts, dim), tensors)


def test_cat_of_one_and_of_the_same_twice() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    F.cat([x, x]).backward(np.array([1.0, 2.0, 30.0, 40.0], np.float32))
    np.testing.assert_array_equal(x.grad, [31, 42])
    assert F.cat((x,)).numpy().tolist() == [1, 2]


@pytest.mark.parametrize(
    ("tensors", "dim", "error", "message"),
    [
        ([], 0, ValueError, r"tensors must be a list of at least one Tensor, got \[\]"),
        (Tensor([1.0]), 0, ValueError, "tensors must be a list of at least one Tensor"),
        ([Tensor([1.0]), Tensor([[1.0]])], 0, ValueError, r"tensors\[1\] has shape \(1, 1\), which does not fit"),
        ([Tensor(np.ones((2, 3))), Tensor(np.ones((2, 4)))], 0, ValueError, r"tensors\[1\] has shape \(2, 4\)"),
        (
            [Tensor(np.ones(2)), Tensor(np.ones(2, np.float32))],
            0,
            TypeError,
            r"tensors\[1\] must be float64, as tensors\[0\] is, got float32",
        ),
        ([Tensor([1.0])], 1, ValueError, "dim must"),
    ],
)
def test_cat_refuses(tensors: Any, dim: int, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"cat: {message}"):
        F.cat(tensors, dim)


def test_cat_takes_whole_numbers_of_one_dtype() -> None:
    assert F.cat([Tensor([1, 2]), Tensor([3])]).data.tolist() == [1, 2, 3]
    with pytest.raises(TypeError, match=r"cat: tensors\[1\] must be int64, as tensors\[0\] is, got float32"):
        F.cat([Tensor([1]), Tensor([1.0])])


# --- what reshaping and repeating are made of -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "change", "expected"),
    [
        ((2, 1, 3, 1), lambda x: x.squeeze(), (2, 3)),
        ((2, 1, 3, 1), lambda x: x.squeeze(1), (2, 3, 1)),
        ((2, 1, 3, 1), lambda x: x.squeeze(0), (2, 1, 3, 1)),
        ((2, 1, 3, 1), lambda x: x.squeeze((1, -1)), (2, 3)),
        ((), lambda x: x.squeeze(0), ()),
        ((2, 3), lambda x: x.unsqueeze(0), (1, 2, 3)),
        ((2, 3), lambda x: x.unsqueeze(-1), (2, 3, 1)),
        ((), lambda x: x.unsqueeze(0), (1,)),
        ((2, 3), lambda x: x.view(3, -1), (3, 2)),
        ((2, 3), lambda x: x.view_as(Tensor(np.ones(6))), (6,)),
        ((2, 3), lambda x: x.t(), (3, 2)),
        ((2,), lambda x: x.t(), (2,)),
    ],
)
def test_views(shape: tuple[int, ...], change: Any, expected: tuple[int, ...]) -> None:
    x = Tensor(counted(*shape))
    y = change(x)
    assert y.shape == expected
    assert np.shares_memory(y.data, x.data)


@pytest.mark.parametrize("sizes", [(3, 4), (-1, 4), (2, 3, 4), (2, -1, 1), (0, 3, 1)])
def test_expand_is_broadcasting(sizes: tuple[int, ...], dtype: type, device: str) -> None:
    x = Tensor(counted(3, 1, dtype=dtype)).to(device)
    shape = tuple(had if want == -1 else want for had, want in zip((1, 3, 1)[-len(sizes) :], sizes, strict=True))
    for y in (x.expand(*sizes), x.expand(sizes), x.expand(list(sizes))):
        assert y.dtype == dtype
        np.testing.assert_array_equal(y.numpy(), np.broadcast_to(x.numpy(), shape))


@pytest.mark.parametrize("times", [(2, 3), (1, 1), (2, 1, 3), (0, 2)])
def test_repeat_is_numpys_tile(times: tuple[int, ...]) -> None:
    x = Tensor(counted(2, 3), requires_grad=True)
    np.testing.assert_array_equal(x.repeat(*times).data, np.tile(x.data, times))
    x.repeat(times).sum().backward()
    np.testing.assert_array_equal(x.grad, np.full((2, 3), np.prod(times)))


@pytest.mark.parametrize("dim", [0, 1, 2, -1, -3])
def test_stack_is_numpys(dim: int) -> None:
    tensors = [Tensor(counted(2, 3) + i) for i in range(3)]
    arrays = [tensor.data for tensor in tensors]
    np.testing.assert_array_equal(minicnn.stack(tensors, dim).data, np.stack(arrays, dim))


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (lambda x: x.squeeze(2), ValueError, "squeeze: dim must lie between -2 and 1, got 2"),
        (lambda x: x.unsqueeze(3), ValueError, "unsqueeze: dim must lie between -3 and 2, got 3"),
        (lambda x: x.expand(3, 3), ValueError, r"expand: sizes must be lengths that \(2, 3\) can be repeated to"),
        (lambda x: x.expand(3), ValueError, r"expand: .*, got \(3,\)"),
        (lambda x: x.expand(-1, 2, 3), ValueError, r"expand: .*, got \(-1, 2, 3\)"),
        (lambda x: x.repeat(2), ValueError, r"repeat: repeats must be at least 2 numbers, one a dimension, got \(2,\)"),
        (lambda x: x.repeat(2, -1), ValueError, "repeat: repeats must be at least 0, got -1"),
        (lambda x: x.repeat(2, 1.5), TypeError, "repeat: repeats must be an integer, got 1.5"),
        (lambda x: minicnn.stack([x, x.T]), ValueError, r"stack: tensors must have one shape, got \("),
        (
            lambda x: x.view(1, 2, 3).t(),
            ValueError,
            r"t: the tensor must have at most two dimensions, got shape \(1, 2",
        ),
    ],
)
def test_refusals(wrong: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        wrong(Tensor(counted(2, 3)))
