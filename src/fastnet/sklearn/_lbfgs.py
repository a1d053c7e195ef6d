"""The solver "lbfgs": scipy's optimiser over loss and gradient from the core.

The parameters are one vector: all coefs_ (n_in, n_out), then all intercepts_. scipy works in float64, but
asks for the loss at weights of the precision that it was started with, so float32 data is worked on in
float32; the weights that it ends with are float64, here as in scikit-learn.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import scipy.optimize
from sklearn.utils.optimize import _check_optimize_result

from fastnet._core import engine
from fastnet.sklearn import _layout, _trainer
from fastnet.sklearn._call import class_weights, held_from_call
from fastnet.sklearn._layout import Array


class Problem:
    """Loss and gradient over some data, for any weights."""

    def __init__(self, est: Any, X: Any, y: Any, weights: Any, dtype: np.dtype[Any]) -> None:
        self.est = est
        self.given = (X, y, weights)
        self.dtype = dtype
        self.X = X = _layout.dense_if_small(X, dtype)
        self.T = np.ascontiguousarray(np.reshape(y, (X.shape[0], -1)), dtype).T
        self.weights = None if weights is None else np.ascontiguousarray(weights, dtype)
        self.mass = float(X.shape[0] if self.weights is None else self.weights.sum())
        self.step = X.shape[0] if not _layout.is_sparse(X) else _layout.rows_at_once(X, dtype)
        count = len(est.coefs_)
        self.activations = _trainer.activations(est, count)
        self.loss = _trainer.loss(est, dtype)
        self.flops = 6.0 * _trainer.products(est.coefs_)
        self.trainers: dict[int, Any] = {}  # one for each length of a block: the last is shorter

    def is_of(self, X: Any, y: Any, weights: Any, dtype: np.dtype[Any]) -> bool:
        """Whether it was made from these very arrays, for weights of this precision."""
        return dtype == self.dtype and all(a is b for a, b in zip(self.given, (X, y, weights), strict=True))

    def trainer(self, size: int, W: list[Array], b: list[Array]) -> Any:
        """Return a trainer for blocks of this size, with these weights."""
        if size in self.trainers:
            self.trainers[size].load_weights(W, b)
        else:
            team = _trainer.team(self.est.n_threads, self.flops * min(size, 1024))
            self.trainers[size] = engine.TrainerCore(W, b, self.activations, size, team, **self.loss)
        return self.trainers[size]

    def __call__(self, packed: Array) -> tuple[float, Array]:
        """Return the loss and its gradient, packed: (Σ J + alpha/2 Σ W²) / Σ w, Σ over the examples."""
        est, n = self.est, self.X.shape[0]
        W, b = _layout.layers(est.coefs_, est.intercepts_, self.dtype)
        total, gradient = 0.0, np.zeros(packed.size, self.dtype)
        for start in range(0, n, self.step):
            rows = slice(start, min(n, start + self.step))
            X = self.X.T if self.step == n else _layout.columns(self.X[rows], self.dtype)
            w = None if self.weights is None else self.weights[rows]
            dW, db, cost = self.trainer(X.shape[1], W, b).gradients(X, self.T[:, rows], w)
            total += cost
            gradient += np.concatenate([d.T.ravel() for d in dW] + [d.ravel() for d in db])
        flat = packed[: sum(w.size for w in W)]
        gradient[: flat.size] += est.alpha * flat
        gradient /= self.mass
        return (total + 0.5 * est.alpha * float(flat @ flat)) / self.mass, gradient


def fit(est: Any, X: Any, y: Any, sample_weight: Any, layer_units: list[int]) -> None:
    """Train an estimator whose weights are drawn; y (n, n_outputs)."""
    if est.class_weight is not None:
        sample_weight = class_weights(est, y, sample_weight)
    sizes = list(pairwise(layer_units))
    ends = list(accumulate([m * n for m, n in sizes] + [n for _, n in sizes], initial=0))
    spans = list(pairwise(ends))
    est._coef_indptr = [(*span, size) for span, size in zip(spans, sizes, strict=False)]
    est._intercept_indptr = spans[len(sizes) :]
    dtype = _layout.precision(X, [*est.coefs_, *est.intercepts_])
    held = held_from_call(est, est._call, dtype)
    est._problem = Problem(est, X, y, sample_weight, dtype)
    try:
        result = scipy.optimize.minimize(
            est._loss_grad_lbfgs,
            np.hstack([np.ravel(a) for a in (*est.coefs_, *est.intercepts_)]),
            args=(X, y, sample_weight, None, None, None, None),
            method="L-BFGS-B",
            jac=True,
            callback=_after_iteration(est, held),
            options={
                "maxfun": est.max_fun,
                "maxiter": est.max_iter,
                "gtol": est.tol,
                **_printing(est.verbose),
            },
        )
    finally:
        del est._problem
    est.n_iter_ = _check_optimize_result("lbfgs", result, est.max_iter)
    est.loss_ = np.float64(result.fun)
    est._unpack(result.x)
    if est._call.report is not None:
        est._call.report.close()


def _printing(verbose: Any) -> dict[str, Any]:
    """Return the option by which older versions of scipy print their progress."""
    try:
        from sklearn.utils.fixes import _get_additional_lbfgs_options_dict as options
    except ImportError:
        return {}
    found: dict[str, Any] = options("iprint", 1 if verbose else -1)
    return found


def _after_iteration(est: Any, held: Any) -> Any:
    """Return what to do after each iteration, given its weights; None if there is nothing."""
    report = est._call.report
    if report is not None:
        report.begin()
    if held is not None:
        est.validation_loss_curve_ = []
    if report is None and held is None:
        return None

    def after(xk: Array) -> None:
        coefs = [xk[start:end].reshape(shape).copy() for start, end, shape in est._coef_indptr]
        intercepts = [xk[start:end].copy() for start, end in est._intercept_indptr]
        if held is not None:
            problem = est._problem
            weights = _layout.layers(coefs, intercepts, problem.dtype)
            est.validation_loss_curve_.append(held.loss(problem.trainer(problem.step, *weights)))
        if report is not None:
            if report.end(lambda: (coefs, intercepts)):
                raise StopIteration
            report.begin()

    return after
