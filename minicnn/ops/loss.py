"""The loss that AlexNet minimises: the cross-entropy of the softmax over its outputs."""

from types import ModuleType
from typing import Any

import numpy as np

from minicnn.arguments import floating, probability, whole
from minicnn.autograd import Function, Tensor
from minicnn.backend import Array, on_device_of, same_device
from minicnn.ops.algorithms import choose

__all__ = ["CrossEntropy", "cross_entropy"]

REDUCTIONS = ("mean", "sum", "none")


class CrossEntropy(Function):
    """L_n = -sum_c q_nc ln p_nc  with  p = softmax(x)  and the target q: 1 at the label, 0 elsewhere;  dL_n/dx = p - q.

    Label smoothing s moves the target to q = (1 - s) [c is the label] + s / C. Class weights v multiply each term, so
    that dL_n/dx_c = (sum of q v) p_c - q_c v_c, and the mean over the batch becomes a mean weighted by v[label].
    Rows whose label is ignore_index are left out. ln p is computed as x - ln sum e^x, which cannot overflow, and p - q
    in one step, without a division by a p that may have rounded to 0.
    Shapes: x (M, C), labels (M,), L () or (M,). Krizhevsky et al. 2012, section 3.5: the multinomial logistic
    regression objective.
    """

    def __init__(
        self, labels: Array, weight: Array | None, ignore_index: int, reduction: str, label_smoothing: float
    ) -> None:
        self.labels, self.weight, self.ignore_index = labels, weight, ignore_index
        self.reduction, self.label_smoothing = reduction, label_smoothing

    def forward(self, xp: ModuleType, x: Array) -> Array:
        M, C = x.shape
        _refuse_wrong_labels(self.labels, C, self.ignore_index)
        counted = self.labels != self.ignore_index  # (M,)
        labels = xp.where(counted, self.labels, 0)
        rows = xp.arange(M)
        v = xp.ones(C, dtype=x.dtype) if self.weight is None else self.weight

        shifted = x - x.max(axis=1, keepdims=True)
        log_p = shifted - xp.log(xp.exp(shifted).sum(axis=1, keepdims=True))  # (M, C)

        q = xp.full((M, C), self.label_smoothing / C, dtype=x.dtype)
        q[rows, labels] += 1 - self.label_smoothing
        self.qv = q * v * counted[:, None]  # (M, C)
        self.p = xp.exp(log_p)
        # 0 times the -inf of an impossible class would be NaN
        losses = -(self.qv * xp.where(self.qv == 0, 0, log_p)).sum(axis=1)
        self.divisor = (v[labels] * counted).sum() if self.reduction == "mean" else None
        if self.reduction == "none":
            return losses
        return self.reduced(losses)

    def reduced(self, losses: Array) -> Array:
        """Return the sum or the mean of the losses. The mean over no label at all is NaN, as 0 / 0 is."""
        total = losses.sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            return total / self.divisor if self.reduction == "mean" else total

    def scaled(self, xp: ModuleType, grad_output: Array) -> Array:
        """Return the gradient of the sum of the losses. Where no label counts it is 0, not 1 / 0."""
        if self.reduction != "mean":
            return grad_output
        return grad_output / xp.where(self.divisor == 0, xp.inf, self.divisor)

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        grad_x = self.p * self.qv.sum(axis=1, keepdims=True) - self.qv  # (M, C)
        if self.reduction == "none":
            return grad_x * grad_output[:, None]
        return grad_x * self.scaled(xp, grad_output)


def _refuse_wrong_labels(labels: Array, C: int, ignore_index: int) -> None:
    wrong = ((labels < 0) | (labels >= C)) & (labels != ignore_index)
    if wrong.any():
        raise ValueError(
            f"cross_entropy: target must lie between 0 and {C - 1} (or be ignore_index={ignore_index}), "
            f"got {int(labels[wrong][0])}"
        )


def cross_entropy(
    input: Tensor,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return how surprising the labels are for ``softmax(input)``, in nats.

    Parameters
    ----------
    input : Tensor of shape (N, C) or (N, C, *)
        Scores (logits) of each class, not probabilities.
    target : integer array or Tensor of shape (N,) or (N, *)
        Labels from 0 to C - 1, or `ignore_index`.
    weight : array or Tensor of shape (C,), optional
        The weight of each class. It gets no gradient.
    ignore_index : int
        Rows with this label are left out.
    reduction : {"mean", "sum", "none"}
        The mean is over the labels that are not ignored, weighted by `weight`. If all are ignored, it is NaN and its
        gradient is 0, so that one such batch does not spoil the weights.
    label_smoothing : float
        Between 0 and 1: the share of the target that is spread evenly over all classes.

    Returns
    -------
    Tensor of shape (), or of the target's shape for ``reduction="none"``

    Raises
    ------
    TypeError
        If `target` does not hold integers: class probabilities are not supported.
    ValueError
        If a label is out of range. On a GPU, where checking would mean waiting, the loss is NaN instead.

    References
    ----------
    Krizhevsky et al. 2012, section 3.5.
    """
    input = input if isinstance(input, Tensor) else Tensor(input)
    floating("cross_entropy", "input", input)
    if reduction not in REDUCTIONS:
        raise ValueError(f"cross_entropy: reduction must be one of {REDUCTIONS}, got {reduction!r}")
    ignore_index = whole("cross_entropy", "ignore_index", ignore_index)
    label_smoothing = probability("cross_entropy", "label_smoothing", label_smoothing)
    if input.ndim < 2:
        raise ValueError(f"cross_entropy: input must have shape (N, C) or (N, C, *), got {input.shape}")
    N, C, *positions = input.shape
    labels = (target if isinstance(target, Tensor) else Tensor(target)).data
    if labels.dtype.kind not in "iu":
        raise TypeError(f"cross_entropy: target must hold integer labels, got {labels.dtype}")
    if labels.shape != (N, *positions):
        raise ValueError(
            f"cross_entropy: target must have shape {(N, *positions)} for an input of shape {input.shape}, "
            f"got {labels.shape}"
        )
    v = None if weight is None else (weight if isinstance(weight, Tensor) else Tensor(weight)).data
    if v is not None and v.shape != (C,):
        raise ValueError(f"cross_entropy: weight must have shape ({C},), one number a class, got {v.shape}")
    same_device("cross_entropy", input=input.data, target=labels, weight=v)
    with on_device_of(input.data):
        labels = labels.astype("int64", copy=False)  # an unsigned one could not be compared with ignore_index
        v = None if v is None else v.astype(input.dtype)
    if positions:  # every position is an example of its own: (N, C, *) -> (N, *, C) -> (M, C)
        input = input.permute(0, *range(2, input.ndim), 1).reshape(-1, C)
    operation = choose(CrossEntropy, input.data)
    loss = operation(labels.reshape(-1), v, ignore_index, reduction, label_smoothing)(input)
    return loss.reshape(N, *positions) if positions and reduction == "none" else loss
