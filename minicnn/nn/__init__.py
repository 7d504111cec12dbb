"""Networks as objects: modules and chains of them, the layers, and the initialisers in ``nn.init``."""

from minicnn.nn import adaptive, convolution, init, layers, losses, normalisation, utils, windows
from minicnn.nn.adaptive import *  # noqa: F403
from minicnn.nn.convolution import *  # noqa: F403
from minicnn.nn.declarations import LayerInfo, OnnxGraph
from minicnn.nn.layers import *  # noqa: F403  # a new layer is listed in its own file only
from minicnn.nn.loading import IncompatibleKeys
from minicnn.nn.losses import *  # noqa: F403
from minicnn.nn.module import Module
from minicnn.nn.normalisation import *  # noqa: F403
from minicnn.nn.parameter import Buffer, Parameter
from minicnn.nn.sequential import ModuleList, Sequential
from minicnn.nn.windows import *  # noqa: F403

__all__ = ["Buffer", "IncompatibleKeys", "LayerInfo", "Module", "ModuleList", "OnnxGraph", "Parameter"]
__all__ += ["Sequential", "init", "utils"]
__all__ += adaptive.__all__
__all__ += convolution.__all__
__all__ += layers.__all__
__all__ += losses.__all__
__all__ += normalisation.__all__
__all__ += windows.__all__
