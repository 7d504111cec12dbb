"""Cross-entropy on a GPU, in one kernel forward and one backward."""

import math
from typing import Any

import numpy as np
import pytest

import minicnn.functional as F
from minicnn import Tensor
from minicnn.backend import asnumpy, to_device

WEIGHT = np.array([0.5, 1.0, 2.5])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_the_fused_one_gives_the_same(
    gpu: str, reduction: str, weight: Any, label_smoothing: float, dtype: Any, rng: Any
) -> None:
    classes = len(WEIGHT)
    scores = rng.standard_normal((6, classes, 2)).astype(dtype)
    labels = rng.integers(0, classes, (6, 2))
    labels[0, 1] = labels[4, 0] = 99
    gradient = rng.standard_normal((6, 2) if reduction == "none" else ()).astype(dtype)
    found = []
    for device in ("cpu", gpu):
        x = Tensor(to_device(scores, device), requires_grad=True)
        v = None if weight is None else to_device(np.asarray(weight, dtype), device)
        loss = F.cross_entropy(x, to_device(labels, device), v, 99, reduction, label_smoothing)
        loss.backward(to_device(gradient, device))
        found.append((loss.numpy(), asnumpy(x.grad)))
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    for here, there in zip(*found, strict=True):
        assert there.dtype == dtype
        np.testing.assert_allclose(there, here, rtol=tolerance, atol=tolerance)


def test_on_a_gpu_a_wrong_label_makes_the_loss_nan(gpu: str) -> None:
    for wrong in (-1, 3, -7, 99):
        x = Tensor(to_device(np.zeros((2, 3), np.float32), gpu), requires_grad=True)
        assert math.isnan(F.cross_entropy(x, to_device(np.array([0, wrong]), gpu)).item())
        assert F.cross_entropy(x, to_device(np.array([0, wrong]), gpu), ignore_index=wrong).item() == pytest.approx(
            math.log(3)
        )
