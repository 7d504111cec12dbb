"""What is each of AlexNet's contributions worth?  Everything on, then one thing off at a time.

:func:`minicnn.models.alexnet_cifar` learns some thousands of pictures, several times with different seeds: as it is,
and without its depth, ReLU, dropout, LRN, augmentation or overlapping pools. Nothing else differs: runs of one seed
hold back the same pictures for validation and see the others in the same order, cropped and mirrored alike where they
are. The test error is that of the epoch with the lowest validation error.

*Learning rates.* Tanh needs one of its own, and to take the recipe's for ReLU would be unfair to one of them. So both
are chosen in the same way: the network with everything else on learns for a few epochs at each of `SEARCHED_RATES`, and
the rate with the lowest validation error is taken. Test pictures have no part in it. All the other variants are ReLU
networks and have ReLU's rate, though another might suit some of them better.

*Training error* is the running error of an epoch: of pictures that are cropped and mirrored, by a network that drops
units. Without dropout or augmentation the task is easier; there, the epochs to a given training error say little.

*What can be told apart.* A difference of means counts if it is larger than the spread of seeds: the widest range from
the best to the worst seed that any variant has. Of networks that are equally good, whose errors are distributed
normally, chance alone would make 5 in 100 pairs differ by more with two seeds, and 3 in 1,000 with three (simulated,
with all seven variants). With one seed nothing can be told apart.

The file reads downwards: the recipe; the study; the search for learning rates; its memory; its results.
"""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import statistics
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from minicnn.backend import get_default_device, get_num_threads, set_num_threads
from minicnn.data.sources import NAMES, load_parts
from minicnn.experiments.results import ResultsFolder, StudyError, check_settings, machine, versions
from minicnn.models import alexnet_cifar
from minicnn.optim import SGD
from minicnn.training import DivergedError, TrainingError, crossings, epochs_to_target, say, train_epoch, trainer
from minicnn.training.run_folder import RunFolder
from minicnn.training.stopping import Stopped
from minicnn.viz import save_figure
from minicnn.viz.contributions import Dots, draw_contributions

__all__ = ["run"]

# --- the recipe --------------------------------------------------------------------------------------------------


class Variant(NamedTuple):
    """What is switched off.

    Attributes
    ----------
    what : str
        The contribution.
    label : str
        The network without it.
    switches, settings : dict
        How the network and its training differ from everything on.
    """

    what: str
    label: str
    switches: dict[str, Any]
    settings: dict[str, Any]


VARIANTS = {
    "everything": Variant("everything", "everything on", {}, {}),
    "depth": Variant("depth", "without conv3 and conv4", {"depth": 3}, {}),  # section 7
    "relu": Variant("ReLU", "tanh instead of ReLU", {"activation": "tanh"}, {}),  # section 3.1
    "dropout": Variant("dropout", "without dropout", {"dropout": 0.0}, {}),  # section 4.2
    "lrn": Variant("LRN", "without LRN", {"lrn": False}, {}),  # section 3.3
    "augmentation": Variant("augmentation", "without augmentation", {}, {"augment": False}),  # section 4.1
    "overlapping": Variant(
        "overlapping pooling", "pools of 2x2, no overlap", {"overlapping": False}, {}
    ),  # section 3.4
}
ACTIVATIONS = {"relu": "everything", "tanh": "relu"}  # the variant for which a learning rate is searched

CROP = 24  # of 32: a quarter fewer multiply-accumulates than 28, and more room for crops
# Few pictures, seen often: with few, a network overfits, which some of the contributions are there to prevent.
LIMIT = {"cifar10": 10_000, "shapes": 2_000}
EPOCHS = {"cifar10": 24, "shapes": 12}

SEARCHED_RATES = (0.003, 0.01, 0.03, 0.1)
SEARCH_EPOCHS = 4


class Run(NamedTuple):
    """Which network is trained, and with which random numbers."""

    variant: str
    seed: int

    def __str__(self) -> str:
        return f"{VARIANTS[self.variant].label}, seed {self.seed}"


def drops(epochs: int) -> tuple[int, ...]:
    """Return the epoch after which the learning rate is divided by ten: five sixths of a run are done by then."""
    return (max(1, round(epochs * 5 / 6)),)


# --- the study ---------------------------------------------------------------------------------------------------


def run(
    data: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    seeds: Sequence[int] | None = None,
    epochs: int | None = None,
    limit: int | None = None,
    threads: int | None = None,
    target_error: float | None = None,
    only: Sequence[str] | None = None,
    lr_relu: float | None = None,
    lr_tanh: float | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
) -> dict[str, Any]:
    """Train every variant with every seed, draw the figure, print the table; return what ``summary.json`` holds.

    What is not given (None) is as in the study that is resumed, else the default. With the defaults and two cores, no
    run should take more than eight minutes.

    Parameters
    ----------
    data : {"cifar10", "shapes"}
        Default "cifar10".
    data_dir : path, optional
        Where CIFAR-10 is, see :func:`minicnn.data.load_cifar10`.
    seeds : sequence of int
        One run each, for each variant. Default (0, 1, 2).
    epochs : int
        How long each run is; the learning rate falls after five sixths of them. Default 24 for CIFAR-10, else 12.
    limit : int
        Use the first so many training pictures, a tenth of them for validation, and as many test pictures if there
        are more. Default 10,000 of CIFAR-10, else 2,000.
    threads : int
        How many cores to compute on. Default as :func:`minicnn.get_num_threads` says.
    target_error : float
        How many epochs does the training error take to fall to this? Default 0.5.
    only : sequence of str
        Some keys of `VARIANTS`, to which "everything" is added. Default all.
    lr_relu, lr_tanh : float
        Learning rates. By default each is chosen by short runs.
    out : path
        The folder for the results. Default ``contributions/DATA``. A finished study that is there is moved aside.
    resume : bool
        Go on with the study that is in `out`. It may get more seeds and variants than it had, and another target.

    Returns
    -------
    dict
        The settings, what came of each variant, the search for learning rates, versions and machine.

    Raises
    ------
    StudyError
        If an argument is out of range, `out` holds an unfinished study and `resume` is False, or that study was made
        with other settings.
    TrainingError
        If a run diverges or cannot be saved. What is finished is kept.
    CheckpointError
        If a run has to go on from a checkpoint that cannot be read.
    DataError
        If CIFAR-10 cannot be found, fetched or read.
    Stopped
        After Ctrl-C or SIGTERM; the message says how to go on.
    """
    given = {
        "data": data,
        "seeds": None if seeds is None else list(seeds),
        "epochs": epochs,
        "limit": limit,
        "threads": threads,
        "target_error": target_error,
        "variants": None if only is None else list(only),
    }
    rates = {"relu": lr_relu, "tanh": lr_tanh}
    folder = ResultsFolder(out or Path("contributions", data or "cifar10"), "contributions", COLUMNS)
    with folder.alone(), hearing_sigterm():
        study = open_study(folder, given, rates, data_dir, resume)
        try:
            compile_kernels()
            train_all(study)
            study.finished = True
        except KeyboardInterrupt as stop:
            number = getattr(stop, "signal", signal.SIGINT)
            raise Stopped(f"{study.what_is_kept()}; the same command with --resume goes on", number) from None
        except TrainingError as error:
            raise TrainingError(f"{error}. {study.what_is_kept()}") from error
        finally:
            report(study)
        return study.summary()


@contextmanager
def hearing_sigterm() -> Iterator[None]:
    """Let SIGTERM stop the study as Ctrl-C does, also while it is not training, when it would end the process."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped("", number)

    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def train_all(study: Study) -> None:
    """Choose learning rates, then train every variant with the first seed, with the second, and so on."""
    settings = study.settings
    runs = [Run(variant, seed) for seed in settings["seeds"] for variant in settings["variants"]]
    for number, each in enumerate(runs, start=1):
        if study.result(each) is not None:
            continue
        activation = VARIANTS[each.variant].switches.get("activation", "relu")
        if settings["learning_rates"][activation] is None:
            settings["learning_rates"][activation] = search(study, activation)
            study.save()
        lr = settings["learning_rates"][activation]
        say(f"Run {number} of {len(runs)}: {each}, learning rate {lr:g}")
        try:
            train(study, each, study.folder.states / f"{each.variant}-{each.seed}", lr, settings["epochs"])
        except TrainingError as error:
            raise TrainingError(f"{each}: {error} (--lr-{activation})") from error
        study.save()


def train(study: Study, each: Run, folder: Path, lr: float, epochs: int) -> dict[str, Any]:
    """Train one network to the end, from where it stands; return its result."""
    settings, variant = study.settings, VARIANTS[each.variant]
    recipe = {
        "limit": settings["limit"],
        "seed": each.seed,
        "lr": lr,
        "epochs": epochs,
        "schedule": "epochs",
        "lr_drops": drops(epochs),
    }
    return trainer.run(
        "alexnet-cifar",
        settings["data"],
        {"in_size": settings["crop"], **variant.switches},
        {**recipe, **variant.settings},
        out=folder,
        resume=RunFolder(folder).holds_a_run(),
        data_dir=study.data_dir,
        threads=settings["threads"],
        device=get_default_device(),
        keep=1,
    )


def compile_kernels() -> None:
    """Take one step with each variant and throw it away, so that no run's seconds count the compiler's."""
    images, labels = np.zeros((2, 3, CROP, CROP), np.float32), np.zeros(2, np.int64)
    for variant in VARIANTS.values():
        network = alexnet_cifar(in_size=CROP, **variant.switches)
        train_epoch(network, SGD(network.parameters(), lr=0.0, momentum=0.9), [(images, labels)])


# --- the search for learning rates -------------------------------------------------------------------------------


def search(study: Study, activation: str) -> float:
    """Return the learning rate with which the first seed has the lowest validation error after a few epochs."""
    each = Run(ACTIVATIONS[activation], study.settings["seeds"][0])
    epochs = min(SEARCH_EPOCHS, study.settings["epochs"])
    tried = study.tried(activation)
    for lr in SEARCHED_RATES:
        if lr in tried:
            continue
        say(f"Search: {each}, learning rate {lr:g}")
        try:
            result = train(study, each, study.folder.states / f"search-{activation}-{lr:g}", lr, epochs)
            tried[lr] = result["validation_error"]
        except DivergedError as error:  # a full disk is no reason to take another rate
            say(f"Search: {error}")
            tried[lr] = math.inf
        study.keep_trial(activation, lr, tried[lr])
    best = min(tried, key=tried.__getitem__)
    if tried[best] == math.inf:
        raise StudyError(f"{activation}: training diverged at every learning rate of {SEARCHED_RATES}")
    edge = ", at the edge of those tried" if best in (SEARCHED_RATES[0], SEARCHED_RATES[-1]) else ""
    say(f"{activation}: learning rate {best:g}, with a validation error of {100 * tried[best]:.1f} %{edge}")
    return best


# --- the study's memory ------------------------------------------------------------------------------------------

COLUMNS = {
    "variant": str,
    "seed": int,
    "epoch": int,  # from 1
    "lr": float,
    "train_error": float,
    "validation_error": float,
    "seconds": float,  # of this epoch, with its validation
}
Rows = list[dict[str, Any]]


class Study:
    """What is asked, and where the answers are: a run's folder holds its log and its result.

    Attributes
    ----------
    folder : ResultsFolder
        Where everything is kept.
    settings : dict
        What determines the numbers.
    trials : list of dict
        The short runs of the search.
    data_dir : path or None
        Where CIFAR-10 is.
    finished : bool
        Whether all runs are done.
    """

    def __init__(
        self,
        folder: ResultsFolder,
        settings: dict[str, Any],
        trials: Sequence[dict[str, Any]],
        data_dir: str | os.PathLike[str] | None,
    ) -> None:
        self.folder, self.settings, self.trials, self.data_dir = folder, settings, list(trials), data_dir
        self.finished = False

    def result(self, each: Run) -> dict[str, Any] | None:
        """Return what a finished run has found, None if it is not finished.

        Raises
        ------
        StudyError
            If the file cannot be read, or tells of a run that is none of this study's.
        """
        path = RunFolder(self.folder.states / f"{each.variant}-{each.seed}").result
        if not path.exists():
            return None
        variant, settings = VARIANTS[each.variant], self.settings
        activation = variant.switches.get("activation", "relu")
        expected = {"seed": each.seed, "limit": settings["limit"], "epochs": settings["epochs"]}
        expected |= {"data": settings["data"], "lr": settings["learning_rates"][activation], **variant.settings}
        try:
            result = dict(json.loads(path.read_text(encoding="utf-8")))
            recipe = {**result["recipe"], **result["recipe"]["config"]}
            float(result["test"]["error"]), float(result["seconds"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise StudyError(f"{path} cannot be read: {error!r}. Without its folder, that run is made again") from error
        expected |= {"in_size": settings["crop"], **variant.switches}
        wrong = [
            f"{name} is {recipe.get(name)}, not {now}" for name, now in expected.items() if recipe.get(name) != now
        ]
        if wrong:
            raise StudyError(
                f"{path} is of another run: {'; '.join(wrong)}. Without its folder, that run is made again"
            )
        return result

    def rows(self, each: Run) -> Rows:
        """Return the log of a finished run.

        Raises
        ------
        StudyError
            If the file cannot be read, or does not have all epochs.
        """
        path = RunFolder(self.folder.states / f"{each.variant}-{each.seed}").log
        own = {"variant": str(each.variant), "seed": str(each.seed)}
        try:
            with open(path, newline="", encoding="utf-8") as file:
                cells = [{**row, **own} for row in csv.DictReader(file)]
            rows = [{name: kind(row[name]) for name, kind in COLUMNS.items()} for row in cells]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise StudyError(f"{path} cannot be read: {error!r}. Without its folder, that run is made again") from error
        if [row["epoch"] for row in rows] != list(range(1, self.settings["epochs"] + 1)):
            raise StudyError(f"{path} does not have the epochs 1 to {self.settings['epochs']}")
        return rows

    def done(self) -> dict[Run, dict[str, Any]]:
        """Return the results of all finished runs, those of earlier variants and seeds among them."""
        found: dict[Run, dict[str, Any]] = {}
        for variant in VARIANTS:
            seeds = [path.name.removeprefix(f"{variant}-") for path in self.folder.states.glob(f"{variant}-*")]
            for each in sorted(Run(variant, int(seed)) for seed in seeds if seed.isdecimal()):
                result = self.result(each)
                if result is not None:
                    found[each] = result
        return found

    def tried(self, activation: str) -> dict[float, float]:
        """Return the errors of the search's short runs by learning rate, infinite where training diverged."""
        return {
            trial["lr"]: math.inf if trial["validation_error"] is None else trial["validation_error"]
            for trial in self.trials
            if trial["activation"] == activation
        }

    def keep_trial(self, activation: str, lr: float, error: float) -> None:
        """Keep the result of a short run, infinite if it diverged."""
        found = None if error == math.inf else error  # JSON has no infinity
        self.trials.append({"activation": activation, "lr": lr, "validation_error": found})
        self.save()

    def summary(self) -> dict[str, Any]:
        """Return what ``summary.json`` holds."""
        return {
            "finished": self.finished,
            "results": results(self),
            "settings": self.settings,
            "search": {"epochs": min(SEARCH_EPOCHS, self.settings["epochs"]), "trials": self.trials},
            "versions": versions(),
            "machine": machine(),
        }

    def save(self) -> None:
        """Write the summary, and the rows of all finished runs."""
        self.folder.write_summary(self.summary())
        self.folder.write_rows([row for each in self.done() for row in self.rows(each)])

    def what_is_kept(self) -> str:
        """Tell the user what a stopped study has."""
        return f"What is finished ({len(self.done())} runs, and the epochs of the next) is kept in {self.folder.folder}"


def open_study(
    folder: ResultsFolder,
    given: dict[str, Any],
    rates: dict[str, float | None],
    data_dir: str | os.PathLike[str] | None,
    resume: bool,
) -> Study:
    """Begin a study, or go on with the one in the folder."""
    going_on = resume and folder.holds_a_study()
    if resume and not going_on:
        say(f"There is nothing in {folder.folder} to go on with: this is a new study")
    before = folder.read_summary() if going_on else {}
    earlier = before.get("settings", {})
    settings = settle(given, rates, earlier)
    if going_on:  # what can be refused is refused before anything is downloaded
        refuse_differences(folder, earlier, settings)
    else:
        folder.refuse_unfinished()

    parts = load_parts(settings["data"], 32, data_dir=data_dir, limit=settings["limit"])
    available = len(parts.train.labels) + len(parts.validation.labels)
    if available < settings["limit"]:
        raise StudyError(f"limit is {settings['limit']}; {settings['data']} has {available} training pictures")
    assert parts.test is not None  # CIFAR-10 and the shapes have one
    settings["test_images"] = len(parts.test.labels)
    settings["checksum"] = "-".join(part.checksum() for part in (parts.train, parts.validation, parts.test))
    if going_on:
        refuse_differences(folder, earlier, settings)
    elif (aside := folder.move_aside()) is not None:
        say(f"The earlier results are now in {aside}")
    set_num_threads(settings["threads"])
    study = Study(folder, settings, before.get("search", {}).get("trials", []), data_dir)
    study.save()
    return study


def settle(given: dict[str, Any], rates: dict[str, float | None], earlier: dict[str, Any]) -> dict[str, Any]:
    """Return the settings: as given, else as in the earlier study, else the default."""
    data = given["data"] or earlier.get("data", "cifar10")
    if data not in NAMES:
        raise StudyError(f"data is {data!r}; expected one of {', '.join(NAMES)}")
    defaults = {
        "data": data,
        "seeds": [0, 1, 2],
        "epochs": EPOCHS[data],
        "limit": LIMIT[data],
        "threads": get_num_threads(),
        "target_error": 0.5,
        "variants": list(VARIANTS),
    }
    settings = {
        name: earlier.get(name, default) if given[name] is None else given[name] for name, default in defaults.items()
    }
    check(settings, rates)
    settings["variants"] = [name for name in VARIANTS if name in {"everything", *settings["variants"]}]
    chosen = earlier.get("learning_rates", {})
    settings["learning_rates"] = {name: chosen.get(name) if lr is None else lr for name, lr in rates.items()}
    settings["crop"] = CROP
    return settings


def check(settings: dict[str, Any], rates: dict[str, float | None]) -> None:
    """Refuse settings that are out of range."""
    for name, least in (("epochs", 1), ("limit", 2), ("threads", 1)):
        if settings[name] < least:
            raise StudyError(f"{name} is {settings[name]}; expected {least} or more")
    check_settings(settings, rates)
    for variant in settings["variants"]:
        if variant not in VARIANTS:
            raise StudyError(f"only is {variant!r}; expected some of {', '.join(VARIANTS)}")


# These may differ from one part of a study to the next: they say how much is done, not how.
MAY_CHANGE = {"seeds", "target_error", "variants", "learning_rates"}


def refuse_differences(folder: ResultsFolder, earlier: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Refuse to go on with a study whose numbers came about in another way."""
    others = []
    for activation, now in settings["learning_rates"].items():
        before = earlier.get("learning_rates", {}).get(activation)
        if before is not None and before != now:
            others.append(f"lr_{activation} was {before:g} and is {now:g} now")
    folder.refuse_differences(earlier, settings, MAY_CHANGE, others)


# --- the results -------------------------------------------------------------------------------------------------


def results(study: Study) -> dict[str, Any]:
    """Return what came of each variant that can be compared: everything on first, then what hurts most to miss."""
    done = study.done()
    errors: dict[str, dict[int, float]] = {}
    for each, result in done.items():
        errors.setdefault(each.variant, {})[each.seed] = result["test"]["error"]
    spread = spread_of_seeds(errors)
    found = {}
    for variant, own in errors.items():
        differences = [own[seed] - error for seed, error in errors.get("everything", {}).items() if seed in own]
        if not differences:
            continue
        curves = {seed: [row["train_error"] for row in study.rows(Run(variant, seed))] for seed in own}
        target = study.settings["target_error"]
        found[variant] = {
            "label": VARIANTS[variant].label,
            "learning_rate": done[Run(variant, min(own))]["recipe"]["lr"],
            "test_error": {str(seed): error for seed, error in own.items()},
            "mean": statistics.mean(own.values()),
            "difference": statistics.mean(differences),  # over the seeds that both have
            "verdict": verdict(differences, spread),
            "epochs_to_target": {str(seed): epochs_to_target(curve, target) for seed, curve in curves.items()},
            "epochs_to_target_text": crossings(list(curves.values()), target),
            "last_train_error": {str(seed): curve[-1] for seed, curve in curves.items()},
            "seconds": {str(seed): done[Run(variant, seed)]["seconds"] for seed in own},
        }
    order = sorted(found, key=lambda variant: (variant != "everything", -found[variant]["difference"]))
    return {"spread_of_seeds": spread, "variants": {variant: found[variant] for variant in order}}


def spread_of_seeds(errors: Mapping[str, Mapping[int, float]]) -> float | None:
    """Return the widest range of a variant's test errors; None if there is one seed only."""
    return max((max(own.values()) - min(own.values()) for own in errors.values() if len(own) > 1), default=None)


def verdict(differences: Sequence[float], spread: float | None) -> str:
    """Say whether a variant is "worse" or "better" than everything on; "unclear" if it may be chance."""
    difference = statistics.mean(differences)
    if spread is None or len(differences) < 2 or abs(difference) <= spread:
        return "unclear"
    return "worse" if difference > 0 else "better"


def report(study: Study) -> None:
    """Write the summary and the pictures, and print the table."""
    study.save()
    found = results(study)
    if not found["variants"]:
        return
    lines = [
        Dots(one["label"], list(one["test_error"].values()), one["verdict"], note(variant, one))
        for variant, one in found["variants"].items()
    ]
    figure = draw_contributions(lines[0], lines[1:], f"AlexNet's recipe on {described(study)}, one thing off at a time")
    for kind in ("png", "svg"):
        save_figure(figure, study.folder.picture(kind))
    print(f"\n{table(study, found)}\n\n{conclusion(found)}\n")
    print(f"{study.folder.picture('png')}, .svg, .csv and {study.folder.summary.name} are written")


def note(variant: str, one: Mapping[str, Any]) -> str:
    """Return what the figure says of a variant: the difference in percentage points."""
    if variant == "everything":
        return f"{100 * one['mean']:.1f} %"
    text = f"{100 * one['difference']:+.1f} points".replace("-", "\N{MINUS SIGN}")
    return f"{text}, not told apart" if one["verdict"] == "unclear" else text


def described(study: Study) -> str:
    """Name the pictures."""
    name = {"cifar10": "CIFAR-10", "shapes": "drawn shapes"}[study.settings["data"]]
    return f"{study.settings['limit']:,} pictures of {name}"


def table(study: Study, found: Mapping[str, Any]) -> str:
    """Return the results as text, what hurts most to miss first."""
    settings = study.settings
    target = f"epochs to {100 * settings['target_error']:g} %"
    lines = [("", "learning rate", "test error", "lowest to highest", "difference", target, "seconds a run")]
    for variant, one in found["variants"].items():
        errors = list(one["test_error"].values())
        lines.append(
            (
                one["label"],
                f"{one['learning_rate']:g}",
                f"{100 * one['mean']:.1f} %",
                f"{100 * min(errors):.1f} to {100 * max(errors):.1f} %" if len(errors) > 1 else "one seed",
                "" if variant == "everything" else f"{100 * one['difference']:+.1f}",
                one["epochs_to_target_text"],
                f"{statistics.mean(one['seconds'].values()):.1f}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    text.insert(1, "-" * (sum(widths) + 2 * len(widths) - 2))
    title = f"{described(study)}, {settings['test_images']:,} test pictures, {settings['epochs']} epoch(s) a run"
    return "\n".join([title, "", *text])


def conclusion(found: Mapping[str, Any]) -> str:
    """Say what helps, what hurts, and what cannot be told."""
    kinds: dict[str, list[str]] = {"worse": [], "better": [], "unclear": []}
    for variant, one in found["variants"].items():
        if variant != "everything":
            kinds[one["verdict"]].append(f"{VARIANTS[variant].what} ({100 * one['difference']:+.1f})")
    spread = found["spread_of_seeds"]
    rule = (
        "With one seed, no difference can be told from chance."
        if spread is None
        else f"Told apart are differences above {100 * spread:.1f} points, the widest range of any variant's seeds."
    )
    return "\n".join(
        [
            f"Helps here (without it the error is higher): {', '.join(kinds['worse']) or 'nothing'}",
            f"Hurts here (without it the error is lower): {', '.join(kinds['better']) or 'nothing'}",
            f"Not told apart by these seeds: {', '.join(kinds['unclear']) or 'nothing'}",
            rule,
            "Training errors are running ones; without dropout or augmentation they are those of an easier task.",
        ]
    )
