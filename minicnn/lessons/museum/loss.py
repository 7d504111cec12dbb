"""A broken loss."""

from functools import partial
from types import ModuleType

import numpy as np

from minicnn.backend import Array
from minicnn.lessons.museum.exhibit import Exhibit, normal
from minicnn.ops.loss import CrossEntropy


class CrossEntropyForgetsMean(CrossEntropy):
    """The loss is the mean over the batch, but the gradient p - q is not divided by the batch size.

    Tempting because p - q is so beautiful that the derivation seems to be finished.

    Symptom: everything works with a learning rate 128 times smaller than usual, and stops working when the batch
    size changes.
    """

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        return (self.p - self.qv) * grad_output


_ROWS = normal((3, 4))
_LABELS = np.array([0, 3, 2])


EXHIBITS = [
    Exhibit(
        "cross-entropy-forgets-mean",
        partial(CrossEntropyForgetsMean, _LABELS, None, -100, "mean", 0.0),
        partial(CrossEntropy, _LABELS, None, -100, "mean", 0.0),
        _ROWS,
        "gradcheck",
        "Double the batch by repeating it: what should happen to the gradient of each image?",
    ),
]
