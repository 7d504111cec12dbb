import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from minicnn.viz import Curve, Panel, error_curves, save_figure

ROOT = Path(__file__).parents[2]


def two_panels() -> Figure:
    curves = [Curve("ReLU", [[0.6, 0.4, 0.24, 0.2]], "#0000ff"), Curve("tanh", [[0.8, 0.6, 0.5, 0.4]], "#ff0000", "--")]
    return error_curves([Panel("left", "a note", curves), Panel("right", "a note", curves)], 0.25, "the title")


def test_png_and_svg_are_pictures_and_always_the_same(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "a.svg", "b.svg"):
        save_figure(two_panels(), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 600
        assert len(np.unique(np.asarray(picture).reshape(-1, 4), axis=0)) > 50
    assert ElementTree.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")
    with pytest.raises(ValueError, match="bmpp"):
        save_figure(two_panels(), tmp_path / "a.bmpp")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a.svg", "b.png", "b.svg"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("value", "backend"), [("nonsense", "agg"), ("svg", "svg"), ("module://matplotlib.backends.backend_pdf", "pdf")]
)
@pytest.mark.parametrize("first", ["minicnn.viz.style", "minicnn.experiments.ilsvrc"])
def test_a_nonsense_mplbackend_does_no_harm_and_another_is_obeyed(value: str, backend: str, first: str) -> None:
    program = f"import os, {first}, matplotlib; print(os.environ['MPLBACKEND'], matplotlib.get_backend())"
    environment = {name: text for name, text in os.environ.items() if name != "DISPLAY"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**environment, "MPLBACKEND": value, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == value and done.stdout.split()[1].endswith(backend)
