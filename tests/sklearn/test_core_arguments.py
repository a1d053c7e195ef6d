"""Losses, activations, solvers and dropout that scikit-learn does not have."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn_data import assert_same_weights, data, fitted

from fastnet._core import engine
from fastnet.sklearn import MLPRegressor, _base

pytestmark = pytest.mark.usefixtures("few_epochs")


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
    expected = engine.activate(np.ascontiguousarray((X @ reg.coefs_[0] + reg.intercepts_[0]).T), name)
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
        with pytest.raises(ValueError, match="activation must be one value or a list of 2"):
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
    with pytest.raises(ValueError, match="dropout must be one value or a list of 2"):
        fitted("digits", dropout=[0.1])
    with pytest.raises(ValueError, match=r"dropout\[1\] must be finite, at least 0 and below 1, got 1.5"):
        fitted("digits", dropout=[0.1, 1.5])
