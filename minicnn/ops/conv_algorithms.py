"""Convolution by faster algorithms: direct, without im2col's matrix, and Winograd's, with fewer multiplications.

Letters as in ``conv``: N images, C channels, H W height and width, F filters, KH KW kernel, SH SW stride, PH PW
padding, OH OW output height and width, G groups, CG = C / G.
"""

from types import ModuleType
from typing import Any

from minicnn import kernels
from minicnn.backend import Array, empty, get_num_threads, split
from minicnn.kernels.winograd import KERNEL_SIZES, TILE
from minicnn.ops.algorithms import add_algorithm
from minicnn.ops.conv import Conv2d

__all__ = ["DirectConv2d", "WinogradConv2d"]

VECTOR_CHANNELS = 16  # channels and filters: on every processor they fill whole vectors
ENOUGH = 1024  # pixels

Pair = tuple[int, int]
Shape = tuple[int, ...]


class DirectConv2d(Conv2d):
    """The same equations without the matrix X: the kernel reads every window in place from the image.

    This saves the memory of the columns and the time to write them; only the filters are rearranged, by each core for
    itself. At stride 1, dL/dx is a convolution again: of dL/dY, padded by KH - 1 - PH, with every filter rotated by 180
    degrees, and filters and channels exchanged. At another stride, a backward pass that needs dL/dx uses im2col.
    """

    textbook, algorithm = Conv2d, "direct"

    def forward(self, xp: ModuleType, x: Array, w: Array, b: Array | None) -> Array:
        self.x, self.w = xp.ascontiguousarray(x), xp.ascontiguousarray(w)
        bias = xp.zeros(len(w), dtype=w.dtype) if b is None else xp.ascontiguousarray(b)
        return self.convolved(xp, self.x, self.w, bias, self.stride, self.padding)

    def backward(self, xp: ModuleType, grad_output: Array) -> Any:
        wants_x, wants_w, wants_b = self.needs_input_grad
        if wants_x and self.stride != (1, 1):
            return super().backward(xp, grad_output)
        grad_y = xp.ascontiguousarray(grad_output)
        grad_x = None
        if wants_x:
            (PH, PW), (C, (KH, KW)) = self.padding, (self.x.shape[1], self.w.shape[2:])
            no_bias = xp.zeros(C, dtype=self.w.dtype)
            padding = KH - 1 - PH, KW - 1 - PW
            grad_x = self.convolved(xp, grad_y, self.rotated_filters(xp), no_bias, (1, 1), padding)
        return grad_x, self.grad_w(xp, grad_y) if wants_w else None, self.grad_b(xp, grad_y) if wants_b else None

    def convolved(
        self, xp: ModuleType, x: Array, w: Array, b: Array, stride: tuple[int, int], padding: tuple[int, int]
    ) -> Array:
        """Return the convolution of x with w, in the same groups as self."""
        (N, _, H, W), (F, CG, KH, KW), FG = x.shape, w.shape, len(w) // self.groups
        OH, OW = (H + 2 * padding[0] - KH) // stride[0] + 1, (W + 2 * padding[1] - KW) // stride[1] + 1
        y = empty(xp, (N, F, OH, OW), x.dtype)

        def some_images(start: int, stop: int) -> None:
            kernels.conv2d(x[start:stop], w, b, *stride, *padding, y[start:stop])

        def some_filters(start: int, stop: int) -> None:
            for g in range(start // FG, -(-stop // FG)):
                group, filters = slice(g * CG, (g + 1) * CG), slice(max(start, g * FG), min(stop, (g + 1) * FG))
                kernels.conv2d(image[:, group], w[filters], b[filters], *stride, *padding, y[n : n + 1, filters])

        if N >= get_num_threads():
            split(xp, N, some_images)
        else:  # too few images for the cores: they share the filters, image by image
            for n in range(N):
                image = x[n : n + 1]
                split(xp, F, some_filters)
        return y

    def grad_w(self, xp: ModuleType, grad_y: Array) -> Array:
        """Return dL/dw."""
        sums: dict[int, Array] = {}  # one for each core, added up in the same order every time

        def some_images(start: int, stop: int) -> None:
            sums[start] = xp.empty_like(self.w)
            self.grad_w_of(self.x[start:stop], grad_y[start:stop], sums[start])

        split(xp, len(grad_y), some_images)
        return sum(sums[start] for start in sorted(sums))

    def grad_w_of(self, x: Array, grad_y: Array, grad_w: Array) -> None:
        """Compute dL/dw of some images."""
        kernels.conv2d_grad_w(x, grad_y, *self.stride, *self.padding, grad_w)

    def grad_b(self, xp: ModuleType, grad_y: Array) -> Array:
        """Return dL/db."""
        by_image = xp.empty(grad_y.shape[:2], dtype=grad_y.dtype)
        split(xp, len(grad_y), lambda i, j: grad_y[i:j].sum(axis=(2, 3), out=by_image[i:j]))
        return by_image.sum(axis=0)

    def rotated_filters(self, xp: ModuleType) -> Array:
        """Return the filters for dL/dx: (C, F/G, KH, KW)."""
        (F, CG, KH, KW), G = self.w.shape, self.groups
        exchanged = self.w.reshape(G, F // G, CG, KH, KW).swapaxes(1, 2).reshape(G * CG, F // G, KH, KW)
        return xp.ascontiguousarray(exchanged[:, :, ::-1, ::-1])


class WinogradConv2d(DirectConv2d):
    """The same equations with fewer multiplications: 36 for 4x4 outputs of a 3x3 kernel instead of 144.

    A convolution is a product of polynomials, and these can be multiplied through their values at a few points: see
    ``kernels/winograd.py``. Only for kernels of 3x3 and 5x5 at stride 1: all convolutions of AlexNet but the first.
    """

    algorithm = "winograd"

    def convolved(
        self, xp: ModuleType, x: Array, w: Array, b: Array, stride: tuple[int, int], padding: tuple[int, int]
    ) -> Array:
        """Return the convolution of x with w, in the same groups as self."""
        (N, _, H, W), (F, CG, size, _), (PH, PW) = x.shape, w.shape, padding
        filters = xp.empty((TILE, TILE, F, CG), dtype=w.dtype)
        split(xp, CG, lambda i, j: kernels.winograd_filters(w, self.groups, i, j, filters))
        y = empty(xp, (N, F, H + 2 * PH - size + 1, W + 2 * PW - size + 1), x.dtype)
        split(xp, N, lambda i, j: kernels.winograd_conv2d(x[i:j], filters, b, PH, PW, y[i:j]))
        return y

    def grad_w_of(self, x: Array, grad_y: Array, grad_w: Array) -> None:
        """Compute dL/dw of some images."""
        kernels.winograd_grad_w(x, grad_y, *self.padding, grad_w)


# --- when they run --------------------------------------------------------------------------------------------------


def direct_is_possible(
    running: str, x: Shape, w: Shape, stride: Pair, padding: Pair, groups: int, dilation: Pair
) -> bool:
    """On the CPU, without dilation.

    Unless there are windows of nothing but padding: then dL/dx is no convolution of dL/dY.
    """
    return running != "cuda" and dilation == (1, 1) and padding[0] < w[2] and padding[1] < w[3]


def direct_is_faster(running: str, *case: Any) -> bool:
    """Whenever it is compiled."""
    return running == "numba"


def winograd_is_possible(
    running: str, x: Shape, w: Shape, stride: Pair, padding: Pair, groups: int, dilation: Pair
) -> bool:
    """For kernels of 3x3 and 5x5 at stride 1, if channels and filters fill whole vectors."""
    F, CG, KH, KW = w
    whole_vectors = CG % VECTOR_CHANNELS == 0 and F // groups % VECTOR_CHANNELS == 0
    fits = KH == KW and KH in KERNEL_SIZES and stride == (1, 1) and whole_vectors
    return fits and direct_is_possible(running, x, w, stride, padding, groups, dilation)


def winograd_is_faster(
    running: str, x: Shape, w: Shape, stride: Pair, padding: Pair, groups: int, dilation: Pair
) -> bool:
    """With enough pixels, as transforming the filters takes as long as sliding them over some hundred of them."""
    (N, _, H, W), (_, _, KH, KW), (PH, PW) = x, w, padding
    enough = N * (H + 2 * PH - KH + 1) * (W + 2 * PW - KW + 1) >= ENOUGH
    return running == "numba" and enough and N >= get_num_threads()


add_algorithm(WinogradConv2d, winograd_is_faster, winograd_is_possible)
add_algorithm(DirectConv2d, direct_is_faster, direct_is_possible)
