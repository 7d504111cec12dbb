"""The loss that AlexNet minimises: the cross-entropy of the softmax over its outputs, of labels or of probabilities."""

from types import ModuleType
from typing import Any

import numpy as np

from minicnn.arguments import floating, one_of, probability, same_dtype, whole
from minicnn.autograd import Function, Tensor, as_tensor
from minicnn.backend import Array, on_device_of, same_device
from minicnn.ops.algorithms import choose

__all__ = ["CrossEntropy", "NLLLoss", "SoftCrossEntropy", "cross_entropy", "nll_loss"]

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
        _refuse_wrong_labels("cross_entropy", self.labels, C, self.ignore_index)
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


class NLLLoss(CrossEntropy):
    """L_n = -v_l x_nl  with  l the label of row n and v the class weights;  dL_n/dx_nl = -v_l, and 0 elsewhere.

    Of x = ln softmax it is the cross-entropy, without its label smoothing: the negative log likelihood of the labels.
    Shapes: x (M, C), labels (M,), L () or (M,).
    """

    def forward(self, xp: ModuleType, x: Array) -> Array:
        M, C = x.shape
        _refuse_wrong_labels("nll_loss", self.labels, C, self.ignore_index)
        counted = self.labels != self.ignore_index  # (M,)
        self.place = xp.arange(M), xp.where(counted, self.labels, 0)
        v = xp.ones(C, dtype=x.dtype) if self.weight is None else self.weight
        self.v, self.x_shape = v[self.place[1]] * counted, x.shape
        losses = -xp.where(counted, x[self.place], 0) * self.v
        self.divisor = self.v.sum() if self.reduction == "mean" else None
        return losses if self.reduction == "none" else self.reduced(losses)

    def backward(self, xp: ModuleType, grad_output: Array) -> Array:
        grad_x = xp.zeros(self.x_shape, grad_output.dtype)
        grad_x[self.place] = -self.v * (grad_output if self.reduction == "none" else self.scaled(xp, grad_output))
        return grad_x


class SoftCrossEntropy(Function):
    """L_n = -sum_c q_nc v_c ln p_nc  with  p = softmax(x);  dL_n/dx_c = (sum of q v) p_c - q_c v_c.

        dL_n/dq_c = -v_c ln p_c

    The target q has a probability for each class, and a derivative, too; v are the class weights. Label smoothing s
    replaces q by (1 - s) q + s / C, which multiplies dL_n/dq by 1 - s. The mean is over the rows.
    Shapes: x and q (M, C), L () or (M,).
    """

    def __init__(self, weight: Array | None, reduction: str, label_smoothing: float) -> None:
        self.weight, self.reduction, self.label_smoothing = weight, reduction, label_smoothing

    def forward(self, xp: ModuleType, x: Array, q: Array) -> Array:
        v = xp.ones(x.shape[1], dtype=x.dtype) if self.weight is None else self.weight
        shifted = x - x.max(axis=1, keepdims=True)
        self.log_p = shifted - xp.log(xp.exp(shifted).sum(axis=1, keepdims=True))  # (M, C)
        self.qv = ((1 - self.label_smoothing) * q + self.label_smoothing / x.shape[1]) * v
        losses = -(self.qv * xp.where(self.qv == 0, 0, self.log_p)).sum(axis=1)
        if self.reduction == "none":
            return losses
        with np.errstate(invalid="ignore"):  # the mean of nothing is NaN
            return losses.sum() / len(x) if self.reduction == "mean" else losses.sum()

    def backward(self, xp: ModuleType, grad_output: Array) -> tuple[Array, Array]:
        M = max(1, len(self.qv)) if self.reduction == "mean" else 1
        scale = grad_output[:, None] if self.reduction == "none" else grad_output / M
        v = 1 if self.weight is None else self.weight
        grad_x = xp.exp(self.log_p) * self.qv.sum(axis=1, keepdims=True) - self.qv
        return grad_x * scale, (self.label_smoothing - 1) * v * self.log_p * scale


def _refuse_wrong_labels(function: str, labels: Array, C: int, ignore_index: int) -> None:
    """Refuse labels that are neither a class nor ignored."""
    wrong = ((labels < 0) | (labels >= C)) & (labels != ignore_index)
    if wrong.any():
        raise ValueError(
            f"{function}: target must lie between 0 and {C - 1} (or be ignore_index={ignore_index}), "
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
    input : Tensor of shape (N, C), (N, C, *) or (C,)
        Scores (logits) of each class, not probabilities.
    target : array or Tensor
        Integer labels of shape (N,), (N, *) or (), from 0 to C - 1, or `ignore_index`. Or a probability for each class,
        in the shape and precision of `input`; then the target can get a gradient.
    weight : array or Tensor of shape (C,), optional
        The weight of each class. It gets no gradient.
    ignore_index : int
        Rows with this label are left out.
    reduction : {"mean", "sum", "none"}
        The mean is over the labels that are not ignored, weighted by `weight`. If all are ignored, it is NaN and its
        gradient is 0, so that one such batch does not spoil the weights. With probabilities it is over all rows.
    label_smoothing : float
        Between 0 and 1: the share of the target that is spread evenly over all classes.

    Returns
    -------
    Tensor of shape (), or for ``reduction="none"`` of the shape that labels have

    Raises
    ------
    TypeError
        If `target` holds neither integers nor numbers of the precision of `input`.
    ValueError
        If a label is out of range. On a GPU, where checking would mean waiting, the loss is NaN instead.

    References
    ----------
    Krizhevsky et al. 2012, section 3.5.
    """
    input = as_tensor(input)
    floating("cross_entropy", "input", input)
    label_smoothing = probability("cross_entropy", "label_smoothing", label_smoothing)
    target = as_tensor(target)
    if target.dtype.kind == "f" and target.shape == input.shape and input.ndim:
        if whole("cross_entropy", "ignore_index", ignore_index) >= 0:
            raise NotImplementedError(
                f"cross_entropy: ignore_index must be negative for a target of probabilities, got {ignore_index}"
            )
        same_dtype("cross_entropy", input=input, target=target)
        v = _checked("cross_entropy", input, weight, reduction)
        loss = SoftCrossEntropy(v, reduction, label_smoothing)(_rows(input), _rows(target))
    else:
        labels, v, ignore_index = _with_labels("cross_entropy", input, target, weight, ignore_index, reduction)
        operation = choose(CrossEntropy, input.data)
        loss = operation(labels, v, ignore_index, reduction, label_smoothing)(_rows(input))
    return _shaped(loss, input, reduction)


def nll_loss(
    input: Tensor, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """Return the negative log likelihood of the labels: :func:`cross_entropy` of what :func:`log_softmax` returns.

    Parameters
    ----------
    input : Tensor of shape (N, C), (N, C, *) or (C,)
        The logarithm of each class's probability.
    target : array or Tensor
        Integer labels of shape (N,), (N, *) or (), from 0 to C - 1, or `ignore_index`.
    weight, ignore_index, reduction
        As in :func:`cross_entropy`.

    Returns
    -------
    Tensor of shape (), or of the target's shape for ``reduction="none"``

    Raises
    ------
    TypeError
        If `target` does not hold integers.
    ValueError
        If a label is out of range.
    """
    input = as_tensor(input)
    floating("nll_loss", "input", input)
    target = as_tensor(target)
    labels, v, ignore_index = _with_labels("nll_loss", input, target, weight, ignore_index, reduction)
    return _shaped(NLLLoss(labels, v, ignore_index, reduction, 0.0)(_rows(input)), input, reduction)


def _checked(function: str, input: Tensor, weight: Any, reduction: str) -> Array | None:
    """Check the input's shape and what both kinds of targets share, and return the class weights."""
    one_of(function, "reduction", reduction, REDUCTIONS)
    if input.ndim < 1:
        raise ValueError(f"{function}: input must have shape (N, C), (N, C, *) or (C,), got {input.shape}")
    C = input.shape[0 if input.ndim == 1 else 1]
    v = None if weight is None else as_tensor(weight).data
    if v is not None and v.shape != (C,):
        raise ValueError(f"{function}: weight must have shape ({C},), one number a class, got {v.shape}")
    same_device(function, input=input.data, weight=v)
    with on_device_of(input.data):
        return None if v is None else v.astype(input.dtype)


def _with_labels(
    function: str, input: Tensor, target: Tensor, weight: Any, ignore_index: int, reduction: str
) -> tuple[Array, Array | None, int]:
    """Check a target of labels; return the labels (M,), the class weights and ignore_index."""
    ignore_index = whole(function, "ignore_index", ignore_index)
    v = _checked(function, input, weight, reduction)
    labels, shape = target.data, _of_labels(input)
    if labels.dtype.kind not in "iu":
        also = f" or probabilities of shape {input.shape}" if function == "cross_entropy" else ""
        raise TypeError(
            f"{function}: target must hold integer labels{also}, got {labels.dtype} of shape {labels.shape}"
        )
    if labels.shape != shape:
        raise ValueError(
            f"{function}: target must have shape {shape} for an input of shape {input.shape}, got {labels.shape}"
        )
    same_device(function, input=input.data, target=labels)
    with on_device_of(input.data):  # an unsigned one could not be compared with ignore_index
        return labels.astype("int64", copy=False).reshape(-1), v, ignore_index


def _of_labels(input: Tensor) -> tuple[int, ...]:
    """Return the shape of the labels: that of the input without its classes."""
    return (input.shape[0], *input.shape[2:]) if input.ndim > 1 else ()


def _rows(input: Tensor) -> Tensor:
    """Return (N, C, *) or (C,) as (M, C): every position is an example of its own."""
    if input.ndim == 1:
        return input.reshape(1, -1)
    return input.permute(0, *range(2, input.ndim), 1).reshape(-1, input.shape[1]) if input.ndim > 2 else input


def _shaped(loss: Tensor, input: Tensor, reduction: str) -> Tensor:
    """Give the losses of all rows the shape of the labels."""
    return loss.reshape(_of_labels(input)) if reduction == "none" and input.ndim != 2 else loss
