"""Run a small training again and again, each time until it is killed (SIGKILL) somewhere else, and once undisturbed.

Called by test_killing.py as a process of its own: it forks, which a test's process, with its threads, had better not.
Prints a line of JSON: how many processes were killed, and whether everything is the same as without.
"""

import builtins
import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from minicnn import files, use_kernels
from minicnn.training import checkpoint, load_model, load_training, trainer

EVENTS = ("write", "fsync", "replace", "replaced", "step")


def train(folder: Path, epochs: int = 5) -> None:
    with use_kernels("numpy"):
        trainer.run(
            "alexnet-cifar",
            "shapes",
            {"in_size": 12},
            {"limit": 40, "batch_size": 8, "epochs": epochs, "lr": 0.003},
            out=folder,
            resume=True,
            threads=2,
            checkpoint_minutes=0,
            keep=2,
        )


def die_at(event: str, count: int) -> None:
    """Arrange for this process to kill itself at the count-th event of a kind."""
    left = {"events": count}

    def happens(now: str) -> None:
        left["events"] -= now == event
        if left["events"] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    class Half:
        """A file of which half is written when its process dies."""

        def __init__(self, file: Any) -> None:
            self.file = file

        def __enter__(self) -> "Half":
            return self

        def __exit__(self, *error: Any) -> None:
            self.file.close()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def write(self, content: bytes) -> int:
            self.file.write(content[: len(content) // 2])
            self.file.flush()
            happens("write")
            return int(self.file.write(content[len(content) // 2 :]))

    fsync, replace, after_step = os.fsync, os.replace, trainer.Trainer.after_step

    def fsync_or_die(file: Any) -> None:
        fsync(file)
        happens("fsync")

    def replace_or_die(*paths: Any) -> None:
        happens("replace")
        replace(*paths)
        happens("replaced")

    def step_or_die(self: Any, progress: Any) -> None:
        happens("step")
        after_step(self, progress)

    files.open = lambda path, mode: Half(builtins.open(path, mode)) if mode == "wb" else builtins.open(path, mode)  # type: ignore[attr-defined]
    os.fsync, os.replace = fsync_or_die, replace_or_die  # type: ignore[assignment]
    trainer.Trainer.after_step = step_or_die  # type: ignore[method-assign]


def in_a_child(work: Any, seconds: float | None = None) -> bool:
    """Return whether a fork of this process did the work to its end; after so many seconds it is killed."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        sys.stderr = open(os.devnull, "w")
        try:
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
            os._exit(1)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"a child failed with status {status}"
    return not os.WIFSIGNALED(status)


def newest(folder: Path) -> Path:
    return max(folder.glob("step-*.safetensors"))


def same(first: Path, second: Path) -> bool:
    one, two = load_training(newest(first)), load_training(newest(second))
    pairs = [(one.model.network.state_dict(), two.model.network.state_dict())]
    pairs += [(one.optimizer["state"][number], two.optimizer["state"][number]) for number in one.optimizer["state"]]
    pairs += [(load_model(folder / "best.safetensors").network.state_dict() for folder in (first, second))]
    for ours, theirs in pairs:
        for name in ours:
            if not np.array_equal(ours[name], theirs[name]):
                return False
    for name in ("random", "best", "schedule", "epoch"):
        if one.progress[name] != two.progress[name]:
            return False
    rows = [
        [{k: v for k, v in row.items() if "second" not in k} for row in each.progress["rows"]] for each in (one, two)
    ]
    return rows[0] == rows[1]


def main() -> None:
    undisturbed, disturbed = Path(sys.argv[1], "undisturbed"), Path(sys.argv[1], "disturbed")
    start = time.monotonic()
    assert in_a_child(lambda: train(undisturbed))
    needed = time.monotonic() - start
    rng, killed, unreadable, parts = random.Random(0), 0, [], 0
    attempts: list[tuple[str, int]] = [(event, count) for count in (1, 3, 2, 4) for event in EVENTS]
    while True:
        if attempts:
            event, count = attempts.pop(0)

            def work(event: str = event, count: int = count) -> None:
                die_at(event, count)
                train(disturbed)

            finished = in_a_child(work)
        elif killed < 24:
            finished = in_a_child(lambda: train(disturbed), rng.uniform(0.05, 0.4) * needed)
        else:
            finished = in_a_child(lambda: train(disturbed))
        killed += not finished
        parts += len(list(disturbed.glob("*.part")))
        for path in disturbed.glob("*.safetensors"):
            try:
                (load_model if path.name.startswith("best") else load_training)(path)
            except checkpoint.CheckpointError as error:
                unreadable.append(str(error))
        if finished:
            break
    left = sorted(path.name for path in disturbed.iterdir())
    print(
        json.dumps(
            {
                "killed": killed,
                "parts": parts,
                "unreadable": unreadable,
                "same": same(undisturbed, disturbed),
                "left": left,
                "seconds": time.monotonic() - start,
            }
        )
    )


if __name__ == "__main__":
    main()
