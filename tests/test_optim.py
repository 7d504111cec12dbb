"""Optimisers against their rules written out, and against PyTorch; schedules; saving and loading."""

import copy
import itertools

import numpy as np
import pytest

import minicnn
from minicnn import nn, optim
from minicnn.autograd import Tensor

SHAPES = [(3, 4), (5,), (), (2, 1, 3)]
STEPS = 5


def parameters(dtype=np.float64, seed=0):
    random = np.random.default_rng(seed)
    return [nn.Parameter(random.standard_normal(shape).astype(dtype)) for shape in SHAPES]


def gradients(step, dtype=np.float64):
    random = np.random.default_rng(100 + step)
    return [np.asarray(random.standard_normal(shape), dtype) for shape in SHAPES]


def run(optimizer, params, steps=STEPS, first=0):
    for step in range(first, first + steps):
        for parameter, gradient in zip(params, gradients(step, params[0].dtype), strict=True):
            parameter.grad = gradient
        optimizer.step()


def sgd_by_hand(weights, lr, momentum=0.0, weight_decay=0.0, nesterov=False, style="pytorch"):
    """Return the weights after STEPS steps; `lr` may be a list, one for each step."""
    rates = [lr] * STEPS if isinstance(lr, float) else lr
    weights = [np.array(w) for w in weights]
    for i, w in enumerate(weights):
        v = np.zeros_like(w)
        for step in range(STEPS):
            g = gradients(step)[i]
            if style == "paper":
                v = momentum * v - weight_decay * rates[step] * w - rates[step] * g
                w = w + v
            else:
                v = momentum * v + g + weight_decay * w
                w = w - rates[step] * (g + weight_decay * w + momentum * v if nesterov else v)
        weights[i] = w
    return weights


# --- SGD ----------------------------------------------------------------------------------------------------

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


def test_a_parameter_without_gradient_is_left_alone():
    params = parameters()
    optimizer = optim.SGD(params, lr=0.1, momentum=0.9, weight_decay=1.0)
    before = params[1].data.copy()
    params[0].grad = gradients(0)[0]
    optimizer.step()
    np.testing.assert_array_equal(params[1].data, before)
    assert list(optimizer.state) == [params[0]]


def test_step_does_not_write_into_gradients():
    for make in (lambda p: optim.SGD(p, 0.1, 0.9, 0.1), lambda p: optim.Adam(p, 0.1, weight_decay=0.1)):
        params = parameters()
        run(make(params), params, 1)
        for parameter, gradient in zip(params, gradients(0), strict=True):
            np.testing.assert_array_equal(parameter.grad, gradient)


# --- Adam ---------------------------------------------------------------------------------------------------


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


# --- groups -------------------------------------------------------------------------------------------------


def test_groups_have_settings_of_their_own():
    params = parameters()
    weights, biases = params[::2], params[1::2]
    groups = [{"params": weights}, {"params": iter(biases), "lr": 0.2, "weight_decay": 0}]
    optimizer = optim.SGD(groups, lr=0.1, momentum=0.9, weight_decay=0.05)
    expected = [p.data for p in params]
    expected = [
        sgd_by_hand(expected, 0.1, 0.9, 0.05)[i] if i % 2 == 0 else sgd_by_hand(expected, 0.2, 0.9, 0.0)[i]
        for i in range(len(params))
    ]
    run(optimizer, params)
    for parameter, by_hand in zip(params, expected, strict=True):
        np.testing.assert_allclose(parameter.data, by_hand, rtol=1e-13, atol=1e-14)
    assert "lr" not in groups[0]
    assert repr(optimizer) == (
        "SGD(\n"
        "  2 parameters: lr=0.1, momentum=0.9, weight_decay=0.05, nesterov=False, style='pytorch'\n"
        "  2 parameters: lr=0.2, momentum=0.9, weight_decay=0, nesterov=False, style='pytorch'\n"
        ")"
    )


def test_a_group_can_be_added_later():
    params = parameters()
    optimizer = optim.SGD(params[:2], lr=0.1)
    optimizer.add_param_group({"params": params[2], "lr": 1.0})
    assert [len(group["params"]) for group in optimizer.param_groups] == [2, 1]
    assert optimizer.param_groups[1]["lr"] == 1.0


def test_zero_grad():
    params = parameters()
    optimizer = optim.SGD([{"params": params[:1]}, {"params": params[1:]}], lr=0.1)
    run(optimizer, params, 1)
    optimizer.zero_grad()
    assert all(parameter.grad is None for parameter in params)


# --- refusals -----------------------------------------------------------------------------------------------

P = parameters()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: optim.SGD([], 0.1), ValueError, "SGD: params is empty"),
        (lambda: optim.SGD([{"params": []}], 0.1), ValueError, "SGD: params is empty"),
        (lambda: optim.SGD({P[0], P[1]}, 0.1), TypeError, "SGD: params must be tensors in an order.* a set"),
        (lambda: optim.SGD({"params": P}, 0.1), TypeError, "or dicts of them, got a dict"),
        (lambda: optim.SGD(3, 0.1), TypeError, "got a int"),
        (lambda: optim.SGD([("w", P[0])], 0.1), TypeError, "SGD: params must be tensors, as net.param"),
        (lambda: optim.SGD([np.zeros(3)], 0.1), TypeError, "SGD: params must be tensors"),
        (
            lambda: optim.SGD([{"params": P}, P[0]], 0.1),
            TypeError,
            "a group must be a dict with the key 'params'",
        ),
        (lambda: optim.SGD([{"param": P}], 0.1), TypeError, "a group must be a dict with the key 'params'"),
        (lambda: optim.SGD([P[0] * 2], 0.1), ValueError, "SGD: params must be leaves.*computed by Mul"),
        (
            lambda: optim.SGD([P[0], P[0]], 0.1),
            ValueError,
            r"a parameter of shape \(3, 4\) is in params twice",
        ),
        (lambda: optim.SGD([{"params": P}, {"params": P[1]}], 0.1), ValueError, "is in params twice"),
        (
            lambda: optim.SGD([{"params": P, "rate": 1}], 0.1),
            ValueError,
            "unknown setting 'rate'; known: lr, mom",
        ),
        (lambda: optim.SGD(P, -0.1), ValueError, "SGD: lr must be 0 or more, and finite, got -0.1"),
        (lambda: optim.SGD(P, float("nan")), ValueError, "SGD: lr must be 0 or more, and finite, got nan"),
        (lambda: optim.SGD(P, "0.1"), TypeError, "SGD: lr must be a number, got '0.1'"),
        (lambda: optim.SGD(P, 0.1, momentum=-1), ValueError, "SGD: momentum must be 0 or more"),
        (lambda: optim.SGD(P, 0.1, weight_decay=-1), ValueError, "SGD: weight_decay must be 0 or more"),
        (lambda: optim.SGD([{"params": P, "lr": -1}], 0.1), ValueError, "SGD: lr must be 0 or more"),
        (
            lambda: optim.SGD(P, 0.1, style="caffe"),
            ValueError,
            "style must be 'pytorch' or 'paper', got 'caffe'",
        ),
        (lambda: optim.SGD(P, 0.1, nesterov=True), ValueError, "SGD: nesterov=True needs a momentum above 0"),
        (
            lambda: optim.SGD(P, 0.1, 0.9, 0, True, "paper"),
            ValueError,
            "SGD: nesterov=True needs .*style='paper'",
        ),
        (lambda: optim.Adam(P, betas=0.9), TypeError, "Adam: betas must be a pair of numbers, got 0.9"),
        (lambda: optim.Adam(P, betas=(0.9, 1.0)), ValueError, "Adam: betas must be at least 0 and below 1"),
        (lambda: optim.Adam(P, eps=-1), ValueError, "Adam: eps must be 0 or more"),
        (lambda: optim.StepLR(P, 1), TypeError, "StepLR: optimizer must be an Optimizer"),
        (
            lambda: optim.StepLR(optim.SGD(P, 0.1), 0),
            ValueError,
            "StepLR: step_size must be at least 1, got 0",
        ),
        (lambda: optim.StepLR(optim.SGD(P, 0.1), 2, -1), ValueError, "StepLR: gamma must be 0 or more"),
        (
            lambda: optim.MultiStepLR(optim.SGD(P, 0.1), 3),
            TypeError,
            "MultiStepLR: milestones must be a list",
        ),
        (
            lambda: optim.MultiStepLR(optim.SGD(P, 0.1), [2.5]),
            TypeError,
            "milestones must be an integer, got 2.5",
        ),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("make", [lambda p: optim.SGD([p], 0.1), lambda p: optim.Adam([p])])
def test_a_gradient_of_another_shape_is_refused(make):
    parameter = nn.Parameter(np.zeros(3))
    optimizer = make(parameter)
    parameter.grad = np.zeros((2, 3))
    with pytest.raises(ValueError, match=r"parameter of shape \(3,\) has a gradient of shape \(2, 3\)"):
        optimizer.step()


# --- saving and loading -------------------------------------------------------------------------------------

MAKERS = {
    "SGD": lambda p: optim.SGD([{"params": p[:2]}, {"params": p[2:], "lr": 0.3}], lr=0.1, momentum=0.9),
    "paper": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1, style="paper"),
    "plain": lambda p: optim.SGD(p, lr=0.1),
    "Adam": lambda p: optim.Adam(p, lr=0.1, weight_decay=0.1),
}


@pytest.mark.parametrize("name", MAKERS)
def test_loading_goes_on_exactly(name):
    params = parameters(np.float32)
    optimizer = MAKERS[name](params)
    run(optimizer, params, 3)
    optimizer.param_groups[0]["lr"] = 1 / 30
    saved, weights = optimizer.state_dict(), [parameter.data.copy() for parameter in params]
    untouched = copy.deepcopy(saved)
    run(optimizer, params, 3, first=3)

    resumed = [nn.Parameter(w) for w in weights]
    other = MAKERS[name](resumed)
    other.load_state_dict(saved)
    run(other, resumed, 3, first=3)
    for ours, theirs in zip(params, resumed, strict=True):
        np.testing.assert_array_equal(ours.data, theirs.data)
    assert other.param_groups[0]["lr"] == 1 / 30
    # neither optimiser wrote into the saved state
    assert saved["param_groups"] == untouched["param_groups"]
    for position, memories in untouched["state"].items():
        for key, value in memories.items():
            np.testing.assert_array_equal(saved["state"][position][key], value)


def test_the_state_is_laid_out_as_pytorchs():
    params = parameters()
    optimizer = MAKERS["SGD"](params)
    run(optimizer, params, 1)
    state = optimizer.state_dict()
    assert [group["params"] for group in state["param_groups"]] == [[0, 1], [2, 3]]
    assert [group["lr"] for group in state["param_groups"]] == [0.1, 0.3]
    assert {number: list(memories) for number, memories in state["state"].items()} == {
        number: ["momentum_buffer"] for number in range(4)
    }


def tampered(change):
    params = parameters()
    optimizer = MAKERS["SGD"](params)
    run(optimizer, params, 1)
    state = optimizer.state_dict()
    change(state)
    return state


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "must be a dict with the keys 'state' and 'param_groups'"),
        ([], "must be a dict with the keys 'state' and 'param_groups'"),
        (optim.SGD(parameters(), 0.1).state_dict(), r"hold \[4\] parameters, this optimiser's hold \[2, 2\]"),
        (
            optim.Adam([{"params": parameters()[:2]}, {"params": parameters()[2:]}]).state_dict(),
            "group must have the keys .*momentum.*, got .*betas",
        ),
        (tampered(lambda s: s["state"].update({9: s["state"][0]})), "state 9 belongs to no parameter"),
        (tampered(lambda s: s["state"].update({0: {}})), r"state 0 must have .*, got \[\]"),
        (
            tampered(lambda s: s["state"][1].update(momentum_buffer=np.zeros(4))),
            r"momentum_buffer of parameter 1 has shape \(4,\), the parameter has \(5,\)",
        ),
        (tampered(lambda s: s["param_groups"][1].update(lr=-1)), "lr must be 0 or more"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(state, message):
    params = parameters()
    optimizer = MAKERS["SGD"](params)
    run(optimizer, params, 2)
    before = optimizer.state_dict()
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(state)
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    for position, memories in before["state"].items():
        np.testing.assert_array_equal(after["state"][position]["momentum_buffer"], memories["momentum_buffer"])


# --- schedules ----------------------------------------------------------------------------------------------


def rates(schedule, epochs):
    found = []
    for _ in range(epochs):
        schedule.step()
        found.append(schedule.get_last_lr()[0])
    return found


def test_step_lr():
    optimizer = optim.SGD(parameters(), lr=0.8)
    assert rates(optim.StepLR(optimizer, 3, gamma=0.5), 7) == [0.8, 0.8, 0.4, 0.4, 0.4, 0.2, 0.2]
    assert optimizer.param_groups[0]["lr"] == 0.2


def test_multi_step_lr():
    optimizer = optim.SGD(parameters(), lr=0.8)
    schedule = optim.MultiStepLR(optimizer, [2, 5, 5], gamma=0.5)
    assert rates(schedule, 6) == [0.8, 0.4, 0.4, 0.4, 0.1, 0.1]


def test_schedules_scale_every_group_and_respect_changes_by_hand():
    params = parameters()
    optimizer = optim.SGD([{"params": params[0]}, {"params": params[1], "lr": 1}], lr=0.5)
    schedule = optim.StepLR(optimizer, 2, gamma=0.5)
    schedule.step()
    optimizer.param_groups[1]["lr"] = 8.0
    schedule.step()
    assert schedule.get_last_lr() == [0.25, 4.0]


@pytest.mark.parametrize("make", [lambda o: optim.StepLR(o, 2, 0.3), lambda o: optim.MultiStepLR(o, [1, 3, 4], 0.3)])
def test_a_schedule_goes_on_exactly(make):
    whole = rates(make(optim.SGD(parameters(), 0.7)), 5)
    optimizer = optim.SGD(parameters(), 0.7)
    schedule = make(optimizer)
    start = rates(schedule, 2)
    other_optimizer = optim.SGD(parameters(), 123.0)
    other_optimizer.load_state_dict(optimizer.state_dict())
    other = make(other_optimizer)
    other.load_state_dict(schedule.state_dict())
    assert start + rates(other, 3) == whole
    with pytest.raises(ValueError, match="state_dict must have the keys"):
        other.load_state_dict({"last_epoch": 3})


# --- against PyTorch ----------------------------------------------------------------------------------------


def torchs(torch, params):
    return [torch.nn.Parameter(torch.from_numpy(np.array(p.data))) for p in params]


def run_torch(torch, optimizer, params, steps=STEPS):
    for step in range(steps):
        for parameter, gradient in zip(params, gradients(step), strict=True):
            parameter.grad = torch.from_numpy(gradient)
        optimizer.step()


@pytest.mark.torch
@pytest.mark.parametrize(
    ("name", "settings"),
    [("SGD", settings) for settings in SETTINGS if "style" not in settings]
    + [
        ("Adam", {}),
        ("Adam", {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    ],
)
def test_optimisers_agree_with_torch(name, settings):
    torch = pytest.importorskip("torch")
    ours = parameters()
    theirs = torchs(torch, ours)
    run(getattr(optim, name)(ours, **settings), ours)
    run_torch(torch, getattr(torch.optim, name)(theirs, **settings), theirs)
    for mine, torch_one in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.data, torch_one.detach().numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.torch
def test_groups_agree_with_torch():
    torch = pytest.importorskip("torch")
    ours = parameters()
    theirs = torchs(torch, ours)

    def groups(params):
        return [
            {"params": params[:2], "weight_decay": 0.1},
            {"params": params[2:], "lr": 0.3, "momentum": 0.5},
        ]

    run(optim.SGD(groups(ours), lr=0.1, momentum=0.9), ours)
    run_torch(torch, torch.optim.SGD(groups(theirs), lr=0.1, momentum=0.9), theirs)
    for mine, torch_one in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.data, torch_one.detach().numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.torch
@pytest.mark.parametrize(
    ("name", "argument"), [("StepLR", 3), ("StepLR", 1), ("MultiStepLR", [2, 3, 3, 7]), ("MultiStepLR", [1])]
)
def test_schedules_agree_with_torch(name, argument):
    torch = pytest.importorskip("torch")
    ours = parameters()
    mine = getattr(optim, name)(optim.SGD(ours, 0.7), argument, gamma=0.3)
    optimizer = torch.optim.SGD(torchs(torch, ours), lr=0.7)
    theirs = getattr(torch.optim.lr_scheduler, name)(optimizer, argument, gamma=0.3)
    for _ in range(10):
        optimizer.step()  # torch warns if it is left out
        mine.step()
        theirs.step()
        assert mine.get_last_lr() == theirs.get_last_lr()


def test_a_tensor_that_is_no_parameter_can_be_optimised():
    x = Tensor(np.array([3.0, -2.0]), requires_grad=True)
    optimizer = optim.SGD([x], lr=0.1, momentum=0.5)
    for _ in itertools.repeat(None, 60):
        optimizer.zero_grad()
        (x * x).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(x.data, 0, atol=1e-6)
