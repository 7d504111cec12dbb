"""CIFAR-10 (Krizhevsky 2009) in its official binary format: found on this machine, or downloaded once.

The data are six files of 10,000 records; a record is one label byte and 3,072 pixel bytes, the red plane first, then
green and blue, each row by row. They are read from the unpacked folder or directly from the archive, without pickle
and without unpacking anything to disk.

The downloader is our own because it resumes an interrupted download; libraries such as pooch start from the beginning.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import sys
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minicnn.backend import IN_BROWSER
from minicnn.data.errors import DataError
from minicnn.data.labelled_images import LabelledImages
from minicnn.files import cache_folder, load_cached, locked, regular_file, save_cached

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN_FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_FILES = ("test_batch.bin",)
RECORDS = 10_000
RECORD_BYTES = 1 + 3 * 32 * 32

FOLDER = "cifar-10-batches-bin"
ARCHIVE = "cifar-10-binary.tar.gz"
PYTHON_FOLDER, PYTHON_ARCHIVE = "cifar-10-batches-py", "cifar-10-python.tar.gz"
ARCHIVE_URL = f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}"
ARCHIVE_BYTES = 170_052_171
ARCHIVE_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"

TIMEOUT = 60  # seconds without a byte from the server


def load_cifar10(data_dir: str | os.PathLike[str] | None = None, download: bool = True) -> LabelledImages:
    """Load the 50,000 training and 10,000 test images of CIFAR-10.

    Parameters
    ----------
    data_dir : path, optional
        The folder that holds ``cifar-10-batches-bin/`` or ``cifar-10-binary.tar.gz``, or ``cifar-10-batches-bin``
        itself. By default the environment variable ``MINICNN_DATA``, else the user's cache folder, on Linux
        ``$XDG_CACHE_HOME/minicnn`` or ``~/.cache/minicnn``.
    download : bool
        Whether to download the archive (170 MB) into that folder if it holds neither: from the official server, or from
        ``MINICNN_CIFAR_URL``, a mirror or a local path (see `fetch`).

    Returns
    -------
    LabelledImages
        Images (50000, 3, 32, 32) and (10000, 3, 32, 32) uint8, labels int64.

    Raises
    ------
    DataError
        If a file is missing, truncated or corrupt, the archive is not the official one or cannot be downloaded, or
        only the version of CIFAR-10 for Python is there.

    References
    ----------
    A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009;
    https://www.cs.toronto.edu/~kriz/cifar.html
    """
    home = _data_dir(data_dir)
    archive, packed = home / ARCHIVE, False
    for folder in (home / FOLDER, home):
        if any((folder / name).exists() for name in TRAIN_FILES + TEST_FILES):
            contents = _files_of_folder(folder)
            break
    else:
        if not archive.exists():
            _refuse_pickles(home)
            if not download:
                raise DataError(f"no CIFAR-10 in {home}: expected {FOLDER}/ or {ARCHIVE} there")
            fetch(os.environ.get("MINICNN_CIFAR_URL") or ARCHIVE_URL, archive)
        contents, packed = _files_of_archive(archive), True

    images = np.empty((len(TRAIN_FILES + TEST_FILES), RECORDS, 3, 32, 32), np.uint8)
    labels = np.empty(images.shape[:2], np.int64)
    missing = set(TRAIN_FILES + TEST_FILES)
    for path, data in contents:  # one file in memory at a time
        position = (TRAIN_FILES + TEST_FILES).index(path.name)
        labels[position], images[position] = _parse(path, data)
        missing.discard(path.name)
    if missing:
        raise DataError(f"{archive}: no {', '.join(sorted(missing))} in it; {_ADVICE}")
    if packed:
        _check_archive(archive)  # last, because the errors above say more
    split = len(TRAIN_FILES)
    return LabelledImages(
        "CIFAR-10",
        images[:split].reshape(-1, 3, 32, 32),
        labels[:split].reshape(-1),
        images[split:].reshape(-1, 3, 32, 32),
        labels[split:].reshape(-1),
        CLASSES,
    )


_ADVICE = "delete it to download it again"


def _data_dir(data_dir: str | os.PathLike[str] | None) -> Path:
    if data_dir is None:
        data_dir = os.environ.get("MINICNN_DATA") or None
    if data_dir is None:
        return cache_folder()
    home = _expanded(data_dir)
    if home.exists() and not home.is_dir():
        raise DataError(
            f"load_cifar10: data_dir must be the folder that holds {FOLDER}/ or {ARCHIVE}, got the file {home}"
        )
    return home


def _refuse_pickles(home: Path) -> None:
    """Name the pickles that other libraries download, instead of a download that would surprise."""
    for found in (home / PYTHON_FOLDER, home / PYTHON_ARCHIVE, home / "data_batch_1"):
        if found.exists():
            raise DataError(
                f"{found} is CIFAR-10 as Python's pickles, which are programs and are not read; put {ARCHIVE} from "
                f"{ARCHIVE_URL} beside it, or choose another folder to download to"
            )


def _check_archive(archive: Path) -> None:
    """Compare an archive's SHA-256 with the official one, once: its size and time of change are remembered."""
    try:
        state = regular_file(archive)
        stamp = f"{archive.resolve()} {state.st_size} {state.st_mtime_ns}"
        name = f"cifar10-{hashlib.sha256(os.fsencode(stamp)).hexdigest()[:32]}.sha256"
        if load_cached(name) == ARCHIVE_SHA256.encode():
            return
        with open(archive, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{archive} cannot be read: {error.strerror}") from error
    if found != ARCHIVE_SHA256:
        raise DataError(
            f"{archive} is truncated, corrupt or not the official archive (SHA-256 {found}, expected "
            f"{ARCHIVE_SHA256}); {_ADVICE}"
        )
    save_cached(name, found.encode())


def _expanded(path: str | os.PathLike[str]) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # else a folder called "~" would be made
        raise DataError(f"load_cifar10: {os.fspath(path)!r} begins with ~, but there is no such home folder") from None


def _files_of_folder(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for name in TRAIN_FILES + TEST_FILES:
        try:
            yield folder / name, (folder / name).read_bytes()
        except OSError as error:
            raise DataError(f"{folder / name} cannot be read: {error.strerror}") from error


def _files_of_archive(archive: Path) -> Iterator[tuple[Path, bytes]]:
    try:
        with gzip.open(archive) as unzipped, tarfile.open(fileobj=unzipped, mode="r|") as members:
            for member in members:
                path, file = archive / member.name, members.extractfile(member)
                if file is not None and path.name in TRAIN_FILES + TEST_FILES:
                    yield path, file.read()
            while unzipped.read(1 << 20):  # to the end: only there does gzip compare its checksum
                pass
    except (gzip.BadGzipFile, EOFError, zlib.error, tarfile.TarError) as error:
        raise DataError(f"{archive} is truncated or corrupt ({error}); {_ADVICE}") from error


def _parse(path: Path, data: bytes) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    if len(data) != RECORDS * RECORD_BYTES:
        raise DataError(
            f"{path} has {len(data):,} bytes; expected {RECORDS * RECORD_BYTES:,} "
            f"({RECORDS:,} records of {RECORD_BYTES:,})"
        )
    records = np.frombuffer(data, np.uint8).reshape(RECORDS, RECORD_BYTES)
    labels = records[:, 0]
    if labels.max() >= len(CLASSES):
        worst = int(labels.argmax())
        raise DataError(f"{path}: record {worst} has label {labels[worst]}; expected 0 to {len(CLASSES) - 1}")
    return labels, records[:, 1:].reshape(RECORDS, 3, 32, 32)


def fetch(url: str, target: Path) -> None:
    """Download the CIFAR-10 archive to `target`, which appears only when it is complete and its SHA-256 is right.

    An incomplete download is kept in ``<target>.part`` and resumed next time. If two processes download the archive at
    once, one of them waits for the other.

    Parameters
    ----------
    url : str
        A URL (``http``, ``https``, ``ftp``, ``file``) or a path of the archive, or of the folder that holds it (such a
        URL ends in ``/``).
    target : Path
        Its folder is created if necessary.

    Raises
    ------
    DataError
        If the server cannot be reached, breaks off, or has a file that is not the official archive.
    """
    from http.client import HTTPException

    if "://" not in url:
        path = _expanded(url).resolve()
        url = (path / ARCHIVE if path.is_dir() else path).as_uri()
    if url.endswith("/"):
        url += ARCHIVE
    if IN_BROWSER and not url.startswith("file:"):
        raise DataError(
            f"cannot download {url} in a browser: a page may read only from servers that allow it, and this one does "
            f"not; load_shapes() needs no download"
        )
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            with suppress(OSError):  # without a lock, the checksum still notices two downloads that disturb each other
                stack.enter_context(locked(target.with_name(target.name + ".lock"), lambda: _say_waiting(target)))
            if target.exists():  # another process has downloaded it
                return
            _fill(url, part)
            with open(part, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != ARCHIVE_SHA256:
                part.unlink()
                raise DataError(
                    f"the file from {url} is not the official archive (SHA-256 {found}, expected {ARCHIVE_SHA256}) "
                    f"and has been removed"
                )
            os.replace(part, target)
    except (OSError, HTTPException, ValueError) as error:
        kept = part.stat().st_size if part.exists() else 0
        resume = f"{kept:,} of {ARCHIVE_BYTES:,} bytes are kept; run again to resume, or " * (kept > 0)
        raise DataError(
            f"cannot download {url} to {target}: {error or type(error).__name__} "
            f"({resume}set MINICNN_CIFAR_URL to a mirror or a local copy)"
        ) from error


def _say_waiting(target: Path) -> None:
    print(f"another process is downloading to {target.parent}: waiting for it", file=sys.stderr)


def _fill(url: str, part: Path) -> None:
    """Download the rest of `part`, or all of it from a server that cannot resume."""
    from urllib.request import Request, urlopen

    from tqdm.auto import tqdm

    done = part.stat().st_size if part.exists() else 0
    if done == ARCHIVE_BYTES:
        return
    request = Request(url, headers={"Range": f"bytes={done}-"} if 0 < done < ARCHIVE_BYTES else {})
    with urlopen(request, timeout=TIMEOUT) as answer:
        resumed = answer.status == 206  # any other answer is the file from the beginning
        start = done if resumed else 0
        announced = answer.headers["Content-Length"]
        if announced is not None and start + int(announced) != ARCHIVE_BYTES:
            if resumed:
                part.unlink()  # else the server would give the same answer forever
            raise DataError(f"{url} has {start + int(announced):,} bytes; the official archive has {ARCHIVE_BYTES:,}")
        bar = tqdm(desc=ARCHIVE, total=ARCHIVE_BYTES, initial=start, unit="B", unit_scale=True)
        with bar, open(part, "ab" if resumed else "wb") as file:
            while chunk := answer.read(1 << 16):
                file.write(chunk)
                bar.update(len(chunk))
    if part.stat().st_size < ARCHIVE_BYTES:
        raise OSError("the connection broke off")
