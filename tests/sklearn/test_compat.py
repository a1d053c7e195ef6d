"""A version of scikit-learn whose private methods differ does the work itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

import sklearn
import sklearn.neural_network
from sklearn_data import small, words

import fastnet.sklearn
from fastnet.sklearn import _base, _compat

pytestmark = pytest.mark.usefixtures("few_epochs")


def test_the_installed_version_is_known() -> None:
    assert _base.DIFFERENCES == ()


def test_changed_hooks_are_noticed() -> None:
    class Changed(sklearn.neural_network.MLPClassifier):
        def _fit(
            self, X: Any, y: Any, sample_weight: Any = None, incremental: bool = False, mode: Any = 1
        ) -> None: ...

        _unpack = None

    (fit, unpack) = _compat.scikit_learn_differences((Changed,))
    assert (
        fit == "Changed._fit takes (X y sample_weight incremental mode), not (X y sample_weight incremental)"
    )
    assert unpack == "Changed._unpack is gone"


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_an_unknown_scikit_learn_works_by_itself(solver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = words()
    for module in (_base, fastnet.sklearn._estimators):
        monkeypatch.setattr(module, "DIFFERENCES", ("MLPClassifier._fit is gone",))
    monkeypatch.setattr(_base._stochastic, "fit_by_epochs", None)
    monkeypatch.setattr(_base._lbfgs, "fit_by_lbfgs", None)
    monkeypatch.setattr(_base._predict, "ForwardPass", None)
    with pytest.warns(UserWarning, match="fastnet does not know scikit-learn .* MLPClassifier._fit is gone"):
        est = small(solver=solver).fit(X, y)
    assert est.backend_ == "scikit-learn"
    theirs = sklearn.neural_network.MLPClassifier(8, max_iter=10, random_state=0, solver=solver).fit(X, y)
    np.testing.assert_array_equal(est.predict_proba(X), theirs.predict_proba(X))
    np.testing.assert_array_equal(est.predict(X), theirs.predict(X))
    for extra in (
        {"dropout": 0.1},
        {"solver": "adamw"},
        {"activation": "gelu"},
        {"class_weight": "balanced"},
    ):
        with pytest.raises(ValueError, match=next(iter(extra))):
            small(**extra).fit(X, y)
    with pytest.raises(ValueError, match=r"X_val must not be given, .* scikit-learn's own code"):
        small().fit(X, y, X_val=X, y_val=y)
