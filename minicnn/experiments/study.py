"""What all studies share: training runs, searching learning rates, stopping, resuming, reporting.

A study varies something, trains a network for each variation and seed, and draws a figure. Its own file has a subclass
of :class:`Study` that says which runs there are, how each is trained, and what the results are. The trainer trains each
run in a folder of its own, so a study can be stopped at any moment and resumed with the same numbers.
"""

from __future__ import annotations

import os
import shutil
import signal
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from minicnn import models
from minicnn.backend import get_default_device, get_num_threads
from minicnn.data import Preparation
from minicnn.data.sources import Part
from minicnn.distributed import Team
from minicnn.experiments.results import ResultsFolder, StudyError
from minicnn.experiments.study_state import AnyRun, StudyState
from minicnn.experiments.together import follow, lead
from minicnn.models.network import Network
from minicnn.optim import SGD
from minicnn.training import CheckpointError, DivergedError, TrainingError, say, train_epoch
from minicnn.training.recipe import Recipe
from minicnn.training.run_folder import RunFolder
from minicnn.training.stopping import Stopped, stopped_by_signals
from minicnn.viz import save_figure

__all__ = ["DATA", "Study"]

DATA = {"cifar10": "CIFAR-10", "shapes": "drawn shapes"}  # in titles


class Study(StudyState[AnyRun]):
    """A study that can be run. See :class:`StudyState` for its other attributes.

    Attributes
    ----------
    searched_rates : tuple of float
        The learning rates that the search tries.
    searched_by : str
        What it compares: an error in the trainer's result.
    team : Team
        The processes that share the batches; by default, this one alone.
    """

    searched_rates: ClassVar[tuple[float, ...]]
    searched_by: ClassVar[str]
    team: Team = Team()

    # --- what each study says of itself ----------------------------------------------------------------------

    @abstractmethod
    def runs(self) -> list[AnyRun]:
        """Return the runs to train, in order."""

    @abstractmethod
    def recipe(self, run: AnyRun, epochs: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Return model, switches and settings for the trainer; limit, seed, lr and epochs are added to the settings."""

    @abstractmethod
    def is_done(self, run: AnyRun) -> bool:
        """Return whether there is nothing left to train."""

    def after_epoch(self, run: AnyRun) -> bool:
        """Return whether the run ends here, before it has had all of its epochs."""
        return False

    def measure(self, network: Network, preparation: Preparation, train: Part) -> Mapping[str, float]:
        """Return what is to be added to the trainer's log after each epoch; by default nothing."""
        return {}

    @abstractmethod
    def table(self, results: Mapping[str, Any]) -> str:
        """Return the results as text, "" if there are none."""

    @abstractmethod
    def figure(self, results: Mapping[str, Any]) -> Figure:
        """Draw the results."""

    # --- from beginning to end -------------------------------------------------------------------------------

    @classmethod
    def conduct(
        cls,
        given: Mapping[str, Any],
        rates: Mapping[str, float | None],
        out: str | os.PathLike[str],
        data_dir: str | os.PathLike[str] | None,
        resume: bool,
        team: Team | None = None,
    ) -> dict[str, Any]:
        """Train everything that is not done yet, report, and return the content of ``summary.json``.

        Parameters
        ----------
        given : mapping
            Settings; None for as in the resumed study, else the default.
        rates : mapping
            Learning rates by activation, None likewise.
        out, data_dir, resume
            See :func:`minicnn.experiments.relu_vs_tanh.run`, which also says what is raised.
        team : Team, optional
            Processes that share the batches of each run. Only rank 0 gets a summary.
        """
        if team is not None and not team.is_first:
            follow(team)
            return {}
        folder = ResultsFolder(out, cls.name, list(cls.columns))
        with folder.alone(), stopped_by_signals():
            study = cls.open(folder, given, rates, data_dir, resume)
            study.team = team or cls.team
            try:
                study.train_all()
                study.finished = True
            except KeyboardInterrupt as stop:
                message = f"{study.what_is_kept()}; the same command with --resume continues it"
                raise Stopped(message, getattr(stop, "signal", signal.SIGINT)) from None
            except TrainingError as error:
                raise type(error)(f"{error}. {study.what_is_kept()}") from error
            finally:
                study.report()
            study.team.broadcast(None)  # there is nothing left to follow
            return study.summary()

    def report(self) -> None:
        """Write the summary and the figure, and print the table."""
        self.save()
        results = self.results()
        text = self.table(results)
        if text:
            figure = self.figure(results)
            for kind in ("png", "svg"):
                save_figure(figure, self.folder.figure(kind))
            print(f"\n{text}\n")
            print(f"Written: {self.folder.figure('png')}, .svg, .csv and {self.folder.summary.name}")

    # --- the runs --------------------------------------------------------------------------------------------

    def train_all(self) -> None:
        """Train all runs that are not done, and search each learning rate when the first run needs it."""
        runs = self.runs()
        if not all(map(self.is_done, runs)):
            self.compile_kernels(runs)
        for position, run in enumerate(runs, start=1):
            if self.is_done(run):
                continue
            rates = self.rates(run)
            lr = rates[run.activation]
            if lr is None:
                lr = rates[run.activation] = self.search(run)
                self.save()
            say(f"Run {position} of {len(runs)}: {run}, learning rate {lr:g}")
            length = (self.settings["epochs"], self.settings["limit"])
            try:
                self.train(run, self.state(run), lr, *length, partial(self.after_epoch, run))
            except TrainingError as error:
                raise type(error)(f"{run}: {error} (--lr-{run.activation})") from error
            self.save()

    def train(
        self,
        run: AnyRun,
        folder: Path,
        lr: float,
        epochs: int,
        limit: int | None,
        after_epoch: Callable[[], bool] = lambda: False,
    ) -> dict[str, Any]:
        """Train one network to the end, resuming if possible; return its result."""
        model, switches, settings = self.recipe(run, epochs)
        length = {"limit": limit, "seed": run.seed, "lr": lr, "epochs": epochs}
        settings = {**length, "recipe": "paper", "schedule": "epochs", **settings}

        def train_on() -> dict[str, Any]:
            call = {
                "model": model,
                "data": self.settings["data"],
                "switches": switches,
                "settings": settings,
                "out": folder,
                "resume": RunFolder(folder).holds_a_run(),
                "data_dir": self.data_dir,
                "threads": get_num_threads(),
                "device": get_default_device(),
                "keep": 1,
                "name": str(run),
            }
            return lead(self.team, call, after_epoch=lambda rows: after_epoch(), measure=self.measure)

        try:
            return train_on()
        except CheckpointError as error:
            say(f"{error}\n{run}: starts again from epoch 1")
            shutil.rmtree(folder)
            return train_on()

    def compile_kernels(self, runs: Sequence[AnyRun]) -> None:
        """Take one step with each kind of network, so that no run's time includes compilation."""
        recipes = {}
        for run in runs:
            model, switches, settings = self.recipe(run, 1)
            recipe = Recipe.new(model, self.settings["data"], switches, {"recipe": "paper", **settings})
            recipes[str(recipe.config)] = recipe
        for recipe in recipes.values():
            network, shape = models.build(recipe.config), (recipe.batch_size, 3, recipe.crop, recipe.crop)
            batch = (np.zeros(shape, np.float32), np.zeros(recipe.batch_size, np.int64))
            train_epoch(network, SGD(network.parameters(), lr=0.0, momentum=0.9), [batch])

    # --- the search for learning rates -----------------------------------------------------------------------

    def search(self, run: AnyRun) -> float:
        """Return the learning rate with which the run has the lowest error after a few epochs."""
        kind = {name: str(getattr(run, name)) for name in self.rates_by}
        tried = {trial["lr"]: trial[self.searched_by] for trial in self.trials if kind.items() <= trial.items()}
        length = self.search_length()
        limit = min(length["images"], self.settings["images"]) if "images" in length else self.settings["limit"]
        for lr in self.searched_rates:
            if lr in tried:
                continue
            say(f"Search: {run}, learning rate {lr:g}")
            folder = self.folder.states / "-".join(["search", *kind.values(), f"{lr:g}"])
            try:
                tried[lr] = self.train(run, folder, lr, length["epochs"], limit)[self.searched_by]
            except DivergedError as error:  # a full disk is no reason to choose another rate
                say(f"Search: learning rate {lr:g} failed, {error}")
                tried[lr] = None
            self.trials.append({**kind, "lr": lr, self.searched_by: tried[lr]})
            self.save()
        found = {lr: error for lr, error in tried.items() if error is not None}
        name = ", ".join(kind.values())
        if not found:
            raise StudyError(f"{name}: training diverged at every learning rate of {self.searched_rates}")
        best: float = min(found, key=found.__getitem__)
        edge = ", at the edge of those tried" if best in (self.searched_rates[0], self.searched_rates[-1]) else ""
        error_name = self.searched_by.replace("_", " ")
        say(f"{name}: learning rate {best:g}, with a {error_name} of {100 * found[best]:.1f} %{edge}")
        return best
