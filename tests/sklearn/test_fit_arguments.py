"""What fit was given besides X and y waits in FitArguments for one call and is gone after it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn_data import data

from fastnet.sklearn import MLPRegressor
from fastnet.sklearn._fit_arguments import FitArguments

pytestmark = pytest.mark.usefixtures("few_epochs")


def test_nothing_is_given_unless_it_is_said() -> None:
    arguments = FitArguments("adam")
    given = {name: value for name, value in vars(arguments).items() if value not in (None, False, ())}
    assert given == {"solver": "adam"}


def test_one_call_leaves_nothing_for_the_next() -> None:
    _, X, y, _ = data("diabetes")
    params: dict[str, Any] = {"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0}
    used = MLPRegressor(**params).fit(X, y, X_val=X[:50], y_val=y[:50])
    assert len(used.validation_loss_curve_) == 3
    used.fit(X, y)
    fresh = MLPRegressor(**params).fit(X, y)
    assert vars(used).keys() == vars(fresh).keys()
    for mine, other in zip(used.coefs_, fresh.coefs_, strict=True):
        np.testing.assert_array_equal(mine, other)
