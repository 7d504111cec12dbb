"""How long a step takes that several processes share: a model with two machines in it, a processor and a link.

The processor's part is measured: one step of this network on this machine, with the time at which backward finishes
each gradient. The link's part is arithmetic. To add up n bytes over N ranks, each rank sends and receives 2 (N-1)/N n
bytes (a reduce-scatter and an all-gather: Rabenseifner 2004), and waits 2 log2 N times for a first byte. The two
overlap as in :mod:`minicnn.gradient_sum`: buckets leave in order, each when its last gradient is complete and the link
is free.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn import functional as F
from minicnn.autograd import Tensor
from minicnn.gradient_sum import groups
from minicnn.models import TwoTowers
from minicnn.nn import Module
from minicnn.optim import Optimizer

__all__ = ["LATENCY", "Profile", "Step", "crossing_bytes", "data_parallel", "profile", "split_towers"]

LATENCY = 50e-6  # seconds until a first byte arrives, over TCP; of InfiniBand some 2e-6


@dataclass(frozen=True)
class Profile:
    """One process's training step.

    Attributes
    ----------
    images : int
        Of the batch.
    forward, backward, update : float
        Seconds: of the forward pass with the loss, of the backward pass, of the optimiser.
    buckets : tuple of (float, int)
        For each bucket of gradients when it is complete, in seconds since backward began, and its bytes.
    """

    images: int
    forward: float
    backward: float
    update: float
    buckets: tuple[tuple[float, int], ...]

    @property
    def seconds(self) -> float:
        """The whole step."""
        return self.forward + self.backward + self.update

    def stretched(self, images: int) -> Profile:
        """Return what it would be for more images: only the update takes as long as before."""
        by = images / self.images
        buckets = tuple((by * ready, size) for ready, size in self.buckets)
        return Profile(images, by * self.forward, by * self.backward, self.update, buckets)

    @property
    def gradient_bytes(self) -> int:
        """The bytes of all gradients."""
        return sum(size for _, size in self.buckets)


@dataclass(frozen=True)
class Step:
    """What the model says of a step.

    Attributes
    ----------
    seconds : float
        The step.
    waiting : float
        How long of it a rank waits for the link.
    sent : int
        The bytes that each rank sends, and as many that it receives.
    """

    seconds: float
    waiting: float
    sent: int


def profile(network: Module, optimizer: Optimizer, images: Any, labels: Any, steps: int = 3) -> Profile:
    """Measure a training step: after a first one, the fastest of a few. It changes the network."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    buckets = groups(parameters[::-1])
    found = []
    network.train()
    for _ in range(steps + 1):
        start = time.perf_counter()
        loss = F.cross_entropy(network(Tensor(images)), labels)
        optimizer.zero_grad()
        forward = time.perf_counter()
        complete: dict[Tensor, float] = {}
        for step in loss.backward_steps():
            complete |= dict.fromkeys(step.finished, time.perf_counter() - forward)
        backward = time.perf_counter()
        optimizer.step()
        end = time.perf_counter()
        ready = [max(complete[parameter] for parameter in bucket) for bucket in buckets]
        sizes = [sum(parameter.data.nbytes for parameter in bucket) for bucket in buckets]
        times = (forward - start, backward - forward, end - backward)
        found.append(Profile(len(images), *times, tuple(zip(ready, sizes, strict=True))))
    return min(found[1:], key=lambda each: each.seconds)


def data_parallel(step: Profile, ranks: int, rate: float, latency: float = LATENCY) -> Step:
    """Predict a step of ranks that share a batch, of which each computes as many images as `step` has.

    Parameters
    ----------
    step : Profile
    ranks : int
    rate : float
        Of the link, in bytes a second in each direction.
    latency : float
        In seconds.
    """
    return _predicted(step, step.buckets, ranks, rate, latency, 0, 0)


def split_towers(step: Profile, crossings: Sequence[int], ranks: int, rate: float, latency: float = LATENCY) -> Step:
    """Predict a step of pairs of ranks that have a tower each and twice the images; the pairs share the batch.

    A tower has half of the work of an image, so a rank computes as long as for the images of `step`. Both wait at every
    crossing, forward and backward. Gradients are added up among the ranks of a tower.

    Parameters
    ----------
    crossings : sequence of int
        The bytes of an image that cross at each place, see :func:`crossing_bytes`.
    """
    halves = [(ready, size // 2) for ready, size in step.buckets]
    *exchanged, last = (2 * step.images * size for size in crossings)
    return _predicted(step, halves, ranks // 2, rate, latency, 2 * sum(exchanged) + last, 2 * len(exchanged) + 1)


def _predicted(
    step: Profile,
    buckets: Sequence[tuple[float, int]],
    ranks: int,
    rate: float,
    latency: float,
    crossing: int,
    crossings: int,
) -> Step:
    at_crossings = crossings * latency + crossing / rate
    share = 2 * (ranks - 1) / ranks
    free = 0.0  # when the link is, in seconds since backward began
    if ranks > 1:
        for ready, size in buckets:
            free = max(free, ready) + 2 * math.log2(ranks) * latency + share * size / rate
    waiting = max(0.0, free - step.backward) + at_crossings
    sent = round(share * sum(size for _, size in buckets)) + crossing
    return Step(step.seconds + waiting, waiting, sent)


def crossing_bytes(network: TwoTowers, image: tuple[int, int, int]) -> list[int]:
    """Return the bytes of one image that each tower sends at each crossing, the last one before the last layer."""
    output = Tensor(np.zeros((1, *image), np.float32))
    found = []
    for name, half, _ in network.layers():
        if name in network.crossings:
            found.append(output.data.nbytes)
            output = F.cat([output, output], 1)
        output = half(output)
    return [*found, output.data.nbytes]
