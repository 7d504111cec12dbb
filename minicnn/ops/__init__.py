"""The operations, one page each; importing them gives Tensor its operators and methods."""

from minicnn.ops import arithmetic, reduce, shape

__all__ = ["arithmetic", "reduce", "shape"]
