"""The stochastic solvers: scikit-learn's epochs, its stopping rules and its messages; the core does the work.

An epoch is one call into the core (a few for sparse data). The random numbers are drawn as scikit-learn draws
them, so the same `random_state` gives the same weights up to rounding.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from fastnet._core import engine
from fastnet.sklearn import _layout, _schedule, _score, _trainer
from fastnet.sklearn._call import Held, class_weights, held_from_call
from fastnet.sklearn._layout import Array


def fit(est: Any, X: Any, y: Any, sample_weight: Any, incremental: bool) -> None:
    """Train an estimator whose weights are drawn; y (n, n_outputs)."""
    call = est._call
    if not incremental or type(getattr(est, "_optimizer", None)) is not _trainer.KINDS[call.solver]:
        est._optimizer = _trainer.new_optimizer(est)
    if est.early_stopping and incremental:
        raise ValueError("partial_fit does not support early_stopping=True")
    if est.class_weight is not None:
        if incremental and est.class_weight == "balanced":
            raise ValueError(
                "class_weight: expected a dict or None in partial_fit, which sees a part, got 'balanced'"
            )
        sample_weight = class_weights(est, y, sample_weight)
    dtype = _layout.precision(X, [*est.coefs_, *est.intercepts_])
    held = held_from_call(est, call, dtype)
    rows = None
    if est.early_stopping and held is None:
        rows, held = split(est, X, y, sample_weight, dtype)
        if _layout.is_sparse(X) or X.strides[1] != X.itemsize:  # others are trained on where they lie
            sample_weight = None if sample_weight is None else sample_weight[rows]
            X, y, rows = X[rows], y[rows], None
    Fit(est, X, y, sample_weight, held, dtype, rows).run(incremental)


def split(est: Any, X: Any, y: Any, sample_weight: Any, dtype: Any) -> tuple[Array, Held]:
    """Hold examples out for early stopping, drawn as scikit-learn draws them; return the rows to train on."""
    single = isinstance(est, ClassifierMixin) and est.n_outputs_ == 1
    stratify = y if single else None  # not for several labels
    rows, out = train_test_split(
        np.arange(X.shape[0]),
        random_state=est._random_state,
        test_size=est.validation_fraction,
        stratify=stratify,
    )
    if len(out) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
        )
    return rows, Held(X[out], y[out], None if sample_weight is None else sample_weight[out], dtype)


def batch_size(est: Any, n: int) -> int:
    """Return the examples of a batch of n."""
    if est.batch_size == "auto":
        return min(200, n)
    if est.batch_size > n:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=2
        )
    return int(np.clip(est.batch_size, 1, n))


class Fit:
    """One fit: the data as the core takes it, the order of the examples, the trainer."""

    def __init__(
        self,
        est: Any,
        X: Any,
        y: Any,
        weights: Any,
        held: Held | None,
        dtype: np.dtype[Any],
        rows: Array | None = None,
    ) -> None:
        self.est = est
        self.rows = rows  # those to train on; None: all
        self.n = X.shape[0] if rows is None else len(rows)
        self.batch = batch_size(est, self.n)
        self.X = _layout.dense_if_small(X, dtype)
        self.T = np.ascontiguousarray(y, dtype).T
        self.weights = None if weights is None else np.ascontiguousarray(weights, dtype)
        self.held = held
        self.dtype = dtype
        self.order = np.arange(self.n, dtype=np.intp)
        self.session = _trainer.Session(est, dtype, self.batch)
        self.trainer = self.session.trainer
        self.best: tuple[Any, Any] | None = None
        self.plan = _schedule.plan(est, self.n, self.batch)

    def run(self, incremental: bool) -> None:
        """Train to the end, and give the estimator its weights, whatever ends it."""
        est = self.est
        if incremental:
            self.session.resume()
        try:
            self.epochs(incremental)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
        finally:
            self.session.finish()
            if self.best is not None:
                est._best_coefs, est._best_intercepts = self.best
        if est.early_stopping:
            est.coefs_, est.intercepts_ = est._best_coefs, est._best_intercepts

    def epochs(self, incremental: bool) -> None:
        """Epoch after epoch until max_iter or until nothing improves any more."""
        est, report, state = self.est, self.est._call.report, self.est._optimizer
        est.n_iter_ = 0
        while est.n_iter_ < est.max_iter:
            if report is not None:
                report.begin()
            if est.shuffle:
                self.shuffle()
            est.loss_ = np.float64(self.epoch(state) / self.n)
            est.n_iter_ += 1
            est.t_ += self.n
            est.loss_curve_.append(est.loss_)
            if est.verbose:
                print(f"Iteration {est.n_iter_}, loss = {est.loss_:.8f}")
            self.judge()
            state.iteration_ends(est.t_)
            stop = report is not None and report.end(self.session.weights)
            if self.plan is not None and self.plan.ends():
                break
            if est._no_improvement_count > est.n_iter_no_change:
                if state.trigger_stopping(self.message(), est.verbose):
                    break
                est._no_improvement_count = 0
            if incremental or stop:
                break
            if est.n_iter_ == est.max_iter:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({est.max_iter}) reached and the optimization "
                    "hasn't converged yet.",
                    ConvergenceWarning,
                    stacklevel=2,
                )

    def shuffle(self) -> None:
        """Shuffle the order as scikit-learn does, with its draws: its permutations compose."""
        state = self.est._random_state
        if type(state) is np.random.RandomState:
            engine.shuffle(state._bit_generator, self.order)
        else:
            state.shuffle(self.order)

    def epoch(self, state: Any) -> float:
        """Train on every example once; return the loss summed over them."""
        if self.plan is not None:
            rate = self.plan.rates()
        else:
            rate = state.learning_rate if self.est._call.solver == "sgd" else state.learning_rate_init
        if not _layout.is_sparse(self.X):
            order = self.order if self.rows is None else self.rows[self.order]
            return float(self.trainer.epoch(self.X.T, self.T, order, rate, self.weights))
        total = 0.0
        step = _layout.rows_at_once(self.X, self.dtype, self.batch)
        for start in range(0, self.n, step):
            rows = self.order[start : start + step]
            w = None if self.weights is None else self.weights[rows]
            T = np.ascontiguousarray(self.T[:, rows])
            first, last = start // self.batch, -(-(start + len(rows)) // self.batch)
            part = rate if np.ndim(rate) == 0 else rate[first:last]
            total += self.trainer.epoch(_layout.columns(self.X[rows], self.dtype), T, None, part, w)
        return total

    def judge(self) -> None:
        """Take the validation's score and loss; count the epochs without improvement."""
        est = self.est
        if self.held is not None:
            if est.validation_loss_curve_ is None:
                est.validation_loss_curve_ = []
            est.validation_loss_curve_.append(self.held.loss(self.trainer))
        if est.early_stopping:
            assert self.held is not None
            if est.loss in _score.LESS_IS_BETTER:
                score = -est.validation_loss_curve_[-1]
            else:
                score = _score.score(est, self.held, self.held.outputs(self.trainer))
            est.validation_scores_.append(score)
            if est.verbose:
                print(f"Validation score: {score:f}")
            worse = score < est.best_validation_score_ + est.tol
            if score > est.best_validation_score_:
                est.best_validation_score_ = score
                self.best = self.session.weights()
        else:
            worse = est.loss_ > est.best_loss_ - est.tol
            est.best_loss_ = min(est.best_loss_, est.loss_)
        est._no_improvement_count = est._no_improvement_count + 1 if worse else 0

    def message(self) -> str:
        """Why it may stop."""
        est = self.est
        what = "Validation score" if est.early_stopping else "Training loss"
        epochs = f"{est.n_iter_no_change:d} consecutive epochs"
        return f"{what} did not improve more than tol={est.tol:f} for {epochs}."
