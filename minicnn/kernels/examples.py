"""An example call of every kernel that is compiled: what ``warmup`` runs, so that Numba compiles it."""

from typing import Any

import numpy as np

__all__ = ["examples"]


def examples(dtype: Any) -> list[tuple[str, tuple[Any, ...]]]:
    """Return the names of the kernels with small arguments, some for several of their code paths."""
    x, small = np.ones((1, 2, 4, 4), dtype), np.ones((1, 2, 3, 3), dtype)
    window, gaps, index = (2, 2, 1, 1, 0, 0), (1, 1), np.zeros((1, 2, 3, 3), np.uint8)
    filters, three = np.ones((3, 2, 2, 2), dtype), np.ones((1, 3, 3, 3), dtype)
    flat, vector = x.reshape(1, 2, 16), np.ones(8, dtype)
    channels, kernels, at_points = np.ones((1, 16, 4, 4), dtype), np.ones((16, 16, 3, 3), dtype), (6, 6, 16, 16)
    return [
        ("im2col", (x, *window, *gaps, np.empty((2, 2, 2, 1, 3, 3), dtype))),
        ("col2im", (np.ones((2, 2, 2, 1, 3, 3), dtype), *window, *gaps, x)),
        ("conv2d", (x, filters, np.ones(3, dtype), 1, 1, 0, 0, three)),
        ("conv2d_grad_w", (x, three, 1, 1, 0, 0, filters)),
        ("max_pool2d_forward", (x, *window, *gaps, small, index)),
        ("max_pool2d_backward", (small, index, *window, *gaps, x)),
        ("avg_pool2d_forward", (x, *window, np.ones((3, 3), dtype), small)),
        ("avg_pool2d_backward", (small, *window, np.ones((3, 3), dtype), x)),
        ("linear_forward", (np.ones((2, 4), dtype), np.ones((3, 4), dtype), np.empty((2, 3), dtype))),
        ("linear_grad_w", (np.ones((2, 3), dtype), np.ones((2, 4), dtype), 0, np.empty((3, 4), dtype))),
        ("lrn_forward", (flat, 1, 1, 1.0, 1.0, 0.75, np.empty_like(flat))),
        ("lrn_backward", (flat, flat, 1, 1, 1.0, 1.0, 0.75, np.empty_like(flat))),
        ("relu_backward", (vector, vector, vector.copy())),
        ("sgd_step", (vector, vector.copy(), None, 0.1, 0.0, 0.0, False, False)),
        ("sgd_step", (vector, vector.copy(), vector.copy(), 0.1, 0.9, 0.0, False, False)),
        ("winograd_filters", (kernels, 1, 0, 16, np.empty(at_points, dtype))),
        ("winograd_conv2d", (channels, np.ones(at_points, dtype), np.ones(16, dtype), 1, 1, channels.copy())),
        ("winograd_grad_w", (channels, channels, 1, 1, kernels)),
    ]
