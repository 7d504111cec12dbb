"""The progress of a run: a bar in a terminal or notebook, and for each epoch a line and a row of the log."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from tqdm.auto import tqdm

from minicnn.training.evaluation import Evaluation
from minicnn.training.loop import EpochProgress

__all__ = ["RunProgress", "log_row", "say", "shows_bar"]


def say(text: str) -> None:
    """Print a line to stderr, above any bar; nothing where it is closed, for which Python has None."""
    if sys.stderr is not None:
        with _while_there_is_a_terminal():
            tqdm.write(text, file=sys.stderr)


@contextmanager
def _while_there_is_a_terminal() -> Iterator[None]:
    """Ignore that a terminal is gone: a run that is told so by SIGHUP still has to save its step."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EIO:
            raise


def shows_bar() -> bool:
    """Return whether bars are visible: in a terminal, and in a notebook, whose output is not a terminal."""
    return sys.stderr is not None and (sys.stderr.isatty() or "ipykernel" in sys.modules)


class RunProgress:
    """The progress of one run, for a ``with`` statement.

    Parameters
    ----------
    name : str
        The run's name.
    epochs : int
        Its maximum number of epochs.
    done : int
        How many of them were done earlier.
    images : int
        Images in an epoch.
    ahead : int
        Images of the next epoch that were done earlier as well.
    """

    def __init__(self, name: str, epochs: int, done: int, images: int, ahead: int = 0) -> None:
        self.name, self.epochs, self.images = name, epochs, images
        self.shows_bar = shows_bar()
        self.bar = tqdm(
            desc=name,
            total=epochs * images,
            initial=done * images + ahead,
            unit=" images",
            unit_scale=True,
            disable=not self.shows_bar,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with _while_there_is_a_terminal():
            self.bar.close()

    def after_step(self, progress: EpochProgress) -> None:
        """Move the bar."""
        if self.shows_bar:
            error = f"error {100 * progress.error:.1f} %"
            text = f"epoch {progress.epoch}/{self.epochs}, loss {progress.loss:.3f}, {error}"
            self.bar.set_postfix_str(text, refresh=False)
            with _while_there_is_a_terminal():
                self.bar.update((progress.epoch - 1) * self.images + progress.images - self.bar.n)

    def after_epoch(self, progress: EpochProgress, more: str = "") -> None:
        """Print the epoch's line, with `more` at its end."""
        say(
            f"{self.name}, epoch {progress.epoch}/{self.epochs}: error {100 * progress.error:.1f} %, "
            f"loss {progress.loss:.3f}, {progress.images_per_second:,.0f} images/s{more}"
        )


def log_row(result: EpochProgress, validated: Evaluation | None, lr: float) -> dict[str, Any]:
    """Return an epoch's row of the log; its training errors are running ones."""
    error, top5_error, loss, seconds = None, None, None, result.seconds
    if validated is not None:
        error, top5_error, loss = validated.error, validated.top5_error, round(validated.loss, 6)
        seconds += validated.seconds
    return {
        "epoch": result.epoch,
        "lr": lr,
        "train_error": result.error,
        "train_top5_error": result.top5_error,
        "train_loss": round(result.loss, 6),
        "validation_error": error,
        "validation_top5_error": top5_error,
        "validation_loss": loss,
        "seconds": round(seconds, 3),
        "images_per_second": round(result.images_per_second, 1),
    }
