"""Convolutions and pools of random windows against PyTorch's: values, gradients, indices, and refusals."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import minicnn
import minicnn.functional as F
from minicnn import Tensor, nn

torch = pytest.importorskip("torch")
TF = torch.nn.functional

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:Using padding='same'")]

KERNEL_FILES = ["numpy", "numba"] if find_spec("numba") else ["numpy"]
thorough = hypothesis.settings(max_examples=100)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def compare(ours: Callable[..., Any], theirs: Callable[..., Any], arrays: Sequence[np.ndarray]) -> None:
    """Hold the output and the gradient of every input against PyTorch's, or its refusal against ours."""
    torch_inputs = [torch.tensor(array, requires_grad=True) for array in arrays]
    try:
        expected = theirs(*torch_inputs)
    except (RuntimeError, ValueError):
        with pytest.raises((ValueError, NotImplementedError)):
            ours(*(Tensor(array) for array in arrays))
        return
    gradient = np.random.default_rng(1).standard_normal(tuple(expected.shape))
    expected.backward(torch.tensor(gradient))
    for kernel_file in KERNEL_FILES:
        with minicnn.use_kernels(kernel_file):
            inputs = [Tensor(array.copy(), requires_grad=True) for array in arrays]
            output = ours(*inputs)
            output.backward(gradient)
        pairs = [
            (output.data, expected.detach()),
            *((a.grad, b.grad) for a, b in zip(inputs, torch_inputs, strict=True)),
        ]
        for mine, other in pairs:
            assert mine.shape == tuple(other.shape)
            np.testing.assert_allclose(mine, other.numpy(), rtol=1e-10, atol=1e-10)


def both_sides(low: int, high: int) -> st.SearchStrategy[Any]:
    return st.integers(low, high) | st.tuples(st.integers(low, high), st.integers(low, high))


def batch(draw: st.DrawFn) -> tuple[int, ...]:
    return draw(st.sampled_from([(), (1,), (3,)]))


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[list[np.ndarray], tuple[Any, ...]]:
    groups = draw(st.integers(1, 2))
    C, filters = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    sizes = [draw(st.integers(1, 9)) for _ in range(2)]
    kernel = [draw(st.integers(1, 4)) for _ in range(2)]
    padding = draw(both_sides(0, 4) | st.sampled_from(["same", "valid"]))
    options = draw(both_sides(1, 3)), padding, draw(both_sides(1, 3)), groups
    random = np.random.default_rng(draw(st.integers(0, 999)))
    shapes = (*batch(draw), C, *sizes), (filters, C // groups, *kernel), (filters,)
    return [random.standard_normal(shape) for shape in shapes[: draw(st.integers(2, 3))]], options


@thorough
@hypothesis.given(convolutions())
def test_conv2d(case: Any) -> None:
    arrays, options = case
    compare(lambda x, w, b=None: F.conv2d(x, w, b, *options), lambda x, w, b=None: TF.conv2d(x, w, b, *options), arrays)


@st.composite
def transposed(draw: st.DrawFn) -> tuple[list[np.ndarray], tuple[Any, ...]]:
    groups = draw(st.integers(1, 2))
    C, FG = groups * draw(st.integers(1, 2)), draw(st.integers(1, 2))
    sizes = [draw(st.integers(1, 5)) for _ in range(2)]
    kernel = [draw(st.integers(1, 4)) for _ in range(2)]
    options = draw(both_sides(1, 3)), draw(both_sides(0, 2)), draw(both_sides(0, 2)), groups, draw(both_sides(1, 3))
    random = np.random.default_rng(draw(st.integers(0, 999)))
    shapes = (*batch(draw), C, *sizes), (C, FG, *kernel), (groups * FG,)
    return [random.standard_normal(shape) for shape in shapes[: draw(st.integers(2, 3))]], options


@thorough
@hypothesis.given(transposed())
def test_conv_transpose2d(case: Any) -> None:
    arrays, options = case
    compare(
        lambda x, w, b=None: F.conv_transpose2d(x, w, b, *options),
        lambda x, w, b=None: TF.conv_transpose2d(x, w, b, *options),
        arrays,
    )


@st.composite
def pools(draw: st.DrawFn) -> tuple[np.ndarray, tuple[Any, ...]]:
    shape = *batch(draw), draw(st.integers(1, 2)), draw(st.integers(1, 10)), draw(st.integers(1, 10))
    x = np.random.default_rng(draw(st.integers(0, 999))).standard_normal(shape)
    if draw(st.booleans()):
        x = np.round(x)  # ties
    return x, (draw(both_sides(1, 4)), draw(st.none() | both_sides(1, 4)), draw(both_sides(0, 3)))


@thorough
@hypothesis.given(pools(), both_sides(1, 3), st.booleans())
def test_max_pool2d(case: Any, dilation: Any, ceil_mode: bool) -> None:
    x, window = case
    try:
        y, indices = F.max_pool2d(x, *window, dilation, ceil_mode, True)
    except ValueError as error:
        if "every window must have a pixel" in str(error):  # PyTorch's index would be outside of the image
            return
    else:
        expected = TF.max_pool2d(torch.tensor(x), *window, dilation, ceil_mode, True)
        np.testing.assert_array_equal(indices.data, expected[1].numpy())
        assert y.data.shape == indices.data.shape
    compare(
        lambda x: F.max_pool2d(x, *window, dilation, ceil_mode),
        lambda x: TF.max_pool2d(x, *window, dilation, ceil_mode),
        [x],
    )


@thorough
@hypothesis.given(pools(), st.booleans(), st.booleans(), st.none() | st.integers(1, 9))
def test_avg_pool2d(case: Any, ceil_mode: bool, count_include_pad: bool, divisor: int | None) -> None:
    x, window = case
    options = *window, ceil_mode, count_include_pad, divisor
    compare(lambda x: F.avg_pool2d(x, *options), lambda x: TF.avg_pool2d(x, *options), [x])


@pytest.mark.parametrize(
    ("kind", "arguments", "options"),
    [
        ("Conv2d", (4, 6, (3, 2)), {"padding": "same", "dilation": (2, 3), "groups": 2}),
        ("Conv2d", (4, 6, 3, 2, 1, 2), {"bias": False}),
        ("ConvTranspose2d", (4, 6, (3, 2), (2, 3), (1, 0), (1, 2), 2), {"dilation": (2, 1)}),
        ("MaxPool2d", (3, 2, 1, (1, 2)), {"ceil_mode": True}),
        ("AvgPool2d", (3, 2, 1), {"count_include_pad": False, "divisor_override": 4}),
    ],
)
def test_layers_with_the_same_parameters(kind: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    ours, theirs = getattr(nn, kind)(*arguments, **options), getattr(torch.nn, kind)(*arguments, **options)
    theirs.load_state_dict({name: torch.tensor(parameter.numpy()) for name, parameter in ours.named_parameters()})
    for shape in ((2, 4, 7, 9), (4, 7, 9)):
        x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        expected = theirs(torch.tensor(x)).detach().numpy()
        np.testing.assert_allclose(ours(Tensor(x)).data, expected, rtol=1e-5, atol=1e-5)


def test_initial_weights_are_as_large() -> None:
    for kind in ("Conv2d", "ConvTranspose2d"):
        ours, theirs = getattr(nn, kind)(8, 64, 5, groups=4), getattr(torch.nn, kind)(8, 64, 5, groups=4)
        for mine, other in ((ours.weight, theirs.weight), (ours.bias, theirs.bias)):
            assert mine.shape == tuple(other.shape)
            assert float(abs(mine.data).max()) == pytest.approx(float(other.detach().abs().max()), rel=0.1)
