"""The network of the notes in plain NumPy: the oracle that the compiled core is checked against.

It has the names and signatures of `fastnet` itself, needs nothing but NumPy and is written to be read next to
the notes, not to be fast. An example is a column: X = A⁽⁰⁾ is (n_in, n), and for every layer

    Z = W A + b,  i.e.  Z_jn = Σ_i w_ji a_in + b_j         A = σ(Z)
    J = −t log a − (1 − t) log(1 − a), summed over the outputs, averaged over the examples

Of its input only the shapes are checked, and it works in the precision of its arrays: float32 stays float32.
`n_threads` is there for the signature: NumPy decides for itself.
Sums are NumPy's, so the core agrees within rounding, not bit for bit. What must agree exactly, the shuffle
and the initial weights, is defined by `permutation`, `uniform` and `initial_weights`.
"""

from __future__ import annotations

import itertools
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

Array = NDArray[Any]


def exp(Z: ArrayLike) -> Array:
    """Return e to the power of each element of Z.

    >>> float(exp(0.0))
    1.0
    """
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.exp(_real(Z)))


def sigmoid(Z: ArrayLike) -> Array:
    """Return σ(z) = 1 / (1 + e⁻ᶻ) of each z; for z < 0 as eᶻ / (1 + eᶻ), so that e never overflows.

    >>> sigmoid([0.0, -1000.0])
    array([0.5, 0. ])
    """
    Z = _real(Z)
    e = exp(-np.abs(Z))
    return np.asarray(np.where(np.signbit(Z), e, np.ones_like(e)) / (1 + e))


def dense_forward(W: ArrayLike, b: ArrayLike, A: ArrayLike, activation: str = "identity") -> Array:
    """Return activation(W A + b), (n_out, n), from W (n_out, n_in), b (n_out, 1) and A (n_in, n).

    Z_jn = Σ_i w_ji a_in + b_j: one column of Z for each column of A.

    >>> dense_forward([[1.0, 2.0]], [[0.5]], [[1.0, 0.0], [1.0, -1.0]])
    array([[ 3.5, -1.5]])
    """
    W, b, A = _real(W), _real(b), _real(A)
    if W.ndim != 2 or b.shape != (W.shape[0], 1) or A.ndim != 2 or A.shape[0] != W.shape[1]:
        raise ValueError(f"the shapes of W, b and A do not fit: {W.shape}, {b.shape}, {A.shape}")
    Z = W @ A + b
    return sigmoid(Z) if activation == "sigmoid" else Z


def dense_backward(W: ArrayLike, A: ArrayLike, dZ: ArrayLike) -> tuple[Array, Array, Array]:
    """Return (dA, dW, db) of Z = W A + b, whose input A was (n_in, n), from dZ = ∂J/∂Z (n_out, n).

    Every gradient of a weight is a sum over the examples: ∂J/∂w_ji = Σ_n ∂J/∂Z_jn a_in.

    >>> dA, dW, db = dense_backward([[1.0, 2.0]], [[1.0, 0.0], [1.0, -1.0]], [[0.5, 1.0]])
    >>> dW, db
    (array([[ 0.5, -0.5]]), array([[1.5]]))
    """
    W, A, dZ = _real(W), _real(A), _real(dZ)
    if W.ndim != 2 or A.ndim != 2 or A.shape[0] != W.shape[1] or dZ.shape != (W.shape[0], A.shape[1]):
        raise ValueError(f"the shapes of W, A and dZ do not fit: {W.shape}, {A.shape}, {dZ.shape}")
    dA = W.T @ dZ  # ∂J/∂a_in = Σ_j w_ji ∂J/∂Z_jn
    dW = dZ @ A.T  # ∂J/∂w_ji = Σ_n ∂J/∂Z_jn a_in
    db = dZ.sum(axis=1, keepdims=True)  # ∂J/∂b_j = Σ_n ∂J/∂Z_jn
    return dA, dW, db


def bce_loss(Z: ArrayLike, T: ArrayLike, *, from_logits: bool = True) -> float:
    """Return J: −t log a − (1 − t) log(1 − a), summed over the outputs, averaged over the examples.

    From the logits: −log σ(z) = log(1 + e⁻ᶻ) and −log(1 − σ(z)) = z + log(1 + e⁻ᶻ), so J = z − t z + log(1 +
    e⁻ᶻ), and log(1 + e⁻ᶻ) = max(−z, 0) + log(1 + e^−|z|), whose e cannot overflow. With ``from_logits=False``
    Z holds A = σ(Z), and an a of 0 or 1 that the target contradicts costs infinity.

    >>> round(bce_loss([[0.0, 1000.0]], [[1.0, 1.0]]), 6)
    0.346574
    """
    Z, T = _pair(Z, T)
    if Z.shape[1] == 0:
        raise ValueError("Z must have at least one example (a column), got none")
    if from_logits:
        cost = np.maximum(Z, 0) - T * Z + np.log1p(exp(-np.abs(Z)))
    else:
        with np.errstate(
            divide="ignore"
        ):  # where t = 0 the term t log a is 0, even for a = 0; 1 − t likewise
            cost = -T * np.log(Z, where=T > 0, out=np.zeros_like(Z))
            cost -= (1 - T) * np.log1p(-Z, where=T < 1, out=np.zeros_like(Z))
    return float(cost.sum() / Z.shape[1])


def bce_backward(Z: ArrayLike, T: ArrayLike, *, from_logits: bool = True) -> Array:
    """Return dZ = A − T, the gradient of each example's cost with respect to its Z (not divided by n).

    ∂J/∂a = (a − t) / (a (1 − a)) and ∂a/∂Z = a (1 − a): the denominators cancel.

    >>> bce_backward([[0.0, 1000.0]], [[1.0, 1.0]])
    array([[-0.5,  0. ]])
    """
    Z, T = _pair(Z, T)
    A = sigmoid(Z) if from_logits else Z
    return np.asarray(A - T)


# ---- random numbers, fixed for ever: SplitMix64 (Steele, Lea, Flood 2014) as a counter

_GOLDEN = 0x9E3779B97F4A7C15
_WORD = 2**64
_WEIGHTS = 2**63  # streams below are the epochs of a fit, streams from here on the layers of a network


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the bits of each z well mixed; arithmetic is modulo 2^64, as that of uint64 arrays is."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _draws(seed: int, stream: int, first: int, count: int) -> NDArray[np.uint64]:
    """Return draws number first, ..., first + count - 1 of a stream: mix(key + (i + 1) G) for draw i."""
    if not 0 <= seed < _WORD:
        raise ValueError(f"seed must be at least 0 and below 2**64, got {seed}")
    key = np.array([(seed + _GOLDEN) % _WORD], dtype=np.uint64)
    key = _mix(_mix(key) + np.uint64((stream + 1) * _GOLDEN % _WORD))
    counter = np.arange(first + 1, first + 1 + count, dtype=np.uint64)
    return _mix(key + counter * np.uint64(_GOLDEN))


def uniform(seed: int, stream: int, count: int) -> NDArray[np.float64]:
    """Return `count` numbers in [0, 1): the upper 53 bits of each draw of the stream, times 2^-53.

    >>> uniform(0, 0, 2).shape
    (2,)
    """
    return (_draws(seed, stream, 0, count) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutation(n: int, seed: int, epoch: int) -> NDArray[np.intp]:
    """Return the order in which epoch number `epoch` (from 0) of a fit with this seed visits its n examples.

    Fisher-Yates from the top with the draws of stream `epoch`; the partner of place i, one of 0, ..., i, is
    drawn from 32 bits without bias by Lemire's multiplication and rejection (2019). n < 2^32.

    >>> sorted(permutation(5, seed=0, epoch=3).tolist())
    [0, 1, 2, 3, 4]
    """
    if not 0 <= n < 2**32:
        raise ValueError(f"n must be at least 0 and below 2**32, got {n}")
    order = list(range(n))
    blocks = (_draws(seed, epoch, first, 1024).tolist() for first in itertools.count(0, 1024))
    words = itertools.chain.from_iterable(blocks)  # the draws one after the other, without end
    for choices in range(n, 1, -1):
        product = (next(words) >> 32) * choices
        while product % 2**32 < (2**32 - choices) % choices:  # the surplus of 2^32 over a multiple
            product = (next(words) >> 32) * choices
        i, j = choices - 1, product >> 32
        order[i], order[j] = order[j], order[i]
    return np.array(order, dtype=np.intp)


def initial_weights(
    n_in: int, n_out: int, activation: str, seed: int, index: int, dtype: DTypeLike
) -> tuple[Array, Array]:
    """Return W (n_out, n_in) and b (n_out, 1) of layer number `index` of a network, before any training.

    Uniform on (−B, B), B = √(2 / (n_in + n_out)) for the sigmoid and √(6 / (n_in + n_out)) otherwise (Glorot
    and Bengio 2010; the 2 is scikit-learn's). First W in C order, then b; drawn in float64, then cast.

    >>> W, b = initial_weights(2, 3, "sigmoid", seed=0, index=0, dtype="float32")
    >>> W.shape, b.shape, W.dtype.name
    ((3, 2), (3, 1), 'float32')
    """
    bound = math.sqrt((2 if activation == "sigmoid" else 6) / (n_in + n_out))
    values = (2 * uniform(seed, _WEIGHTS + index, n_out * n_in + n_out) - 1) * bound
    W, b = np.split(values.astype(dtype), [n_out * n_in])
    return W.reshape(n_out, n_in), b.reshape(n_out, 1)


class Layer:
    """A dense layer A_out = activation(W A + b); its parameters are those of `fastnet.Layer`.

    W and b are copied; W alone goes with b = 0. Without W both are drawn by `initial_weights` as layer 0, and
    without a seed drawn anew, with the network's seed, by the first `Network` that takes the layer.

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
    ) -> None:
        if activation not in ("sigmoid", "identity"):
            raise ValueError(f"activation must be 'sigmoid' or 'identity', got {activation!r}")
        if (W is None and b is not None) or (W is not None and seed is not None):
            raise ValueError("give W, or W and b, or seed, or none of them")
        self.n_in, self.n_out, self.activation = n_in, n_out, activation
        if W is None:
            self.W, self.b = initial_weights(n_in, n_out, activation, seed or 0, 0, dtype or np.float64)
        else:
            self.W = np.array(W, dtype=dtype or _real(W).dtype)
            self.b = np.zeros((n_out, 1), self.W.dtype) if b is None else np.array(b, self.W.dtype)
        if self.W.shape != (n_out, n_in) or self.b.shape != (n_out, 1):
            raise ValueError(f"W must be {(n_out, n_in)}, b {(n_out, 1)}, got {self.W.shape}, {self.b.shape}")
        self._drawn = W is None and seed is None

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in ("W", "b"):
            self._drawn = False  # a Network keeps weights that were assigned

    def forward(self, A: ArrayLike) -> Array:
        """Return the output (n_out, n) for the input A (n_in, n), and keep both for `backward`."""
        self._A_in = np.asarray(A, dtype=self.W.dtype)
        self._A_out = dense_forward(self.W, self.b, self._A_in, self.activation)
        return self._A_out

    def backward(self, dA: ArrayLike) -> tuple[Array, Array, Array]:
        """Return (dA of the layer below, dW, db) from dA = ∂J/∂A_out: sums over the examples."""
        if not hasattr(self, "_A_out"):
            raise RuntimeError("backward needs the input and output that forward keeps: call forward first")
        dZ = np.asarray(dA, dtype=self.W.dtype) * _slope(self.activation, self._A_out)
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
    """Layers in a row, trained by stochastic gradient descent; its parameters are those of `fastnet.Network`.

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
        self.sizes = (self.layers[0].n_in, *(layer.n_out for layer in self.layers))
        for k, layer in enumerate(self.layers):
            if layer._drawn:
                n_in, n_out = layer.n_in, layer.n_out
                layer.W, layer.b = initial_weights(n_in, n_out, layer.activation, seed, k, self.dtype)
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
        return self._outputs(np.asarray(X, dtype=self.dtype))[0][-1]

    def loss(self, X: ArrayLike, T: ArrayLike) -> float:
        """Return J, the mean over the n examples of the cost summed over the outputs."""
        X, T = self._examples(X, T)
        return bce_loss(self._outputs(X)[1], T)

    def gradients(self, X: ArrayLike, T: ArrayLike) -> list[tuple[Array, Array]]:
        """Return (∂J/∂W, ∂J/∂b) of each layer, for J the mean cost over the n examples."""
        X, T = self._examples(X, T)
        return [(dW / X.shape[1], db / X.shape[1]) for dW, db in self._sums(X, T)[0]]

    def fit(
        self,
        X: ArrayLike,
        T: ArrayLike,
        epochs: int = 100,
        batch_size: int | None = None,
        learning_rate: float = 0.1,
        shuffle: bool = True,
        seed: int = 0,
        progress: bool = False,
        n_threads: int | None = None,
    ) -> History:
        """Train on X (n_in, n) and T (n_out, n): W ← W − learning_rate ∂J/∂W and b likewise, batch by batch.

        A batch is the next `batch_size` columns (200 unless given) in the order of `permutation(n, seed,
        epoch)`, or as they stand without `shuffle`. The last one may be smaller; its J is the mean over the
        examples it has. ValueError if a weight or the cost becomes infinite or NaN: then all weights are as
        before the fit.
        """
        X, T = self._examples(X, T)
        n = X.shape[1]
        before = [(layer.W, layer.b) for layer in self.layers]
        for layer in self.layers:
            layer.W, layer.b = layer.W.copy(), layer.b.copy()  # changed in place below; `before` stays
        history = History()
        for epoch in range(epochs):
            start = time.perf_counter()
            order = permutation(n, seed, epoch) if shuffle else np.arange(n)
            cost = 0.0
            for first in range(0, n, batch_size or 200):
                batch = order[first : first + (batch_size or 200)]
                sums, batch_cost = self._sums(X[:, batch], T[:, batch])
                for layer, (dW, db) in zip(self.layers, sums, strict=True):
                    layer.W -= learning_rate / len(batch) * dW
                    layer.b -= learning_rate / len(batch) * db
                cost += batch_cost
            finite = [np.isfinite(array).all() for layer in self.layers for array in (layer.W, layer.b)]
            if not (math.isfinite(cost) and all(finite)):
                for layer, (W, b) in zip(self.layers, before, strict=True):
                    layer.W, layer.b = W, b
                raise ValueError(f"diverged in epoch {epoch + 1} with learning_rate={learning_rate:g}")
            history.loss.append(cost / n)
            history.seconds.append(time.perf_counter() - start)
            if progress:
                print(f"epoch {epoch + 1}/{epochs}  loss {history.loss[-1]:.6g}", file=sys.stderr)
        return history

    def _examples(self, X: ArrayLike, T: ArrayLike) -> tuple[Array, Array]:
        X, T = np.asarray(X, dtype=self.dtype), np.asarray(T, dtype=self.dtype)
        n_in, n_out = self.sizes[0], self.sizes[-1]
        if X.ndim != 2 or X.shape[0] != n_in or X.shape[1] == 0 or T.shape != (n_out, X.shape[1]):
            raise ValueError(f"X, T must be ({n_in}, n), ({n_out}, n), n > 0, got {X.shape}, {T.shape}")
        if self.layers[-1].activation != "sigmoid":
            raise ValueError("the cost needs 'sigmoid' as the activation of the last layer")
        return X, T

    def _outputs(self, X: Array) -> tuple[list[Array], Array]:
        """Return [A⁽⁰⁾ = X, A⁽¹⁾, ...], the outputs of all layers, and Z of the last."""
        A = [X]
        for layer in self.layers:
            Z = dense_forward(layer.W, layer.b, A[-1])  # Z⁽ᵏ⁾ = W⁽ᵏ⁾ A⁽ᵏ⁻¹⁾ + b⁽ᵏ⁾
            A.append(sigmoid(Z) if layer.activation == "sigmoid" else Z)  # A⁽ᵏ⁾ = σ(Z⁽ᵏ⁾)
        return A, Z

    def _sums(self, X: Array, T: Array) -> tuple[list[tuple[Array, Array]], float]:
        """Return (dW, db) of each layer and the cost, all summed over the examples."""
        A, Z = self._outputs(X)
        dZ = bce_backward(A[-1], T, from_logits=False)  # s = ∂J/∂Z of the last layer = a − t
        sums = []
        for k in reversed(range(len(self.layers))):  # A[k] enters layers[k], which the notes call layer k + 1
            dA, dW, db = dense_backward(self.layers[k].W, A[k], dZ)  # ∂J/∂W⁽²⁾ = s A⁽¹⁾ᵀ, ∂J/∂A⁽¹⁾ = W⁽²⁾ᵀ s
            sums.append((dW, db))
            if k > 0:
                dZ = dA * _slope(self.layers[k - 1].activation, A[k])  # ∂J/∂Z⁽¹⁾ = ∂J/∂A⁽¹⁾ ∘ A⁽¹⁾ (1 − A⁽¹⁾)
        return sums[::-1], bce_loss(Z, T) * X.shape[1]


def _real(values: ArrayLike) -> Array:
    """Return float32, float64 and wider arrays as they are, anything else in float64."""
    array = np.asarray(values)
    return array if array.dtype in (np.float32, np.float64, np.longdouble) else array.astype(np.float64)


def _pair(Z: ArrayLike, T: ArrayLike) -> tuple[Array, Array]:
    Z, T = _real(Z), _real(T)
    if Z.ndim != 2 or Z.shape != T.shape:
        raise ValueError(f"Z and T must both have shape (n_out, n), got {Z.shape} and {T.shape}")
    return Z, T


def _slope(activation: str, A: Array) -> Array:
    """Return ∂a/∂Z from a itself: σ'(z) = σ(z) (1 − σ(z)) = a (1 − a)."""
    return A * (1 - A) if activation == "sigmoid" else np.ones_like(A)
