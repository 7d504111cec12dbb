"""The gradient check of every operation: all pass, a broken one fails, and the table says so."""

import inspect
from importlib.util import find_spec

import numpy as np
import pytest

from minicnn import checks
from minicnn import functional as F
from minicnn.autograd import Function
from minicnn.backend import gpu_facts
from minicnn.checks import gradcheck, operations
from minicnn.ops.activation import Tanh

KINDS = {"numpy", "numba"} if find_spec("numba") else {"numpy"}


@pytest.fixture(scope="module")
def every():
    """Return the rows for every operation, and the Functions that took part."""
    used = set()
    call = Function.__call__

    def noting(self, *inputs):
        used.add(type(self))
        return call(self, *inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Function, "__call__", noting)
        seen = []
        rows = checks.check_operations(progress=seen.append)
    assert seen == rows
    return rows, used


@pytest.mark.slow
def test_every_operation_passes_on_every_kind_of_kernels(every):
    rows, _ = every
    assert not [f"{row.operation}, {row.configuration}, {row.kernels}: {row.report}" for row in rows if not row.ok]
    assert {row.kernels for row in rows} == KINDS
    assert all(row.report.compared for row in rows)
    assert max(row.report.difference for row in rows) < 1e-7  # far inside the tolerance


@pytest.mark.slow
def test_every_operation_is_in_the_table(every):
    rows, used = every

    def below(function):
        for sub in function.__subclasses__():
            yield sub
            yield from below(sub)

    public = {f for f in below(Function) if f.__module__.startswith("minicnn.ops.") and f.__name__[0] != "_"}
    public = {f for f in public if not inspect.isabstract(f)}
    assert public - used == set()
    operations = {row.operation for row in rows}
    assert set(F.__all__) - operations == set()
    methods = {"exp", "log", "sum", "mean", "max", "reshape", "transpose", "permute", "flatten", "T"}
    operators = {"+", "-", "*", "/", "**", "@", "neg", "[]"}
    assert (methods | operators) - operations == set()


@pytest.mark.slow
def test_configurations_are_distinct_within_an_operation(every):
    rows, _ = every
    names = [(row.operation, row.configuration, row.kernels) for row in rows]
    assert len(set(names)) == len(names)


@pytest.mark.slow
def test_the_table_has_a_line_for_each_operation_and_a_verdict(every):
    rows, _ = every
    lines = checks.format_table(rows).splitlines()
    assert {line.split()[0] for line in lines[1:-2]} == {row.operation for row in rows}
    assert all(line.split()[-len(KINDS) :] == ["ok"] * len(KINDS) for line in lines[1:-2])
    assert f"all {len(rows)} checks passed" in lines[-1]


def test_operations_pass_on_a_gpu(gpu, monkeypatch):
    """On a real GPU every example, on the fake one, which is slow, the first and the last of each operation."""
    some = None
    if gpu_facts(gpu)["cupy"] == "fake":
        by_operation = {}
        for example in checks.every_example():
            if example.on_gpu and "256 images" not in example.configuration:
                by_operation.setdefault(example.operation, []).append(example)
        some = [example for examples in by_operation.values() for example in examples[:1] + examples[1:][-1:]]
    devices = set()

    def noting(func, inputs, raise_exception):
        devices.update(x.device for x in inputs)
        return gradcheck(func, inputs, raise_exception=raise_exception)

    monkeypatch.setattr(operations, "gradcheck", noting)
    rows = checks.check_operations(device=gpu, examples=some)
    assert devices == {"cuda:0"}
    assert not [f"{row.operation}, {row.configuration}: {row.report}" for row in rows if not row.ok]
    assert {row.kernels for row in rows} == {"cuda"}
    assert len(rows) > 50


def test_a_broken_operation_fails_the_table(monkeypatch):
    names = {"relu", "tanh", "sigmoid", "dropout", "softmax", "log_softmax"}
    activations = [example for example in checks.every_example() if example.operation in names]
    monkeypatch.setattr(Tanh, "backward", lambda self, xp, grad_output: grad_output * (1 - self.y))
    rows = checks.check_operations(examples=activations)
    assert {row.operation for row in rows if not row.ok} == {"tanh"}
    text = checks.format_table(rows)
    assert "4 FAILED" in text
    assert "derivatives disagree" in text
    assert f"{4 * len(KINDS)} of {len(rows)} checks FAILED" in text.splitlines()[-1]


def test_no_rows_make_an_empty_table():
    assert checks.format_table([]).startswith("operation")


def test_an_example_gives_the_same_inputs_each_time_and_they_are_its_own():
    for example in checks.EXAMPLES:
        first, second = example.inputs(), example.inputs()
        for a, b in zip(first, second, strict=True):
            np.testing.assert_array_equal(a.data, b.data)
            assert a.data is not b.data and not np.shares_memory(a.data, b.data)
        assert any(x.requires_grad for x in first)
        assert {x.dtype.kind for x in first if x.requires_grad} == {"f"}
        assert {x.dtype for x in example.inputs(dtype=np.float32) if x.dtype.kind == "f"} == {np.dtype(np.float32)}
