"""A first layer whose inputs are mostly zeros: leaving these out gives the bits of multiplying them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from fastnet._core import engine

# (features, units, ..., outputs): no multiples of a vector, one unit on top, one layer alone, wide
SHAPES = [(784, 64, 10), (100, 33, 1), (65, 8, 3), (131, 300, 7, 1), (200, 17)]


def problem(n: int, sizes: tuple[int, ...], dtype: str, density: float) -> tuple[Any, Any]:
    rng = np.random.default_rng(7)
    X = rng.standard_normal((n, sizes[0])) * (rng.random((n, sizes[0])) < density)
    return X.astype(dtype), (rng.random((n, sizes[-1])) < 0.5).astype(dtype)


def trained(
    X: Any, T: Any, sizes: tuple[int, ...], batch: int, threads: int, dense: bool, **how: Any
) -> tuple[list[float], list[bytes], bool]:
    """Two epochs in other orders. Standardised by mean 0 and scale 1, the same numbers take the dense way."""
    rng = np.random.default_rng(8)
    dtype = X.dtype
    pairs = list(pairwise(sizes))
    W = [(rng.standard_normal((o, i)) / np.sqrt(i)).astype(dtype) for i, o in pairs]
    b = [rng.standard_normal((o, 1)).astype(dtype) for _, o in pairs]
    names = ["tanh"] * (len(pairs) - 1) + ["sigmoid"]
    as_it_is = (np.zeros(sizes[0], dtype), np.ones(sizes[0], dtype)) if dense else None
    trainer = engine.TrainerCore(W, b, names, batch, threads, standardize=as_it_is, seed=3, **how)
    costs = [trainer.epoch(X.T, T.T, engine.permutation(len(X), 1, k), 1e-2) for k in range(2)]
    W, b = trainer.weights()
    return costs, [a.tobytes() for a in [*W, *b]], trainer.sparse


@pytest.mark.parametrize("sizes", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("batch", "how"),
    [
        (50, {}),
        (200, {"optimizer": "adam", "l2": 0.1}),
        (1100, {"optimizer": "momentum", "momentum": 0.9}),  # more than a block
        (77, {"optimizer": "rmsprop", "clip_norm": 0.01}),
    ],
)
def test_zeros_left_out_and_multiplied_give_the_same_bits(
    isa: str, dtype: str, sizes: tuple[int, ...], batch: int, how: dict[str, Any]
) -> None:
    X, T = problem(1203, sizes, dtype, 0.15)
    costs, weights, sparse = trained(X, T, sizes, batch, 1, dense=True, **how)
    assert not sparse
    for threads in (1, 2, 5):
        found = trained(X, T, sizes, batch, threads, dense=False, **how)
        assert found == (costs, weights, True), threads


def test_rows_of_zeros_alone_and_dropout(isa: str) -> None:
    X, T = problem(300, SHAPES[0], "float32", 0.1)
    X[::3] = 0
    X[:, 5] = np.float32(-0.0)
    how = {"dropout": [0.3, 0.0]}
    expected = trained(X, T, SHAPES[0], 64, 1, dense=True, **how)
    assert trained(X, T, SHAPES[0], 64, 2, dense=False, **how) == (*expected[:2], True)


@pytest.mark.parametrize(
    ("sizes", "density"), [((784, 64, 10), 1.0), ((784, 64, 10), 0.5), ((30, 64, 1), 0.1), ((784, 4, 1), 0.1)]
)
def test_what_is_not_mostly_zeros_or_too_small_is_dense(sizes: tuple[int, ...], density: float) -> None:
    X, T = problem(200, sizes, "float64", density)
    assert not trained(X, T, sizes, 50, 1, dense=False)[2]


def test_examples_that_do_not_lie_in_rows_are_dense_and_the_same() -> None:
    X, T = problem(200, SHAPES[0], "float64", 0.1)
    expected = trained(X, T, SHAPES[0], 50, 1, dense=False)
    assert expected[2]
    assert trained(np.asfortranarray(X), T, SHAPES[0], 50, 1, dense=False) == (*expected[:2], False)
