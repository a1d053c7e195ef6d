"""Threads that take whole blocks of a large batch: the bits of one thread."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from fastnet._core import engine

CASES: dict[str, dict[str, Any]] = {
    "narrow": {"sizes": (2, 3, 1)},
    "one unit": {"sizes": (28, 16, 1), "activation": "tanh"},
    "one layer": {"sizes": (9, 1)},
    "softmax": {"sizes": (12, 20, 8, 5), "last": "softmax", "loss": "cross_entropy"},
    "kept slopes": {"sizes": (12, 20, 3), "activation": "gelu", "last": "identity", "loss": "huber"},
    "dropout": {"sizes": (12, 20, 1), "dropout": [0.25, 0.0], "seed": 5},
    "mostly zeros": {"sizes": (130, 24, 2), "zeros": True, "optimizer": "adam"},
    "clipped": {"sizes": (12, 20, 1), "clip_norm": 0.5, "l2": 0.1, "optimizer": "rmsprop"},
    "scales": {"sizes": (12, 20, 1), "optimizer": "adamw", "scale_rate": 5.0},
}


def made(case: dict[str, Any], batch: int, n_threads: int, dtype: str, n: int) -> tuple[Any, Any, Any]:
    """Return a core and X and T for one of the cases."""
    options = dict(case)
    sizes, rng = options.pop("sizes"), np.random.default_rng(3)
    hidden, last = options.pop("activation", "relu"), options.pop("last", "sigmoid")
    X = rng.normal(size=(n, sizes[0]))
    if options.pop("zeros", False):
        X *= rng.random(X.shape) < 0.1
    W = [(rng.normal(size=(n_out, n_in)) / n_in**0.5).astype(dtype) for n_in, n_out in pairwise(sizes)]
    b = [rng.normal(size=(n_out, 1)).astype(dtype) for n_out in sizes[1:]]
    T = rng.integers(0, 2, (sizes[-1], n)).astype(dtype)
    if last == "softmax":
        T = np.eye(sizes[-1], dtype=dtype)[:, rng.integers(0, sizes[-1], n)]
    activations = [hidden] * (len(sizes) - 2) + [last]
    return engine.TrainerCore(W, b, activations, batch, n_threads, **options), X.astype(dtype).T, T


def bits(*arrays: Any) -> list[bytes]:
    return [array.tobytes() for array in arrays]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_an_epoch_has_the_bits_of_one_thread(isa: str, name: str, dtype: str) -> None:
    n = 9000  # two batches of several blocks, and a last one of another number of them
    rng = np.random.default_rng(1)
    order, weights = rng.permutation(n), rng.random(n).astype(dtype)
    found = []
    for n_threads in (1, 2, 3):
        core, X, T = made(CASES[name], 3700, n_threads, dtype, n)
        losses = [core.epoch(X, T, order, 0.01), core.epoch(X, T, None, 0.01, weights)]
        W, b = core.weights()
        found.append((losses, bits(*W, *b), core.sparse))
    assert found[1] == found[0]
    assert found[2] == found[0]
    assert found[0][2] == ("zeros" in CASES[name])


@pytest.mark.parametrize("n", [2048, 2049, 5 * 1024, 70 * 1024 + 3])
@pytest.mark.parametrize("name", ["narrow", "one unit", "softmax"])
def test_gradients_and_loss_have_the_bits_of_one_thread(name: str, n: int) -> None:
    found = []
    for n_threads in (1, 2, 3, 7):
        core, X, T = made(CASES[name], n, n_threads, "float32", n)
        dW, db, costs = core.block_gradients(X, T)
        found.append((bits(*dW, *db, costs), core.loss(X, T), bits(*core.block_gradients(X, T)[0])))
    assert found[1] == found[0]
    assert found[2] == found[0]
    assert found[3] == found[0]


def test_many_weights_are_worked_on_together() -> None:
    """More than four megabytes of them: threads share each block, and the bits are the same too."""
    found = []
    for n_threads in (1, 2):
        core, X, T = made({"sizes": (520, 1100, 1100, 1)}, 2500, n_threads, "float32", 2500)
        found.append(bits(*core.gradients(X, T)[0]))
    assert found[0] == found[1]
