"""More settings of the operations for ``minicnn gradcheck``: other strides, shapes, ways of broadcasting, ..."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from minicnn import functional as F
from minicnn.autograd import Tensor
from minicnn.checks.examples import Example, distinct, normal, positive, seeded_dropout
from minicnn.ops.einsum import einsum
from minicnn.ops.fused_cross_entropy import FusedCrossEntropy
from minicnn.ops.selection import where
from minicnn.ops.shape import stack
from minicnn.ops.small_batch_linear import SmallBatchLinear

__all__ = ["configurations"]


def configurations() -> Iterator[Example]:
    """Yield examples, some of which :data:`minicnn.checks.examples.EXAMPLES` has, too."""
    yield from _operators()
    yield from _einsums()
    yield from _reductions()
    yield from _shapes()
    yield from _activations()
    yield from _convolutions()
    yield from _linear_and_normalisation()
    yield from _pools()
    yield from _losses()


def _operators() -> Iterator[Example]:
    broadcasts = [((3, 4), (3, 4)), ((3, 4), (4,)), ((2, 1, 4), (3, 1)), ((3, 4), ())]
    for a, b in broadcasts:
        yield Example("+", f"{a} + {b}", lambda a, b: a + b, (normal(*a), normal(*b)))
        yield Example("-", f"{a} - {b}", lambda a, b: a - b, (normal(*a), normal(*b)))
        yield Example("*", f"{a} * {b}", lambda a, b: a * b, (normal(*a), normal(*b)))
        yield Example("/", f"{a} / {b}", lambda a, b: a / b, (normal(*a), positive(*b)))
    yield Example("+", "2 + x + 3", lambda x: 2 + x + 3, (normal(3, 4),))
    yield Example("-", "2 - (x - 3)", lambda x: 2 - (x - 3), (normal(3, 4),))
    yield Example("*", "x * x * 2.5, used twice", lambda x: x * x * 2.5, (normal(3, 4),))
    yield Example("/", "1 / (x / 3)", lambda x: 1 / (x / 3), (positive(3, 4),))
    yield Example("**", "x ** -0.75", lambda x: x**-0.75, (positive(3, 4),))
    for a, b in [((3, 4), (4, 2)), ((4,), (4, 2)), ((3, 4), (4,)), ((4,), (4,)), ((2, 1, 3, 4), (5, 4, 2))]:
        yield Example("@", f"{a} @ {b}", lambda a, b: a @ b, (normal(*a), normal(*b)))


def _einsums() -> Iterator[Example]:
    for equation in ("bij,bjk->bik", "ij,kj->k", "ij,j,ik->k", "ij->", ",ij->ij", "i,i"):
        shapes = [[" bijk".index(letter) for letter in term] for term in equation.partition("->")[0].split(",")]
        yield Example("einsum", equation, partial(einsum, equation), tuple(normal(*shape) for shape in shapes))


def _reductions() -> Iterator[Example]:
    for dim in (None, 0, -1, (0, 2)):
        for keepdim in (False, True):
            text = f"dim={dim}, keepdim={keepdim}"
            yield Example("sum", text, partial(Tensor.sum, dim=dim, keepdim=keepdim), (normal(2, 3, 4),))
            spread = partial(Tensor.std, dim=dim, keepdim=keepdim, correction=0.5)
            yield Example("std", text, spread, (normal(2, 3, 4),))
            yield Example("var", text, partial(Tensor.var, dim=dim, keepdim=keepdim), (normal(2, 3, 4),))
            yield Example("mean", text, partial(Tensor.mean, dim=dim, keepdim=keepdim), (normal(2, 3, 4),))
            if isinstance(dim, int) or (dim is None and not keepdim):
                yield Example("max", text, partial(Tensor.max, dim=dim, keepdim=keepdim), (distinct(2, 3, 4),))
                yield Example("min", text, partial(Tensor.min, dim=dim, keepdim=keepdim), (distinct(2, 3, 4),))


def _shapes() -> Iterator[Example]:
    yield Example("reshape", "(2, 3, 4) to (4, -1)", lambda x: x.reshape(4, -1), (normal(2, 3, 4),))
    yield Example("transpose", "0, 2", lambda x: x.transpose(0, 2), (normal(2, 3, 4),))
    yield Example("permute", "2, 0, 1", lambda x: x.permute(2, 0, 1), (normal(2, 3, 4),))
    yield Example("squeeze", "(2, 1, 4), dim=1", lambda x: x.squeeze(1), (normal(2, 1, 4),))
    yield Example("unsqueeze", "(2, 3), dim=-1", lambda x: x.unsqueeze(-1), (normal(2, 3),))
    yield Example("expand", "(3, 1) to (-1, 4)", lambda x: x.expand(-1, 4), (normal(3, 1),))
    yield Example("repeat", "(2, 3), 2, 1, 3", lambda x: x.repeat(2, 1, 3), (normal(2, 3),))
    yield Example("stack", "two of (2, 3), dim=1", lambda *x: stack(x, 1), (normal(2, 3), normal(2, 3)))
    yield Example("where", "masks of (4,), (2, 1, 4) and (3, 1)", _chosen, (normal(2, 1, 4), normal(3, 1)))
    for bounds in ((None, 0.5), (-0.5, None), (0.5, -0.5)):
        yield Example("clamp", f"min={bounds[0]}, max={bounds[1]}", partial(_clamped, *bounds), (distinct(3, 4),))
    yield Example("T", "(2, 3)", lambda x: x.T, (normal(2, 3),))
    yield Example("[]", "[1:, ::2]", lambda x: x[1:, ::2], (normal(3, 4),))
    yield Example("[]", "[..., -1]", lambda x: x[..., -1], (normal(2, 3, 4),))
    yield Example("[]", "rows 0, 2, 2: one read twice", lambda x: x[np.array([0, 2, 2])], (normal(3, 4),))
    yield Example("[]", "boolean mask", lambda x: x[np.eye(3, 4, dtype=bool)], (normal(3, 4),))
    yield Example("flatten", "all", F.flatten, (normal(2, 3, 4),))
    yield Example("flatten", "from dimension 1", partial(F.flatten, start_dim=1), (normal(2, 3, 4),))
    for margins in ((0, 3, 0, 2), (1, 2), (2, 0, 0, 1, 1, 1)):
        yield Example("pad", f"{margins}", partial(F.pad, pad=margins, value=0.5), (normal(2, 3, 4),))
    parts = normal(2, 3, 4), normal(2, 1, 4)
    yield Example("cat", "(2, 3, 4) and (2, 1, 4), dim=1", lambda *tensors: F.cat(tensors, 1), parts)
    yield Example("cat", "the same twice", lambda x: F.cat([x, x]), (normal(2, 3),))


def _chosen(a: Tensor, b: Tensor) -> Tensor:
    return where(Tensor(np.array([True, False, True, False])).to(a.device), a, b)


def _clamped(low: float | None, high: float | None, x: Tensor) -> Tensor:
    return x.clamp(low, high)


def _activations() -> Iterator[Example]:
    for shape in ((3, 5), (2, 3, 3, 2), ()):
        yield Example("relu", f"{shape}", F.relu, (distinct(*shape),))
        yield Example("leaky_relu", f"{shape}", partial(F.leaky_relu, negative_slope=-0.5), (distinct(*shape),))
        yield Example("tanh", f"{shape}", F.tanh, (normal(*shape),))
        yield Example("sigmoid", f"{shape}", F.sigmoid, (normal(*shape),))
        yield Example("dropout", f"{shape}, p=0.3", partial(seeded_dropout, p=0.3), (normal(*shape),))
        for dim in range(len(shape)):
            text = f"{shape}, dim={dim}"
            yield Example("softmax", text, partial(F.softmax, dim=dim), (normal(*shape),))
            yield Example("log_softmax", text, partial(F.log_softmax, dim=dim), (normal(*shape),))
    yield Example("dropout", "p=0", partial(seeded_dropout, p=0.0), (normal(3, 5),))
    yield Example("dropout", "p=1", partial(seeded_dropout, p=1.0), (normal(3, 5),))
    yield Example("dropout", "not training", partial(F.dropout, training=False), (normal(3, 5),))


def _convolutions() -> Iterator[Example]:
    for stride, padding, groups in itertools.product((1, 2, 3, (2, 1)), (0, 1, (2, 1)), (1, 2)):
        H, W, CG = (5, 4, 3) if groups == 1 else (4, 3, 2)
        text = f"{H}x{W} image, 3x2 kernel, stride={stride}, padding={padding}, groups={groups}"
        inputs = normal(2, groups * CG, H, W), normal(4, CG, 3, 2), normal(4)
        yield Example("conv2d", text, partial(F.conv2d, stride=stride, padding=padding, groups=groups), inputs)
    depthwise = normal(2, 3, 5, 3), normal(6, 1, 3, 2), normal(6)
    yield Example("conv2d", "groups=3, one channel each", partial(F.conv2d, padding=1, groups=3), depthwise)
    for padding, dilation in itertools.product((1, "same", "valid"), (1, 2, (1, 3))):
        text = f"7x8 image, 3x2 kernel, padding={padding}, dilation={dilation}"
        convolution = partial(F.conv2d, padding=padding, dilation=dilation)
        yield Example("conv2d", text, convolution, (normal(2, 2, 7, 8), normal(3, 2, 3, 2), normal(3)))
    yield Example("conv2d", "one image, no batch", F.conv2d, (normal(2, 5, 4), normal(3, 2, 3, 2), normal(3)))
    for stride, padding, output_padding, dilation in ((1, 0, 0, 1), (2, 1, 1, 1), ((3, 1), (0, 2), 0, 2), (1, 1, 1, 2)):
        for groups in (1, 2):
            options = stride, padding, output_padding, groups, dilation
            inputs = normal(2, 4, 3, 4), normal(4, 2, 3, 2), normal(2 * groups)
            text = "stride={}, padding={}, output_padding={}, groups={}, dilation={}".format(*options)
            yield Example("conv_transpose2d", text, lambda *x, o=options: F.conv_transpose2d(*x, *o), inputs)
    yield Example("conv2d", "no bias, 1x1 kernel", F.conv2d, (normal(2, 3, 3, 5), normal(2, 3, 1, 1)))
    full = normal(2, 2, 3, 5), normal(3, 2, 3, 5)
    yield Example("conv2d", "kernel as large as the image", F.conv2d, full)
    text = "11x11 kernel, stride=4: AlexNet's first, small"
    yield Example("conv2d", text, partial(F.conv2d, stride=4), (normal(1, 2, 19, 15), normal(2, 2, 11, 11)))
    for size in (3, 5):  # enough images for Winograd to save multiplications, even on a machine with many cores
        many = normal(256, 16, 2, 2), normal(16, 16, size, size, scale=0.05), normal(16)
        text = f"256 images of 2x2, {size}x{size} kernel, padding={size // 2}"
        yield Example("conv2d", text, partial(F.conv2d, padding=size // 2), many)


def _linear_and_normalisation() -> Iterator[Example]:
    for leading in ((3,), (2, 3), ()):
        x = (*leading, 5)
        yield Example("linear", f"{x}", F.linear, (normal(*x), normal(4, 5), normal(4)))
    yield Example("linear", "no bias", F.linear, (normal(3, 5), normal(4, 5)))
    small = normal(3, 5), normal(4, 5), normal(4)
    yield Example("linear", "small batch", lambda *x: SmallBatchLinear()(*x), small)
    # with AlexNet's alpha = 1e-4 the sum over the window hardly counts: a wrong window would pass
    for size in (1, 2, 3, 4, 5, 8):
        for k, alpha, beta in ((2.0, 1.0 * size, 0.75), (1.0, 0.9, 1.0)):
            text = f"size={size}, alpha={alpha}, beta={beta}, k={k}"
            norm = partial(F.local_response_norm, size=size, alpha=alpha, beta=beta, k=k)
            yield Example("local_response_norm", text, norm, (normal(2, 7, 2, 3),))
    for shape in ((3, 5), (2, 5, 3), (2, 3, 2, 2, 2)):
        norm = partial(F.local_response_norm, size=4, alpha=1.0)
        yield Example("local_response_norm", f"{shape}, size=4, alpha=1.0", norm, (normal(*shape),))


def _pools() -> Iterator[Example]:
    windows: list[tuple[Any, Any, Any]] = [
        (2, None, 0),
        (3, 2, 0),
        (3, 2, 1),
        (3, 1, 1),
        (2, 3, 1),
        ((2, 4), (3, 2), (1, 2)),
        ((3, 1), (1, 2), 0),
    ]
    for (kernel_size, stride, padding), ceil_mode in itertools.product(windows, (False, True)):
        window = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "ceil_mode": ceil_mode}
        yield Example("max_pool2d", _settings(window), partial(F.max_pool2d, **window), (distinct(2, 2, 5, 6),))
        gaps = {**window, "dilation": (2, 3)}
        yield Example("max_pool2d", _settings(gaps), partial(F.max_pool2d, **gaps), (distinct(2, 2, 8, 11),))
        for extra in ({}, {"count_include_pad": False}, {"divisor_override": 5}):
            average = {**window, **extra}
            yield Example("avg_pool2d", _settings(average), partial(F.avg_pool2d, **average), (normal(1, 2, 5, 6),))


def _settings(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.items())


def _losses() -> Iterator[Example]:
    labels, weight = np.array([0, 3, 2, 3, 1]), np.array([0.5, 1.0, 2.0, 1.5])
    for reduction in ("mean", "sum", "none"):
        loss: Callable[..., Any] = partial(F.cross_entropy, reduction=reduction)
        for weighted, settings in (
            (False, {}),
            (True, {}),
            (False, {"ignore_index": 3}),
            (False, {"label_smoothing": 0.1}),
            (True, {"ignore_index": 3, "label_smoothing": 0.2}),
        ):
            text = ", ".join([f"reduction={reduction}", *(["weight"] if weighted else []), *settings])
            inputs = (normal(5, 4), labels, weight) if weighted else (normal(5, 4), labels)
            yield Example("cross_entropy", text, partial(loss, **settings), inputs)
        square = labels[:4].reshape(2, 2)
        yield Example("cross_entropy", f"reduction={reduction}, (N, C, L) input", loss, (normal(2, 4, 2), square))
        probabilities = normal(2, 4, 3), positive(2, 4, 3), weight
        yield Example(
            "cross_entropy", f"reduction={reduction}, weight, probabilities of (N, C, L)", loss, probabilities
        )
        yield Example("nll_loss", f"reduction={reduction}, weight", partial(F.nll_loss, reduction=reduction), inputs)
        yield Example(
            "mse_loss", f"reduction={reduction}", partial(F.mse_loss, reduction=reduction), (normal(2, 3), normal(2, 3))
        )
    yield Example("cross_entropy", "in one kernel", _fused_cross_entropy, (normal(5, 4), labels, weight))


def _fused_cross_entropy(x: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    return FusedCrossEntropy(labels.data, weight.data, 3, "mean", 0.2)(x)
