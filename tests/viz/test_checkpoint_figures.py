"""A checkpoint, looked at from the command line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minicnn import models
from minicnn.data import load_image, load_shapes
from minicnn.training import SavedModel, load_model, save_model
from minicnn.training.evaluation import probabilities
from minicnn.viz import show_confusion, show_features, show_filters, show_saliency

Call = Callable[..., int]


@pytest.fixture(scope="module")
def saved(folder: Path) -> SavedModel:
    return load_model(folder / "a.safetensors")


@pytest.mark.parametrize(
    "what",
    [
        ("filters",),
        ("features", "photo.png", "--maps", "4"),
        ("saliency", "photo.png", "--class", "star"),
        ("confusion", "--data", "shapes", "--limit", "30"),
    ],
    ids=lambda what: what[0],
)
def test_every_picture_is_reachable(
    what: tuple[str, ...],
    folder: Path,
    call: Call,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    out = tmp_path / "picture.png"
    assert call("show", "a.safetensors", *what, "--out", out) == 0
    assert capsys.readouterr().out.strip() == str(out)
    with Image.open(out) as picture:
        assert picture.format == "PNG" and min(picture.size) > 400


def test_ilsvrc_is_reachable(call: Call, tmp_path: Path) -> None:
    assert call("ilsvrc", "--out", tmp_path / "winners.svg") == 0
    assert (tmp_path / "winners.svg").read_text().startswith("<?xml")


def test_mistakes_are_one_line(folder: Path, call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint, photo, out = folder / "a.safetensors", folder / "photo.png", tmp_path / "a.png"
    for arguments, message in (
        (("show", checkpoint, "filters", "--out", tmp_path / "a.gif"), "must end in .png, .svg or .pdf, got"),
        (("show", checkpoint, "filters"), "--out"),
        (("show", tmp_path / "none", "filters", "--out", out), "none"),
        (("show", photo, "filters", "--out", out), "photo.png"),
        (("show", checkpoint, "features", tmp_path / "none.jpg", "--out", out), "none.jpg cannot be read"),
        (("show", checkpoint, "features", photo, "--maps", "1", "--out", out), "at least 1 for each of the 2 towers"),
        (("show", checkpoint, "saliency", photo, "--class", "cat", "--out", out), "one of disc, ring, square"),
        (("show", checkpoint, "confusion", "--data", tmp_path, "--out", out), str(tmp_path)),
        (("ilsvrc", "--out", tmp_path / "a"), "must end in .png, .svg or .pdf, got"),
    ):
        assert call(*arguments) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1 and error.startswith("minicnn: error: "), error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "command",
    ["show CHECKPOINT features PHOTO", "show CHECKPOINT saliency PHOTO", "walk CHECKPOINT PHOTO --class star"]
    + ["show CHECKPOINT confusion --data shapes --limit 20", "predict CHECKPOINT PHOTO"]
    + ["evaluate CHECKPOINT --data shapes --limit 20"],
)
def test_outputs_that_are_not_finite_are_one_line(
    command: str, saved: SavedModel, folder: Path, call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = models.build(saved.network.config)
    for parameter in network.parameters():
        parameter.data *= 1e20
    save_model(tmp_path / "huge.safetensors", network, saved.preparation, saved.classes)
    places = {"CHECKPOINT": str(tmp_path / "huge.safetensors"), "PHOTO": str(folder / "photo.png")}
    out = [] if command.startswith("evaluate") else ["--out", tmp_path / ("a.html" if "walk" in command else "a.png")]
    assert call(*(places.get(word, word) for word in command.split()), *out) == 2
    *summary, error = capsys.readouterr().err.splitlines()
    assert len(summary) == command.startswith("evaluate")  # it begins with what it evaluates on
    assert error.startswith("minicnn: error: ") and "outputs are infinite or NaN: its training has diverged" in error
    assert [path.name for path in tmp_path.iterdir()] == ["huge.safetensors"]


def test_the_titles_say_what_the_network_answers(saved: SavedModel, folder: Path) -> None:
    image = load_image(folder / "photo.png", 32)
    likely = probabilities(saved.network, saved.preparation, image[None])[0]
    best = f"“{saved.classes[likely.argmax()]}”, {100 * likely.max():.0f} %"
    assert show_features(saved, image).get_suptitle() == f"From a picture to scores: {best}"
    assert show_saliency(saved, image).get_suptitle() == f"What speaks for {best}"
    assert show_saliency(saved, image, 3).get_suptitle() == f"What speaks for “triangle”, {100 * likely[3]:.0f} %"


def test_what_is_shown_is_what_the_network_sees(saved: SavedModel, folder: Path) -> None:
    image = load_image(folder / "photo.png", 32)
    seen = image[:, 2:30, 2:30].transpose(1, 2, 0)
    np.testing.assert_array_equal(show_features(saved, image).axes[0].images[0].get_array(), seen)
    np.testing.assert_array_equal(show_saliency(saved, image).axes[0].images[0].get_array(), seen)
    assert len(show_filters(saved).axes) == 2  # towers


def test_the_confusion_counts_every_picture_once(saved: SavedModel) -> None:
    shapes = load_shapes(train=1, test=140)  # more than a batch
    answers = probabilities(saved.network, saved.preparation, shapes.test_images).argmax(axis=1)
    (axes,) = show_confusion(saved, shapes.test_images, shapes.test_labels).axes
    right = int((answers == shapes.test_labels).sum())
    assert axes.get_title("left") == f"{right} of 140 images right; each row is 100 %"
    shares = np.asarray(axes.images[0].get_array())
    assert shares[0, 1] == pytest.approx((answers[shapes.test_labels == 0] == 1).mean())
