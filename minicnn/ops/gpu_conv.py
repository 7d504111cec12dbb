"""The textbook's convolution for a GPU: the same columns, with products that fill a GPU and copy nothing.

Letters as in ``conv``: N images, C channels, F filters, KH KW kernel, OH OW output height and width, G groups,
CG = C / G, and FG = F / G. K = CG KH KW is the length of a column, and L = n OH OW the number of columns of n images.
"""

from types import ModuleType
from typing import Any

from minicnn import kernels
from minicnn.backend import Array, empty
from minicnn.ops.algorithms import add_algorithm
from minicnn.ops.conv import Conv2d

__all__ = ["GpuConv2d", "slices_of"]

ALIGNED = 4  # numbers of single precision are 16 bytes: where rows begin elsewhere, tensor cores are slow

TILE = 128  # rows and columns of a product that one of a GPU's processors computes at a time
PROCESSORS = 132  # of an H100
SHORTEST = 1024  # columns in a slice: adding up the slices is to be cheap beside their products


class GpuConv2d(Conv2d):
    """The same equations by the same columns, with other products.

    All groups share one product, and transposed factors are read as they lie in memory. dL/dW is a small matrix whose
    numbers are long sums, one term for each of the L columns: its few tiles would leave most of a GPU's processors
    without work. So L is cut into slices; their products are computed side by side, and added in the same order every
    time.
    """

    textbook, algorithm = Conv2d, "im2col for GPUs"

    def forward(self, xp: ModuleType, x: Array, w: Array, b: Array | None) -> Array:
        self.x, self.w = xp.ascontiguousarray(x), xp.ascontiguousarray(w)
        (N, F), (OH, OW) = (len(x), len(w)), self.output_size()
        y, rows = empty(xp, (N, F, OH, OW), x.dtype), self.aligned_rows(xp)
        for images, col in self.columns(xp, OH, OW, 0, N):
            product = xp.empty((*rows.shape[:2], col.shape[2]), x.dtype)
            kernels.stacked_product(rows, col, product)  # (G, FG, K) @ (G, K, L)
            n = images.stop - images.start
            kernels.exchange(product.reshape(F, n, OH * OW), b, y[images].reshape(n, F, OH * OW))
        return y

    def backward(self, xp: ModuleType, grad_output: Array) -> Any:
        wants_x, wants_w, wants_b = self.needs_input_grad
        (N, F, OH, OW), (KH, KW), dtype = grad_output.shape, self.w.shape[2:], self.w.dtype
        rows = self.aligned_rows(xp)
        G, FG, K = rows.shape
        grad_x = empty(xp, self.x.shape, dtype) if wants_x else None
        grad_w = (xp.empty if N else xp.zeros)(self.w.shape, dtype) if wants_w else None
        grad_b = (xp.empty if N else xp.zeros)(F, dtype) if wants_b else None
        for images, col in self.columns(xp, OH, OW, 0, N, filled=wants_w):
            n = images.stop - images.start
            grad_y = xp.empty((G, FG, n * OH * OW), dtype)
            kernels.exchange(grad_output[images].reshape(n, F, OH * OW), None, grad_y.reshape(F, n, OH * OW))
            if grad_w is not None:
                of_piece = grad_w if images.start == 0 else xp.empty(grad_w.shape, dtype)
                self.add_slices(xp, grad_y, col, of_piece.reshape(G, FG, K))
                if of_piece is not grad_w:
                    grad_w += of_piece
            if grad_b is not None and images.start == 0:
                grad_y.sum(axis=2, out=grad_b.reshape(G, FG))
            elif grad_b is not None:
                grad_b += grad_y.sum(axis=2).reshape(F)
            if grad_x is not None:
                kernels.stacked_product(rows.swapaxes(1, 2), grad_y, col)  # (G, K, FG) @ (G, FG, L)
                grad_col = col.reshape(-1, KH, KW, n, OH, OW)
                window = KH, KW, *self.stride, *self.padding, *self.dilation
                kernels.col2im(grad_col, *window, grad_x[images])
        return grad_x, grad_w, grad_b

    def aligned_rows(self, xp: ModuleType) -> Array:
        """Return the filters as G matrices of shape (FG, K), whose rows begin where tensor cores read fast."""
        rows = self.filters_as_rows()
        if rows.shape[2] % ALIGNED == 0:
            return rows
        aligned = _aligned(xp, rows.shape, rows.dtype)
        aligned[...] = rows
        return aligned

    def add_slices(self, xp: ModuleType, grad_y: Array, col: Array, grad_w: Array) -> None:
        """Write dL/dY X^T into grad_w: (G, FG, L) times (G, L, K)."""
        (G, FG, L), K = grad_y.shape, col.shape[1]
        slices = slices_of(FG, K, L)
        if slices == 1 and K % ALIGNED == 0:
            kernels.stacked_product(grad_y, col.swapaxes(1, 2), grad_w)
            return
        parts = _aligned(xp, (G, slices, FG, K), grad_w.dtype)
        for g in range(G):
            y_slices = grad_y[g].reshape(FG, slices, -1).swapaxes(0, 1)
            x_slices = col[g].reshape(K, slices, -1).transpose(1, 2, 0)
            kernels.stacked_product(y_slices, x_slices, parts[g])  # (slices, FG, L / slices) @ (slices, L / slices, K)
        parts.sum(axis=1, out=grad_w)


def slices_of(M: int, N: int, length: int) -> int:
    """Return into how many slices a product's long inner side is cut: a power of two, so that they are aligned.

    Parameters
    ----------
    M, N : int
        The sides of the result.
    length : int
        The inner side. It is cut only into whole slices.

    Examples
    --------
    AlexNet's dL/dW for a batch of 128, of its first and of its third convolution:

    >>> slices_of(96, 363, 128 * 55 * 55), slices_of(384, 2304, 128 * 13 * 13)
    (32, 2)
    """
    tiles, slices = -(-M // TILE) * -(-N // TILE), 1
    while tiles * 2 * slices <= PROCESSORS and length % (2 * slices * ALIGNED) == 0:
        if length // (2 * slices) < SHORTEST:
            break
        slices *= 2
    return slices


def _aligned(xp: ModuleType, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an uninitialised array whose rows begin at multiples of 16 bytes."""
    width = -(-shape[-1] // ALIGNED) * ALIGNED
    return xp.empty((*shape[:-1], width), dtype)[..., : shape[-1]]


def _on_gpu(running: str, *case: Any) -> bool:
    return running == "cuda"


add_algorithm(GpuConv2d, faster=_on_gpu, possible=_on_gpu)
