"""The stochastic solvers follow scikit-learn's: warm start, partial_fit, messages, interrupts."""

from __future__ import annotations

import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import neural_network
from sklearn_data import assert_alike, both, data, small, words

import fastnet.sklearn
from fastnet.sklearn import MLPClassifier, _stochastic

pytestmark = pytest.mark.usefixtures("few_epochs", "one_blas_thread")


def test_an_interrupt_keeps_what_was_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = words()
    epoch, done = _stochastic.EpochLoop.train_epoch, []

    def interrupted(self: Any) -> float:
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append(1)
        return epoch(self)

    monkeypatch.setattr(_stochastic.EpochLoop, "train_epoch", interrupted)
    with pytest.warns(UserWarning, match=r"Training interrupted by user\."):
        est = small().fit(X, y)
    monkeypatch.undo()
    assert est.n_iter_ == len(est.loss_curve_) == 4
    np.testing.assert_array_equal(est.coefs_[0], small(max_iter=4).fit(X, y).coefs_[0])


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
