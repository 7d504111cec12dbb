"""Schedules, which lower the learning rate between epochs."""

from collections.abc import Iterable, Mapping
from typing import Any

from minicnn.arguments import not_negative, whole
from minicnn.optim.optimizer import Optimizer

__all__ = ["LRScheduler", "MultiStepLR", "StepLR"]


class LRScheduler:
    """Base class of the schedules: ``step()``, called after each epoch, multiplies each group's lr by a factor.

    A subclass returns the factor for an epoch in ``_factor``.

    Parameters
    ----------
    optimizer : Optimizer
        Its learning rates are changed.
    gamma : float
        The base of the factors, 0 or more.

    Attributes
    ----------
    last_epoch : int
        How many times ``step()`` was called.
    """

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(self).__name__}: optimizer must be an Optimizer, got {optimizer!r}")
        self.optimizer = optimizer
        self.gamma = not_negative(type(self).__name__, "gamma", gamma)
        self.last_epoch = 0

    def _factor(self, epoch: int) -> float:
        raise NotImplementedError(f"{type(self).__name__} does not define _factor")

    def step(self) -> None:
        """Advance to the next epoch."""
        self.last_epoch += 1
        for group in self.optimizer.param_groups:
            group["lr"] *= self._factor(self.last_epoch)

    def get_last_lr(self) -> list[float]:
        """Return each group's learning rate."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return everything except the optimiser, whose own state has the learning rates."""
        return {name: value for name, value in vars(self).items() if name != "optimizer"}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Raises
        ------
        ValueError
            If `state_dict` comes from another kind of schedule.
        """
        expected = set(self.state_dict())
        if set(state_dict) != expected:
            raise ValueError(
                f"{type(self).__name__}.load_state_dict: state_dict must have the keys {sorted(expected)}, "
                f"got {sorted(state_dict)}"
            )
        vars(self).update(state_dict)


class StepLR(LRScheduler):
    """Multiply the learning rate by `gamma` every `step_size` epochs.

    Parameters
    ----------
    optimizer : Optimizer
        Its learning rates are changed.
    step_size : int
        At least 1.
    gamma : float
        0 or more.

    Examples
    --------
    >>> from minicnn import nn, optim
    >>> optimizer = optim.SGD(nn.Linear(4, 2).parameters(), lr=0.5)
    >>> schedule = optim.StepLR(optimizer, step_size=2)
    >>> for epoch in range(4):
    ...     schedule.step()
    ...     print(schedule.get_last_lr())
    [0.5]
    [0.05]
    [0.05]
    [0.005000000000000001]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        super().__init__(optimizer, gamma)
        self.step_size = whole("StepLR", "step_size", step_size, 1)

    def _factor(self, epoch: int) -> float:
        return self.gamma if epoch % self.step_size == 0 else 1.0


class MultiStepLR(LRScheduler):
    """Multiply the learning rate by `gamma` at each of the given epochs. The paper divides it by ten, three times.

    Parameters
    ----------
    optimizer : Optimizer
        Its learning rates are changed.
    milestones : iterable of int
        Epochs from 1; an epoch that is listed twice counts twice.
    gamma : float
        0 or more.

    References
    ----------
    Krizhevsky et al. 2012, section 5.
    """

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1) -> None:
        super().__init__(optimizer, gamma)
        if not isinstance(milestones, Iterable):
            raise TypeError(f"MultiStepLR: milestones must be a list of integers, got {milestones!r}")
        self.milestones = [whole("MultiStepLR", "milestones", epoch, 1) for epoch in milestones]

    def _factor(self, epoch: int) -> float:
        return self.gamma ** self.milestones.count(epoch)
