"""Weights of PyTorch: good files in every format, and files that are something else."""

import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from handmade_pickles import (
    SIX,
    Reader,
    call,
    dictionary,
    integer,
    legacy_file,
    name,
    program,
    storage,
    tensor,
    zip_file,
)

from minicnn import models, nn, no_grad
from minicnn.models import torch_files
from minicnn.models.torch_files import WeightsError, read_state_dict, torchvision_alexnet

ROOT = Path(__file__).parents[2]


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


def test_parameters_are_read_as_the_tensors_that_they_hold(read: Reader) -> None:
    """As ``torch.save(dict(model.named_parameters()), ...)`` writes them."""
    parameter = call(name("torch._utils", "_rebuild_parameter"), tensor((3, 2), (1, 3)), b"\x88", dictionary())
    found = read(dictionary(a=parameter, b=tensor()))
    np.testing.assert_array_equal(found["a"], [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(found["b"], [[0, 1, 2], [3, 4, 5]])


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


def safetensors_file(path: Path, kind: str, shape: tuple[int, ...], numbers: bytes) -> Path:
    header = json.dumps({"a": {"dtype": kind, "shape": shape, "data_offsets": [0, len(numbers)]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + numbers)
    return path


def test_floats_of_16_bits_become_float32(tmp_path: Path) -> None:
    # sign, 8 bits of exponent, 7 of mantissa: 1, -2, 3.140625, the smallest subnormal, infinity, 0
    bits = np.array([0x3F80, 0xC000, 0x4049, 0x0001, 0x7F80, 0x0000], "<u2").tobytes()
    found = read_state_dict(safetensors_file(tmp_path / "bf16.safetensors", "BF16", (2, 3), bits))["a"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.array([[1, -2, 3.140625], [2.0**-133, np.inf, 0]], np.float32))
    half = np.array([[0.1, -65504], [2**-24, 1]], "<f2")
    found = read_state_dict(safetensors_file(tmp_path / "fp16.safetensors", "F16", (2, 2), half.tobytes()))["a"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, half.astype(np.float32))


@pytest.mark.parametrize("write", [zip_file, legacy_file])
def test_floats_of_16_bits_in_a_pickle_become_float32(tmp_path: Path, write: Any) -> None:
    numbers = {"0": np.array([0x3F80, 0xC000, 0x4049, 0x0001, 0x7F80, 0x0000], "<u2"), "1": np.arange(6).astype("<f2")}
    brain, half = storage(kind="BFloat16Storage"), storage("1", kind="HalfStorage")
    body = dictionary(a=tensor(held_in=brain), b=tensor((3, 2), (1, 3), held_in=half), c=tensor((2,), (2,), 1, brain))
    raw = {key: array.tobytes() for key, array in numbers.items()}
    content = write(body, raw) if write is zip_file else legacy_file(body, raw, itemsize=2)
    (tmp_path / "weights.pth").write_bytes(content)
    found = read_state_dict(tmp_path / "weights.pth")
    np.testing.assert_array_equal(found["a"], np.array([[1, -2, 3.140625], [2.0**-133, np.inf, 0]], np.float32))
    np.testing.assert_array_equal(found["b"], [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(found["c"], np.array([-2, 2.0**-133], np.float32))
    assert all(array.dtype == np.float32 and not array.flags.writeable for array in found.values())


def test_types_that_numpy_lacks_are_named(tmp_path: Path) -> None:
    path = safetensors_file(tmp_path / "fp8.safetensors", "F8_E4M3", (4,), bytes(4))
    with pytest.raises(WeightsError, match=r"a must be of type BF16, F16, F32, .*, got F8_E4M3"):
        read_state_dict(path)


@pytest.mark.parametrize("holder", ["state_dict", "model_state_dict", "model", "net"])
def test_the_state_dict_may_lie_in_a_training_checkpoint(read: Reader, holder: str) -> None:
    found = read(dictionary(epoch=integer(90), **{holder: dictionary(a=tensor())}, optimizer=dictionary(lr=b"N")))
    assert list(found) == ["a"]


def test_a_tensor_called_model_is_a_tensor(read: Reader) -> None:
    assert list(read(dictionary(model=tensor(), net=tensor()))) == ["model", "net"]


def test_bytes_behind_a_legacy_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    whole = legacy_file(dictionary(a=tensor()), {"0": SIX.tobytes()})
    path.write_bytes(whole)
    read_state_dict(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(WeightsError, match="bytes are left over behind its last storage"):
        read_state_dict(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match=r"weights\.pth: .*not a regular file"):
        read_state_dict(tmp_path / "weights.pth")


# --- files of another kind ------------------------------------------------------------------------------------


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
    with pytest.raises(WeightsError, match="big-endian"):
        read_state_dict(path)


def test_what_is_no_file_of_weights(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="absent.pth: No such file"):
        read_state_dict(tmp_path / "absent.pth")
    with pytest.raises(WeightsError, match="Is a directory"):
        read_state_dict(tmp_path)
    (tmp_path / "a.pth").write_bytes(pickle.dumps({"a": 1}, 2))
    with pytest.raises(WeightsError, match=r"a\.pth: it is a pickle, but not from torch\.save"):
        read_state_dict(tmp_path / "a.pth")
    (tmp_path / "a.pth").write_bytes(b"GIF89a")
    with pytest.raises(WeightsError, match="neither a .pth file"):
        read_state_dict(tmp_path / "a.pth")
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
    with pytest.raises(WeightsError, match="truncated or corrupt"):
        read_state_dict(tmp_path / "a.safetensors")


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
            r"features.0.weight must have shape \(64, 3, 11, 11\), and has \(96, 3, 11, 11\)",
        ),
        (lambda a: a.update({"classifier.6.bias": np.zeros(8, np.float32)}), r"must have shape \(7,\), and has \(8,\)"),
        (
            lambda a: a.update({"classifier.6.weight": np.zeros((0, 4096), np.float32)}),
            r"must have shape \(1, 4096\), and has \(0, 4096\)",
        ),
        (
            lambda a: a.update({"classifier.6.weight": np.float32(3)}),
            r"classifier.6.weight must have shape .*, and has \(\)",
        ),
        (
            lambda a: a.update({"features.0.bias": np.zeros(64, np.int64)}),
            "features.0.bias must hold floats, and holds int64",
        ),
        (lambda a: a.update({"features.0.bias": np.full(64, np.nan)}), "features.0.bias must be finite in float32"),
        (
            lambda a: a.update({"features.0.bias": np.full(64, 1e300)}),
            "features.0.bias must be finite in float32, and is not",
        ),
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
        "brain": base.bfloat16()[:, 1:3],
        "parameter": torch.nn.Parameter(base[1]),
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 3),
    }
    path = tmp_path / "weights.pth"
    torch.save(saved, path, **options)
    found = read_state_dict(path)
    assert list(found) == list(saved)
    for key, value in saved.items():
        expected = (value.detach().float() if value.itemsize == 2 else value.detach()).numpy()
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
