"""Copies and pickles of tensors leave the graph behind."""

import copy
import pickle

import numpy as np
import pytest

from minicnn import Tensor, nn


def deep(length: int) -> Tensor:
    y = Tensor([1.0, 2.0], requires_grad=True)
    for _ in range(length):
        y = y + 1
    return y


@pytest.mark.parametrize("make", [lambda a: Tensor(a, requires_grad=True), nn.Parameter, Tensor])
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_leaf_is_copied_with_its_gradient(make, duplicate, dtype):
    x = make(np.array([1.0, 2.0], dtype))
    if x.requires_grad:
        (x * x).sum().backward()
    other = duplicate(x)
    assert type(other) is type(x)
    assert (other.requires_grad, other.dtype) == (x.requires_grad, dtype)
    np.testing.assert_array_equal(other.data, x.data)
    assert not np.shares_memory(other.data, x.data)
    if x.requires_grad:
        np.testing.assert_array_equal(other.grad, x.grad)
        assert not np.shares_memory(other.grad, x.grad)
    else:
        assert other.grad is None


def test_a_deep_copy_keeps_what_is_shared():
    x = Tensor([1.0])
    first, second = copy.deepcopy([x, x])
    assert first is second


@pytest.mark.parametrize("length", [1, 2000])
def test_a_computed_tensor_is_pickled_without_its_graph(length):
    y = deep(length)
    other = pickle.loads(pickle.dumps(y))
    assert (other.creator, other.requires_grad) == (None, True)
    np.testing.assert_array_equal(other.data, y.data)
    assert len(pickle.dumps(y)) < 1000


@pytest.mark.parametrize("length", [1, 2000])
def test_a_computed_tensor_is_not_copied_deeply(length):
    with pytest.raises(RuntimeError, match="deepcopy: only leaves can be copied, got a tensor computed by Add"):
        copy.deepcopy(deep(length))
    assert copy.deepcopy(deep(length).detach()).data.tolist() == [1 + length, 2 + length]


def test_clone_is_a_copy_that_gradients_flow_through(dtype, device):
    x = Tensor(np.array([[1.0, 2.0], [3.0, 4.0]], dtype)).to(device).requires_grad_()
    y = x.clone()
    assert y.data is not x.data
    (y * y).sum().backward()
    assert x.grad.tolist() == [[2, 4], [6, 8]]


def test_contiguous_copies_only_what_is_not_in_order():
    x = Tensor(np.arange(6.0).reshape(2, 3))
    assert x.contiguous() is x
    y = x.T.contiguous()
    assert y.data.flags.c_contiguous
    assert y.tolist() == [[0, 3], [1, 4], [2, 5]]
