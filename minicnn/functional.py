"""The operations as functions, with PyTorch's names, argument order, defaults and meaning.

Examples
--------
>>> import minicnn
>>> import minicnn.functional as F
>>> F.relu(minicnn.Tensor([-1.0, 0.0, 2.0])).numpy()
array([0., 0., 2.], dtype=float32)
"""

from minicnn.ops.activation import leaky_relu, log_softmax, relu, sigmoid, softmax, tanh
from minicnn.ops.adaptive_pool import adaptive_avg_pool2d
from minicnn.ops.batch_norm import batch_norm
from minicnn.ops.conv import conv2d
from minicnn.ops.conv_transpose import conv_transpose2d
from minicnn.ops.dropout import dropout
from minicnn.ops.linear import linear
from minicnn.ops.loss import cross_entropy, nll_loss
from minicnn.ops.lrn import local_response_norm
from minicnn.ops.pool import avg_pool2d, max_pool2d
from minicnn.ops.shape import cat, flatten, pad
from minicnn.ops.squared_error import mse_loss

__all__ = [
    "adaptive_avg_pool2d",
    "avg_pool2d",
    "batch_norm",
    "cat",
    "conv2d",
    "conv_transpose2d",
    "cross_entropy",
    "dropout",
    "flatten",
    "leaky_relu",
    "linear",
    "local_response_norm",
    "log_softmax",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "pad",
    "relu",
    "sigmoid",
    "softmax",
    "tanh",
]
