"""The exported graph against onnxruntime, and what cannot be exported."""

import copy
import json
import sys
from typing import Any

import every_layer
import numpy as np
import pytest

from minicnn import Tensor, models, nn, no_grad, trace
from minicnn.backend import generator
from minicnn.models.network import Network
from minicnn.models.onnx_export import ExportError, onnx_model

NETWORKS = {
    "alexnet paper": ({"model": "alexnet", "variant": "paper", "in_size": 67}, 67),
    "alexnet paper, to be padded by three": ({"model": "alexnet", "variant": "paper", "in_size": 68}, 68),
    "alexnet merged": ({"model": "alexnet", "variant": "merged", "in_size": 67}, 67),
    "alexnet article": ({"model": "alexnet", "variant": "article", "in_size": 68}, 68),
    "alexnet torchvision": ({"model": "alexnet", "variant": "torchvision", "in_size": 80}, 80),
    "alexnet with everything otherwise": (
        {
            "model": "alexnet",
            "variant": "paper",
            "in_size": 70,
            "norm": "none",
            "dropout": 0.0,
            "overlapping": False,
            "activation": "tanh",
        },
        70,
    ),
    "alexnet_cifar": ({"model": "alexnet_cifar"}, 28),
    "alexnet_cifar, batch normalisation": ({"model": "alexnet_cifar", "norm": "batch"}, 28),
    "alexnet_cifar, odd sides": ({"model": "alexnet_cifar", "in_size": 27}, 27),
    "alexnet_cifar, two towers": ({"model": "alexnet_cifar", "groups": 2, "depth": 3, "overlapping": False}, 28),
    "lenet5": ({"model": "lenet5"}, 32),
    "lenet5 of grey pictures": ({"model": "lenet5", "in_size": 28, "in_channels": 1, "activation": "sigmoid"}, 28),
    "four_layer": ({"model": "four_layer"}, 32),
}


def built(config: dict[str, Any]) -> Network:
    """A network whose scores are not all but equal: every layer matters."""
    network = models.build({"num_classes": 10, **config})
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)
            parameter.data *= 3 if network.config["activation"] == "sigmoid" else 1
        else:
            nn.init.uniform_(parameter, -0.5, 0.5)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 2)
            nn.init.uniform_(layer.running_mean, -0.5, 0.5)
            nn.init.uniform_(layer.running_var, 0.5, 2)
    return network


def run(model: Any, pictures: np.ndarray) -> np.ndarray:
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (scores,) = session.run(["scores"], {"pictures": pictures})
    return scores


def check(network: nn.Sequential, pictures: np.ndarray, **more: Any) -> None:
    pytest.importorskip("onnx")
    model = onnx_model(network, pictures.shape[1:], **more)
    with no_grad():
        expected = network.eval()(pictures).data
    assert np.ptp(expected, axis=0).max() > 0.01  # something depends on the picture
    np.testing.assert_allclose(run(model, pictures), expected, rtol=1e-4, atol=1e-4)


LARGE = [name for name in NETWORKS if name.startswith("alexnet ")]  # seconds each


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in NETWORKS]
)
def test_every_network_gives_the_same_scores(name: str, rng: np.random.Generator) -> None:
    config, side = NETWORKS[name]
    pictures = rng.standard_normal((2, config.get("in_channels", 3), side, side), dtype=np.float32)
    check(built(config), pictures)


@pytest.mark.parametrize(("layer", "shape"), [one for one in every_layer.examples() if len(one[1]) == 4], ids=str)
def test_every_layer_gives_the_same_numbers_or_says_why_not(
    layer: nn.Module, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    pytest.importorskip("onnx")
    network = nn.Sequential(copy.deepcopy(layer))  # which other tests have, too
    pictures = rng.standard_normal(shape, dtype=np.float32)
    try:
        model = onnx_model(network, shape[1:])
    except ExportError as error:
        assert type(layer).to_onnx is not nn.Module.to_onnx, error
        assert str(error).startswith(f"0 ({type(layer).__name__}): ")
        return
    with no_grad():
        expected = network.eval()(pictures).data
    np.testing.assert_allclose(run(model, pictures), expected, rtol=1e-4, atol=1e-5)


def test_a_layer_of_ones_own_adds_its_nodes_and_those_inside_it_add_none(rng: np.random.Generator) -> None:
    class Double(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(np.float32([2.5]))
            self.inside = nn.ReLU()

        def forward(self, input: Any) -> Any:
            return self.inside(input) * self.gain

        def to_onnx(self, graph: nn.OnnxGraph) -> None:
            assert graph.input_shape == graph.output_shape == (1, 2, 3, 3)
            graph.add("Relu")
            graph.add("Mul", *graph.parameters())

    network = nn.Sequential({"double": Double(), "flatten": nn.Flatten()})
    check(network, rng.standard_normal((2, 2, 3, 3), dtype=np.float32))
    model = onnx_model(network, (2, 3, 3))
    assert [node.op_type for node in model.graph.node] == ["Relu", "Mul", "Flatten", "Identity"]
    assert [constant.name for constant in model.graph.initializer] == ["double.gain"]


def test_exporting_leaves_modes_and_random_numbers_as_they_were() -> None:
    pytest.importorskip("onnx")
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 2))
    network[2].eval()
    before = generator().bit_generator.state
    onnx_model(network, (3, 2, 2))
    assert [module.training for module in network.modules()] == [True, True, True, False]
    assert generator().bit_generator.state == before


def test_any_number_of_pictures_at_once(rng: np.random.Generator) -> None:
    pytest.importorskip("onnx")
    network = built({"model": "lenet5"})
    model = onnx_model(network, (3, 32, 32))
    for count in (1, 2, 7):
        pictures = rng.standard_normal((count, 3, 32, 32), dtype=np.float32)
        with no_grad():
            expected = network.eval()(pictures).data
        np.testing.assert_allclose(run(model, pictures), expected, rtol=1e-4, atol=1e-5)


def test_the_preparation_is_in_the_graph(rng: np.random.Generator) -> None:
    pytest.importorskip("onnx")
    network = built({"model": "four_layer"})
    mean = rng.uniform(100, 150, (3, 32, 32)).astype(np.float32)
    deviation = np.array([50, 60, 70], np.float32).reshape(3, 1, 1)
    pictures = rng.integers(0, 256, (3, 3, 32, 32)).astype(np.float32)
    model = onnx_model(network, (3, 32, 32), mean, deviation, classes=["a", "é"] * 5)
    with no_grad():
        expected = network.eval()((pictures - mean) / deviation).data
    np.testing.assert_allclose(run(model, pictures), expected, rtol=1e-4, atol=1e-4)
    assert {entry.key: json.loads(entry.value) for entry in model.metadata_props} == {"classes": ["a", "é"] * 5}


@pytest.mark.parametrize(
    "name", ["alexnet_cifar, batch normalisation", "alexnet_cifar, two towers", "lenet5", "four_layer"]
)
def test_every_layer_can_be_an_output(name: str, rng: np.random.Generator) -> None:
    onnxruntime, _ = pytest.importorskip("onnxruntime"), pytest.importorskip("onnx")
    config, side = NETWORKS[name]
    network, shape = built(config).eval(), (config.get("in_channels", 3), side, side)
    mean = rng.uniform(0.5, 1, shape).astype(np.float32)
    pictures = rng.standard_normal((2, *shape), dtype=np.float32)
    model = onnx_model(network, shape, mean, layers=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(names, {"pictures": pictures}), strict=True))
    with trace() as recorded, no_grad():
        scores = network(Tensor(pictures - mean))
    np.testing.assert_allclose(found.pop("scores"), scores.data, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(found.pop("prepared"), pictures - mean)
    expected = {f"layer.{record.layer}": record.output for record in recorded.records}
    assert list(found) == list(expected) and len(found) == len(recorded.records) > 5
    for layer, numbers in expected.items():
        assert found[layer].shape == numbers.shape
        np.testing.assert_allclose(found[layer], numbers, rtol=1e-4, atol=1e-4 * np.abs(numbers).max())


def test_lrn_keeps_its_alpha(rng: np.random.Generator) -> None:
    """With an alpha that matters: at the paper's 1e-4 a division by the size would not be seen."""
    network = nn.Sequential(nn.LocalResponseNorm(5, alpha=2.0, beta=0.6, k=1.5), nn.Flatten(), nn.Linear(7 * 9, 3))
    check(network, rng.standard_normal((4, 7, 3, 3), dtype=np.float32))


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("padding", [0, 1, (1, 0)])
@pytest.mark.parametrize("side", [7, 8, 9])
@pytest.mark.parametrize("kind", ["max", "average", "average without padding"])
def test_pools_of_every_kind(kind: str, side: int, padding: Any, ceil_mode: bool, rng: np.random.Generator) -> None:
    pool: nn.Module
    if kind == "max":
        pool = nn.MaxPool2d(3, 2, padding, ceil_mode=ceil_mode)
    else:
        pool = nn.AvgPool2d(3, 2, padding, ceil_mode, count_include_pad=kind == "average")
    network = nn.Sequential(pool, nn.Flatten())
    pictures = rng.standard_normal((2, 2, side, side + 1), dtype=np.float32)
    if kind == "average" and padding and ceil_mode and _hangs_over(side, padding):
        pytest.importorskip("onnx")
        with pytest.raises(ExportError, match="hang over"):
            onnx_model(network, pictures.shape[1:])
    else:
        check(network, pictures)


def _hangs_over(side: int, padding: Any) -> bool:
    """Whether a 3x3 window, 2 further each time, does not end with the padding, in one direction at least."""
    high, wide = (padding, padding) if isinstance(padding, int) else padding
    return (side + 2 * high - 3) % 2 == 1 or (side + 1 + 2 * wide - 3) % 2 == 1


def test_layers_inside_layers_and_without_bias(rng: np.random.Generator) -> None:
    network = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, (3, 2), stride=(2, 1), padding=(1, 0), bias=False), nn.ReLU()),
        nn.Flatten(),
        nn.Sequential(nn.Dropout(0.9), nn.Linear(4 * 4 * 6, 5, bias=False), nn.Sigmoid()),
    )
    check(network, rng.standard_normal((3, 3, 7, 7), dtype=np.float32))


def test_what_onnx_cannot_say_is_refused_with_the_name_of_the_layer() -> None:
    pytest.importorskip("onnx")

    class Own(nn.Module):
        def forward(self, input: Any) -> Any:
            return input

    refused: list[tuple[nn.Module, str]] = [
        (nn.LocalResponseNorm(4), r"odd \(LocalResponseNorm\): size must be odd, got 4"),
        (nn.AvgPool2d(2, divisor_override=3), r"odd \(AvgPool2d\): ONNX has no divisor_override"),
        (nn.MaxPool2d(2, return_indices=True), r"odd \(MaxPool2d\): it must return one tensor, got a tuple"),
        (Own(), r"odd \(Own\): there is no ONNX rule for it: its class does not define to_onnx"),
        (nn.Conv2d(3, 3, 1, dtype="float64"), r"odd\.weight must be float32, got float64"),
        (nn.Flatten(0), r"odd \(Flatten\): it must make \(N, features\)"),
        (nn.Linear(8, 2), r"odd \(Linear\): its input must have shape \(N, features\), got \(1, 3, 8, 8\)"),
    ]
    for layer, message in refused:
        with pytest.raises(ExportError, match=message):
            onnx_model(nn.Sequential({"odd": layer}), (3, 8, 8))


def test_without_onnx_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ExportError, match=r"pip install -e '\.\[onnx\]'"):
        onnx_model(models.lenet5(), (3, 32, 32))
