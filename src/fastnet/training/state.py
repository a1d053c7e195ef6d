"""Where a training stands: what a `Trainer` moves on, copies before it tries something, and saves."""

from __future__ import annotations

import numpy as np

from fastnet._plateau import Plateau
from fastnet._validate import Array

__all__ = ["Standing", "Stopping", "Weights"]

Weights = tuple[list[Array], list[Array]]


class Stopping:
    """Early stopping: the best loss, how long ago it was, and the weights it was reached with.

    It outlives a fit, so that what is stopped and resumed goes on waiting where it was. `watched` tells which
    loss the numbers are of: 1 the training's, 2 that of validation data.
    """

    __slots__ = ("best", "best_epoch", "plateau", "watched")

    def __init__(
        self,
        plateau: Plateau | None = None,
        watched: int = 0,
        best: Weights | None = None,
        best_epoch: int = 0,
    ) -> None:
        self.plateau = Plateau() if plateau is None else plateau
        self.watched = watched
        self.best = best
        self.best_epoch = best_epoch

    def begin(self, watched: int) -> None:
        """Forget what was noted of another loss."""
        if self.watched != watched:
            self.plateau, self.watched, self.best, self.best_epoch = Plateau(), watched, None, 0

    def copied_best(self) -> Weights:
        """Return the best epoch's weights as arrays that may be changed."""
        assert self.best is not None
        return [array.copy() for array in self.best[0]], [array.copy() for array in self.best[1]]

    def holds(self, weights: Weights) -> bool:
        """Return whether these are the best epoch's weights."""
        if self.best is None:
            return False
        pairs = zip((*self.best[0], *self.best[1]), (*weights[0], *weights[1]), strict=True)
        return all(np.array_equal(ours, theirs) for ours, theirs in pairs)


class Standing:
    """Where a training stands, but for its weights: these are the network's, or `going_on`.

    `moments` is never changed in place; `memory` is the schedule's; `going_on` has the last epoch's weights
    while the network has the best epoch's.
    """

    __slots__ = ("epochs_done", "examples_seen", "going_on", "memory", "moments", "step", "stopping")

    def __init__(self) -> None:
        self.epochs_done = 0
        self.examples_seen = 0
        self.step = 0
        self.moments: dict[str, Array] = {}
        self.memory: dict[str, float] = {}
        self.stopping = Stopping()
        self.going_on: Weights | None = None

    def copy(self) -> Standing:
        """Return a copy that later epochs do not change."""
        twin, stopping = Standing(), self.stopping
        twin.epochs_done, twin.examples_seen, twin.step = self.epochs_done, self.examples_seen, self.step
        twin.moments, twin.memory, twin.going_on = self.moments, dict(self.memory), self.going_on
        plateau = Plateau(stopping.plateau.best, stopping.plateau.waited)
        twin.stopping = Stopping(plateau, stopping.watched, stopping.best, stopping.best_epoch)
        return twin
