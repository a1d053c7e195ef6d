"""The state of a solver between fits: ours and foreign ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn_data import data, words

import fastnet.sklearn
from fastnet.sklearn import MLPClassifier

pytestmark = [
    pytest.mark.usefixtures("few_epochs", "one_blas_thread"),
    pytest.mark.filterwarnings("ignore:.* replaces .* of scikit-learn"),
]

PARAMS = {"hidden_layer_sizes": (5, 4), "max_iter": 4, "random_state": 0}


def test_a_foreign_optimizer_takes_its_own_steps() -> None:
    X, y = words()

    class Halving:
        learning_rate = 0.1

        def update_params(self, params: Any, grads: Any) -> None:
            for param in params:
                param *= 0.5

        def iteration_ends(self, time_step: int) -> None: ...

    est = MLPClassifier(**PARAMS).fit(X, y)
    est._optimizer = Halving()
    before = est.coefs_[0].copy()
    with pytest.warns(UserWarning, match="MLPClassifier replaces _optimizer"):
        est.partial_fit(X, y)
    np.testing.assert_array_equal(est.coefs_[0], before / 4)


@pytest.mark.parametrize("solver", ["adamw", "rmsprop"])
def test_our_optimizers_last_too(solver: str) -> None:
    _, X, y, _ = data("diabetes")
    plain, changed = (
        fastnet.sklearn.MLPRegressor(hidden_layer_sizes=7, solver=solver, random_state=0) for _ in range(2)
    )
    for est in (plain, changed):
        est.partial_fit(X, y)
    changed.set_params(weight_decay=0.9, rho=0.1, epsilon=0.1, learning_rate_init=1.0)
    for est in (plain, changed):
        est.partial_fit(X, y)
    np.testing.assert_array_equal(plain.coefs_[0], changed.coefs_[0])
