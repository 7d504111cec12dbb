"""The losses as modules pass everything on to the functions."""

import numpy as np
import pytest

import minicnn.functional as F
from minicnn import Tensor, nn

X, LABELS = np.random.default_rng(0).standard_normal((4, 3)), [2, 0, 1, 2]
WEIGHT = np.array([0.5, 1.0, 2.0])


@pytest.mark.parametrize(
    ("layer", "target", "function"),
    [
        (nn.CrossEntropyLoss(), LABELS, F.cross_entropy),
        (
            nn.CrossEntropyLoss(WEIGHT, 1, "none", 0.1),
            LABELS,
            lambda x, t: F.cross_entropy(x, t, WEIGHT, 1, "none", 0.1),
        ),
        (nn.NLLLoss(), LABELS, F.nll_loss),
        (nn.NLLLoss(Tensor(WEIGHT), 1, "sum"), LABELS, lambda x, t: F.nll_loss(x, t, WEIGHT, 1, "sum")),
        (nn.MSELoss(), X * 2, F.mse_loss),
        (nn.MSELoss(reduction="none"), X * 2, lambda x, t: F.mse_loss(x, t, "none")),
    ],
    ids=lambda value: repr(value) if isinstance(value, nn.Module) else "",
)
def test_everything_is_passed_on(layer, target, function):
    np.testing.assert_array_equal(layer(Tensor(X), target).data, function(Tensor(X), target).data)


def test_class_weights_are_a_buffer():
    loss = nn.CrossEntropyLoss(WEIGHT)
    assert [name for name, _ in loss.named_buffers()] == ["weight"]
    assert list(loss.state_dict()) == ["weight"]
    assert not list(loss.parameters())
    assert list(nn.CrossEntropyLoss().state_dict()) == []


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.MSELoss("max"), ValueError, "MSELoss: reduction must be one of mean, sum, none; got 'max'"),
        (lambda: nn.NLLLoss(ignore_index=1.5), TypeError, "NLLLoss: ignore_index must be an integer, got 1.5"),
        (
            lambda: nn.CrossEntropyLoss(label_smoothing=2),
            ValueError,
            "CrossEntropyLoss: label_smoothing must lie between 0 and 1",
        ),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()
