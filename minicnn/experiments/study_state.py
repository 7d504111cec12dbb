"""The state of a study: its settings, and what its runs have found; begun, or read from its folder and resumed."""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from minicnn.arguments import one_of
from minicnn.backend import set_num_threads
from minicnn.data.sources import STUDIED, load_parts
from minicnn.experiments.results import ResultsFolder, Row, StudyError, read_log
from minicnn.experiments.settings import check_settings, settled_rates
from minicnn.training.environment import machine, versions
from minicnn.training.progress import say
from minicnn.training.recipe import reported_as

__all__ = ["AnyRun", "StudyState"]


class StudyRun(Protocol):
    """One network to train: a named tuple whose fields are columns of the study's CSV file. Its text names it."""

    @property
    def seed(self) -> int: ...

    @property
    def activation(self) -> str: ...

    def _asdict(self) -> dict[str, Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


AnyRun = TypeVar("AnyRun", bound=StudyRun)


class StudyState(ABC, Generic[AnyRun]):
    """The settings of a study, and the folder with its results.

    Attributes
    ----------
    name : str
        The name of its files.
    columns : dict of str to callable
        The columns of its CSV file, and what makes a cell's text a value.
    rates_by : tuple of str
        Runs that agree in these attributes share a learning rate; the last one is "activation".
    may_change : set of str
        Settings that a resumed study may change, because they say how much is done, not how.
    folder : ResultsFolder
        Where everything is kept.
    settings : dict
        Everything that determines the numbers.
    trials : list of dict
        The runs of the search for learning rates.
    finished : bool
        Whether all runs are done.
    """

    name: ClassVar[str]
    columns: ClassVar[dict[str, Callable[[Any], Any]]]
    rates_by: ClassVar[tuple[str, ...]]
    may_change: ClassVar[set[str]]

    def __init__(
        self,
        folder: ResultsFolder,
        settings: dict[str, Any],
        trials: Sequence[Row] = (),
        data_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        self.folder, self.settings, self.trials, self.data_dir = folder, settings, list(trials), data_dir
        self.finished = False

    # --- what each study says of itself ----------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def defaults(cls, data: str) -> dict[str, Any]:
        """Return the default of each setting."""

    @classmethod
    @abstractmethod
    def default_rates(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return learning rates, nested by `rates_by`; None for those to search."""

    @classmethod
    def check(cls, settings: dict[str, Any], rates: Mapping[str, float | None]) -> None:
        """Raise ValueError or TypeError for settings that are out of range."""
        check_settings(cls.name, settings, rates)

    @abstractmethod
    def every_run(self, seeds: Sequence[int]) -> list[AnyRun]:
        """Return all runs with these seeds that this or an earlier part of the study can have, in the CSV's order."""

    @abstractmethod
    def search_length(self) -> dict[str, int]:
        """Return the "epochs" of each run of the search and, if it is limited, the number of "images"."""

    @abstractmethod
    def results(self) -> dict[str, Any]:
        """Return the results so far."""

    # --- how it begins ---------------------------------------------------------------------------------------

    @classmethod
    def open(
        cls,
        folder: ResultsFolder,
        given: Mapping[str, Any],
        rates: Mapping[str, float | None],
        data_dir: str | os.PathLike[str] | None,
        resume: bool,
    ) -> Self:
        """Begin a study, or resume the one in the folder."""
        resuming = resume and folder.holds_a_study()
        if resume and not resuming:
            say(f"There is no study in {folder.folder} to resume: starting a new one")
        if resuming:
            folder.refuse_other_columns()
        before = folder.read_summary() if resuming else {}
        earlier = before.get("settings", {})
        settings = cls.settle(given, rates, earlier)
        study = cls(folder, settings, before.get("search", {}).get("trials", []), data_dir)
        if resuming:  # what can be refused is refused before anything is downloaded
            study.refuse_differences(earlier)
        else:
            folder.refuse_unfinished()

        parts = load_parts(settings["data"], 32, data_dir=data_dir, validation=0, limit=settings["limit"])
        assert parts.test is not None  # CIFAR-10 and the shapes have one
        settings["images"], settings["test_images"] = len(parts.train.labels), len(parts.test.labels)
        if settings["limit"] is not None and settings["limit"] > settings["images"]:
            most = f"{settings['images']}, the training images of {settings['data']}"
            raise StudyError(f"{cls.name}: limit must be at most {most}, got {settings['limit']}")
        settings["checksum"] = f"{parts.train.checksum()}-{parts.test.checksum()}"
        if resuming:
            study.refuse_differences(earlier)
            for run, _, _ in study.other_rates(earlier):  # none has finished an epoch
                shutil.rmtree(study.state(run))
        elif (aside := folder.move_aside()) is not None:
            say(f"The earlier results are now in {aside}")
        if "threads" in settings:
            set_num_threads(settings["threads"])
        study.save()
        return study

    @classmethod
    def settle(
        cls, given: Mapping[str, Any], rates: Mapping[str, float | None], earlier: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the settings: as given, else as in the resumed study, else the default."""
        data = given.get("data") or earlier.get("data", "cifar10")
        with reported_as(StudyError):
            one_of(cls.name, "data", data, STUDIED)
        settings = {
            name: earlier.get(name, default) if given.get(name) is None else given[name]
            for name, default in {**dict.fromkeys(given), **cls.defaults(data), "data": data}.items()
        }
        with reported_as(StudyError):
            cls.check(settings, rates)
        before, default = earlier.get("learning_rates", {}), cls.default_rates(settings)
        return {**settings, "learning_rates": settled_rates(rates, before, default)}

    def refuse_differences(self, earlier: Mapping[str, Any]) -> None:
        """Raise StudyError if the resumed study would compute its numbers in another way."""
        others = [
            f"lr_{run.activation} was {before:g} and is {now:g} now ({run})"
            for run, before, now in self.other_rates(earlier)
            if self.log(run)
        ]
        self.folder.refuse_differences(earlier, self.settings, {*self.may_change, "learning_rates"}, others)

    def other_rates(self, earlier: Mapping[str, Any]) -> list[tuple[AnyRun, float, float]]:
        """Return the runs whose learning rate has changed, with the rate before and now."""
        rates = [(run, self.rate_before(run, earlier), self.rates(run)[run.activation]) for run in self.begun()]
        return [(run, before, now) for run, before, now in rates if before and now and before != now]

    def rate_before(self, run: AnyRun, earlier: Mapping[str, Any]) -> float | None:
        """Return the learning rate that a run had: by the settings, or by its log if it was copied from elsewhere."""
        rates, log = self.rates_in(earlier, run), self.log(run)
        if rates is None:
            return float(log[0]["lr"]) if log else None
        return rates.get(run.activation)

    # --- what is known -------------------------------------------------------------------------------------------

    def rates_in(self, settings: Mapping[str, Any], run: AnyRun) -> dict[str, float | None] | None:
        """Return the learning rates by activation for runs like this one, None if the settings have none."""
        rates: dict[str, Any] | None = settings.get("learning_rates")
        for name in self.rates_by[:-1]:
            rates = (rates or {}).get(getattr(run, name))
        return rates

    def rates(self, run: AnyRun) -> dict[str, float | None]:
        """Return them from this study's settings, to read and to change; StudyError if there are none."""
        rates = self.rates_in(self.settings, run)
        if rates is None:
            raise StudyError(
                f"{self.state(run)} is not a run of this study: it has no learning rate for {run}. "
                f"If it was copied here, resume with the {' and '.join(self.rates_by[:-1])} of both; else move it away"
            )
        return rates

    def state(self, run: AnyRun) -> Path:
        """Return the run's folder."""
        return self.folder.states / "-".join(map(str, run))

    def log(self, run: AnyRun) -> list[Row]:
        """Return the run's rows of the CSV file, one for each finished epoch."""
        return read_log(self.state(run), self.columns, run._asdict())

    def begun(self) -> list[AnyRun]:
        """Return all runs that have a folder, including those of earlier parts of the study."""
        ends = {path.name.rpartition("-")[2] for path in self.folder.states.glob("*")}
        seeds = sorted(int(end) for end in ends if end.isdecimal())
        return [run for run in self.every_run(seeds) if self.state(run).exists()]

    def reported(self) -> list[AnyRun]:
        """Return the runs that have an epoch to report."""
        return [run for run in self.begun() if self.log(run)]

    def summary(self) -> dict[str, Any]:
        """Return the content of ``summary.json``."""
        return {
            "finished": self.finished,
            "results": self.results(),
            "settings": self.settings,
            "search": {**self.search_length(), "trials": self.trials},
            "versions": versions(),
            "machine": machine(),
        }

    def save(self) -> None:
        """Write the summary and the CSV file."""
        self.folder.write_summary(self.summary())
        self.folder.write_rows([row for run in self.reported() for row in self.log(run)])

    def what_is_kept(self) -> str:
        """Tell the user what a stopped study has."""
        epochs = sum(len(self.log(run)) for run in self.begun())
        searched = f" and {len(self.trials)} runs of the search" if self.trials else ""
        return f"What is finished ({epochs} epochs{searched}) is kept in {self.folder.folder}"
