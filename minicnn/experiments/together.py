"""A study in several processes: rank 0 conducts it, and the others take part in each run that it trains.

So only rank 0 reads and writes the study's files, and a study need not know that there are others.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import Any

from minicnn.distributed import Team
from minicnn.training import CheckpointError, DivergedError, trainer
from minicnn.training.stopping import ENDING

__all__ = ["follow", "lead"]


def follow(team: Team) -> None:
    """Take part in what rank 0 trains, until it has nothing left. An error that rank 0 handles is not one here.

    Signals are ignored: a launcher sends them to rank 0, too, which stops the study.
    """
    for number in (signal.SIGINT, *ENDING):
        signal.signal(number, signal.SIG_IGN)
    while (call := team.broadcast(None)) is not None:
        with suppress(CheckpointError, DivergedError):  # both are raised on all ranks
            trainer.run(**call, team=team)


def lead(team: Team, call: dict[str, Any], **own: Any) -> dict[str, Any]:
    """Train one run together with the followers; without any, alone. What is rank 0's own is not sent to them."""
    if team.size == 1:
        return trainer.run(**call, **own)
    team.broadcast(call)
    return trainer.run(**call, **own, team=team)
