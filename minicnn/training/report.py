"""What a run reports at its end: its best network on the test set."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from minicnn.data.sources import Parts
from minicnn.data.summary import left_out
from minicnn.distributed import Team
from minicnn.training.checkpoint import load_model
from minicnn.training.environment import machine, versions
from minicnn.training.evaluation import evaluate
from minicnn.training.run_folder import RunFolder
from minicnn.training.run_state import RunState

__all__ = ["report"]


def report(folder: RunFolder, state: RunState, parts: Parts, workers: int, team: Team) -> dict[str, Any]:
    """Evaluate the best network on the test set, which is used here only; print and write the result, and return it."""
    best = state.best
    assert best is not None  # a run has at least one epoch
    saved = team.in_turn(lambda: load_model(folder.best))  # rank 0 may still be writing it
    epochs, error = state.epoch - 1, best["validation_error"]
    result: dict[str, Any] = {
        "epochs": epochs,
        "best_epoch": best["epoch"],
        "train_error": state.rows[best["epoch"] - 1]["train_error"],
        "validation_error": error,
        "test": None,
        "seconds": round(sum(row["seconds"] for row in state.rows), 1),
        "left_out": left_out(part for part in parts[:3] if part is not None),
        "recipe": state.recipe.as_dict(),
        "start": state.start,
        "versions": versions(),
        "machine": machine(),
    }
    if error is None:
        print(f"There is no validation set: the network after the last epoch, {epochs}, is kept as the best")
    else:
        print(f"Lowest validation error: {100 * error:.2f} %, after epoch {best['epoch']} of {epochs}")
    if parts.test is not None:
        test = parts.test.resident()
        tested = evaluate(saved.network, saved.preparation, *test, workers=workers, team=team)
        tested.finite(f"{folder.best} is of no use: its loss on the test set")
        result["test"] = asdict(tested)
        print(f"Test set: {tested}")
    if team.is_first:
        with folder.writing(folder.result.name):
            folder.write_result(result)
    beside = f"{folder.log.name}, {folder.result.name}"
    print(f"Best network: {folder.best}; in the same folder: {beside}")
    return result
