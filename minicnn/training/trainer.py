"""Train a network to the end, whatever happens on the way.

The run's folder holds, at any moment, a checkpoint to go on from: the network, the optimiser, how far the epoch is and
what came of it so far, the schedule, and the state of the random numbers. A run that goes on from it computes the same
numbers as one that was never stopped, to the last bit: first weights and dropout come from the generator whose state is
saved, the order of the pictures and what happens to each depend on nothing but seed, epoch and batch, and sums are
added up in an order that only the number of threads decides.

The file reads downwards: a run from the outside; how it begins or goes on; its epochs; its checkpoints; its end.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from minicnn import models
from minicnn.arguments import number, whole
from minicnn.backend import (
    generator,
    get_default_device,
    manual_seed,
    set_default_device,
    set_num_threads,
    to_device,
)
from minicnn.data import Loader, Preparation, pixel_statistics
from minicnn.data.sources import Parts, load_parts
from minicnn.training.checkpoint import (
    CheckpointError,
    SavedTraining,
    load_model,
    save_model,
    save_training,
)
from minicnn.training.environment import machine, versions
from minicnn.training.evaluation import Evaluation, evaluate
from minicnn.training.loop import EpochProgress, TrainingError, train_epoch
from minicnn.training.progress import RunProgress, say
from minicnn.training.recipe import Recipe, refusing
from minicnn.training.run_folder import RunFolder
from minicnn.training.schedule import Plateau
from minicnn.training.stopping import GracefulStop, Stopped

__all__ = ["run"]

MOST_THREADS = 1024  # a file that asks for more was not written by a run

Row = dict[str, Any]
Draw = Callable[[Sequence[Row], Path], object]


def run(
    model: str | None = None,
    data: str | None = None,
    switches: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    data_dir: str | os.PathLike[str] | None = None,
    skip_bad: bool = False,
    cache: bool = False,
    workers: int | None = None,
    threads: int | None = None,
    device: str | None = None,
    checkpoint_minutes: float = 10,
    keep: int = 3,
    draw: Draw | None = None,
) -> dict[str, Any]:
    """Train a network, or go on with its training, and judge it by the test pictures at the end.

    Parameters
    ----------
    model : {"alexnet", "alexnet-cifar", "lenet5", "four-layer"}
        May be left out when a run is resumed, as everything else that the run knows already.
    data : str
        "cifar10", "shapes", or a folder, see :func:`minicnn.data.sources.load_parts`.
    switches : mapping, optional
        Arguments of the model, such as ``{"lrn": False}``.
    settings : mapping, optional
        Settings that differ from the default, see :class:`Recipe`.
    out : path, optional
        The run's folder, ``runs/MODEL-DATA`` by default.
    resume : bool
        Go on with the run that is in the folder. It may have more epochs than before, but else no other settings.
    data_dir, skip_bad, cache
        See :func:`minicnn.data.sources.load_parts`. A run that is resumed remembers the first two.
    workers : int, optional
        How many threads prepare the next batches: by default 2 for a folder, else none. The numbers are the same.
    threads : int, optional
        How many cores to compute on: by default as many as before, else as :func:`minicnn.get_num_threads` says.
    device : str, optional
        What to compute on: "cpu", "cuda", "cuda:0", ...; by default as before, else as
        :func:`minicnn.get_default_device` says. It becomes the default.
    checkpoint_minutes : float
        A checkpoint is written after so many minutes, besides one after each epoch.
    keep : int
        How many of them are kept.
    draw : callable, optional
        ``draw(rows, path)`` draws the log's rows as a picture.

    Returns
    -------
    dict
        What ``result.json`` holds: epochs, errors on validation and test pictures of the network that was best on the
        validation pictures, the recipe, versions and machine.

    Raises
    ------
    TrainingError
        If a setting is out of range or differs from those of the run that is resumed, the folder holds a run and
        `resume` is False, a file cannot be written, or a loss is not finite.
    CheckpointError
        If there is no checkpoint that can be read.
    DataError
        If pictures cannot be found, fetched or read.
    DeviceError
        If CuPy or this GPU is absent.
    Stopped
        After Ctrl-C and SIGTERM, when everything is saved; the message says how to go on.
    """
    given = {name: value for name, value in (settings or {}).items() if value is not None}
    if "lr_drops" in given:
        given["lr_drops"] = tuple(given["lr_drops"])
    switched = {name: value for name, value in (switches or {}).items() if value is not None}
    if keep < 1 or not checkpoint_minutes >= 0:
        raise TrainingError(
            f"train: keep is {keep} and checkpoint_minutes is {checkpoint_minutes}; expected at least 1 and 0"
        )
    if out is None:
        if model is None or data is None:
            raise TrainingError("train: model and data, or the run's folder out, must be given")
        out = Path("runs", f"{model}-{Path(data).name}")
    folder = RunFolder(out)
    with folder.alone():
        if folder.holds_a_run() and not resume:
            raise TrainingError(
                f"{folder.folder} holds a run; go on with it by --resume, or choose another folder with --out"
            )
        saved = folder.newest() if folder.holds_a_run() else None
        if resume and saved is None:
            say(f"There is nothing in {folder.folder} to go on with: this is a new run")
        if saved is None:
            if model is None or data is None:
                raise TrainingError("train: model and data must be given for a new run")
            recipe = Recipe.new(model, data, switched, given)
        else:
            recipe = _recipe_of(saved, folder, model, data, switched, given)
            with _using(folder):
                data_dir, skip_bad = data_dir or saved.progress["data_dir"], skip_bad or saved.progress["skip_bad"]
                threads = threads or _threads_of(saved)
                device = device or saved.progress["environment"].get("device", "cpu")
        if threads is not None:
            set_num_threads(threads)
        if device is not None:
            set_default_device(device)
        if saved is not None:
            saved.model.network.to(get_default_device())
        folder.remove_parts()
        parts = load_parts(
            recipe.data,
            recipe.size,
            data_dir=data_dir,
            validation=recipe.validation,
            seed=recipe.seed,
            limit=recipe.limit,
            skip_bad=skip_bad,
            cache=cache,
        )
        if saved is None and "num_classes" not in switched:
            recipe = replace(recipe, config={**recipe.config, "num_classes": len(parts.classes)})
        loading = {"data_dir": None if data_dir is None else os.fspath(data_dir), "skip_bad": skip_bad}
        trainer = Trainer(folder, recipe, parts, saved, loading, checkpoint_minutes, keep, workers, draw)
        trainer.train()
        return trainer.report()


# --- how a run goes on ---------------------------------------------------------------------------------------


@contextmanager
def _using(folder: RunFolder) -> Iterator[None]:
    """Turn whatever is wrong with the progress that a checkpoint tells of into one kind of error."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise CheckpointError(f"{folder.folder}: its newest checkpoint cannot be used: {what}") from error


def _recipe_of(
    saved: SavedTraining,
    folder: RunFolder,
    model: str | None,
    data: str | None,
    switches: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> Recipe:
    """Return the recipe of the run that is resumed, with its new length, and refuse whatever else is new."""
    with _using(folder):
        recipe = Recipe.from_dict(saved.progress["recipe"])
        done = whole("checkpoint", "epoch", saved.progress["epoch"], 1) - 1
    wrong = recipe.differences(model, switches, settings)
    epochs = settings.get("epochs", recipe.epochs)
    if epochs < done:
        wrong.append(f"{done} epochs are done and epochs is {epochs} now")
    _refuse(folder, wrong)
    with refusing():  # a folder may have been moved: whether its pictures are the same is seen when they are there
        return replace(recipe, epochs=epochs, data=data or recipe.data)


def _refuse(folder: RunFolder, wrong: Sequence[str]) -> None:
    if wrong:
        raise TrainingError(
            f"the run in {folder.folder} cannot be resumed: {'; '.join(wrong)}. "
            "Repeat its settings, or choose another folder with --out"
        )


def _threads_of(saved: SavedTraining) -> int:
    threads = whole("checkpoint", "threads", saved.progress["environment"]["threads"], 1)
    if threads > MOST_THREADS:
        raise ValueError(f"threads is {threads}; expected at most {MOST_THREADS}")
    return threads


def _environment() -> dict[str, Any]:
    """Return what decides the last bits."""
    here = machine()
    gpu = ("gpu", "cuda", "cupy", "tf32")
    names = ("threads", "kernels", "processor", "device", *gpu)
    return versions() | {name: here[name] for name in names if name in here}


def _resident(images: Any) -> Any:
    """Return pictures where the network is: all of CIFAR-10's are 180 MB as bytes, and a GPU prepares them itself."""
    return to_device(images, get_default_device()) if isinstance(images, np.ndarray) else images


class Trainer:
    """A run: where it stands, and how it goes on.

    Parameters
    ----------
    folder : RunFolder
        Where it is kept.
    recipe : Recipe
        Its settings.
    parts : Parts
        Its pictures.
    saved : SavedTraining or None
        Where it stood when it was stopped; None for a new run.
    loading : mapping
        How the pictures were loaded, for whoever resumes the run.
    checkpoint_minutes, keep, workers, draw
        See :func:`run`.

    Attributes
    ----------
    epoch : int
        The epoch that is under way, or begins next, from 1.
    progress : EpochProgress or None
        What came of it so far.
    rows : list of dict
        The log: what came of the epochs before.
    best : dict or None
        The epoch with the lowest validation error, and that error.
    """

    def __init__(
        self,
        folder: RunFolder,
        recipe: Recipe,
        parts: Parts,
        saved: SavedTraining | None,
        loading: Mapping[str, Any],
        checkpoint_minutes: float = 10,
        keep: int = 3,
        workers: int | None = None,
        draw: Draw | None = None,
    ) -> None:
        self.folder, self.recipe, self.parts, self.loading = folder, recipe, parts, loading
        self.checkpoint_minutes, self.keep, self.draw = checkpoint_minutes, keep, draw
        self.workers = (0 if isinstance(parts.train.images, np.ndarray) else 2) if workers is None else workers
        self.checksums = {"train": parts.train.checksum(), "validation": parts.validation.checksum()}
        if saved is None:
            self._begin()
        else:
            with _using(folder):
                self._go_on(saved)
        self.train_images = _resident(parts.train.images)
        self.validation_images = _resident(parts.validation.images)
        with refusing():
            self.loader = Loader(
                self.train_images,
                parts.train.labels,
                recipe.batch_size,
                seed=recipe.seed,
                transform=recipe.transform(self.preparation, self.colour),
                workers=self.workers,
            )
        if saved is None:
            self.keep_checkpoint()
        self.saved_at = time.monotonic()

    classes: tuple[str, ...]
    epoch: int
    progress: EpochProgress | None
    rows: list[Row]
    best: dict[str, Any] | None

    def _begin(self) -> None:
        recipe, parts = self.recipe, self.parts
        outputs = recipe.config["num_classes"]
        if outputs < len(parts.classes):
            raise TrainingError(f"train: num_classes is {outputs}; {recipe.data} has {len(parts.classes)} classes")
        unused = (f"(output {number}, unused)" for number in range(len(parts.classes), outputs))
        self.classes = (*parts.classes, *unused)
        statistics = pixel_statistics(parts.train.images)
        manual_seed(recipe.seed)
        with refusing():
            self.network = models.build(recipe.config)
            self.preparation = Preparation.of(statistics, recipe.crop, recipe.inputs)
            self.optimizer, self.schedule = recipe.optimizer(self.network)
        self.colour = statistics.components
        self.epoch, self.progress, self.rows, self.best = 1, None, [], None

    def _go_on(self, saved: SavedTraining) -> None:
        model, progress = saved.model, saved.progress
        wrong = [
            f"the {part} pictures are not the same as before"
            for part, checksum in self.checksums.items()
            if checksum != progress["checksums"][part]
        ]
        _refuse(self.folder, wrong)
        environment = {"device": "cpu", **progress["environment"]}
        for name, now in _environment().items():
            before = environment.get(name)
            if before != now:
                say(f"{name} was {before} and is {now} now: the numbers may differ in their last bits")
        self.network, self.preparation, self.classes = model.network, model.preparation, model.classes
        self.optimizer, self.schedule = self.recipe.optimizer(self.network)
        self.optimizer.load_state_dict(saved.optimizer)
        self.schedule.load_state_dict(progress["schedule"])
        generator().bit_generator.state = progress["random"]
        self.colour = np.array(progress["colour"])
        self.epoch, self.rows, self.best = whole("checkpoint", "epoch", progress["epoch"], 1), progress["rows"], None
        if self.epoch != len(self.rows) + 1:
            raise ValueError(f"it is in epoch {self.epoch}, with {len(self.rows)} epochs in its log")
        if self.rows:
            error = number("checkpoint", "validation_error", progress["best"]["validation_error"])
            self.best = {"epoch": whole("checkpoint", "best", progress["best"]["epoch"], 1), "validation_error": error}
        self.progress = None
        if progress["progress"] is not None:
            self.progress = EpochProgress(**progress["progress"])
            whole("checkpoint", "images", self.progress.images, 1)
            whole("checkpoint", "steps", self.progress.steps, 1)
        self.show_log()

    # --- epochs ----------------------------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether there is no epoch left, or no learning rate to go on with."""
        over = isinstance(self.schedule, Plateau) and self.schedule.finished
        return over or self.epoch > self.recipe.epochs

    def train(self) -> None:
        """Train until the end, from where the run stands.

        Raises
        ------
        TrainingError
            If a loss is not finite or a file cannot be written; what was saved stays as it is.
        Stopped
            After Ctrl-C or SIGTERM.
        """
        recipe, images = self.recipe, len(self.parts.train.labels)
        ahead = self.progress.images if self.progress is not None else 0
        name = f"{recipe.model} on {Path(recipe.data).name}"
        try:
            with (
                GracefulStop() as self.stop,
                RunProgress(name, recipe.epochs, self.epoch - 1, images, ahead) as self.bar,
            ):
                while not self.finished:
                    self.train_one_epoch()
        except TrainingError as error:
            raise type(error)(f"{error}. {self.what_is_kept()}") from error
        except Stopped:
            raise
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"{self.what_is_kept()}; --resume goes on from there") from None

    def train_one_epoch(self) -> None:
        """Go through what is left of an epoch, judge the network, and write everything down."""
        result = train_epoch(
            self.network,
            self.optimizer,
            self.loader.batches(self.epoch - 1, start=self.progress.steps if self.progress is not None else 0),
            epoch=self.epoch,
            after_step=self.after_step,
            before=self.progress,
        )
        self.progress = result
        judged = evaluate(
            self.network,
            self.preparation,
            self.validation_images,
            self.parts.validation.labels,
            workers=self.workers,
            after_batch=lambda count: self.leave_if_told(),
        )
        self.bar.after_epoch(result, f"; validation error {100 * judged.error:.1f} %", always=True)
        self.rows.append(self.row(result, judged))
        if self.best is None or judged.error < self.best["validation_error"]:
            self.best = {"epoch": self.epoch, "validation_error": judged.error}
            self.keep_best()
        if isinstance(self.schedule, Plateau):
            self.schedule.step(judged.error)
        else:
            self.schedule.step()
        self.epoch, self.progress = self.epoch + 1, None
        self.keep_checkpoint()
        self.show_log()

    def row(self, result: EpochProgress, judged: Evaluation) -> Row:
        """Return what the log tells of an epoch; the training errors are running ones."""
        return {
            "epoch": result.epoch,
            "lr": self.optimizer.param_groups[0]["lr"],
            "train_error": result.error,
            "train_top5_error": result.top5_error,
            "train_loss": round(result.loss, 6),
            "validation_error": judged.error,
            "validation_top5_error": judged.top5_error,
            "validation_loss": round(judged.loss, 6),
            "seconds": round(result.seconds + judged.seconds, 2),
            "images_per_second": round(result.images_per_second, 1),
        }

    def after_step(self, progress: EpochProgress) -> None:
        """Move the bar, and save if it is time to."""
        self.progress = progress
        self.bar.after_step(progress)
        self.leave_if_told()
        if time.monotonic() - self.saved_at >= 60 * self.checkpoint_minutes:
            self.keep_checkpoint()

    def leave_if_told(self) -> None:
        """Save and stop if a signal has come."""
        if self.stop.signal is not None:
            self.keep_checkpoint()
            again = f"minicnn train --out {self.folder.folder} --resume"
            raise Stopped(f"Epoch {self.epoch} is saved as it stands; go on with: {again}", self.stop.signal)

    # --- what is written -------------------------------------------------------------------------------------

    def keep_checkpoint(self) -> None:
        """Save all that is needed to go on from here."""
        steps = (self.epoch - 1) * len(self.loader) + (self.progress.steps if self.progress is not None else 0)
        progress = {
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
        }

        def save(path: Path) -> None:
            save_training(path, self.network, self.preparation, self.classes, self.info(), self.optimizer, progress)

        with self.writing("a checkpoint"):
            self.folder.keep(steps, save, self.keep)
        self.saved_at = time.monotonic()

    def keep_best(self) -> None:
        """Save the network that is better on the validation pictures than all before."""
        with self.writing(self.folder.best.name):
            save_model(self.folder.best, self.network, self.preparation, self.classes, self.info())

    def info(self) -> dict[str, Any]:
        """Return what whoever uses the network may want to know of its training."""
        return {"recipe": self.recipe.as_dict(), "epoch": self.epoch, "best": self.best}

    def show_log(self) -> None:
        """Write the log and draw it, if there is anything to tell."""
        if self.rows:
            with self.writing(self.folder.log.name):
                self.folder.write_log(self.rows)
            if self.draw is not None:
                with self.writing(self.folder.curves.name):
                    self.draw(self.rows, self.folder.curves)

    @contextmanager
    def writing(self, what: str) -> Iterator[None]:
        """Turn a full disk, and whatever else forbids to write, into an error that says so."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise TrainingError(
                f"{what} cannot be written to {self.folder.folder}: {reason}. What was there before is whole; "
                f"when this is put right, --resume goes on"
            ) from error

    def what_is_kept(self) -> str:
        """Tell the user what a run that was stopped has."""
        paths = self.folder.checkpoints()
        return f"The last checkpoint is {paths[0]}" if paths else "There is no checkpoint yet"

    # --- the end ---------------------------------------------------------------------------------------------

    def report(self) -> dict[str, Any]:
        """Judge the best network by the test pictures, for the first and only time; write the result and return it."""
        assert self.best is not None  # a run has at least one epoch
        saved = load_model(self.folder.best)
        result: dict[str, Any] = {
            "epochs": self.epoch - 1,
            "best_epoch": self.best["epoch"],
            "validation_error": self.best["validation_error"],
            "test": None,
            "seconds": round(sum(row["seconds"] for row in self.rows), 1),
            "recipe": self.recipe.as_dict(),
            "versions": versions(),
            "machine": machine(),
        }
        print(
            f"Best on the validation pictures: epoch {self.best['epoch']} of {self.epoch - 1}, "
            f"error {100 * self.best['validation_error']:.2f} %"
        )
        if self.parts.test is not None:
            images, labels = self.parts.test
            judged = evaluate(saved.network, saved.preparation, _resident(images), labels, workers=self.workers)
            result["test"] = asdict(judged)
            print(f"On the test pictures: {judged}")
        with self.writing(self.folder.result.name):
            self.folder.write_result(result)
        print(f"{self.folder.best} is that network; {self.folder.log.name}, {self.folder.result.name} are beside it")
        return result
