"""ONNX's operations, as far as minicnn has them: which function each is, and what its attributes are there.

A row's function is found by its name, so one that is written later is tested as soon as it exists.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import minicnn
import minicnn.functional as F
from minicnn import Tensor


class Declined(Exception):
    """What ONNX asks for has no counterpart in the function."""


@dataclass(frozen=True)
class Node:
    """How a node is computed: `run` gets the function, the inputs as tensors (None if absent), and the attributes."""

    function: Any  # a function, or the name of one
    run: Callable[..., Any]
    matches: int  # so many of ONNX's tests give the same

    def found(self) -> Callable[..., Any] | None:
        if callable(self.function):
            return self.function  # type: ignore[no-any-return]
        places = (place for place in (F, minicnn, Tensor) if hasattr(place, self.function))
        return next((getattr(place, self.function) for place in places), None)


def _same(f: Any, *inputs: Tensor) -> Tensor:
    return f(*inputs)


def _need(condition: bool, reason: str) -> None:
    if not condition:
        raise Declined(reason)


def _whole(axes: Any) -> tuple[int, ...]:
    return tuple(int(axis) for axis in np.ravel(axes.numpy()))


# --- arithmetic, shapes -------------------------------------------------------------------------------------


def _divide(f: Any, a: Tensor, b: Tensor) -> Tensor:
    _need(a.dtype.kind == "f", "whole numbers give real ones, as in PyTorch")
    return f(a, b)


def _clip(f: Any, x: Tensor, low: Any = None, high: Any = None) -> Tensor:
    return f(x, *(None if bound is None else bound.item() for bound in (low, high)))


def _range(f: Any, start: Tensor, stop: Tensor, step: Tensor) -> Tensor:
    return f(start.item(), stop.item(), step.item(), dtype=start.dtype)


def _gemm(f: Any, a: Tensor, b: Tensor, c: Any = None, **attributes: Any) -> Tensor:
    alpha, beta, transA, transB = (attributes.get(name, d) for name, d in zip(_GEMM, (1, 1, 0, 0), strict=True))
    _need(alpha == beta == 1 and not transA, "a linear layer multiplies nothing but x and W")
    weight = b if transB else b.T
    _need(c is None or c.shape in ((len(weight),), (1, len(weight))), "a bias is one number for each output")
    return f(a, weight, None if c is None else c.reshape(-1))


_GEMM = ("alpha", "beta", "transA", "transB")


def _flatten(f: Any, x: Tensor, axis: int = 1) -> Tensor:
    axis %= x.ndim
    _need(axis > 0, "flatten adds no dimension")
    return f(f(x, 0, axis - 1), 1)


def _reshape(f: Any, x: Tensor, shape: Tensor, allowzero: int = 0) -> Tensor:
    _need(allowzero or 0 not in _whole(shape), "a length of 0 is 0, not that of the input")
    return f(x, *_whole(shape))


def _unsqueeze(f: Any, x: Tensor, axes: Tensor) -> Tensor:
    ndim = x.ndim + axes.shape[0]
    for axis in sorted(axis % ndim for axis in _whole(axes)):
        x = f(x, axis)
    return x


def _slice(f: Any, x: Tensor, starts: Tensor, ends: Tensor, axes: Any = None, steps: Any = None) -> Tensor:
    chosen = [slice(None)] * x.ndim
    numbers = range(starts.shape[0])
    for axis, *part in zip(
        numbers if axes is None else _whole(axes),
        _whole(starts),
        _whole(ends),
        [None for _ in numbers] if steps is None else _whole(steps),
        strict=True,
    ):
        chosen[axis] = slice(*part)
    return f(x, tuple(chosen))


def _pad(f: Any, x: Tensor, pads: Tensor, value: Any = None, axes: Any = None, mode: str = "constant") -> Tensor:
    names = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    before = np.zeros((x.ndim, 2), int)
    before[list(range(x.ndim) if axes is None else _whole(axes))] = np.reshape(pads.numpy(), (2, -1)).T
    return f(x, tuple(before[::-1].ravel().tolist()), names[mode], 0.0 if value is None else value.item())


# --- reductions ---------------------------------------------------------------------------------------------


def _reduce(f: Any, x: Tensor, axes: Any = None, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
    dims = () if axes is None else _whole(axes)
    _need(bool(dims) or not noop_with_empty_axes, "no dimensions are all dimensions")
    return f(x, dims or None, bool(keepdims))


def _extreme(f: Any, x: Tensor, axes: Any = None, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
    if axes is None:
        return f(x).reshape([1] * x.ndim) if keepdims else f(x)
    _need(len(_whole(axes)) == 1, "one dimension, or all")
    return f(x, _whole(axes)[0], bool(keepdims))[0]


def _index(f: Any, x: Tensor, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
    _need(not select_last_index, "of equal numbers, the first")
    return f(x, axis, bool(keepdims))


# --- the network's layers -----------------------------------------------------------------------------------


def _padding(pads: Any, auto_pad: str = "NOTSET") -> tuple[int, ...]:
    _need(auto_pad == "NOTSET", "padding that depends on the input")
    begin, end = pads[: len(pads) // 2], pads[len(pads) // 2 :]
    _need(list(begin) == list(end), "more padding on one side than on the other")
    return tuple(begin)


def _conv(f: Any, x: Tensor, w: Tensor, b: Any = None, **attributes: Any) -> Tensor:
    attributes.pop("kernel_shape", None)
    n = w.ndim - 2
    padding = _padding(attributes.pop("pads", [0] * 2 * n), attributes.pop("auto_pad", "NOTSET"))
    stride, dilation = (tuple(attributes.pop(name, [1] * n)) for name in ("strides", "dilations"))
    return f(x, w, b, stride, padding, dilation, **{"groups": attributes.pop("group", 1), **attributes})


def _conv_transpose(f: Any, x: Tensor, w: Tensor, b: Any = None, **attributes: Any) -> Tensor:
    attributes.pop("kernel_shape", None)
    n = w.ndim - 2
    _need("output_shape" not in attributes, "padding that depends on the output")
    padding = _padding(attributes.pop("pads", [0] * 2 * n), attributes.pop("auto_pad", "NOTSET"))
    stride, dilation = (tuple(attributes.pop(name, [1] * n)) for name in ("strides", "dilations"))
    extra = tuple(attributes.pop("output_padding", [0] * n))
    return f(x, w, b, stride, padding, extra, attributes.pop("group", 1), dilation, **attributes)


def _window(attributes: dict[str, Any]) -> dict[str, Any]:
    kernel = attributes.pop("kernel_shape")
    return {
        "kernel_size": tuple(kernel),
        "stride": tuple(attributes.pop("strides", [1] * len(kernel))),
        "padding": _padding(attributes.pop("pads", [0] * 2 * len(kernel)), attributes.pop("auto_pad", "NOTSET")),
        "ceil_mode": bool(attributes.pop("ceil_mode", 0)),
    }


def _max_pool(f: Any, x: Tensor, outputs: int = 1, storage_order: int = 0, **attributes: Any) -> Any:
    window = _window(attributes)
    dilation = attributes.pop("dilations", 1)
    window["dilation"] = dilation if dilation == 1 else tuple(dilation)
    if outputs == 1:
        return f(x, **window, **attributes)
    _need(not storage_order, "positions count row by row")
    y, index = f(x, **window, **attributes, return_indices=True)
    planes = np.arange(y.shape[0] * y.shape[1]).reshape(*y.shape[:2], 1, 1)
    return y, index + planes * (x.shape[2] * x.shape[3])  # ONNX counts through all images


def _average_pool(f: Any, x: Tensor, count_include_pad: int = 0, **attributes: Any) -> Tensor:
    window = _window(attributes)
    _need("dilations" not in attributes, "windows without gaps")
    return f(x, **window, **attributes, count_include_pad=bool(count_include_pad))


def _batch_norm(f: Any, x: Tensor, scale: Tensor, b: Tensor, mean: Tensor, var: Tensor, **attributes: Any) -> Tensor:
    _need(not attributes.pop("training_mode", 0), "the running variance is that of a sample, as in PyTorch")
    return f(x, mean, var, scale, b, eps=attributes.pop("epsilon", 1e-5), **attributes)


def _dropout(f: Any, x: Tensor, ratio: Any = None, training: Any = None, outputs: int = 1) -> Tensor:
    p = ratio.item() if isinstance(ratio, Tensor) else 0.5 if ratio is None else ratio
    is_training = training is not None and bool(training.item())
    _need(outputs == 1, "the mask stays inside")
    _need(not is_training or p == 0, "other random numbers")
    return f(x, p, is_training)


def _cross_entropy(
    f: Any,
    x: Tensor,
    labels: Tensor,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    outputs: int = 1,
) -> Any:
    loss = f(x, labels, weight, ignore_index=ignore_index, reduction=reduction)
    return loss if outputs == 1 else (loss, F.log_softmax(x, 1))


NODES: dict[str, Node] = {
    "Abs": Node("abs", _same, 1),
    "Exp": Node("exp", _same, 2),
    "Log": Node("log", _same, 2),
    "Sqrt": Node("sqrt", _same, 2),
    "Neg": Node(operator.neg, _same, 2),
    "Not": Node(operator.invert, _same, 3),
    "Identity": Node("clone", _same, 3),
    "Add": Node(operator.add, _same, 8),
    "Sub": Node(operator.sub, _same, 9),
    "Mul": Node(operator.mul, _same, 9),
    "Div": Node(operator.truediv, _divide, 3),
    "Pow": Node(operator.pow, _same, 0),
    "And": Node(operator.and_, _same, 8),
    "Or": Node(operator.or_, _same, 8),
    "Xor": Node(operator.xor, _same, 8),
    "Equal": Node(operator.eq, _same, 8),
    "Less": Node(operator.lt, _same, 8),
    "LessOrEqual": Node(operator.le, _same, 8),
    "Greater": Node(operator.gt, _same, 8),
    "GreaterOrEqual": Node(operator.ge, _same, 8),
    "MatMul": Node(operator.matmul, _same, 7),
    "Einsum": Node("einsum", lambda f, *inputs, equation: f(equation, *inputs), 5),
    "Where": Node("where", _same, 2),
    "Clip": Node("clamp", _clip, 10),
    "Flatten": Node("flatten", _flatten, 7),
    "Reshape": Node("reshape", _reshape, 8),
    "Transpose": Node("permute", lambda f, x, perm=None: f(x, *(perm or range(x.ndim)[::-1])), 7),
    "Squeeze": Node("squeeze", lambda f, x, axes: f(x, _whole(axes)), 2),
    "Unsqueeze": Node("unsqueeze", _unsqueeze, 7),
    "Expand": Node("expand", lambda f, x, shape: f(x, *np.broadcast_shapes(x.shape, _whole(shape))), 2),
    "Tile": Node("repeat", lambda f, x, repeats: f(x, *_whole(repeats)), 2),
    "Concat": Node("cat", lambda f, *inputs, axis: f(inputs, axis), 12),
    "Pad": Node("pad", _pad, 3),
    "Slice": Node("__getitem__", _slice, 8),
    "Gather": Node("__getitem__", lambda f, x, index, axis=0: f(x, (slice(None),) * axis + (index,)), 4),
    "Range": Node("arange", _range, 2),
    "ReduceSum": Node("sum", _reduce, 10),
    "ReduceMean": Node("mean", _reduce, 8),
    "ReduceMax": Node("max", _extreme, 9),
    "ReduceMin": Node("min", _extreme, 9),
    "ArgMax": Node("argmax", _index, 8),
    "ArgMin": Node("argmin", _index, 8),
    "Relu": Node("relu", _same, 1),
    "LeakyRelu": Node("leaky_relu", lambda f, x, alpha=0.01: f(x, alpha), 3),
    "Sigmoid": Node("sigmoid", _same, 2),
    "Tanh": Node("tanh", _same, 2),
    "Softmax": Node("softmax", lambda f, x, axis=-1: f(x, axis), 7),
    "LogSoftmax": Node("log_softmax", lambda f, x, axis=-1: f(x, axis), 7),
    "Gemm": Node("linear", _gemm, 4),
    "Conv": Node("conv2d", _conv, 5),
    "ConvTranspose": Node("conv_transpose2d", _conv_transpose, 6),
    "MaxPool": Node("max_pool2d", _max_pool, 8),
    "AveragePool": Node("avg_pool2d", _average_pool, 7),
    "GlobalAveragePool": Node("adaptive_avg_pool2d", lambda f, x: f(x, 1), 2),
    "LRN": Node(
        "local_response_norm",
        lambda f, x, size, alpha=1e-4, beta=0.75, bias=1.0: f(x, size, alpha, beta, bias),
        2,
    ),
    "BatchNormalization": Node("batch_norm", _batch_norm, 2),
    "Dropout": Node("dropout", _dropout, 5),
    "SoftmaxCrossEntropyLoss": Node("cross_entropy", _cross_entropy, 34),
    "NegativeLogLikelihoodLoss": Node("nll_loss", _cross_entropy, 18),
}
