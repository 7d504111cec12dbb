"""Pickles that mean harm, or that no state dict contains: nothing in them is run, hangs or fills the memory."""

import pickle
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from handmade_pickles import (
    SIX,
    Format,
    Reader,
    call,
    dictionary,
    integer,
    integers,
    legacy_file,
    name,
    program,
    storage,
    tensor,
    text,
    tuple_of,
    zip_file,
)

from minicnn.models import torch_files
from minicnn.models.torch_files import WeightsError, read_state_dict

ROOT = Path(__file__).parents[2]


def test_the_canary_dies_of_pythons_own_unpickler(tmp_path: Path) -> None:
    """Otherwise the tests below would prove nothing."""
    pickle.loads(program(call(name("os", "system"), text(f"echo > {tmp_path / 'dead'}"))))
    assert (tmp_path / "dead").exists()


FUNCTIONS = [
    ("os", "system"),
    ("posix", "system"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("builtins", "getattr"),
    ("builtins", "__import__"),
    ("__builtin__", "eval"),
    ("subprocess", "Popen"),
    ("importlib", "import_module"),
    ("torch", "load"),
    ("torch.serialization", "load"),
    ("torch._utils", "_rebuild_tensor"),
    ("numpy", "load"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("minicnn.models.torch_files", "os.system"),
    ("collections", "OrderedDict.__init_subclass__"),
    ("collections", "defaultdict"),
    ("torch", "FloatStorage.__class__"),
    ("torch", "ComplexFloatStorage"),
]


@pytest.mark.parametrize(("module", "function"), FUNCTIONS, ids=lambda part: part)
def test_any_other_function_is_refused_by_name(module: str, function: str, read: Reader, canary: Path) -> None:
    command = text(f"echo > {canary}" if "system" in function else f"open({str(canary)!r}, 'w')")
    asked = [
        call(name(module, function), command),
        text(module) + text(function) + b"\x93" + tuple_of(command) + b"R",  # STACK_GLOBAL
        dictionary(a=call(name(module, function), command)),
        dictionary(a=tensor(), b=name(module, function)),  # named, not even called
    ]
    for body in asked:
        with pytest.raises(WeightsError, match=f"weights.pth: it asks for {module}.{function}, .*nothing was run"):
            read(body)
    if " " not in module:
        with pytest.raises(WeightsError, match=f"INST {module} {function}, .*nothing was run"):
            read(b"(" + command + f"i{module}\n{function}\n".encode())


def test_getattr_chains_end_at_their_first_link(read: Reader, canary: Path) -> None:
    module = call(name("builtins", "__import__"), text("os"))
    system = call(name("builtins", "getattr"), module, text("system"))
    with pytest.raises(WeightsError, match="it asks for builtins.getattr"):
        read(call(system, text(f"echo > {canary}")))
    # names that are allowed have no attributes to get hold of, dotted or not
    for attribute in ("OrderedDict.__init__.__globals__", "OrderedDict.__reduce__"):
        with pytest.raises(WeightsError, match="it asks for collections"):
            read(text("collections") + text(attribute) + b"\x93" + b")R")


def test_harm_in_any_of_the_pickles_of_a_legacy_file(tmp_path: Path, canary: Path) -> None:
    harm = program(call(name("os", "system"), text(f"echo > {canary}")))
    good = [pickle.dumps(torch_files.LEGACY_MAGIC, 2), pickle.dumps(1001, 2), pickle.dumps({}, 2)]
    good += [program(dictionary(a=tensor())), pickle.dumps(["0"], 2)]
    path = tmp_path / "weights.pth"
    for position in range(len(good)):
        path.write_bytes(b"".join([*good[:position], harm, *good[position + 1 :]]) + struct.pack("<q", 6) + bytes(24))
        with pytest.raises(WeightsError, match="it asks for os.system"):
            read_state_dict(path)
    path.write_bytes(b"".join(good) + struct.pack("<q", 6) + bytes(24))
    assert list(read_state_dict(path)) == ["a"]


ORDERED = name("collections", "OrderedDict")
REBUILD = name("torch._utils", "_rebuild_tensor_v2")

WRONG = {
    # attributes for what is allowed to be named
    "BUILD on a class": (ORDERED + dictionary(__init__=text("x")) + b"b", "name instead of a dict"),
    "BUILD on a function": (
        REBUILD + tuple_of(b"N", dictionary(__code__=text("x"))) + b"b",
        "name instead of a dict",
    ),
    "BUILD on a tensor": (dictionary(a=tensor() + tuple_of(b"N", dictionary(shape=text("x"))) + b"b"), "has a tensor"),
    "BUILD on a storage": (storage() + dictionary(dtype=text("O")) + b"b", "has a storage instead of a dict"),
    # calls of what is not there to be called
    "a call of a class of numbers": (call(name("torch", "FloatStorage"), integer(9)), "calls torch.FloatStorage"),
    "a call of a string": (text("os.system") + tuple_of(text("x")) + b"R", "has a str instead of a name"),
    "arguments that are no tuple": (ORDERED + integer(1) + b"R", "has a int instead of a tuple"),
    "a new object": (ORDERED + b")\x81", "instruction NEWOBJ"),
    "a new object with keywords": (ORDERED + b")}\x92", "instruction NEWOBJ_EX"),
    "an object of the stack": (b"(" + ORDERED + b"o", "instruction OBJ"),
    "a registered extension": (b"\x82\x01", "instruction EXT1"),
    "a set": (b"\x8f", "instruction EMPTY_SET"),
    "a buffer from outside": (b"\x97", "instruction NEXT_BUFFER"),
    "a size of a tensor": (call(name("torch", "Size"), tensor()), "has a tensor instead of a"),
    "a parameter of anything": (
        call(name("torch._utils", "_rebuild_parameter"), text("x")),
        "has a str instead of a tensor",
    ),
    # tensors and storages that lie
    "an offset beyond the end": (tensor(offset=1), "does not fit in its storage of 6"),
    "a shape beyond the end": (tensor((3, 3), (3, 1)), "does not fit in its storage of 6"),
    "a stride beyond the end": (tensor((2, 1), (6, 1)), "does not fit in its storage of 6"),
    "numbers read again and again": (tensor((1000, 1000), (0, 0)), "does not fit in its storage of 6"),
    "a negative offset": (tensor((1,), (1,), offset=-1), "is negative, too large or not"),
    "a negative stride": (tensor((2, 3), (-3, 1), offset=3), "is negative, too large or not"),
    "a negative length": (tensor((-2, 3), (3, 1)), "is negative, too large or not"),
    "a length beyond all numbers": (tensor((0, 1 << 70), (1, 1)), "is negative, too large or not"),
    "lengths that fit together": (tensor((1 << 31, 1 << 31, 1 << 31), (0, 0, 0)), "does not fit"),
    "dimensions without end": (tensor((1,) * 100, (1,) * 100), "100 dimensions"),
    "strides for other dimensions": (tensor((2, 3), (1,)), "2 dimensions has 1 strides"),
    "a text as a shape": (call(REBUILD, storage(), integer(0), text("ab"), text("ab")), "has a str instead of a tuple"),
    "a True as a length": (
        call(REBUILD, storage(), integer(0), b"\x88\x85", integers((1,))),
        "too large or not an integer",
    ),
    "a tensor without a storage": (call(REBUILD, b"N", integer(0), integers((1,)), integers((1,))), "has a nonetype"),
    "a storage larger than the file": (tensor(held_in=storage(count=1 << 40)), "more numbers than the file"),
    "a storage of negative size": (tensor(held_in=storage(count=-6)), "more numbers than the file"),
    "a storage that has other numbers": (dictionary(a=tensor(held_in=storage(count=7))), "storage 0 "),
    "a storage that is not there": (
        dictionary(a=tensor(held_in=storage(key="../0"))),
        r"\.\./0|storage 0 belongs to no tensor",
    ),
    "a storage of two kinds": (tensor() + tensor(held_in=storage(kind="LongStorage")), "described in two ways"),
    "something else outside": (tuple_of(text("module"), *[b"N"] * 4) + b"Q", "not a storage"),
    "an old view of a storage": (
        tuple_of(text("storage"), name("torch", "FloatStorage"), text("0"), text("cpu"), integer(6), b")") + b"Q",
        "before 0.4",
    ),
    # time, memory and stack
    "tuples inside tuples as a key": (b"}" + b")" + b"\x85" * 200_000 + b"Ns", "a tuple as a key"),
    "tuples that double as a key": (b"}" + b")" + b"q\x00h\x00\x86" * 60 + b"Ns", "a tuple as a key"),
    "tuples that double as a shape": (
        call(REBUILD, storage(), integer(0), b")" + b"q\x00h\x00\x86" * 60, integers((1, 1))),
        "too large or not an integer",
    ),
    "dictionaries that double": (b"}" + b"q\x00}(X\x01\0\0\0ah\x00X\x01\0\0\0bh\x00u" * 60, "is a dict"),
    "numbers chosen to collide as keys": (b"}(" + integer((1 << 61) - 1) + b"Nu", "a int as a key"),
    "a dictionary in itself": (b"}q\x00X\x0a\0\0\0state_dicth\x00s", "named tensors, and state_dict is a dict"),
    "instructions without end": (b"N" * 1_100_000, "more than 1,000,000 instructions"),
    "a text that claims to be large": (b"\x8d" + struct.pack("<Q", 1 << 50) + b"ab", "truncated or corrupt"),
    # no state dict
    "nothing in it": (b"}", "it must hold a state dict of named tensors, and holds a dict"),
    "a list": (b"]", "and holds a list"),
    "a number among the tensors": (
        dictionary(a=tensor(), b=integer(1)),
        "must be named tensors, and b is a int",
    ),
    "an empty stack": (b"", "truncated or corrupt"),
    "a mark that is missing": (b"t", "truncated or corrupt"),
    "a memory that was never written": (b"h\x07", "truncated or corrupt"),
    "a letter that means nothing": (b"\xff", "truncated or corrupt"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_no_state_dict_holds_is_refused(case: str, read: Reader) -> None:
    body, message = WRONG[case]
    with pytest.raises(WeightsError, match=message) as caught:
        read(body)
    assert "weights.pth" in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_memory_of_four_billion_places_takes_no_memory(read: Reader) -> None:
    """Python's own unpickler makes a table of that length: 32 GB for these six bytes."""
    assert list(read(dictionary(a=tensor() + b"r\xff\xff\xff\xff"))) == ["a"]


def test_what_is_printed_cannot_talk_to_the_terminal(read: Reader) -> None:
    with pytest.raises(WeightsError) as caught:
        read(text("os\x1b[2J") + text("x" * 5000) + b"\x93")
    assert "\x1b" not in str(caught.value) and len(str(caught.value)) < 400


def test_truncated_anywhere_and_every_byte_changed(tmp_path: Path, file_of: Format, canary: Path) -> None:
    body = dictionary(a=tensor(), b=tensor((3, 2), (1, 3)))
    whole = file_of(body, {"0": SIX.tobytes()})
    path = tmp_path / "weights.pth"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError, match=r"weights\.pth: "):
            read_state_dict(path)
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 0x55
        path.write_bytes(changed)
        try:
            found = read_state_dict(path)
        except WeightsError:
            continue  # and no other error
        assert all(isinstance(array, np.ndarray) and array.size <= 6 for array in found.values())


def test_random_bytes(tmp_path: Path, rng: np.random.Generator, canary: Path) -> None:
    path = tmp_path / "weights.pth"
    beginnings = [
        b"",
        b"PK\x03\x04",
        b"\x80\x02",
        zip_file(b"}", {})[:30],
        legacy_file(b"}", {})[:-20],
        b"\x10" + bytes(7) + b"{",
    ]
    for number in range(600):
        path.write_bytes(beginnings[number % len(beginnings)] + rng.bytes(int(rng.integers(0, 200))))
        with pytest.raises(WeightsError, match=r"weights\.pth: "):
            read_state_dict(path)


def test_nothing_is_imported(tmp_path: Path) -> None:
    """Python's machine imports a module before anybody looks at what is wanted of it."""
    path = tmp_path / "weights.pth"
    path.write_bytes(zip_file(call(name("antigravity", "geohash")), {}))
    script = f"""
import sys
from minicnn.models.torch_files import WeightsError, read_state_dict
try:
    read_state_dict({str(path)!r})
except WeightsError as error:
    print("antigravity.geohash" in str(error), "antigravity" in sys.modules, "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split() == ["True", "False", "False"]
