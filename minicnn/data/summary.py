"""What a run or an evaluation says about its images before it begins: how many there are, and what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from minicnn.data.image_folder import ImageFolder
from minicnn.data.scanning import NAMED
from minicnn.data.sources import Part, Parts

__all__ = ["describe", "describe_run", "left_out", "reasons"]

FEW = 10  # with fewer training images, a class is named


def describe(name: str, part: Part, classes: Sequence[str]) -> str:
    """Return how many images a part has, and its smallest and largest class."""
    counts = np.bincount(part.labels, minlength=len(classes))
    filled = np.flatnonzero(counts)
    if not len(filled):
        return f"{name}: 0 images"
    small, large = filled[counts[filled].argmin()], filled[counts[filled].argmax()]
    images = "1 image" if len(part.labels) == 1 else f"{len(part.labels):,} images"
    return (
        f"{name}: {images} of {len(filled):,} {'class' if len(filled) == 1 else 'classes'}, from {counts[small]:,} "
        f"({classes[small]}) to {counts[large]:,} ({classes[large]})"
    )


def describe_run(parts: Parts) -> list[str]:
    """Return a line for each part, for classes with few training images, and for what was left out."""
    named = {"Training": parts.train, "Validation": parts.validation, "Test": parts.test}
    lines = [describe(name, part, parts.classes) for name, part in named.items() if part is not None]
    if isinstance(parts.train.images, ImageFolder):
        counts = np.bincount(parts.train.labels, minlength=len(parts.classes))
        few = [f"{parts.classes[label]} ({counts[label]})" for label in np.flatnonzero(counts < FEW)]
        if few:
            others = f", and {len(few) - NAMED} more" if len(few) > NAMED else ""
            lines.append(f"Fewer than {FEW} training images: {', '.join(few[:NAMED])}{others}")
    return lines + reasons(left_out(part for part in named.values() if part is not None))


def left_out(parts: Iterable[Part]) -> list[str]:
    """Return a line for each file of the parts' folders that was left out, with the reason."""
    folders = [part.images for part in parts if isinstance(part.images, ImageFolder)]
    return list(dict.fromkeys(line for folder in folders for line in folder.skipped))


def reasons(lines: Sequence[str]) -> list[str]:
    """Return a line that counts what was left out by its reason, if there is anything."""
    if not lines:
        return []
    counts = Counter(_kind(line) for line in lines)
    files = "1 file was" if len(lines) == 1 else f"{len(lines):,} files were"
    return [f"{files} left out: {', '.join(f'{count:,} {kind}' for kind, count in counts.most_common())}"]


def _kind(line: str) -> str:
    path, found, _ = line.partition(" is not an image; ")
    if found and " cannot be read: " not in line:
        return f"*{Path(path).suffix.lower()}, not an accepted kind" if Path(path).suffix else "not an accepted kind"
    return "a folder" if " is a folder; " in line else "unreadable"
