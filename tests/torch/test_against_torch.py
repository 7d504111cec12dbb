"""Every operation against PyTorch's, forwards and backwards, in float64 to ten digits."""

import itertools
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import minicnn
import minicnn.functional as F
from minicnn import Tensor

torch = pytest.importorskip("torch")
TF = torch.nn.functional

pytestmark = pytest.mark.torch

KERNEL_FILES = ["numpy", "numba"] if find_spec("numba") else ["numpy"]
thorough = hypothesis.settings(max_examples=150)
seeds = st.integers(0, 999)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def assert_same(a: np.ndarray, b: Any) -> None:
    assert a.shape == tuple(b.shape)
    np.testing.assert_allclose(a, b.detach().numpy(), rtol=1e-10, atol=1e-10)


def compare(
    ours: Callable[..., Tensor], theirs: Callable[..., Any], arrays: Sequence[np.ndarray], seed: int = 0
) -> None:
    """Hold the output and every input's gradient of the one against those of the other, for both kernel files."""
    torch_inputs = [torch.tensor(array, requires_grad=True) for array in arrays]
    torch_output = theirs(*torch_inputs)
    gradient = np.random.default_rng(seed + 1).standard_normal(tuple(torch_output.shape))
    torch_output.backward(torch.tensor(gradient))
    for kernel_file in KERNEL_FILES:
        with minicnn.use_kernels(kernel_file):
            inputs = [Tensor(array.copy(), requires_grad=True) for array in arrays]
            output = ours(*inputs)
            assert_same(output.data, torch_output)
            output.backward(gradient)
            for mine, other in zip(inputs, torch_inputs, strict=True):
                assert_same(mine.grad, other.grad)


def normal(seed: int, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.standard_normal(shape) for shape in shapes]


# --- convolution --------------------------------------------------------------------------------------------


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], bool, tuple[Any, ...]]:
    N, groups = draw(st.integers(0, 3)), draw(st.integers(1, 3))
    C, filters = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 3))
    H, W = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    KH, KW = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    stride = draw(st.integers(1, 4) | st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding = draw(st.integers(0, 4) | st.tuples(st.integers(0, 4), st.integers(0, 4)))
    PH, PW = padding if isinstance(padding, tuple) else (padding, padding)
    hypothesis.assume(KH <= H + 2 * PH and KW <= W + 2 * PW)
    return (N, C, H, W), (filters, C // groups, KH, KW), draw(st.booleans()), (stride, padding, 1, groups)


@thorough
@hypothesis.given(convolutions(), seeds)
def test_conv2d(case: Any, seed: int) -> None:
    x, w, with_bias, options = case
    shapes = (x, w, w[:1]) if with_bias else (x, w)
    compare(
        lambda x, w, b=None: F.conv2d(x, w, b, *options),
        lambda x, w, b=None: TF.conv2d(x, w, b, *options),
        normal(seed, *shapes),
    )


# --- pooling ------------------------------------------------------------------------------------------------


@st.composite
def pools(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[Any, ...]]:
    lengths, windows, strides, paddings = [], [], [], []
    for _ in range(2):
        window = draw(st.integers(1, 5))
        padding = draw(st.integers(0, window // 2))
        lengths.append(draw(st.integers(max(1, window - 2 * padding), 10)))
        windows.append(window)
        paddings.append(padding)
        strides.append(draw(st.integers(1, 6)))
    stride = draw(st.none() | st.just(tuple(strides)))
    return (draw(st.integers(1, 2)), draw(st.integers(1, 3)), *lengths), (tuple(windows), stride, tuple(paddings))


@thorough
@hypothesis.given(pools(), st.booleans(), st.sampled_from(["", "ties", "infinite", "nan"]), seeds)
def test_max_pool2d(case: Any, ceil_mode: bool, special: str, seed: int) -> None:
    shape, window = case
    (x,) = normal(seed, shape)
    if special == "ties":
        x = np.round(x)
    elif special:
        x[np.random.default_rng(seed).random(shape) < 0.4] = -np.inf if special == "infinite" else np.nan
    compare(
        lambda x: F.max_pool2d(x, *window, 1, ceil_mode),
        lambda x: TF.max_pool2d(x, *window, 1, ceil_mode),
        [x],
    )


@thorough
@hypothesis.given(pools(), st.booleans(), st.booleans(), st.none() | st.integers(1, 20), seeds)
def test_avg_pool2d(
    case: Any, ceil_mode: bool, count_include_pad: bool, divisor_override: int | None, seed: int
) -> None:
    shape, window = case
    options = *window, ceil_mode, count_include_pad, divisor_override
    compare(lambda x: F.avg_pool2d(x, *options), lambda x: TF.avg_pool2d(x, *options), normal(seed, shape))


# --- normalisation and dropout ------------------------------------------------------------------------------


@thorough
@hypothesis.given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 9)).flatmap(
        lambda start: st.lists(st.integers(1, 4), min_size=1, max_size=3).map(lambda end: (*start, *end))
    ),
    size=st.integers(1, 12),
    alpha=st.floats(0.1, 5),
    beta=st.sampled_from([0.75, 0.5, 1.0]) | st.floats(0, 2),
    k=st.floats(0.5, 3),
    seed=seeds,
)
def test_local_response_norm(shape: tuple[int, ...], size: int, alpha: float, beta: float, k: float, seed: int) -> None:
    options = size, alpha, beta, k
    compare(
        lambda x: F.local_response_norm(x, *options),
        lambda x: TF.local_response_norm(x, *options),
        normal(seed, shape),
    )


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_dropout(p: float) -> None:
    """Other random numbers, so only what is kept or dropped for certain, and how the kept are scaled."""
    (x,) = normal(0, (20, 20))
    for training in (True, False):
        ours, theirs = F.dropout(Tensor(x), p, training).data, TF.dropout(torch.tensor(x), p, training).numpy()
        both_kept = (ours != 0) & (theirs != 0)
        np.testing.assert_allclose(ours[both_kept], theirs[both_kept], rtol=1e-10)
        if not training or p in (0, 1):
            np.testing.assert_array_equal(ours, theirs)


# --- activations, linear, loss ------------------------------------------------------------------------------

SHAPES = [(), (0,), (5,), (3, 4), (2, 3, 4, 5)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid"])
def test_activations(name: str, shape: tuple[int, ...]) -> None:
    for scale in (1, 30):
        compare(getattr(F, name), getattr(torch, name), [scale * normal(0, shape)[0]])


@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid"])
def test_activations_of_special_numbers(name: str) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1000, -1000, 1e-300, -1e-300])
    compare(getattr(F, name), getattr(torch, name), [x])


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize(("shape", "dim"), [((), 0), ((5,), -1), ((3, 4), 0), ((3, 4), 1), ((2, 3, 4), 1), ((0, 3), 1)])
def test_softmax(name: str, shape: tuple[int, ...], dim: int) -> None:
    for scale in (1, 300):
        x = scale * normal(0, shape)[0]
        compare(lambda x: getattr(F, name)(x, dim), lambda x: getattr(TF, name)(x, dim), [x])


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (0, 4), (70, 4)], ids=str)
def test_linear(shape: tuple[int, ...], with_bias: bool) -> None:
    compare(F.linear, TF.linear, normal(0, shape, (5, 4), (5,))[: 2 + with_bias])


def test_a_large_linear_layer() -> None:
    """Large enough for its products to be shared among the cores."""
    compare(F.linear, TF.linear, normal(0, (64, 100), (90, 100), (90,)))


@thorough
@hypothesis.given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 6)),
    positions=st.sampled_from([(), (3,), (2, 2)]),
    weighted=st.booleans(),
    ignore_index=st.sampled_from([-100, 0, 3]),
    reduction=st.sampled_from(["mean", "sum", "none"]),
    label_smoothing=st.just(0.0) | st.floats(0, 1),
    seed=seeds,
)
def test_cross_entropy(
    shape: tuple[int, int],
    positions: tuple[int, ...],
    weighted: bool,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
    seed: int,
) -> None:
    N, C = shape
    random = np.random.default_rng(seed)
    labels = random.integers(0, C, (N, *positions))
    labels[random.random(labels.shape) < 0.2] = ignore_index
    hypothesis.assume((labels != ignore_index).any())  # the mean of nothing is NaN in both
    weight = random.uniform(0.1, 2, C) if weighted else None
    options = ignore_index, reduction, label_smoothing
    theirs = dict(zip(("ignore_index", "reduction", "label_smoothing"), options, strict=True))
    compare(
        lambda x: F.cross_entropy(x, labels, weight, *options),
        lambda x: TF.cross_entropy(x, torch.tensor(labels), None if weight is None else torch.tensor(weight), **theirs),
        [10 * random.standard_normal((N, C, *positions))],
    )


@pytest.mark.parametrize("rows", [0, 3])
def test_cross_entropy_of_nothing(rows: int) -> None:
    labels, x = np.full(rows, -100), np.ones((rows, 3))
    for reduction in ("sum", "none"):
        compare(
            lambda x, reduction=reduction: F.cross_entropy(x, labels, reduction=reduction),
            lambda x, reduction=reduction: TF.cross_entropy(x, torch.tensor(labels), reduction=reduction),
            [x],
        )
    with np.errstate(invalid="ignore"):
        assert_same(F.cross_entropy(Tensor(x), labels).data, TF.cross_entropy(torch.tensor(x), torch.tensor(labels)))


# --- arithmetic, shapes, reductions -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shapes", [((3, 4), (3, 4)), ((3, 1), (1, 4)), ((2, 3, 4), (4,)), ((), (2, 3)), ((0, 3), (3,))]
)
@pytest.mark.parametrize("operator", ["__add__", "__sub__", "__mul__", "__truediv__"])
def test_binary(operator: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    compare(lambda a, b: getattr(a, operator)(b), lambda a, b: getattr(a, operator)(b), normal(0, *shapes))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: 2 - x * 3 + 1 / (x + 5),
        lambda x: -x / 2,
        lambda x: x.exp(),
        lambda x: (x * x + 1).log(),
        lambda x: x**2,
        lambda x: x**0,
        lambda x: (x * x) ** 0.5,
        lambda x: (x + 5) ** -1.5,
        lambda x: x.reshape(4, 3),
        lambda x: x.reshape(-1),
        lambda x: x.flatten(),
        lambda x: x.transpose(0, 1),
        lambda x: x.permute(1, 0),
        lambda x: x.T,
        lambda x: x[1],
        lambda x: x[:, 1:3],
        lambda x: x[[0, 2, 0]],
        lambda x: x[[0, 1, 2], [3, 3, 0]],
        lambda x: x[None, ..., 0],
        lambda x: x.sum(),
        lambda x: x.sum(0),
        lambda x: x.sum((0, 1), True),
        lambda x: x.mean(),
        lambda x: x.mean(1),
        lambda x: x.mean(dim=-1, keepdim=True),
        lambda x: x.max(),
        lambda x: x.max(1)[0],
        lambda x: x.max(0, keepdim=True).values,
        lambda x: x.detach() * x,
    ],
)
def test_the_same_code_on_their_tensors_and_ours(function: Callable[[Any], Any]) -> None:
    compare(function, function, normal(0, (3, 4)))


def test_ties_of_the_maximum() -> None:
    x = np.round(normal(0, (5, 6))[0])
    compare(lambda t: t.max(), lambda t: t.max(), [x])
    for dim in (0, 1):
        ours, theirs = Tensor(x).max(dim), torch.tensor(x).max(dim)
        np.testing.assert_array_equal(ours.values.data, theirs.values.numpy())
        np.testing.assert_array_equal(ours.indices.data, theirs.indices.numpy())


@pytest.mark.parametrize("dims", [(), (1,), (0, 1), (-2, -1), (1, 1)])
def test_flatten(dims: tuple[int, ...]) -> None:
    compare(lambda x: F.flatten(x, *dims), lambda x: torch.flatten(x, *dims), normal(0, (2, 3, 4)))
    compare(F.flatten, torch.flatten, normal(0, ()))


@pytest.mark.parametrize("amounts", [(1, 2), (0, 1, 2, 0), (1, 0, 0, 2, 3, 1), (0, 0)])
def test_pad(amounts: tuple[int, ...]) -> None:
    for value in (None, -1.5):
        compare(
            lambda x, value=value: F.pad(x, amounts, value=value) * 1,
            lambda x, value=value: TF.pad(x, amounts, value=value) * 1,
            normal(0, (2, 3, 4)),
        )


@pytest.mark.parametrize(
    "shapes",
    [((2, 3), (3, 4)), ((3,), (3, 4)), ((2, 3), (3,)), ((3,), (3,)), ((5, 2, 3), (3, 4)), ((6, 1, 2, 3), (5, 3, 4))],
)
def test_matmul(shapes: tuple[tuple[int, ...], ...]) -> None:
    compare(lambda a, b: a @ b, lambda a, b: a @ b, normal(0, *shapes))


# --- a whole network ----------------------------------------------------------------------------------------


def test_a_small_alexnet_with_its_loss() -> None:
    """Two towers, overlapping pooling, normalisation: everything once, one after the other."""

    def network(F: Any, relu: Any, x: Any, w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any, labels: Any) -> Any:
        x = F.max_pool2d(F.local_response_norm(relu(F.conv2d(x, w1, b1, 2)), 5, 5e-1, 0.75, 2.0), 3, 2)
        x = F.max_pool2d(relu(F.conv2d(x, w2, b2, 1, 2, 1, 2)), 3, 2)
        return F.cross_entropy(F.linear(x.flatten(1), w3, b3), labels)

    arrays = normal(0, (4, 3, 31, 31), (8, 3, 5, 5), (8,), (6, 4, 5, 5), (6,), (10, 24), (10,))
    labels = np.array([3, 1, 4, 1])
    arrays[1:] = [array / 5 for array in arrays[1:]]
    compare(
        lambda *inputs: network(F, F.relu, *inputs, labels),
        lambda *inputs: network(TF, torch.relu, *inputs, torch.tensor(labels)),
        arrays,
    )


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "window", "stride", "padding"), list(itertools.product([4, 7], [2, 5, 9], [1, 3], [0, 1, 2]))
)
def test_what_pytorch_refuses_is_refused_too(length: int, window: int, stride: int, padding: int) -> None:
    x = np.ones((1, 1, length, length))
    for ours, theirs in ((F.max_pool2d, TF.max_pool2d), (F.avg_pool2d, TF.avg_pool2d)):
        try:
            expected = tuple(theirs(torch.tensor(x), window, stride, padding).shape)
        except RuntimeError:
            with pytest.raises(ValueError, match="must be at most half|larger than the padded input"):
                ours(Tensor(x), window, stride, padding)
        else:
            assert ours(Tensor(x), window, stride, padding).shape == expected
