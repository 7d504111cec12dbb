"""``minicnn doctor``, ``warmup`` and ``gradcheck``. The doctor runs where a library is missing: import none here."""

from __future__ import annotations

import sys

import click

from minicnn.cli import options
from minicnn.cli.layout import Command


@click.command(cls=Command)
def doctor() -> int:
    """Print what minicnn uses on this machine, what is wrong, and how to fix it.

    The exit status is 1 if training would fail.
    """
    from minicnn.doctor import examine

    report = examine()
    print(report)
    return 0 if report.can_train else 1


@click.command(cls=Command)
def warmup() -> None:
    """Compile every kernel now instead of at its first use."""
    from minicnn import kernels

    if kernels.current() == "numpy":
        print("Numba is not installed: the NumPy kernels need no compiling")
        return
    from tqdm.auto import tqdm

    with tqdm(unit=" kernels", disable=not sys.stderr.isatty()) as bar:

        def show(name: str, number: int, total: int) -> None:
            bar.total = total
            bar.set_postfix_str(name, refresh=False)
            bar.update()

        kernels.warmup(show)
    print("Every kernel is compiled")


@click.command(cls=Command)
@options.threads
@options.device
def gradcheck(threads: int | None, device: str | None) -> int:
    """Check the derivative of every operation against finite differences. The exit status is 1 if one is wrong."""
    from tqdm.auto import tqdm

    from minicnn import checks

    options.use_threads(threads)
    with tqdm(unit=" checks", leave=False, disable=not sys.stderr.isatty()) as bar:
        rows = checks.check_operations(lambda row: bar.update(), device or "cpu")
    print(checks.format_table(rows))
    return 0 if all(row.ok for row in rows) else 1
