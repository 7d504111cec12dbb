"""Transposed convolution: the backward pass of a convolution, dL/dx, as an operation of its own.

It undoes what a convolution does to the size of an image: with stride 2, H and W double instead of halving. Decoders
and generators use it, and it shows what the gradient of a convolution looks like.

Letters: N images, C channels, H W height and width, F channels of the output, KH KW kernel, SH SW stride, PH PW
padding, DH DW dilation, OH OW output height and width, G groups, CG = C / G, FG = F / G.
"""

from types import ModuleType
from typing import Any, ClassVar

from minicnn import kernels
from minicnn.arguments import pair, same_dtype, whole
from minicnn.autograd import Function, Tensor, Window, as_tensor
from minicnn.backend import Array, empty, product, split
from minicnn.ops.windows import batched, reach

__all__ = ["ConvTranspose2d", "conv_transpose2d", "transposed_length"]

Pair = tuple[int, int]


def transposed_length(length: int, window: int, stride: int, padding: int, output_padding: int) -> int:
    """Return one side of the output: the image that `length` windows cover, without its padding.

    At a stride above 1, several images have that many windows: `output_padding` chooses a larger one.
    """
    return (length - 1) * stride + window - 2 * padding + output_padding


class ConvTranspose2d(Function):
    """y[n, f, h, w] = b[f] + sum over c, kh, kw, ih, iw of  w[c, f, kh, kw] x[n, c, ih, iw]  that meet there.

    Each x writes a window, where a convolution's y reads one: place (kh, kw) of the window of (ih, iw) meets the pixel
    at row ih SH - PH + kh DH and column iw SW - PW + kw DW. So y is dL/dx of conv2d, with x for its dL/dY:

        Y = col2im(W^T X) + b.

    Backward exchanges the two again. With im2col, the transpose of col2im, it is conv2d's forward and its dL/dW,

        dL/dX = W im2col(dL/dY),    dL/dW = X im2col(dL/dY)^T,    dL/db = sum of dL/dY over n, h, w.

    Shapes: x (N, C, H, W) as X (CG, H W), w (C, FG, KH, KW) as W (CG, FG KH KW), for each image and group;
    b (F,), y (N, F, OH, OW) with OH = (H - 1) SH - 2 PH + (KH - 1) DH + 1, and output_padding more.
    Zeiler, Krishnan, Taylor and Fergus 2010, "Deconvolutional networks"; Dumoulin and Visin 2016, chapter 4.
    """

    needed_by: ClassVar = {0: (1,), 1: (0,)}

    def __init__(self, stride: Pair, padding: Pair, output_padding: Pair, groups: int, dilation: Pair) -> None:
        self.stride, self.padding, self.output_padding = stride, padding, output_padding
        self.groups, self.dilation = groups, dilation

    @property
    def reads(self) -> Window | None:
        if self.stride != (1, 1):  # windows meet at a fraction of a place
            return None
        RH, RW = reach(self.w.shape[2:], self.dilation)
        return Window((RH, RW), (1, 1), (RH - 1 - self.padding[0], RW - 1 - self.padding[1]))

    def forward(self, xp: ModuleType, x: Array, w: Array, b: Array | None) -> Array:
        self.x, self.w = xp.ascontiguousarray(x), xp.ascontiguousarray(w)
        y = empty(xp, self.output_shape(), x.dtype)
        rows = self.weights_as_rows()

        def some_images(start: int, stop: int) -> None:
            for n in range(start, stop):
                col = product(xp, rows.swapaxes(1, 2), self.in_groups(self.x[n]))  # (G, FG KH KW, CG) @ (G, CG, H W)
                kernels.col2im(col.reshape(self.columns_shape()), *self.window(), y[n : n + 1])
                if b is not None:
                    y[n] += b[:, None, None]

        split(xp, len(x), some_images)
        return y

    def backward(self, xp: ModuleType, grad_output: Array) -> Any:
        wants_x, wants_w, wants_b = self.needs_input_grad
        grad_y, rows = xp.ascontiguousarray(grad_output), self.weights_as_rows()
        grad_x = empty(xp, self.x.shape, self.x.dtype) if wants_x else None
        sums: dict[int, Array] = {}  # one for each core, added up in the same order every time

        def some_images(start: int, stop: int) -> None:
            sums[start] = xp.zeros_like(rows)
            col = xp.empty(self.columns_shape(), rows.dtype)
            for n in range(start, stop):
                kernels.im2col(grad_y[n : n + 1], *self.window(), col)
                columns = self.in_groups(col)  # (G, FG KH KW, H W)
                if grad_x is not None:
                    grad_x[n] = product(xp, rows, columns).reshape(grad_x[n].shape)
                if wants_w:
                    sums[start] += product(xp, self.in_groups(self.x[n]), columns.swapaxes(1, 2))

        split(xp, len(grad_y), some_images)
        grad_w = sum(sums[start] for start in sorted(sums)).reshape(self.w.shape) if wants_w else None
        return grad_x, grad_w, grad_y.sum(axis=(0, 2, 3)) if wants_b else None

    def output_shape(self) -> tuple[int, int, int, int]:
        """Return N, F, OH, OW."""
        settings = self.stride, self.padding, self.output_padding
        sides = zip(self.x.shape[2:], reach(self.w.shape[2:], self.dilation), *settings, strict=True)
        OH, OW = (transposed_length(*side) for side in sides)
        return len(self.x), self.groups * self.w.shape[1], OH, OW

    def columns_shape(self) -> tuple[int, ...]:
        """Return the shape of one image's columns, as the kernels take them: (F, KH, KW, 1, H, W)."""
        return self.groups * self.w.shape[1], *self.w.shape[2:], 1, *self.x.shape[2:]

    def window(self) -> tuple[int, int, int, int, int, int, int, int]:
        """Return KH, KW, SH, SW, PH, PW, DH, DW, as the kernels take them."""
        KH, KW = self.w.shape[2:]
        return KH, KW, *self.stride, *self.padding, *self.dilation

    def weights_as_rows(self) -> Array:
        """Return the weights as G matrices of shape (CG, FG KH KW)."""
        return self.w.reshape(self.groups, len(self.w) // self.groups, -1)

    def in_groups(self, image: Array) -> Array:
        """Return an image, or columns, as G matrices with a column for each pixel of the input: (G, ..., H W)."""
        H, W = self.x.shape[2:]
        return image.reshape(self.groups, -1, H * W)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """Let every pixel write a window: what :func:`conv2d` does backwards to the gradient of its output.

    The result has the shape of an image that ``conv2d``, with the same weight and settings, turns into the shape of
    `input`. It is the gradient of that image, not its inverse.

    Parameters
    ----------
    input : Tensor of shape (N, C, H, W) or (C, H, W)
        Images, float32 or float64, or one image.
    weight : Tensor of shape (C, F / groups, KH, KW)
        What each channel writes, of the same dtype: a weight of ``conv2d``, whose filters are the channels here.
    bias : Tensor of shape (F,), optional
        One number added to each channel of the output.
    stride : int or pair of ints
        Steps between the windows in the output.
    padding : int or pair of ints
        Rows and columns that are dropped on every side of the output: the padding of the convolution.
    output_padding : int or pair of ints
        Rows and columns added below and at the right, to choose among the sizes that the convolution turns into the
        same one. Less than the stride or the dilation.
    groups : int
        Channels are divided into this many groups, each of which writes its own channels of the output.
    dilation : int or pair of ints
        Steps between the pixels that a window writes.

    Returns
    -------
    Tensor of shape (N, F, OH, OW) or (F, OH, OW)
        ``OH = (H - 1) stride - 2 padding + dilation (KH - 1) + output_padding + 1``, and OW likewise.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, or does not fit the others: the message names it.

    References
    ----------
    Zeiler, Krishnan, Taylor and Fergus 2010, "Deconvolutional networks". Dumoulin and Visin 2016, "A guide to
    convolution arithmetic for deep learning", chapter 4.

    Examples
    --------
    >>> import minicnn
    >>> import minicnn.functional as F
    >>> image, window = minicnn.Tensor([[[[1.0, 10.0]]]]), minicnn.Tensor([[[[1.0, 2.0, 3.0]]]])
    >>> F.conv_transpose2d(image, window)
    Tensor([[[[ 1., 12., 23., 30.]]]], dtype=float32)
    """
    name = "conv_transpose2d"
    input, alone = batched(name, input)
    weight = as_tensor(weight)
    bias = None if bias is None else as_tensor(bias)
    same_dtype(name, input=input, weight=weight, bias=bias)
    stride, dilation = pair(name, "stride", stride, 1), pair(name, "dilation", dilation, 1)
    padding, output_padding = pair(name, "padding", padding, 0), pair(name, "output_padding", output_padding, 0)
    groups = whole(name, "groups", groups, 1)
    if weight.ndim != 4 or 0 in weight.shape:
        raise ValueError(f"{name}: weight must have shape (C, F / groups, KH, KW), none of them 0, got {weight.shape}")
    (_, C, H, W), (channels, FG, KH, KW) = input.shape, weight.shape
    filters = groups * FG
    if channels != C:
        raise ValueError(f"{name}: weight must have shape ({C}, ...) for {C} channels of input, got {weight.shape}")
    if C % groups:
        raise ValueError(f"{name}: input has {C} channels, which do not divide into groups={groups}")
    if bias is not None and bias.shape != (filters,):
        raise ValueError(f"{name}: bias must have shape ({filters},), one number a channel, got {bias.shape}")
    if any(more >= max(S, D) for more, S, D in zip(output_padding, stride, dilation, strict=True)):
        raise ValueError(
            f"{name}: output_padding must be less than stride={stride} or dilation={dilation}, got {output_padding}"
        )
    sides = zip((H, W), reach((KH, KW), dilation), stride, padding, output_padding, strict=True)
    if min(transposed_length(*side) for side in sides) < 1:
        raise ValueError(f"{name}: padding must leave something of the output, got {padding}")
    y = ConvTranspose2d(stride, padding, output_padding, groups, dilation)(input, weight, bias)
    return y.reshape(y.shape[1:]) if alone else y
