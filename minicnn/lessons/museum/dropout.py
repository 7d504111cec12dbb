"""Broken dropout."""

from functools import partial
from types import ModuleType

import numpy as np

from minicnn.autograd import Tensor
from minicnn.backend import Array, manual_seed, random_uniform
from minicnn.lessons.museum.exhibit import Exhibit, Maker, normal
from minicnn.ops.dropout import Dropout


class DropoutUnmasked(Dropout):
    """Backward scales the gradient but passes it to the dropped units too.

    Tempting because the scale is the part that everybody warns about.

    Symptom: dropped units learn from an output to which they did not contribute; training is noisier, but it
    works.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return grad_output / (1 - self.p)


class DropoutDrawsAgain(Dropout):
    """Backward draws a new mask instead of using forward's.

    Tempting because both need "a random mask", and there is a function that makes one.

    Symptom: averaged over many steps, the gradient even points the right way; training is only noisier.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        keep = random_uniform(xp, grad_output.shape, grad_output.dtype) >= self.p
        return grad_output * keep / (1 - self.p)


class DropoutDividesByP(Dropout):
    """The units that are kept are divided by p, the probability of being dropped, instead of by 1 - p.

    Tempting because p is the probability of dropping a unit in some papers, and of keeping it in others.

    Symptom: with p = 0.5, AlexNet's, the two are the same. With p = 0.1 activations are nine times as large in training
    as in testing, and the test error is inexplicably high.
    """

    def forward(self, xp: ModuleType, x: Array) -> Array:
        keep = random_uniform(xp, x.shape, x.dtype) >= self.p
        self.mask = keep / self.p
        return x * self.mask


def _dropout(x: Array, p: float) -> Array:
    keep = np.random.default_rng(0).random(x.shape) >= p
    return np.where(keep, x / (1 - p), 0)


def _seeded(make: Maker, *inputs: Tensor) -> Tensor:
    """Apply a Function that draws random numbers, with the same seed each time."""
    manual_seed(0)
    return make()(*inputs)


_ROWS = normal((3, 4))


EXHIBITS = [
    Exhibit(
        "dropout-unmasked",
        partial(DropoutUnmasked, 0.3),
        partial(Dropout, 0.3),
        _ROWS,
        "gradcheck",
        "What is the derivative of an output that is 0 for every input? Section 4.2.",
        use=_seeded,
    ),
    Exhibit(
        "dropout-draws-again",
        partial(DropoutDrawsAgain, 0.3),
        partial(Dropout, 0.3),
        _ROWS,
        "gradcheck",
        "Are the units that get a gradient the ones that forward kept? Section 4.2.",
        use=_seeded,
    ),
    Exhibit(
        "dropout-divides-by-p",
        partial(DropoutDividesByP, 0.3),
        partial(Dropout, 0.3),
        _ROWS,
        "reference",
        "What is the mean output over many masks, and what should it be? Section 4.2.",
        use=_seeded,
        reference=partial(_dropout, p=0.3),
    ),
]
