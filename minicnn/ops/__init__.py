"""The operations, one page each; importing them gives Tensor its operators and lists the algorithms to choose from."""

from minicnn.ops import (
    arithmetic,
    comparison,
    conv_algorithms,
    copying,
    fused_cross_entropy,
    in_place,
    reduce,
    shape,
    small_batch_linear,
)

__all__ = [
    "arithmetic",
    "comparison",
    "conv_algorithms",
    "copying",
    "fused_cross_entropy",
    "in_place",
    "reduce",
    "shape",
    "small_batch_linear",
]
