"""Convolution and transposed convolution as layers."""

from typing import Any, ClassVar

from minicnn import functional as F
from minicnn.arguments import image_shape, only, pair, whole
from minicnn.autograd import Tensor
from minicnn.nn import init
from minicnn.nn.declarations import LayerInfo, OnnxGraph
from minicnn.nn.module import Module
from minicnn.nn.parameter import Parameter
from minicnn.nn.window_arithmetic import both, setting, sides
from minicnn.ops.conv_transpose import transposed_length
from minicnn.ops.windows import margins, reach

__all__ = ["Conv2d", "ConvTranspose2d"]

Pair = tuple[int, int]


class _Convolution(Module):
    """What the two kinds of convolution have in common."""

    weight: Parameter
    bias: Parameter | None
    padding: Any
    output_padding: Pair = (0, 0)
    function: ClassVar[str]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        dilation: Any,
        groups: int,
        padding_mode: str,
    ) -> None:
        super().__init__()
        layer = type(self).__name__
        self.in_channels = whole(layer, "in_channels", in_channels, 1)
        self.out_channels = whole(layer, "out_channels", out_channels, 1)
        self.kernel_size = pair(layer, "kernel_size", kernel_size, 1)
        self.stride = pair(layer, "stride", stride, 1)
        self.dilation = pair(layer, "dilation", dilation, 1)
        self.groups = whole(layer, "groups", groups, 1)
        for name, channels in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if channels % self.groups:
                raise ValueError(f"{layer}: {name} must be divisible by groups={self.groups}, got {channels}")
        only(layer, "padding_mode", padding_mode, "zeros")

    def _shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the input's shape, if the layer takes it."""
        shape = image_shape(self.function, input_shape)
        if self.in_channels != shape[1]:
            raise ValueError(f"{self.function}: input has {shape[1]} channels, the layer takes {self.in_channels}")
        return shape

    def _gaps(self) -> list[str]:
        groups = [f"{self.groups} groups"] if self.groups > 1 else []
        return setting("dilation", self.dilation, 1) + groups

    def _onnx_window(self) -> dict[str, Any]:
        return {
            "kernel_shape": self.kernel_size,
            "strides": self.stride,
            "dilations": self.dilation,
            "group": self.groups,
        }

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += f", stride={self.stride}"
        text += f", padding={self.padding}" if self.padding != (0, 0) else ""
        text += f", dilation={self.dilation}" if self.dilation != (1, 1) else ""
        text += f", output_padding={self.output_padding}" if self.output_padding != (0, 0) else ""
        text += f", groups={self.groups}" if self.groups != 1 else ""
        return text + (", bias=False" if self.bias is None else "")


class Conv2d(_Convolution):
    """Slide filters over images: :func:`minicnn.functional.conv2d` with its own weight and bias.

    Input (N, C, H, W) or (C, H, W), output (N, F, OH, OW) or (F, OH, OW),
    OH = floor((H + 2 padding - dilation (KH - 1) - 1) / stride) + 1.

    Parameters
    ----------
    in_channels, out_channels : int
        C and F, both divisible by `groups`.
    kernel_size, stride : int or pair of int
        For height and width.
    padding : int, pair of int, "same" or "valid"
        "same" keeps the image's size, at stride 1; "valid" is no padding.
    dilation : int or pair of int
        Steps between the pixels that a window reads.
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

    function = "conv2d"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair | str = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, dilation, groups, padding_mode)
        before, _ = margins("Conv2d", padding, reach(self.kernel_size, self.dilation), self.stride)
        self.padding = padding if isinstance(padding, str) else before
        shape = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        self.weight, self.bias = init.weight_and_bias("Conv2d", shape, bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def output_info(self, input_shape: tuple[int, ...]) -> LayerInfo:
        N, C, H, W = self._shape(input_shape)
        window = reach(self.kernel_size, self.dilation)
        padding, behind = margins("conv2d", self.padding, window, self.stride)
        (OH, OW), arithmetic, warnings = sides((H, W), window, self.stride, padding, behind)
        CG, (KH, KW) = self.in_channels // self.groups, self.kernel_size
        stride = setting("stride", self.stride, 1)
        return LayerInfo(
            (N, self.out_channels, OH, OW),
            ", ".join([f"conv {KH}x{KW}x{CG}", *stride, *setting("padding", self.padding, 0), *self._gaps()]),
            arithmetic,
            macs=self.out_channels * OH * OW * CG * KH * KW,
            columns=N * C * KH * KW * OH * OW,
            warnings=warnings,
            groups=self.groups,
            box="maps",
            kernel_size=window,
            notes=(f"{KH}x{KW}x{CG}", *stride, *setting("dilation", self.dilation, 1)),
        )

    def to_onnx(self, graph: OnnxGraph) -> None:
        padding, behind = margins("conv2d", self.padding, reach(self.kernel_size, self.dilation), self.stride)
        graph.add("Conv", *graph.parameters(), **self._onnx_window(), pads=padding + behind)


class ConvTranspose2d(_Convolution):
    """Let every pixel write a window: :func:`minicnn.functional.conv_transpose2d` with its own weight and bias.

    Input (N, C, H, W) or (C, H, W), output (N, F, OH, OW) or (F, OH, OW),
    OH = (H - 1) stride - 2 padding + dilation (KH - 1) + output_padding + 1.

    Parameters
    ----------
    in_channels, out_channels : int
        C and F, both divisible by `groups`.
    kernel_size, stride, padding, dilation : int or pair of int
        Of the convolution whose backward pass this is.
    output_padding : int or pair of int
        Rows and columns more at the end, less than the stride or the dilation.
    groups, bias, padding_mode, device, dtype
        As in :class:`Conv2d`.

    Attributes
    ----------
    weight : Parameter of shape (C, F / groups, KH, KW)
        Drawn from U(-b, b), b = 1 / sqrt(F / groups * KH * KW), as in PyTorch.
    bias : Parameter of shape (F,) or None
        Drawn from the same distribution.
    """

    function = "conv_transpose2d"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        output_padding: int | Pair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Pair = 1,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, dilation, groups, padding_mode)
        self.padding = pair("ConvTranspose2d", "padding", padding, 0)
        self.output_padding = pair("ConvTranspose2d", "output_padding", output_padding, 0)
        shape = (self.in_channels, self.out_channels // self.groups, *self.kernel_size)
        self.weight, self.bias = init.weight_and_bias("ConvTranspose2d", shape, bias, device, dtype, self.out_channels)

    def forward(self, input: Tensor) -> Tensor:
        return F.conv_transpose2d(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.output_padding,
            self.groups,
            self.dilation,
        )

    def output_info(self, input_shape: tuple[int, ...]) -> LayerInfo:
        N, C, H, W = self._shape(input_shape)
        window = reach(self.kernel_size, self.dilation)
        numbers = list(zip((H, W), window, self.stride, self.padding, self.output_padding, strict=True))
        OH, OW = (transposed_length(*side) for side in numbers)
        if min(OH, OW) < 1:
            raise ValueError(f"conv_transpose2d: padding={self.padding} leaves nothing of the output")
        formulas = [
            f"({length} - 1)*{S} + {reaches}" + (f" - 2*{P}" if P else "") + (f" + {more}" if more else "")
            for length, reaches, S, P, more in numbers
        ]
        FG, (KH, KW) = self.out_channels // self.groups, self.kernel_size
        stride, padding = setting("stride", self.stride, 1), setting("padding", self.padding, 0)
        return LayerInfo(
            (N, self.out_channels, OH, OW),
            ", ".join([f"transposed conv {KH}x{KW}x{FG}", *stride, *padding, *self._gaps()]),
            both(f"{formulas[0]} = {OH}", f"{formulas[1]} = {OW}"),
            macs=C * H * W * FG * KH * KW,
            columns=N * self.out_channels * KH * KW * H * W,
            groups=self.groups,
            box="maps",
            notes=(f"transposed {KH}x{KW}x{FG}", *stride, *setting("dilation", self.dilation, 1)),
        )

    def to_onnx(self, graph: OnnxGraph) -> None:
        window = self._onnx_window() | {"pads": self.padding * 2, "output_padding": self.output_padding}
        graph.add("ConvTranspose", *graph.parameters(), **window)
