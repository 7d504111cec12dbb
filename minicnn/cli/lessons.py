"""``minicnn lessons``."""

from __future__ import annotations

from pathlib import Path

import click

from minicnn.cli import options
from minicnn.cli.layout import Argument, Command
from minicnn.lessons import notebooks


@click.command(cls=Command)
@click.argument(
    "folder",
    cls=Argument,
    type=options.PATH,
    default=Path("lessons"),
    metavar="[DIR]",
    help="The folder (default: lessons)",
)
@click.option("--progress", is_flag=True, help="Copy nothing; run the exercises and print which are done")
def lessons(folder: Path, progress: bool) -> None:
    """Copy the lessons, Jupyter notebooks with exercises, into a folder.

    Files that exist already are not touched.
    """
    if progress:
        print_progress(folder)
        return
    for name, copied in notebooks.copy_lessons(folder).items():
        print(folder / name if copied else f"{folder / name} exists already and was not changed")
    print(notebooks.how_to_open(folder))


def print_progress(folder: Path) -> None:
    """Run the exercises in the folder and print which are done."""
    found = notebooks.progress(folder)
    print(*found, sep="\n\n")
    done, total = (sum(counts) for counts in zip(*((each.done, len(each.states)) for each in found), strict=True))
    print(f"\n{done} of {total} exercises are done")
    if absent := [name[:2] for name in notebooks.missing(folder)]:
        print(f"Not in this folder: {', '.join(absent)}; 'minicnn lessons {folder}' copies what is missing")
