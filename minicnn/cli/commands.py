"""Every command, by task. A command's file is imported when the command is used, so that help comes at once."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

import click

from minicnn._version import __version__
from minicnn.cli.layout import Group

__all__ = ["SECTIONS", "Section", "program"]


class Section(NamedTuple):
    """Some of the commands.

    Attributes
    ----------
    title : str
    module : str
        The file that defines the commands, each as a function of its name.
    commands : dict of str
        What each does, in one line.
    """

    title: str
    module: str
    commands: dict[str, str]


SECTIONS = (
    Section(
        "Train networks and use them",
        "training",
        {
            "train": "Train a network; stop and resume at any time",
            "evaluate": "Measure the error of a trained network on test images",
            "predict": "Classify images with a trained network",
        },
    ),
    Section(
        "Look inside networks",
        "looking",
        {
            "summary": "Print each layer's shape, its arithmetic and its costs",
            "draw": "Draw a network as boxes to scale, its towers apart",
            "show": "Draw filters, feature maps, saliency or confusion",
            "walk": "Write a page on which an image walks through a network",
            "live": "Write a page on which a network sees what you draw",
        },
    ),
    Section(
        "Import and export weights",
        "weights",
        {
            "import-torchvision": "Make a checkpoint of torchvision's AlexNet weights",
            "export-onnx": "Write a checkpoint's network as an ONNX file",
        },
    ),
    Section(
        "Learn",
        "lessons",
        {
            "lessons": "Copy the lessons, or print which exercises are done",
        },
    ),
    Section(
        "Repeat experiments",
        "studies",
        {
            "relu-vs-tanh": "Compare ReLU with tanh, as in Figure 1 of the paper",
            "contributions": "Train AlexNet's recipe with one part left out at a time",
            "ilsvrc": "Draw the winners of the ImageNet challenge by year",
        },
    ),
    Section(
        "Check minicnn and this machine",
        "machine",
        {
            "doctor": "Print what is wrong on this machine, and how to fix it",
            "warmup": "Compile every kernel now instead of at its first use",
            "gradcheck": "Check every derivative against finite differences",
        },
    ),
)


class Program(Group):
    """All of `SECTIONS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for section in SECTIONS for name in section.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for section in SECTIONS:
            if cmd_name in section.commands:
                command: click.Command = getattr(
                    import_module(f"minicnn.cli.{section.module}"), cmd_name.replace("-", "_")
                )
                return command
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, self.list_commands(ctx)))
        for section in SECTIONS:
            with formatter.section(section.title):
                formatter.write_dl([(f"{name:{width}}", text) for name, text in section.commands.items()])


@click.group(
    "minicnn",
    cls=Program,
    invoke_without_command=True,
    subcommand_metavar="COMMAND ...",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="minicnn", message="%(prog)s %(version)s")
@click.pass_context
def program(context: click.Context) -> int | None:
    """AlexNet from scratch: train it, look inside it, and compare its parts."""
    if context.invoked_subcommand is not None:
        return None
    click.echo(context.get_help(), err=True)
    return 2
