"""Networks, ready to train."""

from minicnn.models.alexnets import alexnet
from minicnn.models.building import MODELS, build
from minicnn.models.cifar_alexnet import alexnet_cifar
from minicnn.models.four_layers import four_layer
from minicnn.models.lenet import lenet5
from minicnn.models.network import Network
from minicnn.models.towers import TwoTowers

__all__ = ["MODELS", "Network", "TwoTowers", "alexnet", "alexnet_cifar", "build", "four_layer", "lenet5"]
