"""The colours that all figures share, and figures as files: the same figure gives the same bytes."""

from __future__ import annotations

import io
import os
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from minicnn.files import write_atomically

__all__ = ["FAINT", "GRID", "INK", "save_figure"]

INK, FAINT, GRID = "#222222", "#767676", "#ececec"


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure to a file, atomically; the suffix (``.png``, ``.svg``, ``.pdf``) decides the format.

    The same figure gives the same bytes: no date, and no random names inside an SVG.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : path
        An existing file is replaced.

    Raises
    ------
    ValueError
        If matplotlib has no format with that suffix.
    OSError
        If the file cannot be written.
    """
    kind = Path(path).suffix.removeprefix(".")
    content = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "minicnn"}):
        figure.savefig(content, format=kind, dpi=160, metadata={"Date": None} if kind == "svg" else None)
    write_atomically(path, content.getvalue())
