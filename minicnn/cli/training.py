"""``minicnn train``, ``evaluate`` and ``predict``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from minicnn.cli import options
from minicnn.cli.layout import Argument, Command
from minicnn.models.cifar_alexnet import DEPTHS
from minicnn.models.four_layers import INITS
from minicnn.models.network import ACTIVATIONS, NORMS
from minicnn.training import inference, trainer
from minicnn.training.recipe import CHOICES, Recipe

SWITCHES = "variant activation norm dropout overlapping groups depth init in_size num_classes".split()
SETTINGS = [field.name for field in fields(Recipe)]  # not all have an option
SECTIONS = {
    "Network": SWITCHES,
    "Fine-tuning": "weights freeze".split(),
    "Images": "inputs augment colour padding validation limit skip_bad max_pixels cache".split(),
    "Optimisation": "recipe batch_size lr momentum weight_decay sgd schedule patience lr_drops seed".split(),
    "Checkpoints and hardware": "checkpoint_minutes keep workers threads device tf32".split(),
    "Several processes": "distributed timeout towers dry_run ranks link".split(),
}


@click.command(cls=Command, sections=SECTIONS)
@click.argument(
    "network",
    cls=Argument,
    required=False,
    type=click.Choice(options.NETWORKS),
    metavar="[NETWORK]",
    help=f"{', '.join(options.NETWORKS)}; not needed with --resume",
)
@click.option(
    "--data",
    metavar="DATA",
    help="cifar10, shapes, sketches, or a folder: FOLDER/CLASS/*.jpg or FOLDER/train/CLASS/*.jpg",
)
@options.data_dir
@click.option("--out", type=options.PATH, metavar="DIR", help="Folder of the run (default: runs/NETWORK-DATA)")
@click.option("--resume", is_flag=True, help="Resume the run in the folder; --epochs may be larger than before")
@click.option(
    "--accept-changed-images", is_flag=True, help="Resume although images were repaired, added or left out since"
)
@click.option("--epochs", type=options.at_least(1), metavar="N", help="Number of epochs (default: the recipe's)")
@options.variant
@click.option("--activation", type=click.Choice(list(ACTIVATIONS)), help="Default: relu; tanh for lenet5")
@click.option("--norm", type=click.Choice(NORMS), help="Response normalisation, batch normalisation, or none")
@click.option(
    "--dropout",
    type=float,
    metavar="P",
    help="Probability of dropping a unit (default: 0.5; 0.25 for alexnet-cifar with --recipe small)",
)
@click.option(
    "--overlapping/--no-overlapping", default=None, help="Max pools of 3x3 at stride 2, or of 2x2 at stride 2"
)
@click.option("--groups", type=options.at_least(1), metavar="N", help="Number of towers")
@click.option(
    "--depth",
    type=click.Choice([str(depth) for depth in DEPTHS]),
    callback=lambda context, option, value: None if value is None else int(value),
    help="Number of convolutions of alexnet-cifar (default: 5)",
)
@click.option(
    "--init",
    type=click.Choice(INITS),
    help="Initial weights of alexnet and four-layer (default: with --recipe small he and xavier, else the paper's)",
)
@click.option("--in-size", type=options.at_least(1), metavar="N", help="Height and width of the network's input")
@click.option(
    "--num-classes", type=options.at_least(1), metavar="N", help="Number of outputs (default: the classes of the data)"
)
@click.option(
    "--weights",
    type=click.Path(),
    metavar="FILE",
    help="Start from the layers of this checkpoint that fit; the last layer is made anew",
)
@click.option(
    "--freeze",
    metavar="LAYERS",
    help="Layers of --weights that training leaves as they are: names and ranges such as conv1-conv5,fc6",
)
@click.option(
    "--inputs",
    type=click.Choice(CHOICES["inputs"]),
    help="raw: pixels of 0 to 255 minus the mean image, as in 2012 (default for alexnet's variants paper and merged "
    "with the paper's initial weights); standardised: mean 0 and variance 1 in each channel (default for the others)",
)
@click.option("--augment/--no-augment", default=None, help="Random crops and mirror images (default: yes)")
@click.option("--colour/--no-colour", default=None, help="Random changes of colour (default: yes for folders)")
@click.option(
    "--padding", type=int, metavar="N", help="Grey pixels around an image before the crop (default: 4 for 32x32 inputs)"
)
@click.option(
    "--validation",
    type=float,
    metavar="SHARE",
    help="Share of the training images held out for validation; 0: none (default: 0.1, or FOLDER/val if it exists)",
)
@click.option("--limit", type=options.at_least(1), metavar="N", help="Use only N training and N test images")
@options.skip_bad
@options.max_pixels
@click.option("--cache", is_flag=True, help="Keep a folder's decoded images in memory")
@click.option(
    "--recipe",
    type=click.Choice(CHOICES["recipe"]),
    help="Where the defaults come from. paper: for alexnet 2012 to the letter, for the others its steps and schedule "
    "(default for alexnet on 100,000 training images or more); small: initial weights that keep the scale, "
    "standardised pixels and --schedule one-cycle (default)",
)
@click.option(
    "--batch-size",
    type=options.at_least(1),
    metavar="N",
    help="Images in a batch (default: 128; 32 with --recipe small on less than 10,000 images)",
)
@click.option(
    "--lr",
    type=float,
    metavar="LR",
    help="Learning rate: the first, or the highest of one-cycle (default: the recipe's; 0.01 with paper)",
)
@click.option("--momentum", type=float, metavar="M", help="Momentum of SGD (default: 0.9)")
@click.option("--weight-decay", type=float, metavar="D", help="Weight decay (default: 0.0005)")
@click.option(
    "--sgd",
    type=click.Choice(CHOICES["sgd"]),
    help="Learning rate inside the velocity, as in the paper (default), or outside, as in PyTorch",
)
@click.option(
    "--schedule",
    type=click.Choice(CHOICES["schedule"]),
    help="The learning rate. one-cycle: rises in the first tenth of the steps, then falls to 0 (default of small); "
    "plateau: divided by ten when the validation error has stopped improving (default of paper); epochs: divided by "
    "ten after those of --lr-drops",
)
@click.option(
    "--patience", type=options.at_least(1), metavar="N", help="Epochs without improvement for plateau (default: 3)"
)
@click.option(
    "--lr-drops", type=options.whole_numbers, metavar="30,60", help="Epochs for --schedule epochs, which it implies"
)
@click.option("--seed", type=int, metavar="N", help="Seed of all random numbers (default: 0)")
@click.option(
    "--checkpoint-minutes",
    type=float,
    default=10,
    metavar="T",
    help="Minutes between checkpoints within an epoch (default: 10)",
)
@click.option(
    "--keep", type=options.at_least(1), default=3, metavar="K", help="How many checkpoints to keep (default: 3)"
)
@options.workers
@options.threads
@options.device
@options.tf32
@options.distributed
@options.timeout
@click.option(
    "--towers",
    type=click.Choice(["split"]),
    help="split: instead of sharing each batch, two processes have one tower of alexnet each",
)
@click.option("--dry-run", is_flag=True, help="Only print what a step would cost with --ranks over --link")
@click.option("--ranks", type=options.at_least(1), default=2, metavar="N", help="Processes for --dry-run (default: 2)")
@click.option(
    "--link",
    type=options.link,
    default="10Gbit",
    metavar="RATE",
    help="What connects them for --dry-run, such as 10Gbit (default) or 200Mbit, a second in each direction",
)
def train(
    network: str | None,
    data: str | None,
    device: str | None,
    tf32: bool,
    distributed: bool,
    timeout: float | None,
    towers: str | None,
    dry_run: bool,
    ranks: int,
    link: float,
    **given: Any,
) -> None:
    """Train a network on CIFAR-10, drawn shapes or a folder of images, and test it at the end.

    Ctrl-C saves the run and stops; --resume continues it, bit for bit. A setting that is not given keeps the value of
    the resumed run; a new run uses the default.
    """
    from minicnn.viz import save_figure
    from minicnn.viz.training_log import draw_log

    options.use_device(device, tf32)
    switches = {name: given.pop(name) for name in SWITCHES}
    settings = {name: given.pop(name) for name in SETTINGS if name in given}
    if dry_run:
        _print_costs(network, data, switches, settings, given["threads"], ranks, link)
        return
    team = options.team(timeout) if distributed or towers else None
    if team is not None:
        given["threads"] = given["threads"] or team.threads()
    if towers:
        switches["devices"] = ["cpu", "cpu"]
    trainer.run(
        network,
        data,
        switches,
        settings,
        device=device,
        draw=lambda rows, path: save_figure(draw_log(rows), path),
        team=team,
        towers=towers is not None,
        **given,
    )


def _print_costs(
    network: str | None, data: str | None, switches: Any, settings: Any, threads: int | None, ranks: int, link: float
) -> None:
    from minicnn.training.dry_run import dry_run

    if network is None:
        raise click.UsageError("--dry-run needs a network")
    options.use_threads(threads)
    for line in dry_run(network, data, switches, settings, ranks, link):
        print(line)


@click.command(cls=Command)
@options.checkpoint
@options.test_data
@options.data_dir
@click.option("--ten-crop", is_flag=True, help="Average over ten crops of each image, as in the paper")
@options.limit
@options.skip_bad
@options.max_pixels
@click.option("--json", "json_file", type=options.PATH, metavar="FILE", help="Write the results to this file as well")
@options.workers
@options.threads
@options.device
@options.tf32
@options.distributed
@options.timeout
def evaluate(
    checkpoint: Path,
    data: str,
    threads: int | None,
    device: str | None,
    tf32: bool,
    distributed: bool,
    timeout: float | None,
    **given: Any,
) -> None:
    """Print the top-1 and top-5 error, the loss and the speed of a trained network on test images."""
    team = options.team(timeout) if distributed else None
    options.use_threads(threads if team is None else threads or team.threads())
    options.use_device(device, tf32)
    inference.evaluate_checkpoint(checkpoint, data, team=team, **given)


@click.command(cls=Command)
@options.checkpoint
@click.argument(
    "images",
    cls=Argument,
    type=options.PATH,
    nargs=-1,
    required=True,
    metavar="IMAGE...",
    help="JPEG, PNG or WebP files",
)
@click.option("--ten-crop", is_flag=True, help="Average over ten crops of each image")
@options.max_pixels
@click.option(
    "--out", type=options.picture, metavar="FILE", help="Draw the images with their classes as well: .png, .svg or .pdf"
)
@options.threads
@options.device
@options.tf32
def predict(
    checkpoint: Path,
    images: Sequence[Path],
    ten_crop: bool,
    out: Path | None,
    threads: int | None,
    device: str | None,
    tf32: bool,
) -> None:
    """Print the five most likely classes of each image."""
    from minicnn.viz import draw_predictions, save_figure

    def draw(pictures: Any, classes: Any, likely: Any, captions: Any) -> None:
        assert out is not None
        save_figure(draw_predictions(pictures, classes, likely, captions=captions), out)

    options.use_threads(threads)
    options.use_device(device, tf32)
    inference.predict_images(checkpoint, images, ten_crop=ten_crop, draw=None if out is None else draw)
