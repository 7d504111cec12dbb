"""The engine: Tensor, Function, the backward walk, no_grad. What operations owe it: ops/test_contract.py."""

import gc
import itertools
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Function, Tensor, autograd, no_grad
from minicnn.ops.arithmetic import Add, Exp, Mul
from minicnn.ops.reduce import Sum


def leaf(*numbers: float) -> Tensor:
    return Tensor(np.array(numbers, np.float64), requires_grad=True)


# --- tensors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.5, np.float32),
        ([1.5, 2], np.float32),
        ([], np.float32),
        (3, np.int64),
        ([1, 2], np.int64),
        (True, np.bool_),
        (np.float64(1.5), np.float64),
        (np.ones(2), np.float64),
        (np.ones(2, np.float32), np.float32),
        (np.ones(2, np.uint8), np.uint8),
    ],
)
def test_python_floats_become_float32_and_arrays_keep_their_dtype(data: Any, dtype: type) -> None:
    tensor = Tensor(data)
    assert isinstance(tensor.data, np.ndarray)
    assert tensor.dtype == dtype
    np.testing.assert_array_equal(tensor.data, np.asarray(data, dtype))


def test_an_array_is_not_copied() -> None:
    array = np.ones(3)
    assert Tensor(array).data is array
    assert Tensor(array).numpy() is array
    assert Tensor(array).detach().data is array


def test_what_a_tensor_says_of_itself() -> None:
    x = Tensor(np.zeros((2, 3)), requires_grad=True)
    y = x * 2
    assert (x.shape, x.ndim, x.numel(), len(x), x.dtype) == ((2, 3), 2, 6, 2, np.float64)
    assert (x.size(), x.size(0), x.size(-1), x.dim()) == ((2, 3), 2, 3, 2)
    assert (x.creator, x.grad, x.requires_grad) == (None, None, True)
    assert isinstance(y.creator, Mul)
    assert y.requires_grad
    assert "requires_grad=True" in repr(x)
    assert "creator=Mul" in repr(y)
    assert [row.shape for row in x] == [(3,), (3,)]


def test_one_number_as_python_sees_it() -> None:
    assert Tensor([2.5]).item() == 2.5
    assert type(Tensor(np.float64(2.5)).item()) is float
    assert (float(Tensor(2.5)), int(Tensor(2.5)), bool(Tensor(0.0))) == (2.5, 2, False)
    with pytest.raises(ValueError, match=r"item: .* exactly one element, got shape \(2,\)"):
        Tensor([1.0, 2.0]).item()
    with pytest.raises(TypeError, match="0-dimensional"):
        len(Tensor(1.0))


@pytest.mark.parametrize(
    "wrong", [np.ones(2, np.float16), np.ones(2, np.longdouble), [1j], "text", [None], [[1, 2], [3]]]
)
def test_data_that_are_no_numbers_are_refused(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="Tensor: data must be float32, float64|inhomogeneous"):
        Tensor(wrong)


def test_a_tensor_of_a_tensor_is_refused() -> None:
    with pytest.raises(TypeError, match="already a Tensor"):
        Tensor(Tensor(1.0))


def test_whole_numbers_have_no_gradient() -> None:
    with pytest.raises(TypeError, match="only float32 and float64 can require a gradient, got dtype int64"):
        Tensor([1, 2], requires_grad=True)


@pytest.mark.parametrize("numbers", [[1, 2], [True, False]])
def test_whole_numbers_cannot_be_made_to_require_a_gradient(numbers: list[int]) -> None:
    x = Tensor(numbers)
    with pytest.raises(TypeError, match=r"only float32 and float64 can require a gradient, got dtype (int64|bool)"):
        x.requires_grad = True
    x.requires_grad = False
    assert not (x * 2.0).requires_grad


def test_whether_a_gradient_is_required_can_be_changed_for_leaves() -> None:
    x = Tensor([1.0])
    x.requires_grad = True
    y = x * 2
    y.requires_grad = True
    with pytest.raises(
        RuntimeError, match=r"requires_grad can be set to False only for leaves, got .* by Mul; use .*detach"
    ):
        y.requires_grad = False
    y.backward()
    assert x.grad.tolist() == [2]
    x.requires_grad = False
    assert not (x * 2).requires_grad
    with pytest.raises(TypeError, match="Tensor: requires_grad must be True or False, got 'no'"):
        x.requires_grad = "no"  # type: ignore[assignment]


def test_detach_remembers_nothing() -> None:
    y = (leaf(1, 2) * 3).detach()
    assert (y.creator, y.requires_grad) == (None, False)


# --- gradients ----------------------------------------------------------------------------------------------


def test_a_diamond_adds_up() -> None:
    x = leaf(2, 3)
    a = x * x
    y = a * 5 + a.exp() * a  # three ways lead from y to a, and two from a to x
    y.sum().backward()
    a0 = x.data**2
    np.testing.assert_allclose(x.grad, (5 + np.exp(a0) * (1 + a0)) * 2 * x.data, rtol=1e-14)


def test_a_long_way_round_is_waited_for() -> None:
    x = leaf(2)
    short = x * 1
    long = short
    for _ in range(50):
        long = long * 1
    (short + long).backward()
    np.testing.assert_array_equal(x.grad, [2.0])


def test_leaves_accumulate_over_several_walks() -> None:
    x = leaf(1, 2)
    (x * 2).sum().backward()
    (x * 3).sum().backward()
    np.testing.assert_array_equal(x.grad, [5, 5])


def test_a_leaf_can_be_the_whole_graph() -> None:
    x, gradient = leaf(1, 2), np.array([3.0, 4.0])
    x.backward(gradient)
    np.testing.assert_array_equal(x.grad, gradient)
    assert not np.shares_memory(x.grad, gradient)
    assert list(x.backward_steps(gradient)) == []
    np.testing.assert_array_equal(x.grad, 2 * gradient)


def test_a_tensor_that_needs_no_gradient_gets_none() -> None:
    x, constant = leaf(1, 2), Tensor(np.ones(2))
    between = x * constant
    (between * constant).sum().backward()
    assert constant.grad is None
    assert between.grad is None  # only leaves keep theirs


@pytest.mark.parametrize("data", [2.0, np.float64(2.0), np.ones((1, 1)), np.ones(1, np.float32)])
def test_a_gradient_is_an_array_of_its_tensors_shape_and_dtype(data: Any) -> None:
    x = Tensor(data, requires_grad=True)
    for _ in range(2):  # a first gradient, and one that is added to it
        y = x * x + x  # several ways, so that gradients are added up on the way too
        (y.exp() * y).backward()
        assert isinstance(x.grad, np.ndarray)
        assert (x.grad.shape, x.grad.dtype) == (x.shape, x.dtype)


def test_functions_are_given_arrays_even_where_there_is_one_number() -> None:
    class Spy(Function):
        def forward(self, xp: ModuleType, x: Any) -> Any:
            return x * 1

        def backward(self, xp: ModuleType, grad_output: Any) -> Any:
            assert isinstance(grad_output, np.ndarray)
            return grad_output * 1

    x = Tensor(np.float64(1.0), requires_grad=True)
    y = Spy()(x)
    (y * y + y).backward()
    np.testing.assert_array_equal(x.grad, 3.0)


def test_a_leafs_gradient_is_its_own() -> None:
    a, b = leaf(1, 2), leaf(3, 4)
    gradient = np.array([1.0, 1.0])
    y = (a + b).reshape(2, 1).reshape(2)  # every backward here hands on the array that it was given, or a view
    y.backward(gradient)
    for mine in (a, b):
        for other in (a.data, b.data, y.data, gradient, (b if mine is a else a).grad):
            assert not np.shares_memory(mine.grad, other)
    a.grad *= 100
    np.testing.assert_array_equal(b.grad, [1, 1])
    np.testing.assert_array_equal(gradient, [1, 1])


def test_a_leaf_that_is_added_to_itself_owns_its_gradient_too() -> None:
    a, gradient = leaf(1, 2), np.array([1.0, 1.0])
    (a + a).backward(gradient)
    np.testing.assert_array_equal(a.grad, [2, 2])
    np.testing.assert_array_equal(gradient, [1, 1])


def test_accumulating_leaves_an_older_gradient_alone() -> None:
    a = leaf(1, 2)
    (a * 1).sum().backward()
    first = a.grad
    (a * 1).sum().backward()
    np.testing.assert_array_equal(first, [1, 1])
    np.testing.assert_array_equal(a.grad, [2, 2])


def test_a_gradient_can_be_written_to() -> None:
    a = leaf(1, 2, 3)
    a.sum().backward()  # the sum's gradient is one number, broadcast
    a.grad[0] = 7
    np.testing.assert_array_equal(a.grad, [7, 1, 1])


def test_float32_stays_float32_beside_python_numbers() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = 1 / (2.5 * x + 1 - 0.5) ** 2 - x / 3
    y = (-y).exp().log().mean()
    assert y.dtype == np.float32
    y.backward()
    assert x.grad.dtype == np.float32


def test_each_input_gets_a_gradient_of_its_own_precision() -> None:
    a, b = Tensor([1.0], requires_grad=True), leaf(2)
    (a * b).sum().backward()
    assert (a.grad.dtype, b.grad.dtype) == (np.float32, np.float64)


# --- the walk -----------------------------------------------------------------------------------------------


def test_backward_steps_are_every_operation_in_order() -> None:
    def network() -> tuple[Tensor, list[Tensor]]:
        leaves = [leaf(1, 2), leaf(3, 4), leaf(5, 6)]
        a, b, c = leaves
        return (a * b + (b * c).exp()).sum(), leaves

    y, leaves = network()
    steps = list(y.backward_steps())
    assert [type(step.function) for step in steps] == [Sum, Add, Exp, Mul, Mul]
    assert [len(step.grad_inputs) for step in steps] == [1, 2, 1, 2, 2]
    np.testing.assert_array_equal(steps[0].grad_output, 1)
    np.testing.assert_array_equal(steps[0].grad_inputs[0], [1, 1])
    np.testing.assert_allclose(steps[2].grad_inputs[0], np.exp([15.0, 24.0]))

    same, same_leaves = network()
    same.backward()
    for one, other in zip(leaves, same_leaves, strict=True):
        np.testing.assert_array_equal(one.grad, other.grad)


def test_each_step_is_taken_when_it_is_asked_for() -> None:
    x = leaf(2)
    y = (x * 3).exp()
    steps = y.backward_steps()
    assert type(next(steps).function) is Exp
    assert x.grad is None
    assert type(next(steps).function) is Mul
    assert x.grad is not None
    assert list(steps) == []


def test_a_step_keeps_the_operations_hyperparameters() -> None:
    x = leaf(1, 2, 3)
    (step,) = x.sum(0, keepdim=True).backward_steps()
    assert vars(step.function) == {"dims": (0,), "keepdim": True}


def test_a_gradient_for_many_outputs() -> None:
    x = leaf(1, 2, 3)
    (x * x).backward([1, 10, 100])
    np.testing.assert_array_equal(x.grad, [2, 40, 600])


def test_the_starting_gradient_is_checked() -> None:
    y = leaf(1, 2, 3) * 2
    with pytest.raises(ValueError, match=r"backward: gradient is required .* got shape \(3,\)"):
        y.backward()
    with pytest.raises(ValueError, match=r"gradient has shape \(2,\), the tensor has shape \(3,\)"):
        y.backward(np.ones(2))
    with pytest.raises(ValueError, match=r"gradient has shape \(\), the tensor has shape \(3,\)"):
        y.backward(1.0)
    y.backward(np.ones(3))  # nothing was spoilt


def test_the_first_gradient_is_an_array_or_a_tensor() -> None:
    x = leaf(1, 2, 3)
    (x * 2).backward(np.ones(3))
    (x * 2).backward(Tensor([1.0, 2.0, 3.0]))
    assert x.grad.tolist() == [4, 6, 8]


def test_nothing_requires_a_gradient() -> None:
    for tensor in (Tensor(1.0), Tensor(1.0) * 2):
        with pytest.raises(RuntimeError, match="backward: this tensor depends on nothing that requires"):
            tensor.backward()


def test_a_second_walk_through_a_freed_graph_is_an_error() -> None:
    x = leaf(2)
    middle = x * x
    (middle * 3).backward()
    with pytest.raises(RuntimeError, match="the graph behind Mul was freed by an earlier backward .* run the forward"):
        middle.backward()
    with pytest.raises(RuntimeError, match="the graph behind Mul was freed by an earlier backward"):
        (middle * 3).backward()
    np.testing.assert_array_equal(x.grad, [12])


class Bad(Function):
    """Returns the gradients that a test wants."""

    def __init__(self, *gradients: Any) -> None:
        self.gradients = gradients

    def forward(self, xp: ModuleType, *arrays: Any) -> Any:
        return arrays[0] * 1

    def backward(self, xp: ModuleType, grad_output: Any) -> Any:
        return self.gradients


def test_wrong_gradients_do_not_travel_on() -> None:
    a, b = leaf(1, 2), leaf(3, 4)
    with pytest.raises(
        RuntimeError, match=r"Bad.backward returned a gradient of shape \(3,\) for input 0.* shape \(2,\)"
    ):
        Bad(np.ones(3))(a).backward(np.ones(2))
    with pytest.raises(RuntimeError, match="Bad.backward returned None for input 1, which needs a gradient"):
        Bad(np.ones(2), None)(a, b).backward(np.ones(2))
    with pytest.raises(RuntimeError, match="Bad.backward returned 1 gradients for 2 inputs"):
        Bad(np.ones(2))(a, b).backward(np.ones(2))
    assert a.grad is None
    assert b.grad is None


def test_an_operation_is_applied_once() -> None:
    operation = Exp()
    operation(leaf(1))
    with pytest.raises(RuntimeError, match="Exp: an operation can be applied only once; make a new one"):
        operation(leaf(1))


def test_a_function_without_forward_or_backward_says_so() -> None:
    class Half(Function):
        def forward(self, xp: ModuleType, *arrays: Any) -> Any:
            return arrays[0] * 1

    with pytest.raises(NotImplementedError, match="Function defines no forward"):
        Function()(leaf(1))
    with pytest.raises(NotImplementedError, match="Half defines no backward"):
        Half()(leaf(1)).backward()


def test_an_absent_input_is_none() -> None:
    class Optional(Function):
        def forward(self, xp: ModuleType, *arrays: Any) -> Any:
            assert arrays[1] is None
            return arrays[0] * 1

        def backward(self, xp: ModuleType, grad_output: Any) -> Any:
            assert self.needs_input_grad == (True, False)
            return grad_output, None

    x = leaf(1)
    Optional()(x, None).backward()
    np.testing.assert_array_equal(x.grad, [1])


# --- memory and time ----------------------------------------------------------------------------------------


@contextmanager
def without_garbage_collector() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Witness(Function):
    """Keeps an object that can be watched dying, as an operation keeps its arrays."""

    def __init__(self) -> None:
        self.option = "kept"

    def forward(self, xp: ModuleType, x: Any) -> Any:
        self.saved = x * 1
        return x * 1

    def backward(self, xp: ModuleType, grad_output: Any) -> Any:
        return grad_output * self.saved


def test_a_graph_is_freed_when_it_is_dropped() -> None:
    with without_garbage_collector():
        x = leaf(1, 2)
        operation = Witness()
        middle = operation(x * 2)
        y = (middle.exp() * middle).sum()
        watched = [weakref.ref(thing) for thing in (operation, operation.saved, middle.data, y)]
        del operation, middle
        assert all(reference() is not None for reference in watched)
        del y
        assert [reference() for reference in watched] == [None] * 4


def test_a_graph_keeps_no_numbers_but_what_was_saved() -> None:
    with without_garbage_collector():
        x = leaf(1, 2)
        before = x + 1
        squashed = before.exp()  # whose backward needs its output, not its input
        watched = [weakref.ref(thing) for thing in (before, before.data)]
        y = squashed.sum()
        del before
        assert [reference() for reference in watched] == [None] * 2
        y.backward()
        np.testing.assert_allclose(x.grad, np.exp([2, 3]), rtol=1e-12)


def test_a_walk_frees_what_was_saved_while_the_output_lives() -> None:
    with without_garbage_collector():
        x = leaf(1, 2)
        operation = Witness()
        between = x * 2
        y = operation(between).sum()
        watched = [weakref.ref(thing) for thing in (operation.saved, between)]
        del between
        y.backward()
        assert [reference() for reference in watched] == [None] * 2
        assert vars(operation) == {"option": "kept"}
        assert y.item() == 6


def test_a_walk_frees_as_it_goes() -> None:
    with without_garbage_collector():
        first, second = Witness(), Witness()
        steps = second(first(leaf(1, 2))).sum().backward_steps()
        saved = [weakref.ref(first.saved), weakref.ref(second.saved)]
        next(steps)  # the sum
        assert [reference() is None for reference in saved] == [False, False]
        next(steps)
        assert [reference() is None for reference in saved] == [False, True]
        next(steps)
        assert [reference() is None for reference in saved] == [True, True]


def chain(length: int) -> tuple[Tensor, Tensor]:
    x = leaf(1)
    y = x
    for _ in range(length):
        y = y * 1.0
    return x, y


def test_a_deep_chain_does_not_recurse() -> None:
    x, y = chain(10_000)
    y.backward()
    np.testing.assert_array_equal(x.grad, [1])
    x, y = chain(10_000)
    last = weakref.ref(y.creator)
    del y  # nor does the freeing of a graph that was never walked
    assert last() is None


def sum_of_products(width: int) -> Tensor:
    x = leaf(1)
    y = x * 1.0
    for _ in range(width):
        y = y + x * 1.0
    return y


def sum_of_waiting_products(width: int) -> Tensor:
    """All products are computed before the first sum, and so all wait for their turn in the backward pass."""
    x = leaf(1)
    y, *products = [x * 1.0 for _ in range(width)]
    for product in products:
        y = y + product
    return y


class Counted(int):
    """A number that counts how often it is compared with another."""

    comparisons = 0
    __hash__ = int.__hash__

    def __neg__(self) -> "Counted":
        return Counted(-int(self))

    def __eq__(self, other: object) -> bool:
        Counted.comparisons += 1
        return int(self) == other

    def __lt__(self, other: int) -> bool:
        Counted.comparisons += 1
        return int(self) < int(other)


def calls(work: Callable[[], object]) -> int:
    """Return how many functions, of Python and of C, are called."""
    count = 0

    def profile(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("graph", [lambda size: chain(size)[1], sum_of_products, sum_of_waiting_products])
def test_the_work_grows_in_proportion_to_the_graph(graph: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = (calls(lambda size=size: graph(size).backward()) for size in (500, 1_000))  # type: ignore[misc]
    assert large < 2.05 * small

    comparisons = []
    monkeypatch.setattr(autograd, "clock", map(Counted, itertools.count()))
    for size in (500, 1_000):
        Counted.comparisons = 0
        graph(size).backward()
        comparisons.append(Counted.comparisons)
    assert comparisons[1] <= 2.4 * comparisons[0]  # the next function is found by n log n of them


# --- no_grad ------------------------------------------------------------------------------------------------


def test_no_grad_as_a_context() -> None:
    x = leaf(1)
    assert minicnn.is_grad_enabled()
    with no_grad():
        assert not minicnn.is_grad_enabled()
        y = x * 2
        with no_grad():
            pass
        assert not minicnn.is_grad_enabled()
    assert minicnn.is_grad_enabled()
    assert (y.creator, y.requires_grad) == (None, False)
    assert (x * 2).requires_grad


def test_no_grad_as_a_decorator() -> None:
    @no_grad()
    def double(x: Tensor, again: int = 1) -> Tensor:
        """Twice x."""
        return double(x * 2, again - 1) if again else x * 2

    y = double(leaf(1))
    assert (y.creator, y.requires_grad, y.item()) == (None, False, 4)
    assert (double.__name__, double.__doc__) == ("double", "Twice x.")
    assert minicnn.is_grad_enabled()


def test_no_grad_decorates_each_step_of_a_generator() -> None:
    seen = []

    @no_grad()
    def steps(count: int) -> Iterator[Any]:
        """Count."""
        try:
            for number in range(count):
                seen.append(minicnn.is_grad_enabled())
                try:
                    seen.append((yield number))
                except KeyError:
                    seen.append("thrown in")
        finally:
            seen.append(minicnn.is_grad_enabled())
        return "the end"

    assert steps.__doc__ == "Count."
    generator: Any = steps(3)
    assert minicnn.is_grad_enabled()
    assert next(generator) == 0
    assert minicnn.is_grad_enabled()
    assert generator.send("sent") == 1
    assert generator.throw(KeyError()) == 2
    with pytest.raises(StopIteration) as end:
        next(generator)
    assert end.value.value == "the end"
    assert seen == [False, "sent", False, "thrown in", False, None, False]
    assert minicnn.is_grad_enabled()

    seen.clear()
    generator = steps(3)
    next(generator)
    generator.close()
    assert seen == [False, False]
    with pytest.raises(ZeroDivisionError):
        generator = steps(3)
        next(generator)
        generator.throw(ZeroDivisionError())
    assert minicnn.is_grad_enabled()


def test_no_grad_refuses_what_waits_in_the_middle() -> None:
    async def coroutine() -> None: ...

    async def stream() -> Any:
        yield 1

    for function in (coroutine, stream):
        with pytest.raises(TypeError, match=rf"no_grad: cannot decorate {function.__name__}, which is async"):
            no_grad()(function)


def test_no_grad_ends_with_an_error() -> None:
    with pytest.raises(ZeroDivisionError), no_grad():
        raise ZeroDivisionError
    assert minicnn.is_grad_enabled()


def test_no_grad_saves_nothing() -> None:
    with without_garbage_collector(), no_grad():
        operation = Witness()
        saved = weakref.ref(operation)
        y = operation(leaf(1, 2))
        assert operation.needs_input_grad == (False,)
        del operation
        assert saved() is None
        assert y.numel() == 2


def test_no_grad_is_each_threads_own() -> None:
    with no_grad(), ThreadPoolExecutor(1) as other:
        assert other.submit(minicnn.is_grad_enabled).result()


def test_a_decorated_function_may_run_in_several_threads_at_once() -> None:
    both = threading.Barrier(2)

    @no_grad()
    def meet() -> None:
        both.wait(timeout=20)

    def inside_no_grad() -> bool:
        with no_grad():
            meet()
            still_off = not minicnn.is_grad_enabled()
        return still_off and minicnn.is_grad_enabled()

    def outside() -> bool:
        meet()
        return minicnn.is_grad_enabled()

    for _ in range(20):
        with ThreadPoolExecutor(2) as threads:
            results = [threads.submit(inside_no_grad), threads.submit(outside)]
        assert [result.result() for result in results] == [True, True]


def test_bytes_in_another_processors_order_are_turned_round() -> None:
    foreign = np.arange(3, dtype=np.dtype(np.float32).newbyteorder())
    tensor = Tensor(foreign, requires_grad=True)
    assert tensor.dtype == np.float32 and tensor.data.dtype.isnative
    minicnn.functional.relu(tensor).sum().backward()
    np.testing.assert_array_equal(tensor.grad, [0, 1, 1])


# --- gradients of computed tensors --------------------------------------------------------------------------


def test_retain_grad_keeps_the_gradient_of_a_computed_tensor() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    y.retain_grad()
    loss = (y * y).sum() + y.sum()
    loss.backward()
    assert y.grad.tolist() == [7, 13]
    assert x.grad.tolist() == [21, 39]


def test_a_retained_gradient_has_memory_of_its_own() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = x + 1
    y.retain_grad()
    gradient = np.ones(2, np.float32)
    y.backward(gradient)
    y.grad[0] = 7
    assert (gradient.tolist(), x.grad.tolist()) == ([1, 1], [1, 1])


def test_a_retained_gradient_makes_no_cycle() -> None:
    gc.disable()
    try:
        y = Tensor([1.0], requires_grad=True) * 3
        y.retain_grad()
        gone = weakref.ref(y)
        loss = y.sum()
        del y
        assert gone() is None
        loss.backward()
    finally:
        gc.enable()


def test_retain_grad_needs_a_gradient() -> None:
    x = Tensor([1.0], requires_grad=True)
    x.retain_grad()
    x.sum().backward()
    assert x.grad.tolist() == [1]
    with pytest.raises(RuntimeError, match="retain_grad: this tensor depends on nothing that requires a gradient"):
        Tensor([1.0]).retain_grad()


def test_requires_grad_is_set_in_a_chain() -> None:
    x = Tensor([1.0])
    assert x.requires_grad_() is x and x.requires_grad
    assert not x.requires_grad_(False).requires_grad
    with pytest.raises(TypeError, match="only float32 and float64 can require a gradient"):
        Tensor([1]).requires_grad_()


def test_lengths_and_lists() -> None:
    x = Tensor(np.arange(6.0).reshape(2, 3))
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert type(x.tolist()[0][0]) is float
    assert x.sum().tolist() == 15
    with pytest.raises(ValueError, match="size: dim must lie between -2 and 1, got 2"):
        x.size(2)


def test_a_leaf_is_finished_when_its_last_use_has_delivered() -> None:
    shared, once, unused = (Tensor(np.array([2.0]), requires_grad=True) for _ in range(3))
    y = (shared * once + shared).sum()
    finished = [(type(step.function).__name__, list(map(id, step.finished))) for step in y.backward_steps()]
    assert finished == [("Sum", []), ("Add", []), ("Mul", [id(shared), id(once)])]
    assert unused.grad is None


def test_a_leaf_of_another_loss_does_not_keep_it_from_being_finished() -> None:
    shared = Tensor(np.array([2.0]), requires_grad=True)
    other = (shared * 3).sum()
    (step, *rest) = list((shared + shared).backward_steps())
    assert not rest and list(map(id, step.finished)) == [id(shared)]
    other.backward()
    np.testing.assert_array_equal(shared.grad, [5.0])
