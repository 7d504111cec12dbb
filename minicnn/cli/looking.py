"""``minicnn summary``, ``draw``, ``show``, ``walk`` and ``live``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from minicnn.cli import options
from minicnn.cli.layout import Argument, Command, Group

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])


def network_options(function: AnyFunction) -> AnyFunction:
    """Add the arguments that name a network, for `config_of`."""
    for decorate in (
        click.option("--in-size", type=options.at_least(1), metavar="N", help="Height and width of the images"),
        options.variant,
        click.argument(
            "network",
            cls=Argument,
            type=click.Choice(options.NETWORKS),
            metavar="NETWORK",
            help=", ".join(options.NETWORKS),
        ),
    ):
        function = decorate(function)
    return function


def config_of(network: str, variant: str | None, in_size: int | None) -> dict[str, Any]:
    """Return the config of a network, with defaults left out."""
    config = {"model": network.replace("-", "_"), "variant": variant, "in_size": in_size}
    return {name: value for name, value in config.items() if value is not None}


@click.command(cls=Command)
@network_options
@click.option("--batch", type=options.at_least(1), default=1, metavar="N", help="Images in a batch (default: 1)")
@click.option("--csv", is_flag=True, help="Print CSV instead of a table")
def summary(network: str, variant: str | None, in_size: int | None, batch: int, csv: bool) -> None:
    """Print how a network changes the shape of an image, without computing it.

    Each layer is listed with its output's shape and the arithmetic that gives it, its parameters,
    multiply-accumulates and memory. A warning says where a stride does not divide.
    """
    from minicnn.model_summary import summary_of_config

    with options.wrong_values_in_one_line():
        found = summary_of_config(config_of(network, variant, in_size), batch)
    print(found.to_csv() if csv else found, end="" if csv else "\n")


@click.command(cls=Command)
@network_options
@options.picture_file
def draw(network: str, variant: str | None, in_size: int | None, out: Path) -> None:
    """Draw the arrays between a network's layers as boxes to scale.

    As in Figure 2 of the AlexNet paper, the two towers are drawn apart, with arrows where one reads the other.
    """
    from minicnn.model_summary import summary_of_config
    from minicnn.viz import save_figure

    with options.wrong_values_in_one_line():
        save_figure(summary_of_config(config_of(network, variant, in_size)).draw(), out)
    print(out)


@click.group(cls=Group, subcommand_metavar="WHAT ...", no_args_is_help=False)
@options.checkpoint
@click.pass_context
def show(context: click.Context, checkpoint: Path) -> None:
    """Draw what a trained network has learnt, and what it sees in an image."""
    context.obj = checkpoint


@show.command(cls=Command)
@options.picture_file
@click.pass_obj
def filters(checkpoint: Path, out: Path) -> None:
    """Draw the filters of the first layer, the towers apart."""
    from minicnn.training import load_model
    from minicnn.viz import save_figure, show_filters

    with options.wrong_values_in_one_line():
        save_figure(show_filters(load_model(checkpoint)), out)
    print(out)


@show.command(cls=Command)
@options.image
@options.max_pixels
@options.picture_file
@click.option("--maps", type=options.at_least(1), default=16, metavar="N", help="Maps of each layer (default: 16)")
@options.threads
@click.pass_obj
def features(checkpoint: Path, image: Path, out: Path, maps: int, threads: int | None) -> None:
    """Draw the output of every layer for an image."""
    from minicnn.data import load_image
    from minicnn.training import load_model
    from minicnn.viz import save_figure, show_features

    options.use_threads(threads)
    saved = load_model(checkpoint)
    with options.wrong_values_in_one_line():
        save_figure(show_features(saved, load_image(image, saved.preparation.size), maps), out)
    print(out)


@show.command(cls=Command)
@options.image
@options.max_pixels
@options.picture_file
@click.option("--class", "target", metavar="NAME", help="Class to explain (default: the most likely one)")
@options.threads
@click.pass_obj
def saliency(checkpoint: Path, image: Path, out: Path, target: str | None, threads: int | None) -> None:
    """Draw which parts of an image a decision depends on."""
    from minicnn.data import load_image
    from minicnn.training import load_model
    from minicnn.viz import save_figure, show_saliency

    options.use_threads(threads)
    saved = load_model(checkpoint)
    picture = load_image(image, saved.preparation.size)
    save_figure(show_saliency(saved, picture, options.class_number(target, saved.classes)), out)
    print(out)


@show.command(cls=Command)
@options.picture_file
@options.test_data
@options.data_dir
@options.limit
@options.max_pixels
@options.threads
@click.pass_obj
def confusion(
    checkpoint: Path, out: Path, data: str, data_dir: Path | None, limit: int | None, threads: int | None
) -> None:
    """Draw which classes are mistaken for which."""
    from minicnn.data.sources import load_test
    from minicnn.training import load_model
    from minicnn.viz import save_figure, show_confusion

    options.use_threads(threads)
    saved = load_model(checkpoint)
    test = load_test(data, saved.preparation.size, saved.classes, data_dir=data_dir, limit=limit)
    test.verify()
    save_figure(show_confusion(saved, test.images, test.labels), out)
    print(out)


@click.command(cls=Command)
@options.checkpoint
@options.image
@options.max_pixels
@click.option("--class", "target", metavar="NAME", help="True class of the image (default: the most likely one)")
@click.option("--out", type=options.PATH, required=True, metavar="FILE", help="Page to write, .html")
@options.threads
def walk(checkpoint: Path, image: Path, target: str | None, out: Path, threads: int | None) -> None:
    """Write an HTML page on which an image passes through a trained network, operation by operation.

    The gradient of the loss then flows back through it. The page is one file and works offline.
    """
    from minicnn.data import load_image
    from minicnn.files import write_atomically
    from minicnn.training import load_model
    from minicnn.viz import walk_html

    options.use_threads(threads)
    saved = load_model(checkpoint)
    picture = load_image(image, saved.preparation.size)
    write_atomically(out, walk_html(saved, picture, options.class_number(target, saved.classes)))
    print(out)


@click.command(cls=Command)
@options.checkpoint
@click.option(
    "--image", type=options.PATH, metavar="IMAGE", help="Image that the page begins with (default: a drawn star)"
)
@options.max_pixels
@click.option("--out", type=options.PATH, required=True, metavar="FILE", help="Page to write, .html")
@click.option(
    "--runtime",
    type=options.PATH,
    metavar="FILE",
    help="onnxruntime-web-1.30.0.tgz, as npm pack onnxruntime-web@1.30.0 writes it (default: downloaded once, 33 MB)",
)
@options.threads
def live(checkpoint: Path, image: Path | None, out: Path, runtime: Path | None, threads: int | None) -> None:
    """Write an HTML page on which a trained network sees what you draw, an image that you drop, or the camera.

    Every map, the scores and a unit's arithmetic change as you draw. The network runs in the page, by ONNX Runtime
    Web: a script of 5 MB that is written beside the page and must stay there. Both work offline. Needs the extra onnx.
    """
    from minicnn.data import load_image
    from minicnn.files import write_atomically
    from minicnn.training import load_model
    from minicnn.viz.live_page import live_html
    from minicnn.viz.onnx_runtime import SCRIPT, runtime_script

    options.use_threads(threads)
    saved = load_model(checkpoint)
    reference = None if image is None else load_image(image, saved.preparation.size)
    with options.wrong_values_in_one_line():
        page = live_html(saved, reference).encode()
    write_atomically(out, page)  # without the script it is still a page to walk through, and says what is missing
    print(f"{out}: {len(page) / 1e6:.1f} MB")
    script = runtime_script(runtime)
    write_atomically(out.with_name(SCRIPT), script)
    print(f"{out.with_name(SCRIPT)}: {len(script) / 1e6:.1f} MB")
