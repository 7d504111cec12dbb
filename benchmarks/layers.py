"""Single operations at the shapes of a network's layers, in minicnn and in PyTorch."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import facts, networks
from minicnn.model_summary import LayerRow

Timed = Callable[[], float]
"""Runs an operation once and returns its seconds, without those of its preparation."""

MOST_TIMES = 50


class Layers:
    """The operations of one contender, in a child process."""

    def __init__(self, contender: str, network: str, batch: int, threads: int, kernels: str) -> None:
        self.rows = networks.summary_of(network, batch)
        weighty = [row for row in self.rows if row.macs]
        self.first = weighty[0].name
        if contender == "minicnn":
            self.facts = facts.minicnn_facts(threads, kernels)
            self.contender: Any = Minicnn()
        else:
            self.facts = facts.torch_facts(threads)
            self.contender = Torch("channels_last" in contender)
        self.ready: tuple[str, dict[str, Timed]] = ("", {})

    def seconds(self, name: str, which: str, at_least: float) -> float:
        """Return the median seconds of an operation, repeated for `at_least` seconds or `MOST_TIMES` times.

        `name` is a layer's, "cross entropy" or "SGD"; `which` is "forward", "backward", or "step" of SGD.
        """
        if self.ready[0] != name:
            self.ready = "", {}  # frees the memory of the last operation first
            self.ready = name, self._prepared(name)
        call = self.ready[1][which]
        call()  # the first call compiles and chooses algorithms
        first = call()
        times = max(1, min(MOST_TIMES, int(at_least / first)))
        return statistics.median([first, *(call() for _ in range(times - 1))])

    def _prepared(self, name: str) -> dict[str, Timed]:
        if name == "SGD":
            shapes = [parameter.shape for row in self.rows for parameter in row.layer.parameters()]
            return {"step": self.contender.sgd([_numbers(*shape) for shape in shapes])}
        if name == "cross entropy":
            shape = self.rows.rows[-1].output_shape
            forward, backward = self.contender.cross_entropy(_numbers(*shape), np.arange(shape[0]) % shape[1])
        else:
            forward, backward = self.contender.layer(self.rows[name], needs_input_grad=name != self.first)
        return {"forward": forward, "backward": backward}


def _numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def _both_ways(forward: Callable[[], Any], gradient: Any, inputs: list[Any]) -> tuple[Timed, Timed]:
    """Return two functions that time the forward pass and the backward pass after it."""

    def time_forward() -> float:
        started = time.perf_counter()
        forward()
        return time.perf_counter() - started

    def time_backward() -> float:
        for each in inputs:
            each.grad = None
        output = forward()
        started = time.perf_counter()
        output.backward(gradient)
        return time.perf_counter() - started

    return time_forward, time_backward


def _one_step(optimizer: Any) -> Timed:
    def time_step() -> float:
        started = time.perf_counter()
        optimizer.step()
        return time.perf_counter() - started

    return time_step


class Minicnn:
    """Operations of minicnn."""

    def layer(self, row: LayerRow, needs_input_grad: bool) -> tuple[Timed, Timed]:
        from minicnn import Tensor

        for parameter in row.layer.parameters():
            parameter.data = _numbers(*parameter.shape)
        x = Tensor(_numbers(*row.input_shape), requires_grad=needs_input_grad)
        return _both_ways(lambda: row.layer(x), _numbers(*row.output_shape), [x, *row.layer.parameters()])

    def cross_entropy(self, scores: np.ndarray, labels: np.ndarray) -> tuple[Timed, Timed]:
        from minicnn import Tensor, functional

        x = Tensor(scores, requires_grad=True)
        return _both_ways(lambda: functional.cross_entropy(x, labels), None, [x])

    def sgd(self, arrays: list[np.ndarray]) -> Timed:
        from minicnn import Tensor, optim

        parameters = [Tensor(array, requires_grad=True) for array in arrays]
        for parameter in parameters:
            parameter.grad = np.zeros_like(parameter.data)
        return _one_step(optim.SGD(parameters, **networks.SGD))


class Torch:
    """Operations of PyTorch."""

    def __init__(self, channels_last: bool) -> None:
        import torch

        self.channels_last = torch.channels_last if channels_last else torch.contiguous_format

    def layer(self, row: LayerRow, needs_input_grad: bool) -> tuple[Timed, Timed]:
        layer = networks.torch_layer(row.layer).to(memory_format=self.channels_last)
        layer.inplace = False  # an in-place operation cannot be repeated
        x = self._laid_out(_numbers(*row.input_shape)).requires_grad_(needs_input_grad)
        gradient = self._laid_out(_numbers(*row.output_shape))
        return _both_ways(lambda: layer(x), gradient, [x, *layer.parameters()])

    def _laid_out(self, array: np.ndarray) -> Any:
        import torch

        tensor = torch.from_numpy(array)
        return tensor.to(memory_format=self.channels_last) if array.ndim == 4 else tensor

    def cross_entropy(self, scores: np.ndarray, labels: np.ndarray) -> tuple[Timed, Timed]:
        import torch

        x, target = torch.from_numpy(scores).requires_grad_(), torch.from_numpy(labels)
        return _both_ways(lambda: torch.nn.functional.cross_entropy(x, target), None, [x])

    def sgd(self, arrays: list[np.ndarray]) -> Timed:
        import torch

        parameters = [torch.from_numpy(array).requires_grad_() for array in arrays]
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        return _one_step(torch.optim.SGD(parameters, **networks.SGD))
