"""Networks as objects: modules and chains of them, the layers, and the initialisers in ``nn.init``."""

from minicnn.nn import convolution, init, layers, normalisation, windows
from minicnn.nn.convolution import *  # noqa: F403
from minicnn.nn.declarations import LayerInfo, OnnxGraph
from minicnn.nn.layers import *  # noqa: F403  # a new layer is listed in its own file only
from minicnn.nn.module import IncompatibleKeys, Module, Parameter
from minicnn.nn.normalisation import *  # noqa: F403
from minicnn.nn.sequential import Sequential
from minicnn.nn.windows import *  # noqa: F403

__all__ = ["IncompatibleKeys", "LayerInfo", "Module", "OnnxGraph", "Parameter", "Sequential", "init"]
__all__ += convolution.__all__
__all__ += layers.__all__
__all__ += normalisation.__all__
__all__ += windows.__all__
