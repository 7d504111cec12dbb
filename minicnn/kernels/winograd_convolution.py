"""Winograd's convolution, compiled: ``winograd`` says what is computed, this file how.

An image is stored pixel by pixel, all channels of a pixel side by side, so that every step processes a whole vector of
channels or filters. The transforms to the points and back are :func:`sandwich` with one of the matrices. Between
them are 36 matrix products, one for each pair of points, which run on the tiles of ``direct_convolution``. They take
some lines of squares at a time, from one image or several: few enough for the cache, and enough to repay reading all
filters.

The channels and filters of each group must fill whole vectors.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minicnn.kernels import winograd
from minicnn.kernels.compiling import ZERO, kernel, part, u
from minicnn.kernels.direct_convolution import (
    ROWS,
    VECTOR_BYTES,
    _declared,
    _filled_up,
    _tiles,
    _transpose,
    _vectors_for,
)
from minicnn.kernels.winograd import TILE

__all__ = ["sandwich", "winograd_conv2d", "winograd_filters", "winograd_grad_w"]

Array = Any

POINTS = TILE * TILE  # of a square
TILES = 64  # at a time, so that their 36 values for each channel and filter fit in the L2 cache


def sandwich(matrix: np.ndarray, vector_bytes: int = VECTOR_BYTES) -> Any:
    """Return a function, for compiled code, that computes ``matrix @ square @ matrix.T`` for a vector of squares.

    Parameters
    ----------
    matrix : array of shape (R, T)
        A constant in the code, which has no multiplications by 0, 1 or -1.
    vector_bytes : int
        The size of a vector.

    Returns
    -------
    function
        ``sandwich(source, start, row, column, target, target_start, target_row, target_column)``: number (i, j) of the
        T x T squares is read as a vector at ``source[start + i * row + j * column:]``, and that of the R x R results is
        written to the target in the same way. The arrays are contiguous and one-dimensional. Nothing is checked.
    """
    rows = [[float(factor) for factor in row] for row in matrix]

    @intrinsic
    def one_vector(
        typing_context: Any,
        source: Any,
        start: Any,
        row: Any,
        column: Any,
        target: Any,
        target_start: Any,
        target_row: Any,
        target_column: Any,
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            number, bits = context.get_value_type(source.dtype), source.dtype.bitwidth
            lanes = vector_bytes * 8 // bits
            vector = ir.VectorType(number, lanes)
            multiply_add = _declared(
                builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{lanes}f{bits}"
            )

            def place(array: int, i: int, j: int) -> Any:
                """Return a pointer to the vector (i, j) of an argument."""
                first, down, right = values[array + 1 : array + 4]
                data = context.make_array(signature.args[array])(context, builder, values[array]).data
                offset = builder.add(first, builder.mul(down, ir.IntType(64)(i)))
                offset = builder.add(offset, builder.mul(right, ir.IntType(64)(j)))
                return builder.bitcast(builder.gep(data, [offset]), vector.as_pointer())

            def sum_of(factors: list[float], vectors: list[Any]) -> Any:
                terms = sorted(zip(factors, vectors, strict=True), key=lambda term: abs(term[0]) != 1)
                total = ir.Constant(vector, None)
                for i, (factor, value) in enumerate(term for term in terms if term[0] != 0):
                    if factor == 1:
                        total = value if i == 0 else builder.fadd(total, value)
                    elif factor == -1:
                        total = builder.fsub(total, value)
                    else:
                        total = builder.call(multiply_add, [ir.Constant(vector, [factor] * lanes), value, total])
                return total

            T, align = len(rows[0]), bits // 8
            half = []  # matrix @ square, column by column
            for j in range(T):
                square = [builder.load(place(0, i, j), align=align) for i in range(T)]
                half.append([sum_of(factors, square) for factors in rows])
            for i in range(len(rows)):
                for j, factors in enumerate(rows):
                    builder.store(sum_of(factors, [line[i] for line in half]), place(4, i, j), align=align)
            return context.get_dummy_value()

        index = types.intp
        return types.void(source, index, index, index, target, index, index, index), generate

    return one_vector


_B_T, _G3, _A3_T = winograd.matrices(3)
_, _G5, _A5_T = winograd.matrices(5)
_pixels = sandwich(_B_T)
_weights3, _weights5 = sandwich(_G3), sandwich(_G5)
_outputs3, _outputs5 = sandwich(_A3_T), sandwich(_A5_T)
_grad_outputs3, _grad_outputs5 = sandwich(_A3_T.T), sandwich(_A5_T.T)
_grad_weights3, _grad_weights5 = sandwich(_G3.T), sandwich(_G5.T)


@part
def _apart(size: int, lanes: int) -> int:
    """Return the distance at which to store 36 arrays of this size.

    An odd number of vectors: at a multiple of a power of two they would all compete for the same few cache lines.
    """
    return (-(-size // lanes) // 2 * 2 + 1) * lanes


@part
def _multiples(count: int, step: int) -> Array:
    """Return 0, step, 2 step, ...: `count` numbers."""
    multiples = np.empty(count, np.int64)
    for i in range(count):
        multiples[i] = i * step
    return multiples


@part
def _lines_at_once(lines: int, TW: int) -> int:
    return max(1, min(lines, TILES // TW))


@part
def _frame(image: Array, PH: int, PW: int, FW: int, turned: Array, frame: Array) -> None:
    """Copy an image (C, H, W) into a frame of zeros of width FW, all channels of a pixel side by side."""
    C, H, W = image.shape
    _transpose(image.reshape(-1), ZERO, H * W, turned, ZERO, C, C, H * W)
    for h in range(H):
        i, j = ((h + PH) * FW + PW) * C, h * W * C
        for k in range(W * C):
            frame[u(i + k)] = turned[u(j + k)]


@part
def _line_of_pixels(frame: Array, line: int, step: int, FW: int, C: int, values: Array, start: int, apart: int) -> None:
    """Transform a line of squares of a framed image to the points: ``values[point, tile, channel]``."""
    TW = (FW - TILE) // step + 1
    for tile in range(TW):
        for c in range(0, C, VECTOR_BYTES // frame.itemsize):
            corner = (line * FW + tile) * step * C + c
            _pixels(frame, corner, FW * C, C, values, start + tile * C + c, TILE * apart, apart)


@part
def _line_of_outputs(
    products: Array, start: int, rows: int, width: int, apart: int, line: int, step: int, b: Array, y: Array, OW: int
) -> None:
    """Transform a line of tiles back from the points, into an image (OH, OW, F)."""
    F, lanes = len(b), VECTOR_BYTES // b.itemsize
    outputs, OH = np.empty(step * step * lanes, y.dtype), y.size // (OW * F)
    down, right = TILE * apart, step * lanes
    for block in range(0, F, width):
        for tile in range(-(-OW // step)):
            for f in range(block, block + width, lanes):
                product = block * rows + (start + tile) * width + f - block
                if step == 4:
                    _outputs3(products, product, down, apart, outputs, 0, right, lanes)
                else:
                    _outputs5(products, product, down, apart, outputs, 0, right, lanes)
                for oh in range(line * step, min((line + 1) * step, OH)):
                    for ow in range(tile * step, min((tile + 1) * step, OW)):
                        output, place = ((oh - line * step) * step + ow - tile * step) * lanes, (oh * OW + ow) * F + f
                        for lane in range(lanes):
                            y[u(place + lane)] = outputs[u(output + lane)] + b[u(f + lane)]


@part
def _line_of_grad_outputs(
    frame: Array, line: int, step: int, FW: int, F: int, width: int, values: Array, start: int, rows: int, apart: int
) -> None:
    """Transform gradients of outputs as `_line_of_pixels` does pixels: ``values[point, block, tile, filter]``."""
    for tile in range(FW // step):
        for f in range(0, F, VECTOR_BYTES // frame.itemsize):
            corner = (line * FW + tile) * step * F + f
            place = f // width * width * rows + (start + tile) * width + f % width
            if step == 4:
                _grad_outputs3(frame, corner, FW * F, F, values, place, TILE * apart, apart)
            else:
                _grad_outputs5(frame, corner, FW * F, F, values, place, TILE * apart, apart)


@kernel
def winograd_filters(w: Array, G: int, start: int, stop: int, filters: Array) -> None:
    # The order in `filters` is (points, blocks of filters, channels, filters of a block).
    F, CG, size, _ = w.shape
    vectors, lanes, K = _vectors_for(F // G, w.itemsize), VECTOR_BYTES // w.itemsize, CG * size * size
    width, some = vectors * lanes, (stop - start) * size * size
    apart = F * CG
    packed = np.empty(some * width, w.dtype)
    source, target = w.reshape(-1), filters.reshape(-1)
    for first in range(0, F, width):
        _transpose(source, first * K + start * size * size, K, packed, ZERO, width, width, some)
        for c in range(start, stop):
            for v in range(0, width, lanes):
                kernel_of_one, place = (c - start) * size * size * width + v, (first * CG + c * width) + v
                if size == 3:
                    _weights3(packed, kernel_of_one, 3 * width, width, target, place, TILE * apart, apart)
                else:
                    _weights5(packed, kernel_of_one, 5 * width, width, target, place, TILE * apart, apart)


@kernel
def winograd_conv2d(x: Array, filters: Array, b: Array, PH: int, PW: int, y: Array) -> None:
    (N, C, H, W), (F, OH, OW) = x.shape, y.shape[1:]
    size, CG = H + 2 * PH - OH + 1, filters.size // (POINTS * F)
    step, FG = TILE + 1 - size, F // (C // CG)
    TH, TW = -(-OH // step), -(-OW // step)
    FH, FW = TH * step + size - 1, TW * step + size - 1
    lanes, vectors = VECTOR_BYTES // x.itemsize, _vectors_for(FG, x.itemsize)
    width, lines = vectors * lanes, _lines_at_once(N * TH, TW)
    channels, rows = _multiples(CG, 1), _filled_up(_multiples(lines * TW, C), ROWS[vectors])
    values_apart, products_apart = _apart(lines * TW * C, lanes), _apart(len(rows) * F, lanes)
    values, products = np.empty(POINTS * values_apart, x.dtype), np.empty(POINTS * products_apart, x.dtype)
    frame, turned, turned_y = np.zeros(FH * FW * C, x.dtype), np.empty(H * W * C, x.dtype), np.empty(y[0].size, x.dtype)
    factors, target = filters.reshape(-1), y.reshape(-1)
    for first in range(0, N * TH, lines):
        some = min(lines, N * TH - first)
        for i in range(some):
            n, line = divmod(first + i, TH)
            if line == 0:
                _frame(x[n], PH, PW, FW, turned, frame)
            _line_of_pixels(frame, line, step, FW, C, values, i * TW * C, values_apart)
        these = rows[: -(-some * TW // ROWS[vectors]) * ROWS[vectors]]
        for point in range(POINTS):
            for f in range(0, F, width):
                factor, value = (point * F + f) * CG, point * values_apart + f // FG * CG
                product = point * products_apart + f * len(rows)
                _tiles(vectors, factors, factor, values, value, these, channels, products, product, False)
        for i in range(some):
            n, line = divmod(first + i, TH)
            _line_of_outputs(products, i * TW, len(rows), width, products_apart, line, step, b, turned_y, OW)
            if line == TH - 1:
                _transpose(turned_y, ZERO, F, target, n * F * OH * OW, OH * OW, OH * OW, F)


@kernel
def winograd_grad_w(x: Array, grad_y: Array, PH: int, PW: int, grad_w: Array) -> None:
    (N, C, H, W), (F, OH, OW), (CG, size) = x.shape, grad_y.shape[1:], grad_w.shape[1:3]
    step, FG, K = TILE + 1 - size, F // (C // CG), CG * size * size
    TH, TW = -(-OH // step), -(-OW // step)
    FH, FW = TH * step + size - 1, TW * step + size - 1
    lanes, vectors = VECTOR_BYTES // x.itemsize, _vectors_for(FG, x.itemsize)
    width, lines = vectors * lanes, _lines_at_once(N * TH, TW)
    tiles, channels = _multiples(lines * TW, C), _filled_up(_multiples(CG, 1), ROWS[vectors])
    values_apart, grad_apart = _apart(len(tiles) * C, lanes), _apart(len(tiles) * F, lanes)
    sums_apart = _apart(len(channels) * F, lanes)
    values, grad_values = np.empty(POINTS * values_apart, x.dtype), np.empty(POINTS * grad_apart, x.dtype)
    sums, packed = np.zeros(POINTS * sums_apart, x.dtype), np.empty(K * width, x.dtype)
    frame, turned = np.zeros(FH * FW * C, x.dtype), np.empty(H * W * C, x.dtype)
    grad_frame, grad_turned = np.zeros(TH * TW * step * step * F, x.dtype), np.empty(OH * OW * F, x.dtype)
    target = grad_w.reshape(-1)
    for first in range(0, N * TH, lines):
        some = min(lines, N * TH - first)
        for i in range(some):
            n, line = divmod(first + i, TH)
            if line == 0:
                _frame(x[n], PH, PW, FW, turned, frame)
                _frame(grad_y[n], ZERO, ZERO, TW * step, grad_turned, grad_frame)
            _line_of_pixels(frame, line, step, FW, C, values, i * TW * C, values_apart)
            _line_of_grad_outputs(
                grad_frame, line, step, TW * step, F, width, grad_values, i * TW, len(tiles), grad_apart
            )
        these = tiles[: some * TW]
        for point in range(POINTS):
            for f in range(0, F, width):
                factor, value = point * grad_apart + f * len(tiles), point * values_apart + f // FG * CG
                total = point * sums_apart + f * len(channels)
                _tiles(vectors, grad_values, factor, values, value, channels, these, sums, total, True)
    for f in range(0, F, width):
        for c in range(CG):
            for v in range(0, width, lanes):
                total, place = (f * len(channels) + c * width) + v, c * size * size * width + v
                if size == 3:
                    _grad_weights3(sums, total, TILE * sums_apart, sums_apart, packed, place, 3 * width, width)
                else:
                    _grad_weights5(sums, total, TILE * sums_apart, sums_apart, packed, place, 5 * width, width)
        _transpose(packed, ZERO, width, target, f * K, K, K, width)
