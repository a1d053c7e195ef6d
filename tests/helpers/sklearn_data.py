"""Data and fits for the tests of fastnet.sklearn.

The data have each kind of target, and are scaled so that no unit saturates.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
from sklearn import neural_network
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    make_multilabel_classification,
    make_regression,
)
from sklearn.preprocessing import scale

import fastnet.sklearn
from fastnet.sklearn import MLPClassifier, MLPRegressor

CLASSIFIER, REGRESSOR = "MLPClassifier", "MLPRegressor"
ESTIMATORS = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}


@cache
def data(kind: str) -> tuple[str, np.ndarray, np.ndarray, dict[str, Any]]:
    """Return the estimator's name, X, y and parameters for a kind of data."""
    rng = np.random.default_rng(20240229)
    if kind in ("digits", "words"):
        X, y = load_digits(return_X_y=True)
        X, y = X[:400] / 16, y[:400]
        return CLASSIFIER, X, y if kind == "digits" else np.array(list("abcdefghij"))[y], {}
    if kind == "breast_cancer":
        X, y = load_breast_cancer(return_X_y=True)
        return CLASSIFIER, scale(X), y, {}
    if kind == "several labels":
        X, y = make_multilabel_classification(n_samples=250, random_state=0)
        return CLASSIFIER, scale(X), y, {}
    if kind == "diabetes":
        X, y = load_diabetes(return_X_y=True)
        return REGRESSOR, scale(X), scale(y), {}
    if kind == "several targets":
        X, y = make_regression(n_samples=250, n_features=8, n_targets=4, random_state=1)
        return REGRESSOR, X, scale(y), {}
    assert kind == "counts"
    X = rng.normal(size=(250, 5))
    return REGRESSOR, X, rng.poisson(np.exp(X[:, 0])), {"loss": "poisson"}


KINDS = ("digits", "words", "breast_cancer", "several labels", "diabetes", "several targets", "counts")


def small(**params: Any) -> MLPClassifier:
    """Return a small classifier that trains for few epochs."""
    return MLPClassifier(**{"hidden_layer_sizes": 8, "max_iter": 10, "random_state": 0} | params)


def words() -> tuple[np.ndarray, np.ndarray]:
    """Return X and y, whose labels are text."""
    _, X, y, _ = data("words")
    return X, y


def fitted(kind: str, **params: Any) -> Any:
    """Return an estimator fitted to a kind of data."""
    name, X, y, own = data(kind)
    given = {"hidden_layer_sizes": (9, 6), "max_iter": 8, "random_state": 0} | own | params
    return ESTIMATORS[name](**given).fit(X, y)


def assert_same_weights(a: Any, b: Any) -> None:
    for ours, theirs in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def both(kind: str, X: np.ndarray, y: np.ndarray, weights: Any = None, **params: Any) -> list[Any]:
    """Fit scikit-learn's estimator and ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [getattr(m, kind)(**params).fit(X, y, weights) for m in (neural_network, fastnet.sklearn)]


def assert_alike(theirs: Any, ours: Any, tolerance: float) -> None:
    """Compare what a fit leaves."""
    assert ours.backend_ == "fastnet"
    assert ours.n_iter_ == theirs.n_iter_
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(theirs, name), getattr(ours, name), strict=True):
            assert a.dtype == b.dtype
            assert b.flags.c_contiguous
            np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance)
    assert type(ours.loss_) is np.float64  # with SciPy 1.18 scikit-learn has float32 here at times
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=tolerance)
    if theirs.solver == "lbfgs":
        return
    assert ours.t_ == theirs.t_
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=tolerance)
    if theirs.early_stopping:
        assert ours.best_loss_ is theirs.best_loss_ is None
        np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, atol=tolerance)
        np.testing.assert_allclose(ours.best_validation_score_, theirs.best_validation_score_, atol=tolerance)
    else:
        assert ours.validation_scores_ is None
        np.testing.assert_allclose(ours.best_loss_, theirs.best_loss_, rtol=tolerance)
    assert ours._no_improvement_count == theirs._no_improvement_count
    np.testing.assert_allclose(ours._optimizer.learning_rate, theirs._optimizer.learning_rate, rtol=1e-12)


def assert_predict_alike(theirs: Any, ours: Any, X: np.ndarray, tolerance: float) -> None:
    """Compare what the two predict."""
    a, b = theirs.predict(X), ours.predict(X)
    assert a.shape == b.shape
    assert a.dtype == b.dtype
    if not hasattr(theirs, "predict_proba"):
        np.testing.assert_allclose(b, a, rtol=10 * tolerance, atol=10 * tolerance)
        return
    np.testing.assert_array_equal(b, a)
    P, Q = theirs.predict_proba(X), ours.predict_proba(X)
    assert (P.shape, P.dtype) == (Q.shape, Q.dtype)
    np.testing.assert_allclose(Q, P, atol=10 * tolerance)
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(ours.predict_log_proba(X), np.log(Q))
