"""A fit against the reference: optimiser, dropout, l2, clipping, weights of examples, rates of batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import DTYPES, data

import fastnet as fn
from fastnet import reference

OPTIMIZERS: dict[str, Any] = {
    "sgd": ("SGD", {"learning_rate": 0.1}),
    "momentum": ("SGD", {"learning_rate": 0.05, "momentum": 0.9}),
    "nesterov": ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
    "adam": ("Adam", {"learning_rate": 0.01}),
    "adamw": ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.2}),
    "rmsprop": ("RMSProp", {"learning_rate": 0.005}),
    "rmsprop with momentum": ("RMSProp", {"learning_rate": 0.002, "momentum": 0.5}),
}


def network(package: Any, dtype: str, hidden: str, loss: Any) -> Any:
    last = {"cross_entropy": "softmax", "poisson": "exp", "bce": "sigmoid"}.get(loss, "identity")
    layers = [
        package.Layer(4, 9, hidden, dropout=0.25, init="he_uniform"),
        package.Layer(9, 5, hidden, dropout=0.1),
        package.Layer(5, 3, last),
    ]
    return package.Network(layers, seed=11, dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("hidden", "loss"), [("tanh", "bce"), ("gelu", "cross_entropy"), ("elu", "squared_error")]
)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_fit_with_everything(optimizer: str, hidden: str, loss: str, dtype: str) -> None:
    n, epochs, batch = 53, 3, 16
    X, T = data(4, 3, n, dtype)
    if loss == "cross_entropy":
        T = fn.one_hot(np.arange(n) % 3, dtype=dtype)
    name, settings = OPTIMIZERS[optimizer]
    rates = fn.schedules.OneCycle(epochs=epochs)
    batches = -(-n // batch)
    each = [
        rate
        for epoch in range(epochs)
        for rate in rates.rates(
            settings["learning_rate"], fn.schedules.Position(epoch=epoch, batches=batches)
        )
    ]
    how: Any = {"epochs": epochs, "batch_size": batch, "seed": 5, "l2": 0.3, "clip_norm": 0.2, "loss": loss}
    how["sample_weight"] = np.linspace(0, 2, n)
    ours, theirs = network(fn, dtype, hidden, loss), network(reference, dtype, hidden, loss)
    mine = ours.fit(X, T, optimizer=getattr(fn, name)(**settings), schedule=rates, **how)
    its = theirs.fit(X, T, optimizer=getattr(reference, name)(**settings), schedule=each, **how)
    # 12 steps. A gradient has an error of a few hundred roundings of its norm, at most 0.2; m / √v makes a
    # relative error of it, and hands on at most learning_rate times that; steps add up.
    bound = 12 * 400 * float(np.finfo(dtype).eps)
    for a, b in zip(ours.layers, theirs.layers, strict=True):
        assert abs(a.W - b.W).max() <= bound
        assert abs(a.b - b.b).max() <= bound
    assert np.abs(np.subtract(mine.loss, its.loss)).max() <= bound * max(1.0, *mine.loss)
