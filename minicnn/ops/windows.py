"""What convolution and pooling have in common: images with or without a batch, the reach of a window, padding."""

from typing import Any

from minicnn.arguments import image, pair
from minicnn.autograd import Tensor, as_tensor

__all__ = ["batched", "margins", "reach"]

Pair = tuple[int, int]


def batched(function: str, input: Any) -> tuple[Tensor, bool]:
    """Return images (N, C, H, W), and whether it is one image (C, H, W) that became a batch of one."""
    tensor = as_tensor(input)
    if tensor.ndim not in (3, 4):
        raise ValueError(f"{function}: input must have shape (N, C, H, W) or (C, H, W), got {tensor.shape}")
    alone = tensor.ndim == 3
    batch = tensor.reshape(1, *tensor.shape) if alone else tensor
    image(function, batch)
    return batch, alone


def reach(size: Pair, dilation: Pair) -> Pair:
    """Return over how many rows and columns a window extends, with the gaps that dilation leaves in it."""
    return (size[0] - 1) * dilation[0] + 1, (size[1] - 1) * dilation[1] + 1


def margins(function: str, padding: Any, reach: Pair, stride: Pair) -> tuple[Pair, Pair]:
    """Return a convolution's padding before and behind the image, each in height and width.

    "valid" is none. "same" keeps the image's size: windows of an even reach need one more row or column, which is
    behind.
    """
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        if stride != (1, 1):
            raise ValueError(f"{function}: stride must be 1 with padding='same', got {stride}")
        before = (reach[0] - 1) // 2, (reach[1] - 1) // 2
        return before, (reach[0] - 1 - before[0], reach[1] - 1 - before[1])
    if isinstance(padding, str):
        raise ValueError(f"{function}: padding must be 'same', 'valid', an integer or a pair, got {padding!r}")
    both = pair(function, "padding", padding, 0)
    return both, both
