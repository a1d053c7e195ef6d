"""What fastnet.sklearn has beyond scikit-learn: weights of classes, validation sets, losses, solvers."""

from __future__ import annotations

import pickle
import tracemalloc
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.class_weight import compute_sample_weight
from sklearn_data import data

from fastnet._core import engine
from fastnet.sklearn import MLPClassifier, MLPRegressor, _base

ESTIMATORS = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}


@pytest.fixture(autouse=True)
def no_word_of_convergence() -> Iterator[None]:
    """Few epochs are enough here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Stochastic Optimizer")
        warnings.filterwarnings("ignore", "lbfgs failed to converge")
        yield


def fitted(kind: str, **params: Any) -> Any:
    """Return an estimator fitted to a kind of data."""
    name, X, y, own = data(kind)
    given = {"hidden_layer_sizes": (9, 6), "max_iter": 8, "random_state": 0} | own | params
    return ESTIMATORS[name](**given).fit(X, y)


def assert_same_weights(a: Any, b: Any) -> None:
    for ours, theirs in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        np.testing.assert_array_equal(ours, theirs)


# ---- weights of classes


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("kind", ["breast_cancer", "words", "several labels"])
def test_class_weight_is_a_weight_of_the_examples(kind: str, solver: str) -> None:
    _, X, y, _ = data(kind)
    balanced = fitted(kind, class_weight="balanced", solver=solver)
    w = compute_sample_weight("balanced", y)
    assert np.ptp(w) > 0.05
    by_hand = MLPClassifier((9, 6), max_iter=8, random_state=0, solver=solver).fit(X, y, w)
    assert_same_weights(balanced, by_hand)
    with pytest.raises(AssertionError):
        assert_same_weights(balanced, fitted(kind, solver=solver))


def test_class_weight_multiplies_sample_weight_and_goes_into_partial_fit() -> None:
    _, X, y, _ = data("words")
    shares = {"b": 5.0, "c": 0.0}
    w = np.linspace(0.5, 1, len(X))
    both = w * np.array([{"b": 5, "c": 0}.get(word, 1) for word in y])
    params = {"hidden_layer_sizes": 5, "max_iter": 3, "random_state": 0}
    assert_same_weights(
        MLPClassifier(class_weight=shares, **params).fit(X, y, w), MLPClassifier(**params).fit(X, y, both)
    )
    classes = np.unique(y)
    ours = MLPClassifier(class_weight=shares, **params).partial_fit(X, y, w, classes=classes)
    assert_same_weights(ours, MLPClassifier(**params).partial_fit(X, y, both, classes=classes))
    with pytest.raises(ValueError, match="class_weight: expected a dict or None in partial_fit"):
        MLPClassifier(class_weight="balanced").partial_fit(X, y, classes=classes)


# ---- a validation set


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


def test_early_stopping_by_the_loss_where_it_is_no_square() -> None:
    est = fitted("diabetes", loss="quantile", quantile=0.9, early_stopping=True)
    np.testing.assert_array_equal(est.validation_scores_, np.negative(est.validation_loss_curve_))


def test_lbfgs_records_the_validation_loss_of_each_iteration() -> None:
    _, X, y, _ = data("breast_cancer")
    est = MLPClassifier(9, solver="lbfgs", max_iter=6, random_state=0, alpha=0.0)
    est.fit(X, y, X_val=X, y_val=y)
    assert len(est.validation_loss_curve_) == est.n_iter_ == 6
    np.testing.assert_allclose(est.validation_loss_curve_[-1], est.loss_, rtol=1e-12)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"X_val": 1}, "y_val: expected it together with X_val"),
        ({"y_val": 1}, "X_val: expected it together with y_val"),
        ({"sample_weight_val": 1}, "sample_weight_val: expected X_val and y_val with it"),
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
    with pytest.raises(ValueError, match="y_val: expected classes of y"):
        MLPClassifier(3, max_iter=1).fit(X, y, X_val=X[:1], y_val=["z"])


# ---- losses, activations, solvers


@pytest.mark.parametrize(
    ("loss", "params", "cost"),
    [
        ("absolute_error", {}, np.abs),
        ("huber", {"delta": 0.4}, lambda r: np.where(abs(r) <= 0.4, r * r / 2, 0.4 * (abs(r) - 0.2))),
        ("quantile", {"quantile": 0.8}, lambda r: np.where(r < 0, -0.8 * r, 0.2 * r)),
    ],
)
@pytest.mark.parametrize("kind", ["diabetes", "several targets"])
def test_further_losses(kind: str, loss: str, params: dict[str, float], cost: Any) -> None:
    _, X, y, _ = data(kind)
    reg = MLPRegressor(loss, 9, alpha=0.0, batch_size=len(X), random_state=0, **params)
    for solver in ("lbfgs", "adam"):
        first = clone(reg).set_params(solver=solver, max_iter=1).fit(X, y, X_val=X, y_val=y)
        reg.set_params(solver=solver, max_iter=30).fit(X, y, X_val=X, y_val=y)
        residual = (reg.predict(X) - y).reshape(len(X), -1)
        loss = cost(residual).sum(axis=1).mean()
        np.testing.assert_allclose(reg.validation_loss_curve_[-1], loss, rtol=1e-12)
        assert loss < first.validation_loss_curve_[0] == reg.validation_loss_curve_[0]
        if solver == "lbfgs":
            np.testing.assert_allclose(reg.loss_, loss, rtol=1e-12)
        else:  # an epoch of one batch tells the loss before its step
            np.testing.assert_allclose(reg.loss_curve_[1], reg.validation_loss_curve_[0], rtol=1e-12)


def test_the_quantile_is_one() -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (400, 1))
    y = X[:, 0] + rng.normal(size=400)
    for quantile in (0.1, 0.9):
        reg = MLPRegressor(
            "quantile", (), quantile=quantile, max_iter=2000, learning_rate_init=0.01, random_state=0
        )
        below = (y < reg.fit(X, y).predict(X)).mean()
        assert abs(below - quantile) < 0.05  # two parameters and 400 numbers, and steps that do not vanish


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("activation", _base.HIDDEN)
def test_activations(activation: str, solver: str) -> None:
    """One layer's output is the activation, and descent along the gradient works."""
    _, X, _, _ = data("diabetes")
    reg = fitted("diabetes", activation=activation, solver=solver, hidden_layer_sizes=7, max_iter=30)
    name = "sigmoid" if activation == "logistic" else activation
    expected = engine.activate(name, np.ascontiguousarray((X @ reg.coefs_[0] + reg.intercepts_[0]).T))
    np.testing.assert_allclose(reg.transform(X), expected.T, rtol=1e-9, atol=1e-12)
    first = fitted("diabetes", activation=activation, solver=solver, hidden_layer_sizes=7, max_iter=1)
    assert reg.loss_ < first.loss_


def test_a_list_of_activations() -> None:
    names = ["tanh", "logistic"]
    mixed = fitted("digits", activation=names)
    one = fitted("digits", activation=["tanh", "tanh"])
    assert_same_weights(one, fitted("digits", activation="tanh"))
    assert_same_weights(
        fitted("digits", activation=("logistic",) * 2), fitted("digits", activation="logistic")
    )
    _, X, _, _ = data("digits")
    H = mixed.transform(X, layer=0)
    np.testing.assert_allclose(H, np.tanh(X @ mixed.coefs_[0] + mixed.intercepts_[0]), rtol=1e-12, atol=1e-15)
    H = mixed.transform(X)
    assert H.min() > 0
    assert H.max() < 1
    for wrong in (["tanh"], ["tanh"] * 3):
        with pytest.raises(ValueError, match="activation: expected one name or 2"):
            fitted("digits", activation=wrong)
    with pytest.raises(ValueError, match="'swish'"):
        fitted("digits", activation=["tanh", "swish"])


def adamw(params: list[Any], gradient: Any, steps: int) -> list[Any]:
    """Loshchilov and Hutter's update, with scikit-learn's epsilon and names."""
    m, v = ([np.zeros_like(p) for p in params] for _ in range(2))
    for t in range(1, steps + 1):
        for k, g in enumerate(gradient(params)):
            m[k] = 0.9 * m[k] + 0.1 * g
            v[k] = 0.999 * v[k] + 0.001 * g * g
            if params[k].ndim == 2:
                params[k] = params[k] - 1e-3 * 0.3 * params[k]
            params[k] = params[k] - 1e-3 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m[k] / (
                np.sqrt(v[k]) + 1e-8
            )
    return params


def rmsprop(params: list[Any], gradient: Any, steps: int) -> list[Any]:
    v = [np.zeros_like(p) for p in params]
    for _ in range(steps):
        for k, g in enumerate(gradient(params)):
            v[k] = 0.7 * v[k] + 0.3 * g * g
            params[k] = params[k] - 1e-3 * g / (np.sqrt(v[k]) + 1e-8)
    return params


@pytest.mark.parametrize(("solver", "by_hand"), [("adamw", adamw), ("rmsprop", rmsprop)])
def test_further_solvers(solver: str, by_hand: Any) -> None:
    """On a linear model, whose gradient is short; in one go, and resumed by partial_fit after a pickle."""
    _, X, y, _ = data("several targets")
    n = len(X)

    def gradient(params: list[Any]) -> list[Any]:
        W, b = params
        R = X @ W + b - y
        return [(X.T @ R + 0.01 * W) / n, R.mean(axis=0)]

    given = {
        "solver": solver,
        "batch_size": n,
        "alpha": 0.01,
        "weight_decay": 0.3,
        "rho": 0.7,
        "random_state": 0,
    }
    start = MLPRegressor(hidden_layer_sizes=(), **given | {"learning_rate_init": 1e-300}).partial_fit(X, y)
    begin = [start.coefs_[0].copy(), start.intercepts_[0].copy()]
    reg = MLPRegressor(hidden_layer_sizes=(), max_iter=12, **given).fit(X, y)
    expected = by_hand(list(begin), gradient, 12)
    np.testing.assert_allclose(reg.coefs_[0], expected[0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(reg.intercepts_[0], expected[1], rtol=1e-9, atol=1e-12)
    assert reg.solver == solver
    parts = MLPRegressor(hidden_layer_sizes=(), **given)
    for _ in range(12):
        parts = pickle.loads(pickle.dumps(parts.partial_fit(X, y)))
    np.testing.assert_allclose(parts.coefs_[0], expected[0], rtol=1e-9, atol=1e-12)


def test_clip_norm_bounds_the_steps() -> None:
    """With one plain step of gradient descent for the whole batch, the step is the clipped gradient."""
    params = {"solver": "sgd", "momentum": 0.0, "batch_size": 442, "learning_rate_init": 1.0, "max_iter": 1}
    start = fitted("diabetes", **params | {"learning_rate_init": 1e-300})
    for clip in (0.01, 1e-4):
        end = fitted("diabetes", clip_norm=clip, **params)
        arrays = zip(start.coefs_ + start.intercepts_, end.coefs_ + end.intercepts_, strict=True)
        norm = np.sqrt(sum(np.sum((b - a) ** 2) for a, b in arrays))
        np.testing.assert_allclose(norm, clip, rtol=1e-9)


def test_dropout() -> None:
    plain = fitted("digits", max_iter=20)
    dropped = fitted("digits", max_iter=20, dropout=0.4)
    assert dropped.loss_ > plain.loss_
    assert_same_weights(dropped, fitted("digits", max_iter=20, dropout=[0.4, 0.4]))
    assert_same_weights(plain, fitted("digits", max_iter=20, dropout=[0.0, 0.0]))
    assert_same_weights(dropped, fitted("digits", max_iter=20, dropout=0.4, n_threads=2))
    with pytest.raises(ValueError, match="dropout: expected one number or 2"):
        fitted("digits", dropout=[0.1])
    with pytest.raises(ValueError, match="dropout: expected numbers from 0 to below 1"):
        fitted("digits", dropout=[0.1, 1.5])


def test_dtype() -> None:
    _, X, y, _ = data("digits")
    single = fitted("digits", dtype="float32")
    assert {coef.dtype for coef in single.coefs_} == {np.dtype(np.float32)}
    assert single.predict_proba(X).dtype == np.float32
    assert_same_weights(
        single, MLPClassifier((9, 6), max_iter=8, random_state=0).fit(X.astype(np.float32), y)
    )
    double = MLPClassifier(5, max_iter=2, random_state=0, dtype="float64").fit(X.astype(np.float32), y)
    assert double.coefs_[0].dtype == double.predict_proba(X.astype(np.float32)).dtype == np.float64
    with pytest.raises(ValueError, match="X: expected numbers that float32 can hold"):
        MLPClassifier(dtype="float32").fit(X * 1e300, y)


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_the_same_bits_on_any_number_of_threads(solver: str) -> None:
    one = fitted("digits", n_threads=1, solver=solver, hidden_layer_sizes=64)
    assert_same_weights(one, fitted("digits", n_threads=2, solver=solver, hidden_layer_sizes=64))


# ---- hidden layers


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
        with pytest.raises(ValueError, match="layer: expected one of 2 hidden layers, -2 to 1"):
            clf.transform(X, layer)
    with pytest.raises(NotFittedError):
        MLPClassifier().transform(X)


# ---- schedules


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


def test_early_stopping_copies_no_part_to_train_on() -> None:
    X = np.random.default_rng(0).normal(size=(20_000, 50))
    y = X[:, 0] > 0
    est = MLPClassifier((4,), max_iter=2, early_stopping=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        est.fit(X, y)  # loads what a fit needs
        tracemalloc.start()
        est.fit(X, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < X.nbytes / 2  # the validation set is a tenth; the split draws and sorts indices
