"""Layer: Z = W A + b and an activation, forward and backward, one step at a time.

A layer owns its weights: what is assigned is checked and copied, so no two layers share memory by accident.
In-place arithmetic (``layer.W -= learning_rate * dW``) works on the layer's own array. A fit of the whole
network does not write into these arrays; it publishes new ones when it has ended well.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastnet import _initializers, _validate
from fastnet._core import engine
from fastnet._validate import Array

__all__ = ["Layer", "checked_layers"]


_DONE = engine.Publication(done=True)


class Layer:
    """A dense layer with its activation: A_out = activation(W A + b).

    Parameters
    ----------
    n_in, n_out : int
        Width of the input and of the output.
    activation : str
        Applied to each element of Z = W A + b; softmax to each column: "identity", "sigmoid", "tanh", "relu",
        "leaky_relu", "elu", "selu", "silu", "gelu", "softplus", "mish", "logistic", and for the last layer of
        a network alone "softmax" and "exp". `fastnet.activate` has the formulas.
    W : array_like, shape (n_out, n_in), optional
        Weights, copied. By default they are drawn.
    b : array_like, shape (n_out, 1), optional
        Biases, copied. By default zero if W is given, and drawn like it otherwise.
    seed : int, optional
        Seed of the drawn weights, 0 <= seed < 2**64.
    dtype : {"float32", "float64"}, optional
        By default that of W, or float64.
    dropout : float
        The part of this layer's outputs that is set to 0 in each step of training, 0 ≤ dropout < 1, in
        multiples of 2⁻¹⁶; the others are divided by 1 − dropout. Nothing is dropped from predictions, nor by
        `forward`. The last layer of a network must have 0.
    init : {"glorot_uniform", "glorot_normal", "he_uniform", "he_normal"}
        How weights are drawn: see Notes.

    Attributes
    ----------
    n_in, n_out : int
    activation, init : str
    dropout : float
    W : ndarray, shape (n_out, n_in)
    b : ndarray, shape (n_out, 1)

    Raises
    ------
    ValueError, TypeError
        If a size is not a positive int, the activation or init unknown, dropout out of range, or W, b, seed
        and dtype do not fit one another.

    Notes
    -----
    "glorot_uniform" draws weights and biases from U(−B, B), B = sqrt(6 / (n_in + n_out)), with 2 in place of
    6 for the sigmoid (Glorot and Bengio 2010; the factors scikit-learn uses). The others draw weights only
    and start with biases of 0: "glorot_normal" from N(0, 2 / (n_in + n_out)), "he_uniform" from U(−B, B), B =
    sqrt(6 / n_in), and "he_normal" from N(0, 2 / n_in) (He et al. 2015), which suit relu and its like; the
    second number of N is the variance. A layer made without `W` and `seed` draws
    from seed 0 and is drawn anew, with the network's seed and dtype, by the first `Network` that takes it;
    from then on, and after any assignment to W or b, it keeps its weights.

    Examples
    --------
    >>> import fastnet as fn
    >>> layer = fn.Layer(2, 1, W=[[1.0, -1.0]], b=[[0.0]])
    >>> layer.forward([[3.0], [3.0]])
    array([[0.5]])
    >>> dA, dW, db = layer.backward([[1.0]])
    >>> dW
    array([[0.75, 0.75]])
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
        self.n_in = _validate.integer(n_in, "n_in")
        self.n_out = _validate.integer(n_out, "n_out")
        self.activation = _validate.activation(activation)
        self.dropout = _validate.number(dropout, "dropout", at_least=0, below=1 - 2.0**-17)
        self.init = _validate.choice(init, "init", _initializers.NAMES)
        if b is not None and W is None:
            raise ValueError("b was given without W: give both, or W alone for biases of zero")
        if W is not None and seed is not None:
            raise ValueError("W and seed were both given: a layer is either given its weights or draws them")
        wanted = None if dtype is None else _validate.real_dtype(dtype)
        self._keeps_dtype = wanted is not None
        self._forward_pass: tuple[Array, Array] | None = None  # the last input and its Z
        self.latest: engine.LayerWeights  # read it through `current`: its publication may not be done
        if W is None:
            self._draw(0 if seed is None else _validate.seed(seed), 0, wanted or np.dtype(np.float64))
            self._owned = seed is not None
        else:
            W = _validate.real_array(W, "W", wanted, "the layer")
            shape = self.n_out, self.n_in
            self._bind(np.empty(shape, W.dtype), np.zeros((self.n_out, 1), W.dtype))
            self.W = W
            if b is not None:
                self.b = b

    # ---- for Network and the readers of files

    @classmethod
    def with_arrays(cls, W: Array, b: Array, activation: str, **settings: Any) -> Layer:
        """Return a layer with these arrays themselves, which must be right and held by nobody else."""
        layer = cls(1, 1, activation, W=np.zeros((1, 1), W.dtype), **settings)
        layer.n_out, layer.n_in = W.shape
        layer._bind(W, b)
        return layer

    def _bind(self, W: Array, b: Array) -> None:
        self.latest = engine.LayerWeights(W, b, _DONE)

    def _draw(self, seed: int, k: int, dtype: np.dtype[Any]) -> None:
        """Draw the weights as layer k of a network does."""
        count = self.n_out * self.n_in
        if count + self.n_out > sys.maxsize // 8:
            raise MemoryError(f"a layer of {self.n_in} x {self.n_out} needs {8 * (count + self.n_out)} bytes")
        shape = (self.n_in, self.n_out)
        self._bind(*_initializers.draw_weights(self.init, *shape, self.activation, seed, k, dtype))

    def current(self) -> engine.LayerWeights:
        """Return the weights that are valid now."""
        return engine.valid_weights(self.latest)

    def check_dtype(self, k: int, dtype: np.dtype[Any]) -> None:
        """TypeError if the layer has weights, or was asked for a dtype, other than a network works in."""
        if (self._owned or self._keeps_dtype) and self.dtype != dtype:
            raise TypeError(
                f"layers[{k}] must have dtype {dtype}, as the network has, got {self.dtype}: "
                f"make the layer with dtype='{dtype}' or the network with dtype='{self.dtype}'"
            )

    def adopt(self, k: int, seed: int, dtype: np.dtype[Any]) -> None:
        """Become layer k of a network: draw its weights unless the layer has some of its own."""
        if not self._owned:
            self._draw(seed, k, dtype)
            self._owned = True

    def forward_with(self, W: Array, b: Array, A: Array, owner: str = "") -> Array:
        """Return what `forward` does by other weights than the layer's, of an input that is checked.

        `owner` stands before the name of weights that are not finite.
        """
        Z = engine.forward([W], [b], ["identity"], A)
        if not engine.all_finite(Z[:, :1]):  # what a weight that is not finite does to every example
            _validate.finite(W, f"{owner}W")
            _validate.finite(b, f"{owner}b")
        self._forward_pass = A, Z
        return engine.activate(Z, self.activation)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of W and b."""
        return self.W.dtype

    @property
    def W(self) -> Array:
        """The weights, (n_out, n_in); assigning checks shape, dtype and finiteness, and copies."""
        return self.current().W

    @W.setter
    def W(self, value: ArrayLike) -> None:
        current = self.current()
        now = self._checked(value, "W", current.W)
        if now is not current.W:
            current.W = now
            current.version = object()  # last: who reads it first, and then W and b, is not deceived

    @property
    def b(self) -> Array:
        """The biases, (n_out, 1); assigning checks shape, dtype and finiteness, and copies."""
        return self.current().b

    @b.setter
    def b(self, value: ArrayLike) -> None:
        current = self.current()
        now = self._checked(value, "b", current.b)
        if now is not current.b:
            current.b = now
            current.version = object()  # last: who reads it first, and then W and b, is not deceived

    def _checked(self, value: Any, name: str, now: Array) -> Array:
        if value is not now:  # `layer.W -= step` hands back the array it has changed in place
            value = _validate.exact(value, name, now.shape, now.dtype, "the layer")
            now = np.array(_validate.finite(value, name), order="C")
        self._owned = True
        return now

    def forward(self, A: ArrayLike) -> Array:
        """Return activation(W A + b), and keep A and Z = W A + b for `backward`.

        Parameters
        ----------
        A : array_like, shape (n_in, n)
            An example in each column; any strides, kept as it is, not copied: do not change it before
            `backward`.

        Returns
        -------
        ndarray, shape (n_out, n)
            NaN and infinities in A pass through.

        Raises
        ------
        ValueError, TypeError
            If A has another number of rows or another dtype than the layer; if the weights hold NaN or
            infinities.

        Examples
        --------
        >>> import fastnet as fn
        >>> fn.Layer(1, 2, W=[[0.0], [1000.0]]).forward([[1.0, -1.0]])
        array([[0.5, 0.5],
               [1. , 0. ]])
        """
        weights = self.current()
        A = _validate.columns(A, "A", self.n_in, weights.W.dtype, "the layer")
        return self.forward_with(weights.W, weights.b, A)

    def backward(self, dA: ArrayLike) -> tuple[Array, Array, Array]:
        """Return the gradients of the layer from that of its output, for the input of the last `forward`.

        dZ = dA ∘ activation'(Z), for softmax A ∘ (dA − Σ A ∘ dA) in each column; then dA_below = Wᵀ dZ,
        dW = dZ A_belowᵀ and db = Σ dZ.

        Parameters
        ----------
        dA : array_like, shape (n_out, n)
            ∂J/∂A of this layer's output.

        Returns
        -------
        dA_below : ndarray, shape (n_in, n)
        dW : ndarray, shape (n_out, n_in)
            Summed over the examples, not averaged; so is db.
        db : ndarray, shape (n_out, 1)

        Raises
        ------
        RuntimeError
            If `forward` was not called before.
        ValueError, TypeError
            If dA has not the shape of the last output, or another dtype.

        Examples
        --------
        >>> import fastnet as fn
        >>> layer = fn.Layer(1, 1, "identity", W=[[2.0]])
        >>> A = layer.forward([[1.0, 3.0]])
        >>> layer.backward([[0.5, 0.25]])
        (array([[1. , 0.5]]), array([[1.25]]), array([[0.75]]))
        """
        if self._forward_pass is None:
            raise RuntimeError("backward needs the input and output of a forward pass: call forward(A) first")
        A, Z = self._forward_pass
        dA = _validate.exact(dA, "dA", Z.shape, self.dtype, "the layer")
        dZ = engine.activation_backward(Z, _validate.contiguous(dA), self.activation)
        return engine.dense_backward(self.W, A, dZ)

    def __getstate__(self) -> dict[str, Any]:
        weights = self.current()  # without the last forward pass: it may hold the user's whole data
        kept = {
            name: value for name, value in self.__dict__.items() if name not in ("latest", "_forward_pass")
        }
        return kept | {"_W": weights.W, "_b": weights.b}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        self._bind(state.pop("_W"), state.pop("_b"))
        self._forward_pass = None
        self.__dict__.update(state)

    def __repr__(self) -> str:
        dropout = f", dropout={self.dropout:g}" if self.dropout else ""
        return f"Layer({self.n_in}, {self.n_out}, {self.activation!r}, dtype='{self.dtype}'{dropout})"


def checked_layers(layers: Any) -> tuple[Layer, ...]:
    """Return the layers as a tuple: at least one, each a Layer, none twice."""
    if isinstance(layers, Layer):
        raise TypeError(f"layers must be a list of Layer, got {type(layers).__name__}")
    checked = tuple(_validate.items(layers, "layers", "Layer"))
    if not checked:
        raise ValueError("layers must hold at least one Layer, got none")
    seen: set[int] = set()
    for k, layer in enumerate(checked):
        if not isinstance(layer, Layer):
            raise TypeError(f"layers[{k}] must be a Layer, got {type(layer).__name__}")
        for method in ("forward", "backward"):
            if getattr(type(layer), method) is not getattr(Layer, method):
                raise TypeError(
                    f"layers[{k}] must be a Layer that keeps Layer.{method}, got {type(layer).__name__} with "
                    "one of its own: fit, predict_proba and files would not know of it"
                )
        seen.add(id(layer))
        if len(seen) <= k:
            raise ValueError(
                f"layers[{k}] is a layer that appears before in the list: each needs weights of its own"
            )
        if layer.activation in _validate.OUTPUT_ONLY and k < len(checked) - 1:
            raise ValueError(
                f"layers[{k}].activation must not be {layer.activation!r}: that is for the last layer only"
            )
    if checked[-1].dropout:
        raise ValueError(
            f"layers[{len(checked) - 1}].dropout must be 0 in the last layer, got {layer.dropout:g}"
        )
    return checked
