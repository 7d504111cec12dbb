"""What to conclude from the curves of ReLU and tanh, in two sentences made from the numbers, whatever they are."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from minicnn.training.metrics import epochs_to_target

__all__ = ["conclusion"]

Curves = Sequence[Sequence[float]]  # errors by epoch, for each seed
Sooner = Literal["ReLU", "tanh", "neither", "unknown"]


class Wait(NamedTuple):
    """The epochs to the target in the median; if it is not reached, the epochs trained, a lower bound."""

    epochs: float
    reached: bool

    def __str__(self) -> str:
        return f"{self.epochs:g}" if self.reached else f"more than {self.epochs:g}"


def conclusion(curves: Mapping[str, Mapping[str, Curves]], target: float) -> str:
    """Say which activation learns sooner, and whether that depends on the inputs.

    Parameters
    ----------
    curves : mapping
        Training errors by epoch of each seed, by inputs ("raw" and "standardised") and activation ("relu" and "tanh").
    target : float
        The error, 0 to 1, to which the epochs are counted.

    Returns
    -------
    str
        Two sentences, each on a line; "" if no inputs have both activations.

    Examples
    --------
    >>> raw = {"relu": [[0.5, 0.2, 0.1, 0.1]], "tanh": [[0.6, 0.5, 0.4, 0.2]]}
    >>> conclusion({"raw": raw}, 0.25)[:88]
    'On raw pixels, ReLU learns sooner: to 25 % training error it takes 2 epochs, and tanh 4.'
    """
    pairs = {inputs: (each["relu"], each["tanh"]) for inputs, each in curves.items() if len(each) == 2}
    sooner = {inputs: _sooner(_wait(relu, target), _wait(tanh, target)) for inputs, (relu, tanh) in pairs.items()}
    said = []
    for inputs, (relu, tanh) in pairs.items():
        median = f" and in the median of {len(relu)} seeds" if len(relu) > 1 else ""
        said.append(f"On {inputs} pixels{median}, {_in_words(relu, tanh, target, sooner[inputs])}")
    if sooner.get("raw") == "ReLU" and sooner.get("standardised") in ("neither", "tanh"):
        said[-1] += "; so what slows tanh down is the size of its inputs"
    if len(said) == 1:
        said.append("Whether that depends on the size of the inputs, --resume --inputs both shows")
    return "\n".join(f"{sentence}." for sentence in said)


def _wait(runs: Curves, target: float) -> Wait:
    reached = [epochs_to_target(errors, target) for errors in runs]
    median = statistics.median(math.inf if epoch is None else epoch for epoch in reached)
    if median < math.inf:
        return Wait(median, True)
    return Wait(statistics.median(epoch or len(errors) for epoch, errors in zip(reached, runs, strict=True)), False)


def _sooner(relu: Wait, tanh: Wait) -> Sooner:
    """Return which is sooner, by more than an epoch and more than a fifth; "unknown" if only more epochs would tell."""
    if not relu.reached and not tanh.reached:
        return "unknown"
    relu_is_first = relu.reached and (not tanh.reached or relu.epochs <= tanh.epochs)
    first, second = (relu, tanh) if relu_is_first else (tanh, relu)
    if second.epochs > max(first.epochs + 1, 1.2 * first.epochs):
        return "ReLU" if relu_is_first else "tanh"
    return "neither" if second.reached else "unknown"


def _in_words(relu: Curves, tanh: Curves, target: float, sooner: Sooner) -> str:
    ours, theirs = _wait(relu, target), _wait(tanh, target)
    error = f"{100 * target:g} % training error"
    if not ours.reached and not theirs.reached:
        last = [f"{100 * statistics.mean(errors[-1] for errors in runs):.1f} %" for runs in (relu, tanh)]
        return f"neither reaches {error}: the last epoch has {last[0]} with ReLU and {last[1]} with tanh"
    if sooner == "ReLU":
        return f"ReLU learns sooner: to {error} it takes {_count(ours)}, and tanh {theirs}"
    if sooner == "tanh":
        return f"tanh learns sooner: to {error} it takes {_count(theirs)}, and ReLU {ours}"
    what = "the two are about level" if sooner == "neither" else "these epochs do not say which learns sooner"
    return f"{what}: to {error} ReLU takes {_count(ours)}, and tanh {theirs}"


def _count(wait: Wait) -> str:
    return f"{wait} epoch{'' if wait == Wait(1, True) else 's'}"
