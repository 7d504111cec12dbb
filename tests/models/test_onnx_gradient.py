"""The backward pass of the exported graph against minicnn's own."""

from typing import Any

import numpy as np
import pytest

from minicnn import Tensor, nn, no_grad
from minicnn.models.onnx_export import onnx_model
from minicnn.models.onnx_gradient import add_saliency
from minicnn.viz import gradient_saliency

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

NETWORKS: dict[str, tuple[nn.Module, ...]] = {
    "strides, gaps and groups, windows that miss the edge": (
        nn.Conv2d(4, 6, (3, 2), stride=(2, 3), padding=(1, 2), groups=2),
        nn.Tanh(),
        nn.Conv2d(6, 4, 3, dilation=2),
    ),
    "overlapping pools": (
        nn.Conv2d(4, 6, 3),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.MaxPool2d(2, stride=1),
    ),
    "response normalisation": (nn.Conv2d(4, 9, 3), nn.LocalResponseNorm(5, 0.5, 0.75, 2.0), nn.ReLU()),
    "batch normalisation": (nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6), nn.Sigmoid(), nn.Dropout(0.5)),
}


def compare(network: nn.Sequential, picture: np.ndarray, mean: np.ndarray) -> None:
    network.eval()
    model = onnx_model(network, picture.shape, mean, layers=True)
    assert add_saliency(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    scores, found = session.run(["scores", "saliency"], {"pictures": picture[None]})
    with no_grad():
        own = network(Tensor((picture - mean)[None])).numpy()
    np.testing.assert_allclose(scores, own, rtol=1e-4, atol=1e-4)
    expected = gradient_saliency(network, picture - mean, int(own.argmax()))
    assert found.shape == (1, *picture.shape[1:]) and expected.max() > 0
    np.testing.assert_allclose(found[0], expected, atol=2e-5 * expected.max())


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_minicnns_gradient(name: str, rng: np.random.Generator) -> None:
    picture, mean = (rng.standard_normal((4, 13, 14), dtype=np.float32) for _ in range(2))
    layers = nn.Sequential(*NETWORKS[name])
    for layer in layers.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 2)
            nn.init.uniform_(layer.running_mean, -0.5, 0.5)
            nn.init.uniform_(layer.running_var, 0.5, 2)
    with no_grad():
        features = int(np.prod(layers.eval()(Tensor(picture[None])).shape))
    compare(nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, 5)), picture, mean)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "side"),
    [
        ({"model": "four_layer", "init": "he"}, 32),
        ({"model": "alexnet_cifar", "groups": 2}, 28),
        ({"model": "alexnet", "variant": "paper", "in_size": 68}, 68),
    ],
    ids=str,
)
def test_it_is_minicnns_gradient_of_whole_networks(config: dict[str, Any], side: int, rng: np.random.Generator) -> None:
    from minicnn import models

    network = models.build({"num_classes": 10, **config})
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)
    picture, mean = (rng.standard_normal((3, side, side), dtype=np.float32) for _ in range(2))
    compare(network, picture, mean)


def test_a_graph_with_another_operator_is_left_as_it_is(rng: np.random.Generator) -> None:
    network = nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 2))
    model = onnx_model(network, (3, 4, 4), layers=True)
    before = model.SerializeToString()
    assert not add_saliency(model) and model.SerializeToString() == before
