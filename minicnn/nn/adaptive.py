"""Average pooling to a given size, as a layer."""

from typing import Any

import numpy as np

from minicnn import functional as F
from minicnn.autograd import Tensor
from minicnn.nn.declarations import LayerInfo, OnnxGraph
from minicnn.nn.module import Module
from minicnn.ops.adaptive_pool import adaptive_size, spans

__all__ = ["AdaptiveAvgPool2d"]


class AdaptiveAvgPool2d(Module):
    """The averages of windows, spread evenly, so that the output has a given size. Input (N, C, H, W) or (C, H, W).

    With it, fully connected layers accept images of other sizes than they were trained on.

    Parameters
    ----------
    output_size : int, None, or a pair of them
        Height and width of the output; None keeps the input's.
    """

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        adaptive_size("AdaptiveAvgPool2d", output_size, (1, 1, 1, 1))
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(input, self.output_size)

    def output_info(self, input_shape: tuple[int, ...]) -> LayerInfo:
        OH, OW = size = adaptive_size("adaptive_avg_pool2d", self.output_size, input_shape)
        if size == input_shape[-2:]:
            return LayerInfo(input_shape, "nothing to average", is_view=True, notes=())
        return LayerInfo((*input_shape[:-2], OH, OW), f"average to {OH}x{OW}", box="pool")

    def to_onnx(self, graph: OnnxGraph) -> None:
        """Multiply by matrices of averages: ONNX has pools with windows of one size only."""
        before, after = graph.input_shape[-2:], graph.output_shape[-2:]
        if before == after:
            return
        for name, length, parts in (("columns", before[1], after[1]), ("rows", before[0], after[0])):
            averages = np.zeros((length, parts), np.float32)
            for part, span in enumerate(spans(length, parts)):
                averages[span, part] = 1 / (span.stop - span.start)
            graph.add("MatMul", graph.constant(name, averages))
            graph.add("Transpose", perm=[0, 1, 3, 2])

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"
