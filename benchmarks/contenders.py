"""What is raced: each contender builds one network and returns a function that makes one training step.

A contender runs alone in a child process (``python -m benchmarks.contenders NETWORK CONTENDER BATCH THREADS``). It
reports what it is, then makes so many steps for every number that it reads, and answers with their seconds.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Step = Callable[[], object]


def batch_of(network: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the same random pictures and labels for every contender."""
    rng = np.random.default_rng(0)
    shape = {"four-layer": (3, 32, 32)}[network]
    return rng.standard_normal((size, *shape)).astype(np.float32), rng.integers(0, 10, size)


def minicnn_step(network: str, size: int, threads: int) -> tuple[Step, dict[str, Any]]:
    import threadpoolctl

    import minicnn
    import minicnn.functional as F
    from minicnn import optim
    from minicnn.kernels import current
    from minicnn.models import four_layer

    minicnn.set_num_threads(threads)
    minicnn.manual_seed(0)
    images, labels = batch_of(network, size)
    model = four_layer(activation="relu")
    optimizer = optim.SGD(model.parameters(), lr=0.001, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(minicnn.Tensor(images)), labels).backward()
        optimizer.step()

    pools = threadpoolctl.threadpool_info()
    blas = [f"{pool['internal_api']} {pool['architecture']}" for pool in pools if pool["user_api"] == "blas"]
    return step, {"version": minicnn.__version__, "kernels": current(), "numpy": np.__version__, "blas": blas}


def torch_step(network: str, size: int, threads: int, channels_last: bool) -> tuple[Step, dict[str, Any]]:
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    images, labels = (torch.from_numpy(array) for array in batch_of(network, size))
    layers: list[nn.Module] = []
    for before, after in ((3, 32), (32, 32), (32, 64)):
        layers += [nn.Conv2d(before, after, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(576, 10))
    if channels_last:
        model, images = model.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return step, {"version": torch.__version__, "blas": ["MKL" if torch.backends.mkl.is_available() else "other"]}


CONTENDERS: dict[str, Callable[[str, int, int], tuple[Step, dict[str, Any]]]] = {
    "minicnn": minicnn_step,
    "torch NCHW": lambda *arguments: torch_step(*arguments, channels_last=False),
    "torch channels_last": lambda *arguments: torch_step(*arguments, channels_last=True),
}


def main(network: str, contender: str, batch: str, threads: str) -> None:
    """Answer the parent process, line by line, until it closes the pipe."""
    step, facts = CONTENDERS[contender](network, int(batch), int(threads))
    step()  # whatever is compiled or chosen at the first step is not the race
    print(json.dumps({"contender": contender, "threads": int(threads), **facts}), flush=True)
    for line in sys.stdin:
        started = time.perf_counter()
        for _ in range(int(line)):
            step()
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
