"""One fit: its epochs one after the other, what is looked at between them, and how it may end."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from fastnet import threads
from fastnet._core import engine
from fastnet._examples import Examples
from fastnet._validate import Array
from fastnet.history import DONE, DivergenceError, History

if TYPE_CHECKING:
    from fastnet.callbacks import Callback
    from fastnet.metrics import Metric
    from fastnet.optimizers import LBFGS
    from fastnet.training import Trainer
    from fastnet.training.progress import Display

__all__ = ["Run", "new_core"]

TRAINING, VALIDATION = 1, 2  # the loss that early stopping watches


def new_core(trainer: Trainer, W: list[Array], b: list[Array], batch: int) -> engine.TrainerCore:
    """Return a core that trains as a trainer is set, from these weights."""
    network = trainer.network
    return engine.TrainerCore(
        W,
        b,
        network._activations(),
        batch,
        threads.threads_for(network._flops(batch), trainer._n_threads),
        loss=trainer._loss.name,
        loss_parameter=trainer._loss.parameter,
        **trainer._optimizer.core_options(),
        l2=trainer._l2,
        clip_norm=trainer._clip_norm or 0.0,
        dropout=network._dropout(),
        seed=trainer._seed,
        standardize=network._standardize(W[0].dtype),
    )


class Run:
    """One fit of a trainer, which it moves on; the arguments are those of `Trainer.fit`, checked.

    With `one_by_one` nobody knows how many epochs will follow.
    """

    def __init__(
        self,
        trainer: Trainer,
        data: Examples,
        held_out: Examples | None,
        *,
        epochs: int,
        one_by_one: bool = False,
        progress: bool | None = False,
        early_stopping: bool = False,
        tol: float = 0.0,
        patience: int = 0,
        metrics: Iterable[Any] = (),
        callbacks: Iterable[Any] = (),
        max_seconds: float | None = None,
    ) -> None:
        self.history = History()
        self.interrupted = ""  # what to tell the user of it, once the fit is over
        self._trainer = trainer
        self._data = data
        self._held_out = held_out
        self._begin, self._steps = trainer.epochs_done, 0
        self._epochs = epochs
        self._one_by_one = one_by_one
        self._early_stopping = early_stopping
        self._tol = tol
        self._patience = patience
        self._metrics: dict[str, Metric] = {}
        self._callbacks: list[Callback] = []
        self._display: Display | None = None
        self._max_seconds = max_seconds
        self._deadline = math.inf
        self._looks = not (held_out is None and trainer._schedule is None) or early_stopping
        self._load(metrics, callbacks, progress)

    def _load(self, metrics: Any, callbacks: Any, progress: bool | None) -> None:
        """Load what this fit asks for, and nothing that it does not."""
        if metrics != ():
            from fastnet.metrics import resolve as resolve_metrics

            self._metrics = resolve_metrics(metrics)
        if callbacks != ():
            from fastnet.callbacks import resolve as resolve_callbacks

            self._callbacks = resolve_callbacks(callbacks)
        if progress is not False:
            from fastnet.training.progress import display

            self._display = display(self._epochs, progress)
        self._looks = self._looks or bool(self._metrics or self._callbacks)

    def all(self, core: engine.TrainerCore) -> None:
        """Do the epochs and give the network its new weights; an error comes out with nothing given."""
        at, self._steps = self._trainer._at, core.step
        if self._early_stopping:
            at.stopping.begin(TRAINING if self._held_out is None else VALIDATION)
        if self._max_seconds is not None:
            self._deadline = time.perf_counter() + self._max_seconds
        try:
            for callback in self._callbacks:
                callback.on_train_begin(self._trainer)
            settings = self._trainer._lbfgs
            reason = self._batches(core) if settings is None else self._iterations(core, settings)
        except KeyboardInterrupt:
            reason = self._interrupted(core)
        self.history.stopped = reason
        self._publish(core)

    def close(self) -> None:
        """Take leave of terminal and callbacks, however the fit ended."""
        if self._display is not None:
            self._display.close(len(self.history.loss), self.history)
        for callback in self._callbacks:
            callback.on_train_end(self._trainer)

    def _batches(self, core: engine.TrainerCore) -> str:
        """Train epoch by epoch, and return why the last was the last."""
        trainer, at, history, display = self._trainer, self._trainer._at, self.history, self._display
        data = self._data
        X, T, weights, which = data
        n, seed, shuffle = data.n, trainer._seed, trainer._shuffle
        learning_rate, schedule = trainer._optimizer.learning_rate, trainer._schedule  # type: ignore[union-attr]
        rate: Any = learning_rate
        last_rate = learning_rate
        end = at.epochs_done + self._epochs
        if schedule is not None:
            from fastnet.schedules import Position

            planned, batches = None if self._one_by_one else end, -(-n // trainer._batch)
            place = Position(end=planned, batches=batches, memory=at.memory)
        due = math.inf if display is None else display.due
        clock, isfinite, looks, deadline = time.perf_counter, math.isfinite, self._looks, self._deadline
        for epoch in range(at.epochs_done, end):
            start = clock()
            if schedule is not None:
                place.epoch, place.examples_seen = epoch, at.examples_seen
                rate = schedule.rates(learning_rate, place)
                last_rate = float(rate if isinstance(rate, (int, float)) else rate[-1])
            order = data.order(engine.permutation(n, seed, epoch)) if shuffle else which
            loss = core.epoch(X, T, order, rate, weights) / n
            now = clock()
            if not (isfinite(loss) and core.finite()):
                raise self._diverged(f"learning_rate={last_rate:g}")
            history.loss.append(loss)
            history.seconds.append(now - start)
            history.learning_rate.append(last_rate)
            at.epochs_done = epoch + 1
            at.examples_seen += n
            if looks and (reason := self._look(core, loss)):
                return reason
            if now >= due and display is not None:
                due = display.update(len(history.loss), history, now)
            if now >= deadline:
                return self._out_of_time()
        return DONE

    def _iterations(self, core: engine.TrainerCore, settings: LBFGS) -> str:
        """Train by L-BFGS, and return why it ended."""
        trainer, at, history, display = self._trainer, self._trainer._at, self.history, self._display
        n, start = self._data.n, time.perf_counter()

        def after_iteration(loss: float) -> str:
            nonlocal start
            now = time.perf_counter()
            history.loss.append(loss)
            history.seconds.append(now - start)
            at.epochs_done += 1
            at.examples_seen += n
            reason = self._look(core, loss) if self._looks else ""
            if display is not None and now >= display.due:
                display.update(len(history.loss), history, now)
            if now >= self._deadline:
                reason = reason or self._out_of_time()
            start = time.perf_counter()
            return reason

        from fastnet.training.lbfgs import minimize

        reason = minimize(core, self._data, trainer._l2, settings, after_iteration)
        if not (math.isfinite(core.loss(*self._data)) and core.finite()):
            raise self._diverged("optimizer=LBFGS")
        return reason

    def _look(self, core: engine.TrainerCore, loss: float) -> str:
        """Look at all there is to look at after an epoch, and return why it is the last, or ""."""
        trainer, at, reason = self._trainer, self._trainer._at, ""
        if self._held_out is not None:
            loss = core.loss(*self._held_out) / self._held_out.total_weight()
            self.history.validation_loss.append(loss)
        if self._metrics:
            A = core.predict(self._data.X)
            self._measure("", self._data, A)
            if self._held_out is not None:
                same = self._held_out.X is self._data.X  # another part of it
                self._measure("validation_", self._held_out, A if same else core.predict(self._held_out.X))
        if self._early_stopping:
            reason = self._waits(core, loss)
        if trainer._schedule is not None:
            reason = trainer._schedule.after_epoch(loss, at.memory) or reason
        for callback in self._callbacks:
            callback.on_epoch_end(trainer)
        return trainer._stop or reason

    def _measure(self, prefix: str, data: Examples, A: Array) -> None:
        T, A = data.outcome(A)
        for name, metric in self._metrics.items():
            self.history.metrics.setdefault(prefix + name, []).append(metric(T, A))

    def _waits(self, core: engine.TrainerCore, loss: float) -> str:
        """Note the weights if the loss is the lowest yet, and return why there is no hope, or ""."""
        stopping = self._trainer._at.stopping
        if stopping.plateau.sees(loss, self._tol):
            stopping.best, stopping.best_epoch = self._trainer._of_core(core), self._trainer.epochs_done
        if stopping.plateau.waited <= self._patience:
            return ""
        stopping.plateau.waited = 0
        which = "loss" if self._held_out is None else "validation loss"
        return f"the {which} did not fall by {self._tol:g} in more than {self._patience} epochs"

    def _publish(self, core: engine.TrainerCore) -> None:
        """Give the network the last epoch's weights, or with early stopping the best epoch's."""
        at = self._trainer._at
        weights, stopping = self._trainer._of_core(core), at.stopping
        at.going_on = None
        if self._early_stopping and stopping.best is not None:
            self.history.best_epoch = stopping.best_epoch
            if not stopping.holds(weights):
                at.going_on = weights
                weights = stopping.copied_best()
        self._trainer.network._publish(*weights)

    def _interrupted(self, core: engine.TrainerCore) -> str:
        self.history.trim()
        if not core.finite():
            raise self._diverged("weights that an interrupt found so") from None
        trainer, at, n, rest = self._trainer, self._trainer._at, self._data.n, 0
        if (
            trainer._lbfgs is None
        ):  # it may have come after the last batch of an epoch that is not counted yet
            epochs, rest = divmod(core.step - self._steps, -(-n // trainer._batch))
            at.examples_seen += (self._begin + epochs - at.epochs_done) * n
            at.epochs_done = self._begin + epochs
        done = f"after {at.epochs_done - self._begin} of {self._epochs} epochs"
        if rest:
            done += f" and {rest * trainer._batch} of the {n} examples of the next"
        best = self._early_stopping and self._trainer._at.stopping.best is not None
        kept = "best epoch" if best else "last whole batch"
        self.interrupted = f"fit interrupted {done}: the network keeps the weights of the {kept}"
        return f"interrupted {done}"

    def _diverged(self, culprit: str) -> DivergenceError:
        epoch = len(self.history.loss) + 1
        return DivergenceError(
            f"fit diverged in epoch {epoch} of {self._epochs} with {culprit}: the weights or the cost are no "
            "longer finite. The network keeps its weights of before this fit; try a smaller learning_rate or "
            "inputs scaled to a similar range"
        )

    def _out_of_time(self) -> str:
        return f"max_seconds={self._max_seconds:g} are over"
