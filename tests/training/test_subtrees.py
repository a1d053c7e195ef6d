"""Gradients of parts of the rows: the same bits as of all rows at once."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from fastnet._core import engine
from fastnet.training import subtrees


def problem(n: int, dtype: str, n_threads: int = 1, batch: int | None = None):
    """Return a core of 5-8-3-1 whose batch is n, and data with weights."""
    rng = np.random.default_rng(0)
    sizes = (5, 8, 3, 1)
    W = [rng.normal(size=(m, k)).astype(dtype) for k, m in pairwise(sizes)]
    b = [rng.normal(size=(m, 1)).astype(dtype) for m in sizes[1:]]
    core = engine.TrainerCore(W, b, ["tanh", "relu", "sigmoid"], batch or n, n_threads)
    X, T = rng.normal(size=(n, 5)).astype(dtype).T, rng.random((1, n)).astype(dtype)
    return core, X, T, rng.random(n).astype(dtype)


def in_parts(core, X, T, weights, ends: Sequence[int]):
    found = []
    for first, stop in zip((0, *ends), (*ends, X.shape[1]), strict=True):
        rows = slice(first, stop)
        w = None if weights is None else weights[rows]
        found += subtrees.gradients(core, X[:, rows], T[:, rows], w, first_row=first)
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("n", "ends"),
    [(700, []), (1024, []), (1025, [1024]), (11 * 1024 + 5, [3072, 9216, 11264]), (7 * 1024, [2048, 3072])],
)
def test_parts_have_the_bits_of_all_rows(
    isa: str, dtype: str, weighted: bool, n: int, ends: list[int]
) -> None:
    core, X, T, weights = problem(n, dtype)
    w = weights if weighted else None
    dW, db, cost = core.gradients(X, T, w)
    parts = pickle.loads(pickle.dumps(in_parts(core, X, T, w, ends)))
    summed = subtrees.combine(parts[::-1], n, core)
    assert summed[2] == cost
    for one, other in zip((*dW, *db), (*summed[0], *summed[1]), strict=True):
        assert one.tobytes() == other.tobytes()


def test_a_core_for_more_rows_gives_the_same_bits() -> None:
    core, X, T, _ = problem(5000, "float64")
    larger = problem(5000, "float64", batch=9000)[0]
    assert [a.tobytes() for a in core.block_gradients(X, T)[0]] == [
        a.tobytes() for a in larger.block_gradients(X, T)[0]
    ]


def test_missing_and_repeated_blocks_are_named() -> None:
    core, X, T, _ = problem(5000, "float64")
    parts = in_parts(core, X, T, None, [1024, 3072])
    with pytest.raises(ValueError, match=r"each of 5 blocks once, got blocks 1 to 2 are missing"):
        subtrees.combine([part for part in parts if part.first not in (1, 2)], 5000, core)
    with pytest.raises(ValueError, match=r"each of 5 blocks once, got those below 4"):
        subtrees.combine(parts[:-1], 5000, core)
    with pytest.raises(ValueError, match=r"got some twice"):
        subtrees.combine([*parts, parts[0]], 5000, core)
    with pytest.raises(ValueError, match=r"first_row must be a multiple of 1024, got 7"):
        subtrees.gradients(core, X, T, first_row=7)
    with pytest.raises(ValueError, match=r"X must have 1 to 5000 columns"):
        core.block_gradients(np.ones((5, 5001)), np.ones((1, 5001)))
    with pytest.raises(ValueError, match=r"X must have as many columns as the batch size 5000, got 7"):
        core.gradients(X[:, :7], T[:, :7])
