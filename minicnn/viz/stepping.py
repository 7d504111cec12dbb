"""Stepping through a network: in a notebook, or on a page made from a checkpoint and an image."""

from __future__ import annotations

import html
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minicnn import functional as F
from minicnn.autograd import Tensor
from minicnn.backend import asnumpy, to_device
from minicnn.data.transforms import center_crop
from minicnn.tracing import Trace, TraceStep, trace, trace_of
from minicnn.training.checkpoint import SavedModel
from minicnn.training.evaluation import probabilities
from minicnn.viz.cards import card, picture_of, shown_channels
from minicnn.viz.unit_view import unit_card
from minicnn.viz.walk_page import boxes, input_image, page

__all__ = ["WalkPage", "step_through", "walk_html"]

NAMES = {
    "alexnet": "AlexNet",
    "alexnet_cifar": "AlexNet for small images",
    "four_layer": "the four-layer network",
    "lenet5": "LeNet-5",
}


class WalkPage:
    """The walk page, displayed in a notebook.

    Parameters
    ----------
    text : str
        The page, as :func:`minicnn.viz.walk_page.page` makes it.
    height : int
        In pixels.
    """

    def __init__(self, text: str, height: int = 900) -> None:
        self.text, self.height = text, height

    def _repr_html_(self) -> str:
        style = f"width:100%;height:{self.height}px;border:1px solid rgba(128,128,128,0.35)"
        return f'<iframe title="A walk through a network" style="{style}" srcdoc="{html.escape(self.text)}"></iframe>'


def step_through(
    loss: Tensor,
    picture: NDArray[np.uint8] | None = None,
    classes: Sequence[str] = (),
    title: str = "",
    widgets: bool | None = None,
) -> Any:
    """Show in a notebook, one operation at a time, how a loss is computed and how its gradient flows back.

    If the backward pass has not run yet, it runs now, and leaves the gradients of ``loss.backward()``.

    Parameters
    ----------
    loss : Tensor
        Computed inside ``with minicnn.trace():``.
    picture, classes, title
        As for :meth:`minicnn.tracing.Trace.save_html`; the last two only for the page.
    widgets : bool, optional
        True for ipywidgets, False for the walk page. By default widgets if ipywidgets is installed and a kernel is
        running. The page also works without a kernel.

    Returns
    -------
    ipywidgets.VBox or WalkPage
        To be the last line of a cell.

    Raises
    ------
    ValueError
        If `loss` was not computed inside a trace.
    ModuleNotFoundError
        If `widgets` is true and ipywidgets is not installed (extra notebooks).

    Examples
    --------
    >>> import minicnn
    >>> x = minicnn.Tensor([[1.0, -2.0]], requires_grad=True)
    >>> with minicnn.trace():
    ...     loss = minicnn.functional.relu(x * 3).sum()
    >>> shown = minicnn.step_through(loss)
    """
    recorded = trace_of(loss)
    if not any(recorded.backward_steps()):
        loss.backward()
    if _kernel_is_running() if widgets is None else widgets:
        return _buttons(recorded, picture)
    return WalkPage(page(recorded, picture, classes, title))


def _kernel_is_running() -> bool:
    shell = sys.modules.get("IPython")
    running = shell.get_ipython() if shell is not None else None
    return getattr(running, "kernel", None) is not None and find_spec("ipywidgets") is not None


def _buttons(recorded: Trace, picture: NDArray[np.uint8] | None) -> Any:
    """Return the row of boxes, the buttons, the card, and the unit that the fields select."""
    import ipywidgets

    steps: list[TraceStep] = [*recorded.forward_steps(), *recorded.backward_steps()]
    last = len(steps) - 1
    first = input_image(recorded.records[0], 0)
    seen = picture / 255 if picture is not None else None if first is None else picture_of(first)
    slider = ipywidgets.IntSlider(min=0, max=last, description="step", layout={"width": "24em"})
    play = ipywidgets.Play(min=0, max=last, interval=1500)
    ipywidgets.jslink((play, "value"), (slider, "value"))
    row, shown, unit = (ipywidgets.HTML() for _ in range(3))
    fields = [ipywidgets.Dropdown(description="map", layout={"width": "14em"})]
    fields += [ipywidgets.BoundedIntText(description=name, layout={"width": "12em"}) for name in ("row", "column")]
    closer = ipywidgets.VBox([ipywidgets.HTML("<b>One unit in detail</b>"), *fields, unit])
    closer.layout.margin = "0 0 0 1.5em"

    changing = False

    def look(_: Any = None) -> None:
        if fields[0].value is not None and not changing:
            unit.value = unit_card(steps[slider.value], seen, *(field.value for field in fields))

    def show(_: Any = None) -> None:
        nonlocal changing
        step = steps[slider.value]
        row.value, shown.value = _row(recorded, step), card(step)
        channels = shown_channels(step.record).tolist()
        closer.layout.display = "" if channels else "none"
        numbers = asnumpy(step.record.grad_output if step.backward else step.record.output)
        changing = True  # the fields change together: update the unit once, afterwards
        fields[0].options = channels
        if channels:
            maps = np.abs(np.nan_to_num(numbers[0, channels]))
            strongest = np.unravel_index(maps.argmax(), maps.shape)
            fields[0].value = channels[strongest[0]]
            for field, at, side in zip(fields[1:], strongest[1:], maps.shape[1:], strict=True):
                field.max, field.value = side - 1, int(at)
        changing = False
        look()

    def button(text: str, by: int) -> Any:
        made = ipywidgets.Button(description=text)
        made.on_click(lambda _: setattr(slider, "value", max(0, min(last, slider.value + by))))
        return made

    slider.observe(show, names="value")
    for field in fields:
        field.observe(look, names="value")
    show()
    controls = ipywidgets.HBox([button("Previous", -1), button("Next", 1), play, slider])
    shown.layout.flex = "1 1 30em"
    below = ipywidgets.Box([shown, closer], layout={"flex_flow": "row wrap", "align_items": "flex-start"})
    return ipywidgets.VBox([row, controls, below])


def _row(recorded: Trace, now: TraceStep) -> str:
    """Return the network as a row of boxes to scale, with that of the step `now` highlighted."""
    towers = max(int(record.hyperparameters.get("groups", 1)) for record in recorded.records)
    parts = []
    for record, drawing in zip(recorded.records, boxes(recorded.records, towers), strict=True):
        lit = ' class="now"' if record is now.record else ""
        step = TraceStep(record)
        parts.append(f"<div{lit}>{drawing}<span>{html.escape(step.layer or step.name)}</span></div>")
    return f'<div class="minicnn-row {"backward" if now.backward else "forward"}">{"".join(parts)}</div>'


def walk_html(saved: SavedModel, image: NDArray[np.uint8], target: int | None = None) -> str:
    """Trace an image through a trained network and its gradient back, and return the walk page.

    Parameters
    ----------
    saved : SavedModel
        The content of a checkpoint.
    image : ndarray of uint8, (3, size, size)
        As :func:`minicnn.data.load_image` reads it at the preparation's size.
    target : int, optional
        The class whose loss is differentiated; by default the most likely one.

    Returns
    -------
    str
        HTML, as :func:`minicnn.viz.walk_page.page` makes it.
    """
    network, prepared = saved.network, saved.preparation.prepare(image[None])
    likely = probabilities(network, saved.preparation, image[None])[0]  # an error if they are not finite
    if target is None:
        target = int(likely.argmax())
    training, gradients = network.training, [parameter.grad for parameter in network.parameters()]
    network.eval()
    try:
        with trace() as recorded:
            scores = network(Tensor(to_device(prepared, network.device)))
            loss = F.cross_entropy(scores, to_device(np.array([target]), scores.device))
        loss.backward()
    finally:
        network.train(training)
        for parameter, gradient in zip(network.parameters(), gradients, strict=True):
            parameter.grad = gradient  # of a training step
    seen = center_crop(image[None], size=saved.preparation.crop)[0].transpose(1, 2, 0)
    name = NAMES.get(network.config["model"], network.config["model"])
    return page(recorded, np.ascontiguousarray(seen), saved.classes, f"An image walks through {name}")
