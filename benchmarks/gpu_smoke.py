"""A GPU that has never run minicnn: two minutes, stage by stage, each on the disk before the next begins.

    python -m benchmarks.gpu_smoke --out DIR

writes a line of JSON for each stage to DIR/smoke.jsonl, and ends with 1 if one has failed. `gpu_first_run.sh` calls it.
"""

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import minicnn
import minicnn.functional as F
from minicnn import Tensor, kernels, models, optim
from minicnn.backend import asnumpy, gpu_facts, staged, to_device
from minicnn.data import Loader, load_shapes
from minicnn.data.scaling import standardised
from minicnn.kernels import numpy_kernels
from minicnn.kernels.examples import examples
from minicnn.training import train_epoch
from minicnn.training.loop import EpochProgress

Stage = Callable[[argparse.Namespace], Any]
STAGES: list[tuple[str, Stage]] = []
TOLERANCE = 1e-4  # of the largest number
CURVE, TIMED = 50, 10  # steps


def stage(name: str) -> Callable[[Stage], Stage]:
    """Add a function to the stages. What it returns is written down; what it raises, too, and the next one begins."""

    def add(work: Stage) -> Stage:
        STAGES.append((name, work))
        return work

    return add


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all stages, and return 1 if one has failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--size", type=int, default=227, help="of AlexNet's images")
    options = parser.parse_args(arguments)
    failed = []
    with open(options.out / "smoke.jsonl", "a", encoding="utf-8") as file:
        for name, work in STAGES:
            started, row = time.perf_counter(), {"stage": name, "ok": True}
            try:
                row["found"] = work(options)
            except Exception as error:  # whatever it is: the other stages are to be known as well
                failed.append(name)
                row |= {"ok": False, "error": f"{type(error).__name__}: {error}"[:400]}
                row["where"] = traceback.format_exc()[-900:]
            row["s"] = round(time.perf_counter() - started, 3)
            for target in (file, sys.stdout):
                print(json.dumps(row), file=target, flush=True)
    return int(bool(failed))


def on_gpu(value: Any) -> Any:
    return to_device(value, "cuda") if isinstance(value, np.ndarray) else value


def close(there: Any, here: np.ndarray, what: str) -> float:
    """Return the largest difference relative to the largest number; an error if it is large."""
    worst = float(abs(asnumpy(there) - here).max() / abs(here).max())
    if not worst < TOLERANCE:
        raise AssertionError(f"{what}: differs by {worst:.2g} of its largest number")
    return worst


@stage("context")
def context(options: argparse.Namespace) -> Any:
    return {**gpu_facts("cuda"), "numpy": np.__version__, "python": sys.version.split()[0]}


@stage("kernels compile and run")
def kernels_run(options: argparse.Namespace) -> Any:
    from minicnn.kernels import cuda_kernels

    started, seconds = time.perf_counter(), {}
    for dtype in ("float32", "float64"):
        for name, arguments in examples(dtype):
            if hasattr(cuda_kernels, name):
                getattr(kernels, name)(*(on_gpu(argument) for argument in arguments))
        seconds[dtype] = time.perf_counter() - started
    return seconds


@stage("products")
def products(options: argparse.Namespace) -> Any:
    """Of single matrices by CuPy, and of stacks by our own call of cuBLAS: in order, transposed, and with gaps."""
    rng, found = np.random.default_rng(0), {}
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((3, 40, 56), (3, 56, 24)))
    found["single"] = close(on_gpu(a[0]) @ on_gpu(b[0]), a[0] @ b[0], "a product")
    layouts = {
        "in order": on_gpu(a),
        "transposed": on_gpu(a.swapaxes(1, 2).copy()).swapaxes(1, 2),
        "with gaps": on_gpu(np.concatenate([a, a], axis=2))[:, :, :56],
        "in slices": on_gpu(a.swapaxes(0, 1).copy()).swapaxes(0, 1),
    }
    for name, there in layouts.items():
        y = on_gpu(np.full((3, 40, 24), np.nan, np.float32))
        kernels.stacked_product(there, on_gpu(b), y)
        found[name] = close(y, a @ b, name)
    return found


@stage("reductions")
def reductions(options: argparse.Namespace) -> Any:
    x = np.random.default_rng(0).standard_normal((64, 999)).astype(np.float32)
    if not (asnumpy(on_gpu(x).argmax(axis=1)) == x.argmax(axis=1)).all():
        raise AssertionError("argmax differs")
    return [close(on_gpu(x).sum(axis=axis), x.sum(axis=axis), f"sum over axis {axis}") for axis in (0, 1)]


@stage("dropout draws the same numbers")
def dropout(options: argparse.Namespace) -> Any:
    x = np.random.default_rng(0).standard_normal(10000).astype(np.float32)
    here, there = np.empty_like(x), on_gpu(np.empty_like(x))
    numpy_kernels.dropout(x, 2012, 0.5, 2.0, here)
    kernels.dropout(on_gpu(x), 2012, 0.5, 2.0, there)
    if not (asnumpy(there) == here).all():
        raise AssertionError(f"{(asnumpy(there) != here).sum()} of {x.size} numbers differ")
    return float((here == 0).mean())


@stage("gradients and a step as on the CPU")
def gradients(options: argparse.Namespace) -> Any:
    rng, found = np.random.default_rng(0), []
    images, labels = rng.standard_normal((4, 3, 28, 28)).astype(np.float32), np.array([0, 9, 4, 1])
    for device in ("cpu", "cuda"):
        minicnn.manual_seed(1)
        network = models.alexnet_cifar(dropout=0.0, groups=2).to(device)
        optimizer = optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=0.0005)
        loss = F.cross_entropy(network(Tensor(to_device(images, device))), to_device(labels, device))
        loss.backward()
        arrays = {"loss": loss.numpy()}
        arrays |= {f"{name}.grad": asnumpy(parameter.grad) for name, parameter in network.named_parameters()}
        optimizer.step()
        arrays |= {name: parameter.numpy().copy() for name, parameter in network.named_parameters()}
        found.append(arrays)
    return max(close(found[1][name], here, name) for name, here in found[0].items())


@stage("TF32")
def tf32(options: argparse.Namespace) -> Any:
    """The errors of a single product, of a stack by CuPy and of a stack by our own call: without, with, without."""
    found: dict[str, list[float]] = {}
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((2, 512, 512)).astype(np.float32) for _ in range(2))
    exact, y = a.astype(np.float64) @ b, on_gpu(np.empty_like(a))

    def own() -> Any:
        kernels.stacked_product(on_gpu(a), on_gpu(b), y)
        return y

    works = {
        "single": lambda: (on_gpu(a[0]) @ on_gpu(b[0]))[None],
        "stack": lambda: on_gpu(a) @ on_gpu(b),
        "own call": own,
    }
    try:
        for name, work in works.items():
            found[name] = []
            for allowed in (False, True, False):
                minicnn.set_tf32(allowed)
                result = asnumpy(work())
                found[name].append(float(abs(result - exact[: len(result)]).max()))
    finally:
        minicnn.set_tf32(False)
    for name, (without, with_it, again) in found.items():
        if gpu_facts("cuda")["cupy"] != "fake" and not without == again < 1e-3 < with_it < 0.5:
            raise AssertionError(f"{name}: errors of {found[name]}")
    return found


@stage("batches on their way")
def batches(options: argparse.Namespace) -> Any:
    images = np.arange(20, dtype=np.float32)[:, None, None, None] * np.ones((1, 3, 32, 32), np.float32)
    loader = Loader(images.repeat(16, axis=0), np.arange(20).repeat(16), 16, shuffle=False, workers=2, pin_memory=True)
    for number, (some, labels) in enumerate(staged(loader, "cuda")):
        if float(some.sum()) != number * some.size or int(labels.max()) != number:
            raise AssertionError(f"batch {number} did not arrive as it was sent")
    return len(loader)


@stage("50 steps on the CPU and on the GPU")
def curves(options: argparse.Namespace) -> Any:
    """The sum of losses after each step of the four-layer network on drawn shapes."""
    shapes = load_shapes(train=CURVE * 16, test=1)
    (images,) = standardised(shapes.train_images)
    found: dict[str, list[float]] = {"cpu": [], "cuda": []}

    def noted(sums: list[float], progress: EpochProgress) -> None:
        sums.append(progress.summed_loss)

    for device, sums in found.items():
        minicnn.manual_seed(2)
        network = models.four_layer(init="he").to(device)
        optimizer = optim.SGD(network.parameters(), lr=0.002, momentum=0.9, weight_decay=0.0005, style="paper")
        loader = Loader(images, shapes.train_labels, 16, seed=1)
        train_epoch(network, optimizer, loader, after_step=partial(noted, sums), read_every=1)
    close(np.array(found["cuda"]), np.array(found["cpu"]), "the losses")
    return found


@stage("AlexNet")
def alexnet(options: argparse.Namespace) -> Any:
    """How long a step takes, and how much of it Python needs to queue it."""
    rng, (batch, size) = np.random.default_rng(0), (options.batch, options.size)
    images = on_gpu(rng.standard_normal((batch, 3, size, size), dtype=np.float32))
    labels = on_gpu(rng.integers(0, 1000, batch))
    network = models.build({"model": "alexnet", "variant": "paper", "in_size": size}).to("cuda")
    optimizer = optim.SGD(network.parameters(), lr=0.001, momentum=0.9, weight_decay=0.0005)

    def step() -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(network(Tensor(images)), labels)
        loss.backward()
        optimizer.step()
        return loss.data

    found: dict[str, float] = {}
    try:
        for allowed in (False, True):
            minicnn.set_tf32(allowed)
            name, started = "TF32" if allowed else "float32", time.perf_counter()
            if not np.isfinite(float(step())):
                raise AssertionError(f"{name}: the first loss is not finite")
            found[f"{name}, first step, s"] = time.perf_counter() - started
            float(step())
            started = time.perf_counter()
            for _ in range(TIMED):
                loss = step()
            queued = time.perf_counter() - started
            found[f"{name}, loss"] = float(loss)
            found[f"{name}, ms"], found[f"{name}, Python's ms"] = (
                1e3 * seconds / TIMED for seconds in (time.perf_counter() - started, queued)
            )
    finally:
        minicnn.set_tf32(False)
    return found


if __name__ == "__main__":
    sys.exit(main())
