"""AlexNet in four variants, and its recipe for pictures of 32x32."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from minicnn import nn
from minicnn.arguments import probability, whole
from minicnn.models.network import ACTIVATIONS, Network, one_of, switch
from minicnn.models.towers import TwoTowers

__all__ = ["alexnet", "alexnet_cifar"]


# --- AlexNet ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AlexNetVariant:
    """What distinguishes one AlexNet from another.

    Attributes
    ----------
    widths : tuple of int
        The filters of conv1 to conv5.
    groups : int
        The towers, 2 or 1: conv2, conv4 and conv5 see only their own.
    lrn : bool
        Whether local response normalisation follows conv1 and conv2.
    in_size : int
        Height and width of the pictures.
    padded : bool
        Whether zeros below and to the right make the stride of conv1 fit.
    conv1_padding : int
        Zeros on all four sides.
    last_pool : int
        The window of the last pool; the stride is 2.
    dropout_first : bool
        Whether dropout stands before fc6 and fc7 (in their inputs) or after them.
    """

    widths: tuple[int, int, int, int, int] = (96, 256, 384, 384, 256)
    groups: int = 1
    lrn: bool = False
    in_size: int = 227
    padded: bool = False
    conv1_padding: int = 0
    last_pool: int = 3
    dropout_first: bool = False


VARIANTS = {
    "paper": AlexNetVariant(groups=2, lrn=True, padded=True),
    "merged": AlexNetVariant(lrn=True, padded=True),
    "article": AlexNetVariant(in_size=224, last_pool=2),
    "torchvision": AlexNetVariant((64, 192, 384, 256, 256), in_size=224, conv1_padding=2, dropout_first=True),
}
KERNELS = (11, 5, 3, 3, 3)
STRIDES = (4, 1, 1, 1, 1)
GROUPED = (False, True, False, True, True)
POOLED = (True, True, False, False, True)


def alexnet(
    variant: str = "paper",
    num_classes: int = 1000,
    in_size: int | None = None,
    activation: str = "relu",
    lrn: bool | None = None,
    dropout: float = 0.5,
    overlapping: bool = True,
    groups: int | None = None,
    init: str | None = None,
    devices: tuple[str, str] | None = None,
) -> Network:
    """Build AlexNet: five convolutions and three fully connected layers.

    ============= =================== ====== === ========= ======================== ==================
    variant       filters, conv1 to 5 groups LRN last pool first values             parameters, MACs
    ============= =================== ====== === ========= ======================== ==================
    "paper"       96 256 384 384 256  2      yes 3x3       N(0, 0.01^2), biases 0/1 61.0 M, 0.72 G
    "merged"      the same            1      yes 3x3       the same                 62.4 M, 1.14 G
    "article"     the same            1      no  2x2       uniform, Glorot          62.4 M, 1.02 G
    "torchvision" 64 192 384 256 256  1      no  3x3       PyTorch's                61.1 M, 0.71 G
    ============= =================== ====== === ========= ======================== ==================

    "paper" is the network of 2012, with its two towers as two groups of channels in conv2, conv4 and conv5, and
    "merged" is the same without towers. "article" follows a Keras version that is often copied. "torchvision" is
    the one of PyTorch's model zoo, whose weights it takes under the same keys; its dropout stands before fc6 and
    fc7, in the others it stands behind them.

    Parameters
    ----------
    variant : {"paper", "merged", "article", "torchvision"}
        See the table.
    num_classes : int
        How many outputs fc8 has.
    in_size : int, optional
        Height and width of the pictures: 227 for "paper" and "merged", else 224. Section 3.5 says 224, but only
        227 gives its 55x55 maps, (227 - 11)/4 + 1. The authors' program lets the last windows hang over the edge;
        accordingly "paper" and "merged" pad pictures by up to three zeros below and to the right, until the stride
        fits, so that they take 224 and 227 alike. Another size gives fc6 another number of inputs.
    activation : {"relu", "tanh", "sigmoid"}
        Section 3.1. Biases of 1 are there to give ReLUs positive inputs; with another activation all are 0.
    lrn : bool, optional
        Section 3.3: local response normalisation behind the ReLUs of conv1 and conv2, with n = 5, k = 2,
        alpha = 1e-4, beta = 0.75. As in Caffe it looks across the border between the towers, but see `devices`.
    dropout : float
        Section 4.2: the probability with which units of fc6 and fc7 are dropped; 0 for none.
    overlapping : bool
        Section 3.4: max pools of 3x3 at stride 2; False has 2x2 at stride 2, which give maps of the same size.
    groups : int, optional
        Section 3.2: 2 for two towers, 1 for one.
    init : {None, "he"}
        The first weights: the variant's own, or as He et al. 2015 have them (for tanh and sigmoid, as Glorot and
        Bengio 2010 have them), with biases of 0. From N(0, 0.01^2) a
        network as deep as this needs thousands of steps before it learns anything, which a million pictures have in
        them and a few thousand have not; "he" starts at once, on standardised pixels.
    devices : pair of str, optional
        Section 3.2: where the two towers live, such as ``("cuda:0", "cuda:1")``; both may be the same. Then
        :class:`minicnn.models.TwoTowers` is returned, with the same first values, in which the towers meet at conv3 and
        the fully connected layers only: response normalisation does not look across the border between them.

    Returns
    -------
    Network
        (N, 3, in_size, in_size) to (N, num_classes): scores, without a softmax. Its layers are named conv1, relu1,
        norm1, pool1, ... fc6, relu6, drop6, fc7, relu7, drop7, fc8; those of "torchvision" features.0, ...

    Raises
    ------
    TypeError, ValueError
        Naming the argument, its value and what is accepted; for a picture that is too small, the smallest.

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
    lrn = kind.lrn if lrn is None else switch("alexnet", "lrn", lrn)
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
        )
        features[f"{activation}{number}"] = ACTIVATIONS[activation]()
        if lrn and number <= 2:
            features[f"norm{number}"] = nn.LocalResponseNorm.from_paper()
        if POOLED[number - 1]:
            features[f"pool{number}"] = nn.MaxPool2d(_window(kind, number, overlapping), stride=2)
        channels = filters

    classifier: dict[str, nn.Module] = {}
    inputs = channels * _final_size(kind, in_size, overlapping) ** 2
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
        parts = {"features": _numbered(features), "flatten": nn.Flatten(), "classifier": _numbered(classifier)}
        network = Network(parts)  # its first values are PyTorch's, which every layer has from the start
    else:
        network = Network(features | {"flatten": nn.Flatten()} | classifier)
        if variant == "article":
            _keras_values(network)
        else:
            _paper_values(network, ones=activation == "relu")
    if init == "he":
        _he_values(network, activation)
    network.config = {
        "model": "alexnet",
        "variant": variant,
        "num_classes": num_classes,
        "in_size": in_size,
        "activation": activation,
        "lrn": lrn,
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
    """Return conv1's own padding, and for the others the one that keeps the size."""
    return kind.conv1_padding if number == 1 else KERNELS[number - 1] // 2


def _window(kind: AlexNetVariant, number: int, overlapping: bool) -> int:
    last = number == len(KERNELS)
    return (kind.last_pool if last else 3) if overlapping else 2


def _final_size(kind: AlexNetVariant, in_size: int, overlapping: bool) -> int:
    """Return the height and width of the maps that fc6 reads; less than 1 if nothing is left."""
    size = _padded(in_size) if kind.padded else in_size
    for number in range(1, len(KERNELS) + 1):
        size = (size + 2 * _padding(kind, number) - KERNELS[number - 1]) // STRIDES[number - 1] + 1
        if POOLED[number - 1]:
            size = (size - _window(kind, number, overlapping)) // 2 + 1
    return size


def _numbered(layers: dict[str, nn.Module]) -> nn.Sequential:
    """Name the layers by their positions, as torchvision does; LRN, which it does not have, keeps its name."""
    positions = itertools.count()
    norm = nn.LocalResponseNorm
    return nn.Sequential(
        {name if isinstance(layer, norm) else str(next(positions)): layer for name, layer in layers.items()}
    )


def _paper_values(network: Network, ones: bool) -> None:
    """Weights from N(0, 0.01^2); biases 1 in conv2, 4, 5, fc6 and fc7, else 0. Section 5."""
    for name, layer in network.named_children():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.normal_(layer.weight, std=0.01)
            if layer.bias is not None:
                nn.init.constant_(layer.bias, float(ones and name in ("conv2", "conv4", "conv5", "fc6", "fc7")))


def _keras_values(network: Network) -> None:
    """Convolutions from U(-0.05, 0.05), Keras's "uniform"; dense layers from Glorot's uniform; biases 0."""
    for layer in network:
        if isinstance(layer, nn.Conv2d):
            nn.init.uniform_(layer.weight, -0.05, 0.05)
        elif isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
        if isinstance(layer, (nn.Conv2d, nn.Linear)) and layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _he_values(network: Network, activation: str) -> None:
    """Weights from N(0, 2 / inputs), or Glorot's for tanh and sigmoid, N(0, 0.01^2) in the last layer; biases 0."""
    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear, nn.LocalResponseNorm))]
    gain = 1.0
    for layer in layers:
        if isinstance(layer, nn.LocalResponseNorm):
            gain = layer.k**layer.beta  # what it divides by at least; the next layer's weights make up for it
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
        if layer is layers[-1]:
            nn.init.normal_(layer.weight, std=0.01)  # small, so that no class is preferred much at first
        elif activation == "relu":
            nn.init.normal_(layer.weight, std=gain * math.sqrt(2 / layer.weight.data[0].size))
        else:
            nn.init.xavier_normal_(layer.weight, gain)
        gain = 1.0


# --- its recipe for small pictures --------------------------------------------------------------------------

CIFAR_WIDTHS = (48, 96, 144, 144, 96)
CIFAR_KERNELS = (5, 3, 3, 3, 3)
CIFAR_UNITS = 512
DEPTHS = (5, 3)
# 1e-4 is made for pixels of 0 to 255. Standardised ones are some 60 times smaller, their squares 3,600 times.
CIFAR_ALPHA = 0.36


def alexnet_cifar(
    num_classes: int = 10,
    in_size: int = 28,
    activation: str = "relu",
    lrn: bool = True,
    dropout: float = 0.5,
    overlapping: bool = True,
    depth: int = 5,
    groups: int = 1,
) -> Network:
    """Build AlexNet's recipe for pictures of 32x32: its layers and their order, with fewer and smaller filters.

    conv1 5x5/48 - LRN - pool, conv2 3x3/96 - LRN - pool, conv3 3x3/144, conv4 3x3/144, conv5 3x3/96 - pool, fc6 512,
    fc7 512, fc8. All strides are 1, all convolutions keep the size, and each pool halves it, rounding down:
    28 - 14 - 7 - 3. 1,191,722 parameters and 33 million multiply-accumulates for the default arguments.

    What differs from the paper, besides the sizes: weights (but fc8's) as He et al. 2015 have them for ReLU, and as
    Glorot and Bengio 2010 have them for tanh and sigmoid, because from N(0, 0.01^2) a network as small as this hardly
    starts to learn; behind LRN they are 2^0.75 times larger, which is what LRN divides by at least; biases 0; and
    LRN's alpha is 0.36, the paper's 1e-4 for pixels that are standardised
    (:func:`minicnn.data.scaling.standardised`) instead of 0 to 255.

    Parameters
    ----------
    num_classes : int
        How many outputs fc8 has.
    in_size : int
        Height and width of the pictures, at least 12. 28 of 32 is the paper's 224 of 256: room for random crops
        (section 4.1).
    activation : {"relu", "tanh", "sigmoid"}
        Section 3.1.
    lrn : bool
        Section 3.3: local response normalisation behind the activations of conv1 and conv2.
    dropout : float
        Section 4.2: the probability with which units of fc6 and fc7 are dropped; 0 for none.
    overlapping : bool
        Section 3.4: max pools of 3x3 at stride 2, whose last windows hang over the edge where the size is even;
        False has 2x2 at stride 2, which give maps of the same size.
    depth : {5, 3}
        How many convolutions; 3 leaves out conv3 and conv4. Section 7: depth matters.
    groups : int
        Section 3.2: 2 makes two towers, which conv2, conv4 and conv5 do not leave.

    Returns
    -------
    Network
        (N, 3, in_size, in_size) to (N, num_classes): scores, without a softmax. Layers are named as in
        :func:`alexnet`.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, its value and what is accepted.

    References
    ----------
    Krizhevsky et al. 2012, sections 3 to 5. He et al. 2015, "Delving deep into rectifiers".
    """
    one_of("alexnet_cifar", "activation", activation, ACTIVATIONS)
    num_classes = whole("alexnet_cifar", "num_classes", num_classes, 1)
    dropout = probability("alexnet_cifar", "dropout", dropout)
    switch("alexnet_cifar", "lrn", lrn)
    switch("alexnet_cifar", "overlapping", overlapping)
    one_of("alexnet_cifar", "depth", depth, DEPTHS)
    groups = whole("alexnet_cifar", "groups", groups, 1)
    for width in CIFAR_WIDTHS:
        if width % groups:
            raise ValueError(f"alexnet_cifar: groups must divide {CIFAR_WIDTHS}, got {groups}")
    in_size = whole("alexnet_cifar", "in_size", in_size, 12)

    parts: dict[str, nn.Module] = {}
    channels, size = 3, in_size
    for number, (filters, kernel) in enumerate(zip(CIFAR_WIDTHS, CIFAR_KERNELS, strict=True), start=1):
        if depth == 3 and number in (3, 4):
            continue
        grouped = groups if GROUPED[number - 1] else 1
        parts[f"conv{number}"] = nn.Conv2d(channels, filters, kernel, padding=kernel // 2, groups=grouped)
        parts[f"{activation}{number}"] = ACTIVATIONS[activation]()
        if lrn and number <= 2:
            parts[f"norm{number}"] = nn.LocalResponseNorm.from_paper(alpha=CIFAR_ALPHA)
        if POOLED[number - 1]:
            parts[f"pool{number}"] = nn.MaxPool2d(3 if overlapping else 2, stride=2, ceil_mode=overlapping)
            size //= 2
        channels = filters
    parts["flatten"] = nn.Flatten()
    inputs = channels * size * size
    for number in (6, 7):
        parts[f"fc{number}"] = nn.Linear(inputs, CIFAR_UNITS)
        parts[f"{activation}{number}"] = ACTIVATIONS[activation]()
        parts[f"drop{number}"] = nn.Dropout(dropout)
        inputs = CIFAR_UNITS
    parts["fc8"] = nn.Linear(inputs, num_classes)

    network = Network(parts)
    _he_values(network, activation)
    network.config = {
        "model": "alexnet_cifar",
        "num_classes": num_classes,
        "in_size": in_size,
        "activation": activation,
        "lrn": lrn,
        "dropout": dropout,
        "overlapping": overlapping,
        "depth": depth,
        "groups": groups,
    }
    return network
