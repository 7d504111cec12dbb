"""Training by a team, here of one process; tests/distributed has more."""

from pathlib import Path

import pytest

from minicnn import models, optim
from minicnn.backend import batch_part
from minicnn.distributed import Team, TeamError
from minicnn.training.split_towers import SplitTowers
from tests.training.small_runs import assert_same, train

pytestmark = pytest.mark.usefixtures("numpy_kernels")


def test_a_team_of_one_trains_as_a_process_without_a_team(tmp_path: Path) -> None:
    train(tmp_path / "alone", "alexnet-cifar", switches={"in_size": 12})
    train(tmp_path / "team", "alexnet-cifar", switches={"in_size": 12}, team=Team())
    assert_same(tmp_path / "team", tmp_path / "alone")
    assert batch_part() is None


def test_two_towers_need_two_ranks() -> None:
    network = models.lenet5()
    with pytest.raises(TeamError, match="two towers are for two ranks and a network with two towers, got 1 ranks"):
        SplitTowers(Team(), network, optim.SGD(network.parameters(), lr=0.01))
