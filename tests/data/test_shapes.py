import sys
from typing import Any

import numpy as np
import pytest

from minicnn.data import LabelledImages, load_shapes, scaling, shapes


@pytest.fixture(scope="module")
def dataset() -> LabelledImages:
    return load_shapes()


def test_what_it_is_made_of(dataset: LabelledImages) -> None:
    assert dataset.train_images.shape == (10_000, 3, 32, 32) and dataset.test_images.shape == (2_000, 3, 32, 32)
    assert dataset.train_images.dtype == dataset.test_images.dtype == np.uint8
    assert dataset.train_labels.dtype == dataset.test_labels.dtype == np.int64
    assert len(set(dataset.classes)) == 10
    for labels, each in ((dataset.train_labels, 1_000), (dataset.test_labels, 200)):
        np.testing.assert_array_equal(np.bincount(labels), [each] * 10)
        assert (np.diff(labels) != 0).mean() > 0.8  # mixed
    assert repr(dataset) == "LabelledImages('shapes': 10000 train and 2000 test images of 32x32, 10 classes)"


def test_no_two_pictures_are_the_same(dataset: LabelledImages) -> None:
    pictures = [image.tobytes() for images in (dataset.train_images, dataset.test_images) for image in images]
    assert len(set(pictures)) == len(pictures) == 12_000


def test_pictures_are_drawn_a_hundred_at_a_time() -> None:
    """So that all of them take a second or two. Counted are the calls of Python's and of C's functions."""
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        load_shapes(train=1000, test=1000)
    finally:
        sys.setprofile(None)
    assert calls < 5 * 2000


def test_a_seed_determines_the_pictures_and_a_smaller_set_begins_a_larger_one(dataset: LabelledImages) -> None:
    smaller = load_shapes(train=700, test=3)
    for name, count in (("train", 700), ("test", 3)):
        for kind in ("images", "labels"):
            found, whole = (getattr(each, f"{name}_{kind}") for each in (smaller, dataset))
            assert len(found) == count
            np.testing.assert_array_equal(found, whole[:count])
    other = load_shapes(train=700, test=3, seed=1)
    assert (other.train_images != smaller.train_images).mean() > 0.9
    assert (other.train_labels != smaller.train_labels).mean() > 0.8


# Points (u, v) in a figure of size 1 at the origin, and points outside it.
POINTS: dict[str, tuple[list[tuple[float, float]], list[tuple[float, float]]]] = {
    "disc": ([(0, 0), (0.8, 0), (-0.55, 0.55)], [(0.9, 0), (0.65, 0.65)]),
    "ring": ([(0.75, 0), (0, -0.6), (-0.6, 0.6)], [(0, 0), (0.5, 0), (1, 0)]),
    "square": ([(0, 0), (0.7, 0.7), (-0.7, 0.7)], [(0.8, 0), (0, -0.8)]),
    "triangle": ([(0, 0), (0, 1.1), (0.9, -0.5), (-0.9, -0.5)], [(0, 1.2), (0, -0.6), (0.7, 0.6), (-0.7, 0.6)]),
    "cross": ([(0, 0), (0.9, 0.2), (-0.2, -0.9)], [(0.4, 0.4), (1, 0), (-0.4, 0.4)]),
    "star": (
        [(0, 0), (0.95, 0), (0.95 * np.cos(2 * np.pi / 5), -0.95 * np.sin(2 * np.pi / 5)), (-0.4, 0)],
        [(-0.5, 0), (0.5 * np.cos(np.pi / 5), 0.5 * np.sin(np.pi / 5)), (1.05, 0), (0.8, 0.2)],
    ),
    "stripes": ([(0.5, 0), (0.5, 5.3), (-0.5, 0.1)], [(0, 0), (0.1, 5.3), (1, 1)]),
    "waves": ([(0.5, 0), (0.2, 0.5), (0.8, 1.5)], [(0, 0), (0.7, 0.5), (0.2, 1.5)]),
    "checks": ([(0.5, 0), (0, 0.5), (1, 1.5)], [(0, 0), (0.5, 0.5), (1, 1)]),
    "dots": ([(0.5, 0.5), (1.6, 0.4), (-0.5, 0.75)], [(0, 0), (0.5, 0), (0.75, 0.75)]),
}


@pytest.mark.parametrize("name", shapes.CLASSES)
def test_the_figure_covers_what_it_should(name: str) -> None:
    inside, outside = (np.array(points, np.float32).T for points in POINTS[name])
    figure = shapes.FIGURES[name]
    assert (figure(*inside) < 0).all(), figure(*inside)
    assert (figure(*outside) > 0).all(), figure(*outside)


@pytest.mark.parametrize("name", shapes.CLASSES)
def test_distances_grow_no_faster_than_the_way(name: str, rng: np.random.Generator) -> None:
    """Else edges would be drawn thinner than a pixel; a wave's slope may exaggerate by a third."""
    u, v = rng.uniform(-3, 3, (2, 100_000)).astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi, u.shape).astype(np.float32)
    step = 0.01
    figure = shapes.FIGURES[name]
    difference = np.abs(figure(u + step * np.cos(angle), v + step * np.sin(angle)) - figure(u, v))
    assert difference.max() < step * (1.4 if name == "waves" else 1.01)


def test_a_class_says_nothing_of_the_colours(dataset: LabelledImages) -> None:
    """The mean of a channel over its pixels, in each class, beside what single pictures vary by."""
    means = dataset.train_images.mean(axis=(2, 3))
    red_less_green = means[:, 0] - means[:, 1]
    by_class = [red_less_green[dataset.train_labels == label].mean() for label in range(10)]
    assert np.std(by_class) < 0.1 * red_less_green.std()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"train": 0}, ValueError, "load_shapes: train must be at least 1, got 0"),
        ({"test": -1}, ValueError, "test must be at least 1, got -1"),
        ({"train": 1e4}, TypeError, "train must be an integer, got 10000.0"),
        ({"seed": -1}, ValueError, "load_shapes: seed must be at least 0, got -1"),
        ({"seed": None}, TypeError, "seed must be an integer, got None"),
        ({"test": True}, TypeError, "test must be an integer, got True"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        load_shapes(**arguments)


def softmax_regression(
    train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray, steps: int
) -> tuple[float, float]:
    """Multinomial logistic regression by gradient descent with momentum: its errors on both sets."""
    target = np.eye(10, dtype=np.float32)[train_labels]
    weight = np.zeros((train.shape[1], 10), np.float32)
    velocity = np.zeros_like(weight)
    for _ in range(steps):
        score = train @ weight
        probability = np.exp(score - score.max(axis=1, keepdims=True))
        probability /= probability.sum(axis=1, keepdims=True)
        velocity = 0.9 * velocity - 0.005 * (train.T @ (probability - target)) / len(train)
        weight += velocity
    return tuple(
        float(((images @ weight).argmax(axis=1) != labels).mean())
        for images, labels in ((train, train_labels), (test, test_labels))
    )  # type: ignore[return-value]


@pytest.mark.slow
def test_logistic_regression_on_the_pixels_stays_above_45_percent_error(dataset: LabelledImages) -> None:
    train, test = scaling.standardised(dataset.train_images, dataset.test_images)
    train_error, test_error = softmax_regression(
        train.reshape(len(train), -1), dataset.train_labels, test.reshape(len(test), -1), dataset.test_labels, steps=30
    )
    assert train_error < test_error - 0.02  # it has learnt what it can, and more
    assert 0.45 < test_error < 0.85


@pytest.mark.torch
@pytest.mark.slow
def test_the_four_layer_relu_network_gets_below_10_percent_error_in_15_epochs(dataset: LabelledImages) -> None:
    import torch
    from torch import nn

    torch.manual_seed(0)
    train, test = (torch.from_numpy(each) for each in scaling.standardised(dataset.train_images, dataset.test_images))
    train_labels, test_labels = torch.from_numpy(dataset.train_labels), torch.from_numpy(dataset.test_labels)
    layers: list[nn.Module] = []
    for before, after in ((3, 32), (32, 32), (32, 64)):
        layers += [nn.Conv2d(before, after, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 3 * 3, 10))
    for name, parameter in network.named_parameters():
        nn.init.normal_(parameter, std=0.01) if name.endswith("weight") else nn.init.zeros_(parameter)
    network = network.to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    for _epoch in range(15):
        for chosen in torch.randperm(len(train)).split(128):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(train[chosen]), train_labels[chosen]).backward()
            optimiser.step()
        with torch.no_grad():
            wrong = sum(
                int((network(images).argmax(1) != labels).sum())
                for images, labels in zip(test.split(500), test_labels.split(500), strict=True)
            )
        if wrong / len(test) < 0.10:
            return
    pytest.fail(f"test error {wrong / len(test):.3f} after 15 epochs; expected below 0.10")
