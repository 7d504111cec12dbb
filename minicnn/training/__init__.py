"""Training: the loop, the trainer with its checkpoints, evaluation, metrics and progress."""

from minicnn.training.checkpoint import (
    CheckpointError,
    SavedModel,
    SavedTraining,
    load_model,
    load_training,
    save_model,
    save_training,
)
from minicnn.training.evaluation import Evaluation, evaluate, probabilities
from minicnn.training.loop import DivergedError, EpochProgress, TrainingError, train_epoch
from minicnn.training.metrics import crossings, epochs_to_target
from minicnn.training.progress import RunProgress, say

__all__ = [
    "CheckpointError",
    "EpochProgress",
    "Evaluation",
    "RunProgress",
    "SavedModel",
    "SavedTraining",
    "DivergedError",
    "TrainingError",
    "crossings",
    "epochs_to_target",
    "evaluate",
    "load_model",
    "load_training",
    "probabilities",
    "save_model",
    "save_training",
    "say",
    "train_epoch",
]
