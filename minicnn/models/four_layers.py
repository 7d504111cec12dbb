"""The four-layer network of the paper's Figure 1, on which ReLU is compared with tanh."""

from minicnn import nn
from minicnn.arguments import one_of
from minicnn.models.network import ACTIVATIONS, Network

__all__ = ["four_layer"]

INITS = ("normal", "xavier", "he")


def four_layer(activation: str = "relu", num_classes: int = 10, init: str = "normal") -> Network:
    """Build three convolutions and a linear layer for colour images of 32x32.

    conv 5x5/32 - act - max 3/2, conv 5x5/32 - act - max 3/2, conv 5x5/64 - act - max 3/2, fc. The convolutions are
    padded by 2 and keep the size; the pools round down: 32 - 15 - 7 - 3. 85,098 parameters for ten classes. The paper
    does not publish its network; this one, modelled on cuda-convnet's for CIFAR-10, reproduces its figure.

    Parameters
    ----------
    activation : {"relu", "tanh", "sigmoid"}
        After each convolution.
    num_classes : int
        The number of outputs of the last layer.
    init : {"normal", "xavier", "he"}
        Weights from N(0, 0.01^2) as in the paper; or uniform, of Glorot and Bengio 2010; or normal, of He et al. 2015
        for ReLU. Biases start at zero.

    Returns
    -------
    Network
        (N, 3, 32, 32) to (N, num_classes): scores, without a softmax.

    References
    ----------
    Krizhevsky et al. 2012, section 3.1, Figure 1; section 5 for the weights.
    """
    one_of("four_layer", "activation", activation, ACTIVATIONS)
    one_of("four_layer", "init", init, INITS)
    parts: dict[str, nn.Module] = {}
    channels = 3
    for number, filters in enumerate((32, 32, 64), start=1):
        parts[f"conv{number}"] = nn.Conv2d(channels, filters, 5, padding=2)
        parts[f"{activation}{number}"] = ACTIVATIONS[activation]()
        parts[f"pool{number}"] = nn.MaxPool2d(3, stride=2)
        channels = filters
    parts["flatten"] = nn.Flatten()
    parts["fc"] = nn.Linear(channels * 3 * 3, num_classes)

    network = Network(parts)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif init == "xavier":
            nn.init.xavier_uniform_(parameter)
        elif init == "he":
            nn.init.kaiming_normal_(parameter)
        else:
            nn.init.normal_(parameter, std=0.01)
    network.config = {
        "model": "four_layer",
        "activation": activation,
        "num_classes": int(num_classes),
        "init": init,
    }
    return network
