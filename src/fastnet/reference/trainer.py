"""The twin of the core's trainer: the same arguments, the same batches, in plain NumPy.

A batch is the next `batch_size` columns in the order given. With Jₙ the cost of its example n, whose weight
is wₙ (1 unless given), and W all weights without the biases,

    cost of the batch    C = (Σ wₙ Jₙ + λ/2 Σ W²) / Σ wₙ                         λ is l2
    gradient             g = ∂C/∂W, and times min(1, clip_norm / √Σ g²) over all weights and biases
    cost of the epoch    Σ C · (examples in the batch), over the batches

A batch whose weights sum to 0 changes nothing and costs nothing, but it is counted.

With `scale_rate` the first W is V diag(c), with a scale c for each input that begins with 1, and V and c
take the steps: g_V = g_W diag(c) and g_c = Σⱼ g_Wj ∘ vⱼ, over the units j; c without decay, at scale_rate
times the rate.

Numbers that are about to be multiplied count as 0 below a threshold (`without_tiny`): outputs of hidden
layers, slopes, dZ, moments, and W where it decays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnet.reference.activations import ACTIVATIONS, activate
from fastnet.reference.dense import dense_backward, dense_forward
from fastnet.reference.functions import Array, without_tiny
from fastnet.reference.losses import cost_and_dZ, smoothed
from fastnet.reference.optimizers import AdamW, Optimizer, named
from fastnet.reference.random import dropout_mask

__all__ = ["Trainer"]


class _Pass(NamedTuple):
    """A layer's way forward: its input, Z = W A_in + b, A = f(Z), and what dropout multiplies A by."""

    A_in: Array
    Z: Array
    A: Array
    mask: Array | None


class Trainer:
    """Weights, the moments kept of them, and the number of batches they have seen.

    The arguments are those of the core's trainer: `optimizer` is a name, which `momentum`, `nesterov`,
    `beta_1`, `beta_2` (ρ of rmsprop), `epsilon` and `weight_decay` belong to, or one of `optimizers`;
    `clip_norm` 0 means none; `dropout` has a number for each layer. `cost_clip` and `cost_scale` change what
    is told, not what is learned: bce and cross_entropy are those of outputs cut to [cost_clip, 1 −
    cost_clip], and every cost without l2 is multiplied by cost_scale. `standardize` is (mean, scale), two
    vectors (n_in): the first layer sees (x − mean) / scale.

    >>> trainer = Trainer([[[0.5, -1.0]]], [[[0.25]]], ["sigmoid"], batch_size=2, optimizer="adam")
    >>> round(trainer.epoch([[1.0, -1.0, 0.0], [0.5, 0.0, 1.0]], [[1.0, 0.0, 0.0]], None, 0.01), 6)
    1.541969
    >>> trainer.step
    2
    """

    def __init__(
        self,
        W: Sequence[ArrayLike],
        b: Sequence[ArrayLike],
        activations: Sequence[str],
        batch_size: int,
        n_threads: int = 1,
        *,
        loss: str = "bce",
        loss_parameter: float = 1.0,
        optimizer: str | Optimizer = "sgd",
        momentum: float = 0.0,
        nesterov: bool = False,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        l2: float = 0.0,
        weight_decay: float = 0.0,
        clip_norm: float = 0.0,
        scale_rate: float = 0.0,
        dropout: Sequence[float] | None = None,
        seed: int = 0,
        cost_clip: float = 0.0,
        cost_scale: float = 1.0,
        standardize: tuple[Array, Array] | None = None,
    ) -> None:
        options = {"momentum": momentum, "nesterov": nesterov, "beta_1": beta_1, "beta_2": beta_2}
        options |= {"rho": beta_2, "epsilon": epsilon, "weight_decay": weight_decay, "scale_rate": scale_rate}
        self.optimizer = named(optimizer, **options) if isinstance(optimizer, str) else optimizer
        self.activations = list(activations)
        self.batch_size, self.seed = batch_size, seed
        self.loss_name, self.loss_parameter = loss, loss_parameter
        self.l2, self.clip_norm = l2, clip_norm
        self.cost_clip, self.cost_scale = cost_clip, cost_scale
        self.standardize = standardize
        self.dropout = list(dropout) if dropout is not None else [0.0] * len(self.activations)
        self.load_weights(W, b)
        zeros = {f"{k}.{name}": np.zeros_like(w) for k, name, w in self._parameters()}
        self._kept = {
            key: {moment: zero.copy() for moment in self.optimizer.moments} for key, zero in zeros.items()
        }
        self.scale_rate = getattr(self.optimizer, "scale_rate", 0.0)
        self.scale = np.ones_like(self.W[0][0])
        self._kept["scale"] = {moment: np.zeros_like(self.scale) for moment in self.optimizer.moments}
        self.step = 0
        self.examples_done = 0

    def epoch(
        self,
        X: ArrayLike,
        T: ArrayLike,
        order: NDArray[np.intp] | None,
        learning_rate: float | Array,
        weights: ArrayLike | None = None,
    ) -> float:
        """Train on X (n_in, n) and T (n_out, n), batch after batch, and return Σ C · (examples in the batch).

        `learning_rate` is one number, or one for each batch.
        """
        X, T, w = self._arrays(X, T, weights)
        order = np.arange(X.shape[1]) if order is None else order
        firsts = range(0, len(order), self.batch_size)
        rates = np.broadcast_to(np.asarray(learning_rate, dtype=np.float64), (len(firsts),)).tolist()
        total, self.examples_done = 0.0, 0
        for first, rate in zip(firsts, rates, strict=True):
            batch = order[first : first + self.batch_size]
            total += self._batch(X[:, batch], T[:, batch], w[batch], rate) * len(batch)
            self.examples_done += len(batch)
        return total

    def gradients(
        self, X: ArrayLike, T: ArrayLike, weights: ArrayLike | None = None
    ) -> tuple[list[Array], list[Array], float]:
        """Return dW and db of each layer and the cost, all summed over the examples; l2 is not in them."""
        return self._sums(*self._arrays(X, T, weights), drop=False)

    def loss(self, X: ArrayLike, T: ArrayLike, weights: ArrayLike | None = None) -> float:
        """Return Σ wₙ Jₙ of any number of examples; nothing is dropped."""
        X, T, w = self._arrays(X, T, weights)
        return self._cost_and_dZ(self._forward(X, drop=False)[-1].Z, T, w)[0]

    def predict(self, X: ArrayLike) -> Array:
        """Return the outputs (n_out, n); nothing is dropped."""
        X = np.asarray(X, dtype=self.W[0].dtype)
        return self._forward(X, drop=False)[-1].A

    def weights(self) -> tuple[list[Array], list[Array]]:
        """Return copies of W and b of each layer."""
        return [W.copy() for W in self.W], [b.copy() for b in self.b]

    def load_weights(self, W: Sequence[ArrayLike], b: Sequence[ArrayLike]) -> None:
        """Take copies of these weights for one's own."""
        self.W: list[Array] = [np.array(array) for array in W]
        self.b: list[Array] = [np.array(array) for array in b]

    def finite(self) -> bool:
        """Return whether no weight is infinite or NaN."""
        return all(bool(np.isfinite(w).all()) for _, _, w in self._parameters())

    def moments(self) -> dict[str, Array]:
        """Return copies of the moments, as "first.0.W", "second.1.b" and so on."""
        return {
            f"{moment}.{key}": array.copy()
            for key, kept in self._kept.items()
            for moment, array in kept.items()
            if key != "scale" or self.scale_rate
        } | ({"scale": self.scale.copy()} if self.scale_rate else {})

    def load_moments(self, moments: dict[str, Array]) -> None:
        """Take copies of these moments for one's own."""
        for name, array in moments.items():
            if name == "scale":
                self.scale[...] = array
                continue
            moment, _, key = name.partition(".")
            self._kept[key][moment][...] = array

    # ---- one batch

    def _batch(self, X: Array, T: Array, w: Array, rate: float) -> float:
        """Change the weights by one batch, and return its cost."""
        dW, db, summed = self._sums(X, T, w, drop=True)
        self.step += 1
        total = float(w.sum())
        if total == 0:
            return 0.0
        squares = sum(float((W * W).sum()) for W in self.W) if self.l2 else 0.0
        cost = (summed + self.l2 / 2 * squares) / total
        gradients = {f"{k}.W": (dW[k] + self.l2 * W) / total for k, W in enumerate(self.W)}
        gradients |= {f"{k}.b": db[k] / total for k in range(len(self.b))}
        if self.clip_norm:
            norm = math.sqrt(sum(float((g * g).sum()) for g in gradients.values()))
            if norm > self.clip_norm:
                gradients = {key: g * (self.clip_norm / norm) for key, g in gradients.items()}
        if self.scale_rate:
            self.W[0] /= self.scale  # V
            g = without_tiny(gradients["0.W"] * total) / total
            of_scale = (g * self.W[0]).sum(axis=0)
            gradients["0.W"] = g * self.scale
            self.optimizer.step(self.scale, of_scale, self._kept["scale"], rate * self.scale_rate, self.step)
            self.scale[abs(self.scale) < 1e-12] = 1e-12  # V could not be found again
        for k, name, array in self._parameters():
            if isinstance(self.optimizer, AdamW) and name == "W":
                self.optimizer.decay(array, rate)
            self.optimizer.step(array, gradients[f"{k}.{name}"], self._kept[f"{k}.{name}"], rate, self.step)
            if name == "W" and (self.l2 or getattr(self.optimizer, "weight_decay", 0)):
                array[...] = without_tiny(array)
        if self.scale_rate:
            self.W[0] *= self.scale
            if getattr(self.optimizer, "weight_decay", 0):
                self.W[0][...] = without_tiny(self.W[0])
        return cost

    def _forward(self, X: Array, *, drop: bool) -> list[_Pass]:
        """Return what each layer did, and multiply the outputs of hidden ones by their masks if `drop`."""
        passes, A = [], X
        if self.standardize is not None:
            mean, scale = self.standardize
            A = (X - mean[:, None]) / scale[:, None]
        for k, (W, b, activation) in enumerate(zip(self.W, self.b, self.activations, strict=True)):
            Z = dense_forward(W, b, A)
            mask = self._mask(k, Z) if drop and self.dropout[k] else None
            A_out = activate(Z, activation)
            if k < len(self.W) - 1:
                A_out = without_tiny(A_out)
            passes.append(_Pass(A, Z, A_out, mask))
            A = passes[-1].A if mask is None else passes[-1].A * mask
        return passes

    def _mask(self, k: int, Z: Array) -> Array:
        rows, n = Z.shape
        mask = dropout_mask(
            rows, n, self.dropout[k], batch_size=self.batch_size, seed=self.seed, layer=k, step=self.step
        )
        return mask.astype(Z.dtype)

    def _sums(self, X: Array, T: Array, w: Array, *, drop: bool) -> tuple[list[Array], list[Array], float]:
        """Return dW, db and the cost of a batch, weighted and summed over its examples."""
        passes = self._forward(X, drop=drop)
        if self.loss_name == "cross_entropy":  # the costs of `loss` are those of the labels as they are
            T = smoothed(T, 1 - self.loss_parameter)
        cost, dZ = self._cost_and_dZ(passes[-1].Z, T, w)  # s = ∂J/∂Z of the last layer
        dWs, dbs = [], []
        for k in reversed(range(len(passes))):  # passes[k] is what the notes call layer k + 1
            dA, dW, db = dense_backward(
                self.W[k], passes[k].A_in, dZ
            )  # ∂J/∂W⁽²⁾ = s A⁽¹⁾ᵀ, ∂J/∂A⁽¹⁾ = W⁽²⁾ᵀ s
            dWs.append(dW)
            dbs.append(db)
            if k > 0:
                below = passes[k - 1]  # ∂J/∂Z⁽¹⁾ = ∂J/∂A⁽¹⁾ ∘ f'(Z⁽¹⁾); what was dropped passes nothing back
                dA = dA if below.mask is None else dA * below.mask
                dZ = dA * without_tiny(ACTIVATIONS[self.activations[k - 1]].slope(below.Z, below.A))
                dZ = without_tiny(dZ)
        return dWs[::-1], dbs[::-1], cost

    def _cost_and_dZ(self, Z: Array, T: Array, w: Array) -> tuple[float, Array]:
        """Return Σ wₙ Jₙ, and dZ with the weights in it."""
        J, dZ = cost_and_dZ(self.loss_name, self.loss_parameter, self.activations[-1], Z, T)
        least = self.cost_clip
        if least and self.loss_name == "bce":
            A = np.clip(activate(Z, "sigmoid"), least, 1 - least)
            J = (-T * np.log(A) - (1 - T) * np.log1p(-A)).sum(axis=0)
        elif least and self.loss_name == "cross_entropy":
            J = np.clip(J, -math.log1p(-least), -math.log(least))
        return self.cost_scale * float((w * J).sum()), without_tiny(dZ * w)

    def _parameters(self) -> list[tuple[int, str, Array]]:
        """Return (layer, "W" or "b", array) of all weights and biases."""
        return [
            (k, name, array)
            for k, pair in enumerate(zip(self.W, self.b, strict=True))
            for name, array in zip("Wb", pair, strict=True)
        ]

    def _arrays(self, X: Any, T: Any, weights: Any) -> tuple[Array, Array, Array]:
        dtype = self.W[0].dtype
        X, T = np.asarray(X, dtype=dtype), np.asarray(T, dtype=dtype)
        w = np.ones(X.shape[1], dtype) if weights is None else np.asarray(weights, dtype=dtype)
        return X, T, w
