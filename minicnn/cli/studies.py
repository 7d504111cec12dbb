"""``minicnn relu-vs-tanh``, ``contributions`` and ``ilsvrc``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from minicnn.cli import options
from minicnn.cli.layout import Command
from minicnn.data import sources
from minicnn.data.preparation import INPUTS

data = click.option("--data", type=click.Choice(sources.STUDIED), help="Images to train on (default: cifar10)")
resume = click.option("--resume", is_flag=True, help="Resume the study in the folder, with the settings it had")


@click.command("relu-vs-tanh", cls=Command)
@data
@options.data_dir
@click.option(
    "--inputs",
    type=click.Choice([*INPUTS, "both"]),
    help="raw: pixels of 0 to 255 minus the mean image, as in 2012; standardised: mean 0 and variance 1 in each "
    "channel (default: both)",
)
@click.option("--epochs", type=int, metavar="N", help="Epochs of each run (default: 40 for cifar10, 12 for shapes)")
@click.option(
    "--seeds", type=options.whole_numbers, metavar="0,1,2", help="One run for each, for each curve (default: 0)"
)
@click.option("--search/--no-search", default=None, help="Choose each learning rate that is not given by short runs")
@click.option("--lr-relu", type=float, metavar="LR", help="Learning rate of ReLU, for all inputs")
@click.option("--lr-tanh", type=float, metavar="LR", help="Learning rate of tanh, for all inputs")
@click.option("--target-error", type=float, metavar="E", help="Training error to reach (default: 0.25)")
@click.option(
    "--stop-at-target/--no-stop-at-target",
    default=None,
    help="End a run when it reaches the target error (default: train for all of --epochs)",
)
@click.option("--out", type=options.PATH, metavar="DIR", help="Folder for the results (default: relu-vs-tanh/DATA)")
@click.option(
    "--limit", type=int, metavar="N", help="Train on the first N images (default: all of cifar10, 3000 of shapes)"
)
@resume
@options.threads
@options.device
@options.tf32
@options.distributed
@options.timeout
def relu_vs_tanh(
    threads: int | None, device: str | None, tf32: bool, distributed: bool, timeout: float | None, **given: Any
) -> None:
    """Train a four-layer network with ReLU and with tanh, and draw Figure 1 of the AlexNet paper.

    How many epochs does each need to reach 25 % training error? Writes a figure, a table and a summary.
    """
    from minicnn.experiments import relu_vs_tanh as study

    team = options.team(timeout) if distributed else None
    options.use_threads(threads if team is None else threads or team.threads())
    options.use_device(device, tf32)
    study.run(**given, team=team)


@click.command(cls=Command)
@data
@options.data_dir
@click.option(
    "--seeds",
    type=options.whole_numbers,
    metavar="0,1,2",
    help="One run of the complete network for each, and one of each variant for the first two (default: 0,1,2)",
)
@click.option(
    "--epochs",
    type=options.at_least(1),
    metavar="N",
    help="Epochs of each run (default: 24 for cifar10, 12 for shapes)",
)
@click.option(
    "--limit",
    type=options.at_least(1),
    metavar="N",
    help="Use only N images (default: all of cifar10, 2000 of shapes)",
)
@click.option(
    "--target-error",
    type=float,
    metavar="E",
    help="Count the epochs to this training error (default: 0.25)",
)
@click.option(
    "--only",
    type=lambda text: text.split(","),
    metavar="A,B",
    help="Some of depth, relu, dropout, lrn, augmentation, overlapping, regularisation (default: all)",
)
@click.option("--lr-relu", type=float, metavar="LR", help="Learning rate (default: chosen by short runs)")
@click.option("--lr-tanh", type=float, metavar="LR", help="Learning rate of tanh (default: chosen by short runs)")
@click.option("--out", type=options.PATH, metavar="DIR", help="Folder for the results (default: contributions/DATA)")
@resume
@options.threads
@options.device
@options.tf32
def contributions(device: str | None, tf32: bool, **given: Any) -> None:
    """Train alexnet-cifar with all its parts, and without one at a time: what is each worth?

    The parts are its depth, ReLU, dropout, LRN, augmentation and overlapping pools; regularisation is dropout and
    augmentation. Writes a figure, a table and a summary. Ctrl-C saves the study and stops; --resume continues it, bit
    for bit.
    """
    from minicnn.experiments import contributions as study

    options.use_device(device, tf32)
    study.run(**given)


@click.command(cls=Command)
@options.picture_file
def ilsvrc(out: Path) -> None:
    """Draw the top-5 error of the ImageNet challenge's winners by year, with AlexNet marked."""
    from minicnn.experiments.ilsvrc import draw_winners
    from minicnn.viz import save_figure

    save_figure(draw_winners(), out)
    print(out)
