"""Fits after whose epochs Python has nothing to do: threads train them in the core, one after the other.

Each thread makes one call, in which it takes the next network with all its epochs. This one prepares the next
fits and takes in what has come out meanwhile, and trains as well when there is nothing else to do.
"""

from __future__ import annotations

import math
import sys
import time
from _thread import start_new_thread
from collections.abc import Callable
from functools import cached_property, partial
from operator import attrgetter
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from fastnet import _examples, _validate
from fastnet._core import engine
from fastnet._examples import Examples
from fastnet._exclusive import Claim
from fastnet._validate import Array
from fastnet.history import DONE, DivergenceError, History
from fastnet.metadata import class_numbers
from fastnet.network import Network
from fastnet.optimizers import LBFGS
from fastnet.training.advice import BETTER, FEWEST_EPOCHS, MOVED, advice, constant_cost
from fastnet.training.loop import MOST_EPOCHS, SLICE, FitLoop, TrainedNetwork, queued_fit
from fastnet.training.settings import FitOptions, Settings
from fastnet.training.state import TrainingState
from fastnet.training.trainer import Trainer

__all__ = ["INTERRUPTED", "LATE", "PATIENCE", "Display", "ManyFit", "QueuedFits", "needs_python"]

Display = Callable[[int, History], None]  # told how many epochs are done, and how one of the fits goes

PATIENCE = 0.2  # seconds in which an interrupt is noticed, also where waiting for a lock does not end by it
INTERRUPTED, LATE = "interrupted", "the time is over"

# Arguments of Settings.check, FitOptions.check and choose_examples, with the defaults of Network.fit.
SETTINGS = {
    "optimizer": "adam",
    "loss": None,
    "batch_size": None,
    "learning_rate": None,
    "l2": 0.0,
    "clip_norm": None,
    "schedule": None,
    "shuffle": True,
}
OPTIONS = {
    "epochs": 100,
    "early_stopping": False,
    "tol": 1e-4,
    "patience": 10,
    "metrics": (),
    "max_seconds": None,
}
CHOICE = {"class_weight": None, "validation_fraction": 0.0}

ACTIVATION_AND_DROPOUT = attrgetter("activation", "dropout")

FEWEST_AHEAD = 8  # fits that are prepared, if not two for each thread: few, so they stay in cache


class ManyFit(NamedTuple):
    """What one network is to be trained on, and how.

    `options` are those of `Network.fit` without the seed; fits with the same have the same dict. `X` is None
    for the examples that all have in common.
    """

    network: Network
    rows: NDArray[np.intp] | None
    validation_rows: NDArray[np.intp] | None
    seed: int
    options: dict[str, Any]
    X: Any = None


def needs_python(options: dict[str, Any]) -> bool:
    """Return whether such a fit has something to do after an epoch that only Python can do."""
    if not options.keys() <= {*SETTINGS, *OPTIONS, *CHOICE}:
        return True
    if options.get("schedule") is not None or options.get("metrics", ()) != ():
        return True
    if isinstance(options.get("early_stopping"), str):
        return True
    optimizer, epochs = options.get("optimizer", "adam"), options.get("epochs", 100)
    if isinstance(optimizer, LBFGS) or optimizer == "lbfgs" or getattr(optimizer, "scale_rate", 0):
        return True
    return type(epochs) is int and epochs > MOST_EPOCHS


class _Kind:
    """Fits with the same options of networks of the same shape: what is checked once for all of them."""

    def __init__(self, fit: ManyFit, X: Any, T: Any, weights: Any) -> None:
        network, given = fit.network, fit.options
        self.settings = Settings.check(
            network.layers[-1].activation,
            [layer.dropout for layer in network.layers],
            **{name: given.get(name, default) for name, default in SETTINGS.items()},
            seed=fit.seed,
            n_threads=1,
        )
        self.settings.check_precision(network.dtype)
        self.options = FitOptions.check(
            **{name: given.get(name, default) for name, default in OPTIONS.items()}, progress=False
        )
        self._choice = {
            "class_weight": given.get("class_weight"),
            "fraction": given.get("validation_fraction", 0.0),
        }
        shape = self.settings.loss.name, network.sizes[0], network.sizes[-1], network.dtype
        T, self.classes = class_numbers(T, network.classes, network.output, network.sizes[-1])
        self._all = _examples.check_examples(X, T, weights, *shape)
        if self._all.weights is not None and self._choice["class_weight"] is None:
            with np.errstate(over="ignore"):  # once, not for each; usable_weights reports what overflows
                self._all = self._all._replace(weights=np.ascontiguousarray(self._all.weights, network.dtype))
        self.rate: float = self.settings.optimizer.learning_rate  # type: ignore[union-attr]
        self._cores: dict[Any, engine.TrainerCore] = {}

    def plan(self, fit: ManyFit, structure: tuple[Any, ...]) -> _Plan:
        """Return on what a network is trained, and how."""
        network, loss = fit.network, self.settings.loss.name
        rows = {"rows": fit.rows, "validation_rows": fit.validation_rows}
        chosen = _examples.choose_examples(
            self._all, None, loss, network.dtype, seed=fit.seed, **rows, **self._choice
        )
        batch = self.settings.batch(chosen[0].n)
        if (batch, structure) not in self._cores:
            options, weights = self.settings.core_options(), network.weights()
            self._cores[batch, structure] = network.trainer_core(
                batch, 1, options, weights, network.dtype, prepared=False
            )
        return _Plan(self, self._cores[batch, structure], batch, *chosen)


class _Plan:
    """Fits of one kind with the same examples."""

    def __init__(
        self, kind: _Kind, core: engine.TrainerCore, batch: int, data: Examples, held_out: Examples | None
    ) -> None:
        self.kind = kind
        self.data = data
        self.n = data.n
        self._held_out = held_out
        self._batch = batch
        self.queued = queued_fit(
            *(core, kind.settings, kind.options, TrainingState(), data, held_out),
            weight=data.total_weight(),
            look=(FEWEST_EPOCHS, MOVED),
        )

    @cached_property
    def constant(self) -> float:
        """The cost of the best constant."""
        return constant_cost(self.kind.settings.loss, self.data)

    @cached_property
    def little(self) -> float:
        """Above this cost a network has learned little."""
        return BETTER * self.constant

    def loop(self, trained: TrainedNetwork) -> FitLoop:
        """Return the loop of a fit that is to be taken over."""
        kind = self.kind
        return FitLoop(
            *(cast(Any, trained), kind.settings, TrainingState(), self.data, self._held_out, kind.options),
            batch=self._batch,
            dtype=trained.W[0].dtype,
        )


class QueuedFits:
    """Fits that are trained by a queue of the core.

    Parameters
    ----------
    fits : list of ManyFit
    X, T : ndarray
    weights : ndarray or None
    total_seconds : float or None

    Attributes
    ----------
    histories : list of History or None
    diverged : list of DivergenceError
    stuck : int
        How many networks have learned little.
    advice : str
        What to tell the user of the first of them.
    stopped : str
        Why all of them were stopped, or "".
    """

    def __init__(
        self, fits: list[ManyFit], X: Array, T: Array, weights: Any, total_seconds: float | None
    ) -> None:
        self.histories: list[History | None] = [None] * len(fits)
        self.diverged: list[DivergenceError] = []
        self.stuck = 0
        self.advice = ""
        self.stopped = ""
        self._fits = fits
        self._columns = X, T, weights
        most = max(X.shape[1] if fit.rows is None else len(fit.rows) for fit in fits)
        seconds = math.inf if total_seconds is None else _validate.rate(total_seconds, "total_seconds")
        self._queue = engine.TrainingQueue(len(fits), most, seconds)
        self._begun: list[_Plan | None] = []
        self._last = History()
        self._spared = 0  # epochs that fits had no use for
        self._kinds: dict[Any, _Kind] = {}
        self._plans: dict[Any, _Plan] = {}  # of fits with all examples
        self._latest: tuple[Any, Any] = None, None  # of such fits: key and plan

    def run(self, n_threads: int, display: Display | None) -> None:
        """Train all networks; an interrupt comes here, and ends all fits after their epoch."""
        queue, ahead = self._queue, max(FEWEST_AHEAD, 2 * n_threads)
        workers = min(n_threads, len(self._fits)) - 1
        claim, entered = Claim(sys._getframe()), []  # this frame is there until all fits have ended
        try:
            try:
                for _ in range(workers):  # `threading` takes 0.1 ms more to begin and end one
                    start_new_thread(queue.work, ())
                queue.wait_for_threads(workers, 0.002)
                for fit in self._fits:
                    entered.append(fit.network)
                    if fit.network.fits.enter(claim) is None:
                        raise RuntimeError("another fit of this network is running: one at a time")
                    self._prepare(fit)
                    while queue.pending >= ahead:
                        self._go_on(display)
                queue.close()
                while queue.pending:
                    self._go_on(display)
            except KeyboardInterrupt:
                self.stopped = INTERRUPTED
                queue.stop()
                while queue.pending:
                    self._go_on(display)
        finally:
            queue.stop()
            queue.close()
            while not queue.wait_until_left(PATIENCE):
                pass
            for network in entered:
                network.fits.leave(claim)

    def _go_on(self, display: Display | None) -> None:
        """Take in a fit that has ended, or train for a while."""
        queue = self._queue
        result = queue.finished()
        if result is not None:
            self._take_in(result)
            queue.forget(result[0])
        elif not queue.help(SLICE):
            queue.wait_for_finished(0.002)
            if queue.finished() is None:
                time.sleep(0.002)
        if display is not None:
            display(queue.epochs_done + self._spared, self._last)

    def _prepare(self, fit: ManyFit) -> None:
        """Check what a fit is asked for, and hand it to the queue."""
        network = fit.network
        layers = network.layers
        key = (
            (id(fit.options), network.sizes, layers[-1].activation, network.dtype, network.classes),
            (id(network.preprocessing), *map(ACTIVATION_AND_DROPOUT, layers)),
        )
        whole = fit.rows is None is fit.validation_rows and not fit.options.get("validation_fraction")
        known, plan = self._latest
        if not whole or known != key:  # most are like the one before: to compare is sooner than to look up
            plan = self._plan(fit, *key, whole)
            self._latest = key if whole else None, plan
        self._begun.append(plan)
        self._queue.add_network(plan.queued, *network.weights(), fit.seed)

    def _plan(self, fit: ManyFit, shape: tuple[Any, ...], structure: tuple[Any, ...], whole: bool) -> _Plan:
        """Return what is to be done for a network, and keep it for others that have all examples too."""
        plan = self._plans.get((shape, structure)) if whole else None
        if plan is None:
            kind = self._kinds.get(shape)
            if kind is None:
                kind = self._kinds[shape] = _Kind(fit, *self._columns)
            plan = kind.plan(fit, structure)
            if whole:
                self._plans[shape, structure] = plan
        return plan

    def _take_in(self, result: engine.QueuedResult) -> None:
        """Give a network what it has learned."""
        k, end, losses, seconds, held_out_losses, moments, best, trained = result
        plan, fit = self._begun[k], self._fits[k]
        if plan is None or end == "not begun":
            return
        network, kind = fit.network, plan.kind
        if end == "no memory":
            raise MemoryError(f"cannot allocate what the training of networks[{k}] takes")
        if end == "weights":
            network.check_weights(*network.weights())
        assert trained is not None
        W, b, step, cost = trained
        if end == "done" and best is None:  # the usual way, much sooner than by a loop
            epochs = len(losses)
            history = History(losses, seconds, held_out_losses, [kind.rate] * epochs, {}, None, DONE)
            network.publish(W, b)
            state: Any = epochs, epochs * plan.n, step, moments
        else:
            loop = plan.loop(TrainedNetwork(W, b, moments, step))
            history, state = loop.history, loop.state
            try:
                loop.take_over(result, LATE if end == "late" else self.stopped)
            except DivergenceError as error:
                self.diverged.append(error)
                self._end(k, history)
                return
            network.publish(*loop.result)
            state.step, state.moments = step, moments
        network.keep_trainer(partial(_trainer, kind.settings, fit.seed, history, state))
        if kind.classes is not None:
            network.classes = kind.classes
        if not math.isnan(cost) and cost > plan.little < losses[-1]:
            self.stuck += 1
            self.advice = self.advice or advice(history, kind.settings, plan.data, plan.constant)
        self.histories[k] = self._last = history
        self._end(k, history)

    def _end(self, k: int, history: History) -> None:
        """Count the epochs that a fit had no use for, and let go of its examples."""
        plan = self._begun[k]
        assert plan is not None
        self._spared += plan.kind.options.epochs - len(history.loss)
        self._begun[k] = None


def _trainer(settings: Settings, seed: int, history: History, state: Any, network: Network) -> Trainer:
    """Return what goes on from such a fit; `state` may be what `TrainingState.after` takes."""
    if isinstance(state, tuple):
        state = TrainingState.after(*state)
    return Trainer.after_fit(network, settings.with_seed(seed), history, state)
