"""How much faster several processes train: the same number of images in each, on this machine or over a slow link."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import networks
from benchmarks.processes import ROOT, clean_environment, spread, unset
from minicnn import set_num_threads
from minicnn.models import TwoTowers
from minicnn.optim import SGD
from minicnn.training import step_model

NAMESPACES = "minicnn0", "minicnn1"
OVER_TCP = {"MPIR_CVAR_NOLOCAL": "1", "MPIR_CVAR_CH4_NETMOD": "ofi", "FI_PROVIDER": "tcp"}
"""For MPICH: processes on one machine are to use the network all the same."""


def distributed(
    network: str, against_torch: bool, batch: int, ranks: list[int], rounds: int, steps: int, link: str | None
) -> dict[str, Any]:
    """Measure training steps of several processes with a thread each, the contenders taking turns.

    Those "apart" exchange nothing, so that what the others lose beside them is the price of the exchange: processes on
    one machine slow each other down in any case, because they share its memory, its caches and its clock.

    Parameters
    ----------
    network : str
        A key of `networks.CONFIGS`.
    against_torch : bool
        Also measure PyTorch's DistributedDataParallel, with gloo.
    batch : int
        Images for each process.
    ranks : list of int
        How many processes.
    rounds, steps : int
        How often each contender is started, and how many steps it makes then.
    link : str, optional
        Such as "1gbit": two ranks run in two network namespaces, which only such a link connects. This needs root.
    """
    contenders = [("minicnn", n) for n in ranks]
    if against_torch:
        contenders += [("torch DDP", n) for n in ranks]
    if link is None:
        contenders += [(f"{name.split()[0]} apart", n) for name, n in contenders if n > 1]
    if 2 in ranks and networks.CONFIGS[network].get("variant") == "paper":
        contenders.append(("towers", 2))
    seconds: dict[tuple[str, int], list[float]] = {contender: [] for contender in contenders}
    rates = []
    for turn in range(rounds):
        for contender, n in contenders:
            apart = link if n == 2 and contender != "torch DDP" else None
            found = _started(
                n, apart, contender=contender, network=network, batch=batch, steps=steps, port=29500 + turn
            )
            seconds[contender, n] += found["seconds"]
            rates += [found["rate"]] if found["rate"] else []
    rows = []
    for (contender, n), times in seconds.items():
        one = seconds.get(("torch DDP" if contender.startswith("torch") else "minicnn", 1))
        row: dict[str, Any] = {"contender": contender, "ranks": n, "seconds": spread(times)}
        row["images_per_s"] = batch * n / statistics.median(times)
        row["efficiency"] = None if one is None else statistics.median(one) / statistics.median(times)
        row["efficiency_of_fastest"] = None if one is None else min(one) / min(times)
        rows.append(row)
    result: dict[str, Any] = {
        "benchmark": "distributed",
        "network": network,
        "batch": batch,
        "rounds": rounds,
        "steps": steps,
        "link": link,
        "unset": unset(),
        "load": os.getloadavg()[0],
        "rows": rows,
    }
    if rates:
        found_rate = statistics.median(rates)
        result |= {"rate": found_rate, "predicted": predicted(network, batch, found_rate)}
    return result


def predicted(network: str, batch: int, rate: float) -> dict[str, float]:
    """Return what the model says of a step of two ranks over a link of so many bytes a second."""
    set_num_threads(1)
    built = networks.built(network)
    images, labels = networks.batch_of(network, batch)
    step = step_model.profile(built, SGD(built.parameters(), **networks.SGD), images, labels)
    found = {"alone": step.seconds, "minicnn": step_model.data_parallel(step, 2, rate).seconds}
    if networks.CONFIGS[network].get("variant") == "paper":
        towers = networks.built({**networks.CONFIGS[network], "devices": ["cpu", "cpu"]})
        assert isinstance(towers, TwoTowers)
        crossings = step_model.crossing_bytes(towers, images.shape[1:])
        found["towers"] = step_model.split_towers(step, crossings, 2, rate).seconds
    return found


def _started(n: int, link: str | None, **settings: Any) -> dict[str, Any]:
    """Start `n` processes of `benchmarks.distributed_child`, and return what rank 0 prints."""
    beside = Path(sysconfig.get_path("scripts"), "mpiexec")
    mpiexec = str(beside) if beside.exists() else shutil.which("mpiexec")
    if mpiexec is None:
        raise SystemExit("benchmarks: mpiexec is absent: python -m pip install mpi4py mpich")
    program = [sys.executable, "-m", "benchmarks.distributed_child", json.dumps({**settings, "link": link})]
    environment = clean_environment() | {"PYTHONPATH": str(ROOT)}
    if link is None:
        return _answer([mpiexec, "-n", str(n), *program], environment)
    with namespaces(link):
        inside = 'FI_TCP_IFACE=minicnn$PMI_RANK exec ip netns exec minicnn$PMI_RANK "$@"'
        command = [mpiexec, "-n", str(n), "bash", "-c", inside, "bash", *program]
        return _answer(command, environment | OVER_TCP)


def _answer(command: list[str], environment: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"benchmarks: {' '.join(command)} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@contextmanager
def namespaces(rate: str) -> Iterator[None]:
    """Make two network namespaces with a link of this rate between them, as ``tc`` writes it: 1gbit, 200mbit."""

    def run(*command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"benchmarks: {' '.join(command)}: {done.stderr.strip()}; --link needs root and iproute2")

    try:
        for name in NAMESPACES:
            run("ip", "netns", "add", name)
        run("ip", "link", "add", NAMESPACES[0], "type", "veth", "peer", "name", NAMESPACES[1])
        for number, name in enumerate(NAMESPACES, 1):
            run("ip", "link", "set", name, "netns", name)
            run("ip", "-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", name)
            run("ip", "-n", name, "link", "set", name, "up")
            run("ip", "-n", name, "link", "set", "lo", "up")
            limit = ["rate", rate, "burst", "256kb", "latency", "50ms"]
            run("tc", "-n", name, "qdisc", "add", "dev", name, "root", "tbf", *limit)
        yield
    finally:
        for name in NAMESPACES:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def table(result: dict[str, Any]) -> str:
    """Return the speeds, and what the model says."""
    where = f" over {result['link']}" if result["link"] else ""
    lines = [
        f"{result['network']}, training step, {result['batch']} images and a thread for each process{where}; "
        f"medians of {result['rounds']} rounds of {result['steps']} steps; load {result['load']:.1f}",
        f"{'':<14} processes   images/s   ms a step (fastest)   efficiency (of the fastest)",
    ]
    for row in result["rows"]:
        seconds = row["seconds"]
        line = (
            f"{row['contender']:<14} {row['ranks']:>9} {row['images_per_s']:>10.4g}"
            f" {1e3 * seconds['median']:>11,.0f} ({1e3 * seconds['min']:,.0f})"
        )
        if row["efficiency"] is not None and row["ranks"] > 1:
            line += f"   {row['efficiency']:.3f} ({row['efficiency_of_fastest']:.3f})"
        lines.append(line)
    if "rate" in result:
        said = ", ".join(f"{name} {1e3 * seconds:,.0f} ms" for name, seconds in result["predicted"].items())
        lines.append(f"The link carries {8 * result['rate'] / 1e9:.3g} Gbit/s. The model says: {said}")
    return "\n".join(lines)
