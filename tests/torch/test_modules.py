"""Losses, layers, optimisers and schedules against PyTorch's."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn.functional as F
from minicnn import Tensor, nn, optim

torch = pytest.importorskip("torch")
TF = torch.nn.functional

pytestmark = pytest.mark.torch


def assert_same(ours: Any, theirs: Any, rtol: float = 1e-10) -> None:
    assert ours.shape == tuple(theirs.shape)
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=rtol, atol=1e-12)


def compare(ours: Callable[..., Tensor], theirs: Callable[..., Any], *arrays: np.ndarray) -> None:
    """Hold the output and every input's gradient of the one against those of the other."""
    mine = [Tensor(array.copy(), requires_grad=True) for array in arrays]
    others = [torch.tensor(array, requires_grad=True) for array in arrays]
    output, expected = ours(*mine), theirs(*others)
    assert_same(output.data, expected)
    gradient = np.random.default_rng(1).standard_normal(output.shape)
    output.backward(gradient)
    expected.backward(torch.tensor(gradient))
    for one, other in zip(mine, others, strict=True):
        assert_same(one.grad, other.grad)


# --- losses -------------------------------------------------------------------------------------------------

REDUCTIONS = ("mean", "sum", "none")
SHAPES = [(4, 3), (3,), (2, 3, 4), (2, 3, 2, 2)]
LOSSES = list(itertools.product(REDUCTIONS, SHAPES, (False, True)))


@pytest.mark.parametrize(("reduction", "shape", "weighted"), LOSSES)
def test_losses_of_labels(reduction: str, shape: tuple[int, ...], weighted: bool, rng: np.random.Generator) -> None:
    labels = rng.integers(0, 3, (shape[0], *shape[2:]) if len(shape) > 1 else ())
    weight = rng.random(3) if weighted else None
    x = rng.standard_normal(shape)
    settings = {"ignore_index": 1, "reduction": reduction}
    if not labels.shape:
        labels[...] = 2  # the mean over no label has its own test
    theirs = {**settings, "weight": None if weight is None else torch.tensor(weight)}
    target = torch.tensor(labels)
    compare(lambda x: F.nll_loss(x, labels, weight, **settings), lambda x: TF.nll_loss(x, target, **theirs), x)
    compare(
        lambda x: F.cross_entropy(x, labels, weight, label_smoothing=0.1, **settings),
        lambda x: TF.cross_entropy(x, target, label_smoothing=0.1, **theirs),
        x,
    )


@pytest.mark.parametrize(("reduction", "shape", "weighted"), LOSSES)
def test_cross_entropy_of_probabilities(
    reduction: str, shape: tuple[int, ...], weighted: bool, rng: np.random.Generator
) -> None:
    weight = rng.random(3) if weighted else None
    theirs = None if weight is None else torch.tensor(weight)
    settings = {"reduction": reduction, "label_smoothing": 0.2}
    compare(
        lambda x, q: nn.CrossEntropyLoss(weight, **settings)(x, q),
        lambda x, q: torch.nn.CrossEntropyLoss(theirs, **settings)(x, q),
        rng.standard_normal(shape),
        rng.random(shape),
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_mean_squared_error(reduction: str, rng: np.random.Generator) -> None:
    ours, theirs = nn.MSELoss(reduction=reduction), torch.nn.MSELoss(reduction=reduction)
    compare(ours, theirs, rng.standard_normal((3, 4)), rng.standard_normal((3, 4)))


@pytest.mark.parametrize("slope", [0.01, 0.0, -0.5])
def test_leaky_relu(slope: float, rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 4))
    x[0, 0] = 0
    compare(nn.LeakyReLU(slope), torch.nn.LeakyReLU(slope), x)


# --- modules ------------------------------------------------------------------------------------------------


def test_buffers_and_lists_have_torchs_names() -> None:
    def build(nn: Any, tensor: Any) -> Any:
        net = nn.Module()
        net.layers = nn.ModuleList([nn.Linear(2, 2), nn.Sequential(nn.Identity(), nn.Linear(2, 1))])
        net.register_buffer("mean", tensor([1.0]))
        net.layers[0].register_buffer("count", tensor([0.0]))
        net.layers.append(nn.LeakyReLU())
        return net

    mine, other = build(nn, Tensor), build(torch.nn, torch.tensor)
    assert list(mine.state_dict()) == list(other.state_dict())
    assert [name for name, _ in mine.named_buffers()] == [name for name, _ in other.named_buffers()]
    orders: list[list[str]] = []
    for net in (mine, other):
        orders.append([])
        net.apply(lambda module, seen=orders[-1]: seen.append(type(module).__name__))
    assert orders[0] == orders[1]
    assert [name for name, _ in mine.layers[1:].named_children()] == [n for n, _ in other.layers[1:].named_children()]


# --- batch normalisation ------------------------------------------------------------------------------------

SETTINGS: list[dict[str, Any]] = [
    {},
    {"momentum": None},
    {"momentum": 0.7, "eps": 0.1},
    {"affine": False},
    {"track_running_stats": False},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (2, 3, 4, 5)])
def test_batch_norm(shape: tuple[int, ...], settings: dict[str, Any], rng: np.random.Generator) -> None:
    kind = "BatchNorm2d" if len(shape) == 4 else "BatchNorm1d"
    mine, other = getattr(nn, kind)(3, dtype=np.float64, **settings), getattr(torch.nn, kind)(3, **settings).double()
    assert list(mine.state_dict()) == list(other.state_dict())
    if mine.affine:
        start = {"weight": rng.standard_normal(3), "bias": rng.standard_normal(3)}
        mine.load_state_dict(start, strict=False)
        other.load_state_dict({name: torch.tensor(array) for name, array in start.items()}, strict=False)
    for mode in (True, True, False, True):
        mine.train(mode)
        other.train(mode)
        compare(mine, other, rng.standard_normal(shape) * 3 + 1)
        for (_, one), (_, two) in zip(mine.named_parameters(), other.named_parameters(), strict=True):
            assert_same(one.grad, two.grad)
        theirs = other.state_dict()
        for name, array in mine.state_dict().items():
            assert_same(array, theirs[name])
            assert array.dtype == theirs[name].numpy().dtype


@pytest.mark.parametrize("size", [1, 6, (3, 2), (None, 4), (9, 10)])
@pytest.mark.parametrize("shape", [(2, 3, 7, 5), (3, 6, 6)])
def test_adaptive_avg_pool2d(size: Any, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    compare(nn.AdaptiveAvgPool2d(size), torch.nn.AdaptiveAvgPool2d(size), rng.standard_normal(shape))


# --- optimisers, schedules and clipping ---------------------------------------------------------------------


def two_groups(seed: int = 0) -> tuple[list[Any], list[Any]]:
    """Return parameters of ours and of PyTorch's, with the same values."""
    random = np.random.default_rng(seed)
    mine = [nn.Parameter(random.standard_normal(shape)) for shape in ((3, 4), (5,))]
    return mine, [torch.nn.Parameter(torch.tensor(parameter.data.copy())) for parameter in mine]


def give_gradients(step: int, mine: list[Any], others: list[Any]) -> None:
    random = np.random.default_rng(100 + step)
    for one, other in zip(mine, others, strict=True):
        one.grad = random.standard_normal(one.shape) * 3
        other.grad = torch.tensor(one.grad.copy())


@pytest.mark.parametrize("settings", [{}, {"weight_decay": 0.3, "betas": (0.8, 0.95), "eps": 1e-3}], ids=str)
def test_adamw(settings: dict[str, Any]) -> None:
    mine, others = two_groups()
    one, other = optim.AdamW(mine, **settings), torch.optim.AdamW(others, **settings)
    for step in range(10):
        give_gradients(step, mine, others)
        one.step()
        other.step()
        for parameter, theirs in zip(mine, others, strict=True):
            assert_same(parameter.data, theirs)


LR_SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("StepLR", {"step_size": 4, "gamma": 0.3}),
    ("MultiStepLR", {"milestones": [3, 3, 11, 25]}),
    ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}),
    ("CosineAnnealingLR", {"T_max": 30}),
    ("OneCycleLR", {"max_lr": [0.5, 1.5], "total_steps": 30}),
    ("OneCycleLR", {"max_lr": 0.5, "epochs": 3, "steps_per_epoch": 10, "three_phase": True, "pct_start": 0.25}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 31, "anneal_strategy": "linear", "cycle_momentum": False}),
]


@pytest.mark.parametrize(("name", "settings"), LR_SCHEDULES, ids=str)
@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_schedules_over_30_steps(name: str, settings: dict[str, Any], kind: str) -> None:
    mine, others = two_groups()
    more = {"momentum": 0.9} if kind == "SGD" else {}
    one = getattr(optim, kind)([{"params": mine[0]}, {"params": mine[1], "lr": 0.2}], lr=0.7, **more)
    other = getattr(torch.optim, kind)([{"params": others[0]}, {"params": others[1], "lr": 0.2}], lr=0.7, **more)
    schedule = getattr(optim.lr_scheduler, name)(one, **settings)
    theirs = getattr(torch.optim.lr_scheduler, name)(other, **settings)
    for step in range(30):
        assert schedule.get_last_lr() == pytest.approx(theirs.get_last_lr(), rel=1e-12, abs=1e-15)
        key = "momentum" if kind == "SGD" else "betas"
        for group, their_group in zip(one.param_groups, other.param_groups, strict=True):
            assert group[key] == pytest.approx(their_group[key], rel=1e-12)
        give_gradients(step, mine, others)
        one.step()
        other.step()
        schedule.step()
        theirs.step()
    for parameter, their_parameter in zip(mine, others, strict=True):
        assert_same(parameter.data, their_parameter, rtol=1e-8)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"patience": 2, "cooldown": 2, "factor": 0.5},
        {"patience": 0, "threshold_mode": "abs", "threshold": 0.2, "min_lr": [0.05, 0.01]},
        {"mode": "max", "patience": 1, "eps": 0.01},
        {"mode": "max", "patience": 1, "threshold_mode": "abs", "threshold": 0.1},
    ],
    ids=str,
)
def test_plateaus_over_30_steps(settings: dict[str, Any], rng: np.random.Generator) -> None:
    mine, others = two_groups()
    one = optim.SGD([{"params": mine[0]}, {"params": mine[1], "lr": 0.2}], lr=0.7)
    other = torch.optim.SGD([{"params": others[0]}, {"params": others[1], "lr": 0.2}], lr=0.7)
    schedule = optim.ReduceLROnPlateau(one, **settings)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(other, **settings)
    for measure in rng.standard_normal(30) + 2:
        schedule.step(measure)
        theirs.step(measure)
        assert schedule.get_last_lr() == theirs.get_last_lr()


@pytest.mark.parametrize(("max_norm", "norm_type"), [(1.0, 2.0), (100.0, 2.0), (0.5, 1.0), (0.5, float("inf")), (2, 3)])
def test_clip_grad_norm(max_norm: float, norm_type: float) -> None:
    mine, others = two_groups()
    give_gradients(0, mine, others)
    total = nn.utils.clip_grad_norm_(mine, max_norm, norm_type)
    assert_same(total.data, torch.nn.utils.clip_grad_norm_(others, max_norm, norm_type))
    for one, other in zip(mine, others, strict=True):
        assert_same(one.grad, other.grad)
