"""The choice of the members of a tabular estimator that get the bins of numbers."""

from __future__ import annotations

from collections.abc import Callable

from fastnet.history import History
from fastnet.training.queued import ManyFit

__all__ = ["NEAR", "BinsChoice"]

# validation losses nearer to each other than this do not tell whether bins help: members then take turns
NEAR = 0.03


class BinsChoice:
    """Tells which members get the bins, once the first one was trained with them and without.

    If one of these two is better by more than `NEAR`, all others go that way, and only the better one stays.
    Otherwise they take turns, and both stay. A thread that would wait for one of the two begins with another
    member, in the way that the epochs up to now speak for. If that was wrong, this member is dropped: what
    comes out does not depend on the threads.

    Parameters
    ----------
    members : int
        How many there are to be; the first one is number 0.
    make_fit : callable
        Gives the fit of a member by its number and whether it has the bins.
    squared : bool
        Whether the losses are squares of errors; errors are compared.

    Attributes
    ----------
    planned : list of (int, bool)
        The members whose fits have begun: their numbers, and whether they have the bins.
    count, dropped
        See `fastnet.training.many.FurtherFits`.
    """

    def __init__(self, members: int, make_fit: Callable[[int, bool], ManyFit], *, squared: bool) -> None:
        self.planned = [(0, True), (0, False)]
        self.count = members + 1
        self.dropped: set[int] = set()
        self._members = members
        self._make_fit = make_fit
        self._squared = squared
        self._chosen = False

    def next(self, histories: list[History], done: list[bool]) -> ManyFit | None:
        """Return the fit of another member, or None if there is none as long as no other fit is done."""
        if all(done[:2]):
            self.choose([history if history.validation_loss else None for history in histories[:2]])
            others = self.others
        elif any(done[:2]) and all(history.validation_loss for history in histories[:2]):
            begun = {k for k, _ in self.planned}
            epochs = min(len(history.validation_loss) for history in histories[:2])
            ways = self._better([min(history.validation_loss[:epochs]) for history in histories[:2]])
            others = [(k, way) for k, way in self._in_turns(ways) if k not in begun]
        else:
            return None
        for member in others:
            if member not in self.planned:
                self.planned.append(member)
                return self._make_fit(*member)
        return None

    def choose(self, first: list[History | None]) -> None:
        """Choose by the histories of the first member with bins and without, None if one diverged."""
        if self._chosen:
            return
        self._chosen = True
        trained = [history for history in first if history is not None]
        if len(trained) == 2:
            ways = self._better([min(history.validation_loss) for history in trained])
        else:
            ways = [way for way, history in zip((True, False), first, strict=True) if history is not None]
        self.others = self._in_turns(ways)
        kept = {*self.others, *((0, way) for way in ways)}
        self.dropped = {place for place, member in enumerate(self.planned) if member not in kept}

    def _better(self, losses: list[float]) -> list[bool]:
        """Return whether members are to have bins, by the losses of one with them and of one without.

        If neither is better, these are both ways: the worse one first, as one member of each is there, and an
        even number of others most of the time.
        """
        with_bins, without = (max(loss, 1e-12) for loss in losses)
        ratio = with_bins / without
        if self._squared:
            ratio **= 0.5
        if ratio < 1 - NEAR:
            return [True]
        if ratio > 1 + NEAR:
            return [False]
        return [ratio > 1, ratio <= 1]

    def _in_turns(self, ways: list[bool]) -> list[tuple[int, bool]]:
        return [(k, ways[(k - 1) % len(ways)]) for k in range(1, self._members) if ways]
