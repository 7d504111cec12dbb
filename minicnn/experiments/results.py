"""The files of a study: one folder, never overwritten, whole at any moment.

``NAME.csv`` has a row for each run and epoch, ``summary.json`` the settings and results, and ``states/`` a folder for
each run, which the trainer writes. The CSV file and the summary are rewritten from these, and renamed into place,
whenever something is finished. So a study can be interrupted, or its machine switched off, and resumed later.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minicnn.errors import MinicnnError
from minicnn.files import write_atomically
from minicnn.training.environment import FolderError, alone_in
from minicnn.training.run_folder import RunFolder

__all__ = ["ResultsFolder", "StudyError", "aligned", "read_log", "read_result"]

Row = dict[str, Any]


class StudyError(MinicnnError):
    """A study cannot begin or be resumed; the message says why and what to do."""


class ResultsFolder:
    """The files of one study.

    Parameters
    ----------
    folder : path
        Created if necessary.
    name : str
        The name of the CSV file and the figures.
    columns : sequence of str
        The CSV file's columns.
    """

    def __init__(self, folder: str | os.PathLike[str], name: str, columns: Sequence[str]) -> None:
        self.folder, self.name, self.columns = Path(folder), name, columns
        self.csv = self.folder / f"{name}.csv"
        self.summary = self.folder / "summary.json"
        self.states = self.folder / "states"

    def figure(self, kind: str) -> Path:
        """Return the path of the figure in that format."""
        return self.folder / f"{self.name}.{kind}"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Create the folder and lock it against every other process that runs a study.

        Raises
        ------
        StudyError
            If another process holds the lock, or the folder cannot be created.
        """
        try:
            with alone_in(self.folder):
                yield
        except FolderError as error:
            raise StudyError(str(error)) from None

    def holds_a_study(self) -> bool:
        """Return whether there is a study to resume."""
        return self.csv.exists() or self.summary.exists()

    def refuse_unfinished(self) -> None:
        """Raise StudyError if there is an unfinished study."""
        if self.holds_a_study() and not (self.summary.exists() and self.read_summary().get("finished")):
            raise StudyError(
                f"{self.folder} holds a study that is not finished; resume it with --resume, "
                f"or choose another folder with --out"
            )

    def move_aside(self) -> Path | None:
        """Move the study that is in the folder, if any, to a new folder inside it, and return that folder."""
        if not self.holds_a_study():
            return None
        number = 1
        while (aside := self.folder / f"earlier-{number}").exists():
            number += 1
        aside.mkdir()
        # The summary goes last: while it is there, the rest still counts as a finished study.
        for path in (self.csv, self.figure("png"), self.figure("svg"), self.states, self.summary):
            if path.exists():
                path.rename(aside / path.name)
        return aside

    def write_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the CSV file, atomically."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomically(self.csv, text.getvalue())

    def read_summary(self) -> dict[str, Any]:
        """Return the content of ``summary.json``; StudyError if it cannot be read."""
        try:
            return dict(json.loads(self.summary.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise StudyError(f"{self.summary} cannot be read: {error}") from error

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write ``summary.json``, atomically."""
        write_atomically(self.summary, json.dumps(summary, indent=2) + "\n")

    def refuse_other_columns(self) -> None:
        """Raise StudyError if the CSV file is one of an older version, which measured less."""
        if not self.csv.exists():
            return
        with open(self.csv, newline="", encoding="utf-8") as file:
            found = next(csv.reader(file), [])
        absent = [name for name in self.columns if name not in found]
        if absent:
            raise StudyError(
                f"the study in {self.folder} cannot be resumed: its CSV file does not have {', '.join(absent)}, which "
                "this version of minicnn measures in every epoch. Choose another folder with --out"
            )

    def refuse_differences(
        self,
        earlier: Mapping[str, Any],
        settings: Mapping[str, Any],
        may_change: Collection[str],
        others: Sequence[str] = (),
    ) -> None:
        """Raise StudyError if a resumed study would compute its numbers in another way.

        Parameters
        ----------
        earlier, settings : mapping
            The study's settings so far, and those that are asked for.
        may_change : collection of str
            Settings that say how much is done, not how.
        others : sequence of str
            Further differences, in words.
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


def read_log(folder: Path, columns: Mapping[str, Callable[[Any], Any]], own: Mapping[str, Any]) -> list[Row]:
    """Return the rows of a run's ``log.csv``, none if it is not there yet.

    Parameters
    ----------
    folder : path
        The run's.
    columns : mapping of str to callable
        The columns to return, and what makes a cell's text a value, such as `float`.
    own : mapping
        The columns that distinguish the run from others, which are added to each row.

    Raises
    ------
    StudyError
        If the file is damaged; the message names it and the line.
    """
    path = RunFolder(folder).log
    if not path.exists():
        return []
    rows: list[Row] = []
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        for number, cells in enumerate(reader, start=1):
            try:
                rows.append({name: kind({**cells, **own}[name]) for name, kind in columns.items()})
                if rows[-1]["epoch"] != number:
                    raise ValueError(f"it has epoch {rows[-1]['epoch']} where epoch {number} belongs")
            except (ValueError, TypeError, KeyError) as error:
                raise StudyError(
                    f"{path}, line {reader.line_num}, cannot be read: {error!r}. Delete {folder} to repeat that run"
                ) from error
    return rows


def read_result(folder: Path, expected: Mapping[str, Any]) -> Row | None:
    """Return the ``result.json`` of a finished run, None if the run is not finished.

    Parameters
    ----------
    folder : path
        The run's.
    expected : mapping
        Settings that its recipe must have.

    Raises
    ------
    StudyError
        If the file is damaged, or belongs to another run.
    """
    path = RunFolder(folder).result
    if not path.exists():
        return None
    again = f"Delete {folder} to repeat that run"
    try:
        result = dict(json.loads(path.read_text(encoding="utf-8")))
        recipe = {**result["recipe"], **result["recipe"]["config"]}
        float(result["test"]["error"]), float(result["seconds"]), int(result["best_epoch"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StudyError(f"{path} cannot be read: {error!r}. {again}") from error
    wrong = [f"{name} is {recipe.get(name)}, not {now}" for name, now in expected.items() if recipe.get(name) != now]
    if wrong:
        raise StudyError(f"{path} is from another run: {'; '.join(wrong)}. {again}")
    return result


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Return a table as text: the first line is its head, and columns are aligned."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    text.insert(1, "-" * (sum(widths) + 2 * len(widths) - 2))
    return "\n".join(text)
