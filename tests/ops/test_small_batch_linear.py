"""The fully connected layer for small batches."""

import numpy as np
import pytest

import minicnn.functional as F
from minicnn import Tensor
from minicnn.ops.linear import Linear
from minicnn.ops.small_batch_linear import SmallBatchLinear


@pytest.mark.parametrize(
    ("shape", "small"), [((1, 512), False), ((2, 512), True), ((2, 3, 512), True), ((129, 512), False)]
)
def test_large_layers_have_a_kernel_for_small_batches(
    shape: tuple[int, ...], small: bool, kernel_file: str, rng: np.random.Generator
) -> None:
    arrays = rng.standard_normal(shape), rng.standard_normal((2048, 512)), rng.standard_normal(2048)
    x, w, b = (Tensor(array, requires_grad=True) for array in arrays)
    y = F.linear(x, w, b)
    chosen = SmallBatchLinear if small and kernel_file == "numba" else Linear
    assert type(y.creator) is chosen
    np.testing.assert_allclose(y.data, arrays[0] @ arrays[1].T + arrays[2], rtol=0, atol=1e-10)
    y.backward(np.ones(y.shape))
    np.testing.assert_allclose(x.grad, np.broadcast_to(arrays[1].sum(axis=0), shape), rtol=0, atol=1e-10)
    rows = arrays[0].reshape(-1, 512)
    np.testing.assert_allclose(w.grad, np.broadcast_to(rows.sum(axis=0), (2048, 512)), rtol=0, atol=1e-10)


def test_weights_that_are_not_contiguous(rng: np.random.Generator) -> None:
    x, w = rng.standard_normal((4, 2048)).T[::512], rng.standard_normal((4, 300)).T
    y = SmallBatchLinear()(x, w, None)
    np.testing.assert_allclose(y.data, x @ w.T, rtol=0, atol=1e-12)
