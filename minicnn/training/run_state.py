"""The state of a training run: built from a recipe and images, or read from a checkpoint when the run is resumed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from minicnn import models
from minicnn.arguments import number, whole
from minicnn.backend import generator, manual_seed
from minicnn.data import Preparation, pixel_statistics
from minicnn.data.sources import Parts
from minicnn.models import Network
from minicnn.optim import SGD, MultiStepLR
from minicnn.training.checkpoint import CheckpointError, SavedTraining
from minicnn.training.environment import machine, versions
from minicnn.training.fine_tuning import freeze_layers, start_from
from minicnn.training.loop import EpochProgress, TrainingError
from minicnn.training.progress import say
from minicnn.training.recipe import Recipe, reported_as
from minicnn.training.schedule import Plateau

__all__ = ["Row", "RunState", "reading_checkpoint", "resumed_recipe", "saved_threads"]

Row = dict[str, Any]

MAX_THREADS = 1024  # a checkpoint that asks for more was not written by a run


@dataclass(eq=False)
class RunState:
    """Everything that training changes or that a checkpoint needs in order to resume it.

    Attributes
    ----------
    recipe : Recipe
        The settings.
    network, preparation, classes
        What :func:`minicnn.training.save_model` saves.
    colour : ndarray, (3, 3)
        Principal components of the training set's colours, for augmentation.
    optimizer, schedule
        With their own state.
    checksums : dict
        Of the training and the validation images (None without validation).
    loading : mapping
        How the images were loaded.
    epoch : int
        The current or next epoch, from 1.
    progress : EpochProgress or None
        The counts of the current epoch so far.
    rows : list of dict
        The log, one row for each finished epoch.
    best : dict or None
        The epoch with the lowest validation error, and that error; without validation the last epoch, and None.
    start : dict or None
        The layers that were taken from another checkpoint, made anew and frozen.
    """

    recipe: Recipe
    network: Network
    preparation: Preparation
    classes: tuple[str, ...]
    colour: NDArray[np.floating[Any]]
    optimizer: SGD
    schedule: Plateau | MultiStepLR
    checksums: dict[str, str | None]
    loading: Mapping[str, Any]
    epoch: int = 1
    progress: EpochProgress | None = None
    rows: list[Row] = field(default_factory=list)
    best: dict[str, Any] | None = None
    start: dict[str, Any] | None = None

    @classmethod
    def begin(cls, recipe: Recipe, parts: Parts, loading: Mapping[str, Any]) -> Self:
        """Return the state before the first step.

        Raises
        ------
        TrainingError
            If a setting is out of range, or the network has fewer outputs than the data has classes.
        """
        outputs = recipe.config["num_classes"]
        if outputs < len(parts.classes):
            raise TrainingError(
                f"train: num_classes must be at least {len(parts.classes)}, the classes of {recipe.data}, got {outputs}"
            )
        unused = (f"(output {index}, unused)" for index in range(len(parts.classes), outputs))
        statistics = pixel_statistics(parts.train.images)
        manual_seed(recipe.seed)
        with reported_as(TrainingError):
            network, start = models.build(recipe.config), None
            if recipe.weights is None:
                preparation = Preparation.of(statistics, recipe.crop, recipe.inputs)
            else:
                preparation, start = start_from(network, recipe)
            optimizer, schedule = recipe.optimizer(network)
        return cls(
            recipe,
            network,
            preparation,
            (*parts.classes, *unused),
            statistics.components,
            optimizer,
            schedule,
            _checksums(parts),
            loading,
            start=start,
        )

    @classmethod
    def resume(
        cls, recipe: Recipe, parts: Parts, loading: Mapping[str, Any], saved: SavedTraining, folder: Path
    ) -> Self:
        """Return the state that a checkpoint holds, and restore the random generator.

        Raises
        ------
        TrainingError
            If the images are not the same as before.
        CheckpointError
            If the checkpoint contradicts itself.
        """
        with reading_checkpoint(folder):
            progress, checksums = saved.progress, _checksums(parts)
            wrong = [
                f"the {part} images are not the same as before"
                for part, checksum in checksums.items()
                if checksum != progress["checksums"][part]
            ]
            _refuse(folder, wrong)
            _warn_of_changes(progress["environment"])
            network = saved.model.network
            freeze_layers(network, recipe.freeze)
            optimizer, schedule = recipe.optimizer(network)
            optimizer.load_state_dict(saved.optimizer)
            schedule.load_state_dict(progress["schedule"])
            generator().bit_generator.state = progress["random"]
            state = cls(
                recipe,
                network,
                saved.model.preparation,
                saved.model.classes,
                np.array(progress["colour"]),
                optimizer,
                schedule,
                checksums,
                loading,
                whole("checkpoint", "epoch", progress["epoch"], 1),
                rows=progress["rows"],
                start=progress["start"],
            )
            if state.epoch != len(state.rows) + 1:
                raise ValueError(f"it is in epoch {state.epoch}, with {len(state.rows)} epochs in its log")
            if state.rows:
                state.best = _checked_best(progress["best"], recipe)
            if progress["progress"] is not None:
                state.progress = EpochProgress(**progress["progress"])
                whole("checkpoint", "images", state.progress.images, 1)
                whole("checkpoint", "steps", state.progress.steps, 1)
            return state

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or the schedule has ended training."""
        over = isinstance(self.schedule, Plateau) and self.schedule.finished
        return over or self.epoch > self.recipe.epochs

    def as_dict(self) -> dict[str, Any]:
        """Return the progress part of a checkpoint."""
        return {
            "recipe": self.recipe.as_dict(),
            "checksums": self.checksums,
            **self.loading,
            "environment": _environment(),
            "epoch": self.epoch,
            "progress": None if self.progress is None else asdict(self.progress),
            "schedule": self.schedule.state_dict(),
            "random": generator().bit_generator.state,
            "colour": self.colour.tolist(),
            "rows": self.rows,
            "best": self.best,
            "start": self.start,
        }


def resumed_recipe(
    saved: SavedTraining,
    folder: Path,
    model: str | None,
    data: str | None,
    switches: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> Recipe:
    """Return the recipe of a checkpoint with its new number of epochs.

    Raises
    ------
    TrainingError
        If anything else differs.
    CheckpointError
        If the checkpoint contradicts itself.
    """
    with reading_checkpoint(folder):
        recipe = Recipe.from_dict(saved.progress["recipe"])
        done = whole("checkpoint", "epoch", saved.progress["epoch"], 1) - 1
    wrong = recipe.differences(model, switches, settings)
    epochs = settings.get("epochs", recipe.epochs)
    if epochs < done:
        wrong.append(f"{done} epochs are done and epochs is {epochs} now")
    _refuse(folder, wrong)
    with reported_as(TrainingError):  # a folder may have moved: checksums show later whether its images are the same
        return replace(recipe, epochs=epochs, data=data or recipe.data)


def saved_threads(saved: SavedTraining) -> int:
    """Return the number of threads that a checkpoint was computed with; ValueError if it makes no sense."""
    threads = whole("checkpoint", "threads", saved.progress["environment"]["threads"], 1)
    if threads > MAX_THREADS:
        raise ValueError(f"checkpoint: threads must be at most {MAX_THREADS}, got {threads}")
    return threads


@contextmanager
def reading_checkpoint(folder: Path) -> Iterator[None]:
    """Raise every error in the progress part of a checkpoint as a CheckpointError."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise CheckpointError(f"{folder}: its newest checkpoint cannot be used: {what}") from error


def _checked_best(best: Mapping[str, Any], recipe: Recipe) -> dict[str, Any]:
    error = best["validation_error"]
    if recipe.validation or error is not None:
        error = number("checkpoint", "validation_error", error)
    return {"epoch": whole("checkpoint", "best", best["epoch"], 1), "validation_error": error}


def _checksums(parts: Parts) -> dict[str, str | None]:
    validation = None if parts.validation is None else parts.validation.checksum()
    return {"train": parts.train.checksum(), "validation": validation}


def _refuse(folder: Path, wrong: Sequence[str]) -> None:
    if wrong:
        raise TrainingError(
            f"the run in {folder} cannot be resumed: {'; '.join(wrong)}. "
            "Repeat its settings, or choose another folder with --out"
        )


def _environment() -> dict[str, Any]:
    """Return everything that the last bits of the results depend on."""
    here = machine()
    names = ("threads", "kernels", "processor", "device", "gpu", "cuda", "cupy", "tf32")
    return versions() | {name: here[name] for name in names if name in here}


def _warn_of_changes(environment: Mapping[str, Any]) -> None:
    before = {"device": "cpu", **environment}
    for name, now in _environment().items():
        if before.get(name) != now:
            say(f"{name} was {before.get(name)} and is {now} now: the numbers may differ in their last bits")
