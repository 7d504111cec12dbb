"""What a training run is made of: every setting that has a part in its numbers, and the paper's values for them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

from minicnn import models, nn, optim
from minicnn.arguments import number, probability, whole
from minicnn.data import Preparation, sources
from minicnn.data.preparation import INPUTS
from minicnn.nn import Module
from minicnn.training.loop import TrainingError
from minicnn.training.schedule import Plateau

__all__ = ["MODELS", "Recipe", "refusing"]

MODELS = {name.replace("_", "-"): name for name in models.MODELS}  # as the command line calls them

SIDE = 32  # of the pictures of CIFAR-10 and of the drawn shapes


@contextmanager
def refusing() -> Iterator[None]:
    """Turn the errors that name an argument into what the command line shows in one line."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise TrainingError(str(error)) from error


@dataclass(frozen=True)
class Recipe:
    """The settings of a run. Two runs with the same ones, on the same pictures, have the same numbers.

    Attributes
    ----------
    config : dict
        The network's, for :func:`minicnn.models.build`.
    data : str
        "cifar10", "shapes", or a folder.
    limit : int or None
        Use so many training and test pictures only.
    validation : float
        The share of the training pictures that is held back for validation.
    seed : int
        Of first weights, dropout, the order of the pictures, what happens to them, and the choice for validation.
    inputs : {"raw", "standardised"}
        How pixels are scaled, see :meth:`Preparation.fit`.
    size, crop : int
        The sides of the pictures, and of what the network sees of them.
    augment : bool
        Vary each picture at random: a crop, a mirror image and, if so set, the two below. Section 4.1.
    colour : bool
        Shift colours along the principal components of the training set's. Section 4.1.
    padding : int
        Widen pictures by so many grey pixels on each side before they are cropped.
    batch_size : int
    lr, momentum, weight_decay : float
        See :class:`minicnn.optim.SGD`. Section 5.
    sgd : {"paper", "pytorch"}
        Whether the learning rate stands inside the velocity or outside.
    schedule : {"plateau", "epochs"}
        When the learning rate is divided by ten: see :class:`Plateau`, or after certain epochs.
    patience : int
        For "plateau".
    lr_drops : tuple of int
        The epochs for "epochs".
    epochs : int
        The length of the run, at most.
    """

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "inputs": INPUTS,
        "sgd": ("paper", "pytorch"),
        "schedule": ("plateau", "epochs"),
    }

    config: dict[str, Any]
    data: str
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "lr_drops", tuple(self.lr_drops))  # JSON made it a list
        leasts = (("seed", 0), ("padding", 0), ("batch_size", 1), ("patience", 1), ("epochs", 1))
        for name, least in leasts:
            whole("train", name, getattr(self, name), least)
        if self.limit is not None:
            whole("train", "limit", self.limit, 2)
        for epoch in self.lr_drops:
            whole("train", "lr_drops", epoch, 1)
        if self.lr_drops and self.schedule != "epochs":
            raise ValueError(f"train: lr_drops {self.lr_drops} belong to schedule epochs, got {self.schedule!r}")
        if not 0 < probability("train", "validation", self.validation) < 1:
            raise ValueError(f"train: validation must be between 0 and 1, got {self.validation}")
        if not 0 < number("train", "lr", self.lr) < math.inf:
            raise ValueError(f"train: lr must be above 0 and finite, got {self.lr}")
        for name, accepted in self.CHOICES.items():
            if getattr(self, name) not in accepted:
                raise ValueError(f"train: {name} must be one of {', '.join(accepted)}, got {getattr(self, name)!r}")

    @classmethod
    def new(cls, model: str, data: str, switches: Mapping[str, Any], settings: Mapping[str, Any]) -> Self:
        """Fill up what is given with the values of the paper, or what suits small pictures.

        Parameters
        ----------
        model : str
            A key of `MODELS`.
        data : str
            See above.
        switches : mapping
            Arguments of the model.
        settings : mapping
            Some of the attributes above.

        Raises
        ------
        TrainingError
            Naming the argument, its value and what is accepted.
        """
        if model not in MODELS:
            raise TrainingError(f"train: model must be one of {', '.join(MODELS)}, got {model!r}")
        with refusing():
            with nn.init.skip_arrays():
                config = models.build({"model": MODELS[model], **switches}).config
            in_size = config.get("in_size", SIDE)
            crop = 224 if (model, in_size) == ("alexnet", 227) else in_size  # the network pads it: section 3.5
            small = crop <= SIDE
            folder = data not in sources.NAMES
            if not small and not folder:
                raise TrainingError(
                    f"train: {model} takes pictures of {crop}x{crop}, those of {data} have {SIDE}x{SIDE}; "
                    f"choose alexnet-cifar, or a folder of larger pictures"
                )
            # The paper's first weights are made for pixels of 0 to 255.
            as_in_2012 = config.get("variant") in ("paper", "merged") and config["init"] is None
            defaults: dict[str, Any] = {
                "limit": None,
                "validation": 0.1,
                "seed": 0,
                "inputs": "raw" if as_in_2012 else "standardised",
                "augment": True,
                "colour": folder,
                "padding": 4 if crop == SIDE else 0,
                "batch_size": 128,
                "lr": 0.01,
                "momentum": 0.9,
                "weight_decay": 0.0005,
                "sgd": "paper",
                "schedule": "plateau" if settings.get("lr_drops") is None else "epochs",
                "patience": 3,
                "lr_drops": (),
                "epochs": 90 if model == "alexnet" else 20,
            }
            # The paper's 224 of 256 is room for crops; 28 of 32 is as much.
            size = SIDE if small else round(crop * 8 / 7)
            return cls(config=config, data=data, size=size, crop=crop, **{**defaults, **settings})

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """Return what :meth:`as_dict` was called on; a TypeError or ValueError says what is wrong with `saved`."""
        if set(saved) != {field.name for field in fields(cls)}:
            raise ValueError(f"a recipe has the settings {', '.join(sorted(saved))}")
        return cls(**saved)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON can hold them."""
        return asdict(self) | {"lr_drops": list(self.lr_drops)}

    @property
    def model(self) -> str:
        """What the command line calls the network."""
        return str(self.config["model"]).replace("_", "-")

    def differences(self, model: str | None, switches: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
        """Tell in which of the given settings another run would differ from this one, but for its length."""
        pairs: list[tuple[str, Any, Any]] = [("model", self.model, model)] if model is not None else []
        pairs += [(name, self.config.get(name), value) for name, value in switches.items()]
        pairs += [(name, getattr(self, name), value) for name, value in settings.items() if name != "epochs"]
        return [f"{name} was {before} and is {now} now" for name, before, now in pairs if before != now]

    def optimizer(self, network: Module) -> tuple[optim.SGD, Plateau | optim.MultiStepLR]:
        """Return a new optimiser of the network's parameters, and the schedule of its learning rate."""
        optimizer = optim.SGD(network.parameters(), self.lr, self.momentum, self.weight_decay, style=self.sgd)
        if self.schedule == "plateau":
            return optimizer, Plateau(optimizer, self.patience)
        return optimizer, optim.MultiStepLR(optimizer, self.lr_drops)

    def transform(self, preparation: Preparation, colour: Any) -> Any:
        """Return what happens to the pictures of a batch in training."""
        if not self.augment:
            return lambda images, rng: preparation.prepare(images)
        return preparation.augmented(colour=colour if self.colour else None, padding=self.padding)
