"""Predictions: the same for every layout, checked as scikit-learn checks, in blocks."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

import sklearn
import sklearn.neural_network
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn_data import data, fitted, small, words

from fastnet import threads
from fastnet._core import engine
from fastnet.sklearn import MLPClassifier

pytestmark = pytest.mark.usefixtures("few_epochs")


def test_layouts_and_dtypes_at_prediction() -> None:
    X, y = words()
    est, theirs = (
        small().fit(X, y),
        sklearn.neural_network.MLPClassifier(8, max_iter=10, random_state=0).fit(X, y),
    )
    P = est.predict_proba(X)
    for same in (np.asfortranarray(X), X[::-1][::-1], list(X), X.astype(object)):
        np.testing.assert_array_equal(est.predict_proba(same), P)
    for other in (X.astype(np.float32), (16 * X).astype(np.int8), X.astype(np.float16)):
        a, b = theirs.predict_proba(other), est.predict_proba(other)
        assert a.dtype == b.dtype
        np.testing.assert_allclose(b, a, atol=1e-9)


def test_prediction_checks_what_scikit_learn_checks() -> None:
    X, y = words()
    est = small().fit(X, y)
    for wrong, message in (
        (np.where(X >= 1, np.nan, X), "Input X contains NaN"),
        (np.where(X >= 1, np.inf, X), "Input X contains infinity"),
        (X[:, :5], "X has 5 features, but MLPClassifier is expecting 64 features"),
        (X[0], "Expected 2D array, got 1D array instead"),
        (X[:0], "Found array with 0 sample"),
        (X.astype(complex), "Complex data not supported"),
    ):
        with pytest.raises(ValueError, match=message):
            est.predict(wrong)


def test_transform() -> None:
    _, X, _, _ = data("digits")
    clf = fitted("digits")
    H0 = np.maximum(X @ clf.coefs_[0] + clf.intercepts_[0], 0)
    H1 = np.maximum(H0 @ clf.coefs_[1] + clf.intercepts_[1], 0)
    for layer, H in ((0, H0), (-2, H0), (1, H1), (-1, H1)):
        np.testing.assert_allclose(clf.transform(X, layer), H, rtol=1e-12, atol=1e-13)
    assert list(clf.get_feature_names_out())[:2] == ["mlpclassifier0", "mlpclassifier1"]
    assert len(clf.get_feature_names_out()) == clf.transform(X).shape[1] == 6
    for layer in (2, -3):
        with pytest.raises(ValueError, match="layer must be at least -2 and below 2"):
            clf.transform(X, layer)
    with pytest.raises(NotFittedError):
        MLPClassifier().transform(X)


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_many_rows_are_one_call_that_changes_no_bit_and_misses_no_number(
    dtype: str, n_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of another precision than the weights are converted, a block at a time."""
    iris, y = load_iris(return_X_y=True)
    est = MLPClassifier((5,), solver="lbfgs", max_iter=5, random_state=0, n_threads=n_threads).fit(iris, y)
    iris = iris.astype(dtype)
    many = np.tile(iris, (1000, 1))
    expected = np.concatenate([est.predict_proba(row[None, :]) for row in iris])
    seen: list[int] = []
    forward = engine.forward
    monkeypatch.setattr(
        engine, "forward", lambda *a, **more: (seen.append(a[3].shape[1]), forward(*a, **more))[1]
    )
    monkeypatch.setattr(threads, "FLOPS_WORTH_A_THREAD", 1e5)
    assert np.array_equal(est.predict_proba(many), np.tile(expected, (1000, 1)))
    assert len(seen) == (1 if dtype == "float64" else 2)
    for bad, message in ((np.nan, "contains NaN"), (-np.inf, "contains infinity")):
        many[-1, 2] = bad
        with pytest.raises(ValueError, match=f"Input X {message}"):
            est.predict_proba(many)
