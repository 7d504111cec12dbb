"""Initialisers: the right distribution, in place, reproducible."""

import math

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.nn import init

SHAPE = (64, 32, 5, 5)
FAN_IN, FAN_OUT = 32 * 25, 64 * 25


def weight(dtype=np.float32, shape=SHAPE):
    return nn.Parameter(np.full(shape, np.nan, dtype))


XAVIER, HE, HE_OUT = math.sqrt(6 / (FAN_IN + FAN_OUT)), math.sqrt(6 / FAN_IN), math.sqrt(3 / FAN_OUT)
UNIFORM = {
    "uniform_": (lambda t, **g: init.uniform_(t, -0.5, 0.25, **g), -0.5, 0.25),
    "uniform_ as it is": (init.uniform_, 0, 1),
    "xavier": (lambda t, **g: init.xavier_uniform_(t, 2.0, **g), -2 * XAVIER, 2 * XAVIER),
    "he": (lambda t, **g: init.kaiming_uniform_(t, **g), -HE, HE),
    "he tanh out": (
        lambda t, **g: init.kaiming_uniform_(t, mode="fan_out", nonlinearity="tanh", **g),
        -5 / 3 * HE_OUT,
        5 / 3 * HE_OUT,
    ),
}
NORMAL = {
    "normal_": (lambda t, **g: init.normal_(t, 1.5, 0.01, **g), 1.5, 0.01),
    "normal_ as it is": (init.normal_, 0, 1),
    "xavier": (lambda t, **g: init.xavier_normal_(t, 2.0, **g), 0, 2 * math.sqrt(2 / (FAN_IN + FAN_OUT))),
    "he": (lambda t, **g: init.kaiming_normal_(t, **g), 0, math.sqrt(2 / FAN_IN)),
    "he leaky out": (
        lambda t, **g: init.kaiming_normal_(t, 0.5, "fan_out", **g),
        0,
        math.sqrt(2 / 1.25 / FAN_OUT),
    ),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", UNIFORM)
def test_uniform(name, dtype):
    fill, low, high = UNIFORM[name]
    tensor = weight(dtype)
    array = tensor.data
    assert fill(tensor, generator=np.random.default_rng(1)) is tensor
    assert tensor.data is array
    assert array.dtype == dtype
    rounding = 1e-6
    assert low - rounding <= array.min() < low + 0.01 * (high - low)
    assert high - 0.01 * (high - low) < array.max() <= high + rounding
    assert array.mean() == pytest.approx((low + high) / 2, abs=0.01 * (high - low))
    assert array.std() == pytest.approx((high - low) / math.sqrt(12), rel=0.02)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NORMAL)
def test_normal(name, dtype):
    fill, mean, std = NORMAL[name]
    tensor = weight(dtype)
    array = tensor.data
    assert fill(tensor, generator=np.random.default_rng(1)) is tensor
    assert tensor.data is array
    assert array.dtype == dtype
    z = (array.astype(np.float64) - mean) / std
    assert z.mean() == pytest.approx(0, abs=0.02)
    assert z.std() == pytest.approx(1, rel=0.02)
    assert (abs(z) < 1).mean() == pytest.approx(0.6827, abs=0.01)  # a uniform one of the same std has 0.577


def test_constants():
    assert (init.constant_(weight(), 1.5).data == 1.5).all()
    assert (init.zeros_(weight()).data == 0).all()


def test_a_matrix_has_its_two_sides_as_fans():
    tensor = init.xavier_normal_(weight(shape=(300, 700)), generator=np.random.default_rng(2))
    assert tensor.data.std() == pytest.approx(math.sqrt(2 / 1000), rel=0.02)
    tensor = init.kaiming_normal_(weight(shape=(300, 700)), generator=np.random.default_rng(2))
    assert tensor.data.std() == pytest.approx(math.sqrt(2 / 700), rel=0.02)


@pytest.mark.parametrize("name", [*UNIFORM, *NORMAL])
def test_the_seed_decides(name):
    fill = (UNIFORM | NORMAL)[name][0]
    minicnn.manual_seed(5)
    first = fill(weight()).data
    second = fill(weight()).data
    minicnn.manual_seed(5)
    np.testing.assert_array_equal(fill(weight()).data, first)
    assert (first != second).mean() > 0.9
    own = fill(weight(), generator=np.random.default_rng(6)).data
    np.testing.assert_array_equal(fill(weight(), generator=np.random.default_rng(6)).data, own)


def test_gains():
    assert init.calculate_gain("linear") == init.calculate_gain("conv2d") == init.calculate_gain("sigmoid") == 1
    assert init.calculate_gain("tanh") == 5 / 3
    assert init.calculate_gain("relu") == math.sqrt(2)
    assert init.calculate_gain("leaky_relu") == pytest.approx(math.sqrt(2 / 1.0001))
    assert init.calculate_gain("leaky_relu", 1.0) == 1


@pytest.mark.parametrize(
    ("fill", "message"),
    [
        (
            lambda: init.uniform_(weight(), 1.0, 0.0),
            "uniform_: a must be at most b, got a=1.0 and b=0.0",
        ),
        (lambda: init.normal_(weight(), 0.0, -1.0), "normal_: std must be 0 or more, got -1.0"),
        (lambda: init.xavier_uniform_(weight(shape=(3,))), r"xavier_uniform_: tensor must .*got \(3,\)"),
        (lambda: init.kaiming_normal_(weight(shape=())), r"kaiming_normal_: tensor must .*got \(\)"),
        (lambda: init.kaiming_uniform_(weight(), mode="fan"), "kaiming_uniform_: mode .*got 'fan'"),
        (lambda: init.kaiming_uniform_(weight(), nonlinearity="gelu"), "nonlinearity must be one of .*, got 'gelu'"),
    ],
)
def test_refusals(fill, message):
    with pytest.raises(ValueError, match=message):
        fill()


@pytest.mark.torch
@pytest.mark.parametrize("nonlinearity", ["linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu"])
def test_gains_are_torchs(nonlinearity):
    torch = pytest.importorskip("torch")
    assert init.calculate_gain(nonlinearity) == pytest.approx(torch.nn.init.calculate_gain(nonlinearity))


@pytest.mark.torch
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("xavier_uniform_", {"gain": 1.5}),
        ("xavier_normal_", {}),
        ("kaiming_uniform_", {"a": math.sqrt(5)}),
        ("kaiming_uniform_", {"mode": "fan_out", "nonlinearity": "relu"}),
        ("kaiming_normal_", {"nonlinearity": "tanh"}),
    ],
)
def test_spread_is_torchs(name, arguments):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    ours = getattr(init, name)(weight(), generator=np.random.default_rng(0), **arguments).data
    theirs = getattr(torch.nn.init, name)(torch.empty(SHAPE), **arguments).numpy()
    assert ours.std() == pytest.approx(theirs.std(), rel=0.02)


def test_skip_arrays_makes_shapes_without_numbers():
    minicnn.manual_seed(1)
    with init.skip_arrays():
        conv, fc = nn.Conv2d(4, 6, 3), nn.Linear(1_000_000, 1_000_000, dtype="float64")
        for function in (init.normal_, init.xavier_uniform_, init.kaiming_normal_, init.zeros_):
            assert function(fc.weight) is fc.weight
        init.constant_(conv.bias, 1.0)
    assert (conv.weight.shape, conv.weight.dtype) == ((6, 4, 3, 3), np.float32)
    assert (fc.weight.shape, fc.bias.shape, fc.weight.dtype) == ((1_000_000, 1_000_000), (1_000_000,), np.float64)
    assert (conv.bias.data == 0).all()
    with pytest.raises(ValueError, match="read-only"):
        init.zeros_(conv.weight)
    after = nn.Linear(3, 2).weight.data
    minicnn.manual_seed(1)
    np.testing.assert_array_equal(nn.Linear(3, 2).weight.data, after)


def test_skip_arrays_ends_with_its_context():
    with pytest.raises(KeyError), init.skip_arrays():
        raise KeyError
    assert nn.Linear(3, 2).weight.data.any()


def test_an_array_is_filled_as_its_tensor():
    layer = nn.Linear(3, 2)
    array = layer.weight.data
    assert init.constant_(array, 0.5) is array
    assert layer.weight.data.tolist() == [[0.5] * 3] * 2
    init.xavier_normal_(layer.weight.data)
    assert layer.weight.data is array
    assert np.unique(array).size == 6


def test_a_read_only_tensor_is_refused():
    tensor = minicnn.Tensor(np.ones((2, 3)))
    tensor.data.flags.writeable = False
    with pytest.raises(ValueError, match=r"init: tensor must be writeable, got a read-only array of shape \(2, 3\)"):
        nn.init.normal_(tensor)
