"""``minicnn train --dry-run``: what a run in several processes would cost, without training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minicnn import models
from minicnn.backend import get_num_threads
from minicnn.models import TwoTowers
from minicnn.training.fine_tuning import new_recipe
from minicnn.training.recipe import what_is_given
from minicnn.training.step_model import Step, crossing_bytes, data_parallel, profile, split_towers

__all__ = ["dry_run"]


def dry_run(
    model: str, data: str | None, switches: Mapping[str, Any], settings: Mapping[str, Any], ranks: int, rate: float
) -> list[str]:
    """Measure a few steps here, and predict those of several ranks.

    Parameters
    ----------
    model, data, switches, settings
        As for :func:`minicnn.training.trainer.run`. Images are not loaded.
    ranks : int
        At least 1.
    rate : float
        Of the link between machines, in bytes a second in each direction.

    Returns
    -------
    list of str
        Lines to print.
    """
    recipe = new_recipe(model, data or ".", what_is_given(switches), what_is_given(settings))
    shape = (3, recipe.crop, recipe.crop)
    rows = -(-recipe.batch_size // ranks)
    network = models.build(recipe.config)
    optimizer = recipe.optimizer(network)
    rng = np.random.default_rng(0)
    images = rng.standard_normal((recipe.batch_size, *shape), np.float32)
    labels = rng.integers(0, recipe.config["num_classes"], recipe.batch_size)
    alone = profile(network, optimizer, images, labels)
    part = profile(network, optimizer, images[:rows], labels[:rows])
    threads = get_num_threads()
    lines = [
        f"{model}: {alone.gradient_bytes / 1e6:,.1f} MB of gradients a step, whatever the batch",
        f"One process, {recipe.batch_size} images: {1e3 * alone.seconds:,.0f} ms a step on {threads} threads "
        f"(forward {1e3 * alone.forward:,.0f}, backward {1e3 * alone.backward:,.0f}, update {1e3 * alone.update:,.0f})",
        _described(f"{ranks} ranks, {rows} images each", data_parallel(part, ranks, rate), alone.seconds),
    ]
    if recipe.config.get("groups") == 2 and ranks % 2 == 0 and 2 * rows <= recipe.batch_size:
        with_towers = models.build({**recipe.config, "devices": ["cpu", "cpu"]})
        if isinstance(with_towers, TwoTowers):
            step = split_towers(part, crossing_bytes(with_towers, shape), ranks, rate)
            lines.append(_described(f"{ranks} ranks, a tower of {2 * rows} images each", step, alone.seconds))
    return lines


def _described(what: str, step: Step, alone: float) -> str:
    return (
        f"{what}: each sends {step.sent / 1e6:,.1f} MB, and a step takes {1e3 * step.seconds:,.0f} ms, of which it "
        f"waits {1e3 * step.waiting:,.0f} ms: {alone / step.seconds:.2f} times as fast as one process"
    )
