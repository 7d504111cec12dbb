"""LeNet-5, fourteen years before AlexNet."""

from __future__ import annotations

from minicnn import nn
from minicnn.arguments import one_of, whole
from minicnn.models.network import ACTIVATIONS, Network

__all__ = ["lenet5"]


def lenet5(num_classes: int = 10, in_size: int = 32, in_channels: int = 3, activation: str = "tanh") -> Network:
    """Build LeNet-5: two convolutions with average pools, and three fully connected layers.

    C1 conv 5x5/6 - S2 pool, C3 conv 5x5/16 - S4 pool, C5 120, F6 84, output: 32 - 28 - 14 - 10 - 5. 61,706 parameters
    for grey images and ten classes.

    The sizes and widths, tanh, and average pools of 2x2 without overlap are those of LeCun et al. Other details are
    simpler, as nearly everywhere today: S2 and S4 have no learned coefficient and bias and no activation; each map of
    C3 reads all six before it, not a chosen few; tanh is not scaled to 1.7159 tanh(2x/3); and the output is a linear
    layer for a softmax, not distances to drawn patterns. Initial weights are those of Glorot and Bengio 2010, which
    keep the size of activations with plain gradient descent.

    Parameters
    ----------
    num_classes : int
        The number of outputs of the last layer.
    in_size : int
        Height and width of the images: at least 32, or 28 for MNIST, where C1 pads by 2 to make them 32x32.
    in_channels : int
        1 for grey images, 3 for colour.
    activation : {"relu", "tanh", "sigmoid"}
        After C1, C3, C5 and F6.

    Returns
    -------
    Network
        (N, in_channels, in_size, in_size) to (N, num_classes): scores, without a softmax. Its layers are named
        conv1, tanh1, pool1, conv2, tanh2, pool2, flatten, fc3, tanh3, fc4, tanh4, fc5.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition", section 2.B.
    """
    one_of("lenet5", "activation", activation, ACTIVATIONS)
    num_classes = whole("lenet5", "num_classes", num_classes, 1)
    in_channels = whole("lenet5", "in_channels", in_channels, 1)
    in_size = whole("lenet5", "in_size", in_size)
    padding = 2 if in_size == 28 else 0
    if in_size < 32 and not padding:
        raise ValueError(f"lenet5: in_size must be 28, or at least 32, got {in_size}")

    parts: dict[str, nn.Module] = {}
    channels, size = in_channels, in_size + 2 * padding
    for number, filters in enumerate((6, 16), start=1):
        parts[f"conv{number}"] = nn.Conv2d(channels, filters, 5, padding=padding if number == 1 else 0)
        parts[f"{activation}{number}"] = ACTIVATIONS[activation]()
        parts[f"pool{number}"] = nn.AvgPool2d(2)
        channels, size = filters, (size - 4) // 2
    parts["flatten"] = nn.Flatten()
    inputs = channels * size * size
    for number, units in ((3, 120), (4, 84)):
        parts[f"fc{number}"] = nn.Linear(inputs, units)
        parts[f"{activation}{number}"] = ACTIVATIONS[activation]()
        inputs = units
    parts["fc5"] = nn.Linear(inputs, num_classes)

    network = Network(parts)
    for layer in network:
        if isinstance(layer, (nn.Conv2d, nn.Linear)) and layer.bias is not None:
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    network.config = {
        "model": "lenet5",
        "num_classes": num_classes,
        "in_size": in_size,
        "in_channels": in_channels,
        "activation": activation,
    }
    return network
