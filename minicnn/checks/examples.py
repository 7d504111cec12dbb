"""At least one example of every operation: ``minicnn gradcheck`` and ``tests/ops/test_contract.py`` go through them.

A new operation needs a line in :data:`EXAMPLES`; until then a test fails and names it. More settings of an operation,
whose gradient alone is checked, are in :mod:`minicnn.checks.configurations`.
"""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from minicnn import functional as F
from minicnn.autograd import Function, Tensor
from minicnn.backend import manual_seed, to_device
from minicnn.distributed import Team
from minicnn.ops.conv import Conv2d
from minicnn.ops.conv_algorithms import DirectConv2d, WinogradConv2d
from minicnn.ops.conversion import ToDevice, ToDtype
from minicnn.ops.einsum import einsum
from minicnn.ops.exchange import all_gather, exchange
from minicnn.ops.fused_cross_entropy import FusedCrossEntropy
from minicnn.ops.fused_dropout import FusedDropout
from minicnn.ops.gpu_conv import GpuConv2d
from minicnn.ops.linear import Linear
from minicnn.ops.loss import CrossEntropy
from minicnn.ops.selection import where
from minicnn.ops.shape import Pad
from minicnn.ops.small_batch_linear import SmallBatchLinear

__all__ = ["EXAMPLES", "Example", "applying", "distinct", "normal", "positive", "seeded_dropout"]

Draw = Callable[[np.random.Generator], np.ndarray]


@dataclass(frozen=True, eq=False)
class Example:
    """An operation with settings and inputs.

    Attributes
    ----------
    operation : str
        Its name in :mod:`minicnn.functional`, or Tensor's operator or method.
    configuration : str
        Shapes and settings, in words.
    function : callable
        Applies the operation to the inputs, as tensors.
    arguments : tuple
        For each input :func:`normal`, :func:`positive` or :func:`distinct` numbers, or an array that is a constant.
    on_gpu : bool
        Whether it also runs on a GPU.
    """

    operation: str
    configuration: str
    function: Callable[..., Any]
    arguments: tuple[Draw | np.ndarray, ...]
    on_gpu: bool = True

    def inputs(self, device: str = "cpu", dtype: Any = np.float64) -> list[Tensor]:
        """Return new inputs, the same each time. All but the constants require a gradient."""
        random = np.random.default_rng(2012)
        tensors = []
        for argument in self.arguments:
            array = argument.copy() if isinstance(argument, np.ndarray) else argument(random)
            array = array.astype(dtype) if array.dtype.kind == "f" else array
            tensors.append(Tensor(to_device(array, device), requires_grad=not isinstance(argument, np.ndarray)))
        return tensors

    def __str__(self) -> str:
        return f"{self.operation} {self.configuration}"


# --- what an example is made of -----------------------------------------------------------------------------


def normal(*shape: int, scale: float = 1.0) -> Draw:
    """Draw from the normal distribution."""
    return lambda random: np.asarray(scale * random.standard_normal(shape))


def positive(*shape: int) -> Draw:
    """Draw between 0.5 and 2: for logarithms and divisors."""
    return lambda random: np.asarray(random.uniform(0.5, 2, shape))


def distinct(*shape: int) -> Draw:
    """Draw between -2 and 2, numbers far from each other and from 0: without ties and kinks."""
    size = math.prod(shape)
    return lambda random: ((random.permutation(size) + 0.25) * (4 / size) - 2).reshape(shape)


def applying(make: Callable[[], Function]) -> Callable[..., Tensor]:
    """Return a function that makes a new operation each time and applies it: for a class that no argument selects."""
    return lambda *inputs: make()(*inputs)


def seeded_dropout(x: Tensor, p: float = 0.5) -> Tensor:
    """Return dropout that drops the same elements each time."""
    manual_seed(0)
    return F.dropout(x, p)


def seeded_fused_dropout(x: Tensor) -> Tensor:
    """Return dropout by a GPU's algorithm, with the same elements each time."""
    manual_seed(0)
    return FusedDropout(0.5)(x)


def _without_bias(make: Callable[[], Function]) -> Callable[..., Tensor]:
    return lambda x, w: make()(x, w, None)


def _loss(
    kind: type[CrossEntropy], reduction: str, ignore_index: int = -100, label_smoothing: float = 0.0
) -> Callable[..., Tensor]:
    def loss(x: Tensor, labels: Tensor, weight: Tensor | None = None) -> Tensor:
        weights = None if weight is None else weight.data
        return kind(labels.data, weights, ignore_index, reduction, label_smoothing)(x)

    return loss


MASK = np.eye(3, 4, dtype=bool)
LABELS, CLASS_WEIGHTS = np.array([2, 0, -100, 1]), np.array([0.5, 1.0, 2.0])

# --- the table ----------------------------------------------------------------------------------------------

# fmt: off
EXAMPLES: list[Example] = [
    Example("+", "(3, 4) + (3, 4)", operator.add, (normal(3, 4), normal(3, 4))),
    Example("+", "(3, 4) + (4,)", operator.add, (normal(3, 4), normal(4))),
    Example("-", "(3, 4) - (3, 4)", operator.sub, (normal(3, 4), normal(3, 4))),
    Example("-", "(3, 1) - (1, 4)", operator.sub, (normal(3, 1), normal(1, 4))),
    Example("*", "(3, 4) * (3, 4)", operator.mul, (normal(3, 4), normal(3, 4))),
    Example("*", "() * (3, 4)", operator.mul, (normal(), normal(3, 4))),
    Example("/", "(3, 4) / (3, 4)", operator.truediv, (normal(3, 4), positive(3, 4))),
    Example("/", "(3, 4) / (1, 1)", operator.truediv, (normal(3, 4), positive(1, 1))),
    Example("neg", "(3, 4)", operator.neg, (normal(3, 4),)),
    Example("**", "x ** 3", lambda x: x**3, (normal(3, 4),)),
    Example("**", "x ** 0", lambda x: x**0, (normal(3, 4),)),
    Example("**", "x ** 1", lambda x: x**1, (normal(3, 4),)),
    Example("exp", "(3, 4)", Tensor.exp, (normal(3, 4),)),
    Example("log", "(3, 4)", Tensor.log, (positive(3, 4),)),
    Example("sqrt", "(3, 4)", Tensor.sqrt, (positive(3, 4),)),
    Example("abs", "(3, 4)", Tensor.abs, (distinct(3, 4),)),
    Example("@", "(3, 4) @ (4, 2)", operator.matmul, (normal(3, 4), normal(4, 2))),
    Example("@", "(4,) @ (5, 4, 2)", operator.matmul, (normal(4), normal(5, 4, 2))),
    Example("einsum", "ij,jk->ik", partial(einsum, "ij,jk->ik"), (normal(3, 4), normal(4, 2))),
    Example("einsum", "ij->ji", partial(einsum, "ij->ji"), (normal(3, 4),)),
    Example("sum", "(3, 4), dim=0", lambda x: x.sum(0), (normal(3, 4),)),
    Example("sum", "()", lambda x: x.sum(), (normal(),)),
    Example("mean", "(3, 4), dim=1, keepdim=True", lambda x: x.mean(1, True), (normal(3, 4),)),
    Example("max", "(3, 4)", Tensor.max, (distinct(3, 4),)),
    Example("max", "(3, 4), dim=1", lambda x: x.max(1), (distinct(3, 4),)),
    Example("min", "(3, 4)", Tensor.min, (distinct(3, 4),)),
    Example("min", "(3, 4), dim=1", lambda x: x.min(1), (distinct(3, 4),)),
    Example("var", "(3, 4), dim=1", lambda x: x.var(1), (normal(3, 4),)),
    Example("std", "(3, 4), dim=0, unbiased=False", lambda x: x.std(0, False), (normal(3, 4),)),
    Example("where", "(3, 4) and (4,)", lambda a, b: where(Tensor(to_device(MASK, a.device)), a, b),
            (normal(3, 4), normal(4))),
    Example("clamp", "(3, 4), min=-1, max=1", lambda x: x.clamp(-1, 1), (distinct(3, 4),)),
    Example("clone", "(3, 4)", Tensor.clone, (normal(3, 4),)),
    Example("expand", "(3, 1) to (2, 3, 4)", lambda x: x.expand(2, 3, 4), (normal(3, 1),)),
    Example("reshape", "(3, 4) to (2, 6)", lambda x: x.reshape(2, 6), (normal(3, 4),)),
    Example("reshape", "(3, 4) to (3, 4)", lambda x: x.reshape(3, 4), (normal(3, 4),)),
    Example("permute", "(3, 4), 1, 0", lambda x: x.permute(1, 0), (normal(3, 4),)),
    Example("permute", "(3, 4), 0, 1", lambda x: x.permute(0, 1), (normal(3, 4),)),
    Example("to", "the CPU", applying(lambda: ToDevice("cpu")), (normal(3, 4),)),
    Example("to", "its own dtype", lambda x: ToDtype(x.dtype)(x), (normal(3, 4),)),
    Example("[]", "[1:3]", lambda x: x[1:3], (normal(3, 4),)),
    Example("[]", "[...]", lambda x: x[...], (normal(3, 4),)),
    Example("cat", "(3, 4) and (3, 2), dim=1", lambda *x: F.cat(x, 1), (normal(3, 4), normal(3, 2))),
    Example("cat", "(3, 4) and (1, 4), dim=0", lambda *x: F.cat(x, 0), (normal(3, 4), normal(1, 4))),
    Example("pad", "(3, 4), (1, 0, 0, 2)", partial(F.pad, pad=(1, 0, 0, 2), value=0.5), (normal(3, 4),)),
    Example("pad", "(3, 4), nothing", applying(lambda: Pad(((0, 0), (0, 0)), 0.0)), (normal(3, 4),)),
    Example("relu", "(3, 4)", F.relu, (distinct(3, 4),)),
    Example("leaky_relu", "(3, 4), negative_slope=0.1", partial(F.leaky_relu, negative_slope=0.1), (distinct(3, 4),)),
    Example("tanh", "(3, 4)", F.tanh, (normal(3, 4),)),
    Example("sigmoid", "(3, 4)", F.sigmoid, (normal(3, 4),)),
    Example("softmax", "(3, 4), dim=1", partial(F.softmax, dim=1), (normal(3, 4),)),
    Example("log_softmax", "(3, 4), dim=0", partial(F.log_softmax, dim=0), (normal(3, 4),)),
    # one process is its own partner; tests/distributed checks the gradients of two
    Example("exchange", "(3, 4), one process", partial(exchange, ranks=Team()), (normal(3, 4),)),
    Example("all_gather", "(3, 4), one process", partial(all_gather, ranks=Team(), dim=1), (normal(3, 4),)),
    Example("dropout", "(3, 4), p=0.5", seeded_dropout, (normal(3, 4),)),
    Example("dropout", "(3, 4), p=0.5, in one kernel", seeded_fused_dropout, (normal(3, 4),)),
    Example("linear", "(3, 4)", applying(Linear), (normal(3, 4), normal(2, 4), normal(2))),
    Example("linear", "(2, 3, 4), no bias", _without_bias(Linear), (normal(2, 3, 4), normal(2, 4))),
    Example("linear", "(2, 3, 4), small batch", applying(SmallBatchLinear), (normal(2, 3, 4), normal(2, 4), normal(2))),
    Example("conv2d", "im2col, 3x3 kernel, stride=(2, 1), padding=1, groups=2",
            applying(lambda: Conv2d((2, 1), (1, 1), 2)), (normal(3, 4, 5, 5), normal(6, 2, 3, 3), normal(6))),
    Example("conv2d", "im2col, 3x3 kernel, no bias",
            _without_bias(lambda: Conv2d((1, 1), (0, 0), 1)), (normal(3, 4, 5, 5), normal(6, 4, 3, 3))),
    Example("conv2d", "im2col, 1x1 kernel, 1x1 image",
            applying(lambda: Conv2d((1, 1), (0, 0), 1)), (normal(3, 4, 1, 1), normal(6, 4, 1, 1), normal(6))),
    Example("conv2d", "im2col for GPUs, 3x3 kernel, stride=(2, 1), padding=1, groups=2",
            applying(lambda: GpuConv2d((2, 1), (1, 1), 2)), (normal(3, 4, 5, 5), normal(6, 2, 3, 3), normal(6))),
    Example("conv2d", "im2col for GPUs, 3x2 kernel, dilation=(2, 1), no bias",
            _without_bias(lambda: GpuConv2d((1, 1), (0, 0), 1, (2, 1))), (normal(3, 2, 5, 5), normal(6, 2, 3, 2))),
    Example("conv2d", "direct, 3x3 kernel, padding=(2, 1), groups=2", applying(lambda: DirectConv2d((1, 1), (2, 1), 2)),
            (normal(3, 4, 5, 5), normal(6, 2, 3, 3), normal(6)), on_gpu=False),
    Example("conv2d", "direct, 3x3 kernel, no bias", _without_bias(lambda: DirectConv2d((1, 1), (0, 0), 1)),
            (normal(3, 4, 5, 5), normal(6, 4, 3, 3)), on_gpu=False),
    Example("conv2d", "direct, 1x1 kernel, 1x1 image", applying(lambda: DirectConv2d((1, 1), (0, 0), 1)),
            (normal(3, 4, 1, 1), normal(6, 4, 1, 1), normal(6)), on_gpu=False),
    Example("conv2d", "Winograd, 5x5 kernel, padding=(2, 1), groups=2",
            applying(lambda: WinogradConv2d((1, 1), (2, 1), 2)),
            (normal(2, 32, 3, 4), normal(32, 16, 5, 5, scale=0.05), normal(32)), on_gpu=False),
    Example("conv2d", "Winograd, 3x3 kernel, no bias", _without_bias(lambda: WinogradConv2d((1, 1), (0, 0), 1)),
            (normal(2, 16, 4, 7), normal(16, 16, 3, 3, scale=0.05)), on_gpu=False),
    Example("conv2d", "im2col, 3x2 kernel, stride=(2, 1), padding=(2, 1), dilation=(2, 3), groups=2",
            applying(lambda: Conv2d((2, 1), (2, 1), 2, (2, 3))), (normal(3, 4, 5, 6), normal(6, 2, 3, 2), normal(6))),
    Example("conv_transpose2d", "3x2 kernel, stride=(2, 3), padding=1, output_padding=(1, 2), groups=2, ...",
            partial(F.conv_transpose2d, stride=(2, 3), padding=1, output_padding=(1, 2), groups=2, dilation=(2, 1)),
            (normal(3, 4, 3, 2), normal(4, 3, 3, 2), normal(6))),
    Example("conv_transpose2d", "1x1 kernel, 1x1 image, no bias", F.conv_transpose2d,
            (normal(3, 4, 1, 1), normal(4, 6, 1, 1))),
    Example("max_pool2d", "6x6 image, 3x2 window, stride=2, padding=1, dilation=(1, 3)",
            partial(F.max_pool2d, kernel_size=(3, 2), stride=2, padding=1, dilation=(1, 3)), (distinct(3, 2, 6, 6),)),
    Example("max_pool2d", "6x6 image, 3x3 window, stride=2, padding=1, ceil_mode=True",
            partial(F.max_pool2d, kernel_size=3, stride=2, padding=1, ceil_mode=True), (distinct(3, 2, 6, 6),)),
    Example("max_pool2d", "6x6 image, 1x1 window", partial(F.max_pool2d, kernel_size=1), (distinct(3, 2, 6, 6),)),
    Example("avg_pool2d", "6x6 image, 3x3 window, stride=2, padding=1, ceil_mode=True, count_include_pad=False",
            partial(F.avg_pool2d, kernel_size=3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
            (normal(3, 2, 6, 6),)),
    Example("avg_pool2d", "6x6 image, 1x1 window", partial(F.avg_pool2d, kernel_size=1), (normal(3, 2, 6, 6),)),
    # with AlexNet's alpha = 1e-4 the sum over the window would hardly count
    Example("local_response_norm", "(3, 5, 4, 4), size=4, alpha=2",
            partial(F.local_response_norm, size=4, alpha=2.0), (normal(3, 5, 4, 4),)),
    Example("adaptive_avg_pool2d", "5x4 image to 3x3", partial(F.adaptive_avg_pool2d, output_size=3),
            (normal(2, 2, 5, 4),)),
    Example("batch_norm", "(3, 2, 2, 2), training", lambda x, g, b: F.batch_norm(x, None, None, g, b, True),
            (normal(3, 2, 2, 2), normal(2), normal(2))),
    Example("batch_norm", "(3, 2), training, no weight, no bias", lambda x: F.batch_norm(x, None, None, training=True),
            (normal(3, 2),)),
    Example("batch_norm", "(3, 2, 4), running statistics",
            lambda x, m, v, g, b: F.batch_norm(x, m, v, g, b),
            (normal(3, 2, 4), np.array([0.3, -1.0]), np.array([2.0, 0.5]), normal(2), normal(2))),
    Example("cross_entropy", "weight, label_smoothing=0.1, a label that is ignored",
            _loss(CrossEntropy, "mean", label_smoothing=0.1), (normal(4, 3), LABELS, CLASS_WEIGHTS)),
    Example("cross_entropy", "reduction=none, a label that is ignored",
            _loss(CrossEntropy, "none"), (normal(4, 3), LABELS)),
    Example("cross_entropy", "fused, reduction=none, a label that is ignored",
            _loss(FusedCrossEntropy, "none"), (normal(4, 3), LABELS)),
    Example("cross_entropy", "fused, weight, label_smoothing=0.1, a label that is ignored",
            _loss(FusedCrossEntropy, "mean", label_smoothing=0.1), (normal(4, 3), LABELS, CLASS_WEIGHTS)),
    Example("cross_entropy", "probabilities, label_smoothing=0.1",
            partial(F.cross_entropy, label_smoothing=0.1), (normal(4, 3), positive(4, 3))),
    Example("nll_loss", "a label that is ignored", F.nll_loss, (normal(4, 3), LABELS)),
    Example("mse_loss", "(3, 4)", F.mse_loss, (normal(3, 4), normal(3, 4))),
]
# fmt: on
