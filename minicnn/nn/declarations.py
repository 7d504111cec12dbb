"""What a layer declares besides its computation: its output's shape, its place in a drawing, its ONNX nodes.

:func:`minicnn.summary`, :func:`minicnn.viz.draw_network` and the ONNX exporter know no layer by name. They ask each
layer for these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

__all__ = ["LayerInfo", "OnnxGraph"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class LayerInfo:
    """A layer's output for an input of a given shape, and its cost: :meth:`minicnn.nn.Module.output_info` returns it.

    Attributes
    ----------
    output_shape : tuple of int
        With the batch.
    what : str
        The layer in a few words: ``"conv 11x11x3, stride 4"``.
    arithmetic : str
        How the shape is computed: ``"(227 - 11)/4 + 1 = 55"``.
    macs : int
        Multiply-accumulates for one image, without the bias.
    columns : int
        Numbers in the im2col matrix of the whole batch.
    is_view : bool
        Whether the output is the input's memory under another shape.
    warnings : tuple of str
        Such as a stride that does not divide.
    groups : int, optional
        For a layer that mixes channels: into how many groups it splits them, each of which reads only its own.
        None for a layer that keeps channels apart.
    box : {"maps", "pool", "units", "input", ""}
        How the output is drawn: as a box of maps, as a box of pooled maps, as a bar of units, as the input's box in a
        new size, or, by default, not at all: the layer is a note under the box before it.
    kernel_size : (int, int), optional
        The window to draw on the box before it.
    notes : tuple of str, optional
        Lines to write under the box; by default `what`.
    """

    output_shape: Shape
    what: str = ""
    arithmetic: str = ""
    macs: int = 0
    columns: int = 0
    is_view: bool = False
    warnings: tuple[str, ...] = ()
    groups: int | None = None
    box: Literal["maps", "pool", "units", "input", ""] = ""
    kernel_size: tuple[int, int] | None = None
    notes: tuple[str, ...] | None = None


class OnnxGraph(Protocol):
    """The ONNX graph that :meth:`minicnn.nn.Module.to_onnx` adds to: a chain, in which each node reads the last one.

    Attributes
    ----------
    input_shape, output_shape : tuple of int
        Of the layer that is being added, for a batch of one.
    """

    input_shape: Shape
    output_shape: Shape

    def add(self, operator: str, *constants: str, **attributes: Any) -> None:
        """Add a node that reads the last one, then these constants: ``graph.add("LeakyRelu", alpha=0.1)``."""
        ...

    def constant(self, name: str, array: Any) -> str:
        """Add an array, named after the layer's path and `name`, and return its name in the graph."""
        ...

    def parameters(self) -> list[str]:
        """Add the layer's parameters and return their names in the graph."""
        ...
