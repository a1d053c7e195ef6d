"""Trains with the stochastic solvers: sgd, adam, adamw, rmsprop.

Epochs, stopping rules and messages are scikit-learn's. The core trains all epochs in one call where it can,
else one in each call. The random numbers are drawn as scikit-learn draws them, so the same `random_state`
gives the same weights up to rounding.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastnet._core import engine
from fastnet.sklearn import (
    _class_weight,
    _compat,
    _layout,
    _optimizer_state,
    _schedule,
    _score,
    _trainer,
    _validation_set,
)
from fastnet.sklearn._compat import PrivateState, draw_permutation
from fastnet.sklearn._fit_arguments import FitArguments
from fastnet.sklearn._layout import Array
from fastnet.sklearn._own_parameters import own_parameter
from fastnet.sklearn._validation_set import ValidationSet
from fastnet.training.loop import MOST_EPOCHS, SLICE

__all__ = ["EpochLoop", "batch_size", "fit_by_epochs", "is_own_optimizer", "knows_optimizer"]


def fit_by_epochs(est: Any, arguments: FitArguments, X: Any, y: Any, sample_weight: Any) -> None:
    """Train an estimator whose weights are initialised. y is (n, n_outputs)."""
    incremental, state = arguments.incremental, PrivateState(est)
    if not incremental or not state.has_optimizer():
        state.optimizer = _optimizer_state.new_optimizer_state(est, arguments.solver)
    if est.early_stopping and incremental:
        raise ValueError("partial_fit does not support early_stopping=True")
    class_weight = own_parameter(est, "class_weight")
    if incremental and isinstance(class_weight, str):
        raise ValueError(
            "class_weight must be a dict or None in partial_fit, which sees a part of the data, "
            f"got {class_weight!r}"
        )
    sample_weight = _class_weight.weights_by_class(est, arguments, y)(y, sample_weight)
    _continue_with_early_stopping(est)
    dtype = _layout.precision(X, [*est.coefs_, *est.intercepts_])
    sparse = _layout.stays_sparse(X)
    validation_set = _validation_set.from_arguments(est, arguments, dtype, sparse)
    rows = None
    if est.early_stopping and validation_set is None:
        X = X.tocsr() if _layout.is_sparse(X) else X
        rows, validation_set = _validation_set.split_off(est, X, y, sample_weight, dtype, sparse)
        if not _layout.is_sparse(X) and X.strides[1] != X.itemsize:  # others are trained on where they lie
            sample_weight = None if sample_weight is None else sample_weight[rows]
            X, y, rows = _layout.rows_of(X, rows), y[rows], None
    EpochLoop(est, arguments, X, y, sample_weight, validation_set, dtype, rows).run()


def knows_optimizer(est: Any) -> bool:
    """Return whether the core can go on from the estimator's optimiser, if there is one."""
    state = PrivateState(est)
    return not state.has_optimizer() or _optimizer_state.solver_of(state.optimizer) is not None


def is_own_optimizer(est: Any) -> bool:
    """Return whether the estimator's optimiser is one that scikit-learn does not have."""
    state = PrivateState(est)
    return state.has_optimizer() and type(state.optimizer).__module__ == _optimizer_state.__name__


def _continue_with_early_stopping(est: Any) -> None:
    """Set what is missing where early stopping was switched on, or off, since the last fit."""
    state = PrivateState(est)
    if est.early_stopping and est.validation_scores_ is None:
        est.validation_scores_, est.best_validation_score_, est.best_loss_ = [], -np.inf, None
        state.best_coefs = [coef.copy() for coef in est.coefs_]
        state.best_intercepts = [intercept.copy() for intercept in est.intercepts_]
    elif not est.early_stopping and est.best_loss_ is None:
        est.validation_scores_, est.best_validation_score_, est.best_loss_ = None, None, np.inf
    else:
        return
    state.epochs_without_improvement = 0


def batch_size(est: Any, n: int) -> int:
    """Return how many of n examples make a batch."""
    if est.batch_size == "auto":
        return min(200, n)
    if est.batch_size > n:
        _compat.warn("Got `batch_size` less than 1 or larger than sample size. It is going to be clipped")
    return int(np.clip(est.batch_size, 1, n))


class EpochLoop:
    """Trains epoch after epoch until max_iter or until nothing improves any more."""

    def __init__(
        self,
        est: Any,
        arguments: FitArguments,
        X: Any,
        y: Any,
        weights: Any,
        validation_set: ValidationSet | None,
        dtype: np.dtype[Any],
        rows: Array | None = None,
    ) -> None:
        self.est = est
        self.state = PrivateState(est)
        self.arguments = arguments
        self.rows = rows  # those to train on; None: all
        self.n = X.shape[0] if rows is None else len(rows)
        self.batch = batch_size(est, self.n)
        self.X = _layout.for_core(X, dtype)
        self.T = _layout.converted(y, dtype, "y").T
        self.weights = None if weights is None else _layout.converted(weights, dtype, "sample_weight")
        self.validation_set = validation_set
        self.dtype = dtype
        self.order = np.arange(self.n, dtype=np.intp)
        self.solver = _optimizer_state.solver_of(self.state.optimizer) or arguments.solver
        in_a_row = _layout.numbers_in_a_row(X)
        sparse = _layout.stays_sparse(X)
        self.trainer = _trainer.EstimatorTrainer(est, self.solver, dtype, self.batch, in_a_row, sparse)
        self.best: tuple[Any, Any] | None = None
        self.schedule = _schedule.learning_rate_schedule(est, arguments, self.n, self.batch)

    def run(self) -> None:
        """Train to the end, and give the estimator its weights, whatever ends the training."""
        est, state = self.est, self.state
        if self.arguments.incremental:
            self.trainer.load_optimizer_state()
        try:
            self._run_epochs()
        except KeyboardInterrupt:
            _compat.warn("Training interrupted by user.")
        finally:
            self.trainer.store_in_estimator()
            if self.best is not None:
                state.best_coefs, state.best_intercepts = self.best
        if est.early_stopping:
            est.coefs_, est.intercepts_ = state.best_coefs, state.best_intercepts

    def _run_epochs(self) -> None:
        est, state = self.est, self.state
        in_core = self._can_run_in_core()
        est.n_iter_ = 0
        while est.n_iter_ < est.max_iter:
            if in_core:
                in_core = self._train_in_core()
                stop = False
            else:
                stop = self._train_one_epoch()
            if self.schedule is not None and self.schedule.ends_fit():
                break
            if state.epochs_without_improvement > est.n_iter_no_change:
                if state.optimizer.trigger_stopping(self._stopping_message(), est.verbose):
                    break
                state.epochs_without_improvement = 0
            if self.arguments.incremental or stop:
                break
            if est.n_iter_ == est.max_iter:
                _compat.warn(
                    f"Stochastic Optimizer: Maximum iterations ({est.max_iter}) reached and the optimization "
                    "hasn't converged yet.",
                    ConvergenceWarning,
                )

    def _can_run_in_core(self) -> bool:
        """Return whether the core can train many epochs in one call, and is worth being asked.

        It is where epochs are short, on one thread, and after them Python has nothing to do but to note their
        losses. Other threads run meanwhile: a search on threads gains most.
        """
        est, optimizer = self.est, self.state.optimizer
        return (
            not (self.arguments.incremental or est.verbose or est.early_stopping)
            and self.arguments.callbacks is None
            and self.validation_set is None
            and self.schedule is None
            and getattr(optimizer, "lr_schedule", "constant") != "invscaling"
            and est.max_iter <= MOST_EPOCHS
            and (not est.shuffle or type(self.state.random_state) is np.random.RandomState)
            and self.trainer.core.trains_at_once(self.n)
        )

    def _train_in_core(self) -> bool:
        """Train until the last epoch or until nothing improves, and return False if a loss was not finite.

        Then scikit-learn goes on to the last epoch, and so do we, but one by one.
        """
        est, state = self.est, self.state
        bits = state.random_state._bit_generator if est.shuffle else None
        first, patience = est.n_iter_, min(est.n_iter_no_change, sys.maxsize)
        queue = engine.TrainingQueue(1, self.n)
        queue.add(
            engine.QueuedFit(
                *(self.trainer.core, (self.X, self.T, self.weights, self.order), self._learning_rate(), None),
                *(0, est.max_iter - first, False),
                early_stopping=(est.tol, patience, est.best_loss_, state.epochs_without_improvement),
                keep_best=False,
                bit_generator=bits,
                moments=False,
            )
        )
        queue.close()
        going_on = True
        try:
            while going_on:
                with contextlib.nullcontext() if bits is None else bits.lock:
                    going_on = queue.help(SLICE)
        finally:  # also after an interrupt
            self._note_all(queue.losses_of(0)[0][est.n_iter_ - first :])
        result = queue.finished()
        return result is None or result[1] != "diverged"

    def _train_one_epoch(self) -> bool:
        """Train on every example once, and return whether a callback ends the fit."""
        callbacks = self.arguments.callbacks
        if callbacks is not None:
            callbacks.begin_epoch()
        if self.est.shuffle:
            draw_permutation(self.state.random_state, self.order)
        self._note(self.train_epoch() / self.n)
        return callbacks is not None and bool(callbacks.end_epoch(self.trainer.weights))

    def _note(self, loss: float) -> None:
        """Note the loss of an epoch."""
        est = self.est
        est.loss_ = np.float64(loss)
        est.n_iter_ += 1
        est.t_ += self.n
        est.loss_curve_.append(est.loss_)
        if est.verbose:
            print(f"Iteration {est.n_iter_}, loss = {est.loss_:.8f}")
        self._update_best()
        self.state.optimizer.iteration_ends(est.t_)

    def _note_all(self, losses: list[float]) -> None:
        """Do what `_note` does after each of several epochs of a fit that `_can_run_in_core`."""
        est, state = self.est, self.state
        if not losses:
            return
        best, waited = est.best_loss_, state.epochs_without_improvement
        for loss in losses:
            waited = waited + 1 if loss > best - est.tol else 0
            best = min(best, loss)
        noted = list(np.array(losses))
        est.loss_ = noted[-1]
        est.loss_curve_ += noted
        if best < est.best_loss_:
            est.best_loss_ = np.float64(best)
        state.epochs_without_improvement = waited
        est.t_ += self.n * len(noted)
        est.n_iter_ += len(noted)

    def _learning_rate(self) -> float:
        """Return the learning rate of the optimiser as it stands."""
        optimizer = self.state.optimizer
        rate: float = optimizer.learning_rate if self.solver == "sgd" else optimizer.learning_rate_init
        return rate

    def train_epoch(self) -> float:
        """Train on every example once, and return the sum of their losses."""
        rate = self._learning_rate() if self.schedule is None else self.schedule.rates()
        order = self.order if self.rows is None else self.rows[self.order]
        return float(self.trainer.core.epoch(self.X, self.T, order, rate, self.weights))

    def _update_best(self) -> None:
        """Compute validation score and loss, and count the epochs without improvement."""
        est, state = self.est, self.state
        if self.validation_set is not None:
            if est.validation_loss_curve_ is None:
                est.validation_loss_curve_ = []
            est.validation_loss_curve_.append(self.validation_set.loss(self.trainer.core))
        if est.early_stopping:
            assert self.validation_set is not None
            if est.loss in _score.LESS_IS_BETTER:
                score = -est.validation_loss_curve_[-1]
            else:
                A = self.validation_set.outputs(self.trainer.core)
                score = _score.score(est, self.validation_set, A)
            est.validation_scores_.append(score)
            if est.verbose:
                print(f"Validation score: {score:f}")
            worse = score < est.best_validation_score_ + est.tol
            if score > est.best_validation_score_:
                est.best_validation_score_ = score
                self.best = self.trainer.weights()
        else:
            worse = est.loss_ > est.best_loss_ - est.tol
            est.best_loss_ = min(est.best_loss_, est.loss_)
        state.epochs_without_improvement = state.epochs_without_improvement + 1 if worse else 0

    def _stopping_message(self) -> str:
        """Return the reason why the fit may stop."""
        est = self.est
        what = "Validation score" if est.early_stopping else "Training loss"
        epochs = f"{est.n_iter_no_change:d} consecutive epochs"
        return f"{what} did not improve more than tol={est.tol:f} for {epochs}."
