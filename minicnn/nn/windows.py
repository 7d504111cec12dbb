"""Layers that pool: the maximum or the mean of each window."""

from typing import Any, ClassVar

from minicnn import functional as F
from minicnn.arguments import image_shape, pair, switch
from minicnn.autograd import Tensor
from minicnn.nn.declarations import LayerInfo, OnnxGraph
from minicnn.nn.module import Module
from minicnn.nn.window_arithmetic import setting, short, sides
from minicnn.ops.windows import reach

__all__ = ["AvgPool2d", "MaxPool2d"]

Pair = tuple[int, int]


class _Pool2d(Module):
    """The window of a pool, and what follows from it."""

    kind: ClassVar[str]

    def __init__(self, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, dilation: Any = 1) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel_size = pair(name, "kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else pair(name, "stride", stride, 1)
        self.padding = pair(name, "padding", padding, 0)
        self.dilation = pair(name, "dilation", dilation, 1)
        self.ceil_mode = bool(ceil_mode)

    def output_info(self, input_shape: tuple[int, ...]) -> LayerInfo:
        N, C, H, W = image_shape("pool", input_shape)
        window, padding = reach(self.kernel_size, self.dilation), self.padding
        lengths, arithmetic, warnings = sides((H, W), window, self.stride, padding, padding, self.ceil_mode)
        KH, KW = self.kernel_size
        stride, gaps = setting("stride", self.stride, 1), setting("dilation", self.dilation, 1)
        return LayerInfo(
            (N, C, *lengths),
            ", ".join([f"{self.kind} pool {KH}x{KW}", *stride, *setting("padding", padding, 0), *gaps]),
            arithmetic,
            warnings=warnings,
            box="pool",
            kernel_size=window,
            notes=(f"{self.kind} {KH}x{KW}", *stride, *gaps),
        )

    def _overhang(self, graph: OnnxGraph) -> list[int]:
        """Return by how many rows and columns the last windows hang over the edge, because of `ceil_mode`.

        Programs have rounded up in different ways (ONNX itself until version 1.16), so the graph always rounds down
        and has the overhang as padding.
        """
        lengths = zip(graph.input_shape[2:], graph.output_shape[2:], strict=True)
        windows = zip(reach(self.kernel_size, self.dilation), self.stride, self.padding, strict=True)
        return [
            max(0, (count - 1) * stride + window - length - 2 * padding)
            for (length, count), (window, stride, padding) in zip(lengths, windows, strict=True)
        ]

    def _onnx_window(self, graph: OnnxGraph) -> dict[str, Any]:
        """Return the attributes of an ONNX pool."""
        ends = (padding + more for padding, more in zip(self.padding, self._overhang(graph), strict=True))
        return {"kernel_shape": self.kernel_size, "strides": self.stride, "pads": [*self.padding, *ends]}

    def extra_repr(self) -> str:
        text = f"kernel_size={short(self.kernel_size)}, stride={short(self.stride)}"
        text += f", padding={short(self.padding)}"
        text += f", dilation={short(self.dilation)}" if self.dilation != (1, 1) else ""
        return text + f", ceil_mode={self.ceil_mode}"


class MaxPool2d(_Pool2d):
    """Keep the largest number of each window: :func:`minicnn.functional.max_pool2d`.

    Input (N, C, H, W) or (C, H, W), output (N, C, OH, OW) or (C, OH, OW),
    OH = floor((H + 2 padding - dilation (KH - 1) - 1) / stride) + 1.
    With a kernel of 3 and a stride of 2 the windows overlap, as AlexNet's do.

    Parameters
    ----------
    kernel_size, padding : int or pair of int
        For height and width. The padding is minus infinity, so it never wins.
    stride : int or pair of int, optional
        By default `kernel_size`: windows side by side.
    dilation : int or pair of int
        Steps between the pixels of a window.
    return_indices : bool
        Return a tuple, the maxima and where they are: h W + w.
    ceil_mode : bool
        Round the output's size up instead of down.

    References
    ----------
    Krizhevsky et al. 2012, section 3.4.
    """

    kind = "max"

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, dilation)
        self.return_indices = switch("MaxPool2d", "return_indices", return_indices)

    def forward(self, input: Tensor) -> Any:
        return F.max_pool2d(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )

    def to_onnx(self, graph: OnnxGraph) -> None:
        graph.add("MaxPool", **self._onnx_window(graph), dilations=self.dilation)


class AvgPool2d(_Pool2d):
    """Take the mean of each window: :func:`minicnn.functional.avg_pool2d`.

    Input (N, C, H, W) or (C, H, W), output (N, C, OH, OW) or (C, OH, OW),
    OH = floor((H + 2 padding - KH) / stride) + 1.

    Parameters
    ----------
    kernel_size, padding : int or pair of int
        For height and width.
    stride : int or pair of int, optional
        By default `kernel_size`: windows side by side.
    ceil_mode : bool
        Round the output's size up instead of down.
    count_include_pad : bool
        Whether the zeros of the padding count towards the mean.
    divisor_override : int, optional
        Divide the sum by this instead of by the number of elements.
    """

    kind = "average"

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = bool(count_include_pad)
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def to_onnx(self, graph: OnnxGraph) -> None:
        if self.divisor_override is not None:
            raise NotImplementedError("ONNX has no divisor_override")
        hangs_over = any(self._overhang(graph))
        # here the overhang never counts; ONNX would treat it like the padding
        if hangs_over and any(self.padding) and self.count_include_pad:
            raise NotImplementedError("windows hang over the edge of a padding that counts, which ONNX cannot express")
        counts = int(self.count_include_pad and not hangs_over)
        graph.add("AveragePool", **self._onnx_window(graph), count_include_pad=counts)
