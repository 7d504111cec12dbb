"""The summary of a network: each layer's output shape, parameters, multiply-accumulates and memory, without arrays."""

from __future__ import annotations

import csv
import functools
import html
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minicnn import nn
from minicnn.autograd import Tensor
from minicnn.backend import Array, get_array_module, to_device
from minicnn.grad_mode import no_grad
from minicnn.models import Network, build
from minicnn.nn import LayerInfo

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LayerRow", "Summary", "summary", "summary_of_config"]

Shape = tuple[int, ...]


# --- the result ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LayerRow:
    """One layer of the summary.

    Attributes
    ----------
    name : str
        Its path in the network, such as ``"conv1"``.
    what : str
        The layer in a few words: ``"conv 11x11x3, stride 4"``.
    input_shape, output_shape : tuple of int
        Of a batch: (N, C, H, W) or (N, features).
    tower_shape : tuple of int or None
        Shape of one tower's part of the output; None if nothing is split.
    arithmetic : str
        How the output's shape is computed: ``"(227 - 11)/4 + 1 = 55"``.
    parameters : int
        Weights and biases.
    macs : int
        Multiply-accumulates for one image, without the bias.
    activation_bytes : int
        Size of the output for the batch; 0 if it is a view of the input.
    im2col_bytes : int
        Size of the im2col matrix for the whole batch. It is only ever made in pieces, and the compiled kernels do not
        make it at all.
    warnings : tuple of str
        Such as a stride that does not divide.
    layer : Module
        The layer itself.
    info : LayerInfo
        What it declares for this input; see :meth:`minicnn.nn.Module.output_info`.
    """

    name: str
    what: str
    input_shape: Shape
    output_shape: Shape
    tower_shape: Shape | None
    arithmetic: str
    parameters: int
    macs: int
    activation_bytes: int
    im2col_bytes: int
    warnings: tuple[str, ...]
    layer: nn.Module = field(repr=False, compare=False)
    info: LayerInfo = field(repr=False, compare=False)


@dataclass(frozen=True)
class Summary:
    """The result of :func:`summary`: rows that print as a table, show as one in a notebook, and export to CSV.

    Attributes
    ----------
    rows : tuple of LayerRow
        A row for each layer, in the order in which the layers are called.
    input_shape : tuple of int
        Of the network's input.
    towers : int
        The largest number of groups into which a layer splits its channels.
    parameters : int
        Of the whole network, shared ones counted once.
    title : str
        The network's name.
    """

    rows: tuple[LayerRow, ...]
    input_shape: Shape
    towers: int
    parameters: int
    title: str

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image, without biases."""
        return sum(row.macs for row in self.rows)

    @property
    def activation_bytes(self) -> int:
        """Size of all outputs for the batch; training keeps them for the backward pass."""
        return sum(row.activation_bytes for row in self.rows)

    @property
    def warnings(self) -> tuple[str, ...]:
        """All warnings, with the names of their layers."""
        return tuple(f"{row.name}: {warning}" for row in self.rows for warning in row.warnings)

    def __iter__(self) -> Iterator[LayerRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: int | str) -> LayerRow:
        """Return a row by its position or its layer's name."""
        if isinstance(name, int):
            return self.rows[name]
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"the summary has no layer {name!r}; it has {', '.join(row.name for row in self.rows)}")

    def __str__(self) -> str:
        head, body, foot = self._cells()
        table = [head, *body, foot]
        widths = [max(len(line[column]) for line in table) for column in range(len(head))]
        flush_right = [column in ("parameters", "MACs", "activations", "im2col") for column in head]
        lines = []
        for line in table:
            cells = zip(line, widths, flush_right, strict=True)
            lines.append("  ".join(f"{c:>{w}}" if right else f"{c:<{w}}" for c, w, right in cells).rstrip())
        rule = "-" * max(map(len, lines))
        text = [self._caption(), "", lines[0], rule, *lines[1:-1], rule, lines[-1]]
        if self.warnings:
            text += ["", *(f"warning: {warning}" for warning in self.warnings)]
        return "\n".join(text)

    def _repr_html_(self) -> str:
        head, body, foot = self._cells()

        def line(cells: Sequence[str], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

        rows = "".join(line(cells, "td") for cells in body)
        warnings = "".join(f"<p>warning: {html.escape(warning)}</p>" for warning in self.warnings)
        return (
            f"<table><caption>{html.escape(self._caption())}</caption><thead>{line(head, 'th')}</thead>"
            f"<tbody>{rows}</tbody><tfoot>{line(foot, 'th')}</tfoot></table>{warnings}"
        )

    def to_csv(self) -> str:
        """Return the rows as CSV: shapes as 96x55x55, bytes and counts as plain numbers."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        columns = "layer what input output per_tower arithmetic parameters macs activation_bytes im2col_bytes warnings"
        writer.writerow(columns.split())
        for row in self.rows:
            tower = "" if row.tower_shape is None else _times(row.tower_shape)
            shapes = [_times(row.input_shape), _times(row.output_shape), tower]
            counts = [row.parameters, row.macs, row.activation_bytes, row.im2col_bytes]
            writer.writerow([row.name, row.what, *shapes, row.arithmetic, *counts, "; ".join(row.warnings)])
        return text.getvalue()

    def draw(self) -> Figure:
        """Draw the network as boxes to scale: :func:`minicnn.viz.draw_network`."""
        from minicnn.viz.drawing import Drawn, draw_network

        return draw_network(
            [Drawn(r.name, r.layer, r.input_shape, r.info, r.tower_shape) for r in self.rows], self.title
        )

    def _caption(self) -> str:
        batch = self.input_shape[0]
        images = "one image" if batch == 1 else f"a batch of {batch}"
        towers = f", {self.towers} towers" if self.towers > 1 else ""
        return f"{self.title}: input {_times(self.input_shape)}, {images}{towers}; MACs for one image"

    def _cells(self) -> tuple[list[str], list[list[str]], list[str]]:
        """Return the head, the rows and the foot of the table as text."""
        split = self.towers > 1
        head = ["layer", "what", "output", *(["per tower"] if split else []), "arithmetic"]
        head += ["parameters", "MACs", "activations", "im2col"]
        body = []
        for row in self.rows:
            tower = [_times(row.tower_shape) if row.tower_shape else ""] if split else []
            cells = [row.name, row.what, _times(row.output_shape), *tower, row.arithmetic]
            counts = [f"{count:,}" if count else "" for count in (row.parameters, row.macs)]
            sizes = [_bytes(size) if size else "" for size in (row.activation_bytes, row.im2col_bytes)]
            body.append(cells + counts + sizes)
        largest = max((row.im2col_bytes for row in self.rows), default=0)
        foot = ["total", "", "", *([""] if split else []), "", f"{self.parameters:,}", f"{self.macs:,}"]
        return head, body, [*foot, _bytes(self.activation_bytes), f"max {_bytes(largest)}" if largest else ""]


def _times(shape: Shape) -> str:
    """Write a shape without its batch: 96x55x55."""
    return "x".join(map(str, shape[1:]))


def _bytes(size: int) -> str:
    if size < 1000:
        return f"{size} B"
    thousands = min(3, int(math.log(size, 1000) + 1e-9))
    return f"{size / 1000**thousands:,.1f} {('kB', 'MB', 'GB')[thousands - 1]}"


# --- the summary -----------------------------------------------------------------------------------------------


def summary(model: nn.Module, input_shape: Sequence[int]) -> Summary:
    """Follow a shape through a network: each layer's output, how its shape is computed, and what it costs.

    The network's own ``forward`` runs, but each layer only describes its output:
    :meth:`minicnn.nn.Module.output_info`. So no array is made and nothing is computed; with
    :func:`minicnn.nn.init.skip_arrays` the parameters need not exist either. Functions and operators that `forward`
    calls between its layers are computed on zeros and have no row. A layer that does not describe its output, and has
    no layers inside, is computed on zeros too; a warning says that its MACs are not counted.

    Parameters
    ----------
    model : Module
    input_shape : sequence of int
        Of a batch: (N, C, H, W), or (N, features). Three numbers, (C, H, W), are one image.

    Returns
    -------
    Summary

    Raises
    ------
    ValueError
        If a layer does not accept the shape that reaches it; the message names the layer.

    References
    ----------
    Krizhevsky et al. 2012, section 3.5, whose numbers the summary of AlexNet gives.

    Examples
    --------
    >>> import minicnn
    >>> from minicnn import models, nn
    >>> with nn.init.skip_arrays():
    ...     network = models.alexnet()
    >>> found = minicnn.summary(network, (1, 3, 227, 227))
    >>> found["conv1"].output_shape, found["conv1"].arithmetic
    ((1, 96, 55, 55), '(227 - 11)/4 + 1 = 55')
    >>> found.parameters, found.macs
    (60965224, 724406816)
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"summary: model must be a Module, got a {type(model).__name__}")
    shape = _checked(input_shape)
    dtype = next((parameter.dtype for parameter in model.parameters()), np.dtype(np.float32))
    called: list[_Call] = []
    with _describing(model, called.append), no_grad():
        model(Tensor(_zeros(shape, dtype, model.device)))

    towers = max((call.info.groups or 1 for call in called), default=1)
    units = [number for number, call in enumerate(called) if call.info.box == "units"]
    last = max(units, default=len(called))
    rows: list[LayerRow] = []
    counted: set[nn.Parameter] = set()
    split: Shape | None = None  # shape of one tower's part of the layer before
    for number, (name, layer, input_shape, info) in enumerate(called):
        own = {parameter for parameter in layer.parameters() if parameter not in counted}
        counted |= own
        what = info.what
        if split is not None and info.groups is not None and info.groups < towers:
            what += ", reads both towers" if towers == 2 else f", reads all {towers} towers"
        # the image belongs to no tower, nor do the scores
        begun = split is not None or info.box == "maps"
        split = _one_tower(info.output_shape, towers) if begun and number < last else None
        rows.append(
            LayerRow(
                name=name,
                what=what,
                input_shape=input_shape,
                output_shape=info.output_shape,
                tower_shape=split,
                arithmetic=info.arithmetic,
                parameters=sum(parameter.numel() for parameter in own),
                macs=info.macs,
                activation_bytes=0 if info.is_view else math.prod(info.output_shape) * dtype.itemsize,
                im2col_bytes=info.columns * dtype.itemsize,
                warnings=info.warnings,
                layer=layer,
                info=info,
            )
        )
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Summary(tuple(rows), shape, towers, parameters, _title(model))


def summary_of_config(config: Mapping[str, Any], batch: int = 1) -> Summary:
    """Return the summary of one of our networks without creating its parameters.

    Parameters
    ----------
    config : mapping
        As for :func:`minicnn.models.build`. The input has the size that the network is made for.
    batch : int
        How many images.
    """
    with nn.init.skip_arrays():
        network = build(config)
    side = network.config.get("in_size", 32)
    return summary(network, (batch, network.config.get("in_channels", 3), side, side))


def _checked(input_shape: Sequence[int]) -> Shape:
    lengths = tuple(input_shape)
    if not all(isinstance(length, (int, np.integer)) and not isinstance(length, bool) for length in lengths):
        raise TypeError(f"summary: input_shape must hold integers, got {input_shape!r}")
    if len(lengths) < 2 or min(lengths) < 1:
        raise ValueError(f"summary: input_shape must be such as (1, 3, 227, 227), all at least 1, got {input_shape!r}")
    shape = tuple(int(length) for length in lengths)
    return (1, *shape) if len(shape) == 3 else shape


def _one_tower(shape: Shape, towers: int) -> Shape | None:
    return (shape[0], shape[1] // towers, *shape[2:]) if towers > 1 and shape[1] % towers == 0 else None


def _title(model: nn.Module) -> str:
    if not isinstance(model, Network) or not hasattr(model, "config"):
        return type(model).__name__
    variant = f" ({model.config['variant']})" if "variant" in model.config else ""
    return f"{model.config['model']}{variant}"


class _Call(NamedTuple):
    """A layer that was called, and what it declared."""

    name: str
    layer: nn.Module
    input_shape: Shape
    info: LayerInfo


@contextmanager
def _describing(model: nn.Module, record: Callable[[_Call], object]) -> Iterator[None]:
    """Replace ``forward`` of each layer by one that describes the output, and restore it afterwards."""
    layers = {name: x for name, x in model.named_modules() if _describes_itself(x) or not list(x.children())}
    for name, layer in layers.items():
        vars(layer)["forward"] = functools.partial(_describe, record, name or "model", layer)
    try:
        yield
    finally:
        for layer in layers.values():
            del vars(layer)["forward"]


def _describes_itself(layer: nn.Module) -> bool:
    return type(layer).output_info is not nn.Module.output_info


def _describe(record: Callable[[_Call], object], name: str, layer: nn.Module, *inputs: Any, **named: Any) -> Tensor:
    first = next(iter((*inputs, *named.values())))
    if _describes_itself(layer):
        info = layer.output_info(first.shape)
        output = Tensor(_zeros(info.output_shape, first.dtype, first.device))
    else:
        output = type(layer).forward(layer, *inputs, **named)
        warning = "its class does not define output_info; its MACs are not counted"
        info = LayerInfo(output.shape, type(layer).__name__, warnings=(warning,))
    record(_Call(name, layer, first.shape, info))
    return output


def _zeros(shape: Shape, dtype: Any, device: str) -> Array:
    """Return zeros of that shape in the memory of one number."""
    zero = to_device(np.zeros((), dtype), device)
    return get_array_module(zero).broadcast_to(zero, shape)
