"""Weights that PyTorch saved, read without running anything that is in the file."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from minicnn import nn
from minicnn.files import regular_file
from minicnn.models.alexnets import alexnet
from minicnn.models.network import Network
from minicnn.models.pickle_machine import (
    BFLOAT16,
    PickleMachine,
    StoredTensor,
    WeightsError,
    checked,
    kind_of,
    shown,
)

__all__ = ["WeightsError", "read_state_dict", "torchvision_alexnet"]

SAFETENSORS = {
    "BF16": BFLOAT16,
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "I8": "<i1",
    "I16": "<i2",
    "I32": "<i4",
    "I64": "<i8",
    "U8": "<u1",
    "BOOL": "?",
}
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
HOLDERS = ("state_dict", "model_state_dict", "model", "net")  # under which training scripts save the state dict
WRAPPERS = ("module", "_orig_mod")  # DataParallel and torch.compile add these to the path of a layer


def torchvision_alexnet(path: str | os.PathLike[str]) -> Network:
    """Build torchvision's AlexNet with the weights in a file.

    Parameters
    ----------
    path : path
        See :func:`read_state_dict`.

    Returns
    -------
    Network
        ``alexnet("torchvision")``, in evaluation mode, with as many outputs as ``classifier.6`` has.

    Raises
    ------
    WeightsError
        If the file cannot be read, a key is missing, unknown, or has another shape, or a weight is not finite.
    """
    arrays = read_state_dict(path)
    last = arrays.get("classifier.6.weight")
    with nn.init.skip_arrays():
        network = alexnet("torchvision", num_classes=max(1, len(last)) if last is not None and last.ndim else 1000)
    parameters = dict(network.named_parameters())
    wrong = [f"{name} is missing" for name in parameters if name not in arrays]
    wrong += [f"{shown(name)} is unknown" for name in arrays if name not in parameters]
    for name in parameters.keys() & arrays.keys():
        array, shape = arrays[name], parameters[name].shape
        if array.shape != shape:
            wrong.append(f"{name} must have shape {shape}, and has {array.shape}")
        elif array.dtype.kind != "f":
            wrong.append(f"{name} must hold floats, and holds {array.dtype}")
    if wrong:
        more = f", and {len(wrong) - 4} more" if len(wrong) > 4 else ""
        raise WeightsError(f"{path} is not torchvision's AlexNet: {', '.join(sorted(wrong)[:4])}{more}")
    for name, parameter in parameters.items():
        with np.errstate(over="ignore"):
            parameter.data = np.array(arrays[name], np.float32, order="C")
        if not np.isfinite(parameter.data).all():
            raise WeightsError(f"{path}: {name} must be finite in float32, and is not")
    return network.eval()


def read_state_dict(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Return the arrays in a ``.safetensors`` file, or in a ``.pth`` file in PyTorch's zip or legacy format.

    Parameters
    ----------
    path : path
        From ``torch.save(model.state_dict(), path)``, or of a dictionary that holds it as "state_dict",
        "model_state_dict", "model" or "net".

    Returns
    -------
    dict of str to ndarray
        Under the names of the plain network, without the parts that DataParallel and ``torch.compile`` add. The arrays
        of a ``.pth`` file are read-only views of its contents. Floats of 16 bits, float16 and bfloat16, become float32.

    Raises
    ------
    WeightsError
        If the file is missing, truncated, corrupt or not a state dict, or needs more than a state dict does.
    """
    path = Path(path)
    try:
        regular_file(path)
        with open(path, "rb") as file:
            start = file.read(16)
            file.seek(0)
            if start[:2] == b"PK":
                found = _read_zip(file)
            elif start[:1] == b"\x80":
                found = _read_legacy(file)
            elif path.suffix == ".safetensors" or start[8:9] == b"{":
                found = _read_safetensors(path)
            else:
                raise WeightsError("it is neither a .pth file of PyTorch nor a .safetensors file")
        return _without_wrappers(found)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}") from error
    except Exception as error:  # a corrupt archive or pickle can cause nearly any error
        reason = f"{type(error).__name__}: {shown(str(error))}"
        raise WeightsError(f"{path}: the file is truncated or corrupt ({reason})") from error


def _without_wrappers(found: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    for name, array in found.items():
        plain = ".".join(part for part in name.split(".") if part not in WRAPPERS)
        if plain in arrays:
            raise WeightsError(f"it holds {shown(plain)} twice")
        arrays[plain] = array
    return arrays


# --- the three formats -----------------------------------------------------------------------------------------------


def _read_zip(file: BinaryIO) -> dict[str, NDArray[Any]]:
    """Read the format of PyTorch 1.6 and later: a zip archive of a pickle and one file for each storage."""
    size = os.fstat(file.fileno()).st_size
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        packed = next((entry for entry in entries if entry.compress_type != zipfile.ZIP_STORED), None)
        if packed is not None:
            raise WeightsError(f"{shown(packed.filename)} in it is compressed, which torch.save never does")
        if sum(entry.file_size for entry in entries) > size:
            raise WeightsError("the archive claims to hold more than the file does")
        pickles = [entry.filename for entry in entries if f"/{entry.filename}".endswith("/data.pkl")]
        if len(pickles) != 1:
            raise WeightsError("the archive has no data.pkl, or several; it was not written by torch.save")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise WeightsError("the numbers are big-endian; only little-endian files can be read")
        machine = PickleMachine(io.BytesIO(archive.read(pickles[0])), size)
        tensors = _state_dict(machine.run())
        numbers = {key: archive.read(f"{folder}data/{key}") for key in _used(tensors)}
    return _arrays(tensors, numbers)


def _read_legacy(file: BinaryIO) -> dict[str, NDArray[Any]]:
    """Read the format before 1.6: five pickles in a row, then the storages."""
    machine = PickleMachine(file, os.fstat(file.fileno()).st_size)
    if machine.run() != LEGACY_MAGIC:
        raise WeightsError("it is a pickle, but not from torch.save")
    version = machine.run()
    if version != 1001:
        raise WeightsError("its format must be version 1001, the only one of torch.save")
    if not checked(dict, machine.run()).get("little_endian", True):
        raise WeightsError("the numbers are big-endian; only little-endian files can be read")
    tensors = _state_dict(machine.run())
    numbers = {}
    for key in checked(list, machine.run()):
        storage = machine.storages.get(checked(str, key))
        if storage is None:
            raise WeightsError(f"storage {shown(key)} belongs to no tensor")
        if int.from_bytes(file.read(8), "little") != storage.length:
            raise WeightsError(f"storage {shown(key)} must have {storage.length} numbers, and has others")
        numbers[key] = file.read(storage.length * np.dtype(storage.dtype).itemsize)
    if file.read(1):
        raise WeightsError("bytes are left over behind its last storage; the file is corrupt")
    return _arrays(tensors, numbers)


def _read_safetensors(path: Path) -> dict[str, NDArray[Any]]:
    """Read a file without safetensors.numpy, which lacks bfloat16, the upper half of a float32."""
    import safetensors

    found = {}
    deserialize: Any = safetensors.deserialize  # which has no types
    for name, entry in deserialize(path.read_bytes()):
        kind, numbers = entry["dtype"], entry["data"]
        if kind not in SAFETENSORS:
            raise WeightsError(f"{shown(name)} must be of type {', '.join(SAFETENSORS)}, got {shown(kind)}")
        found[name] = _numbers(numbers, SAFETENSORS[kind]).reshape(entry["shape"])
    return found


def _numbers(raw: bytes, dtype: str) -> NDArray[Any]:
    """Return the numbers in these bytes; floats of 16 bits as float32."""
    if dtype == BFLOAT16:
        return (np.frombuffer(raw, dtype).astype("<u4") << 16).view("<f4")
    array = np.frombuffer(raw, dtype)
    return array.astype("<f4") if dtype == "<f2" else array


def _state_dict(found: Any) -> dict[str, StoredTensor]:
    """Return the state dict: the object in the file, or its item under one of the usual names."""
    if isinstance(found, dict):
        found = next((found[name] for name in HOLDERS if isinstance(found.get(name), dict)), found)
    if not isinstance(found, dict) or not found:
        raise WeightsError(f"it must hold a state dict of named tensors, and holds a {kind_of(found)}")
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, StoredTensor):
            raise WeightsError(f"its entries must be named tensors, and {shown(str(name))} is a {kind_of(value)}")
    return found


def _used(tensors: Mapping[str, StoredTensor]) -> list[str]:
    """Return the keys of the storages that the tensors use."""
    return list({tensor.storage.key: None for tensor in tensors.values()})


def _arrays(tensors: Mapping[str, StoredTensor], numbers: Mapping[str, bytes]) -> dict[str, NDArray[Any]]:
    """Return each tensor as a read-only view of the numbers of its storage."""
    arrays = {}
    storages: dict[str, NDArray[Any]] = {}
    for name, tensor in tensors.items():
        storage = tensor.storage
        if storage.key not in numbers:
            raise WeightsError(f"storage {shown(storage.key)} is missing")
        raw, size = numbers[storage.key], np.dtype(storage.dtype).itemsize
        if len(raw) != storage.length * size:
            raise WeightsError(
                f"storage {shown(storage.key)} must have {storage.length} numbers of {size} bytes, and has "
                f"{len(raw)} bytes; the file is truncated or corrupt"
            )
        if storage.key not in storages:
            storages[storage.key] = _numbers(raw, storage.dtype)
        held = storages[storage.key]
        if 0 in tensor.shape:
            arrays[name] = np.broadcast_to(np.zeros((), held.dtype), tensor.shape)
        else:
            strides = [stride * held.itemsize for stride in tensor.strides]
            arrays[name] = np.ndarray(tensor.shape, held.dtype, held, tensor.offset * held.itemsize, strides)
            arrays[name].flags.writeable = False
    return arrays
