"""What the tests of single kernels share: awkward sizes, orders of memory, one layer, bounds of sums.

A sum of k products, each fused or rounded, differs from the exact one by at most about (k + 1) u Σ|terms|,
u = eps/2 (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1); two roundings are
allowed on top for the last operations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from oracle import wide

import fastnet as fn
from fastnet import reference
from fastnet._core import engine


def sum_bound(k: int, terms: Any, dtype: Any) -> Any:
    """Return what k fused products may round: terms is Σ|terms|."""
    return (k + 2) * np.finfo(dtype).eps / 2 * terms + np.finfo(dtype).smallest_subnormal


def sizes(dtype: Any) -> list[int]:
    """Return 1 and both neighbours of what the kernels cut by: a vector, a tile, a panel."""
    width, panel, _ = engine.geometry(dtype)
    return sorted({1, 2, width - 1, width, width + 1, 7, panel - 1, panel, panel + 1, 2 * panel + 1} - {0})


def layer(rng: Any, n_out: int, n_in: int, n: int, dtype: Any) -> tuple[Any, Any, Any]:
    return (
        rng.normal(size=(n_out, n_in)).astype(dtype),
        rng.normal(size=(n_out, 1)).astype(dtype),
        rng.normal(size=(n_in, n)).astype(dtype),
    )


def check_forward(W: Any, b: Any, A: Any) -> None:
    Z = fn.dense_forward(W, b, A)
    Ww, bw, Aw = wide(W, b, A)
    exact = reference.dense_forward(Ww, bw, Aw)
    bound = sum_bound(W.shape[1], abs(Ww) @ abs(Aw) + abs(bw), W.dtype)
    assert (Z.shape, Z.dtype) == (exact.shape, W.dtype)
    assert np.all(abs(Z - exact) <= bound)
    # σ moves by at most a quarter of what z does, and adds its own 2 ULP
    a = fn.dense_forward(W, b, A, activation="sigmoid")
    assert np.all(abs(a - reference.sigmoid(exact)) <= bound / 4 + 2 * np.spacing(a))


def check_backward(W: Any, A: Any, dZ: Any) -> None:
    got = fn.dense_backward(W, A, dZ)
    Ww, Aw, dZw = wide(W, A, dZ)
    exact = reference.dense_backward(Ww, Aw, dZw)
    n_out, n = dZ.shape
    terms = (abs(Ww).T @ abs(dZw), abs(dZw) @ abs(Aw).T, abs(dZw).sum(axis=1, keepdims=True))
    for value, right, k, t in zip(got, exact, (n_out, n, n), terms, strict=True):
        assert (value.shape, value.dtype) == (right.shape, W.dtype)
        assert np.all(abs(value - right) <= sum_bound(k, t, W.dtype))


def memory_orders(A: Any) -> list[Any]:
    """Return the same matrix in other orders of memory, none of them contiguous rows of an aligned array."""
    rows, columns = A.shape
    spread = np.zeros((rows * 2, columns * 3), A.dtype)
    spread[::2, ::3] = A
    unaligned = np.zeros(A.nbytes + 1, np.uint8)[1:].view(A.dtype).reshape(A.shape)
    unaligned[...] = A
    return [np.asfortranarray(A), spread[::2, ::3], A[::-1, ::-1].copy()[::-1, ::-1], unaligned]
