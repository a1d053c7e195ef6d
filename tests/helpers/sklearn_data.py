"""Data for the tests of fastnet.sklearn: of each kind of target, and scaled so that no unit saturates."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    make_multilabel_classification,
    make_regression,
)
from sklearn.preprocessing import scale

CLASSIFIER, REGRESSOR = "MLPClassifier", "MLPRegressor"


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
