"""What the live page carries; what it does is tested in a browser."""

import base64
import json
import re
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, models, nn, no_grad
from minicnn.data import Preparation, load_shapes
from minicnn.models import Network
from minicnn.training.checkpoint import SavedModel
from minicnn.viz.live_page import STAR, live_html, reference_drawing
from minicnn.viz.onnx_runtime import SCRIPT

CLASSES = tuple("abcdefghij")


@pytest.fixture(scope="module")
def saved() -> SavedModel:
    minicnn.manual_seed(0)
    network = models.build({"model": "lenet5"})
    return SavedModel(network, Preparation.fit(load_shapes(train=100, test=1).train_images, crop=32), CLASSES, {})


def data_of(page: str) -> Any:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1])


def floats(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4")


def test_it_has_the_graph_and_minicnns_own_numbers_of_the_reference(saved: SavedModel) -> None:
    onnxruntime, _ = pytest.importorskip("onnxruntime"), pytest.importorskip("onnx")
    image = np.random.default_rng(1).integers(0, 256, (3, 32, 32), dtype=np.uint8)
    saved.network.train()
    page = live_html(saved, image)
    assert saved.network.training
    live = data_of(page)["live"]
    pixels = np.frombuffer(base64.b64decode(live["pixels"]), np.uint8).reshape(32, 32, 3)
    np.testing.assert_array_equal(pixels.transpose(2, 0, 1), image)
    graph = base64.b64decode(re.search(r'<script type="text/plain" id="model">(.*?)</script>', page)[1])
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    names = [layer["output"] for layer in live["layers"].values()]
    outputs = session.run(names, {"pictures": image[None].astype(np.float32)})
    for layer, found in zip(live["layers"].values(), outputs, strict=True):
        own = floats(layer["own"])
        np.testing.assert_allclose(found.ravel(), own, atol=2e-5 * np.abs(own).max())
    with no_grad():
        scores = saved.network.eval()(Tensor(saved.preparation.prepare(image[None]))).numpy()
    np.testing.assert_array_equal(floats(live["layers"][str(len(names) - 1)]["own"]), scores[0])
    sources = [layer["source"] for layer in live["layers"].values()]
    assert sources == ["input", *range(len(names) - 1)]
    assert f'<script src="{SCRIPT}"></script>' in page and "https:" not in page


def test_it_begins_with_a_star_and_the_five_likeliest_classes(saved: SavedModel) -> None:
    pytest.importorskip("onnx")
    page = live_html(saved)
    pixels = np.frombuffer(base64.b64decode(data_of(page)["live"]["pixels"]), np.uint8).reshape(32, 32, 3)
    np.testing.assert_array_equal(pixels, reference_drawing(32).transpose(1, 2, 0))
    rows = re.findall(r'<li><span class="bar" style="width:([\d.]+)%">.*?<span>(\w)</span>', page)
    shares = [float(share) for share, _ in rows]
    assert len(rows) == len({name for _, name in rows}) == 5 and shares == sorted(shares, reverse=True)
    assert not [step for step in data_of(page)["steps"] if step["backward"]]


@pytest.mark.parametrize("size", [28, 100])
def test_the_star_is_drawn_at_any_size_as_the_pad_would(size: int) -> None:
    star = reference_drawing(size)
    assert star.shape == (3, size, size) and star.dtype == np.uint8
    assert (star[:, 0, 0] == 28).all() and star.max() == 235
    assert star[0].mean() == pytest.approx(reference_drawing(64)[0].mean(), rel=0.02)
    for x, y in STAR:
        assert (star[:, int(y * size), int(x * size)] > 200).all()


def test_a_layer_of_several_operations_is_refused(saved: SavedModel) -> None:
    pytest.importorskip("onnx")

    class Twice(nn.Module):
        def forward(self, input: Tensor) -> Tensor:
            return (input * 2.0) * 1.0

        def to_onnx(self, graph: Any) -> None:
            graph.add("Identity")

    layers = {"twice": Twice(), "flatten": nn.Flatten(), "fc": nn.Linear(3 * 32 * 32, 10)}
    network = Network(layers)
    network.config = {"model": "lenet5"}
    with pytest.raises(ValueError, match="live_html: twice must be one operation, got several"):
        live_html(SavedModel(network, saved.preparation, CLASSES, {}))
