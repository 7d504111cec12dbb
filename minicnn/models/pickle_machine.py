"""A stack machine for the pickles of PyTorch's files, which can call nothing.

A pickle is a program for a machine with a stack. Python's own machine imports and calls any function that the program
names; even if that is prevented, a few bytes can make it allocate all memory, never end, or crash. So this is a smaller
machine. It knows the instructions and the few names that a state dict needs, and replaces a function by its name.
"""

from __future__ import annotations

import math
import pickletools
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from minicnn.errors import MinicnnError

__all__ = ["BFLOAT16", "PickleMachine", "Storage", "StoredTensor", "WeightsError", "checked", "kind_of", "shown"]

INSTRUCTIONS = 1_000_000  # a state dict takes about thirty for each tensor
DIMENSIONS = 8
NOT_NEEDED = ", which no state dict needs; nothing was run"

DICTIONARY, TENSOR, PARAMETER, SIZE = (
    "collections.OrderedDict",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
    "torch.Size",
)
BFLOAT16 = "<u2"  # NumPy has no bfloat16; the upper half of a float32 is kept as an integer
STORAGES = {
    "torch.FloatStorage": "<f4",
    "torch.DoubleStorage": "<f8",
    "torch.HalfStorage": "<f2",
    "torch.BFloat16Storage": BFLOAT16,
    "torch.LongStorage": "<i8",
}
KNOWN = {DICTIONARY, TENSOR, PARAMETER, SIZE, *STORAGES}


class WeightsError(MinicnnError):
    """A file of weights cannot be read, or needs something that is not allowed; the message says why."""


def shown(text: str) -> str:
    """Return a text from the file for a message: shortened, and without control characters for a terminal."""
    return (text if len(text) <= 80 else f"{text[:77]}...").encode("unicode_escape").decode()


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a function or class, in place of the thing itself."""

    name: str


@dataclass(frozen=True, slots=True)
class Storage:
    """A piece of memory that tensors share: its key, the dtype of its numbers, and how many there are."""

    key: str
    dtype: str
    length: int


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor as the pickle describes it, checked to lie inside its storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class PickleMachine:
    """Runs the pickles of one file.

    Parameters
    ----------
    file : binary file
        Positioned at the first pickle.
    size : int
        The size of the whole file in bytes, which the storages cannot exceed.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size = file, size
        self.storages: dict[str, Storage] = {}
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
                case "SHORT_BINSTRING" | "BINSTRING":  # of Python 2
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
                    checked(list, stack[-1]).append(value)
                case "APPENDS":
                    values = since_mark()
                    checked(list, stack[-1]).extend(values)
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
                    stack.append(_known(checked(str, module), checked(str, name)))
                case "BINPERSID":
                    stack.append(self._storage(stack.pop()))
                case "REDUCE":
                    arguments, function = stack.pop(), stack.pop()
                    stack.append(self._made(checked(Name, function).name, *checked(tuple, arguments)))
                case "BUILD":  # sets attributes of an object; those of an ordered dictionary are not needed
                    stack.pop()
                    checked(dict, stack[-1])
                case "STOP":
                    return stack.pop()
                case refused:
                    called = f" {shown(argument)}" if refused == "INST" else ""
                    raise WeightsError(f"its pickle has the instruction {refused}{called}{NOT_NEEDED}")

    def _storage(self, description: Any) -> Storage:
        """Return the storage that ("storage", type, key, device, count) describes."""
        kind, storage_type, key, _, count, *view = checked(tuple, description)
        if kind != "storage" or checked(Name, storage_type).name not in STORAGES or type(key) is not str:
            raise WeightsError("its pickle refers to an external object that is not a storage")
        if view not in ([], [None]):
            raise WeightsError("it holds views of storages, as versions of PyTorch before 0.4 wrote them")
        storage = Storage(key, STORAGES[storage_type.name], checked(int, count))
        if not 0 <= count * np.dtype(storage.dtype).itemsize <= self.size:
            raise WeightsError(f"storage {shown(key)} claims more numbers than the file holds")
        if self.storages.setdefault(key, storage) != storage:
            raise WeightsError(f"storage {shown(key)} is described in two ways")
        return storage

    def _made(self, name: str, *arguments: Any) -> Any:
        """Return the result that the function of that name would return."""
        if name == DICTIONARY:
            made: dict[Any, Any] = {}
            for pair in checked(list, arguments[0]) if arguments else []:
                key, value = pair
                _put(made, key, value)
            return made
        if name == SIZE:
            return tuple(checked(list | tuple, arguments[0]))
        if name == PARAMETER:
            return checked(StoredTensor, arguments[0])
        if name == TENSOR:
            return _tensor(*arguments[:4])
        raise WeightsError(f"its pickle calls {name}{NOT_NEEDED}")


def checked(kind: Any, value: Any) -> Any:
    """Return the value if it is of that kind: a state dict has nothing else there."""
    if not isinstance(value, kind) or isinstance(value, bool):
        expected = _word(kind) if isinstance(kind, type) else "list or tuple"
        raise WeightsError(f"its pickle has a {kind_of(value)} instead of a {expected}")
    return value


def kind_of(value: Any) -> str:
    """Return the name of the type of `value`, for a message."""
    return _word(type(value))


def _word(kind: type) -> str:
    return kind.__name__.lower().removeprefix("stored")  # a StoredTensor is called a tensor


def _put(dictionary: Any, key: Any, value: Any) -> None:
    """Set an item by a cheap key: with other keys, or with chosen large numbers that collide, it could take forever."""
    if type(key) is not str and not (type(key) is int and 0 <= key < 1 << 31):
        raise WeightsError(f"its pickle has a dictionary with a {kind_of(key)} as a key")
    checked(dict, dictionary)[key] = value


def _known(module: str, name: str) -> Name:
    """Return the name if a state dict needs it."""
    full = f"{module}.{name}"
    if full not in KNOWN:
        raise WeightsError(
            f"it asks for {shown(full)}{NOT_NEEDED}. "
            "The file must be from torch.save(model.state_dict(), ...), with floats of 16, 32 or 64 bits"
        )
    return Name(full)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> StoredTensor:
    """Check that every number of the tensor lies inside its storage."""
    checked(Storage, storage), checked(tuple, shape), checked(tuple, strides)
    numbers = (offset, *shape, *strides)
    if len(shape) != len(strides) or len(shape) > DIMENSIONS:
        raise WeightsError(f"a tensor of {len(shape)} dimensions has {len(strides)} strides")
    if not all(type(number) is int and 0 <= number < 1 << 62 for number in numbers):
        raise WeightsError("a tensor has a shape, a stride or an offset that is negative, too large or not an integer")
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    if 0 not in shape and (last >= storage.length or math.prod(shape) > storage.length):
        raise WeightsError(f"a tensor of shape {shape} does not fit in its storage of {storage.length} numbers")
    return StoredTensor(storage, offset, tuple(shape), tuple(strides))
