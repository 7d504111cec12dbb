"""Adam against its rule written out, and against PyTorch."""

import math

import numpy as np
import pytest
from optimizer_runs import STEPS, gradients, parameters, run, run_torch, torchs

from minicnn import optim


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adam_follows_its_rule(weight_decay):
    params = parameters()
    weights = [p.data.copy() for p in params]
    run(optim.Adam(params, lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=weight_decay), params)
    for i, w in enumerate(weights):
        m = v = 0
        for t in range(1, STEPS + 1):
            g = gradients(t - 1)[i] + weight_decay * w
            m = 0.8 * m + 0.2 * g
            v = 0.95 * v + 0.05 * g**2
            w = w - 0.05 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.95**t)) + 1e-3)
        np.testing.assert_allclose(params[i].data, w, rtol=1e-12, atol=1e-13)


def test_adam_keeps_float32_and_the_array():
    params = parameters(np.float32)
    arrays = [parameter.data for parameter in params]
    optimizer = optim.Adam(params, weight_decay=0.1)
    run(optimizer, params)
    for parameter, array in zip(params, arrays, strict=True):
        assert parameter.data is array
        assert array.dtype == optimizer.state[parameter]["exp_avg_sq"].dtype == np.float32


def test_adamw_shrinks_every_weight_by_the_same_share():
    params, same = parameters(), parameters()
    run(optim.Adam(same, lr=0.05), same, steps=1)
    before = [parameter.data.copy() for parameter in params]
    run(optim.AdamW(params, lr=0.05, weight_decay=0.4), params, steps=1)
    for parameter, other, weights in zip(params, same, before, strict=True):
        np.testing.assert_allclose(parameter.data, other.data - 0.05 * 0.4 * weights, rtol=1e-12)
    assert optim.AdamW(params).param_groups[0]["weight_decay"] == 0.01
    with pytest.raises(ValueError, match="AdamW: eps must be 0 or more"):
        optim.AdamW(params, eps=-1)


P = parameters()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: optim.Adam(P, betas=0.9), TypeError, "Adam: betas must be a pair of numbers, got 0.9"),
        (lambda: optim.Adam(P, betas=(0.9, 1.0)), ValueError, "Adam: betas must be at least 0 and below 1"),
        (lambda: optim.Adam(P, betas=(0.9, math.nan)), ValueError, "Adam: betas must be at least 0 and below 1"),
        (lambda: optim.Adam(P, amsgrad=True), NotImplementedError, "Adam: amsgrad must be False, got True"),
        (lambda: optim.AdamW(P, amsgrad=True), NotImplementedError, "AdamW: amsgrad must be False, got True"),
        (lambda: optim.Adam(P, eps=-1), ValueError, "Adam: eps must be 0 or more"),
        (lambda: optim.Adam(P, math.inf), ValueError, "Adam: lr must be 0 or more, and finite, got inf"),
        (lambda: optim.Adam(P, eps=math.inf), ValueError, "Adam: eps must be 0 or more, and finite, got inf"),
        (lambda: optim.Adam(P, weight_decay=math.inf), ValueError, "Adam: weight_decay must .*finite, got inf"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.torch
@pytest.mark.parametrize("settings", [{}, {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}])
def test_adam_agrees_with_torch(settings):
    torch = pytest.importorskip("torch")
    ours = parameters()
    theirs = torchs(torch, ours)
    run(optim.Adam(ours, **settings), ours)
    run_torch(torch, torch.optim.Adam(theirs, **settings), theirs)
    for mine, torch_one in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.data, torch_one.detach().numpy(), rtol=1e-12, atol=1e-13)
