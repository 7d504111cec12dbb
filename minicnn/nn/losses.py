"""The losses as modules: each holds its settings and calls the function of the same name."""

from typing import Any

from minicnn import functional as F
from minicnn.arguments import one_of, probability, whole
from minicnn.autograd import Tensor
from minicnn.nn.module import Module
from minicnn.ops.loss import REDUCTIONS

__all__ = ["CrossEntropyLoss", "Loss", "MSELoss", "NLLLoss"]


class Loss(Module):
    """Base class of the losses, which compare an input with a target.

    Attributes
    ----------
    reduction : {"mean", "sum", "none"}
    """

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = one_of(type(self).__name__, "reduction", reduction, REDUCTIONS)

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}"


class NLLLoss(Loss):
    """The negative log likelihood of labels; see :func:`minicnn.functional.nll_loss`.

    Parameters
    ----------
    weight : array or Tensor of shape (C,), optional
        The weight of each class, kept as a buffer.
    ignore_index : int
        Rows with this label are left out.
    reduction : {"mean", "sum", "none"}
        See :func:`minicnn.functional.cross_entropy`.
    """

    weight: Tensor | None

    def __init__(self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = whole(type(self).__name__, "ignore_index", ignore_index)

    def forward(self, input: Tensor, target: Any) -> Tensor:
        return F.nll_loss(input, target, self.weight, self.ignore_index, self.reduction)


class CrossEntropyLoss(NLLLoss):
    """The cross-entropy of the softmax over scores; see :func:`minicnn.functional.cross_entropy`.

    Parameters
    ----------
    weight : array or Tensor of shape (C,), optional
        The weight of each class, kept as a buffer.
    ignore_index : int
        Rows with this label are left out.
    reduction : {"mean", "sum", "none"}
    label_smoothing : float
        Between 0 and 1: the share of the target that is spread evenly over all classes.

    Examples
    --------
    >>> from minicnn import Tensor, nn
    >>> loss = nn.CrossEntropyLoss()(Tensor([[2.0, 0.0], [0.0, 0.0]]), [0, 1])
    >>> f"{loss:.4f}"
    '0.4100'
    """

    def __init__(
        self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0
    ) -> None:
        super().__init__(weight, ignore_index, reduction)
        self.label_smoothing = probability("CrossEntropyLoss", "label_smoothing", label_smoothing)

    def forward(self, input: Tensor, target: Any) -> Tensor:
        weight, ignored, smoothing = self.weight, self.ignore_index, self.label_smoothing
        return F.cross_entropy(input, target, weight, ignored, self.reduction, smoothing)


class MSELoss(Loss):
    """The mean squared error; see :func:`minicnn.functional.mse_loss`.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
    """

    def forward(self, input: Tensor, target: Any) -> Tensor:
        return F.mse_loss(input, target, self.reduction)
