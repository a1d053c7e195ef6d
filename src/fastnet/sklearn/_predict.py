"""Prediction: what scikit-learn's estimators answer, with one call into the core.

Scikit-learn's validation of one row costs more than the network. An array that is plainly in order (the right
shape and dtype, finite, and the estimator has seen no feature names) passes without it; any other takes
scikit-learn's way, with its conversions, warnings and errors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from fastnet._core import engine
from fastnet.sklearn import _layout, _trainer
from fastnet.sklearn._layout import Array


def fitted(est: Any) -> None:
    """NotFittedError before the first fit."""
    if "coefs_" not in est.__dict__:
        check_is_fitted(est)


def looks_in_order(est: Any, X: Any) -> bool:
    """Whether X needs no validation, unless a number in it is not finite."""
    if type(X) is not np.ndarray or X.ndim != 2 or X.dtype not in _layout.FLOATS:
        return False
    if est.dtype is not None and X.dtype != est.dtype:
        return False
    state = est.__dict__
    rows, features = X.shape
    return features == state.get("n_features_in_") and rows > 0 and "feature_names_in_" not in state


def validated(est: Any, X: Any) -> Any:
    """Return X as scikit-learn would have it, in the precision that it came in."""
    given = X
    X = validate_data(est, X, accept_sparse=["csr", "csc"], reset=False)
    return _layout.in_precision(X, given, est.dtype)


def outputs(est: Any, X: Any, layers: int | None = None) -> Array:
    """Return the output (n, n_out) of the network, or of its first so many layers, for any X given."""
    fitted(est)
    if looks_in_order(est, X):
        P = Network(est, X, layers).checked(X)
        if P is not None:
            return P
    X = validated(est, X)
    return Network(est, X, layers)(X)


class Network:
    """The layers of an estimator as the core takes them, for data like X."""

    def __init__(self, est: Any, X: Any, layers: int | None = None) -> None:
        coefs, intercepts = est.coefs_, est.intercepts_
        self.names = _trainer.activations(est, len(coefs))
        if layers is not None:
            coefs, intercepts, self.names = coefs[:layers], intercepts[:layers], self.names[:layers]
        self.dtype = _layout.precision(X, [*coefs, *intercepts])
        self.W, self.b = _layout.layers(coefs, intercepts, self.dtype)
        self.n_threads = est.n_threads

    def team(self, n: int) -> int:
        """Return how many threads to use for n examples."""
        return _trainer.team(self.n_threads, 2.0 * _trainer.products(self.W) * n)

    def forward(self, X: Array, out: Array) -> None:
        """Write the outputs of the columns X into the columns out."""
        engine.forward(self.W, self.b, self.names, X, self.team(X.shape[1]), out=out)

    def empty(self, n: int) -> Array:
        """Return room for the outputs of n examples."""
        return np.empty((n, len(self.W[-1])), self.dtype)

    def __call__(self, X: Any) -> Array:
        """Return the outputs (n, n_out) of validated rows X, dense or sparse."""
        P = self.empty(X.shape[0])
        for rows, columns in _layout.blocks(X, self.dtype):
            self.forward(columns, P[rows].T)
        return P

    def checked(self, X: Array) -> Array | None:
        """Return the outputs (n, n_out) of dense rows X; None if some number in them is not finite."""
        P = self.empty(len(X))
        for rows, columns in _layout.blocks(X, self.dtype):
            team = self.team(columns.shape[1])
            if engine.forward(self.W, self.b, self.names, columns, team, out=P[rows].T, check=True) is None:
                return None
        return P


def labels(est: Any, P: Array) -> Any:
    """Return the classes for the outputs P (n, n_outputs)."""
    binarizer, width = est._label_binarizer, P.shape[1]
    kind, classes = getattr(binarizer, "y_type_", None), getattr(binarizer, "classes_", ())
    if kind == "multiclass" and width == len(classes) > 2:
        return classes[P.argmax(axis=1)]
    if kind == "binary" and width == 1 and len(classes) == 2:
        return classes[(P[:, 0] > 0.5).astype(np.intp)]
    return binarizer.inverse_transform(P[:, 0] if width == 1 else P)
