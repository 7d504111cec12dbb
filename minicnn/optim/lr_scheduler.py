"""Schedules, which change the learning rate between epochs or steps."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from minicnn.arguments import not_negative, number, one_of, only, probability, switch, whole
from minicnn.optim.optimizer import Optimizer

__all__ = ["CosineAnnealingLR", "LRScheduler", "MultiStepLR", "OneCycleLR", "ReduceLROnPlateau", "StepLR"]


class LRScheduler:
    """Base class of the schedules: ``step()``, called after each epoch, changes each group's lr.

    A subclass computes a group's next rate from its present one in ``_rate``, so that several schedules can act on one
    optimiser, and changes made by hand stay.

    Parameters
    ----------
    optimizer : Optimizer
        Its learning rates are changed.
    last_epoch : int
        Only -1: :meth:`load_state_dict` goes on with an earlier schedule.

    Attributes
    ----------
    last_epoch : int
        How many times ``step()`` was called.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(self).__name__}: optimizer must be an Optimizer, got {optimizer!r}")
        self.optimizer = optimizer
        only(type(self).__name__, "last_epoch", last_epoch, -1)
        self.last_epoch = 0

    def _rate(self, position: int, lr: float) -> float:
        """Return the rate in epoch `self.last_epoch` of the group at this position, whose rate so far is `lr`."""
        raise NotImplementedError(f"{type(self).__name__} does not define _rate")

    def step(self) -> None:
        """Advance to the next epoch."""
        self.last_epoch += 1
        for position, group in enumerate(self.optimizer.param_groups):
            group["lr"] = self._rate(position, group["lr"])

    def _for_each_group(self, name: str, value: Any) -> list[float]:
        """Return a number for each group: the same, or those of a list."""
        count = len(self.optimizer.param_groups)
        values = list(value) if isinstance(value, (list, tuple)) else [value] * count
        if len(values) != count:
            raise ValueError(f"{type(self).__name__}: {name} must be a number, or {count}, one a group, got {value!r}")
        return [not_negative(type(self).__name__, name, one) for one in values]

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
    last_epoch : int
        Only -1.

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

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        super().__init__(optimizer, last_epoch)
        self.gamma = not_negative("StepLR", "gamma", gamma)
        self.step_size = whole("StepLR", "step_size", step_size, 1)

    def _rate(self, position: int, lr: float) -> float:
        return lr * self.gamma if self.last_epoch % self.step_size == 0 else lr


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
    last_epoch : int
        Only -1.

    References
    ----------
    Krizhevsky et al. 2012, section 5.
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        super().__init__(optimizer, last_epoch)
        self.gamma = not_negative("MultiStepLR", "gamma", gamma)
        if not isinstance(milestones, Iterable):
            raise TypeError(f"MultiStepLR: milestones must be a list of integers, got {milestones!r}")
        self.milestones = [whole("MultiStepLR", "milestones", epoch, 1) for epoch in milestones]

    def _rate(self, position: int, lr: float) -> float:
        return lr * self.gamma ** self.milestones.count(self.last_epoch)


class CosineAnnealingLR(LRScheduler):
    """Lower the learning rate along half a cosine: from the first, lr_0, to `eta_min`.

    In epoch t it is eta_min + (lr_0 - eta_min) (1 + cos(pi t / T_max)) / 2.

    Parameters
    ----------
    optimizer : Optimizer
        Its learning rates are changed.
    T_max : int
        The epoch in which the rate is lowest; after it, it rises again.
    eta_min : float
        The lowest rate, 0 or more.
    last_epoch : int
        Only -1.

    References
    ----------
    Loshchilov and Hutter 2017, "SGDR: stochastic gradient descent with warm restarts", without the restarts.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        super().__init__(optimizer, last_epoch)
        self.T_max = whole("CosineAnnealingLR", "T_max", T_max, 1)
        self.eta_min = not_negative("CosineAnnealingLR", "eta_min", eta_min)
        self.base_lrs = self.get_last_lr()

    def _rate(self, position: int, lr: float) -> float:
        now, before = (1 + math.cos(math.pi * epoch / self.T_max) for epoch in (self.last_epoch, self.last_epoch - 1))
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:  # the rate before was the lowest: no ratio
            return lr + (self.base_lrs[position] - self.eta_min) * (1 - math.cos(math.pi / self.T_max)) / 2
        return now / before * (lr - self.eta_min) + self.eta_min


class ReduceLROnPlateau(LRScheduler):
    """Multiply the learning rate by `factor` when a measure has stopped improving, as the paper's authors did by hand.

    Parameters
    ----------
    optimizer : Optimizer
        Its learning rates are changed.
    mode : {"min", "max"}
        Whether a smaller or a larger measure is better.
    factor : float
        Below 1.
    patience : int
        How many epochs in a row without an improvement are accepted.
    threshold : float
        What counts as an improvement.
    threshold_mode : {"rel", "abs"}
        Whether the measure must be better by this share of the best one, or by this amount.
    cooldown : int
        For how many epochs after a change bad ones do not count.
    min_lr : float or list of float
        The lowest rate, of all groups or of each.
    eps : float
        A change that is not larger than this is left out.

    References
    ----------
    Krizhevsky et al. 2012, section 5: the validation error, and a factor of 0.1.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(optimizer)
        name = "ReduceLROnPlateau"
        self.mode = one_of(name, "mode", mode, ("min", "max"))
        self.factor = not_negative(name, "factor", factor)
        if self.factor >= 1:
            raise ValueError(f"{name}: factor must be below 1, got {factor}")
        self.patience, self.cooldown = whole(name, "patience", patience, 0), whole(name, "cooldown", cooldown, 0)
        self.threshold = not_negative(name, "threshold", threshold)
        self.threshold_mode = one_of(name, "threshold_mode", threshold_mode, ("rel", "abs"))
        self.min_lrs = self._for_each_group("min_lr", min_lr)
        self.eps = not_negative(name, "eps", eps)
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = 0

    def step(self, metrics: Any) -> None:  # type: ignore[override]  # as in PyTorch
        """Finish an epoch with this measure: a number, or a tensor of one."""
        value = float(metrics)
        self.last_epoch += 1
        self.best, self.num_bad_epochs = (value, 0) if self._better(value) else (self.best, self.num_bad_epochs + 1)
        if self.cooldown_counter > 0:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            for group, lowest in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
                lr = max(group["lr"] * self.factor, lowest)
                group["lr"] = lr if group["lr"] - lr > self.eps else group["lr"]

    def _better(self, value: float) -> bool:
        margin = self.threshold if self.mode == "min" else -self.threshold
        needed = self.best * (1 - margin) if self.threshold_mode == "rel" else self.best - margin
        return value < needed if self.mode == "min" else value > needed


class OneCycleLR(LRScheduler):
    """Raise the learning rate to a maximum, then lower it to almost 0, and move the momentum the other way.

    Called after each step, not after each epoch.

    Parameters
    ----------
    optimizer : Optimizer
        Its learning rates are changed, at once: to `max_lr` / `div_factor`.
    max_lr : float or list of float
        The highest rate, of all groups or of each.
    total_steps : int, optional
        How many steps there are; or `epochs` times `steps_per_epoch`.
    epochs, steps_per_epoch : int, optional
    pct_start : float
        The share of the steps in which the rate rises.
    anneal_strategy : {"cos", "linear"}
        Along half a cosine or a line.
    cycle_momentum : bool
        Whether the momentum changes, too: from `max_momentum` to `base_momentum` and back. Adam's is its first beta.
    base_momentum, max_momentum : float or list of float
    div_factor, final_div_factor : float
        The first rate is the highest one / `div_factor`; the last is the first / `final_div_factor`.
    three_phase : bool
        Lower the rate to the first one in as many steps as it rises, and only then to the last.
    last_epoch : int
        Only -1.

    References
    ----------
    Smith and Topin 2019, "Super-convergence: very fast training of neural networks using large learning rates".
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        super().__init__(optimizer, last_epoch)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: total_steps must be given, or both epochs and steps_per_epoch")
            steps = whole("OneCycleLR", "steps_per_epoch", steps_per_epoch, 1)
            total_steps = whole("OneCycleLR", "epochs", epochs, 1) * steps
        self.total_steps = whole("OneCycleLR", "total_steps", total_steps, 1)
        self.linear = one_of("OneCycleLR", "anneal_strategy", anneal_strategy, ("cos", "linear")) == "linear"
        self.cycle_momentum = switch("OneCycleLR", "cycle_momentum", cycle_momentum)
        high = self._for_each_group("max_lr", max_lr)
        first = [lr / number("OneCycleLR", "div_factor", div_factor) for lr in high]
        last = [lr / number("OneCycleLR", "final_div_factor", final_div_factor) for lr in first]
        most = self._for_each_group("max_momentum", max_momentum)
        least = self._for_each_group("base_momentum", base_momentum)
        rise = probability("OneCycleLR", "pct_start", pct_start) * self.total_steps - 1
        # the last step of each phase, and the rates and momenta between which it moves
        self.phases = [(rise, first, high, most, least), (self.total_steps - 1, high, last, least, most)]
        if switch("OneCycleLR", "three_phase", three_phase):
            back = 2 * rise
            self.phases[1:] = [(back, high, first, least, most), (self.total_steps - 1, first, last, most, most)]
        self._set()

    def _rate(self, position: int, lr: float) -> float:
        raise NotImplementedError("OneCycleLR sets rate and momentum together")

    def step(self) -> None:
        """Advance to the next step of the optimiser.

        Raises
        ------
        ValueError
            If there were more than `total_steps`.
        """
        if self.last_epoch == self.total_steps:
            raise ValueError(f"OneCycleLR: step must be called at most {self.total_steps} times, total_steps")
        self.last_epoch += 1
        self._set()

    def _set(self) -> None:
        ended = [phase[0] for phase in self.phases[:-1] if phase[0] < self.last_epoch]
        begin, (end, *phase) = max(ended, default=0.0), self.phases[len(ended)]
        share = (self.last_epoch - begin) / (end - begin)
        for position, group in enumerate(self.optimizer.param_groups):
            start, stop, momentum, other = (values[position] for values in phase)
            group["lr"] = self._between(start, stop, share)
            if self.cycle_momentum and "betas" in group:
                group["betas"] = (self._between(momentum, other, share), *group["betas"][1:])
            elif self.cycle_momentum:
                group["momentum"] = self._between(momentum, other, share)

    def _between(self, start: float, stop: float, share: float) -> float:
        if self.linear:
            return (stop - start) * share + start
        return stop + (start - stop) / 2 * (1 + math.cos(math.pi * share))
