"""Every operation of a network, forward and backward, next to PyTorch's and to a lower bound.

The lower bound (floor) is the longer of two times: that of the operation's multiply-adds at the speed of one large
matrix product, and that of reading its inputs and writing its outputs once at the speed of a copy.
"""

import math
from dataclasses import dataclass
from typing import Any

from benchmarks import networks
from benchmarks.contenders import TORCH
from benchmarks.processes import children, spread, unset
from minicnn import nn
from minicnn.model_summary import LayerRow

NUMBER = 4  # bytes, single precision

LEAST_SECONDS = 0.1  # an operation is repeated for this long in each round


@dataclass(frozen=True)
class Work:
    """The arithmetic and the memory traffic that an operation needs at least."""

    name: str
    which: str
    kind: str
    flops: int
    bytes: int


def work_of(row: LayerRow, backward: bool, needs_input_grad: bool) -> Work:
    """Return the work of a layer's pass for the whole batch.

    For layers without a matrix product, the operations per output are an estimate. It only places a point in the
    roofline figure: the floor of such a layer is given by its bytes.
    """
    layer = row.layer
    x, y, weights = math.prod(row.input_shape), math.prod(row.output_shape), row.parameters
    flops, numbers, others = y, x + y, 0  # others: bytes of masks
    if row.macs:
        flops = 2 * row.input_shape[0] * networks.multiply_adds(row, backward, needs_input_grad)
        numbers = x + weights + y
        if backward:  # reads x, the weights and y's gradient; writes the gradients of the weights and x
            numbers += weights + x if needs_input_grad else 0
    elif isinstance(layer, nn.LocalResponseNorm):
        flops = y * (2 * layer.size + 9 if backward else layer.size + 4)
        numbers = 3 * x if backward else x + y
    elif isinstance(layer, nn.MaxPool2d):
        flops = y if backward else y * math.prod(layer.kernel_size)
        others = y  # a byte for the position of the maximum in its window
    elif isinstance(layer, nn.Dropout):
        others = y  # a byte for whether it was dropped
    elif backward:  # an activation reads its output and y's gradient, and writes x's
        numbers = 3 * y
    return Work(row.name, "backward" if backward else "forward", type(layer).__name__, flops, NUMBER * numbers + others)


def works(network: str, batch: int) -> list[Work]:
    """Return the work of all operations, in the order of a step."""
    rows = [row for row in networks.summary_of(network, batch) if row.activation_bytes]
    rows = [row for row in rows if not isinstance(row.layer, nn.PadTo)]  # it pads nothing
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
    """Return every operation's seconds for each contender, and their ratio to the floor."""
    names = ["minicnn", *(TORCH if against_torch else ())]
    shared = {"network": network, "batch": batch, "threads": threads, "kernels": kernels}
    with children("peaks", {"peaks": {"threads": threads, "kernels": kernels}}) as running:
        roofs = {
            unit: max(running["peaks"].ask(unit) for _ in range(rounds)) for unit in ("flops_per_s", "bytes_per_s")
        }
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
