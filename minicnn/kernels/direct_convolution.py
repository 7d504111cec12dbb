"""Convolution without im2col: windows are read in place from the image, and sums stay in registers.

The innermost loop is written vector by vector, because no compiler finds it.

A processor multiplies and adds fastest when the sums stay in its registers: a *tile* of sums, some rows of a few
vectors each. For every term k, a few vectors of `a` are loaded and one number of `b` for each row, and every row's
number is multiplied by every vector::

    sums[row, :] = sum over k of  b[b_start + rows[row] + places[k]] * a[a_start + k * a_step :][:width]

Nothing is copied beforehand: `rows` and `places` are the offsets of the numbers in `b`. They are all that is left of
im2col: if `b` is an image, `rows` the corners of some windows, and `places` the offsets of a window's pixels from its
corner, this is a convolution (Dukhan 2019, "The Indirect Convolution Algorithm", arXiv:1907.02129).

Loops written in Python would be compiled to code that keeps the sums in memory, with three loads and stores for each
multiplication. So this file generates LLVM's vector instructions itself (LLVM is the compiler that Numba uses).
"""

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

from minicnn.kernels.compiling import ZERO, kernel, part, u

__all__ = ["REGISTERS", "ROWS", "VECTOR_BYTES", "conv2d", "conv2d_grad_w", "tile", "transpose_square", "vectors_of"]

Array = Any

# Numba has no types.
_settings: Any = config
_host_features: Any = get_host_cpu_features
_declared: Any = cgutils.get_or_insert_function
_process_triple: Any = binding.get_process_triple


def vectors_of(triple: str, features: str) -> tuple[int, int]:
    """Return the bytes of a vector and the number of registers for vectors, of a processor in LLVM's words."""
    if triple.startswith(("aarch64", "arm64")):
        return 16, 32
    has = {feature[1:]: feature[:1] == "+" for feature in features.split(",")}  # the last word on a feature counts
    if not has.get("avx"):
        return 16, 16
    return (64, 32) if has.get("avx512f") else (32, 16)


def _features() -> str:
    """Return what Numba compiles for: its settings may exclude what the processor can do."""
    name, features = _settings.CPU_NAME, _settings.CPU_FEATURES
    own = features is None or name is None  # LLVM adds the features to those of the processor with that name
    return ",".join([_host_features()] * own + [features] * (features is not None))


VECTOR_BYTES, REGISTERS = vectors_of(_process_triple(), _features())

# A tile's rows, by the vectors in a row: its sums, a row's vectors and a number must fit in the registers.
ROWS = (0, 16, 8, 8, 6) if REGISTERS == 32 else (0, 10, 5, 4)


def tile(vectors: int, rows: int, vector_bytes: int = VECTOR_BYTES) -> Any:
    """Return a function, for compiled code, that computes one tile of sums.

    Parameters
    ----------
    vectors : int
        The number of vectors in a row.
    rows : int
        The number of rows.
    vector_bytes : int
        The size of a vector.

    Returns
    -------
    function
        ``tile(a, a_start, a_step, b, b_start, rows, first_row, places, sums, sums_start, add)``: writes the sums
        described above to ``sums[sums_start:]``, row after row, or adds them to what is there if `add` is true. The
        arrays are contiguous and one-dimensional: `a`, `b` and `sums` all float32 or all float64; `places` and `rows`,
        which is used from `first_row` on, int64. Nothing is checked: an index beyond the end reads other memory.
    """

    @intrinsic
    def one_tile(
        typing_context: Any,
        a: Any,
        a_start: Any,
        a_step: Any,
        b: Any,
        b_start: Any,
        row_places: Any,
        first_row: Any,
        places: Any,
        sums: Any,
        sums_start: Any,
        add: Any,
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            number, index = context.get_value_type(a.dtype), ir.IntType(64)
            lanes = vector_bytes * 8 // a.dtype.bitwidth
            vector = ir.VectorType(number, lanes)
            spread = ir.Constant(ir.VectorType(ir.IntType(32), lanes), None)  # lane 0 for every lane
            undefined = ir.Constant(vector, ir.Undefined)
            multiply_add = _declared(
                builder.module,
                ir.FunctionType(vector, [vector] * 3),
                f"llvm.fmuladd.v{lanes}f{a.dtype.bitwidth}",  # fused if the processor can
            )

            def array(argument: int) -> Any:
                return context.make_array(signature.args[argument])(context, builder, values[argument])

            def at(pointer: Any, offset: Any) -> Any:
                return builder.gep(pointer, [offset])

            def vector_at(pointer: Any, offset: Any) -> Any:
                return builder.bitcast(at(pointer, offset), vector.as_pointer())

            def load(pointer: Any, offset: Any) -> Any:
                return builder.load(vector_at(pointer, offset), align=a.dtype.bitwidth // 8)

            a_pointer = at(array(0).data, values[1])
            b_pointer = at(array(3).data, values[4])
            first = at(array(5).data, values[6])
            sums_pointer = at(array(8).data, values[9])
            row_pointers = [at(b_pointer, builder.load(at(first, index(row)))) for row in range(rows)]
            count = builder.extract_value(array(7).shape, 0)

            before, loop, after = builder.block, builder.append_basic_block("k"), builder.append_basic_block("end")
            builder.branch(loop)
            builder.position_at_end(loop)
            k = builder.phi(index)
            k.add_incoming(index(0), before)
            totals = [builder.phi(vector) for _ in range(rows * vectors)]
            for total in totals:
                total.add_incoming(ir.Constant(vector, None), before)
            start = builder.mul(k, values[2])
            a_vectors = [load(a_pointer, builder.add(start, index(v * lanes))) for v in range(vectors)]
            place = builder.load(at(array(7).data, k))
            for row in range(rows):
                one = builder.load(at(row_pointers[row], place))
                one = builder.insert_element(undefined, one, ir.IntType(32)(0))
                everywhere = builder.shuffle_vector(one, undefined, spread)
                for v in range(vectors):
                    total = totals[row * vectors + v]
                    total.add_incoming(builder.call(multiply_add, [a_vectors[v], everywhere, total]), loop)
            next_k = builder.add(k, index(1))
            k.add_incoming(next_k, loop)
            builder.cbranch(builder.icmp_signed("<", next_k, count), loop, after)

            builder.position_at_end(after)
            ends = [total.incomings[1][0] for total in totals]
            with builder.if_then(values[10]):
                adding = builder.block
                olds = [load(sums_pointer, index(i * lanes)) for i in range(len(ends))]
                sums_of_both = [builder.fadd(old, end) for old, end in zip(olds, ends, strict=True)]
            for i, (end, both) in enumerate(zip(ends, sums_of_both, strict=True)):
                result = builder.phi(vector)
                result.add_incoming(end, after)
                result.add_incoming(both, adding)
                ends[i] = result
            for i, end in enumerate(ends):
                builder.store(end, vector_at(sums_pointer, index(i * lanes)), align=a.dtype.bitwidth // 8)
            return context.get_dummy_value()

        place = types.intp
        signature = types.void(a, place, place, b, place, row_places, place, places, sums, place, types.boolean)
        return signature, generate

    return one_tile


@intrinsic
def _transpose_square(
    typing_context: Any,
    source: Any,
    source_start: Any,
    source_width: Any,
    target: Any,
    target_start: Any,
    target_width: Any,
) -> Any:
    """Transpose, in compiled code, a square as wide as a vector from one matrix into another one.

    The arrays are contiguous and one-dimensional, with rows of `source_width` and `target_width`. Nothing is checked.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        lanes = VECTOR_BYTES * 8 // source.dtype.bitwidth
        vector = ir.VectorType(context.get_value_type(source.dtype), lanes)

        def row_of(array: int, row: int) -> Any:
            data = context.make_array(signature.args[array])(context, builder, values[array]).data
            offset = builder.add(values[array + 1], builder.mul(values[array + 2], ir.IntType(64)(row)))
            return builder.bitcast(builder.gep(data, [offset]), vector.as_pointer())

        def mixed(first: Any, second: Any, lanes_of_both: list[int]) -> Any:
            return builder.shuffle_vector(
                first, second, ir.Constant(ir.VectorType(ir.IntType(32), lanes), lanes_of_both)
            )

        align = source.dtype.bitwidth // 8
        rows = [builder.load(row_of(0, row), align=align) for row in range(lanes)]
        # A square of four squares is transposed by exchanging the upper right and the lower left one, and transposing
        # each of the four: here from squares of a single number up to the whole.
        side = 1
        while side < lanes:
            for upper in range(lanes):
                if not upper & side:
                    first, second = rows[upper], rows[upper + side]
                    left = [lane if not lane & side else lanes + lane - side for lane in range(lanes)]
                    right = [lane + side if not lane & side else lanes + lane for lane in range(lanes)]
                    rows[upper], rows[upper + side] = mixed(first, second, left), mixed(first, second, right)
            side *= 2
        for row in range(lanes):
            builder.store(rows[row], row_of(3, row), align=align)
        return context.get_dummy_value()

    place = types.intp
    return types.void(source, place, place, target, place, place), generate


transpose_square: Any = _transpose_square


# --- the kernels -------------------------------------------------------------------------------------------------

_tile_1, _tile_2, _tile_3 = (tile(vectors, ROWS[vectors]) for vectors in (1, 2, 3))
_tile_4 = tile(4, ROWS[4]) if len(ROWS) > 4 else _tile_1  # not called if ROWS has no entry for it


@part
def _tiles(
    vectors: int,
    a: Array,
    a_start: int,
    b: Array,
    b_start: int,
    rows: Array,
    places: Array,
    sums: Array,
    sums_start: int,
    add: bool,
    a_step: int = 0,
) -> None:
    """Compute tile after tile until there are no more rows; `a` has rows of the tile's width by default."""
    width = vectors * (VECTOR_BYTES // a.itemsize)
    step = a_step if a_step else width
    for first in range(0, len(rows), ROWS[vectors]):
        if vectors == 1:
            _tile_1(a, a_start, step, b, b_start, rows, first, places, sums, sums_start + first * width, add)
        elif vectors == 2:
            _tile_2(a, a_start, step, b, b_start, rows, first, places, sums, sums_start + first * width, add)
        elif vectors == 3:
            _tile_3(a, a_start, step, b, b_start, rows, first, places, sums, sums_start + first * width, add)
        else:
            _tile_4(a, a_start, step, b, b_start, rows, first, places, sums, sums_start + first * width, add)


@part
def _vectors_for(filters: int, itemsize: int) -> int:
    """Return the number of vectors of filters in a row of a tile: as many as possible that divide all evenly."""
    vectors = -(-filters * itemsize // VECTOR_BYTES)
    for most in range(len(ROWS) - 1, 1, -1):
        if vectors % most == 0:
            return most
    return 1


@part
def _pixel_places(KH: int, KW: int, channels: int, H: int, W: int) -> Array:
    """Return the offset of each pixel of a window from its first one, in images (channels, H, W)."""
    places = np.empty(channels * KH * KW, np.int64)
    i = 0
    for c in range(channels):
        for kh in range(KH):
            for kw in range(KW):
                places[i] = (c * H + kh) * W + kw
                i += 1
    return places


@part
def _window_places(OH: int, OW: int, SH: int, SW: int, W: int) -> Array:
    """Return the offset of each window, in images of width W."""
    places = np.empty(OH * OW, np.int64)
    for oh in range(OH):
        for ow in range(OW):
            places[oh * OW + ow] = oh * SH * W + ow * SW
    return places


@part
def _filled_up(places: Array, rows: int) -> Array:
    """Append zeros until the last tile is full; their sums are discarded."""
    full = np.zeros(-(-len(places) // rows) * rows, np.int64)
    for i in range(len(places)):  # a slice would compile its error message too: seconds
        full[i] = places[i]
    return full


@part
def _frame(image: Array, PH: int, PW: int, framed: Array) -> None:
    """Copy an image into a flat frame of zeros."""
    C, H, W = image.shape
    for c in range(C):
        for h in range(H):
            j = ((c * (H + 2 * PH)) + h + PH) * (W + 2 * PW) + PW
            for w in range(W):
                framed[u(j + w)] = image[c, h, w]


@part
def _transpose(
    source: Array, start: int, width: int, target: Array, target_start: int, target_width: int, rows: int, columns: int
) -> None:
    """Transpose a part of a matrix into a part of another one; `rows` and `columns` are the source's."""
    side = VECTOR_BYTES // source.itemsize
    for top in range(0, rows, side):
        for left in range(0, columns, side):
            i, j = start + top * width + left, target_start + left * target_width + top
            if top + side <= rows and left + side <= columns:
                transpose_square(source, i, width, target, j, target_width)
            else:
                for row in range(min(side, rows - top)):
                    for column in range(min(side, columns - left)):
                        target[u(j + column * target_width + row)] = source[u(i + row * width + column)]


@kernel
def conv2d(x: Array, w: Array, b: Array, SH: int, SW: int, PH: int, PW: int, y: Array) -> None:
    N, C, H, W = x.shape
    F, CG, KH, KW = w.shape
    G, (OH, OW) = C // CG, y.shape[2:]
    H, W = H + 2 * PH, W + 2 * PW
    FG, K, size = F // G, CG * KH * KW, OH * OW
    vectors = _vectors_for(FG, x.itemsize)
    width = vectors * (VECTOR_BYTES // x.itemsize)
    blocks = -(-FG // width)
    windows, pixels = _filled_up(_window_places(OH, OW, SH, SW, W), ROWS[vectors]), _pixel_places(KH, KW, CG, H, W)
    packed = np.zeros(G * blocks * K * width, x.dtype)  # a block of filters side by side: (G, blocks, K, width)
    filters = w.reshape(-1)
    for g in range(G):
        for block in range(blocks):
            first, count = g * FG + block * width, min(width, FG - block * width)
            _transpose(filters, first * K, K, packed, (g * blocks + block) * K * width, width, count, K)
    framed = np.zeros(C * H * W, x.dtype)
    some = ROWS[vectors] * (VECTOR_BYTES // x.itemsize)  # windows whose sums fit in the L1 cache
    sums = np.empty(some * width, x.dtype)
    target = y.reshape(-1)
    for n in range(N):
        _frame(x[n], PH, PW, framed)
        for g in range(G):
            for block in range(blocks):
                first, count = g * FG + block * width, min(width, FG - block * width)
                start = (g * blocks + block) * K * width
                for window in range(0, size, some):
                    these = windows[window : window + some]
                    _tiles(vectors, packed, start, framed, g * CG * H * W, these, pixels, sums, ZERO, False)
                    for i in range(len(these)):
                        for f in range(count):
                            sums[u(i * width + f)] += b[u(first + f)]
                    place = (n * F + first) * size + window
                    _transpose(sums, ZERO, width, target, place, size, min(some, size - window), count)


@kernel
def conv2d_grad_w(x: Array, grad_y: Array, SH: int, SW: int, PH: int, PW: int, grad_w: Array) -> None:
    N, C, H, W = x.shape
    F, CG, KH, KW = grad_w.shape
    G, (OH, OW) = C // CG, grad_y.shape[2:]
    H, W = H + 2 * PH, W + 2 * PW
    FG, K, size = F // G, CG * KH * KW, OH * OW
    vectors = _vectors_for(FG, x.itemsize)
    width = vectors * (VECTOR_BYTES // x.itemsize)
    blocks = -(-FG // width)
    windows, pixels = _window_places(OH, OW, SH, SW, W), _filled_up(_pixel_places(KH, KW, CG, H, W), ROWS[vectors])
    framed = np.zeros(C * H * W, x.dtype)
    some = min(size, 1024)  # windows at a time, so that `packed` fits in the L2 cache
    packed = np.zeros(some * width, x.dtype)  # the gradient of a block of filters side by side: (windows, width)
    sums = np.zeros(G * blocks * len(pixels) * width, x.dtype)
    source, target = grad_y.reshape(-1), grad_w.reshape(-1)
    for n in range(N):
        _frame(x[n], PH, PW, framed)
        for g in range(G):
            for block in range(blocks):
                first, count = g * FG + block * width, min(width, FG - block * width)
                start = (g * blocks + block) * len(pixels) * width
                for window in range(0, size, some):
                    these = windows[window : window + some]
                    _transpose(source, (n * F + first) * size + window, size, packed, ZERO, width, count, len(these))
                    _tiles(vectors, packed, ZERO, framed, g * CG * H * W, pixels, these, sums, start, True)
    for g in range(G):
        for block in range(blocks):
            first, count = g * FG + block * width, min(width, FG - block * width)
            start = (g * blocks + block) * len(pixels) * width
            _transpose(sums, start, width, target, first * K, K, K, count)
