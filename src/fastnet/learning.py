"""How a network learns: what its outputs cost, the gradients, and `fit`.

`Learner` is the half of `Network` that knows of targets. Nothing here does arithmetic on the data: cost and
gradients are one call into the core each, and a fit is a `training.Trainer` at work, which is loaded when the
first one begins.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike

from fastnet import _validate, threads
from fastnet._core import engine
from fastnet._validate import Array

if TYPE_CHECKING:
    from fastnet._examples import Examples
    from fastnet.callbacks import Callback
    from fastnet.history import History
    from fastnet.losses import Loss
    from fastnet.network import Network
    from fastnet.optimizers import Optimizer
    from fastnet.schedules import Schedule
    from fastnet.training import Trainer

__all__ = ["Learner"]


class Learner:
    """What makes a network trainable; `Network` adds the layers."""

    _fitting: threading.Lock
    _trainer: Trainer | None

    if TYPE_CHECKING:  # what the network brings

        @property
        def dtype(self) -> np.dtype[Any]: ...  # noqa: D102

        @property
        def sizes(self) -> tuple[int, ...]: ...  # noqa: D102

        def _activations(self) -> list[str]: ...

        def _flops(self, examples: int) -> float: ...

        def _standardize(self) -> tuple[Array, Array] | None: ...

        def _weights(self) -> tuple[list[Array], list[Array]]: ...

        def _explained(self, result: Array) -> Array: ...

        def _check_weights(self, W: list[Array], b: list[Array]) -> None: ...

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
        T : array_like, shape (n_out, n)
            Targets in the range of the loss; class labels (n,) for "cross_entropy".
        loss : str or object, optional
            A name from `fastnet.losses`, `losses.Huber` or `losses.Quantile`. By default what goes with the
            last activation: sigmoid bce, softmax cross_entropy, exp poisson, any other squared_error.
        sample_weight : array_like, shape (n,), optional
            Weights of the examples in the mean.

        Returns
        -------
        float

        Raises
        ------
        ValueError, TypeError
            If X or T have the wrong shape, dtype or values, or the loss does not go with the last activation.

        Examples
        --------
        >>> import fastnet as fn
        >>> net = fn.Network([fn.Layer(2, 1, W=[[1.0, -1.0]])])
        >>> round(net.loss([[3.0], [3.0]], [[1.0]]), 6)
        0.693147
        """
        data, found = self._examples(X, T, loss, sample_weight)
        n = data.X.shape[1]
        W, b = self._weights()
        team = threads.threads_for(self._flops(n) / 3)
        core = engine.TrainerCore(
            W,
            b,
            self._activations(),
            min(n, 1024),
            team,
            loss=found.name,
            loss_parameter=found.parameter,
            standardize=self._standardize(),
        )
        cost = core.loss(*data)
        if not np.isfinite(cost):
            self._check_weights(W, b)
        return cost / data.total_weight()

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
            If X or T have the wrong shape, dtype or values, or the loss does not go with the last activation.

        Examples
        --------
        >>> import fastnet as fn
        >>> net = fn.Network([fn.Layer(1, 1, W=[[0.0]])])
        >>> net.gradients([[1.0, 3.0]], [[1.0, 0.0]])
        [(array([[0.5]]), array([[0.]]))]
        """
        data, found = self._examples(X, T, loss, sample_weight)
        n = data.X.shape[1]
        W, b = self._weights()
        team = threads.threads_for(self._flops(n))
        core = engine.TrainerCore(
            W,
            b,
            self._activations(),
            n,
            team,
            loss=found.name,
            loss_parameter=found.parameter,
            standardize=self._standardize(),
        )
        dW, db, _ = core.gradients(*data)
        count = data.total_weight()
        for gradient in (*dW, *db):
            self._explained(np.divide(gradient, count, out=gradient))
        return list(zip(dW, db, strict=True))

    def _examples(self, X: Any, T: Any, loss: Any, sample_weight: Any) -> tuple[Examples, Loss]:
        from fastnet import _examples, losses

        found = losses.resolve(loss, self._activations()[-1])
        data = _examples.checked(self, found.name, X, T, sample_weight)
        return data._replace(weights=_examples.usable(data.weights, self.dtype)), found

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
        optimizer: str | Optimizer = "sgd",
        loss: Any = None,
        schedule: str | Schedule | None = None,
        l2: float = 0.0,
        clip_norm: float | None = None,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | str | None = None,
        validation: Sequence[ArrayLike] | None = None,
        validation_fraction: float = 0.0,
        early_stopping: bool = False,
        tol: float = 1e-4,
        patience: int = 10,
        metrics: Sequence[str | Callable[[Any, Any], float]] = (),
        callbacks: Sequence[Callback | Callable[[Trainer], Any]] = (),
        max_seconds: float | None = None,
        warm_start: bool = False,
    ) -> History:
        """Train the network and return what happened.

        Each batch changes the weights once, by the optimiser's rule and the gradient of its mean cost
        (Σ w J + l2/2 Σ W²) / Σ w: sums over the examples of the batch, with their weights w, and over all
        weights, without the biases. The last batch of an epoch holds what is left.

        Parameters
        ----------
        X : array_like, shape (n_in, n)
            At least one example, one in each column, in the network's dtype; any strides, never copied whole.
        T : array_like, shape (n_out, n)
            Targets in the range of the loss; class labels (n,) for "cross_entropy".
        epochs : int
            How often each example is visited at most.
        batch_size : int, optional
            Examples per change of the weights: min(200, n) unless given; more than n is taken as n, with a
            warning.
        learning_rate : float, optional
            In place of the optimiser's own.
        shuffle : bool
            Visit the examples in another order in each epoch, drawn from (seed, epoch) as
            `fastnet.reference.permutation` does; otherwise from the first to the last.
        seed : int
            Seed of shuffle, dropout and validation_fraction, 0 <= seed < 2**64.
        progress : bool, optional
            Show epoch and loss on stderr while training. By default if that is a terminal and the fit takes
            longer than half a second. See `fastnet.training.progress`.
        n_threads : int, optional
            At most so many threads (see `fastnet.threads`); the same bits for any number. Batches of small
            networks are trained by one, which is faster.
        optimizer : {"sgd", "adam", "adamw", "rmsprop", "lbfgs"} or object
            Or an object such as `fastnet.Adam(beta_2=0.99)`. With `LBFGS` its own max_iter counts, not
            `epochs`.
        loss : str or object, optional
            A name from `fastnet.losses`, `losses.Huber` or `losses.Quantile`. By default what goes with the
            last activation: sigmoid bce, softmax cross_entropy, exp poisson, any other squared_error.
        schedule : str or Schedule, optional
            How the learning rate changes: see `fastnet.schedules`.
        l2 : float
            Weight of the squared weights, as scikit-learn's alpha.
        clip_norm : float, optional
            Scale the gradient of a batch down to this Euclidean norm, over all weights and biases, where it
            is longer.
        sample_weight : array_like, shape (n,), optional
            How much each example counts, at least 0.
        class_weight : dict of int to float or "balanced", optional
            Weights by class that multiply those of the examples; classes not named have 1. "balanced" is n /
            (classes · examples of the class).
        validation : (X, T) or (X, T, sample_weight), optional
            Other data, whose cost is taken after each epoch.
        validation_fraction : float
            Or hold out this part of the examples, round(fraction · n) but at least one: the first columns of
            ``permutation(n, seed, 2**61)``. The same seed holds out the same. The others are copied.
        early_stopping : bool
            End when the validation loss, or without validation data the loss, no longer falls, and give the
            network the weights of its lowest value.
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

        Notes
        -----
        The layers get their new weights when the last epoch has ended; an error leaves the old ones. Changing
        X or T from another thread meanwhile is safe, but what is learned from then on is undefined.

        Examples
        --------
        >>> import fastnet as fn
        >>> net = fn.Network([fn.Layer(1, 1)])
        >>> history = net.fit([[-1.0, 1.0]], [[0.0, 1.0]], epochs=50, batch_size=2, learning_rate=1.0)
        >>> len(history.loss), history.loss[-1] < history.loss[0]
        (50, True)
        """
        from fastnet.training import Trainer

        trainer = Trainer(
            cast("Network", self),
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
        if _validate.flag(warm_start, "warm_start") and self._trainer is not None:
            trainer = trainer._going_on_from(self._trainer)
        history = trainer.fit(
            X,
            T,
            epochs,
            progress=progress,
            sample_weight=sample_weight,
            class_weight=class_weight,
            validation=validation,
            validation_fraction=validation_fraction,
            early_stopping=early_stopping,
            tol=tol,
            patience=patience,
            metrics=metrics,
            callbacks=callbacks,
            max_seconds=max_seconds,
        )
        self._trainer = trainer._rest()
        return history

    def fit_one_epoch(
        self, X: ArrayLike, T: ArrayLike, sample_weight: ArrayLike | None = None, **options: Any
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
        from fastnet.training import Trainer

        trainer, network = self._trainer, cast("Network", self)
        if trainer is None:
            trainer = Trainer(network, **options)
        elif options:
            trainer = Trainer(network, **options)._going_on_from(trainer)
        self._trainer = trainer
        return trainer.fit_one_epoch(X, T, sample_weight)

    partial_fit = fit_one_epoch  # scikit-learn's word
