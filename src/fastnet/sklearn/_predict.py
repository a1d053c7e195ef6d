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
from fastnet.sklearn import _data, _trainer
from fastnet.sklearn._data import Array

FLOATS = (np.dtype(np.float64), np.dtype(np.float32))


def is_in_order(est: Any, X: Any) -> bool:
    """Whether X needs no validation."""
    if type(X) is not np.ndarray or X.ndim != 2 or X.dtype not in FLOATS:
        return False
    fitted = est.__dict__
    rows, features = X.shape
    return (
        features == fitted.get("n_features_in_")
        and rows > 0
        and "feature_names_in_" not in fitted
        and bool(engine.all_finite(X))
    )


def validated(est: Any, X: Any) -> Any:
    """Return X as scikit-learn would have it, in the precision that it came in."""
    if "coefs_" not in est.__dict__:
        check_is_fitted(est)
    if is_in_order(est, X):
        return _data.in_precision(X, X, est.dtype)
    given = X
    X = validate_data(est, X, accept_sparse=["csr", "csc"], reset=False)
    return _data.in_precision(X, given, est.dtype)


def outputs(est: Any, X: Any, layers: int | None = None) -> Array:
    """Return the output (n_out, n) of the network, or of its first so many layers, for validated X."""
    coefs, intercepts = est.coefs_[:layers], est.intercepts_[:layers]
    dtype = _data.precision(X, [*coefs, *intercepts])
    W, b = _data.layers(coefs, intercepts, dtype)
    names = _trainer.activations(est, len(est.coefs_))[:layers]
    n = X.shape[0]
    team = _trainer.team(est.n_threads, 2.0 * _trainer.products(W) * n)
    parts = [engine.forward(W, b, names, columns, team) for _, columns in _data.blocks(X, dtype)]
    result: Array = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    return result


def labels(est: Any, A: Array) -> Any:
    """Return the classes for the outputs A (n_outputs, n)."""
    binarizer = est._label_binarizer
    kind, classes = getattr(binarizer, "y_type_", None), getattr(binarizer, "classes_", ())
    if kind == "multiclass" and len(A) == len(classes) > 2:
        return classes[A.argmax(axis=0)]
    if kind == "binary" and len(A) == 1 and len(classes) == 2:
        return classes[(A[0] > 0.5).astype(np.intp)]
    return binarizer.inverse_transform(A[0] if len(A) == 1 else np.ascontiguousarray(A.T))
