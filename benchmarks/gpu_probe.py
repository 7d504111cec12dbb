"""Where the time of AlexNet's step goes on a GPU: pieces, products in slices, columns. A line of JSON each.

    python -m benchmarks.gpu_probe --out DIR

writes to DIR/probe.jsonl, each line before the next measurement begins. `gpu_first_run.sh` calls it. It answers: which
size of the columns is the fastest; how fast each product is, in how many slices that of the filters' gradient should be
cut, and what CuPy's own matmul would take; and how near im2col and col2im are to the speed of a copy.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minicnn
import minicnn.functional as F
from benchmarks import gpu_profiling
from minicnn import Tensor, kernels, models, nn, optim
from minicnn.backend import get_array_module, memory, to_device
from minicnn.ops.gpu_conv import slices_of

PIECES = (1 << 28, 1 << 30, 1 << 31)
STEPS = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--size", type=int, default=227)
    options = parser.parse_args(arguments)
    with open(options.out / "probe.jsonl", "a", encoding="utf-8") as file:

        def say(**row: Any) -> None:
            for target in (file, sys.stdout):
                print(json.dumps(row), file=target, flush=True)

        network = models.build({"model": "alexnet", "variant": "paper", "in_size": options.size})
        rows = minicnn.summary(network, (options.batch, 3, options.size, options.size))
        try:
            steps(say, network.to("cuda"), options.batch, options.size)
            say(what="copy", bytes_per_s=gpu_profiling.copy_bytes_per_s())
            for row in rows:
                if isinstance(row.layer, nn.Conv2d):
                    columns(say, row)
                    products(say, row)
        finally:
            minicnn.set_tf32(False)
    return 0


def steps(say: Callable[..., None], network: nn.Module, batch: int, size: int) -> None:
    """Time steps with columns of several sizes, and how long Python takes to queue them."""
    rng, before = np.random.default_rng(0), memory._PIECE_BYTES_OF_GPU
    images = to_device(rng.standard_normal((batch, 3, size, size), dtype=np.float32), "cuda")
    labels = to_device(rng.integers(0, 1000, batch), "cuda")
    optimizer = optim.SGD(network.parameters(), lr=0.001, momentum=0.9, weight_decay=0.0005)

    def step() -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(network(Tensor(images)), labels)
        loss.backward()
        optimizer.step()
        return loss.data

    try:
        for tf32 in (False, True):
            minicnn.set_tf32(tf32)
            for piece in PIECES:
                memory._PIECE_BYTES_OF_GPU = piece
                float(step()), float(step())
                started = time.perf_counter()
                for _ in range(STEPS):
                    loss = step()
                queued = time.perf_counter() - started
                float(loss)
                ms = 1e3 * (time.perf_counter() - started) / STEPS
                say(what="step", tf32=tf32, piece_bytes=piece, ms=ms, python_ms=1e3 * queued / STEPS)
    finally:
        memory._PIECE_BYTES_OF_GPU = before


def columns(say: Callable[..., None], row: Any) -> None:
    """Time im2col and col2im of a layer."""
    layer, (N, C, H, W), (_, _, OH, OW) = row.layer, row.input_shape, row.output_shape
    (KH, KW), (SH, SW), (PH, PW), (DH, DW) = layer.kernel_size, layer.stride, layer.padding, layer.dilation
    window = KH, KW, SH, SW, PH, PW, DH, DW
    x = to_device(np.ones((N, C, H, W), np.float32), "cuda")
    col = get_array_module(x).empty((C, *layer.kernel_size, N, OH, OW), np.float32)
    nbytes = x.nbytes + col.nbytes
    there = seconds(lambda: kernels.im2col(x, *window, col))
    back = seconds(lambda: kernels.col2im(col, *window, x))
    found = {"im2col": there, "col2im": back}
    rates = {name: nbytes / each for name, each in found.items()}
    say(what=f"columns of {row.name}", bytes=nbytes, ms=in_ms(found), bytes_per_s=rates)


def products(say: Callable[..., None], row: Any) -> None:
    """Time the products of a layer: ours, in several numbers of slices, and CuPy's."""
    G, F_, (N, _, OH, OW) = row.layer.groups, row.layer.weight.shape[0], row.output_shape
    FG, K, L = F_ // G, row.layer.weight.data[0].size, N * OH * OW
    xp = get_array_module(to_device(np.zeros(1), "cuda"))
    w, col, grad_y = (xp.full(shape, 0.5, np.float32) for shape in ((G, FG, K), (G, K, L), (G, FG, L)))
    y, grad_w, grad_col = xp.empty_like(grad_y), xp.empty((G, FG, K), np.float32), xp.empty_like(col)
    works: dict[str, Callable[[], Any]] = {
        "forward": lambda: kernels.stacked_product(w, col, y),
        "dX": lambda: kernels.stacked_product(w.swapaxes(1, 2), grad_y, grad_col),
        "forward, CuPy": lambda: xp.matmul(w, col, out=y),
        "dX, CuPy": lambda: xp.matmul(w.swapaxes(1, 2), grad_y, out=grad_col),
        "dW, CuPy": lambda: xp.matmul(grad_y, col.swapaxes(1, 2), out=grad_w),
        "dW, CuPy, each group": lambda: [xp.matmul(grad_y[g], col[g].T, out=grad_w[g]) for g in range(G)],
    }
    chosen = slices_of(FG, K, L)
    for count in sorted({1, 2, 4, 8, 16, 32, chosen}):
        if L % (4 * count) == 0 or count == 1:
            works[f"dW, {count} slices"] = lambda count=count: sliced(xp, grad_y, col, grad_w, count)  # type: ignore[misc]
    flop = 2.0 * G * FG * K * L
    for tf32 in (False, True):
        minicnn.set_tf32(tf32)
        found = {name: seconds(work) for name, work in works.items()}
        rates = {name: flop / each for name, each in found.items()}
        say(what=f"products of {row.name}", tf32=tf32, flop=flop, slices=chosen, ms=in_ms(found), flop_per_s=rates)


def sliced(xp: Any, grad_y: Any, col: Any, grad_w: Any, count: int) -> None:
    """Compute dL/dW as `GpuConv2d` does, in a given number of slices."""
    (G, FG, _), K = grad_y.shape, col.shape[1]
    parts = xp.empty((G, count, FG, K), np.float32)
    for g in range(G):
        y_slices = grad_y[g].reshape(FG, count, -1).swapaxes(0, 1)
        x_slices = col[g].reshape(K, count, -1).transpose(1, 2, 0)
        kernels.stacked_product(y_slices, x_slices, parts[g])
    parts.sum(axis=1, out=grad_w)


def seconds(work: Callable[[], Any], times: int = 5) -> float:
    """Return the seconds of one call on the GPU, after two that are not measured."""
    work()
    work()
    return gpu_profiling.seconds(lambda: [work() for _ in range(times)]) / times


def in_ms(found: dict[str, float]) -> dict[str, float]:
    return {name: round(1e3 * each, 4) for name, each in found.items()}


if __name__ == "__main__":
    sys.exit(main())
