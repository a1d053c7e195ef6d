"""The choice of what the members of a tabular estimator get, once the first one has been trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import accumulate

from fastnet.history import History
from fastnet.tabular.columns import Piecewise
from fastnet.training.queued import ManyFit

__all__ = ["NEAR", "BinsChoice", "Planned"]

Planned = tuple[int, Piecewise, bool]  # a member: its number, what it has, whether labels are smoothed

# losses nearer to each other than this do not tell whether bins help: members then take turns
NEAR = 0.03
MAY_FALL = 3  # a loss below so many times `smooth_below` may still fall below it
FEWEST = 5  # epochs after which a way may be given up: with 3, the error on mlc_churn was 27 % higher


class BinsChoice:
    """Tells which members get the bins and smoothed labels, once the first was trained with bins and without.

    If one of these two is better by more than `NEAR`, all others go that way, and only the better one stays.
    Otherwise they take turns, and both stay. Where there are repeated values, the first one is also trained
    with bins and these; if it is better than both by more than `NEAR`, all others go this way. The first one
    is not trained to the end in a way that, after `FEWEST` epochs or later, is worse than an earlier one in
    the list by more than `NEAR`, both in as many epochs.

    If the lowest loss of the first one is below `smooth_below`, all are trained on smoothed labels, also the
    first one once more.

    A thread that would wait for one of these, and cannot help with it, begins with another member, in the way
    that the epochs up to now speak for. If that was wrong, this member is dropped: what comes out does not
    depend on the threads.

    Parameters
    ----------
    members : int
        How many there are to be; the first one is number 0.
    make_fit : callable
        Gives the fit of a member by its number, what it has (see `Piecewise`), and whether its labels are
        smoothed.
    values : bool
        Whether there are repeated values.
    squared : bool
        Whether the losses are squares of errors; errors are compared.
    smooth_below : float
        The loss of the first member below which labels are smoothed.

    Attributes
    ----------
    planned : list of (int, bool or "values", bool)
        The members whose fits have begun: their numbers, what they have, and whether labels are smoothed.
    others : list of (int, bool or "values", bool)
        Once it is chosen: the members beside those that were planned at first.
    ways : list of bool or "values"
        Once it is chosen: what they have.
    count, dropped
        See `fastnet.training.many.FurtherFits`.
    """

    def __init__(
        self,
        members: int,
        make_fit: Callable[[int, Piecewise, bool], ManyFit],
        *,
        values: bool = False,
        squared: bool,
        smooth_below: float = 0.0,
    ) -> None:
        self._first: list[Piecewise] = [False, True, "values"] if values else [False, True]
        self.planned: list[Planned] = [(0, way, False) for way in self._first]
        self.others: list[Planned] = []
        self.ways: list[Piecewise] = []
        self.count = members - 1 + len(self._first) + (smooth_below > 0)
        self.dropped: set[int] = set()
        self._members = members
        self._make_fit = make_fit
        self._squared = squared
        self._smooth_below = smooth_below
        self._chosen = False

    def next(self, histories: list[History], done: list[bool], *, guess: bool) -> ManyFit | None:
        """Return the fit of another member, or None if there is none as long as no other fit is done."""
        first = histories[: len(self._first)]
        done = done[: len(self._first)]
        if all(done):
            self.choose([history if history.validation_loss else None for history in first])
            others = self.others
        else:
            begun = {k for k, *_ in self.planned}
            ways = self._likely(first, done, guess)
            others = [one for one in self._in_turns(ways, first) if one[0] not in begun]
        for member in others:
            if member not in self.planned:
                self.planned.append(member)
                return self._make_fit(*member)
        return None

    def _likely(self, first: list[History], done: list[bool], guess: bool) -> list[Piecewise]:
        """Return the ways that other members can have before all are trained; none if that is not known."""
        left = [place for place in range(len(first)) if place not in self.dropped]
        lowest = min((min(first[place].watched, default=math.inf) for place in left), default=math.inf)
        if self._smooth_below <= lowest < MAY_FALL * self._smooth_below:
            return []  # to help with these is better than to guess wrong
        if len(left) == 1:  # only if it diverges, others go another way
            return [self._first[left[0]]]
        if not (guess and any(done) and all(history.validation_loss for history in first)):
            return []
        epochs = min(len(first[place].watched) for place in left)
        losses = [min(history.watched[:epochs]) for history in first]
        return self._better([loss if place in left else math.inf for place, loss in enumerate(losses)])

    def look(self, histories: list[History], done: list[bool]) -> None:
        """Drop the ways of the first member that are to be given up, as far as that is known."""
        if not self._chosen:
            first = len(self._first)
            self.dropped = self._given_up([one.watched for one in histories[:first]], done[:first])

    def choose(self, first: list[History | None]) -> None:
        """Choose by the histories of the first member, trained in each way; None for one that diverged."""
        if self._chosen:
            return
        self._chosen = True
        given_up = self._given_up([[] if one is None else one.watched for one in first], [True] * len(first))
        losses = [math.inf if one is None else min(one.watched) for one in first]
        kept_on = [math.inf if place in given_up else loss for place, loss in enumerate(losses)]
        self.ways = self._better(losses if min(kept_on) == math.inf else kept_on)
        self.others = self._in_turns(self.ways, first)
        kept = set(self.others)
        if not any(smoothed for *_, smoothed in self.others):
            kept |= {(0, way, False) for way in self.ways}
        self.dropped = {place for place, member in enumerate(self.planned) if member not in kept}

    def _given_up(self, curves: list[list[float]], done: list[bool]) -> set[int]:
        """Return the places of ways that are worse than those before them after so many epochs.

        What is found while they are trained is found in the end as well: a loss is compared only where all
        that is before it is known, and epochs after the one in which a way was given up do not count.
        """
        given_up = set()
        best: list[float] = []  # in as many epochs, of the ways before
        known = math.inf
        for place, losses in enumerate(curves):
            lowest = list(accumulate(map(self._size, losses[: int(min(len(losses), known))]), min))
            for epoch in range(FEWEST - 1, len(lowest)):
                if lowest[epoch] > (1 + NEAR) * _at(best, epoch):
                    given_up.add(place)
                    del lowest[epoch + 1 :]
                    break
            else:
                known = known if done[place] else len(lowest)
            longest = max(len(best), len(lowest))
            best = [min(_at(best, epoch), _at(lowest, epoch)) for epoch in range(longest)]
        return given_up

    def _better(self, losses: list[float]) -> list[Piecewise]:
        """Return what members are to have, by the losses of one that was trained in each way.

        If neither bins nor none are better, these are both ways: the worse one first, as one member of each
        is there, and an even number of others most of the time. None if no loss is finite.
        """
        without, with_bins, *values = (self._size(loss) for loss in losses)
        best = min(with_bins, without)
        if values and values[0] < (1 - NEAR) * best:
            return ["values"]
        if best == math.inf:
            return []
        if with_bins < (1 - NEAR) * without:
            return [True]
        if without < with_bins / (1 + NEAR):
            return [False]
        return [with_bins > without, with_bins <= without]

    def _size(self, loss: float) -> float:
        """Return what is compared of a loss: of a squared error the error."""
        loss = max(loss, 1e-12)
        return math.sqrt(loss) if self._squared else loss

    def _in_turns(self, ways: list[Piecewise], first: Sequence[History | None]) -> list[Planned]:
        """Return the members that follow the first one, which go these ways in turns."""
        losses = [
            min(history.watched)
            for way, history in zip(self._first, first, strict=True)
            if way in ways and history is not None and history.watched
        ]
        smoothed = min(losses, default=math.inf) < self._smooth_below
        numbers = range(0 if smoothed else 1, self._members)
        return [(k, ways[(k - 1) % len(ways)], smoothed) for k in numbers if ways]


def _at(curve: list[float], epoch: int) -> float:
    """Return a number of a curve that stays at its last one; infinity if there is none."""
    return curve[min(epoch, len(curve) - 1)] if curve else math.inf
