"""What took long to compute and is needed again: small files in the user's cache, always whole or not there."""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path


def cache_folder() -> Path:
    """Return where this user's programs keep such files: ``$XDG_CACHE_HOME/minicnn``, or ``~/.cache/minicnn``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minicnn"


def load_cached(name: str) -> bytes | None:
    """Return what was kept under this name, or None if there is nothing that can be read."""
    try:
        return (cache_folder() / name).read_bytes()
    except OSError:
        return None


def save_cached(name: str, content: bytes) -> None:
    """Keep `content` under this name.

    Processes that write the same name at once do not disturb each other or a reader: each writes a file of its own,
    which takes the name when it is whole. A cache that cannot be written is no reason to stop: a warning says so.
    """
    target = cache_folder() / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, part = tempfile.mkstemp(prefix=f"{name}.", suffix=".part", dir=target.parent)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, target)
        except BaseException:
            os.unlink(part)
            raise
    except OSError as error:
        warnings.warn(f"{target} cannot be kept and will be computed again next time: {error}", stacklevel=3)
