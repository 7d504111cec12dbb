"""Normalisation as layers: over channels, with the arguments of the paper, TensorFlow and Caffe; over the batch."""

import naive
import numpy as np
import pytest

import minicnn.functional as F
from minicnn import nn
from minicnn.autograd import Tensor

IMAGES = np.random.default_rng(0).standard_normal((2, 4, 7, 9)).astype(np.float32)


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (nn.LocalResponseNorm(3), lambda x: F.local_response_norm(x, 3)),
        (nn.LocalResponseNorm(2, 1.5, 0.5, 2), lambda x: F.local_response_norm(x, 2, 1.5, 0.5, 2.0)),
    ],
    ids=lambda value: repr(value) if isinstance(value, nn.Module) else "",
)
def test_the_layer_passes_everything_on(layer, function):
    x = Tensor(IMAGES)
    expected = function(x).data
    output = layer(x).data
    assert output.shape == expected.shape
    np.testing.assert_array_equal(output, expected)
    assert list(layer.parameters()) == []


@pytest.mark.parametrize(
    ("layer", "below", "above", "k", "a", "beta"),
    [
        (nn.LocalResponseNorm.from_paper(5, 2.0, 0.7, 0.6), 2, 2, 2.0, 0.7, 0.6),
        (nn.LocalResponseNorm.from_paper(n=3, alpha=0.7), 1, 1, 2.0, 0.7, 0.75),
        (nn.LocalResponseNorm.from_paper(1, 1, 0.7, 1), 0, 0, 1.0, 0.7, 1.0),
        (nn.LocalResponseNorm.from_tensorflow(2, 2.0, 0.7, 0.75), 2, 2, 2.0, 0.7, 0.75),
        (nn.LocalResponseNorm.from_tensorflow(1), 1, 1, 1.0, 1.0, 0.5),
        (nn.LocalResponseNorm.from_tensorflow(depth_radius=0, bias=3), 0, 0, 3.0, 1.0, 0.5),
        (nn.LocalResponseNorm.from_caffe(5, 0.7, 0.6, 2.0), 2, 2, 2.0, 0.7 / 5, 0.6),
        (nn.LocalResponseNorm.from_caffe(local_size=3), 1, 1, 1.0, 1 / 3, 0.75),
    ],
    ids=str,
)
def test_lrn_in_the_terms_of_others(layer, below, above, k, a, beta):
    x = np.random.default_rng(4).standard_normal((2, 8, 2, 3))
    expected = naive.local_response_norm(x, below, above, k, a, beta)
    np.testing.assert_allclose(layer(x).data, expected, rtol=1e-12)


def test_lrns_defaults_are_those_of_the_others():
    def numbers(layer):
        return layer.size, layer.alpha / layer.size, layer.beta, layer.k

    assert numbers(nn.LocalResponseNorm.from_paper()) == pytest.approx((5, 1e-4, 0.75, 2))
    assert numbers(nn.LocalResponseNorm.from_tensorflow()) == pytest.approx((11, 1, 0.5, 1))
    assert numbers(nn.LocalResponseNorm.from_caffe()) == pytest.approx((5, 1 / 5, 0.75, 1))


def test_the_numbers_that_the_article_prints():
    """tf.nn.lrn(a, 2, 0, 1, 1) of 1 2 ... 8: 1/14, 2/30, 3/55, 4/90, ..."""
    layer = nn.LocalResponseNorm.from_tensorflow(2, 0, 1, 1)
    y = layer(np.arange(1.0, 9.0).reshape(1, 8)).data
    np.testing.assert_allclose(y[0, :4], [1 / 14, 2 / 30, 3 / 55, 4 / 90], rtol=1e-12)
    np.testing.assert_allclose(y[0, 6:], [0.04022989, 0.05369128], rtol=1e-6)


def test_the_papers_layer_in_three_dialects():
    paper = nn.LocalResponseNorm.from_paper()
    assert repr(paper) == repr(nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2))
    assert repr(paper) == repr(nn.LocalResponseNorm.from_tensorflow(2, 2, 1e-4, 0.75))
    assert repr(paper) == repr(nn.LocalResponseNorm.from_caffe(5, 5e-4, 0.75, 2))


def test_repr():
    assert repr(nn.LocalResponseNorm(5, 5e-4, 0.75, 2)) == ("LocalResponseNorm(5, alpha=0.0005, beta=0.75, k=2.0)")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.LocalResponseNorm(0), ValueError, "LocalResponseNorm: size must be at least 1, got 0"),
        (
            lambda: nn.LocalResponseNorm(5, "a"),
            TypeError,
            "LocalResponseNorm: alpha must be a number, got 'a'",
        ),
        (lambda: nn.LocalResponseNorm.from_paper(4), ValueError, "from_paper: n must be odd, got 4"),
        (lambda: nn.LocalResponseNorm.from_paper(0), ValueError, "from_paper: n must be at least 1, got 0"),
        (lambda: nn.LocalResponseNorm.from_paper(alpha=None), TypeError, "from_paper: alpha must be a number"),
        (lambda: nn.LocalResponseNorm.from_caffe(2), ValueError, "from_caffe: local_size must be odd, got 2"),
        (lambda: nn.LocalResponseNorm.from_caffe(5.0), TypeError, "from_caffe: local_size must be an integer"),
        (lambda: nn.LocalResponseNorm.from_tensorflow(2.5), TypeError, "from_tensorflow: depth_radius must be an int"),
        (lambda: nn.LocalResponseNorm.from_tensorflow(-1), ValueError, "from_tensorflow: depth_radius .*least 0"),
        (lambda: nn.LocalResponseNorm.from_tensorflow(bias="1"), TypeError, "from_tensorflow: bias must be a number"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()


# --- batch normalisation ------------------------------------------------------------------------------------


def test_in_training_each_channel_gets_mean_0_and_variance_1():
    layer = nn.BatchNorm2d(4)
    y = layer(7 * IMAGES + 3).data
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(y.var(axis=(0, 2, 3)), 1, rtol=1e-5)


def test_in_evaluation_the_running_statistics_count_and_stay():
    layer = nn.BatchNorm2d(4, momentum=1.0)
    layer(IMAGES)
    layer.eval()
    before = layer.state_dict()
    n = IMAGES[:, 0].size
    mean, variance = IMAGES.mean(axis=(0, 2, 3)), IMAGES.var(axis=(0, 2, 3)) * n / (n - 1)
    x = IMAGES[:1] * 2  # another batch, of one image
    expected = (x - mean[:, None, None]) / np.sqrt(variance + 1e-5)[:, None, None]
    np.testing.assert_allclose(layer(x).data, expected, rtol=1e-4, atol=1e-5)
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert layer.num_batches_tracked.item() == 1


def test_the_average_over_all_batches():
    layer = nn.BatchNorm1d(2, momentum=None, dtype=np.float64)
    batches = np.random.default_rng(0).standard_normal((3, 5, 2))
    for batch in batches:
        layer(batch)
    np.testing.assert_allclose(layer.running_mean.data, batches.mean(axis=(0, 1)), rtol=1e-12)
    np.testing.assert_allclose(layer.running_var.data, batches.var(axis=1, ddof=1).mean(axis=0), rtol=1e-12)


def test_large_means_do_not_cost_the_digits_of_the_variance():
    x = (np.random.default_rng(0).standard_normal((64, 2, 16, 16)) + 1000).astype(np.float32)
    expected = nn.BatchNorm2d(2, dtype=np.float64)(x.astype(np.float64)).data
    np.testing.assert_allclose(nn.BatchNorm2d(2)(x).data, expected, atol=1e-3)


def test_batch_norm_without_arrays():
    with nn.init.skip_arrays():
        layer = nn.BatchNorm2d(1_000_000)
    assert layer.weight.shape == layer.running_var.shape == (1_000_000,)
    assert layer.weight.data.base.size == 1


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.BatchNorm2d(0), ValueError, "BatchNorm2d: num_features must be at least 1, got 0"),
        (lambda: nn.BatchNorm2d(4, eps=-1), ValueError, "BatchNorm2d: eps must be 0 or more"),
        (lambda: nn.BatchNorm2d(4, affine=1), TypeError, "BatchNorm2d: affine must be True or False, got 1"),
        (
            lambda: nn.BatchNorm2d(4, dtype=np.int64),
            NotImplementedError,
            "BatchNorm2d: dtype must be float32 or float64",
        ),
        (lambda: nn.BatchNorm2d(3)(IMAGES), ValueError, "input has 4 channels, the layer takes 3"),
        (lambda: nn.BatchNorm1d(4)(IMAGES), ValueError, r"must have shape \(N, C\) or \(N, C, L\), got \(2, 4, 7, 9\)"),
        (lambda: nn.BatchNorm2d(4)(IMAGES[:, :, 0, 0]), ValueError, r"must have shape \(N, C, H, W\), got \(2, 4\)"),
        (lambda: nn.BatchNorm1d(4)(IMAGES[:1, :, 0, 0]), ValueError, r"more than one value per channel .* \(1, 4\)"),
    ],
)
def test_refusals_of_batch_norm(make, error, message):
    with pytest.raises(error, match=message):
        make()
