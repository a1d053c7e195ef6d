"""Networks learn real data as well as they should: digits, and diabetes as scikit-learn's regressor does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnet as fn

datasets = pytest.importorskip("sklearn.datasets")
neural = pytest.importorskip("sklearn.neural_network")


def test_digits() -> None:
    digits = datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    X = (digits.data[order] / 16).astype(np.float32).T
    labels = digits.target[order]
    held = slice(0, 360)
    train = slice(360, None)
    net = fn.Network(
        [fn.Layer(64, 64, "relu", init="he_normal"), fn.Layer(64, 10, "softmax")], dtype="float32"
    )
    history = net.fit(
        X[:, train],
        labels[train],
        epochs=60,
        batch_size=64,
        optimizer=fn.Adam(0.003),
        schedule="cosine",
        validation=(X[:, held], labels[held]),
        metrics=["accuracy"],
    )
    found = np.mean(net.predict_proba(X[:, held]).argmax(axis=0) == labels[held])
    assert found == history.metrics["validation_accuracy"][-1] >= 0.97


def diabetes() -> tuple[Any, Any, slice, slice]:
    """Return inputs in rows, targets, and which are trained on and held out."""
    loaded = datasets.load_diabetes()
    X, y = loaded.data / loaded.data.std(axis=0), loaded.target
    return X, (y - y.mean()) / y.std(), slice(110, None), slice(0, 110)


def regressor(solver: str, seed: int, shuffle: bool) -> tuple[Any, Any]:
    """Return scikit-learn's regressor, trained, and the optimiser it has used."""
    X, y, train, _ = diabetes()
    rate = 0.003 if solver == "adam" else 0.02
    theirs = neural.MLPRegressor(
        hidden_layer_sizes=(16,),
        solver=solver,
        learning_rate_init=rate,
        alpha=1.0,
        batch_size=32,
        max_iter=60,
        tol=0.0,
        n_iter_no_change=1000,
        shuffle=shuffle,
        random_state=seed,
    )
    with pytest.warns(Warning, match="Maximum iterations"):
        theirs.fit(X[train], y[train])
    return theirs, fn.Adam(rate) if solver == "adam" else fn.SGD(rate, momentum=0.9, nesterov=True)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_diabetes_as_well_as_scikit_learn(solver: str) -> None:
    X, y, train, held = diabetes()
    ours, best = [], []
    for seed in range(3):
        theirs, optimizer = regressor(solver, seed, shuffle=True)
        net = fn.Network([fn.Layer(10, 16, "relu"), fn.Layer(16, 1, "identity")], seed=seed)
        how: Any = {"epochs": 60, "batch_size": 32, "optimizer": optimizer, "l2": 1.0}
        net.fit(X[train].T, y[None, train], seed=seed, **how)
        ours.append(fn.metrics.r2(y[None, held], net.predict_proba(X[held].T)))
        best.append(theirs.score(X[held], y[held]))
    assert np.mean(ours) >= max(0.3, np.mean(best) - 0.01)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_diabetes_along_scikit_learns_path(solver: str) -> None:
    """The same weights to begin with and the same order: the same rules lead to the same weights."""
    X, y, train, held = diabetes()
    theirs, optimizer = regressor(solver, 3, shuffle=False)
    draw, layers = np.random.RandomState(3).uniform, []
    for n_in, n_out, activation in ((10, 16, "relu"), (16, 1, "identity")):
        bound = np.sqrt(6 / (n_in + n_out))
        W, b = draw(-bound, bound, (n_in, n_out)).T, draw(-bound, bound, n_out)
        layers.append(fn.Layer(n_in, n_out, activation, W=W, b=b.reshape(-1, 1)))
    net = fn.Network(layers)
    how: Any = {"epochs": 60, "batch_size": 32, "shuffle": False, "optimizer": optimizer, "l2": 1.0}
    history = net.fit(X[train].T, y[None, train], **how)
    assert np.allclose(history.loss, theirs.loss_curve_, rtol=1e-9, atol=0)
    for layer, coefs, intercepts in zip(layers, theirs.coefs_, theirs.intercepts_, strict=True):
        assert np.allclose(layer.W, coefs.T, rtol=0, atol=1e-9)
        assert np.allclose(layer.b[:, 0], intercepts, rtol=0, atol=1e-9)
    found = fn.metrics.r2(y[None, held], net.predict_proba(X[held].T))
    assert abs(found - theirs.score(X[held], y[held])) <= 1e-9
