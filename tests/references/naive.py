"""Slow, obvious references: each is its definition, written out one output number at a time.

Windows are lists of the places that they cover, so that nothing here shares an idea with the kernels.
"""

import math
from collections.abc import Callable
from itertools import product

import numpy as np

Pair = tuple[int, int]


def elementwise(function: Callable[[float], float], x: np.ndarray) -> np.ndarray:
    y = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        y[place] = function(float(x[place]))
    return y


# --- windows ------------------------------------------------------------------------------------------------


def window_starts(length: int, window: int, stride: int, padding: int, ceil_mode: bool = False) -> list[int]:
    """Where windows start along one side, counted from the first pixel: padding is negative."""
    starts = []
    start = -padding
    while start + window <= length + padding:
        starts.append(start)
        start += stride
    something_is_left = starts[-1] + window < length + padding
    if ceil_mode and something_is_left and start < length:
        starts.append(start)
    return starts


def windows(
    shape: tuple[int, ...],
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool = False,
    dilation: Pair = (1, 1),
) -> list[list[list[Pair]]]:
    """For each output row and column, the places (h, w) of its window, padding and overhang included."""
    high, wide = (list(range(0, size * gap, gap)) for size, gap in zip(kernel, dilation, strict=True))
    rows = window_starts(shape[-2], high[-1] + 1, stride[0], padding[0], ceil_mode)
    columns = window_starts(shape[-1], wide[-1] + 1, stride[1], padding[1], ceil_mode)
    return [[[(top + h, left + w) for h, w in product(high, wide)] for left in columns] for top in rows]


def inside(place: Pair, H: int, W: int, PH: int = 0, PW: int = 0) -> bool:
    """Whether a place is a pixel or, with PH and PW, at least lies in the padding."""
    return -PH <= place[0] < H + PH and -PW <= place[1] < W + PW


def im2col(x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)) -> np.ndarray:
    """(N, C, H, W) -> (C, KH, KW, N, OH, OW)."""
    N, C, H, W = x.shape
    table = windows(x.shape, kernel, stride, padding, dilation=dilation)
    col = np.zeros((C, *kernel, N, len(table), len(table[0])), x.dtype)
    for c, kh, kw, n, oh, ow in np.ndindex(*col.shape):
        place = table[oh][ow][kh * kernel[1] + kw]
        if inside(place, H, W):
            col[c, kh, kw, n, oh, ow] = x[n, c, *place]
    return col


def col2im(
    col: np.ndarray, shape: tuple[int, ...], kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)
) -> np.ndarray:
    """(C, KH, KW, N, OH, OW) -> (N, C, H, W): each column element is added to the pixel it was read from."""
    _, _, H, W = shape
    table = windows(shape, kernel, stride, padding, dilation=dilation)
    x = np.zeros(shape, col.dtype)
    for c, kh, kw, n, oh, ow in np.ndindex(*col.shape):
        place = table[oh][ow][kh * kernel[1] + kw]
        if inside(place, H, W):
            x[n, c, *place] += col[c, kh, kw, n, oh, ow]
    return x


def conv2d(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray | None,
    stride: Pair,
    padding: Pair,
    groups: int,
    dilation: Pair = (1, 1),
) -> np.ndarray:
    N, C, H, W = x.shape
    F, CG, KH, KW = w.shape
    table = windows(x.shape, (KH, KW), stride, padding, dilation=dilation)
    y = np.zeros((N, F, len(table), len(table[0])))
    for n, f, oh, ow in np.ndindex(*y.shape):
        group = f // (F // groups)
        total = 0.0 if b is None else float(b[f])
        for c, kh, kw in product(range(CG), range(KH), range(KW)):
            place = table[oh][ow][kh * KW + kw]
            if inside(place, H, W):
                total += float(w[f, c, kh, kw]) * float(x[n, group * CG + c, *place])
        y[n, f, oh, ow] = total
    return y


def conv_transpose2d(
    x: np.ndarray,
    w: np.ndarray,
    size: Pair,
    stride: Pair,
    padding: Pair,
    groups: int,
    dilation: Pair = (1, 1),
) -> np.ndarray:
    """Every pixel of x writes its window, times w, into an output of this size. x (N, C, H, W); w (C, F/G, KH, KW)."""
    (N, C, H, W), (_, FG, KH, KW) = x.shape, w.shape
    y = np.zeros((N, groups * FG, *size))
    for n, c, h, w_ in np.ndindex(N, C, H, W):
        group = c // (C // groups)
        for f, kh, kw in product(range(FG), range(KH), range(KW)):
            row = h * stride[0] + kh * dilation[0] - padding[0]
            column = w_ * stride[1] + kw * dilation[1] - padding[1]
            if inside((row, column), *size):
                y[n, group * FG + f, row, column] += float(w[c, f, kh, kw]) * float(x[n, c, h, w_])
    return y


def max_pool2d(
    x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, ceil_mode: bool, dilation: Pair = (1, 1)
) -> tuple[np.ndarray, dict[tuple[int, ...], Pair]]:
    """Return the largest of each window, and for each output the place of the first largest (or last NaN)."""
    N, C, H, W = x.shape
    table = windows(x.shape, kernel, stride, padding, ceil_mode, dilation)
    y = np.empty((N, C, len(table), len(table[0])), x.dtype)
    winners = {}
    for n, c, oh, ow in np.ndindex(*y.shape):
        pixels = [(x[n, c, *place], place) for place in table[oh][ow] if inside(place, H, W)]
        not_numbers = [pixel for pixel in pixels if math.isnan(pixel[0])]
        first_largest = max(pixels, key=lambda pixel: pixel[0])
        best = not_numbers[-1] if not_numbers else first_largest
        y[n, c, oh, ow], winners[n, c, oh, ow] = best
    return y, winners


def avg_pool2d(
    x: np.ndarray,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> np.ndarray:
    N, C, H, W = x.shape
    table = windows(x.shape, kernel, stride, padding, ceil_mode)
    y = np.empty((N, C, len(table), len(table[0])))
    for n, c, oh, ow in np.ndindex(*y.shape):
        places = table[oh][ow]
        pixels = [float(x[n, c, *place]) for place in places if inside(place, H, W)]
        padded = [place for place in places if inside(place, H, W, *padding)]
        divisor = divisor_override or (len(padded) if count_include_pad else len(pixels))
        y[n, c, oh, ow] = sum(pixels) / divisor
    return y


# --- channels and classes -----------------------------------------------------------------------------------


def local_response_norm(x: np.ndarray, below: int, above: int, k: float, a: float, beta: float) -> np.ndarray:
    """Each x divided by (k + a sum of x^2 over channels c - below ... c + above) ^ beta. x (N, C, ...)."""
    C = x.shape[1]
    y = np.empty(x.shape)
    for n, c, *position in np.ndindex(*x.shape):
        energy = sum(float(x[n, i, *position]) ** 2 for i in range(max(0, c - below), min(C - 1, c + above) + 1))
        y[n, c, *position] = float(x[n, c, *position]) / (k + a * energy) ** beta
    return y


def softmax(row: np.ndarray) -> list[float]:
    powers = [math.exp(float(value)) for value in row]
    return [power / sum(powers) for power in powers]


def cross_entropies(
    x: np.ndarray, labels: np.ndarray, weight: np.ndarray, ignore_index: int, label_smoothing: float
) -> list[float]:
    """Each row's loss. x (M, C); labels (M,); weight (C,)."""
    C = x.shape[1]
    losses = []
    for row, label in zip(x, labels, strict=True):
        loss = 0.0
        for c, p in enumerate(softmax(row)):
            target = label_smoothing / C + (1 - label_smoothing if c == label else 0)
            loss -= target * float(weight[c]) * math.log(p)
        losses.append(0.0 if label == ignore_index else loss)
    return losses
