"""Checkpoints whose description has a wrong value somewhere: each is one CheckpointError, or makes no difference."""

import copy
import json
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.numpy

import minicnn
from minicnn.data.sources import load_parts
from minicnn.training import CheckpointError, load_model, trainer
from minicnn.training.loop import TrainingError
from tests.training.small_runs import newest, train

COUNTS = {"steps": 1, "images": 16, "wrong": 3, "wrong_top5": 1, "summed_loss": 40.0, "seconds": 1.0}
VALUES: list[Any] = [3, -1, 0.5, 10**30, "text", None, True, [1], {"a": 1}]


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint within the second epoch."""
    folder = tmp_path_factory.mktemp("run")
    with minicnn.use_kernels("numpy"):
        train(folder, checkpoint_minutes=0, keep=20, threads=minicnn.get_num_threads())
    return sorted(folder.glob("step-*.safetensors"))[-2]


def described(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + struct.unpack("<Q", content[:8])[0]])
    settings: dict[str, Any] = json.loads(header["__metadata__"]["minicnn"][9:])
    return settings


def places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there is a value: of a list, only the first is visited."""
    if before:
        yield before
    inner = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*before, key))


@pytest.mark.slow
@pytest.mark.parametrize("part", ["config", "input", "classes", "info", "optimizer", "progress", "checksums"])
def test_every_wrong_value_is_an_error_of_the_checkpoint(
    interrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    settings, arrays = described(interrupted), safetensors.numpy.load(interrupted.read_bytes())
    recipe = settings["progress"]["recipe"]
    parts = load_parts(recipe["data"], recipe["size"], limit=recipe["limit"])

    def load(data: str, size: int, *, data_dir: Any = None, **settings: Any) -> Any:
        assert isinstance(data, str) and (data_dir is None or os.fspath(data_dir))
        return parts

    monkeypatch.setattr(trainer, "load_parts", load)
    monkeypatch.setattr(trainer.Trainer, "train", lambda self: None)
    monkeypatch.setattr(trainer, "report", lambda *run: {})
    monkeypatch.setattr(trainer, "set_num_threads", lambda count: None)
    path = tmp_path / interrupted.name
    refused = 0
    for place in places(settings[part], (part,)):
        for value in VALUES:
            changed: Any = copy.deepcopy(settings)
            inner = changed
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = value
            text = json.dumps(changed)
            text = f"{zlib.crc32(text.encode()):08x} {text}"
            path.write_bytes(safetensors.numpy.save(arrays, metadata={"minicnn": text}))
            for use in (lambda: load_model(path), lambda: trainer.run(None, None, out=tmp_path, resume=True)):
                try:
                    use()
                except CheckpointError as error:
                    assert str(tmp_path) in str(error) and "\n" not in str(error)
                    refused += 1
                except TrainingError as error:  # a run with other settings or images
                    assert "cannot be resumed" in str(error) or "train: " in str(error)
                except Exception as error:
                    raise AssertionError(f"{place} = {value!r}") from error
    assert refused > 0 or part == "info"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(CheckpointError, match=r"pipe\.safetensors cannot be read: .*not a regular file"):
        load_model(tmp_path / "pipe.safetensors")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("data_dir", 7, "data_dir must be a path, got 7"),
        ("colour", [[1, 2, 3]], "colour must be 3 finite components of 3 numbers"),
        ("rows", [{"epoch": 1, "lr": "x"}], "lr must be a number, got 'x'"),
        ("best", {"epoch": 9, "validation_error": 0.5}, "its best epoch is 9, of 1"),
        ("start", {"weights": None}, "start must say what was taken from None"),
        ("progress", {**COUNTS, "epoch": 7}, "it is in epoch 2, and its counts are of epoch 7"),
        ("recipe.crop", 28, "its recipe has images of another size than its preparation"),
        ("recipe.padding", 10**30, "padding must be at most 4,096"),
        ("start", 3, "start must say what was taken from None, got 3"),
        ("rows", 3, "its log must have rows of the same columns"),
    ],
)
def test_what_is_wrong_is_named(interrupted: Path, tmp_path: Path, name: str, value: Any, message: str) -> None:
    settings, arrays = described(interrupted), safetensors.numpy.load(interrupted.read_bytes())
    *above, last = name.split(".")
    place = settings["progress"]
    for key in above:
        place = place[key]
    place[last] = value
    text = json.dumps(settings)
    text = f"{zlib.crc32(text.encode()):08x} {text}"
    (tmp_path / interrupted.name).write_bytes(safetensors.numpy.save(arrays, metadata={"minicnn": text}))
    with pytest.raises(CheckpointError, match=message):
        trainer.run(None, None, out=tmp_path, resume=True)
    assert newest(tmp_path).name == interrupted.name
