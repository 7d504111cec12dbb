"""The kernel files: the Numba kernels against the NumPy ones, those against their definition, and how one is picked."""

import ast
import inspect
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import hypothesis.strategies as st
import naive
import numpy as np
import pytest
from random_windows import DTYPES, Case, cases

import minicnn
import minicnn.functional as F
from minicnn import Tensor, kernels
from minicnn.backend import to_device
from minicnn.kernels import numpy_kernels
from minicnn.kernels.examples import examples

numba_kernels: ModuleType = pytest.importorskip("minicnn.kernels.numba_kernels")

ROOT = Path(__file__).parents[2]
COMPILED = [  # Numba uses NumPy's own for the others
    name for name in kernels.KERNELS if getattr(numba_kernels, name) is not getattr(numpy_kernels, name)
]
TOLERANCE = {np.float32: 3e-5, np.float64: 1e-12}

small = hypothesis.settings(max_examples=150)


def test_the_kernels_are_the_public_functions_of_the_reference() -> None:
    public = {name for name, thing in vars(numpy_kernels).items() if inspect.isfunction(thing) and name[0] != "_"}
    assert public == set(kernels.KERNELS) <= set(kernels.__all__)
    for name in kernels.KERNELS:
        assert getattr(kernels, name).__name__ == name
        assert getattr(kernels, name).__doc__ == getattr(numpy_kernels, name).__doc__


def test_numba_has_every_kernel_with_the_signature_of_the_reference() -> None:
    assert set(kernels.KERNELS) - set(COMPILED) == {
        *("cross_entropy_forward", "cross_entropy_backward", "dropout", "exchange", "sgd_steps", "stacked_product")
    }
    for name in kernels.KERNELS:
        compiled = getattr(numba_kernels, name)
        reference = inspect.signature(getattr(numpy_kernels, name))
        assert inspect.signature(getattr(compiled, "py_func", compiled)) == reference, name


def test_cuda_has_its_kernels_with_the_signature_of_the_reference() -> None:
    """Read from the source, because importing it needs CuPy."""

    def signatures(module: str) -> dict[str, str]:
        tree = ast.parse((ROOT / "minicnn" / "kernels" / f"{module}.py").read_text(encoding="utf-8"))
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name[0] != "_"]
        return {node.name: f"({ast.unparse(node.args)}) -> {ast.unparse(node.returns)}" for node in functions}

    cuda, reference = signatures("cuda_kernels"), signatures("numpy_kernels")
    assert cuda == {name: reference[name] for name in cuda}
    # On a GPU a convolution is im2col and a matrix product.
    assert set(reference) - set(cuda) == {name for name in reference if "conv2d" in name or "winograd" in name}


def test_every_kernel_that_is_compiled_has_an_example_for_warmup() -> None:
    """With arguments that fit it: the reference takes them, too."""
    for dtype in DTYPES:
        calls = examples(dtype)
        assert {name for name, _ in calls} == set(COMPILED)
        for name, arguments in calls:
            getattr(numpy_kernels, name)(*arguments)


def test_a_kernel_that_a_back_end_does_not_have(gpu: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from minicnn.kernels import cuda_kernels

    x = to_device(np.ones((1, 2, 4, 4), np.float32), gpu)
    message = r"kernels.conv2d: the cuda back end \(minicnn.kernels.cuda_kernels\) does not have this kernel"
    with pytest.raises(NotImplementedError, match=message):
        kernels.conv2d(x, x, x, 1, 1, 0, 0, x)
    monkeypatch.delattr(cuda_kernels, "relu_backward")
    with pytest.raises(NotImplementedError, match="kernels.relu_backward: the cuda back end .* does not have"):
        F.relu(Tensor(x, requires_grad=True)).sum().backward()
    monkeypatch.delattr(numba_kernels, "relu_backward")
    with (
        minicnn.use_kernels("numba"),
        pytest.raises(NotImplementedError, match="kernels.relu_backward: the numba back"),
    ):
        F.relu(Tensor([1.0], requires_grad=True)).sum().backward()


@pytest.mark.slow
def test_another_kernel_is_its_functions_and_nothing_else(tmp_path: Path) -> None:
    copy = tmp_path / "minicnn"
    shutil.copytree(ROOT / "minicnn", copy, ignore=shutil.ignore_patterns("__pycache__"))
    for back_end, decorator, factor in (("numpy", "", "2"), ("numba", "@kernel\n", "x.dtype.type(2)")):
        with open(copy / "kernels" / f"{back_end}_kernels.py", "a", encoding="utf-8") as file:
            file.write(f"\n\n{decorator}def double(x: Array, y: Array) -> None:\n    y[:] = {factor} * x\n")
    program = """
        import numpy as np
        from minicnn import kernels

        for back_end in ("numpy", "numba"):
            with kernels.use_kernels(back_end):
                y = np.zeros(2)
                kernels.double(np.array([1.0, 2.0]), y)
                print(y, "double" in kernels.__all__)
        print(hasattr(kernels.numba_kernels.double, "signatures"))
    """
    assert run(program, tmp_path).splitlines() == ["[2. 4.] True"] * 2 + ["True"]


def test_current_names_the_back_end_for_an_array(gpu: str, kernel_file: str) -> None:
    assert kernels.current() == kernels.current(np.ones(1)) == kernel_file
    assert kernels.current(to_device(np.ones(1), gpu)) == "cuda"


# --- on random windows --------------------------------------------------------------------------------------


@small
@hypothesis.given(cases(dilated=True))
def test_im2col(case: Case) -> None:
    x = case.numbers(case.shape)
    a, b = case.rubbish(case.columns)
    numpy_kernels.im2col(x, *case.dilated, a)
    numba_kernels.im2col(x, *case.dilated, b)
    np.testing.assert_array_equal(a, b)


@small
@hypothesis.given(cases(dilated=True))
def test_col2im(case: Case) -> None:
    col = case.numbers(case.columns)
    a, b = case.rubbish(case.shape)
    numpy_kernels.col2im(col, *case.dilated, a)
    numba_kernels.col2im(col, *case.dilated, b)
    np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE[case.dtype])


@small
@hypothesis.given(cases(dilated=True))
def test_col2im_is_the_transpose_of_im2col(case: Case) -> None:
    case.dtype = np.float64
    for file in (numpy_kernels, numba_kernels):
        x, col = case.numbers(case.shape), case.numbers(case.columns)
        columns_of_x, sums_of_col = case.rubbish(case.columns)[0], case.rubbish(case.shape)[0]
        file.im2col(x, *case.dilated, columns_of_x)
        file.col2im(col, *case.dilated, sums_of_col)
        assert np.vdot(columns_of_x, col) == pytest.approx(np.vdot(x, sums_of_col), rel=1e-10, abs=1e-10)


@hypothesis.settings(max_examples=30)
@hypothesis.given(cases(dilated=True))
def test_im2col_and_col2im_do_what_they_are_defined_to(case: Case) -> None:
    hypothesis.assume(np.prod(case.columns) < 3000)
    x, col = case.numbers(case.shape), case.numbers(case.columns)
    for file in (numpy_kernels, numba_kernels):
        columns, sums = case.rubbish(case.columns)[0], case.rubbish(case.shape)[0]
        file.im2col(x, *case.dilated, columns)
        np.testing.assert_array_equal(columns, naive.im2col(x, case.kernel, case.stride, case.padding, case.dilation))
        file.col2im(col, *case.dilated, sums)
        expected = naive.col2im(
            col.astype(np.float64), case.shape, case.kernel, case.stride, case.padding, case.dilation
        )
        np.testing.assert_allclose(sums, expected, rtol=0, atol=TOLERANCE[case.dtype])


@small
@hypothesis.given(
    cases(pooling=True) | cases(pooling=True, dilated=True),
    st.sampled_from([np.uint8, np.int32]),
    st.sampled_from(["", "ties", "nan", "inf"]),
)
def test_max_pool2d(case: Case, index_dtype: Any, special: str) -> None:
    x = case.numbers(case.shape)
    if special == "ties":
        x = np.round(x)
    elif special:
        x[case.random.random(x.shape) < 0.3] = -np.inf if special == "inf" else np.nan
    (y, same_y), (index, same_index) = case.rubbish(case.output), case.rubbish(case.output, index_dtype)
    numpy_kernels.max_pool2d_forward(x, *case.dilated, y, index)
    numba_kernels.max_pool2d_forward(x, *case.dilated, same_y, same_index)
    np.testing.assert_array_equal(y, same_y)
    np.testing.assert_array_equal(index, same_index)

    grad_y = case.numbers(case.output)
    a, b = case.rubbish(case.shape)
    numpy_kernels.max_pool2d_backward(grad_y, index, *case.dilated, a)
    numba_kernels.max_pool2d_backward(grad_y, index, *case.dilated, b)
    np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE[case.dtype])


@small
@hypothesis.given(cases(), st.integers(1, 3), st.integers(1, 70))
def test_conv2d(case: Case, groups: int, filters_of_a_group: int) -> None:
    """Filters of a group in any number: fewer than a vector has lanes, and tiles of every width."""
    (N, C, H, W), (KH, KW, *steps) = case.shape, case.window
    F = groups * filters_of_a_group
    x, w, b = case.numbers((N, groups * C, H, W)), case.numbers((F, C, KH, KW)), case.numbers((F,))
    expected, y = case.rubbish((N, F, *case.output[2:]))
    numpy_kernels.conv2d(x, w, b, *steps, expected)
    numba_kernels.conv2d(x, w, b, *steps, y)
    hold(expected, naive.conv2d(x, w, b, case.stride, case.padding, groups), case.dtype, C * KH * KW)
    hold(y, expected, case.dtype, C * KH * KW)


@small
@hypothesis.given(cases(), st.integers(1, 3), st.integers(1, 70))
def test_conv2d_grad_w(case: Case, groups: int, filters_of_a_group: int) -> None:
    (N, C, H, W), (KH, KW, *steps) = case.shape, case.window
    F = groups * filters_of_a_group
    x, grad_y = case.numbers((N, groups * C, H, W)), case.numbers((N, F, *case.output[2:]))
    expected, grad_w = case.rubbish((F, C, KH, KW))
    numpy_kernels.conv2d_grad_w(x, grad_y, *steps, expected)
    numba_kernels.conv2d_grad_w(x, grad_y, *steps, grad_w)
    hold(grad_w, expected, case.dtype, grad_y.size // F + 1)
    # the sum of grad_y * conv2d(x, w) is linear in w: its slope is grad_w
    w = case.numbers(grad_w.shape)
    y = naive.conv2d(x, w, None, case.stride, case.padding, groups)
    size = np.abs(grad_y).sum() * w[0].size * 10 + 1  # no sum of such products is far beyond
    assert abs((grad_y * y).sum() - (grad_w * w).sum()) < 100 * np.finfo(case.dtype).eps * size


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("filters", [5, 40, 48, 64])
def test_convolution_of_more_windows_than_the_caches_hold_at_a_time(dtype: Any, filters: int, rng: Any) -> None:
    x = rng.standard_normal((1, 2, 41, 37)).astype(dtype)
    w, b = rng.standard_normal((filters, 2, 2, 3)).astype(dtype), rng.standard_normal(filters).astype(dtype)
    y, expected = np.full((2, 1, filters, 40, 35), np.nan, dtype)
    for kernel_file, target in ((numba_kernels, y), (numpy_kernels, expected)):
        kernel_file.conv2d(x, w, b, 1, 1, 0, 0, target)
    hold(y, expected, dtype, 12)
    grad_y = rng.standard_normal(y.shape).astype(dtype)
    grad_w, expected_grad = np.full((2, *w.shape), np.nan, dtype)
    for kernel_file, target in ((numba_kernels, grad_w), (numpy_kernels, expected_grad)):
        kernel_file.conv2d_grad_w(x, grad_y, 1, 1, 0, 0, target)
    hold(grad_w, expected_grad, dtype, 40 * 35)


def hold(actual: np.ndarray, expected: np.ndarray, dtype: Any, terms: int) -> None:
    """Compare sums of so many products, each of size about 1."""
    np.testing.assert_allclose(actual, expected, rtol=0, atol=10 * terms * np.finfo(dtype).eps)


@small
@hypothesis.given(cases(pooling=True))
def test_avg_pool2d(case: Case) -> None:
    x, grad_y = case.numbers(case.shape), case.numbers(case.output)
    divisor = case.random.integers(1, 10, case.output[2:]).astype(case.dtype)
    (y, same_y), (a, b) = case.rubbish(case.output), case.rubbish(case.shape)
    numpy_kernels.avg_pool2d_forward(x, *case.window, divisor, y)
    numba_kernels.avg_pool2d_forward(x, *case.window, divisor, same_y)
    np.testing.assert_allclose(y, same_y, rtol=0, atol=TOLERANCE[case.dtype])
    numpy_kernels.avg_pool2d_backward(grad_y, *case.window, divisor, a)
    numba_kernels.avg_pool2d_backward(grad_y, *case.window, divisor, b)
    np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE[case.dtype])


@small
@hypothesis.given(
    dtype=st.sampled_from(DTYPES),
    shape=st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(0, 20) | st.integers(250, 600)),
    below=st.integers(0, 10),
    above=st.integers(0, 10),
    k=st.floats(1, 2),
    a=st.floats(0.1, 2),
    beta=st.sampled_from([0.75, 0.5, 1.0]) | st.floats(0, 2),
    seed=st.integers(0, 99),
)
def test_lrn(
    dtype: Any, shape: tuple[int, ...], below: int, above: int, k: float, a: float, beta: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    x, grad_y = (random.standard_normal(shape).astype(dtype) for _ in range(2))
    options = below, above, k, a, beta
    results = []
    for file in (numpy_kernels, numba_kernels):
        y, grad_x = np.full(shape, np.nan, dtype), np.full(shape, np.nan, dtype)
        file.lrn_forward(x, *options, y)
        file.lrn_backward(x, grad_y, *options, grad_x)
        results.append((y, grad_x))
    (y, grad_x), (same_y, same_grad_x) = results
    np.testing.assert_allclose(y, same_y, rtol=0, atol=TOLERANCE[dtype])
    np.testing.assert_allclose(grad_x, same_grad_x, rtol=0, atol=TOLERANCE[dtype])


def updated(
    w: float, g: float, v: float, lr: float, momentum: float, decay: float, nesterov: bool, paper: bool
) -> tuple[float, float]:
    """One weight and its velocity after one step."""
    slope = g + decay * w
    if paper:
        v = momentum * v - lr * slope
        return w + v, v
    v = momentum * v + slope
    return w - lr * (slope + momentum * v if nesterov else v), v


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("file", [numpy_kernels, numba_kernels], ids=["numpy", "numba"])
@pytest.mark.parametrize(("nesterov", "paper"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize("size", [0, 1, 33])
def test_sgd_step(
    size: int, weight_decay: float, nesterov: bool, paper: bool, file: ModuleType, dtype: Any, rng: Any
) -> None:
    w, g, v = (rng.standard_normal(size).astype(dtype) for _ in range(3))
    options = 0.1, 0.9, weight_decay, nesterov, paper
    expected = [updated(*(float(number) for number in numbers), *options) for numbers in zip(w, g, v, strict=True)]
    kept = g.copy()
    file.sgd_step(w, g, v, *options)
    np.testing.assert_allclose(w, [new_w for new_w, _ in expected], rtol=0, atol=TOLERANCE[dtype])
    np.testing.assert_allclose(v, [new_v for _, new_v in expected], rtol=0, atol=TOLERANCE[dtype])
    np.testing.assert_array_equal(g, kept)
    assert (w.dtype, v.dtype) == (dtype, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("file", [numpy_kernels, numba_kernels], ids=["numpy", "numba"])
def test_sgd_step_without_momentum(file: ModuleType, dtype: Any, rng: Any) -> None:
    w, g = (rng.standard_normal(20).astype(dtype) for _ in range(2))
    expected, kept = w.astype(np.float64) - 0.1 * (g.astype(np.float64) + 0.3 * w), g.copy()
    file.sgd_step(w, g, None, 0.1, 0.0, 0.3, False, False)
    np.testing.assert_allclose(w, expected, rtol=0, atol=TOLERANCE[dtype])
    np.testing.assert_array_equal(g, kept)


# --- which file is used -------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", [numpy_kernels, numba_kernels])
@pytest.mark.parametrize("dtype", DTYPES)
def test_relu_backward(file: ModuleType, dtype: Any) -> None:
    y = np.array([0, -0.0, 1e-30, 2, np.nan, 0, np.inf], dtype)
    grad_y = np.array([3, 4, 5, np.nan, 7, np.inf, -np.inf], dtype)
    grad_x = np.full(7, 77, dtype)
    file.relu_backward(y, grad_y, grad_x)
    np.testing.assert_array_equal(grad_x, np.array([0, 0, 5, np.nan, 7, 0, -np.inf], dtype))


def test_use_kernels_holds_inside_the_block_only() -> None:
    before = kernels.current()
    for name in ("numpy", "numba"):
        with minicnn.use_kernels(name):
            assert kernels.current() == name
            with minicnn.use_kernels("numpy"):
                assert kernels.current() == "numpy"
            assert kernels.current() == name
        assert kernels.current() == before
    with pytest.raises(ZeroDivisionError), minicnn.use_kernels("numpy"):
        raise ZeroDivisionError
    assert kernels.current() == before


def test_operations_run_on_the_file_that_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    x = minicnn.Tensor(np.ones((1, 2, 3)))
    for name, file in (("numpy", numpy_kernels), ("numba", numba_kernels)):
        monkeypatch.setattr(file, "lrn_forward", lambda *_, name=name: called.append(name))
        with minicnn.use_kernels(name):
            minicnn.functional.local_response_norm(x, 2)
    assert called == ["numpy", "numba"]


@pytest.mark.parametrize("wrong", ["cuda", "Numba", "", None, 1])
def test_kernels_that_do_not_exist(wrong: Any) -> None:
    before = kernels.current()
    with (
        pytest.raises(ValueError, match=f"use_kernels: name must be 'numpy' or 'numba', got {wrong!r}"),
        minicnn.use_kernels(wrong),
    ):
        pass
    assert kernels.current() == before


def test_where_numba_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "minicnn.kernels.numba_kernels")
    monkeypatch.delattr(kernels, "numba_kernels")
    monkeypatch.setattr(kernels, "_chosen", None)
    assert kernels.current() == "numpy"
    with (
        pytest.raises(ImportError, match="use_kernels: the Numba kernels cannot be used .*pip install numba"),
        minicnn.use_kernels("numba"),
    ):
        pass
    with minicnn.use_kernels("numpy"):
        minicnn.warmup()


# --- compiling ----------------------------------------------------------------------------------------------


def run(program: str, folder: Path = ROOT, **environment: str) -> str:
    """Run a program in a new process, which finds minicnn in that folder."""
    command = [sys.executable, "-c", textwrap.dedent(program)]
    environment = {**os.environ, "PYTHONPATH": str(folder), **environment}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


EVERYTHING = """
    import numpy as np
    import minicnn
    import minicnn.functional as F
    from minicnn import Tensor, kernels
    from minicnn.kernels import numba_kernels

    compiled = {name: thing for name, thing in vars(numba_kernels).items() if hasattr(thing, "signatures")}
    ready = []
    minicnn.warmup(lambda name, number, total: ready.append((name, number, total)))
    after_warmup = {name: len(kernel.signatures) for name, kernel in compiled.items()}

    for dtype in (np.float32, np.float64):
        x = Tensor(np.ones((3, 4, 9, 9), dtype), requires_grad=True)
        weight = Tensor(np.ones((6, 2, 3, 3), dtype), requires_grad=True)
        y = F.relu(F.local_response_norm(F.conv2d(x, weight, stride=(2, 1), padding=1, groups=2), 5))
        F.avg_pool2d(F.max_pool2d(y, 3, 2, 1, ceil_mode=True), 2, 1).mean().backward()
        w = np.ones(9, dtype)
        kernels.sgd_step(w, w.copy(), None, 0.1, 0.0, 0.0, False, False)
        kernels.sgd_step(w, w.copy(), w.copy(), 0.1, 0.9, 0.1, True, False)

    assert after_warmup == {name: len(kernel.signatures) for name, kernel in compiled.items()}, "compiled after warmup"
    assert kernels.current() == "numba"
    assert [(number, total) for _, number, total in ready] == [(i, len(ready)) for i in range(1, len(ready) + 1)]
    print(",".join(name for name, _, _ in ready))
    print(sum(sum(kernel.stats.cache_misses.values()) for kernel in compiled.values()))
    print(sum(sum(kernel.stats.cache_hits.values()) for kernel in compiled.values()))
"""


@pytest.mark.slow
def test_warmup_is_enough_and_nothing_is_compiled_in_a_second_process() -> None:
    run(EVERYTHING)
    ready, misses, hits = run(EVERYTHING).splitlines()
    assert set(ready.split(",")) == {f"{name} {dtype.__name__}" for name in COMPILED for dtype in DTYPES}
    assert misses == "0"
    assert int(hits) >= 2 * len(COMPILED)


@pytest.mark.slow
def test_where_no_cache_folder_can_be_written(tmp_path: Path) -> None:
    """Below a regular file no folder can be made, not even by the superuser, whom no permission stops."""
    copy = tmp_path / "minicnn"
    shutil.copytree(ROOT / "minicnn", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "kernels" / "__pycache__").write_text("a file where Numba would make its folder")
    nowhere = str(copy / "__init__.py" / "folder")
    program = """
        import numpy as np
        import minicnn
        from minicnn.kernels import numba_kernels

        with minicnn.use_kernels("numba"):
            y = minicnn.functional.local_response_norm(np.full((1, 1, 2), 2.0), 1, alpha=1.0, beta=1.0, k=0.0)
        print(minicnn.__file__)
        print(y.numpy().tolist())
        print(numba_kernels.lrn_forward.stats.cache_path, len(numba_kernels.lrn_forward.signatures))
    """
    places = {name: nowhere for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME", "LOCALAPPDATA", "IPYTHONDIR")}
    file, result, cache = run(program, tmp_path, PYTHONDONTWRITEBYTECODE="1", **places).splitlines()
    assert file == str(copy / "__init__.py")
    assert result == "[[[0.5, 0.5]]]"
    assert cache == "None 1"


LRN = """
    import minicnn
    import numpy as np
    from minicnn.kernels import numba_kernels

    with minicnn.use_kernels("numba"):
        y = minicnn.functional.local_response_norm(np.full((1, 1, 2), 2.0), 1, alpha=1.0, beta=1.0, k=0.0)
    assert y.numpy().tolist() == [[[0.5, 0.5]]]
    stats = numba_kernels.lrn_forward.stats
    print(stats.cache_path, sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("damage", "which"), [(b"", "nbi"), (b"\x80\x04garbage", "nbi"), (b"\x80\x04\x95\xff", "nbc")])
def test_a_damaged_cache_is_compiled_anew(tmp_path: Path, damage: bytes, which: str) -> None:
    """The power failed while Numba wrote its files: every training ended in EOFError."""
    place = {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONWARNINGS": "always"}
    assert run(LRN, **place).split()[1:] == ["0", "1"]
    for file in tmp_path.glob(f"*/*.{which}"):
        file.write_bytes(damage)
    command = [sys.executable, "-c", textwrap.dedent(LRN)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **place}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("the cache of compiled kernels in") == 1
    assert run(LRN, **place).split()[1:] == ["1", "0"]  # it is whole again


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    """The disk is full."""
    full = """
        import errno
        from numba.core import caching

        def save(self, key, data):
            raise OSError(errno.ENOSPC, "No space left on device")

        caching.IndexDataCacheFile.save = save
    """
    place = {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONWARNINGS": "ignore"}
    assert run(textwrap.dedent(full) + textwrap.dedent(LRN), **place).split()[1:] == ["0", "1"]
    assert not list(tmp_path.glob("*/*.nbi"))


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such user database")
def test_without_a_home_the_code_is_cached_among_temporary_files(tmp_path: Path) -> None:
    no_home = """
        import os
        import pwd

        def unknown(user):
            raise KeyError(user)

        pwd.getpwuid = unknown
        for name in ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"):
            os.environ.pop(name, None)
        os.chdir(os.environ["TMPDIR"])
    """
    found = run(textwrap.dedent(no_home) + textwrap.dedent(LRN), TMPDIR=str(tmp_path))
    folder, hits, misses = found.split()
    assert Path(folder).parent == tmp_path / f"minicnn-{os.getuid()}"
    assert (hits, misses) == ("0", "1")
    assert [path.name for path in tmp_path.iterdir()] == [f"minicnn-{os.getuid()}"]  # none is called "~"


def test_where_compiling_is_switched_off() -> None:
    """As one does to step through code with a debugger: direct convolution exists compiled only."""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-c", "from minicnn import kernels; print(kernels.current())"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.stdout == "numpy\n", done.stderr
    assert "NUMBA_DISABLE_JIT is set" in done.stderr


def test_a_part_of_kernels_is_not_for_python() -> None:
    direct = pytest.importorskip("minicnn.kernels.direct_convolution")
    with pytest.raises(TypeError, match="_vectors_for is a part of kernels"):  # and not a crash
        direct._vectors_for(96, 4)
