"""The folder of one training run: checkpoints, the log, and never two runs at once."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minicnn.training.checkpoint import CheckpointError, SavedTraining, load_training, write_atomically
from minicnn.training.environment import FolderError, alone_in
from minicnn.training.loop import TrainingError
from minicnn.training.progress import say

__all__ = ["RunFolder"]


class RunFolder:
    """The files of one run.

    ``step-NNNNNNNN.safetensors`` are the last checkpoints, by the number of steps that were done; training goes on from
    the newest. ``best.safetensors`` is the network of the epoch with the lowest validation error, ``log.csv`` has a
    row an epoch, ``curves.png`` shows it, and ``result.json`` tells how it ended.

    Parameters
    ----------
    folder : path
        Made when it is needed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.best = self.folder / "best.safetensors"
        self.log = self.folder / "log.csv"
        self.curves = self.folder / "curves.png"
        self.result = self.folder / "result.json"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Make the folder, and keep every other process that trains out of it.

        Raises
        ------
        TrainingError
            If another one is at work there, or the folder cannot be made.
        """
        try:
            with alone_in(self.folder):
                yield
        except FolderError as error:
            raise TrainingError(str(error)) from None

    def holds_a_run(self) -> bool:
        """Return whether there is anything to go on with, or to be overwritten."""
        return bool(self.checkpoints()) or any(path.exists() for path in (self.best, self.log, self.result))

    def checkpoints(self) -> list[Path]:
        """Return the checkpoints that training can go on from, the newest first."""
        return sorted(self.folder.glob("step-*.safetensors"), reverse=True)

    def remove_parts(self) -> None:
        """Remove what a process that was killed while it wrote has left."""
        for pattern in ("step-*.safetensors", self.best.name, self.log.name, self.curves.name, self.result.name):
            for path in self.folder.glob(f"{pattern}.part"):
                path.unlink()

    def newest(self) -> SavedTraining:
        """Read the newest checkpoint that can be read, and tell of those that cannot.

        Raises
        ------
        CheckpointError
            If there is none.
        """
        paths = self.checkpoints()
        if not paths:
            raise CheckpointError(f"{self.folder} holds a run, but no checkpoint step-*.safetensors to go on from")
        for path in paths:
            try:
                return load_training(path)
            except CheckpointError as error:
                reason = error
                say(f"{error}")
        raise reason

    def keep(self, steps: int, save: Callable[[Path], None], count: int) -> Path:
        """Add a checkpoint, then remove the oldest others until `count` are left; return where it is."""
        path = self.folder / f"step-{steps:08d}.safetensors"
        save(path)
        others = [other for other in self.checkpoints() if other != path]
        for old in others[count - 1 :]:
            old.unlink()
        return path

    def write_log(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write ``log.csv``, atomically. There is at least one row, and all have the same columns."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomically(self.log, text.getvalue())

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write ``result.json``, atomically."""
        write_atomically(self.result, json.dumps(result, indent=2) + "\n")
