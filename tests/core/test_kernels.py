"""Every kernel on every build, in both dtypes, at awkward sizes, against a wider fastnet.reference.

Bounds: a sum of k products, each fused or rounded, differs from the exact one by at most about
(k + 1) u Σ|terms|, u = eps/2 (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1); two
roundings are allowed on top for the last operations.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastnet as fn
from fastnet import reference
from fastnet._core import engine

WIDER = {"float32": np.float64, "float64": np.longdouble}


def wide(*arrays: Any) -> list[Any]:
    return [a.astype(WIDER[a.dtype.name]) for a in arrays]


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


def test_dense_at_every_size(isa: str, dtype: Any, rng: Any) -> None:
    for n_in in sizes(dtype):
        for n_out in sizes(dtype):
            n = int(rng.choice(sizes(dtype)))
            W, b, A = layer(rng, n_out, n_in, n, dtype)
            check_forward(W, b, A)
            check_backward(W, A, rng.normal(size=(n_out, n)).astype(dtype))


@pytest.mark.parametrize("blocks", [1, 2, 5, 7])
def test_dense_over_several_blocks_of_examples(isa: str, dtype: Any, rng: Any, blocks: int) -> None:
    n = blocks * engine.geometry(dtype)[2] + 1
    W, b, A = layer(rng, 3, 5, n, dtype)
    check_forward(W, b, A)
    check_backward(W, A, rng.normal(size=(3, n)).astype(dtype))


@pytest.mark.parametrize(("n_out", "n_in"), [(1500, 1100), (300, 2100), (5, 1025), (1025, 5)])
def test_dense_wider_than_the_blocks_of_the_product(
    isa: str, dtype: Any, rng: Any, n_out: int, n_in: int
) -> None:
    W, b, A = layer(rng, n_out, n_in, 70, dtype)
    check_forward(W, b, A)
    check_backward(W, A, rng.normal(size=(n_out, 70)).astype(dtype))


@given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 200), st.integers(0, 2**32))
def test_dense_at_any_size(isa: str, dtype: Any, n_out: int, n_in: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    W, b, A = layer(rng, n_out, n_in, n, dtype)
    check_forward(W, b, A)
    check_backward(W, A, rng.normal(size=(n_out, n)).astype(dtype))


def memory_orders(A: Any) -> list[Any]:
    """Return the same matrix in other orders of memory, none of them contiguous rows of an aligned array."""
    rows, columns = A.shape
    spread = np.zeros((rows * 2, columns * 3), A.dtype)
    spread[::2, ::3] = A
    unaligned = np.zeros(A.nbytes + 1, np.uint8)[1:].view(A.dtype).reshape(A.shape)
    unaligned[...] = A
    return [np.asfortranarray(A), spread[::2, ::3], A[::-1, ::-1].copy()[::-1, ::-1], unaligned]


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


def test_no_examples(isa: str, dtype: Any, rng: Any) -> None:
    W, b, A = layer(rng, 3, 2, 0, dtype)
    assert fn.dense_forward(W, b, A).shape == (3, 0)
    dA, dW, db = fn.dense_backward(W, A, np.zeros((3, 0), dtype))
    assert dA.shape == (2, 0)
    assert not dW.any()
    assert not db.any()


def test_bce_at_every_size(isa: str, dtype: Any, rng: Any) -> None:
    block = engine.geometry(dtype)[2]
    for n in [*sizes(dtype), block - 1, block, block + 1, 3 * block + 1]:
        Z = rng.uniform(-12, 12, size=(2, n)).astype(dtype)
        T = rng.random((2, n)).astype(dtype)
        Zw, Tw = wide(Z, T)
        # each cost: |z| t and log1p within 2 ULP, added; then a sum of 2 n of them
        terms = (abs(Zw) * (1 + Tw) + 1).sum()
        exact = reference.bce_loss(Zw, Tw)
        assert abs(fn.bce_loss(Z, T) - exact) <= sum_bound(2 * n + 4, terms, dtype) / n
        dZ = fn.bce_backward(Z, T)
        assert np.all(abs(dZ - reference.bce_backward(Zw, Tw)) <= 3 * np.finfo(dtype).eps)
        A = fn.sigmoid(Z)
        np.testing.assert_array_equal(fn.bce_backward(A, T, from_logits=False), A - T)
        (Aw,) = wide(A)
        terms = (-np.log(Aw) - np.log1p(-Aw)).sum()
        from_A = fn.bce_loss(A, T, from_logits=False)
        assert (
            abs(from_A - reference.bce_loss(Aw, Tw, from_logits=False))
            <= sum_bound(2 * n + 4, terms, dtype) / n
        )


def test_bce_of_saturated_logits_is_exact(isa: str, dtype: Any) -> None:
    Z = np.array([[1e4, -1e4, 1e4, -1e4]], dtype)
    T = np.array([[1, 0, 0, 1]], dtype)
    assert fn.bce_loss(Z, T) == 1e4 / 2
    np.testing.assert_array_equal(fn.bce_backward(Z, T), [[0, 0, 1, -1]])


def test_bce_of_probabilities_at_the_ends(isa: str, dtype: Any) -> None:
    A = np.array([[0.0, 1.0]], dtype)
    assert fn.bce_loss(A, A, from_logits=False) == 0
    assert fn.bce_loss(A, 1 - A, from_logits=False) == np.inf


def test_nan_and_infinity_pass_through(isa: str, dtype: Any) -> None:
    z = np.array([np.nan, np.inf, -np.inf, 0.0] * 9, dtype)
    np.testing.assert_array_equal(fn.sigmoid(z), np.array([np.nan, 1, 0, 0.5] * 9, dtype))
    np.testing.assert_array_equal(fn.exp(z), np.array([np.nan, np.inf, 0, 1] * 9, dtype))
    W, b = np.ones((2, 1), dtype), np.zeros((2, 1), dtype)
    np.testing.assert_array_equal(fn.dense_forward(W, b, z[None, :4])[1], z[:4])


def test_all_finite_sees_one_bad_number_anywhere(isa: str, dtype: Any) -> None:
    width, panel, _ = engine.geometry(dtype)
    for bad in (np.nan, np.inf, -np.inf):
        for rows, columns in [(1, 1), (1, 4 * width + 3), (3, panel + 1)]:
            A = np.full((rows, columns), np.finfo(dtype).max, dtype)
            for order in [A, *memory_orders(A)]:
                assert engine.all_finite(order)
                for row, column in [(0, 0), (rows - 1, columns - 1), (rows // 2, columns // 2)]:
                    before = order[row, column]
                    order[row, column] = bad
                    assert not engine.all_finite(order)
                    order[row, column] = before


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


def test_gradients_of_a_network_against_central_differences(isa: str, rng: Any) -> None:
    for shape in [(2, 3, 1), (5, 4), (4, 9, 7, 3)]:
        net = fn.Network([fn.Layer(i, o) for i, o in pairwise(shape)], seed=3)
        X, T = rng.normal(size=(shape[0], 37)), rng.random((shape[-1], 37))
        for k, (dW, db) in enumerate(net.gradients(X, T)):
            for array, gradient in ((net.layers[k].W, dW), (net.layers[k].b, db)):
                numeric = np.empty_like(array)
                for i in np.ndindex(array.shape):
                    at, h = array[i], 1e-5  # truncation h² and rounding eps/h: both about 1e-10
                    array[i] = at + h
                    above = net.loss(X, T)
                    array[i] = at - h
                    numeric[i] = (above - net.loss(X, T)) / (2 * h)
                    array[i] = at
                assert abs(gradient - numeric).max() <= 1e-7 * abs(gradient).max()
