"""The training loop of a fit: epochs, validation, metrics, early stopping, callbacks, interrupts."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from fastnet._core import engine
from fastnet._examples import ConvertedExamples, Examples, TrainingData
from fastnet._validate import Array
from fastnet.history import DONE, DivergenceError, History
from fastnet.progress import Bar, curves, new_bar
from fastnet.training.advice import advice, constant_cost, hardly_moved, learned_little
from fastnet.training.settings import FitOptions, Settings
from fastnet.training.state import TrainingState, Weights

if TYPE_CHECKING:
    from fastnet.optimizers import LBFGS

__all__ = ["FitLoop", "Observer", "TrainedNetwork", "queued_fit"]

MOST_EPOCHS = 100_000  # of a fit in the core, which keeps room for the losses of all of them
SLICE = 0.05  # seconds of training in the core between two looks at what else there is to do
TRAINING, VALIDATION, CALIBRATED = 1, 2, 3  # the loss that early stopping watches
WATCHED = {TRAINING: "loss", VALIDATION: "validation loss", CALIBRATED: "calibrated loss"}


class Observer(Protocol):
    """Who is told how a fit goes: the callbacks, see `fastnet.callbacks.CallbackList`."""

    def on_train_begin(self) -> None:
        """Do what is to be done before the first epoch."""

    def on_epoch_end(self) -> str:
        """Look at an epoch, and return why it is the last, or ""."""


class TrainedNetwork(NamedTuple):
    """What a queue of the core has left of a training: for `FitLoop.take_over`, in place of a core."""

    W: list[Array]
    b: list[Array]
    kept: dict[str, Array]
    step: int

    def weights(self) -> Weights:
        """Return W and b."""
        return self.W, self.b

    def moments(self) -> dict[str, Array]:
        """Return what the optimiser keeps."""
        return self.kept

    def moments_finite(self) -> bool:
        """Return whether all of it is finite."""
        return all(np.isfinite(array).all() for array in self.kept.values())


def queued_fit(
    core: engine.TrainerCore,
    settings: Settings,
    options: FitOptions,
    state: TrainingState,
    data: Examples,
    held_out: Examples | None,
    **what: Any,
) -> engine.QueuedFit:
    """Return a fit as a queue of the core takes it; `what` else it shall tell.

    For a fit after whose epochs Python has nothing to do: no metrics, schedule or callbacks.
    """
    optimizer, seed = settings.optimizer, settings.seed if settings.shuffle else None
    stopping = None
    if options.early_stopping:
        plateau = state.early_stopping.plateau
        stopping = options.tol, options.patience, plateau.best, plateau.waited
    return engine.QueuedFit(
        *(core, data, optimizer.learning_rate, seed),  # type: ignore[union-attr]
        *(state.epochs_done, options.epochs, "second" in optimizer.moments, options.max_seconds),
        *(held_out, 1.0 if held_out is None else held_out.total_weight(), stopping),
        **what,
    )


class FitLoop:
    """One fit: it moves a state on, epoch by epoch, and finds the weights that the network is to get.

    Parameters
    ----------
    core : engine.TrainerCore or TrainedNetwork
        Has the weights to begin with, and what the optimiser keeps; or what is left of a training.
    settings : Settings
    state : TrainingState
        Where the training stands; changed as the epochs go by.
    data, held_out : TrainingData and Examples
        To train on, and to validate on or None.
    options : FitOptions
    batch : int
        Examples in a batch.
    dtype : dtype
        Of the network; the core's is another with L-BFGS.

    Attributes
    ----------
    history : History
    data : TrainingData
    batch : int
    interrupted : str
        What to tell the user of an interrupt once the fit is over, or "".
    advice : str
        What to tell the user of a loss that has hardly moved, or "".
    result : lists of W and b
        The weights for the network, once the loop has run.
    """

    def __init__(
        self,
        core: engine.TrainerCore,
        settings: Settings,
        state: TrainingState,
        data: TrainingData,
        held_out: Examples | None,
        options: FitOptions,
        *,
        batch: int,
        dtype: np.dtype[Any],
    ) -> None:
        self.core = core
        self.state = state
        self.history = History()
        self.interrupted = ""
        self.advice = ""
        self.result: Weights = [], []
        self.observer: Observer | None = None
        self._settings = settings
        self.data = data
        self._held_out = held_out
        self._options = options
        self.batch = batch
        self._dtype = dtype
        self._first_epoch, self._first_example, self._first_step = (
            state.epochs_done,
            state.examples_seen,
            core.step,
        )
        self._deadline = math.inf
        # with "calibrated": room for the logits of what is held out, and its targets and weights in a row
        self._to_calibrate: tuple[Array, Array, Array | None] | None = None
        if options.calibrated:
            assert held_out is not None
            T, weights = held_out.targets_in_a_row()
            self._to_calibrate = np.empty_like(T), T, weights
        self._bar: Bar | None = None
        if options.progress is not False:
            self._bar = new_bar(options.epochs, options.progress)

    def run(self) -> None:
        """Train until the last epoch, early stopping, the time limit or an interrupt; errors are raised."""
        options = self._options
        self._watch()
        if options.max_seconds is not None:
            self._deadline = time.perf_counter() + options.max_seconds
        try:
            if self.observer is not None:
                self.observer.on_train_begin()
            lbfgs = self._settings.lbfgs
            if lbfgs is not None:
                reason = self._run_lbfgs(lbfgs)
            else:
                reason = self._run_in_core() if self._can_run_in_core() else self._run_epochs()
            data = self.data.in_memory
            if data is not None and hardly_moved(self.history):
                constant = constant_cost(self._settings.loss, data)
                if self.has_learned_little(data, constant):
                    self.advice = advice(self.history, self._settings, data, constant)
        except KeyboardInterrupt:
            reason = self._after_interrupt()
        self.history.stopped = reason
        self._choose_result()

    def _watch(self) -> None:
        """Let early stopping forget what it has noted of another loss."""
        if self._options.early_stopping:
            self.state.early_stopping.watch(self._watched())

    def _watched(self) -> int:
        """Return which loss early stopping watches."""
        if self._options.calibrated:
            return CALIBRATED
        return TRAINING if self._held_out is None else VALIDATION

    def cost(self, data: Examples) -> float:
        """Return the mean cost of examples by the weights as training has them now."""
        return self.core.loss(*data) / data.total_weight()

    def has_learned_little(self, data: Examples, constant: float) -> bool:
        """Return whether the cost of the data is hardly below that of the best constant.

        The loss of the last epoch is asked first, because it is there.
        """
        return learned_little(self.history.loss[-1], constant) and learned_little(self.cost(data), constant)

    def take_over(self, result: engine.QueuedResult, stopped: str) -> None:
        """Note what a queue says of this fit, as `run` would have; errors are raised.

        Parameters
        ----------
        result : tuple
            From `engine.TrainingQueue.finished`: at least one epoch.
        stopped : str
            What to say of a fit that the queue ended before its time.
        """
        self._watch()
        self.history.stopped = self._note(result) or stopped
        self._choose_result()

    def _note(self, result: engine.QueuedResult) -> str:
        """Note the same, and return why the last epoch was the last, or "" if the queue was told to stop.

        An interrupt may come in between: whoever does it again does no harm.
        """
        history, state, stopping = self.history, self.state, self.state.early_stopping
        _, end, losses, seconds, held_out_losses, _, best, _ = result
        rate = self._settings.optimizer.learning_rate  # type: ignore[union-attr]
        if end == "diverged":
            history.loss = losses[:-1]
            raise self._divergence(f"learning_rate={rate:g}")
        history.loss, history.seconds, history.validation_loss = losses, seconds, held_out_losses
        history.learning_rate = [rate] * len(losses)
        if end == "moments":
            self._check_moments(rate)
        if end == "validation":
            raise self._validation_diverged(held_out_losses[-1])
        state.epochs_done = self._first_epoch + len(losses)
        state.examples_seen = self._first_example + len(losses) * self.data.n
        if best is not None:
            stopping.plateau.best, stopping.plateau.waited, epoch, *weights = best
            if epoch > 0:
                stopping.best_epoch, stopping.best_weights = epoch, (weights[0], weights[1])
        if end == "early stopping":
            return self._waited_too_long()
        if end == "max_seconds":
            return self._out_of_time()
        return DONE if end == "done" else ""

    def _can_run_in_core(self) -> bool:
        """Return whether the core can train all epochs in one call, and is worth being asked.

        It is where epochs are short, on one thread, and after them Python has nothing to do.
        """
        data, settings, options = self.data.in_memory, self._settings, self._options
        return (
            data is not None
            and self.core.dtype == self._dtype
            and self.core.trains_at_once(data.n)
            and options.epochs <= MOST_EPOCHS
            and not (options.one_by_one or options.metrics or options.calibrated)
            and settings.schedule is None
            and not getattr(settings.optimizer, "scale_rate", 0)
            and self.observer is None
        )

    def _run_in_core(self) -> str:
        """Train all epochs in the core, which returns now and then for Ctrl-C and the progress bar."""
        queue, data = engine.TrainingQueue(1, self.data.n), self.data.in_memory
        assert data is not None
        queue.add(
            queued_fit(
                self.core, self._settings, self._options, self.state, data, self._held_out, moments=False
            )
        )
        queue.close()
        bar, interrupted = self._bar, False
        while True:
            try:
                while queue.help(SLICE):
                    now = time.perf_counter()
                    if bar is not None and now >= bar.due:
                        self.history.loss, self.history.validation_loss = queue.losses_of(0)
                        self._show(bar.update, 0.0, now)
                result = queue.finished()
                assert result is not None
                reason = self._note(result)
                break
            except KeyboardInterrupt:  # the epoch that has begun is trained to its end
                interrupted = True
                queue.stop()
        if interrupted:
            raise KeyboardInterrupt
        return reason

    def close(self) -> None:
        """Leave the terminal clean, however the fit ended."""
        if self._bar is not None:
            self._show(self._bar.close, 0.0)

    def _show(self, bar_method: Callable[..., Any], part: float, *now: float) -> Any:
        """Tell the bar how many epochs are done, with the part of the one that is not, and the losses."""
        return bar_method(len(self.history.loss) + part, curves(self.history), *now)

    def weights(self) -> Weights:
        """Return copies of the weights as training has them now, in the network's dtype."""
        W, b = self.core.weights()
        if W[0].dtype != self._dtype:
            W, b = [array.astype(self._dtype) for array in W], [array.astype(self._dtype) for array in b]
        return W, b

    def _run_epochs(self) -> str:
        """Train epoch by epoch, and return why the last was the last."""
        core, settings, state = self.core, self._settings, self.state
        history, bar = self.history, self._bar
        data, batch = self.data, self.batch
        n, seed = data.n, settings.seed if settings.shuffle else None
        learning_rate, schedule = settings.optimizer.learning_rate, settings.schedule  # type: ignore[union-attr]
        rate: Any = learning_rate
        last_rate = learning_rate
        end = state.epochs_done + self._options.epochs
        if schedule is not None:
            from fastnet.schedules import Position

            planned, batches = None if self._options.one_by_one else end, -(-n // self.batch)
            position = Position(end=planned, batches=batches, memory=state.schedule_memory)
        observed = self._is_observed()
        checks_moments = "second" in settings.optimizer.moments
        update_at = math.inf if bar is None else bar.due
        clock, isfinite, deadline = time.perf_counter, math.isfinite, self._deadline
        batches_done = 0

        def tick(examples: int) -> None:
            """Move the bar within a long epoch."""
            nonlocal update_at
            now = clock()
            if now >= update_at and bar is not None:
                update_at = self._show(bar.update, (batches_done * batch + examples) / n, now)

        for epoch in range(state.epochs_done, end):
            start = clock()
            if schedule is not None:
                position.epoch, position.examples_seen = epoch, state.examples_seen
                rate = schedule.rates(learning_rate, position)
                last_rate = float(rate if isinstance(rate, (int, float)) else rate[-1])
            total, batches_done = 0.0, 0
            with closing(data.pieces(batch, epoch, seed)) as pieces:  # so that a reader ends with the epoch
                for X, T, order, weights, n_piece in pieces:
                    rates = rate
                    if n_piece < n and np.ndim(rate):  # one for each batch
                        rates = np.asarray(rate)[batches_done : batches_done + -(-n_piece // batch)]
                    total = core.epoch(X, T, order, rates, weights, total, None if bar is None else tick)
                    batches_done += -(-n_piece // batch)
            order = None  # the next one is made before this name has it
            loss = total / n
            now = clock()
            if not (isfinite(loss) and core.finite()):
                raise self._divergence(f"learning_rate={last_rate:g}")
            history.loss.append(loss)
            history.seconds.append(now - start)
            history.learning_rate.append(last_rate)
            state.epochs_done = epoch + 1
            state.examples_seen += n
            if checks_moments:
                self._check_moments(last_rate)
            if observed and (reason := self._after_epoch(loss)):
                return reason
            if now >= update_at and bar is not None:
                update_at = self._show(bar.update, 0.0, now)
            if now >= deadline:
                return self._out_of_time()
        return DONE

    def _run_lbfgs(self, lbfgs: LBFGS) -> str:
        """Train by L-BFGS, whose iterations count as epochs, and return why it ended."""
        core, state, history, bar = self.core, self.state, self.history, self._bar
        n, start = self.data.n, time.perf_counter()
        observed = self._is_observed()

        def after_iteration(loss: float) -> str:
            nonlocal start
            now = time.perf_counter()
            history.loss.append(loss)
            history.seconds.append(now - start)
            state.epochs_done += 1
            state.examples_seen += n
            reason = self._after_epoch(loss) if observed else ""
            if bar is not None and now >= bar.due:
                self._show(bar.update, 0.0, now)
            if now >= self._deadline:
                reason = reason or self._out_of_time()
            start = time.perf_counter()
            return reason

        from fastnet.training.lbfgs import minimize, total_loss

        data = self.data
        assert isinstance(data, (Examples, ConvertedExamples))  # no stream
        reason = minimize(core, data, self._settings.l2, lbfgs, after_iteration)
        if not (math.isfinite(total_loss(core, data)) and core.finite()):
            raise self._divergence("optimizer=LBFGS")
        return reason

    def _is_observed(self) -> bool:
        """Return whether there is anything to be done after an epoch."""
        options = self._options
        return bool(
            self._held_out is not None
            or self._settings.schedule is not None
            or options.early_stopping
            or options.metrics
            or self.observer is not None
        )

    def _after_epoch(self, loss: float) -> str:
        """Validate, measure, tell early stopping, schedule and callbacks; return why to end, or ""."""
        reason = ""
        if self._held_out is not None:
            loss = self._validate(self._held_out)
        if self._options.metrics:
            data, held_out = self.data.in_memory, self._held_out
            A = None if data is None else self.core.predict(data.X)
            if data is not None and A is not None:
                self._measure("", *data.outcome(A))
            elif (found := self.data.predicted(self.core.predict)) is not None:
                self._measure("", *found)
            if held_out is not None:
                if A is None or data is None or held_out.X is not data.X:  # else it is another part of it
                    A = self.core.predict(held_out.X)
                self._measure("validation_", *held_out.outcome(A))
        if self._options.early_stopping:
            reason = self._check_early_stopping(loss)
        schedule = self._settings.schedule
        if schedule is not None:
            reason = schedule.after_epoch(loss, self.state.schedule_memory) or reason
        if self.observer is not None:
            reason = self.observer.on_epoch_end() or reason
        return reason

    def _validate(self, held_out: Examples) -> float:
        """Note the validation loss, and return the loss that early stopping watches."""
        total, kept = held_out.total_weight(), self._to_calibrate
        loss = self.core.loss(*held_out, None if kept is None else kept[0]) / total
        if not math.isfinite(loss):
            raise self._validation_diverged(loss)
        self.history.validation_loss.append(loss)
        if kept is None:
            return loss
        least, _ = engine.calibrated_loss(self._settings.loss.name, *kept)
        self.history.calibrated_loss.append(least / total)
        return least / total

    def _measure(self, prefix: str, T: Array, A: Array) -> None:
        """Note the metrics of targets and outputs."""
        for name, metric in self._options.metrics.items():
            self.history.metrics.setdefault(prefix + name, []).append(metric(T, A))

    def _check_early_stopping(self, loss: float) -> str:
        """Keep the weights if the loss is the lowest yet; return why to end if it waited too long, or ""."""
        stopping, tol, patience = self.state.early_stopping, self._options.tol, self._options.patience
        if stopping.plateau.update(loss, tol):
            stopping.best_weights, stopping.best_epoch = self.weights(), self.state.epochs_done
        if stopping.plateau.waited <= patience:
            return ""
        stopping.plateau.waited = 0
        return self._waited_too_long()

    def _waited_too_long(self) -> str:
        which, options = WATCHED[self._watched()], self._options
        return f"the {which} did not fall by {options.tol:g} in more than {options.patience} epochs"

    def _choose_result(self) -> None:
        """Choose the last epoch's weights for the network, or with early stopping the best epoch's."""
        state, stopping = self.state, self.state.early_stopping
        self.result, state.last_weights = self.weights(), None
        if self._options.early_stopping and stopping.best_weights is not None:
            self.history.best_epoch = stopping.best_epoch
            if not stopping.best_are(self.result):
                state.last_weights, self.result = self.result, stopping.copied_best()

    def _after_interrupt(self) -> str:
        """Count what was trained whole, and return what is said of an interrupt."""
        self.history.trim()
        if not self.core.finite():
            raise self._divergence("non-finite weights at the interrupt") from None
        state, n, rest = self.state, self.data.n, 0
        if self._settings.lbfgs is None:
            # it may have come after the last batch of an epoch that is not counted yet
            epochs, rest = divmod(self.core.step - self._first_step, -(-n // self.batch))
            state.examples_seen += (self._first_epoch + epochs - state.epochs_done) * n
            state.epochs_done = self._first_epoch + epochs
        done = f"after {state.epochs_done - self._first_epoch} of {self._options.epochs} epochs"
        if rest:
            done += f" and {rest * self.batch} of the {n} examples of the next"
        best = self._options.early_stopping and state.early_stopping.best_weights is not None
        kept = "best epoch" if best else "last whole batch"
        self.interrupted = f"fit interrupted {done}: the network keeps the weights of the {kept}"
        return f"interrupted {done}"

    def _divergence(self, culprit: str) -> DivergenceError:
        epoch = len(self.history.loss) + 1
        return DivergenceError(
            f"fit diverged in epoch {epoch} of {self._options.epochs} with {culprit}: the weights or the "
            "cost are no longer finite. The network keeps its weights of before this fit; try a smaller "
            "learning_rate or inputs scaled to a similar range"
        )

    def _validation_diverged(self, loss: float) -> DivergenceError:
        return DivergenceError(
            f"validation must have a finite loss, got {loss} in epoch {len(self.history.loss)}: its "
            f"numbers overflow in {self._dtype}. The network keeps its weights of before this fit"
        )

    def _check_moments(self, learning_rate: float) -> None:
        """DivergenceError if a mean square of gradients has overflowed: its weight is frozen."""
        if self.core.moments_finite():
            return
        for name, array in self.core.moments().items():
            if not np.isfinite(array).all():
                epoch = len(self.history.loss)
                raise DivergenceError(
                    f"fit diverged by epoch {epoch} of {self._options.epochs} with "
                    f"learning_rate={learning_rate:g}: squares of gradients overflow in {self._dtype}, and "
                    f"what {name} belongs to would never change again. The network keeps its weights of "
                    "before this fit; try clip_norm, dtype='float64' or data of a smaller range"
                )

    def _out_of_time(self) -> str:
        return f"max_seconds={self._options.max_seconds:g} are over"
