"""Broken max pools and average pools."""

from collections.abc import Iterator
from functools import partial
from types import ModuleType

import numpy as np

from minicnn.autograd import Tensor
from minicnn.backend import Array
from minicnn.lessons.museum.exhibit import Exhibit, normal
from minicnn.ops.pool import AvgPool2d, MaxPool2d

Place = tuple[int, ...]


class MaxPoolZeroPadded(MaxPool2d):
    """The image is padded with zeros, where a maximum needs minus infinity.

    Tempting because convolution pads with zeros, and there is a helper for it already.

    Symptom: none after a ReLU, whose output is never negative. After tanh, or before the ReLU, every border window of
    negative numbers gives 0 and sends its gradient into the padding. The gradient matches the forward, so a gradient
    check passes.
    """

    def forward(self, xp: ModuleType, x: Array) -> Array:
        (PH, PW), self.padding = self.padding, (0, 0)
        self.inside = slice(PH, PH + x.shape[2]), slice(PW, PW + x.shape[3])
        return super().forward(xp, xp.pad(x, ((0, 0), (0, 0), (PH, PH), (PW, PW))))

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return super().backward(xp, grad_output)[:, :, *self.inside]


class MaxPoolFeedsAllTies(MaxPool2d):
    """The gradient goes to every element that equals the maximum, instead of to the first.

    Tempting because ``x == y`` finds the maximum in one line.

    Symptom: none on random numbers, which never tie. After a ReLU whole windows are 0, and a gradient of 1 becomes a
    gradient of 9. At a tie there is no derivative, so no gradient check can decide; only the definition can.
    """

    def forward(self, xp: ModuleType, x: Array) -> Array:
        self.x, self.y = x, super().forward(xp, x)
        return self.y

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        grad_x = xp.zeros_like(self.x)
        (KH, KW), (SH, SW) = self.kernel_size, self.stride
        for oh in range(self.y.shape[2]):
            for ow in range(self.y.shape[3]):
                window = ..., slice(oh * SH, oh * SH + KH), slice(ow * SW, ow * SW + KW)
                largest = self.x[window] == self.y[:, :, oh, ow, None, None]
                grad_x[window] += largest * grad_output[:, :, oh, ow, None, None]
        return grad_x


class MaxPoolOverwrites(MaxPool2d):
    """Each window assigns its gradient to its maximum, instead of adding it.

    Tempting because where windows do not overlap, each element is in only one of them.

    Symptom: right for 2x2 windows at stride 2. AlexNet's 3x3 windows at stride 2 overlap, and an element that
    is the maximum of four windows gets only the gradient of the last.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        grad_x = xp.zeros(self.input_shape, dtype=grad_output.dtype)
        for n, c, oh, ow in np.ndindex(*grad_output.shape):
            kh, kw = divmod(int(self.index[n, c, oh, ow]), self.kernel_size[1])
            h, w = oh * self.stride[0] + kh, ow * self.stride[1] + kw
            grad_x[n, c, h, w] = grad_output[n, c, oh, ow]
        return grad_x


class AvgPoolDividesOnlyForward(AvgPool2d):
    """Forward divides by the window size, backward gives the whole gradient to each element of the window.

    Tempting because it is the max pool's backward without the search for the maximum.

    Symptom: everything below the layer has a gradient 9 times too large: it explodes at a learning rate that suits the
    layers above. Adam, which does not depend on the scale, hides it.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        self.divisor = xp.ones_like(self.divisor)
        return super().backward(xp, grad_output)


def _max_pool_windows(x: Array, size: int, stride: int, padding: int) -> Iterator[tuple[Place, list[Place]]]:
    """Yield each output (n, c, oh, ow) with the pixels (n, c, h, w) in its window, padding excluded."""
    N, C, H, W = x.shape
    for n, c in np.ndindex(N, C):
        for oh, top in enumerate(range(-padding, H + padding - size + 1, stride)):
            for ow, left in enumerate(range(-padding, W + padding - size + 1, stride)):
                window = [(n, c, h, w) for h in range(top, top + size) for w in range(left, left + size)]
                yield (n, c, oh, ow), [place for place in window if 0 <= place[2] < H and 0 <= place[3] < W]


def _max_pool(x: Array, size: int, stride: int, padding: int) -> Array:
    N, C, H, W = x.shape
    y = np.empty((N, C, (H + 2 * padding - size) // stride + 1, (W + 2 * padding - size) // stride + 1))
    for output, window in _max_pool_windows(x, size, stride, padding):
        y[output] = max(x[place] for place in window)
    return y


def _max_pool_gradient_of_sum(x: Array, size: int, stride: int, padding: int) -> Array:
    grad_x = np.zeros_like(x)
    for _, window in _max_pool_windows(x, size, stride, padding):
        grad_x[max(window, key=lambda place: x[place])] += 1  # of several maxima, max() takes the first
    return grad_x


def _tied() -> tuple[Tensor, ...]:
    image = [[0.0, 0, 0, 2, 2], [0, 0, 0, 2, 1], [0, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]]
    return (Tensor(np.array([[image]]), requires_grad=True),)


_IMAGES = normal((2, 2, 5, 5))


EXHIBITS = [
    Exhibit(
        "max-pool-zero-padded",
        partial(MaxPoolZeroPadded, (3, 3), (2, 2), (1, 1), False),
        partial(MaxPool2d, (3, 3), (2, 2), (1, 1), False),
        normal((2, 2, 5, 5), shift=-2.0),
        "reference",
        "What is the maximum of a window of negative numbers at the border?",
        reference=partial(_max_pool, size=3, stride=2, padding=1),
    ),
    Exhibit(
        "max-pool-feeds-all-ties",
        partial(MaxPoolFeedsAllTies, (3, 3), (2, 2), (0, 0), False),
        partial(MaxPool2d, (3, 3), (2, 2), (0, 0), False),
        _tied,
        "reference",
        "Add up the gradient that a window returns: is it the gradient that the window was given?",
        reference=partial(_max_pool, size=3, stride=2, padding=0),
        reference_gradient=partial(_max_pool_gradient_of_sum, size=3, stride=2, padding=0),
    ),
    Exhibit(
        "max-pool-overwrites",
        partial(MaxPoolOverwrites, (3, 3), (2, 2), (0, 0), False),
        partial(MaxPool2d, (3, 3), (2, 2), (0, 0), False),
        normal((2, 2, 7, 7)),
        "gradcheck",
        "Of how many windows can one pixel be the maximum? Section 3.4.",
    ),
    Exhibit(
        "avg-pool-divides-only-forward",
        partial(AvgPoolDividesOnlyForward, (3, 3), (2, 2), (0, 0), False, True, None),
        partial(AvgPool2d, (3, 3), (2, 2), (0, 0), False, True, None),
        _IMAGES,
        "gradcheck",
        "If one pixel rises by 1, by how much does the average rise?",
    ),
]
