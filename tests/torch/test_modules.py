"""Losses, layers, optimisers and schedules against PyTorch's."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn.functional as F
from minicnn import Tensor, nn

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
