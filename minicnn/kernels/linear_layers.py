"""A fully connected layer for small batches: its weights are read once and their gradient is written once. Compiled.

In a small batch the weights take longer to load than to multiply. A matrix product first copies them into another
order, and in the backward pass it clears their gradient before it adds to it, so that they pass through memory twice.
Here the tiles of ``direct_convolution`` read them in place and write each gradient once; the examples are reordered.
"""

from typing import Any

import numpy as np

from minicnn.kernels.compiling import ZERO, kernel, u
from minicnn.kernels.direct_convolution import ROWS, VECTOR_BYTES, _filled_up, _tiles, _transpose

__all__ = ["linear_forward", "linear_grad_w"]

Array = Any

PACKED_BYTES = 5 << 18  # of examples side by side: they are read again for every few rows of weights, from the L2 cache


@kernel
def linear_forward(x: Array, w: Array, y: Array) -> None:
    (M, K), outputs = x.shape, len(w)
    lanes = VECTOR_BYTES // x.itemsize
    source, weights, target = x.reshape(-1), w.reshape(-1), y.reshape(-1)
    vectors = min(-(-M // lanes), len(ROWS) - 1)
    width = vectors * lanes
    some = K if K * width * x.itemsize <= PACKED_BYTES else PACKED_BYTES // (3 * width * x.itemsize)
    packed, ks = np.zeros(K * width, x.dtype), np.empty(some, np.int64)
    for k in range(some):
        ks[k] = k
    rows = np.empty(outputs, np.int64)
    for o in range(outputs):
        rows[o] = o * K
    rows = _filled_up(rows, ROWS[vectors])
    sums = np.empty(len(rows) * width, x.dtype)
    for first in range(0, M, width):
        count = min(width, M - first)
        _transpose(source, first * K, K, packed, ZERO, width, count, K)  # (K, width)
        for k in range(0, K, some):
            _tiles(vectors, packed, k * width, weights, k, rows, ks[: min(some, K - k)], sums, ZERO, k > 0)
        _transpose(sums, ZERO, width, target, first * outputs, outputs, outputs, count)


@kernel
def linear_grad_w(grad_y: Array, x: Array, start: int, grad_w: Array) -> None:
    (M, outputs), K, count = grad_y.shape, x.shape[1], len(grad_w)
    lanes, vectors = VECTOR_BYTES // x.itemsize, len(ROWS) - 1
    width = vectors * lanes
    blocks, at_once = -(-K // width), max(1, PACKED_BYTES // (3 * M * width * x.itemsize))
    source, inputs, target = grad_y.reshape(-1), x.reshape(-1), grad_w.reshape(-1)
    packed = np.zeros(blocks * M * width, x.dtype)  # (blocks, M, width)
    for m in range(M):
        for block in range(blocks):
            i, j = m * K + block * width, (block * M + m) * width
            for k in range(min(width, K - block * width)):
                packed[u(j + k)] = inputs[u(i + k)]
    turned = np.empty(count * M, x.dtype)
    _transpose(source, start, outputs, turned, ZERO, M, M, count)  # (outputs from start on, M)
    examples, rows = np.empty(M, np.int64), np.empty(count, np.int64)
    for m in range(M):
        examples[m] = m
    for row in range(count):
        rows[row] = row * M
    rows, step = _filled_up(rows, ROWS[vectors]), ROWS[vectors]
    sums = np.empty(step * width, x.dtype)
    for first in range(0, blocks, at_once):
        for row in range(0, count, step):
            for block in range(first, min(first + at_once, blocks)):
                these, filled = rows[row : row + step], min(width, K - block * width)
                _tiles(vectors, packed, block * M * width, turned, ZERO, these, examples, sums, ZERO, False)
                for r in range(min(step, count - row)):
                    i, j = (row + r) * K + block * width, r * width
                    for k in range(filled):
                        target[u(i + k)] = sums[u(j + k)]
