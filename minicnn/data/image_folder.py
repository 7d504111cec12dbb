"""Pictures of any size in a folder for each class, brought to one size as the paper does (section 2).

``ROOT/CLASS/NAME.jpg`` (or ``.jpeg``, ``.png``, ``.webp``, in any case): the folders are the classes, in the order of
their names. Pictures are decoded when they are asked for. Files and folders whose names begin with a dot, and
files that lie beside the class folders, are passed over.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps
from tqdm.auto import tqdm

from minicnn.backend import get_num_threads
from minicnn.data.cache import load_cached, save_cached
from minicnn.data.dataset import DataError
from minicnn.data.prefetch import run_ahead

Result = TypeVar("Result")

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
FORMATS = ("JPEG", "PNG", "WEBP")  # by content: a JPEG file may well be called .png
_EXPECTED = ", ".join("*" + suffix for suffix in SUFFIXES)
LITTER = ("thumbs.db", "desktop.ini")  # Windows leaves these wherever somebody looks at pictures

PIECE = 16  # pictures that a thread reads at a time when all are read
NAMED = 10  # broken pictures that an error names

# How a picture must be turned, by the number that a camera notes (EXIF 2.32, tag 0x0112; 1 is upright).
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


# --- one picture -------------------------------------------------------------------------------------------------


def load_image(path: str | os.PathLike[str], size: int = 256) -> NDArray[np.uint8]:
    """Read a picture: the short side is brought to `size`, and the square in the middle is cut out.

    Both happen in one resampling (bilinear, over all pixels that a new one covers), so the square is the exact middle.
    The orientation that a camera noted is honoured. Any colour mode becomes RGB: grey is repeated, 16 bits become 8,
    CMYK is converted, and what is transparent is laid on white, as a page would show it. Of an animation this is the
    first picture.

    Parameters
    ----------
    path : path
        A JPEG, PNG or WebP file.
    size : int
        The side of the square.

    Returns
    -------
    ndarray of uint8, (3, size, size)
        Red, green and blue.

    Raises
    ------
    DataError
        If it cannot be read, is truncated or corrupt, is no such file, or has more pixels than Pillow takes for safe
        (``PIL.Image.MAX_IMAGE_PIXELS``).

    References
    ----------
    Krizhevsky et al. 2012, section 2.
    """
    try:
        return _decode(path, size)
    except MemoryError:
        raise
    except Exception as error:  # a decoder raises whatever it stumbles over
        raise DataError(f"{os.fspath(path)} cannot be read: {_reason(error)}") from error


def _decode(path: str | os.PathLike[str], size: int) -> NDArray[np.uint8]:
    with Image.open(path, formats=FORMATS) as image:
        limit = Image.MAX_IMAGE_PIXELS
        if limit is not None and image.width * image.height > limit:
            raise ValueError(
                f"{image.width:,} x {image.height:,} pixels are more than the {limit:,} that Pillow takes for safe "
                f"(PIL.Image.MAX_IMAGE_PIXELS)"
            )
        # A JPEG decoder can shrink by 2, 4 or 8 at almost no cost. Twice the size is left for a proper resampling.
        image.draft(None, (2 * size, 2 * size))
        square = ImageOps.fit(_rgb(image), (size, size), Image.Resampling.BILINEAR)
        turn = TURNS.get(_orientation(image))
    if turn is not None:  # the middle is the middle, however it is turned
        square = square.transpose(turn)
    return np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # Pillow would cut 16 bits off at 255, and the picture be white
        return Image.fromarray((np.asarray(image).clip(0, 0xFFFF) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # a spoilt note is no reason to refuse the picture
        return 1


def _reason(error: Exception) -> str:
    if isinstance(error, PIL.UnidentifiedImageError):
        return "it is no JPEG, PNG or WebP picture"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


# --- folders -----------------------------------------------------------------------------------------------------


class Splits(NamedTuple):
    """Where the parts of a data set lie.

    Attributes
    ----------
    train : Path
        A folder with a folder for each class.
    val, test : Path or None
        The same of the other parts; None where there is none.
    """

    train: Path
    val: Path | None
    test: Path | None


def find_splits(root: str | os.PathLike[str]) -> Splits:
    """Tell ``ROOT/train/CLASS/*.jpg`` from ``ROOT/CLASS/*.jpg``, and find ``val`` and ``test`` beside ``train``.

    ``ROOT/train`` is taken for the training set if there are folders in it, and for a class (of railways) if not.

    Parameters
    ----------
    root : path
        The folder.

    Returns
    -------
    Splits
        ``train`` is ``ROOT/train`` or `root` itself; ``val`` and ``test`` are there only beside ``ROOT/train``.
    """
    root = Path(root)
    train = root / "train"
    if not train.is_dir() or not any(folder.is_dir() and folder.name[0] != "." for folder in train.iterdir()):
        return Splits(root, None, None)
    val, test = (path if path.is_dir() else None for path in (root / "val", root / "test"))
    return Splits(train, val, test)


class ImageFolder:
    """The pictures of ``ROOT/CLASS/``, decoded when they are asked for; it stands where an array of pictures can.

    Parameters
    ----------
    root : path
        The folder of the classes' folders.
    size : int
        Pictures become ``(3, size, size)``, see :func:`load_image`.
    skip_bad : bool
        False: whatever is wrong with the files' names is an error now, and a picture that cannot be read is an error
        when it is asked for; :meth:`verify` and `pixel_statistics` name all of them. True: every picture is read once
        now, with a progress bar, those that cannot be are left out and listed in `skipped`, and so the length of an
        epoch is known before it begins. The verdict is kept in the user's cache as long as no file changes.
    cache : bool
        Keep decoded pictures in memory, `nbytes` in all, so that each is read from the disk only once.
    classes : sequence of str, optional
        The names of the classes in the order of the labels, where another folder (the training set's) has determined
        them. Some may then be without pictures here.

    Attributes
    ----------
    classes : tuple of str
        The name of each label.
    paths : list of str
        Where each picture is, class by class, in the order of the names.
    labels : ndarray of int64, (N,)
        Positions in `classes`.
    skipped : list of str
        What was left out, with the reason.
    shape, dtype
        As if it were an array: (N, 3, size, size) and uint8.

    Raises
    ------
    DataError
        If there is no such folder, it has no classes, a class is empty or not in `classes`, or a file in it is no
        picture; with `cache`, if the memory of this machine is too small.
    ValueError
        If `size` is not at least 1.

    Examples
    --------
    ::

        folder = ImageFolder("flowers")
        train, validation = (folder.subset(part) for part in split_validation(folder.labels))
        loader = Loader(train, train.labels, transform=transforms.random_crop, workers=2)
    """

    dtype = np.dtype(np.uint8)

    def __init__(
        self,
        root: str | os.PathLike[str],
        size: int = 256,
        skip_bad: bool = False,
        cache: bool = False,
        classes: Sequence[str] | None = None,
    ) -> None:
        if size < 1:
            raise ValueError(f"ImageFolder: size is {size}; expected at least 1")
        self.root, self.size, self.cache = Path(root), size, cache
        names = _class_folders(self.root)
        self.classes = tuple(names if classes is None else classes)
        unknown = sorted(set(names) - set(self.classes))
        if unknown:
            raise DataError(
                f"{self.root / unknown[0]} is none of the {len(self.classes)} classes ({', '.join(self.classes[:3])}"
                f"{', ...' * (len(self.classes) > 3)}) that the other folder has"
            )
        self.paths: list[str] = []
        self.skipped: list[str] = []
        labels: list[int] = []
        self._stamps: list[tuple[int, int]] = []  # the size of each file, and when it was last changed
        for name in names:
            before = len(self.paths)
            for entry in sorted(os.scandir(self.root / name), key=lambda entry: entry.name):
                if entry.name[0] == "." or entry.name.lower() in LITTER:
                    continue
                if entry.is_dir():
                    self.skipped.append(f"{entry.path} is a folder; expected {_EXPECTED} directly in {name}")
                elif not entry.name.lower().endswith(SUFFIXES):
                    self.skipped.append(f"{entry.path} is no picture; expected {_EXPECTED}")
                else:
                    self.paths.append(entry.path)
                    self._stamps.append(_stamp(entry.path))
            labels += [self.classes.index(name)] * (len(self.paths) - before)
        self.labels: NDArray[np.int64] = np.array(labels, np.int64)
        if not skip_bad:
            _refuse(self.skipped)
        self._refuse_empty(names)
        self._cached: NDArray[np.uint8] | None = None
        if skip_bad:
            broken = self._broken()
            self.skipped += self._describe(broken)
            self._keep_only([index for index in range(len(self)) if index not in broken])
            self._refuse_empty(names)
        self._start_cache()

    def _refuse_empty(self, names: Sequence[str]) -> None:
        filled = {self.classes[label] for label in np.unique(self.labels)}
        for name in names:
            if name not in filled:
                skipped = f"; {len(self.skipped)} files were skipped, such as {self.skipped[0]}" if self.skipped else ""
                raise DataError(f"the class {self.root / name} has no picture; expected {_EXPECTED} in it{skipped}")

    def _keep_only(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> None:
        self.paths = [self.paths[index] for index in indices]
        self._stamps = [self._stamps[index] for index in indices]
        self.labels = self.labels[np.asarray(indices, np.int64)]

    # --- as an array ---

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """As if all pictures were in memory."""
        return len(self), 3, self.size, self.size

    @property
    def ndim(self) -> int:
        """Four."""
        return 4

    @property
    def nbytes(self) -> int:
        """The memory that all pictures take once they are decoded."""
        return len(self) * 3 * self.size * self.size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, indices: Any) -> NDArray[np.uint8]:
        """Read one picture (3, size, size), or several (n, 3, size, size) by a slice, integers or booleans.

        Raises
        ------
        DataError
            If one cannot be read; it is named.
        IndexError
            If there is no such picture.
        """
        chosen = np.arange(len(self))[indices]
        if chosen.ndim > 1:
            raise IndexError(f"ImageFolder: the index has {chosen.ndim} axes; expected at most one")
        images = np.empty((chosen.size, *self.shape[1:]), np.uint8)
        for position, index in enumerate(chosen.flat):
            images[position] = self._picture(int(index))
        return images if chosen.ndim else images[0]

    def _picture(self, index: int) -> NDArray[np.uint8]:
        if self._cached is None:
            return load_image(self.paths[index], self.size)
        if not self._is_cached[index]:
            self._cached[index] = load_image(self.paths[index], self.size)
            self._is_cached[index] = True  # only now: another thread may be looking
        return self._cached[index]

    def _start_cache(self) -> None:
        self._cached = None
        if self.cache:
            memory = _memory()
            if self.nbytes > memory:
                raise DataError(
                    f"cache=True: the {len(self):,} pictures of {self.root} take {self.nbytes / 1e9:.1f} GB, "
                    f"and this machine has {memory / 1e9:.1f} GB"
                )
            self._cached = np.empty(self.shape, np.uint8)  # pages that nobody has written take no memory yet
            self._is_cached = np.zeros(len(self), bool)

    def subset(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> ImageFolder:
        """Return an ImageFolder of these pictures only, with the same classes and a memory of its own."""
        part = copy.copy(self)
        part._keep_only(indices)
        part._start_cache()
        return part

    def __repr__(self) -> str:
        return (
            f"ImageFolder({str(self.root)!r}: {len(self)} pictures of {self.size}x{self.size}, "
            f"{len(self.classes)} classes)"
        )

    # --- all of them ---

    def fingerprint(self) -> str:
        """Return a text that changes with the pictures: their names, sizes, times of change, and `size`.

        It does not depend on where the folder is. A file of the same length whose time was set back goes unnoticed.
        """
        digest = hashlib.sha256(f"1 {PIL.__version__} {self.size}\0".encode())
        for path, label, stamp in zip(self.paths, self.labels, self._stamps, strict=True):
            name = f"{self.classes[label]}/{os.path.basename(path)}"
            digest.update(os.fsencode(name) + f"\0{stamp[0]} {stamp[1]}\0".encode())
        return digest.hexdigest()[:32]

    def verify(self) -> None:
        """Read every picture once, with a progress bar, unless that was done before and no file has changed.

        Raises
        ------
        DataError
            If any cannot be read; all are counted and the first are named.
        """
        _refuse(self._describe(self._broken()))

    def survey(self, title: str, measure: Callable[[NDArray[np.uint8]], Result]) -> Iterator[Result]:
        """Yield ``measure(pictures)`` for a few pictures at a time, until all have been read, on all cores.

        Parameters
        ----------
        title : str
            What the progress bar is called.
        measure : callable
            Takes pictures (n, 3, size, size) in the order of `paths`; it runs in several threads at once.

        Yields
        ------
        object
            The results, in order.

        Raises
        ------
        DataError
            At the end, if some cannot be read; all are counted and the first are named.
        """
        broken: dict[int, str] = {}
        yield from self._read_all(title, measure, broken)
        _refuse(self._describe(broken))

    def _read_all(
        self, title: str, measure: Callable[[NDArray[np.uint8]], Result], broken: dict[int, str]
    ) -> Iterator[Result]:
        """Survey, noting in `broken` what cannot be read instead of raising an error."""
        lasting = True

        def read(start: int) -> tuple[list[Result], dict[int, DataError]]:
            pictures, errors = [], {}
            for index in range(start, min(start + PIECE, len(self))):
                try:
                    pictures.append(self._picture(index))
                except DataError as error:
                    errors[index] = error
            return [measure(np.stack(pictures))] if pictures else [], errors

        # A file gets a line now and then instead of a bar that moves.
        interval = 0.1 if sys.stderr.isatty() or "ipykernel" in sys.modules else 30
        starts = range(0, len(self), PIECE)
        workers = get_num_threads() if get_num_threads() > 1 else 0
        with tqdm(desc=f"{title} ({self.root})", total=len(self), unit=" images", mininterval=interval) as bar:
            for start, (results, errors) in zip(starts, run_ahead(read, starts, workers), strict=True):
                for index, error in errors.items():
                    cause = error.__cause__
                    assert isinstance(cause, Exception)
                    broken[index] = _reason(cause)
                    # No access and a failing disk say nothing of the picture; tomorrow they may be gone.
                    lasting = lasting and not (isinstance(cause, OSError) and cause.errno is not None)
                yield from results
                bar.update(min(PIECE, len(self) - start))
        if lasting:
            save_cached(self._verdict_name(), json.dumps(broken).encode())

    def _broken(self) -> dict[int, str]:
        """Return the number of each picture that cannot be read, with the reason, from the cache if it is there."""
        kept = load_cached(self._verdict_name())
        if kept is not None:
            try:
                return {int(index): str(reason) for index, reason in json.loads(kept).items()}
            except (ValueError, AttributeError):
                pass  # not ours; it will be replaced
        broken: dict[int, str] = {}
        for _ in self._read_all("checking pictures", lambda pictures: None, broken):
            pass
        return broken

    def _verdict_name(self) -> str:
        return f"{self.fingerprint()}-broken.json"

    def _describe(self, broken: Mapping[int, str]) -> list[str]:
        return [f"{self.paths[index]} cannot be read: {reason}" for index, reason in sorted(broken.items())]


def _class_folders(root: Path) -> list[str]:
    expected = f"expected {root / 'CLASS' / '*.jpg'}, a folder for each class"
    if not root.is_dir():
        raise DataError(f"{root} is {'a file' if root.exists() else 'not there'}; {expected}")
    names = sorted(name for name in os.listdir(root) if name[0] != "." and (root / name).is_dir())
    if not names:
        raise DataError(f"{root} holds no folders; {expected}")
    return names


def _stamp(path: str) -> tuple[int, int]:
    try:
        state = os.stat(path)
    except OSError:  # a link to nowhere: reading it will say so
        return 0, 0
    return state.st_size, state.st_mtime_ns


def _refuse(broken: Sequence[str]) -> None:
    if broken:
        others = f"; and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
        files = "1 file" if len(broken) == 1 else f"{len(broken)} files"
        raise DataError(
            f"{files} cannot be used: {'; '.join(broken[:NAMED])}{others}. "
            f"Repair or remove them, or leave them out with skip_bad=True (--skip-bad)"
        )


def _memory() -> float:
    """Return how many bytes of memory the machine has; infinity if it will not say."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return float("inf")


# --- validation --------------------------------------------------------------------------------------------------


def split_validation(
    labels: NDArray[np.integer[Any]], fraction: float = 0.1, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hold some training pictures back for validation: at random, the same share of each class, to within a picture.

    Parameters
    ----------
    labels : ndarray of int, (N,)
        The training labels.
    fraction : float
        The share of pictures to hold back.
    seed : int
        Not negative. The same labels and seed give the same split.

    Returns
    -------
    train, validation : ndarray of int64
        Positions in `labels`, ascending; ``round(fraction * N)`` of them, at least one, are held back.

    Raises
    ------
    ValueError
        If a part would be empty.

    Examples
    --------
    >>> import numpy as np
    >>> from minicnn.data import split_validation
    >>> labels = np.repeat([0, 1], [80, 20])
    >>> train, validation = split_validation(labels, 0.1)
    >>> np.bincount(labels[validation]).tolist()
    [8, 2]
    """
    N = len(labels)
    if not 0 < fraction < 1 or N < 2:
        raise ValueError(
            f"split_validation: fraction is {fraction} of {N} labels; expected one between 0 and 1, of at least 2"
        )
    count = min(max(1, round(fraction * N)), N - 1)
    shuffled = np.random.default_rng(seed).permutation(N)
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    held_back = by_class[((np.arange(count) + 0.5) * N / count).astype(np.int64)]  # every (N / count)-th
    return np.setdiff1d(np.arange(N), held_back), np.sort(held_back)
