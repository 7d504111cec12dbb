"""The settings of a training run: everything that decides its numbers, with the paper's values as defaults."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from minicnn import models, nn, optim
from minicnn.arguments import number, one_of, probability, whole
from minicnn.data import Preparation, sources
from minicnn.data.preparation import INPUTS, LARGEST
from minicnn.errors import MinicnnError
from minicnn.nn import Module
from minicnn.training.defaults import RECIPES, choose, defaults
from minicnn.training.loop import TrainingError
from minicnn.training.schedule import Plateau

__all__ = ["CHOICES", "MODELS", "Recipe", "Schedule", "reported_as", "what_is_given"]

MODELS = {name.replace("_", "-"): name for name in models.MODELS}  # as the command line calls them
CHOICES = {
    "recipe": RECIPES,
    "inputs": INPUTS,
    "sgd": ("paper", "pytorch"),
    "schedule": ("plateau", "epochs", "one-cycle"),
}
RISE = 0.1  # the share of the steps of "one-cycle" in which the learning rate rises

Schedule = Plateau | optim.MultiStepLR | optim.OneCycleLR
MOST = 1 << 31  # images, epochs and the like: more than any run has, and no trouble in arithmetic
SIDE = 32  # height and width of the images of CIFAR-10 and of the drawn shapes


@contextmanager
def reported_as(kind: type[MinicnnError]) -> Iterator[None]:
    """Raise a TypeError or ValueError about an argument as `kind`, which the command line prints in one line."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise kind(str(error)) from error


def what_is_given(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are not None, in the form that a recipe has them and is compared with."""
    given = {name: value for name, value in settings.items() if value is not None}
    if "weights" in given:
        given["weights"] = os.fspath(given["weights"])
    if "lr_drops" in given:
        given["lr_drops"] = tuple(given["lr_drops"])
    return given


@dataclass(frozen=True)
class Recipe:
    """The settings of a run. Two runs with the same settings on the same images give the same numbers.

    Attributes
    ----------
    config : dict
        The network's, for :func:`minicnn.models.build`.
    data : str
        "cifar10", "shapes", "sketches", or a folder.
    recipe : {"paper", "small"}
        Where the defaults of the others come from, see :mod:`minicnn.training.defaults`.
    limit : int or None
        Use only this many training images, and at most this many test images.
    validation : float
        The share of the training images that is held out for validation, 0 for none.
    seed : int
        Seeds the initial weights, dropout, the order of the images, augmentation and the validation split.
    inputs : {"raw", "standardised"}
        How pixels are scaled, see :meth:`Preparation.fit`.
    size, crop : int
        Height and width of the images, and of the part that the network sees.
    augment : bool
        Augment the training images: random crops and mirror images, and the two below if they are set. Section 4.1.
    colour : bool
        Shift colours along the principal components of the training set's. Section 4.1.
    padding : int
        Pad images with this many grey pixels on each side before the random crop.
    batch_size : int
    lr, momentum, weight_decay : float
        See :class:`minicnn.optim.SGD`. Section 5.
    sgd : {"paper", "pytorch"}
        Whether the learning rate is inside the velocity or outside.
    schedule : {"plateau", "epochs", "one-cycle"}
        When the learning rate is divided by ten: see :class:`Plateau`, or after given epochs. Without validation,
        "plateau" follows the running training error. "one-cycle" changes it in every step: it rises to `lr` in the
        first tenth of all steps and falls to 0 along half a cosine, see :class:`minicnn.optim.OneCycleLR`.
    patience : int
        For "plateau".
    lr_drops : tuple of int
        The epochs for "epochs"; with none the learning rate is constant.
    epochs : int
        The maximum number of epochs.
    weights : str or None
        The checkpoint that the run starts from: see :mod:`minicnn.training.fine_tuning`.
    freeze : str or None
        The layers taken from it that training leaves as they are, such as "conv1-conv5".
    """

    config: dict[str, Any]
    data: str
    recipe: str
    limit: int | None
    validation: float
    seed: int
    inputs: str
    size: int
    crop: int
    augment: bool
    colour: bool
    padding: int
    batch_size: int
    lr: float
    momentum: float
    weight_decay: float
    sgd: str
    schedule: str
    patience: int
    lr_drops: tuple[int, ...]
    epochs: int
    weights: str | None
    freeze: str | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "lr_drops", tuple(self.lr_drops))  # JSON made it a list
        for name, minimum in (("seed", 0), ("padding", 0), ("batch_size", 1), ("patience", 1), ("epochs", 1)):
            most = LARGEST if name == "padding" else MOST
            if whole("train", name, getattr(self, name), minimum) > most:
                raise ValueError(f"train: {name} must be at most {most:,}, got {getattr(self, name):,}")
        if probability("train", "validation", self.validation) == 1:
            raise ValueError(f"train: validation must be 0 or more and below 1, got {self.validation}")
        if self.limit is not None:
            whole("train", "limit", self.limit, 2 if self.validation else 1)
        for epoch in self.lr_drops:
            whole("train", "lr_drops", epoch, 1)
        if self.lr_drops and self.schedule != "epochs":
            raise ValueError(f"train: schedule must be epochs with lr_drops {self.lr_drops}, got {self.schedule!r}")
        if self.freeze and self.weights is None:
            raise ValueError(f"train: freeze must be None without weights, got {self.freeze!r}")
        if not 0 < number("train", "lr", self.lr) < math.inf:
            raise ValueError(f"train: lr must be above 0 and finite, got {self.lr}")
        for name, accepted in CHOICES.items():
            one_of("train", name, getattr(self, name), accepted)

    @classmethod
    def new(
        cls,
        model: str,
        data: str,
        switches: Mapping[str, Any],
        settings: Mapping[str, Any],
        images: int | None = None,
    ) -> Self:
        """Return a recipe, with defaults for everything that is not given.

        Parameters
        ----------
        model : str
            A key of `MODELS`.
        data : str
            "cifar10", "shapes", "sketches", or a folder.
        switches : mapping
            Arguments of the model.
        settings : mapping
            Any of the attributes except `config`, `data`, `size` and `crop`.
        images : int, optional
            The number of training images, by which the defaults are chosen. How images are loaded does not depend on
            it, so a recipe can be made before they are counted, and once more afterwards.

        Raises
        ------
        TrainingError
            If an argument is out of range.
        """
        with reported_as(TrainingError):
            one_of("train", "model", model, MODELS)
            recipe = one_of("train", "recipe", settings.get("recipe", choose(model, images)), RECIPES)
        switches, settings = defaults(recipe, model, images, switches, settings)
        with reported_as(TrainingError):
            with nn.init.skip_arrays():
                config = models.build({"model": MODELS[model], **switches}).config
            in_size = config.get("in_size", SIDE)
            crop = 224 if (model, in_size) == ("alexnet", 227) else in_size  # the network pads it: section 3.5
            small = crop <= SIDE
            folder = data not in sources.NAMES
            if not small and not folder:
                raise TrainingError(
                    f"train: {model} takes images of {crop}x{crop}, those of {data} have {SIDE}x{SIDE}; "
                    f"choose alexnet-cifar, or a folder of larger images"
                )
            # The paper's initial weights are made for pixels of 0 to 255.
            as_in_2012 = config.get("variant") in ("paper", "merged") and config["init"] is None
            others: dict[str, Any] = {
                "limit": None,
                "validation": 0.1,
                "seed": 0,
                "inputs": "raw" if as_in_2012 else "standardised",
                "augment": True,
                "colour": folder,
                "padding": 4 if crop == SIDE else 0,
                "weights": None,
                "freeze": None,
            }
            # The paper crops 224 of 256; 28 of 32 is the same ratio.
            size = SIDE if small else round(crop * 8 / 7)
            return cls(config=config, data=data, size=size, crop=crop, **{**others, **settings})

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """Return the recipe that :meth:`as_dict` was called on; TypeError or ValueError if `saved` is not one."""
        saved = {"recipe": "paper"} | dict(saved)  # the only one, before there were two
        if set(saved) != {field.name for field in fields(cls)}:
            raise ValueError(f"a recipe has the settings {', '.join(sorted(saved))}")
        config = saved["config"]
        if not isinstance(config, dict) or not isinstance(config.get("model"), str):
            raise ValueError(f"a recipe's config must name a model, got {config!r}")
        for name, kind in (("data", str), ("augment", bool), ("colour", bool)):
            if not isinstance(saved[name], kind):
                raise TypeError(f"a recipe's {name} must be a {kind.__name__}, got {saved[name]!r}")
        for name in ("size", "crop"):
            whole("recipe", name, saved[name], 1)
        return cls(**saved)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings in a form that JSON can hold."""
        return asdict(self) | {"lr_drops": list(self.lr_drops)}

    @property
    def model(self) -> str:
        """The command line's name of the network."""
        return str(self.config["model"]).replace("_", "-")

    def explanation(self, images: int, asked: bool) -> str:
        """Say which recipe this is, why, and what is in it, for a run with this many training images.

        Parameters
        ----------
        images : int
        asked : bool
            Whether the user asked for this recipe.
        """
        why = "--recipe" if asked else f"{images:,} training images, {self.steps(images):,} steps an epoch"
        papers = self.config.get("variant") in ("paper", "merged")
        init = self.config.get("init") or ("the paper's" if papers else "its own")
        rate = {
            "plateau": f"of {self.lr:g}, divided by ten when errors stop falling",
            "epochs": f"of {self.lr:g}, divided by ten after epochs {', '.join(map(str, self.lr_drops)) or 'none'}",
            "one-cycle": f"that rises to {self.lr:g} in the first tenth and falls to 0",
        }[self.schedule]
        length = "1 epoch" if self.epochs == 1 else f"{self.epochs} epochs"
        what = f"initial weights {init}, {self.inputs} pixels, batches of {self.batch_size}, {length}"
        return f"Recipe: {self.recipe} ({why}): {what} with a learning rate {rate}"

    def differences(self, model: str | None, switches: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
        """Describe where the given settings differ from this recipe. The number of epochs may differ."""
        pairs: list[tuple[str, Any, Any]] = [("model", self.model, model)] if model is not None else []
        pairs += [(name, self.config.get(name), value) for name, value in switches.items()]
        pairs += [(name, getattr(self, name), value) for name, value in settings.items() if name != "epochs"]
        return [f"{name} was {before} and is {now} now" for name, before, now in pairs if before != now]

    def optimizer(self, network: Module) -> optim.SGD:
        """Return a new optimiser of the parameters that are not frozen."""
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        return optim.SGD(trained, self.lr, self.momentum, weight_decay=self.weight_decay, style=self.sgd)

    def steps(self, images: int) -> int:
        """Return the number of steps in an epoch of this many images."""
        return math.ceil(images / self.batch_size)

    def scheduled(self, optimizer: optim.SGD, images: int, done: int = 0) -> Schedule:
        """Return a new schedule for this many training images, after `done` steps if it changes the rate in each."""
        if self.schedule == "plateau":
            return Plateau(optimizer, self.patience)
        if self.schedule == "epochs":
            return optim.MultiStepLR(optimizer, self.lr_drops)
        total = self.epochs * self.steps(images)
        schedule = optim.OneCycleLR(optimizer, self.lr, total, pct_start=RISE, cycle_momentum=False)
        if done:
            schedule.last_epoch = done - 1
            schedule.step()
        return schedule

    def transform(self, preparation: Preparation, colour: Any) -> Any:
        """Return the transform of the training batches."""
        if not self.augment:
            return lambda images, rng: preparation.prepare(images)
        return preparation.augmented(colour=colour if self.colour else None, padding=self.padding)
