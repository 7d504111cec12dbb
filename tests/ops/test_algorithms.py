"""How an algorithm is chosen: `use_conv`, and the list behind it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import minicnn
import minicnn.functional as F
from minicnn import Function, Tensor, models, use_conv
from minicnn.ops import algorithms
from minicnn.ops.algorithms import add_algorithm, choose


@pytest.fixture(autouse=True)
def auto_again() -> Iterator[None]:
    yield
    use_conv("auto")


def algorithm_that_runs() -> str:
    x, w = Tensor(np.ones((2, 16, 25, 25), np.float32)), Tensor(np.ones((16, 16, 3, 3), np.float32), requires_grad=True)
    creator = F.conv2d(x, w).creator
    assert creator is not None
    return creator.algorithm


def test_a_plain_call_holds_until_the_next(kernel_file: str) -> None:
    best = algorithm_that_runs()
    assert best == {"numba": "winograd", "numpy": "im2col"}[kernel_file]
    for algorithm in ("im2col", "direct", "winograd"):
        use_conv(algorithm)
        assert algorithm_that_runs() == algorithm
    use_conv("auto")
    assert algorithm_that_runs() == best


def test_a_block_restores_what_was_set_before(kernel_file: str) -> None:
    use_conv("direct")
    with use_conv("im2col"):
        assert algorithm_that_runs() == "im2col"
        with use_conv("winograd"):
            assert algorithm_that_runs() == "winograd"
        assert algorithm_that_runs() == "im2col"
        use_conv("winograd")  # holds to the end of the block
        assert algorithm_that_runs() == "winograd"
    assert algorithm_that_runs() == "direct"
    with pytest.raises(ZeroDivisionError), use_conv("im2col"):
        raise ZeroDivisionError
    assert algorithm_that_runs() == "direct"


def test_each_thread_has_its_own(kernel_file: str) -> None:
    best = algorithm_that_runs()
    with use_conv("direct"), ThreadPoolExecutor(1) as other:
        assert other.submit(algorithm_that_runs).result() == best
        other.submit(use_conv, "im2col").result()
        assert other.submit(algorithm_that_runs).result() == "im2col"
        assert algorithm_that_runs() == "direct"


@pytest.mark.parametrize("wrong", ["", "Direct", "fft", None, 1, "small batch", "fused"])
def test_algorithms_that_do_not_exist(wrong: str) -> None:
    use_conv("im2col")
    message = f"use_conv: algorithm must be one of auto, im2col, direct, winograd; got {wrong!r}"
    with pytest.raises(ValueError, match=message):
        use_conv(wrong)
    assert algorithm_that_runs() == "im2col"


def test_a_whole_network_runs_with_what_its_layers_can_do() -> None:
    pytest.importorskip("numba")
    network = models.build({"model": "alexnet", "in_size": 67, "num_classes": 10})
    found = {}
    for algorithm in ("im2col", "direct", "winograd"):
        with use_conv(algorithm), minicnn.trace() as trace:
            network(Tensor(np.ones((1, 3, 67, 67), np.float32)))
        found[algorithm] = [step.algorithm for step in trace.forward_steps() if step.name == "Conv2d"]
    assert found == {
        "im2col": ["im2col"] * 5,
        "direct": ["direct"] * 5,
        "winograd": ["direct"] + ["winograd"] * 4,  # conv1 has a kernel of 11x11 at stride 4
    }


def test_other_operations_do_not_listen_to_use_conv() -> None:
    pytest.importorskip("numba")
    x, w = np.ones((2, 512), np.float32), Tensor(np.ones((2048, 512), np.float32), requires_grad=True)
    use_conv("im2col")
    y = F.linear(x, w)
    assert y.creator is not None and y.creator.algorithm == "small batch"


def test_another_algorithm_is_a_class_and_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Double(Function):
        """y = 2 x;  dL/dx = 2 dL/dy."""

    class DoubleByAdding(Double):
        textbook, algorithm = Double, "adding"

    class DoubleByShifting(Double):
        textbook, algorithm = Double, "shifting"

    monkeypatch.setattr(algorithms, "_algorithms", {})
    here = np.empty(0)
    assert choose(Double, here, 1) is Double
    add_algorithm(DoubleByAdding, faster=lambda running, x: x < 10)
    add_algorithm(DoubleByShifting, faster=lambda running, x: x < 20, possible=lambda running, x: isinstance(x, int))
    assert [choose(Double, here, x) for x in (5, 15, 25)] == [DoubleByAdding, DoubleByShifting, Double]
    assert choose(Double, here, 15.0) is Double
    with pytest.raises(TypeError, match="add_algorithm: Double must name its textbook operation"):
        add_algorithm(Double, faster=lambda running, x: True)
