"""Layers, networks and a fit, with the names and signatures of `fastnet` itself."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastnet.reference.activations import ACTIVATIONS, OUTPUT_ONLY, activate, activation_backward
from fastnet.reference.dense import dense_backward, dense_forward
from fastnet.reference.functions import Array, real
from fastnet.reference.losses import name_and_parameter
from fastnet.reference.optimizers import SGD, Optimizer, named
from fastnet.reference.random import initial_weights, permutation
from fastnet.reference.trainer import Trainer

__all__ = ["History", "Layer", "Network"]


class Layer:
    """A dense layer A_out = activation(W A + b); its parameters are those of `fastnet.Layer`.

    W and b are copied; W alone goes with b = 0. Without W both are drawn by `initial_weights` as layer 0, and
    without a seed drawn anew, with the network's seed, by the first `Network` that takes the layer. Dropout
    is for a fit of the network; `forward` drops nothing.

    >>> Layer(2, 1, W=[[1.0, -1.0]], b=[[0.0]]).forward([[3.0], [3.0]])
    array([[0.5]])
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        activation: str = "sigmoid",
        *,
        W: ArrayLike | None = None,
        b: ArrayLike | None = None,
        seed: int | None = None,
        dtype: DTypeLike | None = None,
        dropout: float = 0.0,
        init: str = "glorot_uniform",
    ) -> None:
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
        if (W is None and b is not None) or (W is not None and seed is not None):
            raise ValueError("give W, or W and b, or seed, or none of them")
        self.n_in, self.n_out, self.activation = n_in, n_out, activation
        self.dropout, self.init = dropout, init
        if W is None:
            self.draw(seed or 0, 0, dtype or np.float64)
        else:
            self.W = np.array(W, dtype=dtype or real(W).dtype)
            self.b = np.zeros((n_out, 1), self.W.dtype) if b is None else np.array(b, self.W.dtype)
        if self.W.shape != (n_out, n_in) or self.b.shape != (n_out, 1):
            raise ValueError(f"W must be {(n_out, n_in)}, b {(n_out, 1)}, got {self.W.shape}, {self.b.shape}")
        self._drawn = W is None and seed is None

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in ("W", "b"):
            self._drawn = False  # a Network keeps weights that were assigned

    def draw(self, seed: int, index: int, dtype: DTypeLike) -> None:
        """Draw W and b as layer number `index` of a network does."""
        shape = self.n_in, self.n_out
        self.W, self.b = initial_weights(*shape, self.activation, seed, index, dtype, self.init)

    def forward(self, A: ArrayLike) -> Array:
        """Return the output (n_out, n) for the input A (n_in, n), and keep A and Z for `backward`."""
        self._A_in = np.asarray(A, dtype=self.W.dtype)
        self._Z = dense_forward(self.W, self.b, self._A_in)
        return activate(self._Z, self.activation)

    def backward(self, dA: ArrayLike) -> tuple[Array, Array, Array]:
        """Return (dA of the layer below, dW, db) from dA = ∂J/∂A_out: sums over the examples."""
        if not hasattr(self, "_Z"):
            raise RuntimeError("backward needs the input and output that forward keeps: call forward first")
        dZ = activation_backward(self._Z, np.asarray(dA, dtype=self.W.dtype), self.activation)
        return dense_backward(self.W, self._A_in, dZ)


@dataclass
class History:
    """What a fit did: mean cost and wall seconds of each epoch (the cost seen while the weights changed).

    >>> History(loss=[0.7, 0.5], seconds=[0.01, 0.01]).loss[-1]
    0.5
    """

    loss: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class Network:
    """Layers in a row, trained batch by batch; its parameters are those of `fastnet.Network`.

    >>> net = Network([Layer(2, 3), Layer(3, 1)], seed=0)
    >>> X, T = [[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]], [[0.0, 1.0, 1.0, 1.0]]
    >>> history = net.fit(X, T, epochs=300, batch_size=2, learning_rate=1.0)
    >>> (net.predict_proba(X) > 0.5).astype(int)
    array([[0, 1, 1, 1]])
    """

    def __init__(self, layers: Sequence[Layer], *, seed: int = 0, dtype: DTypeLike = "float64") -> None:
        self.layers = tuple(layers)
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        if not self.layers:
            raise ValueError("layers must hold at least one Layer, got none")
        for below, above in zip(self.layers, self.layers[1:], strict=False):
            if below.n_out != above.n_in:
                raise ValueError(f"layers must chain, got n_out {below.n_out} below n_in {above.n_in}")
            if below.activation in OUTPUT_ONLY:
                raise ValueError(f"{below.activation!r} must be in the last layer, got it in another")
        self.sizes = (self.layers[0].n_in, *(layer.n_out for layer in self.layers))
        self.activation = self.layers[-1].activation
        for k, layer in enumerate(self.layers):
            if layer._drawn:
                layer.draw(seed, k, self.dtype)
            elif layer.W.dtype != self.dtype:
                raise TypeError(f"layers[{k}] must have dtype {self.dtype}, got {layer.W.dtype}")

    def forward(self, X: ArrayLike) -> Array:
        """Return the prediction A of the last layer, (n_out, n); every layer keeps its input and output."""
        A = np.asarray(X, dtype=self.dtype)
        for layer in self.layers:
            A = layer.forward(A)
        return A

    def predict_proba(self, X: ArrayLike, *, n_threads: int | None = None) -> Array:
        """Return the same as `forward`; nothing is kept."""
        return self._trainer().predict(X)

    def loss(
        self, X: ArrayLike, T: ArrayLike, *, loss: Any = None, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return J, the mean over the n examples of the cost summed over the outputs: Σ w J / Σ w."""
        X, T, w = self._examples(X, T, sample_weight)
        return self._trainer(loss).loss(X, T, w) / float(w.sum())

    def gradients(
        self, X: ArrayLike, T: ArrayLike, *, loss: Any = None, sample_weight: ArrayLike | None = None
    ) -> list[tuple[Array, Array]]:
        """Return (∂J/∂W, ∂J/∂b) of each layer, for J the mean cost over the n examples."""
        X, T, w = self._examples(X, T, sample_weight)
        dWs, dbs, _ = self._trainer(loss).gradients(X, T, w)
        return [(dW / w.sum(), db / w.sum()) for dW, db in zip(dWs, dbs, strict=True)]

    def fit(
        self,
        X: ArrayLike,
        T: ArrayLike,
        epochs: int = 100,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        shuffle: bool = True,
        seed: int = 0,
        progress: bool | None = None,
        n_threads: int | None = None,
        *,
        optimizer: str | Optimizer = "adam",
        loss: Any = None,
        schedule: Sequence[float] | Callable[[int], float] | None = None,
        l2: float = 0.0,
        clip_norm: float | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> History:
        """Train on X (n_in, n) and T (n_out, n), batch by batch: what a batch does is told in `trainer`.

        A batch is the next `batch_size` columns (200 unless given) in the order of `permutation(n, seed,
        epoch)`, or as they stand without `shuffle`. The last one may be smaller; its cost is the mean over
        the examples it has. `optimizer` is a name or one of `SGD`, `Adam`, `AdamW` and `RMSProp`, whose
        learning rate holds unless one is given; `schedule` has the rate of each batch, as a sequence or a
        function of its number, from 0. ValueError if a weight or the cost becomes infinite or NaN: then all
        weights are as before the fit.
        """
        X, T, w = self._examples(X, T, sample_weight)
        n, size = X.shape[1], batch_size or 200
        if isinstance(optimizer, str):
            optimizer = named(optimizer)
        rate = optimizer.learning_rate if learning_rate is None else learning_rate
        trainer = self._trainer(
            loss, optimizer=optimizer, batch_size=size, l2=l2, clip_norm=clip_norm, seed=seed
        )
        history = History()
        for epoch in range(epochs):
            start = time.perf_counter()
            order = permutation(n, seed, epoch) if shuffle else None
            batches = range(trainer.step, trainer.step + -(-n // size))
            cost = trainer.epoch(X, T, order, _rates(schedule, rate, batches), w)
            if not (math.isfinite(cost) and trainer.finite()):
                raise ValueError(f"diverged in epoch {epoch + 1} with learning_rate={rate:g}")
            history.loss.append(cost / n)
            history.seconds.append(time.perf_counter() - start)
            if progress:
                print(f"epoch {epoch + 1}/{epochs}  loss {history.loss[-1]:.6g}", file=sys.stderr)
        for layer, W, b in zip(self.layers, *trainer.weights(), strict=True):
            layer.W, layer.b = W, b
        return history

    def _trainer(
        self,
        loss: Any = None,
        *,
        optimizer: Optimizer = SGD(),  # noqa: B008
        batch_size: int = 1,
        l2: float = 0.0,
        clip_norm: float | None = None,
        seed: int = 0,
    ) -> Trainer:
        """Return a trainer with copies of the weights."""
        name, parameter = name_and_parameter(loss, self.activation)
        return Trainer(
            [layer.W for layer in self.layers],
            [layer.b for layer in self.layers],
            [layer.activation for layer in self.layers],
            batch_size,
            loss=name,
            loss_parameter=parameter,
            optimizer=optimizer,
            l2=l2,
            clip_norm=clip_norm or 0.0,
            dropout=[layer.dropout for layer in self.layers],
            seed=seed,
        )

    def _examples(self, X: ArrayLike, T: ArrayLike, weights: ArrayLike | None) -> tuple[Array, Array, Array]:
        X, T = np.asarray(X, dtype=self.dtype), np.asarray(T, dtype=self.dtype)
        n_in, n_out = self.sizes[0], self.sizes[-1]
        if X.ndim != 2 or X.shape[0] != n_in or X.shape[1] == 0 or T.shape != (n_out, X.shape[1]):
            raise ValueError(f"X, T must be ({n_in}, n), ({n_out}, n), n > 0, got {X.shape}, {T.shape}")
        w = np.ones(X.shape[1]) if weights is None else np.asarray(weights)
        if w.shape != X.shape[1:]:
            raise ValueError(f"sample_weight must be ({X.shape[1]},), got {w.shape}")
        return X, T, w.astype(self.dtype)


def _rates(
    schedule: Sequence[float] | Callable[[int], float] | None, rate: float, batches: range
) -> float | Array:
    """Return the learning rate of each of these batches, numbered from the beginning of the fit."""
    if schedule is None:
        return rate
    of = schedule if callable(schedule) else schedule.__getitem__
    return np.array([of(step) for step in batches], dtype=np.float64)
