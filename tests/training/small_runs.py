"""Training runs of a second, and what they leave, for the tests of the trainer."""

import csv
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn.training import load_training, trainer
from minicnn.training.loop import EpochProgress

SMALL = {
    "recipe": "paper",
    "limit": 40,
    "batch_size": 16,
    "epochs": 2,
}  # 36 training images: three batches, the last of four


def train(out: Path, model: str | None = "lenet5", data: str | Path | None = "shapes", **more: Any) -> dict[str, Any]:
    settings = SMALL | more.pop("settings", {}) if not more.get("resume") else more.pop("settings", {})
    return trainer.run(model, data, more.pop("switches", {}), settings, out=out, **more)


def newest(folder: Path) -> Path:
    return max(folder.glob("step-*.safetensors"))


def log(folder: Path) -> list[dict[str, str]]:
    with open(folder / "log.csv", newline="") as file:
        return [{k: v for k, v in row.items() if "second" not in k} for row in csv.DictReader(file)]


def assert_same(first: Path, second: Path) -> None:
    one, two = load_training(newest(first)), load_training(newest(second))
    for name, array in one.model.network.state_dict().items():
        np.testing.assert_array_equal(array, two.model.network.state_dict()[name], err_msg=name)
    for number, memories in one.optimizer["state"].items():
        for name, array in memories.items():
            np.testing.assert_array_equal(array, two.optimizer["state"][number][name])
    assert log(first) == log(second)


def stop_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """The run stops after so many steps, as after Ctrl-C."""
    after_step, left = trainer.Trainer.after_step, {"steps": steps}

    def step(self: trainer.Trainer, progress: EpochProgress) -> None:
        left["steps"] -= 1
        if left["steps"] == 0:
            signal.raise_signal(signal.SIGINT)
        after_step(self, progress)

    monkeypatch.setattr(trainer.Trainer, "after_step", step)
