"""The contenders: each builds a network and returns a function that makes one step.

A step is a training step (forward, backward, SGD with momentum and weight decay, dropout on), or a forward pass of a
network in evaluation mode.
"""

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import facts, networks
from benchmarks.others import OTHERS

Step = Callable[[], Any]  # returns a number, or an array on a GPU that float() waits for

TORCH = ("torch NCHW", "torch channels_last")
PRODUCTS = "matrix products alone"


class Steps:
    """One contender, ready to make steps, in a child process."""

    def __init__(
        self,
        contender: str,
        network: networks.Name,
        batch: int,
        threads: int,
        forward_only: bool,
        kernels: str,
        device: str = "cpu",
        tf32: bool = False,
    ) -> None:
        build: Any
        arguments: dict[str, Any]
        if contender in OTHERS:
            build, arguments = OTHERS[contender][1], {}
        elif contender == PRODUCTS:
            build, arguments = products_step, {"kernels": kernels}
        elif contender in TORCH:
            layout = {"channels_last": contender == "torch channels_last"}
            build, arguments = torch_step, {**layout, "device": device, "tf32": tf32}
        else:
            build, arguments = minicnn_step, {"kernels": kernels, "device": device, "tf32": tf32}
        self.device = device
        if device != "cpu":
            facts.use_gpu(device, theirs=build is torch_step)
        self.step, self.facts = build(network, batch, threads, forward_only, **arguments)
        float(self.step())  # the first step compiles and chooses algorithms, and is not measured

    def seconds(self, steps: int) -> float:
        """Make some steps and return the seconds per step. On a GPU that includes waiting until all are done."""
        started = time.perf_counter()
        for _ in range(steps):
            number = self.step()
        number = float(number)
        seconds = (time.perf_counter() - started) / steps
        if not math.isfinite(number):
            raise RuntimeError(f"benchmarks: the last step gave {number}")
        return seconds

    def peak_bytes(self) -> int:
        """Return the peak memory without the libraries'; on a GPU, the memory that the library has allocated."""
        if self.device != "cpu":
            return facts.gpu_bytes(self.facts)
        libraries: int = self.facts["libraries_bytes"]
        return facts.peak_bytes() - libraries

    def kernels(self, steps: int) -> dict[str, Any]:
        """Return each kernel's launches, seconds and bytes in one step, the step's seconds, and a copy's bytes/s."""
        from benchmarks import gpu_profiling

        with gpu_profiling.timed_kernels() as found:
            whole = self.seconds(steps)
        each = {name: {key: total / steps for key, total in sums.items()} for name, sums in found.items()}
        return {"step_s": whole, "copy_bytes_per_s": gpu_profiling.copy_bytes_per_s(), "each": each}

    def profile(self, steps: int) -> dict[str, float]:
        """Return the seconds of each operation in one step; minicnn only."""
        from benchmarks.profiling import timed_operations

        with timed_operations() as seconds:
            whole = self.seconds(steps)
        found = {name: total / steps for name, total in seconds.items()}
        return {**found, "everything else": whole - sum(found.values())}


def minicnn_step(
    network: networks.Name,
    batch: int,
    threads: int,
    forward_only: bool,
    kernels: str,
    device: str = "cpu",
    tf32: bool = False,
) -> tuple[Step, dict[str, Any]]:
    import minicnn
    import minicnn.functional as F
    from minicnn.backend import to_device

    said = {**facts.minicnn_facts(threads, kernels, device, tf32), "libraries_bytes": facts.resident_bytes()}
    images, labels = (to_device(array, device) for array in networks.batch_of(network, batch))
    model = networks.built(network).to(device)
    if forward_only:
        model.eval()

        def look() -> float:
            with minicnn.no_grad():
                return float(model(minicnn.Tensor(images)).data[0, 0])

        return look, said
    optimizer = minicnn.optim.SGD(model.parameters(), **networks.SGD)

    def step() -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(minicnn.Tensor(images)), labels)
        loss.backward()
        optimizer.step()
        return loss.data

    return step, said


def torch_step(
    network: networks.Name,
    batch: int,
    threads: int,
    forward_only: bool,
    channels_last: bool,
    device: str = "cpu",
    tf32: bool = False,
) -> tuple[Step, dict[str, Any]]:
    import torch

    said = {**facts.torch_facts(threads, device, tf32), "libraries_bytes": facts.resident_bytes()}
    images, labels = (torch.from_numpy(array).to(device) for array in networks.batch_of(network, batch))
    model = networks.torch_twin(network).to(device)
    if channels_last:
        model, images = model.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    if forward_only:
        model.eval()

        def look() -> float:
            with torch.inference_mode():
                return float(model(images)[0, 0])

        return look, said
    optimizer = torch.optim.SGD(model.parameters(), **networks.SGD)

    def step() -> Any:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step, said


# --- a step that consists of its matrix products alone ------------------------------------------------------------

COLUMNS_BYTES = 1 << 23  # of im2col's columns in one product: BLAS is faster when several small maps share one


def products_step(
    network: networks.Name, batch: int, threads: int, forward_only: bool, kernels: str
) -> tuple[Step, dict[str, Any]]:
    """Multiply matrices of the shapes that convolution by im2col and linear layers have, with NumPy's sgemm.

    Their values are arbitrary; no columns are copied and no gradients are summed. Each core takes some of the images
    and runs BLAS on one thread, which was never slower here than BLAS's own threads.
    """
    from minicnn import nn

    said = {**facts.minicnn_facts(threads, kernels), "libraries_bytes": facts.resident_bytes()}
    weighty = [row for row in networks.summary_of(network, batch) if row.macs]
    makers = [_conv_products if isinstance(row.layer, nn.Conv2d) else _linear_products for row in weighty]
    works = [make(row, forward_only, row is weighty[0]) for make, row in zip(makers, weighty, strict=True)]

    def step() -> float:
        for work in works:
            work()
        return 0.0

    return step, said


def _numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def _conv_products(row: Any, forward_only: bool, is_first: bool) -> Callable[[], None]:
    from minicnn.backend import split

    N, F, OH, OW = row.output_shape
    G, K, S = row.layer.groups, row.layer.weight.data[0].size, OH * OW
    n = max(1, min(N, COLUMNS_BYTES // (4 * G * K * S)))
    w, col, grad_y = _numbers(G, F // G, K), _numbers(G, K, n * S), _numbers(G, F // G, n * S)

    def some_images(start: int, stop: int) -> None:
        y, grad_w, grad_col = np.empty_like(grad_y), np.empty((G, K, F // G), np.float32), np.empty_like(col)
        for first in range(start, stop, n):
            some = slice(0, min(n, stop - first) * S)
            np.matmul(w, col[:, :, some], out=y[:, :, some])
            if not forward_only:
                np.matmul(col[:, :, some], grad_y[:, :, some].swapaxes(1, 2), out=grad_w)
                if not is_first:
                    np.matmul(w.swapaxes(1, 2), grad_y[:, :, some], out=grad_col[:, :, some])

    return lambda: split(np, N, some_images)


def _linear_products(row: Any, forward_only: bool, is_first: bool) -> Callable[[], None]:
    from minicnn.backend import matmul

    x, w, grad_y = _numbers(*row.input_shape), _numbers(*row.layer.weight.shape), _numbers(*row.output_shape)

    def work() -> None:
        matmul(np, x, w.T)
        if not forward_only:
            matmul(np, grad_y.T, x)
            if not is_first:
                matmul(np, grad_y, w)

    return work
