"""Export a network to ONNX, which other programs can run: onnxruntime, browsers, phones.

Each layer adds its own nodes: :meth:`minicnn.nn.Module.to_onnx`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minicnn import nn
from minicnn._version import __version__
from minicnn.autograd import Tensor
from minicnn.backend import asnumpy
from minicnn.errors import MinicnnError
from minicnn.grad_mode import no_grad
from minicnn.install import install_command

if TYPE_CHECKING:
    import onnx

__all__ = ["ExportError", "onnx_model"]

OPSET, IR_VERSION = 21, 10  # ONNX 1.16, of 2024


class ExportError(MinicnnError):
    """A network cannot be exported. The message says why, and names the layer."""


def onnx_model(
    network: nn.Sequential,
    input_shape: tuple[int, int, int],
    mean: NDArray[np.float32] | None = None,
    deviation: NDArray[np.float32] | None = None,
    classes: Sequence[str] = (),
    layers: bool = False,
) -> onnx.ModelProto:
    """Return a chain of layers as an ONNX graph for inference: dropout is left out.

    Parameters
    ----------
    network : Sequential
        Of layers that define ``to_onnx``, nested at any depth, with parameters in float32.
    input_shape : (C, H, W)
        Of one picture. The graph accepts any batch size: its input is ``pictures`` (N, C, H, W), float32.
    mean, deviation : ndarray of float32, optional
        Of shapes that broadcast to `input_shape`. They become the first two nodes: subtract the mean, divide by the
        deviation. With them the graph takes plain grey levels, 0 to 255.
    classes : sequence of str, optional
        Names of the outputs, stored as a JSON list in the model's metadata, under "classes".
    layers : bool
        Whether the graph also returns what reaches the first layer, as ``prepared``, and the output of each layer, as
        ``layer.`` and its path: ``layer.conv1``. Layers that add no node, such as dropout, have none.

    Returns
    -------
    onnx.ModelProto
        Its first output is ``scores`` (N, outputs), without a softmax.

    Raises
    ------
    ExportError
        If the package onnx is not installed, or ONNX cannot express a layer.
    ValueError
        If a layer does not accept the shape that reaches it; the message names the layer.
    """
    try:
        import onnx
    except ImportError:
        raise ExportError(f"the package onnx is not installed: {install_command('onnx')}") from None

    for path, parameter in (*network.named_parameters(), *network.named_buffers()):
        if parameter.dtype.kind == "f" and parameter.dtype != np.float32:
            raise ExportError(f"{path} must be float32, got {parameter.dtype}")
    graph = _Graph()
    value = Tensor(np.zeros((1, *input_shape), np.float32)).to(network.device)
    for kind, numbers in (("Sub", mean), ("Div", deviation)):
        if numbers is not None:
            graph.add(kind, graph.constant(kind.lower(), np.asarray(numbers, np.float32)))
    between = {"prepared": (graph.last, value.shape)}
    with _evaluating(network), no_grad():
        for path, layer in network.named_layers():
            before = graph.last
            graph.path, graph.layer, graph.input_shape = path, layer, value.shape
            value = layer(value)
            if not isinstance(value, Tensor):  # a pool with return_indices
                kind = type(layer).__name__
                raise ExportError(f"{path} ({kind}): it must return one tensor, got a {type(value).__name__}")
            graph.output_shape = value.shape
            try:
                layer.to_onnx(graph)
            except NotImplementedError as error:
                raise ExportError(f"{path} ({type(layer).__name__}): {error}") from None
            if graph.last != before:
                between[f"layer.{path}"] = (graph.last, graph.output_shape)
    outputs = {"scores": (graph.last, value.shape)} | (between if layers else {})
    graph.nodes += [onnx.helper.make_node("Identity", [last], [name]) for name, (last, _) in outputs.items()]

    floats = onnx.TensorProto.FLOAT
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            "network",
            [onnx.helper.make_tensor_value_info("pictures", floats, ["N", *input_shape])],
            [
                onnx.helper.make_tensor_value_info(name, floats, ["N", *shape[1:]])
                for name, (_, shape) in outputs.items()
            ],
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


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Switch a network to evaluation, and every module back to its own mode afterwards."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


class _Graph:
    """The graph so far: a chain whose last output is called `last`. It is the layers' :class:`minicnn.nn.OnnxGraph`."""

    path: str
    layer: nn.Module
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.path, self.last = "input", "pictures"

    def add(self, operator: str, *constants: str, **attributes: Any) -> None:
        """Add a node that reads the last one, then these constants."""
        import onnx

        output = f"{len(self.nodes)}.{operator}"
        self.nodes.append(onnx.helper.make_node(operator, [self.last, *constants], [output], **attributes))
        self.last = output

    def constant(self, name: str, array: NDArray[Any]) -> str:
        """Add an array, named after the layer's path and `name`, and return its name in the graph."""
        import onnx

        name = f"{self.path}.{name}"
        self.constants.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def parameters(self) -> list[str]:
        """Add the layer's parameters and return their names in the graph."""
        named = self.layer.named_parameters()
        return [self.constant(name, asnumpy(parameter.data)) for name, parameter in named]
