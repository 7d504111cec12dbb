"""Commands that run in several processes at once: one of them speaks, and none is left waiting for one that has failed.

An MPI process that ends early, or raises an error, leaves the others waiting in their next collective call, for ever.
So whoever leaves alone takes all of them along.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

__all__ = ["run_together"]

PATIENCE, TURN = 1.0, 0.2  # seconds that a rank waits for others to fail as well, and for each rank before it
LAST_TURN = 2.0


def run_together(
    invoke: Callable[[list[str]], int], explained: Callable[[BaseException], tuple[int, str]], arguments: list[str]
) -> int:
    """Run a command in this process, as its part of a team.

    Parameters
    ----------
    invoke : callable
        Runs the command line with the arguments, and returns its exit status.
    explained : callable
        Returns the exit status and the line to print of an error.
    arguments : list of str

    Returns
    -------
    int
        The exit status, if all ranks have come to the end, have stopped when they were asked to, or have failed. If
        only some of them fail, all are ended.
    """
    from minicnn.distributed import TeamError, join, launched_as_first

    try:
        team = join()
    except TeamError as error:
        if launched_as_first():
            print(explained(error)[1], file=sys.stderr)
        return 2
    last_words, stderr = team.another(), sys.stderr
    if not team.is_first:
        sys.stdout = sys.stderr = open(os.devnull, "w")
    try:
        return invoke(arguments)
    except BaseException as error:
        status, text = _said(error, explained)
    last_words.timeout = PATIENCE + min(team.rank * TURN, LAST_TURN)
    try:
        if all(words == text for words in last_words.everyone(text)):
            print(text, file=sys.stderr)  # which only rank 0 has
            return status
    except TeamError:
        pass  # the others go on
    where = f" ({team})" if team.size > 1 else ""
    stderr.write(f"{text}{where}\n")  # in one piece: other ranks may write, too
    stderr.flush()
    team.abort(status)
    return status


def _said(error: BaseException, explained: Callable[[BaseException], tuple[int, str]]) -> tuple[int, str]:
    """Return the exit status and what to print: one line of an error that the user can fix, else the traceback."""
    from minicnn.errors import MinicnnError

    if isinstance(error, SystemExit):
        return 1, f"this process leaves early, with status {error.code}"
    if isinstance(error, (MinicnnError, OSError, KeyboardInterrupt)) or hasattr(error, "format_message"):  # click's
        return explained(error)
    return 1, "".join(traceback.format_exception(error)).rstrip()
