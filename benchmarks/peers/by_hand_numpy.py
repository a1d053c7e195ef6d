"""NumPy as one writes it for speed: rows, buffers made once, every operation into one of them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.base import Array, Peer, Predictor
from fastnet.optimizers import Adam

_LINE = 64  # bytes


def _sigmoid(Z: Array) -> None:
    """In place. exp overflows to infinity where z is very negative, which gives the right 0."""
    np.negative(Z, out=Z)
    np.exp(Z, out=Z)
    Z += 1
    np.reciprocal(Z, out=Z)


def _parts(layers: list[Array]) -> tuple[Array, list[Array]]:
    """Return a vector of zeros with room for arrays like these, and its parts in their shapes."""
    line = _LINE // layers[0].itemsize
    starts, n = [], 0
    for array in layers:
        starts.append(n)
        n += -(-array.size // line) * line
    vector = np.zeros(n, layers[0].dtype)
    pairs = zip(layers, starts, strict=True)
    return vector, [vector[at : at + array.size].reshape(array.shape) for array, at in pairs]


class NumPy(Peer):
    """Forward, backward and update with matrix products and ufuncs.

    All weights are parts of one vector, and their gradients of another: the update is a few calls for all
    layers together.
    """

    def prepare(self) -> None:
        """Make every buffer that a step writes to."""
        sizes, dtype = self.problem.workload.sizes, self.problem.workload.dtype
        start = [*(W.T for W in self.W), *self.b]  # V (n_in, n_out): rows times V
        self.weight, parts = _parts(start)
        for part, values in zip(parts, start, strict=True):
            part[...] = values
        self.V, self.b = parts[: len(self.W)], parts[len(self.W) :]
        self.gradient, parts = _parts(start)
        self.dV, self.db = parts[: len(self.W)], parts[len(self.W) :]
        self.m, self.v, self.scratch = (np.zeros_like(self.weight) for _ in range(3))
        self.steps = 0
        self.A = [np.empty((self.batch, size), dtype) for size in sizes]
        self.D = [np.empty((self.batch, size), dtype) for size in sizes]
        self.slopes = [np.empty((self.batch, size), dtype) for size in sizes]
        self.targets = np.empty((self.batch, sizes[-1]), dtype)

    def epoch(self, order: NDArray[np.intp]) -> None:
        """Gather each batch into its buffer, then step."""
        X, T = self.problem.X, self.problem.T
        for first in range(0, len(order), self.batch):
            batch = order[first : first + self.batch]
            np.take(X, batch, axis=0, out=self.A[0], mode="clip")  # "raise" would copy once more
            np.take(T, batch, axis=0, out=self.targets, mode="clip")
            self._gradients()
            self._update()

    def _gradients(self) -> None:
        """Fill `gradient` with the sums over the batch."""
        A, D, last = self.A, self.D, len(self.V)
        for k, (V, b) in enumerate(zip(self.V, self.b, strict=True)):
            np.matmul(A[k], V, out=A[k + 1])
            A[k + 1] += b
            _sigmoid(A[k + 1])
        np.subtract(A[last], self.targets, out=D[last])
        for k in reversed(range(last)):
            np.matmul(A[k].T, D[k + 1], out=self.dV[k])
            np.sum(D[k + 1], axis=0, out=self.db[k])
            if k > 0:
                np.matmul(D[k + 1], self.V[k].T, out=D[k])
                np.subtract(1, A[k], out=self.slopes[k])
                self.slopes[k] *= A[k]
                D[k] *= self.slopes[k]

    def _update(self) -> None:
        if self.adam is not None:
            self._adam(self.adam)
            return
        self.gradient *= self.learning_rate / self.batch
        self.weight -= self.gradient

    def _adam(self, adam: Adam) -> None:
        """W -= rate m/(√v + ε), the factors of means and bias corrections drawn together."""
        g, m, v, scratch = self.gradient, self.m, self.v, self.scratch
        self.steps += 1
        m *= adam.beta_1
        np.multiply(g, (1 - adam.beta_1) / self.batch, out=scratch)
        m += scratch
        g *= math.sqrt(1 - adam.beta_2) / self.batch
        g *= g
        v *= adam.beta_2
        v += g
        np.sqrt(v, out=scratch)
        scratch += adam.epsilon
        np.divide(m, scratch, out=scratch)
        rest_1, rest_2 = 1 - adam.beta_1**self.steps, 1 - adam.beta_2**self.steps
        scratch *= adam.learning_rate * math.sqrt(rest_2) / rest_1
        self.weight -= scratch

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
