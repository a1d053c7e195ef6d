"""Batches whose weights sum to less than 0 take a step as in the reference; those that sum to 0 take none."""

from __future__ import annotations

import numpy as np
import pytest

from fastnet._core import engine
from fastnet.reference.trainer import Trainer


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
@pytest.mark.parametrize("n_out", [1, 3])
def test_a_negative_sum_of_weights(isa: str, optimizer: str, n_out: int) -> None:
    rng = np.random.default_rng(5)
    X, T = rng.normal(size=(4, 96)), rng.normal(size=(n_out, 96))
    W, b = [rng.normal(size=(n_out, 4))], [np.zeros((n_out, 1))]
    weights = np.repeat([1.0, -2.0, 0.0], 32)
    weights[:32:5] = -1.0
    args = ([w.copy() for w in W], [c.copy() for c in b], ["identity"], 32)
    options = {"loss": "squared_error", "optimizer": optimizer, "l2": 0.01}
    core = engine.TrainerCore(*args, 1, **options)
    cost = core.epoch(X, T, np.arange(96), 0.01, weights)
    reference = Trainer(*args, **options)
    expected = reference.epoch(X, T, np.arange(96), 0.01, weights)
    np.testing.assert_allclose(core.weights()[0][0], reference.weights()[0][0], rtol=1e-12)
    np.testing.assert_allclose(cost, expected, rtol=1e-12)
    assert core.step == reference.step == 3
