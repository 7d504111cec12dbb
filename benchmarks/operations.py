"""Every operation of a network, forwards and backwards, beside PyTorch's and beside the floor.

The floor is the time in which no program could be done on this machine: that of the operation's multiply-adds at the
speed of one big matrix product, or that of reading its inputs and writing its outputs once, at the speed of a copy;
whichever is longer.
"""

import math
from dataclasses import dataclass
from typing import Any

from benchmarks import networks
from benchmarks.contenders import TORCH
from benchmarks.processes import children, spread, unset
from minicnn import nn
from minicnn.summary import LayerRow

NUMBER = 4  # bytes, single precision

LEAST_SECONDS = 0.1  # for which an operation is repeated in each round


@dataclass(frozen=True)
class Work:
    """What an operation cannot do without."""

    name: str
    which: str
    kind: str
    flops: int
    bytes: int


def work_of(row: LayerRow, backward: bool, needs_input_grad: bool) -> Work:
    """Return the work of a layer's pass for the whole batch.

    For layers that multiply no matrices, the operations for each number of the output are an estimate. They only place
    a point in the roofline picture; such layers' floors are their bytes'.
    """
    layer = row.layer
    x, y, weights = math.prod(row.input_shape), math.prod(row.output_shape), row.parameters
    flops, numbers, others = y, x + y, 0  # others: bytes that are no numbers
    if row.macs:
        flops = 2 * row.input_shape[0] * networks.multiply_adds(row, backward, needs_input_grad)
        numbers = x + weights + y
        if backward:  # what is read are x, the weights and y's gradient; of the weights and x there are gradients
            numbers += weights + x if needs_input_grad else 0
    elif isinstance(layer, nn.LocalResponseNorm):
        flops = y * (2 * layer.size + 9 if backward else layer.size + 4)
        numbers = 3 * x if backward else x + y
    elif isinstance(layer, nn.MaxPool2d):
        flops = y if backward else y * math.prod(layer.kernel_size)
        others = y  # a byte tells where in its window the largest one stood
    elif isinstance(layer, nn.Dropout):
        others = y  # a byte tells whether it was dropped
    elif backward:  # an activation: its output, and the gradients of both sides
        numbers = 3 * y
    return Work(row.name, "backward" if backward else "forward", type(layer).__name__, flops, NUMBER * numbers + others)


def works(network: str, batch: int) -> list[Work]:
    """Return what there is to measure, in the order of a step."""
    rows = [row for row in networks.walked(network, batch) if row.activation_bytes]
    rows = [row for row in rows if not isinstance(row.layer, nn.PadTo)]  # which has nothing to pad
    first = next(row for row in rows if row.macs)
    found = [work_of(row, backward, row is not first) for row in rows for backward in (False, True)]
    scores = math.prod(rows[-1].output_shape)
    parameters = sum(row.parameters for row in rows)
    return [
        *found,
        Work("cross entropy", "forward", "CrossEntropy", 4 * scores, NUMBER * scores),
        Work("cross entropy", "backward", "CrossEntropy", scores, 2 * NUMBER * scores),
        # reads parameters, gradients and velocities; writes parameters and velocities
        Work("SGD", "step", "SGD", 6 * parameters, 5 * NUMBER * parameters),
    ]


def operations(
    network: str, against_torch: bool, batch: int, threads: int, kernels: str, rounds: int
) -> dict[str, Any]:
    """Return every operation's seconds for each contender, and how many times its floor that is."""
    names = ["minicnn", *(TORCH if against_torch else ())]
    shared = {"network": network, "batch": batch, "threads": threads, "kernels": kernels}
    with children("floors", {"floors": {"threads": threads, "kernels": kernels}}) as running:
        floors = running["floors"]
        roofs = {unit: max(floors.ask(unit) for _ in range(rounds)) for unit in ("flops_per_s", "bytes_per_s")}
    found = []
    with children("operations", {name: {"contender": name, **shared} for name in names}) as running:
        for work in works(network, batch):
            seconds: dict[str, list[float]] = {name: [] for name in names}
            for _ in range(rounds):
                for name, child in running.items():
                    taken = child.ask("seconds", name=work.name, which=work.which, at_least=LEAST_SECONDS)
                    seconds[name].append(taken)
            of_flops, of_bytes = work.flops / roofs["flops_per_s"], work.bytes / roofs["bytes_per_s"]
            floor = max(of_flops, of_bytes)
            spreads = {name: spread(each) for name, each in seconds.items()}
            found.append(
                {
                    **vars(work),
                    "floor_s": floor,
                    "bound_by": "flops" if of_flops > of_bytes else "bytes",
                    "seconds": spreads,
                    "over_floor": {name: each["median"] / floor for name, each in spreads.items()},
                }
            )
        facts = {name: child.facts for name, child in running.items()}
    return {
        "benchmark": "ops",
        **shared,
        "rounds": rounds,
        "unset": unset(),
        "contenders": facts,
        "roofs": roofs,
        "operations": found,
    }
