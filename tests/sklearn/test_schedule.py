"""Schedules of fastnet.schedules as learning_rate."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn_data import assert_same_weights, data, fitted

pytestmark = pytest.mark.usefixtures("few_epochs")


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_schedules(solver: str) -> None:
    schedules = pytest.importorskip("fastnet.schedules")
    plain = fitted("digits", solver=solver)
    assert_same_weights(plain, fitted("digits", solver=solver, learning_rate=schedules.Constant()))
    still = {"solver": solver, "momentum": 0.0}
    stepped = fitted("digits", learning_rate=schedules.Step(every=4, factor=1e-12), **still)
    np.testing.assert_allclose(stepped.coefs_[0], fitted("digits", max_iter=4, **still).coefs_[0], atol=1e-9)
    one = fitted("digits", solver=solver, learning_rate="cosine")
    assert_same_weights(one, fitted("digits", solver=solver, learning_rate=schedules.Cosine(epochs=8)))
    parts = clone(one).set_params(learning_rate=schedules.Cosine(epochs=8), shuffle=False)
    whole = clone(parts)
    _, X, y, _ = data("digits")
    for _ in range(8):
        parts = pickle.loads(pickle.dumps(parts.partial_fit(X, y, classes=np.unique(y))))
    assert_same_weights(parts, whole.fit(X, y))
    with pytest.raises(AssertionError):
        assert_same_weights(plain, one)
