"""The walk page, alive: draw, drop an image or use the camera, and the network computes in the page as you do.

The page has the network as an ONNX graph that returns every layer's output, and runs it with ONNX Runtime Web
(:mod:`minicnn.viz.onnx_runtime`), a script beside it. What changes are the numbers behind the cards and the unit; the
page itself is the walk page, :func:`minicnn.viz.walk_page.page`.
"""

from __future__ import annotations

import base64
import html
import string
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minicnn.autograd import Tensor
from minicnn.backend import asnumpy
from minicnn.data.sketches import pen
from minicnn.data.transforms import center_crop
from minicnn.tracing import Trace, trace
from minicnn.training.checkpoint import SavedModel
from minicnn.training.evaluation import probabilities
from minicnn.training.import_export import onnx_bytes
from minicnn.viz.onnx_runtime import SCRIPT
from minicnn.viz.saliency import gradient_saliency
from minicnn.viz.stepping import NAMES
from minicnn.viz.walk_page import Addition, page

__all__ = ["live_html", "reference_drawing"]

HERE = Path(__file__).parent
INK, GROUND, PEN = (235, 235, 235), (28, 28, 28), 0.07  # grey levels of the pad, and the pen's width as a share of it
STAR = [(0.27, 0.84), (0.5, 0.16), (0.73, 0.84), (0.14, 0.42), (0.86, 0.42), (0.27, 0.84)]

HINT = """Draw on the dark square, drop an image on the page, or switch the camera on. The network computes in your
browser; nothing is sent. Step through its operations with the buttons, the arrow keys, or a click on a box, and click
into a map to look at one of its units: all that you see changes as you draw."""


def reference_drawing(size: int) -> NDArray[np.uint8]:
    """Return the drawing that a page begins with if no other image is given: a star, (3, size, size)."""
    covered = pen([np.array(STAR) * size], PEN * size, size)
    levels = GROUND[0] + (INK[0] - GROUND[0]) * covered
    return np.repeat(np.rint(levels).astype(np.uint8)[None], 3, axis=0)


def live_html(saved: SavedModel, image: NDArray[np.uint8] | None = None, script: str = SCRIPT) -> str:
    """Return the page, for a folder that has the script of :func:`minicnn.viz.onnx_runtime.runtime_script`.

    Parameters
    ----------
    saved : SavedModel
        The content of a checkpoint.
    image : ndarray of uint8, (3, size, size), optional
        The reference image, as :func:`minicnn.data.load_image` reads it at the preparation's size. The page begins
        with minicnn's own maps and scores of it, and says how far its own are from them. By default a drawn star.
    script : str
        The address of the script, from the page.

    Returns
    -------
    str
        HTML.

    Raises
    ------
    ExportError
        If the package onnx is not installed, or ONNX cannot express a layer.
    ValueError
        If a layer consists of several operations: the graph returns only what leaves a layer.
    """
    prepared = saved.preparation
    image = reference_drawing(prepared.size) if image is None else image
    likely = probabilities(saved.network, prepared, image[None])[0]  # an error if they are not finite
    model = onnx_bytes(saved, layers=True)
    training = saved.network.training
    saved.network.eval()
    try:
        with trace() as recorded:
            saved.network(Tensor(prepared.prepare(image[None])))
    finally:
        saved.network.train(training)
    seen = np.ascontiguousarray(center_crop(image[None], size=prepared.crop)[0].transpose(1, 2, 0))
    live = {
        "size": prepared.crop,
        "part": prepared.crop / prepared.size,
        "classes": saved.classes,
        "ink": INK,
        "ground": GROUND,
        "pen": PEN,
        "pixels": _base64(seen),
        "layers": _layers(recorded),
        "saliency": _base64(gradient_saliency(saved.network, prepared.prepare(image[None])[0], int(likely.argmax()))),
        "runtime": script,
    }
    name = NAMES.get(saved.network.config["model"], saved.network.config["model"])
    values = {"side": prepared.crop, "answer": _rows(likely, saved.classes)}
    more = Addition(
        hint=HINT,
        above=string.Template(_file("live_page.html")).substitute(values),
        below=f'<script type="text/plain" id="model">{base64.b64encode(model).decode()}</script>\n'
        f'<script src="{html.escape(script)}"></script>\n<script>{_file("live_page.js")}</script>',
        style=_file("live_page.css"),
        data={"live": live},
    )
    return page(recorded, seen, title=f"Draw, and {name} answers", more=more)


def _layers(recorded: Trace) -> dict[int, dict[str, Any]]:
    """Return for each operation its output's name in the graph, minicnn's own numbers, and what it reads."""
    found: dict[int, dict[str, Any]] = {}
    for record in recorded.records:
        if record.layer in {other["name"] for other in found.values()}:
            raise ValueError(f"live_html: {record.layer} must be one operation, got several")
        source = record.sources[0]
        found[record.position] = {
            "name": record.layer,
            "output": f"layer.{record.layer}",
            "own": _base64(np.ascontiguousarray(asnumpy(record.output)[0], "<f4")),
            "source": "input" if source is None else source.position,
        }
    return found


def _rows(likely: NDArray[np.floating[Any]], classes: tuple[str, ...]) -> str:
    """Return the five most likely classes, for the script to write into."""
    return "".join(
        f'<li><span class="bar" style="width:{100 * likely[number]:.2f}%"></span>'
        f"<span>{html.escape(classes[number])}</span><b>{100 * likely[number]:.1f} %</b></li>"
        for number in np.argsort(-likely, kind="stable")[:5]
    )


def _base64(array: NDArray[Any]) -> str:
    return base64.b64encode(array.tobytes()).decode()


def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
