"""What is each of AlexNet's contributions worth?  An ablation study: everything on, then one thing off at a time.

:func:`minicnn.models.alexnet_cifar` learns CIFAR-10, several times with different seeds: as it is, and without its
depth, ReLU, dropout, LRN, augmentation, overlapping pools, or both dropout and augmentation. Nothing else differs: runs
with the same seed hold out the same images for validation and see the others in the same order, with the same crops and
mirror images. The learning rate rises in the first tenth of the steps and falls to 0 at the end of the run.
The test error is that of the epoch with the lowest validation error.

*Learning rates.* Tanh needs its own; the recipe's, which suits ReLU, would be unfair to tanh. So both are chosen in the
same way: the network with everything else on is trained for a few epochs at each of a few rates, and the rate with the
lowest validation error is taken. The test set plays no part. All other variants are ReLU networks and use ReLU's rate,
though another might suit some of them better.

*Training error* is evaluated after each epoch as the validation error is: on as many training images, as they are, and
without dropout. The running error of the epoch, which is in the CSV file too, would compare unlike things: it is the
error on cropped and mirrored images with half of the units dropped, unless the variant lacks these.

*Significance.* A difference of means counts if it is larger than the spread of seeds: the largest range from the best
to the worst seed of any variant. Among equally good networks with normally distributed errors, chance alone would make
3 in 100 variants differ by more with three seeds of everything and two of each variant (simulated, with all eight
variants). With one seed no difference counts.

The file reads downwards: what is varied; the runs; the results.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from minicnn.backend import get_num_threads
from minicnn.data import Preparation
from minicnn.data.sources import Part
from minicnn.experiments.ablations import VARIANTS
from minicnn.experiments.results import Row, StudyError, aligned, read_result
from minicnn.experiments.study import DATA, Study
from minicnn.models.network import Network
from minicnn.training.evaluation import evaluate
from minicnn.training.metrics import crossings, epochs_to_target
from minicnn.viz.contributions import Dots, draw_contributions
from minicnn.viz.curves import Curve, Panel

__all__ = ["run"]

# --- what is varied ----------------------------------------------------------------------------------------------

CROP = 24  # of 32: a quarter fewer multiply-accumulates than 28, and more room for crops
LIMIT = {"cifar10": None, "shapes": 2_000}
EPOCHS = {"cifar10": 24, "shapes": 12}
BATCH_SIZES = {"cifar10": 128, "shapes": 32}  # fewer images need smaller batches, for as many steps
FEWER = 2  # seeds of a variant; "everything", with which each is compared, has all
SEARCH_EPOCHS, SEARCH_IMAGES = 4, 20_000
SCHEDULE = {"schedule": "one-cycle"}  # it needs no tuning for the number of epochs
LEARNING = ("everything", "depth", "relu", "lrn", "overlapping")  # seen in how far and how fast training gets
OVERFITTING = ("everything", "dropout", "augmentation", "regularisation")  # and in the gap to other images
COLORS = ("#222222", "#c8500a", "#0b62a4", "#a0328c", "#2e8b57")


class AblationRun(NamedTuple):
    """One variant with one seed."""

    variant: str
    seed: int

    @property
    def activation(self) -> str:
        """The network's activation, which has a learning rate of its own."""
        return str(VARIANTS[self.variant].switches.get("activation", "relu"))

    def __str__(self) -> str:
        return f"{VARIANTS[self.variant].label}, seed {self.seed}"


class Contributions(Study[AblationRun]):
    """The study; see the top of this file."""

    name = "contributions"
    columns = {
        "variant": str,
        "seed": int,
        "epoch": int,  # from 1
        "lr": float,  # at the end of this epoch
        "train_error": float,  # the running one, of augmented images and with dropout
        "evaluated_train_error": float,  # after this epoch, of images as they are and without dropout
        "validation_error": float,
        "seconds": float,  # of this epoch, with its validation
    }
    rates_by = ("activation",)
    searched_rates = (0.005, 0.01, 0.02, 0.05, 0.1)
    searched_by = "validation_error"
    may_change = {"seeds", "target_error", "variants"}

    @classmethod
    def defaults(cls, data: str) -> dict[str, Any]:
        return {
            "seeds": [0, 1, 2],
            "epochs": EPOCHS[data],
            "limit": LIMIT[data],
            "batch_size": BATCH_SIZES[data],
            "threads": get_num_threads(),
            "target_error": 0.25,
            "variants": list(VARIANTS),
        }

    @classmethod
    def default_rates(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {"relu": None, "tanh": None}

    @classmethod
    def check(cls, settings: dict[str, Any], rates: Mapping[str, float | None]) -> None:
        super().check(settings, rates)
        for variant in settings["variants"]:
            if variant not in VARIANTS:
                raise ValueError(f"{cls.name}: only must be some of {', '.join(VARIANTS)}, got {variant!r}")

    # --- the runs ------------------------------------------------------------------------------------------------

    def every_run(self, seeds: Sequence[int]) -> list[AblationRun]:
        return [AblationRun(variant, seed) for variant in VARIANTS for seed in seeds]

    def runs(self) -> list[AblationRun]:
        wanted, seeds = self.settings["variants"], self.settings["seeds"]
        runs = [AblationRun(name, seed) for seed in seeds for name in VARIANTS if name in wanted]
        return [run for run in runs if run.variant == "everything" or run.seed in seeds[:FEWER]]

    def recipe(self, run: AblationRun, epochs: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
        variant = VARIANTS[run.variant]
        switches = {"in_size": self.settings["crop"], **variant.switches}
        return "alexnet-cifar", switches, {"batch_size": self.settings["batch_size"], **SCHEDULE, **variant.settings}

    def measure(self, network: Network, preparation: Preparation, train: Part) -> dict[str, float]:
        count = max(1, len(train.labels) // 9)  # as many as there are validation images, a tenth of all
        found = evaluate(network, preparation, train.images[:count], train.labels[:count])
        return {"evaluated_train_error": found.error}

    def result(self, run: AblationRun) -> Row | None:
        """Return the trainer's result of a finished run, None if it is not finished."""
        settings, variant = self.settings, VARIANTS[run.variant]
        expected = {name: settings[name] for name in ("data", "limit", "epochs", "batch_size")}
        expected |= {"seed": run.seed, "lr": self.rates(run)[run.activation], "in_size": settings["crop"]}
        result = read_result(self.state(run), {**expected, **SCHEDULE, **variant.switches, **variant.settings})
        if result is not None and len(self.log(run)) != settings["epochs"]:
            raise StudyError(f"{self.state(run)}/log.csv does not have the epochs 1 to {settings['epochs']}")
        return result

    def is_done(self, run: AblationRun) -> bool:
        return self.result(run) is not None

    def reported(self) -> list[AblationRun]:
        return [run for run in self.begun() if self.is_done(run)]

    def search_length(self) -> dict[str, int]:
        return {"epochs": min(SEARCH_EPOCHS, self.settings["epochs"]), "images": SEARCH_IMAGES}

    # --- the results ---------------------------------------------------------------------------------------------

    def results(self) -> dict[str, Any]:
        done: dict[str, dict[int, Row]] = {}
        for run in self.reported():
            done.setdefault(run.variant, {})[run.seed] = self.result(run) or {}
        errors = {variant: {seed: one["test"]["error"] for seed, one in own.items()} for variant, own in done.items()}
        spread, target = spread_of_seeds(errors), self.settings["target_error"]
        found = {}
        for variant, own in errors.items():
            differences = [own[seed] - error for seed, error in errors.get("everything", {}).items() if seed in own]
            if not differences:
                continue
            logs = {seed: self.log(AblationRun(variant, seed)) for seed in own}
            curves = {seed: [row["evaluated_train_error"] for row in log] for seed, log in logs.items()}
            fitted = {seed: curves[seed][one["best_epoch"] - 1] for seed, one in done[variant].items()}
            found[variant] = {
                "label": VARIANTS[variant].label,
                "learning_rate": self.rates(AblationRun(variant, 0))[AblationRun(variant, 0).activation],
                "test_error": {str(seed): error for seed, error in own.items()},
                "train_error": {str(seed): error for seed, error in fitted.items()},  # of the same network
                "mean": statistics.mean(own.values()),
                "gap": statistics.mean(own[seed] - fitted[seed] for seed in own),
                "difference": statistics.mean(differences),  # over the seeds that both have
                "verdict": verdict(differences, spread),
                "epochs_to_target": {str(seed): epochs_to_target(curve, target) for seed, curve in curves.items()},
                "epochs_to_target_text": crossings(list(curves.values()), target),
                "seconds": {str(seed): one["seconds"] for seed, one in done[variant].items()},
            }
        # Everything on first, then by how much each contribution helps.
        order = sorted(found, key=lambda variant: (variant != "everything", -found[variant]["difference"]))
        return {"spread_of_seeds": spread, "variants": {variant: found[variant] for variant in order}}

    def figure(self, results: Mapping[str, Any]) -> Figure:
        lines = [
            Dots(
                one["label"],
                list(one["test_error"].values()),
                list(one["train_error"].values()),
                one["verdict"],
                note(variant, one),
            )
            for variant, one in results["variants"].items()
        ]
        title = f"AlexNet's recipe on {self.images()}, one thing off at a time"
        return draw_contributions(lines[0], lines[1:], self.panels(), title)

    def panels(self) -> list[Panel]:
        """Return what is drawn over the epochs: training errors; training and validation errors."""
        training, validation = "evaluated_train_error", "validation_error"
        learning, overfitting = [], []
        for variant, color in zip(LEARNING, COLORS, strict=True):
            learning += self.curves(variant, training, color)
        for variant, color in zip(OVERFITTING, COLORS, strict=False):
            overfitting += self.curves(variant, validation, color)
            overfitting += self.curves(variant, training, color, "--", label="_")  # without an entry in the legend
        return [
            Panel("How fast it learns", "training images", learning),
            Panel("Overfitting", "solid: validation images, dashed: training images", overfitting),
        ]

    def curves(self, variant: str, column: str, color: str, style: str = "-", label: str | None = None) -> list[Curve]:
        """Return a column of the variant's logs as a curve; none if no run of it is reported."""
        logs = [self.log(run) for run in self.reported() if run.variant == variant]
        values = [[row[column] for row in log] for log in logs]
        return [Curve(label or VARIANTS[variant].label, values, color, style)] if logs else []

    def images(self) -> str:
        """Describe the training data."""
        return f"{self.settings['images']:,} images of {DATA[self.settings['data']]}"

    def table(self, results: Mapping[str, Any]) -> str:
        settings = self.settings
        target = f"epochs to {100 * settings['target_error']:g} %"
        errors = ("training error", "test error", "lowest to highest", "difference")
        lines = [("", "learning rate", *errors, target, "seconds a run")]
        for variant, one in results["variants"].items():
            tested = list(one["test_error"].values())
            lines.append(
                (
                    one["label"],
                    f"{one['learning_rate']:g}",
                    f"{100 * statistics.mean(one['train_error'].values()):.1f} %",
                    f"{100 * one['mean']:.1f} %",
                    f"{100 * min(tested):.1f} to {100 * max(tested):.1f} %" if len(tested) > 1 else "one seed",
                    "" if variant == "everything" else f"{100 * one['difference']:+.1f}",
                    one["epochs_to_target_text"],
                    f"{statistics.mean(one['seconds'].values()):.1f}",
                )
            )
        if not results["variants"]:
            return ""
        title = f"{self.images()}, {settings['test_images']:,} test images, {settings['epochs']} epoch(s) a run"
        return "\n".join([title, "", aligned(lines), "", conclusion(results)])


def spread_of_seeds(errors: Mapping[str, Mapping[int, float]]) -> float | None:
    """Return the largest range of a variant's test errors; None if there is only one seed."""
    return max((max(own.values()) - min(own.values()) for own in errors.values() if len(own) > 1), default=None)


def verdict(differences: Sequence[float], spread: float | None) -> str:
    """Say whether a variant is "worse" or "better" than everything on; "unclear" if it may be chance."""
    difference = statistics.mean(differences)
    if spread is None or len(differences) < 2 or abs(difference) <= spread:
        return "unclear"
    return "worse" if difference > 0 else "better"


def note(variant: str, one: Mapping[str, Any]) -> str:
    """Return a variant's note in the figure: its difference in percentage points."""
    if variant == "everything":
        return f"{100 * one['mean']:.1f} %"
    text = f"{100 * one['difference']:+.1f} points".replace("-", "\N{MINUS SIGN}")
    return f"{text}, unclear" if one["verdict"] == "unclear" else text


def conclusion(results: Mapping[str, Any]) -> str:
    """Say what helps, what hurts, and what is unclear."""
    kinds: dict[str, list[str]] = {"worse": [], "better": [], "unclear": []}
    for variant, one in results["variants"].items():
        if variant != "everything":
            kinds[one["verdict"]].append(f"{VARIANTS[variant].what} ({100 * one['difference']:+.1f})")
    spread = results["spread_of_seeds"]
    rule = (
        "With one seed, no difference can be distinguished from chance."
        if spread is None
        else f"A difference counts above {100 * spread:.1f} points, the largest range of any variant's seeds."
    )
    return "\n".join(
        [
            f"Helps here (without it the error is higher): {', '.join(kinds['worse']) or 'nothing'}",
            f"Hurts here (without it the error is lower): {', '.join(kinds['better']) or 'nothing'}",
            f"Unclear with these seeds: {', '.join(kinds['unclear']) or 'nothing'}",
            rule,
            overfitted(results["variants"]),
        ]
    )


def overfitted(variants: Mapping[str, Any]) -> str:
    """Say how much higher the test error is than the training error, with regularisation and without."""
    gaps = [f"{100 * variants[name]['gap']:.1f} {VARIANTS[name].label}" for name in OVERFITTING if name in variants]
    return f"Test error minus training error, in points: {', '.join(gaps) or 'unknown'}."


# --- the command -------------------------------------------------------------------------------------------------


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
    """Train every variant with every seed, draw the figure, print the table; return the content of ``summary.json``.

    An argument that is None is as in the resumed study, else the default. With the defaults, the study takes hours.

    Parameters
    ----------
    data : {"cifar10", "shapes"}
        Default "cifar10".
    data_dir : path, optional
        Where CIFAR-10 is, see :func:`minicnn.data.load_cifar10`.
    seeds : sequence of int
        One run of the complete network for each, and one of each variant for the first two. Default (0, 1, 2).
    epochs : int
        The length of each run. Default 24 for CIFAR-10, else 12.
    limit : int
        Use this many training images, the first ones, a tenth of them for validation; and at most as many test images.
        Default all of CIFAR-10, else 2,000.
    threads : int
        Cores to compute on. Default :func:`minicnn.get_num_threads`.
    target_error : float
        Count the epochs to this training error. Default 0.25.
    only : sequence of str
        Some keys of `VARIANTS`, to which "everything" is added. Default all.
    lr_relu, lr_tanh : float
        Learning rates. By default each is chosen by short runs.
    out : path
        The folder for the results. Default ``contributions/DATA``. A finished study there is moved aside.
    resume : bool
        Resume the study in `out`. It may have more seeds and variants than before, and another target.

    Returns
    -------
    dict
        The settings, the results of each variant, the search for learning rates, versions and machine.

    Raises
    ------
    StudyError
        If an argument is out of range or differs from that of the resumed study, or `out` holds an unfinished study
        and `resume` is False.
    TrainingError
        If a run diverges or cannot be saved; what is finished is kept.
    Stopped
        After Ctrl-C, SIGTERM or SIGHUP; the message says how to resume.
    """
    given = {
        "data": data,
        "seeds": None if seeds is None else list(seeds),
        "epochs": epochs,
        "limit": limit,
        "threads": threads,
        "target_error": target_error,
        "variants": None if only is None else list(dict.fromkeys(["everything", *only])),
        "batch_size": None,
        "crop": CROP,
    }
    rates = {"relu": lr_relu, "tanh": lr_tanh}
    return Contributions.conduct(given, rates, out or Path("contributions", data or "cifar10"), data_dir, resume)
