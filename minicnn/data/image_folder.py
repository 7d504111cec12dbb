"""A folder of images, a folder for each class, read when they are needed.

``ROOT/CLASS/NAME.jpg`` (or ``.jpeg``, ``.png``, ``.webp``, in upper or lower case): the folders are the classes, in the
order of their names. Files and folders whose names begin with a dot, and files beside the class folders, are ignored.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import PIL
from numpy.typing import NDArray
from tqdm.auto import tqdm

from minicnn.arguments import whole
from minicnn.backend import get_num_threads
from minicnn.data.dataset import Dataset
from minicnn.data.decoding import load_image, reason_of
from minicnn.data.errors import DataError
from minicnn.data.labelled_images import checked_transform
from minicnn.data.prefetch import run_ahead
from minicnn.data.scanning import EXPECTED, Seen, Stamp, class_folders, content_hash, image_files, refuse
from minicnn.files import load_cached, save_cached

Result = TypeVar("Result")

PIECE = 16  # images that a thread reads at a time when all are read


class ImageFolder(Dataset):
    """The images of ``ROOT/CLASS/``, decoded when they are indexed: a data set of pairs (image, label).

    It can also be used in place of an array of images: slices and arrays of indices give arrays of images.

    Parameters
    ----------
    root : path
        The folder that holds a folder for each class.
    size : int
        Images become ``(3, size, size)``, see :func:`load_image`.
    skip_bad : bool or None
        False: a file that is not an image is an error now, and an image that cannot be read is an error when it is
        indexed; :meth:`verify` and `pixel_statistics` name all of them. True: every image is read once now, with a
        progress bar, and those that cannot be read are left out and listed in `skipped`. The result is cached until a
        file changes. None: as False, but only :meth:`verify` refuses files that are not images, unless a class has
        nothing else; it names them together with those that cannot be read.
    cache : bool
        Keep decoded images in memory, `nbytes` in all, so that each is read from the disk only once.
    classes : sequence of str, optional
        The names of the classes in the order of the labels, if another folder (of the training set) defines them. Some
        may then have no images here.
    transform : callable, optional
        Applied to the image of an item, such as those of :mod:`minicnn.data.transforms`, but not to the images of
        slices and of arrays of indices.

    Attributes
    ----------
    classes : tuple of str
        The name of each label.
    paths : list of str
        The path of each image, class by class, in the order of the names.
    labels : ndarray of int64, (N,)
        Positions in `classes`.
    skipped : list of str
        The files that were left out, with the reason.
    shape, dtype
        Those of the array: (N, 3, size, size) and uint8.

    Raises
    ------
    DataError
        If there is no such folder, it has no classes, a class is empty or not in `classes`, or a file in it is not an
        image; with `cache`, if the memory of this machine is too small.

    Examples
    --------
    ::

        folder = ImageFolder("flowers")
        train, validation = (folder.subset(part) for part in split_validation(folder.labels))
        loader = Loader(train, train.labels, transform=transforms.random_crop, workers=2)

        folder = ImageFolder("flowers", transform=transforms.ToTensor())
        image, label = folder[0]
        loader = DataLoader(folder, batch_size=32, shuffle=True, num_workers=2)
    """

    dtype = np.dtype(np.uint8)

    def __init__(
        self,
        root: str | os.PathLike[str],
        size: int = 256,
        skip_bad: bool | None = False,
        cache: bool = False,
        classes: Sequence[str] | None = None,
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        self.transform = checked_transform("ImageFolder", transform)
        self.root, self.size, self.cache = Path(root), whole("ImageFolder", "size", size, 1), cache
        names = class_folders(self.root)
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
        self._stamps: list[Stamp] = []
        for name in names:
            files = image_files(self.root / name)
            self.paths += files.paths
            self._stamps += files.stamps
            self.skipped += files.skipped
            labels += [self.classes.index(name)] * len(files.paths)
        self.labels: NDArray[np.int64] = np.array(labels, np.int64)
        self._skip_bad = skip_bad
        if skip_bad is False:
            refuse(self.skipped)
        self._refuse_empty(names)
        self._cached: NDArray[np.uint8] | None = None
        self._seen: list[Seen] | None = None  # what reading all of them found
        if skip_bad:
            self.skipped += self._describe(self._read())
            self._keep_only([index for index, seen in enumerate(self._read()) if seen.reason is None])
            self._refuse_empty(names)
        self._start_cache()

    def _refuse_empty(self, names: Sequence[str]) -> None:
        filled = {self.classes[label] for label in np.unique(self.labels)}
        for name in names:
            if name not in filled:
                if not self._skip_bad:
                    refuse(self.skipped)
                skipped = f"; {len(self.skipped)} files were skipped, such as {self.skipped[0]}" if self.skipped else ""
                raise DataError(f"the class {self.root / name} has no images; expected {EXPECTED} in it{skipped}")

    def _keep_only(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> None:
        self.paths = [self.paths[index] for index in indices]
        self._stamps = [self._stamps[index] for index in indices]
        self._seen = None if self._seen is None else [self._seen[index] for index in indices]
        self.labels = self.labels[np.asarray(indices, np.int64)]

    # --- as an array ---

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, 3, size, size)."""
        return len(self), 3, self.size, self.size

    @property
    def ndim(self) -> int:
        """Four."""
        return 4

    @property
    def nbytes(self) -> int:
        """The number of bytes of all images when they are decoded."""
        return len(self) * 3 * self.size * self.size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, indices: Any) -> Any:
        """Read an item (image, label) by an integer, or images (n, 3, size, size) by a slice, integers or booleans.

        The image of an item is an array (3, size, size) of uint8, or what `transform` makes of it.

        Raises
        ------
        DataError
            If one cannot be read.
        IndexError
            If there is no such image.
        """
        chosen = np.arange(len(self))[indices]
        if chosen.ndim > 1:
            raise IndexError(f"ImageFolder: the index must have at most one dimension, got {chosen.ndim}")
        images = np.empty((chosen.size, *self.shape[1:]), np.uint8)
        for position, index in enumerate(chosen.flat):
            images[position] = self._image(int(index))
        if chosen.ndim:
            return images
        return images[0] if self.transform is None else self.transform(images[0]), int(self.labels[chosen])

    def _image(self, index: int) -> NDArray[np.uint8]:
        if self._cached is None:
            return load_image(self.paths[index], self.size)
        if not self._is_cached[index]:
            self._cached[index] = load_image(self.paths[index], self.size)
            self._is_cached[index] = True  # not earlier: another thread may be reading
        image: NDArray[np.uint8] = self._cached[index]
        return image

    def _start_cache(self) -> None:
        self._cached = None
        if self.cache:
            memory = _memory()
            if self.nbytes > memory:
                raise DataError(
                    f"cache=True: the {len(self):,} images of {self.root} take {self.nbytes / 1e9:.1f} GB, "
                    f"and this machine has {memory / 1e9:.1f} GB"
                )
            self._cached = np.empty(self.shape, np.uint8)  # pages take no memory until they are written
            self._is_cached = np.zeros(len(self), bool)

    def subset(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> ImageFolder:
        """Return an ImageFolder of only these images, with the same classes and a cache of its own."""
        part = copy.copy(self)
        part._keep_only(indices)
        part._start_cache()
        return part

    def __repr__(self) -> str:
        return (
            f"ImageFolder({str(self.root)!r}: {len(self)} images of {self.size}x{self.size}, "
            f"{len(self.classes)} classes)"
        )

    # --- all of them ---

    def fingerprint(self) -> str:
        """Return a hash of the names, sizes and modification times of the files, of `size` and of Pillow's version.

        What is computed from the decoded images is cached under this name. It does not depend on where the folder is.
        It misses a change that keeps the size and the modification time.
        """
        digest = hashlib.sha256(f"1 {PIL.__version__} {self.size}\0".encode())
        for path, label, stamp in zip(self.paths, self.labels, self._stamps, strict=True):
            name = f"{self.classes[label]}/{os.path.basename(path)}"
            digest.update(os.fsencode(name) + f"\0{stamp[0]} {stamp[1]}\0".encode())
        return digest.hexdigest()[:32]

    def checksum(self) -> str:
        """Return a hash of the names and the contents of the files, and of `size`.

        A copy of the folder has the same. The files are read once; after that, :meth:`fingerprint` says whether one may
        have changed.
        """
        digest = hashlib.sha256(f"2 {self.size}\0".encode())
        for path, label, seen in zip(self.paths, self.labels, self._read(), strict=True):
            name = f"{self.classes[label]}/{os.path.basename(path)}"
            digest.update(os.fsencode(name) + f"\0{seen.digest}\0".encode())
        return digest.hexdigest()[:32]

    def unusable(self) -> list[str]:
        """Return a line for each file that :meth:`verify` refuses. All are read once, unless that was done before."""
        return [] if self._skip_bad else self.skipped + self._describe(self._read())

    def verify(self) -> None:
        """Read every image once, with a progress bar, unless that was done before and no file has changed.

        Raises
        ------
        DataError
            If any cannot be read, or is not an image (with ``skip_bad=None``), with the number of all and the names of
            the first.
        """
        refuse(self.unusable())

    def survey(self, title: str, measure: Callable[[NDArray[np.uint8]], Result]) -> Iterator[Result]:
        """Yield ``measure(images)`` for a few images at a time, until all have been read, on all cores.

        Parameters
        ----------
        title : str
            The title of the progress bar.
        measure : callable
            Takes images (n, 3, size, size) in the order of `paths`; it runs in several threads at once.

        Yields
        ------
        object
            The results, in order.

        Raises
        ------
        DataError
            At the end, if any cannot be read, with the number of all and the names of the first.
        """
        seen: list[Seen] = []
        yield from self._read_all(title, measure, seen)
        refuse(self._describe(seen))

    def _read_all(
        self, title: str, measure: Callable[[NDArray[np.uint8]], Result], seen: list[Seen]
    ) -> Iterator[Result]:
        """Do as :meth:`survey`, but collect in `seen` what cannot be read instead of raising an error."""
        lasting = True

        def read(start: int) -> tuple[list[Result], list[tuple[str, DataError | None]]]:
            images: list[NDArray[np.uint8]] = []
            found: list[tuple[str, DataError | None]] = []
            for index in range(start, min(start + PIECE, len(self))):
                digest = content_hash(self.paths[index])  # the decoder then finds the file in memory
                try:
                    images.append(self._image(index))
                    found.append((digest, None))
                except DataError as error:
                    found.append((digest, error))
            return [measure(np.stack(images))] if images else [], found

        # In a log file, a line now and then instead of a moving bar.
        interval = 0.1 if (sys.stderr is not None and sys.stderr.isatty()) or "ipykernel" in sys.modules else 30
        starts = range(0, len(self), PIECE)
        workers = get_num_threads() if get_num_threads() > 1 else 0
        with tqdm(desc=f"{title} ({self.root})", total=len(self), unit=" images", mininterval=interval) as bar:
            for start, (results, found) in zip(starts, run_ahead(read, starts, workers), strict=True):
                for digest, error in found:
                    if error is None:
                        seen.append(Seen(digest, None))
                        continue
                    cause = error.__cause__
                    assert isinstance(cause, Exception)
                    seen.append(Seen(digest, reason_of(cause)))
                    # A missing permission or a failing disk says nothing about the image, and may pass.
                    lasting = lasting and not (isinstance(cause, OSError) and cause.errno is not None)
                yield from results
                bar.update(min(PIECE, len(self) - start))
        if lasting:
            save_cached(self._cache_name(), json.dumps(seen).encode())
        self._seen = seen

    def _read(self) -> list[Seen]:
        """Return what each file holds and whether it can be read, cached if possible."""
        if self._seen is None:
            self._seen = self._from_cache()
        if self._seen is None:
            for _ in self._read_all("checking images", lambda images: None, []):
                pass
        assert self._seen is not None
        return self._seen

    def _from_cache(self) -> list[Seen] | None:
        cached = load_cached(self._cache_name())
        try:
            seen = [] if cached is None else [Seen(str(digest), reason) for digest, reason in json.loads(cached)]
        except (ValueError, TypeError):
            return None  # corrupt; it will be replaced
        return seen if len(seen) == len(self) else None

    def _cache_name(self) -> str:
        return f"{self.fingerprint()}-files.json"

    def _describe(self, seen: Sequence[Seen]) -> list[str]:
        return [
            f"{path} cannot be read: {reason}"
            for path, (_, reason) in zip(self.paths, seen, strict=True)
            if reason is not None
        ]


def _memory() -> float:
    """Return how many bytes of memory the machine has; infinity if that is unknown."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return float("inf")
