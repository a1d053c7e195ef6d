"""fastnet.sklearn follows scikit-learn: the same weights, losses, stops and predictions for the same seed.

The two differ in the order of sums and in the last bits of exp and tanh: some 1e-16 a step in float64. What
is allowed is what the training makes of that in 20 epochs, well below what another draw or another formula
would give (1e-2). L-BFGS magnifies it most; in float32 it gets few iterations.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

import sklearn
from sklearn import neural_network
from sklearn.datasets import load_breast_cancer
from sklearn_data import CLASSIFIER, KINDS, data
from threadpoolctl import threadpool_limits

import fastnet.sklearn

TOLERANCE = {"float64": 1e-9, "float32": 1e-4}
VALUES = {
    "kind": KINDS,
    "solver": ("adam", "sgd", "lbfgs"),
    "activation": ("relu", "tanh", "logistic", "identity"),
    "dtype": ("float64", "float32"),
    "batch_size": ("auto", 32),
    "early_stopping": (False, True),
    "weights": (False, True),
}


@pytest.fixture(autouse=True)
def one_thread_for_blas() -> Iterator[None]:
    """Small products on several threads make scikit-learn many times slower."""
    with threadpool_limits(1):
        yield


def cases() -> list[tuple[Any, ...]]:
    """Return few combinations in which any three values that go together do so at least once."""
    everything = [
        case
        for case in product(*VALUES.values())
        if case[1] != "lbfgs" or case[4:6] == ("auto", False)  # it knows neither batches nor early stopping
    ]
    triples = {case: set(combinations(enumerate(case), 3)) for case in everything}
    left, chosen = set().union(*triples.values()), []
    while left:
        chosen.append(max(everything, key=lambda case: len(triples[case] & left)))
        left -= triples[chosen[-1]]
    return chosen


def both(kind: str, X: np.ndarray, y: np.ndarray, weights: Any = None, **params: Any) -> list[Any]:
    """Fit scikit-learn's estimator and ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [getattr(m, kind)(**params).fit(X, y, weights) for m in (neural_network, fastnet.sklearn)]


def assert_alike(theirs: Any, ours: Any, tolerance: float) -> None:
    """Compare what a fit leaves."""
    assert ours.backend_ == "fastnet"
    assert ours.n_iter_ == theirs.n_iter_
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(theirs, name), getattr(ours, name), strict=True):
            assert a.dtype == b.dtype
            assert b.flags.c_contiguous
            np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance)
    assert type(ours.loss_) is type(theirs.loss_)
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=tolerance)
    if theirs.solver == "lbfgs":
        return
    assert ours.t_ == theirs.t_
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=tolerance)
    if theirs.early_stopping:
        assert ours.best_loss_ is theirs.best_loss_ is None
        np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, atol=tolerance)
        np.testing.assert_allclose(ours.best_validation_score_, theirs.best_validation_score_, atol=tolerance)
    else:
        assert ours.validation_scores_ is None
        np.testing.assert_allclose(ours.best_loss_, theirs.best_loss_, rtol=tolerance)
    assert ours._no_improvement_count == theirs._no_improvement_count
    np.testing.assert_allclose(ours._optimizer.learning_rate, theirs._optimizer.learning_rate, rtol=1e-12)


def assert_predict_alike(theirs: Any, ours: Any, X: np.ndarray, tolerance: float) -> None:
    """Compare what the two predict."""
    a, b = theirs.predict(X), ours.predict(X)
    assert a.shape == b.shape
    assert a.dtype == b.dtype
    if not hasattr(theirs, "predict_proba"):
        np.testing.assert_allclose(b, a, rtol=10 * tolerance, atol=10 * tolerance)
        return
    np.testing.assert_array_equal(b, a)
    P, Q = theirs.predict_proba(X), ours.predict_proba(X)
    assert (P.shape, P.dtype) == (Q.shape, Q.dtype)
    np.testing.assert_allclose(Q, P, atol=10 * tolerance)
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(ours.predict_log_proba(X), np.log(Q))


@pytest.mark.parametrize(VALUES, cases(), ids=str)
def test_the_same_training(
    kind: str, solver: str, activation: str, dtype: str, batch_size: Any, early_stopping: bool, weights: bool
) -> None:
    if kind == "words" and early_stopping and sklearn.__version__.startswith(("1.7.", "1.8.")):
        pytest.skip("scikit-learn itself fails: its issue 33760")
    name, X, y, params = data(kind)
    X = X.astype(dtype)
    w = np.random.default_rng(1).uniform(0.1, 2, len(X)) if weights else None
    params = params | {
        "hidden_layer_sizes": (12, 7) if kind == "digits" else 12,
        "max_iter": 4 if (solver, dtype) == ("lbfgs", "float32") else 20,
        "learning_rate_init": 1e-3,
    }
    theirs, ours = both(
        name,
        X,
        y,
        w,
        solver=solver,
        activation=activation,
        batch_size=batch_size,
        early_stopping=early_stopping,
        random_state=3,
        **params,
    )
    assert_alike(theirs, ours, TOLERANCE[dtype])
    assert_predict_alike(theirs, ours, X, TOLERANCE[dtype])


@pytest.mark.parametrize(
    ("activation", "dtype"),
    [("relu", "float64"), ("relu", "float32"), ("identity", "float32"), ("logistic", "float64")],
)
def test_unscaled_data(activation: str, dtype: str) -> None:
    """Logits of hundreds: what scikit-learn reports is the logarithm of rounded and clipped probabilities.

    (Where tanh saturates, and the logistic in float32, scikit-learn's gradient is made of NumPy's roundings.)
    """
    X, y = load_breast_cancer(return_X_y=True)
    theirs, ours = both(CLASSIFIER, X.astype(dtype), y, activation=activation, max_iter=20, random_state=0)
    assert theirs.loss_curve_[0] > 0.5  # some are far off
    assert_alike(theirs, ours, TOLERANCE[dtype])


def test_the_default_fit_to_its_end() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    theirs, ours = both(CLASSIFIER, X, y, random_state=0)
    assert 20 < theirs.n_iter_ < 200
    assert_alike(theirs, ours, 1e-8)
    assert_predict_alike(theirs, ours, X, 1e-8)


@pytest.mark.parametrize(
    "params",
    [
        {"learning_rate": "invscaling", "power_t": 0.3},
        {"learning_rate": "adaptive", "tol": 0.02, "n_iter_no_change": 2, "max_iter": 40},
        {"momentum": 0.0},
        {"momentum": 0.5, "nesterovs_momentum": False},
        {"solver": "adam", "beta_1": 0.0, "beta_2": 0.9, "epsilon": 1e-3},
        {"solver": "adam", "alpha": 0.5, "batch_size": 7},
        {"solver": "adam", "shuffle": False},
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": (5, 4, 3)},
        {"tol": 0.1, "n_iter_no_change": 3, "max_iter": 100},
        {"n_iter_no_change": np.inf, "max_iter": 5},
        {"batch_size": 10_000},
        {"early_stopping": True, "validation_fraction": 0.5, "tol": 0.01, "n_iter_no_change": 2},
        {"solver": "lbfgs", "max_fun": 7},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["digits", "diabetes"])
def test_parameters(kind: str, params: dict[str, Any]) -> None:
    name, X, y, _ = data(kind)
    given = {"hidden_layer_sizes": 8, "solver": "sgd", "learning_rate_init": 0.01, "max_iter": 15} | params
    theirs, ours = both(name, X, y, random_state=5, **given)
    assert_alike(theirs, ours, 1e-9)
    if given["solver"] != "lbfgs":
        for moment in {"sgd": ("velocities",), "adam": ("ms", "vs")}[given["solver"]]:
            if given.get("momentum") == 0:
                continue  # scikit-learn keeps the last step, which nothing reads
            for a, b in zip(
                getattr(theirs._optimizer, moment), getattr(ours._optimizer, moment), strict=True
            ):
                np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_warm_start(solver: str, early_stopping: bool) -> None:
    name, X, y, _ = data("breast_cancer")
    pair = both(
        name, X, y, solver=solver, warm_start=True, early_stopping=early_stopping, max_iter=4, random_state=0
    )
    for est in pair:
        est.set_params(max_iter=6)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            est.fit(X[::-1], y[::-1])
    assert_alike(*pair, 1e-9)
    if solver != "lbfgs":
        assert len(pair[1].loss_curve_) == 10


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("random_state", [0, "shared"])
def test_partial_fit(solver: str, random_state: Any) -> None:
    name, X, y, _ = data("digits")
    pair = []
    for module in (neural_network, fastnet.sklearn):
        state = np.random.RandomState(4) if random_state == "shared" else random_state
        est = getattr(module, name)(9, solver=solver, random_state=state)
        w = np.linspace(0.5, 2, 100)
        for start in (0, 100, 200, 300):
            part = slice(start, start + 100)
            est.partial_fit(X[part], y[part], w, classes=np.arange(10))
        pair.append(est)
    assert_alike(*pair, 1e-12)
    assert pair[1].t_ == 400
    assert pair[1]._optimizer.t == 4


def test_partial_fit_after_fit_goes_on_with_the_moments() -> None:
    name, X, y, _ = data("several targets")
    pair = both(name, X, y, max_iter=5, random_state=0)
    for est in pair:
        est.partial_fit(X, y)
    assert_alike(*pair, 1e-12)


def test_coefficients_set_by_hand_are_trained_in_place() -> None:
    name, X, y, _ = data("diabetes")
    pair = both(name, X, y, hidden_layer_sizes=3, max_iter=2, random_state=0)
    for est in pair:
        est.coefs_ = [np.full_like(coef, 0.1, order="F") for coef in est.coefs_]
        est.intercepts_[0][:] = [0.1, 0.2, 0.3]
        held = est.coefs_[0]
        est.partial_fit(X, y)
        assert est.coefs_[0] is held
        assert not np.allclose(held, 0.1)
    for a, b in zip(pair[0].coefs_, pair[1].coefs_, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_the_same_lines_are_printed(solver: str, early_stopping: bool, capsys: Any) -> None:
    name, X, y, _ = data("breast_cancer")
    params = {"tol": 0.05, "n_iter_no_change": 2, "max_iter": 30, "random_state": 0, "verbose": True}
    if solver == "sgd":
        params |= {"learning_rate": "adaptive", "learning_rate_init": 1e-4}
    printed = []
    for module in (neural_network, fastnet.sklearn):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            getattr(module, name)(solver=solver, early_stopping=early_stopping, **params).fit(X, y)
        printed.append(capsys.readouterr().out)
    assert "Iteration 1, loss = " in printed[0]
    assert printed[1] == printed[0]


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_the_same_warnings(solver: str) -> None:
    name, X, y, _ = data("breast_cancer")
    given = []
    for module in (neural_network, fastnet.sklearn):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            getattr(module, name)(3, solver=solver, max_iter=2, batch_size=1000).fit(X, y)
        given.append([(w.category, str(w.message)) for w in caught])
    assert len(given[0]) == (1 if solver == "lbfgs" else 2)
    assert given[1] == given[0]


@pytest.mark.parametrize("format", ["csr_matrix", "csc_array"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("blockwise", [False, True])
def test_sparse(format: str, solver: str, blockwise: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    scipy_sparse = pytest.importorskip("scipy.sparse")
    name, X, y, _ = data("digits")
    if blockwise:  # blocks of 64 rows at most
        monkeypatch.setattr(fastnet.sklearn._layout, "DENSE_BYTES", 0)
        monkeypatch.setattr(fastnet.sklearn._layout, "BLOCK_BYTES", 64 * 64 * 8)
    S = getattr(scipy_sparse, format)(X)
    w = np.linspace(0.5, 2, len(X))
    theirs, ours = both(
        name, S, y, w, solver=solver, batch_size=30, max_iter=6, random_state=0, early_stopping=True
    )
    assert_alike(theirs, ours, 1e-9)
    assert_predict_alike(theirs, ours, S, 1e-9)
    np.testing.assert_array_equal(ours.predict_proba(S), ours.predict_proba(X))
