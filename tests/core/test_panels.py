"""Into panels from any order of memory: the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from kernel_sizes import layer, memory_orders

import fastnet as fn


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
