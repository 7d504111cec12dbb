"""The layers: each holds its settings and parameters, and calls the function of the same name.

Convolution and pooling are in :mod:`minicnn.nn.windows`, response normalisation in :mod:`minicnn.nn.normalisation`. A
new layer is a class here and its name in ``__all__``; nothing else lists the layers.
"""

import math
from typing import Any

import numpy as np

from minicnn import functional as F
from minicnn.arguments import image, image_shape, number, probability, switch, whole
from minicnn.autograd import Tensor, as_tensor
from minicnn.nn import init
from minicnn.nn.declarations import LayerInfo, OnnxGraph
from minicnn.nn.module import Module

__all__ = [
    "Dropout",
    "ElementwiseLayer",
    "Flatten",
    "Identity",
    "LeakyReLU",
    "Linear",
    "PadTo",
    "ReLU",
    "Sigmoid",
    "Tanh",
]


# --- activations --------------------------------------------------------------------------------------------


class ElementwiseLayer(Module):
    """Base class of layers that compute each element of the output from the same element of the input.

    The output has the shape of the input; a drawing of the network writes the class's name under the box before it.
    """

    def output_info(self, input_shape: tuple[int, ...]) -> LayerInfo:
        return LayerInfo(input_shape, type(self).__name__)


class ReLU(ElementwiseLayer):
    """max(0, x), element by element. Krizhevsky et al. 2012, section 3.1.

    Parameters
    ----------
    inplace : bool
        Whether the output may take the memory of the input, see :func:`minicnn.functional.relu`.
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = switch("ReLU", "inplace", inplace)

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input, self.inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""

    def to_onnx(self, graph: OnnxGraph) -> None:
        graph.add("Relu")


class LeakyReLU(ElementwiseLayer):
    """x where x is positive, else negative_slope x, element by element. Maas, Hannun and Ng 2013.

    Parameters
    ----------
    negative_slope : float
        The slope for negative numbers.
    inplace : bool
        Accepted for PyTorch's programs. True computes the same, into a new tensor.
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = number("LeakyReLU", "negative_slope", negative_slope)
        switch("LeakyReLU", "inplace", inplace)

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope)

    def to_onnx(self, graph: OnnxGraph) -> None:
        graph.add("LeakyRelu", alpha=self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class Tanh(ElementwiseLayer):
    """tanh x, element by element: what ReLU is compared with in Krizhevsky et al. 2012, section 3.1."""

    def forward(self, input: Tensor) -> Tensor:
        return F.tanh(input)

    def to_onnx(self, graph: OnnxGraph) -> None:
        graph.add("Tanh")


class Sigmoid(ElementwiseLayer):
    """1 / (1 + e^-x), element by element."""

    def forward(self, input: Tensor) -> Tensor:
        return F.sigmoid(input)

    def to_onnx(self, graph: OnnxGraph) -> None:
        graph.add("Sigmoid")


class Identity(ElementwiseLayer):
    """The input itself: it stands where a layer was. Arguments are accepted and mean nothing, as in PyTorch."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return as_tensor(input)

    def output_info(self, input_shape: tuple[int, ...]) -> LayerInfo:
        return LayerInfo(input_shape, "identity", is_view=True, notes=())

    def to_onnx(self, graph: OnnxGraph) -> None:
        """Add nothing."""


# --- fully connected, dropout -------------------------------------------------------------------------------


class Linear(Module):
    """Connect every input to every output: y = x W^T + b. Input (*, in), output (*, out).

    Parameters
    ----------
    in_features, out_features : int
        Size of the last dimension of input and output.
    bias : bool
        Whether to add b.
    device : str, optional
        Of the parameters: "cpu", "cuda", "cuda:0", ...; by default :func:`minicnn.get_default_device`'s. Values are
        always drawn on the CPU: the same seed gives the same ones on every device.
    dtype : dtype, optional
        Of the parameters: float32, the default, or float64.

    Attributes
    ----------
    weight : Parameter of shape (out, in)
        Drawn from U(-b, b), b = 1 / sqrt(in).
    bias : Parameter of shape (out,) or None
        Drawn from the same distribution.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_features = whole("Linear", "in_features", in_features, 1)
        self.out_features = whole("Linear", "out_features", out_features, 1)
        shape = (self.out_features, self.in_features)
        self.weight, self.bias = init.weight_and_bias("Linear", shape, bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def output_info(self, input_shape: tuple[int, ...]) -> LayerInfo:
        if input_shape[-1] != self.in_features:
            raise ValueError(f"linear: input has {input_shape[-1]} features, the layer takes {self.in_features}")
        output = (*input_shape[:-1], self.out_features)
        return LayerInfo(
            output,
            f"fully connected {self.in_features} to {self.out_features}",
            macs=math.prod(output[1:]) * self.in_features,
            groups=1,
            box="units",
            notes=(),
        )

    def to_onnx(self, graph: OnnxGraph) -> None:
        if len(graph.input_shape) != 2:
            raise NotImplementedError(f"its input must have shape (N, features), got {graph.input_shape}")
        graph.add("Gemm", *graph.parameters(), transB=1)

    def extra_repr(self) -> str:
        biased = self.bias is not None
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={biased}"


class Dropout(ElementwiseLayer):
    """In training, zero each element with probability p and divide the others by 1 - p; in evaluation, do nothing.

    Parameters
    ----------
    p : float
        Between 0 and 1.
    inplace : bool
        As in :class:`LeakyReLU`: True computes the same, into a new tensor.

    References
    ----------
    Krizhevsky et al. 2012, section 4.2, which instead multiplies by 1 - p at test time: the same expectation.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        self.p = probability("Dropout", "p", p)
        switch("Dropout", "inplace", inplace)

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training)

    def output_info(self, input_shape: tuple[int, ...]) -> LayerInfo:
        what = f"dropout {self.p:g}"
        return LayerInfo(input_shape, what, is_view=self.p == 0, notes=(what,) if self.p else ())

    def to_onnx(self, graph: OnnxGraph) -> None:
        """Add nothing: the graph is for inference."""

    def extra_repr(self) -> str:
        return f"p={self.p}"


# --- shape --------------------------------------------------------------------------------------------------


class Flatten(Module):
    """Join the dimensions from `start_dim` to `end_dim` into one: (N, C, H, W) to (N, C*H*W) by default."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        return F.flatten(input, self.start_dim, self.end_dim)

    def output_info(self, input_shape: tuple[int, ...]) -> LayerInfo:
        zeros = np.broadcast_to(np.float32(0), input_shape)  # takes the memory of one number
        output = F.flatten(Tensor(zeros), self.start_dim, self.end_dim).shape
        joined = [length for length in input_shape[1:] if length != 1]
        is_usual = len(output) == 2 < len(input_shape)
        arithmetic = f"{' * '.join(map(str, joined))} = {math.prod(joined)}" if is_usual else ""
        return LayerInfo(output, "flatten", arithmetic, is_view=True, notes=())

    def to_onnx(self, graph: OnnxGraph) -> None:
        before, after = graph.input_shape, graph.output_shape
        if len(after) != 2 or after[0] != before[0]:
            raise NotImplementedError(f"it must make (N, features) of its input, it makes {after} of {before}")
        graph.add("Flatten", axis=1)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class PadTo(Module):
    """Pad images with zeros, below and to the right, to a height and width of `size`. Input (N, C, H, W).

    It makes 227 of AlexNet's 224. The authors' program rounds the number of windows up,
    1 + ceil((224 - 11) / 4) = 55, so that the last ones hang over the edge by three pixels, which is the same.

    Parameters
    ----------
    size : int
        Height and width of the output.
    smallest : int
        The smallest height and width to accept; a smaller image is probably a mistake.
    """

    def __init__(self, size: int, smallest: int = 1) -> None:
        super().__init__()
        self.size = whole("PadTo", "size", size, 1)
        self.smallest = whole("PadTo", "smallest", smallest, 1)
        if self.smallest > self.size:
            raise ValueError(f"PadTo: smallest must be at most size={self.size}, got {smallest}")

    def forward(self, input: Tensor) -> Tensor:
        input = as_tensor(input)
        image("PadTo", input)
        below, right = self.missing(input.shape)
        return F.pad(input, (0, right, 0, below))

    def output_info(self, input_shape: tuple[int, ...]) -> LayerInfo:
        N, C, H, W = image_shape("pad", input_shape)
        missing = self.missing(input_shape)
        output = (N, C, self.size, self.size)
        if not any(missing):
            return LayerInfo(output, "nothing to pad", is_view=True, box="input")
        high, wide = (f"{side} + {more} = {self.size}" for side, more in zip((H, W), missing, strict=True))
        arithmetic = high if high == wide else f"{high}; {wide}"
        return LayerInfo(output, "zeros below and to the right", arithmetic, box="input", notes=(f"{H}x{W}, padded",))

    def to_onnx(self, graph: OnnxGraph) -> None:
        below, right = self.missing(graph.input_shape)
        if below or right:
            graph.add("Pad", graph.constant("pads", np.array([0, 0, 0, 0, 0, 0, below, right], np.int64)))

    def missing(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return how many rows and columns to add to images of shape (N, C, H, W)."""
        H, W = shape[2:]
        if not all(self.smallest <= side <= self.size for side in (H, W)):
            raise ValueError(
                f"PadTo: input must have a height and width from {self.smallest} to {self.size}, got {H}x{W}"
            )
        return self.size - H, self.size - W

    def extra_repr(self) -> str:
        return f"{self.size}, smallest={self.smallest}"
