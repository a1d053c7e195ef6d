"""Network: layers in a row, what they predict, what that costs, and how they are trained.

Arguments are checked once; then each method is one call into the core. How a fit proceeds is in
`fastnet.training`, which is loaded when the first fit begins. A fit gives all layers their new weights in one
step at its end: whoever predicts meanwhile, from any thread, uses the weights of the last finished fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastnet import _validate, metadata, threads
from fastnet._core import engine
from fastnet._core.float_mode import in_default_mode
from fastnet._exclusive import OneAtATime
from fastnet._validate import Array
from fastnet.layer import Layer, checked_layers
from fastnet.metadata import Class, Standardize

if TYPE_CHECKING:
    from fastnet._examples import Examples
    from fastnet.callbacks import Callback
    from fastnet.history import History
    from fastnet.losses import Loss
    from fastnet.optimizers import Optimizer
    from fastnet.predictor import Predictor
    from fastnet.schedules import Schedule
    from fastnet.streaming import Stream
    from fastnet.training.trainer import Trainer

__all__ = ["CoreArguments", "Network"]


CoreArguments: TypeAlias = tuple[list[Array], list[Array], list[str], tuple[Array, Array] | None]
"""W, b, activations and mean and scale of the inputs: how every entry of the core begins."""


class KeptLayers(NamedTuple):
    """What the core was given for the last prediction, and how to tell whether it is still right."""

    versions: list[object]
    activations: list[str]
    layers: engine.Layers


class Network:
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
    >>> history = net.fit(X, T, epochs=2000)
    >>> net.predict_proba(X).round()
    array([[0., 1., 1., 0.]])
    """

    def __init__(self, layers: Sequence[Layer], *, seed: int = 0, dtype: DTypeLike = "float64") -> None:
        self._layers = checked_layers(layers)
        self._dtype = _validate.real_dtype(dtype)
        self._sizes = _validate.chain([(layer.n_in, layer.n_out) for layer in self._layers])
        self._multiplications = _multiplications(self._sizes)
        self._feature_names: tuple[str, ...] | None = None
        self._classes: tuple[Class, ...] | None = None
        self._preprocessing: Standardize | None = None
        seed = _validate.seed(seed)
        for k, layer in enumerate(self._layers):
            layer.check_dtype(k, self._dtype)
        for k, layer in enumerate(self._layers):
            layer.adopt(k, seed, self._dtype)
        self._begin()

    def _begin(self) -> None:
        """Set what belongs to this object alone, and goes into no copy of it."""
        self.fits = OneAtATime()
        self._trainer: Trainer | None = None
        self._make_trainer: Callable[[Network], Trainer] | None = None
        self._kept: KeptLayers | None = None
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

    @property
    def output(self) -> str:
        """What comes out, by the last activation: "binary", "multilabel", "multiclass" or "regression".

        One sigmoid is "binary", the probability of the second class; several are "multilabel", a probability
        each; a softmax is "multiclass", probabilities that sum to 1; anything else is "regression".
        """
        return metadata.output_kind(self._layers[-1].activation, self._sizes[-1])

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """The names of the inputs, or None; assigning checks their number."""
        return self._feature_names

    @feature_names.setter
    def feature_names(self, names: Sequence[str] | None) -> None:
        self._feature_names = None if names is None else metadata.checked_names(names, self._sizes[0])

    @property
    def classes(self) -> tuple[Class, ...] | None:
        """What the outputs stand for, or None; assigning checks them.

        Two for one sigmoid (its output is the probability of the second), otherwise one for each output: all
        str, all int, all bool or all float. None for a regression.
        """
        return self._classes

    @classes.setter
    def classes(self, classes: Sequence[Class] | Array | None) -> None:
        self._classes = (
            None if classes is None else metadata.checked_classes(classes, self.output, self._sizes[-1])
        )

    @property
    def preprocessing(self) -> Standardize | None:
        """How raw features are scaled before the first layer, or None; assigning checks and copies it."""
        return self._preprocessing

    @preprocessing.setter
    def preprocessing(self, how: Standardize | None) -> None:
        if how is not None and not isinstance(how, Standardize):
            raise TypeError(f"preprocessing must be a Standardize or None, got {type(how).__name__}")
        self._preprocessing = None if how is None else how.for_network(self._sizes[0], self._dtype)

    @in_default_mode
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
        scaling = self._preprocessing
        if scaling is not None:
            with np.errstate(all="ignore"):  # an overflow is reported as in predict_proba, by what comes out
                A = (A - scaling.mean) / scaling.scale
        for k, (layer, W, b) in enumerate(zip(self._layers, *self.weights(), strict=True)):
            A = layer.forward_with(W, b, A, f"layers[{k}].")
        return A

    def predict_proba(
        self, X: ArrayLike | Stream, *, n_threads: int | None = None, progress: bool | None = None
    ) -> Array:
        """Return the output of the network like `forward`, the same bits, but in one call that keeps nothing.

        Parameters
        ----------
        X : array_like, shape (n_in, n)
            An example in each column; any strides, read without a copy if it has the network's dtype. Another
            dtype is converted, block by block if X is large or a memory map. Or a `fastnet.stream`.
        n_threads : int, optional
            At most so many threads (see `fastnet.threads`); the same bits for any number.
        progress : bool, optional
            Show how many rows are done, where they are read block by block. By default in notebooks and on
            terminals, if it takes longer than half a second.

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
        other = type(X) is not np.ndarray or X.dtype is not self._dtype
        if other and not isinstance(X, (list, tuple)):
            from fastnet.streaming import passes

            if passes.is_in_pieces(X, self._dtype):
                own = self._core_layers()  # the same weights for all blocks
                shape = self._sizes[0], self._sizes[-1], self._dtype
                return passes.predict_blocks(
                    lambda block: self._predict(block, own, n_threads), X, *shape, progress
                )
        X = _validate.columns(X, "X", self._sizes[0], self._dtype)
        return self._predict(X, self._core_layers(), n_threads)

    def _predict(self, X: Array, layers: engine.Layers, n_threads: int | None) -> Array:
        """Return the output for a checked matrix by such weights."""
        team = threads.threads_for(2.0 * self._multiplications * X.shape[1], n_threads)
        A = engine.forward_through(layers, X, team, check=True)
        if A is None:
            _validate.finite(X, "X")
            self.check_weights(*layers.weights)
            raise ValueError("X and the weights must stay as they are during a prediction, got changed ones")
        return A

    def __call__(self, X: ArrayLike) -> Array:
        """Return the output of the network: `forward`."""
        return self.forward(X)

    def predict(self, X: ArrayLike, *, n_threads: int | None = None) -> Array:
        """Return the answer for each example: a label if the network tells classes apart, else its output.

        Parameters
        ----------
        X : array_like, shape (n_in, n)
            An example in each column, in the network's dtype; any strides, read without a copy.
        n_threads : int, optional
            At most so many threads (see `fastnet.threads`); the same bits for any number.

        Returns
        -------
        ndarray, shape (n,), or (n_out, n) for several outputs that are no classes
            Labels from `classes`, or numbers from 0 without them: of the largest output of a softmax, and
            for one sigmoid 1 above 0.5. 0 or 1 for each of several sigmoids. Otherwise as `predict_proba`.

        Raises
        ------
        ValueError, TypeError
            If X has another shape or dtype, or holds NaN or infinities; if the weights do.

        Examples
        --------
        >>> import fastnet as fn
        >>> net = fn.Network([fn.Layer(2, 1, W=[[1.0, -1.0]])])
        >>> net.predict([[3.0, 1.0], [1.0, 3.0]])
        array([1, 0])
        >>> net.classes = ["right", "left"]
        >>> net.predict([[3.0, 1.0], [1.0, 3.0]])
        array(['left', 'right'], dtype='<U5')
        """
        return metadata.answers(self.predict_proba(X, n_threads=n_threads), self.output, self._classes)

    def score(self, X: ArrayLike, T: ArrayLike) -> float:
        """Return how good the predictions are: the part that is right, or R² for a regression.

        Parameters
        ----------
        X : array_like, shape (n_in, n)
            At least one example, one in each column.
        T : array_like, shape (n_out, n), or labels (n,)
            As for `fit`.

        Returns
        -------
        float
            `metrics.accuracy` or `metrics.r2`; of several sigmoids the mean over all of them.

        Raises
        ------
        ValueError, TypeError
            As `loss`.

        Examples
        --------
        >>> import fastnet as fn
        >>> net = fn.Network([fn.Layer(2, 1, W=[[1.0, -1.0]])])
        >>> net.score([[3.0, 1.0], [1.0, 3.0]], [1, 1])
        0.5
        """
        from fastnet import metrics

        kind = self.output
        loss = None
        if kind == "binary" and self._layers[-1].activation == "logistic":
            loss = "squared_error"
        A = self.predict_proba(X)
        if not A.shape[1]:
            raise ValueError("X must have at least one example (a column), got none")
        T = self.checked_targets(T, A.shape[1], loss)
        if kind == "regression":
            return metrics.r2(T, A)
        return metrics.binary_accuracy(T, A) if kind == "multilabel" else metrics.accuracy(T, A)

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

    @in_default_mode
    def loss(
        self,
        X: ArrayLike,
        T: ArrayLike,
        *,
        loss: Any = None,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Return the mean over the examples of the cost J, summed over the outputs.

        Nothing is dropped, and no `l2` is in it.

        Parameters
        ----------
        X : array_like, shape (n_in, n)
            At least one example, one in each column.
        T : array_like, shape (n_out, n), or (n,) for one output
            Targets in the range of the loss. For classes also labels (n,): whole numbers from 0, booleans, or
            values of `classes`. Texts without `classes` become them in a fit, in alphabetical order.
        loss : str or object, optional
            A name or a class of `fastnet.losses`. By default what goes with the last activation: sigmoid bce,
            softmax cross_entropy, exp poisson, any other squared_error.
        sample_weight : array_like, shape (n,), optional
            Weights of the examples in the mean.

        Returns
        -------
        float

        Raises
        ------
        ValueError, TypeError
            If X or T have the wrong shape, dtype or values, or the loss does not go with the last activation;
            if the weights hold NaN or infinities.

        Examples
        --------
        >>> import fastnet as fn
        >>> net = fn.Network([fn.Layer(2, 1, W=[[1.0, -1.0]])])
        >>> round(net.loss([[3.0], [3.0]], [[1.0]]), 6)
        0.693147
        """
        from fastnet import losses

        data, found = self._checked_examples(X, T, loss, sample_weight)
        n = data.X.shape[1]
        data = data._replace(T=losses.smoothed(data.T, found))
        return self._core(n, self.flops(n) / 3, found).loss(*data) / data.total_weight()

    @in_default_mode
    def calibrate(
        self,
        X: ArrayLike,
        T: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        rows: ArrayLike | None = None,
    ) -> float:
        """Make the probabilities as sure as they should be, by examples that were not trained on.

        W and b of the last layer are divided by the temperature at which the loss of these examples is lowest
        (Guo, Pleiss, Sun and Weinberger 2017). `predict` gives the classes that it gave before.

        Parameters
        ----------
        X, T, sample_weight
            As for `loss`. The last activation is sigmoid or softmax.
        rows : array_like of int, optional
            The numbers of the examples that count, as in `fit`; by default all do.

        Returns
        -------
        float
            The temperature, from ¼ to 8; above 1, the network was too sure.

        Raises
        ------
        ValueError, TypeError
            As `loss`; if the last activation is another one.

        Examples
        --------
        >>> import fastnet as fn
        >>> net = fn.Network([fn.Layer(1, 1, W=[[2.2]])])  # a probability of 0.9, and 3 of 4 are right
        >>> temperature = net.calibrate([[1.0, 1.0, 1.0, 1.0]], [1, 1, 1, 0])
        >>> round(temperature, 2), net.predict_proba([[1.0]]).round(2)
        (2.0, array([[0.75]]))
        """
        from fastnet import _examples

        activation = self._layers[-1].activation
        if activation not in ("sigmoid", "softmax"):
            raise ValueError(f"the last activation must be 'sigmoid' or 'softmax', got {activation!r}")
        data, found = self._checked_examples(X, T, None, sample_weight)
        data, _ = _examples.choose_examples(data, None, found.name, self._dtype, rows=rows)
        T, weights = data.targets_in_a_row()
        n = data.n
        Z = np.empty_like(T)
        self._core(n, self.flops(n) / 3, found).loss(*data, Z)
        _, temperature = engine.calibrated_loss(found.name, Z, T, weights)
        W, b = ([array.copy() for array in arrays] for arrays in self.weights())
        W[-1] /= self._dtype.type(temperature)
        b[-1] /= self._dtype.type(temperature)
        self.publish(W, b)
        return temperature

    @in_default_mode
    def gradients(
        self,
        X: ArrayLike,
        T: ArrayLike,
        *,
        loss: Any = None,
        sample_weight: ArrayLike | None = None,
    ) -> list[tuple[Array, Array]]:
        """Return the gradients of the mean cost, ∂J/∂W and ∂J/∂b of each layer.

        Parameters
        ----------
        X, T, loss, sample_weight
            As for `loss`.

        Returns
        -------
        list of (dW, db)
            With the shapes of the layer's W and b. Means over the examples, where `Layer.backward` gives
            sums.

        Raises
        ------
        ValueError, TypeError
            If X or T have the wrong shape, dtype or values, or the loss does not go with the last activation;
            if the weights hold NaN or infinities.

        Examples
        --------
        >>> import fastnet as fn
        >>> net = fn.Network([fn.Layer(1, 1, W=[[0.0]])])
        >>> net.gradients([[1.0, 3.0]], [[1.0, 0.0]])
        [(array([[0.5]]), array([[0.]]))]
        """
        data, found = self._checked_examples(X, T, loss, sample_weight)
        n = data.X.shape[1]
        dW, db, _ = self._core(n, self.flops(n), found).gradients(*data)
        count = data.total_weight()
        for gradient in (*dW, *db):
            np.divide(gradient, count, out=gradient)
        return list(zip(dW, db, strict=True))

    def fit(  # the trainer sees to the floating-point mode
        self,
        X: ArrayLike | Stream,
        T: ArrayLike | None = None,
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
        schedule: str | Schedule | None = None,
        l2: float = 0.0,
        clip_norm: float | None = None,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[Any, float] | str | None = None,
        validation: Sequence[ArrayLike] | None = None,
        validation_fraction: float = 0.0,
        early_stopping: bool | Literal["calibrated"] = False,
        tol: float = 1e-4,
        patience: int = 10,
        metrics: Sequence[str | Callable[[Any, Any], float]] = (),
        callbacks: Sequence[Callback | Callable[[Trainer], Any]] = (),
        max_seconds: float | None = None,
        warm_start: bool = False,
        rows: ArrayLike | None = None,
        validation_rows: ArrayLike | None = None,
    ) -> History:
        """Train the network and return what happened.

        Each batch changes the weights once, by the optimiser's rule and the gradient of its mean cost
        (Σ w J + l2/2 Σ W²) / Σ w: sums over the examples of the batch, with their weights w, and over all
        weights, without the biases. The last batch of an epoch holds what is left.

        Parameters
        ----------
        X : array_like, shape (n_in, n)
            At least one example, one in each column; any strides, never copied whole if it has the network's
            dtype. Another dtype is converted: block by block in each epoch if X is large (64 MB) or a memory
            map, else once. Or a `fastnet.stream`, for data larger than memory.
        T : array_like, shape (n_out, n)
            Targets in the range of the loss; class labels (n,) for "cross_entropy". None with a stream.
        epochs : int
            How often each example is visited at most.
        batch_size : int, optional
            Examples per change of the weights: min(200, n) unless given; more than n is taken as n, with a
            warning.
        learning_rate : float, optional
            In place of the optimiser's own: 0.01, for "sgd" 0.1.
        shuffle : bool
            Visit the examples in another order in each epoch, drawn from (seed, epoch) as
            `fastnet.reference.permutation` does; otherwise from the first to the last.
        seed : int
            Seed of shuffle, dropout and validation_fraction, 0 <= seed < 2**64.
        progress : bool, optional
            Show epoch and loss while training, in a notebook or on standard error. By default in notebooks
            and on terminals, if the fit takes longer than half a second. See `fastnet.progress`.
        n_threads : int, optional
            At most so many threads (see `fastnet.threads`); the same bits for any number. Batches of small
            networks are trained by one, which is faster.
        optimizer : {"adam", "sgd", "adamw", "rmsprop", "lbfgs"} or object
            Or an object such as `fastnet.Adam(beta_2=0.99)`. "sgd" is the plain rule of the notes, W ← W −
            learning_rate ∂J/∂W. With `LBFGS` its own max_iter counts, not `epochs`.
        loss : str or object, optional
            A name or a class of `fastnet.losses`. By default what goes with the last activation: sigmoid bce,
            softmax cross_entropy, exp poisson, any other squared_error.
        schedule : str or Schedule, optional
            How the learning rate changes: see `fastnet.schedules`.
        l2 : float
            Weight of the squared weights, as scikit-learn's alpha.
        clip_norm : float, optional
            Scale the gradient of a batch down to this Euclidean norm, over all weights and biases, where it
            is longer.
        rows : array_like of int, optional
            The numbers of the examples to train on, in any order and also repeatedly: folds, bootstraps.
            Nothing is copied, and the bits are those of a fit on ``X[:, rows]``; all of X is checked.
        sample_weight : array_like, shape (n,), optional
            How much each example counts, at least 0.
        class_weight : dict of label to float or "balanced", optional
            Weights by class that multiply those of the examples; classes not named have 1. The keys are those
            of `classes`, also of the texts in T that become classes, or else numbers from 0. "balanced" is n
            / (classes · examples of the class).
        validation : (X, T) or (X, T, sample_weight), optional
            Other data, whose cost is taken after each epoch.
        validation_fraction : float
            Or hold out this part of the examples, round(fraction · n) but at least one: the first columns of
            ``permutation(n, seed, 2**61)``. The same seed holds out the same. The others are copied.
        validation_rows : array_like of int, optional
            Or hold out the examples of these numbers, of all of X.
        early_stopping : bool or "calibrated"
            End when the validation loss, or without validation data the loss, no longer falls, and give the
            network the weights of its lowest value. "calibrated", for "bce" and "cross_entropy", watches the
            validation loss of the outputs after the best temperature (see the notes).
        tol, patience : float, int
            With early_stopping: end when it was not at least `tol` below the best for more than `patience`
            epochs in a row.
        metrics : sequence of str or function
            Noted in the history: names from `fastnet.metrics`, or functions of (T, A).
        callbacks : sequence of Callback or function
            See `fastnet.callbacks`.
        max_seconds : float, optional
            End after the first epoch that leaves this time behind.
        warm_start : bool
            Go on where the last fit ended: its epochs, the optimiser's moments, early stopping's and the
            schedule's memory. Otherwise training starts anew, from the weights as they are.

        Returns
        -------
        History
            Loss, seconds and more of each epoch.

        Raises
        ------
        ValueError, TypeError
            If an argument has the wrong shape, dtype, type or value; with warm_start, if the last fit had
            another optimiser or loss.
        DivergenceError
            If the weights or the cost stop being finite.
        RuntimeError
            If another fit of this network is running.

        Warns
        -----
        UserWarning
            If it was interrupted (Ctrl-C): the network has the weights of the last whole batch, or with
            early_stopping the best ones, and the history up to there is returned.
            If the loss has hardly moved in ten epochs or more: what may help.

        Notes
        -----
        The layers get their new weights when the last epoch has ended; an error leaves the old ones. Changing
        X or T from another thread meanwhile is safe, but what is learned from then on is undefined.

        A network that is trained for long still learns to tell classes apart when it has become too sure of
        itself, and its validation loss rises. Dividing its logits by a temperature (Guo, Pleiss, Sun and
        Weinberger 2017) takes that back. ``early_stopping="calibrated"`` looks at the loss after the best
        temperature from ¼ to 8 (Berta, Holzmüller, Jordan and Bach 2025, arXiv 2501.19195): more of the
        classes are right, and a mean over several networks has a lower loss. The network is as sure of itself
        as it was trained to be: `calibrate` changes that.

        Examples
        --------
        >>> import fastnet as fn
        >>> net = fn.Network([fn.Layer(1, 1)])
        >>> history = net.fit([[-1.0, 1.0]], [[0.0, 1.0]], epochs=50, batch_size=2, learning_rate=1.0)
        >>> len(history.loss), history.loss[-1] < history.loss[0]
        (50, True)
        """
        trainer = _trainer_class()(
            self,
            optimizer=optimizer,
            loss=loss,
            batch_size=batch_size,
            learning_rate=learning_rate,
            l2=l2,
            clip_norm=clip_norm,
            schedule=schedule,
            shuffle=shuffle,
            seed=seed,
            n_threads=n_threads,
        )
        trainer.keeps_core = False
        last = self._last_trainer()
        if _validate.flag(warm_start, "warm_start") and last is not None:
            trainer.resume_from(last)
        history = trainer.fit(
            X,
            T,
            epochs,
            progress=progress,
            rows=rows,
            sample_weight=sample_weight,
            class_weight=class_weight,
            validation=validation,
            validation_fraction=validation_fraction,
            validation_rows=validation_rows,
            early_stopping=early_stopping,
            tol=tol,
            patience=patience,
            metrics=metrics,
            callbacks=callbacks,
            max_seconds=max_seconds,
        )
        self._trainer = trainer
        return history

    @in_default_mode
    def fit_one_epoch(
        self,
        X: ArrayLike | Stream,
        T: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        **options: Any,
    ) -> float:
        """Train for one epoch, going on from the last, and return its loss.

        Parameters
        ----------
        X : array_like, shape (n_in, n)
            Other examples in each call, if you like.
        T : array_like, shape (n_out, n)
        sample_weight : array_like, shape (n,), optional
        **options
            Those of `Trainer`: optimizer, learning_rate, batch_size and so on, for all calls until others are
            given. Where they are left out, those of the last epoch or fit hold.

        An interrupt comes out of here as KeyboardInterrupt, after the network was given the weights of the
        last whole batch.

        Returns
        -------
        float
            The mean cost, each example's taken when its batch was visited.

        Raises
        ------
        ValueError, TypeError, DivergenceError, RuntimeError
            As `fit`.

        Examples
        --------
        >>> import fastnet as fn
        >>> net = fn.Network([fn.Layer(1, 1, seed=0)])
        >>> first = net.fit_one_epoch([[-1.0, 1.0]], [[0, 1]], optimizer="adam", learning_rate=0.1)
        >>> net.fit_one_epoch([[-1.0, 1.0]], [[0, 1]]) < first
        True
        """
        from fastnet.training.trainer import Trainer

        last = self._last_trainer()
        trainer = last
        if trainer is None or options:
            trainer = Trainer(self, **options)
            if last is not None:
                trainer.resume_from(last)
        self._trainer = trainer
        return trainer.fit_one_epoch(X, T, sample_weight)

    partial_fit = fit_one_epoch  # scikit-learn's word

    # ---- for the modules of fastnet: Trainer, Predictor, files and exports

    def weights(self) -> tuple[list[Array], list[Array]]:
        """Return the arrays W and b of all layers themselves, as one finished fit left them."""
        _, W, b = engine.weights_of(self._layers)
        return W, b

    def _core_layers(self) -> engine.Layers:
        """Return weights, activations and scaling as the core takes them, kept while they stay the same.

        For one row it takes as long to hand them over as to predict.
        """
        activations = [layer.activation for layer in self._layers]
        kept = self._kept
        if (
            kept is not None
            and self._preprocessing is None  # its arrays can be changed in place, and are converted
            and kept.versions == [layer.latest.version for layer in self._layers]
            and kept.activations == activations
            and kept.layers.current
        ):
            return kept.layers
        versions, *weights = engine.weights_of(self._layers)
        W, b, _, standardize = self.core_arguments((weights[0], weights[1]))
        layers = engine.Layers(W, b, activations, None, standardize)
        self._kept = KeptLayers(versions, activations, layers) if standardize is None else None
        return layers

    def keep_trainer(self, make: Callable[[Network], Trainer]) -> None:
        """Go on from the trainer that this makes in the next fit with `warm_start`, and in `fit_one_epoch`.

        It is made then: many networks are trained, and few go on.
        """
        self._make_trainer = make

    def _last_trainer(self) -> Trainer | None:
        """Return the trainer of the last fit."""
        make, self._make_trainer = self._make_trainer, None
        if make is not None:
            self._trainer = make(self)
        return self._trainer

    def publish(self, W: list[Array], b: list[Array]) -> None:
        """Give all layers new arrays, which nobody else holds, in one step; an error leaves the old ones."""
        engine.publish(self._layers, W, b)
        self._kept = None

    def check_weights(self, W: list[Array], b: list[Array]) -> None:
        """ValueError that names the layer if weights are not finite."""
        for name, arrays in (("W", W), ("b", b)):
            for k, array in enumerate(arrays):
                if not engine.all_finite(array):
                    raise _validate.not_finite(array, f"layers[{k}].{name}")

    def core_arguments(
        self, weights: tuple[list[Array], list[Array]] | None = None, dtype: np.dtype[Any] | None = None
    ) -> CoreArguments:
        """Return what the core needs of a network to predict or to train: weights, activations, scaling.

        Parameters
        ----------
        weights : lists of W and b, optional
            In place of the network's own.
        dtype : dtype, optional
            To work in, if it is not the network's: arrays are then copied.
        """
        W, b = self.weights() if weights is None else weights
        standardize, scaling = None, self._preprocessing
        if scaling is not None:
            wanted = self._dtype if dtype is None else dtype
            mean, scale = (array.reshape(-1).astype(wanted) for array in (scaling.mean, scaling.scale))
            standardize = mean, scale
        if dtype is not None and dtype != self._dtype:
            W, b = ([array.astype(dtype) for array in arrays] for arrays in (W, b))
        return W, b, [layer.activation for layer in self._layers], standardize

    def checked_targets(self, T: Any, n: int, loss: Any = None) -> Array:
        """Return targets as the core takes them, labels as numbers: (n_out, n)."""
        from fastnet import _examples, losses

        name = losses.resolve(loss, self._layers[-1].activation).name
        T, _ = metadata.class_numbers(T, self._classes, self.output, self._sizes[-1])
        return _examples.check_targets(T, name, self._sizes[-1], n, self._dtype)

    def _checked_examples(
        self, X: Any, T: Any, loss: Any = None, sample_weight: Any = None
    ) -> tuple[Examples, Loss]:
        """Return the examples as the core takes them, labels as numbers, and the loss."""
        from fastnet import _examples, losses

        found = losses.resolve(loss, self._layers[-1].activation)
        n_in, n_out = self._sizes[0], self._sizes[-1]
        T, _ = metadata.class_numbers(T, self._classes, self.output, n_out)
        data = _examples.check_examples(X, T, sample_weight, found.name, n_in, n_out, self._dtype)
        return data._replace(weights=_examples.usable_weights(data.weights, self._dtype)), found

    def trainer_core(
        self,
        batch: int,
        n_threads: int,
        options: dict[str, Any],
        weights: tuple[list[Array], list[Array]],
        dtype: np.dtype[Any],
        *,
        prepared: bool = True,
    ) -> engine.TrainerCore:
        """Return a core that trains these weights in batches; its `finite` says whether they can be trained.

        Parameters
        ----------
        options : dict
            From `Settings.core_options`.
        prepared : bool
            False: it shall only say what networks like this one have in common, and take no memory.
        """
        W, b, activations, standardize = self.core_arguments(weights, dtype)
        dropout = [layer.dropout for layer in self._layers]
        return engine.TrainerCore(
            *(W, b, activations, batch, n_threads),
            **options,
            dropout=dropout,
            standardize=standardize,
            prepared=prepared,
        )

    def structure(self) -> dict[str, Any]:
        """Return widths, activations, dropout and dtype, as JSON can hold them."""
        return {
            "sizes": list(self._sizes),
            "activations": [layer.activation for layer in self._layers],
            "dropout": [layer.dropout for layer in self._layers],
            "dtype": str(self._dtype),
        }

    def flops(self, examples: int) -> float:
        """Return the flops of forward, backward and gradients of a batch.

        Threads wait for one another once a batch, or with many weights once a block, which is work enough.
        """
        return 6.0 * self._multiplications * examples

    def _core(self, batch: int, flops: float, loss: Loss) -> engine.TrainerCore:
        """Return a core that works out loss and gradients by the weights of now, which must be finite."""
        W, b, activations, standardize = self.core_arguments()
        self.check_weights(W, b)
        return engine.TrainerCore(
            *(W, b, activations, batch, threads.threads_for(flops)),
            loss=loss.name,
            loss_parameter=loss.parameter,
            standardize=standardize,
        )

    def __getstate__(self) -> dict[str, Any]:
        own = ("fits", "_trainer", "_make_trainer", "_kept")  # what only this object goes on with
        return {name: value for name, value in self.__dict__.items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def __repr__(self) -> str:
        table = self._table()
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = []
        for row in table:
            cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
            lines.append("  " + "  ".join([*cells, row[-1].rjust(widths[-1])]))
        return "\n".join([self._summary(), *lines])

    def _repr_html_(self) -> str:
        """Return the network as notebooks show it: a drawing if it is small, else a table of its layers."""
        from fastnet.plot import network_html

        return network_html(self, self._summary(), self._table())

    def _summary(self) -> str:
        total = sum(layer.n_out * (layer.n_in + 1) for layer in self._layers)
        sizes = "-".join(map(str, self._sizes))
        return f"Network {sizes}, {self._dtype}, {total:,} parameters"

    def _table(self) -> list[tuple[str, ...]]:
        """Return a head and a row for each layer."""
        table: list[tuple[str, ...]] = [("layer", "W", "b", "activation", "parameters")]
        for k, layer in enumerate(self._layers, start=1):
            n_in, n_out = layer.n_in, layer.n_out
            count = f"{n_out * n_in + n_out:,}"
            table.append((str(k), f"{n_out} x {n_in}", f"{n_out} x 1", layer.activation, count))
        return table


def _multiplications(sizes: tuple[int, ...]) -> int:
    """Return how many multiplications the forward pass of one example takes."""
    return sum(n_in * n_out for n_in, n_out in pairwise(sizes))


@cache
def _trainer_class() -> type[Trainer]:
    """Return `Trainer`: to import it anew in every fit takes longer than two steps of a tiny network."""
    from fastnet.training.trainer import Trainer

    return Trainer
