"""The benchmark of steps that several processes share."""

import os
import shutil
from pathlib import Path

import pytest

from benchmarks import distributed, distributed_plot

pytestmark = pytest.mark.slow


@pytest.mark.mpi
def test_processes_share_a_step() -> None:
    result = distributed.distributed("four-layer", False, batch=4, ranks=[1, 2], rounds=1, steps=2, link=None)
    contenders = [("minicnn", 1), ("minicnn", 2), ("minicnn apart", 2)]
    assert [(row["contender"], row["ranks"]) for row in result["rows"]] == contenders
    assert [row["efficiency"] is None for row in result["rows"]] == [False] * 3
    assert all(row["images_per_s"] > 0 for row in result["rows"])
    assert "images/s" in distributed.table(result)


@pytest.mark.mpi
@pytest.mark.torch
def test_pytorch_shares_a_step() -> None:
    result = distributed.distributed("four-layer", True, batch=4, ranks=[2], rounds=1, steps=2, link=None)
    contenders = [("minicnn", 2), ("torch DDP", 2), ("minicnn apart", 2), ("torch apart", 2)]
    assert [(row["contender"], row["ranks"]) for row in result["rows"]] == contenders


@pytest.mark.mpi
@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("tc") or not shutil.which("ip"), reason="needs root and iproute2"
)
def test_a_slow_link_between_two_namespaces_is_used() -> None:
    result = distributed.distributed("four-layer", False, batch=4, ranks=[2], rounds=1, steps=2, link="100mbit")
    assert 0 < result["rate"] < 1.05 * 100e6 / 8
    assert set(result["predicted"]) == {"alone", "minicnn"}
    assert "The link carries" in distributed.table(result)
    assert not any(Path("/run/netns", name).exists() for name in distributed.NAMESPACES)


def test_the_model_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed_plot, "BATCH", 4)
    monkeypatch.setattr(distributed_plot, "RANKS", [1, 2, 4])
    result = distributed_plot.model(steps=1)
    towers = [row for row in result["rows"] if row["kind"] == "towers"]
    assert {row["ranks"] for row in towers} == {2, 4} and {row["link"] for row in towers} == set(distributed_plot.LINKS)
    distributed_plot.draw(result, tmp_path / "model.png")
    assert (tmp_path / "model.png").stat().st_size > 10_000
