"""SGD against its rule written out, and against PyTorch."""

import math

import numpy as np
import pytest
from optimizer_runs import STEPS, gradients, parameters, run, run_torch, sgd_by_hand, torchs

import minicnn
from minicnn import nn, optim

SETTINGS = [
    {"lr": 0.1},
    {"lr": 0.1, "weight_decay": 0.05},
    {"lr": 0.1, "momentum": 0.9},
    {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.05},
    {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.05, "nesterov": True},
    {"lr": 0.1, "style": "paper"},
    {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.05, "style": "paper"},
]


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
@pytest.mark.parametrize("settings", SETTINGS)
def test_sgd_follows_its_rule(settings, kernels):
    if kernels == "numba":
        pytest.importorskip("numba")
    params = parameters()
    expected = sgd_by_hand([p.data for p in params], **settings)
    with minicnn.use_kernels(kernels):
        run(optim.SGD(params, **settings), params)
    for parameter, by_hand in zip(params, expected, strict=True):
        np.testing.assert_allclose(parameter.data, by_hand, rtol=1e-13, atol=1e-14)


def test_the_papers_style_differs_once_the_rate_is_lowered():
    results = {}
    for style in ("pytorch", "paper"):
        params = parameters()
        optimizer = optim.SGD(params, lr=0.1, momentum=0.9, weight_decay=0.05, style=style)
        run(optimizer, params, 2)
        optimizer.param_groups[0]["lr"] = 0.01
        run(optimizer, params, STEPS - 2, first=2)
        rates = [0.1, 0.1, 0.01, 0.01, 0.01]
        expected = sgd_by_hand([p.data for p in parameters()], rates, 0.9, 0.05, style=style)
        for parameter, by_hand in zip(params, expected, strict=True):
            np.testing.assert_allclose(parameter.data, by_hand, rtol=1e-13, atol=1e-14)
        results[style] = params[0].data
    assert abs(results["pytorch"] - results["paper"]).max() > 0.01


def test_sgd_keeps_float32_and_the_array():
    params = parameters(np.float32)
    arrays = [parameter.data for parameter in params]
    run(optim.SGD(params, lr=np.float64(0.1), momentum=0.9, weight_decay=1), params)
    for parameter, array in zip(params, arrays, strict=True):
        assert parameter.data is array
        assert array.dtype == np.float32


def test_sgd_updates_a_parameter_that_is_not_contiguous():
    straight, turned = parameters()[0], parameters()[0]
    turned.data = np.asfortranarray(turned.data)
    for parameter in (straight, turned):
        optimizer = optim.SGD([parameter], lr=0.1, momentum=0.9)
        for step in range(2):
            parameter.grad = gradients(step)[0]
            optimizer.step()
    np.testing.assert_array_equal(turned.data, straight.data)
    assert (turned.data != parameters()[0].data).all()


@pytest.mark.parametrize("threads", [1, 3])
def test_sgd_updates_all_of_a_large_parameter(threads):
    before = minicnn.get_num_threads()
    minicnn.set_num_threads(threads)
    try:
        parameter = nn.Parameter(np.ones((1 << 20) + 7, np.float32))
        optimizer = optim.SGD([parameter], lr=0.5, momentum=0.9)
        for _ in range(2):
            parameter.grad = np.ones_like(parameter.data)
            optimizer.step()
    finally:
        minicnn.set_num_threads(before)
    np.testing.assert_allclose(parameter.data, 1 - 0.5 * (1 + 1.9), rtol=1e-6)


P = parameters()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: optim.SGD(P, -0.1), ValueError, "SGD: lr must be 0 or more, and finite, got -0.1"),
        (lambda: optim.SGD(P, float("nan")), ValueError, "SGD: lr must be 0 or more, and finite, got nan"),
        (lambda: optim.SGD(P, math.inf), ValueError, "SGD: lr must be 0 or more, and finite, got inf"),
        (lambda: optim.SGD(P, 0.1, math.inf), ValueError, "SGD: momentum must be 0 or more, and finite, got inf"),
        (
            lambda: optim.SGD(P, 0.1, 0, 0, math.inf),
            ValueError,
            "SGD: weight_decay must be 0 or more, and finite, got inf",
        ),
        (lambda: optim.SGD(P, "0.1"), TypeError, "SGD: lr must be a number, got '0.1'"),
        (lambda: optim.SGD(P, 0.1, momentum=-1), ValueError, "SGD: momentum must be 0 or more"),
        (lambda: optim.SGD(P, 0.1, weight_decay=-1), ValueError, "SGD: weight_decay must be 0 or more"),
        (lambda: optim.SGD([{"params": P, "lr": -1}], 0.1), ValueError, "SGD: lr must be 0 or more"),
        (lambda: optim.SGD(P, dampening=0.1), NotImplementedError, "SGD: dampening must be 0.0, got 0.1"),
        (
            lambda: optim.SGD(P, 0.1, style="caffe"),
            ValueError,
            "style must be 'pytorch' or 'paper', got 'caffe'",
        ),
        (lambda: optim.SGD(P, 0.1, nesterov=True), ValueError, "SGD: nesterov=True needs a momentum above 0"),
        (
            lambda: optim.SGD(P, 0.1, 0.9, 0, 0, True, "paper"),
            ValueError,
            "SGD: nesterov=True needs .*style='paper'",
        ),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_the_defaults_and_their_order_are_pytorchs():
    assert optim.SGD(P).param_groups[0]["lr"] == 1e-3
    assert optim.SGD(P, 0.1, 0.9, 0, 5e-4).param_groups[0]["weight_decay"] == 5e-4


@pytest.mark.torch
@pytest.mark.parametrize("settings", [settings for settings in SETTINGS if "style" not in settings])
def test_sgd_agrees_with_torch(settings):
    torch = pytest.importorskip("torch")
    ours = parameters()
    theirs = torchs(torch, ours)
    run(optim.SGD(ours, **settings), ours)
    run_torch(torch, torch.optim.SGD(theirs, **settings), theirs)
    for mine, torch_one in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.data, torch_one.detach().numpy(), rtol=1e-12, atol=1e-13)
