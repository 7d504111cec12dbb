"""A dictionary of tensors goes to a file and comes back; anything else is refused in words."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import MinicnnError, Tensor, TensorFileError, nn

STATE: dict[str, Any] = {
    "a": Tensor(np.arange(6, dtype=np.float32).reshape(2, 3).T, requires_grad=True),
    "b.c": np.array([1.5], np.float64),
    "scalar": Tensor(np.float32(3)),
    "counts": Tensor([1, 2]),
    "mask": np.array([True, False]),
    "nothing": Tensor(np.zeros((0, 2), np.float32)),
}


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    minicnn.save(STATE, path)
    found = minicnn.load(str(path))
    assert found.keys() == STATE.keys()
    for name, value in STATE.items():
        expected = value.data if isinstance(value, Tensor) else value
        assert isinstance(found[name], Tensor) and not found[name].requires_grad
        assert (found[name].shape, found[name].dtype) == (expected.shape, expected.dtype)
        np.testing.assert_array_equal(found[name].data, expected)
        assert found[name].data.flags.writeable and found[name].data.flags.owndata
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.safetensors"]


def test_a_network_goes_to_a_file_and_back(tmp_path: Path) -> None:
    model, other = (nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)) for _ in range(2))
    minicnn.save(model.state_dict(), tmp_path / "m")
    other.load_state_dict(minicnn.load(tmp_path / "m"))
    x = Tensor(np.ones((1, 3), np.float32))
    np.testing.assert_array_equal(model(x).data, other(x).data)


def test_devices(gpu: str, tmp_path: Path) -> None:
    minicnn.save({"a": Tensor([1.0, 2.0]).to(gpu)}, tmp_path / "m")
    assert minicnn.load(tmp_path / "m")["a"].device == "cpu"
    there = minicnn.load(tmp_path / "m", map_location=gpu)["a"]
    assert (there.device, there.tolist()) == ("cuda:0", [1, 2])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([Tensor([1.0])], "save: obj must be a dictionary of tensors, such as a state_dict, got list"),
        (nn.Linear(1, 1), "save: obj must be a dictionary of tensors, such as a state_dict, got Linear"),
        ({1: Tensor([1.0])}, "save: obj must have strings for its keys, got 1"),
        ({"epoch": 3}, "save: obj must hold tensors and arrays only, got int for 'epoch'"),
        ({"model": {"a": Tensor([1.0])}}, "save: obj must hold tensors and arrays only, got dict for 'model'"),
        ({"a": np.array(["text"])}, "data must be float32, float64, integers or booleans"),
        ({"a": np.ones(2, np.float16)}, "data must be float32, float64, integers or booleans, got float16"),
    ],
)
def test_nothing_else_is_saved(wrong: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=message):
        minicnn.save(wrong, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minicnn.save({"a": Tensor([1.0])}, tmp_path / "m")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        minicnn.save({"a": Tensor([2.0])}, tmp_path / "m")
    assert minicnn.load(tmp_path / "m")["a"].tolist() == [1]


class Trap:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("ran"),)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", pickle.dumps(Trap()), b"\x10" + 7 * b"\0" + b"{}"])
def test_other_files_are_refused_and_run_nothing(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m").write_bytes(content)
    with pytest.raises(TensorFileError, match="m is truncated, corrupt or not a safetensors file"):
        minicnn.load("m")
    assert not Path("ran").exists()


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m"
    minicnn.save(STATE, path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TensorFileError, match="truncated"):
        minicnn.load(path)


def test_numbers_that_tensors_do_not_have_are_refused(tmp_path: Path) -> None:
    import safetensors.numpy

    (tmp_path / "m").write_bytes(safetensors.numpy.save({"half": np.ones(2, np.float16)}))
    with pytest.raises(TensorFileError, match="m cannot be used: .*float16"):
        minicnn.load(tmp_path / "m")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MinicnnError, match="absent cannot be read: No such file"):
        minicnn.load(tmp_path / "absent")
    with pytest.raises(TensorFileError, match="cannot be read: Is a directory"):
        minicnn.load(tmp_path)
    with pytest.raises(NotImplementedError, match="load: weights_only must be True, got False"):
        minicnn.load(tmp_path, weights_only=False)
