"""A fully connected layer forward, compiled.

With few pictures its weights take longer to fetch than to multiply, and a matrix product that first lays them out anew
fetches them twice. Here the tiles of ``direct_convolution`` read them where they stand; the pictures are laid out.
"""

from typing import Any

import numpy as np

from minicnn.kernels.compiling import kernel
from minicnn.kernels.direct_convolution import ROWS, VECTOR_BYTES, _filled_up, _tiles, _transpose

__all__ = ["linear_forward"]

Array = Any

PACKED_BYTES = 5 << 18  # of pictures side by side: they are read again for every few rows of weights, from the L2 cache


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
        _transpose(source, first * K, K, packed, 0, width, count, K)  # (K, width)
        for k in range(0, K, some):
            _tiles(vectors, packed, k * width, weights, k, rows, ks[: min(some, K - k)], sums, 0, k > 0)
        _transpose(sums, 0, width, target, first * outputs, outputs, outputs, count)
