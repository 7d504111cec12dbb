"""The networks that are measured, in minicnn and in PyTorch."""

from typing import Any

import numpy as np

from minicnn import nn
from minicnn.model_summary import LayerRow, Summary, summary
from minicnn.models import Network, build

CONFIGS: dict[str, dict[str, Any]] = {
    "alexnet": {"model": "alexnet", "variant": "paper", "in_size": 227},
    "alexnet-no-lrn": {"model": "alexnet", "variant": "paper", "in_size": 227, "norm": "none"},
    "four-layer": {"model": "four_layer"},
}
"""By name. AlexNet takes images of 227x227, so that neither library has to pad them."""

SGD: dict[str, Any] = {"lr": 0.001, "momentum": 0.9, "weight_decay": 0.0005}
"""The settings of every contender's optimiser."""


Name = str | dict[str, Any]
"""One of CONFIGS, or a config such as they are, to which "width" may be added (`widened`)."""


def built(network: Name) -> Network:
    """Return a new network."""
    config = dict(CONFIGS[network] if isinstance(network, str) else network)
    width = config.pop("width", 1)
    if width == 1:
        return build(config)
    with nn.init.skip_arrays():
        narrow = build(config)
    return widened(narrow, width)


def widened(network: Network, width: float) -> Network:
    """Return a network with `width` times as many filters and hidden units, in even numbers because of the towers.

    The images keep their channels, and the last layer its classes. The initial weights are PyTorch's.
    """
    layers: dict[str, nn.Module] = dict(network.named_children())
    weighty = [layer for layer in layers.values() if isinstance(layer, nn.Conv2d | nn.Linear)]
    before = after = 3  # maps or units of the layer in front, as they were and as they are
    for name, layer in layers.items():
        if isinstance(layer, nn.Conv2d):
            inputs, before, after = after, layer.out_channels, _even(width * layer.out_channels)
            settings = (layer.kernel_size, layer.stride, layer.padding)
            layers[name] = nn.Conv2d(inputs, after, *settings, groups=layer.groups)
        elif isinstance(layer, nn.Linear):
            inputs, before = after * layer.in_features // before, layer.out_features
            after = before if layer is weighty[-1] else _even(width * before)
            layers[name] = nn.Linear(inputs, after)
    wide = Network(layers)
    wide.config = network.config
    return wide


def _even(count: float) -> int:
    return 2 * max(1, round(count / 2))


def summary_of(network: Name, batch: int = 1) -> Summary:
    """Return each layer's shapes, parameters and multiply-adds for a batch of images."""
    with nn.init.skip_arrays():
        model = built(network)
    side = model.config.get("in_size", 32)
    return summary(model, (batch, 3, side, side))


def batch_of(network: Name, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random images and labels, the same for every contender."""
    rng = np.random.default_rng(0)
    found = summary_of(network, size)
    labels = rng.integers(0, found.rows[-1].output_shape[1], size)
    return rng.standard_normal(found.input_shape, dtype=np.float32), labels


def multiply_adds(row: LayerRow, backward: bool, needs_input_grad: bool = True) -> int:
    """Return the multiply-adds of a layer's pass for one image.

    Backward needs as many as forward for the weights' gradient, and as many again for the input's.
    """
    return row.macs * (1 + needs_input_grad if backward else 1)


def flops(network: Name, forward_only: bool) -> int:
    """Return the operations for one image, counting a multiply-add as two.

    Images need no gradient, so the first layer computes none for its input.
    """
    weighty = [row for row in summary_of(network) if row.macs]
    forward = sum(multiply_adds(row, backward=False) for row in weighty)
    backward = sum(multiply_adds(row, True, needs_input_grad=row is not weighty[0]) for row in weighty)
    return 2 * (forward if forward_only else forward + backward)


def torch_twin(network: Name) -> Any:
    """Return the network as a ``torch.nn.Sequential``, its layers under the same names.

    Its ReLUs work in place, as in torchvision's AlexNet. It keeps PyTorch's initial weights, because speed does not
    depend on their values.
    """
    import torch

    with nn.init.skip_arrays():
        layers = dict(built(network).named_children())
    twin = torch.nn.Sequential()
    for name, layer in layers.items():
        twin.add_module(name, torch_layer(layer))
    return twin


def torch_layer(layer: nn.Module) -> Any:
    """Return PyTorch's layer with the same settings."""
    from torch import nn as theirs

    match layer:
        case nn.Conv2d():
            settings = (layer.kernel_size, layer.stride, layer.padding)
            return theirs.Conv2d(layer.in_channels, layer.out_channels, *settings, groups=layer.groups)
        case nn.Linear():
            return theirs.Linear(layer.in_features, layer.out_features)
        case nn.MaxPool2d():
            return theirs.MaxPool2d(layer.kernel_size, layer.stride, layer.padding, ceil_mode=layer.ceil_mode)
        case nn.LocalResponseNorm():
            return theirs.LocalResponseNorm(layer.size, layer.alpha, layer.beta, layer.k)
        case nn.ReLU():
            return theirs.ReLU(inplace=True)
        case nn.Dropout():
            return theirs.Dropout(layer.p)
        case nn.Flatten():
            return theirs.Flatten()
        case nn.PadTo():  # pads nothing, see CONFIGS
            return theirs.Identity()
    raise TypeError(f"benchmarks: no PyTorch layer corresponds to {layer}")
