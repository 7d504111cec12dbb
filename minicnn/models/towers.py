"""A network of two towers, each on a GPU of its own if there are two: figure 2 of the paper."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np

from minicnn import functional as F
from minicnn import nn
from minicnn.autograd import Tensor
from minicnn.backend import asnumpy, checked_device
from minicnn.models.network import Network
from minicnn.nn.loading import IncompatibleKeys

__all__ = ["TwoTowers"]


class TwoTowers(Network):
    """The two halves of a network whose convolutions have two groups, and its last layer, which reads both.

    Each tower has half of every layer's filters or units. A grouped convolution reads only the maps of its own tower;
    before every other layer with weights, except the first, each tower sends its output to the other: in AlexNet before
    conv3, fc6 and fc7, and both send theirs to fc8. So that nothing else has to cross, response normalisation uses only
    the maps of its own tower, as in the authors' program. Otherwise it computes the same as the network in one piece
    and has the same ``state_dict``: each can load the other's.

    Parameters
    ----------
    network : Network
        A chain of layers whose grouped convolutions have two groups. What is frozen in it is frozen here, too, and each
        layer stays in training or evaluation mode.
    devices : pair of str
        Of the two towers; the last layer is with the first. The two may be the same.

    Raises
    ------
    DeviceError
        If CuPy or one of the GPUs is absent.

    References
    ----------
    Krizhevsky et al. 2012, section 3.2 and figure 2.

    Examples
    --------
    >>> from minicnn import models
    >>> network = models.alexnet_cifar(groups=2)
    >>> TwoTowers(network, ("cpu", "cpu")).crossings
    ('conv3', 'fc6', 'fc7', 'fc8')
    """

    def __init__(self, network: Network, devices: tuple[str, str]) -> None:
        layers = dict(network.named_children())
        *names, last = layers
        weighted = [name for name in layers if isinstance(layers[name], (nn.Conv2d, nn.Linear))]
        towers = [nn.Sequential({name: _half(layers[name], side) for name in names}) for side in (0, 1)]
        super().__init__({"tower0": towers[0], "tower1": towers[1], last: copy.deepcopy(layers[last])})
        for part in (self, *towers):
            part.training = network.training
        self.last = last
        self.crossings = tuple(name for name in weighted[1:] if getattr(layers[name], "groups", 1) == 1)
        self.config = {**network.config, "devices": ["cpu", "cpu"]}  # the devices are chosen when it is loaded
        self.to(*_pair(devices))

    def forward(self, input: Tensor) -> Tensor:
        """Return the scores (N, classes) for images (N, 3, H, W), on the first tower's device."""
        devices = self.devices
        outputs = [input.to(device) for device in devices]
        for name, *halves in self.layers():
            if name in self.crossings:
                outputs = [_both(outputs, device) for device in devices]
            outputs = [half(output) for half, output in zip(halves, outputs, strict=True)]
        scores: Tensor = getattr(self, self.last)(_both(outputs, devices[0]))
        return scores

    def layers(self) -> Iterator[tuple[str, nn.Module, nn.Module]]:
        """Return the name of each layer but the last, and its two halves."""
        towers = [dict(tower.named_children()) for tower in itertools.islice(self, 2)]
        return ((name, towers[0][name], towers[1][name]) for name in towers[0])

    @property
    def devices(self) -> tuple[str, str]:
        """The devices of the two towers."""
        left, right = itertools.islice(self, 2)
        return left.device, right.device

    def to(self, device: str, other: str | None = None) -> Self:
        """Move the towers, both to one device or each to one of two; see :meth:`minicnn.nn.Module.to`."""
        places = checked_device(device), checked_device(device if other is None else other)
        for part, place in zip(self, (*places, places[0]), strict=True):
            part.to(place)
        return self

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return a copy of every parameter and buffer, with the towers' halves joined, under its name in one piece."""
        halves = super().state_dict()
        joined = {}
        for key, array in halves.items():
            tower, _, name = key.partition(".")
            if tower == "tower0":
                joined[name] = np.concatenate([array, halves[f"tower1.{name}"]]) if array.ndim else array
            elif tower != "tower1":
                joined[key] = array
        return joined

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Load the parameters of the network in one piece, or of another one with towers."""
        if not isinstance(state_dict, Mapping):
            return super().load_state_dict(state_dict, strict)  # which refuses it
        halves: dict[str, Any] = {}
        for key, value in state_dict.items():
            if key.partition(".")[0] == self.last:
                halves[key] = value
            else:
                array = asnumpy(value.data if isinstance(value, Tensor) else value)
                parts = np.array_split(array, 2) if array.ndim else [array, array]
                halves |= {f"tower{side}.{key}": part for side, part in enumerate(parts)}
        missing, unexpected = super().load_state_dict(halves, strict)
        return IncompatibleKeys(_joined(missing), _joined(unexpected))


def _joined(keys: list[str]) -> list[str]:
    """Return the names that the two halves have in the network in one piece."""
    return list(dict.fromkeys(key.removeprefix("tower0.").removeprefix("tower1.") for key in keys))


def _both(outputs: list[Tensor], device: str) -> Tensor:
    """Return the outputs of both towers on one device: (N, C, ...) from (N, C/2, ...) of each."""
    return F.cat([output.to(device) for output in outputs], 1)


def _half(layer: nn.Module, side: int) -> nn.Module:
    """Return the layer with half of its filters or units, or a copy of a layer without any."""
    if isinstance(layer, nn.Conv2d):
        size, stride, padding = layer.kernel_size, layer.stride, layer.padding
        inputs = layer.in_channels // layer.groups
        with nn.init.skip_arrays():
            half: nn.Module = nn.Conv2d(
                inputs, layer.out_channels // 2, size, stride, padding, layer.dilation, bias=layer.bias is not None
            )
    elif isinstance(layer, nn.Linear):
        with nn.init.skip_arrays():
            half = nn.Linear(layer.in_features, layer.out_features // 2, bias=layer.bias is not None)
    elif isinstance(layer, nn.BatchNorm2d):
        half = nn.BatchNorm2d(layer.num_features // 2, layer.eps, layer.momentum)
    else:
        return copy.copy(layer)
    wholes = dict(layer.named_parameters()) | dict(layer.named_buffers())
    for name, tensor in (*half.named_parameters(), *half.named_buffers()):
        whole = wholes[name].data
        if whole.ndim:
            tensor.data = whole[: len(whole) // 2].copy() if side == 0 else whole[len(whole) // 2 :].copy()
        tensor.requires_grad = wholes[name].requires_grad
    half.training = layer.training
    return half


def _pair(devices: Any) -> tuple[str, str]:
    if not isinstance(devices, (tuple, list)) or len(devices) != 2:
        raise TypeError(f"alexnet: devices must be a pair such as ('cuda:0', 'cuda:1'), got {devices!r}")
    return devices[0], devices[1]
