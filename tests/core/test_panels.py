"""Into panels from any order of memory: the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel_sizes import layer, memory_orders

import fastnet as fn
from fastnet._core import engine


def test_any_order_of_memory_gives_the_same_bits(isa: str, dtype: Any, rng: Any) -> None:
    W, b, A = layer(rng, 9, 21, 75, dtype)
    dZ = rng.normal(size=(9, 75)).astype(dtype)
    Z, backward = fn.dense_forward(W, b, A), fn.dense_backward(W, A, dZ)
    for other in memory_orders(A):
        other.flags.writeable = False
        np.testing.assert_array_equal(fn.dense_forward(W, b, other), Z)
        for got, right in zip(fn.dense_backward(W, other, dZ), backward, strict=True):
            np.testing.assert_array_equal(got, right)
    for other in memory_orders(dZ):
        for got, right in zip(fn.dense_backward(W, A, other), backward, strict=True):
            np.testing.assert_array_equal(got, right)


@pytest.mark.parametrize("shape", [(1, 1), (9, 5), (17, 33), (40, 64), (33, 100)])
def test_weights_whose_units_lie_side_by_side(isa: str, dtype: Any, shape: tuple[int, int]) -> None:
    """As scikit-learn keeps them, (n_in, n_out): packed and unpacked by other code, to the same numbers."""
    rng = np.random.default_rng(3)
    W, b = rng.normal(size=shape).astype(dtype), rng.normal(size=(shape[0], 1)).astype(dtype)
    by_features = np.ascontiguousarray(W.T).T
    trainer = engine.TrainerCore([by_features], [b], ["identity"], 3, loss="squared_error")
    assert np.array_equal(trainer.weights()[0][0], W)
    X, T = rng.normal(size=(shape[1], 3)).astype(dtype), rng.normal(size=(shape[0], 3)).astype(dtype)
    dW, db, cost = trainer.gradients(X, T)
    into = [np.zeros((shape[1], shape[0] + 1), dtype)[:, :-1].T], [np.zeros_like(b)]
    assert trainer.gradients(X, T, into=into)[2] == cost
    assert np.array_equal(into[0][0], dW[0])
    assert np.array_equal(into[1][0], db[0])
