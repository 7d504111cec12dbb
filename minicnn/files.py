"""Files that are complete or absent, locks between processes, and the user's cache."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import tempfile
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from platformdirs import user_cache_path

__all__ = [
    "cache_folder",
    "home_is_known",
    "load_cached",
    "locked",
    "printable",
    "regular_file",
    "save_cached",
    "write_atomically",
]


def write_atomically(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a file so that at any moment, even in a power cut, `path` is the old file or the new one, never a part.

    The content goes to ``<path>.part``, is flushed to the disk, and is then renamed.

    Parameters
    ----------
    path : path
        Its folder must exist.
    content : str or bytes
        Text is written as UTF-8.

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written to; the old file is untouched.
    """
    path = Path(path)
    _write_and_rename(path, path.with_name(f"{path.name}.part"), content)


def _write_and_rename(path: Path, part: Path, content: str | bytes) -> None:
    try:
        with open(part, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # a full disk does not say whose file it was
            error.filename = os.fspath(path)
        raise


def printable(text: str) -> str:
    """Return a name for output, with escapes for control characters, which command a terminal, and for stray bytes."""
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in ("Cc", "Cs") else char for char in text
    )


def regular_file(path: str | os.PathLike[str]) -> os.stat_result:
    """Return the state of a regular file: opening anything else, such as a named pipe, could wait forever.

    Raises
    ------
    OSError
        If there is no such file, or it is a folder, a named pipe, a socket or a device.
    """
    state = os.stat(path)
    if stat.S_ISDIR(state.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(state.st_mode):
        raise OSError(errno.EINVAL, "it is a named pipe, a socket or a device, not a regular file", os.fspath(path))
    return state


@contextmanager
def locked(path: Path, when_busy: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a lock that no other process or thread holds, by means of a file that is removed afterwards.

    A process that is killed leaves the file but not the lock, which the operating system releases.

    Parameters
    ----------
    path : Path
        The lock file. Its folder must exist.
    when_busy : callable, optional
        Called if the lock is held elsewhere, before waiting for it. Without it, a lock that is held is an error.

    Raises
    ------
    BlockingIOError
        If the lock is held elsewhere and there is no `when_busy`.
    OSError
        If the folder cannot be written to, or its file system has no locks.
    """
    from filelock import lock_descriptor  # not above: in a browser, which has no locks, the import would warn

    while True:
        existed = path.exists()
        file = open(path, "ab")
        try:
            try:
                free = lock_descriptor(file.fileno(), blocking=False)
            except OSError:
                if not existed:
                    _remove(path)
                raise
            if not free:
                if when_busy is None:
                    raise BlockingIOError(errno.EWOULDBLOCK, "another process holds the lock", str(path))
                when_busy()
                lock_descriptor(file.fileno())
            if not _is_open_at(file.fileno(), path):
                continue  # the last holder has removed this file, and a third process may hold a new one
            try:
                yield
            finally:
                _remove(path)  # before the lock is released; Windows refuses while the file is open
            return
        finally:
            file.close()
            if os.name == "nt":  # it refuses as long as another process has the file open, so this cannot take its lock
                _remove(path)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _is_open_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def cache_folder() -> Path:
    """Return the folder of this user's cached files: on Linux ``$XDG_CACHE_HOME/minicnn``, or ``~/.cache/minicnn``.

    A user without a home, as in a container, has it among the temporary files.
    """
    with suppress(RuntimeError):  # of newer platformdirs; older ones return a folder below "~"
        folder = user_cache_path("minicnn", appauthor=False)
        if folder.is_absolute():
            return folder
    return _temporary_cache()


def home_is_known() -> bool:
    """Return whether this user has a home folder: without HOME and an entry in the user database there is none."""
    return os.path.isabs(os.path.expanduser("~"))


@cache
def _temporary_cache() -> Path:
    """Make a folder that belongs to this user alone: cached files are trusted, and anyone may write to ``/tmp``."""
    folder = Path(tempfile.gettempdir(), f"minicnn-{os.getuid()}" if hasattr(os, "getuid") else "minicnn")
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    mine = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    if stat.S_ISDIR(found.st_mode) and mine and (os.name == "nt" or not found.st_mode & 0o077):
        return folder
    return Path(tempfile.mkdtemp(prefix="minicnn-"))


def load_cached(name: str) -> bytes | None:
    """Return what was cached under this name, or None if there is nothing that can be read."""
    try:
        return (cache_folder() / name).read_bytes()
    except OSError:
        return None


def save_cached(name: str, content: bytes) -> None:
    """Cache `content` under this name.

    Processes may write the same name at once: each writes to a file of its own and then renames it. If the cache cannot
    be written to, a warning says so.
    """
    target = cache_folder() / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _write_and_rename(target, target.with_name(f"{name}.{secrets.token_hex(8)}.part"), content)
    except OSError as error:
        warnings.warn(f"{target} cannot be cached and will be computed again next time: {error}", stacklevel=3)
