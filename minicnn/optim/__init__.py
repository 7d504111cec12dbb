"""Optimisers, which update parameters from their gradients, and schedules, which lower the learning rate.

A new optimiser is a file here with a subclass of :class:`Optimizer`; :mod:`minicnn.optim.adam` is the shortest example.
A new schedule is a subclass of :class:`LRScheduler` in ``lr_scheduler.py``.
"""

from minicnn.optim.adam import Adam, AdamW
from minicnn.optim.lr_scheduler import (
    CosineAnnealingLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)
from minicnn.optim.optimizer import Optimizer
from minicnn.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "CosineAnnealingLR", "LRScheduler", "MultiStepLR", "OneCycleLR", "Optimizer"]
__all__ += ["ReduceLROnPlateau", "StepLR"]
