"""The command line of the benchmarks."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from benchmarks.race import race


def table(result: dict[str, Any]) -> str:
    """Return a result as text."""
    lines = [
        f"{result['network']}, batch {result['batch']}, training step; "
        f"median (min to max) of {result['rounds']} rounds"
    ]
    for name, facts in result["contenders"].items():
        speed = facts["images_per_s"]
        what = ", ".join(str(facts[key]) for key in ("version", "kernels", "blas") if key in facts)
        lines.append(
            f"  {name:20} {speed['median']:7.0f} images/s ({speed['min']:.0f} to {speed['max']:.0f})"
            f"   {facts['threads']} threads, {what}"
        )
    for name, ratio in result["ratios"].items():
        lines.append(f"  {name:28} {ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})")
    return "\n".join(lines)


def main() -> None:
    """Run one benchmark and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("network", choices=["four-layer"], help="which network's training step")
    parser.add_argument("--against", choices=["torch"], help="race PyTorch, in both memory layouts")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=8, help="steps in a round")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there, too")
    options = parser.parse_args()
    contenders = ["minicnn"]
    if options.against == "torch":
        contenders += ["torch NCHW", "torch channels_last"]
    result = race(options.network, contenders, options.batch, options.threads, options.rounds, options.steps)
    print(table(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
