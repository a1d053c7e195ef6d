"""scikit-learn's bagging and voting of networks as `fn.Ensemble`."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest

import fastnet as fn

ensemble = pytest.importorskip("sklearn.ensemble")
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

from fastnet.sklearn import MLPClassifier as OwnClassifier  # noqa: E402

CLASSIFIER: dict[str, Any] = {"hidden_layer_sizes": (6,), "max_iter": 3, "random_state": 0}
PART = {"max_features": 3, "bootstrap_features": True}


@pytest.fixture(scope="module")
def data() -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.normal(3.0, 2.0, (200, 5))
    return X, np.array(["a", "b", "c"])[rng.integers(0, 3, 200)], X[:, 0] - X[:, 1]


def fitted(estimator: Any, X: Any, y: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(X, y)


def classifiers() -> dict[str, Any]:
    bagging, mlp = ensemble.BaggingClassifier, MLPClassifier(**CLASSIFIER)
    voters = [("one", mlp), ("two", MLPClassifier(**{**CLASSIFIER, "random_state": 1}))]
    return {
        "bagging": bagging(mlp, 4, random_state=0),
        "own": bagging(OwnClassifier(**CLASSIFIER), 4, random_state=0),
        "some features": bagging(mlp, 4, random_state=0, **PART),
        "scaled": bagging(make_pipeline(StandardScaler(), mlp), 4, random_state=0, **PART),
        "voting": ensemble.VotingClassifier(voters, voting="soft"),
        "a member dropped": ensemble.VotingClassifier([*voters, ("three", "drop")], voting="soft"),
        "equal weights": ensemble.VotingClassifier(voters, voting="soft", weights=[2, 2]),
    }


@pytest.mark.parametrize("name", classifiers())
def test_classifiers(data: Any, name: str) -> None:
    X, labels, _ = data
    estimator = fitted(classifiers()[name], X, labels)
    found = fn.Ensemble.from_sklearn(estimator)
    np.testing.assert_allclose(found.predict_proba(X.T), estimator.predict_proba(X).T, atol=1e-12)
    assert found.classes == ("a", "b", "c")
    two = labels != "c"
    estimator = fitted(classifiers()[name], X[two], labels[two])
    found = fn.Ensemble.from_sklearn(estimator)
    np.testing.assert_allclose(found.predict_proba(X.T)[0], estimator.predict_proba(X)[:, 1], atol=1e-12)


@pytest.mark.parametrize("name", ["bagging", "some features", "voting"])
def test_regressors(data: Any, name: str) -> None:
    X, _, y = data
    mlp = MLPRegressor(**CLASSIFIER)
    estimator = {
        "bagging": lambda: ensemble.BaggingRegressor(mlp, 3, random_state=0),
        "some features": lambda: ensemble.BaggingRegressor(mlp, 3, random_state=0, **PART),
        "voting": lambda: ensemble.VotingRegressor([("one", mlp), ("two", mlp)]),
    }[name]()
    found = fn.Ensemble.from_sklearn(fitted(estimator, X, y))
    np.testing.assert_allclose(found.predict_proba(X.T)[0], estimator.predict(X), atol=1e-12)


def test_what_cannot_be_taken_is_named(data: Any) -> None:
    X, labels, _ = data
    mlp = MLPClassifier(**CLASSIFIER)
    voters = [("one", mlp), ("two", mlp)]
    partial = fitted(ensemble.BaggingClassifier(mlp, 2), X, labels)
    partial.estimators_[1] = fitted(MLPClassifier(**CLASSIFIER), X, (labels == "c").astype(int))
    cases = [
        (mlp, TypeError, "estimator must be one of BaggingClassifier, .* got MLPClassifier"),
        (ensemble.BaggingClassifier(mlp), ValueError, "estimator must be fitted, got a BaggingClassifier"),
        (
            fitted(ensemble.VotingClassifier(voters), X, labels),
            ValueError,
            "estimator must have voting='soft', a mean of probabilities, got 'hard'",
        ),
        (
            fitted(ensemble.VotingClassifier(voters, voting="soft", weights=[1, 2]), X, labels),
            ValueError,
            r"estimator must weigh its members alike, got weights=\[1, 2\]",
        ),
        (
            fitted(ensemble.BaggingClassifier(LogisticRegression(), 2), X, labels),
            ValueError,
            r"estimators_\[0\]: estimator must be an MLPClassifier or MLPRegressor, got LogisticRegression",
        ),
        (partial, ValueError, r"estimators_\[1\] must know all 3 classes, got 2 of them"),
    ]
    for estimator, error, message in cases:
        with pytest.raises(error, match=message):
            fn.Ensemble.from_sklearn(estimator)


@pytest.mark.parametrize("n_out", [1, 3])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_compiled_ensemble_has_the_bits_for_one_row(isa: str, dtype: Any, count: int, n_out: int) -> None:
    networks = [fn.Network([fn.Layer(4, n_out, "tanh")], seed=k, dtype=dtype) for k in range(count)]
    found = fn.Ensemble(networks)
    X = np.random.default_rng(0).normal(size=(4, 30)).astype(dtype)
    predictor, expected = pickle.loads(pickle.dumps(found.compile())), found.predict_proba(X)
    for n in range(30):
        assert predictor(X[:, n].copy()).tobytes() == expected[:, n].tobytes()
    for wrong in (np.ones(3, dtype), np.full(4, np.nan, dtype), np.ones(4, int)):
        if wrong.dtype == int:
            assert predictor(wrong).shape == (n_out,)
            continue
        with pytest.raises(ValueError, match=r"x must (have shape|be finite)"):
            predictor(wrong)
    with fn.isa.using("portable") if "portable" in fn.isa.compiled() else fn.isa.using(isa):
        assert predictor(X[:, 0].copy()).shape == (n_out,)
