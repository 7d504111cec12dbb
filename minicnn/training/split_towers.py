"""The two towers of figure 2 in two processes: each computes one, and they meet only where the figure says.

Both ranks see every image of the batch. In AlexNet they exchange the maps that conv3 reads and the units that fc6 and
fc7 read, and in the backward pass their gradients: some 0.2 MB an image. The gradients of the weights, 244 MB a step
however few images there are, stay where they are. Krizhevsky et al. 2012, section 3.2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import functional as F
from minicnn.autograd import Tensor
from minicnn.backend import BatchPart, asnumpy, to_device, working_on
from minicnn.distributed import Team, TeamError
from minicnn.models import TwoTowers
from minicnn.nn import Module
from minicnn.ops.exchange import all_gather, exchange
from minicnn.optim import Optimizer
from minicnn.training.data_parallel import DataParallel

__all__ = ["SplitTowers"]


class SplitTowers(DataParallel):
    """Training by two ranks, of which each computes one tower of the network.

    Each rank holds both towers, but computes and updates its own and the last layer, which reads both. For checkpoints
    and evaluation :meth:`collect` exchanges the towers. The numbers are those of :class:`minicnn.models.TwoTowers` in
    one process.

    Parameters
    ----------
    team : Team
        Of two ranks.
    network : TwoTowers
    optimizer : Optimizer
        Of both towers.

    Raises
    ------
    TeamError
        If there are not two ranks, or not two towers.
    """

    copies = 2
    option = "--towers split"

    def __init__(self, team: Team, network: Module, optimizer: Optimizer) -> None:
        if team.size != 2 or not isinstance(network, TwoTowers):
            raise TeamError(f"two towers are for two ranks and a network with two towers, got {team.size} ranks")
        self.team, self.network, self.optimizer = team, network, optimizer
        self.towers = network
        self.rows = None  # of each batch, both ranks need all

    def step(self, images: Any, labels: Any, count: int) -> tuple[Any, float]:
        # Dropout draws the numbers of tower 0, then those of tower 1, as if these were the first rows of a batch.
        first = self.team.rank * count
        with working_on(BatchPart(first, first + count, self.team.size * count)):
            scores = self.forward(Tensor(images))
            loss = F.cross_entropy(scores, labels)
            self.optimizer.zero_grad()
            loss.backward()
        return asnumpy(scores.data), loss.item() * count

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores (N, classes) for images (N, 3, H, W): the same on both ranks."""
        output = images
        for name, *halves in self.towers.layers():
            if name in self.towers.crossings:
                output = F.cat(self._in_order(output, exchange(output, self.team)), 1)
            output = halves[self.team.rank](output)
        scores: Tensor = getattr(self.towers, self.towers.last)(all_gather(output, self.team, 1))
        return scores

    def finish(self) -> None:
        """Do nothing: each rank has the gradients of its tower, and both have the same of the last layer."""

    def close(self) -> None:
        """Do nothing: there is nothing in the background."""

    def collect(self) -> None:
        """Get the other tower's weights and what the optimiser keeps of them."""
        towers = self._in_order(*list(self.towers)[:2])
        mine, theirs = ([*tower.parameters(), *tower.buffers()] for tower in towers)
        for own, other in zip(mine, theirs, strict=True):
            other.data = self._swapped(own.data)
            if own in self.optimizer.state:
                kept = self.optimizer.state[own]
                self.optimizer.state[other] = {name: self._swapped(value) for name, value in kept.items()}

    def _swapped(self, value: Any) -> Any:
        if isinstance(value, int):
            return value
        return to_device(self.team.swap(np.asarray(asnumpy(value)), 1 - self.team.rank), self.network.device)

    def _in_order(self, mine: Any, other: Any) -> Any:
        """Return a pair with the first tower's first; or, of the two in order, mine first."""
        return (mine, other) if self.team.rank == 0 else (other, mine)
