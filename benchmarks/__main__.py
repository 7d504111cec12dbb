"""The command line of the benchmarks."""

import argparse
import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import networks, tables
from benchmarks.gpu import NETWORKS as GPU_NETWORKS
from benchmarks.others import OTHERS
from minicnn.backend import available_cores

MODULES = {"torch": "torch"} | {name: module for name, (module, _) in OTHERS.items()}  # for --against


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one benchmark and print the result."""
    options = _parser().parse_args(arguments)
    if sys.platform != "linux":
        raise SystemExit("benchmarks: only Linux has /proc, where they read how much memory a process uses")
    result, text = options.run(options)
    if options.json:  # first, because `| head` closes the pipe early
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    print(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure the speed of minicnn on this machine."
    )
    commands = parser.add_subparsers(metavar="BENCHMARK", required=True)
    for network in networks.CONFIGS:
        race = _add(commands, network, _race, f"images/s of {network}, whole training steps", rounds=9)
        race.add_argument(
            "--batch", type=_numbers, default=[128], metavar="N,...", help="images in a step (default 128)"
        )
        race.add_argument(
            "--threads", type=_numbers, default=[available_cores()], metavar="N,...", help="cores to use (default all)"
        )
        _add_forward_only(race)
    ops = _add(
        commands,
        "ops",
        _ops,
        "every operation of AlexNet, next to the least time that the machine could take",
        rounds=3,
    )
    ops.add_argument("--out", type=Path, metavar="FILE", help="also draw the roofline, for example to roofline.png")
    startup = _add(commands, "startup", _startup, "seconds of the import and of the first training step", rounds=3)
    memory = _add(commands, "memory", _memory, "peak memory of a step of AlexNet", rounds=None)
    for command, batch in ((ops, 16), (startup, 16), (memory, 128)):
        command.add_argument("--batch", type=_number, default=batch, metavar="N", help=f"default {batch}")
        command.add_argument(
            "--threads", type=_number, default=available_cores(), metavar="N", help="default all cores"
        )
    for command in (ops, memory):
        command.add_argument("--network", choices=networks.CONFIGS, default="alexnet", help="default alexnet")
    _add_forward_only(memory)
    _add_scaling(commands)
    _add_distributed(commands)
    gpu = commands.add_parser("gpu", help="images/s of both networks on an NVIDIA GPU, whole training steps")
    gpu.set_defaults(run=_gpu)
    gpu.add_argument(
        "--against", choices=["torch"], help="also measure PyTorch, on the same GPU, in both memory layouts"
    )
    gpu.add_argument("--device", default="cuda", help="cuda, or cuda:N for one of several (default cuda)")
    gpu.add_argument("--batch", type=_numbers, default=[128, 256], metavar="N,...", help="default 128,256")
    gpu.add_argument("--network", choices=GPU_NETWORKS, action="append", help="only this network")
    gpu.add_argument("--rounds", type=_number, default=9, metavar="N", help="default 9")
    gpu.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")
    return parser


def _add_scaling(commands: Any) -> None:
    what = "how a training step of AlexNet grows with the batch, the images and the width"
    scaling = _add(commands, "scaling", _scaling, what, rounds=3)
    scaling.add_argument("--network", choices=["alexnet", "alexnet-no-lrn"], default="alexnet", help="default alexnet")
    scaling.add_argument("--threads", type=_number, default=available_cores(), metavar="N", help="default all cores")
    for sweep, kind in (("batch", _numbers), ("size", _numbers), ("width", _factors)):
        scaling.add_argument(
            f"--{sweep}",
            type=kind,
            metavar="N,...",
            help=f"instead of the whole range of {sweep}; of several sweeps, only those named are made",
        )
    scaling.add_argument(
        "--out",
        type=Path,
        default=Path("scaling.csv"),
        metavar="FILE.csv",
        help="written after each point, with a plot FILE.png at the end (default scaling.csv)",
    )
    scaling.add_argument("--resume", action="store_true", help="keep what the file holds, and measure the rest")


def _add_distributed(commands: Any) -> None:
    shared = commands.add_parser("distributed", help="training steps that several processes share, with a thread each")
    shared.set_defaults(run=_distributed)
    shared.add_argument("--against", choices=["torch"], help="also measure PyTorch's DDP, with gloo")
    shared.add_argument("--network", choices=networks.CONFIGS, default="alexnet", help="default alexnet")
    shared.add_argument("--batch", type=_number, default=32, metavar="N", help="images for each process (default 32)")
    shared.add_argument("--ranks", type=_numbers, default=[1, 2], metavar="N,...", help="processes (default 1,2)")
    shared.add_argument("--rounds", type=_number, default=3, metavar="N", help="default 3")
    shared.add_argument("--steps", type=_number, default=5, metavar="N", help="steps in a round (default 5)")
    shared.add_argument("--link", metavar="RATE", help="such as 1gbit: connect two processes by it alone (needs root)")
    shared.add_argument(
        "--model", type=Path, metavar="FILE.png", help="instead, draw what a model says of up to 1,024 processes"
    )
    shared.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")


def _add(commands: Any, name: str, run: Any, description: str, rounds: int | None) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=description)
    parser.set_defaults(run=run, benchmark=name)
    if name in networks.CONFIGS:
        what = f"also measure some of torch (in both memory layouts), {', '.join(OTHERS)}"
        parser.add_argument("--against", type=_libraries, default=[], metavar="LIBRARY,...", help=what)
    else:
        parser.add_argument("--against", choices=["torch"], help="also measure PyTorch, in both memory layouts")
    parser.add_argument(
        "--kernels", choices=["numba", "numpy"], default="numba", help="minicnn's kernels (default numba)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")
    if rounds is not None:
        parser.add_argument("--rounds", type=_number, default=rounds, metavar="N", help=f"default {rounds}")
    return parser


def _add_forward_only(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--forward-only", action="store_true", help="inference instead of training steps")


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def _numbers(text: str) -> list[int]:
    return [_number(part) for part in text.split(",")]


def _libraries(text: str) -> list[str]:
    for name in text.split(","):
        if name not in MODULES:
            raise argparse.ArgumentTypeError(f"must be some of {', '.join(MODULES)}, with commas; got {name!r}")
    return text.split(",")


def _refuse_absent(names: Sequence[str]) -> None:
    for name in names:
        if importlib.util.find_spec(MODULES[name]) is None:
            raise SystemExit(f"benchmarks: {name} needs the package {MODULES[name]}, which is not installed")


def _factors(text: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(0 < factor < 100 for factor in found):
        raise argparse.ArgumentTypeError(f"must be factors such as 0.25,1,2, got {text!r}")
    return found


def _race(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from benchmarks.race import race

    _refuse_absent(options.against)
    result = race(
        options.benchmark,
        options.against,
        options.batch,
        options.threads,
        options.forward_only,
        options.kernels,
        options.rounds,
    )
    return result, tables.race_table(result)


def _ops(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from benchmarks.operations import operations
    from benchmarks.roofline import draw

    result = operations(
        options.network, options.against == "torch", options.batch, options.threads, options.kernels, options.rounds
    )
    if options.out:
        draw(result, options.out)
    return result, tables.operations_table(result)


def _gpu(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from benchmarks.gpu import gpu
    from minicnn.backend import DeviceError

    chosen = options.network or list(GPU_NETWORKS)
    try:
        result = gpu(options.device, options.against == "torch", options.batch, options.rounds, chosen)
    except (DeviceError, ValueError) as error:
        raise SystemExit(f"benchmarks: {error}") from error
    return result, tables.gpu_table(result)


def _scaling(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from benchmarks import scaling, scaling_plot

    asked = {sweep: values for sweep in scaling.SWEEPS if (values := getattr(options, sweep))}
    try:
        result = scaling.scaling(
            options.network,
            options.against == "torch",
            asked or scaling.SWEEPS,
            options.threads,
            options.kernels,
            options.rounds,
            options.out,
            options.resume,
        )
    except ValueError as error:
        raise SystemExit(f"benchmarks: {error}") from error
    scaling_plot.draw(result, options.out.with_suffix(".png"))
    return result, tables.scaling_table(result)


def _distributed(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from benchmarks import distributed, distributed_plot

    if options.model:
        result = distributed_plot.model(options.steps)
        distributed_plot.draw(result, options.model)
        return result, f"{options.model} is drawn"
    against_torch = options.against == "torch"
    result = distributed.distributed(
        options.network, against_torch, options.batch, options.ranks, options.rounds, options.steps, options.link
    )
    return result, distributed.table(result)


def _startup(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from benchmarks.startup import startup

    result = startup(options.against == "torch", options.batch, options.threads, options.kernels, options.rounds)
    return result, tables.startup_table(result)


def _memory(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from benchmarks.memory import memory

    result = memory(
        options.network,
        options.against == "torch",
        options.batch,
        options.threads,
        options.forward_only,
        options.kernels,
    )
    return result, tables.memory_table(result)


if __name__ == "__main__":
    main()
