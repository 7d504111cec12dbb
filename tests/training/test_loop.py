import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from minicnn import Tensor, nn, optim
from minicnn import functional as F
from minicnn.data import Loader
from minicnn.training import EpochProgress, TrainingError, train_epoch


def small_network() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 3))


def batches(rng: np.random.Generator, sizes: tuple[int, ...]) -> list[tuple[Any, Any]]:
    return [(rng.standard_normal((n, 3, 2, 2), dtype=np.float32), rng.integers(0, 3, n)) for n in sizes]


def test_each_batch_is_judged_before_its_own_update(rng: np.random.Generator) -> None:
    data = batches(rng, (8, 8, 3))
    network = small_network()
    start = network.state_dict()
    result = train_epoch(network, optim.SGD(network.parameters(), lr=0.5, momentum=0.9), data, epoch=4)

    same = small_network()
    same.load_state_dict(start)
    optimizer = optim.SGD(same.parameters(), lr=0.5, momentum=0.9)
    wrong, losses = [], []
    for images, labels in data:
        scores = same(Tensor(images))
        loss = F.cross_entropy(scores, labels, reduction="sum")
        wrong += list(scores.numpy().argmax(axis=1) != labels)
        losses.append(loss.item())
        optimizer.zero_grad()
        F.cross_entropy(same(Tensor(images)), labels).backward()
        optimizer.step()

    assert result.error == np.mean(wrong)  # over pictures: the small last batch counts less
    assert result.loss == pytest.approx(sum(losses) / 19, rel=1e-6)
    assert (result.epoch, result.steps, result.images) == (4, 3, 19)
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, same.state_dict()[name])
        assert not np.array_equal(array, start[name])


def test_the_running_error_is_not_the_error_after_the_epoch(rng: np.random.Generator) -> None:
    images = rng.standard_normal((60, 3, 2, 2), dtype=np.float32)
    labels = images.reshape(60, -1)[:, :3].argmax(axis=1)
    network = small_network()
    optimizer = optim.SGD(network.parameters(), lr=0.5, momentum=0.9)
    result = train_epoch(network, optimizer, Loader(images, labels, batch_size=4))
    after = np.mean(network(Tensor(images)).numpy().argmax(axis=1) != labels)
    assert after < result.error


def test_progress_is_told_after_each_step(rng: np.random.Generator) -> None:
    seen: list[EpochProgress] = []
    network = small_network()
    optimizer = optim.SGD(network.parameters(), lr=0.1)
    result = train_epoch(network, optimizer, batches(rng, (4, 4, 2)), epoch=2, after_step=seen.append)
    assert [(progress.epoch, progress.steps, progress.images) for progress in seen] == [
        (2, 1, 4),
        (2, 2, 8),
        (2, 3, 10),
    ]
    assert seen[-1] == result
    assert 0 < seen[0].seconds < seen[-1].seconds
    assert result.images_per_second == pytest.approx(10 / result.seconds)


def test_the_network_trains_in_training_mode(rng: np.random.Generator) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 3)).eval()
    train_epoch(network, optim.SGD(network.parameters(), lr=0.1), batches(rng, (4,)))
    assert all(module.training for module in network.modules())


def test_a_loss_that_is_not_finite_stops_training_before_the_batch_does_harm(rng: np.random.Generator) -> None:
    data = batches(rng, (4, 4, 4))
    data[2][0][1, 0, 0, 0] = np.nan
    network = small_network()
    optimizer = optim.SGD(network.parameters(), lr=0.125)
    after_two = small_network()
    after_two.load_state_dict(network.state_dict())
    train_epoch(after_two, optim.SGD(after_two.parameters(), lr=0.125), data[:2])

    with pytest.raises(TrainingError) as caught:
        train_epoch(network, optimizer, data, epoch=7)
    message = str(caught.value)
    for part in ("loss is nan", "epoch 7, step 3", "first in the input images", "lower learning rate than 0.125"):
        assert part in message
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, after_two.state_dict()[name])


def test_the_error_names_the_parameter_that_is_not_finite(rng: np.random.Generator) -> None:
    network = small_network()
    network[3].weight.data[0, 0] = math.inf
    with pytest.raises(TrainingError, match="first in the parameter 3.weight"):
        train_epoch(network, optim.SGD(network.parameters(), lr=0.1), batches(rng, (4,)))


@pytest.mark.filterwarnings("error")
def test_the_error_names_the_layer_whose_output_is_not_finite(rng: np.random.Generator) -> None:
    images, labels = batches(rng, (64,))[0]
    images = np.concatenate([images] * 16)
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1), nn.Flatten(), nn.Linear(8, 3))
    for parameter in network.parameters():
        parameter.data[...] = 1e19
    with pytest.raises(TrainingError, match=r"first in the output of Conv2d 1\)"):
        train_epoch(network, optim.SGD(network.parameters(), lr=0.1), [(images, np.resize(labels, len(images)))])


def test_no_batch_is_an_error() -> None:
    network = small_network()
    with pytest.raises(ValueError, match="loader must hold at least one batch"):
        train_epoch(network, optim.SGD(network.parameters(), lr=0.1), [])


def test_an_epoch_goes_on_where_it_was_left(rng: np.random.Generator) -> None:
    data = batches(rng, (8, 8, 8, 3))
    start = small_network().state_dict()

    def fresh() -> tuple[nn.Sequential, optim.SGD]:
        network = small_network()
        network.load_state_dict(start)
        return network, optim.SGD(network.parameters(), lr=0.5, momentum=0.9)

    network, optimizer = fresh()
    whole = train_epoch(network, optimizer, data, epoch=2)
    other, its_optimizer = fresh()
    half = train_epoch(other, its_optimizer, data[:2], epoch=2)
    result = train_epoch(other, its_optimizer, data[2:], epoch=2, before=half)
    assert result.seconds > half.seconds
    assert dataclasses.replace(result, seconds=0) == dataclasses.replace(whole, seconds=0)
    assert train_epoch(other, its_optimizer, [], epoch=2, before=result) == result  # nothing was left


def test_the_five_likeliest_classes_count(rng: np.random.Generator) -> None:
    images, labels = rng.standard_normal((50, 3, 2, 2), dtype=np.float32), rng.integers(0, 9, 50)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 9))
    scores = network(Tensor(images)).numpy()
    result = train_epoch(network, optim.SGD(network.parameters(), lr=0.1), [(images, labels)])
    places = [(row > row[label]).sum() for row, label in zip(scores, labels, strict=True)]
    assert result.top5_error == np.mean([place >= 5 for place in places])
    assert 0 < result.top5_error < result.error == np.mean([place >= 1 for place in places])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shared", [False, True])
def test_a_layer_without_parameters_is_named_too(shared: bool, rng: np.random.Generator) -> None:
    pool = nn.AvgPool2d(2)
    parts = {"conv1": nn.Conv2d(3, 3, 1), "pool1": pool, "conv2": nn.Conv2d(3, 4, 1)}
    parts["pool2"] = pool if shared else nn.AvgPool2d(2)
    network = nn.Sequential({**parts, "flatten": nn.Flatten(), "fc": nn.Linear(16, 3)})
    network.conv2.bias.data[...] = 3e38  # four of them are more than float32 can hold
    images, labels = rng.standard_normal((4, 3, 8, 8), dtype=np.float32), rng.integers(0, 3, 4)
    # A layer that is used twice has one name.
    words = rf"first in the output of AvgPool2d {'pool1' if shared else 'pool2'}\)"
    with pytest.raises(TrainingError, match=words):
        train_epoch(network, optim.SGD(network.parameters(), lr=0.1), [(images, labels)])


@pytest.mark.parametrize("wrong", [0, -1, False, 1.5])
def test_read_every_is_a_whole_number(wrong: Any, rng: np.random.Generator) -> None:
    network = small_network()
    with pytest.raises((TypeError, ValueError), match="train_epoch: read_every must"):
        train_epoch(network, optim.SGD(network.parameters(), lr=0.1), batches(rng, (2,)), read_every=wrong)


def test_warnings_of_the_callback_are_heard(rng: np.random.Generator) -> None:
    network = small_network()
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        train_epoch(
            network,
            optim.SGD(network.parameters(), lr=0.1),
            batches(rng, (2,)),
            after_step=lambda progress: np.ones(1) / np.zeros(1),
        )
