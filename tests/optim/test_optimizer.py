"""What all optimisers share: groups, errors, saving and loading."""

import copy
import itertools

import numpy as np
import pytest
from optimizer_runs import gradients, parameters, run, run_torch, sgd_by_hand, torchs

from minicnn import nn, optim
from minicnn.autograd import Tensor


def test_a_parameter_without_gradient_is_left_alone():
    params = parameters()
    optimizer = optim.SGD(params, lr=0.1, momentum=0.9, weight_decay=1.0)
    before = params[1].data.copy()
    params[0].grad = gradients(0)[0]
    optimizer.step()
    np.testing.assert_array_equal(params[1].data, before)
    assert list(optimizer.state) == [params[0]]


def test_step_does_not_write_into_gradients():
    for make in (lambda p: optim.SGD(p, 0.1, 0.9, weight_decay=0.1), lambda p: optim.Adam(p, 0.1, weight_decay=0.1)):
        params = parameters()
        run(make(params), params, 1)
        for parameter, gradient in zip(params, gradients(0), strict=True):
            np.testing.assert_array_equal(parameter.grad, gradient)


def test_a_tensor_that_is_no_parameter_can_be_optimised():
    x = Tensor(np.array([3.0, -2.0]), requires_grad=True)
    optimizer = optim.SGD([x], lr=0.1, momentum=0.5)
    for _ in itertools.repeat(None, 60):
        optimizer.zero_grad()
        (x * x).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(x.data, 0, atol=1e-6)


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
    optimizer.zero_grad(set_to_none=True)
    assert all(parameter.grad is None for parameter in params)
    with pytest.raises(NotImplementedError, match="zero_grad: set_to_none must be True, got False"):
        optimizer.zero_grad(False)


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


# --- refusals -----------------------------------------------------------------------------------------------

P = parameters()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: optim.SGD([], 0.1), ValueError, "SGD: params must have at least one parameter"),
        (lambda: optim.SGD([{"params": []}], 0.1), ValueError, "SGD: params must have at least one parameter"),
        (
            lambda: optim.SGD({P[0], P[1]}, 0.1),
            TypeError,
            "SGD: params must be a sequence of tensors or of dicts, got a set",
        ),
        (lambda: optim.SGD({"params": P}, 0.1), TypeError, "of tensors or of dicts, got a dict"),
        (lambda: optim.SGD(3, 0.1), TypeError, "got a int"),
        (lambda: optim.SGD([("w", P[0])], 0.1), TypeError, "SGD: params must be tensors, such as net.param"),
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
            r"SGD: params must be distinct, got one of shape \(3, 4\) twice",
        ),
        (lambda: optim.SGD([{"params": P}, {"params": P[1]}], 0.1), ValueError, "SGD: params must be distinct"),
        (
            lambda: optim.SGD([{"params": P, "rate": 1}], 0.1),
            ValueError,
            "SGD: the settings of a group must be among lr, mom.*, got 'rate'",
        ),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("make", [lambda p: optim.SGD([p], 0.1), lambda p: optim.Adam([p])])
def test_a_read_only_parameter_is_refused_and_a_read_only_gradient_is_not(make):
    array = np.ones((2, 3), np.float32)
    array.flags.writeable = False
    parameter = Tensor(np.ones((2, 3), np.float32), requires_grad=True)
    parameter.grad = array
    optimizer = make(parameter)
    optimizer.step()
    assert (parameter.data != 1).all()
    parameter.data = array
    with pytest.raises(ValueError, match=r"a parameter must be writeable, got a read-only array of shape \(2, 3\)"):
        optimizer.step()


@pytest.mark.parametrize("make", [lambda p: optim.SGD([p], 0.1), lambda p: optim.Adam([p])])
def test_a_gradient_of_another_shape_is_refused(make):
    parameter = nn.Parameter(np.zeros(3))
    optimizer = make(parameter)
    parameter.grad = np.zeros((2, 3))
    with pytest.raises(ValueError, match=r"gradient of a parameter must have its shape \(3,\), got \(2, 3\)"):
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
        (optim.SGD(parameters(), 0.1).state_dict(), r"param_groups must have \[2, 2\] parameters, got \[4\]"),
        (
            optim.Adam([{"params": parameters()[:2]}, {"params": parameters()[2:]}]).state_dict(),
            "a group must have the keys .*momentum.*, got .*betas",
        ),
        (
            tampered(lambda s: s["state"].update({9: s["state"][0]})),
            "the keys of state must be positions of parameters, got 9",
        ),
        (tampered(lambda s: s["state"].update({0: {}})), r"state 0 must have .*, got \[\]"),
        (
            tampered(lambda s: s["state"][1].update(momentum_buffer=np.zeros(4))),
            r"momentum_buffer of parameter 1 must have the parameter's shape \(5,\), got \(4,\)",
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
