"""Import a checkpoint from torchvision's weights, and export one to ONNX."""

from __future__ import annotations

import codecs
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minicnn.data.preparation import Preparation
from minicnn.data.transforms import center_crop
from minicnn.files import printable, write_atomically
from minicnn.models.onnx_export import onnx_model
from minicnn.models.onnx_gradient import add_saliency
from minicnn.models.torch_files import WeightsError, torchvision_alexnet
from minicnn.training.checkpoint import SavedModel, load_model, save_model

__all__ = ["export_onnx", "import_torchvision", "onnx_bytes", "read_class_names"]

# torchvision's normalisation is for pixels of 0 to 1; here for grey levels of 0 to 255.
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32) * 255
IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32) * 255


def import_torchvision(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    classes: Sequence[str] | None = None,
    force: bool = False,
) -> None:
    """Make a checkpoint of torchvision's AlexNet from a file of its weights. Nothing in the file is executed.

    Parameters
    ----------
    source : path
        A ``.pth`` or ``.safetensors`` file, see :func:`minicnn.models.torch_files.read_state_dict`.
    out : path
        The checkpoint, with torchvision's preparation: crop 224 of 256, subtract ImageNet's mean, divide by its
        standard deviation.
    classes : sequence of str, optional
        The name of each output, by default its number.
    force : bool
        Overwrite `out`.

    Raises
    ------
    WeightsError
        If the file cannot be read or has other contents, or the number of classes is not that of the outputs.
    OSError
        If `out` exists or cannot be written.
    """
    _refuse_existing(out, force)
    network = torchvision_alexnet(source)
    outputs = network.config["num_classes"]
    names = [str(number) for number in range(outputs)] if classes is None else list(classes)
    if len(names) != outputs:
        raise WeightsError(f"{source} has {outputs} outputs, but there are {len(names)} names of classes")
    mean, deviation = IMAGENET_MEAN.reshape(3, 1, 1), IMAGENET_DEVIATION.reshape(3, 1, 1)
    save_model(out, network, Preparation(256, 224, mean, deviation), names, {"imported": Path(source).name})


def read_class_names(path: str | os.PathLike[str]) -> list[str]:
    """Read the name of a class from each line of a text file in UTF-8, with or without a byte order mark.

    Raises
    ------
    WeightsError
        If a line is not UTF-8 or holds control characters.
    OSError
        If the file cannot be read.
    """
    names = []
    lines = Path(path).read_bytes().removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n").removesuffix(b"\n")
    for number, line in enumerate(lines.split(b"\n"), 1):
        try:
            names.append(line.decode())
        except UnicodeDecodeError:
            guess = printable(line.decode("cp1252", "replace"))
            raise WeightsError(
                f"{os.fspath(path)}: line {number} is not UTF-8 (in Windows' encoding, cp1252, it reads '{guess}'); "
                f"save the file as UTF-8"
            ) from None
        if (shown := printable(names[-1])) != names[-1]:
            raise WeightsError(f"{os.fspath(path)}: line {number} has control characters: '{shown}'")
    return names


def export_onnx(
    checkpoint: str | os.PathLike[str], out: str | os.PathLike[str], force: bool = False
) -> tuple[int, int, int]:
    """Write a checkpoint's network as an ONNX file that takes grey levels: the graph includes the preparation.

    Parameters
    ----------
    checkpoint : path
        Written by ``minicnn train`` or :func:`import_torchvision`.
    out : path
        The ONNX file; see :func:`minicnn.models.onnx_export.onnx_model`.
    force : bool
        Overwrite `out`.

    Returns
    -------
    (C, H, W)
        The shape of the graph's input images: the centre crop of the checkpoint's preparation.

    Raises
    ------
    CheckpointError
        If the checkpoint cannot be read.
    ExportError
        If the package onnx is not installed, or a layer cannot be expressed in ONNX.
    OSError
        If `out` exists or cannot be written.
    """
    _refuse_existing(out, force)
    saved = load_model(checkpoint)
    write_atomically(out, onnx_bytes(saved))
    return (3, saved.preparation.crop, saved.preparation.crop)


def onnx_bytes(saved: SavedModel, layers: bool = False) -> bytes:
    """Return a network and its preparation as the content of an ONNX file that takes grey levels.

    Parameters
    ----------
    saved : SavedModel
        The content of a checkpoint.
    layers : bool
        Whether the graph also returns the output of each layer, see :func:`minicnn.models.onnx_export.onnx_model`, and
        if it can be had, the saliency, see :func:`minicnn.models.onnx_gradient.add_saliency`.

    Raises
    ------
    ExportError
        As for :func:`export_onnx`.
    """
    prepared = saved.preparation
    mean = prepared.mean
    if mean.shape[1] == prepared.size:
        mean = center_crop(mean[None], size=prepared.crop)[0]
    shape = (3, prepared.crop, prepared.crop)
    model = onnx_model(saved.network, shape, mean, prepared.deviation, saved.classes, layers)
    if layers:
        add_saliency(model)
    content: bytes = model.SerializeToString()
    return content


def _refuse_existing(path: str | os.PathLike[str], force: bool) -> None:
    if Path(path).exists() and not force:
        raise FileExistsError(f"{os.fspath(path)} exists already; --force replaces it")
