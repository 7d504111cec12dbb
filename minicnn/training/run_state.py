"""The state of a training run: built from a recipe and images, or read from a checkpoint when the run is resumed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import PIL
from numpy.typing import NDArray

from minicnn import models
from minicnn.arguments import number, whole
from minicnn.backend import generator, get_default_device, manual_seed, set_default_device, set_num_threads
from minicnn.data import Preparation, pixel_statistics
from minicnn.data.sources import NAMES, Parts
from minicnn.distributed import Team
from minicnn.models import Network
from minicnn.optim import SGD, OneCycleLR
from minicnn.training.checkpoint import CheckpointError, SavedTraining
from minicnn.training.environment import machine, versions
from minicnn.training.fine_tuning import freeze_layers, start_from
from minicnn.training.loop import EpochProgress, TrainingError
from minicnn.training.progress import say
from minicnn.training.recipe import Recipe, Schedule, reported_as
from minicnn.training.schedule import Plateau

__all__ = ["Row", "RunState"]

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
    environment : dict
        The versions and the machine of the checkpoint that the run was resumed from; of a new run, empty.
    start : dict or None
        The layers that were taken from another checkpoint, made anew and frozen.
    """

    recipe: Recipe
    network: Network
    preparation: Preparation
    classes: tuple[str, ...]
    colour: NDArray[np.floating[Any]]
    optimizer: SGD
    schedule: Schedule
    checksums: dict[str, str | None]
    loading: Mapping[str, Any]
    epoch: int = 1
    progress: EpochProgress | None = None
    rows: list[Row] = field(default_factory=list)
    best: dict[str, Any] | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
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
            optimizer = recipe.optimizer(network)
            schedule = recipe.scheduled(optimizer, len(parts.train.labels))
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
        cls,
        saved: SavedTraining,
        path: Path,
        model: str | None,
        data: str | None,
        switches: Mapping[str, Any],
        settings: Mapping[str, Any],
        same_threads: bool,
        same_device: bool,
    ) -> Self:
        """Return the state that the checkpoint at `path` holds, and restore the random generator.

        Parameters
        ----------
        saved, path
            The checkpoint.
        model, data, switches, settings
            What the user gives now.
        same_threads, same_device
            Whether to compute on as many cores, and on the device, as before.

        Raises
        ------
        TrainingError
            If any setting but the number of epochs differs.
        CheckpointError
            If anything in the checkpoint is wrong.
        """
        recipe = _resumed_recipe(saved, path, model, data, switches, settings)
        with _reading(path):
            progress, network, preparation = saved.progress, saved.model.network, saved.model.preparation
            if (preparation.size, preparation.crop) != (recipe.size, recipe.crop):
                raise ValueError("its recipe has images of another size than its preparation")
            if same_threads:
                set_num_threads(_saved_threads(saved))
            if same_device:
                set_default_device(_saved_device(saved))
            network.to(get_default_device())
            checksums = {part: progress["checksums"][part] for part in ("train", "validation")}
            loading = _checked_loading(progress)
            freeze_layers(network, recipe.freeze)
            optimizer = recipe.optimizer(network)
            schedule = recipe.scheduled(optimizer, images=1)  # which sets the rate that the optimiser's state replaces
            optimizer.load_state_dict(saved.optimizer)
            schedule.load_state_dict(progress["schedule"])
            generator().bit_generator.state = progress["random"]
            state = cls(
                recipe,
                network,
                preparation,
                saved.model.classes,
                _checked_colour(progress["colour"]),
                optimizer,
                schedule,
                checksums,
                loading,
                whole("checkpoint", "epoch", progress["epoch"], 1),
                rows=progress["rows"],
                start=_checked_start(progress["start"], recipe),
            )
            if state.rows:
                state.best = _checked_best(progress["best"], recipe, len(state.rows))
            if progress["progress"] is not None:
                state.progress = _checked_progress(progress["progress"], state.epoch)
            state.environment = {"device": "cpu", **progress["environment"]}
            return state

    def go_on_with(self, parts: Parts, loading: Mapping[str, Any], folder: Path, accept_changed_images: bool) -> None:
        """Refuse or accept other images than before, and warn of everything else that has changed.

        Raises
        ------
        TrainingError
            If the images are not the same as before and this is not accepted, or the classes are not the same.
        """
        checksums = _checksums(parts)
        wrong = [
            f"the {part} images are not the same as before"
            for part, checksum in checksums.items()
            if checksum != self.checksums[part]
        ]
        if parts.classes != self.classes[: len(parts.classes)]:
            _refuse(folder, ["the classes are not the same as before"])
        if wrong and not accept_changed_images:
            raise TrainingError(
                f"the run in {folder} cannot be resumed: {'; '.join(wrong)}. "
                "Restore them, or continue with these by --accept-changed-images"
            )
        for line in wrong:
            say(f"{line}: errors before and after epoch {self.epoch} are not of the same images")
            self.progress = None  # the epoch begins again
        _warn_of_changes(self.environment, _environment(self.recipe))
        self.checksums, self.loading = checksums, loading
        if isinstance(self.schedule, OneCycleLR):  # as in a run that had these epochs and images from the beginning
            images = len(parts.train.labels)
            done = (self.epoch - 1) * self.recipe.steps(images) + (self.progress.steps if self.progress else 0)
            self.schedule = self.recipe.scheduled(self.optimizer, images, done)

    def check_alike(self, team: Team) -> None:
        """Refuse to train with ranks that have another version, other images, settings or weights than rank 0."""
        weights = 0
        for array in self.network.state_dict().values():
            weights = zlib.crc32(np.ascontiguousarray(array).data, weights)
        team.check_alike(versions=versions(), images=self.checksums, recipe=self.recipe.as_dict(), weights=weights)

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
            "environment": _environment(self.recipe),
            "epoch": self.epoch,
            "progress": None if self.progress is None else asdict(self.progress),
            "schedule": self.schedule.state_dict(),
            "random": generator().bit_generator.state,
            "colour": self.colour.tolist(),
            "rows": self.rows,
            "best": self.best,
            "start": self.start,
        }


def _resumed_recipe(
    saved: SavedTraining,
    path: Path,
    model: str | None,
    data: str | None,
    switches: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> Recipe:
    """Return the recipe of the checkpoint at `path` with its new number of epochs.

    Raises
    ------
    TrainingError
        If anything else differs.
    CheckpointError
        If the checkpoint contradicts itself.
    """
    with _reading(path):
        recipe = Recipe.from_dict(saved.progress["recipe"])
        done = whole("checkpoint", "epoch", saved.progress["epoch"], 1) - 1
        rows = _checked_rows(saved.progress["rows"])
        if done != len(rows):
            raise ValueError(f"it is in epoch {done + 1}, with {len(rows)} epochs in its log")
    wrong = recipe.differences(model, switches, settings)
    epochs = settings.get("epochs", recipe.epochs)
    if epochs < done:
        wrong.append(f"{done} epochs are done and epochs is {epochs} now")
    _refuse(path.parent, wrong)
    with reported_as(TrainingError):  # a folder may have moved: checksums show later whether its images are the same
        return replace(recipe, epochs=epochs, data=data or recipe.data)


def _saved_threads(saved: SavedTraining) -> int:
    """Return the number of threads that a checkpoint was computed with; ValueError if it makes no sense."""
    threads = whole("checkpoint", "threads", saved.progress["environment"]["threads"], 1)
    if threads > MAX_THREADS:
        raise ValueError(f"checkpoint: threads must be at most {MAX_THREADS}, got {threads}")
    return threads


def _saved_device(saved: SavedTraining) -> str:
    device = saved.progress["environment"].get("device", "cpu")
    if not isinstance(device, str) or not device.startswith(("cpu", "cuda")):
        raise TypeError(f"checkpoint: device must be cpu or cuda:N, got {device!r}")
    return device


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raise every error in the progress part of a checkpoint as a CheckpointError."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise CheckpointError(f"{path} cannot be used: {what}") from error


def _checked_rows(rows: Any) -> list[Row]:
    if not isinstance(rows, list) or not all(isinstance(row, dict) and set(row) == set(rows[0]) for row in rows):
        raise ValueError("its log must have rows of the same columns")
    for row in rows:
        whole("checkpoint", "epoch", row["epoch"], 1)
        for name, value in row.items():
            if value is not None or not name.startswith("validation"):  # there may be no validation
                number("checkpoint", name, value)
    return rows


def _checked_progress(counts: Mapping[str, Any], epoch: int) -> EpochProgress:
    progress = EpochProgress(**counts)
    for name, minimum in (("steps", 1), ("images", 1), ("wrong", 0), ("wrong_top5", 0)):
        whole("checkpoint", name, getattr(progress, name), minimum)
    for name in ("summed_loss", "seconds"):
        number("checkpoint", name, getattr(progress, name))
    if progress.epoch != epoch:
        raise ValueError(f"it is in epoch {epoch}, and its counts are of epoch {progress.epoch}")
    return progress


def _checked_best(best: Mapping[str, Any], recipe: Recipe, done: int) -> dict[str, Any]:
    error = best["validation_error"]
    if recipe.validation or error is not None:
        error = number("checkpoint", "validation_error", error)
    epoch = whole("checkpoint", "best", best["epoch"], 1)
    if epoch > done:
        raise ValueError(f"its best epoch is {epoch}, of {done}")
    return {"epoch": epoch, "validation_error": error}


def _checked_colour(colour: Any) -> NDArray[np.floating[Any]]:
    components = np.array(colour, np.float64)
    if components.shape != (3, 3) or not np.isfinite(components).all():
        raise ValueError(f"colour must be 3 finite components of 3 numbers, got {colour!r}")
    return components


def _checked_loading(progress: Mapping[str, Any]) -> dict[str, Any]:
    data_dir, skip_bad = progress["data_dir"], progress["skip_bad"]
    if data_dir is not None and not isinstance(data_dir, str):
        raise TypeError(f"checkpoint: data_dir must be a path, got {data_dir!r}")
    if not isinstance(skip_bad, bool):
        raise TypeError(f"checkpoint: skip_bad must be true or false, got {skip_bad!r}")
    return {"data_dir": data_dir, "skip_bad": skip_bad}


def _checked_start(start: Any, recipe: Recipe) -> dict[str, Any] | None:
    if recipe.weights is None and start is None:
        return None
    lists = ("taken", "made_anew", "frozen")
    if not isinstance(start, dict) or set(start) != {"weights", *lists} or start["weights"] != recipe.weights:
        raise ValueError(f"checkpoint: start must say what was taken from {recipe.weights}, got {start!r}")
    for name in lists:
        if not isinstance(start[name], list) or not all(isinstance(layer, str) for layer in start[name]):
            raise TypeError(f"checkpoint: {name} must be names of layers, got {start[name]!r}")
    return start


def _checksums(parts: Parts) -> dict[str, str | None]:
    validation = None if parts.validation is None else parts.validation.checksum()
    return {"train": parts.train.checksum(), "validation": validation}


def _refuse(folder: Path, wrong: Sequence[str]) -> None:
    if wrong:
        raise TrainingError(
            f"the run in {folder} cannot be resumed: {'; '.join(wrong)}. "
            "Repeat its settings, or choose another folder with --out"
        )


def _environment(recipe: Recipe) -> dict[str, Any]:
    """Return everything that the last bits of the results depend on."""
    here = machine() if recipe.data in NAMES else machine() | {"pillow": PIL.__version__}
    names = ("threads", "kernels", "processor", "device", "gpu", "cuda", "cupy", "tf32", "pillow")
    return versions() | {name: here[name] for name in names if name in here}


def _warn_of_changes(environment: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    before = {"device": "cpu", **environment}
    for name, now in here.items():
        if before.get(name) != now:
            say(f"{name} was {before.get(name)} and is {now} now: the numbers may differ in their last bits")
