"""A network's config, and the network from its config."""

import inspect
import json

import pytest

from minicnn import nn
from minicnn.models import MODELS, build

EXAMPLES = [
    {"model": "alexnet"},
    {"model": "alexnet", "variant": "merged", "in_size": 64, "activation": "tanh", "norm": "none", "groups": 2},
    {"model": "alexnet", "variant": "article", "num_classes": 3, "dropout": 0.25, "overlapping": False},
    {"model": "alexnet", "variant": "torchvision", "norm": "lrn", "dropout": 0},
    {"model": "alexnet_cifar", "num_classes": 3, "in_size": 24, "activation": "tanh", "norm": "none", "dropout": 0.1},
    {"model": "alexnet_cifar", "overlapping": False, "depth": 3, "groups": 2},
    {"model": "four_layer", "activation": "sigmoid", "num_classes": 3, "init": "he"},
    {"model": "lenet5", "num_classes": 3, "in_size": 28, "in_channels": 1, "activation": "relu"},
]


@pytest.mark.parametrize("config", EXAMPLES, ids=str)
def test_a_config_survives_json_and_makes_the_same_network_again(config):
    with nn.init.skip_arrays():
        network = build(config)
        saved = json.loads(json.dumps(network.config))
        again = build(saved)
    assert repr(again) == repr(network)
    assert again.config == network.config == saved
    assert config.items() <= network.config.items()
    assert set(network.config) == {"model", *inspect.signature(MODELS[config["model"]]).parameters}


def test_every_model_can_be_built():
    assert {config["model"] for config in EXAMPLES} == set(MODELS)


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        (["alexnet"], TypeError, "build: config must be a mapping, got a list"),
        ({}, ValueError, "build: model must be one of alexnet, alexnet_cifar, four_layer, lenet5; got None"),
        ({"model": "vgg"}, ValueError, "build: model must be one of .*; got 'vgg'"),
        ({"model": ["alexnet"]}, ValueError, "build: model must be one of"),
        (
            {"model": "lenet5", "norm": "lrn"},
            ValueError,
            "build: lenet5 has no argument 'norm'; it has num_classes, in_s",
        ),
        ({"model": "lenet5", 1: 2}, ValueError, "build: lenet5 has no argument 1"),
        ({"model": "lenet5", "num_classes": "ten"}, TypeError, "lenet5: num_classes must be an integer, got 'ten'"),
    ],
)
def test_refusals(config, error, message):
    with pytest.raises(error, match=message):
        build(config)
