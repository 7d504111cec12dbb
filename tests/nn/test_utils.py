"""Clipping the norm of all gradients."""

import math

import numpy as np
import pytest

from minicnn import nn


def with_gradients(*gradients):
    parameters = [nn.Parameter(np.zeros(len(gradient))) for gradient in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = np.array(gradient, float)
    return parameters


def test_all_gradients_are_one_vector():
    first, second = with_gradients([3.0], [0.0, 4.0])
    unused = nn.Parameter(np.zeros(2))
    assert nn.utils.clip_grad_norm_([first, second, unused], 10).item() == 5
    np.testing.assert_array_equal(first.grad, [3])
    assert nn.utils.clip_grad_norm_(iter([first, second]), 1).item() == 5
    np.testing.assert_allclose(np.concatenate([first.grad, second.grad]), [0.6, 0, 0.8], rtol=1e-6)
    assert unused.grad is None
    assert nn.utils.clip_grad_norm_(first, 1, math.inf).item() == pytest.approx(0.6, rel=1e-6)
    assert nn.utils.clip_grad_norm_([unused], 1).item() == 0


def test_refusals():
    (parameter,) = with_gradients([math.inf])
    with pytest.raises(RuntimeError, match="clip_grad_norm_: the norm of the gradients must be finite, got inf"):
        nn.utils.clip_grad_norm_([parameter], 1, error_if_nonfinite=True)
    with pytest.raises(ValueError, match="clip_grad_norm_: max_norm must be 0 or more"):
        nn.utils.clip_grad_norm_([parameter], -1)
    with pytest.raises(NotImplementedError, match="clip_grad_norm_: foreach must be None, got True"):
        nn.utils.clip_grad_norm_([parameter], 1, foreach=True)
