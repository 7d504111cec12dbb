"""Layers that slide a window over images: convolution and pooling."""

from typing import Any, ClassVar

from minicnn import functional as F
from minicnn.arguments import image_shape, only, pair, whole
from minicnn.autograd import Tensor
from minicnn.nn import init
from minicnn.nn.declarations import LayerInfo, OnnxGraph
from minicnn.nn.module import Module
from minicnn.ops.pool import output_length

__all__ = ["AvgPool2d", "Conv2d", "MaxPool2d"]

Pair = tuple[int, int]


class Conv2d(Module):
    """Slide filters over images: :func:`minicnn.functional.conv2d` with its own weight and bias.

    Input (N, C, H, W), output (N, F, OH, OW), OH = floor((H + 2 padding - KH) / stride) + 1.

    Parameters
    ----------
    in_channels, out_channels : int
        C and F, both divisible by `groups`.
    kernel_size, stride, padding : int or pair of int
        For height and width.
    dilation : int
        Only 1.
    groups : int
        Split the channels into this many groups that do not see each other: AlexNet's two towers are 2.
    bias : bool
        Whether to add a number per filter.
    padding_mode : str
        Only "zeros".
    device : str, optional
        Of the parameters: "cpu", "cuda", "cuda:0", ...; by default :func:`minicnn.get_default_device`'s. Values are
        always drawn on the CPU: the same seed gives the same ones on every device.
    dtype : dtype, optional
        Of the parameters: float32, the default, or float64.

    Attributes
    ----------
    weight : Parameter of shape (F, C / groups, KH, KW)
        Drawn from U(-b, b), b = 1 / sqrt(fan_in), fan_in = C / groups * KH * KW.
    bias : Parameter of shape (F,) or None
        Drawn from the same distribution.

    References
    ----------
    Krizhevsky et al. 2012, section 3.5.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_channels = whole("Conv2d", "in_channels", in_channels, 1)
        self.out_channels = whole("Conv2d", "out_channels", out_channels, 1)
        self.kernel_size = pair("Conv2d", "kernel_size", kernel_size, 1)
        self.stride = pair("Conv2d", "stride", stride, 1)
        self.padding = pair("Conv2d", "padding", padding, 0)
        only("Conv2d", "dilation", dilation, 1, (1, 1))
        self.groups = whole("Conv2d", "groups", groups, 1)
        for name, channels in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if channels % self.groups:
                raise ValueError(f"Conv2d: {name} must be divisible by groups={self.groups}, got {channels}")
        only("Conv2d", "padding_mode", padding_mode, "zeros")
        shape = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        self.weight, self.bias = init.weight_and_bias("Conv2d", shape, bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, self.weight, self.bias, self.stride, self.padding, groups=self.groups)

    def output_info(self, input_shape: tuple[int, ...]) -> LayerInfo:
        N, C, _, _ = image_shape("conv2d", input_shape)
        if self.in_channels != C:
            raise ValueError(f"conv2d: input has {C} channels, the layer takes {self.in_channels}")
        (OH, OW), arithmetic, warnings = _sides(input_shape, self.kernel_size, self.stride, self.padding)
        CG, (KH, KW) = self.in_channels // self.groups, self.kernel_size
        stride, padding = _setting("stride", self.stride, 1), _setting("padding", self.padding, 0)
        groups = [f"{self.groups} groups"] if self.groups > 1 else []
        return LayerInfo(
            (N, self.out_channels, OH, OW),
            ", ".join([f"conv {KH}x{KW}x{CG}", *stride, *padding, *groups]),
            arithmetic,
            macs=self.out_channels * OH * OW * CG * KH * KW,
            columns=N * C * KH * KW * OH * OW,
            warnings=warnings,
            groups=self.groups,
            box="maps",
            kernel_size=self.kernel_size,
            notes=(f"{KH}x{KW}x{CG}", *stride),
        )

    def to_onnx(self, graph: OnnxGraph) -> None:
        graph.add(
            "Conv",
            *graph.parameters(),
            kernel_shape=self.kernel_size,
            strides=self.stride,
            pads=self.padding * 2,
            group=self.groups,
        )

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += f", stride={self.stride}"
        text += f", padding={self.padding}" if self.padding != (0, 0) else ""
        text += f", groups={self.groups}" if self.groups != 1 else ""
        return text + (", bias=False" if self.bias is None else "")


# --- pooling ------------------------------------------------------------------------------------------------


class _Pool2d(Module):
    """The window of a pool, and what follows from it."""

    kind: ClassVar[str]

    def __init__(self, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel_size = pair(name, "kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else pair(name, "stride", stride, 1)
        self.padding = pair(name, "padding", padding, 0)
        self.ceil_mode = bool(ceil_mode)

    def output_info(self, input_shape: tuple[int, ...]) -> LayerInfo:
        N, C, _, _ = image_shape("pool", input_shape)
        sides, arithmetic, warnings = _sides(input_shape, self.kernel_size, self.stride, self.padding, self.ceil_mode)
        KH, KW = self.kernel_size
        stride, padding = _setting("stride", self.stride, 1), _setting("padding", self.padding, 0)
        return LayerInfo(
            (N, C, *sides),
            ", ".join([f"{self.kind} pool {KH}x{KW}", *stride, *padding]),
            arithmetic,
            warnings=warnings,
            box="pool",
            kernel_size=self.kernel_size,
            notes=(f"{self.kind} {KH}x{KW}", *stride),
        )

    def _overhang(self, graph: OnnxGraph) -> list[int]:
        """Return by how many rows and columns the last windows hang over the edge, because of `ceil_mode`.

        Programs have rounded up in different ways (ONNX itself until version 1.16), so the graph always rounds down
        and has the overhang as padding.
        """
        lengths = zip(graph.input_shape[2:], graph.output_shape[2:], strict=True)
        windows = zip(self.kernel_size, self.stride, self.padding, strict=True)
        return [
            max(0, (count - 1) * stride + window - length - 2 * padding)
            for (length, count), (window, stride, padding) in zip(lengths, windows, strict=True)
        ]

    def _onnx_window(self, graph: OnnxGraph) -> dict[str, Any]:
        """Return the attributes of an ONNX pool."""
        ends = (padding + more for padding, more in zip(self.padding, self._overhang(graph), strict=True))
        return {"kernel_shape": self.kernel_size, "strides": self.stride, "pads": [*self.padding, *ends]}

    def extra_repr(self) -> str:
        text = f"kernel_size={_short(self.kernel_size)}, stride={_short(self.stride)}"
        return text + f", padding={_short(self.padding)}, ceil_mode={self.ceil_mode}"


class MaxPool2d(_Pool2d):
    """Keep the largest number of each window: :func:`minicnn.functional.max_pool2d`.

    Input (N, C, H, W), output (N, C, OH, OW), OH = floor((H + 2 padding - KH) / stride) + 1.
    With a kernel of 3 and a stride of 2 the windows overlap, as AlexNet's do.

    Parameters
    ----------
    kernel_size, padding : int or pair of int
        For height and width. The padding is minus infinity, so it never wins.
    stride : int or pair of int, optional
        By default `kernel_size`: windows side by side.
    dilation : int
        Only 1.
    return_indices : bool
        Only False.
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
        super().__init__(kernel_size, stride, padding, ceil_mode)
        only("MaxPool2d", "dilation", dilation, 1, (1, 1))
        only("MaxPool2d", "return_indices", return_indices, False)

    def forward(self, input: Tensor) -> Tensor:
        return F.max_pool2d(input, self.kernel_size, self.stride, self.padding, ceil_mode=self.ceil_mode)

    def to_onnx(self, graph: OnnxGraph) -> None:
        graph.add("MaxPool", **self._onnx_window(graph))


class AvgPool2d(_Pool2d):
    """Take the mean of each window: :func:`minicnn.functional.avg_pool2d`.

    Input (N, C, H, W), output (N, C, OH, OW), OH = floor((H + 2 padding - KH) / stride) + 1.

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


# --- the shape of the output, with its arithmetic -----------------------------------------------------------


def _sides(
    shape: tuple[int, ...], kernel: Pair, stride: Pair, padding: Pair, ceil_mode: bool = False
) -> tuple[Pair, str, tuple[str, ...]]:
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


def _both(height: str, width: str) -> str:
    """Join what holds for height and for width; once, if it is the same."""
    return height if height == width else f"{height}; {width}"


def _setting(name: str, values: Pair, default: int) -> list[str]:
    """Return a stride or a padding as text; nothing if it is the default."""
    height, width = values
    sides = str(height) if height == width else f"{height}x{width}"
    return [] if values == (default, default) else [f"{name} {sides}"]


def _short(values: Pair) -> str:
    """Write a pair of equal numbers as one."""
    return str(values[0] if values[0] == values[1] else values)
