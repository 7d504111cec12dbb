"""Weights of PyTorch: good files in every format, and files that mean harm."""

import io
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from minicnn import models, nn, no_grad
from minicnn.models import torch_files
from minicnn.models.torch_files import WeightsError, read_state_dict, torchvision_alexnet

ROOT = Path(__file__).parents[2]
SIX = np.arange(6, dtype="<f4")


# --- pickles by hand: what each instruction looks like, without PyTorch ------------------------------------------


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


def legacy_file(body: bytes, numbers: dict[str, bytes]) -> bytes:
    head = [pickle.dumps(value, 2) for value in (torch_files.LEGACY_MAGIC, 1001, {"little_endian": True})]
    raw = b"".join(struct.pack("<q", len(raw) // 4) + raw for raw in numbers.values())
    return b"".join(head) + program(body) + pickle.dumps(list(numbers), 2) + raw


Format = Callable[[bytes, dict[str, bytes]], bytes]


@pytest.fixture(params=[zip_file, legacy_file], ids=["zip", "legacy"])
def file_of(request: pytest.FixtureRequest) -> Format:
    return request.param


@pytest.fixture
def read(tmp_path: Path, file_of: Format) -> Callable[[bytes], dict[str, np.ndarray]]:
    """Reads a pickle's body, beside a storage "0" of six numbers, in either format."""

    def reader(body: bytes) -> dict[str, np.ndarray]:
        path = tmp_path / "weights.pth"
        path.write_bytes(file_of(body, {"0": SIX.tobytes()}))
        return read_state_dict(path)

    return reader


Reader = Callable[[bytes], dict[str, np.ndarray]]


# --- good files --------------------------------------------------------------------------------------------------


def test_a_pickle_made_by_hand_is_read(read: Reader) -> None:
    whole, turned = tensor(), tensor((3, 2), (1, 3))
    found = read(
        dictionary(a=whole, b=turned, c=tensor((2,), (2,), offset=3), d=tensor((), ()), e=tensor((0, 4), (4, 1)))
    )
    assert list(found) == ["a", "b", "c", "d", "e"]
    np.testing.assert_array_equal(found["a"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(found["b"], [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(found["c"], [3, 5])
    assert found["d"].shape == () and found["d"] == 0
    assert found["e"].shape == (0, 4)
    assert all(array.dtype == np.float32 and not array.flags.writeable for array in found.values())


def test_the_state_dict_may_lie_deeper_and_carry_the_names_of_wrappers(read: Reader) -> None:
    inner = dictionary(**{"module.features.0.weight": tensor(), "features.module._orig_mod.1.bias": tensor()})
    extras = dictionary(step=integer(3), lr=b"G" + struct.pack(">d", 0.1), betas=b"](G" + bytes(8) + b"\x88e")
    found = read(dictionary(epoch=integer(90), state_dict=inner, optimizer=extras, best=tensor(), nothing=b"N"))
    assert list(found) == ["features.0.weight", "features.1.bias"]


def test_two_names_that_become_one_are_refused(read: Reader) -> None:
    with pytest.raises(WeightsError, match="it holds a twice"):
        read(dictionary(**{"module.a": tensor(), "a": tensor()}))


def test_pickles_of_python_2_are_read(read: Reader) -> None:
    """It wrote an ordered dictionary as a list of lists, and strings of bytes."""
    (weight,) = read(call(name("collections", "OrderedDict"), b"](](U\x01a" + tensor() + b"ee")).values()
    np.testing.assert_array_equal(weight, SIX.reshape(2, 3))


def test_safetensors_are_read(tmp_path: Path) -> None:
    safetensors.numpy.save_file({"module.a": SIX.reshape(2, 3)}, tmp_path / "weights.safetensors")
    (tmp_path / "weights.safetensors").rename(tmp_path / "weights.bin")  # known by its content, too
    np.testing.assert_array_equal(read_state_dict(tmp_path / "weights.bin")["a"], SIX.reshape(2, 3))


# --- files that mean harm ----------------------------------------------------------------------------------------


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A file that hostile pickles try to create; nothing may."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists()


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
    ("torch", "BFloat16Storage"),
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
    "BUILD on a class": (ORDERED + dictionary(__init__=text("x")) + b"b", "has a name where a dict"),
    "BUILD on a function": (REBUILD + tuple_of(b"N", dictionary(__code__=text("x"))) + b"b", "has a name where a dict"),
    "BUILD on a tensor": (dictionary(a=tensor() + tuple_of(b"N", dictionary(shape=text("x"))) + b"b"), "has a tensor"),
    "BUILD on a storage": (storage() + dictionary(dtype=text("O")) + b"b", "has a storage where a dict"),
    # calls of what is not there to be called
    "a call of a class of numbers": (call(name("torch", "FloatStorage"), integer(9)), "calls torch.FloatStorage"),
    "a call of a string": (text("os.system") + tuple_of(text("x")) + b"R", "has a str where a name"),
    "arguments that are no tuple": (ORDERED + integer(1) + b"R", "has a int where a tuple"),
    "a new object": (ORDERED + b")\x81", "instruction NEWOBJ"),
    "a new object with keywords": (ORDERED + b")}\x92", "instruction NEWOBJ_EX"),
    "an object of the stack": (b"(" + ORDERED + b"o", "instruction OBJ"),
    "a registered extension": (b"\x82\x01", "instruction EXT1"),
    "a set": (b"\x8f", "instruction EMPTY_SET"),
    "a buffer from outside": (b"\x97", "instruction NEXT_BUFFER"),
    "a size of a tensor": (call(name("torch", "Size"), tensor()), "has a tensor where a"),
    "a parameter of anything": (
        call(name("torch._utils", "_rebuild_parameter"), text("x")),
        "has a str where a tensor",
    ),
    # tensors and storages that lie
    "an offset beyond the end": (tensor(offset=1), "does not fit in its storage of 6"),
    "a shape beyond the end": (tensor((3, 3), (3, 1)), "does not fit in its storage of 6"),
    "a stride beyond the end": (tensor((2, 1), (6, 1)), "does not fit in its storage of 6"),
    "numbers read again and again": (tensor((1000, 1000), (0, 0)), "does not fit in its storage of 6"),
    "a negative offset": (tensor((1,), (1,), offset=-1), "far too large"),
    "a negative stride": (tensor((2, 3), (-3, 1), offset=3), "far too large"),
    "a negative length": (tensor((-2, 3), (3, 1)), "far too large"),
    "a length beyond all numbers": (tensor((0, 1 << 70), (1, 1)), "far too large"),
    "lengths that fit together": (tensor((1 << 31, 1 << 31, 1 << 31), (0, 0, 0)), "does not fit"),
    "dimensions without end": (tensor((1,) * 100, (1,) * 100), "100 dimensions"),
    "strides for other dimensions": (tensor((2, 3), (1,)), "2 dimensions has 1 strides"),
    "a text as a shape": (call(REBUILD, storage(), integer(0), text("ab"), text("ab")), "has a str where a tuple"),
    "a True as a length": (call(REBUILD, storage(), integer(0), b"\x88\x85", integers((1,))), "no number"),
    "a tensor without a storage": (call(REBUILD, b"N", integer(0), integers((1,)), integers((1,))), "has a nonetype"),
    "a storage larger than the file": (tensor(held_in=storage(count=1 << 40)), "more numbers than the file"),
    "a storage of negative size": (tensor(held_in=storage(count=-6)), "more numbers than the file"),
    "a storage that has other numbers": (dictionary(a=tensor(held_in=storage(count=7))), "storage 0 "),
    "a storage that is not there": (
        dictionary(a=tensor(held_in=storage(key="../0"))),
        r"\.\./0|storage 0 belongs to no tensor",
    ),
    "a storage of two kinds": (tensor() + tensor(held_in=storage(kind="LongStorage")), "described in two ways"),
    "something else outside": (tuple_of(text("module"), *[b"N"] * 4) + b"Q", "no storage"),
    "an old view of a storage": (
        tuple_of(text("storage"), name("torch", "FloatStorage"), text("0"), text("cpu"), integer(6), b")") + b"Q",
        "before 0.4",
    ),
    # time, memory and stack
    "tuples inside tuples as a key": (b"}" + b")" + b"\x85" * 200_000 + b"Ns", "a tuple as a key"),
    "tuples that double as a key": (b"}" + b")" + b"q\x00h\x00\x86" * 60 + b"Ns", "a tuple as a key"),
    "tuples that double as a shape": (
        call(REBUILD, storage(), integer(0), b")" + b"q\x00h\x00\x86" * 60, integers((1, 1))),
        "no number",
    ),
    "dictionaries that double": (b"}" + b"q\x00}(X\x01\0\0\0ah\x00X\x01\0\0\0bh\x00u" * 60, "is a dict"),
    "numbers chosen to collide as keys": (b"}(" + integer((1 << 61) - 1) + b"Nu", "a int as a key"),
    "a dictionary in itself": (b"}q\x00X\x0a\0\0\0state_dicth\x00s", "entry state_dict is a dict"),
    "instructions without end": (b"N" * 1_100_000, "more than 1,000,000 instructions"),
    "a text that claims to be large": (b"\x8d" + struct.pack("<Q", 1 << 50) + b"ab", "truncated or corrupt"),
    # no state dict
    "nothing in it": (b"}", "it holds a dict; expected a state dict"),
    "a list": (b"]", "it holds a list"),
    "a number among the tensors": (dictionary(a=tensor(), b=integer(1)), "entry b is a int"),
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


def test_an_archive_that_unpacks_to_more_than_it_is(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pth"
    path.write_bytes(zip_file(dictionary(a=tensor()), {"0": bytes(24), "1": bytes(50 << 20)}, zipfile.ZIP_DEFLATED))
    assert path.stat().st_size < 100_000
    with pytest.raises(WeightsError, match="data.pkl in it is compressed"):
        read_state_dict(path)
    # the same bytes entered in the directory again and again
    content = bytearray(zip_file(dictionary(a=tensor()), {"0": bytes(1000)}))
    end = content.rindex(b"PK\x05\x06")
    start = struct.unpack("<I", content[end + 16 : end + 20])[0]
    entries = bytes(content[start:end])
    count, size = 2 * 200, len(entries) * 200
    content[end + 8 : end + 16] = struct.pack("<HHI", count, count, size)
    path.write_bytes(content[:start] + entries * 200 + content[end:])
    with pytest.raises(WeightsError, match=r"claims to hold more|data.pkl, or several"):
        read_state_dict(path)


def test_archives_that_torch_did_not_write(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    for names, message in ((["a.txt"], "no data.pkl"), (["a/data.pkl", "b/data.pkl"], "or several")):
        with zipfile.ZipFile(path, "w") as archive:
            for entry in names:
                archive.writestr(entry, program(b"}"))
        with pytest.raises(WeightsError, match=message):
            read_state_dict(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", program(dictionary(a=tensor())))
        archive.writestr("x/byteorder", "big")
    with pytest.raises(WeightsError, match="most significant byte first"):
        read_state_dict(path)


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


def test_what_is_no_file_of_weights(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="absent.pth: No such file"):
        read_state_dict(tmp_path / "absent.pth")
    with pytest.raises(WeightsError, match="Is a directory"):
        read_state_dict(tmp_path)
    (tmp_path / "a.pth").write_bytes(pickle.dumps({"a": 1}, 2))
    with pytest.raises(WeightsError, match=r"a\.pth: it is a pickle, but not one of torch\.save"):
        read_state_dict(tmp_path / "a.pth")
    (tmp_path / "a.pth").write_bytes(b"GIF89a")
    with pytest.raises(WeightsError, match="neither a .pth file"):
        read_state_dict(tmp_path / "a.pth")
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
    with pytest.raises(WeightsError, match="truncated or corrupt"):
        read_state_dict(tmp_path / "a.safetensors")


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


# --- torchvision's AlexNet ---------------------------------------------------------------------------------------


def torchvision_arrays(classes: int = 7) -> dict[str, np.ndarray]:
    """Arrays of the right names and shapes that take next to no memory."""
    with nn.init.skip_arrays():
        network = models.alexnet("torchvision", num_classes=classes)
    return {path: np.broadcast_to(np.float32(0.5), p.shape) for path, p in network.named_parameters()}


def test_the_keys_are_torchvisions() -> None:
    expected = [f"features.{n}.{kind}" for n in (0, 3, 6, 8, 10) for kind in ("weight", "bias")]
    expected += [f"classifier.{n}.{kind}" for n in (1, 4, 6) for kind in ("weight", "bias")]
    assert list(torchvision_arrays()) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("features.3.bias"), "features.3.bias is missing"),
        (lambda a: a.update({"features.1.weight": a["features.0.weight"]}), "features.1.weight is unknown"),
        (
            lambda a: a.update({"features.0.weight": np.zeros((96, 3, 11, 11), np.float32)}),
            r"features.0.weight has shape \(96, 3, 11, 11\) where \(64, 3, 11, 11\) belongs",
        ),
        (lambda a: a.update({"classifier.6.bias": np.zeros(8, np.float32)}), r"has shape \(8,\) where \(7,\) belongs"),
        (
            lambda a: a.update({"classifier.6.weight": np.zeros((0, 4096), np.float32)}),
            r"\(0, 4096\) where \(1, 4096\)",
        ),
        (lambda a: a.update({"classifier.6.weight": np.float32(3)}), r"classifier.6.weight has shape \(\)"),
        (
            lambda a: a.update({"features.0.bias": np.zeros(64, np.int64)}),
            "features.0.bias holds numbers of kind int64",
        ),
        (lambda a: a.update({"features.0.bias": np.full(64, np.nan)}), "features.0.bias holds .* not finite"),
        (lambda a: a.update({"features.0.bias": np.full(64, 1e300)}), "features.0.bias holds .* not finite in 32 bits"),
        (lambda a: a.clear(), "and 12 more"),
    ],
)
def test_other_networks_are_refused_by_key_and_shape(
    change: Callable[[dict[str, np.ndarray]], object], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = torchvision_arrays()
    change(arrays)
    monkeypatch.setattr(torch_files, "read_state_dict", lambda path: arrays)
    with pytest.raises(WeightsError, match=message) as caught:
        torchvision_alexnet("alexnet.pth")
    assert "alexnet.pth" in str(caught.value)


# --- against PyTorch ---------------------------------------------------------------------------------------------


@pytest.mark.torch
@pytest.mark.parametrize("how", ["zip", "legacy", "protocol 3", "protocol 4", "protocol 5", "legacy, protocol 4"])
def test_what_torch_saves_is_read(how: str, tmp_path: Path) -> None:
    import torch

    options: dict[str, Any] = {"_use_new_zipfile_serialization": "legacy" not in how}
    if "protocol" in how:
        options["pickle_protocol"] = int(how[-1])
    base = torch.randn(4, 6)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 2).double())
    saved = {
        **model.state_dict(),
        "turned": base.t(),
        "strided": base[::2, 1::2],
        "other view": base[1:3],  # of the same storage
        "same": base,
        "half": base.half(),
        "parameter": torch.nn.Parameter(base[1]),
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 3),
    }
    path = tmp_path / "weights.pth"
    torch.save(saved, path, **options)
    found = read_state_dict(path)
    assert list(found) == list(saved)
    for key, value in saved.items():
        expected = value.detach().numpy()
        assert found[key].dtype == expected.dtype
        np.testing.assert_array_equal(found[key], expected, err_msg=key)


@pytest.mark.torch
def test_the_checkpoint_of_a_training_script_is_read(tmp_path: Path) -> None:
    import torch

    model = torch.nn.Sequential(torch.nn.DataParallel(torch.nn.Linear(4, 3)), torch.nn.Linear(3, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.randn(5, 4)).sum().backward()
    optimizer.step()
    checkpoint = {"epoch": 90, "arch": "alexnet", "state_dict": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(checkpoint | {"best_acc1": torch.tensor(56.5), "args": None}, tmp_path / "checkpoint.pth.tar")
    found = read_state_dict(tmp_path / "checkpoint.pth.tar")
    assert list(found) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    np.testing.assert_array_equal(found["0.weight"], model[0].module.weight.detach().numpy())


@pytest.mark.torch
def test_a_whole_model_is_refused_by_the_name_of_its_class(tmp_path: Path) -> None:
    import torch

    for new in (True, False):
        torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pth", _use_new_zipfile_serialization=new)
        with pytest.raises(WeightsError, match="it asks for torch.nn.modules.linear.Linear, .*nothing was run"):
            read_state_dict(tmp_path / "model.pth")


@pytest.mark.torch
def test_alexnet_of_torchvision_gives_the_same_logits(tmp_path: Path, rng: np.random.Generator) -> None:
    import torch
    from torch.nn import AdaptiveAvgPool2d, Conv2d, Dropout, Linear, MaxPool2d, ReLU, Sequential

    class AlexNet(torch.nn.Module):
        """What torchvision's has, of the same names."""

        def __init__(self, classes: int) -> None:
            super().__init__()
            self.features = Sequential(
                *[Conv2d(3, 64, 11, stride=4, padding=2), ReLU(), MaxPool2d(3, 2)],
                *[Conv2d(64, 192, 5, padding=2), ReLU(), MaxPool2d(3, 2)],
                *[Conv2d(192, 384, 3, padding=1), ReLU()],
                *[Conv2d(384, 256, 3, padding=1), ReLU()],
                *[Conv2d(256, 256, 3, padding=1), ReLU(), MaxPool2d(3, 2)],
            )
            self.avgpool = AdaptiveAvgPool2d((6, 6))
            self.classifier = Sequential(
                *[Dropout(), Linear(256 * 6 * 6, 4096), ReLU()],
                *[Dropout(), Linear(4096, 4096), ReLU()],
                Linear(4096, classes),
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))

    torch.manual_seed(0)
    theirs = AlexNet(20).eval()
    path = tmp_path / "alexnet.pth"
    torch.save(theirs.state_dict(), path)
    ours = torchvision_alexnet(path)
    path.unlink()  # a quarter of a gigabyte
    assert ours.config == {**models.alexnet("torchvision", num_classes=20).config}
    assert not ours.training
    pictures = rng.standard_normal((2, 3, 224, 224), dtype=np.float32)
    with torch.no_grad(), no_grad():
        expected = theirs(torch.from_numpy(pictures)).numpy()
        found = ours(pictures).data
    assert np.ptp(expected, axis=0).max() > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)
    np.testing.assert_array_equal(found.argsort(axis=1), expected.argsort(axis=1))
