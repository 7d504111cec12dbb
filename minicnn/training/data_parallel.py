"""An epoch of training that several processes do together: each computes its rows of every batch.

It is the loop of loop.py with three differences. Each rank weighs its loss by its share of the batch, so that the sum
of all gradients is that of the whole batch. The sum begins while backward goes on. And before the optimiser's step all
ranks hear the batch's loss and whether anyone wants to stop, so that they go on or leave together.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn import functional as F
from minicnn.autograd import Tensor
from minicnn.backend import asnumpy, staged, to_device, working_on
from minicnn.data import Loader
from minicnn.distributed import Team
from minicnn.gradient_sum import GradientSum
from minicnn.nn import Module
from minicnn.optim import LRScheduler, Optimizer
from minicnn.training.loop import EpochProgress, not_finite, training_mode
from minicnn.training.metrics import count_wrong

__all__ = ["DataParallel"]


class DataParallel:
    """Training by a team whose ranks all hold the whole network, and share each batch.

    Parameters
    ----------
    team : Team
    network : Module
        With the same numbers on all ranks.
    optimizer : Optimizer
        Of the parameters that are trained.

    Attributes
    ----------
    rows : callable
        The rows of a batch that this rank needs, for :class:`minicnn.data.Loader`.
    """

    copies = 1  # how many ranks count each image
    option = "--distributed"  # of the command line

    def __init__(self, team: Team, network: Module, optimizer: Optimizer) -> None:
        self.team, self.network, self.optimizer = team, network, optimizer
        self.rows: Callable[[int], slice] | None = team.rows
        self.gradients = GradientSum(team, self._trained())

    def _trained(self) -> list[Tensor]:
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]

    def step(self, images: Any, labels: Any, count: int) -> tuple[Any, float]:
        """Compute the gradients of a batch of `count` images, of which these are this rank's; leave the rest to finish.

        Returns
        -------
        tuple of (ndarray, float)
            The scores of the images, and the sum of their losses.
        """
        with working_on(self.team.part(count)):
            scores = self.network(Tensor(images))
            loss = F.cross_entropy(scores, labels)
            self.optimizer.zero_grad()
            share = np.asarray(len(labels) / count, loss.dtype)
            for step in loss.backward_steps(to_device(share, loss.device)):
                for parameter in step.finished:
                    self.gradients.ready(parameter)
        return asnumpy(scores.data), loss.item() * len(labels) if len(labels) else 0.0

    def finish(self) -> None:
        """Wait until the gradients are those of the whole batch."""
        self.gradients.finish()

    def close(self) -> None:
        """End what runs in the background."""
        self.gradients.close()

    def collect(self) -> None:
        """Make the network and the optimiser complete on this rank: they always are."""

    def train_epoch(
        self,
        loader: Loader,
        epoch: int,
        before: EpochProgress | None,
        signal: Callable[[], int | None],
        due: Callable[[], bool],
        after_step: Callable[[EpochProgress, int | None, bool], object],
        schedule: LRScheduler | None = None,
    ) -> EpochProgress:
        """Train on every batch once, or on those that are left.

        Parameters
        ----------
        loader : Loader
            Of batches of which it yields :attr:`rows`.
        epoch : int
            From 1.
        before : EpochProgress or None
            The counts of the batches that were done earlier.
        signal : callable
            Returns the number of a signal that has arrived at this rank, or None.
        due : callable
            Returns whether it is time for a checkpoint. Rank 0 decides.
        after_step : callable
            Called on all ranks alike: with the counts so far, with a signal that has arrived at any rank, and with
            whether it is time for a checkpoint.
        schedule : LRScheduler, optional
            Changes the learning rate after every step.

        Returns
        -------
        EpochProgress
            The counts of all ranks.

        Raises
        ------
        DivergedError
            On all ranks, if a loss is not finite.
        """
        training_mode(self.network)
        progress = before or EpochProgress(
            epoch, steps=0, images=0, wrong=0, wrong_top5=0, summed_loss=0.0, seconds=0.0
        )
        start = time.perf_counter() - progress.seconds
        for images, labels in staged(loader.batches(epoch - 1, progress.steps), self.network.device):
            count = loader.images_in(progress.steps)
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                scores, summed_loss = self.step(images, labels, count)
            wrong, wrong_top5 = count_wrong(scores, asnumpy(labels))
            here = signal()
            flags = (here is not None, self.team.is_first and due())
            news = self.team.total(np.array([summed_loss, wrong, wrong_top5, *flags]))
            summed_loss, wrong, wrong_top5 = (news[:3] / self.copies).tolist()
            stopping, saving = news[3:] > 0
            if not math.isfinite(summed_loss):
                origin = f"the batch of all {self.team.size} ranks"
                raise not_finite(summed_loss / count, self.optimizer, origin, epoch, progress.steps + 1)
            self.finish()
            self.optimizer.step()
            if schedule is not None:
                schedule.step()
            progress = EpochProgress(
                epoch,
                steps=progress.steps + 1,
                images=progress.images + count,
                wrong=progress.wrong + int(wrong),
                wrong_top5=progress.wrong_top5 + int(wrong_top5),
                summed_loss=progress.summed_loss + summed_loss,
                seconds=time.perf_counter() - start,
            )
            after_step(progress, agreed(self.team, here) if stopping else None, bool(saving))
        return progress


def agreed(team: Team, signal: int | None) -> int | None:
    """Return a signal that has arrived at any rank, the same on all of them."""
    return max((number for number in team.everyone(signal) if number is not None), default=None)
