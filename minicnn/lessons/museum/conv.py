"""Broken convolutions, and im2col on its own."""

from functools import partial
from types import ModuleType
from typing import Any

from minicnn.autograd import Function
from minicnn.backend import Array
from minicnn.lessons.museum.exhibit import Exhibit, normal
from minicnn.ops.conv import Conv2d


class Im2col(Function):
    """All 3x3 windows of an image, x (N, C, H, W) -> y (3, 3, N, C, H - 2, W - 2); backward is col2im."""

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.input_shape = x.shape
        H, W = x.shape[2:]
        shifts = [x[:, :, kh : kh + H - 2, kw : kw + W - 2] for kh in range(3) for kw in range(3)]
        return xp.stack(shifts).reshape(3, 3, *shifts[0].shape)

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        grad_x = xp.zeros(self.input_shape, dtype=grad_output.dtype)
        H, W = self.input_shape[2:]
        for kh in range(3):
            for kw in range(3):
                grad_x[:, :, kh : kh + H - 2, kw : kw + W - 2] += grad_output[kh, kw]
        return grad_x


class Col2imOverwrites(Im2col):
    """col2im with = instead of +=: of all windows that contain a pixel, only the last one counts.

    Tempting because col2im is im2col with the two sides of the assignment exchanged.

    Symptom: right as long as windows do not overlap, which is how it is tested. With overlapping windows the input
    gradient is wrong everywhere but in the corners; only the layers *below* the convolution learn badly.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        grad_x = xp.zeros(self.input_shape, dtype=grad_output.dtype)
        H, W = self.input_shape[2:]
        for kh in range(3):
            for kw in range(3):
                grad_x[:, :, kh : kh + H - 2, kw : kw + W - 2] = grad_output[kh, kw]
        return grad_x


class ConvFlipsFilters(Conv2d):
    """The filters are rotated by 180 degrees before the input gradient is computed with col2im.

    Tempting because every text says that the input gradient is a convolution with the flipped filter. It is, when it
    is computed as a convolution. col2im scatters instead of gathering, and scattering flips already.

    Symptom: right for filters that look the same upside down; the weight gradients are right, so the last convolution
    trains and the ones below drift.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Any:
        self.w = self.w[:, :, ::-1, ::-1]
        return super().backward(xp, grad_output)


_IMAGES = normal((2, 2, 5, 5))


EXHIBITS = [
    Exhibit(
        "col2im-overwrites",
        Col2imOverwrites,
        Im2col,
        _IMAGES,
        "gradcheck",
        "How many windows contain the middle pixel?",
    ),
    Exhibit(
        "conv-flips-filters",
        partial(ConvFlipsFilters, (1, 1), (1, 1), 1),
        partial(Conv2d, (1, 1), (1, 1), 1),
        normal((2, 2, 5, 5), (3, 2, 3, 3), (3,)),
        "gradcheck",
        "Follow one pixel: by which weight is it multiplied in forward, and by which is its gradient?",
    ),
]
