"""Fits on some rows of the data: the bits of a fit on copies of them."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from networks import bits, data, network

import fastnet as fn

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no shuffle": {"shuffle": False, "optimizer": "adam"},
    "weights": {"weighted": True, "class_weight": {0: 2.0, 1: 0.5}},
    "balanced": {"class_weight": "balanced"},
    "fraction": {"validation_fraction": 0.2, "early_stopping": True, "metrics": ["accuracy"]},
    "lbfgs": {"optimizer": fn.LBFGS(max_iter=5)},
}


def drawn(n: int, order: str) -> tuple[Any, Any, Any, Any]:
    """Return X, binary T, weights, and a bootstrap of the rows."""
    X, _ = data(6, 1, n, "float64")
    T = (X[:1] > X[1:2]).astype("float64")
    X = np.asfortranarray(X) if order == "F" else np.ascontiguousarray(X)
    rng = np.random.default_rng(4)
    return X, T, rng.random(n), rng.integers(0, n, n // 2)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("name", OPTIONS)
def test_rows_have_the_bits_of_a_fit_on_copies(name: str, order: str) -> None:
    X, T, weights, rows = drawn(900, order)
    options = {"epochs": 4, "batch_size": None if name == "lbfgs" else 60, **OPTIONS[name]}
    w = weights if options.pop("weighted", False) else None
    one, other = network((6, 5, 1)), network((6, 5, 1))
    first = one.fit(X, T, rows=rows, sample_weight=w, **options)
    part = None if w is None else w[rows]
    second = other.fit(X[:, rows].copy(order), T[:, rows], sample_weight=part, **options)
    assert bits(one) == bits(other)
    assert (first.loss, first.validation_loss, first.metrics) == (
        (second.loss, second.validation_loss, second.metrics)
    )


def test_validation_rows_are_held_out() -> None:
    X, T, weights, rows = drawn(900, "F")
    held = np.arange(100, 300)
    one, other = network((6, 5, 1)), network((6, 5, 1))
    options = {"epochs": 4, "early_stopping": True, "metrics": ["accuracy"]}
    first = one.fit(X, T, rows=rows, validation_rows=held, sample_weight=weights, **options)
    second = other.fit(
        X[:, rows],
        T[:, rows],
        sample_weight=weights[rows],
        validation=(X[:, held], T[:, held], weights[held]),
        **options,
    )
    assert bits(one) == bits(other)
    assert first.validation_loss == second.validation_loss
    assert first.metrics == second.metrics


def test_labels_and_one_label_vector_for_all() -> None:
    X, T, _, rows = drawn(900, "F")
    labels = T[0].astype(int)
    nets = [fn.Network([fn.Layer(6, 2, "softmax")], seed=0) for _ in range(2)]
    nets[0].fit(X, labels, epochs=3, rows=rows.astype("uint16"))
    nets[1].fit(X[:, rows], labels[rows], epochs=3)
    assert bits(nets[0]) == bits(nets[1])


def test_nothing_is_copied() -> None:
    X, T = np.ones((200_000, 20)).T, np.ones((1, 200_000))  # 32 MB
    rows = np.arange(0, 200_000, 2)
    net = network((20, 1))
    net.fit(X, T, epochs=1, rows=rows)
    tracemalloc.start()
    net.fit(X, T, epochs=1, rows=rows, validation_rows=rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([0, 9], "rows must be numbers of examples, 0 to 8, got 9"),
        ([-1], "rows must be numbers of examples, 0 to 8, got -1"),
        ([], "rows must be a vector of at least one whole number"),
        ([0.5], "rows must be a vector of at least one whole number"),
        ([True, False], "rows must be a vector of at least one whole number"),
        ([[0]], "rows must be a vector of at least one whole number"),
    ],
)
def test_bad_rows(rows: Any, message: str) -> None:
    X, T = data(6, 1, 9, "float64")
    net = network((6, 1))
    before = bits(net)
    with pytest.raises(ValueError, match=message):
        net.fit(X, T, rows=rows)
    with pytest.raises(ValueError, match=f"validation_{message}"):
        net.fit(X, T, validation_rows=rows)
    with pytest.raises(ValueError, match="validation_rows and validation_fraction were both given"):
        net.fit(X, T, validation_rows=[0], validation_fraction=0.5)
    with pytest.raises(ValueError, match="rows must not be given with a stream"):
        net.fit(fn.stream(X.T, T.T), rows=[0])
    assert bits(net) == before
