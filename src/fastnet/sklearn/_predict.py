"""Predicts with one call into the core.

Scikit-learn's validation of one row costs more than the network. An array that needs no conversion (the right
shape and dtype, finite, and the estimator has seen no feature names) passes without it. Any other one is
validated by scikit-learn, with its conversions, warnings and errors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from fastnet._core import engine
from fastnet.sklearn import _core_arguments, _layout, _own_parameters, _threads
from fastnet.sklearn._compat import PrivateState
from fastnet.sklearn._layout import Array

__all__ = ["ForwardPass", "check_fitted", "classes", "outputs"]


def check_fitted(est: Any) -> None:
    """Raise NotFittedError before the first fit."""
    if "coefs_" not in est.__dict__:
        check_is_fitted(est)


def _needs_no_conversion(est: Any, X: Any) -> bool:
    """Return whether only a number that is not finite could be wrong with X."""
    if type(X) is not np.ndarray or X.ndim != 2 or X.dtype not in _layout.FLOATS:
        return False
    dtype = _own_parameters.own_parameter(est, "dtype")
    if dtype is not None and X.dtype != dtype:
        return False
    state = est.__dict__
    rows, features = X.shape
    return features == state.get("n_features_in_") and rows > 0 and "feature_names_in_" not in state


def _validated(est: Any, X: Any) -> Any:
    """Return X validated by scikit-learn, in the precision that it came in."""
    given = X
    X = validate_data(est, X, accept_sparse=["csr", "csc"], reset=False)
    return _layout.in_precision(X, given, _own_parameters.own_parameter(est, "dtype"))


def outputs(est: Any, X: Any, layers: int | None = None) -> Array:
    """Return the outputs (n, n_out) of the network, or of its first `layers` layers, for any X."""
    check_fitted(est)
    if _needs_no_conversion(est, X):
        P = ForwardPass(est, X, layers).if_finite(X)
        if P is not None:
            return P
    X = _validated(est, X)
    return ForwardPass(est, X, layers)(X)


class ForwardPass:
    """The layers of an estimator as the core takes them, for data of X's precision.

    Without `layers`, the output activation follows the last of the `n_layers_`; with it, these are the first
    hidden layers.
    """

    def __init__(self, est: Any, X: Any, layers: int | None = None) -> None:
        count = len(est.coefs_)
        self.names = _core_arguments.activations(est, count)
        if layers is None:
            used = getattr(est, "n_layers_", count + 1) - 1  # scikit-learn reads it, and users set it
            if not 1 <= used <= count:
                raise ValueError(
                    f"n_layers_ must be at least 2 and at most {count + 1}, got {est.n_layers_!r}"
                )
            self.names = [*self.names[: used - 1], self.names[-1]]
        else:
            used = layers
        coefs, intercepts, self.names = est.coefs_[:used], est.intercepts_[:used], self.names[:used]
        self.dtype = _layout.precision(X, [*coefs, *intercepts])
        self.W, self.b = _layout.layers(coefs, intercepts, self.dtype)
        self.n_threads = _own_parameters.own_parameter(est, "n_threads")

    def _threads_for(self, n: int, in_a_row: float | None = None) -> int:
        """Return how many threads to use for n examples; in_a_row: numbers that are not zero, if sparse."""
        multiplications = _core_arguments.multiplications(self.W, in_a_row)
        return _threads.threads_for(self.n_threads, 2.0 * multiplications * n)

    def _forward(self, X: Array, out: Array) -> None:
        """Write the outputs of the columns X into the columns out."""
        engine.forward(self.W, self.b, self.names, X, self._threads_for(X.shape[1]), out=out)

    def _empty(self, n: int) -> Array:
        """Return an array for the outputs of n examples, not initialised."""
        return np.empty((n, len(self.W[-1])), self.dtype)

    def __call__(self, X: Any) -> Array:
        """Return the outputs (n, n_out) of validated rows X, dense or sparse."""
        P = self._empty(X.shape[0])
        if _layout.is_sparse(X):
            columns = _layout.for_core(X, self.dtype)
            if not isinstance(columns, engine.SparseRows):
                self._forward(columns, P.T)
                return P
            n_threads = self._threads_for(X.shape[0], _layout.numbers_in_a_row(X))
            engine.forward_sparse(self.W, self.b, self.names, columns, n_threads, out=P.T)
            return P
        for rows, columns in _layout.blocks(X, self.dtype):
            self._forward(columns, P[rows].T)
        return P

    def if_finite(self, X: Array) -> Array | None:
        """Return the outputs (n, n_out) of dense rows X; None if some number in them is not finite."""
        P = self._empty(len(X))
        for rows, columns in _layout.blocks(X, self.dtype):
            n_threads = self._threads_for(columns.shape[1])
            if (
                engine.forward(self.W, self.b, self.names, columns, n_threads, out=P[rows].T, check=True)
                is None
            ):
                return None
        return P


def classes(est: Any, P: Array) -> Any:
    """Return the classes, or the label indicators, for the outputs P (n, n_outputs)."""
    binarizer = PrivateState(est).label_binarizer
    if est.n_outputs_ == 1:
        P = P.reshape(-1, 1)
    width = P.shape[1]
    kind, known = getattr(binarizer, "y_type_", None), getattr(binarizer, "classes_", ())
    if kind == "multiclass" and width == len(known) > 2:
        return known[P.argmax(axis=1)]
    if kind == "binary" and width == 1 and len(known) == 2:
        return known[(P[:, 0] > 0.5).astype(np.intp)]
    return binarizer.inverse_transform(P[:, 0] if est.n_outputs_ == 1 else P)
