"""The CUDA kernels against the NumPy ones: compiled by g++ in the ordinary tests, and on a GPU where there is one.

Everything but NVIDIA's compiler and the GPU itself is the real thing: the source, how it is compiled, and how each
kernel is launched. tests/fake_cupy stands for the rest.
"""

import ctypes
import functools
import importlib.util
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import fake_counts
import fake_cupy
import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from random_windows import DTYPES, Case, cases

from minicnn import kernels, set_tf32
from minicnn.kernels import numpy_kernels

TOLERANCE = {np.float32: 3e-5, np.float64: 1e-12}
SOURCE = Path(numpy_kernels.__file__).with_name("cuda_kernels.cu")

small = hypothesis.settings(max_examples=60)


@pytest.fixture(scope="module", params=["g++", pytest.param("gpu", marks=pytest.mark.gpu)])
def cupy(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    if request.param == "gpu":
        yield pytest.importorskip("cupy")
    elif fake_cupy.COMPILER is None:
        pytest.skip("g++ is absent, which compiles the CUDA kernels for the CPU")
    else:
        with fake_cupy.installed() as module:
            yield module


@pytest.fixture(scope="module")
def cuda_kernels(cupy: ModuleType) -> ModuleType:
    from minicnn.kernels import cuda_kernels

    return cuda_kernels


def compare(name: str, arguments: tuple[Any, ...], results: tuple[int, ...], cupy: ModuleType, atol: float) -> None:
    """Run a kernel of NumPy's and the GPU's on the same arguments; `results` are those that it writes to."""
    on_gpu = [cupy.asarray(argument) if isinstance(argument, np.ndarray) else argument for argument in arguments]
    on_cpu = [argument.copy() if isinstance(argument, np.ndarray) else argument for argument in arguments]
    getattr(numpy_kernels, name)(*on_cpu)
    getattr(kernels, name)(*on_gpu)
    for position in results:
        actual, expected = on_gpu[position].get(), on_cpu[position]
        assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
        np.testing.assert_allclose(actual, expected, rtol=atol, atol=atol)


def test_cuda_kernels_have_the_same_signatures(cuda_kernels: ModuleType) -> None:
    def functions(module: ModuleType) -> dict[str, Any]:
        return {
            name: inspect.signature(thing)
            for name, thing in vars(module).items()
            if inspect.isfunction(thing) and name[0] != "_" and thing.__module__ == module.__name__
        }

    here, reference = functions(cuda_kernels), functions(numpy_kernels)
    for name, signature in here.items():
        assert signature == reference[name]
    # On a GPU, a convolution is im2col and a product.
    convolutions = {name for name in reference if "conv2d" in name or "winograd" in name}
    assert set(reference) - set(here) == convolutions


# --- convolution --------------------------------------------------------------------------------------------


@small
@hypothesis.given(
    dtype=st.sampled_from(DTYPES),
    shape=st.tuples(*[st.integers(0, 6)] * 2, st.integers(1, 50)),
    with_bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_cuda_exchange(cupy: ModuleType, dtype: Any, shape: tuple[int, int, int], with_bias: bool, seed: int) -> None:
    random, (A, B, S) = np.random.default_rng(seed), shape
    x, b = random.standard_normal(shape).astype(dtype), random.standard_normal(A).astype(dtype)
    compare("exchange", (x, b if with_bias else None, np.full((B, A, S), np.nan, dtype)), (2,), cupy, 0)


# --- on random windows --------------------------------------------------------------------------------------


@small
@hypothesis.given(case=cases(dilated=True))
def test_cuda_im2col(cupy: ModuleType, case: Case) -> None:
    compare("im2col", (case.numbers(case.shape), *case.dilated, case.rubbish(case.columns)[0]), (9,), cupy, 0)


@small
@hypothesis.given(case=cases(dilated=True))
def test_cuda_col2im(cupy: ModuleType, case: Case) -> None:
    """To the last bit: it adds in the same order."""
    compare("col2im", (case.numbers(case.columns), *case.dilated, case.rubbish(case.shape)[0]), (9,), cupy, 0)


@small
@hypothesis.given(
    case=cases(pooling=True, dilated=True),
    place=st.sampled_from([np.uint8, np.int32]),
    special=st.sampled_from(["", "ties", "nan", "inf"]),
)
def test_cuda_max_pool2d(cupy: ModuleType, case: Case, place: Any, special: str) -> None:
    x = case.numbers(case.shape)
    if special == "ties":
        x = np.round(x)
    elif special:
        x[case.random.random(x.shape) < 0.3] = -np.inf if special == "inf" else np.nan
    y, index = case.rubbish(case.output)[0], case.rubbish(case.output, place)[0]
    compare("max_pool2d_forward", (x, *case.dilated, y, index), (9, 10), cupy, 0)

    numpy_kernels.max_pool2d_forward(x, *case.dilated, y, index)
    grad_y, grad_x = case.numbers(case.output), case.rubbish(case.shape)[0]
    compare("max_pool2d_backward", (grad_y, index, *case.dilated, grad_x), (10,), cupy, 0)


@small
@hypothesis.given(case=cases(pooling=True))
def test_cuda_avg_pool2d(cupy: ModuleType, case: Case) -> None:
    divisor = case.random.integers(1, 10, case.output[2:]).astype(case.dtype)
    y, grad_x = case.rubbish(case.output)[0], case.rubbish(case.shape)[0]
    tolerance = np.finfo(case.dtype).eps * 10
    compare("avg_pool2d_forward", (case.numbers(case.shape), *case.window, divisor, y), (8,), cupy, tolerance)
    arguments = case.numbers(case.output), *case.window, divisor, grad_x
    compare("avg_pool2d_backward", arguments, (8,), cupy, tolerance)


def test_cuda_max_pool2d_of_a_window_that_a_byte_cannot_number(cupy: ModuleType) -> None:
    x = np.zeros((1, 1, 20, 20), np.float32)
    x[0, 0, 19, 18] = 1
    y, index = np.empty((1, 1, 1, 1), np.float32), np.empty((1, 1, 1, 1), np.int32)
    compare("max_pool2d_forward", (x, 20, 20, 1, 1, 0, 0, 1, 1, y, index), (9, 10), cupy, 0)
    grad_y, index[...] = np.full_like(y, 3), 19 * 20 + 18
    compare("max_pool2d_backward", (grad_y, index, 20, 20, 1, 1, 0, 0, 1, 1, np.empty_like(x)), (10,), cupy, 0)


# --- response normalisation ---------------------------------------------------------------------------------


@small
@hypothesis.given(
    dtype=st.sampled_from(DTYPES),
    shape=st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 20) | st.integers(250, 600)),
    below=st.integers(0, 12),
    above=st.integers(0, 12),
    k=st.floats(1, 2),
    a=st.floats(0.1, 2),
    beta=st.sampled_from([0.75, 0.5, 1.0]) | st.floats(0, 2),
    seed=st.integers(0, 99),
)
def test_cuda_lrn(
    cupy: ModuleType,
    dtype: Any,
    shape: tuple[int, ...],
    below: int,
    above: int,
    k: float,
    a: float,
    beta: float,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    x, grad_y = (random.standard_normal(shape).astype(dtype) for _ in range(2))
    rubbish = np.full(shape, np.nan, dtype)
    compare("lrn_forward", (x, below, above, k, a, beta, rubbish), (6,), cupy, TOLERANCE[dtype])
    compare("lrn_backward", (x, grad_y, below, above, k, a, beta, rubbish), (7,), cupy, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("large", [3e4, np.nan, np.inf])
@pytest.mark.parametrize(("below", "above"), [(2, 2), (1, 2), (0, 3)])
def test_cuda_lrn_forgets_a_large_number_once_it_is_out_of_the_window(
    cupy: ModuleType, dtype: Any, large: float, below: int, above: int, rng: Any
) -> None:
    x, grad_y = (rng.uniform(0.005, 0.02, (2, 12, 5)).astype(dtype) for _ in range(2))
    x[0, 3, 2] = large
    rubbish = np.full_like(x, np.nan)
    with np.errstate(invalid="ignore"):
        compare("lrn_forward", (x, below, above, 1e-6, 1.0, 0.75, rubbish), (6,), cupy, TOLERANCE[dtype])
        compare("lrn_backward", (x, grad_y, below, above, 1e-6, 1.0, 0.75, rubbish), (7,), cupy, 1e3 * TOLERANCE[dtype])


# --- element by element -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_cuda_relu_backward(cupy: ModuleType, dtype: Any) -> None:
    y = np.array([0, -0.0, 1e-30, 2, np.nan, 0, np.inf], dtype)
    grad_y = np.array([3, 4, 5, np.nan, 7, np.inf, -np.inf], dtype)
    compare("relu_backward", (y, grad_y, np.full(7, 77, dtype)), (2,), cupy, 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("nesterov", "paper"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize("momentum", [0.0, 0.9, None])
@pytest.mark.parametrize("size", [0, 1, 33])
def test_cuda_sgd_step(
    cupy: ModuleType,
    size: int,
    momentum: float | None,
    weight_decay: float,
    nesterov: bool,
    paper: bool,
    dtype: Any,
    rng: Any,
) -> None:
    w, g, v = (rng.standard_normal(size).astype(dtype) for _ in range(3))
    velocity = None if momentum is None else v
    arguments = w, g, velocity, 0.1, momentum or 0.0, weight_decay, nesterov, paper
    compare("sgd_step", arguments, (0, 1) if momentum is None else (0, 1, 2), cupy, 4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("nesterov", "paper"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("momentum", [0.9, None])
@pytest.mark.parametrize("count", [1, 5, 64, 150])
def test_cuda_sgd_steps_of_several_arrays(
    cupy: ModuleType, count: int, momentum: float | None, nesterov: bool, paper: bool, dtype: Any, rng: Any
) -> None:
    """Each array lies between others, and these stay as they are."""
    sizes = rng.integers(0, 9, count)
    everything = [rng.standard_normal((count, 12)).astype(dtype) for _ in range(3)]
    there = [cupy.asarray(array) for array in everything]
    for arrays, kernel in ((everything, numpy_kernels.sgd_steps), (there, kernels.sgd_steps)):
        w, g, v = ([row[2 : 2 + size] for row, size in zip(array, sizes, strict=True)] for array in arrays)
        kernel(w, g, None if momentum is None else v, 0.1, momentum or 0.0, 0.01, nesterov, paper)
    for actual, expected in zip(there, everything, strict=True):
        np.testing.assert_allclose(actual.get(), expected, rtol=4 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_cuda_dropout(cupy: ModuleType, seed: int, dtype: Any, rng: Any) -> None:
    """To the last bit: the numbers that are drawn are the same."""
    x = rng.standard_normal(5000).astype(dtype)
    x[7:9] = np.nan, np.inf
    for p in (0.0, 0.3, 1.0):
        with np.errstate(invalid="ignore"):
            compare("dropout", (x, seed, p, 1.25, np.empty_like(x)), (4,), cupy, 0)


# --- products -----------------------------------------------------------------------------------------------


def laid_out(matrices: np.ndarray, how: str, cupy: Any) -> Any:
    """Return matrices on the GPU in another order, or with gaps between rows and between matrices."""
    B, M, K = matrices.shape
    if how == "transposed":
        return cupy.asarray(matrices.swapaxes(1, 2).copy()).swapaxes(1, 2)
    roomy = cupy.asarray(np.full((B, M + 1, K + 3), np.nan, matrices.dtype))
    view = roomy[:, :M, :K] if how == "gaps" else roomy.reshape(B, -1)[:, : M * K].reshape(B, M, K)
    view[...] = cupy.asarray(matrices)
    return view


@small
@hypothesis.given(
    dtype=st.sampled_from(DTYPES),
    shape=st.tuples(*[st.integers(1, 5)] * 4),
    layouts=st.tuples(
        *[st.sampled_from(["in order", "transposed", "gaps"])] * 2, st.sampled_from(["in order", "gaps"])
    ),
    seed=st.integers(0, 99),
)
def test_cuda_stacked_product(
    cupy: ModuleType, dtype: Any, shape: tuple[int, ...], layouts: tuple[str, ...], seed: int
) -> None:
    random, (B, M, K, N) = np.random.default_rng(seed), shape
    a, b, y = (random.standard_normal(sides).astype(dtype) for sides in ((B, M, K), (B, K, N), (B, M, N)))
    on_gpu = [laid_out(matrices, how, cupy) for matrices, how in zip((a, b, y), layouts, strict=True)]
    kernels.stacked_product(*on_gpu[:2], on_gpu[2])
    numpy_kernels.stacked_product(a, b, y)
    np.testing.assert_allclose(on_gpu[2].get(), y, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_cuda_stacked_product_of_nothing_and_of_what_it_cannot_read(cupy: ModuleType) -> None:
    a, y = cupy.zeros((2, 3, 0), dtype=np.float32), cupy.asarray(np.full((2, 3, 4), 7, np.float32))
    kernels.stacked_product(a, a.reshape(2, 0, 3)[:, :, :0], cupy.zeros((2, 3, 0), dtype=np.float32))
    b = cupy.zeros((2, 0, 4), dtype=np.float32)
    kernels.stacked_product(a, b, y)
    assert (y.get() == 0).all()
    square = cupy.zeros((1, 8, 8), dtype=np.float32)
    with pytest.raises(ValueError, match="rows or columns must be contiguous"):
        kernels.stacked_product(square[:, ::2, ::2], square[:, :4, :4], square[:, :4, :4])
    with pytest.raises(ValueError, match="the rows of y must be contiguous"):
        kernels.stacked_product(square[:, :4, :4], square[:, :4, :4], square.swapaxes(1, 2))


def test_cuda_stacked_product_names_its_arithmetic(fake: ModuleType) -> None:
    for dtype, tf32 in ((np.float32, True), (np.float64, False)):
        a = fake.zeros((2, 4, 4), dtype=dtype)
        for allowed in (True, False):
            set_tf32(allowed)
            with fake_counts.counting() as counts:
                kernels.stacked_product(a.swapaxes(1, 2), a, fake.zeros((2, 4, 4), dtype=dtype))
            (product,) = counts.products
            assert (product.tf32, product.copies) == (allowed and tf32, 0)


# --- cross-entropy ------------------------------------------------------------------------------------------


@small
@hypothesis.given(
    dtype=st.sampled_from(DTYPES),
    shape=st.tuples(st.integers(0, 5), st.integers(1, 12)),
    smoothing=st.sampled_from([0.0, 0.1, 1.0]),
    ignored=st.sampled_from([-100, -1, 0, 2]),
    divisor=st.sampled_from([None, 0.0, 2.5]),
    special=st.sampled_from(["", "nan", "impossible", "large"]),
    seed=st.integers(0, 99),
)
def test_cuda_cross_entropy(
    cupy: ModuleType,
    dtype: Any,
    shape: tuple[int, int],
    smoothing: float,
    ignored: int,
    divisor: float | None,
    special: str,
    seed: int,
) -> None:
    random, (M, C) = np.random.default_rng(seed), shape
    x, v = random.standard_normal(shape).astype(dtype), random.uniform(0, 2, C).astype(dtype)
    labels = random.integers(-2, C + 1, M)  # with some that are left out, and some that are no classes
    if special == "large":
        x *= 1000
    elif special:
        x[random.random(shape) < 0.3] = np.nan if special == "nan" else -np.inf
    p, rows, sums = np.full(shape, 77, dtype), np.full(M, 77, dtype), np.full((2, M), 77, dtype)
    tolerance = 3e-5 if dtype == np.float32 else 1e-12
    with np.errstate(invalid="ignore"):
        compare("cross_entropy_forward", (x, labels, v, ignored, smoothing, p, rows, sums), (5, 6, 7), cupy, tolerance)
    p, totals, grad = random.random(shape).astype(dtype), *random.standard_normal((2, M)).astype(dtype)
    by = None if divisor is None else np.array(divisor, dtype)
    for one_or_all in (grad, np.array(0.3, dtype)):
        arguments = p, totals, labels, v, ignored, smoothing, one_or_all, by, np.full(shape, 77, dtype)
        compare("cross_entropy_backward", arguments, (8,), cupy, tolerance)


# --- how they are launched ----------------------------------------------------------------------------------


def everything(cupy: ModuleType, dtype: Any, rng: Any) -> None:
    """Run every kernel once."""
    window, x = (3, 2, 2, 1, 1, 1), rng.standard_normal((2, 3, 5, 4)).astype(dtype)
    y, col, divisor = (rng.standard_normal(shape).astype(dtype) for shape in ((2, 3, 3, 5), (3, 3, 2, 2, 3, 5), (3, 5)))
    index = np.zeros(y.shape, np.uint8)
    numpy_kernels.max_pool2d_forward(x, *window, 1, 1, y, index)
    flat, vector = x.reshape(2, 3, 20), x.reshape(-1)
    tolerance = 3e-5 if dtype == np.float32 else 1e-12
    compare("im2col", (x, *window, 1, 1, col), (9,), cupy, 0)
    compare("col2im", (col, *window, 1, 1, x), (9,), cupy, 0)
    compare("exchange", (flat, vector[:2], flat.reshape(3, 2, 20)), (2,), cupy, 0)
    compare("max_pool2d_forward", (x, *window, 1, 1, y, index), (9, 10), cupy, 0)
    compare("max_pool2d_backward", (y, index, *window, 1, 1, x), (10,), cupy, 0)
    compare("avg_pool2d_forward", (x, *window, divisor, y), (8,), cupy, tolerance)
    compare("avg_pool2d_backward", (y, *window, divisor, x), (8,), cupy, tolerance)
    compare("lrn_forward", (flat, 2, 1, 1.0, 0.5, 0.7, flat), (6,), cupy, tolerance)
    compare("lrn_backward", (flat, flat[::-1].copy(), 2, 1, 1.0, 0.5, 0.7, flat), (7,), cupy, tolerance)
    compare("linear_forward", (x.reshape(8, 15), x.reshape(8, 15)[:3], np.empty((8, 3), dtype)), (2,), cupy, tolerance)
    arguments = x.reshape(8, 15), x.reshape(8, 15), 4, np.empty((7, 15), dtype)
    compare("linear_grad_w", arguments, (3,), cupy, tolerance)
    compare("relu_backward", (vector, vector, vector), (2,), cupy, 0)
    scores, labels, v = x.reshape(8, 15), np.array([0, 14, -1, 3, 15, 3, 7, 1]), vector[:15]
    rows, sums = np.zeros(8, dtype), np.zeros((2, 8), dtype)
    compare("cross_entropy_forward", (scores, labels, v, -1, 0.1, scores, rows, sums), (5, 6, 7), cupy, tolerance)
    arguments = scores, rows, labels, v, -1, 0.1, vector[:8], None, scores
    compare("cross_entropy_backward", arguments, (8,), cupy, tolerance)
    compare("sgd_step", (vector, vector, None, 0.1, 0.0, 0.1, False, False), (0,), cupy, tolerance)
    compare("sgd_step", (vector, vector, vector, 0.1, 0.9, 0.1, False, True), (0, 2), cupy, tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
def test_cuda_kernels_with_fewer_threads_than_numbers(
    cupy: ModuleType, cuda_kernels: ModuleType, dtype: Any, rng: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_kernels, "THREADS", 5)
    monkeypatch.setattr(cuda_kernels, "MOST_BLOCKS", 2)
    everything(cupy, dtype, rng)


@pytest.mark.parametrize("dtype", DTYPES)
def test_cuda_kernels_that_count_in_64_bits(
    cupy: ModuleType, cuda_kernels: ModuleType, dtype: Any, rng: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_kernels, "MOST_NARROW", 0)
    everything(cupy, dtype, rng)


@pytest.mark.gpu
def test_cuda_kernels_of_more_than_two_billion_numbers() -> None:
    cupy: Any = pytest.importorskip("cupy")
    size = (1 << 31) + 7
    if cupy.cuda.Device().mem_info[0] < 6 * size:
        pytest.skip("too little memory is free on the GPU")
    numbers = cupy.ones(size, dtype=np.float32)
    numbers[0] = numbers[1 << 31] = numbers[-1] = -1
    kernels.relu_backward(numbers, numbers, numbers)
    assert numbers[[0, 1, (1 << 31) - 1, 1 << 31, size - 2, size - 1]].get().tolist() == [0, 1, 1, 0, 1, 0]
    assert int((numbers == 0).sum()) == 3


def with_gaps(array: np.ndarray, cupy: ModuleType) -> Any:
    roomy = cupy.asarray(np.repeat(array, 2, axis=-1))
    return roomy[..., ::2]


@pytest.mark.parametrize("dtype", DTYPES)
def test_cuda_kernels_read_arrays_that_are_not_contiguous(cupy: ModuleType, dtype: Any, rng: Any) -> None:
    window, x = (3, 2, 2, 1, 1, 1), rng.standard_normal((2, 3, 5, 4)).astype(dtype)
    y, col, divisor = (rng.standard_normal(shape).astype(dtype) for shape in ((2, 3, 3, 5), (3, 3, 2, 2, 3, 5), (3, 5)))
    index = np.zeros(y.shape, np.uint8)
    numpy_kernels.max_pool2d_forward(x, *window, 1, 1, np.empty_like(y), index)
    flat, vector = x.reshape(2, 3, 20), x.reshape(-1)
    scores, rows, labels, v = x.reshape(8, 15), vector[:8], np.arange(8), vector[:15]
    for name, inputs, settings, output in (
        ("im2col", (x,), (*window, 1, 1), col),
        ("col2im", (col,), (*window, 1, 1), x),
        ("max_pool2d_forward", (x,), (*window, 1, 1), (y, index)),
        ("max_pool2d_backward", (y, index), (*window, 1, 1), x),
        ("avg_pool2d_forward", (x,), (*window, divisor), y),
        ("avg_pool2d_backward", (y,), (*window, divisor), x),
        ("lrn_forward", (flat,), (2, 1, 1.0, 0.5, 0.7), flat),
        ("lrn_backward", (flat, flat), (2, 1, 1.0, 0.5, 0.7), flat),
        ("exchange", (flat, vector[:2]), (), flat.reshape(3, 2, 20)),
        ("relu_backward", (vector, vector), (), vector),
        ("dropout", (vector,), (5, 0.5, 2.0), vector),
        ("cross_entropy_backward", (scores, rows, labels, v), (-1, 0.1, rows, None), scores),
    ):
        outputs = output if isinstance(output, tuple) else (output,)
        results = []
        for change in (cupy.asarray, functools.partial(with_gaps, cupy=cupy)):
            written = [cupy.zeros_like(cupy.asarray(array)) for array in outputs]
            there = [change(value) if isinstance(value, np.ndarray) else value for value in (*inputs, *settings)]
            getattr(kernels, name)(*there, *written)
            results.append([array.get() for array in written])
        for plain, gappy in zip(*results, strict=True):
            np.testing.assert_array_equal(plain, gappy)
    w, gradient = cupy.asarray(vector), with_gaps(vector, cupy)
    kernels.sgd_step(w, gradient, None, 0.5, 0.0, 0.0, False, False)
    np.testing.assert_array_equal(w.get(), vector / 2)


def test_cuda_kernels_refuse_what_they_would_write_wrongly(cupy: ModuleType) -> None:
    x = cupy.asarray(np.ones((2, 6), np.float32))
    with pytest.raises(ValueError, match="relu_backward: arrays must be contiguous and float32, got float32, strides"):
        kernels.relu_backward(x[:, :3], x[:, :3], x[:, ::2])
    with pytest.raises(ValueError, match="relu_backward: arrays must be contiguous and float32, got float64"):
        kernels.relu_backward(x, x, x.astype(np.float64))


# --- the compilers ------------------------------------------------------------------------------------------


@pytest.fixture
def fake(cupy: ModuleType) -> ModuleType:
    """Only on the fake: a GPU would not notice."""
    if cupy.__version__ != "fake":
        pytest.skip("a GPU does not notice what the fake does")
    return cupy


def kernel(cupy: Any, parameters: str, body: str) -> Any:
    types = (
        "typedef int Size;\ntypedef unsigned char Place;\ntypedef long long Label;\ntypedef unsigned long long Seed;\n"
    )
    code = f'{types}extern "C" __global__ void wrong({parameters}) {{ {body} }}'
    return cupy.RawModule(code=code, options=("-DREAL=float",)).get_function("wrong")


def test_cuda_fake_finds_what_a_kernel_does_wrong(fake: ModuleType) -> None:
    x = fake.asarray(np.ones(4, np.float32))
    beyond = kernel(fake, "REAL* y, Size size", "y[size] = 1;")
    with pytest.raises(AssertionError, match="wrong writes outside y"):
        beyond((1,), (1,), (x, np.int32(4)))
    beyond((1,), (1,), (x, np.int32(3)))
    with pytest.raises(AssertionError, match="wrong writes outside y"):
        beyond((1,), (1,), (x, np.int32(-1)))
    with pytest.raises(AssertionError, match="wrong writes to x"):
        kernel(fake, "const REAL* x", "((REAL*)x)[0] = 7;")((1,), (1,), (x,))
    kernel(fake, "const REAL* x, REAL* y", "y[0] = x[4];")((1,), (1,), (x, x))
    assert np.isnan(x.get()[0])
    with pytest.raises(RuntimeError, match="g\\+\\+ rejects the kernels"):
        kernel(fake, "REAL* y", "y[0] = nobody;")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "wrong takes 2 arguments, got 0"),
        ((4,), "wrong takes 2 arguments, got 1"),
        ((np.int64(4), np.float32(1)), "size must be a .*int32"),
        ((4, np.float32(1)), "size must be a .*int32"),
        ((np.int32(4), np.float64(1)), "lr must be a .*float32"),
        ((np.int32(4), 1.0), "lr must be a .*float32"),
    ],
)
def test_cuda_fake_takes_exactly_what_a_kernel_declares(fake: ModuleType, arguments: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        kernel(fake, "Size size, REAL lr", "(void)size; (void)lr;")((1,), (1,), arguments)


def test_cuda_fake_runs_every_thread_once_and_in_no_order_to_rely_on(fake: ModuleType) -> None:
    seen = fake.zeros(12, dtype=np.float32)
    each = kernel(fake, "REAL* y", "y[blockIdx.x * blockDim.x + threadIdx.x] += gridDim.x * 10 + blockDim.x;")
    each((3,), (4,), (seen,))
    assert seen.get().tolist() == [34] * 12
    last = fake.zeros(1, dtype=np.float32)
    kernel(fake, "REAL* y", "y[0] = blockIdx.x * blockDim.x + threadIdx.x;")((3,), (4,), (last,))
    assert last.get() == [0]


def nvrtc() -> ctypes.CDLL | None:
    """Return NVIDIA's compiler, as CuPy or the wheel nvidia-cuda-nvrtc brings it."""
    names = [f"libnvrtc.so.{version}" for version in (13, 12)]
    found = importlib.util.find_spec("nvidia")
    for folder in found.submodule_search_locations or () if found else ():
        names += [str(path) for path in sorted(Path(folder).glob("*/lib/libnvrtc.so.1[0-9]"))]
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


@pytest.mark.parametrize("architecture", [75, 80, 86, 89, 90])
@pytest.mark.parametrize("real", ["float", "double"])
@pytest.mark.parametrize("big", [(), ("-DBIG_ARRAYS", "-DBIG_WINDOWS")])
def test_cuda_source_compiles_for_every_gpu(architecture: int, real: str, big: tuple[str, ...]) -> None:
    """For the GPUs from Turing to Hopper. NVIDIA's compiler needs no GPU."""
    library = nvrtc()
    if library is None:
        pytest.skip("NVIDIA's compiler is absent (nvidia-cuda-nvrtc-cu12)")
    program = ctypes.c_void_p()
    library.nvrtcCreateProgram(ctypes.byref(program), SOURCE.read_bytes(), b"cuda_kernels.cu", 0, None, None)
    options = [f"-arch=sm_{architecture}", f"-DREAL={real}", "-std=c++17", *big]
    given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    failed = library.nvrtcCompileProgram(program, len(options), given)
    size = ctypes.c_size_t()
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    assert (failed, log.value.decode()) == (0, "")  # no warning either
    library.nvrtcGetCUBINSize(program, ctypes.byref(size))
    assert size.value > 1000
    library.nvrtcDestroyProgram(ctypes.byref(program))
