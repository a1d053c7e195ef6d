"""Trains with the solver "lbfgs": scipy's L-BFGS-B, with loss and gradient from the core.

The parameters are one vector: all coefs_ (n_in, n_out), then all intercepts_. scipy works in float64, but
asks for the loss at weights of the precision that it was started with, so float32 data is worked on in
float32; the weights that it ends with are float64, here as in scikit-learn.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import scipy.optimize
from sklearn.utils.optimize import _check_optimize_result

from fastnet._core import engine
from fastnet.sklearn import (
    _class_weight,
    _compat,
    _core_arguments,
    _layout,
    _own_parameters,
    _threads,
    _validation_set,
)
from fastnet.sklearn._callbacks import CallbackReporter
from fastnet.sklearn._compat import PrivateState
from fastnet.sklearn._fit_arguments import FitArguments
from fastnet.sklearn._layout import Array
from fastnet.sklearn._validation_set import ValidationSet

__all__ = ["LossAndGradient", "LossOfArrays", "fit_by_lbfgs"]

PIECE = 1 << 14  # numbers of a gradient that are worked on at once: 128 KB


class LossAndGradient(ABC):
    """The loss over some data and its gradient, as a function of the weights: wherever the data are.

    Attributes
    ----------
    weight_sum : float
        The sum of the weights of the examples.
    """

    weight_sum: float

    def __init__(self, est: Any, X: Any, y: Any, weights: Any, dtype: np.dtype[Any]) -> None:
        self.est = est
        self.given = (X, y, weights)
        self.dtype = dtype
        self.activations = _core_arguments.activations(est, len(est.coefs_))
        self.loss = _core_arguments.loss(est, dtype)
        self.flops = 6.0 * _core_arguments.multiplications(est.coefs_)

    def is_made_from(self, X: Any, y: Any, weights: Any, dtype: np.dtype[Any]) -> bool:
        """Return whether it was made from these very arrays, for weights of this precision."""
        return dtype == self.dtype and all(a is b for a, b in zip(self.given, (X, y, weights), strict=True))

    @abstractmethod
    def total(self, W: list[Array], b: list[Array], into: tuple[list[Array], list[Array]]) -> float:
        """Write dW and db, summed over all examples, into arrays, and return the summed cost."""

    def __call__(self, packed: Array) -> tuple[float, Array]:
        """Return the loss and its gradient, packed: (Σ J + alpha/2 Σ W²) / Σ w, Σ over the examples."""
        est = self.est
        W, b = _layout.layers(est.coefs_, est.intercepts_, self.dtype)
        gradient = np.empty(packed.size, self.dtype)
        sizes = [w.size for w in W] + [c.size for c in b]
        parts = [gradient[start:end] for start, end in pairwise(accumulate(sizes, initial=0))]
        dW = [part.reshape(w.T.shape).T for part, w in zip(parts, W, strict=False)]
        db = [part.reshape(-1, 1) for part in parts[len(W) :]]
        total = self.total(W, b, (dW, db))
        flat = packed[: sum(sizes[: len(W)])]
        for start in range(0, flat.size, PIECE):  # a piece stays in the cache
            piece = gradient[start : min(flat.size, start + PIECE)]
            piece += est.alpha * flat[start : start + PIECE]
            piece /= self.weight_sum
        gradient[flat.size :] /= self.weight_sum
        return (total + 0.5 * est.alpha * float(flat @ flat)) / self.weight_sum, gradient


class LossOfArrays(LossAndGradient):
    """The loss over arrays in memory, dense or sparse: one call of the core."""

    def __init__(self, est: Any, X: Any, y: Any, weights: Any, dtype: np.dtype[Any]) -> None:
        super().__init__(est, X, y, weights, dtype)
        self.n = X.shape[0]
        self.sparse = _layout.stays_sparse(X)
        self.X = _layout.for_core(X, dtype)
        self.T = _layout.converted(np.reshape(y, (self.n, -1)), dtype, "y").T
        self.weights = None if weights is None else _layout.converted(weights, dtype, "sample_weight")
        self.weight_sum = float(self.n if self.weights is None else self.weights.sum())
        in_a_row = _layout.numbers_in_a_row(X)
        flops = 6.0 * _core_arguments.multiplications(est.coefs_, in_a_row) * min(self.n, 1024)
        self.n_threads = _threads.threads_for(_own_parameters.own_parameter(est, "n_threads"), flops)
        self._core: engine.TrainerCore | None = None

    def trainer(self, W: list[Array], b: list[Array]) -> Any:
        """Return the core's trainer for all examples, with these weights."""
        core = self._core_for(W, b)
        core.load_weights(W, b)
        return core

    def _core_for(self, W: list[Array], b: list[Array]) -> engine.TrainerCore:
        """Return the core's trainer for all examples; it is made once, with weights of these shapes."""
        if self._core is None:
            self._core = engine.TrainerCore(
                W, b, self.activations, self.n, self.n_threads, sparse=self.sparse, **self.loss
            )
        return self._core

    def total(self, W: list[Array], b: list[Array], into: tuple[list[Array], list[Array]]) -> float:
        """Write dW and db, summed over all examples, into arrays, and return the summed cost."""
        if not self.sparse:
            cost: float = self.trainer(W, b).gradients(self.X, self.T, self.weights, into=into)[2]
            return cost
        return self._core_for(W, b).gradients_at(W, b, self.X, self.T, self.weights, into)[2]


def fit_by_lbfgs(
    est: Any, arguments: FitArguments, X: Any, y: Any, sample_weight: Any, layer_units: list[int]
) -> None:
    """Train an estimator whose weights are initialised. y is (n, n_outputs).

    `minimize` below calls the estimator's `_loss_grad_lbfgs`, which users override, and which finds the
    LossAndGradient of this fit as `arguments.loss_and_gradient`.
    """
    state = PrivateState(est)
    sample_weight = _class_weight.weights_by_class(est, arguments, y)(y, sample_weight)
    sizes = list(pairwise(layer_units))
    ends = list(accumulate([m * n for m, n in sizes] + [n for _, n in sizes], initial=0))
    spans = list(pairwise(ends))
    state.coef_spans = [(*span, size) for span, size in zip(spans, sizes, strict=False)]
    state.intercept_spans = spans[len(sizes) :]
    dtype = _layout.precision(X, [*est.coefs_, *est.intercepts_])
    validation_set = _validation_set.from_arguments(est, arguments, dtype, _layout.stays_sparse(X))
    make_loss = arguments.make_loss or LossOfArrays
    function = arguments.loss_and_gradient = make_loss(est, X, y, sample_weight, dtype)
    result = scipy.optimize.minimize(
        state.loss_and_gradient,
        np.hstack([np.ravel(a) for a in (*est.coefs_, *est.intercepts_)]),
        args=(X, y, sample_weight, None, None, None, None),
        method="L-BFGS-B",
        jac=True,
        callback=_after_iteration(est, function, arguments.callbacks, validation_set),
        options={
            "maxfun": est.max_fun,
            "maxiter": est.max_iter,
            "gtol": est.tol,
            **_printing(est.verbose),
        },
    )
    est.n_iter_ = _compat.as_scikit_learn(_check_optimize_result, "lbfgs", result, est.max_iter)
    est.loss_ = np.float64(result.fun)
    state.unpack(result.x)
    if arguments.callbacks is not None:
        arguments.callbacks.cancel_epoch()


def _printing(verbose: Any) -> dict[str, Any]:
    """Return the option by which older versions of scipy print their progress."""
    try:
        from sklearn.utils.fixes import _get_additional_lbfgs_options_dict as options
    except ImportError:
        return {}
    found: dict[str, Any] = options("iprint", 1 if verbose else -1)
    return found


def _after_iteration(
    est: Any,
    function: LossAndGradient,
    callbacks: CallbackReporter | None,
    validation_set: ValidationSet | None,
) -> Any:
    """Return the function to call after each iteration with its weights; None if there is nothing to do."""
    state = PrivateState(est)
    if callbacks is not None:
        callbacks.begin_epoch()
    if validation_set is not None:
        est.validation_loss_curve_ = []
    if callbacks is None and validation_set is None:
        return None

    def after(xk: Array) -> None:
        coefs = [xk[start:end].reshape(shape).copy() for start, end, shape in state.coef_spans]
        intercepts = [xk[start:end].copy() for start, end in state.intercept_spans]
        if validation_set is not None:
            weights = _layout.layers(coefs, intercepts, function.dtype)
            assert isinstance(function, LossOfArrays)  # where data are elsewhere, there is no validation set
            est.validation_loss_curve_.append(validation_set.loss(function.trainer(*weights)))
        if callbacks is not None:
            if callbacks.end_epoch(lambda: (coefs, intercepts)):
                raise StopIteration
            callbacks.begin_epoch()

    return after
