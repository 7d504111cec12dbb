"""Does ReLU learn faster than tanh?  Figure 1 of Krizhevsky et al. 2012, redrawn.

The four-layer network learns CIFAR-10 with ReLU and with tanh: from the same initial weights, on the same batches, each
at its own learning rate, without regularisation. How many epochs does each need to 25 % training error? In the paper,
tanh needs six times as many as ReLU.

*Training error* is the running error of an epoch: each batch is evaluated just before its own update, and the batches
are averaged. Evaluating all images again after the epoch would cost another forward pass and give lower curves, because
the running error describes the middle of the epoch and the network has learnt since. (In reference runs on raw pixels,
ReLU had running errors of 59.7 and 41.5 % in epochs 1 and 2, and 46.9 and 35.8 % after them.) A curve can then cross
the line an epoch sooner, for either activation.

*Inputs* are either raw, as in 2012 (pixels of 0 to 255 minus the mean image), or standardised (mean zero and variance
one in each channel). Section 3.1 of the paper says that ReLUs "do not require input normalization to prevent them from
saturating". Tanh units do: large pixels drive them to where they are flat. How many are there after each epoch, is
measured, see :mod:`minicnn.experiments.saturation`.

The file reads downwards: what is varied; the runs; the results.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from minicnn.data import Preparation
from minicnn.data.sources import Part
from minicnn.distributed import Team
from minicnn.experiments import saturation
from minicnn.experiments.conclusion import conclusion
from minicnn.experiments.results import Row, aligned, read_log
from minicnn.experiments.study import DATA, Study
from minicnn.models.network import Network
from minicnn.training.metrics import average_crossing, crossing_ratio, crossings, epochs_to_target
from minicnn.viz.curves import Curve, Panel, error_curves

__all__ = ["run"]

# --- what is varied ----------------------------------------------------------------------------------------------

INPUTS = {"raw": "Raw pixels minus the mean image", "standardised": "Standardised pixels"}
ACTIVATIONS = {"relu": "ReLU", "tanh": "tanh"}

# The same for both activations, with no regularisation, and no validation: the training error is the result.
RECIPE = {"momentum": 0.9, "weight_decay": 0.0, "sgd": "pytorch", "augment": False, "validation": 0}

# An epoch of CIFAR-10 is 391 steps. One of the shapes is 94; with batches of 128 it would be 24. From such small
# weights, a network needs up to a hundred steps before it begins to learn, which would be four of a dozen short epochs.
BATCH_SIZES = {"cifar10": 128, "shapes": 32}

# Each pair of inputs and activation has its own, as in the paper; chosen by short runs, see `--search`.
LEARNING_RATES = {
    "cifar10": {"raw": {"relu": 0.001, "tanh": 0.01}, "standardised": {"relu": 0.01, "tanh": 0.01}},
    "shapes": {"raw": {"relu": 0.001, "tanh": 0.01}, "standardised": {"relu": 0.01, "tanh": 0.02}},
}
EPOCHS = {"cifar10": 40, "shapes": 12}
LIMIT = {"cifar10": None, "shapes": 3_000}
SEARCH_EPOCHS, SEARCH_IMAGES = 4, 20_000


class ActivationRun(NamedTuple):
    """One activation on one kind of inputs. A seed gives both activations the same initial weights and batches."""

    inputs: str
    activation: str
    seed: int

    def __str__(self) -> str:
        return f"{self.inputs} inputs, {ACTIVATIONS[self.activation]}, seed {self.seed}"


class ReluVsTanh(Study[ActivationRun]):
    """The study; see the top of this file."""

    name = "relu_vs_tanh"
    columns = {
        "inputs": str,
        "activation": str,
        "seed": int,
        "lr": float,
        "epoch": int,  # from 1
        "train_error": float,
        "train_loss": float,
        "seconds": float,  # of this epoch
        **dict.fromkeys(saturation.COLUMNS, saturation.share),  # of each layer's tanh outputs, after this epoch
    }
    rates_by = ("inputs", "activation")
    searched_rates = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)
    searched_by = "train_error"
    may_change = {"inputs", "epochs", "seeds", "target_error", "stop_at_target"}

    @classmethod
    def defaults(cls, data: str) -> dict[str, Any]:
        return {
            "limit": LIMIT[data],
            "batch_size": BATCH_SIZES[data],
            "inputs": list(INPUTS),
            "epochs": EPOCHS[data],
            "seeds": [0],
            "target_error": 0.25,
            "stop_at_target": False,
            "search": False,
        }

    @classmethod
    def default_rates(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        rates = LEARNING_RATES[settings["data"]]
        return {kind: dict.fromkeys(ACTIVATIONS) if settings["search"] else rates[kind] for kind in settings["inputs"]}

    @classmethod
    def check(cls, settings: dict[str, Any], rates: Mapping[str, float | None]) -> None:
        super().check(settings, rates)
        for kind in settings["inputs"]:
            if kind not in INPUTS:
                raise ValueError(f"{cls.name}: inputs must be one of {', '.join(INPUTS)}, both, got {kind!r}")

    # --- how a run is trained ------------------------------------------------------------------------------------

    def every_run(self, seeds: Sequence[int]) -> list[ActivationRun]:
        return [ActivationRun(kind, name, seed) for kind in INPUTS for seed in seeds for name in ACTIVATIONS]

    def runs(self) -> list[ActivationRun]:
        return [run for run in self.every_run(self.settings["seeds"]) if run.inputs in self.settings["inputs"]]

    def recipe(self, run: ActivationRun, epochs: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
        settings = {"inputs": run.inputs, "batch_size": self.settings["batch_size"], **RECIPE}
        return "four-layer", {"activation": run.activation}, settings

    def errors(self, run: ActivationRun) -> list[float]:
        """Return the run's training errors by epoch."""
        return [row["train_error"] for row in self.log(run)]

    def is_done(self, run: ActivationRun) -> bool:
        errors = self.errors(run)
        reached = epochs_to_target(errors, self.settings["target_error"]) is not None
        return len(errors) >= self.settings["epochs"] or (self.settings["stop_at_target"] and reached)

    def after_epoch(self, run: ActivationRun) -> bool:
        self.save()
        return self.is_done(run)

    def measure(self, network: Network, preparation: Preparation, train: Part) -> dict[str, float]:
        return saturation.saturation(network, preparation, train)

    def search_length(self) -> dict[str, int]:
        return {"epochs": SEARCH_EPOCHS, "images": SEARCH_IMAGES}

    # --- the results ---------------------------------------------------------------------------------------------

    def log(self, run: ActivationRun) -> list[Row]:
        empty = dict.fromkeys(saturation.COLUMNS, "") if run.activation == "relu" else {}  # only tanh saturates
        return read_log(self.state(run), self.columns, {**run._asdict(), **empty})

    def curves(self) -> dict[str, dict[str, dict[int, list[float]]]]:
        """Return training errors by epoch, for each kind of inputs, activation and seed."""
        found: dict[str, dict[str, dict[int, list[float]]]] = {}
        for run in self.reported():
            found.setdefault(run.inputs, {}).setdefault(run.activation, {})[run.seed] = self.errors(run)
        return found

    def results(self) -> dict[str, Any]:
        target, rates = self.settings["target_error"], self.settings["learning_rates"]
        found: dict[str, Any] = {}
        for inputs, curves in self.curves().items():
            found[inputs] = {name: summarised(runs, rates[inputs][name], target) for name, runs in curves.items()}
            if "tanh" in curves:
                found[inputs]["tanh"]["saturated"] = self.last_saturated(inputs)
            if len(curves) == len(ACTIVATIONS):
                relu, tanh = (list(curves[name].values()) for name in ACTIVATIONS)
                found[inputs]["ratio"] = crossing_ratio(relu, tanh, target)
        return found

    def last_saturated(self, inputs: str) -> dict[str, list[float]]:
        """Return the share of saturated outputs in each layer after the last epoch, for each seed of tanh."""
        runs = [run for run in self.reported() if run[:2] == (inputs, "tanh")]
        return {str(run.seed): [self.log(run)[-1][column] for column in saturation.COLUMNS] for run in runs}

    def figure(self, results: Mapping[str, Any]) -> Figure:
        panels = []
        for inputs, curves in self.curves().items():
            lines = [
                Curve(
                    label=ACTIVATIONS[name],
                    detail=f", learning rate {results[inputs][name]['learning_rate']:g}",
                    runs=list(runs.values()),
                    color=COLORS[name],
                    linestyle=LINES[name],
                )
                for name, runs in curves.items()
            ]
            panels.append(Panel(INPUTS[inputs], self.comparison(results[inputs]), lines))
        seeds = len({run.seed for run in self.reported()})
        over = f" (mean and range of {seeds} seeds)" if seeds > 1 else ""
        title = f"A four-layer network learns {DATA[self.settings['data']]}{over}"
        return error_curves(panels, self.settings["target_error"], title, self.saturated())

    def saturated(self) -> Panel | None:
        """Return the panel of saturated tanh units, with a line for each layer and kind of inputs."""
        logs: dict[str, list[list[Row]]] = {}
        for run in self.reported():
            if run.activation == "tanh":
                logs.setdefault(run.inputs, []).append(self.log(run))
        lines = [
            Curve(f"{inputs}, layer {layer}", [[row[column] for row in log] for log in each], shade, SATURATED[inputs])
            for inputs, each in logs.items()
            for layer, (column, shade) in enumerate(zip(saturation.COLUMNS, SHADES, strict=True), start=1)
        ]
        note = "outputs beyond \N{PLUS-MINUS SIGN}0.99 on the first 1,000 training images"
        return Panel("Saturated tanh units", note, lines) if lines else None

    def table(self, results: Mapping[str, Any]) -> str:
        target = self.settings["target_error"]
        head = ("inputs", "activation", "learning rate", f"epochs to {100 * target:g} %", "last error")
        lines = [(*head, "seconds an epoch", "saturated in layers 1, 2, 3")]
        for inputs, curves in self.curves().items():
            for name, runs in curves.items():
                logs = [self.log(run) for run in self.reported() if run[:2] == (inputs, name)]
                lines.append(
                    (
                        inputs,
                        ACTIVATIONS[name],
                        f"{results[inputs][name]['learning_rate']:g}",
                        crossings(list(runs.values()), target),
                        f"{100 * statistics.mean(errors[-1] for errors in runs.values()):.1f} %",
                        f"{statistics.mean(row['seconds'] for log in logs for row in log):.1f}",
                        shares_by_layer(results[inputs][name].get("saturated", {})),
                    )
                )
        if not results:
            return ""
        title = f"{DATA[self.settings['data']]}, {self.settings['images']:,} training images, running training error"
        compared = {
            kind: {name: list(runs.values()) for name, runs in each.items()} for kind, each in self.curves().items()
        }
        return "\n".join([title, "", aligned(lines), "", conclusion(compared, target)]).rstrip()

    def comparison(self, found: Mapping[str, Any]) -> str:
        """Say in a few words how much longer tanh takes, "" if it is not known."""
        times = found.get("ratio")
        if times is None:
            return ""
        how_many = "as many" if times == "1" else f"{times} times as many"
        return f"to {100 * self.settings['target_error']:g} %, tanh takes {how_many} epochs as ReLU"


COLORS = {"relu": "#0b62a4", "tanh": "#c8500a"}
LINES = {"relu": "-", "tanh": "--"}
SHADES = ("#7a2e00", "#c8500a", "#f0a070")  # tanh's colour, from the first layer to the last
SATURATED = {"raw": "-", "standardised": ":"}


def shares_by_layer(saturated: Mapping[str, Sequence[float]]) -> str:
    """Return the mean share of each layer over the seeds, "" if there are none."""
    layers = zip(*saturated.values(), strict=True)
    return ", ".join(f"{100 * statistics.mean(shares):.0f}" for shares in layers) + (" %" if saturated else "")


def summarised(runs: Mapping[int, Sequence[float]], lr: float, target: float) -> dict[str, Any]:
    """Return what the summary says about the runs of one activation, given as errors by epoch for each seed."""
    curves = list(runs.values())
    return {
        "learning_rate": lr,
        "epochs_to_target": {str(seed): epochs_to_target(errors, target) for seed, errors in runs.items()},
        "epochs_run": {str(seed): len(errors) for seed, errors in runs.items()},
        "median": average_crossing(statistics.median, curves, target),
        "mean": average_crossing(statistics.mean, curves, target),
        "last_error": {str(seed): errors[-1] for seed, errors in runs.items()},
    }


# --- the command -------------------------------------------------------------------------------------------------


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
    team: Team | None = None,
) -> dict[str, Any]:
    """Train with ReLU and with tanh, draw the figure, print the table; return the content of ``summary.json``.

    An argument that is None is as in the resumed study, else the default.

    Parameters
    ----------
    data : {"cifar10", "shapes"}
        Default "cifar10".
    data_dir : path, optional
        Where CIFAR-10 is, see :func:`minicnn.data.load_cifar10`.
    inputs : {"raw", "standardised", "both"}
        Default "both".
    epochs : int
        The length of each run. Default 40 for CIFAR-10, 12 for the shapes.
    seeds : sequence of int
        One run for each, for each pair of inputs and activation. Default (0,).
    search : bool
        Choose learning rates that are not given by short runs, for each pair of inputs and activation.
    lr_relu, lr_tanh : float
        Learning rates for all inputs. The defaults depend on data, inputs and activation.
    target_error : float
        Default 0.25.
    stop_at_target : bool
        End a run in the epoch in which it reaches the target.
    out : path
        The folder for the results. Default ``relu-vs-tanh/DATA``. A finished study there is moved aside.
    limit : int
        Train on this many images, the first ones. Default all of CIFAR-10, 3,000 of the shapes. A batch has 128 images
        of CIFAR-10, 32 of the shapes.
    resume : bool
        Resume the study in `out`. It may have more epochs, seeds and inputs than before.
    team : Team, optional
        Processes that share the batches of each run; each makes this call. Rank 0 alone reads and writes `out`.

    Returns
    -------
    dict
        The settings, the epochs to the target for each run and pair, their ratio, versions and machine.

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
        "limit": limit,
        "inputs": None if inputs is None else list(INPUTS) if inputs == "both" else [inputs],
        "epochs": epochs,
        "seeds": None if seeds is None else list(seeds),
        "search": search,
        "target_error": target_error,
        "stop_at_target": stop_at_target,
        "batch_size": None,
        "momentum": RECIPE["momentum"],
    }
    rates = {"relu": lr_relu, "tanh": lr_tanh}
    out = out or Path("relu-vs-tanh", data or "cifar10")
    return ReluVsTanh.conduct(given, rates, out, data_dir, resume, team)
