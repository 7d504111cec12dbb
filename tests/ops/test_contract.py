"""What the engine relies on, checked for each class of operation that there is.

A new one fails here until minicnn.checks.examples has an example of it.
"""

import gc
import importlib
import inspect
import itertools
import pkgutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Function, Tensor, kernels
from minicnn import functional as F
from minicnn.backend import Array, any_shares, asnumpy, device_of, get_array_module, to_device
from minicnn.checks import EXAMPLES, Example
from minicnn.ops.conv_algorithms import WinogradConv2d
from minicnn.ops.dropout import Dropout


@pytest.fixture(params=EXAMPLES, ids=str)
def example(request: pytest.FixtureRequest, device: str) -> Example:
    if device != "cpu" and not request.param.on_gpu:
        pytest.skip("for processors only")
    return request.param


def parts(example: Example, device: str, dtype: Any = np.float64) -> tuple[list[Tensor], list[Tensor]]:
    """Return all that the example's function takes, and those of it that are inputs of the operation."""
    arguments = example.inputs(device, dtype)
    return arguments, [tensor for tensor in arguments if tensor.requires_grad]


def apply(example: Example, arguments: list[Tensor]) -> Tensor:
    output = example.function(*arguments)
    return output[0] if isinstance(output, tuple) else output  # the largest numbers, and where they are


def creator_of(y: Tensor) -> Function:
    assert y.creator is not None
    return y.creator


@contextmanager
def noting_settings() -> Iterator[list[dict[str, Any]]]:
    """Yield a list that gets ``vars`` of each operation as it is before it is applied."""
    found: list[dict[str, Any]] = []
    call = Function.__call__

    def noting(self: Function, *inputs: Any) -> Tensor:
        found.append(dict(vars(self)))
        return call(self, *inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Function, "__call__", noting)
        yield found


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
    have = {type(creator_of(apply(example, example.inputs()))) for example in EXAMPLES}
    missing = ", ".join(operation.__name__ for operation in public - have)
    assert not missing, f"no example in minicnn/checks/examples.py of {missing}"
    assert have == public


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_example_is_one_operation_on_its_inputs(example: Example) -> None:
    arguments, inputs = parts(example, "cpu")
    operation = creator_of(apply(example, arguments))
    assert operation.inputs is not None
    leaves = [origin.leaf for origin in operation.inputs if origin is not None]
    assert [id(leaf) for leaf in leaves] == [id(x) for x in inputs]


def test_examples_are_distinct() -> None:
    assert len({str(example) for example in EXAMPLES}) == len(EXAMPLES)


def test_backward_writes_into_nothing_that_it_was_given(example: Example, device: str) -> None:
    arguments, _ = parts(example, device)
    y = apply(example, arguments)
    gradient = cotangent(y)
    given = [gradient, y.data, *(x.data for x in arguments)]
    before = [array.copy() for array in given]
    creator_of(y).backward(get_array_module(gradient), gradient)
    for array, copy in zip(given, before, strict=True):
        assert_equal(array, copy)


def test_forward_writes_into_nothing_that_it_was_given(example: Example, device: str) -> None:
    arguments, inputs = parts(example, device)
    for x in inputs:
        x.requires_grad = False
    copies = [x.data.copy() for x in arguments]
    apply(example, arguments)
    for x, copy in zip(arguments, copies, strict=True):
        assert_equal(x.data, copy)


def test_backward_twice_gives_the_same(example: Example, device: str) -> None:
    """What backward uses up, it has spoilt: nothing that it saved may change."""
    y = apply(example, example.inputs(device))
    operation, gradient = creator_of(y), cotangent(y)
    xp = get_array_module(gradient)
    first, second = operation.backward(xp, gradient), operation.backward(xp, gradient)
    as_tuple = (first, second) if isinstance(first, tuple) else ((first,), (second,))
    for a, b in zip(*as_tuple, strict=True):
        assert_equal(a, b)


def test_the_precision_is_kept(example: Example, device: str, dtype: Any) -> None:
    arguments, inputs = parts(example, device, dtype)
    y = apply(example, arguments)
    assert y.dtype == dtype
    assert is_array(y.data)
    (step,) = y.backward_steps(cotangent(y))
    assert {gradient.dtype for gradient in step.grad_inputs if gradient is not None} == {np.dtype(dtype)}
    for x in inputs:
        assert is_array(x.grad)
        assert (x.grad.shape, x.grad.dtype) == (x.shape, dtype)


def test_float32_and_float64_agree(example: Example, device: str) -> None:
    results = []
    for dtype in (np.float32, np.float64):
        arguments, inputs = parts(example, device, dtype)
        y = apply(example, arguments)
        if isinstance(y.creator, Dropout):
            pytest.skip("draws other numbers in the other precision")
        if isinstance(y.creator, WinogradConv2d):
            pytest.skip("has larger rounding errors, which tests/kernels/test_winograd.py holds")
        y.backward(cotangent(Tensor(y.data.astype(np.float64))))
        results.append([y.data, *(x.grad for x in inputs)])
    for single, double in zip(*results, strict=True):
        assert_close(single, double, rtol=2e-5, atol=2e-5)


def test_every_device_gives_the_same(example: Example, device: str) -> None:
    results = []
    for place, kind in (("cpu", "numpy"), (device, kernels.current())):
        arguments, inputs = parts(example, place)
        minicnn.manual_seed(0)
        with minicnn.use_kernels(kind):
            y = apply(example, arguments)
            if isinstance(y.creator, Dropout) and device != "cpu":
                pytest.skip("draws other numbers there")
            y.backward(cotangent(y))
        results.append([y.data, *(x.grad for x in inputs)])
    for there, here in zip(*results, strict=True):
        assert_close(here, there, rtol=1e-10, atol=1e-10)


def test_backward_computes_what_is_needed_and_no_more(example: Example, device: str) -> None:
    arguments, everything = parts(example, device)
    minicnn.manual_seed(0)
    y = apply(example, arguments)
    y.backward(cotangent(y))
    for wanted in itertools.product([False, True], repeat=len(everything)):
        if not any(wanted):
            continue
        arguments, inputs = parts(example, device)
        for x, want in zip(inputs, wanted, strict=True):
            x.requires_grad = want
        minicnn.manual_seed(0)
        y = apply(example, arguments)
        operation = creator_of(y)
        assert operation.inputs is not None
        needs = list(zip(operation.inputs, operation.needs_input_grad, strict=True))
        assert tuple(needed for origin, needed in needs if origin is not None) == wanted
        assert not any(needed for origin, needed in needs if origin is None)
        y.backward(cotangent(y))
        for x, want, full in zip(inputs, wanted, everything, strict=True):
            if want:
                assert_close(x.grad, full.grad, rtol=1e-12, atol=1e-12)
            else:
                assert x.grad is None


def test_a_leafs_gradient_shares_memory_with_nothing(example: Example, device: str) -> None:
    arguments, leaves = parts(example, device)
    y = apply(example, arguments)
    gradient = cotangent(y)
    saved = [array for array in vars(creator_of(y)).values() if is_array(array)]
    y.backward(gradient)
    for x in leaves:
        others = [gradient, y.data, *saved, *(other.data for other in arguments)]
        others += [other.grad for other in leaves if other is not x]
        xp = get_array_module(x.grad)
        # CuPy's shares_memory is wrong for two arrays without dimensions
        assert not any(xp.may_share_memory(x.grad, o) for o in others if device_of(o) == device_of(x.grad))
        assert getattr(x.grad.flags, "writeable", True)  # a GPU's arrays always are


def test_what_was_saved_is_released(example: Example, device: str) -> None:
    with noting_settings() as settings:
        y = apply(example, example.inputs(device))
    (hyperparameters,) = settings
    operation = creator_of(y)
    assert vars(operation).keys() >= hyperparameters.keys()
    y.backward(cotangent(y))
    assert vars(operation) == hyperparameters
    assert operation.inputs is None


def test_a_graph_is_freed_when_it_is_dropped(example: Example, device: str) -> None:
    gc.disable()
    try:
        y = apply(example, example.inputs(device))
        operation = creator_of(y)
        given = {id(value) for value in operation.hyperparameters.values()}
        saved = [v for v in vars(operation).values() if is_array(v) and id(v) not in given]
        watched = [weakref.ref(thing) for thing in (operation, y, y.data, *saved)]
        del operation, y, saved
        assert [reference() for reference in watched] == [None] * len(watched)
    finally:
        gc.enable()


def test_arrays_need_not_be_contiguous(example: Example, device: str) -> None:
    """The same numbers laid out otherwise in memory: in the other order, and with gaps."""
    gradients = []
    for change in (in_order, in_the_other_order, with_gaps):
        arguments, inputs = parts(example, device)
        for x in inputs:
            if x.ndim:
                x.data = change(x.data)
        minicnn.manual_seed(0)
        y = apply(example, arguments)
        y.backward(change(cotangent(y)) if y.ndim else cotangent(y))
        gradients.append([y.data, *(x.grad for x in inputs)])
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


@pytest.mark.parametrize("device", ["cpu"])
def test_read_only_arrays_are_read(example: Example, device: str) -> None:
    """As from ``np.broadcast_to``, or a file that is mapped into memory."""
    for dtype in (np.float32, np.float64):
        arguments, _ = parts(example, device, dtype)
        for tensor in arguments:
            tensor.data.flags.writeable = False
        minicnn.manual_seed(0)
        y = apply(example, arguments)
        gradient = cotangent(y)
        gradient.flags.writeable = False
        y.backward(gradient)


def test_an_output_on_the_memory_of_an_input_is_declared(example: Example, device: str) -> None:
    arguments, inputs = parts(example, device)
    y = apply(example, arguments)
    shares = [any_shares([y.data], x.data) for x in inputs]
    assert not any(shares[1:])
    assert type(creator_of(y)).views or not any(shares)


def test_relu_in_place_behind_any_operation_gives_the_same(example: Example, device: str) -> None:
    """It takes the memory of the operation's output only where the operation does not need it."""
    found = []
    for inplace in (False, True):
        arguments, inputs = parts(example, device)
        minicnn.manual_seed(0)
        computed = apply(example, arguments)
        if computed.dtype.kind != "f":
            pytest.skip("for floating-point outputs")
        y = F.relu(computed, inplace=inplace)
        y.backward(cotangent(y))
        found.append([y.data, *(x.grad for x in inputs)])
    for plain, other in zip(*found, strict=True):
        assert_equal(plain, other)


def test_a_changed_input_is_refused_or_changes_no_gradient(example: Example, device: str) -> None:
    arguments, inputs = parts(example, device)
    y = apply(example, arguments)
    y.backward(cotangent(y))
    right = [x.grad for x in inputs]
    for position in range(len(inputs)):
        arguments, inputs = parts(example, device)
        y = apply(example, arguments)
        operation = creator_of(y)
        with minicnn.no_grad():
            inputs[position] *= 1.5
        try:
            y.backward(cotangent(y))
        except RuntimeError as error:
            assert f"backward: {type(operation).__name__} needs its input" in str(error)
            assert "by *=" in str(error)
        else:
            for x, expected in zip(inputs, right, strict=True):
                assert_equal(x.grad, expected)
