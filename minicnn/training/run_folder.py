"""The folder of one training run: its checkpoints, its log, and a lock against a second run."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from minicnn.files import write_atomically
from minicnn.training.checkpoint import CheckpointError, SavedTraining, load_model, load_training
from minicnn.training.environment import FolderError, alone_in
from minicnn.training.loop import TrainingError
from minicnn.training.progress import say

__all__ = ["RunFolder"]

T = TypeVar("T")


class RunFolder:
    """The files of one run.

    ``step-NNNNNNNN.safetensors`` are the last checkpoints, named by the number of steps; training resumes from the
    newest. ``best.safetensors`` is the network of the epoch with the lowest validation error, ``log.csv`` has a row for
    each epoch, ``curves.png`` plots it, and ``result.json`` holds the final errors, the recipe and the environment.

    Parameters
    ----------
    folder : path
        Created when it is needed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.best = self.folder / "best.safetensors"
        self.log = self.folder / "log.csv"
        self.curves = self.folder / "curves.png"
        self.result = self.folder / "result.json"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Make the folder, and refuse other processes that train in it.

        Raises
        ------
        TrainingError
            If another process trains there, or the folder cannot be made or written to.
        """
        try:
            with alone_in(self.folder):
                yield
        except FolderError as error:
            raise TrainingError(str(error)) from None

    def holds_a_run(self) -> bool:
        """Return whether there is a run to resume, or that would be overwritten."""
        return bool(self.checkpoints()) or any(path.exists() for path in (self.best, self.log, self.result))

    def checkpoints(self) -> list[Path]:
        """Return the checkpoints that training can resume from, newest first."""
        return sorted(self.folder.glob("step-*.safetensors"), reverse=True)

    def what_is_kept(self) -> str:
        """Say where the newest checkpoint is."""
        paths = self.checkpoints()
        return f"The last checkpoint is {paths[0]}" if paths else "There is no checkpoint yet"

    def remove_parts(self) -> None:
        """Remove unfinished files of a process that was killed while writing."""
        for pattern in ("step-*.safetensors", self.best.name, self.log.name, self.curves.name, self.result.name):
            for path in self.folder.glob(f"{pattern}.part"):
                path.unlink()

    def newest(self, use: Callable[[SavedTraining, Path], T]) -> T:
        """Return what ``use(saved, path)`` makes of the newest checkpoint, and report those that are of no use.

        Parameters
        ----------
        use : callable
            Raises CheckpointError if something in the checkpoint is wrong; then the next older one is tried.

        Raises
        ------
        CheckpointError
            If no checkpoint is left.
        """
        paths = self.checkpoints()
        if not paths:
            raise CheckpointError(f"{self.folder} holds a run, but no checkpoint step-*.safetensors to resume from")
        for path in paths:
            try:
                return use(load_training(path), path)
            except CheckpointError as error:
                if path == paths[-1]:
                    raise
                say(f"{error}. The next older checkpoint is tried")
        raise AssertionError("there is at least one path")

    def has_best(self, needed: bool) -> bool:
        """Return whether the best network is there, having read it: a run would do so after its last epoch only.

        Raises
        ------
        CheckpointError
            If it cannot be read, or is absent and `needed`, because no epoch is left that could replace it.
        """
        if not self.best.exists() and not needed:
            say(f"{self.best} is absent: the best network of the coming epochs takes its place")
            return False
        try:
            load_model(self.best)
        except CheckpointError as error:
            instead = "" if needed else ", or remove it to keep the best network of the coming epochs instead"
            raise CheckpointError(f"{error}. Restore it from a copy{instead}") from error
        return True

    def keep(self, steps: int, save: Callable[[Path], None], count: int) -> Path:
        """Save a checkpoint, then remove the oldest others until `count` are left; return its path."""
        path = self.folder / f"step-{steps:08d}.safetensors"
        save(path)
        others = [other for other in self.checkpoints() if other != path]
        for old in others[count - 1 :]:
            old.unlink()
        return path

    def remove_later(self, path: Path) -> None:
        """Remove checkpoints after more steps than this one, which would be taken for the newest."""
        for later in self.checkpoints():
            if later > path:
                later.unlink()

    @contextmanager
    def writing(self, what: str) -> Iterator[None]:
        """Raise a full disk, or any other OSError, as a TrainingError that says what to do."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise TrainingError(
                f"{what} cannot be written to {self.folder}: {reason}. Earlier files are intact; "
                f"--resume continues once this is solved"
            ) from error

    def write_log(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write ``log.csv``, atomically. There must be at least one row, and all must have the same columns."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomically(self.log, text.getvalue())

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write ``result.json``, atomically."""
        write_atomically(self.result, json.dumps(result, indent=2) + "\n")
