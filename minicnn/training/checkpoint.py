"""Checkpoints: a trained network with everything that is needed to use it, in one safetensors file.

Its arrays are ``model.<path>`` for each parameter, ``input.mean`` and ``input.deviation`` for the preparation of
images, and, if training can resume from it, ``optimizer.<number>.<name>``. The metadata entry ``minicnn`` is a checksum
and JSON: the network's config, the classes, how images are prepared, checksums of the arrays, and further information.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn import models, nn
from minicnn.autograd import Tensor
from minicnn.backend import asnumpy, get_default_device, to_device
from minicnn.data.preparation import LARGEST, Preparation
from minicnn.errors import MinicnnError
from minicnn.files import printable, write_atomically
from minicnn.models import Network
from minicnn.models.towers import TwoTowers
from minicnn.optim import Optimizer
from minicnn.saving import reading_safetensors
from minicnn.training.loop import DivergedError

__all__ = [
    "CheckpointError",
    "SavedModel",
    "SavedTraining",
    "load_model",
    "load_training",
    "save_model",
    "save_training",
]


class CheckpointError(MinicnnError):
    """A checkpoint cannot be read, or belongs to another network; the message names the file."""


MAX_BYTES = 8 << 30  # AlexNet and its optimiser take half a gigabyte: a larger file than this is not ours


@dataclass(frozen=True, eq=False)
class SavedModel:
    """The contents of a checkpoint.

    Attributes
    ----------
    network : Network
        Built from its config, with the saved parameters.
    preparation : Preparation
        How images are prepared for the network.
    classes : tuple of str
        The name of each output.
    info : dict
        Further information that was saved with it.
    """

    network: Network
    preparation: Preparation
    classes: tuple[str, ...]
    info: dict[str, Any]


@dataclass(frozen=True, eq=False)
class SavedTraining:
    """The contents of a checkpoint that training can resume from.

    Attributes
    ----------
    model : SavedModel
        The network, its preparation and its classes.
    optimizer : dict
        For ``Optimizer.load_state_dict``.
    progress : dict
        The progress of training: see :mod:`minicnn.training.trainer`.
    """

    model: SavedModel
    optimizer: dict[str, Any]
    progress: dict[str, Any]


def save_model(
    path: str | os.PathLike[str],
    network: Network,
    preparation: Preparation,
    classes: Sequence[str],
    info: Mapping[str, Any] | None = None,
) -> None:
    """Save a network as a checkpoint, atomically.

    Parameters
    ----------
    path : path
    network : Network
        One of :mod:`minicnn.models`, whose ``config`` says how to build it. Only its last layer may have been replaced,
        by one with another number of outputs: `num_classes` follows it.
    preparation : Preparation
        How images are prepared for the network.
    classes : sequence of str
        The name of each output.
    info : mapping, optional
        Further information, in types that JSON has.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If the number of names is not the number of outputs, the network does not take images of the size that
        `preparation` crops, or :func:`load_model` could not restore the network.
    DivergedError
        If a parameter is infinite or NaN: :func:`load_model` would refuse it.
    """
    _write(path, _model_arrays(network, preparation), _model_settings(network, preparation, classes, info))


def save_training(
    path: str | os.PathLike[str],
    network: Network,
    preparation: Preparation,
    classes: Sequence[str],
    info: Mapping[str, Any],
    optimizer: Optimizer,
    progress: Mapping[str, Any],
) -> None:
    """Save a network as :func:`save_model` does, with everything that is needed to resume its training.

    Parameters
    ----------
    path, network, preparation, classes, info
        As for :func:`save_model`.
    optimizer : Optimizer
        Of the network's parameters.
    progress : mapping
        The progress of training, in types that JSON has.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        As for :func:`save_model`.
    DivergedError
        If a parameter or a number of the optimiser's state is infinite or NaN.
    """
    arrays, settings = _optimizer_state(optimizer)
    _write(
        path,
        _model_arrays(network, preparation) | arrays,
        _model_settings(network, preparation, classes, info) | {"optimizer": settings, "progress": dict(progress)},
    )


def load_model(path: str | os.PathLike[str]) -> SavedModel:
    """Read a checkpoint, whether training can resume from it or not.

    Nothing in the file is trusted: its arrays must be exactly those of the network that its config describes. This is
    checked before memory is allocated for them.

    Parameters
    ----------
    path : path

    Returns
    -------
    SavedModel

    Raises
    ------
    CheckpointError
        If the file is absent, truncated, corrupt, inconsistent or not a checkpoint of minicnn.
    """
    with _opened(path) as (file, settings):
        return _model(file, settings)


def load_training(path: str | os.PathLike[str]) -> SavedTraining:
    """Read a checkpoint that training can resume from.

    Parameters
    ----------
    path : path

    Returns
    -------
    SavedTraining

    Raises
    ------
    CheckpointError
        If :func:`load_model` raises it, or the file does not hold the state of training.
    """
    with _opened(path) as (file, settings):
        if not {"optimizer", "progress"} <= set(settings):
            raise ValueError("it holds a network, but not the state of its training")
        model = _model(file, settings)
        arrays = {name: _array(file, settings, name) for name in file.keys() if name.startswith("optimizer.")}
        return SavedTraining(model, _optimizer_dict(arrays, settings["optimizer"]), dict(settings["progress"]))


def _model_arrays(network: Network, preparation: Preparation) -> dict[str, np.ndarray]:
    arrays = {f"model.{name}": asnumpy(tensor.data) for name, tensor in _tensors(network).items()}
    return arrays | {"input.mean": preparation.mean, "input.deviation": preparation.deviation}


def _model_settings(
    network: Network, preparation: Preparation, classes: Sequence[str], info: Mapping[str, Any] | None
) -> dict[str, Any]:
    config = _config(network)
    if len(classes) != (outputs := _outputs(network)):
        raise ValueError(f"save_model: classes must hold {outputs} names, one for each output, got {len(classes)}")
    for name in classes:
        if not isinstance(name, str):
            raise TypeError(f"save_model: classes must be strings, got {name!r}")
    _refuse_misfit(network, preparation.crop)
    return {
        "config": config,
        "input": {"size": preparation.size, "crop": preparation.crop},
        "classes": list(classes),
        "info": dict(info or {}),
    }


def _config(network: Network) -> dict[str, Any]:
    """Return the config from which the network can be built again; ValueError or TypeError if there is none.

    `num_classes` follows the last layer. Any other difference would be lost, or make the file unusable.
    """
    if not isinstance(network, Network) or "config" not in vars(network):
        raise TypeError(f"save_model: network must be one of minicnn.models, got {type(network).__name__}")
    for name, tensor in _tensors(network).items():
        if tensor.dtype != np.float32 and tensor.dtype.kind == "f":
            raise ValueError(f"save_model: parameters must be float32, got {tensor.dtype} for {name}")
    config = {**network.config, "num_classes": _outputs(network)}
    with nn.init.skip_arrays():
        rebuilt = _described(models.build(config))
    here = _described(network)
    for name in here | rebuilt:
        if here.get(name) != rebuilt.get(name):
            raise ValueError(
                f"save_model: network must be as its config describes it, except for the number of outputs; {name} is "
                f"{here.get(name, 'absent')}, and {rebuilt.get(name, 'absent')} in the config's network"
            )
    return config


def _refuse_misfit(network: Network, crop: int) -> None:
    """Refuse a preparation whose images the network does not take: it would fail as soon as it is used."""
    config = network.config
    whole_network = network
    if isinstance(network, TwoTowers):  # its layers are no chain
        with nn.init.skip_arrays():
            whole_network = models.build({**config, "devices": None})
    if config.get("in_size", crop) > LARGEST:
        raise ValueError(f"in_size must be at most {LARGEST}, got {config['in_size']}")
    shape: tuple[int, ...] = (1, config.get("in_channels", 3), crop, crop)
    try:
        for _, layer in whole_network.named_layers():
            shape = layer.output_info(shape).output_shape
    except ValueError as error:
        raise ValueError(
            f"the network does not take images of {crop}x{crop}, the crop of its input: {error}"
        ) from error


def _described(network: Network) -> dict[str, str]:
    """Return what every layer is and the shape of every parameter, by name."""
    layers = {
        path: f"{type(layer).__name__}({layer.extra_repr()})"
        for path, layer in network.named_modules()
        if not list(layer.children())
    }
    return layers | {name: str(tensor.shape) for name, tensor in _tensors(network).items()}


def _tensors(network: Network) -> dict[str, Tensor]:
    """Return all parameters and buffers by name."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _outputs(network: Network) -> int:
    """Return the number of classes, which is the number of the last layer's biases."""
    return list(network.parameters())[-1].shape[0]


def _write(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> None:
    import safetensors.numpy

    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise DivergedError(f"{name} is infinite or NaN, and is not saved: training has diverged")
    text = json.dumps({**settings, "checksums": {name: zlib.crc32(array.data) for name, array in arrays.items()}})
    text = f"{zlib.crc32(text.encode()):08x} {text}"
    write_atomically(path, safetensors.numpy.save(arrays, metadata={"minicnn": text}))


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Open a checkpoint for reading, and turn every error that comes from its contents into a CheckpointError."""
    with reading_safetensors(path, CheckpointError, "a checkpoint", MAX_BYTES) as file:
        checksum, _, text = (file.metadata() or {}).get("minicnn", "").partition(" ")
        if not text:
            raise ValueError("it is not a checkpoint of minicnn")
        if checksum != f"{zlib.crc32(text.encode()):08x}":
            raise ValueError("it is corrupt: its description has changed since it was written")
        yield file, json.loads(text)


def _model(file: Any, settings: Mapping[str, Any]) -> SavedModel:
    with nn.init.skip_arrays():
        network = models.build(settings["config"])
    tensors = _tensors(network)
    # So far a parameter is only a shape. It gets memory once the file is known to hold an array of that shape.
    expected = {f"model.{name}": tensor.shape for name, tensor in tensors.items()}
    found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys() if name.startswith("model.")}
    for name in expected | found:
        if expected.get(name) != found.get(name):
            there, here = (f"of shape {shapes[name]}" if name in shapes else "absent" for shapes in (expected, found))
            raise ValueError(f"{name} is {here} in the file and {there} in the network that it describes")
    classes, outputs = settings["classes"], _outputs(network)
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes) or len(classes) != outputs:
        raise ValueError(f"classes must be {outputs} names, one for each output of the network")
    for name in classes:
        if (shown := printable(name)) != name:
            raise ValueError(f"classes must be text without control characters, got '{shown}'")
    preparation = Preparation(
        size=settings["input"]["size"],
        crop=settings["input"]["crop"],
        mean=_array(file, settings, "input.mean"),
        deviation=_array(file, settings, "input.deviation"),
    )
    _refuse_misfit(network, preparation.crop)
    for name, tensor in tensors.items():
        kind = "I64" if tensor.dtype == np.int64 else "F32"  # batch normalisation counts its batches
        array = np.array(_array(file, settings, f"model.{name}", kind))  # a copy owns its memory and is aligned
        tensor.data = to_device(array, get_default_device())
    return SavedModel(network, preparation, tuple(classes), dict(settings["info"]))


def _array(file: Any, settings: Mapping[str, Any], name: str, kind: str = "F32") -> np.ndarray:
    found = file.get_slice(name).get_dtype()
    if found != kind:
        raise ValueError(f"{name} must be of type {kind}, got {found}")
    array: np.ndarray = file.get_tensor(name)
    if zlib.crc32(array.data) != settings["checksums"][name]:
        raise ValueError(f"it is corrupt: {name} has changed since it was written")
    if not name.startswith("input.") and not np.isfinite(array).all():  # Preparation checks its own
        raise ValueError(f"{name} is infinite or NaN: its training has diverged")
    return array


def _optimizer_state(optimizer: Optimizer) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return an optimiser's state as arrays, and the rest in types that JSON has."""
    state = optimizer.state_dict()
    arrays: dict[str, np.ndarray] = {}
    counters: dict[str, Any] = {}
    for number, slots in state["state"].items():
        for name, value in slots.items():
            place: dict[str, Any] = arrays if isinstance(value, np.ndarray) else counters
            place[f"optimizer.{number}.{name}"] = value
    return arrays, {"counters": counters, "param_groups": state["param_groups"]}


def _optimizer_dict(arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Do the reverse of :func:`_optimizer_state`."""
    slots: dict[int, dict[str, Any]] = {}
    for key, value in {**arrays, **settings["counters"]}.items():
        _, number, name = key.split(".", 2)
        slots.setdefault(int(number), {})[name] = value
    return {"state": slots, "param_groups": settings["param_groups"]}
