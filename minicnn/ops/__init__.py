"""The operations, one page each; importing them gives Tensor its operators and lists the algorithms to choose from."""

from minicnn.ops import (
    activation,
    arithmetic,
    comparison,
    conv_algorithms,
    conversion,
    copying,
    creation,
    fused_cross_entropy,
    fused_dropout,
    gpu_conv,
    in_place,
    reduce,
    selection,
    shape,
    small_batch_linear,
)

__all__ = [
    "activation",
    "arithmetic",
    "comparison",
    "conv_algorithms",
    "conversion",
    "copying",
    "creation",
    "fused_cross_entropy",
    "fused_dropout",
    "gpu_conv",
    "in_place",
    "reduce",
    "selection",
    "shape",
    "small_batch_linear",
]
