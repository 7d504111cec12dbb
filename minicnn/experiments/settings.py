"""The settings of a study: which values are accepted, and how learning rates are settled."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from minicnn.arguments import number, whole

__all__ = ["check_settings", "settled_rates"]


def check_settings(study: str, settings: Mapping[str, Any], rates: Mapping[str, float | None]) -> None:
    """Raise ValueError or TypeError for a setting that no study accepts.

    Parameters
    ----------
    study : str
        Its name, for the message.
    settings : mapping
        With "epochs", "seeds" and "target_error"; "limit" and "threads" may be None or absent.
    rates : mapping
        Learning rates by activation, None where none is given.
    """
    for name, minimum in (("epochs", 1), ("limit", 2), ("threads", 1)):
        if settings.get(name) is not None:
            whole(study, name, settings[name], minimum)
    seeds = settings["seeds"]
    for seed in seeds:
        whole(study, "seeds", seed, 0)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"{study}: seeds must be one or more different numbers, got {seeds}")
    if not 0 < number(study, "target_error", settings["target_error"]) < 1:
        raise ValueError(f"{study}: target_error must be between 0 and 1, got {settings['target_error']}")
    for activation, lr in rates.items():
        if lr is not None and not 0 < number(study, f"lr_{activation}", lr) < math.inf:
            raise ValueError(f"{study}: lr_{activation} must be above 0 and finite, got {lr}")


def settled_rates(
    given: Mapping[str, float | None], earlier: Mapping[str, Any], default: Mapping[str, Any]
) -> dict[str, Any]:
    """Return learning rates: as given, else as in the resumed study, else the default.

    Examples
    --------
    >>> given = {"relu": None, "tanh": 0.1}
    >>> settled_rates(given, {"raw": {"relu": 0.2, "tanh": None}}, {"raw": {"relu": 0.3, "tanh": 0.4}})
    {'raw': {'relu': 0.2, 'tanh': 0.1}}
    """
    settled = dict(earlier)
    for name, value in default.items():
        if isinstance(value, Mapping):
            settled[name] = settled_rates(given, earlier.get(name, {}), value)
        else:
            settled[name] = next((lr for lr in (given[name], earlier.get(name), value) if lr is not None), None)
    return settled
