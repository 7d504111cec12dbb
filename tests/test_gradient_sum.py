"""The sum of gradients in one process; tests/distributed has the sums of several."""

from collections.abc import Iterator
from typing import Any

import fake_counts
import numpy as np
import pytest

from minicnn.autograd import Tensor
from minicnn.backend import asnumpy, device_of, to_device
from minicnn.distributed import Team
from minicnn.gradient_sum import SLICE, GradientSum, groups


class Doubling(Team):
    """A rank with a twin that has the same gradients."""

    def another(self) -> Team:
        return self

    def add_up(self, array: Any) -> None:
        array *= 2


@pytest.fixture
def parameters() -> list[Tensor]:
    """Small ones in two precisions, and one large enough to travel alone."""
    shapes, dtypes = [(3,), (5, 7), (SLICE // 4, 2), (4,)], [np.float32, np.float32, np.float32, np.float64]
    return [Tensor(np.zeros(s, t), requires_grad=True) for s, t in zip(shapes, dtypes, strict=True)]


@pytest.fixture
def sums(parameters: list[Tensor]) -> Iterator[GradientSum]:
    sums = GradientSum(Doubling(), parameters)
    yield sums
    sums.close()


def test_gradients_of_a_gpu_come_back_there_as_sums(gpu: str, rng: Any) -> None:
    parameters = [
        Tensor(to_device(np.zeros(shape, dtype), gpu), requires_grad=True)
        for shape, dtype in [((3,), np.float32), ((5, 7), np.float32), ((SLICE // 4, 2), np.float32), ((4,), float)]
    ]
    sums = GradientSum(Doubling(), parameters)
    for _ in range(3):  # the memory is used again
        expected = [2 * rng.standard_normal(parameter.shape).astype(parameter.dtype) for parameter in parameters]
        for parameter, twice in zip(parameters, expected, strict=True):
            parameter.grad = to_device(twice.T.copy() / 2, gpu).T  # not contiguous
        for parameter in parameters[::-1]:
            sums.ready(parameter)
        sums.finish()
        for parameter, twice in zip(parameters, expected, strict=True):
            assert device_of(parameter.grad) == "cuda:0" and parameter.grad.dtype == parameter.dtype
            np.testing.assert_array_equal(asnumpy(parameter.grad), twice)
    sums.close()


def test_the_backward_pass_does_not_wait_for_copies_from_a_gpu(two_gpus: Any) -> None:
    parameter = Tensor(to_device(np.zeros((5, 7)), "cuda:1"), requires_grad=True)
    sums = GradientSum(Doubling(), [parameter])
    parameter.grad = to_device(np.ones((5, 7)), "cuda:1")
    sums.thread.shutdown()  # so that only this thread is counted
    sums.thread = Postponed()  # type: ignore[assignment]
    with fake_counts.counting() as counts:
        sums.ready(parameter)
    assert not counts.waits
    sums.finish()
    assert device_of(parameter.grad) == "cuda:1"
    np.testing.assert_array_equal(asnumpy(parameter.grad), np.full((5, 7), 2.0))


class Postponed:
    """A thread whose work is done when somebody asks for its result."""

    def submit(self, call: Any, *arguments: Any) -> Any:
        class Later:
            def result(self) -> None:
                call(*arguments)

        return Later()


def test_gradients_of_the_processor_are_summed_in_place(sums: GradientSum, parameters: list[Tensor], rng: Any) -> None:
    for parameter in parameters[::-1]:
        parameter.grad = np.ones(parameter.shape, parameter.dtype)
        sums.ready(parameter)
    large = parameters[2].grad
    sums.finish()
    assert all(np.all(parameter.grad == 2) for parameter in parameters)
    assert np.shares_memory(parameters[2].grad, large)


def test_only_small_neighbours_of_one_dtype_travel_together(parameters: list[Tensor]) -> None:
    assert [len(group) for group in groups(parameters)] == [2, 1, 1]


def test_parameters_of_two_devices_do_not_travel_together(two_gpus: Any) -> None:
    there = [Tensor(to_device(np.zeros(2), device), requires_grad=True) for device in ("cpu", "cuda:0", "cuda:1")]
    assert [len(group) for group in groups(there)] == [1, 1, 1]
