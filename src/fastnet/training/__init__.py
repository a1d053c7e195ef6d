"""Training: `Trainer`, its settings, the loop over the epochs, and the state it resumes from."""

from fastnet.history import DivergenceError, History
from fastnet.training.trainer import Trainer

__all__ = ["DivergenceError", "History", "Trainer"]
