"""The oracle's dense layer: against the sums of its definition, element by element.

Nothing here uses the compiled core.
"""

import math

import numpy as np
import pytest

from fastnet.reference.dense import dense_backward, dense_forward

EPS = np.finfo(np.float64).eps


def test_forward_and_backward_are_their_sums(rng: np.random.Generator) -> None:
    n_out, n_in, n = 3, 5, 4
    W, b = rng.normal(size=(n_out, n_in)), rng.normal(size=(n_out, 1))
    A, dZ = rng.normal(size=(n_in, n)), rng.normal(size=(n_out, n))
    Z, (dA, dW, db) = dense_forward(W, b, A), dense_backward(W, A, dZ)
    bound = 6 * EPS * 100  # at most six terms, each below 100: half an eps for each product and sum
    for j in range(n_out):
        for k in range(n):
            exact = math.fsum([*(W[j, i] * A[i, k] for i in range(n_in)), b[j, 0]])
            assert abs(Z[j, k] - exact) <= bound
        for i in range(n_in):
            assert abs(dW[j, i] - math.fsum(dZ[j, k] * A[i, k] for k in range(n))) <= bound
        assert abs(db[j, 0] - math.fsum(dZ[j])) <= bound
    for i in range(n_in):
        for k in range(n):
            assert abs(dA[i, k] - math.fsum(W[j, i] * dZ[j, k] for j in range(n_out))) <= bound


def test_shapes_that_do_not_fit_are_refused() -> None:
    W, A = np.ones((2, 3)), np.ones((3, 4))
    for b in (np.ones(2), np.ones((3, 1))):
        with pytest.raises(ValueError, match="the shapes of W, b and A do not fit"):
            dense_forward(W, b, A)
    for dZ in (np.ones((2, 3)), np.ones((3, 4)), np.ones(2)):
        with pytest.raises(ValueError, match="the shapes of W, A and dZ do not fit"):
            dense_backward(W, A, dZ)
