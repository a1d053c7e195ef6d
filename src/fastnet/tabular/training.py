"""The members of a tabular estimator: which inputs they get, and their training side by side."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastnet.callbacks import Callback
from fastnet.history import History
from fastnet.network import Network
from fastnet.tabular.recipe import Recipe, input_factor, make_member, with_all_inputs
from fastnet.training.many import train_many

if TYPE_CHECKING:
    from fastnet.training import Trainer

__all__ = ["Job", "Member", "train_members"]

Array = NDArray[Any]
Rows = NDArray[np.intp] | None

# validation losses nearer to each other than this do not tell whether bins help: members then take turns
NEAR = 0.03


class _WithoutAdvice(Callback):
    """Silences the advice on settings: they are the recipe's, and not the user's to change."""

    def on_train_end(self, trainer: Trainer) -> None:
        trainer.advice = ""


@dataclass(frozen=True)
class Member:
    """A trained network, and how its training went."""

    network: Network
    history: History
    piecewise: bool

    @property
    def validation_loss(self) -> float:
        """The lowest one, which early stopping went back to."""
        return min(self.history.validation_loss)

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""
        return self.history.stopped == "interrupted"


@dataclass
class Job:
    """What all members share.

    Attributes
    ----------
    E : ndarray, shape (n, inputs)
        The encoded table, float32.
    T : ndarray, shape (n_out, n)
    weights : ndarray, shape (n,), or None
    rows, held_out : list of index arrays or None
        For each member what it is trained on and validated on.
    piecewise : ndarray of bool, shape (inputs,)
        Which inputs are bins.
    """

    E: Array
    T: Array
    weights: Array | None
    rows: list[Rows]
    held_out: list[Rows]
    piecewise: NDArray[np.bool_]
    recipe: Recipe
    last: str
    width: int
    epochs: int
    seed: int
    n_threads: int | None
    progress: bool | None
    deadline: float

    def run(self, numbers: list[int], piecewise: bool) -> list[Member]:
        """Train the members of these numbers, with the bins or without; those that have begun come back."""
        used = np.flatnonzero(~self.piecewise | piecewise)
        width, inputs = self.width, len(used)
        factor = input_factor(inputs, width)
        X = self.E[:, used] if inputs < self.E.shape[1] else self.E
        X = X * np.float32(factor)
        sizes = (inputs, *(width,) * self.recipe.layers, len(self.T))
        networks = [make_member(self.recipe, sizes, self.last, self.seed + k) for k in numbers]
        rows = [self.rows[k] for k in numbers]
        fewest = min(len(X) if which is None else len(which) for which in rows)
        histories = train_many(
            networks,
            X.T,
            self.T,
            rows=rows,
            validation_rows=[self.held_out[k] for k in numbers],
            sample_weight=self.weights,
            n_threads=self.n_threads,
            progress=self.progress,
            total_seconds=max(self.deadline - time.perf_counter(), 1e-3) if self.deadline < np.inf else None,
            seed=[self.seed + k for k in numbers],
            callbacks=[_WithoutAdvice()],
            **self.recipe.options(width, fewest, self.epochs),
        )
        return [
            Member(with_all_inputs(network, factor, used, self.E.shape[1]), history, piecewise)
            for network, history in zip(networks, histories, strict=True)
            if history is not None
        ]


def train_members(job: Job, piecewise: bool | str) -> list[Member]:
    """Train all members and return them; fewer if the time is over or Ctrl-C came.

    With `piecewise` "auto" the first fold is trained with the bins and without. If one of the two is better
    by more than `NEAR`, the others go that way, and only the better one stays; else they take turns, and both
    stay.
    """
    count = len(job.rows)
    numbers = list(range(count))
    bins = bool(job.piecewise.any()) and not job.piecewise.all()
    if bins and piecewise == "auto":
        members = _chosen(job, numbers)
    else:
        members = job.run(numbers, not bins or bool(piecewise))
    whole = [one for one in members if not one.interrupted]
    if not members:
        raise KeyboardInterrupt
    return whole or members


def _chosen(job: Job, numbers: list[int]) -> list[Member]:
    """Return members of which the first tell whether the others get the bins."""
    first = job.run(numbers[:1], True)
    if not first or first[0].interrupted or _late(job):
        return first
    first += job.run(numbers[:1], False)
    if len(first) < 2 or first[1].interrupted:
        return first[:1]
    losses = [max(one.validation_loss, 1e-12) for one in first]
    ratio = losses[0] / losses[1]
    if job.last == "identity":  # of errors, not of their squares
        ratio **= 0.5
    if ratio < 1 - NEAR:
        ways, first = {True: numbers[1:]}, first[:1]
    elif ratio > 1 + NEAR:
        ways, first = {False: numbers[1:]}, first[1:]
    else:
        better = ratio <= 1
        ways = {better: numbers[2::2], not better: numbers[1::2]}
    for with_bins, whose in ways.items():
        if whose and not _late(job) and not any(one.interrupted for one in first):
            first += job.run(whose, with_bins)
    return first


def _late(job: Job) -> bool:
    return time.perf_counter() >= job.deadline
