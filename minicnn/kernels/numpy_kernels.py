"""The kernels as you would write them on a whiteboard: the reference that every faster version is compared with.

Where NumPy allows it, the loop runs over the few positions inside a window, and each iteration processes a whole batch.
Every function writes into its last argument or arguments.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn.backend import random
from minicnn.kernels import winograd
from minicnn.kernels.winograd import TILE

Array = Any


def _windows(
    H: int, W: int, OH: int, OW: int,
    KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, DH: int = 1, DW: int = 1,
) -> Iterator[tuple[int, int, slice, slice, slice, slice]]:  # fmt: skip
    """Yield, for every position (kh, kw) of a window, the outputs that read an input there, and these inputs.

    The outputs ``[oh_slice, ow_slice]`` read the inputs ``[h_slice, w_slice]``, one each; the other outputs read the
    padding there.
    """
    for kh in range(KH):
        top = kh * DH - PH  # the row that the first window reads there
        first_oh, last_oh = max(0, -(top // SH)), min(OH - 1, (H - 1 - top) // SH)
        for kw in range(KW):
            left = kw * DW - PW
            first_ow, last_ow = max(0, -(left // SW)), min(OW - 1, (W - 1 - left) // SW)
            if first_oh > last_oh or first_ow > last_ow:
                continue
            h, w = first_oh * SH + top, first_ow * SW + left
            yield (
                kh,
                kw,
                slice(first_oh, last_oh + 1),
                slice(first_ow, last_ow + 1),
                slice(h, h + (last_oh - first_oh) * SH + 1, SH),
                slice(w, w + (last_ow - first_ow) * SW + 1, SW),
            )


def im2col(x: Array, KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, DH: int, DW: int, col: Array) -> None:
    """Lay every window out as a column: ``col[c, kh, kw, n, oh, ow] = x[n, c, oh SH - PH + kh DH, ...]``.

    The padding is zero. x (N, C, H, W); col (C, KH, KW, N, OH, OW).
    """
    (_, _, H, W), (OH, OW) = x.shape, col.shape[4:]
    col[...] = 0
    for kh, kw, oh, ow, h, w in _windows(H, W, OH, OW, KH, KW, SH, SW, PH, PW, DH, DW):
        col[:, kh, kw, :, oh, ow] = x[:, :, h, w].swapaxes(0, 1)


def col2im(col: Array, KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, DH: int, DW: int, x: Array) -> None:
    """Do the transpose of :func:`im2col`: each pixel gets the sum of the windows' entries that were read from it.

    col (C, KH, KW, N, OH, OW); x (N, C, H, W), overwritten.
    """
    (_, _, H, W), (OH, OW) = x.shape, col.shape[4:]
    x[...] = 0
    for kh, kw, oh, ow, h, w in _windows(H, W, OH, OW, KH, KW, SH, SW, PH, PW, DH, DW):
        x[:, :, h, w] += col[:, kh, kw, :, oh, ow].swapaxes(0, 1)


def conv2d(x: Array, w: Array, b: Array, SH: int, SW: int, PH: int, PW: int, y: Array) -> None:
    """Slide filters over images: ``y[n, f, oh, ow] = b[f] + sum of w[f, c, kh, kw] x[n, c, oh SH - PH + kh, ...]``.

    x (N, C, H, W); w (F, CG, KH, KW), where each filter sees its own of the G = C / CG groups of channels; b (F,);
    y (N, F, OH, OW).
    """
    (N, C, H, W), (F, CG, KH, KW), (OH, OW) = x.shape, w.shape, y.shape[2:]
    G = C // CG
    x, w = x.reshape(N, G, CG, H, W), w.reshape(G, F // G, CG, KH, KW)
    y[...] = b[:, None, None]
    y = y.reshape(N, G, F // G, OH, OW)
    for kh, kw, oh, ow, h, w_ in _windows(H, W, OH, OW, KH, KW, SH, SW, PH, PW):
        y[..., oh, ow] += np.einsum("ngchw,gfc->ngfhw", x[..., h, w_], w[..., kh, kw])


def conv2d_grad_w(x: Array, grad_y: Array, SH: int, SW: int, PH: int, PW: int, grad_w: Array) -> None:
    """Compute the gradient of the weights: ``grad_w[f, c, kh, kw] = sum of grad_y[n, f, oh, ow] x[n, c, ...]``.

    x (N, C, H, W); grad_y (N, F, OH, OW); grad_w (F, CG, KH, KW), overwritten.
    """
    (N, C, H, W), (F, CG, KH, KW), (OH, OW) = x.shape, grad_w.shape, grad_y.shape[2:]
    G = C // CG
    x, grad_y = x.reshape(N, G, CG, H, W), grad_y.reshape(N, G, F // G, OH, OW)
    grad_w[...] = 0
    grad_w = grad_w.reshape(G, F // G, CG, KH, KW)
    for kh, kw, oh, ow, h, w in _windows(H, W, OH, OW, KH, KW, SH, SW, PH, PW):
        grad_w[..., kh, kw] = np.einsum("ngchw,ngfhw->gfc", x[..., h, w], grad_y[..., oh, ow])


def _squares(x: Array, PH: int, PW: int, TH: int, TW: int, step: int) -> Array:
    """Return the squares of 6x6 pixels that Winograd's convolution cuts an image into: (N, C, TH, TW, 6, 6)."""
    N, C, H, W = x.shape
    frame = np.zeros((N, C, (TH - 1) * step + TILE, (TW - 1) * step + TILE), x.dtype)
    frame[:, :, PH : PH + H, PW : PW + W] = x
    return np.lib.stride_tricks.sliding_window_view(frame, (TILE, TILE), axis=(2, 3))[:, :, ::step, ::step]


def winograd_filters(w: Array, G: int, start: int, stop: int, filters: Array) -> None:
    """Transform filters to the points of Winograd's method, for `winograd_conv2d`: ``filters[a, b] = (G w G^T)[a, b]``.

    For channels from `start` to `stop`. w (F, CG, r, r) for G groups, with r = 3 or 5; filters (6, 6, F, CG), which
    other back ends fill in an order of their own. F / G and CG are multiples of 16.
    """
    _, g, _ = (matrix.astype(w.dtype) for matrix in winograd.matrices(w.shape[2]))
    filters[..., start:stop] = np.einsum("ak,fckl,bl->abfc", g, w[:, start:stop], g, optimize=True)


def winograd_conv2d(x: Array, filters: Array, b: Array, PH: int, PW: int, y: Array) -> None:
    """Slide filters over images at stride 1, as `conv2d` does, with fewer multiplications (see ``winograd``).

    x (N, C, H, W); filters (6, 6, F, CG), from `winograd_filters` of the same back end; b (F,); y (N, F, OH, OW).
    """
    (N, C, H, _), (F, OH, OW), CG = x.shape, y.shape[1:], filters.shape[3]
    size, G = H + 2 * PH - OH + 1, C // CG
    step = TILE + 1 - size
    TH, TW = -(-OH // step), -(-OW // step)
    b_t, _, a_t = (matrix.astype(x.dtype) for matrix in winograd.matrices(size))
    values = np.einsum("ai,nctuij,bj->abnctu", b_t, _squares(x, PH, PW, TH, TW, step), b_t, optimize=True)
    values, filters = values.reshape(TILE, TILE, N, G, CG, TH, TW), filters.reshape(TILE, TILE, G, F // G, CG)
    products = np.einsum("abngctu,abgfc->abngftu", values, filters, optimize=True)
    products = products.reshape(TILE, TILE, N, F, TH, TW)
    outputs = np.einsum("ia,abnftu,jb->nftiuj", a_t, products, a_t, optimize=True)
    y[...] = outputs.reshape(N, F, TH * step, TW * step)[:, :, :OH, :OW] + b[:, None, None]


def winograd_grad_w(x: Array, grad_y: Array, PH: int, PW: int, grad_w: Array) -> None:
    """Compute the gradient of the weights, as `conv2d_grad_w` does: the transpose of each step of `winograd_conv2d`.

    x (N, C, H, W); grad_y (N, F, OH, OW); grad_w (F, CG, r, r), overwritten.
    """
    (N, C, _, _), (F, OH, OW), (CG, size) = x.shape, grad_y.shape[1:], grad_w.shape[1:3]
    G, step = C // CG, TILE + 1 - size
    TH, TW = -(-OH // step), -(-OW // step)
    b_t, g, a_t = (matrix.astype(x.dtype) for matrix in winograd.matrices(size))
    values = np.einsum("ai,nctuij,bj->abnctu", b_t, _squares(x, PH, PW, TH, TW, step), b_t, optimize=True)
    frame = np.zeros((N, F, TH * step, TW * step), x.dtype)
    frame[:, :, :OH, :OW] = grad_y
    frame = frame.reshape(N, F, TH, step, TW, step)
    grad_values = np.einsum("ia,nftiuj,jb->abnftu", a_t, frame, a_t, optimize=True)
    values = values.reshape(TILE, TILE, N, G, CG, TH, TW)
    grad_values = grad_values.reshape(TILE, TILE, N, G, F // G, TH, TW)
    sums = np.einsum("abngctu,abngftu->abgfc", values, grad_values, optimize=True)
    grad_w[...] = np.einsum("ak,abgfc,bl->gfckl", g, sums, g, optimize=True).reshape(grad_w.shape)


def max_pool2d_forward(
    x: Array, KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, DH: int, DW: int, y: Array, index: Array
) -> None:
    """Take each window's maximum, and its index in the window (``kh KW + kw``): of equal ones, the first.

    Padding counts as minus infinity, and NaN as larger than everything; of several NaNs the last one is taken, as in
    PyTorch. Every window has at least one pixel. x (N, C, H, W); y and index (N, C, OH, OW).
    """
    (_, _, H, W), (OH, OW) = x.shape, y.shape[2:]
    y[...] = -np.inf
    seen = np.zeros(y.shape, bool)  # also a window of minus infinities has a first element
    for kh, kw, oh, ow, h, w in _windows(H, W, OH, OW, KH, KW, SH, SW, PH, PW, DH, DW):
        value, best = x[:, :, h, w], y[:, :, oh, ow]
        better = (value > best) | np.isnan(value) | ~seen[:, :, oh, ow]
        best[better] = value[better]
        index[:, :, oh, ow][better] = kh * KW + kw
        seen[:, :, oh, ow] = True


def max_pool2d_backward(
    grad_y: Array, index: Array,
    KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, DH: int, DW: int, grad_x: Array,
) -> None:  # fmt: skip
    """Add each output's gradient to the input that was its maximum.

    grad_y and index (N, C, OH, OW); grad_x (N, C, H, W), overwritten.
    """
    (_, _, H, W), (OH, OW) = grad_x.shape, grad_y.shape[2:]
    grad_x[...] = 0
    for kh, kw, oh, ow, h, w in _windows(H, W, OH, OW, KH, KW, SH, SW, PH, PW, DH, DW):
        won = index[:, :, oh, ow] == kh * KW + kw
        grad_x[:, :, h, w] += np.where(won, grad_y[:, :, oh, ow], 0)


def avg_pool2d_forward(
    x: Array, KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, divisor: Array, y: Array
) -> None:
    """Divide each window's sum by its divisor; the padding is zero.

    x (N, C, H, W); divisor (OH, OW); y (N, C, OH, OW).
    """
    (_, _, H, W), (OH, OW) = x.shape, y.shape[2:]
    y[...] = 0
    for _, _, oh, ow, h, w in _windows(H, W, OH, OW, KH, KW, SH, SW, PH, PW):
        y[:, :, oh, ow] += x[:, :, h, w]
    y /= divisor


def avg_pool2d_backward(
    grad_y: Array, KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, divisor: Array, grad_x: Array
) -> None:
    """Spread each output's gradient equally over the inputs of its window.

    grad_y (N, C, OH, OW); divisor (OH, OW); grad_x (N, C, H, W), overwritten.
    """
    (_, _, H, W), (OH, OW) = grad_x.shape, grad_y.shape[2:]
    share = grad_y / divisor
    grad_x[...] = 0
    for _, _, oh, ow, h, w in _windows(H, W, OH, OW, KH, KW, SH, SW, PH, PW):
        grad_x[:, :, h, w] += share[:, :, oh, ow]


def _window_sum(values: Array, below: int, above: int) -> Array:
    """Sum over the channels ``c - below`` to ``c + above`` that exist. values (N, C, S)."""
    C = values.shape[1]
    total = np.zeros_like(values)
    for offset in range(-below, above + 1):
        low, high = max(0, -offset), min(C, C - offset)
        if low < high:
            total[:, low:high] += values[:, low + offset : high + offset]
    return total


def linear_forward(x: Array, w: Array, y: Array) -> None:
    """Multiply every row of x (M, K) by every row of w (O, K): ``y = x w^T``. y (M, O), overwritten."""
    y[...] = x @ w.T


def linear_grad_w(grad_y: Array, x: Array, start: int, grad_w: Array) -> None:
    """Compute the gradient of the weights of some outputs, from `start` on: ``grad_w = grad_y^T x``.

    grad_y (M, O); x (M, K); grad_w (number of these outputs, K), overwritten.
    """
    grad_w[...] = grad_y[:, start : start + len(grad_w)].T @ x


def stacked_product(a: Array, b: Array, y: Array) -> None:
    """Multiply matrices, ``y[i] = a[i] b[i]``: a (B, M, K), b (B, K, N), y (B, M, N).

    They may be views with gaps between rows and between matrices; a and b may also be transposed.
    """
    np.matmul(a, b, out=y)


def exchange(x: Array, b: Array | None, y: Array) -> None:
    """Exchange the first two dimensions, and add a number for each of what was the first: ``y[j, i] = x[i, j] + b[i]``.

    x (A, B, S); b (A,) or None for nothing to add; y (B, A, S).
    """
    y[...] = x.swapaxes(0, 1) if b is None else x.swapaxes(0, 1) + b[:, None]


def lrn_forward(x: Array, below: int, above: int, k: float, a: float, beta: float, y: Array) -> None:
    """Divide by neighbouring channels: ``y = x D^-beta``, with ``D = k + a (sum of x^2 over the window)``.

    The window of channel c is c - below ... c + above. x and y (N, C, S).
    """
    D = k + a * _window_sum(x * x, below, above)
    y[...] = x * D**-beta


def lrn_backward(
    x: Array, grad_y: Array, below: int, above: int, k: float, a: float, beta: float, grad_x: Array
) -> None:
    """Apply ``grad_x = grad_y D^-beta - 2 a beta x (sum of grad_y x D^-(beta + 1) over the transposed window)``.

    The transposed window of channel c has the channels whose window contains c: c - above ... c + below.
    x, grad_y and grad_x (N, C, S).
    """
    D = k + a * _window_sum(x * x, below, above)
    through_D = _window_sum(grad_y * x * D ** -(beta + 1), above, below)
    grad_x[...] = grad_y * D**-beta - 2 * a * beta * x * through_D


def relu_backward(y: Array, grad_y: Array, grad_x: Array) -> None:
    """Pass the gradient of units that are active, or NaN: ``grad_x = 0 where y <= 0, else grad_y``."""
    grad_x[...] = np.where(y <= 0, 0, grad_y)


def dropout(x: Array, seed: int, p: float, scale: float, y: Array) -> None:
    """Multiply each number by `scale`, or with probability p by 0: ``y = x scale where u >= p, else 0 x``. All (S,).

    u is uniform in [0, 1), a function of the seed and the position alone, so that backward draws the same once more.
    """
    y[...] = x * ((random.hashed_uniform(np, seed, x.shape, x.dtype) >= p) * x.dtype.type(scale))


def sgd_step(
    parameter: Array,
    gradient: Array,
    velocity: Array | None,
    lr: float,
    momentum: float,
    weight_decay: float,
    nesterov: bool,
    paper: bool,
) -> None:
    """Update `parameter` and `velocity` in place. All arrays (S,); `velocity` is None for no momentum.

    PyTorch's rule: v <- momentum v + (g + weight_decay w);  w <- w - lr v, or w - lr (g + momentum v) for Nesterov's.
    The paper's rule has lr inside: v <- momentum v - lr (g + weight_decay w);  w <- w + v.
    """
    gradient = gradient + weight_decay * parameter
    if velocity is None:
        parameter -= lr * gradient
    elif paper:
        velocity *= momentum
        velocity -= lr * gradient
        parameter += velocity
    else:
        velocity *= momentum
        velocity += gradient
        parameter -= lr * (gradient + momentum * velocity if nesterov else velocity)


def sgd_steps(
    parameters: list[Array],
    gradients: list[Array],
    velocities: list[Array] | None,
    lr: float,
    momentum: float,
    weight_decay: float,
    nesterov: bool,
    paper: bool,
) -> None:
    """Do `sgd_step` for several arrays, each with a length of its own; on a GPU with one start for all of them."""
    for i, parameter in enumerate(parameters):
        velocity = None if velocities is None else velocities[i]
        sgd_step(parameter, gradients[i], velocity, lr, momentum, weight_decay, nesterov, paper)


def cross_entropy_forward(
    x: Array, labels: Array, v: Array, ignored: int, smoothing: float, p: Array, totals: Array, sums: Array
) -> None:
    """Compute probabilities ``p = softmax(x)`` and losses ``-(sum over c of q v ln p)``, row by row.

    The target q is 1 - `smoothing` at the label, plus `smoothing` / C for every class; v (C,) are the weights of the
    classes; `totals` are the sums of q v. Losses are written into sums[0], the weights of their labels into sums[1]. A
    row whose label is `ignored` has 0 in both, and the loss of one whose label is out of range is NaN.
    x and p (M, C); labels and totals (M,); sums (2, M).
    """
    C = x.shape[1]
    qv, counted = _weighted_targets(labels, v, ignored, smoothing), labels != ignored
    is_class = (labels >= 0) & (labels < C)
    shifted = x - x.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    p[...] = np.exp(log_p)
    totals[...] = qv.sum(axis=1)
    # 0 times the -inf of an impossible class would be NaN
    sums[0] = np.where(counted & ~is_class, np.nan, -(qv * np.where(qv == 0, 0, log_p)).sum(axis=1))
    sums[1] = np.where(counted & is_class, v[np.where(is_class, labels, 0)], 0)


def cross_entropy_backward(
    p: Array,
    totals: Array,
    labels: Array,
    v: Array,
    ignored: int,
    smoothing: float,
    grad: Array,
    divisor: Array | None,
    grad_x: Array,
) -> None:
    """Apply ``grad_x = (p (sum of q v) - q v) grad / divisor``, the rest as in `cross_entropy_forward`.

    grad () or (M,); divisor () or None for 1. A divisor of 0, of no label at all, makes grad_x 0.
    """
    scale = grad if divisor is None else grad / np.where(divisor == 0, np.inf, divisor)
    grad_x[...] = (p * totals[:, None] - _weighted_targets(labels, v, ignored, smoothing)) * scale.reshape(-1, 1)


def _weighted_targets(labels: Array, v: Array, ignored: int, smoothing: float) -> Array:
    """Return q v, (M, C)."""
    C = len(v)
    q = (1 - smoothing) * (labels[:, None] == np.arange(C)) + smoothing / C
    return (q * v * (labels != ignored)[:, None]).astype(v.dtype)
