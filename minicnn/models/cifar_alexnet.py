"""AlexNet's recipe for images of 32x32."""

from __future__ import annotations

from minicnn import nn
from minicnn.arguments import one_of, probability, switch, whole
from minicnn.models.alexnets import GROUPED, POOLED
from minicnn.models.initial_weights import he_weights
from minicnn.models.network import ACTIVATIONS, NORMS, Network

__all__ = ["alexnet_cifar"]

WIDTHS = (48, 96, 144, 144, 96)
KERNELS = (5, 3, 3, 3, 3)
UNITS = 512
DEPTHS = (5, 3)
# 1e-4 fits pixels of 0 to 255. Standardised pixels are about 60 times smaller, their squares 3,600 times.
ALPHA = 0.36


def alexnet_cifar(
    num_classes: int = 10,
    in_size: int = 28,
    activation: str = "relu",
    norm: str = "lrn",
    dropout: float = 0.5,
    overlapping: bool = True,
    depth: int = 5,
    groups: int = 1,
) -> Network:
    """Build AlexNet's recipe for images of 32x32: its layers in its order, with fewer and smaller filters.

    conv1 5x5/48 - LRN - pool, conv2 3x3/96 - LRN - pool, conv3 3x3/144, conv4 3x3/144, conv5 3x3/96 - pool, fc6 512,
    fc7 512, fc8. All strides are 1, all convolutions keep the size, and each pool halves it, rounding down:
    28 - 14 - 7 - 3. 1,191,722 parameters and 33 million multiply-accumulates for the default arguments.

    Besides the sizes, it differs from the paper in the initial weights (except fc8's), which are those of He et al.
    2015 for ReLU, and of Glorot and Bengio 2010 for tanh and sigmoid, because from N(0, 0.01^2) a network as small as
    this hardly begins to learn. After LRN they are 2^0.75 times larger, because LRN divides by at least that. Biases
    are 0. LRN's alpha is 0.36, the paper's 1e-4 for standardised pixels (:func:`minicnn.data.scaling.standardised`)
    instead of 0 to 255.

    Parameters
    ----------
    num_classes : int
        The number of outputs of fc8.
    in_size : int
        Height and width of the images, at least 12. 28 of 32 is the paper's 224 of 256: room for random crops (section
        4.1).
    activation : {"relu", "tanh", "sigmoid"}
        Section 3.1.
    norm : {"lrn", "batch", "none"}
        "lrn" is section 3.3: local response normalisation after the activations of conv1 and conv2. "batch" is batch
        normalisation between each convolution, which has no bias then, and its activation.
    dropout : float
        Section 4.2: the probability of dropping a unit of fc6 and fc7; 0 for none.
    overlapping : bool
        Section 3.4: max pools of 3x3 at stride 2, whose last windows extend over the edge if the size is even. False:
        2x2 at stride 2, which give maps of the same size.
    depth : {5, 3}
        The number of convolutions; 3 leaves out conv3 and conv4. Section 7: depth matters.
    groups : int
        Section 3.2: with 2 there are two towers; conv2, conv4 and conv5 read only the maps of their own.

    Returns
    -------
    Network
        (N, 3, in_size, in_size) to (N, num_classes): scores, without a softmax. Layers are named as in
        :func:`minicnn.models.alexnet`.

    References
    ----------
    Krizhevsky et al. 2012, sections 3 to 5. He et al. 2015, "Delving deep into rectifiers".
    """
    one_of("alexnet_cifar", "activation", activation, ACTIVATIONS)
    num_classes = whole("alexnet_cifar", "num_classes", num_classes, 1)
    dropout = probability("alexnet_cifar", "dropout", dropout)
    one_of("alexnet_cifar", "norm", norm, NORMS)
    switch("alexnet_cifar", "overlapping", overlapping)
    one_of("alexnet_cifar", "depth", depth, DEPTHS)
    groups = whole("alexnet_cifar", "groups", groups, 1)
    for width in WIDTHS:
        if width % groups:
            raise ValueError(f"alexnet_cifar: groups must divide {WIDTHS}, got {groups}")
    in_size = whole("alexnet_cifar", "in_size", in_size, 12)

    parts: dict[str, nn.Module] = {}
    channels, size = 3, in_size
    for number, (filters, kernel) in enumerate(zip(WIDTHS, KERNELS, strict=True), start=1):
        if depth == 3 and number in (3, 4):
            continue
        grouped = groups if GROUPED[number - 1] else 1
        padding, bias = kernel // 2, norm != "batch"
        parts[f"conv{number}"] = nn.Conv2d(channels, filters, kernel, padding=padding, groups=grouped, bias=bias)
        if norm == "batch":
            parts[f"norm{number}"] = nn.BatchNorm2d(filters)
        parts[f"{activation}{number}"] = ACTIVATIONS[activation]()
        if norm == "lrn" and number <= 2:
            parts[f"norm{number}"] = nn.LocalResponseNorm.from_paper(alpha=ALPHA)
        if POOLED[number - 1]:
            parts[f"pool{number}"] = nn.MaxPool2d(3 if overlapping else 2, stride=2, ceil_mode=overlapping)
            size //= 2
        channels = filters
    parts["flatten"] = nn.Flatten()
    inputs = channels * size * size
    for number in (6, 7):
        parts[f"fc{number}"] = nn.Linear(inputs, UNITS)
        parts[f"{activation}{number}"] = ACTIVATIONS[activation]()
        parts[f"drop{number}"] = nn.Dropout(dropout)
        inputs = UNITS
    parts["fc8"] = nn.Linear(inputs, num_classes)

    network = Network(parts)
    he_weights(network, activation)
    network.config = {
        "model": "alexnet_cifar",
        "num_classes": num_classes,
        "in_size": in_size,
        "activation": activation,
        "norm": norm,
        "dropout": dropout,
        "overlapping": overlapping,
        "depth": depth,
        "groups": groups,
    }
    return network
