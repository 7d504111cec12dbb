"""Values that change between the forward and the backward pass: the engine refuses to compute with them."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn.functional as F
from minicnn import Tensor, nn, no_grad, optim
from minicnn.nn import init

SHARED = "but it has been changed in place since, by "


def parameter(*shape: int, seed: int = 0) -> nn.Parameter:
    return nn.Parameter(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Adam])
def test_a_step_between_two_losses_that_share_a_weight(optimizer: Any) -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    step = optimizer(network.parameters(), lr=0.1)
    a, b = (network(np.ones((3, 4), np.float32)).sum() for _ in range(2))
    a.backward()
    step.step()
    with pytest.raises(
        RuntimeError,
        match=rf"Linear needs its input 1, a tensor of shape \(2, 4\), .*{SHARED}{optimizer.__name__}.step; run",
    ):
        b.backward()
    network(np.ones((3, 4), np.float32)).sum().backward()


def test_without_a_change_two_losses_may_share_a_weight() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    a, b = (network(np.ones((3, 4), np.float32)).sum() for _ in range(2))
    a.backward()
    b.backward()


def test_what_needs_no_value_may_change() -> None:
    """A sum does not read its inputs, and dL/dw = dL/dy x reads no w: PyTorch allows these, too."""
    w = parameter(3)
    x = Tensor(np.array([1.0, 2.0, 3.0], np.float32))
    losses = [(w + x).sum(), (w * x).sum(), (w / x).sum(), (w * 2).sum(), (-w).mean(), w.reshape(3, 1)[0].sum(), w @ x]
    init.zeros_(w)
    for loss in losses:
        w.grad = None
        loss.backward()
    assert w.grad is not None
    assert w.grad.tolist() == [1, 2, 3]


def test_one_layer_may_be_updated_between_two_losses() -> None:
    layer = nn.Linear(4, 2)
    step = optim.SGD(layer.parameters(), lr=0.1)
    a, b = (layer(np.ones((3, 4), np.float32)).sum() for _ in range(2))
    a.backward()
    step.step()
    layer.zero_grad()
    b.backward()
    np.testing.assert_array_equal(layer.weight.grad, np.full((2, 4), 3))


@pytest.mark.parametrize(
    ("change", "by"),
    [
        (init.zeros_, "an initialiser"),
        (init.uniform_, "an initialiser"),
        (lambda w: w.__iadd__(1), r"\+="),
        (lambda w: w.__isub__(1), "-="),
        (lambda w: w.__setitem__(0, 1), r"x\[index\] = value"),
        (lambda w: init.zeros_(w.detach()), "an initialiser"),
        (lambda w: w.detach().reshape(-1).__imul__(2), r"\*="),
        (lambda w: w.detach().T.__setitem__(0, 1), r"x\[index\] = value"),
        (lambda w: init.zeros_(nn.Parameter(w)), "an initialiser"),
    ],
)
@pytest.mark.parametrize(
    "use",
    [
        lambda w, x: w * x,
        lambda w, x: x @ w,
        lambda w, x: x @ w.T,
        lambda w, x: F.linear(x, w),
        lambda w, x: x / w,
        lambda w, x: w**2 + x,
        lambda w, x: x * w.reshape(4).reshape(2, 2),
    ],
)
def test_every_change_through_the_tensor_counts(change: Callable[..., Any], by: str, use: Callable[..., Any]) -> None:
    w, x = parameter(2, 2), Tensor(np.ones((2, 2), np.float32), requires_grad=True)
    loss = use(w, x).sum()
    with no_grad():
        change(w)
    with pytest.raises(RuntimeError, match=SHARED + by):
        loss.backward()


def test_load_state_dict_counts_and_so_do_frozen_parameters() -> None:
    layer, x = nn.Linear(2, 2), Tensor(np.ones((1, 2), np.float32), requires_grad=True)
    for each in layer.parameters():
        each.requires_grad = False
    loss = layer(x).sum()
    layer.load_state_dict(layer.state_dict())
    with pytest.raises(RuntimeError, match=SHARED + "load_state_dict"):
        loss.backward()


def test_a_computed_tensor_may_not_change_either() -> None:
    w = parameter(3)
    y = w.exp()
    z = y * y
    with no_grad():
        y += 1
    with pytest.raises(RuntimeError, match=r"Mul needs its input 0, a tensor of shape \(3,\)"):
        z.sum().backward()
    y = w.exp()
    with no_grad():
        y += 1
    with pytest.raises(RuntimeError, match="Exp needs its output as it was"):
        y.sum().backward()


def test_a_changed_input_of_the_first_layer() -> None:
    images = Tensor(np.ones((2, 3), np.float32))
    loss = nn.Linear(3, 2)(images).sum()
    images[0] = 0
    with pytest.raises(RuntimeError, match=r"Linear needs its input 0, a tensor of shape \(2, 3\)"):
        loss.backward()


def test_a_new_array_is_no_change() -> None:
    """The old one, which was saved, is still what it was; so is a convolution's copy of its filters."""
    w, x = parameter(2, 2), Tensor(np.ones((2, 2), np.float32), requires_grad=True)
    loss = (w * x).sum()
    old = w.data
    w.data = np.zeros((2, 2), np.float32)
    init.uniform_(w)
    loss.backward()
    np.testing.assert_array_equal(x.grad, old)


def test_an_error_leaves_the_leaves_behind_it_alone() -> None:
    w, x = parameter(2, 2), parameter(2, 2)
    loss = (w * x).sum()
    init.zeros_(w)
    with pytest.raises(RuntimeError, match=SHARED):
        loss.backward()
    assert w.grad is None
    assert x.grad is None


def test_a_traced_graph_refuses_as_well() -> None:
    layer, x = nn.Linear(2, 2), Tensor(np.ones((1, 2), np.float32), requires_grad=True)
    with minicnn.trace():
        loss = layer(x).sum()
    loss.backward()
    loss.backward()
    init.zeros_(layer.weight)
    with pytest.raises(RuntimeError, match=SHARED):
        loss.backward()


def test_a_note_of_a_change_keeps_no_graph_and_makes_no_circle() -> None:
    gc.disable()
    try:
        w = parameter(2, 2)
        y = w.exp()
        operation = weakref.ref(y.creator)
        init.zeros_(w)
        with no_grad():
            y *= 2
        del y
        assert operation() is None
        tensor = weakref.ref(w)
        del w
        assert tensor() is None
    finally:
        gc.enable()


def test_a_network_that_moves_leaves_nothing_behind(gpu: str) -> None:
    layer = nn.Linear(2, 2)
    before = weakref.ref(layer.weight.data)
    layer.to(gpu)
    assert before() is None


def _with_labels(x: Tensor, function: Callable[..., Tensor]) -> tuple[list[Any], Tensor]:
    labels, weight = np.array([0, 1, 2]), np.array([1.0, 2.0, 3.0, 4.0])
    return [labels, weight], function(x, labels, weight)


def _with_probabilities(x: Tensor) -> tuple[list[Any], Tensor]:
    weight = np.array([1.0, 2.0, 3.0, 4.0])
    return [weight], F.cross_entropy(x, np.full((3, 4), 0.25), weight)


def _indexed(x: Tensor, index: Any) -> tuple[list[Any], Tensor]:
    return [index.data if isinstance(index, Tensor) else index], (x[index] * x[index]).sum()


def _indexed_by_pairs(x: Tensor) -> tuple[list[Any], Tensor]:
    rows, columns = np.array([0, 1]), [1, 2]
    return [rows, columns], x[rows, columns].exp().sum()


def _chosen(x: Tensor) -> tuple[list[Any], Tensor]:
    mask = np.arange(12).reshape(3, 4) > 5
    return [mask], minicnn.where(mask, x, 0.0).exp().sum()


def _normalised(x: Tensor) -> tuple[list[Any], Tensor]:
    mean, variance = np.ones(4), np.full(4, 2.0)
    return [mean, variance], (F.batch_norm(x, mean, variance) ** 2).sum()


@pytest.mark.parametrize(
    "use",
    [
        lambda x: _with_labels(x, F.cross_entropy),
        lambda x: _with_labels(x, F.nll_loss),
        _with_probabilities,
        lambda x: _indexed(x, np.array([0, 1])),
        lambda x: _indexed(x, Tensor(np.array([0, 1]))),
        lambda x: _indexed(x, [0, 1]),
        lambda x: _indexed(x, np.array([True, True, False])),
        _indexed_by_pairs,
        _chosen,
        _normalised,
    ],
)
def test_labels_indices_masks_and_statistics_may_change(use: Callable[[Tensor], tuple[list[Any], Tensor]]) -> None:
    """They are arrays of the caller, who may fill them with the next batch's before the backward pass."""
    gradients = []
    for changes in (False, True):
        x = Tensor(np.arange(12.0).reshape(3, 4) / 7, requires_grad=True)
        arrays, loss = use(x)
        for array in arrays if changes else ():
            array[:] = array[::-1]
            array[0] = array[1]
        loss.backward()
        gradients.append(x.grad)
    np.testing.assert_array_equal(*gradients)
