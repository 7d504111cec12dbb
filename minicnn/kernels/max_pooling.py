"""Max pooling forward, compiled: the paper's windows of 3x3 at stride 2 a vector of windows at a time.

No compiler finds this by itself: neighbouring windows begin two numbers apart, so that two vectors of a row have to be
separated into even and odd numbers first.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minicnn.kernels.compiling import ZERO, kernel, part, u
from minicnn.kernels.direct_convolution import VECTOR_BYTES

__all__ = ["max_pool2d_forward", "neighbours"]

Array = Any


def neighbours(vector_bytes: int = VECTOR_BYTES) -> Any:
    """Return a function, for compiled code, that finds the maxima of a vector of 3x3 windows, two numbers apart.

    Parameters
    ----------
    vector_bytes : int
        The size of a vector.

    Returns
    -------
    function
        ``neighbours(source, corner, W, target, places, start)``: the first window has its corner at ``source[corner]``,
        and rows have W numbers. Maxima go to ``target[start:]``, their indices, 0 to 8, to ``places[start:]``. Of equal
        numbers the first is taken, of NaNs the last. The arrays are contiguous and one-dimensional. Two vectors and two
        numbers of each row are read, and a whole vector is written, even if fewer are needed.
    """

    @intrinsic
    def one_vector(typing_context: Any, source: Any, corner: Any, W: Any, target: Any, places: Any, start: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            number, place = context.get_value_type(source.dtype), context.get_value_type(places.dtype)
            lanes = vector_bytes * 8 // source.dtype.bitwidth
            vector, whole = ir.VectorType(number, lanes), ir.IntType(32)

            def pointer(argument: int, offset: Any, kind: Any) -> Any:
                data = context.make_array(signature.args[argument])(context, builder, values[argument]).data
                return builder.bitcast(builder.gep(data, [offset]), kind.as_pointer())

            def load(offset: Any, beyond: int) -> Any:
                here = builder.add(offset, ir.IntType(64)(beyond))
                return builder.load(pointer(0, here, vector), align=source.dtype.bitwidth // 8)

            def every_second(line: Any, first: int) -> Any:
                """Return the numbers at first, first + 2, ... of a row."""
                at = ir.Constant(ir.VectorType(whole, lanes), [first % 2 + 2 * lane for lane in range(lanes)])
                from_here = first - first % 2
                return builder.shuffle_vector(load(line, from_here), load(line, from_here + lanes), at)

            best: Any = None
            which: Any = None
            line = values[1]
            for kh in range(3):
                for kw in range(3):
                    value = every_second(line, kw)
                    here = ir.Constant(ir.VectorType(whole, lanes), [3 * kh + kw] * lanes)
                    if best is None:
                        best, which = value, here
                        continue
                    larger = builder.fcmp_ordered(">", value, best)
                    better = builder.or_(larger, builder.fcmp_unordered("uno", value, value))  # or NaN
                    best, which = builder.select(better, value, best), builder.select(better, here, which)
                line = builder.add(line, values[2])
            builder.store(best, pointer(3, values[5], vector), align=source.dtype.bitwidth // 8)
            narrow = ir.VectorType(place, lanes)
            which = builder.trunc(which, narrow) if place.width < 32 else which
            builder.store(which, pointer(4, values[5], narrow), align=place.width // 8)
            return context.get_dummy_value()

        index = types.intp
        return types.void(source, index, index, target, places, index), generate

    return one_vector


_neighbours = neighbours()


@part
def _largest(
    source: Array, corner: int, down: int, right: int,
    first_kh: int, stop_kh: int, first_kw: int, stop_kw: int, KW: int, or_nan: bool,
) -> Any:  # fmt: skip
    """Return a window's largest element, or if `or_nan` its last NaN, and its index in the window.

    `corner` is the index of (first_kh, first_kw) in the array, `down` and `right` are the distances to its neighbours.
    """
    best, place = source[u(corner)], np.int32(first_kh * KW + first_kw)
    for kh in range(first_kh, stop_kh):
        for kw in range(first_kw, stop_kw):
            value = source[u(corner + (kh - first_kh) * down + (kw - first_kw) * right)]
            # select instructions instead of an `if`: the branch would be mispredicted too often
            better = value > best
            if or_nan:
                better |= value != value  # NaN is the one number that is not itself
            best = value if better else best
            place = np.int32(kh * KW + kw) if better else place
    return best, place


@part
def _has_nan(source: Array, start: int, stop: int) -> bool:
    found = 0
    for i in range(u(start), u(stop)):
        found += source[i] != source[i]
    return found > 0


@kernel
def max_pool2d_forward(
    x: Array, KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, DH: int, DW: int, y: Array, index: Array
) -> None:
    N, C, H, W = x.shape
    OH, OW = y.shape[2], y.shape[3]
    source, target, places = x.reshape(-1), y.reshape(-1), index.reshape(-1)
    first = min(OW, (PW + SW - 1) // SW)  # the first window that does not extend beyond the left edge
    beyond = (W + PW - (KW - 1) * DW - 1) // SW + 1  # the first one that extends beyond the right edge
    stop = max(first, min(OW, beyond))
    lanes, dense = VECTOR_BYTES // x.itemsize, DH == 1 and DW == 1
    twos, threes = KH == 2 and KW == 2 and dense, KH == 3 and KW == 3 and dense
    in_vectors = threes and SW == 2
    for plane in range(N * C):
        # Checking at each comparison takes twice as long; the vectors do it anyway.
        checked = in_vectors or _has_nan(source, plane * H * W, (plane + 1) * H * W)
        for oh in range(OH):
            top, j = oh * SH - PH, (plane * OH + oh) * OW
            row = (plane * H + top) * W - PW
            first_kh, stop_kh = -(min(0, top) // DH), min(KH, -((top - H) // DH))
            whole = first_kh == 0 and stop_kh == KH
            ow = first
            if in_vectors and whole:
                # What is written beyond the end of this row, of this image or the next, is overwritten later.
                enough = min((len(source) - row - 2 * W) // 2 - lanes - 1, len(target) - j - lanes)
                while ow < stop and ow <= enough:
                    _neighbours(source, row + ow * SW, W, target, places, j + ow)
                    ow += lanes
            if checked:
                for rest in range(ow, stop):
                    corner = row + first_kh * DH * W + rest * SW
                    target[u(j + rest)], places[u(j + rest)] = _largest(
                        source, corner, DH * W, DW, first_kh, stop_kh, ZERO, KW, KW, True
                    )
            elif whole and twos:  # constant bounds, so that the loops are unrolled
                for rest in range(ow, stop):
                    corner = row + rest * SW
                    target[u(j + rest)], places[u(j + rest)] = _largest(source, corner, W, 1, 0, 2, 0, 2, 2, False)
            elif whole and threes:
                for rest in range(ow, stop):
                    corner = row + rest * SW
                    target[u(j + rest)], places[u(j + rest)] = _largest(source, corner, W, 1, 0, 3, 0, 3, 3, False)
            else:
                for rest in range(ow, stop):
                    corner = row + first_kh * DH * W + rest * SW
                    target[u(j + rest)], places[u(j + rest)] = _largest(
                        source, corner, DH * W, DW, first_kh, stop_kh, 0, KW, KW, False
                    )
            for edge in range(OW - (stop - first)):
                ow = edge if edge < first else edge + stop - first
                left = ow * SW - PW
                first_kw, stop_kw = -(min(0, left) // DW), min(KW, -((left - W) // DW))
                corner = row + first_kh * DH * W + ow * SW + first_kw * DW
                target[u(j + ow)], places[u(j + ow)] = _largest(
                    source, corner, DH * W, DW, first_kh, stop_kh, first_kw, stop_kw, KW, True
                )
