"""Optimisers, which turn gradients into better parameters, and schedules, which lower the learning rate."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from minicnn import kernels
from minicnn.arguments import number, whole
from minicnn.autograd import Tensor
from minicnn.backend import Array, asnumpy, device_of, get_array_module, on_device_of, same_device, split, to_device

__all__ = ["SGD", "Adam", "LRScheduler", "MultiStepLR", "Optimizer", "StepLR"]


class Optimizer:
    """What SGD and Adam have in common: parameters in groups, and memories kept for each parameter.

    A subclass says how one parameter changes in ``_update``, which settings are sound in ``_check``, and what
    it keeps for a parameter in ``memories``.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        The parameters; or groups of them, each a dict with the parameters under "params" and those settings
        in which the group departs from `defaults`.
    defaults : dict
        The settings of a group that says nothing else.

    Attributes
    ----------
    param_groups : list of dict
        The groups with all their settings, which may be changed between steps.
    state : dict
        For each parameter that has been updated, its memories by name.
    """

    memories: tuple[str, ...] = ()

    def __init__(self, params: Iterable[Tensor] | Iterable[dict[str, Any]], defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Tensor, dict[str, Any]] = {}
        groups = self._listed(params)
        if not isinstance(groups[0], Mapping):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add a group of parameters with settings of its own.

        Raises
        ------
        TypeError, ValueError
            If a setting is unknown or unsound, or a parameter is no leaf tensor or is in a group already.
        """
        name = type(self).__name__
        if not isinstance(param_group, Mapping) or "params" not in param_group:
            raise TypeError(f"{name}: a group must be a dict with the key 'params', got {param_group!r}")
        unknown = [key for key in param_group if key != "params" and key not in self.defaults]
        if unknown:
            known = ", ".join(self.defaults)
            raise ValueError(f"{name}: a group has the unknown setting {unknown[0]!r}; known: {known}")
        group = {**self.defaults, **param_group, "params": self._listed(param_group["params"])}
        self._check(group)
        seen = {id(parameter) for other in self.param_groups for parameter in other["params"]}
        for parameter in group["params"]:
            if not isinstance(parameter, Tensor):
                raise TypeError(f"{name}: params must be tensors, as net.parameters() has, got {parameter!r}")
            if parameter.creator is not None:
                maker = type(parameter.creator).__name__
                raise ValueError(f"{name}: params must be leaves, got a tensor that was computed by {maker}")
            if id(parameter) in seen:
                raise ValueError(f"{name}: a parameter of shape {parameter.shape} is in params twice")
            seen.add(id(parameter))
        self.param_groups.append(group)

    def _listed(self, params: Any) -> list[Any]:
        name = type(self).__name__
        if isinstance(params, Tensor):
            return [params]
        if isinstance(params, (set, frozenset, str, Mapping)) or not isinstance(params, Iterable):
            kind = type(params).__name__
            raise TypeError(f"{name}: params must be tensors in an order, or dicts of them, got a {kind}")
        listed = list(params)
        if not listed:
            raise ValueError(f"{name}: params is empty; there is nothing to optimise")
        return listed

    def _check(self, group: Mapping[str, Any]) -> None:
        raise NotImplementedError(f"{type(self).__name__} does not define _check")

    def _update(self, parameter: Tensor, gradient: Array, group: Mapping[str, Any], state: dict[str, Any]) -> None:
        raise NotImplementedError(f"{type(self).__name__} does not define _update")

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters: each ``grad`` becomes None."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def step(self) -> None:
        """Change every parameter that has a gradient.

        Raises
        ------
        ValueError
            If a gradient has another shape than its parameter.
        TypeError
            If a parameter was moved to another device than its gradient, or than what is remembered of it.
        """
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                if gradient.shape != parameter.shape:
                    raise ValueError(
                        f"{type(self).__name__}: a parameter of shape {parameter.shape} has a gradient of "
                        f"shape {gradient.shape}"
                    )
                state = self.state.setdefault(parameter, {})
                memories = {key: value for key, value in state.items() if not isinstance(value, int)}
                same_device(type(self).__name__, parameter=parameter.data, gradient=gradient, **memories)
                with on_device_of(parameter.data):
                    self._update(parameter, gradient, group, state)

    def state_dict(self) -> dict[str, Any]:
        """Return all settings and memories, parameters being replaced by their numbers in order.

        Returns
        -------
        dict
            "state": for each number a dict of NumPy copies (and of counters); "param_groups": the settings.
        """
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        numbers = {id(parameter): position for position, parameter in enumerate(parameters)}
        groups = [
            {**group, "params": [numbers[id(parameter)] for parameter in group["params"]]}
            for group in self.param_groups
        ]
        state = {
            numbers[id(parameter)]: {name: _copied(value) for name, value in memories.items()}
            for parameter, memories in self.state.items()
            if memories
        }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on exactly where the optimiser that wrote `state_dict` stood; on an error, change nothing.

        Raises
        ------
        TypeError, ValueError
            If `state_dict` comes from another kind of optimiser, or one of other parameters.
        """
        name = f"{type(self).__name__}.load_state_dict"
        if not isinstance(state_dict, Mapping) or set(state_dict) != {"state", "param_groups"}:
            raise ValueError(f"{name}: state_dict must be a dict with the keys 'state' and 'param_groups'")
        sizes = [len(group["params"]) for group in self.param_groups]
        found = [len(group["params"]) for group in state_dict["param_groups"]]
        if sizes != found:
            raise ValueError(f"{name}: param_groups hold {found} parameters, this optimiser's hold {sizes}")
        groups: list[dict[str, Any]] = []
        by_number: dict[int, Tensor] = {}
        for ours, theirs in zip(self.param_groups, state_dict["param_groups"], strict=True):
            if set(theirs) != set(ours):
                raise ValueError(f"{name}: each group must have the keys {sorted(ours)}, got {sorted(theirs)}")
            self._check(theirs)
            groups.append({**theirs, "params": ours["params"]})
            by_number.update(zip(theirs["params"], ours["params"], strict=True))
        state: dict[Tensor, dict[str, Any]] = {}
        for position, memories in state_dict["state"].items():
            if position not in by_number:
                raise ValueError(f"{name}: state {position!r} belongs to no parameter")
            if set(memories) != set(self.memories):
                raise ValueError(f"{name}: state {position} must have {self.memories}, got {sorted(memories)}")
            parameter = by_number[position]
            for key, value in memories.items():
                if not isinstance(value, int) and np.shape(value) != parameter.shape:
                    raise ValueError(
                        f"{name}: {key} of parameter {position} has shape {np.shape(value)}, "
                        f"the parameter has {parameter.shape}"
                    )
            device = device_of(parameter.data)
            state[parameter] = {key: _copied(value, device) for key, value in memories.items()}
        self.param_groups, self.state = groups, state

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__}("]
        for group in self.param_groups:
            settings = ", ".join(f"{key}={group[key]!r}" for key in self.defaults)
            lines.append(f"  {len(group['params'])} parameters: {settings}")
        return "\n".join([*lines, ")"])


_WORTH_SPLITTING = 1 << 20  # parameters: one core updates so many in about half a millisecond


class SGD(Optimizer):
    """Stochastic gradient descent with momentum and weight decay.

    For a weight w with gradient g, learning rate lr, momentum m and weight decay d, each step is

        PyTorch's style:  v <- m v + (g + d w)       w <- w - lr v
        with Nesterov:    v <- m v + (g + d w)       w <- w - lr (g + d w + m v)
        the paper's:      v <- m v - lr (g + d w)    w <- w + v

    with v zero at first. Without Nesterov they move w alike while lr is constant. When lr is lowered the
    paper's v still carries the old, larger steps for some time; PyTorch's steps become smaller at once.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        The parameters; or groups of them with settings of their own, such as
        ``[{"params": weights}, {"params": biases, "lr": 0.002, "weight_decay": 0}]``.
    lr : float
        The learning rate, 0 or more.
    momentum : float
        How much of v stays from step to step, 0 or more.
    weight_decay : float
        How strongly weights are drawn to 0, 0 or more.
    nesterov : bool
        Nesterov's momentum; PyTorch's style only.
    style : {"pytorch", "paper"}
        Whether the learning rate stands outside or inside the velocity.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, its value and what is accepted.

    References
    ----------
    Krizhevsky et al. 2012, section 5: lr 0.01, momentum 0.9, weight decay 0.0005.

    Examples
    --------
    >>> from minicnn import nn, optim
    >>> net = nn.Linear(4, 2)
    >>> optimizer = optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=0.0005, style="paper")
    """

    memories = ("momentum_buffer",)

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        style: str = "pytorch",
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "style": style,
        }
        super().__init__(params, defaults)

    def _check(self, group: Mapping[str, Any]) -> None:
        for name in ("lr", "momentum", "weight_decay"):
            _not_negative("SGD", name, group[name])
        if group["style"] not in ("pytorch", "paper"):
            raise ValueError(f"SGD: style must be 'pytorch' or 'paper', got {group['style']!r}")
        if group["nesterov"] and (group["momentum"] == 0 or group["style"] == "paper"):
            raise ValueError(
                "SGD: nesterov=True needs a momentum above 0 and style='pytorch', got "
                f"momentum={group['momentum']} and style={group['style']!r}"
            )

    def _update(self, parameter: Tensor, gradient: Array, group: Mapping[str, Any], state: dict[str, Any]) -> None:
        xp = get_array_module(parameter.data)
        if group["momentum"] and "momentum_buffer" not in state:
            state["momentum_buffer"] = xp.zeros_like(parameter.data, order="C")
        # reshape of anything but a contiguous array would be a copy, and the step would be lost
        parameter.data = xp.asarray(parameter.data, order="C")
        w, g = parameter.data.reshape(-1), gradient.reshape(-1)
        v = state["momentum_buffer"].reshape(-1) if group["momentum"] else None
        # plain floats and bools, whatever kinds of number the group holds: a kernel is compiled for each kind
        lr, momentum, decay = (float(group[name]) for name in ("lr", "momentum", "weight_decay"))
        nesterov, paper = bool(group["nesterov"]), group["style"] == "paper"

        def update(i: int, j: int) -> None:
            kernels.sgd_step(w[i:j], g[i:j], None if v is None else v[i:j], lr, momentum, decay, nesterov, paper)

        if w.size < _WORTH_SPLITTING:
            update(0, w.size)
        else:
            split(xp, w.size, update)


class Adam(Optimizer):
    """Adam: each number is moved by its gradient's running mean over the root of its running mean square.

    For a weight w with gradient g, in step t, with h = g + d w for the weight decay d,

        m <- b1 m + (1 - b1) h        v <- b2 v + (1 - b2) h^2
        w <- w - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)

    m and v start at zero and are therefore too small at first, which the divisions by 1 - b^t make up for.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        The parameters, or groups of them with settings of their own.
    lr : float
        The learning rate, 0 or more.
    betas : pair of float
        b1 and b2, from 0 to below 1.
    eps : float
        Keeps the division from blowing up where gradients are almost 0; 0 or more.
    weight_decay : float
        d, 0 or more.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, its value and what is accepted.

    References
    ----------
    Kingma and Ba 2015, "Adam: a method for stochastic optimization", algorithm 1.
    """

    memories = ("step", "exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def _check(self, group: Mapping[str, Any]) -> None:
        for name in ("lr", "eps", "weight_decay"):
            _not_negative("Adam", name, group[name])
        betas = group["betas"]
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise TypeError(f"Adam: betas must be a pair of numbers, got {betas!r}")
        if not all(0 <= number("Adam", "betas", beta) < 1 for beta in betas):
            raise ValueError(f"Adam: betas must be at least 0 and below 1, got {betas!r}")

    def _update(self, parameter: Tensor, gradient: Array, group: Mapping[str, Any], state: dict[str, Any]) -> None:
        xp = get_array_module(parameter.data)
        if not state:
            zeros = xp.zeros_like(parameter.data)
            state.update(step=0, exp_avg=zeros, exp_avg_sq=zeros.copy())
        state["step"] += 1
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        lr, eps, decay = (float(group[name]) for name in ("lr", "eps", "weight_decay"))
        b1, b2 = (float(beta) for beta in group["betas"])
        if decay:
            gradient = gradient + decay * parameter.data
        mean *= b1
        mean += (1 - b1) * gradient
        square *= b2
        square += (1 - b2) * gradient * gradient
        root = xp.sqrt(square) / math.sqrt(1 - b2 ** state["step"]) + eps
        parameter.data -= lr / (1 - b1 ** state["step"]) * mean / root


# --- schedules ----------------------------------------------------------------------------------------------


class LRScheduler:
    """What the schedules have in common: ``step()``, called after each epoch, multiplies each group's lr.

    A subclass returns the factor for an epoch in ``_factor``.

    Parameters
    ----------
    optimizer : Optimizer
        Whose learning rates change.
    gamma : float
        What the subclass makes its factors of.

    Attributes
    ----------
    last_epoch : int
        How often ``step()`` was called.
    """

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(self).__name__}: optimizer must be an Optimizer, got {optimizer!r}")
        self.optimizer = optimizer
        self.gamma = _not_negative(type(self).__name__, "gamma", gamma)
        self.last_epoch = 0

    def _factor(self, epoch: int) -> float:
        raise NotImplementedError(f"{type(self).__name__} does not define _factor")

    def step(self) -> None:
        """Go to the next epoch."""
        self.last_epoch += 1
        for group in self.optimizer.param_groups:
            group["lr"] *= self._factor(self.last_epoch)

    def get_last_lr(self) -> list[float]:
        """Return each group's learning rate."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return everything but the optimiser, which keeps the learning rates in its own state."""
        return {name: value for name, value in vars(self).items() if name != "optimizer"}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned.

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
        Whose groups are changed.
    step_size : int
        At least 1.
    gamma : float
        0 or more.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, its value and what is accepted.

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
    """Multiply the learning rate by `gamma` at each given epoch. The paper divides it by ten, three times.

    Parameters
    ----------
    optimizer : Optimizer
        Whose groups are changed.
    milestones : iterable of int
        Epochs from 1; one that is named twice counts twice.
    gamma : float
        0 or more.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, its value and what is accepted.

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


def _not_negative(owner: str, name: str, value: Any) -> float:
    value = number(owner, name, value)
    if not (0 <= value < math.inf):
        raise ValueError(f"{owner}: {name} must be 0 or more, and finite, got {value}")
    return value


def _copied(value: Any, device: str = "cpu") -> Any:
    """Return a copy of an array on a device; a number as it is."""
    return value if isinstance(value, int) else to_device(np.array(asnumpy(value)), device)
