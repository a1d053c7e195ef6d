"""The memory of a fit is used again by the next one: what lies in it changes no bit."""

from typing import Any

import numpy as np
import pytest

import fastnet as fn
from fastnet._core import engine

CASES: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd", "batch_size": 100},
    "adam": {"optimizer": "adam", "batch_size": 100},
    "l2 and clip_norm": {"l2": 0.1, "clip_norm": 0.5, "batch_size": 100},
    "a tree of blocks": {"optimizer": fn.SGD(0.1, momentum=0.5), "batch_size": 2500},
    "threads with blocks of their own": {"batch_size": 2500, "n_threads": 2},
    "threads": {"batch_size": 900, "n_threads": 2},
    "a few examples a batch": {"batch_size": 4},
    "scales of inputs": {"optimizer": fn.AdamW(scale_rate=1.0), "batch_size": 100},
}


def fitted(X: Any, options: dict[str, Any], learning_rate: float | None = None) -> list[np.ndarray]:
    """Return the weights of a network after two epochs, and what it predicts."""
    layers = fn.Layer(70, 203, "relu"), fn.Layer(203, 18, "relu", dropout=0.25), fn.Layer(18, 1, "identity")
    net = fn.Network(layers, seed=1)
    T = X[:1] + X[1:2]
    net.fit(X, T, epochs=2, seed=3, learning_rate=learning_rate, **options)
    return [array for layer in net.layers for array in (layer.W, layer.b)] + [net.predict_proba(X)]


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_what_an_earlier_fit_has_left_changes_no_bit(
    isa: str, case: str, zeros: bool, rng: np.random.Generator
) -> None:
    """A fit that diverges fills the memory of the next one with NaN."""
    X = rng.standard_normal((70, 2600))
    if zeros:
        X[rng.random(X.shape) < 0.9] = 0  # read as lists of what is not 0
    first = fitted(X, CASES[case])
    with pytest.raises(fn.DivergenceError):
        fitted(X * 1e150, CASES[case] | {"clip_norm": None}, 1e300)
    again = fitted(X, CASES[case])
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_memory_that_is_free_is_given_back() -> None:
    pieces = [np.ones(10_000) for _ in range(400)]  # 80 KB each: from the heap, not mapped
    last = np.ones(10_000)
    del pieces
    engine.give_free_memory_back()
    assert last.sum() == 10_000
