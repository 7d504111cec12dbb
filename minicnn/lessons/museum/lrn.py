"""Broken local response normalisation."""

from functools import partial
from types import ModuleType

import numpy as np

from minicnn.backend import Array
from minicnn.lessons.museum.exhibit import Exhibit, normal
from minicnn.ops.lrn import LocalResponseNorm


def neighbours(values: Array, below: int, above: int) -> Array:
    """Sum over channels c - below to c + above, where they exist. values (N, C, *)."""
    sums = [values[:, max(0, c - below) : c + above + 1].sum(axis=1) for c in range(values.shape[1])]
    return np.stack(sums, axis=1)


class LRNWindowOffByOne(LocalResponseNorm):
    """The window ends one channel too early.

    Tempting because the paper's sum runs to i + n/2 *inclusive*, and Python's range does not.

    Symptom: none. The gradient matches the forward, and with the paper's alpha = 1e-4 the output differs in the fifth
    digit: only a reference with alpha near 1 shows it.
    """

    def __init__(self, below: int, above: int, k: float, a: float, beta: float) -> None:
        super().__init__(below, above - 1, k, a, beta)


class LRNDividesAlpha(LocalResponseNorm):
    """alpha is divided by the window size, which the paper's formula does not do.

    Tempting because PyTorch, Caffe and ONNX all divide, and their alpha has the same name and default as the
    paper's.

    Symptom: none, but the normalisation is five times weaker than the paper's, whose 1e-4 is their 5e-4.
    """

    def __init__(self, below: int, above: int, k: float, a: float, beta: float) -> None:
        super().__init__(below, above, k, a / (below + above + 1), beta)


class LRNForgetsNeighbours(LocalResponseNorm):
    """Backward differentiates a channel's effect on its own denominator, but not on its neighbours' denominators.

    Tempting because b_i = a_i / D_i^beta reads like a formula about channel i.

    Symptom: with alpha = 1e-4 the missing term is small, training hardly differs, and a gradient check with a loose
    tolerance passes.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        D = self.k + self.a * neighbours(self.x * self.x, self.below, self.above)
        own = grad_output * self.x * D ** -(self.beta + 1)
        return grad_output * D**-self.beta - 2 * self.a * self.beta * self.x * own


class LRNWindowNotTransposed(LocalResponseNorm):
    """Backward sums over forward's window, instead of over the channels whose window contains this one.

    Tempting because for odd n, such as the paper's 5, the two are the same.

    Symptom: none for odd n; for even n the window reaches further down than up, and the gradient is that of a layer
    whose window is mirrored.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        D = self.k + self.a * neighbours(self.x * self.x, self.below, self.above)
        through_D = neighbours(grad_output * self.x * D ** -(self.beta + 1), self.below, self.above)
        return grad_output * D**-self.beta - 2 * self.a * self.beta * self.x * through_D


def _paper_lrn(x: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    """The formula of Krizhevsky et al. 2012, section 3.3, term by term."""
    b = np.empty_like(x)
    N = x.shape[1]
    for place in np.ndindex(*x.shape):
        image, i, *position = place
        total = 0.0
        for j in range(max(0, i - n // 2), min(N - 1, i + n // 2) + 1):
            total += x[(image, j, *position)] ** 2
        b[place] = x[place] / (k + alpha * total) ** beta
    return b


_MAPS = normal((2, 7, 2, 3))


_PAPER_LRN = partial(_paper_lrn, n=5, k=2.0, alpha=1.0, beta=0.75)


EXHIBITS = [
    Exhibit(
        "lrn-window-off-by-one",
        partial(LRNWindowOffByOne, 2, 2, 2.0, 1.0, 0.75),
        partial(LocalResponseNorm, 2, 2, 2.0, 1.0, 0.75),
        _MAPS,
        "reference",
        "Which channels are in the window of channel 3? Write them down. Section 3.3.",
        reference=_PAPER_LRN,
    ),
    Exhibit(
        "lrn-divides-alpha",
        partial(LRNDividesAlpha, 2, 2, 2.0, 1.0, 0.75),
        partial(LocalResponseNorm, 2, 2, 2.0, 1.0, 0.75),
        _MAPS,
        "reference",
        "Compute one output of the paper's formula by hand. Section 3.3.",
        reference=_PAPER_LRN,
    ),
    Exhibit(
        "lrn-forgets-neighbours",
        partial(LRNForgetsNeighbours, 2, 2, 2.0, 1.0, 0.75),
        partial(LocalResponseNorm, 2, 2, 2.0, 1.0, 0.75),
        _MAPS,
        "gradcheck",
        "In how many denominators does one activation occur? Section 3.3.",
    ),
    Exhibit(
        "lrn-window-not-transposed",
        partial(LRNWindowNotTransposed, 2, 1, 2.0, 1.0, 0.75),
        partial(LocalResponseNorm, 2, 1, 2.0, 1.0, 0.75),
        _MAPS,
        "gradcheck",
        "With a window from c - 2 to c + 1: which windows is channel 3 in?",
    ),
]
