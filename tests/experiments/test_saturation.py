"""The share of saturated tanh units: counted by hand, in a study's files, and in its figure."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from minicnn import Tensor, models
from minicnn.data import Preparation, load_shapes
from minicnn.data.sources import Part
from minicnn.experiments import saturation
from minicnn.experiments.relu_vs_tanh import ReluVsTanh
from minicnn.experiments.results import ResultsFolder, StudyError
from tests.experiments.small_studies import resume, rows, study, summary

pytestmark = pytest.mark.usefixtures("small")


def test_outputs_beyond_the_limit_are_counted_layer_by_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saturation, "IMAGES", 5)
    monkeypatch.setattr(saturation, "BATCH_SIZE", 2)
    data = load_shapes(train=8, test=1)
    preparation = Preparation.fit(data.train_images, 32, "raw")
    network = models.four_layer("tanh")
    for name, factor in (("conv1", 1.0), ("conv2", 20.0), ("conv3", -30.0)):
        dict(network.named_parameters())[f"{name}.weight"].data *= factor
    before = {name: array.copy() for name, array in network.state_dict().items()}

    found = saturation.saturation(network, preparation, Part(data.train_images, data.train_labels))

    x, expected = Tensor(preparation.prepare(data.train_images[:5])), []
    for layer in network:
        x = layer(x)
        if type(layer).__name__ == "Tanh":
            expected.append(float(np.mean(np.abs(x.data) > 0.99)))
    assert list(found) == list(saturation.COLUMNS)
    assert list(found.values()) == pytest.approx(expected) and 0 < min(expected) < max(expected) < 1
    assert network.training
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_relu_does_not_saturate() -> None:
    data = load_shapes(train=4, test=1)
    part = Part(data.train_images, data.train_labels)
    assert saturation.saturation(models.four_layer("relu"), Preparation.fit(part.images, 32), part) == {}


def test_a_study_writes_the_shares_of_tanh_and_leaves_those_of_relu_empty(unbroken: Path) -> None:
    for row in rows(unbroken):
        shares = [row[name] for name in saturation.COLUMNS]
        if row["activation"] == "relu":
            assert shares == ["", "", ""]
        else:  # raw pixels are large, and first weights small: only the first layer is saturated
            assert 0.2 < float(shares[0]) < 0.9 and float(shares[2]) == 0
    found = summary(unbroken)["results"]["raw"]
    last = rows(unbroken)[-1]
    assert found["tanh"]["saturated"] == {"0": [float(last[name]) for name in saturation.COLUMNS]}
    assert "saturated" not in found["relu"]


def test_the_third_panel_has_a_line_for_each_layer(unbroken: Path) -> None:
    settings = summary(unbroken)["settings"]
    columns = list(ReluVsTanh.columns)
    made = ReluVsTanh(ResultsFolder(unbroken, "relu_vs_tanh", columns), settings)
    errors, shares = made.figure(made.results()).axes
    assert errors.get_ylabel() == "training error" and shares.get_ylabel() == ""
    legend = shares.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [f"raw, layer {layer}" for layer in (1, 2, 3)]
    column = [float(row["saturated_1"]) for row in rows(unbroken) if row["activation"] == "tanh"]
    np.testing.assert_allclose(shares.lines[0].get_ydata(), column)
    assert shares.get_title(loc="left").strip() == "Saturated tanh units"


def test_a_study_without_the_measurement_is_not_resumed(unbroken: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(unbroken, old)
    for path in (old / "relu_vs_tanh.csv", *old.glob("states/*/log.csv")):
        path.write_text(path.read_text().replace("saturated_", "other_"))
    before = (old / "relu_vs_tanh.csv").read_bytes()
    with pytest.raises(StudyError, match=r"cannot be resumed: its CSV file does not have saturated_1, saturated_2, .*"):
        resume(old)
    assert (old / "relu_vs_tanh.csv").read_bytes() == before
    study(old, inputs="raw", epochs=1)  # a finished one is moved aside, as ever
    assert len(rows(old / "earlier-1")) == 6
