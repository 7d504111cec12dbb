"""Studies of ReLU and tanh that take a second, and what they leave."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from minicnn.experiments import relu_vs_tanh
from minicnn.experiments import study as machinery
from minicnn.training import trainer

COLUMNS = "inputs activation seed lr epoch train_error train_loss seconds saturated_1 saturated_2 saturated_3".split()


def make_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(relu_vs_tanh.LIMIT, "shapes", 16)
    monkeypatch.setitem(relu_vs_tanh.BATCH_SIZES, "shapes", 8)
    monkeypatch.setattr(machinery, "save_figure", lambda figure, path: path.write_text("a figure"))


def study(out: Path, **options: Any) -> dict[str, Any]:
    return relu_vs_tanh.run(**{"data": "shapes", "epochs": 2, "out": out, **options})


def resume(out: Path, **options: Any) -> dict[str, Any]:
    """What is not given is as it was when the study began."""
    return relu_vs_tanh.run(out=out, resume=True, **options)


def rows(out: Path) -> list[dict[str, str]]:
    with open(out / "relu_vs_tanh.csv", newline="") as file:
        return list(csv.DictReader(file))


def numbers(out: Path) -> list[tuple[str, ...]]:
    """Everything but the seconds, sorted: an extended study has its rows in another order."""
    return sorted(tuple(row[name] for name in COLUMNS if name != "seconds") for row in rows(out))


def summary(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "summary.json").read_text()))


def stop_at(monkeypatch: pytest.MonkeyPatch, name: str, call: int, before: bool) -> None:
    """Interrupt the call with that number, from 1, to a method of the trainer, before or after its work."""
    original, calls = getattr(trainer.Trainer, name), iter(range(1, 1_000))

    def interrupted(self: trainer.Trainer, *arguments: Any, **named: Any) -> None:
        now = next(calls) == call
        if now and before:
            raise KeyboardInterrupt
        original(self, *arguments, **named)
        if now:
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer.Trainer, name, interrupted)
