"""A network as an ONNX graph, which other programs can run: onnxruntime, browsers, phones."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minicnn import nn
from minicnn._version import __version__
from minicnn.autograd import Tensor, no_grad
from minicnn.backend import asnumpy
from minicnn.errors import MinicnnError
from minicnn.install import install_command

if TYPE_CHECKING:
    import onnx

__all__ = ["ExportError", "onnx_model"]

OPSET, IR_VERSION = 21, 10  # ONNX 1.16, of 2024


class ExportError(MinicnnError):
    """A network cannot be exported; the message says why, and names the layer."""


def onnx_model(
    network: nn.Sequential,
    input_shape: tuple[int, int, int],
    mean: NDArray[np.float32] | None = None,
    deviation: NDArray[np.float32] | None = None,
    classes: Sequence[str] = (),
) -> onnx.ModelProto:
    """Write a chain of layers as an ONNX graph for inference: dropout is left out.

    Parameters
    ----------
    network : Sequential
        Of layers in :mod:`minicnn.nn`, at any depth, with parameters in float32.
    input_shape : (C, H, W)
        Of one picture. The graph takes any number of them: its input is ``pictures`` (N, C, H, W), float32.
    mean, deviation : ndarray of float32, optional
        Of shapes that broadcast to `input_shape`. They become the first two nodes: what is subtracted from each
        picture, and what it is then divided by. So a graph that has them takes plain grey levels, 0 to 255.
    classes : sequence of str, optional
        The names of the outputs. They are kept as a JSON list among the model's metadata, under "classes".

    Returns
    -------
    onnx.ModelProto
        Its output is ``scores`` (N, outputs), without a softmax.

    Raises
    ------
    ExportError
        If the package onnx is not installed, or ONNX cannot say what a layer does.
    TypeError, ValueError
        If a layer cannot take the shape that reaches it, which is then named.
    """
    try:
        import onnx
    except ImportError:
        raise ExportError(f"the package onnx is not installed: {install_command('onnx')}") from None

    for path, parameter in network.named_parameters():
        if parameter.dtype != np.float32:
            raise ExportError(f"{path} has dtype {parameter.dtype}; expected float32")
    graph = _Graph()
    value = Tensor(np.zeros((1, *input_shape), np.float32))
    for kind, numbers in (("Sub", mean), ("Div", deviation)):
        if numbers is not None:
            graph.add(kind, graph.constant(f"input.{kind.lower()}", np.asarray(numbers, np.float32)))
    with no_grad():
        for path, layer in network.named_modules(remove_duplicate=False):
            if isinstance(layer, nn.Sequential):
                continue
            before = value
            value = value if isinstance(layer, nn.Dropout) else layer(value)
            try:
                _add(layer, graph, path, before.shape, value.shape)
            except ExportError as error:
                raise ExportError(f"{path} ({type(layer).__name__}): {error}") from None
    graph.nodes.append(onnx.helper.make_node("Identity", [graph.last], ["scores"]))

    floats = onnx.TensorProto.FLOAT
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            "network",
            [onnx.helper.make_tensor_value_info("pictures", floats, ["N", *input_shape])],
            [onnx.helper.make_tensor_value_info("scores", floats, ["N", *value.shape[1:]])],
            graph.constants,
        ),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="minicnn",
        producer_version=__version__,
    )
    if classes:
        onnx.helper.set_model_props(model, {"classes": json.dumps(list(classes))})
    onnx.checker.check_model(model, full_check=True)
    return model


class _Graph:
    """What the graph has so far: a chain, of which `last` is the name of the output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.last = "pictures"

    def add(self, kind: str, *constants: str, **attributes: Any) -> None:
        """Add a node that reads the last one, and constants."""
        import onnx

        output = f"{len(self.nodes)}.{kind}"
        self.nodes.append(onnx.helper.make_node(kind, [self.last, *constants], [output], **attributes))
        self.last = output

    def constant(self, name: str, array: NDArray[Any]) -> str:
        """Add an array and return its name."""
        import onnx

        self.constants.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def parameters(self, layer: nn.Conv2d | nn.Linear, path: str) -> list[str]:
        """Add the weight and the bias of a layer and return their names."""
        parameters = layer.named_parameters()
        return [self.constant(f"{path}.{name}", asnumpy(parameter.data)) for name, parameter in parameters]


# --- a rule for each kind of layer -------------------------------------------------------------------------------


@functools.singledispatch
def _add(layer: nn.Module, graph: _Graph, path: str, given: tuple[int, ...], made: tuple[int, ...]) -> None:
    """Add the nodes of a layer, which is given an array of one shape and makes one of another."""
    raise ExportError("there is no rule for such a layer")


@_add.register
def _(layer: nn.Conv2d, graph: _Graph, path: str, given: tuple[int, ...], made: tuple[int, ...]) -> None:
    graph.add(
        "Conv",
        *graph.parameters(layer, path),
        kernel_shape=layer.kernel_size,
        strides=layer.stride,
        pads=layer.padding * 2,
        group=layer.groups,
    )


@_add.register
def _(layer: nn.Linear, graph: _Graph, path: str, given: tuple[int, ...], made: tuple[int, ...]) -> None:
    if len(given) != 2:
        raise ExportError(f"its input must have shape (N, features), got {given}")
    graph.add("Gemm", *graph.parameters(layer, path), transB=1)


@_add.register
def _(layer: nn.MaxPool2d, graph: _Graph, path: str, given: tuple[int, ...], made: tuple[int, ...]) -> None:
    beyond = _beyond(layer, given, made)
    pads = [*layer.padding, *(padding + more for padding, more in zip(layer.padding, beyond, strict=True))]
    graph.add("MaxPool", kernel_shape=layer.kernel_size, strides=layer.stride, pads=pads)


@_add.register
def _(layer: nn.AvgPool2d, graph: _Graph, path: str, given: tuple[int, ...], made: tuple[int, ...]) -> None:
    beyond = _beyond(layer, given, made)
    if layer.divisor_override is not None:
        raise ExportError("ONNX has no divisor_override")
    # What hangs over the edge counts for nothing here, whereas ONNX would treat it as it treats the padding.
    if any(beyond) and any(layer.padding) and layer.count_include_pad:
        raise ExportError("windows hang over the edge of a padding that counts, which ONNX cannot say")
    pads = [*layer.padding, *(padding + more for padding, more in zip(layer.padding, beyond, strict=True))]
    counts = int(layer.count_include_pad and not any(beyond))
    graph.add("AveragePool", kernel_shape=layer.kernel_size, strides=layer.stride, pads=pads, count_include_pad=counts)


def _beyond(layer: nn.MaxPool2d | nn.AvgPool2d, given: tuple[int, ...], made: tuple[int, ...]) -> list[int]:
    """Return by how many rows and columns the last windows hang over the edge, which rounding up makes them do.

    Programs have rounded up in different ways (ONNX itself until version 1.16), so the graph always rounds down.
    """
    sides = zip(given[2:], made[2:], layer.kernel_size, layer.stride, layer.padding, strict=True)
    return [max(0, (count - 1) * stride + window - length - 2 * pad) for length, count, window, stride, pad in sides]


@_add.register
def _(layer: nn.LocalResponseNorm, graph: _Graph, path: str, given: tuple[int, ...], made: tuple[int, ...]) -> None:
    # Of an even size the larger half lies below the channel here and in PyTorch, in ONNX above it.
    if layer.size % 2 == 0:
        raise ExportError(f"size must be odd, got {layer.size}: the windows of ONNX are mirrored where it is even")
    if len(given) != 4:
        raise ExportError(f"its input must have shape (N, C, H, W), got {given}")
    graph.add("LRN", size=layer.size, alpha=layer.alpha, beta=layer.beta, bias=layer.k)


@_add.register
def _(layer: nn.ReLU, graph: _Graph, path: str, given: tuple[int, ...], made: tuple[int, ...]) -> None:
    graph.add("Relu")


@_add.register
def _(layer: nn.Tanh, graph: _Graph, path: str, given: tuple[int, ...], made: tuple[int, ...]) -> None:
    graph.add("Tanh")


@_add.register
def _(layer: nn.Sigmoid, graph: _Graph, path: str, given: tuple[int, ...], made: tuple[int, ...]) -> None:
    graph.add("Sigmoid")


@_add.register
def _(layer: nn.Dropout, graph: _Graph, path: str, given: tuple[int, ...], made: tuple[int, ...]) -> None:
    pass


@_add.register
def _(layer: nn.Flatten, graph: _Graph, path: str, given: tuple[int, ...], made: tuple[int, ...]) -> None:
    if len(made) != 2 or made[0] != given[0]:
        raise ExportError(f"it must make (N, features) of its input, it makes {made} of {given}")
    graph.add("Flatten", axis=1)


@_add.register
def _(layer: nn.PadTo, graph: _Graph, path: str, given: tuple[int, ...], made: tuple[int, ...]) -> None:
    below, right = layer.missing(given)
    if below or right:
        graph.add("Pad", graph.constant(f"{path}.pads", np.array([0, 0, 0, 0, 0, 0, below, right], np.int64)))
