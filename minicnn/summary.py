"""The summary: what each layer of a network makes of the shape that it is given, before any array exists."""

from __future__ import annotations

import csv
import functools
import html
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn import nn
from minicnn.autograd import Tensor, no_grad
from minicnn.models import Network, build
from minicnn.ops.pool import output_length

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LayerRow", "LayerInfo", "Summary", "layer_info", "summary", "summary_of_config"]

Shape = tuple[int, ...]


# --- what comes out -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LayerRow:
    """One layer of the summary.

    Attributes
    ----------
    name : str
        Its path in the network, such as ``"conv1"``.
    what : str
        What it is: ``"conv 11x11x3, stride 4"``.
    input_shape, output_shape : tuple of int
        Of a batch: (N, C, H, W) or (N, features).
    tower_shape : tuple of int or None
        What of the output belongs to one of the towers; None where nothing is split.
    arithmetic : str
        How the output's shape comes about: ``"(227 - 11)/4 + 1 = 55"``.
    parameters : int
        Weights and biases.
    macs : int
        Multiply-accumulates for one picture, without the bias.
    activation_bytes : int
        What the output takes for the batch; 0 if it is the input under another shape.
    im2col_bytes : int
        What the im2col matrix of the whole batch would take; it is only ever made in pieces, and by the compiled
        kernels not at all.
    warnings : tuple of str
        Such as a stride that does not divide.
    layer : Module
        The layer itself.
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


@dataclass(frozen=True)
class Summary:
    """What :func:`summary` has found: rows, which print as a table, show as one in a notebook, and go into a CSV file.

    Attributes
    ----------
    rows : tuple of LayerRow
        A row for each layer, in the order in which the layers are called.
    input_shape : tuple of int
        What the network was given.
    towers : int
        In how many groups of channels the network is split at most.
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
        """Multiply-accumulates for one picture, without biases."""
        return sum(row.macs for row in self.rows)

    @property
    def activation_bytes(self) -> int:
        """What all outputs take together for the batch; in training they are kept for the backward pass."""
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

        layers = [Drawn(row.name, row.layer, row.input_shape, row.output_shape, row.tower_shape) for row in self.rows]
        return draw_network(layers, self.title)

    def _caption(self) -> str:
        batch = self.input_shape[0]
        pictures = "one picture" if batch == 1 else f"a batch of {batch}"
        towers = f", {self.towers} towers" if self.towers > 1 else ""
        return f"{self.title}: input {_times(self.input_shape)}, {pictures}{towers}; MACs for one picture"

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


# --- a rule for each kind of layer --------------------------------------------------------------------------


@dataclass(frozen=True)
class LayerInfo:
    """What a layer makes of a shape.

    Attributes
    ----------
    output_shape : tuple of int
        With the batch.
    what : str
        The layer in a few words.
    arithmetic : str
        How the shape comes about.
    macs : int
        Multiply-accumulates for one picture.
    columns : int
        Numbers in the im2col matrix of the whole batch.
    is_view : bool
        Whether the output is the input's memory under another shape.
    warnings : tuple of str
        What should be known about it.
    """

    output_shape: Shape
    what: str = ""
    arithmetic: str = ""
    macs: int = 0
    columns: int = 0
    is_view: bool = False
    warnings: tuple[str, ...] = ()


@functools.singledispatch
def layer_info(layer: nn.Module, shape: Shape) -> LayerInfo:
    """Say what a layer makes of a shape, without any array. Each kind of layer has its rule.

    For a layer of your own, register one::

        @minicnn.summary.layer_info.register
        def _(layer: MyLayer, shape: tuple[int, ...]) -> LayerInfo:
            return LayerInfo(output_shape=shape, what="my layer")

    Parameters
    ----------
    layer : Module
    shape : tuple of int
        Of its input, with the batch.

    Raises
    ------
    TypeError
        If the layer has no rule.
    ValueError
        If the layer cannot take the shape.
    """
    kind = type(layer).__name__
    raise TypeError(f"summary: there is no rule for a {kind}; give it one with @minicnn.summary.layer_info.register")


@layer_info.register
def _(layer: nn.Conv2d, shape: Shape) -> LayerInfo:
    N, C, _, _ = _image("conv2d", shape)
    if layer.in_channels != C:
        raise ValueError(f"conv2d: input has {C} channels, the layer takes {layer.in_channels}")
    (OH, OW), arithmetic, warnings = _sides(shape, layer.kernel_size, layer.stride, layer.padding)
    CG, (KH, KW) = layer.in_channels // layer.groups, layer.kernel_size
    what = f"conv {KH}x{KW}x{CG}" + _settings(layer.stride, layer.padding)
    what += f", {layer.groups} groups" if layer.groups > 1 else ""
    return LayerInfo(
        (N, layer.out_channels, OH, OW),
        what,
        arithmetic,
        macs=layer.out_channels * OH * OW * CG * KH * KW,
        columns=N * C * KH * KW * OH * OW,
        warnings=warnings,
    )


@layer_info.register
def _(layer: nn.Linear, shape: Shape) -> LayerInfo:
    if shape[-1] != layer.in_features:
        raise ValueError(f"linear: input has {shape[-1]} features, the layer takes {layer.in_features}")
    output = (*shape[:-1], layer.out_features)
    return LayerInfo(
        output,
        f"fully connected {layer.in_features} to {layer.out_features}",
        macs=math.prod(output[1:]) * layer.in_features,
    )


@layer_info.register(nn.MaxPool2d)
@layer_info.register(nn.AvgPool2d)
def _(layer: nn.MaxPool2d | nn.AvgPool2d, shape: Shape) -> LayerInfo:
    N, C, _, _ = _image("pool", shape)
    sides, arithmetic, warnings = _sides(shape, layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode)
    kind = "max pool" if isinstance(layer, nn.MaxPool2d) else "average pool"
    what = f"{kind} {layer.kernel_size[0]}x{layer.kernel_size[1]}" + _settings(layer.stride, layer.padding)
    return LayerInfo((N, C, *sides), what, arithmetic, warnings=warnings)


@layer_info.register
def _(layer: nn.LocalResponseNorm, shape: Shape) -> LayerInfo:
    if len(shape) < 2:
        raise ValueError(f"local_response_norm: input must have shape (N, C, *), got {shape}")
    return LayerInfo(shape, f"LRN over {layer.size} channels")


@layer_info.register(nn.ReLU)
@layer_info.register(nn.Tanh)
@layer_info.register(nn.Sigmoid)
def _(layer: nn.Module, shape: Shape) -> LayerInfo:
    return LayerInfo(shape, type(layer).__name__)


@layer_info.register
def _(layer: nn.Dropout, shape: Shape) -> LayerInfo:
    return LayerInfo(shape, f"dropout {layer.p:g}", is_view=layer.p == 0)


@layer_info.register
def _(layer: nn.Flatten, shape: Shape) -> LayerInfo:
    output = Tensor(_no_numbers(shape)).flatten(layer.start_dim, layer.end_dim).shape
    joined = [length for length in shape[1:] if length != 1]
    arithmetic = f"{' * '.join(map(str, joined))} = {math.prod(joined)}" if len(output) == 2 < len(shape) else ""
    return LayerInfo(output, "flatten", arithmetic, is_view=True)


@layer_info.register
def _(layer: nn.PadTo, shape: Shape) -> LayerInfo:
    N, C, H, W = _image("pad", shape)
    missing = layer.missing(shape)
    output = (N, C, layer.size, layer.size)
    if not any(missing):
        return LayerInfo(output, "nothing to pad", is_view=True)
    sums = (f"{side} + {more} = {layer.size}" for side, more in zip((H, W), missing, strict=True))
    return LayerInfo(output, "zeros below and to the right", _both(*sums))


def _image(function: str, shape: Shape) -> Shape:
    if len(shape) != 4:
        raise ValueError(f"{function}: input must have shape (N, C, H, W), got {shape}")
    return shape


def _settings(stride: Shape, padding: Shape) -> str:
    """Write stride and padding, where they are not 1 and 0."""
    text = ""
    for name, (height, width), usual in (("stride", stride, 1), ("padding", padding, 0)):
        if (height, width) != (usual, usual):
            text += f", {name} {height if height == width else f'{height}x{width}'}"
    return text


def _both(height: str, width: str) -> str:
    """Write what holds for both sides once."""
    return height if height == width else f"{height}; {width}"


def _sides(
    shape: Shape, kernel: Shape, stride: Shape, padding: Shape, ceil_mode: bool = False
) -> tuple[tuple[int, int], str, tuple[str, ...]]:
    """Return how many windows fit in height and in width, the arithmetic, and warnings."""
    found = [_side(*numbers, ceil_mode) for numbers in zip(shape[2:], kernel, stride, padding, strict=True)]
    (OH, how_high, warning_h), (OW, how_wide, warning_w) = found
    warning = _both(warning_h, warning_w).strip("; ")
    return (OH, OW), _both(how_high, how_wide), (warning,) if warning else ()


def _side(length: int, window: int, stride: int, padding: int, ceil_mode: bool) -> tuple[int, str, str]:
    padded = f"{length} + 2*{padding}" if padding else str(length)
    if window > length + 2 * padding:
        raise ValueError(f"the window of {window} is larger than the input of {padded}")
    count = output_length(length, window, stride, padding, ceil_mode)
    room = length + 2 * padding - window
    formula = f"({padded} - {window})/{stride} + 1"
    if room % stride == 0:
        return count, f"{formula} = {count}", ""
    exact = f"{room / stride + 1:.2f}".rstrip("0")
    direction = "down" if count == room // stride + 1 else "up"
    lost = (
        f"the last {room % stride} of {length + 2 * padding} rows and columns are never read"
        if direction == "down"
        else "the last windows hang over the edge"
    )
    warning = f"stride {stride} does not divide {padded} - {window} = {room}: {lost}"
    return count, f"{formula} = {exact}, {direction} to {count}", warning


# --- the summary -----------------------------------------------------------------------------------------------


def summary(model: nn.Module, input_shape: Sequence[int]) -> Summary:
    """Follow a shape through a network: each layer's output, how it comes about, and what it costs.

    The network's own ``forward`` is run, but a layer that is known (all of :mod:`minicnn.nn`, and those for which
    :data:`minicnn.summary.layer_info` has a rule) only says what it would make of the shape. So nothing is computed and
    no array is made; with :func:`minicnn.nn.init.skip_arrays` the parameters need not exist either. What `forward`
    does between its layers, with functions and operators, is computed on zeros, and is in no row. A layer without
    a rule and without layers inside is computed too; its row says that its MACs are not counted.

    Parameters
    ----------
    model : Module
    input_shape : sequence of int
        Of a batch: (N, C, H, W), or (N, features). Three numbers, (C, H, W), are one picture.

    Returns
    -------
    Summary

    Raises
    ------
    TypeError
        If `model` is no Module or `input_shape` holds anything but integers.
    ValueError
        If a length is not positive, or a layer cannot take the shape that reaches it, which is then named.

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
    towers = max((layer.groups for layer in model.modules() if isinstance(layer, nn.Conv2d)), default=1)
    taken: list[tuple[str, nn.Module, Shape, LayerInfo]] = []
    with _rules_instead_of_numbers(model, lambda *one: taken.append(one)), no_grad():
        model(Tensor(_no_numbers(shape, dtype)))

    rows: list[LayerRow] = []
    counted: set[nn.Parameter] = set()
    split: Shape | None = None  # what of the layer before belongs to one tower
    dense = [number for number, (_, layer, _, _) in enumerate(taken) if isinstance(layer, nn.Linear)]
    last = max(dense, default=len(taken))
    for number, (name, layer, given, made) in enumerate(taken):
        own = {parameter for parameter in layer.parameters() if parameter not in counted}
        counted |= own
        what = made.what
        if split is not None and (isinstance(layer, nn.Linear) or getattr(layer, "groups", towers) < towers):
            what += ", reads both towers" if towers == 2 else f", reads all {towers} towers"
        # The pictures belong to no tower, nor do the classes.
        begun = split is not None or isinstance(layer, nn.Conv2d)
        split = _one_tower(made.output_shape, towers) if begun and number < last else None
        rows.append(
            LayerRow(
                name=name,
                what=what,
                input_shape=given,
                output_shape=made.output_shape,
                tower_shape=split,
                arithmetic=made.arithmetic,
                parameters=sum(parameter.size for parameter in own),
                macs=made.macs,
                activation_bytes=0 if made.is_view else math.prod(made.output_shape) * dtype.itemsize,
                im2col_bytes=made.columns * dtype.itemsize,
                warnings=made.warnings,
                layer=layer,
            )
        )
    parameters = sum(parameter.size for parameter in model.parameters())
    return Summary(tuple(rows), shape, towers, parameters, _title(model))


def summary_of_config(config: Mapping[str, Any], batch: int = 1) -> Summary:
    """Summary through one of our networks before any of its parameters exist.

    Parameters
    ----------
    config : mapping
        As for :func:`minicnn.models.build`; its pictures have the size for which the network is made.
    batch : int
        How many pictures.

    Raises
    ------
    TypeError, ValueError
        As :func:`minicnn.models.build` and :func:`summary` do.
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
    return model.config["model"] + variant


def _no_numbers(shape: Shape, dtype: Any = np.float32) -> np.ndarray:
    """Return an array of that shape that takes the memory of one number."""
    return np.broadcast_to(np.zeros((), dtype), shape)


@contextmanager
def _rules_instead_of_numbers(
    model: nn.Module, record: Callable[[str, nn.Module, Shape, LayerInfo], object]
) -> Iterator[None]:
    """Give each layer of the network a ``forward`` that applies its rule, and take it away again."""
    known = tuple(layer_info.registry.keys() - {object})
    layers = {name: x for name, x in model.named_modules() if isinstance(x, known) or not list(x.children())}
    for name, layer in layers.items():
        vars(layer)["forward"] = functools.partial(_record_layer, record, name or "model", layer)
    try:
        yield
    finally:
        for layer in layers.values():
            del vars(layer)["forward"]


def _record_layer(
    record: Callable[[str, nn.Module, Shape, LayerInfo], object],
    name: str,
    layer: nn.Module,
    *inputs: Any,
    **named: Any,
) -> Tensor:
    first = next(iter((*inputs, *named.values())))
    if layer_info.dispatch(type(layer)) is not layer_info.dispatch(object):
        made = layer_info(layer, first.shape)
        output = Tensor(_no_numbers(made.output_shape, first.dtype))
    else:
        output = type(layer).forward(layer, *inputs, **named)
        warning = "there is no rule for it; its MACs are not counted"
        made = LayerInfo(output.shape, type(layer).__name__, warnings=(warning,))
    record(name, layer, first.shape, made)
    return output
