"""Pickles and PyTorch's files made by hand, without PyTorch: what each instruction looks like."""

import io
import pickle
import struct
import zipfile
from collections.abc import Callable

import numpy as np

from minicnn.models import torch_files

SIX = np.arange(6, dtype="<f4")


def integer(number: int) -> bytes:
    return b"I%d\n" % number


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def name(module: str, function: str) -> bytes:
    return f"c{module}\n{function}\n".encode()


def tuple_of(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + tuple_of(*arguments) + b"R"


def integers(numbers: tuple[int, ...]) -> bytes:
    return tuple_of(*map(integer, numbers))


def storage(key: str = "0", count: int = 6, kind: str = "FloatStorage") -> bytes:
    return tuple_of(text("storage"), name("torch", kind), text(key), text("cpu"), integer(count)) + b"Q"


def tensor(
    shape: tuple[int, ...] = (2, 3), strides: tuple[int, ...] = (3, 1), offset: int = 0, held_in: bytes = storage()
) -> bytes:
    hooks = call(name("collections", "OrderedDict"))
    arguments = (held_in, integer(offset), integers(shape), integers(strides), b"\x89", hooks)
    return call(name("torch._utils", "_rebuild_tensor_v2"), *arguments)


def dictionary(**values: bytes) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in values.items()) + b"u"


def program(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


def zip_file(body: bytes, numbers: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        archive.writestr("weights/data.pkl", program(body))
        for key, raw in numbers.items():
            archive.writestr(f"weights/data/{key}", raw)
    return content.getvalue()


def legacy_file(body: bytes, numbers: dict[str, bytes], itemsize: int = 4) -> bytes:
    head = [pickle.dumps(value, 2) for value in (torch_files.LEGACY_MAGIC, 1001, {"little_endian": True})]
    raw = b"".join(struct.pack("<q", len(raw) // itemsize) + raw for raw in numbers.values())
    return b"".join(head) + program(body) + pickle.dumps(list(numbers), 2) + raw


Format = Callable[[bytes, dict[str, bytes]], bytes]
Reader = Callable[[bytes], dict[str, np.ndarray]]
