"""The members of a tabular estimator: which inputs they get, and their training side by side."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastnet import isa, threads
from fastnet._core import engine
from fastnet.callbacks import Callback
from fastnet.history import History
from fastnet.losses import Quantile
from fastnet.network import Network
from fastnet.tabular.recipe import Recipe, input_factor, make_member, with_all_inputs
from fastnet.tabular.rows import RawRows
from fastnet.training.many import ManyExamples, train_fits
from fastnet.training.queued import ManyFit

if TYPE_CHECKING:
    from fastnet.progress import Bar
    from fastnet.training import Trainer

__all__ = ["Job", "Member", "train_members"]

Array = NDArray[Any]

# validation losses nearer to each other than this do not tell whether bins help: members then take turns
NEAR = 0.03
_NO_ROWS, _NONE = RawRows([], [], 0), np.empty((0, 0), np.float32)


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
    table : RawRows
        The rows of the table, which the core encodes as float32 while it gathers them.
    T : ndarray, shape (n_out, n)
    weights : ndarray, shape (n,), or None
    rows, held_out : list of index arrays or FoldRows
        For each member what it is trained on and validated on.
    piecewise : ndarray of bool, shape (inputs,)
        Which inputs are bins.
    """

    table: RawRows
    T: Array
    weights: Array | None
    rows: list[Any]
    held_out: list[Any]
    piecewise: NDArray[np.bool_]
    recipe: Recipe
    last: str
    width: int
    epochs: int
    seed: int
    n_threads: int | None
    progress: bool | Bar
    deadline: float
    loss: Quantile | None = None  # None: that of the last activation

    def run(self, planned: list[tuple[int, bool]]) -> list[Member]:
        """Train members of these numbers, with the bins or without; those that have begun come back in order.

        They are threads of this process, or tasks on other machines where joblib's Dask backend is active.
        """
        if _on_dask():
            return self._run_as_tasks(planned)
        return self.run_here(planned)

    def _run_as_tasks(self, planned: list[tuple[int, bool]]) -> list[Member]:
        from joblib import Parallel, delayed

        end = time.time() + self.deadline - time.perf_counter()  # machines share this clock, not the other
        settings = replace(self, table=_NO_ROWS, T=_NONE, weights=None, n_threads=1, progress=False)
        tasks = (  # of the large arrays as arguments of their own, joblib sends one copy to each machine
            delayed(_train_remotely)(settings, self.table, self.T, self.weights, k, piecewise, end)
            for k, piecewise in planned
        )
        found = []
        for members, fused in Parallel()(tasks):
            if fused != isa.fused():
                raise RuntimeError(
                    "workers must run builds of fastnet that give the bits of this process's build "
                    f"{isa.active()!r}, got others: start all with the same environment variable FASTNET_ISA"
                )
            found += members
        return found

    def run_here(self, planned: list[tuple[int, bool]]) -> list[Member]:
        """Train members in threads of this process: each thread takes the next one."""
        rows = [self.rows[k] for k, _ in planned]
        fewest = min(len(self.table) if which is None else len(which) for which in rows)
        options = self.recipe.options(self.width, fewest, self.epochs)
        options |= {"callbacks": [_WithoutAdvice()], "loss": self.loss}
        inputs = {way: self._inputs(way) for way in {piecewise for _, piecewise in planned}}
        fits = []
        for k, piecewise in planned:
            X, sizes = inputs[piecewise]
            network = make_member(self.recipe, sizes, self.last, self.seed + k)
            fits.append(ManyFit(network, self.rows[k], self.held_out[k], self.seed + k, options, X))
        histories = train_fits(
            fits,
            ManyExamples(fits[0].X, self.T, self.weights),
            threads.most(self.n_threads),
            self.progress,
            max(self.deadline - time.perf_counter(), 1e-9) if self.deadline < np.inf else None,
        )
        return [
            Member(self._whole(fit.network, piecewise), history, piecewise)
            for fit, (_, piecewise), history in zip(fits, planned, histories, strict=True)
            if history is not None
        ]

    def _used(self, piecewise: bool) -> NDArray[np.intp]:
        """Return the numbers of the inputs that a member has."""
        return np.flatnonzero(~self.piecewise | piecewise)

    def _inputs(self, piecewise: bool) -> tuple[engine.RawTable, tuple[int, ...]]:
        """Return what members are trained on, and their sizes."""
        inputs, width = len(self._used(piecewise)), self.width
        sizes = inputs, *(width,) * self.recipe.layers, len(self.T)
        return self.table.inputs(piecewise, input_factor(inputs, width)), sizes

    def _whole(self, network: Network, piecewise: bool) -> Network:
        """Return a trained member as a network of all inputs."""
        used = self._used(piecewise)
        return with_all_inputs(network, input_factor(len(used), self.width), used, len(self.piecewise))


def _on_dask() -> bool:
    """Return whether joblib's Dask backend is active: `joblib.parallel_config("dask")`."""
    parallel = sys.modules.get("joblib.parallel")
    return parallel is not None and type(parallel.get_active_backend()[0]).__module__ == "joblib._dask"


def _train_remotely(
    settings: Job, table: RawRows, T: Array, weights: Array | None, k: int, piecewise: bool, end: float
) -> tuple[list[Member], bool]:
    """Train one member on a worker; none if the time is over. Return also whether the build uses FMA."""
    left = end - time.time()
    if k > 0 and left <= 0:
        return [], isa.fused()
    job = replace(settings, table=table, T=T, weights=weights, deadline=time.perf_counter() + left)
    return job.run_here([(k, piecewise)]), isa.fused()


def train_members(job: Job, piecewise: bool | str) -> list[Member]:
    """Train all members and return them; fewer if the time is over or Ctrl-C came.

    With `piecewise` "auto" the first fold is trained with the bins and without. If one of the two is better
    by more than `NEAR`, the others go that way, and only the better one stays; else they take turns, and both
    stay.
    """
    numbers = list(range(len(job.rows)))
    bins = bool(job.piecewise.any()) and not job.piecewise.all()
    chooses = bins and piecewise == "auto"
    with _one_bar(job, len(numbers) + chooses) as job:
        if chooses:
            members = _chosen(job, numbers)
        else:
            members = job.run([(k, not bins or bool(piecewise)) for k in numbers])
    whole = [one for one in members if not one.interrupted]
    if not members:
        raise KeyboardInterrupt
    return whole or members


@contextmanager
def _one_bar(job: Job, networks: int) -> Iterator[Job]:
    """Give a job whose calls of `train_fits` share a bar; the same job if it is silent."""
    from fastnet.progress import new_bar

    bar = new_bar(networks * job.epochs, bool(job.progress))
    if bar is None:
        yield job
        return
    bar.counts_on = True
    try:
        yield replace(job, progress=bar)
    finally:
        bar.counts_on = False
        bar.close(0, "done")


def _chosen(job: Job, numbers: list[int]) -> list[Member]:
    """Return members of which the first two tell whether the others get the bins."""
    first = job.run([(numbers[0], True), (numbers[0], False)])
    if any(one.interrupted for one in first):
        return first
    if len(first) == 1:  # the other one diverged, or the time was over
        ways = [first[0].piecewise]
    else:
        ways = _better_ways(job, *(max(one.validation_loss, 1e-12) for one in first))
        first = [one for one in first if one.piecewise in ways]
    others = [(k, ways[place % len(ways)]) for place, k in enumerate(numbers[1:])]
    if others and not _late(job):
        first += job.run(others)
    return first


def _better_ways(job: Job, with_bins: float, without: float) -> list[bool]:
    """Return whether members are to have bins, by the validation losses of one with them and one without.

    If neither is better than the other, these are both ways, for members in turns: the worse one first, so
    that the better one has as many members.
    """
    ratio = with_bins / without
    if job.last == "identity" and job.loss is None:  # of errors, not of their squares
        ratio **= 0.5
    if ratio < 1 - NEAR:
        return [True]
    if ratio > 1 + NEAR:
        return [False]
    return [ratio > 1, ratio <= 1]


def _late(job: Job) -> bool:
    return time.perf_counter() >= job.deadline
