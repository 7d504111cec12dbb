"""What several commands share: kinds of values, options, and what these options set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from minicnn import models
from minicnn.cli.layout import Argument
from minicnn.models.alexnets import VARIANTS

if TYPE_CHECKING:
    from minicnn.distributed import Team

# --- kinds of values ------------------------------------------------------------------------------------------------

PATH = click.Path(path_type=Path)
NETWORKS = tuple(name.replace("_", "-") for name in models.MODELS)
PICTURES = (".png", ".svg", ".pdf")


def at_least(minimum: int) -> Callable[[str | int], int]:
    """Return a kind of value for click: whole numbers from `minimum` on."""

    def whole_number(text: str | int) -> int:
        if not str(text).isdecimal() or int(text) < minimum:
            raise click.BadParameter(f"must be a whole number of at least {minimum}, got {text!r}")
        return int(text)

    return whole_number


def whole_numbers(text: str) -> list[int]:
    """Read 0,1,2."""
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise click.BadParameter(f"must be whole numbers with commas, such as 0,1,2; got {text!r}") from None


def link(text: str) -> float:
    """Read 10Gbit or 200Mbit as bytes a second."""
    for unit, bits in (("Gbit", 1e9), ("Mbit", 1e6)):
        number = text.removesuffix(unit)
        if number != text and number.replace(".", "", 1).isdecimal() and float(number) > 0:
            return float(number) * bits / 8
    raise click.BadParameter(f"must be a rate such as 10Gbit or 200Mbit, got {text!r}")


def device_name(text: str) -> str:
    """Accept cpu, cuda and cuda:N."""
    kind, colon, number = text.partition(":")
    if text not in ("cpu", "cuda") and not (kind == "cuda" and colon and number.isdecimal()):
        raise click.BadParameter(f"must be cpu, cuda or cuda:N, got {text!r}")
    return text


def picture(text: str) -> Path:
    """Accept the name of a file that figures can be saved to."""
    if Path(text).suffix.lower() not in PICTURES:
        raise click.BadParameter(f"must end in .png, .svg or .pdf, got {text!r}")
    return Path(text)


def best_network(context: click.Context, parameter: click.Parameter, path: Path) -> Path:
    """Take the best network of a run where its folder is given."""
    if not path.is_dir():
        return path
    best = path / "best.safetensors"
    if not best.exists():
        raise click.BadParameter(f"{path} is a folder without best.safetensors, the best network of a run")
    return best


# --- arguments and options ------------------------------------------------------------------------------------------

checkpoint = click.argument(
    "checkpoint",
    cls=Argument,
    type=PATH,
    callback=best_network,
    metavar="CHECKPOINT",
    help="File that train or import-torchvision wrote, or the folder of a run, for its best network",
)
image = click.argument("image", cls=Argument, type=PATH, metavar="IMAGE", help="JPEG, PNG or WebP file")
variant = click.option("--variant", type=click.Choice(list(VARIANTS)), help="Variant of alexnet (default: paper)")
test_data = click.option(
    "--data", required=True, metavar="DATA", help="Test images: cifar10, shapes, sketches or a folder of images"
)
data_dir = click.option(
    "--data-dir", type=PATH, metavar="DIR", help="Folder that holds CIFAR-10, or to which it is downloaded"
)
limit = click.option("--limit", type=at_least(1), metavar="N", help="Use only N images")
skip_bad = click.option("--skip-bad", is_flag=True, help="Skip images that cannot be read")
workers = click.option(
    "--workers",
    type=at_least(0),
    metavar="N",
    help="Threads that prepare the next batches (default: 2 for a folder, else 0)",
)
max_pixels = click.option(
    "--max-pixels",
    type=at_least(1),
    metavar="N",
    expose_value=False,
    callback=lambda context, parameter, count: use_max_pixels(count),
    help="Read images of up to N pixels (default: 89478485); a small file may decode to fill the memory",
)
threads = click.option("--threads", type=at_least(1), metavar="N", help="CPU cores to use (default: all)")
device = click.option(
    "--device", type=device_name, metavar="D", help="cpu, cuda, or a GPU by number: cuda:0, cuda:1, ... (default: cpu)"
)
tf32 = click.option("--tf32", is_flag=True, help="On a GPU, round the factors of matrix products to 10 bits (TF32)")
distributed = click.option(
    "--distributed",
    is_flag=True,
    help="Share the images of each batch among the processes that mpiexec or srun has started",
)
timeout = click.option(
    "--timeout",
    type=float,
    metavar="S",
    help="End all processes if one of them waits longer than S seconds for the others (default: wait for ever)",
)
picture_file = click.option(
    "--out", type=picture, required=True, metavar="FILE", help="Picture to write: .png, .svg or .pdf"
)


# --- what they do ---------------------------------------------------------------------------------------------------


def use_max_pixels(count: int | None) -> None:
    """Read images with that many pixels; Pillow itself refuses twice the number it considers safe."""
    if count is not None:
        from PIL import Image

        Image.MAX_IMAGE_PIXELS = count


def use_threads(threads: int | None) -> None:
    """Compute on that many cores."""
    if threads is not None:
        from minicnn import set_num_threads

        set_num_threads(threads)


def use_device(device: str | None, tf32: bool) -> None:
    """Compute on that device, and print what it is if it is a GPU."""
    from minicnn import set_default_device, set_tf32

    if device is not None:
        set_default_device(device)
    if tf32:
        set_tf32(True)
    if device not in (None, "cpu"):
        from minicnn.training.environment import machine

        here = machine()
        rounding = "TF32" if here["tf32"] else "float32"
        print(f"On {here['device']}: {here['gpu']}, CUDA {here['cuda']}, CuPy {here['cupy']}, {rounding} products")


def team(timeout: float | None) -> Team:
    """Return the processes that were started together."""
    from minicnn.distributed import join

    if timeout is not None and not timeout > 0:
        raise click.BadParameter(f"must be above 0, got {timeout:g}", param_hint="'--timeout'")
    found = join()
    found.timeout = timeout
    return found


def class_number(name: str | None, classes: Sequence[str]) -> int | None:
    """Return the number of the class that --class names."""
    if name is not None and name not in classes:
        raise click.ClickException(f"--class must be one of {', '.join(classes)}; got {name!r}")
    return None if name is None else list(classes).index(name)


@contextmanager
def wrong_values_in_one_line() -> Iterator[None]:
    """Turn the ValueError of a function that was called with the user's values into one line."""
    try:
        yield
    except ValueError as error:
        raise click.ClickException(str(error)) from error
