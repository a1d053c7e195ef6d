"""The stochastic solvers follow scikit-learn's: warm start, partial_fit, messages, interrupts."""

from __future__ import annotations

import _thread
import contextlib
import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest
from epochs import at_epoch
from sklearn import neural_network
from sklearn_data import assert_alike, both, data, small, words

import fastnet.sklearn
from fastnet.sklearn import MLPClassifier, _stochastic

pytestmark = pytest.mark.usefixtures("few_epochs", "one_blas_thread")


def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python goes through the epochs."""
    monkeypatch.setattr(_stochastic.EpochLoop, "_can_run_in_core", lambda self: False)


def interrupt(monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    """Interrupt a fit before an epoch, where Python goes through them."""
    train, done = _stochastic.EpochLoop.train_epoch, []

    def interrupted(self: Any) -> float:
        if len(done) == epoch:
            raise KeyboardInterrupt
        done.append(1)
        return train(self)

    one_by_one(monkeypatch)
    monkeypatch.setattr(_stochastic.EpochLoop, "train_epoch", interrupted)


@pytest.mark.parametrize("in_core", [False, True])
def test_an_interrupt_keeps_what_was_learned(in_core: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = words()
    if in_core:
        at_epoch(monkeypatch, 4, _thread.interrupt_main)
    else:
        interrupt(monkeypatch, 4)
    with pytest.warns(UserWarning, match=r"Training interrupted by user\."):
        est = small(max_iter=9).fit(X, y)
    monkeypatch.undo()
    assert est.n_iter_ == len(est.loss_curve_) == 4
    assert est.t_ == 4 * len(X)
    np.testing.assert_array_equal(est.coefs_[0], small(max_iter=4).fit(X, y).coefs_[0])


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 1},
        {"solver": "sgd", "learning_rate": "invscaling"},
        {"tol": 0.05, "n_iter_no_change": 2},
        {"n_iter_no_change": np.inf, "tol": 1.0},
        {"solver": "rmsprop", "shuffle": False, "alpha": 0.1},
        {"solver": "sgd", "learning_rate_init": 1e300, "activation": "relu"},
        {"warm_start": True, "max_iter": 5},
    ],
    ids=lambda params: " ".join(params) or "default",
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_epochs_in_the_core_are_those_one_by_one(
    params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, losses, when it ends, and the random numbers that are drawn."""
    X, y = words()
    weights = np.linspace(0.5, 2, len(X))
    kept: list[Any] = []
    for way in ("core", "one by one"):
        if way == "one by one":
            one_by_one(monkeypatch)
        random_state = np.random.RandomState(3)
        est = small(max_iter=30).set_params(random_state=random_state, **params)
        fits = 2 if est.warm_start else 1
        with contextlib.suppress(ValueError):  # scikit-learn's, of weights that are not finite in the end
            for _ in range(fits):
                est.fit(X, y, sample_weight=weights)
        found = [*est.coefs_, *est.intercepts_, np.array(est.loss_curve_), random_state.random_sample(3)]
        kept.append(([array.tobytes() for array in found], est.n_iter_, est.t_, est.best_loss_))
    assert repr(kept[0]) == repr(kept[1])  # repr: NaN is NaN


def test_epochs_run_in_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_stochastic.EpochLoop, "train_epoch", None)
    X, y = words()
    assert small(max_iter=3).fit(X, y).n_iter_ == 3


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


@pytest.mark.parametrize(
    ("solver", "changed"),
    [
        ("sgd", {"momentum": 0.1, "nesterovs_momentum": False}),
        ("sgd", {"learning_rate_init": 0.3}),
        ("sgd", {"learning_rate": "invscaling", "power_t": 2.0}),
        ("adam", {"beta_1": 0.1, "beta_2": 0.5}),
        ("adam", {"epsilon": 0.1, "learning_rate_init": 0.3}),
        ("adam", {"solver": "sgd"}),
        ("sgd", {"solver": "adam"}),
        ("adam", {"alpha": 2.0, "batch_size": 50, "shuffle": False}),
    ],
)
def test_parameters_changed_between_calls_of_partial_fit(solver: str, changed: dict[str, Any]) -> None:
    """Those of the optimiser last, as in scikit-learn; the others take effect."""
    name, X, y, _ = data("diabetes")
    pair = [
        getattr(m, name)(hidden_layer_sizes=7, solver=solver, random_state=0)
        for m in (neural_network, fastnet.sklearn)
    ]
    for est in pair:
        est.partial_fit(X, y).partial_fit(X, y)
        est.set_params(**changed).partial_fit(X, y).partial_fit(X, y)
    assert_alike(*pair, 1e-12)


@pytest.mark.parametrize("first", [False, True])
def test_early_stopping_switched_between_fits_of_a_warm_start(first: bool) -> None:
    """scikit-learn raises AttributeError or TypeError. Here each fit has what it needs."""
    _, X, y, _ = data("breast_cancer")
    params = {"warm_start": True, "max_iter": 4, "random_state": 0, "learning_rate_init": 0.01}
    est = fastnet.sklearn.MLPClassifier(6, early_stopping=first, **params)
    est.fit(X, y)
    before = len(est.loss_curve_)
    est.set_params(early_stopping=not first).fit(X, y)
    assert len(est.loss_curve_) == before + 4
    if first:
        assert est.validation_scores_ is est.best_validation_score_ is None
        assert est.best_loss_ == min(est.loss_curve_[before:])
    else:
        assert est.best_loss_ is None
        assert est.best_validation_score_ == max(est.validation_scores_)
        assert len(est.validation_scores_) == 4
        assert est.score(X, y) > 0.8
    est.set_params(early_stopping=first).fit(X, y)


@pytest.mark.parametrize("case", ["max_iter", "batch_size", "lbfgs", "interrupt"])
def test_warnings_belong_to_scikit_learns_module(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Users silence them by `filterwarnings("ignore", module="sklearn")`."""
    X, y = words()
    params: dict[str, Any] = {
        "max_iter": {},
        "batch_size": {"batch_size": 10_000},
        "lbfgs": {"solver": "lbfgs", "max_iter": 1},
        "interrupt": {},
    }[case]
    if case == "interrupt":
        interrupt(monkeypatch, 0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        small(max_iter=1).set_params(**params).fit(X, y)
    assert caught
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", module="sklearn")
        small(max_iter=1).set_params(**params).fit(X, y)
    assert not caught


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("kind", ["digits", "breast_cancer", "several targets"])
def test_negative_weights_train_as_in_scikit_learn(kind: str, solver: str) -> None:
    """Batches whose weights sum to less than 0, others that hold some below 0."""
    name, X, y, _ = data(kind)
    w = np.repeat([1.0, -1.0, 0.5, -2.0, 3.0], 50)[: len(X)]
    w[3::7] *= -0.3
    X, y = X[: len(w)], y[: len(w)]
    params = {
        "hidden_layer_sizes": 7,
        "solver": solver,
        "batch_size": 50,
        "shuffle": False,
        "random_state": 0,
    }
    pair = []
    for module in (neural_network, fastnet.sklearn):
        est = getattr(module, name)(max_iter=2 if solver == "lbfgs" else 5, **params)
        pair.append(est.fit(X, y, w))
    assert np.ptp(pair[1].coefs_[0]) > 0
    assert_alike(*pair, 1e-9)
