"""Train a network to the end, with checkpoints on the way.

The run's folder always holds a checkpoint to resume from: the network, the optimiser, the progress within the epoch,
the schedule, and the state of the random generator. A resumed run computes the same numbers as one that was never
stopped, to the last bit: initial weights and dropout come from the generator whose state is saved, the order of the
images and their augmentation depend only on seed, epoch and batch, and the order of every sum depends only on the
number of threads.

The file reads downwards: a run from the outside; its epochs; its files; its result.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.arguments import number, whole
from minicnn.backend import set_default_device, set_num_threads
from minicnn.data import Loader, Preparation
from minicnn.data.sources import Part, Parts, load_parts
from minicnn.data.summary import describe_run
from minicnn.distributed import Team
from minicnn.models.network import Network
from minicnn.optim import MultiStepLR, OneCycleLR
from minicnn.training.checkpoint import save_model, save_training
from minicnn.training.data_parallel import DataParallel, agreed
from minicnn.training.evaluation import Evaluation, evaluate
from minicnn.training.fine_tuning import new_recipe
from minicnn.training.loop import EpochProgress, TrainingError, train_epoch
from minicnn.training.progress import RunProgress, log_row, say
from minicnn.training.recipe import reported_as, what_is_given
from minicnn.training.report import report
from minicnn.training.run_folder import RunFolder
from minicnn.training.run_state import Row, RunState
from minicnn.training.schedule import Plateau
from minicnn.training.split_towers import SplitTowers
from minicnn.training.stopping import GracefulStop, Stopped

__all__ = ["run"]

FEW = 16

Draw = Callable[[Sequence[Row], Path], object]
AfterEpoch = Callable[[Sequence[Row]], object]
Measure = Callable[[Network, Preparation, Part], Mapping[str, float]]


def run(
    model: str | None = None,
    data: str | os.PathLike[str] | None = None,
    switches: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    accept_changed_images: bool = False,
    data_dir: str | os.PathLike[str] | None = None,
    skip_bad: bool = False,
    cache: bool = False,
    workers: int | None = None,
    threads: int | None = None,
    device: str | None = None,
    checkpoint_minutes: float = 10,
    keep: int = 3,
    draw: Draw | None = None,
    name: str | None = None,
    after_epoch: AfterEpoch | None = None,
    measure: Measure | None = None,
    team: Team | None = None,
    towers: bool = False,
) -> dict[str, Any]:
    """Train a network, or resume its training, and evaluate it on the test set at the end.

    Parameters
    ----------
    model : {"alexnet", "alexnet-cifar", "lenet5", "four-layer"}
        Not needed to resume a run, like every other setting that its checkpoint holds.
    data : str or path
        "cifar10", "shapes", "sketches", or a folder, see :func:`minicnn.data.sources.load_parts`.
    switches : mapping, optional
        Arguments of the model, such as ``{"norm": "none"}``.
    settings : mapping, optional
        Settings that differ from the default, see :class:`Recipe`. With ``{"validation": 0}`` no images are held out:
        the network of the last epoch counts as the best, and validation errors are None, or empty in ``log.csv``.
    out : path, optional
        The run's folder, ``runs/MODEL-DATA`` by default.
    resume : bool
        Resume the run in the folder. It may have more epochs than before; all other settings must be the same.
    accept_changed_images : bool
        Resume the run although images were repaired, added or left out since. The epoch in progress begins again.
    data_dir, skip_bad, cache
        See :func:`minicnn.data.sources.load_parts`. A resumed run remembers the first two.
    workers : int, optional
        Threads that prepare the next batches: by default 2 for a folder, else none. The numbers do not depend on it.
    threads : int, optional
        Cores to compute on: by default as many as before, else :func:`minicnn.get_num_threads`.
    device : str, optional
        Where to compute: "cpu", "cuda", "cuda:0", ...; by default as before, else
        :func:`minicnn.get_default_device`. It becomes the default device.
    checkpoint_minutes : float
        Write a checkpoint every this many minutes, besides one after each epoch.
    keep : int
        How many checkpoints are kept.
    draw : callable, optional
        ``draw(rows, path)`` draws the rows of the log as a figure.
    name : str, optional
        The run's name in progress lines, "MODEL on DATA" by default.
    after_epoch : callable, optional
        ``after_epoch(rows)`` is called with the rows of the log after each epoch. If it returns True, training ends.
    measure : callable, optional
        ``measure(network, preparation, training images)`` returns further columns of the epoch's row.
    team : Team, optional
        The processes that share each batch; each of them makes this call. Rank 0 alone writes files, the others read
        the folder, too. `settings` say what they do together: the batch size is that of all ranks.
    towers : bool
        Instead of sharing each batch, two ranks have a tower of the network each, see :class:`SplitTowers`.

    Returns
    -------
    dict
        The content of ``result.json``: number of epochs, the best network's errors on the training (the running one of
        its epoch), validation and test set, the recipe, versions and machine.

    Raises
    ------
    TrainingError
        If a setting is out of range or differs from that of the resumed run, the folder holds a run and `resume` is
        False, a file cannot be written, or a loss is not finite.
    CheckpointError
        If no checkpoint can be read.
    Stopped
        After Ctrl-C, SIGTERM or SIGHUP, when everything is saved; the message says how to resume.
    """
    given, switched = what_is_given(settings or {}), what_is_given(switches or {})
    data = None if data is None else os.fspath(data)
    with reported_as(TrainingError):
        whole("train", "keep", keep, 1)
        if not number("train", "checkpoint_minutes", checkpoint_minutes) >= 0:
            raise ValueError(f"train: checkpoint_minutes must be 0 or more, got {checkpoint_minutes}")
    if out is None:
        if model is None or data is None:
            raise TrainingError("train: model and data, or the run's folder out, must be given")
        out = Path("runs", f"{model}-{Path(data).absolute().name}")
    folder = RunFolder(out)
    together, team = team is not None, team or Team()
    with folder.alone() if team.is_first else nullcontext():
        if (used := team.on_first(folder.holds_a_run)) and not resume:
            raise TrainingError(
                f"{folder.folder} holds a run; resume it with --resume, or choose another folder with --out"
            )
        if threads is not None:
            set_num_threads(threads)
        if device is not None:
            set_default_device(device)
        wanted = (model, data, switched, given, threads is None, device is None)
        resumed = folder.newest(lambda saved, path: RunState.resume(saved, path, *wanted)) if used else None
        if resume and resumed is None:
            say(f"There is no run in {folder.folder} to resume: starting a new run")
        if resumed is None:
            if model is None or data is None:
                raise TrainingError("train: model and data must be given for a new run")
            recipe = new_recipe(model, data, switched, given)  # for loading the images
        else:
            recipe = resumed.recipe
            data_dir, skip_bad = data_dir or resumed.loading["data_dir"], skip_bad or resumed.loading["skip_bad"]
            finished = resumed.finished
            if resumed.best is not None and not team.on_first(lambda: folder.has_best(needed=finished)):
                resumed.best = None
        if team.is_first:
            folder.remove_parts()
        parts = team.in_turn(
            lambda: load_parts(
                recipe.data,
                recipe.size,
                data_dir=data_dir,
                validation=recipe.validation,
                seed=recipe.seed,
                limit=recipe.limit,
                skip_bad=skip_bad,
                cache=cache,
            ).verify()
        )
        lines = describe_run(parts)
        if resumed is None:
            images = len(parts.train.labels)
            recipe = new_recipe(
                recipe.model, recipe.data, {"num_classes": len(parts.classes)} | switched, given, images
            )
            lines.append(recipe.explanation(images, asked="recipe" in given))
        for line in lines if name is None else ():  # a study describes its images itself
            say(line)
        loading = {"data_dir": None if data_dir is None else os.fspath(data_dir), "skip_bad": skip_bad}
        state = resumed or RunState.begin(recipe, parts, loading)
        if resumed is not None:
            resumed.go_on_with(parts, loading, folder.folder, accept_changed_images)
        if workers is None:
            workers = 0 if isinstance(parts.train.images, np.ndarray) else 2
        name = name or f"{recipe.model} on {Path(recipe.data).absolute().name}"
        shared = None
        if together:
            state.check_alike(team)
            shared = (SplitTowers if towers else DataParallel)(team, state.network, state.optimizer)
        how = (workers, checkpoint_minutes, keep, draw, after_epoch, measure, team, shared)
        trainer = Trainer(folder, state, parts, name, *how)
        if resumed is None or accept_changed_images:
            trainer.keep_checkpoint(remove_later=True)
        if resumed is not None:
            trainer.show_log()
        trainer.train()
        if shared is not None:
            shared.close()
        return report(folder, state, parts, workers, team)


@dataclass(eq=False)
class Trainer:
    """A run in progress: its folder, its state (which training changes), its images, and arguments of :func:`run`."""

    folder: RunFolder
    state: RunState
    parts: Parts
    name: str
    workers: int
    checkpoint_minutes: float
    keep: int
    draw: Draw | None
    after_epoch: AfterEpoch | None
    measure: Measure | None
    team: Team
    shared: DataParallel | None
    stop: GracefulStop = field(init=False)
    bar: RunProgress = field(init=False)

    def __post_init__(self) -> None:
        recipe = self.state.recipe
        judged = self.parts.validation
        if judged is None:  # a few training images show divergence, which the loss before the last step does not
            images, labels = self.parts.train
            judged = Part(images[:FEW], labels[:FEW])
        self.judged = judged.resident()
        with reported_as(TrainingError):
            transform = recipe.transform(self.state.preparation, self.state.colour)
            batches: dict[str, Any] = {"seed": recipe.seed, "transform": transform, "workers": self.workers}
            batches |= {"rows": self.shared and self.shared.rows, "pin_memory": self.state.network.device != "cpu"}
            self.loader = Loader(*self.parts.train.resident(), recipe.batch_size, **batches)
        self.saved_at = time.monotonic()

    # --- epochs ----------------------------------------------------------------------------------------------

    def train(self) -> None:
        """Train to the end, from the current state.

        Raises
        ------
        TrainingError
            If a loss or a parameter is not finite, or a file cannot be written; what was saved stays as it is.
        Stopped
            After Ctrl-C, SIGTERM or SIGHUP.
        """
        state, images = self.state, len(self.parts.train.labels)
        ahead = state.progress.images if state.progress is not None else 0
        try:
            with (
                GracefulStop() as self.stop,
                RunProgress(self.name, state.recipe.epochs, state.epoch - 1, images, ahead) as self.bar,
            ):
                while not state.finished:
                    self.train_one_epoch()
                    ends = self.after_epoch is not None and self.after_epoch(state.rows) is True
                    if self.team.broadcast(ends):  # rank 0 decides
                        break
        except TrainingError as error:
            raise type(error)(f"{error}. {self.folder.what_is_kept()}") from error
        except Stopped:
            raise
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"{self.folder.what_is_kept()}; --resume continues from there") from None

    def train_one_epoch(self) -> None:
        """Train on the rest of an epoch, validate, and write everything down."""
        state = self.state
        schedule = state.schedule if isinstance(state.schedule, OneCycleLR) else None
        if self.shared is not None:
            news = (lambda: self.stop.signal, self.is_due, self.go_on)
            state.progress = result = self.shared.train_epoch(self.loader, state.epoch, state.progress, *news, schedule)
        else:
            state.progress = result = train_epoch(
                state.network,
                state.optimizer,
                self.loader.batches(state.epoch - 1, start=state.progress.steps if state.progress is not None else 0),
                epoch=state.epoch,
                after_step=self.after_step,
                before=state.progress,
                schedule=schedule,
            )
        validated = self.validate()
        error = None if validated is None else validated.error
        self.bar.after_epoch(result, "" if error is None else f"; validation error {100 * error:.1f} %")
        row = log_row(result, validated, state.optimizer.param_groups[0]["lr"])
        measured = self.measure(state.network, state.preparation, self.parts.train) if self.measure is not None else {}
        state.rows.append({**row, **measured})
        if error is None or state.best is None or error < state.best["validation_error"]:
            state.best = {"epoch": state.epoch, "validation_error": error}
            self.keep_best()
        if isinstance(state.schedule, Plateau):
            state.schedule.step(result.error if error is None else error)
        elif isinstance(state.schedule, MultiStepLR):
            state.schedule.step()
        state.epoch, state.progress = state.epoch + 1, None
        self.keep_checkpoint()
        self.show_log()

    def validate(self) -> Evaluation | None:
        """Evaluate the network on the validation set, if there is one, and refuse one that has diverged."""
        evaluated = (self.state.network, self.state.preparation, *self.judged)

        def after_batch(images: int) -> None:
            self.stop_if_asked(agreed(self.team, self.stop.signal))

        found = evaluate(*evaluated, workers=self.workers, after_batch=after_batch, team=self.team)
        rate = self.state.optimizer.param_groups[0]["lr"]
        kind = "training" if self.parts.validation is None else "validation"
        found.finite(f"the {kind} loss after epoch {self.state.epoch}, at a learning rate of {rate:g},")
        return None if self.parts.validation is None else found

    def after_step(self, progress: EpochProgress) -> None:
        """Move the bar, and write a checkpoint if it is time."""
        self.go_on(progress, self.stop.signal, self.is_due())

    def go_on(self, progress: EpochProgress, signal: int | None, due: bool) -> None:
        """Do the same, on all ranks alike: stop if a signal has arrived at any, write a checkpoint if one is due."""
        self.state.progress = progress
        self.bar.after_step(progress)
        self.stop_if_asked(signal)
        if due:
            self.keep_checkpoint()

    def is_due(self) -> bool:
        """Return whether it is time for a checkpoint."""
        return time.monotonic() - self.saved_at >= 60 * self.checkpoint_minutes

    def stop_if_asked(self, signal: int | None) -> None:
        """Save everything and stop if a signal has arrived."""
        if signal is not None:
            self.keep_checkpoint()
            again = f"minicnn train --out {self.folder.folder} --resume"
            if self.shared is not None:
                again = f"mpiexec -n {self.team.size} {again} {self.shared.option}"
            raise Stopped(f"Epoch {self.state.epoch} is saved as it stands; resume it with: {again}", signal)

    # --- files -----------------------------------------------------------------------------------------------

    def keep_checkpoint(self, remove_later: bool = False) -> None:
        """Save everything that is needed to resume from here, in place of checkpoints after more steps."""
        if self.shared is not None:
            self.shared.collect()
        if not self.team.is_first:
            return
        state = self.state
        steps = (state.epoch - 1) * len(self.loader) + (state.progress.steps if state.progress is not None else 0)
        progress = state.as_dict()

        def save(path: Path) -> None:
            model = (state.network, state.preparation, state.classes, self.info())
            save_training(path, *model, state.optimizer, progress)

        with self.folder.writing("a checkpoint"):
            path = self.folder.keep(steps, save, self.keep)
            if remove_later:
                self.folder.remove_later(path)
        self.saved_at = time.monotonic()

    def keep_best(self) -> None:
        """Save the best network so far."""
        state = self.state
        if not self.team.is_first:
            return
        with self.folder.writing(self.folder.best.name):
            save_model(self.folder.best, state.network, state.preparation, state.classes, self.info())

    def info(self) -> dict[str, Any]:
        """Return how the network was trained, for its users."""
        return {"recipe": self.state.recipe.as_dict(), "epoch": self.state.epoch, "best": self.state.best}

    def show_log(self) -> None:
        """Write the log and draw it, once there is an epoch in it."""
        rows = self.state.rows
        if rows and self.team.is_first:
            with self.folder.writing(self.folder.log.name):
                self.folder.write_log(rows)
            if self.draw is not None:
                with self.folder.writing(self.folder.curves.name):
                    self.draw(rows, self.folder.curves)
