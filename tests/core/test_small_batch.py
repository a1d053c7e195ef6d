"""Few examples at once, where a lane is a unit: the bits of the same examples in blocks, where it is one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel_sizes import check_forward, layer, memory_orders
from oracle import random_weights

from fastnet._core import engine

# units that fill vectors, where a lane a unit is chosen for every number of examples but whole vectors,
# units that leave most of one empty, and wide outputs
SHAPES = [(1, 1), (3, 5, 1), (30, 17, 33, 2), (65, 64, 10), (100, 64, 48), (600, 64, 16)]
COUNTS = [*range(1, 41), 47, 48, 49, 63, 64, 65, 80, 100, 127, 128, 129, 150, 193, 200]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_number_of_examples_has_the_bits_of_a_large_batch(
    isa: str, dtype: Any, rng: Any, shape: tuple[int, ...]
) -> None:
    W, b = random_weights(rng, shape, dtype)
    names = [*["tanh", "relu"][: len(shape) - 2], "softmax" if shape[-1] > 2 else "sigmoid"]
    X = rng.normal(size=(shape[0], 512)).astype(dtype)
    whole = engine.forward(W, b, names, X, 1)  # whole chunks of 64: all of it in blocks
    core = engine.PredictorCore(W, b, names)
    for n in COUNTS:
        for first in (0, 7) if n < 20 else (7,):
            part = X[:, first : first + n]
            expected = whole[:, first : first + n].tobytes()
            assert engine.forward(W, b, names, part, 1).tobytes() == expected, (n, first)
            assert core.many(part).tobytes() == expected, (n, first)


@pytest.mark.parametrize("n", [2, 16, 37, 100, 150])
def test_any_memory_and_standardised(isa: str, dtype: Any, rng: Any, n: int) -> None:
    shape = (33, 64, 48)
    W, b = random_weights(rng, shape, dtype)
    scaling = (rng.normal(size=33).astype(dtype), rng.uniform(0.5, 2, 33).astype(dtype))
    names = ["relu", "identity"]
    X = rng.normal(size=(33, 512)).astype(dtype)
    expected = engine.forward(W, b, names, X, 1, None, scaling)[:, :n]
    core = engine.PredictorCore(W, b, names, scaling)
    for part in [X[:, :n], *memory_orders(X[:, :n])]:
        for out in [np.zeros((48, n), dtype), *memory_orders(np.zeros((48, n), dtype))]:
            assert np.array_equal(core.many(part, out), expected)
            assert np.array_equal(out, expected)
            out[...] = 0
            engine.forward(W, b, names, part, 1, out, scaling)
            assert np.array_equal(out, expected)


def test_what_lies_beside_the_output_stays(isa: str, dtype: Any, rng: Any) -> None:
    """Squares of the output are written by vectors: nothing past the last row or the last column."""
    W, b = random_weights(rng, (20, 37), dtype)
    core = engine.PredictorCore(W, b, ["tanh"])
    for n in (2, 5, 17, 40):
        X = rng.normal(size=(20, n)).astype(dtype)
        around = np.full((39, n + 2), 7, dtype)
        core.many(X, around[1:-1, 1:-1])
        assert np.array_equal(around[1:-1, 1:-1], core.many(X))
        around[1:-1, 1:-1] = 7
        assert np.all(around == 7)


def test_against_the_reference(isa: str, dtype: Any, rng: Any) -> None:
    for n in (2, 7, 17, 33, 39):
        for n_out, n_in in ((64, 100), (48, 3), (130, 1100)):
            check_forward(*layer(rng, n_out, n_in, n, dtype))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize(
    "shape", [(127, 20), (128, 5, 3), (133, 64, 10), (300, 130, 1), (1100, 65, 2)], ids=str
)
def test_inputs_that_are_zero_change_no_bit(
    isa: str, dtype: Any, rng: Any, shape: tuple[int, ...], share: float
) -> None:
    """One row leaves them out of the first layer where many are 0; rows in a batch do not."""
    W, b = random_weights(rng, shape, dtype)
    names = [*["tanh"][: len(shape) - 2], "softmax" if shape[-1] == 10 else "sigmoid"]
    X = rng.normal(size=(shape[0], 9)).astype(dtype)
    X[rng.random(X.shape) < share] = 0
    X[:, 0] = 0
    X[0, 1] = -0.0
    X[-1, 2] = 1  # the last input alone is not 0 in its vector
    scaling = (rng.normal(size=shape[0]).astype(dtype), rng.uniform(0.5, 2, shape[0]).astype(dtype))
    scaling[0][::2] = 0  # what is 0 stays 0
    for standardize in (None, scaling):
        expected = engine.forward(W, b, names, X, 1, None, standardize)
        core = engine.PredictorCore(W, b, names, standardize)
        for i in range(9):
            for x in (X[:, i], np.ascontiguousarray(X[:, i])):
                assert core.one(x).tobytes() == expected[:, i].tobytes()


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_inputs_whose_weights_are_zero_change_no_bit(isa: str, dtype: Any, rng: Any, share: float) -> None:
    for n_in, n_out in ((128, 3), (201, 70), (260, 33)):
        W, b = random_weights(rng, (n_in, n_out, 4), dtype)
        W[0][:, rng.random(n_in) < share] = 0
        W[0][n_out - 1, 5] = 2  # one unit alone has a weight
        X = rng.normal(size=(n_in, 6)).astype(dtype)
        X[:, 3:][rng.random((n_in, 3)) < 0.5] = 0
        expected = engine.forward(W, b, ["relu", "identity"], X, 1)
        core = engine.PredictorCore(W, b, ["relu", "identity"])
        for i in range(6):
            assert core.one(X[:, i]).tobytes() == expected[:, i].tobytes()


def test_zero_times_an_infinite_weight_is_not_left_out(isa: str, dtype: Any, rng: Any) -> None:
    W, b = random_weights(rng, (150, 70), dtype)
    W[0][66, 140] = np.inf
    core = engine.PredictorCore(W, b, ["identity"])
    z = core.one(np.zeros(150, dtype))
    assert np.isnan(z[66])
    assert np.isfinite(np.delete(z, 66)).all()
