"""numba as one writes it by hand: plain loops, a whole epoch in one compiled call.

One thread (parallel=False) and exact arithmetic (fastmath=False), as on fastnet's side. An example is a
column, as in the notes: inner loops run along the examples, or along the features where dW is summed up, so
that LLVM makes vector code of them without reordering a sum. Four terms at a time spare loads and stores.
Tried and slower: an example at a time, one term at a time, and dW by dot products (but for narrow layers,
where they win and are taken).
"""

from __future__ import annotations

from math import exp, sqrt
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from benchmarks.peers.base import Array, Peer

_NARROW = 8


@njit
def _add_product(out: Array, P: Array, Q: Array) -> None:
    """Add P Q."""
    in_fours = P.shape[1] // 4 * 4
    for i in range(P.shape[0]):
        row = out[i]
        for k in range(0, in_fours, 4):
            p0, p1, p2, p3 = P[i, k], P[i, k + 1], P[i, k + 2], P[i, k + 3]
            q0, q1, q2, q3 = Q[k], Q[k + 1], Q[k + 2], Q[k + 3]
            for n in range(len(row)):
                row[n] += p0 * q0[n] + p1 * q1[n] + p2 * q2[n] + p3 * q3[n]
        for k in range(in_fours, P.shape[1]):
            p, q = P[i, k], Q[k]
            for n in range(len(row)):
                row[n] += p * q[n]


@njit
def _transpose(A: Array, out: Array) -> None:
    for i in range(A.shape[0]):
        for j in range(A.shape[1]):
            out[j, i] = A[i, j]


@njit
def _gradient(D: Array, A: Array, rows: Array, out: Array) -> None:
    """Set dW = D Aᵀ; `rows` is room for Aᵀ."""
    if out.shape[1] >= _NARROW:
        _transpose(A, rows)
        out[:] = 0
        _add_product(out, D, rows)
        return
    for j in range(out.shape[0]):
        for i in range(out.shape[1]):
            total = A.dtype.type(0)
            for n in range(A.shape[1]):
                total += D[j, n] * A[i, n]
            out[j, i] = total


@njit(error_model="numpy")  # Python's would look for a zero divisor in each turn of the loop
def _adam(W: Array, dW: Array, m: Array, v: Array, share: float, rate: float, beta_1: float, beta_2: float,
          epsilon: float) -> None:  # fmt: skip
    """Take the step of batch t on vectors; dW is the sum over the batch, share 1/batch."""
    number = W.dtype.type
    each, step, small = number(share), number(rate), number(epsilon)
    keep_1, rest_1, keep_2, rest_2 = number(beta_1), number(1 - beta_1), number(beta_2), number(1 - beta_2)
    for i in range(len(W)):
        g = each * dW[i]
        m[i] = keep_1 * m[i] + rest_1 * g
        v[i] = keep_2 * v[i] + rest_2 * g * g
        W[i] -= step * m[i] / (sqrt(v[i]) + small)


@njit
def _epoch(X: Array, T: Array, order: Array, W: Any, b: Any, A: Any, D: Any, rows: Any, U: Any, dW: Any,
           db: Any, moments: Any, t: Array, rate: float, beta_1: float, beta_2: float,
           epsilon: float) -> None:  # fmt: skip
    """Plain descent with beta_1 < 0, else Adam, of which t[0] counts the steps.

    A[k] (width, batch) is the input of layer k, D[k] its ∂J/∂Z; rows, U, dW are room for Aᵀ, Wᵀ, ∂J/∂W.
    moments: m and v of each W, then of each b, as vectors.
    """
    one = X.dtype.type(1)
    layers, batch = len(W), A[0].shape[1]
    share = 1 / batch
    step, scaled = X.dtype.type(rate * share), rate
    for first in range(0, len(order), batch):
        if beta_1 >= 0:
            t[0] += 1
            scaled = rate * sqrt(1 - beta_2 ** t[0]) / (1 - beta_1 ** t[0])
        for n in range(batch):
            for i in range(X.shape[1]):
                A[0][i, n] = X[order[first + n], i]
        for k in range(layers):
            Z = A[k + 1]
            for j in range(Z.shape[0]):
                Z[j, :] = b[k][j]
            _add_product(Z, W[k], A[k])
            for j in range(Z.shape[0]):
                for n in range(batch):
                    Z[j, n] = one / (one + exp(-Z[j, n]))
        for n in range(batch):
            for j in range(T.shape[1]):
                D[layers - 1][j, n] = A[layers][j, n] - T[order[first + n], j]
        for k in range(layers - 1, -1, -1):
            if k > 0:
                below, a = D[k - 1], A[k]
                _transpose(W[k], U[k])
                below[:] = 0
                _add_product(below, U[k], D[k])
                for i in range(below.shape[0]):
                    for n in range(batch):
                        below[i, n] *= a[i, n] * (one - a[i, n])
            _gradient(D[k], A[k], rows[k], dW[k])
            for j in range(W[k].shape[0]):
                total = X.dtype.type(0)
                for n in range(batch):
                    total += D[k][j, n]
                db[k][j] = total
            if beta_1 >= 0:
                _adam(W[k].reshape(-1), dW[k].reshape(-1), moments[0][k], moments[1][k], share, scaled,
                      beta_1, beta_2, epsilon)  # fmt: skip
                _adam(b[k], db[k], moments[2][k], moments[3][k], share, scaled, beta_1, beta_2, epsilon)
                continue
            for j in range(W[k].shape[0]):
                b[k][j] -= step * db[k][j]
                for i in range(W[k].shape[1]):
                    W[k][j, i] -= step * dW[k][j, i]


class Numba(Peer):
    """The loops above."""

    flops_limit = 3e9

    def prepare(self) -> None:
        """Make the tuples that the compiled loops take."""
        sizes, dtype, n = self.problem.workload.sizes, self.problem.workload.dtype, self.batch
        self.arrays = (
            tuple(self.W),
            tuple(self.b),
            tuple(np.empty((size, n), dtype) for size in sizes),
            tuple(np.empty((size, n), dtype) for size in sizes[1:]),
            tuple(np.empty((n, size), dtype) for size in sizes[:-1]),
            tuple(np.empty(W.shape[::-1], dtype) for W in self.W),
            tuple(np.empty_like(W) for W in self.W),
            tuple(np.empty_like(b) for b in self.b),
            tuple(tuple(np.zeros(a.size, dtype) for a in arrays) for arrays in (self.W,) * 2 + (self.b,) * 2),
            np.zeros(1, np.int64),
        )
        adam = self.adam
        self.numbers = (adam.beta_1, adam.beta_2, adam.epsilon) if adam else (-1.0, -1.0, -1.0)

    def epoch(self, order: NDArray[np.intp]) -> None:
        """Train in one compiled call."""
        _epoch(self.problem.X, self.problem.T, order, *self.arrays, self.learning_rate, *self.numbers)

    def weights(self) -> tuple[list[Array], list[Array]]:
        """Return the arrays that the loops change."""
        return self.W, self.b
