"""AlexNet in four variants: the paper's, the same without towers, a widely copied one, and torchvision's."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from minicnn import nn
from minicnn.arguments import one_of, probability, switch, whole
from minicnn.models.initial_weights import he_weights, keras_weights, paper_weights
from minicnn.models.network import ACTIVATIONS, NORMS, Network
from minicnn.models.towers import TwoTowers

__all__ = ["GROUPED", "POOLED", "alexnet"]


@dataclass(frozen=True)
class AlexNetVariant:
    """The differences between the AlexNets.

    Attributes
    ----------
    widths : tuple of int
        The number of filters of conv1 to conv5.
    groups : int
        The number of towers, 1 or 2: conv2, conv4 and conv5 read only the maps of their own.
    norm : {"lrn", "none"}
        Whether local response normalisation follows conv1 and conv2.
    in_size : int
        Height and width of the images.
    padded : bool
        Whether images are padded with zeros at the bottom and right until the stride of conv1 fits.
    conv1_padding : int
        Zeros on all four sides.
    last_pool : int
        The window of the last pool, whose stride is 2.
    dropout_first : bool
        Whether dropout comes before fc6 and fc7 or after them.
    """

    widths: tuple[int, int, int, int, int] = (96, 256, 384, 384, 256)
    groups: int = 1
    norm: str = "none"
    in_size: int = 227
    padded: bool = False
    conv1_padding: int = 0
    last_pool: int = 3
    dropout_first: bool = False


VARIANTS = {
    "paper": AlexNetVariant(groups=2, norm="lrn", padded=True),
    "merged": AlexNetVariant(norm="lrn", padded=True),
    "article": AlexNetVariant(in_size=224, last_pool=2),
    "torchvision": AlexNetVariant((64, 192, 384, 256, 256), in_size=224, conv1_padding=2, dropout_first=True),
}
KERNELS = (11, 5, 3, 3, 3)
STRIDES = (4, 1, 1, 1, 1)
GROUPED = (False, True, False, True, True)
POOLED = (True, True, False, False, True)
TORCHVISION_SIZE = 6  # of the maps that fc6 reads


def alexnet(
    variant: str = "paper",
    num_classes: int = 1000,
    in_size: int | None = None,
    activation: str = "relu",
    norm: str | None = None,
    dropout: float = 0.5,
    overlapping: bool = True,
    groups: int | None = None,
    init: str | None = None,
    devices: tuple[str, str] | None = None,
) -> Network:
    """Build AlexNet: five convolutions and three fully connected layers.

    ============= =================== ====== === ========= ======================== ==================
    variant       filters, conv1 to 5 groups LRN last pool initial weights          parameters, MACs
    ============= =================== ====== === ========= ======================== ==================
    "paper"       96 256 384 384 256  2      yes 3x3       N(0, 0.01^2), biases 0/1 61.0 M, 0.72 G
    "merged"      the same            1      yes 3x3       the same                 62.4 M, 1.14 G
    "article"     the same            1      no  2x2       uniform, Glorot          62.4 M, 1.02 G
    "torchvision" 64 192 384 256 256  1      no  3x3       PyTorch's                61.1 M, 0.71 G
    ============= =================== ====== === ========= ======================== ==================

    "paper" is the network of 2012, with its two towers as two groups of channels in conv2, conv4 and conv5. "merged"
    is the same without towers. "article" follows a Keras version that is often copied. "torchvision" is the network of
    PyTorch's model zoo and loads its weights under the same keys; its dropout comes before fc6 and fc7, in the others
    after them.

    Parameters
    ----------
    variant : {"paper", "merged", "article", "torchvision"}
        See the table.
    num_classes : int
        The number of outputs of fc8.
    in_size : int, optional
        Height and width of the images: by default 227 for "paper" and "merged", else 224. Section 3.5 says 224, but
        only 227 gives its 55x55 maps, (227 - 11)/4 + 1. In the authors' program the last windows extend over the edge;
        accordingly "paper" and "merged" pad images by up to three zeros at the bottom and right, until the stride fits,
        so that 224 and 227 both work. Another size changes the number of inputs of fc6, except in "torchvision", which
        averages its maps to 6x6 and so accepts any size with the same weights.
    activation : {"relu", "tanh", "sigmoid"}
        Section 3.1. Biases of 1 give ReLUs positive inputs; with another activation all are 0.
    norm : {"lrn", "batch", "none"}, optional
        "lrn" is section 3.3: local response normalisation after the ReLUs of conv1 and conv2, with n = 5, k = 2,
        alpha = 1e-4, beta = 0.75. As in Caffe it crosses the border between the towers, but see `devices`. "batch" is
        what came after it: batch normalisation between each convolution, which has no bias then, and its activation.
    dropout : float
        Section 4.2: the probability of dropping a unit of fc6 and fc7; 0 for none.
    overlapping : bool
        Section 3.4: max pools of 3x3 at stride 2. False: 2x2 at stride 2, which give maps of the same size.
    groups : int, optional
        Section 3.2: 2 for two towers, 1 for one.
    init : {None, "he"}
        The initial weights: the variant's own, or those of He et al. 2015 (for tanh and sigmoid, of Glorot and Bengio
        2010), with biases of 0. From N(0, 0.01^2) a network of this depth needs thousands of steps before it learns
        anything: a million images give that many, a few thousand do not. With "he" it learns at once, on standardised
        pixels.
    devices : pair of str, optional
        Section 3.2: the devices of the two towers, such as ``("cuda:0", "cuda:1")``, or twice the same. Then a
        :class:`minicnn.models.TwoTowers` is returned, with the same initial weights, in which the towers exchange maps
        only at conv3 and the fully connected layers: response normalisation does not cross the border between them.

    Returns
    -------
    Network
        (N, 3, in_size, in_size) to (N, num_classes): scores, without a softmax. Its layers are named conv1, relu1,
        norm1, pool1, ... fc6, relu6, drop6, fc7, relu7, drop7, fc8; those of "torchvision" features.0, ...

    References
    ----------
    Krizhevsky et al. 2012, "ImageNet classification with deep convolutional neural networks", sections 3 and 5.
    Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks", for "torchvision".
    He et al. 2015, "Delving deep into rectifiers", section 2.2, for "he".
    """
    kind = VARIANTS[one_of("alexnet", "variant", variant, VARIANTS)]
    one_of("alexnet", "activation", activation, ACTIVATIONS)
    num_classes = whole("alexnet", "num_classes", num_classes, 1)
    dropout = probability("alexnet", "dropout", dropout)
    norm = one_of("alexnet", "norm", kind.norm if norm is None else norm, NORMS)
    switch("alexnet", "overlapping", overlapping)
    if init is not None:
        one_of("alexnet", "init", init, ("he",))
    groups = kind.groups if groups is None else whole("alexnet", "groups", groups, 1)
    for width in kind.widths:
        if width % groups:
            raise ValueError(f"alexnet: groups must divide {kind.widths}, got {groups}")
    if devices is not None and (groups != 2 or variant == "torchvision"):
        raise ValueError(
            f"alexnet: devices must be None for a network without two towers, got {devices!r} for variant {variant!r} "
            f"with groups={groups}"
        )
    in_size = kind.in_size if in_size is None else whole("alexnet", "in_size", in_size)
    if _final_size(kind, in_size, overlapping) < 1:
        smallest = next(size for size in itertools.count(1) if _final_size(kind, size, overlapping) >= 1)
        raise ValueError(f"alexnet: in_size must be at least {smallest} for variant {variant!r}, got {in_size}")

    features: dict[str, nn.Module] = {}
    if kind.padded:
        size = _padded(in_size)
        features["pad"] = nn.PadTo(size, smallest=max(1, size - STRIDES[0] + 1))
    channels = 3
    for number, filters in enumerate(kind.widths, start=1):
        features[f"conv{number}"] = nn.Conv2d(
            channels,
            filters,
            KERNELS[number - 1],
            stride=STRIDES[number - 1],
            padding=_padding(kind, number),
            groups=groups if GROUPED[number - 1] else 1,
            bias=norm != "batch",
        )
        if norm == "batch":
            features[f"norm{number}"] = nn.BatchNorm2d(filters)
        features[f"{activation}{number}"] = ACTIVATIONS[activation]()
        if norm == "lrn" and number <= 2:
            features[f"norm{number}"] = nn.LocalResponseNorm.from_paper()
        if POOLED[number - 1]:
            features[f"pool{number}"] = nn.MaxPool2d(_window(kind, number, overlapping), stride=2)
        channels = filters

    classifier: dict[str, nn.Module] = {}
    inputs = channels * (TORCHVISION_SIZE if variant == "torchvision" else _final_size(kind, in_size, overlapping)) ** 2
    for number in (6, 7):
        layers: dict[str, nn.Module] = {
            f"fc{number}": nn.Linear(inputs, 4096),
            f"{activation}{number}": ACTIVATIONS[activation](),
        }
        drop: dict[str, nn.Module] = {f"drop{number}": nn.Dropout(dropout)}
        classifier |= drop | layers if kind.dropout_first else layers | drop
        inputs = 4096
    classifier["fc8"] = nn.Linear(inputs, num_classes)

    if variant == "torchvision":
        parts = {
            "features": _numbered(features),
            "avgpool": nn.AdaptiveAvgPool2d(TORCHVISION_SIZE),
            "flatten": nn.Flatten(),
            "classifier": _numbered(classifier),
        }
        network = Network(parts)  # every layer has PyTorch's initial weights already
    else:
        network = Network(features | {"flatten": nn.Flatten()} | classifier)
        if variant == "article":
            keras_weights(network)
        else:
            paper_weights(network, ones=activation == "relu")
    if init == "he":
        he_weights(network, activation)
    network.config = {
        "model": "alexnet",
        "variant": variant,
        "num_classes": num_classes,
        "in_size": in_size,
        "activation": activation,
        "norm": norm,
        "dropout": dropout,
        "overlapping": overlapping,
        "groups": groups,
        "init": init,
        "devices": None,
    }
    return network if devices is None else TwoTowers(network, devices)


def _padded(in_size: int) -> int:
    """Return the next size at which windows of 11, 4 apart, fit exactly: 227 for 224."""
    return in_size + (KERNELS[0] - in_size) % STRIDES[0]


def _padding(kind: AlexNetVariant, number: int) -> int:
    """Return conv1's own padding, or the padding with which the others keep the size."""
    return kind.conv1_padding if number == 1 else KERNELS[number - 1] // 2


def _window(kind: AlexNetVariant, number: int, overlapping: bool) -> int:
    last = number == len(KERNELS)
    return (kind.last_pool if last else 3) if overlapping else 2


def _final_size(kind: AlexNetVariant, in_size: int, overlapping: bool) -> int:
    """Return the height and width of the maps that fc6 reads; below 1 if the image is too small."""
    size = _padded(in_size) if kind.padded else in_size
    for number in range(1, len(KERNELS) + 1):
        size = (size + 2 * _padding(kind, number) - KERNELS[number - 1]) // STRIDES[number - 1] + 1
        if POOLED[number - 1]:
            size = (size - _window(kind, number, overlapping)) // 2 + 1
    return size


def _numbered(layers: dict[str, nn.Module]) -> nn.Sequential:
    """Name the layers by position, as torchvision does; normalisation, which it does not have, keeps its name."""
    positions = itertools.count()
    norm = nn.LocalResponseNorm, nn.BatchNorm2d
    return nn.Sequential(
        {name if isinstance(layer, norm) else str(next(positions)): layer for name, layer in layers.items()}
    )
