"""The kernels for the CPU: loops in memory order, the innermost over contiguous numbers, compiled by Numba.

Same functions, same signatures, same results as in ``numpy_kernels``, whose docstrings say what each computes. They
release the interpreter lock and start no threads of their own. Inner loops have no conditions, so that they are
vectorised: the range of outputs that do not read the padding is computed beforehand.
"""

from typing import Any

import numpy as np

from minicnn.kernels.compiling import inner, kernel, part, u
from minicnn.kernels.direct_convolution import conv2d as conv2d  # with its tiles, in another file
from minicnn.kernels.direct_convolution import conv2d_grad_w as conv2d_grad_w
from minicnn.kernels.linear_layers import linear_forward as linear_forward
from minicnn.kernels.linear_layers import linear_grad_w as linear_grad_w
from minicnn.kernels.max_pooling import max_pool2d_forward as max_pool2d_forward
from minicnn.kernels.numpy_kernels import cross_entropy_backward as cross_entropy_backward  # too few numbers
from minicnn.kernels.numpy_kernels import cross_entropy_forward as cross_entropy_forward  # to be worth compiling
from minicnn.kernels.numpy_kernels import dropout as dropout  # this and the next three run on GPUs only: a processor
from minicnn.kernels.numpy_kernels import exchange as exchange  # has its own generator, and starts kernels at once
from minicnn.kernels.numpy_kernels import sgd_steps as sgd_steps
from minicnn.kernels.numpy_kernels import stacked_product as stacked_product
from minicnn.kernels.winograd_convolution import winograd_conv2d as winograd_conv2d
from minicnn.kernels.winograd_convolution import winograd_filters as winograd_filters
from minicnn.kernels.winograd_convolution import winograd_grad_w as winograd_grad_w

Array = Any


@part
def _pad(x: Array, PH: int, PW: int) -> Array:
    """Copy images (N, C, H, W) into a frame of zeros, so that no loop has to check the bounds."""
    N, C, H, W = x.shape
    framed = np.zeros((N, C, H + 2 * PH, W + 2 * PW), x.dtype)
    framed[:, :, PH : PH + H, PW : PW + W] = x
    return framed


@kernel
def im2col(x: Array, KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, DH: int, DW: int, col: Array) -> None:
    framed = _pad(x, PH, PW) if PH or PW else x
    N, C, H, W = framed.shape
    OH, OW, step = col.shape[4], u(col.shape[5]), u(SW)
    source, target = framed.reshape(-1), col.reshape(-1)
    j = u(0)
    for c in range(C):
        for kh in range(KH):
            for kw in range(KW):
                for n in range(N):
                    i = u(((n * C + c) * H + kh * DH) * W + kw * DW)
                    for _ in range(OH):
                        if SW == 1:  # a case of its own, because a contiguous copy is vectorised
                            for ow in range(OW):
                                target[j + ow] = source[i + ow]
                        else:
                            for ow in range(OW):
                                target[j + ow] = source[i + ow * step]
                        i += u(SH * W)
                        j += OW


@kernel
def col2im(col: Array, KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, DH: int, DW: int, x: Array) -> None:
    N, C, H, W = x.shape
    framed = np.zeros((N, C, H + 2 * PH, W + 2 * PW), x.dtype)  # what is added to the frame is dropped
    H, W = framed.shape[2], framed.shape[3]
    OH, OW, step = col.shape[4], u(col.shape[5]), u(SW)
    source, target = col.reshape(-1), framed.reshape(-1)
    j = u(0)
    for c in range(C):
        for kh in range(KH):
            for kw in range(KW):
                for n in range(N):
                    i = u(((n * C + c) * H + kh * DH) * W + kw * DW)
                    for _ in range(OH):
                        if SW == 1:
                            for ow in range(OW):
                                target[i + ow] += source[j + ow]
                        else:
                            for ow in range(OW):
                                target[i + ow * step] += source[j + ow]
                        i += u(SH * W)
                        j += OW
    x[:] = framed[:, :, PH : H - PH, PW : W - PW]


@kernel
def max_pool2d_backward(
    grad_y: Array, index: Array,
    KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, DH: int, DW: int, grad_x: Array,
) -> None:  # fmt: skip
    N, C, OH, OW = grad_y.shape
    H, W = grad_x.shape[2], grad_x.shape[3]
    source, places, target = grad_y.reshape(-1), index.reshape(-1), grad_x.reshape(-1)
    shift = np.empty(KH * KW, np.int64)  # from a window's corner to each of its places, along the flat array
    for place in range(KH * KW):
        shift[place] = place // KW * DH * W + place % KW * DW
    j = u(0)
    for plane in range(N * C):
        target[u(plane * H * W) : u((plane + 1) * H * W)] = 0  # just before it is needed in the cache
        for oh in range(OH):
            corner = (plane * H + oh * SH - PH) * W - PW
            for ow in range(OW):
                target[u(corner + ow * SW + shift[u(places[j])])] += source[j]
                j += u(1)


@inner
def _first(k: int, stride: int, padding: int) -> int:
    """Return the first output whose window position `k` is not in the padding before the image."""
    return max(0, (padding - k + stride - 1) // stride)


@inner
def _stop(k: int, stride: int, padding: int, size: int, outputs: int) -> int:
    """Return the output after the last one whose window position `k` is not in the padding behind it."""
    return min(outputs, (size - 1 + padding - k) // stride + 1)


@kernel
def avg_pool2d_forward(
    x: Array, KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, divisor: Array, y: Array
) -> None:
    N, C, H, W = x.shape
    OH, OW = y.shape[2], y.shape[3]
    for n in range(N):
        for c in range(C):
            for oh in range(OH):
                total = y[n, c, oh]
                total[:] = 0
                for kh in range(max(0, PH - oh * SH), min(KH, H + PH - oh * SH)):
                    h = oh * SH - PH + kh
                    for kw in range(KW):
                        for ow in range(_first(kw, SW, PW), _stop(kw, SW, PW, W, OW)):
                            total[ow] += x[n, c, h, ow * SW + kw - PW]
                for ow in range(OW):
                    total[ow] /= divisor[oh, ow]


@kernel
def avg_pool2d_backward(
    grad_y: Array, KH: int, KW: int, SH: int, SW: int, PH: int, PW: int, divisor: Array, grad_x: Array
) -> None:
    N, C, H, W = grad_x.shape
    OH, OW = grad_y.shape[2], grad_y.shape[3]
    share = np.empty(OW, grad_x.dtype)
    for n in range(N):
        for c in range(C):
            grad_x[n, c] = 0
            for oh in range(OH):
                for ow in range(OW):
                    share[ow] = grad_y[n, c, oh, ow] / divisor[oh, ow]
                for kh in range(max(0, PH - oh * SH), min(KH, H + PH - oh * SH)):
                    h = oh * SH - PH + kh
                    for kw in range(KW):
                        for ow in range(_first(kw, SW, PW), _stop(kw, SW, PW, W, OW)):
                            grad_x[n, c, h, ow * SW + kw - PW] += share[ow]


@part
def _powers(D: Array, beta: float, power: Array) -> None:
    """power = D^-beta, by square roots for the paper's 3/4 (and for 1/2 and 1), which are vectorised unlike pow."""
    one = D.dtype.type(1)
    if beta == 0.75:
        for s in range(D.size):
            root = np.sqrt(one / D[s])
            power[s] = root * np.sqrt(root)
    elif beta == 0.5:
        for s in range(D.size):
            power[s] = np.sqrt(one / D[s])
    elif beta == 1.0:
        for s in range(D.size):
            power[s] = one / D[s]
    else:
        for s in range(D.size):
            power[s] = D[s] ** D.dtype.type(-beta)


_BLOCK = 256  # positions at a time: with the rows of all channels they fit in the L1 or L2 cache


@part
def _denominators(x: Array, start: int, S: int, size: int, first: int, stop: int, k: float, a: float, D: Array) -> None:
    """D = k + a times the sum of the squares of the channels from first to stop, for `size` positions from start on."""
    number = x.dtype.type
    for s in range(size):
        D[u(s)] = 0
    for near in range(first, stop):
        i = u(start + near * S)
        for s in range(size):
            D[u(s)] += x[i + u(s)] * x[i + u(s)]
    for s in range(size):
        D[u(s)] = number(k) + number(a) * D[u(s)]


@kernel
def lrn_forward(x: Array, below: int, above: int, k: float, a: float, beta: float, y: Array) -> None:
    N, C, S = x.shape
    D, power = np.empty(_BLOCK, x.dtype), np.empty(_BLOCK, x.dtype)
    source, target = x.reshape(-1), y.reshape(-1)
    for n in range(N):
        for block in range(0, S, _BLOCK):
            start, size = n * C * S + block, min(_BLOCK, S - block)
            for c in range(C):
                _denominators(source, start, S, size, max(0, c - below), min(C, c + above + 1), k, a, D)
                _powers(D[:size], beta, power[:size])
                i = u(start + c * S)
                for s in range(size):
                    target[i + u(s)] = source[i + u(s)] * power[u(s)]


@kernel
def lrn_backward(
    x: Array, grad_y: Array, below: int, above: int, k: float, a: float, beta: float, grad_x: Array
) -> None:
    N, C, S = x.shape
    D, power, total = np.empty(_BLOCK, x.dtype), np.empty(_BLOCK, x.dtype), np.empty(_BLOCK, x.dtype)
    through = np.empty(C * _BLOCK, x.dtype)  # grad_y x D^-(beta + 1) of every channel, for one block of positions
    factor = x.dtype.type(2 * a * beta)
    source, gradient, target = x.reshape(-1), grad_y.reshape(-1), grad_x.reshape(-1)
    for n in range(N):
        for block in range(0, S, _BLOCK):
            start, size = n * C * S + block, min(_BLOCK, S - block)
            for c in range(C):
                _denominators(source, start, S, size, max(0, c - below), min(C, c + above + 1), k, a, D)
                _powers(D[:size], beta, power[:size])
                i, j = u(start + c * S), u(c * _BLOCK)
                for s in range(size):
                    direct = gradient[i + u(s)] * power[u(s)]
                    target[i + u(s)] = direct
                    through[j + u(s)] = direct * source[i + u(s)] / D[u(s)]
            for c in range(C):
                for s in range(size):
                    total[u(s)] = 0
                for near in range(max(0, c - above), min(C, c + below + 1)):
                    j = u(near * _BLOCK)
                    for s in range(size):
                        total[u(s)] += through[j + u(s)]
                i = u(start + c * S)
                for s in range(size):
                    target[i + u(s)] -= factor * source[i + u(s)] * total[u(s)]


@kernel
def relu_backward(y: Array, grad_y: Array, grad_x: Array) -> None:
    nothing = grad_x.dtype.type(0)
    for s in range(y.size):
        gradient = grad_y[s]  # read in both cases: then this is a select instruction, not an unpredictable branch
        grad_x[s] = nothing if y[s] <= 0 else gradient


@kernel
def _sgd_plain(parameter: Array, gradient: Array, lr: float, weight_decay: float) -> None:
    number = parameter.dtype.type
    rate, decay = number(lr), number(weight_decay)
    for s in range(parameter.size):
        parameter[s] -= rate * (gradient[s] + decay * parameter[s])


@kernel
def _sgd_momentum(
    parameter: Array,
    gradient: Array,
    velocity: Array,
    lr: float,
    momentum: float,
    weight_decay: float,
    nesterov: bool,
    paper: bool,
) -> None:
    number = parameter.dtype.type
    rate, decay, keep = number(lr), number(weight_decay), number(momentum)
    if paper:
        for s in range(parameter.size):
            velocity[s] = keep * velocity[s] - rate * (gradient[s] + decay * parameter[s])
            parameter[s] += velocity[s]
    elif nesterov:
        for s in range(parameter.size):
            slope = gradient[s] + decay * parameter[s]
            velocity[s] = keep * velocity[s] + slope
            parameter[s] -= rate * (slope + keep * velocity[s])
    else:
        for s in range(parameter.size):
            velocity[s] = keep * velocity[s] + (gradient[s] + decay * parameter[s])
            parameter[s] -= rate * velocity[s]


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
    if velocity is None:
        _sgd_plain(parameter, gradient, lr, weight_decay)
    else:
        _sgd_momentum(parameter, gradient, velocity, lr, momentum, weight_decay, nesterov, paper)
