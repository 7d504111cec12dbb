"""Initial weights of the AlexNets."""

from __future__ import annotations

import math

from minicnn import nn
from minicnn.models.network import Network

__all__ = ["he_weights", "keras_weights", "paper_weights"]


def paper_weights(network: Network, ones: bool) -> None:
    """The paper's, section 5: weights from N(0, 0.01^2); biases 1 in conv2, 4, 5, fc6 and fc7, else 0.

    With `ones` False, all biases are 0.
    """
    for name, layer in network.named_children():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                nn.init.constant_(layer.bias, float(ones and name in ("conv2", "conv4", "conv5", "fc6", "fc7")))


def keras_weights(network: Network) -> None:
    """Convolutions from U(-0.05, 0.05), Keras's "uniform"; linear layers from Glorot's uniform; biases 0."""
    for layer in network:
        if isinstance(layer, nn.Conv2d):
            nn.init.uniform_(layer.weight, -0.05, 0.05)
        elif isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
        if isinstance(layer, (nn.Conv2d, nn.Linear)) and layer.bias is not None:
            nn.init.zeros_(layer.bias)


def he_weights(network: Network, activation: str) -> None:
    """Weights from N(0, 2 / fan-in), or Glorot's for tanh and sigmoid; N(0, 0.01^2) in the last layer; biases 0."""
    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear, nn.LocalResponseNorm))]
    gain = 1.0
    for layer in layers:
        if isinstance(layer, nn.LocalResponseNorm):
            gain = layer.k**layer.beta  # it divides by at least this, for which the next layer's weights compensate
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
        if layer is layers[-1]:
            nn.init.normal_(layer.weight, std=0.01)  # small, so that no class has a much higher score at first
        elif activation == "relu":
            nn.init.normal_(layer.weight, std=gain * math.sqrt(2 / layer.weight.data[0].size))
        else:
            nn.init.xavier_normal_(layer.weight, gain)
        gain = 1.0
