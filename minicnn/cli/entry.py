"""How the command line starts and ends: exit statuses, errors in one line, closed pipes."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence

import click
from click.shell_completion import shell_complete

from minicnn.cli.commands import program
from minicnn.errors import MinicnnError
from minicnn.files import printable

__all__ = ["main"]

NAME = "minicnn"
COMPLETION = "_MINICNN_COMPLETE"  # the variable that click's completion scripts set
TOGETHER = {"--distributed", "--towers"}  # the options for several processes
CLOSED_PIPE = 128 + 13  # as a shell reports a process that SIGPIPE has ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows ``minicnn``. Default: the arguments of this process.

    Returns
    -------
    int
        The exit status: 0, 1 if a check failed, 2 after an error that the user can fix, 130 after Ctrl-C, 141 if
        the program that reads the output has ended, 143 after SIGTERM, 129 after SIGHUP.
    """
    _replace_closed_streams()
    _escape_what_cannot_be_written()
    try:
        given = list(sys.argv[1:] if arguments is None else arguments)
        status = _run_together(given) if TOGETHER & set(given) else _run(given)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # at exit, Python would complain of a closed pipe
        return status
    except BrokenPipeError:
        _discard_output()
        return CLOSED_PIPE
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        _discard_output()
        return 128 + 1  # the terminal is gone, as SIGHUP says


def _run(arguments: list[str]) -> int:
    try:
        return invoke(arguments)
    except BrokenPipeError:
        raise
    except (click.ClickException, KeyboardInterrupt, MinicnnError, OSError) as error:
        status, message = explained(error)
        print(message, file=sys.stderr)
        return status


def _run_together(arguments: list[str]) -> int:
    from minicnn.cli.together import run_together

    return run_together(invoke, explained, arguments)


def invoke(arguments: list[str]) -> int:
    """Run the command line, and return its exit status; raise what goes wrong."""
    try:
        if instruction := os.environ.get(COMPLETION):
            return shell_complete(program, {}, NAME, COMPLETION, instruction)
        with program.make_context(NAME, arguments) as context:
            return int(program.invoke(context) or 0)
    except click.exceptions.Exit as leave:  # after --help and --version
        return leave.exit_code


def explained(error: BaseException) -> tuple[int, str]:
    """Return the exit status for an error that the user can fix or has caused, and what to print."""
    if isinstance(error, KeyboardInterrupt):
        # as a shell reports a process that the signal has ended
        return 128 + int(getattr(error, "signal", 2)), f"\n{NAME}: interrupted. {error}".rstrip()
    message = str(error)
    if isinstance(error, click.ClickException):
        message = error.format_message()
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else NAME
        message = f"{message.removesuffix('.')} (see '{command} --help')"
    return 2, f"{NAME}: error: {printable(' '.join(message.split()))}"


def _replace_closed_streams() -> None:
    """Open the null device where the caller has closed stdout or stderr (``2>&-``), for which Python has None."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))


def _escape_what_cannot_be_written() -> None:
    """Print a name that the terminal's encoding lacks, or that is not UTF-8 on the disk, with escapes: no traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    """Send what is still buffered for a closed pipe or terminal to the null device."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
