"""Cross-entropy."""

import math
from typing import Any

import naive
import numpy as np
import pytest

import minicnn
import minicnn.functional as F
from minicnn import Tensor
from minicnn.ops.fused_cross_entropy import FusedCrossEntropy
from minicnn.ops.loss import CrossEntropy

LABELS = np.array([2, 0, -100, 1, 2])
WEIGHT = np.array([0.5, 1.0, 2.5])


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_values(reduction: str, weight: Any, label_smoothing: float, dtype: type, rng: np.random.Generator) -> None:
    x = rng.standard_normal((5, 3)).astype(dtype)
    y = F.cross_entropy(Tensor(x), LABELS, weight, reduction=reduction, label_smoothing=label_smoothing)
    v = np.ones(3) if weight is None else weight
    losses = naive.cross_entropies(x, LABELS, v, -100, label_smoothing)
    expected: Any = losses
    if reduction != "none":
        expected = math.fsum(losses)
    if reduction == "mean":
        expected /= sum(float(v[label]) for label in LABELS if label != -100)
    assert (y.shape, y.dtype) == (np.shape(expected), dtype)
    np.testing.assert_allclose(y.data, expected, rtol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("ignore_index", [-100, 2])
def test_gradients(
    ignore_index: int, reduction: str, weight: Any, label_smoothing: float, rng: np.random.Generator
) -> None:
    x = Tensor(rng.standard_normal((5, 3)), requires_grad=True)
    labels = np.where(ignore_index == -100, LABELS, np.abs(LABELS) % 3)
    assert minicnn.gradcheck(lambda t: F.cross_entropy(t, labels, weight, ignore_index, reduction, label_smoothing), x)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_pictures_of_labels(reduction: str, dtype: type, rng: np.random.Generator) -> None:
    """Every position of an (N, C, H, W) input is an example of its own."""
    x = rng.standard_normal((2, 3, 4, 2)).astype(dtype)
    labels = rng.integers(0, 3, (2, 4, 2))
    labels[0, 0, 0] = -100
    y = F.cross_entropy(Tensor(x), labels, WEIGHT, reduction=reduction)
    rows = np.array([x[n, :, h, w] for n, h, w in np.ndindex(2, 4, 2)])
    same = F.cross_entropy(Tensor(rows), labels.ravel(), WEIGHT, reduction=reduction)
    assert y.shape == (labels.shape if reduction == "none" else ())
    np.testing.assert_allclose(y.data.ravel(), same.data.ravel(), rtol=1e-6)
    tensor = Tensor(x.astype(np.float64), requires_grad=True)
    assert minicnn.gradcheck(lambda t: F.cross_entropy(t, labels, reduction=reduction), tensor)


@pytest.mark.parametrize("kind", [np.int8, np.int32, np.int64, np.uint8, np.uint16])
def test_labels_of_every_integer_kind(kind: type, rng: np.random.Generator) -> None:
    x, labels = Tensor(rng.standard_normal((3, 4))), np.array([3, 0, 1])
    expected = F.cross_entropy(x, labels).item()
    assert F.cross_entropy(x, labels.astype(kind)).item() == expected
    assert F.cross_entropy(x, Tensor(labels.astype(kind))).item() == expected
    assert F.cross_entropy(x, labels.tolist()).item() == expected


def test_the_gradient_is_the_probability_minus_the_target() -> None:
    x = Tensor(np.log([[1.0, 2.0, 5.0]]), requires_grad=True)
    loss = F.cross_entropy(x, [1])
    assert loss.item() == pytest.approx(-math.log(2 / 8))
    loss.backward()
    np.testing.assert_allclose(x.grad, [[1 / 8, 2 / 8 - 1, 5 / 8]])


def test_stable_far_out(dtype: type) -> None:
    x = Tensor(np.array([[1000.0, 0.0], [1000.0, 0.0], [-np.inf, 0.0]], dtype), requires_grad=True)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        loss = F.cross_entropy(x, [0, 1, 1], reduction="none")
        loss.backward(np.ones(3))
    np.testing.assert_array_equal(loss.data, [0, 1000, 0])
    np.testing.assert_array_equal(x.grad, [[0, 0], [1, -1], [0, 0]])


def test_ignored_rows_count_nothing(rng: np.random.Generator) -> None:
    numbers = rng.standard_normal((4, 3))
    numbers[1] = 1e6
    x = Tensor(numbers, requires_grad=True)
    F.cross_entropy(x, [0, 7, 2, 7], ignore_index=7).backward()
    np.testing.assert_array_equal(x.grad[[1, 3]], np.zeros((2, 3)))
    few = Tensor(numbers[[0, 2]], requires_grad=True)
    F.cross_entropy(few, [0, 2]).backward()
    np.testing.assert_allclose(x.grad[[0, 2]], few.grad, rtol=1e-14)


def test_a_batch_of_nothing(dtype: type) -> None:
    x, labels = Tensor(np.ones((0, 3), dtype), requires_grad=True), np.zeros(0, int)
    total = F.cross_entropy(x, labels, reduction="sum")
    assert (total.item(), total.dtype) == (0, dtype)
    total.backward()
    assert x.grad.shape == (0, 3)
    assert F.cross_entropy(x, labels, reduction="none").shape == (0,)
    with np.errstate(invalid="ignore"):
        assert math.isnan(F.cross_entropy(x, labels).item())  # the mean of nothing, as in PyTorch


def test_the_class_weights_are_constants() -> None:
    x, weight = Tensor(np.ones((2, 3)), requires_grad=True), Tensor(WEIGHT, requires_grad=True)
    F.cross_entropy(x, [0, 1], weight).backward()
    assert weight.grad is None


X = np.ones((4, 3))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((X, [0, 1, 2, 3]), ValueError, "target must lie between 0 and 2 .*ignore_index=-100.*, got 3"),
        ((X, [0, -1, 2, 0]), ValueError, "target must lie between 0 and 2 .*, got -1"),
        ((X, [0, -100, 2, 0], None, 1), ValueError, "target must lie between 0 and 2 .*ignore_index=1.*, got -100"),
        ((X, np.array([0, 255, 2, 0], np.uint8)), ValueError, "target must lie between 0 and 2 .*, got 255"),
        ((X, np.full((4, 3), 1 / 3, np.float32)), TypeError, "target must be float64, as input is, got float32"),
        ((X, np.full((4, 3), 1 / 3), None, 1), NotImplementedError, "ignore_index must be negative .*, got 1"),
        (
            (X, [0.0, 1.0, 2.0, 0.0]),
            TypeError,
            r"target must hold integer labels or probabilities of shape \(4, 3\), got float32 of shape \(4,\)",
        ),
        ((X, [True, False, True, True]), TypeError, "target must hold integer labels or .*, got bool"),
        ((X, [0, 1, 2]), ValueError, r"target must have shape \(4,\) for an input of shape \(4, 3\), got \(3,\)"),
        ((X, [[0], [1], [2], [0]]), ValueError, r"target must have shape \(4,\) .* got \(4, 1\)"),
        ((np.ones((4, 3, 2)), [0, 1, 2, 0]), ValueError, r"target must have shape \(4, 2\) .* got \(4,\)"),
        ((np.ones(()), 0), ValueError, r"input must have shape \(N, C\), \(N, C, \*\) or \(C,\), got \(\)"),
        ((np.ones((4, 3), int), [0, 1, 2, 0]), TypeError, "input must be float32 or float64, got int64"),
        ((X, [0, 1, 2, 0], np.ones(4)), ValueError, r"weight must have shape \(3,\), .* got \(4,\)"),
        ((X, [0, 1, 2, 0], None, -100, "average"), ValueError, r"reduction must be one of .*none; got 'average'"),
        ((X, [0, 1, 2, 0], None, -100, None), ValueError, r"reduction must be one of .*none; got None"),
        ((X, [0, 1, 2, 0], None, -100, "mean", 1.5), ValueError, "label_smoothing must lie between 0 and 1, got 1.5"),
        ((X, [0, 1, 2, 0], None, -100, "mean", "a"), TypeError, "label_smoothing must be a number, got 'a'"),
        ((X, [0, 1, 2, 0], None, 1.5), TypeError, "ignore_index must be an integer, got 1.5"),
    ],
)
def test_refusals(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"cross_entropy: {message}"):
        F.cross_entropy(Tensor(arguments[0]), *arguments[1:])


@pytest.mark.parametrize("operation", [CrossEntropy, FusedCrossEntropy])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    ("labels", "weight"),
    [([-100, -100], None), ([-100, -100], [1.0, 2.0, 3.0]), ([1, 1], [1.0, 0.0, 3.0])],
    ids=["ignored", "ignored and weighted", "of weight 0"],
)
def test_where_no_label_counts_the_gradient_is_zero(
    labels: Any, weight: Any, reduction: str, operation: type[CrossEntropy], rng: np.random.Generator
) -> None:
    x = Tensor(rng.standard_normal((2, 3)), requires_grad=True)
    v = None if weight is None else np.array(weight)
    with minicnn.use_kernels("numpy"):
        loss = operation(np.array(labels), v, -100, reduction, 0.0)(x)
        loss.backward(np.ones(loss.shape))
    np.testing.assert_array_equal(loss.data, np.nan if reduction == "mean" else np.zeros(loss.shape))
    np.testing.assert_array_equal(x.grad, np.zeros((2, 3)))


def test_a_batch_without_labels_leaves_the_weights_alone(rng: np.random.Generator) -> None:
    layer = minicnn.nn.Linear(4, 3)
    optimizer = minicnn.optim.SGD(layer.parameters(), lr=0.1)
    before = layer.state_dict()
    F.cross_entropy(layer(Tensor(rng.standard_normal((2, 4)).astype(np.float32))), [-100, -100]).backward()
    optimizer.step()
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


# --- probabilities as targets -------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_probabilities_of_one_at_the_label_are_the_label(reduction: str, rng: np.random.Generator) -> None:
    x, labels = rng.standard_normal((5, 4, 2)), rng.integers(0, 4, (5, 2))
    one_hot = np.moveaxis(np.eye(4)[labels], -1, 1)
    expected = F.cross_entropy(x, labels, None, -100, reduction, 0.1).data
    np.testing.assert_allclose(F.cross_entropy(x, one_hot, None, -100, reduction, 0.1).data, expected, rtol=1e-12)


def test_an_image_without_a_batch(rng: np.random.Generator) -> None:
    x = rng.standard_normal(4)
    expected = F.cross_entropy(x[None], [2], reduction="none").data[0]
    for target in (2, np.eye(4)[2]):
        for reduction in ("mean", "none"):
            loss = F.cross_entropy(x, target, reduction=reduction)
            assert loss.shape == ()
            assert loss.item() == pytest.approx(expected, rel=1e-12)


# --- negative log likelihood --------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_nll_of_log_softmax_is_the_cross_entropy(reduction: str, rng: np.random.Generator) -> None:
    x, labels, weight = rng.standard_normal((5, 4, 2)), rng.integers(0, 4, (5, 2)), rng.random(4)
    labels[2] = 3
    expected = F.cross_entropy(x, labels, weight, 3, reduction).data
    np.testing.assert_allclose(F.nll_loss(F.log_softmax(x, 1), labels, weight, 3, reduction).data, expected, rtol=1e-12)


def test_nll_refuses_what_is_no_label() -> None:
    with pytest.raises(ValueError, match="nll_loss: target must lie between 0 and 2 .*, got 3"):
        F.nll_loss(X, [0, 1, 2, 3])
    with pytest.raises(TypeError, match="nll_loss: target must hold integer labels, got float64"):
        F.nll_loss(X, np.full((4, 3), 1 / 3))
    with pytest.raises(ValueError, match="nll_loss: reduction must be one of mean, sum, none; got 'max'"):
        F.nll_loss(X, [0, 1, 2, 0], reduction="max")


def test_an_ignored_row_may_be_impossible() -> None:
    x = Tensor(np.array([[-np.inf, 0.0], [-1.0, -2.0]]), requires_grad=True)
    F.nll_loss(x, [0, 1], ignore_index=0).backward()
    np.testing.assert_array_equal(x.grad, [[0, 0], [0, -1]])
