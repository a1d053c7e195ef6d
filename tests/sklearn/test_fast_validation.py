"""The quick validation finds what scikit-learn's finds, and leaves to it whatever is not plain."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.metrics import accuracy_score
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.utils._param_validation import InvalidParameterError

from fastnet.sklearn import MLPClassifier, MLPRegressor, _fast_validation

X = np.random.default_rng(0).normal(size=(12, 3))
THREE = np.array([2, 0, 1] * 4)
WIDE = np.array(["b", "a", "b"] * 4, "<U9")

KNOWING = MLPClassifier((), solver="lbfgs", max_iter=100, tol=1.0).fit(X, THREE)

LABELS = {
    "int": THREE,
    "negative": THREE - 2,
    "int8": THREE.astype(np.int8),
    "unsigned": THREE.astype(np.uint16),
    "large": np.array([2**62, 2**62 + 1] * 6),
    "bool": THREE > 0,
    "str": np.array(["x", "yy", "z"] * 4),
    "str of more room than it needs": WIDE,
    "two": THREE % 2,
    "one class": np.full(12, 7),
    "strided": np.repeat(THREE, 2)[::2],
}


def state(est: Any) -> dict[str, Any]:
    """Return what a validation leaves on an estimator and its binarizer."""
    binarizer = vars(est._label_binarizer) if hasattr(est, "_label_binarizer") else {}
    found = {"n_features_in_": est.n_features_in_} | {f"binarizer {k}": v for k, v in binarizer.items()}
    return found | {"classes_": est.classes_} if hasattr(est, "classes_") else found


def same(ours: Any, theirs: Any) -> None:
    assert type(ours) is type(theirs)
    if isinstance(ours, np.ndarray):
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        assert np.array_equal(ours, theirs)
    else:
        assert ours == theirs


@pytest.mark.parametrize("features", [X, X.astype(np.float32), np.asfortranarray(X), X[:, ::-1]])
@pytest.mark.parametrize("name", LABELS)
def test_plain_labels_come_out_as_from_scikit_learn(name: str, features: Any) -> None:
    y = LABELS[name]
    ours, theirs = MLPClassifier(), TheirClassifier()
    quick = _fast_validation.classification_data(ours, features, y, incremental=False, reset=True)
    assert quick is not None
    for got, expected in zip(quick, theirs._validate_input(features, y, False, True), strict=True):
        same(got, expected)
    assert state(ours).keys() == state(theirs).keys()
    for key, value in state(theirs).items():
        same(state(ours)[key], value)


def test_plain_numbers_come_out_as_from_scikit_learn() -> None:
    for y in (X[:, 0], X[:, 0].astype(np.float32), X[::-1, 1]):
        ours, theirs = MLPRegressor(), TheirRegressor()
        quick = _fast_validation.regression_data(ours, X, y, incremental=False, reset=True)
        assert quick is not None
        for got, expected in zip(quick, theirs._validate_input(X, y, False, True), strict=True):
            same(got, expected)
        assert state(ours) == state(theirs)


def with_value(value: float) -> Any:
    broken = X.copy()
    broken[3, 1] = value
    return broken


@pytest.mark.parametrize(
    ("features", "y"),
    [
        (X.tolist(), THREE),
        (with_value(np.nan), THREE),
        (with_value(np.inf), THREE),
        (X[0], THREE),
        (X[0, 0], THREE),
        (np.array(1.0), THREE),
        (None, THREE),
        (sparse.csr_array(X), THREE),
        (X[:, :0], THREE),
        (X[:0], THREE[:0]),
        (X.astype(int), THREE),
        (X.astype(">f8"), THREE),
        (X.astype(np.float16), THREE),
        (np.ma.masked_array(X), THREE),
        (X, THREE[:-1]),
        (X, THREE.tolist()),
        (X, THREE[:, None]),
        (X, THREE.astype(float)),
        (X, THREE.astype(object)),
        (X, np.array([b"a", b"b"] * 6)),
        (X, np.eye(12, 3, dtype=int)),
        (X, np.arange(12)),  # more classes than half the examples: some versions warn of that
    ],
)
def test_what_is_not_plain_is_left_to_scikit_learn(features: Any, y: Any) -> None:
    assert (
        _fast_validation.classification_data(MLPClassifier(), features, y, incremental=False, reset=True)
        is None
    )
    number = _fast_validation.regression_data(MLPRegressor(), features, y, incremental=False, reset=True)
    assert number is None or (type(y) is np.ndarray and y.dtype == float)
    if features is not X:
        assert (
            _fast_validation.regression_data(MLPRegressor(), features, X[:, 0], incremental=False, reset=True)
            is None
        )


@pytest.mark.parametrize("features", [X.tolist(), X[0], X[0, 0], np.array(1.0), None, sparse.csr_array(X)])
def test_a_score_of_what_is_no_matrix_is_left_to_scikit_learn(features: Any) -> None:
    assert _fast_validation.accuracy(KNOWING, X, THREE) is not None
    assert _fast_validation.accuracy(KNOWING, features, THREE) is None


def test_an_estimator_that_knows_something_compares() -> None:
    est = MLPClassifier((2,), max_iter=2, warm_start=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        est.fit(X, THREE)
        with pytest.raises(ValueError, match="warm_start can only be used where `y` has the same classes"):
            est.fit(X, THREE + 1)
        est.set_params(warm_start=False).fit(X, THREE + 1)
        assert est.classes_.tolist() == [1, 2, 3]
        with pytest.raises(ValueError, match="`y` has classes not in"):
            est.partial_fit(X, THREE)
        with pytest.raises(ValueError, match="X has 2 features"):
            est.partial_fit(X[:, :2], THREE + 1)
        est.fit(X[:, :2], THREE)
        assert est.n_features_in_ == 2


def test_names_of_features_are_forgotten_by_a_fit_without() -> None:
    pandas = pytest.importorskip("pandas")
    est = MLPClassifier((2,), max_iter=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        est.fit(pandas.DataFrame(X, columns=list("abc")), THREE)
        assert est.feature_names_in_.tolist() == ["a", "b", "c"]
        est.fit(X, THREE)
    assert not hasattr(est, "feature_names_in_")


def test_bad_parameters_meet_scikit_learns_messages() -> None:
    for name, value in [("alpha", -1.0), ("solver", "newton"), ("n_threads", 0), ("max_iter", 1.5)]:
        with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of MLPClassifier must be"):
            MLPClassifier(**{name: value}).fit(X, THREE)
    assert _fast_validation.parameters_are_valid(MLPClassifier())
    assert not _fast_validation.parameters_are_valid(MLPClassifier(beta_1=1.0))


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_the_score_is_scikit_learns_to_the_last_bit() -> None:
    iris, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])
    for target in (y, y.astype(np.int8), names[y], y == 1):
        est = MLPClassifier((5,), solver="lbfgs", max_iter=5, random_state=0).fit(iris, target)
        for rows in (slice(None), slice(40, 113)):
            quick = _fast_validation.accuracy(est, iris[rows], target[rows])
            assert quick is not None
            assert quick == est.score(iris[rows], target[rows])
            assert quick == accuracy_score(target[rows], est.predict(iris[rows]))
            assert type(quick) is float
    weights = np.linspace(1, 2, len(y))
    assert est.score(iris, y == 1, weights) == accuracy_score(
        y == 1, est.predict(iris), sample_weight=weights
    )
    assert est.score(iris.tolist(), (y == 1).tolist()) == est.score(iris, y == 1)


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_a_score_that_is_not_plain_is_left_to_scikit_learn() -> None:
    iris, y = load_iris(return_X_y=True)
    est = MLPClassifier((5,), solver="lbfgs", max_iter=5, random_state=0).fit(iris, y)
    for rows, target in [(iris, y.astype(float)), (iris, y.tolist()), (iris, y == 1), (iris, y[:-1])]:
        assert _fast_validation.accuracy(est, rows, target) is None
    assert _fast_validation.accuracy(est, iris[:3], y[:3]) is None  # three classes, three examples
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        est.score(iris, y[:-1])
    several = MLPClassifier((5,), solver="lbfgs", max_iter=5, random_state=0).fit(iris, np.eye(3)[y])
    assert _fast_validation.accuracy(several, iris, y) is None


def test_another_scikit_learn_whose_binarizer_keeps_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_fast_validation, "_binarizers", {})
    monkeypatch.setattr(_fast_validation, "_KNOWN", {"classes_"})
    assert (
        _fast_validation.classification_data(MLPClassifier(), X, THREE, incremental=False, reset=True) is None
    )


@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize("name", [name for name in LABELS if name != "one class"])
def test_labels_of_known_classes_come_out_as_from_scikit_learn(name: str, warm_start: bool) -> None:
    y = LABELS[name]
    found = []
    for cls in (MLPClassifier, TheirClassifier):
        est = cls((2,), warm_start=warm_start, random_state=0).partial_fit(X, y, classes=np.unique(y))
        found.append(est._validate_input(X[::-1], y[::-1], True, False))
        if cls is MLPClassifier:
            quick = _fast_validation.classification_data(est, X[::-1], y[::-1], incremental=True, reset=False)
            assert quick is not None
    for got, expected in zip(*found, strict=True):
        same(got, expected)


@pytest.mark.parametrize(
    "y",
    [
        THREE + 1,
        THREE.astype(float),
        np.array(list("abc") * 4),
        THREE.tolist(),
        THREE[:, None],
        np.arange(12),
    ],
)
def test_labels_that_are_not_plainly_of_known_classes_are_left_to_scikit_learn(y: Any) -> None:
    est = MLPClassifier((2,), random_state=0).partial_fit(X, THREE, classes=np.arange(3))
    assert _fast_validation.classification_data(est, X, THREE, incremental=True, reset=False) is not None
    assert _fast_validation.classification_data(est, X, y, incremental=True, reset=False) is None


def test_a_warm_start_needs_all_classes_and_partial_fit_does_not() -> None:
    few = np.where(THREE == 2, 0, THREE)
    for warm_start in (False, True):
        est = MLPClassifier((2,), random_state=0, warm_start=warm_start)
        est.partial_fit(X, THREE, classes=np.arange(3))
        quick = _fast_validation.classification_data(est, X, few, incremental=True, reset=False)
        assert (quick is None) == warm_start


def test_the_classes_given_again_are_compared() -> None:
    est = MLPClassifier((2,), random_state=0).partial_fit(X, THREE, classes=np.arange(3))
    est.partial_fit(X, THREE, classes=np.arange(3)).partial_fit(X, THREE, classes=[2, 1, 0])
    with pytest.raises(ValueError, match="is not the same as on last call to partial_fit"):
        est.partial_fit(X, THREE, classes=np.arange(4))
