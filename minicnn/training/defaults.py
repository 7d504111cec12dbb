"""What a run does when nothing is said: two recipes.

"paper" is that of 2012, section 5: for AlexNet to the letter; other networks keep their own initial weights. From
AlexNet's, N(0, 0.01^2), a network of eight layers needs thousands of steps before it learns anything: a million images
give that many in one epoch, a few thousand do not. "small" is for these: initial weights that keep the scale of
activations (He et al. 2015), standardised pixels, and a learning rate that rises to its maximum in the first tenth of
the steps and falls to 0 along half a cosine.
``docs/results`` has the runs by which the rates were chosen, and says for which networks there are none yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["ENOUGH", "RECIPES", "choose", "defaults"]

RECIPES = ("paper", "small")
ENOUGH = 100_000  # training images, for "paper"
FEW = 10_000  # training images: with fewer, "small" has smaller batches, for more steps in an epoch
BATCHES = (32, 128)


class Small(NamedTuple):
    """What "small" has of its own for one model.

    Attributes
    ----------
    switches : dict
        Arguments of the network.
    lr : float
        The highest learning rate for batches of 128. Smaller batches have a rate as much smaller (Krizhevsky 2014,
        section 5).
    epochs : int
    """

    switches: dict[str, Any]
    lr: float
    epochs: int


SMALL = {
    "alexnet": Small({"init": "he"}, 0.02, 60),
    "alexnet-cifar": Small({"dropout": 0.25, "in_size": 32}, 0.05, 60),
    "four-layer": Small({"init": "xavier"}, 0.04, 30),
    "lenet5": Small({}, 0.05, 30),
}


def choose(model: str, images: int | None) -> str:
    """Return the recipe for this model and this many training images; None if they are not counted yet."""
    return "paper" if model == "alexnet" and images is not None and images >= ENOUGH else "small"


def defaults(
    recipe: str, model: str, images: int | None, switches: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a recipe's arguments of the network and its settings: those that are given, and defaults for the others.

    Parameters
    ----------
    recipe : {"paper", "small"}
    model : str
        The command line's name.
    images : int or None
        The number of training images, None if they are not counted yet.
    switches, settings : mapping
        What is given.

    Returns
    -------
    switches, settings : dict
    """
    common: dict[str, Any] = {
        "batch_size": 128,
        "lr": 0.01,
        "momentum": 0.9,
        "weight_decay": 0.0005,
        "sgd": "paper",
        "schedule": "plateau" if settings.get("lr_drops") is None else "epochs",
        "patience": 3,
        "lr_drops": (),
        "epochs": 90 if model == "alexnet" else 20,
        "recipe": recipe,
    }
    if recipe == "paper":
        return dict(switches), {**common, **settings}
    own = SMALL[model]
    common |= {"batch_size": BATCHES[images is None or images >= FEW], "epochs": own.epochs}
    if settings.get("lr_drops") is None:
        common["schedule"] = "one-cycle"
    if settings.get("schedule", common["schedule"]) == "one-cycle":  # other rates would stay at the highest
        common["lr"] = own.lr * settings.get("batch_size", common["batch_size"]) / BATCHES[1]
    return {**own.switches, **switches}, {**common, **settings}
