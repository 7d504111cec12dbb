"""Where a study keeps what it has found: one folder, never overwritten, whole at any moment.

``NAME.csv`` has a row for each run and epoch, ``summary.json`` the settings and what came of them, ``states/`` how far
each run is. Each file is written anew and renamed into place whenever something is finished, so that a study can be
interrupted, or its machine switched off, and go on later.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minicnn.errors import MinicnnError
from minicnn.files import write_atomically
from minicnn.training.environment import FolderError, alone_in, machine, versions

__all__ = ["ResultsFolder", "StudyError", "check_settings", "machine", "versions"]


class StudyError(MinicnnError):
    """A study cannot begin or go on; the message says why and what to do about it."""


class ResultsFolder:
    """The files of one study.

    Parameters
    ----------
    folder : path
        Made if need be.
    name : str
        What the CSV file and the pictures are called.
    columns : mapping of str to type
        The CSV file's columns in order; each cell is read as that type.
    """

    def __init__(self, folder: str | os.PathLike[str], name: str, columns: Mapping[str, type]) -> None:
        self.folder, self.name, self.columns = Path(folder), name, columns
        self.csv = self.folder / f"{name}.csv"
        self.summary = self.folder / "summary.json"
        self.states = self.folder / "states"

    def picture(self, kind: str) -> Path:
        """Return the path of the picture in that format."""
        return self.folder / f"{self.name}.{kind}"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Make the folder and keep every other process that runs a study out of it.

        Raises
        ------
        StudyError
            If another one is at work there, or the folder cannot be made.
        """
        try:
            with alone_in(self.folder):
                yield
        except FolderError as error:
            raise StudyError(str(error)) from None

    def holds_a_study(self) -> bool:
        """Return whether there is anything to go on with."""
        return self.csv.exists() or self.summary.exists()

    def refuse_unfinished(self) -> None:
        """Refuse to begin where an unfinished study is.

        Raises
        ------
        StudyError
            If there is one.
        """
        if self.holds_a_study() and not (self.summary.exists() and self.read_summary().get("finished")):
            raise StudyError(
                f"{self.folder} holds a study that is not finished; go on with it by --resume, "
                f"or choose another folder with --out"
            )

    def move_aside(self) -> Path | None:
        """Move the study that is in the folder, if any, to a folder in it, and return that folder."""
        if not self.holds_a_study():
            return None
        number = 1
        while (aside := self.folder / f"earlier-{number}").exists():
            number += 1
        aside.mkdir()
        # The summary goes last: as long as it is there, the rest can be told for a finished study.
        for path in (self.csv, self.picture("png"), self.picture("svg"), self.states, self.summary):
            if path.exists():
                path.rename(aside / path.name)
        return aside

    def read_rows(self) -> list[dict[str, Any]]:
        """Return the rows of the CSV file, none if there is no file yet.

        Raises
        ------
        StudyError
            Naming the file and line, if it is not as :meth:`write_rows` left it.
        """
        if not self.csv.exists():
            return []
        rows = []
        with open(self.csv, newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            if header != list(self.columns):
                raise StudyError(f"{self.csv} has the columns {header}; expected {list(self.columns)}")
            for cells in reader:
                try:
                    pairs = zip(self.columns.items(), cells, strict=True)
                    rows.append({name: kind(cell) for (name, kind), cell in pairs})
                except ValueError as error:
                    raise StudyError(f"{self.csv}, line {reader.line_num}: {cells} is no row ({error})") from error
        return rows

    def write_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the CSV file, atomically."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomically(self.csv, text.getvalue())

    def read_summary(self) -> dict[str, Any]:
        """Return what ``summary.json`` holds.

        Raises
        ------
        StudyError
            If it is absent or unreadable.
        """
        try:
            return dict(json.loads(self.summary.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise StudyError(f"{self.summary} cannot be read: {error}") from error

    def refuse_differences(
        self,
        earlier: Mapping[str, Any],
        settings: Mapping[str, Any],
        may_change: Collection[str],
        others: Sequence[str] = (),
    ) -> None:
        """Refuse to go on with a study whose numbers came about in another way.

        Parameters
        ----------
        earlier, settings : mapping
            The study's settings until now, and those that are asked for.
        may_change : collection of str
            The settings that say how much is done, not how.
        others : sequence of str
            Further differences, in words.

        Raises
        ------
        StudyError
            If there are any differences, naming all of them.
        """
        wrong = [
            f"{name} was {earlier.get(name)} and is {value} now"
            for name, value in settings.items()
            if name not in may_change and earlier.get(name) != value
        ]
        if wrong or others:
            raise StudyError(
                f"the study in {self.folder} cannot be resumed: {'; '.join([*wrong, *others])}. "
                "Repeat its settings, or choose another folder with --out"
            )

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write ``summary.json``, atomically."""
        write_atomically(self.summary, json.dumps(summary, indent=2) + "\n")


def check_settings(settings: Mapping[str, Any], rates: Mapping[str, float | None]) -> None:
    """Refuse what no study can have.

    Parameters
    ----------
    settings : mapping
        With "seeds" and "target_error".
    rates : mapping
        Learning rates by activation; None where one is still to be chosen.

    Raises
    ------
    StudyError
        Naming the setting, its value and what is expected.
    """
    seeds = settings["seeds"]
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise StudyError(f"seeds is {seeds}; expected one or more different numbers, none below 0")
    if not 0 < settings["target_error"] < 1:
        raise StudyError(f"target_error is {settings['target_error']}; expected a number between 0 and 1")
    for activation, lr in rates.items():
        if lr is not None and not 0 < lr < math.inf:
            raise StudyError(f"lr_{activation} is {lr}; expected a number above 0")
