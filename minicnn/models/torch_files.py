"""Weights that PyTorch saved, read without running anything that is in the file.

A ``.pth`` file is a pickle, and a pickle is a program for a machine with a stack. Python's own machine imports and
calls whatever function the program names; even when it is kept from that, a few bytes can make it take all memory,
never end, or crash. So here is a smaller machine. It knows the instructions and the few names that a state dict needs,
and can call nothing: what stands for a function is only the name of it.
"""

from __future__ import annotations

import io
import math
import os
import pickletools
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from minicnn import nn
from minicnn.errors import MinicnnError
from minicnn.models.alexnets import alexnet
from minicnn.models.network import Network

__all__ = ["WeightsError", "read_state_dict", "torchvision_alexnet"]

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
INSTRUCTIONS = 1_000_000  # a state dict takes about thirty for each tensor
DIMENSIONS = 8
NOT_NEEDED = ", which no state dict needs; nothing was run"

DICTIONARY, TENSOR, PARAMETER, SIZE = (
    "collections.OrderedDict",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
    "torch.Size",
)
STORAGES = {
    "torch.FloatStorage": "<f4",
    "torch.DoubleStorage": "<f8",
    "torch.HalfStorage": "<f2",
    "torch.LongStorage": "<i8",
}
KNOWN = {DICTIONARY, TENSOR, PARAMETER, SIZE, *STORAGES}
WRAPPERS = ("module", "_orig_mod")  # what DataParallel and torch.compile add to the path of a layer


class WeightsError(MinicnnError):
    """A file of weights cannot be read, or asks for what is not allowed; the message names the file and the reason."""


def torchvision_alexnet(path: str | os.PathLike[str]) -> Network:
    """Build torchvision's AlexNet with the weights in a file.

    Parameters
    ----------
    path : path
        What :func:`read_state_dict` can read.

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
    wrong += [f"{_shown(name)} is unknown" for name in arrays if name not in parameters]
    for name in parameters.keys() & arrays.keys():
        array, shape = arrays[name], parameters[name].shape
        if array.shape != shape:
            wrong.append(f"{name} has shape {array.shape} where {shape} belongs")
        elif array.dtype.kind != "f":
            wrong.append(f"{name} holds numbers of kind {array.dtype}")
    if wrong:
        more = f", and {len(wrong) - 4} more" if len(wrong) > 4 else ""
        raise WeightsError(f"{path} is not torchvision's AlexNet: {', '.join(sorted(wrong)[:4])}{more}")
    for name, parameter in parameters.items():
        with np.errstate(over="ignore"):
            parameter.data = np.array(arrays[name], np.float32, order="C")
        if not np.isfinite(parameter.data).all():
            raise WeightsError(f"{path}: {name} holds numbers that are not finite in 32 bits")
    return network.eval()


def read_state_dict(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Return the arrays in a ``.safetensors`` file, or in a ``.pth`` file in PyTorch's zip or legacy format.

    Parameters
    ----------
    path : path
        What ``torch.save(model.state_dict(), path)`` wrote. A dictionary that holds it as "state_dict" will do, too.

    Returns
    -------
    dict of str to ndarray
        Under the names of the plain network, without what DataParallel and ``torch.compile`` add to them. The arrays
        are views of what was read and cannot be written to.

    Raises
    ------
    WeightsError
        If the file is missing, truncated, corrupt or no state dict, or asks for anything but what a state dict needs.
    """
    path = Path(path)
    try:
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
    except Exception as error:  # inside a corrupt archive or pickle nearly anything can go wrong
        reason = f"{type(error).__name__}: {_shown(str(error))}"
        raise WeightsError(f"{path}: the file is truncated or corrupt ({reason})") from error


def _without_wrappers(found: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    for name, array in found.items():
        plain = ".".join(part for part in name.split(".") if part not in WRAPPERS)
        if plain in arrays:
            raise WeightsError(f"it holds {_shown(plain)} twice")
        arrays[plain] = array
    return arrays


def _shown(text: str) -> str:
    """Return a text from the file fit for a message: short, and without anything that a terminal would obey."""
    return (text if len(text) <= 80 else f"{text[:77]}...").encode("unicode_escape").decode()


# --- the machine -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Name:
    """Stands for a function or class: its name, and nothing else."""

    name: str


@dataclass(frozen=True, slots=True)
class _Storage:
    """A piece of memory that tensors share: which one, of what numbers, and how many."""

    key: str
    dtype: str
    length: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A tensor as the pickle describes it: every number is checked, and lies inside the storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Machine:
    """Runs the pickles of one file.

    Parameters
    ----------
    file : binary file
        The next pickle begins where it is read next.
    size : int
        How many bytes the storages can take at most: those of the file.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size = file, size
        self.storages: dict[str, _Storage] = {}
        self.instructions = 0

    def run(self) -> Any:
        """Run the next pickle and return what it leaves on the stack."""
        stack: list[Any] = []
        marks: list[int] = []
        memo: dict[int, Any] = {}

        def since_mark() -> list[Any]:
            mark = marks.pop()
            values = stack[mark:]
            del stack[mark:]
            return values

        argument: Any
        for instruction, argument, _ in pickletools.genops(self.file):
            self.instructions += 1
            if self.instructions > INSTRUCTIONS:
                raise WeightsError(f"its pickle has more than {INSTRUCTIONS:,} instructions; no state dict needs them")
            match instruction.name:
                case "PROTO" | "FRAME":
                    pass
                case "NONE":
                    stack.append(None)
                case "NEWTRUE" | "NEWFALSE":
                    stack.append(instruction.name == "NEWTRUE")
                case "INT" | "BININT" | "BININT1" | "BININT2" | "LONG" | "LONG1" | "LONG4" | "FLOAT" | "BINFLOAT":
                    stack.append(argument)
                case "UNICODE" | "BINUNICODE" | "SHORT_BINUNICODE" | "BINUNICODE8":
                    stack.append(argument)
                case "SHORT_BINSTRING" | "BINSTRING":  # Python 2's
                    stack.append(argument)
                case "EMPTY_TUPLE":
                    stack.append(())
                case "EMPTY_LIST":
                    stack.append([])
                case "EMPTY_DICT":
                    stack.append({})
                case "MARK":
                    marks.append(len(stack))
                case "TUPLE":
                    stack.append(tuple(since_mark()))
                case "TUPLE1" | "TUPLE2" | "TUPLE3":
                    length = int(instruction.name[-1])
                    stack[-length:] = [tuple(stack[-length:])]
                case "APPEND":
                    value = stack.pop()
                    _a(list, stack[-1]).append(value)
                case "APPENDS":
                    values = since_mark()
                    _a(list, stack[-1]).extend(values)
                case "SETITEM":
                    value, key = stack.pop(), stack.pop()
                    _put(stack[-1], key, value)
                case "SETITEMS":
                    values = since_mark()
                    for key, value in zip(values[::2], values[1::2], strict=True):
                        _put(stack[-1], key, value)
                case "PUT" | "BINPUT" | "LONG_BINPUT":
                    memo[argument] = stack[-1]
                case "MEMOIZE":
                    memo[len(memo)] = stack[-1]
                case "GET" | "BINGET" | "LONG_BINGET":
                    stack.append(memo[argument])
                case "GLOBAL":
                    stack.append(_known(*argument.split(" ", 1)))
                case "STACK_GLOBAL":
                    name, module = stack.pop(), stack.pop()
                    stack.append(_known(_a(str, module), _a(str, name)))
                case "BINPERSID":
                    stack.append(self._storage(stack.pop()))
                case "REDUCE":
                    arguments, function = stack.pop(), stack.pop()
                    stack.append(self._made(_a(_Name, function).name, *_a(tuple, arguments)))
                case "BUILD":  # gives attributes to an object; those of an ordered dictionary do not matter
                    stack.pop()
                    _a(dict, stack[-1])
                case "STOP":
                    return stack.pop()
                case refused:
                    called = f" {_shown(argument)}" if refused == "INST" else ""
                    raise WeightsError(f"its pickle has the instruction {refused}{called}{NOT_NEEDED}")

    def _storage(self, description: Any) -> _Storage:
        """Take ("storage", type, key, device, count) for what it is."""
        kind, storage_type, key, _, count, *view = _a(tuple, description)
        if kind != "storage" or _a(_Name, storage_type).name not in STORAGES or type(key) is not str:
            raise WeightsError("its pickle refers to something outside that is no storage")
        if view not in ([], [None]):
            raise WeightsError("it holds views of storages, as versions of PyTorch before 0.4 wrote them")
        storage = _Storage(key, STORAGES[storage_type.name], _a(int, count))
        if not 0 <= count * np.dtype(storage.dtype).itemsize <= self.size:
            raise WeightsError(f"storage {_shown(key)} claims more numbers than the file holds")
        if self.storages.setdefault(key, storage) != storage:
            raise WeightsError(f"storage {_shown(key)} is described in two ways")
        return storage

    def _made(self, name: str, *arguments: Any) -> Any:
        """Return what the function of that name would have made of the arguments."""
        if name == DICTIONARY:
            made: dict[Any, Any] = {}
            for pair in _a(list, arguments[0]) if arguments else []:
                key, value = pair
                _put(made, key, value)
            return made
        if name == SIZE:
            return tuple(_a(list | tuple, arguments[0]))
        if name == PARAMETER:
            return _a(_Tensor, arguments[0])
        if name == TENSOR:
            return _tensor(*arguments[:4])
        raise WeightsError(f"its pickle calls {name}{NOT_NEEDED}")


def _a(kind: Any, value: Any) -> Any:
    """Return the value if it is of that kind; a state dict never has anything else there."""
    if not isinstance(value, kind) or isinstance(value, bool):
        expected = kind.__name__.strip("_").lower() if isinstance(kind, type) else "list or tuple"
        raise WeightsError(f"its pickle has a {_kind(value)} where a {expected} belongs")
    return value


def _kind(value: Any) -> str:
    return type(value).__name__.strip("_").lower()


def _put(dictionary: Any, key: Any, value: Any) -> None:
    """Set an item, by a key that is quickly found: with other keys, or chosen large numbers, it could take for ever."""
    if type(key) is not str and not (type(key) is int and 0 <= key < 1 << 31):
        raise WeightsError(f"its pickle has a dictionary with a {_kind(key)} as a key")
    _a(dict, dictionary)[key] = value


def _known(module: str, name: str) -> _Name:
    """Return the name if a state dict needs it."""
    full = f"{module}.{name}"
    if full not in KNOWN:
        raise WeightsError(
            f"it asks for {_shown(full)}{NOT_NEEDED}. "
            "Expected what torch.save(model.state_dict(), ...) writes, in floats of 16, 32 or 64 bits"
        )
    return _Name(full)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> _Tensor:
    """Check that every number of the tensor lies inside its storage."""
    _a(_Storage, storage), _a(tuple, shape), _a(tuple, strides)
    numbers = (offset, *shape, *strides)
    if len(shape) != len(strides) or len(shape) > DIMENSIONS:
        raise WeightsError(f"a tensor of {len(shape)} dimensions has {len(strides)} strides")
    if not all(type(number) is int and 0 <= number < 1 << 62 for number in numbers):
        raise WeightsError("a tensor has a shape, a stride or an offset that is no number from 0 on, or far too large")
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    if 0 not in shape and (last >= storage.length or math.prod(shape) > storage.length):
        raise WeightsError(f"a tensor of shape {shape} does not fit in its storage of {storage.length} numbers")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


# --- the three formats -------------------------------------------------------------------------------------------


def _read_zip(file: BinaryIO) -> dict[str, NDArray[Any]]:
    """Read the format of PyTorch 1.6 and later: a pickle, and beside it one file for each storage."""
    size = os.fstat(file.fileno()).st_size
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        packed = next((entry for entry in entries if entry.compress_type != zipfile.ZIP_STORED), None)
        if packed is not None:
            raise WeightsError(f"{_shown(packed.filename)} in it is compressed, which torch.save never does")
        if sum(entry.file_size for entry in entries) > size:
            raise WeightsError("the archive claims to hold more than the file does")
        pickles = [entry.filename for entry in entries if f"/{entry.filename}".endswith("/data.pkl")]
        if len(pickles) != 1:
            raise WeightsError("the archive has no data.pkl, or several; it was not written by torch.save")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise WeightsError("the numbers are stored with the most significant byte first")
        machine = _Machine(io.BytesIO(archive.read(pickles[0])), size)
        tensors = _state_dict(machine.run())
        numbers = {key: archive.read(f"{folder}data/{key}") for key in _used(tensors)}
    return _arrays(tensors, numbers)


def _read_legacy(file: BinaryIO) -> dict[str, NDArray[Any]]:
    """Read the format before 1.6: five pickles one after the other, then the storages."""
    machine = _Machine(file, os.fstat(file.fileno()).st_size)
    if machine.run() != LEGACY_MAGIC:
        raise WeightsError("it is a pickle, but not one of torch.save")
    version = machine.run()
    if version != 1001:
        raise WeightsError("its format is not version 1001, the only one that torch.save ever wrote")
    if not _a(dict, machine.run()).get("little_endian", True):
        raise WeightsError("the numbers are stored with the most significant byte first")
    tensors = _state_dict(machine.run())
    numbers = {}
    for key in _a(list, machine.run()):
        storage = machine.storages.get(_a(str, key))
        if storage is None:
            raise WeightsError(f"storage {_shown(key)} belongs to no tensor")
        if int.from_bytes(file.read(8), "little") != storage.length:
            raise WeightsError(f"storage {_shown(key)} does not have the {storage.length} numbers that belong there")
        numbers[key] = file.read(storage.length * np.dtype(storage.dtype).itemsize)
    return _arrays(tensors, numbers)


def _read_safetensors(path: Path) -> dict[str, NDArray[Any]]:
    import safetensors.numpy

    return safetensors.numpy.load_file(path)


def _state_dict(found: Any) -> dict[str, _Tensor]:
    """Return the state dict: what the file holds, or what it holds as "state_dict"."""
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict) or not found:
        raise WeightsError(f"it holds a {_kind(found)}; expected a state dict of named tensors")
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, _Tensor):
            raise WeightsError(f"its entry {_shown(str(name))} is a {_kind(value)}; expected names and tensors only")
    return found


def _used(tensors: Mapping[str, _Tensor]) -> list[str]:
    """Return the keys of the storages that the tensors lie in."""
    return list({tensor.storage.key: None for tensor in tensors.values()})


def _arrays(tensors: Mapping[str, _Tensor], numbers: Mapping[str, bytes]) -> dict[str, NDArray[Any]]:
    """Lay each tensor out in the bytes of its storage."""
    arrays = {}
    for name, tensor in tensors.items():
        storage = tensor.storage
        if storage.key not in numbers:
            raise WeightsError(f"storage {_shown(storage.key)} is missing")
        dtype, raw = np.dtype(storage.dtype), numbers[storage.key]
        if len(raw) != storage.length * dtype.itemsize:
            raise WeightsError(
                f"storage {_shown(storage.key)} has {len(raw)} bytes where {storage.length} numbers of "
                f"{dtype.itemsize} belong; the file is truncated or corrupt"
            )
        if 0 in tensor.shape:
            arrays[name] = np.broadcast_to(np.zeros((), dtype), tensor.shape)
        else:
            strides = [stride * dtype.itemsize for stride in tensor.strides]
            arrays[name] = np.ndarray(tensor.shape, dtype, raw, tensor.offset * dtype.itemsize, strides)
    return arrays
