"""The base class of all optimisers: parameters in groups, the state kept for each, saving and loading."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from minicnn.arguments import only, writeable
from minicnn.autograd import Tensor, mark_written
from minicnn.backend import Array, asnumpy, device_of, on_device_of, same_device, to_device

__all__ = ["Optimizer", "Ready"]

Ready = tuple[Tensor, Array, dict[str, Any]]  # a parameter, its gradient, and what is kept for it


class Optimizer:
    """Base class of the optimisers: parameters in groups, and a state kept for each parameter.

    A subclass updates one parameter in ``_update``, checks a group's settings in ``_check``, and names what it keeps
    for each parameter in ``state_names``.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        The parameters; or groups of them, each a dict with the parameters under "params" and the settings that differ
        from `defaults`.
    defaults : dict
        The settings of a group that does not set them itself.

    Attributes
    ----------
    param_groups : list of dict
        The groups with all their settings, which may be changed between steps.
    state : dict
        For each parameter that has been updated, its state by name.
    """

    state_names: tuple[str, ...] = ()

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
        """Add a group of parameters with its own settings.

        Raises
        ------
        TypeError, ValueError
            If a setting is unknown or out of range, or a parameter is not a leaf tensor or is in a group already.
        """
        name = type(self).__name__
        if not isinstance(param_group, Mapping) or "params" not in param_group:
            raise TypeError(f"{name}: a group must be a dict with the key 'params', got {param_group!r}")
        unknown = [key for key in param_group if key != "params" and key not in self.defaults]
        if unknown:
            known = ", ".join(self.defaults)
            raise ValueError(f"{name}: the settings of a group must be among {known}, got {unknown[0]!r}")
        group = {**self.defaults, **param_group, "params": self._listed(param_group["params"])}
        self._check(group)
        seen = {id(parameter) for other in self.param_groups for parameter in other["params"]}
        for parameter in group["params"]:
            if not isinstance(parameter, Tensor):
                raise TypeError(f"{name}: params must be tensors, such as net.parameters(), got {parameter!r}")
            if parameter.creator is not None:
                maker = type(parameter.creator).__name__
                raise ValueError(f"{name}: params must be leaves, got a tensor computed by {maker}")
            if id(parameter) in seen:
                raise ValueError(f"{name}: params must be distinct, got one of shape {parameter.shape} twice")
            seen.add(id(parameter))
        self.param_groups.append(group)

    def _listed(self, params: Any) -> list[Any]:
        name = type(self).__name__
        if isinstance(params, Tensor):
            return [params]
        if isinstance(params, (set, frozenset, str, Mapping)) or not isinstance(params, Iterable):
            kind = type(params).__name__
            raise TypeError(f"{name}: params must be a sequence of tensors or of dicts, got a {kind}")
        listed = list(params)
        if not listed:
            raise ValueError(f"{name}: params must have at least one parameter, got none")
        return listed

    def _check(self, group: Mapping[str, Any]) -> None:
        raise NotImplementedError(f"{type(self).__name__} does not define _check")

    def _update(self, parameter: Tensor, gradient: Array, group: Mapping[str, Any], state: dict[str, Any]) -> None:
        raise NotImplementedError(f"{type(self).__name__} does not define _update")

    def _update_group(self, ready: Sequence[Ready], group: Mapping[str, Any]) -> None:
        """Update the parameters of a group, one by one; a subclass may take several at once."""
        for parameter, gradient, state in ready:
            with on_device_of(parameter.data):
                self._update(parameter, gradient, group, state)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set ``grad`` of all parameters to None."""
        only("zero_grad", "set_to_none", set_to_none, True)
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient.

        Raises
        ------
        ValueError
            If the shapes of a parameter and its gradient differ, or the parameter's array is read-only.
        TypeError
            If a parameter is on another device than its gradient or its state.
        """
        for group in self.param_groups:
            ready: list[Ready] = []
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                if gradient.shape != parameter.shape:
                    raise ValueError(
                        f"{type(self).__name__}: the gradient of a parameter must have its shape {parameter.shape}, "
                        f"got {gradient.shape}"
                    )
                writeable(type(self).__name__, "a parameter", parameter.data)
                state = self.state.setdefault(parameter, {})
                arrays = {key: value for key, value in state.items() if not isinstance(value, int)}
                same_device(type(self).__name__, parameter=parameter.data, gradient=gradient, **arrays)
                ready.append((parameter, gradient, state))
            self._update_group(ready, group)
            for parameter, _, _ in ready:
                mark_written(parameter, f"{type(self).__name__}.step")

    def state_dict(self) -> dict[str, Any]:
        """Return all settings and the state, with parameters replaced by their positions, as PyTorch does.

        Returns
        -------
        dict
            "state": for each position a dict of NumPy copies (and of counters); "param_groups": the settings.
        """
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        positions = {id(parameter): position for position, parameter in enumerate(parameters)}
        groups = [
            {**group, "params": [positions[id(parameter)] for parameter in group["params"]]}
            for group in self.param_groups
        ]
        state = {
            positions[id(parameter)]: {name: _copied(value) for name, value in kept.items()}
            for parameter, kept in self.state.items()
            if kept
        }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned, so that training resumes exactly. On an error nothing changes.

        Raises
        ------
        TypeError, ValueError
            If `state_dict` comes from another kind of optimiser, or from one with other parameters.
        """
        name = f"{type(self).__name__}.load_state_dict"
        if not isinstance(state_dict, Mapping) or set(state_dict) != {"state", "param_groups"}:
            raise ValueError(f"{name}: state_dict must be a dict with the keys 'state' and 'param_groups'")
        sizes = [len(group["params"]) for group in self.param_groups]
        found = [len(group["params"]) for group in state_dict["param_groups"]]
        if sizes != found:
            raise ValueError(f"{name}: param_groups must have {sizes} parameters, got {found}")
        groups: list[dict[str, Any]] = []
        by_position: dict[int, Tensor] = {}
        for ours, theirs in zip(self.param_groups, state_dict["param_groups"], strict=True):
            if set(theirs) != set(ours):
                raise ValueError(f"{name}: a group must have the keys {sorted(ours)}, got {sorted(theirs)}")
            self._check(theirs)
            groups.append({**theirs, "params": ours["params"]})
            by_position.update(zip(theirs["params"], ours["params"], strict=True))
        state: dict[Tensor, dict[str, Any]] = {}
        for position, kept in state_dict["state"].items():
            if position not in by_position:
                raise ValueError(f"{name}: the keys of state must be positions of parameters, got {position!r}")
            if set(kept) != set(self.state_names):
                raise ValueError(f"{name}: state {position} must have {self.state_names}, got {sorted(kept)}")
            parameter = by_position[position]
            for key, value in kept.items():
                if not isinstance(value, int) and np.shape(value) != parameter.shape:
                    raise ValueError(
                        f"{name}: {key} of parameter {position} must have the parameter's shape {parameter.shape}, "
                        f"got {np.shape(value)}"
                    )
            device = device_of(parameter.data)
            state[parameter] = {key: _copied(value, device) for key, value in kept.items()}
        self.param_groups, self.state = groups, state

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__}("]
        for group in self.param_groups:
            settings = ", ".join(f"{key}={group[key]!r}" for key in self.defaults)
            lines.append(f"  {len(group['params'])} parameters: {settings}")
        return "\n".join([*lines, ")"])


def _copied(value: Any, device: str = "cpu") -> Any:
    """Return a copy of an array on a device; a counter unchanged."""
    return value if isinstance(value, int) else to_device(np.array(asnumpy(value)), device)
