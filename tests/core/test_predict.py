"""Predictions that look for numbers that are not finite on the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel_sizes import memory_orders

from fastnet._core import engine


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("features", [1, 3, 5, 33])
def test_a_checked_prediction_sees_one_bad_number_anywhere(
    isa: str, dtype: Any, features: int, n_threads: int, rng: Any
) -> None:
    """With few rows and many, whole panels and parts of one, gathered from any layout."""
    _, panel, _ = engine.geometry(dtype)
    W, b = rng.normal(size=(2, features)).astype(dtype), np.zeros((2, 1), dtype)
    for n in (1, 16, 17, panel + 1, 16 * panel, 64 * panel + 5):
        X = rng.normal(size=(features, n)).astype(dtype)
        expected = engine.forward([W], [b], ["tanh"], X, n_threads).tobytes()
        for order in [X, *memory_orders(X)]:
            for row, column in [(0, 0), (features - 1, n - 1), (features // 2, n // 2)]:
                before = order[row, column]
                for bad in (np.nan, np.inf, -np.inf):
                    order[row, column] = bad
                    assert engine.forward([W], [b], ["tanh"], order, n_threads, check=True) is None
                order[row, column] = before  # and what was bad leaves nothing behind
                A = engine.forward([W], [b], ["tanh"], order, n_threads, check=True)
                assert A is not None
                assert A.tobytes() == expected


@pytest.mark.parametrize("n", [3, 100])
def test_a_checked_prediction_looks_at_numbers_as_they_are_given(isa: str, dtype: Any, n: int) -> None:
    """Standardising may overflow: that does not make the number given infinite."""
    most = np.finfo(dtype).max
    W, b = np.ones((2, 1), dtype), np.zeros((2, 1), dtype)
    standardize = (np.full(1, -most, dtype), np.ones(1, dtype))
    X = most * np.linspace(-1, 1, n, dtype=dtype).reshape(1, n)
    call = ([W], [b], ["sigmoid"], X, 1, None, standardize)
    checked = engine.forward(*call, check=True)
    assert checked is not None
    assert checked.tobytes() == engine.forward(*call).tobytes()
    X[0, n - 1] = np.inf
    assert engine.forward(*call, check=True) is None
