"""The fake GPU counts what CuPy would ask of a real one."""

from types import ModuleType

import fake_counts
import numpy as np
import pytest

import minicnn


def test_launches_reductions_and_views(two_gpus: ModuleType) -> None:
    x = two_gpus.asarray(np.ones((4, 6), np.float32))
    with fake_counts.counting() as counts:
        y = x.T.reshape(6, 4)[1:]  # views
        two_gpus.empty(5)
        assert not counts.launches
        y += 2 * x[:, :1].T + two_gpus.ascontiguousarray(x[1:])[0, :4]
        x.reshape(-1)
        x.T.reshape(-1)
        x.sum(axis=0).max()
    assert counts.launches == {"mul": 1, "add": 2, "reshape": 1}
    assert counts.reductions == {"sum": 1, "max": 1}
    assert not counts.waits


def test_waits(two_gpus: ModuleType) -> None:
    x = two_gpus.asarray(np.ones(3, np.float32))
    with fake_counts.counting() as counts:
        x.get()
        float(x[0]), int(x[0]), bool(x[0]), x[0].item(), x.tolist()
        x[x > 0]
        two_gpus.shares_memory(x, x)
        two_gpus.cuda.Device().synchronize()
    names = "get float int bool item tolist shares_memory Device.synchronize".split()
    assert counts.waits == dict.fromkeys([*names, "boolean index"], 1)
    with pytest.raises(AssertionError, match="wrongly for 0-d"):
        two_gpus.shares_memory(x[0], x[1])


def test_memory_comes_from_a_pool(two_gpus: ModuleType) -> None:
    with fake_counts.counting() as counts:
        x = two_gpus.zeros(1000, dtype=np.float32)
        view = x[10:]
        del x
        two_gpus.zeros(1000, dtype=np.float32)
        assert counts.allocations == 2  # the view still holds the first
        del view
        kept = [two_gpus.zeros(1000 + i, dtype=np.float32) for i in range(2)]
        assert counts.allocations == 2  # in steps of 512 bytes they are of one size
        kept.append(two_gpus.zeros(1000, dtype=np.float32))
        assert counts.allocations == 3


def test_products_that_are_copied_first(two_gpus: ModuleType) -> None:
    """Single matrices pass transposes as flags; of a stack, every factor must be contiguous."""
    a, b = (two_gpus.asarray(np.ones(shape, np.float32)) for shape in ((8, 6), (6, 4)))
    stack, other = two_gpus.asarray(np.ones((2, 8, 6), np.float32)), two_gpus.asarray(np.ones((2, 6, 4), np.float32))
    gaps = two_gpus.asarray(np.ones((4, 20), np.float32))
    with fake_counts.counting() as counts:
        two_gpus.matmul(a, b)
        two_gpus.matmul(b.T, a.T, out=two_gpus.empty((4, 8), np.float32))
        two_gpus.matmul(a, gaps[:, :6].T)
        two_gpus.matmul(a, b, out=two_gpus.empty((4, 8), np.float32).T)
        stack @ other
        two_gpus.matmul(other.swapaxes(1, 2), stack.swapaxes(1, 2))
    found = [(p.m, p.n, p.k, p.batch, p.leading, p.copies) for p in counts.products]
    assert found == [
        (8, 4, 6, 1, (6, 4, 4), 0),
        (4, 8, 6, 1, (4, 6, 8), 0),
        (8, 4, 6, 1, (6, 4, 4), 1),
        (8, 4, 6, 1, (6, 4, 4), 1),
        (8, 4, 6, 2, (6, 4, 4), 0),
        (4, 8, 6, 2, (6, 8, 8), 2),
    ]
    assert counts.launches["copy for a product"] == 4
    assert "6 products (4 copies for them)" in str(counts)


def test_single_products_go_by_the_compute_type_and_stacks_by_the_handle(two_gpus: ModuleType) -> None:
    a = two_gpus.asarray(np.ones((2, 4, 4), np.float32))
    for allowed in (True, False):
        minicnn.set_tf32(allowed)
        with fake_counts.counting() as counts:
            two_gpus.matmul(a, a)
            two_gpus.matmul(a[0], a[0])
            two_gpus.matmul(a.astype(np.float64), a)
        assert [product.tf32 for product in counts.products] == [allowed, allowed, False]


def test_subnormal_numbers_of_single_precision_become_zero(two_gpus: ModuleType) -> None:
    small = np.float32(1e-30)
    for dtype, expected in ((np.float32, 0), (np.float64, 1e-40)):
        x = two_gpus.asarray(np.array([small, -small, 1], dtype))
        np.testing.assert_allclose((x * 1e-10).get()[:2], [expected, -expected], rtol=1e-6)
        x *= 1e-10
        np.testing.assert_allclose(x.get()[:2], [expected, -expected], rtol=1e-6)
        y, gradient = two_gpus.zeros(1, dtype=dtype), two_gpus.asarray(np.array([small], dtype))
        minicnn.kernels.sgd_step(y, gradient, None, 1e-10, 0.0, 0.0, False, False)
        np.testing.assert_allclose(y.get(), [-expected], rtol=1e-6)
