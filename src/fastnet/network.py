"""The network of the notes: layers in a row, examples in columns.

Arguments are checked once, then each method is one call into the core: nothing here does arithmetic on the
data. `fit` works on the core's own copy of the weights and publishes them at its end, all layers at once, by
binding new arrays. Whoever predicts meanwhile, from any thread, uses the weights of the last finished fit.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastnet import _validate, threads, training
from fastnet._core import engine
from fastnet._validate import Array
from fastnet.layer import Layer

__all__ = ["Network"]


class Network:
    """Dense layers one after the other, trained with stochastic gradient descent on the binary cross-entropy.

    Parameters
    ----------
    layers : sequence of Layer
        The n_out of each is the n_in of the next. Training needs a sigmoid as the last activation.
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
        If there is no layer, one appears twice, they do not chain, or one has weights of another dtype.

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
        seed = _validate.seed(seed)
        for k, layer in enumerate(self._layers):
            layer._check_dtype(k, self._dtype)
        for k, layer in enumerate(self._layers):
            layer._adopt(k, seed, self._dtype)
        self._fitting = threading.Lock()
        self._publishing = threading.Lock()

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

        A⁽⁰⁾ = X, A⁽ᵏ⁾ = activation(W⁽ᵏ⁾ A⁽ᵏ⁻¹⁾ + b⁽ᵏ⁾).

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
        X = _validate.examples(X, self._sizes[0], self._dtype)
        W, b = self._weights()
        team = threads.worth(n_threads, 2.0 * self._products() * X.shape[1])
        return self._explained(engine.forward(W, b, self._activations(), X, team))

    def loss(self, X: ArrayLike, T: ArrayLike) -> float:
        """Return the mean over the examples of the cost J, summed over the outputs.

        J = −t log a − (1 − t) log(1 − a), worked out from the logits z as max(z, 0) − z t + log(1 + e^−|z|).

        Parameters
        ----------
        X : array_like, shape (n_in, n)
            At least one example, one in each column.
        T : array_like, shape (n_out, n)
            Targets in [0, 1].

        Returns
        -------
        float

        Raises
        ------
        ValueError, TypeError
            If X or T have the wrong shape, dtype or values, or the last activation is not the sigmoid.

        Examples
        --------
        >>> import fastnet as fn
        >>> net = fn.Network([fn.Layer(2, 1, W=[[1.0, -1.0]])])
        >>> round(net.loss([[3.0], [3.0]], [[1.0]]), 6)
        0.693147
        """
        X, T = self._training_data(X, T)
        n: int = X.shape[1]
        W, b = self._weights()
        team = threads.worth(None, 2.0 * self._products() * X.shape[1])
        Z = self._explained(engine.forward(W, b, [*self._activations()[:-1], "identity"], X, team))
        return engine.loss("bce", 0.0, "sigmoid", Z, T)[0] / n

    def gradients(self, X: ArrayLike, T: ArrayLike) -> list[tuple[Array, Array]]:
        """Return the gradients of the mean cost, ∂J/∂W and ∂J/∂b of each layer.

        Parameters
        ----------
        X : array_like, shape (n_in, n)
            At least one example, one in each column.
        T : array_like, shape (n_out, n)
            Targets in [0, 1].

        Returns
        -------
        list of (dW, db)
            With the shapes of the layer's W and b. Means over the examples, where `Layer.backward` gives
            sums.

        Raises
        ------
        ValueError, TypeError
            If X or T have the wrong shape, dtype or values, or the last activation is not the sigmoid.

        Examples
        --------
        >>> import fastnet as fn
        >>> net = fn.Network([fn.Layer(1, 1, W=[[0.0]])])
        >>> net.gradients([[1.0, 3.0]], [[1.0, 0.0]])
        [(array([[0.5]]), array([[0.]]))]
        """
        X, T = self._training_data(X, T)
        n = X.shape[1]
        W, b = self._weights()
        team = threads.worth(None, self._flops(n))
        dW, db, _ = engine.Trainer(W, b, self._activations(), n, team).gradients(X, T)
        for gradient in (*dW, *db):
            self._explained(np.divide(gradient, n, out=gradient))
        return list(zip(dW, db, strict=True))

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
    ) -> training.History:
        """Train with stochastic gradient descent and return what happened.

        Each batch of m examples changes the weights once: W ← W − (learning_rate / m) Σ ∂J/∂W. The last batch
        of an epoch holds what is left, and m is its own length.

        Parameters
        ----------
        X : array_like, shape (n_in, n)
            At least one example, one in each column, in the network's dtype; any strides, never copied whole.
        T : array_like, shape (n_out, n)
            Targets in [0, 1].
        epochs : int
            How often each example is visited.
        batch_size : int, optional
            Examples per change of the weights: min(200, n) unless given; more than n is taken as n, with a
            warning.
        learning_rate : float
        shuffle : bool
            Visit the examples in another order in each epoch, drawn from (seed, epoch) as
            `fastnet.reference.permutation` does; otherwise from the first to the last.
        seed : int
            Seed of the shuffle, 0 <= seed < 2**64. Every call starts at epoch 0.
        progress : bool
            Show epoch and loss on stderr while training: a bar if tqdm is installed, plain text otherwise.
        n_threads : int, optional
            At most so many threads (see `fastnet.threads`); the same bits for any number. Batches of small
            networks are trained by one, which is faster.

        Returns
        -------
        History
            Loss and seconds of each epoch.

        Raises
        ------
        ValueError, TypeError
            If an argument has the wrong shape, dtype, type or value, or the last activation is not the
            sigmoid.
        DivergenceError
            If the weights or the cost stop being finite.
        RuntimeError
            If another fit of this network is running.

        Notes
        -----
        The layers get their new weights when the last epoch has ended; an error or an interrupt leaves the
        old ones. Changing X or T from another thread meanwhile is safe, but what is learned from then on is
        undefined.

        Examples
        --------
        >>> import fastnet as fn
        >>> net = fn.Network([fn.Layer(1, 1)])
        >>> history = net.fit([[-1.0, 1.0]], [[0.0, 1.0]], epochs=50, batch_size=2, learning_rate=1.0)
        >>> len(history.loss), history.loss[-1] < history.loss[0]
        (50, True)
        """
        if not self._fitting.acquire(blocking=False):
            raise RuntimeError("another fit of this network is running: one at a time")
        try:
            X, T = self._training_data(X, T)
            epochs = _validate.integer(epochs, "epochs")
            n = X.shape[1]
            batch_size = min(200, n) if batch_size is None else _validate.integer(batch_size, "batch_size")
            learning_rate = _validate.rate(learning_rate)
            shuffle = _validate.flag(shuffle, "shuffle")
            seed = _validate.seed(seed)
            progress = _validate.flag(progress, "progress")
            if batch_size > n:
                warnings.warn(
                    f"batch_size={batch_size} is more than the {n} examples: taken as {n}", stacklevel=2
                )
                batch_size = n
            W, b = self._weights()
            self._check_weights(W, b)
            team = threads.worth(n_threads, self._flops(batch_size))
            trainer = engine.Trainer(W, b, self._activations(), batch_size, team)
            history = training.run(
                trainer,
                X,
                T,
                epochs=epochs,
                learning_rate=learning_rate,
                shuffle=shuffle,
                seed=seed,
                progress=progress,
            )
            self._publish(*trainer.weights())
        finally:
            self._fitting.release()
        return history

    def _products(self) -> int:
        """Return the multiplications of one example's forward pass."""
        return sum(layer.n_in * layer.n_out for layer in self._layers)

    def _flops(self, examples: int) -> float:
        """Return the flops of forward, backward and gradients of a block: what threads meet after."""
        return 6.0 * self._products() * min(examples, 1024)

    def _activations(self) -> list[str]:
        return [layer.activation for layer in self._layers]

    def _weights(self) -> tuple[list[Array], list[Array]]:
        """Return the arrays W and b of all layers as one finished fit left them."""
        with self._publishing:
            return [layer.W for layer in self._layers], [layer.b for layer in self._layers]

    def _publish(self, W: list[Array], b: list[Array]) -> None:
        with self._publishing:
            for layer, new_W, new_b in zip(self._layers, W, b, strict=True):
                layer._bind(new_W, new_b)

    def _training_data(self, X: Any, T: Any) -> tuple[Array, Array]:
        if self._layers[-1].activation != "sigmoid":
            raise ValueError(
                "the activation of the last layer must be 'sigmoid', for the cost is binary cross-entropy, "
                f"got {self._layers[-1].activation!r}"
            )
        X = _validate.examples(X, self._sizes[0], self._dtype, at_least=1)
        return X, _validate.targets(T, self._sizes[-1], X.shape[1], self._dtype)

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
        locks = ("_fitting", "_publishing")
        return {name: value for name, value in self.__dict__.items() if name not in locks}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._fitting = threading.Lock()
        self._publishing = threading.Lock()

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
    return checked
