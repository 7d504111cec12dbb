"""One process of a step that several share: ``mpiexec -n N python -m benchmarks.distributed_child SETTINGS``.

Rank 0 prints the seconds of each step as a line of JSON. All processes have one thread.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks import networks

MESSAGE = 16 << 20  # bytes, to measure the link


def minicnn_steps(settings: dict[str, Any]) -> Iterator[float]:
    """Yield the seconds of one step after another."""
    import minicnn
    from minicnn.distributed import Team, join
    from minicnn.training.data_parallel import DataParallel
    from minicnn.training.split_towers import SplitTowers

    minicnn.set_num_threads(1)
    team = join()
    if settings["contender"] == "minicnn apart":
        team.everyone(None)  # so that they begin at the same time
        team = Team()
    kind = SplitTowers if settings["contender"] == "towers" else DataParallel
    name = networks.CONFIGS[settings["network"]]
    network = networks.built({**name, "devices": ["cpu", "cpu"]} if kind is SplitTowers else name)
    optimizer = minicnn.optim.SGD(network.parameters(), **networks.SGD)
    count = settings["batch"] * team.size
    images, labels = networks.batch_of(settings["network"], count)
    together = kind(team, network, optimizer)
    if together.rows is not None:
        rows = together.rows(count)
        images, labels = images[rows], labels[rows]

    def step() -> None:
        together.step(images, labels, count)
        team.total(np.zeros(5))
        together.finish()
        optimizer.step()

    yield from timed(step)


def torch_steps(settings: dict[str, Any]) -> Iterator[float]:
    """Do the same with PyTorch's DistributedDataParallel over gloo."""
    import torch

    torch.set_num_threads(1)
    rank, size = int(os.environ.get("PMI_RANK", "0")), int(os.environ.get("PMI_SIZE", "1"))
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(settings["port"])}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=size)
    network = networks.torch_twin(settings["network"])
    shared = size > 1 and settings["contender"] != "torch apart"
    model = torch.nn.parallel.DistributedDataParallel(network) if shared else network
    optimizer = torch.optim.SGD(model.parameters(), **networks.SGD)
    images, labels = (torch.from_numpy(array) for array in networks.batch_of(settings["network"], settings["batch"]))

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    yield from timed(step)


def timed(step: Callable[[], None]) -> Iterator[float]:
    """Yield the seconds of each step; the first compiles and chooses algorithms, and is left out."""
    step()
    while True:
        start = time.perf_counter()
        step()
        yield time.perf_counter() - start


def rate() -> float:
    """Return the bytes a second that two ranks add up, of which each sends and receives as many."""
    from minicnn.distributed import join

    team, seconds = join(), []
    for _ in range(4):
        numbers = np.ones(MESSAGE // 2 // 4, np.float32)
        start = time.perf_counter()
        team.add_up(numbers)
        team.add_up(numbers)
        seconds.append(time.perf_counter() - start)
    return MESSAGE / min(seconds)


def main() -> None:
    """Make the steps that the settings ask for."""
    settings = json.loads(sys.argv[1])
    steps = torch_steps(settings) if settings["contender"].startswith("torch") else minicnn_steps(settings)
    seconds = [next(steps) for _ in range(settings["steps"])]
    found = {"seconds": seconds, "rate": rate() if settings["link"] else None}
    if os.environ.get("PMI_RANK", "0") == "0":
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
