"""Schedules: their rates, saving and loading, and against PyTorch."""

import pytest
from optimizer_runs import parameters, torchs

from minicnn import optim


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


SCHEDULES = [
    lambda o: optim.CosineAnnealingLR(o, 3, 0.1),
    lambda o: optim.OneCycleLR(o, 0.9, 6),
    lambda o: optim.OneCycleLR(o, 0.9, 6, three_phase=True),
]


@pytest.mark.parametrize("make", SCHEDULES)
def test_a_schedule_with_a_state_goes_on_exactly(make):
    whole = rates(make(optim.SGD(parameters(), 0.7)), 6)
    optimizer = optim.SGD(parameters(), 0.7)
    schedule = make(optimizer)
    start = rates(schedule, 2)
    other_optimizer = optim.SGD(parameters(), 123.0)
    other = make(other_optimizer)
    other_optimizer.load_state_dict(optimizer.state_dict())
    other.load_state_dict(schedule.state_dict())
    assert start + rates(other, 4) == whole


def test_cosine_annealing_falls_and_rises_again():
    schedule = optim.CosineAnnealingLR(optim.SGD(parameters(), 1.0), 2)
    assert rates(schedule, 5) == pytest.approx([0.5, 0, 0.5, 1, 0.5], abs=1e-12)


def test_a_plateau():
    optimizer = optim.SGD(parameters(), 1.0)
    schedule = optim.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, cooldown=1, min_lr=0.3)
    found = []
    for error in (3, 2, 2, 2, 2, 2, 2, 2):
        schedule.step(error)
        found.append(optimizer.param_groups[0]["lr"])
    assert found == [1, 1, 1, 0.5, 0.5, 0.5, 0.3, 0.3]
    assert optim.lr_scheduler.ReduceLROnPlateau is optim.ReduceLROnPlateau


def test_one_cycle():
    optimizer = optim.SGD(parameters(), 123.0, momentum=0.9)
    schedule = optim.OneCycleLR(optimizer, 1.0, 11, pct_start=6 / 11, anneal_strategy="linear", div_factor=5)
    assert schedule.get_last_lr() == [0.2]
    assert optimizer.param_groups[0]["momentum"] == 0.95
    assert rates(schedule, 5) == pytest.approx([0.36, 0.52, 0.68, 0.84, 1])
    assert optimizer.param_groups[0]["momentum"] == pytest.approx(0.85)
    assert rates(schedule, 5)[-1] == pytest.approx(2e-5)
    assert optimizer.param_groups[0]["momentum"] == pytest.approx(0.95)
    schedule.step()  # PyTorch's lets this one pass, too
    with pytest.raises(ValueError, match="OneCycleLR: step must be called at most 11 times"):
        schedule.step()


P = parameters()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: optim.StepLR(P, 1), TypeError, "StepLR: optimizer must be an Optimizer"),
        (
            lambda: optim.StepLR(optim.SGD(P, 0.1), 0),
            ValueError,
            "StepLR: step_size must be at least 1, got 0",
        ),
        (
            lambda: optim.CosineAnnealingLR(optim.SGD(P, 0.1), 0),
            ValueError,
            "CosineAnnealingLR: T_max must be at least 1",
        ),
        (
            lambda: optim.StepLR(optim.SGD(P, 0.1), 2, last_epoch=3),
            NotImplementedError,
            "StepLR: last_epoch must be -1, got 3",
        ),
        (
            lambda: optim.ReduceLROnPlateau(optim.SGD(P, 0.1), factor=1.0),
            ValueError,
            "ReduceLROnPlateau: factor must be below 1, got 1.0",
        ),
        (
            lambda: optim.ReduceLROnPlateau(optim.SGD(P, 0.1), min_lr=[0.1, 0.2]),
            ValueError,
            "ReduceLROnPlateau: min_lr must be a number, or 1, one a group",
        ),
        (lambda: optim.OneCycleLR(optim.SGD(P, 0.1), 1, epochs=3), ValueError, "OneCycleLR: total_steps must be given"),
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
