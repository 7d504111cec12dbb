"""Several processes that train one network: who they are, how they speak to each other, and what they must agree on.

``mpiexec -n 4`` or ``srun`` starts the same program four times. MPI, the message passing interface, then gives each
process a number, its rank, and lets all of them add up arrays or exchange objects. These are *collective* calls: every
rank makes the same ones in the same order, and each waits for all others. What follows from that is half of this file:
a rank that fails must not leave the others waiting for ever.

Only this file imports mpi4py. :mod:`minicnn.gradient_sum` adds up gradients with it, behind the backward pass.
"""

from __future__ import annotations

import functools
import os
import pickle
import socket
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from minicnn.backend import Array, BatchPart, asnumpy, available_cores, device_of, to_device
from minicnn.backend.cpu_limits import cpu_quota, default_threads
from minicnn.errors import MinicnnError
from minicnn.install import install_command, pip_install

__all__ = ["Team", "TeamError", "join", "launched_as_first"]

Result = TypeVar("Result")

SPIN, SLEEP = 50e-6, 100e-6  # seconds: a rank that waits looks again at once at first, then leaves its core to others
LAUNCHERS = {
    "PMI_SIZE": "mpiexec (of MPICH)",
    "OMPI_COMM_WORLD_SIZE": "mpiexec (of Open MPI)",
    "SLURM_NTASKS": "srun; try srun --mpi=pmi2 or --mpi=pmix",
}
"""Where each launcher says how many processes it has started."""
RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID")
"""Where it says which of them this is."""


class TeamError(MinicnnError):
    """Processes cannot speak to each other, wait for one that does not come, or do not train the same thing."""


@functools.cache
def join() -> Team:
    """Return the team of all processes that were started together; of a process started alone, a team of one.

    Raises
    ------
    TeamError
        If mpi4py or an MPI is absent, or several processes were started that cannot speak to each other.
    """
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # mpi4py itself is absent, or it finds no MPI
        raise TeamError(
            f"training in several processes needs mpi4py and an MPI ({error}): {install_command('mpi')}, and an MPI: "
            f"the cluster's own, or {pip_install('mpich')}"
        ) from None
    team = Team(MPI.COMM_WORLD.Dup())
    library = MPI.Get_library_version().splitlines()[0].strip(" \0")
    for variable, launcher in LAUNCHERS.items():
        started = os.environ.get(variable, "1")
        if team.size == 1 and started.isdecimal() and int(started) > 1:
            raise TeamError(
                f"{variable} says that {started} processes were started, but this one is alone: mpi4py's MPI "
                f"({library}) is not that of {launcher}"
            )
    return team


def launched_as_first() -> bool:
    """Return whether the launcher calls this process the first, or there is none: for errors before MPI can say it."""
    return all(os.environ.get(variable, "0") == "0" for variable in RANKS)


class Team:
    """The processes that train together, and this one's place among them.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm, optional
        Of all processes, and used by nobody else. Without one, this process is alone, and needs no MPI.
    timeout : float, optional
        How many seconds to wait for the others. By default for ever.

    Attributes
    ----------
    rank : int
        The number of this process, from 0.
    size : int
        How many there are.
    host : str
        The name of the machine.
    """

    def __init__(self, comm: Any = None, timeout: float | None = None) -> None:
        self.comm, self.timeout, self.host = comm, timeout, socket.gethostname()
        self.rank, self.size = (0, 1) if comm is None else (int(comm.Get_rank()), int(comm.Get_size()))

    def __str__(self) -> str:
        return f"rank {self.rank} on {self.host}"

    # --- who does what -----------------------------------------------------------------------------------------------

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which alone prints and writes files."""
        return self.rank == 0

    def rows(self, n: int) -> slice:
        """Return this rank's part of `n` rows. The parts differ by one row at most, and may be empty."""
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    def part(self, n: int) -> BatchPart:
        """Return this rank's part of a batch of `n` images, for :func:`minicnn.backend.working_on`."""
        rows = self.rows(n)
        return BatchPart(rows.start, rows.stop, n, self.total)

    def threads(self) -> int:
        """Return how many cores each rank on this machine can have: those that they may use, shared among them.

        ``OMP_NUM_THREADS`` says it instead, if it is set.
        """
        if os.environ.get("OMP_NUM_THREADS"):
            return default_threads()
        mine = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(available_cores())
        here = [cores for host, cores in self.everyone((self.host, list(mine))) if host == self.host]
        cores = min(len(set().union(*here)), cpu_quota())
        return max(1, int(cores) // len(here))

    def another(self) -> Team:
        """Return the same processes with a channel of their own, for a thread: messages of the two never mix."""
        return Team(None if self.comm is None else self.comm.Dup(), self.timeout)

    # --- messages ----------------------------------------------------------------------------------------------------

    def everyone(self, value: Result) -> list[Result]:
        """Return the values of all ranks, in their order, as pickle copies them."""
        if self.size == 1:
            return [value]
        mine = np.frombuffer(pickle.dumps(value), np.uint8)
        sizes = np.empty(self.size, np.int64)
        self._wait(self.comm.Iallgather(np.array([mine.size]), sizes))
        parts = np.empty(sizes.sum(), np.uint8)
        self._wait(self.comm.Iallgatherv(mine, [parts, sizes.tolist()]))
        return [pickle.loads(part.tobytes()) for part in np.split(parts, np.cumsum(sizes)[:-1])]

    def broadcast(self, value: Result) -> Result:
        """Return the value of rank 0."""
        values: list[Any] = self.everyone(value if self.is_first else None)
        return values[0]  # type: ignore[no-any-return]

    def on_first(self, call: Callable[[], Result]) -> Result:
        """Have rank 0 make a call, and return its result on all ranks. If it raises an error, all ranks do."""
        result: Any = None
        error: Exception | None = None
        if self.is_first:
            try:
                result = call()
            except Exception as raised:
                error = raised
        result, error = self.broadcast((result, error))
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    def in_turn(self, call: Callable[[], Result]) -> Result:
        """Have rank 0 make a call and then all others: what it downloads or keeps in a cache is there for them."""
        result = [call()] if self.is_first else []
        self.everyone(None)
        return result[0] if result else call()

    def total(self, array: Array) -> Array:
        """Return the sum of the ranks' arrays, on the device of this one's; bit for bit the same on all ranks."""
        summed = np.array(asnumpy(array), order="C")
        self.add_up(summed)
        return to_device(summed, device_of(array))

    def add_up(self, array: NDArray[Any]) -> None:
        """Replace an array by the sum of the ranks' arrays. It must be contiguous."""
        if self.size > 1:
            from mpi4py import MPI

            self._wait(self.comm.Iallreduce(MPI.IN_PLACE, array))

    def swap(self, array: NDArray[Any], other: int) -> NDArray[Any]:
        """Send an array to another rank, and return the one of the same shape and dtype that it sends."""
        if self.size == 1:
            return array.copy()
        array, received = np.ascontiguousarray(array), np.empty(array.shape, array.dtype)
        expected = self.comm.Irecv(received, other)
        self._wait(self.comm.Isend(array, other))
        self._wait(expected)
        return received

    def _wait(self, request: Any) -> None:
        """Wait for the others. MPI's own wait keeps a core busy, which the arithmetic needs."""
        start = time.perf_counter()
        while not request.Test():
            waited = time.perf_counter() - start
            if self.timeout is not None and waited > self.timeout:
                raise TeamError(f"{self} has waited {self.timeout:g} s for another rank, which has stopped or is slow")
            if waited > SPIN:
                time.sleep(SLEEP)

    # --- agreement ---------------------------------------------------------------------------------------------------

    def check_alike(self, **facts: Any) -> None:
        """Compare with rank 0 what must be the same on all ranks.

        Parameters
        ----------
        **facts
            What it is called, and what it is here.

        Raises
        ------
        TeamError
            On all ranks: which one differs, in what.
        """
        everyones = self.everyone((str(self), facts))
        expected = everyones[0][1]
        for name, value in expected.items():
            for who, theirs in everyones:
                if theirs[name] != value:
                    raise TeamError(f"{who} has another {name} than rank 0: {theirs[name]} instead of {value}")

    def abort(self, status: int) -> None:
        """End all processes at once: the others may be waiting for this one, and would for ever."""
        if self.comm is not None:
            self.comm.Abort(status)
