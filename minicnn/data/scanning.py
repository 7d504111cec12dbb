"""The files of an image folder: which of them are images, in which order, and what is wrong with the others."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from minicnn.data.errors import DataError
from minicnn.files import printable

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
EXPECTED = ", ".join("*" + suffix for suffix in SUFFIXES)
LITTER = ("thumbs.db", "desktop.ini")  # Windows leaves these in folders of images

NAMED = 10  # unusable files that an error names


class Stamp(NamedTuple):
    """The size of a file in bytes, and when it was last changed, in nanoseconds."""

    size: int
    changed: int


class Seen(NamedTuple):
    """What reading a file found: a hash of its contents, and why it is no image, or None."""

    digest: str
    reason: str | None


class Files(NamedTuple):
    """The files of one class.

    Attributes
    ----------
    paths : list of str
        The images, in the order of their names.
    stamps : list of Stamp
        One for each image.
    skipped : list of str
        A line for each file or folder that is not an image.
    """

    paths: list[str]
    stamps: list[Stamp]
    skipped: list[str]


def class_folders(root: Path) -> list[str]:
    """Return the names of the folders in `root`, sorted, without hidden ones and those that hold training runs."""
    expected = f"expected {root / 'CLASS' / '*.jpg'}, a folder for each class"
    if not root.is_dir():
        raise DataError(f"{root} is {'a file' if root.exists() else 'not there'}; {expected}")
    names = sorted(name for name in os.listdir(root) if name[0] != "." and (root / name).is_dir())
    names = [name for name in names if not holds_a_run(root / name)]
    if not names:
        raise DataError(f"{root} holds no folders; {expected}")
    _refuse_unprintable(root, names)
    return names


def holds_a_run(folder: Path) -> bool:
    """Return whether there are files of a training run, and no images besides, in a folder or in one below it.

    Training in the folder of the images makes ``runs/`` beside the classes.
    """
    runs = False
    for _, _, names in os.walk(folder):
        marked = any(name in (".lock", "log.csv") or name.endswith(".safetensors") for name in names)
        if any(name.lower().endswith(SUFFIXES) and not (marked and name == "curves.png") for name in names):
            return False
        runs = runs or marked
    return runs


def image_files(folder: Path) -> Files:
    """Return the images directly in a class's folder; hidden files are ignored."""
    files = Files([], [], [])
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name[0] == "." or entry.name.lower() in LITTER:
            continue
        if entry.is_dir():
            files.skipped.append(f"{entry.path} is a folder; expected {EXPECTED} directly in {folder.name}")
        elif not entry.name.lower().endswith(SUFFIXES):
            files.skipped.append(f"{entry.path} is not an image; expected {EXPECTED}")
        elif (stamp := _stamp(entry.path)) is None:
            files.skipped.append(f"{entry.path} is not a regular file")
        else:
            files.paths.append(entry.path)
            files.stamps.append(stamp)
    return files


def _stamp(path: str) -> Stamp | None:
    """Return the stamp of a regular file, and None for a named pipe or a device."""
    try:
        state = os.stat(path)
    except OSError:  # a broken link, which is an error when the image is read
        return Stamp(0, 0)
    return Stamp(state.st_size, state.st_mtime_ns) if stat.S_ISREG(state.st_mode) else None


def _refuse_unprintable(folder: Path, names: Sequence[str]) -> None:
    """Refuse names of classes that are not text, or that would be commands to a terminal."""
    for name in names:
        if (shown := printable(name)) != name:
            raise DataError(
                f"{folder / shown}: the name of a class must be UTF-8 without control characters; rename the folder"
            )


def content_hash(path: str) -> str:
    """Return a hash of a file's contents; nothing if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(
                file, "sha1"
            ).hexdigest()  # the fastest one; it guards against mistakes, not forgery
    except OSError:
        return ""


def refuse(unusable: Sequence[str]) -> None:
    """Raise an error that names the first unusable files and counts all of them, if there are any."""
    if unusable:
        others = f"; and {len(unusable) - NAMED} more" if len(unusable) > NAMED else ""
        files = "1 file" if len(unusable) == 1 else f"{len(unusable)} files"
        raise DataError(
            f"{files} cannot be used: {'; '.join(unusable[:NAMED])}{others}. "
            f"Repair or remove them, or leave them out with skip_bad=True (--skip-bad)"
        )
