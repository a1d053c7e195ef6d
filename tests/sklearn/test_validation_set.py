"""A validation set that the user gives."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn_data import ESTIMATORS, assert_same_weights, data

from fastnet.sklearn import MLPClassifier

pytestmark = pytest.mark.usefixtures("few_epochs")


@pytest.mark.parametrize("kind", ["breast_cancer", "words", "several labels", "several targets", "counts"])
def test_the_loss_of_a_validation_set(kind: str) -> None:
    """The last is the weighted mean of the loss, without the penalty, of the fitted network."""
    name, X, y, own = data(kind)
    w = np.linspace(0.5, 2, len(X))
    est = ESTIMATORS[name](hidden_layer_sizes=9, max_iter=5, random_state=0, **own)
    plain = clone(est).fit(X[:100], y[:100])
    est.fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:], sample_weight_val=w[100:])
    assert_same_weights(est, plain)
    assert plain.validation_loss_curve_ is None
    assert len(est.validation_loss_curve_) == 5
    Xv, yv, wv = X[100:], y[100:], w[100:]
    if name == "MLPClassifier":
        P, T = est.predict_proba(Xv), est._label_binarizer.transform(yv)
        if T.shape[1] == 1:
            T = np.hstack([1 - T, T])
        J = -(T * np.log(P) + ((1 - T) * np.log(1 - P) if kind == "several labels" else 0)).sum(axis=1)
    else:
        A, T = est.predict(Xv).reshape(len(Xv), -1), yv.reshape(len(Xv), -1)
        if kind == "counts":
            J = (np.where(T > 0, T * np.log(np.where(T > 0, T, 1) / A), 0) - T + A).sum(axis=1)
        else:
            J = 0.5 * ((A - T) ** 2).mean(axis=1)
    np.testing.assert_allclose(est.validation_loss_curve_[-1], np.average(J, weights=wv), rtol=1e-12)


@pytest.mark.parametrize("kind", ["words", "diabetes"])
def test_early_stopping_by_a_validation_set(kind: str) -> None:
    name, X, y, _ = data(kind)
    est = ESTIMATORS[name](early_stopping=True, max_iter=300, tol=1e-3, random_state=0, n_iter_no_change=5)
    est.fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    assert est.t_ == 300 * est.n_iter_ < 300 * 300  # nothing was held out of the 300
    assert est.best_validation_score_ == max(est.validation_scores_)
    np.testing.assert_allclose(est.score(X[300:], y[300:]), est.best_validation_score_, rtol=1e-12)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"X_val": 1}, "y_val must be given together with X_val"),
        ({"y_val": 1}, "X_val must be given together with y_val"),
        ({"sample_weight_val": 1}, "sample_weight_val must come with X_val and y_val"),
    ],
)
def test_a_validation_set_must_be_whole(given: dict[str, int], message: str) -> None:
    _, X, y, _ = data("words")
    of = {"X_val": X, "y_val": y, "sample_weight_val": np.ones(len(X))}
    with pytest.raises(ValueError, match=message):
        MLPClassifier(3, max_iter=1).fit(X, y, **{name: of[name] for name in given})


def test_a_validation_set_must_fit_the_data() -> None:
    _, X, y, _ = data("words")
    with pytest.raises(ValueError, match="expecting 64 features"):
        MLPClassifier(3, max_iter=1).fit(X, y, X_val=X[:, :5], y_val=y)
    with pytest.raises(ValueError, match="y_val must hold classes of y"):
        MLPClassifier(3, max_iter=1).fit(X, y, X_val=X[:1], y_val=["z"])
