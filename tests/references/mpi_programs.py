"""What tests/distributed runs in several processes: ``mpiexec -n N python mpi_programs.py FUNCTION ARGUMENTS``."""

import os
import signal
import sys
import traceback
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, models, optim, use_kernels
from minicnn import functional as F
from minicnn.backend import generator, working_on
from minicnn.cli import entry, together
from minicnn.data import Loader
from minicnn.distributed import Team, TeamError, join
from minicnn.gradient_sum import BUCKET, GradientSum
from minicnn.ops.exchange import all_gather, exchange
from minicnn.training import checkpoint, trainer
from minicnn.training.data_parallel import DataParallel
from minicnn.training.split_towers import SplitTowers


def checksum(arrays: Iterable[Any]) -> int:
    value = 0
    for array in arrays:
        value = zlib.crc32(np.ascontiguousarray(array).tobytes(), value)
    return value


def in_float64(network: Any) -> Any:
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.dtype == np.float32:
            tensor.data = tensor.data.astype(np.float64)
    return network


# --- the team ---------------------------------------------------------------------------------------------------------


def team_speaks() -> None:
    team = join()
    assert join() is team
    assert team.everyone({"rank": team.rank}) == [{"rank": rank} for rank in range(team.size)]
    assert team.broadcast(f"from {team.rank}") == "from 0"
    assert team.on_first(lambda: team.rank + 7) == 7
    numbers = np.full((2, 3), team.rank + 1.0)
    np.testing.assert_array_equal(team.total(numbers), np.full((2, 3), team.size * (team.size + 1) / 2))
    np.testing.assert_array_equal(numbers, np.full((2, 3), team.rank + 1.0))
    for n in (0, 1, 5, 12):
        parts = team.everyone(team.rows(n))
        assert [row for part in parts for row in range(n)[part]] == list(range(n))
    other = team.size - 1 - team.rank
    np.testing.assert_array_equal(team.swap(numbers.T, other), np.full((3, 2), other + 1.0))
    assert team.threads() >= 1


def team_hears_errors() -> None:
    team = join()

    def fail() -> None:
        raise TeamError(f"rank {team.rank} fails")

    for _ in range(2):  # afterwards all can still speak
        try:
            team.on_first(fail)
        except TeamError as error:
            assert str(error) == "rank 0 fails"
        else:
            raise AssertionError("no error")
    team.check_alike(version="1", weights=5)
    try:
        team.check_alike(version="1", weights=6 if team.rank == team.size - 1 else 5)
    except TeamError as error:
        assert f"rank {team.size - 1} on {team.host} has another weights than rank 0: 6 instead of 5" in str(error)
    else:
        raise AssertionError("no error")


def team_waits_no_longer(seconds: str) -> None:
    team = join()
    team.timeout = float(seconds)
    if team.rank == 1:
        import time

        time.sleep(float(seconds) + 1)
    try:
        team.total(np.ones(1))
    except TeamError as error:
        print(error, flush=True)


# --- the sum of gradients ---------------------------------------------------------------------------------------------


def gradients_add_up() -> None:
    """Large and small parameters in both precisions, a few sums in a row, unused parameters."""
    team = join()
    rng = np.random.default_rng(0)
    shapes = [(3,), (BUCKET // 8, 3), (5, 7), (1000, 1000), (), (2, 2), (4,)]
    dtypes = [np.float32, np.float32, np.float64, np.float64, np.float32, np.float64, np.float32]
    parameters = [Tensor(rng.random(s).astype(t), requires_grad=True) for s, t in zip(shapes, dtypes, strict=True)]
    sums = GradientSum(team, parameters)
    frozen = Tensor(np.ones(2), requires_grad=True)
    for step in range(3):
        for position, parameter in list(enumerate(parameters))[:: 1 if team.rank else -1]:  # in different orders
            everyones = [
                np.random.default_rng((step, position, rank)).random(parameter.shape) for rank in range(team.size)
            ]
            parameter.grad = None
            if position == 5 or (position == 6 and team.rank == 0):
                continue  # one that nobody uses, and one that rank 0 does not use
            parameter.grad = np.asarray(everyones[team.rank], parameter.dtype)
            sums.ready(parameter)
        sums.ready(frozen)
        sums.finish()
        assert parameters[5].grad is None
        for position, parameter in enumerate(parameters):
            if position == 5:
                continue
            everyones = [
                np.random.default_rng((step, position, rank)).random(parameter.shape) for rank in range(team.size)
            ]
            expected = np.sum([np.asarray(g, parameter.dtype) for g in everyones[position == 6 :]], axis=0)
            if position == 6 and team.size == 1:
                assert parameter.grad is None
                continue
            assert parameter.grad.shape == parameter.shape and parameter.grad.dtype == parameter.dtype
            np.testing.assert_allclose(parameter.grad, expected, rtol=1e-6)
    sums.close()


def gradients_time_out() -> None:
    team = join()
    team.timeout = 1
    weight = Tensor(np.ones(3), requires_grad=True)
    sums = GradientSum(team, [weight])
    if team.rank == 1:
        team.comm.recv()  # for ever
    try:
        sums.finish()
    except TeamError as error:
        print(error, flush=True)
        team.abort(3)


# --- training, without the trainer -----------------------------------------------------------------------------------


def twenty_steps(norm: str, out: str) -> None:
    """Train for 4 epochs of 5 steps in float64: 37 images in batches of 9, the last one of 1."""
    team = join()
    minicnn.manual_seed(3)
    with use_kernels("numpy"):
        network = in_float64(models.build({"model": "alexnet_cifar", "norm": norm, "in_size": 16}))
        rng = np.random.default_rng(0)
        images, labels = rng.standard_normal((37, 3, 16, 16)), rng.integers(0, 10, 37)
        loader = Loader(images, labels, batch_size=9, seed=1, rows=team.rows)
        optimizer = optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
        sums = GradientSum(team, network.parameters())
        for epoch in range(4):
            for number, (some, their_labels) in enumerate(loader.batches(epoch)):
                count = loader.images_in(number)
                with working_on(team.part(count)):
                    loss = F.cross_entropy(network(Tensor(some)), their_labels)
                    optimizer.zero_grad()
                    for step in loss.backward_steps(np.asarray(len(some) / count)):
                        for parameter in step.finished:
                            sums.ready(parameter)
                sums.finish()
                optimizer.step()
        sums.close()
    everyones = team.everyone((checksum(network.state_dict().values()), generator().bit_generator.state))
    assert all(theirs == everyones[0] for theirs in everyones)
    if team.is_first:
        np.savez(Path(out), **network.state_dict())


# --- training, with the trainer ---------------------------------------------------------------------------------------


@contextmanager
def trained_in_float64() -> Iterator[None]:
    """Networks of the trainer and their checkpoints are in float64, where rounding errors cannot hide a mistake."""
    build, forward, array = models.build, models.Network.forward, checkpoint._array
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "build", lambda config: in_float64(build(config)))
        patch.setattr(models.Network, "forward", lambda self, x: forward(self, Tensor(x.data.astype(np.float64))))
        patch.setattr(checkpoint, "_config", lambda network: network.config | {"num_classes": 10})
        patch.setattr(
            checkpoint,
            "_array",
            lambda file, settings, name, kind="F32": array(file, settings, name, file.get_slice(name).get_dtype()),
        )
        yield


def train(out: str, timeout: str = "0", *events: str) -> None:
    """Train a small network as ``minicnn train --distributed`` does: 41 images in batches of 9, 5 steps, 4 epochs.

    Parameters
    ----------
    out : str
        The run's folder; a run that is there is resumed.
    timeout : str
        In seconds, 0 for none.
    *events : str
        What happens before a step, as "RANK:STEP:EVENT".
    """
    step, steps = DataParallel.step, 0

    def eventful(self: DataParallel, *batch: Any) -> Any:
        nonlocal steps
        steps += 1
        for event in events:
            rank, at, name = event.split(":")
            if (int(rank), int(at)) == (self.team.rank, steps):
                EVENTS[name](self.team)
        return step(self, *batch)

    def invoke(arguments: list[str]) -> int:
        team = join()
        team.timeout = float(timeout) or None
        settings = {"recipe": "paper", "limit": 45, "batch_size": 9, "epochs": 4, "lr": 0.003}
        more: dict[str, Any] = {"out": out, "resume": True, "threads": 1, "checkpoint_minutes": 0, "team": team}
        with use_kernels("numpy"), trained_in_float64():
            trainer.run("alexnet-cifar", "shapes", {"in_size": 12}, settings, **more)
        return 0

    DataParallel.step = eventful  # type: ignore[method-assign]
    sys.exit(together.run_together(invoke, entry.explained, []))


def _die(team: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _fail(team: Any) -> None:
    raise RuntimeError("something broke")


def _refuse(team: Any) -> None:
    raise TeamError("a disk is full")


def _leave(team: Any) -> None:
    sys.exit(0)


def _vanish(team: Any) -> None:
    os._exit(0)


def _freeze(team: Any) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _interrupt(team: Any) -> None:
    signal.raise_signal(signal.SIGTERM)


EVENTS = {
    "die": _die,
    "fail": _fail,
    "refuse": _refuse,
    "leave": _leave,
    "vanish": _vanish,
    "freeze": _freeze,
    "interrupt": _interrupt,
}


# --- two towers -------------------------------------------------------------------------------------------------------


def crossings_have_the_right_gradients() -> None:
    """Move each number of each rank a little, and watch what all ranks compute."""
    team = join()
    rng = np.random.default_rng(team.rank)
    weights = np.random.default_rng(7).random((3, 8))  # the same on all ranks

    def exchanged(x: Tensor) -> Tensor:
        return ((exchange(x * x, team) * x + exchange(x, team)) * (team.rank + 1.5)).sum()

    def gathered(x: Tensor) -> Tensor:
        y = all_gather(x * x, team, 1)
        return (y * y * Tensor(weights[:, : y.shape[1]])).sum()

    for function, everybody_counts in ((exchanged, True), (gathered, False)):
        if function is exchanged and team.size > 2:
            continue
        widths = (4, 4) if function is exchanged else (3, 1, 2)
        x = Tensor(rng.random((3, widths[team.rank])), requires_grad=True)

        def loss(function: Any = function, x: Tensor = x, everybody_counts: bool = everybody_counts) -> float:
            value = function(Tensor(x.data)).item()
            return float(team.total(np.array(value))) if everybody_counts else value

        function(x).backward()
        assert x.grad is not None
        for rank in range(team.size):
            for place in np.ndindex(3, widths[rank]):
                values = []
                for move in (1e-5, -1e-5):
                    if team.rank == rank:
                        x.data[place] += move
                    values.append(loss())
                    if team.rank == rank:
                        x.data[place] -= move
                if team.rank == rank:
                    np.testing.assert_allclose((values[0] - values[1]) / 2e-5, x.grad[place], rtol=1e-7, atol=1e-8)


def split_towers(norm: str) -> None:
    """Compare five steps of two ranks, a tower each, with those of one process, bit for bit in float64."""

    def trained(kind: type[DataParallel], team: Team) -> list[Any]:
        minicnn.manual_seed(1)
        switches = {"model": "alexnet", "in_size": 67, "num_classes": 7, "norm": norm, "devices": ["cpu", "cpu"]}
        network = in_float64(models.build(switches))
        optimizer = optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
        rng = np.random.default_rng(0)
        network.train()
        together = kind(team, network, optimizer)
        found: list[Any] = []
        for _ in range(5):
            found += together.step(rng.standard_normal((3, 3, 67, 67)), rng.integers(0, 7, 3), 3)
            together.finish()
            optimizer.step()
        together.collect()
        found += [generator().bit_generator.state, *network.state_dict().values()]
        return found + [kept["momentum_buffer"] for _, kept in sorted(optimizer.state_dict()["state"].items())]

    with use_kernels("numpy"):
        split, whole = trained(SplitTowers, join()), trained(DataParallel, Team())
    for ours, theirs in zip(split, whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)


if __name__ == "__main__":
    try:
        globals()[sys.argv[1]](*sys.argv[2:])
    except Exception:
        traceback.print_exc()
        join().abort(1)
