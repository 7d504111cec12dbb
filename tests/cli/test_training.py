import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import cli
from minicnn.data import load_shapes
from minicnn.training import load_model, load_training, trainer

ROOT = Path(__file__).parents[2]


def call(*arguments: str) -> int:
    return cli.main(arguments)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that has learnt the shapes for one short epoch."""
    out = tmp_path_factory.mktemp("cli") / "run"
    line = f"train lenet5 --data shapes --limit 60 --epochs 1 --out {out}"
    with minicnn.use_kernels("numpy"):
        assert call(*line.split()) == 0
    return out


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    images = load_shapes(train=1, test=2).test_images
    for number, image in enumerate(images):
        Image.fromarray(image.transpose(1, 2, 0)).save(tmp_path / f"shape{number}.png")
    return [str(tmp_path / f"shape{number}.png") for number in range(2)]


def test_a_run_draws_its_curves(run: Path) -> None:
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert (run / "log.csv").read_text().startswith("epoch,lr,train_error,")


@pytest.mark.parametrize("command", ["train", "evaluate", "predict"])
def test_there_is_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(command, "--help") == 0
    assert "default" in capsys.readouterr().out or command == "predict"


def test_every_option_reaches_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(trainer, "run", lambda *ordered, **named: given.append((ordered, named)))
    line = "train alexnet --data folder --variant merged --activation tanh --no-lrn --dropout 0.2 --no-overlapping"
    line += " --groups 1 --in-size 200 --num-classes 30 --inputs raw --no-augment --no-colour --padding 2"
    line += " --validation 0.2 --limit 50 --batch-size 16 --lr 0.1 --momentum 0.8 --weight-decay 0.1 --sgd pytorch"
    line += " --schedule epochs --lr-drops 30,60 --patience 4 --seed 7 --epochs 3 --out there --resume --data-dir here"
    line += " --weights file --freeze conv1-conv5"
    line += " --skip-bad --cache --workers 0 --threads 1 --checkpoint-minutes 2.5 --keep 5 --device cpu"
    assert call(*line.split()) == 0
    (ordered, named) = given[0]
    assert ordered[:2] == ("alexnet", "folder")
    switches = {"variant": "merged", "activation": "tanh", "lrn": False, "dropout": 0.2, "overlapping": False}
    switches |= {"groups": 1, "in_size": 200, "num_classes": 30, "depth": None, "init": None}
    assert ordered[2] == switches
    settings = {"inputs": "raw", "augment": False, "colour": False, "padding": 2, "validation": 0.2, "limit": 50}
    settings |= {"batch_size": 16, "lr": 0.1, "momentum": 0.8, "weight_decay": 0.1, "sgd": "pytorch", "epochs": 3}
    settings |= {"schedule": "epochs", "lr_drops": [30, 60], "patience": 4, "seed": 7, "weights": "file"}
    settings |= {"freeze": "conv1-conv5"}
    assert ordered[3] == settings
    named.pop("draw")
    expected = {"out": Path("there"), "resume": True, "data_dir": Path("here"), "skip_bad": True, "cache": True}
    expected |= {"workers": 0, "threads": 1, "device": "cpu", "checkpoint_minutes": 2.5, "keep": 5}
    assert named == expected

    assert call("train") == 0
    ordered, named = given[1]
    assert set(ordered[:2]) | set(ordered[2].values()) | set(ordered[3].values()) == {None}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("train vgg --data shapes", "vgg alexnet-cifar"),
        ("train lenet5", "model and data"),
        ("train lenet5 --data nowhere", "nowhere not there"),
        ("train lenet5 --data shapes --lr 0", "lr above 0"),
        ("train lenet5 --data shapes --weights nowhere --out run", "nowhere cannot be read"),
        ("train lenet5 --data shapes --lr-drops 3;4", "--lr-drops 3;4"),
        ("train lenet5 --data shapes --workers -1", "--workers at least 0"),
        ("train alexnet --data shapes", "224x224 32x32 alexnet-cifar"),
        ("train --resume --out nowhere", "model and data new run"),
        ("evaluate nowhere --data shapes", "nowhere cannot be read"),
        ("evaluate nowhere", "--data"),
        ("predict nowhere", "IMAGE"),
        ("predict nowhere picture.png --out picture.gif", ".png, .svg or .pdf"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    line: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(*line.split()) == 2
    printed = capsys.readouterr()
    errors = [text for text in printed.err.splitlines() if text.startswith("minicnn: error: ")]
    assert printed.out == "" and errors == printed.err.splitlines()[-1:]
    assert all(word in errors[0] for word in words.split())
    assert list(tmp_path.iterdir()) == []


def test_evaluate_prints_and_writes_what_it_measures(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = f"evaluate {run}/best.safetensors --data shapes --limit 60"
    assert call(*line.split(), "--json", str(tmp_path / "found.json")) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    reported = json.loads((run / "result.json").read_text())["test"]
    assert {name: found[name] for name in ("images", "error", "top5_error")} == {
        name: reported[name] for name in ("images", "error", "top5_error")
    }
    assert found["crops"] == 1 and found["loss"] == pytest.approx(reported["loss"], rel=1e-5)
    printed = capsys.readouterr().out
    for part in ("centre crop", f"error {100 * found['error']:.2f} %", "top-5 error", "loss", "images/s"):
        assert part in printed
    assert call(*line.split(), "--ten-crop") == 0
    assert "ten crops" in capsys.readouterr().out
    # a checkpoint to go on from will do as well
    assert call("evaluate", str(max(run.glob("step-*"))), "--data", "shapes", "--limit", "60") == 0


def test_predict_prints_bars_and_draws_them(
    run: Path, pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.png"
    assert call("predict", str(run / "best.safetensors"), *pictures, "--out", str(out)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [lines[0], lines[6]] == pictures and len(lines) == 12
    shares = [float(line.split()[1]) for line in lines[1:6]]
    assert shares == sorted(shares, reverse=True) and 10 < shares[0] <= 100
    saved = load_model(run / "best.safetensors")
    assert {line.split()[0] for line in lines[1:6]} <= set(saved.classes)
    assert [line.count("#") for line in lines[1:6]] == [round(30 * share / 100) for share in shares]
    assert out.read_bytes().startswith(b"\x89PNG")
    assert call("predict", str(run / "best.safetensors"), pictures[0], "--ten-crop") == 0
    Path(pictures[1]).write_bytes(b"no picture")
    assert call("predict", str(run / "best.safetensors"), *pictures) == 2
    assert "shape1.png cannot be read" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals to send")
def test_signals_save_and_leave_and_a_killed_process_loses_little(tmp_path: Path) -> None:
    """The whole program, stopped three times in three ways: the end is the same as in one piece."""
    out = tmp_path / "run"
    line = "train lenet5 --data shapes --limit 160 --batch-size 4 --threads 1 --checkpoint-minutes 0 --epochs"
    command = [sys.executable, "-m", "minicnn", *line.split()]

    def newest() -> int:
        return max((int(path.name[5:13]) for path in out.glob("step-*.safetensors")), default=-1)

    for number, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        before = newest()
        with open(tmp_path / "printed", "w+") as printed:
            process = subprocess.Popen(
                [*command, "100000", "--out", str(out), "--resume"],
                stderr=printed,
                stdout=printed,
                cwd=ROOT,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a script's background ignores it
            )
            patience = time.monotonic() + 200
            while newest() < before + 3 and time.monotonic() < patience and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(number)
            process.wait(100)
            printed.seek(0)
            text = printed.read()
        assert process.returncode == status, text
        assert "Traceback" not in text
        if number != signal.SIGKILL:
            last = text.splitlines()[-1]
            assert last.startswith("minicnn: interrupted. Epoch ") and last.endswith(f"train --out {out} --resume")
        load_training(max(out.glob("step-*")))

    epochs = str(load_training(max(out.glob("step-*"))).progress["epoch"] + 1)
    for arguments in (["--out", str(tmp_path / "whole")], ["--out", str(out), "--resume"]):
        assert call(*command[3:], epochs, *arguments) == 0
    one, two = (load_training(max(folder.glob("step-*"))) for folder in (tmp_path / "whole", out))
    for name, array in one.model.network.state_dict().items():
        np.testing.assert_array_equal(array, two.model.network.state_dict()[name])
    assert one.progress["epoch"] == two.progress["epoch"] == int(epochs) + 1
