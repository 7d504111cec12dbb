"""Local response normalisation as a layer, with the arguments of the paper, TensorFlow and Caffe."""

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
