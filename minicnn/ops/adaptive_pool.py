"""Average pooling to a given size, whatever the size of the image."""

from types import ModuleType
from typing import Any

from minicnn.arguments import floating, whole
from minicnn.autograd import Function, Tensor, as_tensor
from minicnn.backend import Array

__all__ = ["AdaptiveAvgPool2d", "adaptive_avg_pool2d", "adaptive_size", "spans"]

Pair = tuple[int, int]


class AdaptiveAvgPool2d(Function):
    """y_ij = the mean of x over rows floor(i H/OH) ... ceil((i+1) H/OH) - 1 and over columns likewise.

        dL/dx = the sum of dL/dy_ij / n over the windows ij that hold it, n being the numbers in each

    The windows overlap unless OH divides H. Shapes: x (..., H, W), y (..., OH, OW).
    """

    def __init__(self, output_size: Pair) -> None:
        self.output_size = output_size

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.input_shape = x.shape
        y = xp.empty((*x.shape[:-2], *self.output_size), x.dtype)
        for i, rows in enumerate(spans(x.shape[-2], self.output_size[0])):
            for j, columns in enumerate(spans(x.shape[-1], self.output_size[1])):
                y[..., i, j] = x[..., rows, columns].mean(axis=(-2, -1))
        return y

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        grad_x = xp.zeros(self.input_shape, grad_output.dtype)
        for i, rows in enumerate(spans(self.input_shape[-2], self.output_size[0])):
            for j, columns in enumerate(spans(self.input_shape[-1], self.output_size[1])):
                n = (rows.stop - rows.start) * (columns.stop - columns.start)
                grad_x[..., rows, columns] += grad_output[..., i : i + 1, j : j + 1] / n
        return grad_x


def spans(length: int, parts: int) -> list[slice]:
    """Return where each window begins and ends: -(-a // b) is a / b rounded up."""
    return [slice(i * length // parts, -(-(i + 1) * length // parts)) for i in range(parts)]


def adaptive_size(function: str, output_size: Any, shape: tuple[int, ...]) -> Pair:
    """Return the size of the output for an input of shape (N, C, H, W) or (C, H, W)."""
    if len(shape) not in (3, 4) or 0 in shape[-2:]:
        raise ValueError(f"{function}: input must have shape (N, C, H, W) or (C, H, W), got {shape}")
    sizes = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    if len(sizes) != 2:
        raise TypeError(f"{function}: output_size must be an integer, None, or a pair of them, got {output_size!r}")
    high, wide = (
        side if size is None else whole(function, "output_size", size, 1)
        for size, side in zip(sizes, shape[-2:], strict=True)
    )
    return high, wide


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Return the averages of as many windows as the output has places, spread evenly over the image.

    Parameters
    ----------
    input : Tensor of shape (N, C, H, W) or (C, H, W)
    output_size : int, None, or a pair of them
        OH and OW; None keeps H or W. Of an image of this size already, the input itself is returned.

    Returns
    -------
    Tensor of shape (N, C, OH, OW) or (C, OH, OW)
    """
    tensor = as_tensor(input)
    floating("adaptive_avg_pool2d", "input", tensor)
    size = adaptive_size("adaptive_avg_pool2d", output_size, tensor.shape)
    return tensor if size == tensor.shape[-2:] else AdaptiveAvgPool2d(size)(tensor)
