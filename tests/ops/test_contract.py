"""What every operation owes the engine, asked of each class of operation that there is.

A new one fails here until an example of it is added to EXAMPLES.
"""

import gc
import importlib
import inspect
import itertools
import pkgutil
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Function, Tensor, kernels
from minicnn.backend import Array, asnumpy, device_of, get_array_module, to_device
from minicnn.ops import (
    activation,
    arithmetic,
    conv,
    conv_algorithms,
    dropout,
    fused_cross_entropy,
    linear,
    loss,
    lrn,
    pool,
    reduce,
    shape,
    small_batch_linear,
)

LABELS, CLASS_WEIGHTS = np.array([2, 0, -100, 1]), np.array([0.5, 1.0, 2.0], np.float32)

# How to make the operation, and the shapes of its inputs (None: an input that is absent).
Shape = tuple[int, ...] | None
Example = tuple[Callable[[], Function], tuple[Shape, ...]]
EXAMPLES: list[Example] = [
    (arithmetic.Add, ((3, 4), (3, 4))),
    (arithmetic.Add, ((3, 4), (4,))),
    (arithmetic.Sub, ((3, 4), (3, 4))),
    (arithmetic.Sub, ((3, 1), (1, 4))),
    (arithmetic.Mul, ((3, 4), (3, 4))),
    (arithmetic.Mul, ((), (3, 4))),
    (arithmetic.Div, ((3, 4), (3, 4))),
    (arithmetic.Div, ((3, 4), (1, 1))),
    (arithmetic.Neg, ((3, 4),)),
    (lambda: arithmetic.Pow(3), ((3, 4),)),
    (lambda: arithmetic.Pow(0), ((3, 4),)),
    (lambda: arithmetic.Pow(1), ((3, 4),)),
    (arithmetic.Exp, ((3, 4),)),
    (arithmetic.Log, ((3, 4),)),
    (arithmetic.MatMul, ((3, 4), (4, 2))),
    (arithmetic.MatMul, ((4,), (5, 4, 2))),
    (lambda: shape.Reshape((2, 6)), ((3, 4),)),
    (lambda: shape.Reshape((3, 4)), ((3, 4),)),
    (lambda: shape.Permute((1, 0)), ((3, 4),)),
    (lambda: shape.Permute((0, 1)), ((3, 4),)),
    (lambda: shape.Index(slice(1, 3)), ((3, 4),)),
    (lambda: shape.Index(Ellipsis), ((3, 4),)),
    (lambda: shape.Pad(((0, 2), (1, 0)), 0.5), ((3, 4),)),
    (lambda: shape.Pad(((0, 0), (0, 0)), 0.0), ((3, 4),)),
    (lambda: shape.ToDevice("cpu"), ((3, 4),)),
    (lambda: shape.Concatenate(1), ((3, 4), (3, 2))),
    (lambda: shape.Concatenate(0), ((3, 4), (1, 4))),
    (lambda: reduce.Sum((0,), False), ((3, 4),)),
    (lambda: reduce.Sum((), False), ((),)),
    (lambda: reduce.Mean((1,), True), ((3, 4),)),
    (reduce.MaxAll, ((3, 4),)),
    (lambda: reduce.MaxAlong(1, False), ((3, 4),)),
    (activation.ReLU, ((3, 4),)),
    (activation.Tanh, ((3, 4),)),
    (activation.Sigmoid, ((3, 4),)),
    (lambda: activation.Softmax(1), ((3, 4),)),
    (lambda: activation.LogSoftmax(0), ((3, 4),)),
    (lambda: conv.Conv2d((2, 1), (1, 1), 2), ((3, 4, 5, 5), (6, 2, 3, 3), (6,))),
    (lambda: conv.Conv2d((1, 1), (0, 0), 1), ((3, 4, 5, 5), (6, 4, 3, 3), None)),
    (lambda: conv.Conv2d((1, 1), (0, 0), 1), ((3, 4, 1, 1), (6, 4, 1, 1), (6,))),
    (lambda: conv_algorithms.DirectConv2d((1, 1), (2, 1), 2), ((3, 4, 5, 5), (6, 2, 3, 3), (6,))),
    (lambda: conv_algorithms.DirectConv2d((1, 1), (0, 0), 1), ((3, 4, 5, 5), (6, 4, 3, 3), None)),
    (lambda: conv_algorithms.DirectConv2d((1, 1), (0, 0), 1), ((3, 4, 1, 1), (6, 4, 1, 1), (6,))),
    (lambda: conv_algorithms.WinogradConv2d((1, 1), (2, 1), 2), ((2, 32, 3, 4), (32, 16, 5, 5), (32,))),
    (lambda: conv_algorithms.WinogradConv2d((1, 1), (0, 0), 1), ((2, 16, 4, 7), (16, 16, 3, 3), None)),
    (lambda: pool.MaxPool2d((3, 3), (2, 2), (1, 1), True), ((3, 2, 6, 6),)),
    (lambda: pool.MaxPool2d((1, 1), (1, 1), (0, 0), False), ((3, 2, 6, 6),)),
    (lambda: pool.AvgPool2d((3, 3), (2, 2), (1, 1), True, False, None), ((3, 2, 6, 6),)),
    (lambda: pool.AvgPool2d((1, 1), (1, 1), (0, 0), False, True, None), ((3, 2, 6, 6),)),
    (lambda: lrn.LocalResponseNorm(2, 1, 1.0, 0.5, 0.75), ((3, 5, 4, 4),)),
    (lambda: dropout.Dropout(0.5), ((3, 4),)),
    (linear.Linear, ((3, 4), (2, 4), (2,))),
    (linear.Linear, ((2, 3, 4), (2, 4), None)),
    (small_batch_linear.SmallBatchLinear, ((2, 3, 4), (2, 4), (2,))),
    (lambda: loss.CrossEntropy(LABELS, CLASS_WEIGHTS, -100, "mean", 0.1), ((4, 3),)),
    (lambda: loss.CrossEntropy(LABELS, None, -100, "none", 0.0), ((4, 3),)),
    (lambda: fused_cross_entropy.FusedCrossEntropy(LABELS, None, -100, "none", 0.0), ((4, 3),)),
    (lambda: fused_cross_entropy.FusedCrossEntropy(LABELS, CLASS_WEIGHTS, -100, "mean", 0.1), ((4, 3),)),
]


def name_of(example: Example) -> str:
    make, shapes = example
    return type(make()).__name__ + "-" + "-".join("x".join(map(str, shape or ())) for shape in shapes)


@pytest.fixture(params=EXAMPLES, ids=name_of)
def example(request: pytest.FixtureRequest, device: str) -> Example:
    """An example whose own arrays, if it has any, are on the device."""
    make, shapes = request.param
    if device != "cpu" and isinstance(make(), conv_algorithms.DirectConv2d):
        pytest.skip("for processors only")

    def make_there() -> Function:
        operation = make()
        for name, value in vars(operation).items():
            if is_array(value):
                setattr(operation, name, to_device(value, device))
        return operation

    return make_there, shapes


def arrays(shapes: tuple[Shape, ...], device: str, dtype: Any = np.float64) -> list[Array | None]:
    generator = np.random.default_rng(1)
    # positive, because of the logarithm
    drawn = [None if shape is None else generator.uniform(0.5, 2, shape).astype(dtype) for shape in shapes]
    return [None if array is None else to_device(array, device) for array in drawn]


def tensors(shapes: tuple[Shape, ...], device: str, dtype: Any = np.float64) -> list[Tensor | None]:
    return [None if array is None else Tensor(array, requires_grad=True) for array in arrays(shapes, device, dtype)]


def cotangent(y: Tensor) -> Array:
    return to_device(np.random.default_rng(2).standard_normal(y.shape).astype(y.dtype), y.device)


def is_array(value: Any) -> bool:
    return isinstance(value, get_array_module(value).ndarray)


def assert_equal(actual: Array, expected: Array) -> None:
    np.testing.assert_array_equal(asnumpy(actual), asnumpy(expected))


def assert_close(actual: Array, expected: Array, rtol: float, atol: float) -> None:
    np.testing.assert_allclose(asnumpy(actual), asnumpy(expected), rtol=rtol, atol=atol)


def operation_classes() -> Iterator[type[Function]]:
    package = importlib.import_module("minicnn.ops")
    for page in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"minicnn.ops.{page.name}")
        for thing in vars(module).values():
            if isinstance(thing, type) and issubclass(thing, Function) and thing.__module__ == module.__name__:
                yield thing


def test_every_operation_has_an_example() -> None:
    classes = {operation for operation in operation_classes() if not inspect.isabstract(operation)}
    public = {operation for operation in classes if not operation.__name__.startswith("_")}
    assert len(public) >= 25
    assert {type(make()) for make, _ in EXAMPLES} == public


def test_backward_writes_into_nothing_that_it_was_given(example: Example, device: str) -> None:
    make, shapes = example
    inputs = tensors(shapes, device)
    operation = make()
    y = operation(*inputs)
    gradient = cotangent(y)
    present = [x.data for x in inputs if x is not None]
    before = [array.copy() for array in (gradient, y.data, *present)]
    operation.backward(get_array_module(gradient), gradient)
    for array, copy in zip((gradient, y.data, *present), before, strict=True):
        assert_equal(array, copy)


def test_forward_writes_into_nothing_that_it_was_given(example: Example, device: str) -> None:
    make, shapes = example
    inputs = arrays(shapes, device)
    copies = [None if array is None else array.copy() for array in inputs]
    make()(*inputs)
    for array, copy in zip(inputs, copies, strict=True):
        assert_equal(array, copy)


def test_backward_twice_gives_the_same(example: Example, device: str) -> None:
    """What backward uses up, it has spoilt: nothing that it saved may change."""
    make, shapes = example
    operation = make()
    gradient = cotangent(operation(*tensors(shapes, device)))
    xp = get_array_module(gradient)
    first, second = operation.backward(xp, gradient), operation.backward(xp, gradient)
    as_tuple = (first, second) if isinstance(first, tuple) else ((first,), (second,))
    for a, b in zip(*as_tuple, strict=True):
        assert_equal(a, b)


def test_the_precision_is_kept(example: Example, device: str, dtype: Any) -> None:
    make, shapes = example
    inputs = tensors(shapes, device, dtype)
    y = make()(*inputs)
    assert y.dtype == dtype
    assert is_array(y.data)
    (step,) = y.backward_steps(cotangent(y))
    assert {gradient.dtype for gradient in step.grad_inputs if gradient is not None} == {np.dtype(dtype)}
    for x in inputs:
        if x is not None:
            assert is_array(x.grad)
            assert (x.grad.shape, x.grad.dtype) == (x.shape, dtype)


def test_float32_and_float64_agree(example: Example, device: str) -> None:
    make, shapes = example
    if isinstance(make(), dropout.Dropout):
        pytest.skip("draws other numbers in the other precision")
    if isinstance(make(), conv_algorithms.WinogradConv2d):
        pytest.skip("has larger rounding errors, which tests/kernels/test_winograd.py holds")
    results = []
    for dtype in (np.float32, np.float64):
        inputs = tensors(shapes, device, dtype)
        y = make()(*inputs)
        y.backward(cotangent(Tensor(y.data.astype(np.float64))))
        results.append([y.data, *(x.grad for x in inputs if x is not None)])
    for single, double in zip(*results, strict=True):
        assert_close(single, double, rtol=2e-5, atol=2e-5)


def test_every_device_gives_the_same(example: Example, device: str) -> None:
    make, shapes = example
    if isinstance(make(), dropout.Dropout) and device != "cpu":
        pytest.skip("draws other numbers there")
    results = []
    for place, kind in (("cpu", "numpy"), (device, kernels.current())):
        operation = make()
        for name, value in vars(operation).items():
            if is_array(value):
                setattr(operation, name, to_device(value, place))
        inputs = tensors(shapes, place)
        minicnn.manual_seed(0)
        with minicnn.use_kernels(kind):
            y = operation(*inputs)
            y.backward(cotangent(y))
        results.append([y.data, *(x.grad for x in inputs if x is not None)])
    for there, here in zip(*results, strict=True):
        assert_close(here, there, rtol=1e-10, atol=1e-10)


def test_backward_computes_what_is_needed_and_no_more(example: Example, device: str) -> None:
    make, shapes = example
    present = [shape is not None for shape in shapes]
    everything = tensors(shapes, device)
    minicnn.manual_seed(0)
    y = make()(*everything)
    y.backward(cotangent(y))
    for wanted in itertools.product([False, True], repeat=len(shapes)):
        if not any(wanted) or any(want and not there for want, there in zip(wanted, present, strict=True)):
            continue
        inputs = tensors(shapes, device)
        for x, want in zip(inputs, wanted, strict=True):
            if x is not None:
                x.requires_grad = want
        minicnn.manual_seed(0)
        y = make()(*inputs)
        assert y.creator is not None
        assert y.creator.needs_input_grad == wanted
        y.backward(cotangent(y))
        for x, want, full in zip(inputs, wanted, everything, strict=True):
            if want and x is not None and full is not None:
                assert_close(x.grad, full.grad, rtol=1e-12, atol=1e-12)
            else:
                assert x is None or x.grad is None


def test_a_leafs_gradient_shares_memory_with_nothing(example: Example, device: str) -> None:
    make, shapes = example
    inputs = tensors(shapes, device)
    leaves = [x for x in inputs if x is not None]
    operation = make()
    y = operation(*inputs)
    gradient = cotangent(y)
    saved = [array for array in vars(operation).values() if is_array(array)]
    y.backward(gradient)
    for x in leaves:
        others = [gradient, y.data, *saved, *(other.data for other in leaves)]
        others += [other.grad for other in leaves if other is not x]
        xp = get_array_module(x.grad)
        assert not any(xp.shares_memory(x.grad, other) for other in others if device_of(other) == device_of(x.grad))
        assert getattr(x.grad.flags, "writeable", True)  # a GPU's arrays always are


def test_what_was_saved_is_released(example: Example, device: str) -> None:
    make, shapes = example
    operation = make()
    hyperparameters = dict(vars(operation))
    y = operation(*tensors(shapes, device))
    assert vars(operation).keys() >= hyperparameters.keys()
    y.backward(cotangent(y))
    assert vars(operation) == hyperparameters
    assert operation.inputs is None


def test_a_graph_is_freed_when_it_is_dropped(example: Example, device: str) -> None:
    make, shapes = example
    gc.disable()
    try:
        operation = make()
        y = operation(*tensors(shapes, device))
        given = {id(value) for value in operation.hyperparameters.values()}
        saved = [v for v in vars(operation).values() if is_array(v) and id(v) not in given]
        watched = [weakref.ref(thing) for thing in (operation, y, y.data, *saved)]
        del operation, y, saved
        assert [reference() for reference in watched] == [None] * len(watched)
    finally:
        gc.enable()


def test_arrays_need_not_be_contiguous(example: Example, device: str) -> None:
    """The same numbers laid out otherwise in memory: in the other order, and with gaps."""
    make, shapes = example
    gradients = []
    for change in (in_order, in_the_other_order, with_gaps):
        inputs = tensors(shapes, device)
        for x in inputs:
            if x is not None and x.ndim:
                x.data = change(x.data)
        minicnn.manual_seed(0)
        y = make()(*inputs)
        y.backward(change(cotangent(y)) if y.ndim else cotangent(y))
        gradients.append([y.data, *(x.grad for x in inputs if x is not None)])
    for plain, *others in zip(*gradients, strict=True):
        for other in others:
            assert_close(plain, other, rtol=1e-12, atol=1e-12)


def in_order(array: Array) -> Array:
    return get_array_module(array).ascontiguousarray(array)


def in_the_other_order(array: Array) -> Array:
    return get_array_module(array).asfortranarray(array)


def with_gaps(array: Array) -> Array:
    roomy = get_array_module(array).full((*array.shape[:-1], 2 * array.shape[-1]), np.nan)
    roomy[..., ::2] = array
    return roomy[..., ::2]
