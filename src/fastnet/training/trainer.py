"""What a fit is: a `Trainer` that runs epochs, remembers where it stands, and knows when to give up.

No array arithmetic happens here. An epoch is one call into the core, which owns its copy of the weights; the
network gets new ones when a fit has ended well, so one that fails has changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastnet import _examples, _validate, losses, optimizers, threads
from fastnet._core import engine
from fastnet._validate import Array
from fastnet.history import DivergenceError, History
from fastnet.network import Network
from fastnet.training import state_dict as _state
from fastnet.training.loop import Run, new_core
from fastnet.training.state import Standing, Weights

if TYPE_CHECKING:
    from fastnet.callbacks import Callback
    from fastnet.optimizers import Optimizer
    from fastnet.schedules import Schedule

__all__ = ["DivergenceError", "History", "Trainer"]


class Trainer:
    """The training of one network: what is minimised and how, and where it stands.

    `Network.fit` makes one and runs it. Make one yourself to train in several steps, on data that come piece
    by piece, or to save and resume: optimiser, generator and position are one state, and what is resumed
    has the same bits as what was never stopped.

    Parameters
    ----------
    network : Network
        Its layers get new weights at the end of each fit, and where they stand then the next fit begins.
    optimizer, loss, batch_size, learning_rate, l2, clip_norm, schedule, shuffle, seed, n_threads
        As for `Network.fit`.

    Attributes
    ----------
    network : Network
    history : History
        Of the last fit, or of the one that runs.
    epochs_done : int
        In all fits.

    Raises
    ------
    ValueError, TypeError
        If an argument is not in its range, or the loss does not go with the last activation.

    Examples
    --------
    >>> import fastnet as fn
    >>> X, T = [[-1.0, 0.0, 1.0]], [[0, 0, 1]]
    >>> def trainer():
    ...     return fn.Trainer(fn.Network([fn.Layer(1, 1)]), optimizer="adam", batch_size=2, seed=7)
    >>> first, second = trainer(), trainer()
    >>> history = first.fit(X, T, epochs=20)
    >>> second.load_state_dict(first.state_dict())
    >>> first.fit(X, T, epochs=30).loss == second.fit(X, T, epochs=30).loss
    True
    """

    def __init__(
        self,
        network: Network,
        *,
        optimizer: str | Optimizer = "sgd",
        loss: Any = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        l2: float = 0.0,
        clip_norm: float | None = None,
        schedule: str | Schedule | None = None,
        shuffle: bool = True,
        seed: int = 0,
        n_threads: int | None = None,
    ) -> None:
        if not isinstance(network, Network):
            raise TypeError(f"network must be a Network, got {type(network).__name__}")
        self.network = network
        self.history = History()
        self._optimizer = optimizers.resolve(optimizer, learning_rate)
        self._loss = losses.resolve(loss, network._activations()[-1])
        self._batch_size = None if batch_size is None else _validate.integer(batch_size, "batch_size")
        self._l2 = _validate.number(l2, "l2", at_least=0)
        self._clip_norm = None if clip_norm is None else _validate.number(clip_norm, "clip_norm", above=0)
        self._schedule: Schedule | None = None
        if schedule is not None:
            from fastnet.schedules import resolve

            self._schedule = resolve(schedule)
        self._shuffle = _validate.flag(shuffle, "shuffle")
        self._seed = _validate.seed(seed)
        self._n_threads = None if n_threads is None else threads.requested(n_threads)
        self._lbfgs = self._optimizer if isinstance(self._optimizer, optimizers.LBFGS) else None
        self._at = Standing()
        self._core: engine.TrainerCore | None = None  # while there is one, step and moments are its own
        self._batch, self._how = 0, network.preprocessing  # what the core was made for
        self._running = False
        self._stop = ""
        if self._lbfgs is not None:
            from fastnet.training import lbfgs

            lbfgs.refuse(self._batch_size, self._clip_norm, self._schedule, network._dropout())

    @property
    def epochs_done(self) -> int:
        """The epochs of all fits; the next one is shuffled as this number says."""
        return self._at.epochs_done

    def fit(
        self,
        X: ArrayLike,
        T: ArrayLike,
        epochs: int = 100,
        *,
        progress: bool | None = None,
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
    ) -> History:
        """Train for some more epochs and return what happened.

        Parameters
        ----------
        X, T, epochs, progress, sample_weight, class_weight, validation, validation_fraction
            As for `Network.fit`; so are all others.
        early_stopping, tol, patience, metrics, callbacks, max_seconds
            As for `Network.fit`.

        Returns
        -------
        History
            Of these epochs.

        Raises
        ------
        ValueError, TypeError, DivergenceError, RuntimeError
            As `Network.fit`; the trainer then stands where it stood.

        Examples
        --------
        >>> import fastnet as fn
        >>> trainer = fn.Trainer(fn.Network([fn.Layer(1, 1)]), learning_rate=1.0)
        >>> X, T = [[-1.0, 1.0]], [[0, 1]]
        >>> trainer.fit(X, T, epochs=5, metrics=["accuracy"]).metrics["accuracy"][-1]
        1.0
        >>> trainer.epochs_done
        5
        """
        with self._one_at_a_time():
            data, held_out = _examples.prepared(
                self.network,
                self._loss.name,
                (X, T, sample_weight),
                class_weight=class_weight,
                validation=validation,
                fraction=validation_fraction,
                seed=self._seed,
            )
            if self._lbfgs is not None:
                data, held_out = data.in_double(), held_out and held_out.in_double()
            run = Run(
                self,
                data,
                held_out,
                epochs=_validate.integer(self._lbfgs.max_iter if self._lbfgs else epochs, "epochs"),
                progress=None if progress is None else _validate.flag(progress, "progress"),
                early_stopping=_validate.flag(early_stopping, "early_stopping"),
                tol=_validate.number(tol, "tol", at_least=0),
                patience=_validate.integer(patience, "patience", 0),
                metrics=metrics,
                callbacks=callbacks,
                max_seconds=None if max_seconds is None else _validate.rate(max_seconds, "max_seconds"),
            )
            self._do(run, data.n)
        if run.interrupted:
            _validate.warn(run.interrupted)
        return run.history

    def fit_one_epoch(self, X: ArrayLike, T: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Train for one more epoch and return its mean cost; other examples each time, if you like.

        Parameters and errors are those of `Network.fit_one_epoch`. An interrupt comes out of here as
        KeyboardInterrupt, after the network was given the weights of the last whole batch.
        """
        if self._lbfgs is not None:
            raise ValueError("LBFGS takes all its steps in one fit: use fit, not fit_one_epoch")
        with self._one_at_a_time():
            data, _ = _examples.prepared(self.network, self._loss.name, (X, T, sample_weight))
            run = Run(self, data, None, epochs=1, one_by_one=True)
            self._do(run, data.n)
        if run.interrupted:
            raise KeyboardInterrupt(run.interrupted)
        return run.history.loss[-1]

    def stop(self, reason: str = "stopped by a callback") -> None:
        """Make the epoch that a callback was told of the last of the fit.

        Examples
        --------
        >>> import fastnet as fn
        >>> net = fn.Network([fn.Layer(1, 1)])
        >>> net.fit([[1.0]], [[1]], epochs=9, callbacks=[lambda trainer: trainer.stop("enough")])
        History: 1 epoch in ...; enough
        """
        self._stop = str(reason) or "stopped by a callback"

    def weights(self) -> list[tuple[Array, Array]]:
        """Return copies of W and b of each layer as training has them, also while a fit runs."""
        return [(W.copy(), b.copy()) for W, b in zip(*self._now(), strict=True)]

    def predict_proba(self, X: ArrayLike) -> Array:
        """Return the network's output by the weights as training has them now.

        Examples
        --------
        >>> import fastnet as fn
        >>> trainer = fn.Trainer(fn.Network([fn.Layer(2, 1, W=[[1.0, -1.0]])]))
        >>> trainer.predict_proba([[3.0], [3.0]])
        array([[0.5]])
        """
        network = self.network
        X = _validate.examples(X, network.sizes[0], network.dtype)
        return engine.forward(*self._now(), network._activations(), X, standardize=network._standardize())

    def state_dict(self) -> dict[str, Array]:
        """Return where the training stands as plain arrays: weights, optimiser, generator and position.

        Returns
        -------
        dict of str to ndarray
            Copies. ``"config"`` holds all settings as JSON in bytes; the rest are numbers.

        Examples
        --------
        >>> import fastnet as fn
        >>> trainer = fn.Trainer(fn.Network([fn.Layer(2, 1)]), optimizer="adam")
        >>> loss = trainer.fit_one_epoch([[1.0], [0.0]], [[1]])
        >>> state = trainer.state_dict()
        >>> int(state["epochs_done"]), state["moments.first.0.W"].shape
        (1, (1, 2))
        """
        return _state.to_arrays(_state.settings(self), self._standing(), self._now())

    @classmethod
    def from_state_dict(cls, network: Network, state: Mapping[str, Any]) -> Trainer:
        """Return a trainer with the settings of a state, standing where that one stood.

        Raises
        ------
        ValueError
            If the state is of another network, or its schedule is of your own making: then make the trainer
            and call `load_state_dict`.

        Examples
        --------
        >>> import fastnet as fn
        >>> net = fn.Network([fn.Layer(2, 1)])
        >>> state = fn.Trainer(net, optimizer="adam", schedule="adaptive").state_dict()
        >>> fn.Trainer.from_state_dict(net, state).state_dict().keys() == state.keys()
        True
        """
        try:
            trainer = cls(network, **_state.arguments(state))
        except (TypeError, ValueError) as error:
            raise ValueError(f"state must say how its trainer was made: {error}") from None
        trainer.load_state_dict(state)
        return trainer

    def load_state_dict(self, state: Mapping[str, Any], *, strict: bool = True) -> None:
        """Take over a state, and give the network its weights.

        Parameters
        ----------
        state : mapping of str to array_like
            From `state_dict`.
        strict : bool
            All settings must be those of the trainer the state is from. With False only those without which
            the state means nothing: sizes, activations, dtype, loss, kind of optimiser.

        Raises
        ------
        ValueError
            If the state does not fit: every difference is listed, and nothing is changed.

        Examples
        --------
        >>> import fastnet as fn
        >>> single, double = (fn.Network([fn.Layer(1, 1)], dtype=name) for name in ("float32", "float64"))
        >>> fn.Trainer(double).load_state_dict(fn.Trainer(single, learning_rate=0.2).state_dict())
        Traceback (most recent call last):
            ...
        ValueError: state must fit the trainer:
          dtype: 'float32' in the state, 'float64' in the trainer
          optimizer.learning_rate: 0.2 in the state, 0.1 in the trainer
        """
        with self._one_at_a_time():
            at, weights = _state.from_arrays(state, _state.settings(self), _validate.flag(strict, "strict"))
            self._at, self._core = at, None
            self.network._publish(*(weights if at.going_on is None else at.stopping.copied_best()))

    def _rest(self) -> Trainer:
        """Give back the core's memory and keep where the training stands; return the trainer itself."""
        self._at, self._core = self._standing(), None
        return self

    def _going_on_from(self, other: Trainer) -> Trainer:
        """Take over where another trainer of the network stands, and return the trainer itself."""
        ours, theirs = _state.settings(self), _state.settings(other)
        if wrong := _state.differences(theirs, ours, False, "before", "now"):
            raise ValueError("training can go on only as it was:\n  " + "\n  ".join(wrong))
        self._at = other._standing()
        return self

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        if not self.network._fitting.acquire(blocking=False):
            raise RuntimeError("another fit of this network is running: one at a time")
        try:
            yield
        finally:
            self.network._fitting.release()

    def _do(self, run: Run, n: int) -> None:
        """Do a fit; one that fails leaves the trainer where it stood."""
        core, before = self._ready(n), self._standing()
        self.history, self._running, self._stop = run.history, True, ""
        try:
            run.all(core)
        except BaseException as error:
            run.history.stopped = f"{type(error).__name__}: {error}"
            self._at, self._core = before, None
            raise
        finally:
            self._running = False
            run.close()

    def _ready(self, n: int) -> engine.TrainerCore:
        """Return the core with the weights to go on from and what the optimiser keeps."""
        network = self.network
        network._check_weights(*network._weights())
        W, b = self._now()
        batch = n if self._lbfgs is not None else min(n, self._batch_size or 200)
        if self._batch_size is not None and n < self._batch_size:
            _validate.warn(f"batch_size={self._batch_size} is more than the {n} examples: taken as {n}")
        same = self._batch == batch and self._how is network.preprocessing and self._lbfgs is None
        if self._core is not None and same:
            self._core.load_weights(W, b)
            return self._core
        at = self._standing()
        if self._lbfgs is not None:
            W, b = ([array.astype(np.float64) for array in arrays] for arrays in (W, b))
        core = new_core(self, W, b, batch)
        if at.step > 0:
            core.load_moments(at.moments)
            core.step = at.step
        self._at, self._core, self._batch, self._how = at, core, batch, network.preprocessing
        return core

    def _standing(self) -> Standing:
        """Return where the training stands, so that later epochs do not change it."""
        at = self._at.copy()
        if self._core is not None:
            at.step = self._core.step
            at.moments = self._core.moments() if at.step > 0 else {}
        if at.going_on is not None and (self._running or not at.stopping.holds(self.network._weights())):
            at.going_on = None
        return at

    def _now(self) -> Weights:
        """Return the weights to go on from: those of the network, unless it was given the best epoch's."""
        if self._running and self._core is not None:
            return self._of_core(self._core)
        weights, at = self.network._weights(), self._at
        return at.going_on if at.going_on is not None and at.stopping.holds(weights) else weights

    def _of_core(self, core: engine.TrainerCore) -> Weights:
        """Return the weights of the core in the network's dtype: L-BFGS works in float64."""
        W, b = core.weights()
        if self._lbfgs is not None:
            dtype = self.network.dtype
            W, b = [array.astype(dtype) for array in W], [array.astype(dtype) for array in b]
        return W, b
