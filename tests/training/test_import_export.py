"""Checkpoints from the weights of others and for the programs of others, by function and by command."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from minicnn import cli, models, nn, no_grad
from minicnn.data import Preparation
from minicnn.models import torch_files
from minicnn.models.torch_files import WeightsError
from minicnn.training import load_model, save_model
from minicnn.training.evaluation import probabilities
from minicnn.training.import_export import export_onnx, import_torchvision, read_class_names


def call(*arguments: Any) -> int:
    try:
        return cli.main([str(argument) for argument in arguments])
    except SystemExit as leave:
        return int(leave.code or 0)


# --- torchvision's AlexNet ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_file_of_weights_becomes_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At full size, once, through the command line."""
    weights, out, names = tmp_path / "alexnet.safetensors", tmp_path / "out.safetensors", tmp_path / "names.txt"
    theirs = models.alexnet("torchvision", num_classes=3)
    safetensors.numpy.save_file(theirs.state_dict(), weights)
    names.write_text("tench\ngoldfish\ngroßer Hai\n", encoding="utf-8")
    assert call("import-torchvision", weights, "--out", out, "--classes", names) == 0
    assert capsys.readouterr().out.strip() == str(out)
    weights.unlink()
    saved = load_model(out)
    out.unlink()
    assert saved.classes == ("tench", "goldfish", "großer Hai")
    assert saved.network.config == theirs.config
    assert saved.info == {"imported": "alexnet.safetensors"}
    for name, array in theirs.state_dict().items():
        np.testing.assert_array_equal(saved.network.state_dict()[name], array, err_msg=name)
    # torchvision: (pixel / 255 - mean) / deviation, of the middle 224 of 256
    picture = np.random.default_rng(0).integers(0, 256, (1, 3, 256, 256), dtype=np.uint8)
    mean, deviation = (np.array(n).reshape(3, 1, 1) for n in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    expected = ((picture / 255 - mean) / deviation)[:, :, 16:240, 16:240]
    np.testing.assert_allclose(saved.preparation.prepare(picture), expected, atol=1e-5)


@pytest.fixture
def one_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever file is given holds weights that take no memory."""
    with nn.init.skip_arrays():
        network = models.alexnet("torchvision", num_classes=1)
    monkeypatch.setattr(torch_files, "read_state_dict", lambda path: {n: p.data for n, p in network.named_parameters()})


def test_nothing_is_replaced_without_force(tmp_path: Path, one_class: None, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.safetensors"
    out.write_text("precious")
    assert call("import-torchvision", "x.pth", "--out", out) == 2
    assert "exists already; --force replaces it" in capsys.readouterr().err
    assert out.read_text() == "precious"
    assert call("import-torchvision", "x.pth", "--out", out, "--force") == 0
    assert load_model(out).classes == ("0",)
    assert [path.name for path in tmp_path.iterdir()] == ["out.safetensors"]
    out.unlink()


def test_names_must_be_as_many_as_outputs(tmp_path: Path, one_class: None) -> None:
    with pytest.raises(WeightsError, match="x.pth has 1 outputs, but there are 2 names of classes"):
        import_torchvision("x.pth", tmp_path / "out.safetensors", ["a", "b"])
    assert not list(tmp_path.iterdir())


def test_errors_are_one_line_and_leave_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "harm.pth").write_bytes(b"\x80\x02cos\nsystem\n(X\x02\0\0\0lstR.")
    (tmp_path / "names.txt").write_bytes(b"\xff\xfe")
    out = tmp_path / "out"
    for arguments, message in (
        (("harm.pth",), "harm.pth: it asks for os.system, which no state dict needs; nothing was run"),
        (("absent.pth",), "absent.pth: No such file or directory"),
        (("harm.pth", "--classes", tmp_path / "names.txt"), "names.txt: line 1 is not UTF-8"),
        (("harm.pth", "--classes", tmp_path / "none.txt"), "No such file or directory"),
    ):
        assert call("import-torchvision", tmp_path / arguments[0], *arguments[1:], "--out", out) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1 and error.startswith("minicnn: error: ")
    assert not out.exists()


@pytest.mark.parametrize(
    "content",
    ["tench\ngroßer Hai\n".encode(), "tench\r\ngroßer Hai".encode("utf-8-sig"), "tench\ngroßer Hai".encode()],
    ids=["UTF-8", "with a BOM and Windows' line ends", "without the last line end"],
)
def test_names_of_classes_are_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "names.txt").write_bytes(content)
    assert read_class_names(tmp_path / "names.txt") == ["tench", "großer Hai"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "tench\ngroßer Hai".encode("cp1252"),
            r"line 2 is not UTF-8 \(in Windows' encoding, cp1252, it reads 'großer Hai",
        ),
        ("tench\n".encode("utf-16"), r"line 1 is not UTF-8"),
        (b"tench\n\x1b[31mred\n", r"line 2 has control characters: '\\+x1b\[31mred'"),
    ],
)
def test_names_of_classes_in_other_encodings_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(WeightsError, match=rf"names\.txt: {message}"):
        read_class_names(tmp_path / "names.txt")


# --- ONNX --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["mean image", "mean colour"])
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path, rng: np.random.Generator) -> Path:
    mean = rng.uniform(90, 150, (3, 32, 32) if request.param == "mean image" else (3, 1, 1)).astype(np.float32)
    deviation = np.array([50, 60, 70], np.float32).reshape(3, 1, 1)
    classes = ["cat", "dog", "großer Hai"]
    path = tmp_path / "checkpoint.safetensors"
    save_model(path, models.alexnet_cifar(num_classes=3), Preparation(32, 28, mean, deviation), classes)
    return path


def test_the_file_takes_pictures_as_they_are(
    checkpoint: Path, tmp_path: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    out = tmp_path / "network.onnx"
    assert call("export-onnx", checkpoint, "--out", out) == 0
    assert "takes pictures (N, 3, 28, 28) in grey levels of 0 to 255, gives scores" in capsys.readouterr().out
    pictures = rng.integers(0, 256, (4, 3, 32, 32), dtype=np.uint8)
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, {"pictures": pictures[:, :, 2:30, 2:30].astype(np.float32)})
    saved = load_model(checkpoint)
    with no_grad():
        expected = saved.network.eval()(saved.preparation.prepare(pictures)).data
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)
    likely = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(likely, probabilities(saved.network, saved.preparation, pictures), atol=1e-4)
    properties = {entry.key: entry.value for entry in onnx.load(out).metadata_props}
    assert json.loads(properties["classes"]) == ["cat", "dog", "großer Hai"]


def test_a_file_is_not_replaced_without_force(checkpoint: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    out = tmp_path / "network.onnx"
    out.write_text("precious")
    with pytest.raises(FileExistsError, match="network.onnx exists already; --force replaces it"):
        export_onnx(checkpoint, out)
    assert out.read_text() == "precious"
    export_onnx(checkpoint, out, force=True)
    assert out.stat().st_size > 1_000_000


def test_without_onnx_one_line_says_how_to_get_it(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert call("export-onnx", checkpoint, "--out", tmp_path / "network.onnx") == 2
    assert capsys.readouterr().err.strip().endswith("python -m pip install -e '.[onnx]'")
    assert call("export-onnx", tmp_path / "absent", "--out", tmp_path / "network.onnx") == 2
    assert "absent" in capsys.readouterr().err
    assert not (tmp_path / "network.onnx").exists()
