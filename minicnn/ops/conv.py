"""Convolution, as textbooks have it: im2col makes every window a column, and one matrix product does the rest.

The same convolution by faster algorithms is in ``conv_algorithms``.

Letters: N images, C channels, H W height and width, F filters, KH KW kernel, SH SW stride, PH PW padding,
DH DW dilation, OH OW output height and width, G groups, CG = C / G.
"""

from collections.abc import Iterator
from types import ModuleType
from typing import Any, ClassVar

from minicnn import kernels
from minicnn.arguments import pair, same_dtype, whole
from minicnn.autograd import Function, Tensor, Window, as_tensor
from minicnn.backend import Array, empty, product, split, whole_images
from minicnn.ops.algorithms import choose
from minicnn.ops.shape import Pad
from minicnn.ops.windows import batched, margins, reach

__all__ = ["Conv2d", "conv2d"]


class Conv2d(Function):
    """y[n, f, oh, ow] = b[f] + sum over c, kh, kw of  w[f, c, kh, kw] x[n, c, oh SH - PH + kh DH, ow SW - PW + kw DW].

    With each window written as a column, X (CG KH KW, N OH OW), and each filter as a row, W (F/G, CG KH KW), this is
    Y = W X + b for each of the G groups of channels. Hence, with col2im adding up what several windows read,

        dL/dW = dL/dY X^T,    dL/dx = col2im(W^T dL/dY),    dL/db = sum of dL/dY over n, oh, ow.

    Shapes: x (N, C, H, W), w (F, CG, KH, KW), b (F,), y (N, F, OH, OW) with OH = (H + 2 PH - RH) // SH + 1, where
    RH = (KH - 1) DH + 1 is how far a window reaches: dilation leaves DH - 1 rows between those that it reads.
    X is KH KW / (SH SW) times as large as x: it is made for a few images at a time, and made again for the backward
    pass rather than kept. G = 2 are the two towers of Krizhevsky et al. 2012, section 3.5 and figure 2.
    """

    algorithm = "im2col"
    needed_by: ClassVar = {0: (1,), 1: (0,)}

    def __init__(
        self, stride: tuple[int, int], padding: tuple[int, int], groups: int, dilation: tuple[int, int] = (1, 1)
    ) -> None:
        self.stride, self.padding, self.groups, self.dilation = stride, padding, groups, dilation

    @property
    def reads(self) -> Window:
        return Window(reach(self.w.shape[2:], self.dilation), self.stride, self.padding)

    def forward(self, xp: ModuleType, x: Array, w: Array, b: Array | None) -> Array:
        self.x, self.w = xp.ascontiguousarray(x), w
        (N, F), (OH, OW) = (len(x), len(w)), self.output_size()
        y = empty(xp, (N, F, OH, OW), x.dtype)
        rows = self.filters_as_rows()
        bias = 0 if b is None else b[:, None, None]

        def some_images(start: int, stop: int) -> None:
            for images, col in self.columns(xp, OH, OW, start, stop):
                part = product(xp, rows, col)  # (G, F/G, CG KH KW) @ (G, CG KH KW, n OH OW)
                part = part.reshape(F, -1, OH, OW).swapaxes(0, 1)  # (G, F/G, n OH OW) -> (n, F, OH, OW)
                xp.add(part, bias, out=y[images])

        split(xp, N, some_images)
        return y

    def backward(self, xp: ModuleType, grad_output: Array) -> Any:
        wants_x, wants_w, wants_b = self.needs_input_grad
        N, F, OH, OW = grad_output.shape
        G, (_, CG, KH, KW) = self.groups, self.w.shape
        rows = self.filters_as_rows()
        grad_x = empty(xp, self.x.shape, self.x.dtype) if wants_x else None
        sums: dict[int, tuple[Array, Array]] = {}  # one for each core, added up in the same order every time

        def some_images(start: int, stop: int) -> None:
            grad_w = xp.zeros((G, CG * KH * KW, F // G), dtype=rows.dtype)
            grad_b = xp.zeros((G, F // G), dtype=rows.dtype)
            sums[start] = grad_w, grad_b
            for images, col in self.columns(xp, OH, OW, start, stop, filled=wants_w):
                grad_y = grad_output[images].swapaxes(0, 1).reshape(G, F // G, -1)  # (G, F/G, n OH OW)
                if wants_w:
                    # transposed, X (dL/dY)^T, because BLAS is faster with the longer side first
                    grad_w += product(xp, col, grad_y.swapaxes(1, 2))  # (G, CG KH KW, n OH OW) @ (G, n OH OW, F/G)
                if wants_b:
                    grad_b += grad_y.sum(axis=2)
                if wants_x:
                    product(xp, rows.swapaxes(1, 2), grad_y, out=col)  # (G, CG KH KW, F/G) @ (G, F/G, n OH OW)
                    grad_col = col.reshape(G * CG, KH, KW, -1, OH, OW)
                    window = KH, KW, *self.stride, *self.padding, *self.dilation
                    kernels.col2im(grad_col, *window, grad_x[images])  # type: ignore[index]

        split(xp, N, some_images)
        grad_w, grad_b = (sum(parts) for parts in zip(*(sums[start] for start in sorted(sums)), strict=True))
        grad_w = xp.ascontiguousarray(grad_w.swapaxes(1, 2)).reshape(self.w.shape)  # (G, CG KH KW, F/G) -> w's shape
        return grad_x, grad_w if wants_w else None, grad_b.reshape(F) if wants_b else None

    def output_size(self) -> tuple[int, int]:
        """Return OH and OW."""
        windows = zip(self.x.shape[2:], self.padding, reach(self.w.shape[2:], self.dilation), self.stride, strict=True)
        OH, OW = ((side + 2 * margin - window) // step + 1 for side, margin, window, step in windows)
        return OH, OW

    def filters_as_rows(self) -> Array:
        """Return the filters as G matrices of shape (F/G, CG KH KW)."""
        return self.w.reshape(self.groups, self.w.shape[0] // self.groups, -1)

    def columns(
        self, xp: ModuleType, OH: int, OW: int, start: int, stop: int, filled: bool = True
    ) -> Iterator[tuple[slice, Array]]:
        """Yield the images from start to stop a few at a time, with their columns (G, CG KH KW, n OH OW).

        The columns of all pieces are written into the same buffer, which is in the cache already.
        """
        C, (KH, KW) = self.x.shape[1], self.w.shape[2:]
        image_size = C * KH * KW * OH * OW
        images_at_once = min(stop - start, whole_images(xp, image_size * self.x.itemsize))
        buffer = xp.empty(images_at_once * image_size, dtype=self.x.dtype)
        for first in range(start, stop, max(1, images_at_once)):
            images = slice(first, min(first + images_at_once, stop))
            n = images.stop - images.start
            col = buffer[: n * image_size].reshape(C, KH, KW, n, OH, OW)
            if filled:
                kernels.im2col(self.x[images], KH, KW, *self.stride, *self.padding, *self.dilation, col)
            yield images, col.reshape(self.groups, C // self.groups * KH * KW, n * OH * OW)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Slide filters over images (a cross-correlation, as everywhere in deep learning).

    Parameters
    ----------
    input : Tensor of shape (N, C, H, W) or (C, H, W)
        Images, float32 or float64, or one image.
    weight : Tensor of shape (F, C / groups, KH, KW)
        Filters, of the same dtype.
    bias : Tensor of shape (F,), optional
        One number added to each filter's whole output.
    stride : int or pair of ints
        Steps between windows, in height and width.
    padding : int, pair of ints, "same" or "valid"
        Zeros around the image, in height and width. "valid" is none; "same" is as many as keep the image's size at
        stride 1, with one more behind than before it where the number is odd.
    dilation : int or pair of ints
        Steps between the pixels that a window reads: 2 leaves a gap of one pixel between them.
    groups : int
        Channels and filters are divided into this many groups, and a filter sees the channels of its own group: 2 makes
        AlexNet's two towers.

    Returns
    -------
    Tensor of shape (N, F, OH, OW) or (F, OH, OW)
        ``OH = (H + 2 padding - dilation (KH - 1) - 1) // stride + 1``, and OW likewise.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, or does not fit the others: the message names it.

    See Also
    --------
    minicnn.use_conv : Choose the algorithm.

    References
    ----------
    Krizhevsky et al. 2012, sections 3.2 (two towers) and 3.5 (the layers).
    """
    input, alone = batched("conv2d", input)
    weight = as_tensor(weight)
    bias = None if bias is None else as_tensor(bias)
    same_dtype("conv2d", input=input, weight=weight, bias=bias)
    stride, dilation = pair("conv2d", "stride", stride, 1), pair("conv2d", "dilation", dilation, 1)
    groups = whole("conv2d", "groups", groups, 1)
    if weight.ndim != 4 or 0 in weight.shape:
        raise ValueError(f"conv2d: weight must have shape (F, C / groups, KH, KW), none of them 0, got {weight.shape}")
    (_, C, H, W), (F, CG, KH, KW) = input.shape, weight.shape
    if C % groups:
        raise ValueError(f"conv2d: input has {C} channels, which do not divide into groups={groups}")
    if F % groups:
        raise ValueError(f"conv2d: weight has {F} filters, which do not divide into groups={groups}")
    if CG * groups != C:
        raise ValueError(
            f"conv2d: input has {C} channels, but weight of shape {weight.shape} with groups={groups} "
            f"takes {CG * groups}"
        )
    if bias is not None and bias.shape != (F,):
        raise ValueError(f"conv2d: bias must have shape ({F},), one number a filter, got {bias.shape}")
    window = reach((KH, KW), dilation)
    padding, behind = margins("conv2d", padding, window, stride)
    if behind != padding:
        input = Pad(((0, 0), (0, 0), (0, behind[0] - padding[0]), (0, behind[1] - padding[1])), 0.0)(input)
    high, wide = H + padding[0] + behind[0], W + padding[1] + behind[1]
    if window[0] > high or window[1] > wide:
        gaps = f" that reaches over {window[0]}x{window[1]} with dilation={dilation}" if window != (KH, KW) else ""
        raise ValueError(f"conv2d: weight has a {KH}x{KW} kernel{gaps}, larger than the padded input of {high}x{wide}")
    operation = choose(Conv2d, input.data, input.shape, weight.shape, stride, padding, groups, dilation)
    y = operation(stride, padding, groups, dilation)(input, weight, bias)
    return y.reshape(y.shape[1:]) if alone else y
