"""The fully connected layer."""

from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn.functional as F
from minicnn import Tensor

SHAPES = [(4,), (3, 4), (2, 3, 4), (1, 1, 1, 4), (0, 4), (2, 0, 4)]


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_values(shape: tuple[int, ...], with_bias: bool, dtype: type, rng: np.random.Generator) -> None:
    x, w = rng.standard_normal(shape).astype(dtype), rng.standard_normal((5, 4)).astype(dtype)
    b = rng.standard_normal(5).astype(dtype) if with_bias else None
    y = F.linear(Tensor(x), Tensor(w), None if b is None else Tensor(b))
    assert (y.shape, y.dtype) == ((*shape[:-1], 5), dtype)
    for *row, o in np.ndindex(*y.shape):
        exact = sum(float(x[*row, i]) * float(w[o, i]) for i in range(4)) + (0 if b is None else float(b[o]))
        assert float(y.data[*row, o]) == pytest.approx(exact, abs=20 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_gradients(shape: tuple[int, ...], with_bias: bool, rng: np.random.Generator) -> None:
    inputs = [rng.standard_normal(shape), rng.standard_normal((5, 4))]
    if with_bias:
        inputs.append(rng.standard_normal(5))
    assert minicnn.gradcheck(F.linear, [Tensor(array, requires_grad=True) for array in inputs])


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_number_of_threads_changes_nothing(threads: int, rng: np.random.Generator) -> None:
    arrays = rng.standard_normal((70, 60)), rng.standard_normal((80, 60)), rng.standard_normal(80)
    minicnn.set_num_threads(threads)
    x, w, b = (Tensor(array, requires_grad=True) for array in arrays)
    y = F.linear(x, w, b)
    gradient = rng.standard_normal(y.shape)
    y.backward(gradient)
    np.testing.assert_allclose(y.data, arrays[0] @ arrays[1].T + arrays[2], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(x.grad, gradient @ arrays[1], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(w.grad, gradient.T @ arrays[0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(b.grad, gradient.sum(0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(0, 4), (2, 0, 4)])
def test_a_batch_of_nothing(shape: tuple[int, ...]) -> None:
    shapes = shape, (5, 4), (5,)
    tensors = [Tensor(np.ones(s), requires_grad=True) for s in shapes]
    F.linear(*tensors).sum().backward()
    for tensor in tensors:
        np.testing.assert_array_equal(tensor.grad, np.zeros(tensor.shape))


def test_no_features() -> None:
    x, w, b = Tensor(np.ones((3, 0))), Tensor(np.ones((2, 0)), requires_grad=True), Tensor(np.ones(2))
    y = F.linear(x, w, b)
    np.testing.assert_array_equal(y.data, np.ones((3, 2)))
    y.sum().backward()
    assert w.grad.shape == (2, 0)


@pytest.mark.parametrize(
    ("x", "w", "b", "message"),
    [
        ((3, 4), (5, 3), None, r"linear: input must have shape \(\*, 3\) for a weight of shape \(5, 3\), got \(3, 4\)"),
        ((), (5, 3), None, r"linear: input must have shape \(\*, 3\) .* got \(\)"),
        ((3, 4), (4,), None, r"linear: weight must have shape \(out features, in features\), got \(4,\)"),
        ((3, 4), (1, 5, 4), None, r"linear: weight must have shape \(out features, in features\), got \(1, 5, 4\)"),
        ((3, 4), (5, 4), (4,), r"linear: bias must have shape \(5,\), got \(4,\)"),
        ((3, 4), (5, 4), (1, 5), r"linear: bias must have shape \(5,\), got \(1, 5\)"),
    ],
)
def test_shapes_that_do_not_fit(
    x: tuple[int, ...], w: tuple[int, ...], b: tuple[int, ...] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        F.linear(Tensor(np.ones(x)), Tensor(np.ones(w)), None if b is None else Tensor(np.ones(b)))


@pytest.mark.parametrize(
    ("dtypes", "message"),
    [
        (("int64", "float64", "float64"), "linear: input must be float32 or float64, got int64"),
        (("float32", "float64", "float32"), "linear: weight must be float32, as input is, got float64"),
        (("float64", "float64", "float32"), "linear: bias must be float64, as input is, got float32"),
        (("float32", "int32", "float32"), "linear: weight must be float32, as input is, got int32"),
    ],
)
def test_dtypes_that_do_not_fit(dtypes: tuple[Any, Any, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        F.linear(*(Tensor(np.ones(s, d)) for s, d in zip([(3, 4), (5, 4), (5,)], dtypes, strict=True)))
