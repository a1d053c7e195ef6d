"""A version of scikit-learn whose private methods differ does the work itself."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

import sklearn
import sklearn.neural_network
import sklearn.utils
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


@pytest.mark.parametrize("seed", [0, 1, 42, 2**32 - 1])
def test_a_random_state_of_a_whole_number_is_scikit_learns(seed: int) -> None:
    """The same draws and the same pickle, with a normal draw waiting or not."""
    ours, theirs = _compat.check_random_state(seed), sklearn.utils.check_random_state(seed)
    for _ in range(2):
        assert pickle.dumps(ours) == pickle.dumps(theirs)
        assert ours.normal() == theirs.normal()
        np.testing.assert_array_equal(ours.permutation(700), theirs.permutation(700))


def test_other_random_states_are_left_to_scikit_learn() -> None:
    own = np.random.RandomState(3)
    assert _compat.check_random_state(own) is own
    assert _compat.check_random_state(None) is sklearn.utils.check_random_state(None)
    assert _compat.check_random_state(np.int64(5)).randint(1000) == np.random.RandomState(5).randint(1000)
    for wrong in (-1, 2**32, "0"):
        with pytest.raises(ValueError, match=r"Seed must be|cannot be used to seed"):
            _compat.check_random_state(wrong)
