import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from minicnn import Tensor, models, nn, optim
from minicnn.data import Preparation
from minicnn.models import Network
from minicnn.training import CheckpointError, load_model, load_training, save_model, save_training
from minicnn.training.loop import DivergedError

CLASSES = tuple(f"class {number}" for number in range(10))


def preparation(size: int = 32, crop: int = 32) -> Preparation:
    rng = np.random.default_rng(0)
    mean = rng.uniform(0, 255, (3, size, size)).astype(np.float32)
    return Preparation(size, crop, mean, np.array([[[2.0]], [[3.0]], [[4.0]]], np.float32))


def network() -> Network:
    return models.lenet5()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def contents(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    header = json.loads(path.read_bytes()[8 : 8 + struct.unpack("<Q", path.read_bytes()[:8])[0]])
    return safetensors.numpy.load(path.read_bytes()), json.loads(header["__metadata__"]["minicnn"][9:])


def forge(path: Path, arrays: dict[str, Any], settings: dict[str, Any]) -> None:
    """Write a file with whatever is wanted in it, and with right checksums."""
    settings = {**settings, "checksums": {name: zlib.crc32(array.data) for name, array in arrays.items()}}
    text = json.dumps(settings)
    text = f"{zlib.crc32(text.encode()):08x} {text}"
    path.write_bytes(safetensors.numpy.save(arrays, metadata={"minicnn": text}))


# --- what is saved is loaded ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        {"model": "lenet5", "in_size": 28, "activation": "sigmoid"},
        {"model": "four_layer", "num_classes": 3},
        {"model": "alexnet_cifar", "in_size": 12, "groups": 2, "norm": "none", "depth": 3},
        {"model": "alexnet_cifar", "in_size": 12, "norm": "batch"},
        {"model": "alexnet", "variant": "torchvision", "in_size": 63, "num_classes": 2},
    ],
)
def test_a_network_comes_back_as_it_was(path: Path, config: dict[str, Any]) -> None:
    before = models.build(config)
    size = before.config.get("in_size", 32)
    before(np.ones((4, 3, size, size), np.float32))
    classes = [f"ä{number}" for number in range(before.config["num_classes"])]
    save_model(path, before, preparation(64, size), classes, {"note": "ü", "error": 0.1})
    state = np.random.default_rng(3).bit_generator.state
    saved = load_model(path)
    assert np.random.default_rng(3).bit_generator.state == state
    assert saved.network.config == before.config
    assert (saved.classes, saved.info) == (tuple(classes), {"note": "ü", "error": 0.1})
    assert (saved.preparation.size, saved.preparation.crop) == (64, size)
    np.testing.assert_array_equal(saved.preparation.mean, preparation(64).mean)
    np.testing.assert_array_equal(saved.preparation.deviation, preparation(64).deviation)
    images = np.random.default_rng(0).standard_normal((2, 3, size, size), np.float32)
    for name, buffer in saved.network.named_buffers():  # batch normalisation has seen the ones
        np.testing.assert_array_equal(buffer.data, before.state_dict()[name])
    np.testing.assert_array_equal(saved.network.eval()(Tensor(images)).data, before.eval()(Tensor(images)).data)
    (saved.network(Tensor(images)) ** 2).sum().backward()  # it can be trained
    optim.SGD(saved.network.parameters(), lr=0.1).step()


def test_loading_draws_no_random_numbers(path: Path) -> None:
    from minicnn.backend import generator

    save_model(path, network(), preparation(), CLASSES)
    before = generator().bit_generator.state
    load_model(path)
    assert generator().bit_generator.state == before


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_a_training_comes_back_as_it_was(path: Path, kind: str) -> None:
    net = network()
    parameters = list(net.parameters())
    make: Any = {"sgd": lambda p: optim.SGD(p, lr=0.1, momentum=0.9), "adam": lambda p: optim.Adam(p, lr=0.01)}[kind]
    optimizer = make(parameters)
    (net(Tensor(np.ones((1, 3, 32, 32), np.float32))) ** 2).sum().backward()
    optimizer.step()
    save_training(path, net, preparation(), CLASSES, {}, optimizer, {"epoch": 3, "random": {"state": 2**100}})
    saved = load_training(path)
    assert saved.progress == {"epoch": 3, "random": {"state": 2**100}}
    other = make(list(saved.model.network.parameters()))
    other.load_state_dict(saved.optimizer)
    for number, memories in optimizer.state_dict()["state"].items():
        for name, value in memories.items():
            np.testing.assert_array_equal(other.state_dict()["state"][number][name], value)
    assert load_model(path).network.config == net.config  # which is all that evaluate and its like need


def test_a_network_alone_is_no_training(path: Path) -> None:
    save_model(path, network(), preparation(), CLASSES)
    with pytest.raises(
        CheckpointError, match=r"model.safetensors .* holds a network, but not the state of its training"
    ):
        load_training(path)


def test_there_is_a_name_for_each_output(path: Path) -> None:
    with pytest.raises(ValueError, match="classes must hold 10 names, one for each output, got 3"):
        save_model(path, network(), preparation(), CLASSES[:3])
    assert not path.exists()


# --- what cannot be restored is not saved --------------------------------------------------------------------


def test_a_new_last_layer_is_saved_and_loaded(path: Path) -> None:
    net = network()
    net.fc5 = nn.Linear(84, 3)
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    save_training(path, net, preparation(), CLASSES[:3], {}, optimizer, {})
    saved = load_training(path).model
    assert saved.network.config == {**net.config, "num_classes": 3} and saved.classes == CLASSES[:3]
    images = Tensor(np.random.default_rng(0).standard_normal((2, 3, 32, 32), np.float32))
    np.testing.assert_array_equal(saved.network(images).data, net(images).data)


def _another(**layers: nn.Module | None) -> Network:
    net = network()
    for name, layer in layers.items():
        setattr(net, name, layer)
    return net


def _in_float64() -> Network:
    net = network()
    net.fc3.bias.data = net.fc3.bias.data.astype(np.float64)
    return net


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: _another(fc5=nn.Linear(84, 10, bias=False)), "fc5 is .*bias=False"),
        (lambda: _another(fc4=nn.Linear(120, 50), fc5=nn.Linear(50, 10)), "fc4 is Linear.*out_features=50"),
        (lambda: _another(tanh1=nn.ReLU()), r"tanh1 is ReLU\(\), and Tanh\(\) in the config's network"),
        (lambda: _another(more=nn.Linear(10, 10)), "more is Linear.*, and absent"),
        (lambda: _another(conv2=None), "conv2 is absent"),
        (_in_float64, "parameters must be float32, got float64 for fc3.bias"),
        (lambda: nn.Sequential(nn.Linear(2, 10)), "network must be one of minicnn.models, got Sequential"),
        (lambda: Network({"fc": nn.Linear(2, 10)}), "network must be one of minicnn.models, got Network"),
    ],
)
def test_a_network_that_cannot_be_restored_is_refused(path: Path, make: Any, message: str) -> None:
    net = make()
    with pytest.raises((ValueError, TypeError), match=f"^save_model: .*{message}"):
        save_model(path, net, preparation(), CLASSES)
    with pytest.raises((ValueError, TypeError), match=f"^save_model: .*{message}"):
        save_training(path, net, preparation(), CLASSES, {}, optim.SGD(net.parameters(), lr=0.1), {})
    assert not path.exists()


@pytest.mark.parametrize(
    ("config", "crop"),
    [
        ({"model": "lenet5"}, 36),
        ({"model": "four_layer"}, 28),
        ({"model": "alexnet_cifar", "in_size": 16}, 12),
    ],
)
def test_a_crop_that_does_not_fit_the_network_is_neither_saved_nor_loaded(
    path: Path, config: dict[str, Any], crop: int
) -> None:
    network = models.build(config)
    fitting = network.config.get("in_size", 32)
    message = f"the network does not take images of {crop}x{crop}, the crop of its input: "
    with pytest.raises(ValueError, match=message):
        save_model(path, network, preparation(40, crop), CLASSES)
    save_model(path, network, preparation(40, fitting), CLASSES)
    assert load_model(path).preparation.crop == fitting
    arrays, settings = contents(path)
    forge(path, arrays, {**settings, "input": {"size": 40, "crop": crop}})
    with pytest.raises(CheckpointError, match=message):
        load_model(path)


def test_a_size_that_no_image_has_is_refused(path: Path) -> None:
    network = models.alexnet(variant="torchvision", num_classes=10, in_size=63)  # its arrays do not depend on the size
    save_model(path, network, preparation(63, 63), CLASSES)
    arrays, settings = contents(path)
    forge(path, arrays, {**settings, "config": {**settings["config"], "in_size": 10**400}})
    with pytest.raises(CheckpointError, match="in_size must be at most 4096"):
        load_model(path)


def test_classes_are_strings(path: Path) -> None:
    with pytest.raises(TypeError, match="classes must be strings, got 3"):
        save_model(path, network(), preparation(), [3] * 10)  # type: ignore[list-item]
    assert not path.exists()


# --- what is damaged is refused ------------------------------------------------------------------------------


def test_every_truncation_is_noticed(path: Path) -> None:
    save_model(path, network(), preparation(), CLASSES)
    whole = path.read_bytes()
    header = 8 + struct.unpack("<Q", whole[:8])[0]
    lengths = {*range(12), *range(12, header, 41), header - 1, header, header + 1}
    for length in lengths | {len(whole) * tenth // 10 for tenth in range(10)} | {len(whole) - 1}:
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="model.safetensors"):
            load_model(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(CheckpointError):
        load_model(path)


def test_no_flipped_bit_changes_what_is_loaded(path: Path) -> None:
    net = network()
    save_model(path, net, preparation(), CLASSES)
    whole = bytearray(path.read_bytes())
    header = 8 + struct.unpack("<Q", whole[:8])[0]
    rng = np.random.default_rng(0)
    places = [*range(0, header, 3), *rng.integers(header, len(whole), 100)]
    unharmed = 0
    for place in places:
        bit = 1 << int(rng.integers(8))
        whole[place] ^= bit
        path.write_bytes(whole)
        try:
            saved = load_model(path)
        except CheckpointError as error:
            assert "model.safetensors" in str(error)
        else:  # a space became a tab
            unharmed += 1
            assert saved.network.config == net.config and saved.classes == CLASSES
            for name, array in saved.network.state_dict().items():
                np.testing.assert_array_equal(array, net.state_dict()[name])
        whole[place] ^= bit
    assert unharmed < 5


def test_what_is_absent_or_foreign_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="absent"):
        load_model(tmp_path / "absent")
    with pytest.raises(CheckpointError):
        load_model(tmp_path)
    for number, content in enumerate((b"", b"PK\x03\x04" * 10, b"\x80\x02}q\x00." * 10, b"\xff" * 100)):
        path = tmp_path / f"foreign{number}"
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=f"foreign{number} is truncated, corrupt or not a checkpoint"):
            load_model(path)
    path.write_bytes(safetensors.numpy.save({"a": np.ones(2)}))
    with pytest.raises(CheckpointError, match="is not a checkpoint of minicnn"):
        load_model(path)


# --- what is hostile is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"model": "os.system"}},
        {"config": {"model": ["lenet5"]}},
        {"config": "lenet5"},
        {"config": None},
        {"config": {"model": "lenet5", "command": "rm"}},
        {"config": {"model": "lenet5", "num_classes": 10**9}},
        {"config": {"model": "lenet5", "num_classes": 10**40}},
        {"config": {"model": "lenet5", "num_classes": -1}},
        {"config": {"model": "lenet5", "num_classes": 1e400}},
        {"config": {"model": "lenet5", "in_size": 10**12}},
        {"config": {"model": "lenet5", "in_channels": 10**30}},
        {"config": {"model": "alexnet", "in_size": 10**9}},
        {"config": {"model": "four_layer"}},
        {"classes": ["one"]},
        {"classes": 10},
        {"classes": None},
        {"classes": list(range(10))},
        {"classes": "0123456789"},
        {"input": {}},
        {"input": {"size": 32}},
        {"input": {"size": 10**9, "crop": 28}},
        {"input": {"size": 32, "crop": 33}},
        {"input": {"size": 32.0, "crop": 28}},
        {"input": {"size": True, "crop": 1}},
        {"input": [32, 28]},
        {"input": {"size": 32, "crop": 16}},
        {"info": 3},
        {"checksums": 3},
    ],
)
def test_hostile_descriptions_are_refused(path: Path, changes: dict[str, Any]) -> None:
    save_model(path, network(), preparation(), CLASSES)
    arrays, settings = contents(path)
    forge(path, arrays, settings)
    load_model(path)
    if "checksums" in changes:
        text = json.dumps({**settings, **changes})
        text = f"{zlib.crc32(text.encode()):08x} {text}"
        path.write_bytes(safetensors.numpy.save(arrays, metadata={"minicnn": text}))
    else:
        forge(path, arrays, {**settings, **changes})
    with pytest.raises(CheckpointError, match="model.safetensors cannot be used: "):
        load_model(path)
    for name in ("config", "classes", "input", "info"):
        forge(path, arrays, {key: value for key, value in settings.items() if key != name})
        with pytest.raises(CheckpointError, match=f"'{name}' is missing"):
            load_model(path)


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "nonsense", "3", "[]", '{"config": ' * 5_000])
def test_hostile_texts_are_refused(path: Path, text: str) -> None:
    checked = f"{zlib.crc32(text.encode()):08x} {text}"
    path.write_bytes(safetensors.numpy.save({"a": np.ones(2)}, metadata={"minicnn": checked}))
    with pytest.raises(CheckpointError, match="model.safetensors"):
        load_model(path)


def test_arrays_that_do_not_fit_are_refused(path: Path) -> None:
    save_model(path, network(), preparation(), CLASSES)
    arrays, settings = contents(path)
    bias = arrays["model.conv1.bias"]
    cases: list[tuple[dict[str, Any], str]] = [
        ({"model.conv1.bias": None}, r"model.conv1.bias is absent in the file and of shape \(6,\) in the network"),
        ({"model.more": bias}, "model.more is of shape"),
        ({"model.conv1.bias": np.zeros((2, 3), np.float32)}, r"model.conv1.bias is of shape \(2, 3\) in the file"),
        ({"model.conv1.bias": bias.astype(np.float64)}, "model.conv1.bias must be of type F32, got F64"),
        ({"model.conv1.bias": bias.astype(np.int32)}, "model.conv1.bias must be of type F32, got I32"),
        ({"input.mean": None}, "input.mean"),
        (
            {"input.mean": np.zeros((3, 5, 5), np.float32)},
            r"mean must be float32 of shape .* got float32 of \(3, 5, 5\)",
        ),
        ({"input.mean": np.full((3, 1, 1), np.nan, np.float32)}, "mean must be finite"),
        ({"input.deviation": np.zeros((3, 1, 1), np.float32)}, "deviation must be above 0"),
        ({"input.deviation": np.ones((3, 32, 32), np.float32)}, "deviation"),
    ]
    for changes, words in cases:
        changed = {name: array for name, array in {**arrays, **changes}.items() if array is not None}
        forge(path, changed, settings)
        with pytest.raises(CheckpointError, match=words):
            load_model(path)


@pytest.mark.parametrize("classes", [[*CLASSES[:4], 7, *CLASSES[5:]], [*CLASSES[:9], None], [*CLASSES[:9], ["a"]]])
def test_one_class_that_is_no_text_is_refused(path: Path, classes: list[Any]) -> None:
    save_model(path, network(), preparation(), CLASSES)
    arrays, settings = contents(path)
    forge(path, arrays, settings | {"classes": classes})
    with pytest.raises(CheckpointError, match="classes must be 10 names, one for each output of the network"):
        load_model(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_network_that_diverged_is_neither_saved_nor_loaded(path: Path, value: float) -> None:
    net = network()
    save_model(path, net, preparation(), CLASSES)
    before = path.read_bytes()
    net.conv2.weight.data[0, 1, 2, 3] = value
    with pytest.raises(DivergedError, match="model.conv2.weight is infinite or NaN, and is not saved"):
        save_model(path, net, preparation(), CLASSES)
    assert path.read_bytes() == before
    arrays, settings = contents(path)
    arrays["model.conv2.weight"][0, 1, 2, 3] = value
    forge(path, arrays, settings)
    with pytest.raises(CheckpointError, match="model.conv2.weight is infinite or NaN: its training has diverged"):
        load_model(path)


def test_a_momentum_that_diverged_is_not_saved(path: Path) -> None:
    net = network()
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net(Tensor(np.ones((1, 3, 32, 32), np.float32))).sum().backward()
    optimizer.step()
    for slots in optimizer.state.values():
        slots["momentum_buffer"][...] = np.nan
    with pytest.raises(DivergedError, match=r"optimizer.0.momentum_buffer is infinite or NaN"):
        save_training(path, net, preparation(), CLASSES, {}, optimizer, {})


def test_a_file_that_claims_to_be_huge_takes_no_memory(path: Path) -> None:
    """All that it says fits together, and its zeros take no room on the disk: still nothing is allocated."""
    with nn.init.skip_arrays():
        huge = models.lenet5(num_classes=10**8)
    offset, header = 0, {}
    for name, parameter in huge.named_parameters():
        header[f"model.{name}"] = {
            "dtype": "F32",
            "shape": list(parameter.shape),
            "data_offsets": [offset, offset + 4 * parameter.numel()],
        }
        offset += 4 * parameter.numel()
    settings = {"config": huge.config, "classes": ["a"], "input": {"size": 32, "crop": 32}, "info": {}, "checksums": {}}
    text = json.dumps(settings)
    head = {"__metadata__": {"minicnn": f"{zlib.crc32(text.encode()):08x} {text}"}, **header}
    encoded = json.dumps(head).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(encoded)) + encoded)
        file.truncate(8 + len(encoded) + offset)
    assert path.stat().st_size > 30 << 30
    with pytest.raises(CheckpointError, match="it is larger than 8 GiB"):
        load_model(path)


def test_hostile_memories_of_the_optimiser_are_refused(path: Path) -> None:
    net = network()
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    (net(Tensor(np.ones((1, 3, 32, 32), np.float32))) ** 2).sum().backward()
    optimizer.step()
    save_training(path, net, preparation(), CLASSES, {}, optimizer, {})
    arrays, settings = contents(path)
    for name in ("optimizer.x.momentum_buffer", "optimizer.nothing", "optimizer."):
        forge(path, {**arrays, name: np.zeros(2, np.float32)}, settings)
        with pytest.raises(CheckpointError, match="model.safetensors"):
            load_training(path)
    for changes in ({"optimizer": 3}, {"optimizer": {}}, {"progress": 3}, {"optimizer": {"counters": 3}}):
        forge(path, arrays, {**settings, **changes})
        with pytest.raises(CheckpointError, match="model.safetensors"):
            load_training(path)
