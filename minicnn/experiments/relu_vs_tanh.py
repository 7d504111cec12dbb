"""Does ReLU learn faster than tanh?  Figure 1 of Krizhevsky et al. 2012, drawn again.

The four-layer network learns CIFAR-10 with ReLU and with tanh: from the same initial weights, on the same batches, each
at its own learning rate, without regularisation. How many epochs does each need to 25 % training error? In the paper,
tanh needs six times as many as ReLU.

*Training error* is here the running error of an epoch: each batch is judged just before its own update, and the
batches are averaged. Judging all pictures once more after the epoch would cost another forward pass and give lower
curves, because the running error looks back to the middle of the epoch and the network has learnt since. (In reference
runs on raw pixels, ReLU had running errors of 59.7 and 41.5 % in epochs 1 and 2, and 46.9 and 35.8 % after them.) A
curve can then cross the line an epoch sooner, whichever activation it belongs to.

*Inputs* are either raw, as in 2012 (pixels of 0 to 255 minus the mean image), or standardised (mean zero and variance
one in each channel). Section 3.1 of the paper says that ReLUs "do not require input normalization to prevent them from
saturating". Tanh units do: large pixels drive them to where they are flat.

The file reads downwards: the recipe; one run; the search for learning rates; the study; its memory; its results.
"""

from __future__ import annotations

import math
import os
import statistics
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from minicnn import manual_seed
from minicnn.backend import get_default_device, to_device
from minicnn.data import Dataset, Loader, load_cifar10, load_shapes, scaling
from minicnn.experiments.results import ResultsFolder, StudyError, check_settings, machine, versions
from minicnn.models import four_layer
from minicnn.nn import Module
from minicnn.optim import SGD
from minicnn.training import (
    CheckpointError,
    EpochProgress,
    RunProgress,
    TrainingError,
    crossings,
    epochs_to_target,
    load_state,
    save_state,
    say,
    train_epoch,
)
from minicnn.viz import Curve, Panel, error_curves, save_figure

__all__ = ["run"]

Images = NDArray[np.float32]  # (N, 3, 32, 32)
Labels = NDArray[np.int64]  # (N,)

# --- the recipe --------------------------------------------------------------------------------------------------

INPUTS = {"raw": scaling.raw, "standardised": scaling.standardised}
ACTIVATIONS = {"relu": "ReLU", "tanh": "tanh"}

BATCH_SIZE = 128
MOMENTUM = 0.9

# Each pair of inputs and activation has its own, as in the paper; chosen by short runs, see the search below.
LEARNING_RATES = {
    "cifar10": {"raw": {"relu": 0.001, "tanh": 0.01}, "standardised": {"relu": 0.01, "tanh": 0.01}},
    "shapes": {"raw": {"relu": 0.003, "tanh": 0.03}, "standardised": {"relu": 0.03, "tanh": 0.05}},
}
EPOCHS = {"cifar10": 40, "shapes": 12}
LIMIT = {"cifar10": None, "shapes": 3_000}

SEARCHED_RATES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)
SEARCH_EPOCHS, SEARCH_IMAGES = 4, 20_000


class Run(NamedTuple):
    """Which network is trained on what."""

    inputs: str
    activation: str
    seed: int

    def __str__(self) -> str:
        return f"{self.inputs} inputs, {ACTIVATIONS[self.activation]}, seed {self.seed}"


def make_network(activation: str, seed: int, lr: float) -> tuple[Module, SGD]:
    """Return a new network and its optimiser. A seed gives both activations the same initial weights."""
    manual_seed(seed)
    network = four_layer(activation)  # weights from N(0, 0.01^2), biases 0
    return network, SGD(network.parameters(), lr=lr, momentum=MOMENTUM)


def make_loader(images: Images, labels: Labels, seed: int) -> Loader:
    """Return the batches. A seed gives both activations the same ones in the same order."""
    return Loader(images, labels, batch_size=BATCH_SIZE, seed=seed)


# --- one run -----------------------------------------------------------------------------------------------------


def train(study: Study, run: Run, images: Images, labels: Labels) -> None:
    """Train one network to the end, from where it stands. Each epoch is on the disk before the next one begins."""
    network, optimizer, done = study.where_it_stands(run)
    loader = make_loader(images, labels, run.seed)
    loader.epoch = done
    last = study.settings["epochs"]
    with RunProgress(str(run), last, done, len(images)) as progress:
        for epoch in range(done + 1, last + 1):
            result = train_epoch(network, optimizer, loader, epoch=epoch, after_step=progress.after_step)
            progress.after_epoch(result)
            study.keep(run, result, network, optimizer)
            if study.is_done(run):
                break


# --- the search for learning rates -------------------------------------------------------------------------------


def search(study: Study, inputs: str, activation: str, images: Images, labels: Labels) -> float:
    """Return the learning rate with which the first seed has the lowest running error after a few epochs."""
    for lr in SEARCHED_RATES:
        if lr not in study.tried(inputs, activation):
            error = try_out(inputs, activation, study.settings["seeds"][0], lr, images, labels)
            study.keep_trial(inputs, activation, lr, error)
    errors = study.tried(inputs, activation)
    best = min(errors, key=errors.__getitem__)
    if errors[best] == math.inf:
        raise StudyError(f"{inputs} inputs, {activation}: training diverged at every learning rate of {SEARCHED_RATES}")
    say(f"{inputs} inputs, {ACTIVATIONS[activation]}: learning rate {best:g}")
    return best


def try_out(inputs: str, activation: str, seed: int, lr: float, images: Images, labels: Labels) -> float | None:
    """Return the running error of the last epoch of a short run, None if it diverged."""
    images, labels = images[:SEARCH_IMAGES], labels[:SEARCH_IMAGES]
    network, optimizer = make_network(activation, seed, lr)
    loader = make_loader(images, labels, seed)
    name = f"search: {inputs} inputs, {ACTIVATIONS[activation]}, learning rate {lr:g}"
    with RunProgress(name, SEARCH_EPOCHS, 0, len(images)) as progress:
        try:
            for epoch in range(1, SEARCH_EPOCHS + 1):
                result = train_epoch(network, optimizer, loader, epoch=epoch, after_step=progress.after_step)
            progress.after_epoch(result)
        except TrainingError as error:
            say(f"{name}: failed, {error}")
            return None
    return result.error


# --- the study ---------------------------------------------------------------------------------------------------


def run(
    data: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    inputs: str | None = None,
    epochs: int | None = None,
    seeds: Sequence[int] | None = None,
    search: bool | None = None,
    lr_relu: float | None = None,
    lr_tanh: float | None = None,
    target_error: float | None = None,
    stop_at_target: bool | None = None,
    out: str | os.PathLike[str] | None = None,
    limit: int | None = None,
    resume: bool = False,
) -> dict[str, Any]:
    """Train with ReLU and with tanh, draw the figure, print the table; return what ``summary.json`` holds.

    What is not given (None) is as in the study that is resumed, else the default.

    Parameters
    ----------
    data : {"cifar10", "shapes"}
        Default "cifar10".
    data_dir : path, optional
        Where CIFAR-10 is, see :func:`minicnn.data.load_cifar10`.
    inputs : {"raw", "standardised", "both"}
        Default "both".
    epochs : int
        How long each run is. Default 40 for CIFAR-10, fewer for the shapes.
    seeds : sequence of int
        One run each, for each pair of inputs and activation. Default (0,).
    search : bool
        Choose the learning rates that are not given by short runs, for each pair by itself.
    lr_relu, lr_tanh : float
        Learning rates for all inputs. Defaults for each pair of inputs and activation.
    target_error : float
        Default 0.25.
    stop_at_target : bool
        End a run in the epoch in which it reaches the target.
    out : path
        The folder for the results. Default ``relu-vs-tanh/DATA``. A finished study that is there is moved aside.
    limit : int
        Train on the first so many pictures. Default all of CIFAR-10, some of the shapes.
    resume : bool
        Go on with the study that is in `out`. It may get more epochs, seeds and inputs than it had.

    Returns
    -------
    dict
        The settings, the epochs to the target for each run and pair, their ratio, versions and machine.

    Raises
    ------
    StudyError
        If an argument is out of range, `out` holds an unfinished study and `resume` is False, or that study was made
        with other settings.
    TrainingError
        If a run diverges. What is finished is kept.
    DataError
        If CIFAR-10 cannot be found, fetched or read.
    KeyboardInterrupt
        If the user stops it; the message says how to go on.
    """
    given = {
        "data": data,
        "limit": limit,
        "inputs": None if inputs is None else list(INPUTS) if inputs == "both" else [inputs],
        "epochs": epochs,
        "seeds": None if seeds is None else list(seeds),
        "search": search,
        "target_error": target_error,
        "stop_at_target": stop_at_target,
        "lr": {"relu": lr_relu, "tanh": lr_tanh},
    }
    folder = ResultsFolder(out or Path("relu-vs-tanh", data or "cifar10"), "relu_vs_tanh", COLUMNS)
    with folder.alone():
        study, dataset = open_study(folder, given, data_dir, resume)
        try:
            for kind in study.settings["inputs"]:
                train_all(study, kind, dataset)
            study.finished = True
        except KeyboardInterrupt:
            goes_on = "; the same command with --resume goes on" if study.rows or study.trials else ""
            raise KeyboardInterrupt(study.what_is_kept() + goes_on) from None
        except TrainingError as error:
            raise TrainingError(f"{error}. {study.what_is_kept()}") from error
        finally:
            report(study)
        return study.summary()


def train_all(study: Study, inputs: str, dataset: Dataset) -> None:
    """Search, if so wished, and train with both activations and every seed, on one kind of input."""
    settings = study.settings
    runs = [Run(inputs, activation, seed) for seed in settings["seeds"] for activation in ACTIVATIONS]
    if all(study.is_done(run) for run in runs):
        return
    (images,) = INPUTS[inputs](dataset.train_images)
    images, labels = to_device(images, get_default_device()), dataset.train_labels  # all of them: 600 MB
    compile_kernels(images[:2], labels[:2])
    rates = settings["learning_rates"][inputs]
    for activation in ACTIVATIONS:
        if rates[activation] is None:
            rates[activation] = search(study, inputs, activation, images, labels)
    for run in runs:
        if not study.is_done(run):
            try:
                train(study, run, images, labels)
            except TrainingError as error:
                raise TrainingError(f"{run}: {error} (--lr-{run.activation})") from error


def compile_kernels(images: Images, labels: Labels) -> None:
    """Take one step with a network that is thrown away, so that no run's seconds count the compiler's."""
    network, optimizer = make_network("relu", 0, lr=0.0)
    train_epoch(network, optimizer, [(images, labels)])


# --- the study's memory ------------------------------------------------------------------------------------------

COLUMNS = {
    "inputs": str,
    "activation": str,
    "seed": int,
    "lr": float,
    "epoch": int,  # from 1
    "train_error": float,
    "train_loss": float,
    "seconds": float,  # of this epoch
}


class Study:
    """What is asked and what is known so far. Everything that is kept is on the disk at once.

    Attributes
    ----------
    folder : ResultsFolder
        Where it is kept.
    settings : dict
        What determines the numbers.
    rows : dict of Run to list of dict
        One row an epoch.
    trials : list of dict
        The short runs of the search.
    finished : bool
        Whether all runs are done.
    """

    def __init__(
        self,
        folder: ResultsFolder,
        settings: dict[str, Any],
        rows: Sequence[dict[str, Any]],
        trials: Sequence[dict[str, Any]],
    ) -> None:
        self.folder, self.settings, self.trials, self.finished = folder, settings, list(trials), False
        self.rows: dict[Run, list[dict[str, Any]]] = {}
        for row in rows:
            run = Run(row["inputs"], row["activation"], row["seed"])
            self.rows.setdefault(run, []).append(row)
            if row["epoch"] != len(self.rows[run]):
                raise StudyError(
                    f"{folder.csv}: {run} has a row for epoch {row['epoch']} where epoch {len(self.rows[run])} belongs"
                )

    def errors(self, run: Run) -> list[float]:
        """Return the run's errors by epoch."""
        return [row["train_error"] for row in self.rows.get(run, [])]

    def is_done(self, run: Run) -> bool:
        """Return whether the run has all its epochs, or has reached the target if it shall stop there."""
        errors = self.errors(run)
        reached = epochs_to_target(errors, self.settings["target_error"]) is not None
        return len(errors) >= self.settings["epochs"] or (self.settings["stop_at_target"] and reached)

    def keep(self, run: Run, result: EpochProgress, network: Module, optimizer: SGD) -> None:
        """Keep an epoch. The row comes first: a row without its state is made again, and comes out the same."""
        row = {
            **run._asdict(),
            "lr": optimizer.param_groups[0]["lr"],
            "epoch": result.epoch,
            "train_error": result.error,
            "train_loss": round(result.loss, 6),
            "seconds": round(result.seconds, 3),
        }
        self.rows.setdefault(run, [])[result.epoch - 1 :] = [row]
        self.save()
        self.folder.states.mkdir(exist_ok=True)
        save_state(self._state(run), network, optimizer, {"epoch": result.epoch})

    def where_it_stands(self, run: Run) -> tuple[Module, SGD, int]:
        """Return the network, its optimiser and how many epochs are done."""
        lr = self.settings["learning_rates"][run.inputs][run.activation]
        network, optimizer = make_network(run.activation, run.seed, lr)
        rows = self.rows.get(run, [])
        if not rows:
            return network, optimizer, 0
        try:
            done = load_state(self._state(run), network, optimizer)["epoch"]
            if done <= len(rows):
                return network, optimizer, done
        except CheckpointError as error:
            say(f"{error}")
        say(f"{run}: starts again from epoch 1")
        return *make_network(run.activation, run.seed, lr), 0

    def _state(self, run: Run) -> Path:
        return self.folder.states / f"{run.inputs}-{run.activation}-{run.seed}.safetensors"

    def tried(self, inputs: str, activation: str) -> dict[float, float]:
        """Return the errors of the search's short runs by learning rate, infinite where training diverged."""
        return {
            trial["lr"]: math.inf if trial["train_error"] is None else trial["train_error"]
            for trial in self.trials
            if (trial["inputs"], trial["activation"]) == (inputs, activation)
        }

    def keep_trial(self, inputs: str, activation: str, lr: float, error: float | None) -> None:
        """Keep the result of a short run, None if it diverged."""
        self.trials.append({"inputs": inputs, "activation": activation, "lr": lr, "train_error": error})
        self.save()

    def summary(self) -> dict[str, Any]:
        """Return what ``summary.json`` holds."""
        return {
            "finished": self.finished,
            "results": results(self),
            "settings": self.settings,
            "search": {"epochs": SEARCH_EPOCHS, "images": SEARCH_IMAGES, "trials": self.trials},
            "versions": versions(),
            "machine": machine(),
        }

    def save(self) -> None:
        """Write the summary and the rows."""
        self.folder.write_summary(self.summary())
        self.folder.write_rows([row for rows in self.rows.values() for row in rows])

    def what_is_kept(self) -> str:
        """Tell the user what a stopped study has."""
        epochs, trials = sum(map(len, self.rows.values())), len(self.trials)
        if not epochs and not trials:
            return "Nothing was finished yet"
        searched = f" and {trials} short runs of the search" if trials else ""
        return f"What is finished ({epochs} epochs{searched}) is kept in {self.folder.folder}"


def open_study(
    folder: ResultsFolder, given: dict[str, Any], data_dir: str | os.PathLike[str] | None, resume: bool
) -> tuple[Study, Dataset]:
    """Begin a study or go on with the one in the folder; return it with the pictures it trains on."""
    going_on = resume and folder.holds_a_study()
    if resume and not going_on:
        say(f"There is nothing in {folder.folder} to go on with: this is a new study")
    before = folder.read_summary() if going_on else {}
    earlier = before.get("settings", {})
    settings = settle(given, earlier)
    rows = folder.read_rows() if going_on else []
    trials = before.get("search", {}).get("trials", [])
    if going_on:  # what can be refused is refused before anything is downloaded
        refuse_differences(folder, earlier, settings, rows)
    else:
        folder.refuse_unfinished()

    dataset = load_cifar10(data_dir) if settings["data"] == "cifar10" else load_shapes()
    available = len(dataset.train_images)
    count = settings["limit"] or available
    if count > available:
        raise StudyError(f"limit is {count}; {dataset.name} has {available} training pictures")
    dataset = replace(dataset, train_images=dataset.train_images[:count], train_labels=dataset.train_labels[:count])
    settings["images"] = count
    settings["checksum"] = zlib.crc32(dataset.train_labels.tobytes(), zlib.crc32(dataset.train_images.tobytes()))
    if going_on:
        refuse_differences(folder, earlier, settings, rows)
    elif (aside := folder.move_aside()) is not None:
        say(f"The earlier results are now in {aside}")
    return Study(folder, settings, rows, trials), dataset


def settle(given: dict[str, Any], earlier: dict[str, Any]) -> dict[str, Any]:
    """Return the settings: as given, else as in the earlier study, else the default."""
    data = given["data"] or earlier.get("data", "cifar10")
    if data not in EPOCHS:
        raise StudyError(f"data is {data!r}; expected one of {', '.join(EPOCHS)}")
    defaults = {
        "data": data,
        "limit": LIMIT[data],
        "inputs": list(INPUTS),
        "epochs": EPOCHS[data],
        "seeds": [0],
        "target_error": 0.25,
        "stop_at_target": False,
        "search": False,
    }
    settings = {
        name: earlier.get(name, default) if given[name] is None else given[name] for name, default in defaults.items()
    }
    check(settings, given["lr"])
    settings["learning_rates"] = {inputs: dict(rates) for inputs, rates in earlier.get("learning_rates", {}).items()}
    for inputs in settings["inputs"]:
        rates = settings["learning_rates"].setdefault(inputs, {})
        for activation in ACTIVATIONS:
            default = None if settings["search"] else LEARNING_RATES[data][inputs][activation]
            if given["lr"][activation] is not None or rates.get(activation) is None:
                rates[activation] = default if given["lr"][activation] is None else given["lr"][activation]
    settings.update(batch_size=BATCH_SIZE, momentum=MOMENTUM)
    return settings


def check(settings: dict[str, Any], rates: dict[str, float | None]) -> None:
    """Refuse settings that are out of range."""
    for inputs in settings["inputs"]:
        if inputs not in INPUTS:
            raise StudyError(f"inputs is {inputs!r}; expected {', '.join(INPUTS)} or both")
    for name, least in (("epochs", 1), ("limit", 1)):
        if settings[name] is not None and settings[name] < least:
            raise StudyError(f"{name} is {settings[name]}; expected {least} or more")
    check_settings(settings, rates)


# These may differ from one part of a study to the next: they say how much is done, not how.
MAY_CHANGE = {"inputs", "epochs", "seeds", "target_error", "stop_at_target", "learning_rates"}


def refuse_differences(
    folder: ResultsFolder, earlier: dict[str, Any], settings: dict[str, Any], rows: Sequence[dict[str, Any]]
) -> None:
    """Refuse to go on with a study whose numbers came about in another way."""
    others = []
    pairs = {(row["inputs"], row["activation"], row["lr"]) for row in rows}
    for inputs, activation, lr in sorted(pairs):
        now = settings["learning_rates"].get(inputs, {}).get(activation)
        if now != lr:
            others.append(f"lr_{activation} on {inputs} inputs was {lr:g} and is {now} now")
    folder.refuse_differences(earlier, settings, MAY_CHANGE, others)


# --- the results -------------------------------------------------------------------------------------------------


def results(study: Study) -> dict[str, Any]:
    """Return, for each kind of input, the epochs to the target of both activations, and their ratio."""
    target = study.settings["target_error"]
    found: dict[str, Any] = {}
    for inputs in INPUTS:
        curves = {activation: runs_of(study, inputs, activation) for activation in ACTIVATIONS}
        if not any(curves.values()):
            continue
        found[inputs] = {
            activation: {
                "learning_rate": study.settings["learning_rates"][inputs][activation],
                "epochs_to_target": {str(seed): epochs_to_target(errors, target) for seed, errors in runs.items()},
                "epochs_run": {str(seed): len(errors) for seed, errors in runs.items()},
                "median": as_text(*typical(statistics.median, list(runs.values()), target)),
                "mean": as_text(*typical(statistics.mean, list(runs.values()), target)),
                "last_error": {str(seed): errors[-1] for seed, errors in runs.items()},
            }
            for activation, runs in curves.items()
            if runs
        }
        if all(curves.values()):
            found[inputs]["ratio"] = ratio(list(curves["relu"].values()), list(curves["tanh"].values()), target)
    return found


def runs_of(study: Study, inputs: str, activation: str) -> dict[int, list[float]]:
    """Return the errors by epoch for each seed."""
    return {run.seed: study.errors(run) for run in study.rows if run[:2] == (inputs, activation)}


def typical(average: Any, runs: Sequence[Sequence[float]], target: float) -> tuple[float, bool]:
    """Return the median or mean of the epochs to the target, and whether it is only known to be more than that.

    A run of N epochs that never reached the target counts as N, if it matters at all: a median may not need it.
    """
    reached = [epochs_to_target(errors, target) for errors in runs]
    exact = average([math.inf if epoch is None else epoch for epoch in reached])
    if exact < math.inf:
        return exact, False
    return average([len(errors) if epoch is None else epoch for epoch, errors in zip(reached, runs, strict=True)]), True


def as_text(number: float, more: bool) -> str:
    """Write a number, "> N" if it is more than that."""
    return f"> {number:.3g}" if more else f"{number:.3g}"


def ratio(relu: Sequence[Sequence[float]], tanh: Sequence[Sequence[float]], target: float) -> str | None:
    """Return how many times as many epochs tanh needs in the median; None if ReLU does not get there."""
    (ours, unknown), (theirs, more) = (typical(statistics.median, runs, target) for runs in (relu, tanh))
    return None if unknown else as_text(theirs / ours, more)


def report(study: Study) -> None:
    """Write the summary and the pictures, and print the table."""
    if not study.rows:
        return
    study.save()
    figure = draw(study)
    for kind in ("png", "svg"):
        save_figure(figure, study.folder.picture(kind))
    print(table(study))
    print(f"{study.folder.picture('png')}, .svg, .csv and {study.folder.summary.name} are written")


TITLES = {"raw": "Raw pixels minus the mean image", "standardised": "Standardised pixels"}
COLORS = {"relu": "#0b62a4", "tanh": "#c8500a"}
LINES = {"relu": "-", "tanh": "--"}
NAMES = {"cifar10": "CIFAR-10", "shapes": "drawn shapes"}


def draw(study: Study) -> Figure:
    """Draw the figure: a panel for each kind of input, a curve for each activation."""
    panels = []
    for inputs, found in results(study).items():
        curves = [
            Curve(
                label=ACTIVATIONS[activation],
                detail=f", learning rate {found[activation]['learning_rate']:g}",
                runs=list(runs_of(study, inputs, activation).values()),
                color=COLORS[activation],
                linestyle=LINES[activation],
            )
            for activation in ACTIVATIONS
            if activation in found
        ]
        panels.append(Panel(TITLES[inputs], comparison(study, found), curves))
    seeds = len({run.seed for run in study.rows})
    return error_curves(
        panels,
        study.settings["target_error"],
        f"A four-layer network learns {NAMES[study.settings['data']]}"
        + (f" (mean and range of {seeds} seeds)" if seeds > 1 else ""),
    )


def comparison(study: Study, found: dict[str, Any]) -> str:
    """Say in a few words how much longer tanh takes."""
    times = found.get("ratio")
    if times is None:
        return ""
    how_many = "as many" if times == "1" else f"{times} times as many"
    return f"to {100 * study.settings['target_error']:g} %, tanh takes {how_many} epochs as ReLU"


def table(study: Study) -> str:
    """Return the results as text."""
    settings = study.settings
    target = f"{100 * settings['target_error']:g} %"
    head = ("inputs", "activation", "learning rate", f"epochs to {target}", "last error", "seconds an epoch")
    lines = [head]
    found = results(study)
    for inputs in found:
        for activation in ACTIVATIONS:
            runs = runs_of(study, inputs, activation)
            if not runs:
                continue
            rows = [row for run, rows in study.rows.items() if run[:2] == (inputs, activation) for row in rows]
            lines.append(
                (
                    inputs,
                    ACTIVATIONS[activation],
                    f"{found[inputs][activation]['learning_rate']:g}",
                    crossings(list(runs.values()), settings["target_error"]),
                    f"{100 * statistics.mean(errors[-1] for errors in runs.values()):.1f} %",
                    f"{statistics.mean(row['seconds'] for row in rows):.1f}",
                )
            )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    text.insert(1, "-" * (sum(widths) + 2 * len(widths) - 2))
    text.append("")
    text += [f"{inputs} inputs: {note}" for inputs in found if (note := comparison(study, found[inputs]))]
    title = f"{NAMES[settings['data']]}, {settings['images']:,} training pictures, running training error"
    return "\n".join(["", title, "", *text])
