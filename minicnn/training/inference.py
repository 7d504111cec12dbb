"""Using a trained network: evaluate it on a test set, or classify single images."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from minicnn.data import DataError, ImageFolder, load_image
from minicnn.data.sources import Part, load_test
from minicnn.data.splits import find_splits
from minicnn.data.summary import describe, left_out, reasons
from minicnn.distributed import Team
from minicnn.files import printable, write_atomically
from minicnn.training.checkpoint import load_model
from minicnn.training.evaluation import Evaluation, evaluate, probabilities
from minicnn.training.progress import say, shows_bar

__all__ = ["evaluate_checkpoint", "predict_images"]

BAR = 30  # characters for 100 %


def evaluate_checkpoint(
    checkpoint: str | os.PathLike[str],
    data: str,
    *,
    data_dir: str | os.PathLike[str] | None = None,
    ten_crop: bool = False,
    limit: int | None = None,
    skip_bad: bool = False,
    workers: int | None = None,
    json_file: str | os.PathLike[str] | None = None,
    team: Team | None = None,
) -> Evaluation:
    """Evaluate a saved network on a test set, and print the result.

    Parameters
    ----------
    checkpoint : path
        See :func:`minicnn.training.load_model`.
    data, data_dir, limit, skip_bad
        See :func:`minicnn.data.sources.load_test`.
    ten_crop : bool
        Average over ten crops of each image.
    workers : int, optional
        Threads that prepare the next batches: by default 2 for a folder, else none.
    json_file : path, optional
        Also write the numbers to this file.
    team : Team, optional
        The processes that share the images. Rank 0 alone writes the file.

    Returns
    -------
    Evaluation

    Raises
    ------
    CheckpointError, DataError
        If the checkpoint or the images cannot be read, or do not match.
    DivergedError
        If the network's outputs are infinite or NaN.
    OSError
        If `json_file` cannot be written.
    """
    saved = load_model(checkpoint)
    team = team or Team()

    def load() -> Part:
        size, classes = saved.preparation.size, saved.classes
        part = load_test(data, size, classes, data_dir=data_dir, limit=limit, skip_bad=skip_bad)
        part.verify()
        return part

    part = team.in_turn(load)
    images, labels = part
    warning = _seen_in_training(images.root, saved.info) if isinstance(images, ImageFolder) else None
    for line in (describe("Test", part, saved.classes), *reasons(left_out([part]))):
        say(line)
    if warning is not None:
        say(warning)
    if workers is None:
        workers = 0 if isinstance(images, np.ndarray) else 2
    with tqdm(total=len(labels), unit=" images", leave=False, disable=not shows_bar()) as bar:
        found = evaluate(saved.network, saved.preparation, images, labels, ten_crop, workers, bar.update, team)
    found.finite(f"{os.fspath(checkpoint)}: the loss")
    print(f"{'ten crops' if ten_crop else 'centre crop'}: {found}")
    if json_file is not None and team.is_first:
        crops: dict[str, Any] = {"checkpoint": str(checkpoint), "data": str(data), "crops": 10 if ten_crop else 1}
        crops |= {"left_out": left_out([part]), "warning": warning}
        write_atomically(json_file, json.dumps(crops | asdict(found), indent=2) + "\n")
    return found


def _seen_in_training(root: Path, info: Mapping[str, Any]) -> str | None:
    """Return a warning if a network was trained or selected with the images of this folder; copies are not noticed."""
    recipe = info.get("recipe")
    data = recipe.get("data") if isinstance(recipe, dict) else None
    if not isinstance(data, str) or not os.path.isdir(data):
        return None
    train, val, _ = find_splits(data)
    if root.resolve() == train.resolve():
        return f"{root} holds the images that this network was trained on: its error on new images is larger"
    if val is not None and root.resolve() == val.resolve():
        return f"{root} holds the images by which the best epoch was chosen: the error on new images is larger"
    return None


def predict_images(
    checkpoint: str | os.PathLike[str],
    images: Sequence[str | os.PathLike[str]],
    *,
    ten_crop: bool = False,
    draw: Callable[[list[NDArray[np.uint8]], tuple[str, ...], NDArray[Any], list[str]], object] | None = None,
) -> NDArray[np.float64]:
    """Classify images with a saved network, and print the five most likely classes of each.

    Parameters
    ----------
    checkpoint : path
        See :func:`minicnn.training.load_model`.
    images : sequence of path
        JPEG, PNG or WebP files.
    ten_crop : bool
        Average over ten crops of each image.
    draw : callable, optional
        ``draw(images, classes, probabilities, captions)`` draws the same.

    Returns
    -------
    ndarray of float64, (images, classes)

    Raises
    ------
    CheckpointError, DataError
        If the checkpoint or an image cannot be read. Of several images, the others are classified first.
    DivergedError
        If the network's outputs are infinite or NaN.
    """
    saved = load_model(checkpoint)
    pixels, names, wrong = [], [], []
    for path in images:
        try:
            pixels.append(load_image(path, saved.preparation.size))
            names.append(os.fspath(path))
        except DataError as error:
            wrong.append(str(error))
    if pixels:
        likely = np.concatenate(
            [probabilities(saved.network, saved.preparation, image[None], ten_crop) for image in pixels]
        )
        for name, row in zip(names, likely, strict=True):
            print(f"{printable(name)}\n{_bars(row, saved.classes)}")
        if draw is not None:
            draw(pixels, saved.classes, likely, [printable(Path(name).name) for name in names])
    if wrong:
        raise DataError("; ".join(wrong))
    return likely


def _bars(likely: NDArray[np.float64], classes: Sequence[str]) -> str:
    best = np.argsort(-likely, kind="stable")[:5]
    names = {index: printable(classes[index]) for index in best}
    width = max(map(len, names.values()))
    return "\n".join(
        f"  {names[index]:<{width}}  {100 * likely[index]:5.1f} %  {'#' * round(BAR * likely[index])}".rstrip()
        for index in best
    )
