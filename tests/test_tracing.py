"""The trace: what it keeps, and that it changes nothing."""

import gc
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Function, Tensor, autograd, grad_mode, models, nn, no_grad, tracing
from minicnn import functional as F
from minicnn.backend import to_device
from minicnn.ops.conv import Conv2d
from minicnn.tracing import Trace, TraceStep, norm, trace_of


def small_network() -> nn.Sequential:
    return nn.Sequential(
        {
            "conv": nn.Conv2d(4, 6, 3, padding=1, groups=2),
            "relu": nn.ReLU(),
            "pool": nn.MaxPool2d(3, stride=2),
            "flatten": nn.Flatten(),
            "head": nn.Sequential(nn.Linear(54, 5), nn.Tanh(), nn.Linear(5, 3)),
        }
    )


IMAGES = np.random.default_rng(1).standard_normal((2, 4, 8, 8)).astype(np.float32)
LABELS = np.array([2, 0])


def traced(network: nn.Module) -> tuple[Trace, Tensor]:
    with minicnn.trace() as trace:
        loss = F.cross_entropy(network(Tensor(IMAGES)), LABELS)
    return trace, loss


# --- the way forward ----------------------------------------------------------------------------------------


def test_the_operations_in_order_with_their_layers() -> None:
    trace, _ = traced(small_network())
    assert len(trace) == 8
    assert [(step.layer, step.name) for step in trace.forward_steps()] == [
        ("conv", "Conv2d"),
        ("relu", "ReLU"),
        ("pool", "MaxPool2d"),
        ("flatten", "Reshape"),
        ("head.0", "Linear"),
        ("head.1", "Tanh"),
        ("head.2", "Linear"),
        ("", "CrossEntropy"),
    ]
    assert [step.title for step in trace.forward_steps()][-2:] == ["head.2: Linear", "CrossEntropy"]


@pytest.mark.parametrize("algorithm", ["im2col", "direct"])
def test_the_algorithm_is_named_beside_the_operation(algorithm: str) -> None:
    with minicnn.use_conv(algorithm):
        trace, loss = traced(small_network())
    conv, relu, *_ = trace.forward_steps()
    assert (conv.name, conv.algorithm, conv.title) == ("Conv2d", algorithm, f"conv: Conv2d ({algorithm})")
    assert (relu.name, relu.algorithm, relu.title) == ("ReLU", "", "relu: ReLU")
    assert f"  conv     Conv2d ({algorithm})  (2, 4, 8, 8)" in repr(trace)
    (*_, back) = loss.backward_steps()
    assert isinstance(back, TraceStep) and back.title == conv.title


def test_an_operation_outside_of_any_layer_names_its_algorithm_too(gpu: str) -> None:
    with minicnn.trace() as trace:
        F.cross_entropy(Tensor(IMAGES[:, :, 0, 0]).to(gpu), to_device(LABELS, gpu))
    *_, loss = trace.forward_steps()
    assert loss.title == "CrossEntropy (fused)"


def test_a_step_knows_its_arrays_and_they_are_the_engines_own() -> None:
    network = small_network()
    x = Tensor(IMAGES)
    with minicnn.trace() as trace:
        y = network[0](x)
        z = F.relu(y)
    conv, relu = trace.forward_steps()
    assert conv.input_shapes == ((2, 4, 8, 8), (6, 2, 3, 3), (6,)) and conv.output_shape == (2, 6, 8, 8)
    assert list(conv.inputs) == ["x", "w", "b"]
    assert conv.inputs["x"] is x.data and conv.inputs["w"] is network[0].weight.data and conv.output is y.data
    assert conv.hyperparameters == {"stride": (1, 1), "padding": (1, 1), "groups": 2, "dilation": (1, 1)}
    assert set(conv.saved) == {"x", "w"} and conv.saved["w"] is network[0].weight.data
    assert relu.inputs["x"] is y.data and relu.output is z.data and relu.saved["y"] is z.data
    assert (conv.gradients_in, conv.gradients_out, conv.norms) == ({}, {}, {})


def test_an_absent_input_and_inputs_without_names() -> None:
    class Both(Function):
        """y = the first."""

        def forward(self, xp: ModuleType, *arrays: Any) -> Any:
            return arrays[0] * 1

    with minicnn.trace() as trace:
        F.linear(Tensor(np.ones((1, 2))), Tensor(np.ones((3, 2))))
        Both()(Tensor(1.0), None)
    linear, both = trace.forward_steps()
    assert linear.input_shapes == ((1, 2), (3, 2), None) and list(linear.inputs) == ["x", "w"]
    assert both.names == ("x0", "x1") and list(both.inputs) == ["x0"]


def test_a_step_prints_as_a_few_lines() -> None:
    trace, loss = traced(small_network())
    conv = next(trace.forward_steps())
    lines = repr(conv).splitlines()
    assert lines[0] == f"conv: Conv2d ({conv.algorithm}), forward (operation 1)"
    assert "    paper  Krizhevsky et al. 2012, section 3.5" in lines
    assert "    with   stride=(1, 1), padding=(1, 1), groups=2, dilation=(1, 1)" in lines
    assert "    w      (6, 2, 3, 3)" in lines and "    y      (2, 6, 8, 8)" in lines
    assert "    saved  x float32[2, 4, 8, 8], w float32[6, 2, 3, 3]" in lines
    back = list(loss.backward_steps())[-1]
    text = repr(back)
    assert f"conv: Conv2d ({conv.algorithm}), backward" in text and "dL/dW = dL/dY X^T\n" in text
    assert f"dL/dw  (6, 2, 3, 3), norm {norm(back.grad_inputs[1]):.4g}, out" in text
    assert max(map(len, text.splitlines())) < 120 and len(text.splitlines()) < 16


def test_a_trace_prints_as_a_table() -> None:
    trace, _ = traced(small_network())
    head, conv, relu, *_ = repr(trace).splitlines()
    assert head == "trace of 8 operations"
    assert conv.split("  ")[-1] == "(2, 4, 8, 8), (6, 2, 3, 3), (6,) -> (2, 6, 8, 8)"
    assert relu.split() == ["relu", "ReLU", *"(2, 6, 8, 8) -> (2, 6, 8, 8)".split()]


def test_sources_are_who_made_the_inputs_with_and_without_gradients() -> None:
    for context in (no_grad(), minicnn.use_kernels("numpy")):
        x, w = Tensor(np.ones((2, 3))), Tensor(np.ones((4, 3)), requires_grad=True)
        with context, minicnn.trace() as trace:
            y = F.linear(x * 2, w)
            (y * y).sum()
        mul, linear, square, total = trace.records
        assert [record.sources for record in trace.records] == [
            (None, None),
            (mul, None, None),
            (linear,) * 2,
            (square,),
        ]
        assert total.position == 3


def test_layers_inside_layers_and_a_layer_by_itself() -> None:
    network = nn.Sequential({"inner": nn.Sequential(small_network())})

    class Twice(nn.Module):
        def forward(self, input: Any) -> Any:
            return input * 2

    with minicnn.trace() as trace:
        network(Tensor(IMAGES))
        nn.ReLU()(Tensor(IMAGES))
        Twice()(Tensor(IMAGES))
        Tensor(IMAGES) * 2
    layers = [step.layer for step in trace.forward_steps()]
    assert layers[0] == "inner.0.conv" and layers[4] == "inner.0.head.0" and layers[-3:] == ["ReLU", "Twice", ""]


# --- the backward pass ------------------------------------------------------------------------------------------


def gradients(network: nn.Module) -> list[np.ndarray]:
    return [parameter.grad for parameter in network.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("threads", [1, 2])
def test_walking_leaves_the_gradients_of_backward(threads: int, kernel_file: str) -> None:
    minicnn.set_num_threads(threads)
    network = models.build({"model": "four_layer"})
    pictures, labels = np.random.default_rng(0).standard_normal((3, 3, 32, 32)).astype(np.float32), np.array([1, 2, 3])
    F.cross_entropy(network(Tensor(pictures)), labels).backward()
    expected = gradients(network)
    assert len(expected) == 8
    network.zero_grad()
    with minicnn.trace():
        loss = F.cross_entropy(network(Tensor(pictures)), labels)
    for step in loss.backward_steps():
        repr(step), step.norms
    for one, other in zip(gradients(network), expected, strict=True):
        np.testing.assert_array_equal(one, other)  # bit for bit


def test_a_backward_step_knows_its_gradients() -> None:
    trace, loss = traced(small_network())
    steps = list(loss.backward_steps())
    assert [step.layer for step in steps] == ["", "head.2", "head.1", "head.0", "flatten", "pool", "relu", "conv"]
    for step, before in zip(steps[1:], steps, strict=False):
        assert isinstance(step, minicnn.BackwardStep) and isinstance(step, TraceStep)
        assert step.gradients_in["dL/dy"] is step.grad_output is before.grad_inputs[0]
    conv = steps[-1]
    assert list(conv.gradients_out) == ["dL/dw", "dL/db"]  # no gradient for the pictures
    assert conv.norms == pytest.approx(
        {
            "dL/dy": np.linalg.norm(conv.grad_output),
            "dL/dw": np.linalg.norm(conv.grad_inputs[1]),
            "dL/db": np.linalg.norm(conv.grad_inputs[2]),
        }
    )
    assert isinstance(conv.function, Conv2d) and conv.function.w is conv.saved["w"]
    again = list(trace.backward_steps())
    assert [step.layer for step in again] == [step.layer for step in steps]
    assert again[-1].gradients_out.keys() == conv.gradients_out.keys()
    assert again[-1].gradients_out["dL/dw"] is conv.grad_inputs[1]


def test_gradients_that_meet_are_added_up_before_they_go_on() -> None:
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    with minicnn.trace():
        y = x * 3
        loss = (y * y + y).sum()
    steps = list(loss.backward_steps())
    assert [step.name for step in steps] == ["Sum", "Add", "Mul", "Mul"]
    np.testing.assert_array_equal(steps[-1].gradients_in["dL/dy"], 2 * y.data + 1)


def test_a_step_is_taken_when_it_is_asked_for() -> None:
    trace, loss = traced(small_network())
    assert list(trace.backward_steps()) == []
    steps = loss.backward_steps()
    next(steps), next(steps)
    assert [step.layer for step in trace.backward_steps()] == ["", "head.2"]


def test_what_backward_would_free_is_kept_and_can_be_walked_again() -> None:
    network = small_network()
    trace, loss = traced(network)
    loss.backward()
    once = [gradient.copy() for gradient in gradients(network)]
    assert all(step.saved for step in trace.forward_steps())
    loss.backward()
    for one, other in zip(gradients(network), once, strict=True):
        np.testing.assert_array_equal(one, 2 * other)
    plain = F.cross_entropy(network(Tensor(IMAGES)), LABELS)  # and nothing of what is not traced is kept
    function = plain.creator
    assert function is not None and function.record is None
    plain.backward()
    assert "p" not in vars(function)


def test_alexnets_way_back_from_the_loss_to_conv1() -> None:
    network = models.build({"model": "alexnet", "in_size": 67, "num_classes": 10}).eval()
    with minicnn.trace() as trace:
        loss = F.cross_entropy(network(Tensor(np.ones((1, 3, 67, 67), np.float32))), [3])
    way = [step.layer for step in loss.backward_steps()]
    assert way == [
        *("", "fc8", "relu7", "fc7", "relu6", "fc6", "flatten", "pool5", "relu5", "conv5", "relu4", "conv4"),
        *("relu3", "conv3", "pool2", "norm2", "relu2", "conv2", "pool1", "norm1", "relu1", "conv1"),
    ]
    assert way == [step.layer for step in trace.forward_steps()][::-1]


# --- switching it on and off --------------------------------------------------------------------------------


def test_only_what_happens_inside_is_recorded() -> None:
    x = Tensor([1.0], requires_grad=True)
    before = x * 2
    with minicnn.trace() as trace:
        inside = before * 3
    outside = inside * 4
    assert len(trace) == 1
    names = [(type(step), step.function.record is None) for step in outside.backward_steps()]
    assert names == [
        (minicnn.BackwardStep, True),
        (tracing.TracedBackwardStep, False),
        (minicnn.BackwardStep, True),
    ]


def test_an_error_ends_the_trace_and_an_inner_one_takes_over() -> None:
    x = Tensor([1.0])
    with minicnn.trace() as outer:
        with pytest.raises(ZeroDivisionError), minicnn.trace() as inner:
            x * 2
            raise ZeroDivisionError
        x * 3
    x * 4
    assert (len(outer), len(inner)) == (1, 1)


def test_a_trace_is_its_threads_own() -> None:
    with minicnn.trace() as trace, ThreadPoolExecutor(1) as other:
        other.submit(lambda: Tensor([1.0]) * 2).result()
    assert len(trace) == 0


def test_a_dropped_trace_frees_everything_at_once() -> None:
    gc.disable()
    try:
        trace, loss = traced(small_network())
        list(loss.backward_steps())
        watched = [weakref.ref(trace), weakref.ref(trace.records[0].output), weakref.ref(loss.creator)]
        assert all(reference() is not None for reference in watched)
        del trace, loss
        assert [reference() for reference in watched] == [None] * 3
    finally:
        gc.enable()


def test_the_trace_that_led_to_a_tensor() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    with minicnn.trace() as trace:
        constant = Tensor([3.0, 4.0]) * 2  # needs no gradient, but led to y
        y = (x * constant).exp()
        x * 5
        loss = (y * y).sum()
    assert trace_of(loss).records == [record for record in trace.records if record.position != 3]
    for nothing in (x, constant, x * 2):
        with pytest.raises(ValueError, match="trace_of: output must be computed inside"):
            trace_of(nothing)


def test_without_a_trace_an_operation_costs_one_look_at_the_recorder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look takes some 50 ns, an operation of a small network a thousand times as long."""
    network = models.build({"model": "four_layer"})
    images, labels = np.zeros((8, 3, 32, 32), np.float32), np.zeros(8, int)

    def step() -> None:
        F.cross_entropy(network(Tensor(images)), labels).backward()

    with minicnn.trace() as trace:
        step()
    assert len(trace) == 12

    looks, files = 0, set()

    class Mode(type(grad_mode.mode)):  # type: ignore[misc]
        @property
        def recorder(self) -> None:
            nonlocal looks
            looks += 1

    monkeypatch.setattr(autograd, "mode", Mode())
    sys.setprofile(lambda frame, event, argument: files.add(frame.f_code.co_filename))
    try:
        step()
    finally:
        sys.setprofile(None)
    assert looks == 12
    assert autograd.__file__ in files and tracing.__file__ not in files


def test_a_trace_without_pictures_says_who_makes_them() -> None:
    program = """if True:
        from minicnn import Tensor
        from minicnn.tracing import trace
        with trace() as found:
            Tensor([1.0]) * 2
        (step,) = found.forward_steps()
        print(step._repr_html_())
        found.save_html("/nowhere/walk.html")
    """
    repository = Path(minicnn.__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=repository, check=False)
    assert done.stdout == "None\n"
    assert "RuntimeError: save_html: import minicnn.viz first" in done.stderr
