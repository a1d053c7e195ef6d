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


# ---- examples that come as sparse rows

# (features, units, ..., outputs): the fewest features, one unit, one layer, no multiples of a vector, wide
ROW_SHAPES = [(5, 1), (6, 3, 1), (65, 8, 3), (131, 70, 7, 1), (200, 17), (300, 9, 1), (130, 33, 5)]


def rows_of(X: Any) -> engine.SparseRows:
    """Return the rows of X as SciPy's CSR lists them."""
    start = np.concatenate([[0], np.cumsum((X != 0).sum(axis=1))]).astype(np.intp)
    return engine.SparseRows(X[X != 0], np.nonzero(X)[1].astype(np.int32), start, X.shape[1])


def network(sizes: tuple[int, ...], dtype: Any, last: str) -> tuple[Any, Any, list[str]]:
    rng = np.random.default_rng(5)
    pairs = list(pairwise(sizes))
    W = [(rng.standard_normal((o, i)) / np.sqrt(i)).astype(dtype) for i, o in pairs]
    b = [rng.standard_normal((o, 1)).astype(dtype) for _, o in pairs]
    return W, b, ["tanh"] * (len(pairs) - 1) + [last]


@pytest.mark.parametrize("sizes", ROW_SHAPES, ids=str)
def test_sparse_rows_and_columns_give_the_same_bits(isa: str, dtype: Any, sizes: tuple[int, ...]) -> None:
    W, b, names = network(sizes, dtype, "sigmoid")
    for n, batch, how in [
        (1, 1, {}),
        (130, 50, {"optimizer": "adam", "l2": 0.1}),
        (1100, 1100, {"clip_norm": 1e-2}),
    ]:
        X, T = problem(n, sizes, str(dtype), 0.15)
        X[::3] = 0
        order, w = engine.permutation(n, 1, 0), np.linspace(0.5, 2, n).astype(dtype)
        found = []
        for threads, sparse in [(1, False), (1, True), (3, True)]:
            trainer = engine.TrainerCore(W, b, names, batch, threads, sparse=sparse, **how)
            columns = rows_of(X) if sparse else X.T
            costs = [trainer.epoch(columns, T.T, order, 0.01, w), trainer.epoch(columns, T.T, None, 0.01)]
            costs += [trainer.loss(columns, T.T, w), trainer.loss(columns, T.T, None, order)]
            (W1, b1), A = trainer.weights(), trainer.predict(columns)
            arrays = [*W1, *b1, A]
            if n == batch:
                dW, db, cost = trainer.gradients(columns, T.T, w)
                costs, arrays = [*costs, cost], [*arrays, *dW, *db]
            found.append((costs, [a.tobytes() for a in arrays]))
            assert not sparse or trainer.sparse
        assert found[0] == found[1] == found[2], (n, batch)


@pytest.mark.parametrize("sizes", ROW_SHAPES, ids=str)
@pytest.mark.parametrize("last", ["sigmoid", "softmax", "identity"])
def test_predictions_from_sparse_rows(isa: str, dtype: Any, sizes: tuple[int, ...], last: str) -> None:
    W, b, names = network(sizes, dtype, last)
    by_features = [np.ascontiguousarray(w.T).T for w in W]  # as scikit-learn keeps them
    for n in (0, 1, 2, 17, 70):
        X, _ = problem(n, sizes, str(dtype), 0.2)
        X[1:2] = 0
        expected = engine.forward(W, b, names, X.T)
        for weights in (W, by_features):
            for threads in (1, 3):
                found = engine.forward_sparse(weights, b, names, rows_of(X), threads)
                assert found.tobytes() == expected.tobytes(), (n, threads)
        out = np.full((n, 2 * sizes[-1]), 7, dtype)[:, ::2].T
        engine.forward_sparse(by_features, b, names, rows_of(X), out=out)
        assert np.array_equal(out, expected)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_threads_take_whole_blocks_of_rows(isa: str, dtype: Any, n_threads: int) -> None:
    """A batch of several blocks, with few weights: each thread works in buffers of its own."""
    sizes = (70, 9, 2)
    W, b, names = network(sizes, dtype, "sigmoid")
    X, T = problem(4 * engine.BLOCK_ROWS + 77, sizes, dtype, 0.1)
    dense = engine.TrainerCore(W, b, names, len(X), n_threads)
    rows = engine.TrainerCore(W, b, names, len(X), n_threads, sparse=True)
    for made in ("gradients", "block_gradients"):
        expected, found = (
            getattr(core, made)(data, T.T) for core, data in ((dense, X.T), (rows, rows_of(X)))
        )
        for ours, theirs in zip((*found[0], *found[1]), (*expected[0], *expected[1]), strict=True):
            assert ours.tobytes() == theirs.tobytes(), made
        assert np.array_equal(found[2], expected[2]), made
    assert rows.loss(rows_of(X), T.T) == dense.loss(X.T, T.T)


@pytest.mark.parametrize("sizes", [*ROW_SHAPES, (40, 8), (70, 104, 1)], ids=str)
@pytest.mark.parametrize(("n", "density"), [(1, 0.5), (77, 0.2), (1100, 0.01), (9 * 1024 + 5, 0.001)])
def test_gradients_at_weights_that_lie_elsewhere(
    isa: str, dtype: Any, sizes: tuple[int, ...], n: int, density: float
) -> None:
    """The bits of load_weights and gradients: features in no block, in one, in any of them."""
    W, b, names = network(sizes, dtype, "sigmoid")
    X, T = problem(n, sizes, str(dtype), density)
    X[: n // 2, 1] = X[:, 2] = X[n // 2 :, 3] = 0
    w, rows = np.linspace(0.5, 2, n).astype(dtype), rows_of(X)
    by_feature = [np.ascontiguousarray(W[0].T).T, *W[1:]]
    expected = engine.TrainerCore(W, b, names, n, sparse=True).gradients(rows, T.T, w)
    elsewhere = [np.zeros_like(array) for array in W], [np.zeros_like(array) for array in b]
    for n_threads in (1, 2, 5):
        core = engine.TrainerCore(*elsewhere, names, n, n_threads, sparse=True)
        for weights in (W, by_feature):
            into = (
                [np.full(array.T.shape, 7, dtype).T for array in W],
                [np.full_like(array, 7) for array in b],
            )
            found = core.gradients_at(weights, b, rows, T.T, w, into)
            assert found[0] is into[0]
            assert found[1] is into[1]
            for ours, theirs in zip((*into[0], *into[1]), (*expected[0], *expected[1]), strict=True):
                assert np.array_equal(ours, theirs)
            assert found[2] == expected[2]


def test_gradients_at_leaves_no_weights(isa: str) -> None:
    sizes = (20, 9, 1)
    W, b, names = network(sizes, "float64", "sigmoid")
    X, T = problem(30, sizes, "float64", 0.2)
    rows = rows_of(X)
    core = engine.TrainerCore(W, b, names, 30, sparse=True)
    expected = core.loss(rows, T.T), core.gradients(rows, T.T)[2]
    others = [2 * array for array in W]
    assert core.gradients_at(others, b, rows, T.T)[2] != expected[1]
    for call in (
        core.weights,
        core.finite,
        lambda: core.predict(rows),
        lambda: core.loss(rows, T.T),
        lambda: core.gradients(rows, T.T),
        lambda: core.epoch(rows, T.T, None, 0.1),
    ):
        with pytest.raises(RuntimeError, match="load_weights must come first"):
            call()
    core.load_weights(W, b)
    assert (core.loss(rows, T.T), core.gradients(rows, T.T)[2]) == expected
    core.epoch(rows, T.T, None, 0.1)
    again = engine.TrainerCore(W, b, names, 30, sparse=True)
    again.epoch(rows, T.T, None, 0.1)
    for ours, theirs in zip(core.weights()[0], again.weights()[0], strict=True):
        assert ours.tobytes() == theirs.tobytes()


def test_gradients_at_refuses_what_does_not_fit() -> None:
    sizes = (20, 9, 1)
    W, b, names = network(sizes, "float64", "sigmoid")
    X, T = problem(30, sizes, "float64", 0.2)
    core = engine.TrainerCore(W, b, names, 30, sparse=True)
    with pytest.raises(ValueError, match=r"X must have as many rows as the batch size 30 .* got 29"):
        core.gradients_at(W, b, rows_of(X[:29]), T[:29].T)
    with pytest.raises(ValueError, match=r"sparse=True"):
        engine.TrainerCore(W, b, names, 30).gradients_at(W, b, rows_of(X), T.T)
    with pytest.raises(ValueError, match="into must have the gradient of the first layer in Fortran order"):
        core.gradients_at(W, b, rows_of(X), T.T, None, ([np.empty_like(a) for a in W], list(b)))
    with pytest.raises(ValueError, match=r"T must have shape \(1, 30\)"):
        core.gradients_at(W, b, rows_of(X), T[:29].T)
    with pytest.raises(ValueError, match=r"X must have 20 features"):
        core.gradients_at(W, b, rows_of(X[:, :19]), T.T)
    core.weights()  # whoever is refused keeps them


def test_many_rows_are_predicted_in_blocks(isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = (40, 130, 3)
    W, b, names = network(sizes, "float64", "softmax")
    X, _ = problem(2500, sizes, "float64", 0.1)
    assert len(X) * sizes[1] * 8 > engine.SPARSE_BLOCK_BYTES
    found = engine.forward_sparse(W, b, names, rows_of(X))
    assert found.tobytes() == engine.forward(W, b, names, X.T).tobytes()


def test_zeros_in_the_lists_and_the_sign_of_zero(isa: str, dtype: Any) -> None:
    """A listed zero is multiplied, one that is not listed is left out: only the sign of a zero can tell."""
    W, b, names = network((20, 9), dtype, "identity")
    W[0][:, 10:] = np.abs(W[0][:, 10:])
    b[0][:3] = -0.0
    X = np.zeros((2, 20), dtype)
    X[0, 3] = 2
    start = np.array([0, 3, 3])
    values, features = np.array([0, 2, 0], dtype), np.array([1, 3, 7], np.int32)
    rows = engine.SparseRows(values, features, start, 20)
    found, expected = engine.forward_sparse(W, b, names, rows), engine.forward(W, b, names, X.T)
    assert found[:, 0].tobytes() == expected[:, 0].tobytes()
    assert np.array_equal(found, expected)
    assert np.signbit(found[:3, 1]).all()
    assert found[3:].tobytes() == expected[3:].tobytes()


def test_rows_that_are_not_in_order_are_refused() -> None:
    values, features, start = np.ones(3), np.array([0, 2, 1], np.int32), np.array([0, 2, 3])
    make = engine.SparseRows
    assert make(values, features, start, 3).shape == (3, 2)
    assert make(values, features, start, 3).dtype == np.float64
    for wrong in ([2, 0, 1], [0, 0, 1], [-1, 2, 1], [0, 3, 1], [0, 2, 3], [0, 2, -1]):
        with pytest.raises(ValueError, match=r"features must ascend in each row from 0 to below 3"):
            make(values, np.array(wrong, np.int32), start, 3)
    for wrong in ([0, 2, 4], [-1, 2, 3], [0, 3, 2]):
        with pytest.raises(ValueError, match=r"start must ascend from 0 to at most 3"):
            make(values, features, np.array(wrong), 3)
    with pytest.raises(ValueError, match=r"features must be 3 numbers of dtype int32"):
        make(values, features.astype(np.int64), start, 3)
    with pytest.raises(ValueError, match=r"start must be a vector of dtype intp"):
        make(values, features, start.astype(np.int32), 3)
    with pytest.raises(TypeError, match=r"float32 or float64"):
        make(values.astype(int), features, start, 3)


def test_rows_that_do_not_fit_the_network_are_refused() -> None:
    sizes = (20, 9, 1)
    W, b, names = network(sizes, "float64", "sigmoid")
    X, T = problem(4, sizes, "float64", 0.5)
    trainer = engine.TrainerCore(W, b, names, 4, sparse=True)
    with pytest.raises(TypeError, match=r"X must be SparseRows, got ndarray"):
        trainer.loss(X.T, T.T)
    with pytest.raises(TypeError, match=r"X must be an array, got SparseRows"):
        engine.TrainerCore(W, b, names, 4).loss(rows_of(X), T.T)
    for wrong in (rows_of(X[:, :19]), rows_of(np.hstack([X, X]))):
        with pytest.raises(ValueError, match=r"X must have 20 features"):
            trainer.epoch(wrong, T.T, None, 0.1)
        with pytest.raises(ValueError, match=r"X must have 20 features"):
            engine.forward_sparse(W, b, names, wrong)
    with pytest.raises(TypeError, match=r"X must be an array of 8-byte floats"):
        engine.forward_sparse(W, b, names, rows_of(X.astype(np.float32)))
    with pytest.raises(ValueError, match=r"T must have shape \(1, 3\)"):
        trainer.loss(rows_of(X[:3]), T.T)
    with pytest.raises(ValueError, match=r"sparse must be False with standardize or fewer than 5 features"):
        engine.TrainerCore([W[0][:, :4], W[1]], b, names, 4, sparse=True)
