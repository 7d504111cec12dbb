"""The model of a step that several processes share, and what --dry-run prints of it."""

import re

import numpy as np
import pytest

from minicnn import cli, models, optim
from minicnn.models import TwoTowers
from minicnn.training.step_model import Profile, crossing_bytes, data_parallel, profile, split_towers

STEP = Profile(32, forward=1.0, backward=2.0, update=0.25, buckets=((0.5, 1000), (1.0, 4000), (2.0, 1000)))


def test_one_process_does_not_wait() -> None:
    step = data_parallel(STEP, 1, rate=1.0)
    assert (step.seconds, step.waiting, step.sent) == (3.25, 0, 0)


def test_messages_hide_behind_the_backward_pass_one_after_another() -> None:
    """Two ranks send each bucket once: 1000 bytes from 0.5 to 1.0, 4000 from 1.0 to 3.0, 1000 from 3.0 to 3.5."""
    step = data_parallel(STEP, 2, rate=2000, latency=0)
    assert (step.seconds, step.waiting, step.sent) == (4.75, 1.5, 6000)
    fast = data_parallel(STEP, 2, rate=1e6, latency=0)
    assert fast.waiting == pytest.approx(0.001)  # the last bucket is complete when the pass is over
    assert data_parallel(STEP, 4, rate=1e6, latency=0).sent == 9000
    assert data_parallel(STEP, 4, rate=1e6, latency=0.01).waiting == pytest.approx(0.0015 + 0.04)


def test_towers_wait_for_what_crosses() -> None:
    """Two bytes an image at the first crossing, both ways, and one at the last: 64 images, 320 bytes."""
    step = split_towers(STEP, [2, 1], ranks=2, rate=320, latency=0)
    assert (step.waiting, step.sent) == (1.0, 320)
    four = split_towers(STEP, [2, 1], ranks=4, rate=1e9, latency=0)
    assert four.sent == 3000 + 320


def test_a_longer_step_has_later_gradients_and_the_same_update() -> None:
    longer = STEP.stretched(64)
    assert (longer.forward, longer.backward, longer.update) == (2.0, 4.0, 0.25)
    assert longer.buckets == ((1.0, 1000), (2.0, 4000), (4.0, 1000))


@pytest.mark.usefixtures("numpy_kernels")
def test_a_profile_has_all_gradients_in_the_order_of_the_backward_pass() -> None:
    network = models.lenet5()
    optimizer = optim.SGD(network.parameters(), lr=0.01)
    found = profile(network, optimizer, np.ones((2, 3, 32, 32), np.float32), np.array([1, 2]), steps=1)
    assert found.gradient_bytes == sum(parameter.data.nbytes for parameter in network.parameters())
    times = [ready for ready, _ in found.buckets]
    assert times == sorted(times) and times[-1] <= found.backward
    assert found.seconds > 0 and found.images == 2


@pytest.mark.slow
def test_what_crosses_between_the_towers_of_alexnet() -> None:
    network = models.alexnet(in_size=67, devices=("cpu", "cpu"))
    assert isinstance(network, TwoTowers)
    # conv3, fc6, fc7 and fc8 read 128 maps of 3x3, 128 of 1x1 and 2048 units of each tower
    assert crossing_bytes(network, (3, 67, 67)) == [4 * 128 * 9, 4 * 128, 4 * 2048, 4 * 2048]


@pytest.mark.slow
@pytest.mark.usefixtures("numpy_kernels")
def test_a_dry_run_prints_bytes_and_times(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["alexnet", "--in-size", "67", "--batch-size", "4", "--dry-run", "--ranks", "2", "--link", "200Mbit"]
    assert cli.main(["train", *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    gradients = re.match(r"alexnet: ([\d.]+) MB of gradients a step", lines[0])
    assert gradients is not None
    assert f"2 ranks, 2 images each: each sends {gradients[1]} MB" in lines[2]
    assert "2 ranks, a tower of 4 images each: each sends 0.1 MB" in lines[3]


@pytest.mark.parametrize("link", ["10", "Gbit", "-1Gbit", "0Gbit", "1.2.3Mbit", "10gbit"])
def test_a_link_is_a_rate(link: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "lenet5", "--dry-run", "--link", link]) == 2
    assert f"must be a rate such as 10Gbit or 200Mbit, got '{link}'" in capsys.readouterr().err


def test_a_dry_run_needs_a_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--dry-run"]) == 2
    assert "--dry-run needs a network" in capsys.readouterr().err
