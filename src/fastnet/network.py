"""The network of the notes: layers in a row, examples in columns.

Arguments are checked once, then each method is one call into the core: nothing here does arithmetic on the
data. How a network learns is in `learning`. A fit publishes its weights at its end, all layers at once, by
binding new arrays: whoever predicts meanwhile, from any thread, uses the weights of the last finished fit.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastnet import _validate, threads
from fastnet._core import engine
from fastnet._validate import Array
from fastnet.layer import Layer
from fastnet.learning import Learner
from fastnet.metadata import Described

if TYPE_CHECKING:
    from fastnet.predictor import Predictor

__all__ = ["Network"]


class Network(Described, Learner):
    """Dense layers one after the other, and the way they are trained.

    Parameters
    ----------
    layers : sequence of Layer
        The n_out of each is the n_in of the next. The last activation chooses the loss, unless told
        otherwise (see `fastnet.losses`); it has no dropout, and none before it is softmax or exp.
    seed : int
        Seed of the weights of those layers that have none of their own yet (see `Layer`), 0 <= seed < 2**64.
    dtype : {"float64", "float32"}
        Precision of weights, inputs and results.

    Attributes
    ----------
    layers : tuple of Layer
    dtype : numpy.dtype
    sizes : tuple of int
        Width of the input and of each layer's output.

    Raises
    ------
    ValueError, TypeError
        If there is no layer, one appears twice, they do not chain, one has weights of another dtype, or what
        only the last layer may have is elsewhere, or the other way round.

    Examples
    --------
    >>> import fastnet as fn
    >>> net = fn.Network([fn.Layer(2, 3), fn.Layer(3, 1)], seed=0)
    >>> X = [[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]]
    >>> T = [[0.0, 1.0, 1.0, 0.0]]
    >>> history = net.fit(X, T, epochs=4000, batch_size=4, learning_rate=2.0)
    >>> net.predict_proba(X).round()
    array([[0., 1., 1., 0.]])
    """

    def __init__(self, layers: Sequence[Layer], *, seed: int = 0, dtype: DTypeLike = "float64") -> None:
        self._layers = _checked_layers(layers)
        self._dtype = _validate.real_dtype(dtype)
        self._sizes = _validate.chain([(layer.n_in, layer.n_out) for layer in self._layers])
        self._multiplications = _multiplications(self._sizes)
        seed = _validate.seed(seed)
        for k, layer in enumerate(self._layers):
            layer._check_dtype(k, self._dtype)
        for k, layer in enumerate(self._layers):
            layer._adopt(k, seed, self._dtype)
        self._fitting = threading.Lock()
        self._publishing = threading.Lock()
        self._trainer = None
        threads.register_if_loaded()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, from the input to the output."""
        return self._layers

    @property
    def dtype(self) -> np.dtype[Any]:
        """The precision of weights, inputs and results."""
        return self._dtype

    @property
    def sizes(self) -> tuple[int, ...]:
        """Width of the input and of each layer's output."""
        return self._sizes

    def forward(self, X: ArrayLike) -> Array:
        """Return the output of the network, layer by layer; each layer keeps its part for `Layer.backward`.

        A⁽⁰⁾ = X, standardised if the network has `preprocessing`; A⁽ᵏ⁾ = activation(W⁽ᵏ⁾ A⁽ᵏ⁻¹⁾ + b⁽ᵏ⁾).

        Parameters
        ----------
        X : array_like, shape (n_in, n)
            An example in each column, in the network's dtype; any strides, read without a copy.

        Returns
        -------
        ndarray, shape (n_out, n)
            The same bits for an example whatever batch it comes in.

        Raises
        ------
        ValueError, TypeError
            If X has another shape or dtype, or holds NaN or infinities; if the weights do.

        Examples
        --------
        >>> import fastnet as fn
        >>> net = fn.Network([fn.Layer(2, 1, W=[[1.0, -1.0]])])
        >>> net.forward([[3.0], [3.0]])
        array([[0.5]])
        """
        A = _validate.examples(X, self._sizes[0], self._dtype)
        if self.preprocessing is not None:
            A = (A - self.preprocessing.mean) / self.preprocessing.scale
        for layer in self._layers:
            A = layer.forward(A)
        return self._explained(A)

    def predict_proba(self, X: ArrayLike, *, n_threads: int | None = None) -> Array:
        """Return the output of the network like `forward`, the same bits, but in one call that keeps nothing.

        Parameters
        ----------
        X : array_like, shape (n_in, n)
            An example in each column, in the network's dtype; any strides, read without a copy.
        n_threads : int, optional
            At most so many threads (see `fastnet.threads`); the same bits for any number.

        Returns
        -------
        ndarray, shape (n_out, n)

        Raises
        ------
        ValueError, TypeError
            If X has another shape or dtype, or holds NaN or infinities; if the weights do.

        Examples
        --------
        >>> import fastnet as fn
        >>> net = fn.Network([fn.Layer(2, 1, W=[[1.0, -1.0]])])
        >>> net.predict_proba([[3.0, 1000.0], [3.0, 0.0]])
        array([[0.5, 1. ]])
        """
        X = _validate.columns(X, "X", self._sizes[0], self._dtype)
        W, b = self._weights()
        team = threads.threads_for(2.0 * self._multiplications * X.shape[1], n_threads)
        A = engine.forward(W, b, self._activations(), X, team, None, self._standardize(), check=True)
        if A is None:
            raise _validate.not_finite(X, "X")
        return A if engine.all_finite(A) else self._explained(A)

    def compile(self) -> Predictor:
        """Return a frozen predictor: the network as it is now, laid out for single rows and for blocks.

        Returns
        -------
        Predictor
            Gives the bits of `predict_proba`; later changes of the network do not reach it.

        Raises
        ------
        ValueError
            If the weights are not finite.

        Examples
        --------
        >>> import fastnet as fn
        >>> fn.Network([fn.Layer(2, 1, W=[[1.0, -1.0]])]).compile()([3.0, 3.0])
        array([0.5])
        """
        from fastnet.predictor import Predictor

        return Predictor(self)

    def _flops(self, examples: int) -> float:
        """Return the flops of forward, backward and gradients of a block: what threads meet after."""
        return 6.0 * self._multiplications * min(examples, 1024)

    def _activations(self) -> list[str]:
        return [layer.activation for layer in self._layers]

    def _dropout(self) -> list[float]:
        return [layer.dropout for layer in self._layers]

    def _weights(self) -> tuple[list[Array], list[Array]]:
        """Return the arrays W and b of all layers as one finished fit left them."""
        with self._publishing:
            return [layer._W for layer in self._layers], [layer._b for layer in self._layers]

    def _publish(self, W: list[Array], b: list[Array]) -> None:
        with self._publishing:
            for layer, new_W, new_b in zip(self._layers, W, b, strict=True):
                layer._bind(new_W, new_b)

    def _explained(self, result: Array) -> Array:
        """Return a result; ValueError if it is not finite because the weights are not."""
        if not engine.all_finite(result):
            self._check_weights(*self._weights())
        return result

    def _check_weights(self, W: list[Array], b: list[Array]) -> None:
        for k, arrays in enumerate(zip(W, b, strict=True)):
            for array, name in zip(arrays, "Wb", strict=True):
                _validate.finite(array, f"layers[{k}].{name}")

    def __getstate__(self) -> dict[str, Any]:
        kept = ("_fitting", "_publishing", "_trainer")  # locks, and what only this object goes on with
        return {name: value for name, value in self.__dict__.items() if name not in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._multiplications = _multiplications(self._sizes)  # pickles of older versions have none
        self._fitting = threading.Lock()
        self._publishing = threading.Lock()
        self._trainer = None
        threads.register_if_loaded()

    def __repr__(self) -> str:
        head = ("layer", "W", "b", "activation", "parameters")
        table = [head]
        for k, layer in enumerate(self._layers, start=1):
            n_in, n_out = layer.n_in, layer.n_out
            count = f"{n_out * n_in + n_out:,}"
            table.append((str(k), f"{n_out} x {n_in}", f"{n_out} x 1", layer.activation, count))
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = []
        for row in table:
            cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
            lines.append("  " + "  ".join([*cells, row[-1].rjust(widths[-1])]))
        total = sum(layer.n_out * (layer.n_in + 1) for layer in self._layers)
        sizes = "-".join(map(str, self._sizes))
        return "\n".join([f"Network {sizes}, {self._dtype}, {total:,} parameters", *lines])


def _multiplications(sizes: tuple[int, ...]) -> int:
    """Return those of one example's forward pass."""
    return sum(n_in * n_out for n_in, n_out in pairwise(sizes))


def _checked_layers(layers: Any) -> tuple[Layer, ...]:
    """Return the layers as a tuple: at least one, each a Layer, none twice."""
    if isinstance(layers, Layer) or not hasattr(layers, "__iter__"):
        raise TypeError(f"layers must be a list of Layer, got {type(layers).__name__}")
    checked = tuple(layers)
    if not checked:
        raise ValueError("layers must hold at least one Layer, got none")
    for k, layer in enumerate(checked):
        if not isinstance(layer, Layer):
            raise TypeError(f"layers[{k}] must be a Layer, got {type(layer).__name__}")
        if any(layer is earlier for earlier in checked[:k]):
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
