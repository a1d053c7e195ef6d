"""Fits after whose epochs Python has nothing to do: threads train them in the core, one after the other.

Each thread makes one call, in which it takes the next network with all its epochs. This one prepares the next
fits and takes in what has come out meanwhile, and trains as well when there is nothing else to do.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastnet import _examples, _validate
from fastnet._core import engine
from fastnet._examples import Examples
from fastnet._validate import Array
from fastnet.history import DivergenceError, History
from fastnet.metadata import class_numbers
from fastnet.network import Network
from fastnet.optimizers import LBFGS
from fastnet.training.advice import advice, constant_cost, hardly_moved
from fastnet.training.loop import MOST_EPOCHS, SLICE, FitLoop
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

FEWEST_AHEAD = 8  # fits that are prepared, if not two for each thread: few, so they stay in cache
MOST_BYTES = 1 << 28  # of the arenas of prepared fits, if there are more of them than threads


class ManyFit(NamedTuple):
    """What one network is to be trained on, and how.

    `options` are those of `Network.fit` without the seed; fits with the same have the same dict. `X` is None
    for the examples that all have in common.
    """

    network: Network
    rows: NDArray[np.intp] | None
    validation_rows: NDArray[np.intp] | None
    seed: Any
    options: dict[str, Any]
    X: Any = None


def needs_python(options: dict[str, Any]) -> bool:
    """Return whether such a fit has something to do after an epoch that only Python can do."""
    if not options.keys() <= {*SETTINGS, *OPTIONS, *CHOICE}:
        return True
    if options.get("schedule") is not None or options.get("metrics", ()) != ():
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
        self.core_options = self.settings.core_options()
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
        self._same: tuple[Examples, Examples | None] | None = None  # for fits with the same examples
        self._constant: float | None = None

    def examples(self, fit: ManyFit, seed: int) -> tuple[Examples, Examples | None]:
        """Return what to train on and what is held out."""
        if self._same is not None and fit.rows is None is fit.validation_rows:
            return self._same
        loss, dtype = self.settings.loss.name, fit.network.dtype
        rows = {"rows": fit.rows, "validation_rows": fit.validation_rows}
        chosen = _examples.choose_examples(self._all, None, loss, dtype, seed=seed, **rows, **self._choice)
        if fit.rows is None is fit.validation_rows and not self._choice["fraction"]:
            self._same = chosen
        return chosen

    def constant(self, data: Examples) -> float:
        """Return the cost of the best constant for examples that a fit was trained on."""
        if self._same is None or data is not self._same[0]:
            return constant_cost(self.settings.loss, data)
        if self._constant is None:
            self._constant = constant_cost(self.settings.loss, data)
        return self._constant


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
        self._begun: list[tuple[_Kind, Settings, FitLoop] | None] = []
        self._last = History()
        self._spared = 0  # epochs that fits had no use for
        self._kinds: dict[Any, _Kind] = {}

    def run(self, n_threads: int, display: Display | None) -> None:
        """Train all networks; an interrupt comes here, and ends all fits after their epoch."""
        queue, ahead = self._queue, max(FEWEST_AHEAD, 2 * n_threads)
        workers = [
            threading.Thread(target=queue.work, name="fastnet.train_many")
            for _ in range(min(n_threads, len(self._fits)) - 1)
        ]
        claims = []
        try:
            try:
                for worker in workers:
                    worker.start()
                queue.wait_for_threads(len(workers), 0.002)
                for fit in self._fits:
                    claim = fit.network.fits.enter()  # of this frame, which is there until the fit has ended
                    claims.append((fit.network, claim))
                    if claim is None:
                        raise RuntimeError("another fit of this network is running: one at a time")
                    self._prepare(fit)
                    while queue.pending >= ahead or (queue.bytes > MOST_BYTES and queue.pending > n_threads):
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
            for worker in workers:
                while worker.is_alive():
                    worker.join(PATIENCE)
            for network, claim in claims:
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
        key = id(fit.options), network.sizes, network.layers[-1].activation, network.dtype, network.classes
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = _Kind(fit, *self._columns)
        settings = kind.settings.with_seed(fit.seed)
        data, held_out = kind.examples(fit, settings.seed)
        batch, weights = settings.batch(data.n), network.weights()
        core_options = {**kind.core_options, "seed": settings.seed}
        core = network.trainer_core(batch, 1, core_options, weights, network.dtype)
        if not core.finite():
            network.check_weights(*weights)
        loop = FitLoop(
            *(core, settings, TrainingState(), data, held_out, kind.options), batch=batch, dtype=network.dtype
        )
        self._begun.append((kind, settings, loop))
        loop.add_to(self._queue)

    def _take_in(self, result: engine.QueuedResult) -> None:
        """Give a network what it has learned."""
        k, end, *_, moments, _ = result
        begun, network = self._begun[k], self._fits[k].network
        if begun is None or end == "not begun":
            return
        kind, settings, loop = begun
        try:
            loop.take_over(result, LATE if end == "late" else self.stopped)
        except DivergenceError as error:
            self.diverged.append(error)
        else:
            if hardly_moved(loop.history):
                self._advise(kind, loop)
            network.keep_trainer(Trainer.after_fit(network, settings, loop, moments))
            if kind.classes is not None:
                network.classes = kind.classes
            self.histories[k] = self._last = loop.history
        self._spared += kind.options.epochs - len(loop.history.loss)
        self._begun[k] = None

    def _advise(self, kind: _Kind, loop: FitLoop) -> None:
        """Count a fit that has learned little; the first such one says what may help."""
        data = loop.data.in_memory
        assert data is not None
        constant = kind.constant(data)
        if loop.has_learned_little(data, constant):
            self.stuck += 1
            self.advice = self.advice or advice(loop.history, kind.settings, data, constant)
