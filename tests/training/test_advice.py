"""The warning of a fit whose loss has hardly moved, and the defaults that make it rare."""

import warnings
from typing import Any

import numpy as np
import pytest

import fastnet as fn
from fastnet._examples import Examples
from fastnet.losses import Loss
from fastnet.training.advice import constant_cost


def circle(seed: int = 0) -> tuple[Any, Any]:
    """Return the data of the README's first example."""
    X = np.random.default_rng(seed).normal(size=(2, 1000))
    return X, X[0:1] ** 2 + X[1:2] ** 2 < 1.4


def small(seed: int = 0, **how: Any) -> fn.Network:
    return fn.Network([fn.Layer(2, 8), fn.Layer(8, 1)], seed=seed, **how)


def test_the_defaults_learn_the_readmes_example() -> None:
    for seed in range(3):
        X, T = circle(seed)
        net = small(seed)
        net.fit(X, T, seed=seed)
        assert ((net.predict_proba(X) > 0.5) == T).mean() >= 0.95


@pytest.mark.parametrize("trainer", [False, True], ids=["Network.fit", "Trainer.fit"])
def test_a_loss_that_has_hardly_moved_warns_once_with_advice(trainer: bool) -> None:
    X, T = circle()
    fit = fn.Trainer(small(), optimizer="sgd").fit if trainer else small().fit
    how: Any = {} if trainer else {"optimizer": "sgd"}
    with pytest.warns(UserWarning, match=r"hardly moved in 100 epochs.*leave out the optimizer") as caught:
        fit(X, T, **how)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_advice_names_features_and_targets_that_are_not_scaled() -> None:
    X = np.random.default_rng(0).normal(size=(2, 400))
    net = fn.Network([fn.Layer(2, 8), fn.Layer(8, 1, "identity")])
    with pytest.warns(UserWarning, match=r"fastnet\.Standardize\.of\(X\).*; scale the targets"):
        net.fit(1e6 * X, X[:1] + 1e6, learning_rate=1e-6)
    with pytest.warns(UserWarning, match="hardly moved") as caught:
        small().fit(X, X[:1] > 0, learning_rate=1e-6)
    assert "scale" not in str(caught[0].message)


def test_what_has_learned_or_was_not_to_learn_is_silent() -> None:
    X, T = circle()
    net = small()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.fit(X, T, epochs=300)
        net.fit(X, T, epochs=20, learning_rate=1e-9)  # stands still, but far below a constant
        small().fit(X, T, epochs=3, learning_rate=1e-9)
        fn.Trainer(small(), learning_rate=1e-9).fit_one_epoch(X, T)


def test_many_networks_warn_together() -> None:
    X, T = circle()
    networks = [small(seed) for seed in range(3)]
    with pytest.warns(UserWarning, match="2 of 3 networks have hardly learned: the loss") as caught:
        fn.train_many(networks, X, T, learning_rate=[1e-9, 0.01, 1e-9])
    assert len(caught) == 1


@pytest.mark.parametrize("name", ["bce", "cross_entropy", "poisson", "squared_error", "quantile", "huber"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_cost_of_the_best_constant(name: str, weighted: bool) -> None:
    rng = np.random.default_rng(1)
    T: Any = rng.uniform(0.1, 0.9, (3, 41))
    if name == "cross_entropy":
        T /= T.sum(axis=0)
    weights = rng.uniform(0.5, 1.5, 41) if weighted and name not in ("quantile", "huber") else None
    found = constant_cost(Loss(name, 0.3 if name == "quantile" else 1.0), Examples(T, T, weights))
    A = np.average(T, axis=1, weights=weights)
    if name in ("quantile", "huber"):
        A = np.quantile(T, 0.3 if name == "quantile" else 0.5, axis=1)
    loss = fn.losses.Quantile(0.3) if name == "quantile" else name
    A = {"bce": np.log(A / (1 - A)), "cross_entropy": np.log(A), "poisson": np.log(A)}.get(name, A)  # logits
    costs = [fn.loss(A[:, None], T[:, [k]], loss=loss) for k in range(41)]
    assert found == pytest.approx(np.average(costs, weights=weights))
