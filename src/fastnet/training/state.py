"""The state of a training: epochs, optimiser, schedule and early stopping, as a `Trainer` goes on from it."""

from __future__ import annotations

import numpy as np

from fastnet._plateau import Plateau
from fastnet._validate import Array

__all__ = ["EarlyStopping", "TrainingState", "Weights", "same_weights"]

Weights = tuple[list[Array], list[Array]]  # W and b of all layers


def same_weights(ours: Weights, theirs: Weights) -> bool:
    """Return whether all arrays are equal."""
    pairs = zip((*ours[0], *ours[1]), (*theirs[0], *theirs[1]), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


class EarlyStopping:
    """The lowest loss of a training, how long ago it was, and the weights it was reached with.

    It outlives a fit, so that what is stopped and resumed goes on waiting where it was. `watched` tells which
    loss the numbers are of: 1 the training's, 2 that of validation data, 3 the latter calibrated, 0 none yet.
    """

    __slots__ = ("best_epoch", "best_weights", "plateau", "watched")

    def __init__(
        self,
        plateau: Plateau | None = None,
        watched: int = 0,
        best_weights: Weights | None = None,
        best_epoch: int = 0,
    ) -> None:
        self.plateau = Plateau() if plateau is None else plateau
        self.watched = watched
        self.best_weights = best_weights
        self.best_epoch = best_epoch

    def watch(self, watched: int) -> None:
        """Forget what was noted of another loss than this."""
        if self.watched != watched:
            self.plateau, self.watched, self.best_weights, self.best_epoch = Plateau(), watched, None, 0

    def copied_best(self) -> Weights:
        """Return the best epoch's weights as arrays that may be changed."""
        assert self.best_weights is not None
        W, b = self.best_weights
        return [array.copy() for array in W], [array.copy() for array in b]

    def best_are(self, weights: Weights) -> bool:
        """Return whether these are the best epoch's weights."""
        return self.best_weights is not None and same_weights(self.best_weights, weights)


class TrainingState:
    """Where a training stands, but for its weights: these are the network's, or `last_weights`.

    Attributes
    ----------
    epochs_done, examples_seen, step : int
        Epochs, examples (each counted as often as it was visited) and batches of all fits.
    moments : dict of str to ndarray
        What the optimiser keeps for each weight; never changed in place.
    schedule_memory : dict of str to float
        What the schedule has noted.
    early_stopping : EarlyStopping
    last_weights : lists of W and b, or None
        The last epoch's, where the network was given the best epoch's.
    """

    __slots__ = (
        *("early_stopping", "epochs_done", "examples_seen", "last_weights"),
        *("moments", "schedule_memory", "step"),
    )

    def __init__(self) -> None:
        self.epochs_done = 0
        self.examples_seen = 0
        self.step = 0
        self.moments: dict[str, Array] = {}
        self.schedule_memory: dict[str, float] = {}
        self.early_stopping = EarlyStopping()
        self.last_weights: Weights | None = None

    @classmethod
    def after(
        cls, epochs_done: int, examples_seen: int, step: int, moments: dict[str, Array]
    ) -> TrainingState:
        """Return where a training stands without schedule and early stopping."""
        state = cls()
        state.epochs_done, state.examples_seen, state.step = epochs_done, examples_seen, step
        state.moments = moments
        return state

    def copy(self) -> TrainingState:
        """Return a copy that later epochs do not change."""
        twin, stopping = TrainingState(), self.early_stopping
        twin.epochs_done, twin.examples_seen, twin.step = self.epochs_done, self.examples_seen, self.step
        twin.moments, twin.last_weights = self.moments, self.last_weights
        twin.schedule_memory = dict(self.schedule_memory)
        plateau = Plateau(stopping.plateau.best, stopping.plateau.waited)
        twin.early_stopping = EarlyStopping(
            plateau, stopping.watched, stopping.best_weights, stopping.best_epoch
        )
        return twin
