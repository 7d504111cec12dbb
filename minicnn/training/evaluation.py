"""The error of a trained network on a validation or test set, and its class probabilities for single images."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from minicnn import functional as F
from minicnn.autograd import Tensor
from minicnn.backend import asnumpy, to_device
from minicnn.data import Loader, Preparation
from minicnn.data.loader import Images
from minicnn.distributed import Team
from minicnn.grad_mode import no_grad
from minicnn.nn import Module
from minicnn.training.loop import DivergedError
from minicnn.training.metrics import count_wrong

__all__ = ["Evaluation", "evaluate", "probabilities"]

OUTPUTS_NOT_FINITE = (
    "the network's outputs are infinite or NaN: its training has diverged, which a lower learning rate prevents"
)
BATCH_SIZE = 128  # in crops, so that ten of each image take no more memory


@dataclass(frozen=True)
class Evaluation:
    """The result of :func:`evaluate`.

    Attributes
    ----------
    images : int
        The number of images.
    error : float
        The share of misclassified images, 0 to 1.
    top5_error : float
        The share whose class was not among the five most likely ones.
    loss : float
        The mean cross-entropy, in nats; NaN if an output of the network is infinite or NaN.
    seconds : float
        How long it took.
    """

    images: int
    error: float
    top5_error: float
    loss: float
    seconds: float

    @property
    def images_per_second(self) -> float:
        """The speed."""
        return self.images / self.seconds

    def finite(self, what: str) -> Self:
        """Return this result; DivergedError if its loss, called `what`, is infinite or NaN."""
        if not math.isfinite(self.loss):
            raise DivergedError(f"{what} is {self.loss}: {OUTPUTS_NOT_FINITE}")
        return self

    def __str__(self) -> str:
        return (
            f"error {100 * self.error:.2f} %, top-5 error {100 * self.top5_error:.2f} %, loss {self.loss:.4f} "
            f"({self.images:,} images, {self.images_per_second:,.0f} images/s)"
        )


def evaluate(
    network: Module,
    preparation: Preparation,
    images: Images,
    labels: NDArray[Any],
    ten_crop: bool = False,
    workers: int = 0,
    after_batch: Callable[[int], object] | None = None,
    team: Team | None = None,
) -> Evaluation:
    """Measure the error and the loss of a network.

    Parameters
    ----------
    network : Module
        Takes images and returns scores of shape (N, classes). It is in evaluation mode meanwhile.
    preparation : Preparation
        How images are prepared for it.
    images : ndarray of uint8 or ImageFolder, (N, 3, size, size)
        At least one image.
    labels : ndarray of int, (N,)
        Their classes.
    ten_crop : bool
        Average the probabilities over ten crops of each image instead of using the centre crop.
    workers : int
        Threads that read and prepare images ahead.
    after_batch : callable, optional
        Called after each batch with its number of images. An exception that it raises ends the evaluation.
    team : Team, optional
        Processes that share the images: each batch is larger by their number, and each takes its rows of it.

    Returns
    -------
    Evaluation

    Raises
    ------
    ValueError
        If there is no image, images have the wrong size, or their number is not that of the labels.

    References
    ----------
    Krizhevsky et al. 2012, section 4.1 (ten crops), 6 (top-1 and top-5 error rates).
    """

    def prepare(batch: NDArray[Any], rng: np.random.Generator) -> NDArray[np.float32]:
        return preparation.ten_crops(batch) if ten_crop else preparation.prepare(batch)

    start = time.perf_counter()
    team = team or Team()
    wrong, wrong_top5, summed_loss = 0, 0, 0.0
    batch_size = (max(1, BATCH_SIZE // 10) if ten_crop else BATCH_SIZE) * team.size
    loader = Loader(images, labels, batch_size, shuffle=False, transform=prepare, workers=workers, rows=team.rows)
    training = network.training
    network.eval()
    try:
        for number, (batch, its_labels) in enumerate(loader):
            if len(its_labels):  # of the last batch a rank may have no image
                likely = _probabilities(network, batch)
                found = count_wrong(likely, its_labels)
                wrong, wrong_top5 = wrong + found[0], wrong_top5 + found[1]
                # A probability of 0 in float32 stands for any number below 1e-45.
                own = likely[np.arange(len(likely)), its_labels]
                summed_loss -= float(np.log(np.maximum(own, np.finfo(np.float64).tiny)).sum())
            if after_batch is not None:
                after_batch(loader.images_in(number))
    finally:
        network.train(training)
    N = len(labels)
    if team.size > 1:
        wrong, wrong_top5, summed_loss = team.total(np.array([wrong, wrong_top5, summed_loss])).tolist()
    return Evaluation(N, wrong / N, wrong_top5 / N, summed_loss / N, time.perf_counter() - start)


def probabilities(
    network: Module, preparation: Preparation, images: NDArray[np.uint8], ten_crop: bool = False
) -> NDArray[np.float64]:
    """Return the network's probability of each class for each image.

    Parameters
    ----------
    network, preparation, ten_crop
        As for :func:`evaluate`.
    images : ndarray of uint8, (N, 3, size, size)

    Returns
    -------
    ndarray of float64, (N, classes)
        Each row adds up to 1.

    Raises
    ------
    DivergedError
        If the network's outputs are infinite or NaN.
    """
    training = network.training
    network.eval()
    try:
        likely = _probabilities(network, preparation.ten_crops(images) if ten_crop else preparation.prepare(images))
    finally:
        network.train(training)
    if not np.isfinite(likely).all():
        raise DivergedError(OUTPUTS_NOT_FINITE)
    return likely


def _probabilities(network: Module, images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (N, classes) for (N, 3, H, W); for (N, crops, 3, H, W) the means over the crops."""
    crops = images.reshape(-1, *images.shape[-3:])  # (N * crops, 3, H, W)
    with no_grad(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        scores = asnumpy(network(Tensor(to_device(crops, network.device))).data).astype(np.float64)
        likely = asnumpy(F.softmax(Tensor(scores), 1).data)
    if images.ndim == 5:
        likely = likely.reshape(*images.shape[:2], -1).mean(axis=1)
    return likely
