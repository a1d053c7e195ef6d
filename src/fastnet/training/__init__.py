"""How a network is trained: the settings, the loop over epochs, where a training stands."""

from fastnet.history import DivergenceError, History
from fastnet.training.trainer import Trainer

__all__ = ["DivergenceError", "History", "Trainer"]
