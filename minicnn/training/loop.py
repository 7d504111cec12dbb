"""One epoch of training: forward pass, backward pass and update for each batch, and the running error and loss.

A GPU runs asynchronously: Python queues work faster than the GPU does it. Reading a loss waits until the queue is
empty, and then the GPU is idle until more work arrives. So on a GPU the losses of several steps are read at once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn import functional as F
from minicnn.arguments import whole
from minicnn.autograd import Tensor
from minicnn.backend import asnumpy, staged, to_device
from minicnn.errors import MinicnnError
from minicnn.grad_mode import no_grad
from minicnn.nn import BatchNormLayer, Module
from minicnn.optim import LRScheduler, Optimizer
from minicnn.tracing import trace
from minicnn.training.metrics import count_wrong

__all__ = ["EpochProgress", "TrainingError", "train_epoch"]

READ_EVERY = {"cpu": 1, "cuda": 16}  # steps


class TrainingError(MinicnnError):
    """Training cannot continue; the message says where it stopped, and what may help."""


class DivergedError(TrainingError):
    """A loss, an output or a parameter of a network is infinite or NaN."""


@dataclass(frozen=True)
class EpochProgress:
    """The counts of an epoch so far.

    Error and loss are *running* ones: each batch is evaluated just before its own update.

    Attributes
    ----------
    epoch : int
        The epoch, counted from 1.
    steps : int
        Batches so far.
    images : int
        Images so far.
    wrong : int
        How many of them were misclassified.
    wrong_top5 : int
        For how many of them the right class was not among the five highest scores.
    summed_loss : float
        The sum of their cross-entropies, in nats.
    seconds : float
        Since the epoch began.
    """

    epoch: int
    steps: int
    images: int
    wrong: int
    wrong_top5: int
    summed_loss: float
    seconds: float

    @property
    def error(self) -> float:
        """The share of misclassified images, 0 to 1."""
        return self.wrong / self.images

    @property
    def top5_error(self) -> float:
        """The share of images whose class was not among the five highest scores, 0 to 1."""
        return self.wrong_top5 / self.images

    @property
    def loss(self) -> float:
        """The mean cross-entropy, in nats."""
        return self.summed_loss / self.images

    @property
    def images_per_second(self) -> float:
        """The speed so far."""
        return self.images / self.seconds if self.seconds > 0 else 0.0


def train_epoch(
    model: Module,
    optimizer: Optimizer,
    loader: Iterable[tuple[Any, Any]],
    *,
    epoch: int = 1,
    after_step: Callable[[EpochProgress], object] | None = None,
    before: EpochProgress | None = None,
    read_every: int | None = None,
    schedule: LRScheduler | None = None,
) -> EpochProgress:
    """Train on every batch of `loader` once.

    Parameters
    ----------
    model : Module
        Takes images and returns scores of shape (N, classes). It is set to training mode.
    optimizer : Optimizer
        Of the model's parameters.
    loader : iterable of (images, labels)
        Batches: arrays of shape (N, ...) and (N,).
    epoch : int
        The number of this epoch, for messages and the result.
    after_step : callable, optional
        Called with the :class:`EpochProgress` so far whenever losses were read. An exception that it raises ends the
        epoch.
    before : EpochProgress, optional
        The counts of the epoch's first batches, if `loader` has only the rest.
    read_every : int, optional
        Read losses every this many steps: by default 1, on a GPU 16, because reading waits for it.
    schedule : LRScheduler, optional
        Changes the learning rate after every step, such as :class:`minicnn.optim.OneCycleLR`.

    Returns
    -------
    EpochProgress
        The running error and loss of the whole epoch.

    Raises
    ------
    DivergedError
        If a loss is infinite or NaN. The parameters are those before that batch; if losses are read less often than
        every step, those after the last step.
    ValueError
        If `loader` has no batch, and none came before, or a label is not a class.
    """
    usual = READ_EVERY[model.device.partition(":")[0]]
    every = usual if read_every is None else whole("train_epoch", "read_every", read_every, 1)
    training_mode(model)
    progress = before or EpochProgress(epoch, steps=0, images=0, wrong=0, wrong_top5=0, summed_loss=0.0, seconds=0.0)
    start = time.perf_counter() - progress.seconds
    unread: list[tuple[Any, Any, Any]] = []  # labels, scores and loss of the last steps

    def read() -> None:
        nonlocal progress
        for labels, scores, loss in unread:
            value, labels = loss.item(), asnumpy(labels)
            if not math.isfinite(value):
                _check_labels(labels, scores.shape[1])
                why = f"losses are read after every {every} steps"
                raise not_finite(value, optimizer, why, epoch, progress.steps + 1)
            wrong, wrong_top5 = count_wrong(asnumpy(scores), labels)
            progress = EpochProgress(
                epoch,
                steps=progress.steps + 1,
                images=progress.images + len(labels),
                wrong=progress.wrong + wrong,
                wrong_top5=progress.wrong_top5 + wrong_top5,
                summed_loss=progress.summed_loss + value * len(labels),
                seconds=time.perf_counter() - start,
            )
        unread.clear()
        if after_step is not None:
            after_step(progress)

    for images, labels in staged(loader, model.device):
        # An overflow shows up in the loss, and one clear error says more than a dozen of NumPy's warnings.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            scores, loss = _scores_and_loss(model, images, labels)
            if every == 1 and not math.isfinite(loss.item()):
                _check_labels(asnumpy(labels), scores.shape[1])
                value = loss.item()
                del scores, loss  # finding the origin takes as much memory again
                raise not_finite(value, optimizer, _origin(model, images, labels), epoch, progress.steps + 1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if schedule is not None:
                schedule.step()
        unread.append((labels, scores.data, loss.data))
        del scores, loss
        if len(unread) == every:
            read()
    if unread:
        read()
    if progress.steps == 0:
        raise ValueError("train_epoch: loader must hold at least one batch, got none")
    return progress


def training_mode(model: Module) -> None:
    """Set a network to training mode, except for what is frozen."""
    model.train()
    for layer in model.modules():
        if isinstance(layer, BatchNormLayer) and layer.weight is not None and not layer.weight.requires_grad:
            layer.eval()  # it is frozen: its running statistics, too, are to stay as they are


def _scores_and_loss(model: Module, images: Any, labels: Any) -> tuple[Tensor, Tensor]:
    """Run the model on a batch, which may be on another device."""
    scores = model(Tensor(to_device(images, model.device)))
    return scores, F.cross_entropy(scores, to_device(labels, model.device))


def not_finite(loss: float, optimizer: Optimizer, origin: str, epoch: int, step: int) -> DivergedError:
    """Return the error of a loss that is infinite or NaN, and what `origin` says of where it came from."""
    rates = ", ".join(f"{group['lr']:g}" for group in optimizer.param_groups)
    return DivergedError(
        f"the loss is {loss} in epoch {epoch}, step {step} ({origin}). Try a lower learning rate than {rates}"
    )


def _check_labels(labels: Any, classes: int) -> None:
    """Raise ValueError for a label out of range: on a GPU, its loss is NaN."""
    for label in labels:
        if not 0 <= label < classes:
            raise ValueError(f"train_epoch: labels must lie between 0 and {classes - 1}, got {int(label)}")


def _origin(model: Module, images: Any, labels: Any) -> str:
    """Say where the first number that is not finite came from, by computing the loss again with a trace."""

    def finite(array: Any) -> bool:
        return array.dtype.kind != "f" or bool(np.isfinite(asnumpy(array)).all())

    if not finite(images):
        return "first in the input images"
    for name, parameter in model.named_parameters():
        if not finite(parameter.data):
            return f"first in the parameter {name}"
    with no_grad(), trace() as seen:
        _scores_and_loss(model, images, labels)
    for step in seen.forward_steps():
        if not finite(step.output):
            return f"first in the output of {step.name} {step.layer}".rstrip()
    return "not found again: dropout drew other units"
