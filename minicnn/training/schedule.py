"""The paper's learning rate schedule: divide by ten when the validation error stops improving."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from minicnn.arguments import number, whole
from minicnn.optim import Optimizer

__all__ = ["Plateau"]


class Plateau:
    """Divide the learning rate by ten when the validation error has not improved for some epochs.

    The authors did so by hand, three times, and then ended training.

    Parameters
    ----------
    optimizer : Optimizer
        Its parameter groups' learning rates are changed.
    patience : int
        Divide after this many epochs in a row without a new lowest error.
    drops : int
        How often to divide. Instead of dividing once more, the schedule ends training.

    Attributes
    ----------
    finished : bool
        Whether training is to end.

    References
    ----------
    Krizhevsky et al. 2012, section 5.

    Examples
    --------
    >>> from minicnn import nn, optim
    >>> optimizer = optim.SGD(nn.Linear(4, 2).parameters(), lr=0.5)
    >>> schedule = Plateau(optimizer, patience=2, drops=1)
    >>> for error in (0.3, 0.2, 0.2, 0.25, 0.1):
    ...     schedule.step(error)
    ...     print(optimizer.param_groups[0]["lr"])
    0.5
    0.5
    0.5
    0.05
    0.05
    """

    def __init__(self, optimizer: Optimizer, patience: int = 3, drops: int = 3) -> None:
        self.optimizer = optimizer
        self.patience = whole("Plateau", "patience", patience, 1)
        self.drops = whole("Plateau", "drops", drops, 0)
        self.lowest, self.waited, self.dropped, self.finished = math.inf, 0, 0, False

    def step(self, error: float) -> None:
        """Finish an epoch that ended with this validation error."""
        if error < self.lowest:
            self.lowest, self.waited = error, 0
            return
        self.waited += 1
        if self.waited < self.patience:
            return
        if self.dropped == self.drops:
            self.finished = True
            return
        self.waited, self.dropped = 0, self.dropped + 1
        for group in self.optimizer.param_groups:
            group["lr"] *= 0.1

    def state_dict(self) -> dict[str, Any]:
        """Return everything except the optimiser, whose own state has the learning rates."""
        return {name: value for name, value in vars(self).items() if name != "optimizer"}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned; ValueError if it comes from another kind of schedule."""
        if set(state_dict) != set(self.state_dict()):
            raise ValueError(
                f"Plateau.load_state_dict: state_dict must have the keys {sorted(self.state_dict())}, "
                f"got {sorted(state_dict)}"
            )
        for name in ("patience", "drops", "waited", "dropped"):
            whole("Plateau.load_state_dict", name, state_dict[name], 0)
        number("Plateau.load_state_dict", "lowest", state_dict["lowest"])
        if not isinstance(state_dict["finished"], bool):
            raise TypeError(f"Plateau.load_state_dict: finished must be a bool, got {state_dict['finished']!r}")
        vars(self).update(state_dict)
