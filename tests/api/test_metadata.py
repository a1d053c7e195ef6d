"""A network with `preprocessing` does with raw features, bit for bit, what one without does with scaled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import bits, data, network

import fastnet as fn

SIZES = (5, 9, 2)


def raw_and_scaled(dtype: Any, n: int = 70) -> tuple[fn.Network, fn.Network, Any, Any, Any]:
    """Return a network for raw examples, one for standardised ones, both kinds of examples, and targets."""
    X, T = data(5, 2, n, str(dtype))
    rng = np.random.default_rng(4)
    raw = (X * 10 ** rng.uniform(-2, 3, (5, 1)) + rng.normal(0, 50, (5, 1))).astype(dtype)
    with_it, without = network(SIZES, str(dtype)), network(SIZES, str(dtype))
    with_it.preprocessing = fn.Standardize.of(raw)
    how = with_it.preprocessing
    assert how is not None
    assert how.mean.dtype == dtype
    scaled = (raw - how.mean) / how.scale
    assert scaled.dtype == dtype
    return with_it, without, raw, scaled, T


def test_prediction(isa: str, dtype: np.dtype[Any]) -> None:
    with_it, without, raw, scaled, _ = raw_and_scaled(dtype)
    P = without.predict_proba(scaled)
    assert np.array_equal(with_it.predict_proba(raw), P)
    assert np.array_equal(with_it.predict_proba(raw, n_threads=2), P)
    assert np.array_equal(with_it.forward(raw), P)
    assert np.array_equal(with_it.predict_proba(np.asfortranarray(raw)), P)
    assert np.array_equal(with_it.predict_proba(np.repeat(raw, 2, axis=0)[::2]), P)
    for k in range(5):
        assert np.array_equal(with_it.predict_proba(raw[:, k : k + 1]), P[:, k : k + 1])
        assert np.array_equal(with_it.compile()(raw[:, k]), P[:, k])


def test_loss_and_gradients(isa: str, dtype: np.dtype[Any]) -> None:
    with_it, without, raw, scaled, T = raw_and_scaled(dtype)
    assert with_it.loss(raw, T) == without.loss(scaled, T)
    for ours, theirs in zip(with_it.gradients(raw, T), without.gradients(scaled, T), strict=True):
        assert all(np.array_equal(one, two) for one, two in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_training(isa: str, optimizer: str, dtype: np.dtype[Any]) -> None:
    with_it, without, raw, scaled, T = raw_and_scaled(dtype)
    settings: dict[str, Any] = {"epochs": 5, "batch_size": 16, "optimizer": optimizer, "progress": False}
    histories = [
        net.fit(X, T, validation=(X, T), metrics=["accuracy"], **settings)
        for net, X in ((with_it, raw), (without, scaled))
    ]
    assert histories[0].loss == histories[1].loss
    assert histories[0].metrics == histories[1].metrics
    assert bits(with_it) == bits(without)


def test_lbfgs() -> None:
    pytest.importorskip("scipy")
    with_it, without, raw, scaled, T = raw_and_scaled("float64")
    for net, X in ((with_it, raw), (without, scaled)):
        net.fit(X, T, optimizer=fn.LBFGS(max_iter=5), progress=False)
    assert bits(with_it) == bits(without)


def test_a_trainer_sees_it_change() -> None:
    with_it, without, raw, scaled, T = raw_and_scaled("float64")
    how, with_it.preprocessing = with_it.preprocessing, None
    one, two = fn.Trainer(with_it, optimizer="adam"), fn.Trainer(without, optimizer="adam")
    assert one.fit_one_epoch(scaled, T) == two.fit_one_epoch(scaled, T)
    with_it.preprocessing = how
    assert one.fit_one_epoch(raw, T) == two.fit_one_epoch(scaled, T)
    assert np.array_equal(one.predict_proba(raw), two.predict_proba(scaled))
