"""Processes that speak to each other: minicnn/distributed.py and minicnn/gradient_sum.py."""

import subprocess
import sys
from pathlib import Path

import mpi_processes as processes
import numpy as np
import pytest

pytestmark = [pytest.mark.mpi, pytest.mark.slow]


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_ranks_exchange_objects_and_add_up_arrays(n: int) -> None:
    processes.run(n, "team_speaks")


@pytest.mark.parametrize("n", [2, 3])
def test_an_error_of_rank_0_and_a_difference_reach_all_ranks(n: int) -> None:
    processes.run(n, "team_hears_errors")


def test_a_rank_waits_for_others_only_as_long_as_it_was_told() -> None:
    lines = processes.run(2, "team_waits_no_longer", 1)
    assert len(lines) == 1 and lines[0].startswith("rank 0 on ") and "has waited 1 s for another rank" in lines[0]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_gradients_of_all_ranks_are_added_up(n: int) -> None:
    processes.run(n, "gradients_add_up")


def test_a_sum_of_gradients_waits_only_as_long_as_it_was_told() -> None:
    process = processes.start(2, processes.PROGRAMS, "gradients_time_out")
    out, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "rank 0 on " in out and "has waited 1 s" in out


@pytest.mark.parametrize("norm", ["lrn", "batch"])
def test_the_number_of_ranks_does_not_change_the_weights(norm: str, tmp_path: Path) -> None:
    """In float64, with dropout, 20 steps, an uneven last batch; with 12 ranks some have no image of any batch."""
    weights = {}
    for name, n in {"alone": 1, "2": 2, "3": 3, "4": 4, "4 again": 4, "12": 12}.items():
        processes.run(n, "twenty_steps", norm, tmp_path / f"{name}.npz")
        weights[name] = dict(np.load(tmp_path / f"{name}.npz"))
    for name, found in weights.items():
        for key, array in weights["alone"].items():
            np.testing.assert_allclose(found[key], array, rtol=0, atol=1e-12, err_msg=f"{name} ranks, {key}")
    for key, array in weights["4"].items():
        np.testing.assert_array_equal(weights["4 again"][key], array)


def test_minicnn_itself_does_not_import_mpi() -> None:
    code = "import minicnn.training.trainer, minicnn.cli.training, sys; assert 'mpi4py' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=processes.ROOT)
