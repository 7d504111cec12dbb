"""What there is to read about an operation: its equations and the lines that run."""

import importlib
import inspect
import sys
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Function, Tensor, explanations
from minicnn import functional as F
from minicnn.ops.activation import ReLU, Tanh
from minicnn.ops.conv import Conv2d
from minicnn.ops.conv_algorithms import DirectConv2d
from minicnn.ops.loss import CrossEntropy
from minicnn.ops.reduce import Sum

IMAGES = np.random.default_rng(1).standard_normal((2, 4, 8, 8)).astype(np.float32)


@pytest.mark.parametrize(
    ("operation", "forward", "backward", "section"),
    [
        (ReLU, "y = max(0, x)", "dL/dx = dL/dy where x > 0, else 0", "Krizhevsky et al. 2012, section 3.1"),
        (Sum, "y = sum of x over some dimensions", "dL/dx = dL/dy for every element that went into the sum", ""),
        (
            DirectConv2d,  # a kind of Conv2d, which has the equations
            "y[n, f, oh, ow] = b[f] + sum over c, kh, kw of  "
            "w[f, c, kh, kw] x[n, c, oh SH - PH + kh DH, ow SW - PW + kw DW]",
            "dL/dW = dL/dY X^T\ndL/dx = col2im(W^T dL/dY)\ndL/db = sum of dL/dY over n, oh, ow",
            "Krizhevsky et al. 2012, section 3.5",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_equation_and_section_are_the_docstrings(
    operation: type[Function], forward: str, backward: str, section: str
) -> None:
    assert explanations.equations(operation) == (forward, backward)
    assert explanations.section(operation) == section


def kinds(operation: type[Function]) -> list[type[Function]]:
    return [found for kind in operation.__subclasses__() for found in (kind, *kinds(kind))]


def of_the_package() -> list[type[Function]]:
    """The operations of minicnn.ops, without classes that an example in a docstring has left behind."""
    found = [kind for kind in kinds(Function) if kind.__module__.startswith("minicnn.ops")]
    return [kind for kind in found if getattr(sys.modules[kind.__module__], kind.__name__, None) is kind]


def test_every_operation_says_what_it_does() -> None:
    public = [kind for kind in of_the_package() if kind.__name__[0] != "_" and not inspect.isabstract(kind)]
    assert len(public) > 25
    for operation in public:
        forward, backward = explanations.equations(operation)
        assert len(forward) > 4 and len(backward or forward) > 4, operation
        assert "  dL/d" not in forward or operation.__name__ == "Pad"


def test_an_operation_without_a_docstring_or_a_source() -> None:
    namespace: dict[str, Any] = {"Function": Function}
    exec("class Bare(Function):\n    def forward(self, xp, x):\n        return x * 2", namespace)
    with minicnn.trace() as trace:
        namespace["Bare"]()(Tensor(1.0))
    (step,) = trace.forward_steps()
    assert (step.equation, step.section, step.explanation) == ("", "", "")
    assert "cannot be found" in step.source and "Bare, forward" in repr(step)


def test_the_source_is_what_runs() -> None:
    forward, backward = (explanations.source(Conv2d, method, None) for method in ("forward", "backward"))
    assert forward.startswith("# minicnn.ops.conv, line ") and "\ndef forward(self, xp" in forward
    assert "def backward" not in forward and "def backward(self, xp" in backward
    assert "def columns(" in forward and "def filters_as_rows(" in forward  # which both call
    assert "def columns(" in backward
    source = explanations.source(DirectConv2d, "backward", None)
    assert source.startswith("# minicnn.ops.conv_algorithms, line ") and "\n# minicnn.ops.conv, line " in source
    assert source.count("def backward(") == 2 and source.count("def grad_w(") == 1  # its own, and super().backward
    assert "def _refuse_wrong_labels(" in explanations.source(CrossEntropy, "forward", None)  # a function of its file

    class Weighted(CrossEntropy):
        """The same, defined in another file."""

    assert "def _refuse_wrong_labels(" in explanations.source(Weighted, "forward", None)
    tanh = explanations.source(Tanh, "forward", None)  # through the base class, in another file
    assert tanh.startswith("# minicnn.ops.elementwise, line ") and tanh.endswith("xp.tanh(x, out=out)")


def test_an_algorithm_has_the_name_and_the_equations_of_its_textbook() -> None:
    algorithms = [kind for kind in of_the_package() if kind.textbook]
    assert {kind.__name__ for kind in algorithms} == {
        "DirectConv2d",
        "WinogradConv2d",
        "SmallBatchLinear",
        "FusedCrossEntropy",
        "FusedDropout",
        "GpuConv2d",
        "_ReLUInPlace",
    }
    for kind in algorithms:
        assert kind.textbook is not None and issubclass(kind, kind.textbook)
        assert explanations.name(kind) == explanations.name(kind.textbook) == kind.textbook.__name__
        assert explanations.equations(kind) == explanations.equations(kind.textbook)
        assert kind.algorithm != kind.textbook.algorithm


def test_the_source_goes_down_to_the_loops(kernel_file: str) -> None:
    images = Tensor(IMAGES, requires_grad=True)
    with minicnn.trace() as trace:
        y = F.local_response_norm(F.max_pool2d(F.relu(images), 3, 2), 5)
        loss = (y * y).mean()
    loss.backward()
    module = importlib.import_module(f"minicnn.kernels.{kernel_file}_kernels")
    others = "numpy" if kernel_file == "numba" else "numba"
    forward = {step.name: step.source for step in trace.forward_steps()}
    backward = {step.name: step.source for step in trace.backward_steps()}
    with minicnn.use_kernels(others):  # which are not those that ran
        assert [step.source for step in trace.forward_steps()] == list(forward.values())
    for sources, operation, kernel in (
        (forward, "MaxPool2d", "max_pool2d_forward"),
        (backward, "MaxPool2d", "max_pool2d_backward"),
        (forward, "LocalResponseNorm", "lrn_forward"),
        (backward, "LocalResponseNorm", "lrn_backward"),
        (backward, "ReLU", "relu_backward"),
    ):
        function = getattr(module, kernel)
        function = getattr(function, "py_func", function)
        lines, start = inspect.getsourcelines(function)
        assert f"# {function.__module__}, line {start}\n{''.join(lines).rstrip()}" in sources[operation]
    assert backward["Mul"].count("def sum_to(") == 1 and backward["Mean"].count("def _restored(") == 1
    assert "def output_length(" in forward["MaxPool2d"]
