"""``minicnn import-torchvision`` and ``export-onnx``."""

from __future__ import annotations

from pathlib import Path

import click

from minicnn.cli import options
from minicnn.cli.layout import Argument, Command
from minicnn.training import import_export

force = click.option("--force", is_flag=True, help="Replace the file if it exists")


@click.command("import-torchvision", cls=Command)
@click.argument("file", cls=Argument, type=options.PATH, metavar="FILE", help="Weights: .pth or .safetensors")
@click.option(
    "--classes", "names", type=options.PATH, metavar="FILE", help="Text file with a class name on each line, in UTF-8"
)
@click.option("--out", type=options.PATH, required=True, metavar="FILE", help="Checkpoint to write, .safetensors")
@force
def import_torchvision(file: Path, names: Path | None, out: Path, force: bool) -> None:
    """Make a checkpoint of torchvision's AlexNet from a file of its weights.

    A .pth file is a program. None of it is run, and a file that asks for anything but tensors is refused.
    """
    classes = None if names is None else import_export.read_class_names(names)
    import_export.import_torchvision(file, out, classes, force)
    print(out)


@click.command("export-onnx", cls=Command)
@options.checkpoint
@click.option("--out", type=options.PATH, required=True, metavar="FILE", help="ONNX file to write")
@force
def export_onnx(checkpoint: Path, out: Path, force: bool) -> None:
    """Write a checkpoint's network as an ONNX file, which other programs can run. Needs the extra onnx."""
    shape = import_export.export_onnx(checkpoint, out, force)
    print(f"{out}: takes pictures (N, {', '.join(map(str, shape))}) in grey levels of 0 to 255, gives scores")
