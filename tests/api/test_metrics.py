"""Metrics: as a fit notes them, and against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import data, network

import fastnet as fn


def test_metrics_are_of_the_predictions_after_the_epoch() -> None:
    X, T = data(3, 2, 40, "float64")
    V = data(3, 2, 25, "float64", seed=1)
    net = network((3, 4, 2))

    def largest(T: Any, A: Any) -> Any:
        return np.float32(abs(A - T).max())

    names = ["accuracy", "binary_accuracy", "r2", "mean_squared_error"]
    names += ["root_mean_squared_error", "mean_absolute_error"]
    history = net.fit(X, T, epochs=3, batch_size=16, validation=V, metrics=[*names, largest])
    for prefix, (inputs, wanted) in (("", (X, T)), ("validation_", V)):
        A = net.predict_proba(inputs)
        for name in names:
            assert history.metrics[prefix + name][-1] == getattr(fn.metrics, name)(wanted, A)
        assert history.metrics[f"{prefix}largest"][-1] == float(largest(wanted, A))
    assert all(len(v) == 3 and type(v[0]) is float for v in history.metrics.values())
    assert len(history.metrics) == 14


def test_metrics_against_scikit_learn() -> None:
    theirs = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    T, A = rng.normal(size=(3, 50)), rng.normal(size=(3, 50))
    tight = {"rtol": 1e-13}
    assert np.isclose(fn.metrics.r2(T, A), theirs.r2_score(T.T, A.T), **tight)
    assert np.isclose(fn.metrics.mean_squared_error(T, A), theirs.mean_squared_error(T.T, A.T), **tight)
    assert np.isclose(fn.metrics.mean_absolute_error(T, A), theirs.mean_absolute_error(T.T, A.T), **tight)
    labels = theirs.accuracy_score(T.argmax(0), A.argmax(0))
    assert np.isclose(fn.metrics.accuracy(T, A), labels, **tight)
    T[0] = 2.0
    assert np.isclose(fn.metrics.r2(T, A), theirs.r2_score(T.T, A.T), **tight)
