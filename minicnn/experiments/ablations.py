"""What the study of contributions switches off: one contribution of the paper at a time, and once two."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["VARIANTS"]


class Ablation(NamedTuple):
    """What is switched off.

    Attributes
    ----------
    what : str
        The contribution.
    label : str
        The network without it.
    switches, settings : dict
        How the network and its training differ from everything on.
    """

    what: str
    label: str
    switches: dict[str, Any]
    settings: dict[str, Any]


VARIANTS = {
    "everything": Ablation("everything", "everything on", {}, {}),
    "depth": Ablation("depth", "without conv3 and conv4", {"depth": 3}, {}),  # section 7
    "relu": Ablation("ReLU", "tanh instead of ReLU", {"activation": "tanh"}, {}),  # section 3.1
    "dropout": Ablation("dropout", "without dropout", {"dropout": 0.0}, {}),  # section 4.2
    "lrn": Ablation("LRN", "without LRN", {"norm": "none"}, {}),  # section 3.3
    "augmentation": Ablation("augmentation", "without augmentation", {}, {"augment": False}),  # section 4.1
    "overlapping": Ablation("overlapping pooling", "pools of 2x2, no overlap", {"overlapping": False}, {}),  # 3.4
    "regularisation": Ablation(  # both sections
        "dropout and augmentation", "without dropout and augmentation", {"dropout": 0.0}, {"augment": False}
    ),
}
