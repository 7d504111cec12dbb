"""Networks, ready to train."""

from minicnn.models.four_layers import four_layer

__all__ = ["four_layer"]
