"""NumPy as one writes it for speed: rows, buffers made once, every operation into one of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.base import Array, Peer, Predictor


def _sigmoid(Z: Array) -> None:
    """In place. exp overflows to infinity where z is very negative, which gives the right 0."""
    np.negative(Z, out=Z)
    np.exp(Z, out=Z)
    Z += 1
    np.reciprocal(Z, out=Z)


class NumPy(Peer):
    """Forward, backward and update with matrix products and ufuncs."""

    def prepare(self) -> None:
        """Make every buffer that a step writes to."""
        sizes, dtype = self.problem.workload.sizes, self.problem.workload.dtype
        self.V = [np.ascontiguousarray(W.T) for W in self.W]  # (n_in, n_out): rows times V
        self.A = [np.empty((self.batch, size), dtype) for size in sizes]
        self.D = [np.empty((self.batch, size), dtype) for size in sizes]
        self.slopes = [np.empty((self.batch, size), dtype) for size in sizes]
        self.dV = [np.empty_like(V) for V in self.V]
        self.db = [np.empty_like(b) for b in self.b]
        self.targets = np.empty((self.batch, sizes[-1]), dtype)

    def epoch(self, order: NDArray[np.intp]) -> None:
        """Gather each batch into its buffer, then step."""
        X, T = self.problem.X, self.problem.T
        for first in range(0, len(order), self.batch):
            batch = order[first : first + self.batch]
            np.take(X, batch, axis=0, out=self.A[0], mode="clip")  # "raise" would copy once more
            np.take(T, batch, axis=0, out=self.targets, mode="clip")
            self._step()

    def _step(self) -> None:
        A, D, last = self.A, self.D, len(self.V)
        for k, (V, b) in enumerate(zip(self.V, self.b, strict=True)):
            np.matmul(A[k], V, out=A[k + 1])
            A[k + 1] += b
            _sigmoid(A[k + 1])
        np.subtract(A[last], self.targets, out=D[last])
        rate = self.learning_rate / self.batch
        for k in reversed(range(last)):
            np.matmul(A[k].T, D[k + 1], out=self.dV[k])
            np.sum(D[k + 1], axis=0, out=self.db[k])
            if k > 0:
                np.matmul(D[k + 1], self.V[k].T, out=D[k])
                np.subtract(1, A[k], out=self.slopes[k])
                self.slopes[k] *= A[k]
                D[k] *= self.slopes[k]
            self.dV[k] *= rate
            self.db[k] *= rate
            self.V[k] -= self.dV[k]
            self.b[k] -= self.db[k]

    def weights(self) -> tuple[list[Array], list[Array]]:
        """Return the weights turned back."""
        return [V.T for V in self.V], self.b


class NumPyPredictor(Predictor):
    """One product and one sigmoid per layer."""

    def __init__(self, W: list[Array], b: list[Array]) -> None:
        self.V = [np.ascontiguousarray(layer.T) for layer in W]
        self.b = b

    def predict(self, X: Array) -> Array:
        """Return the last layer's output; the others are thrown away."""
        for V, b in zip(self.V, self.b, strict=True):
            X = X @ V
            X += b
            _sigmoid(X)
        return X
