"""Networks as objects: modules and chains of them, the layers, and the initialisers in ``nn.init``."""

from minicnn.nn import init
from minicnn.nn.layers import (
    AvgPool2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    PadTo,
    ReLU,
    Sigmoid,
    Tanh,
)
from minicnn.nn.module import IncompatibleKeys, Module, Parameter, Sequential

__all__ = [
    "AvgPool2d",
    "Conv2d",
    "Dropout",
    "Flatten",
    "IncompatibleKeys",
    "Linear",
    "LocalResponseNorm",
    "MaxPool2d",
    "Module",
    "PadTo",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "init",
]
