"""The backward pass as ONNX nodes: a graph that also returns how strongly each pixel changes the highest score.

ONNX has no gradients. But the graph of :func:`minicnn.models.onnx_export.onnx_model` is a chain, so its backward pass
is one, too: for each node, from the last to the first, a few nodes that turn dL/dy into dL/dx. The rules below are the
backward methods of `minicnn.ops`, in ONNX's operators: a convolution's is ConvTranspose with the same weights, and a
max pool's adds to the places of the maxima.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

__all__ = ["add_saliency"]


def add_saliency(model: onnx.ModelProto) -> bool:
    """Add the output ``saliency`` (1, H, W) to an exported graph, which then takes one image at a time.

    It is the gradient of the largest score by the prepared image, |d score / dx|, the maximum over its colours: what
    :func:`minicnn.viz.gradient_saliency` returns.

    Parameters
    ----------
    model : onnx.ModelProto
        From ``onnx_model(..., layers=True)``.

    Returns
    -------
    bool
        False if a node has no rule here; the graph is unchanged then.
    """
    import onnx

    outputs = {output.name for output in model.graph.output}
    prepared = next(node.input[0] for node in model.graph.node if node.output[0] == "prepared")
    nodes = [node for node in model.graph.node if node.output[0] not in outputs]  # those nodes only give a name
    first = next(k for k, node in enumerate(nodes) if node.input[0] == prepared)
    chain = nodes[first:]
    if not all(node.op_type in RULES for node in chain):
        return False
    back = _Back(model)
    largest = back.node("ReduceMax", "scores", back.constant(np.array([1], np.int64)))
    g = back.node("Cast", back.node("Equal", "scores", largest), to=onnx.TensorProto.FLOAT)
    for node in reversed(chain):
        g = RULES[node.op_type](back, node, g)
    shown = back.node("ReduceMax", back.node("Abs", g), back.constant(np.array([1], np.int64)), keepdims=0)
    back.node("Identity", shown, name="saliency")

    pictures = model.graph.input[0].type.tensor_type.shape
    pictures.dim[0].dim_value = 1
    sides = [dimension.dim_value for dimension in pictures.dim[2:]]
    model.graph.node.extend(back.nodes)
    model.graph.initializer.extend(back.constants)
    model.graph.output.append(onnx.helper.make_tensor_value_info("saliency", onnx.TensorProto.FLOAT, [1, *sides]))
    onnx.checker.check_model(model)
    return True


class _Back:
    """The nodes of the backward pass so far, and what the rules ask of the forward one."""

    def __init__(self, model: onnx.ModelProto) -> None:
        import onnx

        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        graph = onnx.shape_inference.infer_shapes(model).graph
        self._shapes = {
            value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
            for value in (*graph.input, *graph.value_info, *graph.output)
        }
        self._weights = {tensor.name: tensor for tensor in model.graph.initializer}

    def shape(self, value: str) -> list[int]:
        """Return the shape of a value for one image."""
        return [1, *self._shapes[value][1:]]

    def weight(self, name: str) -> NDArray[Any]:
        import onnx

        array: NDArray[Any] = onnx.numpy_helper.to_array(self._weights[name])
        return array

    def node(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        import onnx

        name = name or f"back.{len(self.nodes)}.{operator}"
        self.nodes.append(onnx.helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def constant(self, array: NDArray[Any]) -> str:
        import onnx

        name = f"back.constant.{len(self.constants)}"
        self.constants.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def number(self, value: float) -> str:
        return self.constant(np.array(value, np.float32))


# --- from dL/dy to dL/dx ----------------------------------------------------------------------------------------------


def _settings(node: onnx.NodeProto) -> dict[str, Any]:
    import onnx

    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


def _conv(back: _Back, node: onnx.NodeProto, g: str) -> str:
    settings = _settings(node)
    before, after = (back.shape(value)[2:] for value in (node.input[0], node.output[0]))
    kernel = list(back.weight(node.input[1]).shape[2:])
    pads = settings["pads"]
    sides = zip(before, after, kernel, settings["strides"], settings["dilations"], pads[:2], pads[2:], strict=True)
    # rows and columns behind the last window, which no window reads
    left = [H + p + q - (D * (K - 1) + 1) - S * (OH - 1) for H, OH, K, S, D, p, q in sides]
    settings["output_padding"] = left
    return back.node("ConvTranspose", g, node.input[1], **settings)


def _gemm(back: _Back, node: onnx.NodeProto, g: str) -> str:
    return back.node("MatMul", g, node.input[1])


def _reshape(back: _Back, node: onnx.NodeProto, g: str) -> str:
    return back.node("Reshape", g, back.constant(np.array(back.shape(node.input[0]), np.int64)))


def _max_pool(back: _Back, node: onnx.NodeProto, g: str) -> str:
    node.output.append(f"{node.output[0]}.places")
    flat = back.constant(np.array([-1], np.int64))
    shape = back.shape(node.input[0])
    nothing = back.constant(np.zeros(int(np.prod(shape)), np.float32))
    places, values = (back.node("Reshape", each, flat) for each in (node.output[1], g))
    added = back.node("ScatterElements", nothing, places, values, axis=0, reduction="add")
    return back.node("Reshape", added, back.constant(np.array(shape, np.int64)))


def _relu(back: _Back, node: onnx.NodeProto, g: str) -> str:
    return back.node("Where", back.node("Greater", node.output[0], back.number(0)), g, back.number(0))


def _tanh(back: _Back, node: onnx.NodeProto, g: str) -> str:
    y = node.output[0]
    return back.node("Mul", g, back.node("Sub", back.number(1), back.node("Mul", y, y)))


def _sigmoid(back: _Back, node: onnx.NodeProto, g: str) -> str:
    y = node.output[0]
    return back.node("Mul", g, back.node("Mul", y, back.node("Sub", back.number(1), y)))


def _lrn(back: _Back, node: onnx.NodeProto, g: str) -> str:
    settings, x = _settings(node), node.input[0]
    n, beta, alpha = settings["size"], settings["beta"], settings["alpha"] / settings["size"]
    channels = np.arange(back.shape(x)[1])
    near = (abs(channels[:, None] - channels) <= n // 2).astype(np.float32)  # sums over n channels, as a convolution
    window = back.constant(near[:, :, None, None])
    squares = back.node("Conv", back.node("Mul", x, x), window)
    d = back.node("Add", back.node("Mul", squares, back.number(alpha)), back.number(settings["bias"]))
    direct = back.node("Mul", g, back.node("Pow", d, back.number(-beta)))
    summed = back.node("Conv", back.node("Div", back.node("Mul", direct, x), d), window)
    around = back.node("Mul", back.node("Mul", summed, x), back.number(2 * alpha * beta))
    return back.node("Sub", direct, around)


def _batch_norm(back: _Back, node: onnx.NodeProto, g: str) -> str:
    weight, variance = back.weight(node.input[1]), back.weight(node.input[4])
    factor = weight / np.sqrt(variance + np.float32(_settings(node)["epsilon"]))
    return back.node("Mul", g, back.constant(factor.astype(np.float32)[:, None, None]))


def _pad(back: _Back, node: onnx.NodeProto, g: str) -> str:
    H, W = back.shape(node.input[0])[2:]
    bounds = ([0, 0], [H, W], [2, 3])
    return back.node("Slice", g, *(back.constant(np.array(each, np.int64)) for each in bounds))


RULES: dict[str, Callable[[_Back, Any, str], str]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "Flatten": _reshape,
    "MaxPool": _max_pool,
    "Relu": _relu,
    "Tanh": _tanh,
    "Sigmoid": _sigmoid,
    "LRN": _lrn,
    "BatchNormalization": _batch_norm,
    "Pad": _pad,
}
