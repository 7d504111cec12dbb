from typing import Any

import numpy as np
import pytest

from minicnn import Tensor, nn
from minicnn.data import Preparation
from minicnn.training import Evaluation, evaluate, probabilities
from minicnn.training.loop import DivergedError
from minicnn.training.metrics import count_wrong

CLASSES = 7


@pytest.fixture
def images(rng: np.random.Generator) -> Any:
    return rng.integers(0, 256, (300, 3, 8, 8), dtype=np.uint8)


@pytest.fixture
def labels(rng: np.random.Generator) -> Any:
    return rng.integers(0, CLASSES, 300)


@pytest.fixture
def preparation(rng: np.random.Generator) -> Preparation:
    mean = rng.uniform(100, 150, (3, 8, 8)).astype(np.float32)
    return Preparation(8, 6, mean, np.full((3, 1, 1), 60, np.float32))


def network() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(108, CLASSES))


def softmax(scores: Any) -> Any:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_errors_and_loss_are_those_of_every_picture(images: Any, labels: Any, preparation: Preparation) -> None:
    net = network()
    prepared = ((images - preparation.mean) / 60)[:, :, 1:7, 1:7].astype(np.float32)
    weight, bias = net[2].weight.data, net[2].bias.data
    likely = softmax(prepared.reshape(300, -1).astype(np.float64) @ weight.T + bias)
    order = (-likely).argsort(axis=1)
    seen: list[int] = []
    found = evaluate(net, preparation, images, labels, after_batch=seen.append)
    assert (found.images, seen) == (300, [128, 128, 44])
    assert found.error == np.mean(order[:, 0] != labels)
    assert found.top5_error == np.mean([label not in row[:5] for label, row in zip(labels, order, strict=True)])
    assert 0 < found.top5_error < found.error
    assert found.loss == pytest.approx(-np.log(likely[np.arange(300), labels]).mean(), rel=1e-5)
    assert found.images_per_second == 300 / found.seconds
    assert "300 images, " in str(found) and f"{100 * found.error:.2f} %" in str(found)
    np.testing.assert_allclose(probabilities(net, preparation, images[:9]), likely[:9], rtol=1e-4)


def test_ten_crops_are_averaged(images: Any, labels: Any, preparation: Preparation) -> None:
    net = network().eval()
    total = np.zeros((300, CLASSES))
    scaled = ((images - preparation.mean) / 60).astype(np.float32)
    for top, left in ((0, 0), (0, 2), (2, 0), (2, 2), (1, 1)):
        crop = scaled[:, :, top : top + 6, left : left + 6]
        for view in (crop, crop[..., ::-1]):
            total += softmax(net(Tensor(np.ascontiguousarray(view))).numpy().astype(np.float64)) / 10
    found = evaluate(net, preparation, images, labels, ten_crop=True)
    assert found.error == np.mean(total.argmax(axis=1) != labels)
    assert found.loss == pytest.approx(-np.log(total[np.arange(300), labels]).mean(), rel=1e-6)
    assert found.error != evaluate(net, preparation, images, labels).error
    np.testing.assert_allclose(probabilities(net, preparation, images[:5], ten_crop=True), total[:5], rtol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_given_back_even_after_an_error(
    training: bool, images: Any, labels: Any, preparation: Preparation
) -> None:
    net = network().train(training)

    def fail(count: int) -> None:
        assert not any(module.training for module in net.modules())
        raise RuntimeError

    with pytest.raises(RuntimeError):
        evaluate(net, preparation, images, labels, after_batch=fail)
    assert all(module.training == training for module in net.modules())


def test_workers_change_nothing(images: Any, labels: Any, preparation: Preparation) -> None:
    net = network()
    one, two = (evaluate(net, preparation, images, labels, workers=workers) for workers in (0, 2))
    assert (one.error, one.top5_error, one.loss) == (two.error, two.top5_error, two.loss)


def test_a_network_that_says_nothing_is_wrong(images: Any, labels: Any, preparation: Preparation) -> None:
    net = network()
    net[2].weight.data[...] = np.nan
    found = evaluate(net, preparation, images, labels)
    assert (found.error, found.top5_error) == (1, 1)


def test_probabilities_that_are_not_finite_are_refused(images: Any, preparation: Preparation) -> None:
    net = network()
    net[2].bias.data[3] = np.inf
    with pytest.raises(DivergedError, match="the network's outputs are infinite or NaN"):
        probabilities(net, preparation, images[:1])
    assert net.training


def test_a_probability_of_zero_has_a_finite_loss(images: Any, labels: Any, preparation: Preparation) -> None:
    net = network()
    net[2].weight.data[...] = 0
    net[2].bias.data[...] = np.arange(CLASSES) * 1e4
    found = evaluate(net, preparation, images, np.zeros(300, np.int64))
    assert found.error == 1 and 700 < found.loss < np.inf


def test_no_picture_is_an_error(images: Any, labels: Any, preparation: Preparation) -> None:
    with pytest.raises(ValueError, match="images must hold at least 1 .* got 0"):
        evaluate(network(), preparation, images[:0], labels[:0])
    assert isinstance(evaluate(network(), preparation, images[:1], labels[:1]), Evaluation)


def test_wrong_answers_are_counted_as_sorting_would(rng: np.random.Generator) -> None:
    scores = rng.integers(0, 4, (500, 8)).astype(np.float32)  # with many ties
    labels = rng.integers(0, 8, 500)
    order = np.argsort(-scores, axis=1, kind="stable")
    rank = (order == labels[:, None]).argmax(axis=1)
    assert count_wrong(scores, labels) == (int((rank >= 1).sum()), int((rank >= 5).sum()))
    assert count_wrong(scores, labels)[0] == int((scores.argmax(axis=1) != labels).sum())
    scores[:, :] = np.nan
    assert count_wrong(scores, labels) == (500, 500)
    assert count_wrong(np.ones((3, 5)), np.array([0, 4, 2])) == (2, 0)
