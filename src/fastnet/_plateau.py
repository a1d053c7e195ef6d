"""Detect that a loss has stopped falling, by scikit-learn's rule: for early stopping and `Adaptive`."""

from __future__ import annotations

import math

__all__ = ["Plateau"]


class Plateau:
    """The best loss so far, and for how many epochs it has not got better by more than a tolerance.

    >>> plateau = Plateau()
    >>> [plateau.update(loss, tol=0.1) for loss in (1.0, 0.95, 0.8)], plateau.waited
    ([True, True, True], 0)
    >>> plateau.update(0.75, tol=0.1), plateau.best, plateau.waited
    (True, 0.75, 1)
    """

    __slots__ = ("best", "waited")

    def __init__(self, best: float = math.inf, waited: int = 0) -> None:
        self.best = best
        self.waited = waited

    def update(self, loss: float, tol: float) -> bool:
        """Take in the loss of an epoch; return whether it is the lowest yet.

        An epoch counts as waited unless its loss is at least `tol` below the best; but the best is the
        lowest, by however little. NaN is no improvement.
        """
        self.waited = 0 if loss <= self.best - tol else self.waited + 1
        lower = loss < self.best
        if lower:
            self.best = loss
        return lower
