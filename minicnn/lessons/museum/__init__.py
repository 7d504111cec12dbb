"""The museum of bugs: classic mistakes in forward and backward passes, each alone and behind glass.

Every exhibit is a Function that runs without an error and is wrong, the correct one, and the check that finds the
difference. Two kinds of check are needed. A gradient check finds a backward that does not match its forward. It cannot
find a forward that computes the wrong thing and is differentiated correctly: that takes a reference, which here is the
definition written out in plain loops.

A file for each kind of operation, named as in :mod:`minicnn.ops`: the mistakes, then their inputs, then the table
EXHIBITS. ``museum.LRNDividesAlpha`` and the other mistakes can be reached from here, too.

Examples
--------
>>> exhibit = exhibits()["relu-writes-into-gradient"]
>>> print(exhibit.complaint(exhibit.broken))
gradcheck failed: ReLUWritesIntoGradient.backward writes into the gradient it is given, which others may need
>>> exhibit.complaint(exhibit.correct)
''
"""

# ruff: noqa: F401 - lesson 13 and readers use these names as museum.X

from minicnn.lessons.museum import activation, conv, dropout, linear, loss, lrn, pool, saved_arrays
from minicnn.lessons.museum.activation import (
    ReLUInPlace,
    ReLUMaskedByGradient,
    ReLUWritesIntoGradient,
    SoftmaxElementwise,
    SoftmaxOverflowing,
    TanhDerivativeOfInput,
)
from minicnn.lessons.museum.conv import Col2imOverwrites, ConvFlipsFilters, Im2col
from minicnn.lessons.museum.dropout import DropoutDividesByP, DropoutDrawsAgain, DropoutUnmasked
from minicnn.lessons.museum.exhibit import Exhibit
from minicnn.lessons.museum.linear import LinearBiasNotSummed, LinearForgetsTranspose, LinearKeepsLastImage
from minicnn.lessons.museum.loss import CrossEntropyForgetsMean
from minicnn.lessons.museum.lrn import (
    LRNDividesAlpha,
    LRNForgetsNeighbours,
    LRNWindowNotTransposed,
    LRNWindowOffByOne,
)
from minicnn.lessons.museum.pool import (
    AvgPoolDividesOnlyForward,
    MaxPoolFeedsAllTies,
    MaxPoolOverwrites,
    MaxPoolZeroPadded,
)
from minicnn.lessons.museum.saved_arrays import Square, SquareSharesBuffer
from minicnn.ops.activation import Softmax
from minicnn.ops.pool import AvgPool2d, MaxPool2d

__all__ = ["MUSEUM", "Exhibit", "exhibits"]

MUSEUM: list[Exhibit] = [
    *activation.EXHIBITS,
    *linear.EXHIBITS,
    *loss.EXHIBITS,
    *conv.EXHIBITS,
    *pool.EXHIBITS,
    *lrn.EXHIBITS,
    *dropout.EXHIBITS,
    *saved_arrays.EXHIBITS,
]
"""Every exhibit, room by room."""


def exhibits() -> dict[str, Exhibit]:
    """Return the museum by the exhibits' names."""
    return {exhibit.name: exhibit for exhibit in MUSEUM}
