"""Fine-tuning: a run that starts from a checkpoint's layers, with a new last layer and, if wanted, frozen ones."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from minicnn.data import Preparation
from minicnn.models import Network
from minicnn.nn import Module
from minicnn.training.checkpoint import SavedModel, load_model
from minicnn.training.loop import TrainingError
from minicnn.training.progress import say
from minicnn.training.recipe import Recipe

__all__ = ["freeze_layers", "new_recipe", "start_from"]

PAPER_NAMES = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")


def new_recipe(
    model: str, data: str, switches: Mapping[str, Any], settings: Mapping[str, Any], images: int | None = None
) -> Recipe:
    """Return the recipe of a new run; one that starts from a checkpoint has its network and scales pixels as it does.

    Parameters
    ----------
    model, data, switches, settings, images
        As for :meth:`Recipe.new`. The default of a switch is that of the checkpoint's network.

    Raises
    ------
    TrainingError
        If an argument is out of range or contradicts the checkpoint.
    CheckpointError
        If the checkpoint cannot be read.
    """
    if settings.get("weights") is None:
        return Recipe.new(model, data, switches, settings, images)
    weights = os.fspath(settings["weights"])
    saved = load_model(weights)
    config = dict(saved.network.config)
    before, preparation = str(config.pop("model")).replace("_", "-"), saved.preparation
    if model != before:
        raise TrainingError(f"train: model must be {before}, the network in {weights}, got {model!r}")
    inputs = "raw" if (preparation.deviation == 1).all() else "standardised"
    fixed = {"in_size": config.get("in_size"), "inputs": inputs}
    for name, value in {**switches, **settings}.items():
        if name in fixed and value != fixed[name]:
            raise TrainingError(f"train: {name} must be {fixed[name]}, as in {weights}, got {value}")
    for name in ("num_classes", "devices"):
        config.pop(name, None)
    if switches.get("variant", config.get("variant")) != config.get("variant"):
        config = {"in_size": config["in_size"]}  # another variant has its own defaults
    settings = {**settings, "weights": weights, "inputs": inputs}
    recipe = Recipe.new(model, data, {**config, **switches}, settings, images)
    return replace(recipe, size=preparation.size, crop=preparation.crop)


def start_from(network: Network, recipe: Recipe) -> tuple[Preparation, dict[str, Any]]:
    """Load the layers that fit from the recipe's checkpoint into a new network, all but the last, and freeze some.

    Parameters
    ----------
    network : Network
        With new initial weights, which the other layers keep.
    recipe : Recipe
        Its `weights` and `freeze` are used.

    Returns
    -------
    preparation : Preparation
        The checkpoint's: the layers that are taken learnt from pixels on that scale.
    start : dict
        The lists of layers "taken", "made_anew" and "frozen", and the file of "weights".

    Raises
    ------
    TrainingError
        If no layer fits, or one that is frozen is unknown or not taken.
    CheckpointError
        If the checkpoint cannot be read.
    """
    assert recipe.weights is not None
    saved: SavedModel = load_model(recipe.weights)
    found = saved.network.state_dict()
    *candidates, last = _layers(network)
    new = network.state_dict()
    taken = []
    for layer in candidates:
        keys = [key for key in new if key.rpartition(".")[0] == layer]
        if all(key in found and found[key].shape == new[key].shape for key in keys):
            network.load_state_dict({key: found[key] for key in keys}, strict=False)
            taken.append(layer)
    if not taken:
        raise TrainingError(f"train: weights must have layers that fit the network, {recipe.weights} has none")
    made_anew = [layer for layer in (*candidates, last) if layer not in taken]
    frozen = freeze_layers(network, recipe.freeze)
    for layer in frozen:
        if layer not in taken:
            raise TrainingError(f"train: freeze must name layers that are taken from weights, got {layer!r}, made anew")
    say(f"Taken from {recipe.weights}: {', '.join(taken)}")
    say(f"Made anew: {', '.join(made_anew)}")
    say(f"Frozen: {', '.join(frozen) or 'none'}")
    return saved.preparation, {"weights": recipe.weights, "taken": taken, "made_anew": made_anew, "frozen": frozen}


def freeze_layers(network: Network, names: str | None) -> list[str]:
    """Freeze layers, so that they get no gradient and the optimiser leaves them out, and return their names.

    Parameters
    ----------
    network : Network
    names : str, optional
        Names and ranges of layers with commas between: "conv1-conv3,fc6". The name of a part stands for all layers
        in it. Torchvision's AlexNet accepts the paper's names, too.

    Raises
    ------
    TrainingError
        If there is no such layer.
    """
    layers = _layers(network)
    frozen: set[int] = set()
    for item in (names or "").split(",") if names else []:
        first, dash, last = item.strip().partition("-")
        start, stop = min(_positions(network, first, item)), max(_positions(network, last if dash else first, item))
        if start > stop:
            raise TrainingError(f"train: freeze must name the earlier layer of a range first, got {item.strip()!r}")
        frozen |= set(range(start, stop + 1))
    chosen = [layers[position] for position in sorted(frozen)]
    modules: dict[str, Module] = dict(network.named_modules())
    for layer in chosen:
        modules[layer].requires_grad_(False)
    return chosen


def _layers(network: Network) -> list[str]:
    """Return the paths of the layers that have parameters, in order."""
    return list(dict.fromkeys(name.rpartition(".")[0] for name, _ in network.named_parameters()))


def _positions(network: Network, name: str, item: str) -> list[int]:
    """Return the positions of a layer, or of all layers of a part, among the layers that have parameters."""
    layers = _layers(network)
    if network.config.get("variant") == "torchvision" and name in PAPER_NAMES:
        numbered = [layer for layer in layers if not layer.rpartition(".")[2].startswith("norm")]
        return [layers.index(numbered[PAPER_NAMES.index(name)])]
    found = [number for number, layer in enumerate(layers) if layer == name or layer.startswith(f"{name}.")]
    if not found:
        raise TrainingError(f"train: freeze must name layers among {', '.join(layers)}, got {item.strip()!r}")
    return found
