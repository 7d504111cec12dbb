"""Pooling: the maximum, or the average, of each window.

Letters: N images, C channels, H W height and width, KH KW window, SH SW stride, PH PW padding, DH DW dilation,
OH OW output.
"""

from types import ModuleType
from typing import Any

from minicnn import kernels
from minicnn.arguments import pair, switch, whole
from minicnn.autograd import Function, Tensor, Window
from minicnn.backend import Array, empty, get_array_module, split
from minicnn.ops.windows import batched, reach

__all__ = ["AvgPool2d", "MaxPool2d", "avg_pool2d", "max_pool2d"]

Pair = tuple[int, int]


def output_length(length: int, window: int, stride: int, padding: int, ceil_mode: bool) -> int:
    """Return how many windows fit along one side: (length + 2 padding - window) / stride + 1, rounded.

    Rounding up lets the last window extend beyond the edge, but none may start beyond it (PyTorch's rule, and Caffe's).
    """
    steps, rest = divmod(length + 2 * padding - window, stride)
    if ceil_mode and rest and (steps + 1) * stride < length + padding:
        steps += 1
    return steps + 1


class _Pool2d(Function):
    dilation: Pair = (1, 1)

    def __init__(self, kernel_size: Pair, stride: Pair, padding: Pair, ceil_mode: bool) -> None:
        self.kernel_size, self.stride, self.padding, self.ceil_mode = kernel_size, stride, padding, ceil_mode

    def window(self) -> tuple[int, int, int, int, int, int]:
        """Return KH, KW, SH, SW, PH, PW, as the kernels take them."""
        return (*self.kernel_size, *self.stride, *self.padding)

    @property
    def reads(self) -> Window:
        return Window(reach(self.kernel_size, self.dilation), self.stride, self.padding)

    def output_shape(self, x: Array) -> tuple[int, int, int, int]:
        N, C, H, W = x.shape
        (RH, RW), (SH, SW), (PH, PW) = reach(self.kernel_size, self.dilation), self.stride, self.padding
        return N, C, output_length(H, RH, SH, PH, self.ceil_mode), output_length(W, RW, SW, PW, self.ceil_mode)


class MaxPool2d(_Pool2d):
    """y[n, c, oh, ow] = the largest x in the window;  dL/dx: each dL/dy goes to the first largest element, and adds up.

    Where windows overlap (kernel larger than stride) one element can be the maximum of several, and gets the sum.
    Padding counts as minus infinity, so it is never the maximum; NaN counts as larger than every number.
    Shapes: x (N, C, H, W), y (N, C, OH, OW). Krizhevsky et al. 2012, section 3.4: 3x3 windows at stride 2.
    """

    def __init__(
        self, kernel_size: Pair, stride: Pair, padding: Pair, ceil_mode: bool, dilation: Pair = (1, 1)
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.dilation = dilation

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.input_shape = x.shape
        KH, KW = self.kernel_size
        x, window = xp.ascontiguousarray(x), (*self.window(), *self.dilation)
        y = empty(xp, self.output_shape(x), x.dtype)
        # the position of each maximum in its window: a byte is enough for windows up to 16x16
        self.index = empty(xp, y.shape, xp.uint8 if KH * KW <= 256 else xp.int32)
        split(xp, len(x), lambda i, j: kernels.max_pool2d_forward(x[i:j], *window, y[i:j], self.index[i:j]))
        return y

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        grad_y, index, window = xp.ascontiguousarray(grad_output), self.index, (*self.window(), *self.dilation)
        grad_x = empty(xp, self.input_shape, grad_y.dtype)
        split(
            xp,
            len(grad_x),
            lambda i, j: kernels.max_pool2d_backward(grad_y[i:j], index[i:j], *window, grad_x[i:j]),
        )
        return grad_x

    def places(self, xp: ModuleType) -> Array:
        """Return the index of each maximum among the pixels of its channel, h W + w, known after forward."""
        (_, KW, SH, SW, PH, PW), (DH, DW), (OH, OW) = self.window(), self.dilation, self.index.shape[2:]
        index = self.index.astype(xp.int64)
        h = xp.arange(OH)[:, None] * SH - PH + index // KW * DH
        w = xp.arange(OW) * SW - PW + index % KW * DW
        return h * self.input_shape[3] + w


class AvgPool2d(_Pool2d):
    """y[n, c, oh, ow] = (sum of x in the window) / divisor;  dL/dx = the sum of dL/dy / divisor over its windows.

    The divisor is the window's size, with or without padding. Shapes: x (N, C, H, W), y (N, C, OH, OW).
    AlexNet has no average pooling; LeNet-5 and the cuda-convnet networks before it do.
    """

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair,
        padding: Pair,
        ceil_mode: bool,
        count_include_pad: bool,
        divisor_override: int | None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.input_shape = x.shape
        x = xp.ascontiguousarray(x)
        y = empty(xp, self.output_shape(x), x.dtype)
        self.divisor = self.divisors(xp, *x.shape[2:], *y.shape[2:]).astype(x.dtype)
        split(xp, len(x), lambda i, j: kernels.avg_pool2d_forward(x[i:j], *self.window(), self.divisor, y[i:j]))
        return y

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        grad_y, divisor = xp.ascontiguousarray(grad_output), self.divisor
        grad_x = empty(xp, self.input_shape, grad_y.dtype)
        split(
            xp,
            len(grad_x),
            lambda i, j: kernels.avg_pool2d_backward(grad_y[i:j], *self.window(), divisor, grad_x[i:j]),
        )
        return grad_x

    def divisors(self, xp: ModuleType, H: int, W: int, OH: int, OW: int) -> Array:
        """Return the divisor of each window's sum: (OH, OW)."""
        if self.divisor_override is not None:
            return xp.full((OH, OW), self.divisor_override)
        KH, KW, SH, SW, PH, PW = self.window()
        # A window that hangs over the far edge of the padding is cut there, whether padding is counted or not.
        edge = (PH, PW) if self.count_include_pad else (0, 0)
        top, left = xp.arange(OH) * SH - PH, xp.arange(OW) * SW - PW
        bottom, right = xp.minimum(top + KH, H + PH), xp.minimum(left + KW, W + PW)
        high = xp.minimum(bottom, H + edge[0]) - xp.maximum(top, -edge[0])
        wide = xp.minimum(right, W + edge[1]) - xp.maximum(left, -edge[1])
        return high[:, None] * wide[None, :]


def _checked(
    function: str,
    input: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    dilation: Pair = (1, 1),
) -> tuple[Tensor, bool, Pair, Pair, Pair]:
    """Check the arguments that both kinds of pooling have."""
    tensor, alone = batched(function, input)
    kernel = pair(function, "kernel_size", kernel_size, 1)
    steps = kernel if stride is None else pair(function, "stride", stride, 1)
    pad, window = pair(function, "padding", padding, 0), reach(kernel, dilation)
    if 2 * pad[0] > kernel[0] or 2 * pad[1] > kernel[1]:
        raise ValueError(f"{function}: padding must be at most half of kernel_size={kernel}, got {padding!r}")
    sides = zip(tensor.shape[2:], window, steps, pad, strict=True)
    if min(output_length(*side, ceil_mode) for side in sides) < 1:
        high, wide = tensor.shape[2] + 2 * pad[0], tensor.shape[3] + 2 * pad[1]
        gaps = f" that reaches over {window[0]}x{window[1]} with dilation={dilation}" if window != kernel else ""
        raise ValueError(
            f"{function}: kernel_size {kernel_size!r}{gaps} is larger than the padded input of {high}x{wide}"
        )
    return tensor, alone, kernel, steps, pad


def _has_pixels(operation: MaxPool2d, x: Tensor) -> bool:
    """Whether every window has a pixel of the image: dilation can leave nothing in it but padding."""
    outputs = operation.output_shape(x.data)[2:]
    settings = operation.kernel_size, operation.stride, operation.padding, operation.dilation
    return all(
        any(0 <= output * S - P + k * D < length for k in range(K))
        for length, count, K, S, P, D in zip(x.shape[2:], outputs, *settings, strict=True)
        for output in range(count)
    )


def max_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the maximum of each window.

    Parameters
    ----------
    input : Tensor of shape (N, C, H, W) or (C, H, W)
        Images, or one image.
    kernel_size : int or pair of ints
        The size of the window. If it is larger than the stride, windows overlap, as in AlexNet: 3 at stride 2.
    stride : int or pair of ints, optional
        Steps between windows; the window size by default.
    padding : int or pair of ints
        Minus infinity around the image, at most half the window wide.
    dilation : int or pair of ints
        Steps between the pixels of a window: 2 leaves a gap of one pixel between them.
    ceil_mode : bool
        Let the last window extend beyond the edge instead of ignoring the rest of the image (as Caffe does).
    return_indices : bool
        Return where the maxima are, too.

    Returns
    -------
    Tensor of shape (N, C, OH, OW) or (C, OH, OW)
        With `return_indices` a tuple ``(maxima, indices)``; an index is ``h * W + w``, of int64.

    Raises
    ------
    ValueError
        Also if a window has no pixel in it: with dilation and padding it can reach around a small image.

    References
    ----------
    Krizhevsky et al. 2012, section 3.4.
    """
    dilation = pair("max_pool2d", "dilation", dilation, 1)
    return_indices = switch("max_pool2d", "return_indices", return_indices)
    tensor, alone, kernel, steps, pad = _checked("max_pool2d", input, kernel_size, stride, padding, ceil_mode, dilation)
    operation = MaxPool2d(kernel, steps, pad, bool(ceil_mode), dilation)
    if dilation != (1, 1) and not _has_pixels(operation, tensor):
        raise ValueError(
            f"max_pool2d: every window must have a pixel of the input, got dilation={dilation} and padding={pad} "
            f"for {tensor.shape[2]}x{tensor.shape[3]} pixels"
        )
    y = operation(tensor)
    found = [y, Tensor(operation.places(get_array_module(y.data)))] if return_indices else [y]
    found = [one.reshape(one.shape[1:]) for one in found] if alone else found
    return tuple(found) if return_indices else found[0]


def avg_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Return the average of each window.

    Parameters
    ----------
    input : Tensor of shape (N, C, H, W) or (C, H, W)
    kernel_size, stride, padding, ceil_mode
        As in :func:`max_pool2d`, with zeros as padding.
    count_include_pad : bool
        Whether the average includes the padding.
    divisor_override : int, optional
        Divide every window's sum by this instead of by its size.

    Returns
    -------
    Tensor of shape (N, C, OH, OW) or (C, OH, OW)
    """
    tensor, alone, kernel, steps, pad = _checked("avg_pool2d", input, kernel_size, stride, padding, ceil_mode)
    if divisor_override is not None:
        divisor_override = whole("avg_pool2d", "divisor_override", divisor_override, 1)
    y = AvgPool2d(kernel, steps, pad, bool(ceil_mode), bool(count_include_pad), divisor_override)(tensor)
    return y.reshape(y.shape[1:]) if alone else y
