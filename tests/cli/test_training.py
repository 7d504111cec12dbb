import json
import os
import shutil
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
    line = "train alexnet --data folder --variant merged --activation tanh --norm none --dropout 0.2 --no-overlapping"
    line += " --groups 1 --in-size 200 --num-classes 30 --inputs raw --no-augment --no-colour --padding 2"
    line += " --validation 0.2 --limit 50 --batch-size 16 --lr 0.1 --momentum 0.8 --weight-decay 0.1 --sgd pytorch"
    line += " --recipe paper --schedule epochs --lr-drops 30,60 --patience 4 --seed 7 --epochs 3"
    line += " --out there --resume --data-dir here"
    line += " --accept-changed-images"
    line += " --weights file --freeze conv1-conv5"
    line += " --skip-bad --cache --workers 0 --threads 1 --checkpoint-minutes 2.5 --keep 5 --device cpu"
    assert call(*line.split()) == 0
    (ordered, named) = given[0]
    assert ordered[:2] == ("alexnet", "folder")
    switches = {"variant": "merged", "activation": "tanh", "norm": "none", "dropout": 0.2, "overlapping": False}
    switches |= {"groups": 1, "in_size": 200, "num_classes": 30, "depth": None, "init": None}
    assert ordered[2] == switches
    settings = {"inputs": "raw", "augment": False, "colour": False, "padding": 2, "validation": 0.2, "limit": 50}
    settings |= {"batch_size": 16, "lr": 0.1, "momentum": 0.8, "weight_decay": 0.1, "sgd": "pytorch", "epochs": 3}
    settings |= {"schedule": "epochs", "lr_drops": [30, 60], "patience": 4, "seed": 7, "weights": "file"}
    settings |= {"freeze": "conv1-conv5", "recipe": "paper"}
    assert ordered[3] == settings
    named.pop("draw")
    expected = {
        "out": Path("there"),
        "resume": True,
        "accept_changed_images": True,
        "data_dir": Path("here"),
        "skip_bad": True,
        "cache": True,
    }
    expected |= {
        "team": None,
        "towers": False,
        "workers": 0,
        "threads": 1,
        "device": "cpu",
        "checkpoint_minutes": 2.5,
        "keep": 5,
    }
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


def test_evaluate_says_that_it_has_seen_the_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    for number in range(12):
        place = tmp_path / "all" / "train" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(place / f"{number}.png")
    shutil.copytree(tmp_path / "all" / "train", tmp_path / "all" / "val")
    shutil.copytree(tmp_path / "all" / "train", tmp_path / "new")
    (tmp_path / "new" / "a" / "0.bmp").touch()
    assert call(*f"train lenet5 --data {tmp_path / 'all'} --epochs 1 --out {tmp_path / 'run'}".split()) == 0
    for data, warning in (("all/train", "was trained on"), ("all", "best epoch was chosen"), ("new", None)):
        capsys.readouterr()
        line = f"evaluate {tmp_path / 'run' / 'best.safetensors'} --data {tmp_path / data} --skip-bad"
        assert call(*line.split(), "--json", str(tmp_path / "found.json")) == 0
        found, printed = json.loads((tmp_path / "found.json").read_text()), capsys.readouterr().err
        assert "Test: 12 images of 2 classes, from 6 (a) to 6 (a)" in printed
        if warning is None:
            assert found["warning"] is None and "this network" not in printed and "best epoch" not in printed
            assert "1 file was left out: 1 *.bmp, not an accepted kind" in printed
            assert found["left_out"] == [
                f"{tmp_path}/new/a/0.bmp is not an image; expected *.jpg, *.jpeg, *.png, *.webp"
            ]
        else:
            assert warning in found["warning"] and found["warning"] in printed and found["left_out"] == []


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


def _usual_signals() -> None:
    """A script's background ignores SIGINT, and nohup SIGHUP."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no terminals to close")
def test_a_closed_terminal_loses_nothing(tmp_path: Path) -> None:
    """The kernel sends SIGHUP, and whatever is printed from then on is an error."""
    import pty

    out = tmp_path / "run"
    line = f"train lenet5 --data shapes --limit 160 --batch-size 4 --threads 1 --epochs 100000 --out {out}"
    child, terminal = pty.fork()
    if child == 0:
        try:
            _usual_signals()
            os.chdir(ROOT)
            os.execv(sys.executable, [sys.executable, "-m", "minicnn", *line.split()])
        finally:
            os._exit(99)
    text, patience = b"", time.monotonic() + 200
    while b"epoch 1/" not in text and time.monotonic() < patience:
        text += os.read(terminal, 1000)
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 129
    assert load_training(max(out.glob("step-*"))).progress["progress"] is not None  # the step was saved
    assert not (out / ".lock").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals to send")
def test_one_bad_image_does_not_cost_the_answers_for_the_others(
    run: Path, pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(pictures[0]).write_bytes(b"no picture")
    out = tmp_path / "out.png"
    given = (str(run), pictures[0], pictures[1], str(tmp_path / "absent.png"), "--out", str(out))
    assert call("predict", *given) == 2
    printed = capsys.readouterr()
    assert printed.out.splitlines()[0] == pictures[1] and len(printed.out.splitlines()) == 6
    assert "shape0.png cannot be read: it is not an image" in printed.err and printed.err.count("\n") == 1
    assert "absent.png cannot be read: No such file" in printed.err
    assert out.read_bytes().startswith(b"\x89PNG")


def test_the_folder_of_a_run_stands_for_its_best_network(
    run: Path, pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("predict", str(run / "best.safetensors"), pictures[0]) == 0
    expected = capsys.readouterr().out
    assert call("predict", str(run), pictures[0]) == 0
    assert capsys.readouterr().out == expected
    out = str(tmp_path / "out.svg")
    assert call("show", str(run), "filters", "--out", out) == 0
    assert call("evaluate", str(run), "--data", "shapes", "--limit", "10") == 0
    capsys.readouterr()
    assert call("predict", str(tmp_path), pictures[0]) == 2
    assert "is a folder without best.safetensors, the best network of a run" in capsys.readouterr().err


def test_large_images_have_a_switch(
    run: Path, pictures: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert call("predict", str(run), pictures[0]) == 2
    assert "more than the 100 that Pillow considers safe; to read it all the same, set --max-pixels" in (
        capsys.readouterr().err
    )
    assert call("predict", str(run), pictures[0], "--max-pixels", "1024") == 0


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names are always Unicode there")
def test_a_name_that_is_no_text_is_printed_with_escapes(
    run: Path, pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = tmp_path / os.fsdecode(b"\x1b[2Jcaf\xe9.png")
    Path(pictures[0]).rename(odd)
    assert call("predict", str(run), str(odd), "--out", str(tmp_path / "out.svg")) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith(r"\x1b[2Jcaf\udce9.png")
    odd.write_bytes(b"no picture")
    assert call("predict", str(run), str(odd)) == 2
    assert r"\x1b[2Jcaf\udce9.png cannot be read" in capsys.readouterr().err
    assert call("walk", str(run), str(odd), "--out", str(tmp_path / "out.html")) == 2
    assert r"\x1b[2Jcaf\udce9.png cannot be read" in capsys.readouterr().err


def test_a_terminal_that_knows_only_ascii_gets_escapes(run: Path, pictures: list[str], tmp_path: Path) -> None:
    apple = tmp_path / "Äpfel.png"
    Path(pictures[0]).rename(apple)
    command = [sys.executable, "-m", "minicnn", "predict", str(run), str(apple)]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\xc4pfel.png" in done.stdout


@pytest.mark.slow
def test_signals_save_and_leave_and_a_killed_process_loses_little(tmp_path: Path) -> None:
    """The whole program, stopped four times in four ways: the end is the same as in one piece."""
    out = tmp_path / "run"
    line = "train lenet5 --data shapes --limit 160 --recipe paper --batch-size 4 --threads 1"
    line += " --checkpoint-minutes 0 --epochs"
    command = [sys.executable, "-m", "minicnn", *line.split()]

    def newest() -> int:
        return max((int(path.name[5:13]) for path in out.glob("step-*.safetensors")), default=-1)

    ways = {signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGKILL: -signal.SIGKILL}
    for number, status in ways.items():
        before = newest()
        with open(tmp_path / "printed", "w+") as printed:
            process = subprocess.Popen(
                [*command, "100000", "--out", str(out), "--resume"],
                stderr=printed,
                stdout=printed,
                cwd=ROOT,
                preexec_fn=_usual_signals,
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
        load_training(max(out.glob("step-*.safetensors")))

    epochs = str(load_training(max(out.glob("step-*"))).progress["epoch"] + 1)
    for arguments in (["--out", str(tmp_path / "whole")], ["--out", str(out), "--resume"]):
        assert call(*command[3:], epochs, *arguments) == 0
    one, two = (load_training(max(folder.glob("step-*"))) for folder in (tmp_path / "whole", out))
    for name, array in one.model.network.state_dict().items():
        np.testing.assert_array_equal(array, two.model.network.state_dict()[name])
    assert one.progress["epoch"] == two.progress["epoch"] == int(epochs) + 1
