"""The members of a tabular estimator: which inputs they get, and their training side by side."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastnet import isa, threads
from fastnet.callbacks import Callback
from fastnet.history import History
from fastnet.losses import CrossEntropy, Quantile
from fastnet.network import Network
from fastnet.tabular.bins import BinsChoice, Planned
from fastnet.tabular.columns import PARTS_OF, NumberColumn, Piecewise
from fastnet.tabular.recipe import Recipe, input_factor, make_member, with_all_inputs
from fastnet.tabular.rows import RawRows
from fastnet.training.many import ManyExamples, train_fits
from fastnet.training.queued import ManyFit

if TYPE_CHECKING:
    from fastnet.progress import Bar
    from fastnet.training import Trainer

__all__ = ["Job", "Member", "train_members", "widest"]

Array = NDArray[Any]

# Of log(classes), the loss of guessing: below that, a network tells nearly all held-out examples apart, and
# the recipe for such tables lowers the error by a tenth to a half. On others it raises it: see docs/tables.md
TOLD_APART_BELOW = 0.06
CALIBRATED_ROWS = 50_000  # tell one temperature well enough, and take little memory

_NO_ROWS, _NONE = RawRows([], [], 0), np.empty((0, 0), np.float32)


class _WithoutAdvice(Callback):
    """Silences the advice on settings: they are the recipe's, and not the user's to change."""

    def on_train_end(self, trainer: Trainer) -> None:
        trainer.advice = ""


@dataclass(frozen=True)
class Member:
    """A trained network, and how its training went."""

    number: int
    network: Network
    history: History
    piecewise: Piecewise
    smoothed: bool

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
    parts : ndarray of str, shape (inputs,)
        What each input is, see `TableEncoder.input_parts`.
    """

    table: RawRows
    T: Array
    weights: Array | None
    rows: list[Any]
    held_out: list[Any]
    parts: NDArray[np.str_]
    recipe: Recipe
    smoothed_recipe: Recipe | None
    last: str
    width: int
    epochs: int
    seed: int
    n_threads: int | None
    progress: bool | Bar
    deadline: float
    loss: Quantile | None = None  # None: that of the last activation

    def run(self, planned: list[Planned]) -> list[Member]:
        """Train the members that are planned; those that have begun come back in order.

        They are threads of this process, or tasks on other machines where joblib's Dask backend is active.
        """
        if _on_dask():
            return self._run_as_tasks(planned)
        return self.run_here(planned)

    def run_and_choose(self) -> list[Member]:
        """Train all members; the first one, trained with the bins and without, tells whether they help."""
        squared = self.last == "identity" and self.loss is None
        values = bool((self.parts == "values").any())
        choice = BinsChoice(
            len(self.rows),
            self._fit,
            values=values,
            squared=squared,
            smooth_below=TOLD_APART_BELOW * math.log(len(self.T)) if self.smoothed_recipe else 0.0,
        )
        first = list(choice.planned)
        if not _on_dask():
            members = self.run_here(choice.planned, choice)
            if any(one.interrupted for one in members):
                return members
        else:
            members = self._run_as_tasks(choice.planned)
        found = {(one.number, one.piecewise, one.smoothed): one for one in members}
        choice.choose([found[member].history if member in found else None for member in first])
        if _on_dask() and time.perf_counter() < self.deadline:
            others = self._run_as_tasks(choice.others)
            found |= {(one.number, one.piecewise, one.smoothed): one for one in others}
        kept = {*first, *choice.others} - {choice.planned[place] for place in choice.dropped}
        order = sorted(kept, key=lambda member: (member[0], first.index((0, member[1], False))))
        chosen = [found[member] for member in order if member in found]
        return chosen or [found[member] for member in first if member[1] in choice.ways and member in found]

    def _run_as_tasks(self, planned: list[Planned]) -> list[Member]:
        from joblib import Parallel, delayed

        end = time.time() + self.deadline - time.perf_counter()  # machines share this clock, not the other
        settings = replace(self, table=_NO_ROWS, T=_NONE, weights=None, n_threads=1, progress=False)
        tasks = (  # of the large arrays as arguments of their own, joblib sends one copy to each machine
            delayed(_train_remotely)(settings, self.table, self.T, self.weights, member, end)
            for member in planned
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

    def run_here(self, planned: list[Planned], choice: BinsChoice | None = None) -> list[Member]:
        """Train members in threads of this process; a choice adds further ones to those that are planned."""
        fits = [self._fit(*member) for member in planned]
        histories = train_fits(
            fits,
            ManyExamples(fits[0].X, self.T, self.weights),
            threads.most(self.n_threads),
            self.progress,
            max(self.deadline - time.perf_counter(), 1e-9) if self.deadline < np.inf else None,
            choice,
        )
        members = []
        for fit, (k, piecewise, smoothed), history in zip(fits, planned, histories, strict=True):
            if history is None:
                continue
            if smoothed:
                held_out = np.asarray(fit.validation_rows)
                held_out = held_out[:: math.ceil(len(held_out) / CALIBRATED_ROWS)]
                fit.network.calibrate(fit.X, self.T, sample_weight=self.weights, rows=held_out)
            members.append(Member(k, fit.network, history, piecewise, smoothed))
        return members

    def _fit(self, k: int, piecewise: Piecewise, smoothed: bool) -> ManyFit:
        """Return what is to be done for a member."""
        used = self._used(piecewise)
        hidden = self._hidden(smoothed)
        sizes = len(used), *hidden, len(self.T)
        network = make_member(self._recipe(smoothed), sizes, self.last, self.seed + k)
        X = self.table.inputs(piecewise, input_factor(len(used), hidden[0]))
        options = self._smoothed_options if smoothed else self._options
        return ManyFit(network, self.rows[k], self.held_out[k], self.seed + k, options, X)

    def _recipe(self, smoothed: bool) -> Recipe:
        if not smoothed:
            return self.recipe
        assert self.smoothed_recipe is not None
        return self.smoothed_recipe

    def _hidden(self, smoothed: bool) -> tuple[int, ...]:
        """Return the units of the hidden layers."""
        numbers = sum(isinstance(column, NumberColumn) for column in self.table.columns)
        return self._recipe(smoothed).hidden_layers(self.width, len(self.T), numbers)

    @cached_property
    def _options(self) -> dict[str, Any]:
        """The options of all fits; those on smoothed labels have others."""
        return self._options_of(False) | {"loss": self.loss}

    @cached_property
    def _smoothed_options(self) -> dict[str, Any]:
        return self._options_of(True) | {"loss": CrossEntropy(self._recipe(True).label_smoothing)}

    def _options_of(self, smoothed: bool) -> dict[str, Any]:
        fewest = min(len(self.table) if which is None else len(which) for which in self.rows)
        options = self._recipe(smoothed).options(self._hidden(smoothed)[0], fewest, self.epochs)
        callbacks = [*options["callbacks"], _WithoutAdvice()]
        return options | {"callbacks": callbacks}

    def _used(self, piecewise: Piecewise) -> NDArray[np.intp]:
        """Return the numbers of the inputs that a member has."""
        return np.flatnonzero(np.isin(self.parts, ["always", *PARTS_OF[piecewise]]))

    def with_inputs_of_all(self, members: list[Member]) -> list[Member]:
        """Return trained members as networks of the inputs that any of them has."""
        inputs = self._used(widest(members))
        found = []
        for member in members:
            used = np.searchsorted(inputs, self._used(member.piecewise))
            factor = input_factor(len(used), member.network.sizes[1])
            network = with_all_inputs(member.network, factor, used, len(inputs))
            found.append(replace(member, network=network))
        return found


def _on_dask() -> bool:
    """Return whether joblib's Dask backend is active: `joblib.parallel_config("dask")`."""
    parallel = sys.modules.get("joblib.parallel")
    return parallel is not None and type(parallel.get_active_backend()[0]).__module__ == "joblib._dask"


def _train_remotely(
    settings: Job, table: RawRows, T: Array, weights: Array | None, member: Planned, end: float
) -> tuple[list[Member], bool]:
    """Train one member on a worker; none if the time is over. Return also whether the build uses FMA."""
    left = end - time.time()
    if member[0] > 0 and left <= 0:
        return [], isa.fused()
    job = replace(settings, table=table, T=T, weights=weights, deadline=time.perf_counter() + left)
    return job.run_here([member]), isa.fused()


def train_members(job: Job, piecewise: Piecewise | Literal["auto"]) -> list[Member]:
    """Train all members and return them, fewer if the time is over or Ctrl-C came.

    Their networks have the inputs that any of them has, see `widest`.

    With `piecewise` "auto" the first fold is trained with the bins and without, see `BinsChoice`.
    """
    bins, values = (bool((job.parts == part).any()) for part in ("bins", "values"))
    bins = bins and bool((job.parts == "always").any())
    chooses = bins and piecewise == "auto"
    with _one_bar(job, len(job.rows) + (chooses and 1 + values)) as job:
        if chooses:
            members = job.run_and_choose()
        else:
            way = piecewise if piecewise != "auto" and bins else "values"
            members = job.run([(k, way, False) for k in range(len(job.rows))])
    if not members:
        raise KeyboardInterrupt
    whole = [one for one in members if not one.interrupted]
    return job.with_inputs_of_all(whole or members)


def widest(members: list[Member]) -> Piecewise:
    """Return which bins and repeated values members have, all of them together."""
    order: list[Piecewise] = [False, True, "values"]
    return max((one.piecewise for one in members), key=order.index)


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
