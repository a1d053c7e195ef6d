"""Trainer: the training of a network over several fits, to be stopped, saved and resumed.

No array arithmetic happens here. An epoch is one call into the core, which owns its copy of the weights; the
network gets new ones when a fit has ended well, so one that fails has changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastnet import _examples, _validate, threads
from fastnet._core import engine
from fastnet._core.float_mode import in_default_mode
from fastnet._validate import Array
from fastnet.history import DivergenceError, History
from fastnet.metadata import class_numbers, class_weight_numbers
from fastnet.network import Network
from fastnet.training import state_dict as _state_dict
from fastnet.training.loop import FitLoop
from fastnet.training.settings import FitOptions, Settings
from fastnet.training.state import TrainingState, Weights, same_weights

if TYPE_CHECKING:
    from fastnet._examples import Examples, TrainingData
    from fastnet.callbacks import Callback
    from fastnet.metadata import Standardize
    from fastnet.optimizers import Optimizer
    from fastnet.schedules import Schedule
    from fastnet.streaming import Stream

__all__ = ["DivergenceError", "History", "Trainer"]


ONE_EPOCH = FitOptions(epochs=1, metrics={}, one_by_one=True)


class _Session(NamedTuple):
    """Where a trainer stands between two fits, replaced as a whole.

    While there is a core, step and moments are its own; the rest says what it was made for.
    """

    state: TrainingState
    core: engine.TrainerCore | None = None
    batch: int = 0
    preprocessing: Standardize | None = None
    isa: str = ""


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
    >>> fn.Trainer(fn.Network([fn.Layer(1, 1)]), optimizer="sgd")
    Trainer of a network 1-1: SGD(learning_rate=0.1, momentum=0.0, nesterov=False), loss 'bce', 0 epochs done
    """

    @in_default_mode
    def __init__(
        self,
        network: Network,
        *,
        optimizer: str | Optimizer = "adam",
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
        settings = Settings.check(
            network.layers[-1].activation,
            [layer.dropout for layer in network.layers],
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
        settings.check_precision(network.dtype)
        self._stand(network, settings, History(), TrainingState())

    def _stand(self, network: Network, settings: Settings, history: History, state: TrainingState) -> None:
        """Stand between two fits, with settings that were checked for this network."""
        self.network = network
        self.history = history
        self.settings = settings
        self.keeps_core = (
            True  # after a fit; else moments and step go back to plain arrays, and memory is freed
        )
        self._session = _Session(state)
        self._loop: FitLoop | None = None  # of the fit that runs
        self._stop_reason = ""
        self.advice = ""  # what to tell the user of a loss that has hardly moved; a callback may take it away

    @property
    def epochs_done(self) -> int:
        """The epochs of all fits; the next one is shuffled as this number says."""
        state = self._session.state if self._loop is None else self._loop.state
        return state.epochs_done

    @in_default_mode
    def fit(
        self,
        X: ArrayLike | Stream,
        T: ArrayLike | None = None,
        epochs: int = 100,
        *,
        progress: bool | None = None,
        rows: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[Any, float] | str | None = None,
        validation: Sequence[ArrayLike] | None = None,
        validation_fraction: float = 0.0,
        validation_rows: ArrayLike | None = None,
        early_stopping: bool | Literal["calibrated"] = False,
        tol: float = 1e-4,
        patience: int = 10,
        metrics: Sequence[str | Callable[[Any, Any], float]] = (),
        callbacks: Sequence[Callback | Callable[[Trainer], Any]] = (),
        max_seconds: float | None = None,
    ) -> History:
        """Train for some more epochs and return what happened.

        Parameters
        ----------
        X, T, epochs, progress, rows, sample_weight, class_weight
            As for `Network.fit`; so are all others.
        validation, validation_fraction, validation_rows
            As for `Network.fit`.
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
        options = FitOptions.check(
            epochs=self.settings.lbfgs.max_iter if self.settings.lbfgs else epochs,
            progress=progress,
            early_stopping=early_stopping,
            tol=tol,
            patience=patience,
            metrics=metrics,
            max_seconds=max_seconds,
        )
        loop = self._run_alone(
            *(X, T, sample_weight, options, callbacks, self.keeps_core),
            class_weight=class_weight,
            validation=validation,
            fraction=validation_fraction,
            rows=rows,
            validation_rows=validation_rows,
        )
        if loop.interrupted:
            _validate.warn(loop.interrupted)
        if self.advice:
            _validate.warn(self.advice)
        return loop.history

    @in_default_mode
    def fit_one_epoch(
        self, X: ArrayLike | Stream, T: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> float:
        """Train for one more epoch and return its mean cost; other examples each time, if you like.

        Parameters and errors are those of `Network.fit_one_epoch`. An interrupt comes out of here as
        KeyboardInterrupt, after the network was given the weights of the last whole batch.
        """
        if self.settings.lbfgs is not None:
            raise ValueError("LBFGS takes all its steps in one fit: use fit, not fit_one_epoch")
        loop = self._run_alone(X, T, sample_weight, ONE_EPOCH, (), True)
        if loop.interrupted:
            raise KeyboardInterrupt(loop.interrupted)
        return loop.history.loss[-1]

    def stop(self, reason: str = "stopped by a callback") -> None:
        """Stop the fit after this epoch; for callbacks to call.

        Examples
        --------
        >>> import fastnet as fn
        >>> net = fn.Network([fn.Layer(1, 1)])
        >>> net.fit([[1.0]], [[1]], epochs=9, callbacks=[lambda trainer: trainer.stop("enough")])
        History: 1 epoch in ...; enough
        """
        self._stop_reason = str(reason) or "stopped by a callback"

    @property
    def stop_reason(self) -> str:
        """Why a callback has asked the fit to end, or ""."""
        return self._stop_reason

    def use_threads(self, n: int) -> int:
        """Let the next epochs of the fit that runs have at most n threads; for callbacks to call.

        Returns
        -------
        int
            How many they may have: no more than the fit began with (see `n_threads`), and no more than are of
            use for its batches. The bits are the same for any number.

        Raises
        ------
        ValueError, TypeError
            If n is not a whole number of 1 to 256.

        Examples
        --------
        >>> import fastnet as fn
        >>> net = fn.Network([fn.Layer(1, 1)])
        >>> history = net.fit([[1.0]], [[1]], epochs=2, callbacks=[lambda trainer: trainer.use_threads(1)])
        """
        n = _validate.integer(n, "n", 1, threads.MOST + 1)
        core = None if self._loop is None else self._loop.core
        return core.use_threads(n) if isinstance(core, engine.TrainerCore) else 1

    def weights(self) -> list[tuple[Array, Array]]:
        """Return copies of W and b of each layer as training has them, also while a fit runs."""
        return [(W.copy(), b.copy()) for W, b in zip(*self._current_weights(), strict=True)]

    def predict_proba(self, X: ArrayLike | Stream) -> Array:
        """Return the network's output by the weights as training has them now.

        X is read as by `Network.predict_proba`: of another dtype block by block if it is large.

        Raises
        ------
        ValueError, TypeError
            As `Network.predict_proba`.

        Examples
        --------
        >>> import fastnet as fn
        >>> trainer = fn.Trainer(fn.Network([fn.Layer(2, 1, W=[[1.0, -1.0]])]))
        >>> trainer.predict_proba([[3.0], [3.0]])
        array([[0.5]])
        """
        from fastnet.streaming import passes

        network = self.network
        W, b, activations, standardize = network.core_arguments(self._current_weights())

        def predict(X: Array) -> Array:
            network.check_weights(W, b)
            return engine.forward(W, b, activations, X, standardize=standardize)

        if passes.is_in_pieces(X, network.dtype):  # without a bar: a fit may show one
            sizes = network.sizes[0], network.sizes[-1]
            return passes.predict_blocks(predict, X, *sizes, network.dtype, progress=False)
        return predict(_validate.examples(X, network.sizes[0], network.dtype))

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
        return _state_dict.to_arrays(self._config(), self._current_state(), self._current_weights())

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
            trainer = cls(network, **_state_dict.trainer_arguments(state))
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
          optimizer.learning_rate: 0.2 in the state, 0.01 in the trainer
        """
        claim = self.network.fits.enter()
        try:
            self._check_claim(claim)
            now, weights = _state_dict.from_arrays(
                state, self._config(), _validate.flag(strict, "strict"), self.settings.schedule
            )
            best = None if now.last_weights is None else now.early_stopping.copied_best()
            self.network.publish(*(weights if best is None else best))
            self._session = _Session(now)
        finally:
            self.network.fits.leave(claim)

    def resume_from(self, other: Trainer) -> None:
        """Take over where another trainer of the network stands.

        Raises
        ------
        ValueError
            If it has another optimiser or loss.

        Examples
        --------
        >>> import fastnet as fn
        >>> net = fn.Network([fn.Layer(1, 1)])
        >>> first, second = fn.Trainer(net, learning_rate=0.1), fn.Trainer(net, learning_rate=0.01)
        >>> history = first.fit([[-1.0, 1.0]], [[0, 1]], epochs=5)
        >>> second.resume_from(first)
        >>> second.epochs_done
        5
        """
        if wrong := _state_dict.setting_differences(other._config(), self._config(), False, "before", "now"):
            raise ValueError("training can go on only as it was:\n  " + "\n  ".join(wrong))
        self._session = _Session(other._current_state())

    def __repr__(self) -> str:
        sizes = "-".join(map(str, self.network.sizes))
        settings = self.settings
        return (
            f"Trainer of a network {sizes}: {settings.optimizer!r}, loss {settings.loss.name!r}, "
            f"{self.epochs_done} epoch{'' if self.epochs_done == 1 else 's'} done"
        )

    def __getstate__(self) -> dict[str, Any]:
        """Return network, settings, history, and where the training stands as a state_dict."""
        kept = {name: getattr(self, name) for name in ("network", "history", "settings", "keeps_core")}
        return kept | {"state": self.state_dict()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        arrays = state.pop("state")
        self.__dict__.update(state)
        self._loop, self._stop_reason, self.advice = None, "", ""
        now, weights = _state_dict.from_arrays(arrays, self._config(), True)
        if now.last_weights is None and not same_weights(weights, self.network.weights()):
            self.network.publish(*weights)  # the copy was made in the middle of a fit
        self._session = _Session(now)

    @classmethod
    def after_fit(
        cls, network: Network, settings: Settings, history: History, state: TrainingState
    ) -> Trainer:
        """Return what goes on after a first fit of a network that did without a trainer: `train_many`'s."""
        trainer = cls.__new__(cls)
        trainer._stand(network, settings, history, state)
        return trainer

    def _config(self) -> dict[str, Any]:
        """Return what the bits of the training depend on, as a state_dict holds it."""
        return _state_dict.trainer_config(self.network.structure(), self.settings)

    def _checked_examples(
        self, X: Any, T: Any, sample_weight: Any, metrics: bool, **how: Any
    ) -> tuple[TrainingData, Examples | None, Any]:
        """Return what to train on, what is held out, and classes found; in float64 for L-BFGS."""
        network, settings = self.network, self.settings
        shape = (settings.loss.name, network.sizes[0], network.sizes[-1], network.dtype)
        if not isinstance(X, (np.ndarray, list, tuple, engine.RawTable)):
            from fastnet.streaming.passes import streamed_examples

            streamed = streamed_examples(
                X, T, sample_weight, *shape, whole=metrics or settings.lbfgs is not None, **how
            )
            if streamed is not None:
                return *streamed, None
        kind = network.output, network.sizes[-1]
        T, classes = class_numbers(T, network.classes, *kind)
        if how.get("class_weight") is not None:
            how["class_weight"] = class_weight_numbers(how["class_weight"], classes or network.classes)
        if isinstance(how.get("validation"), (tuple, list)) and len(how["validation"]) > 1:
            X_other, T_other, *rest = how["validation"]
            T_other, _ = class_numbers(T_other, classes or network.classes, *kind)
            how["validation"] = X_other, T_other, *rest
        data, held_out = _examples.prepare_fit_data(X, T, sample_weight, *shape, seed=settings.seed, **how)
        if settings.lbfgs is not None:
            data, held_out = _examples.to_double(data), held_out and held_out.in_double()
        return data, held_out, classes

    def _check_claim(self, claim: Any) -> None:
        """RuntimeError if there is no claim, for another fit of the network is running."""
        if claim is None:
            raise RuntimeError("another fit of this network is running: one at a time")
        self._loop = None  # if there is one, an interrupt has ended it before it could be forgotten

    def _run_alone(
        self,
        X: Any,
        T: Any,
        sample_weight: Any,
        options: FitOptions,
        callbacks: Any,
        keeps_core: bool,
        **how: Any,
    ) -> FitLoop:
        """Check the examples and run a fit, while no other fit of the network runs."""
        claim = self.network.fits.enter()
        try:
            self._check_claim(claim)
            checked = self._checked_examples(X, T, sample_weight, bool(options.metrics), **how)
            data, held_out, classes = checked
            loop = self._run_fit(data, held_out, options, callbacks, keeps_core)
            if classes is not None:
                self.network.classes = classes
            return loop
        finally:
            self.network.fits.leave(claim)

    def _run_fit(
        self,
        data: TrainingData,
        held_out: Examples | None,
        options: FitOptions,
        callbacks: Any,
        keeps_core: bool,
    ) -> FitLoop:
        """Run a fit and give the network its new weights; one that fails leaves trainer and network alone."""
        observer = None
        if not (type(callbacks) is tuple and not callbacks):
            from fastnet.callbacks import CallbackList

            observer = CallbackList(callbacks, self)
        network = self.network
        options.check_calibrated(self.settings.loss.name, validated=held_out is not None)
        before = self._session.state if self._session.core is None else self._current_state()
        batch = self.settings.batch(data.n)
        loop = FitLoop(
            *(self._prepare_core(before, batch), self.settings, before.copy(), data, held_out, options),
            batch=batch,
            dtype=network.dtype,
        )
        loop.observer = observer
        preprocessing = network.preprocessing
        self._session = _Session(before)  # what an error goes back to: the loop moves a copy, and the core
        self.history, self._stop_reason, self.advice = loop.history, "", ""
        try:
            self._loop = loop
            loop.run()
            after = _Session(loop.state, loop.core, loop.batch, preprocessing, engine.active())
            if not keeps_core:
                after = _without_core(after)
            network.publish(*loop.result)  # all that may fail is done
            self._session = after
            self.advice = loop.advice
        except BaseException as error:
            loop.history.stopped = f"{type(error).__name__}: {error}"
            raise
        finally:
            self._loop = None
            loop.close()
            if observer is not None:
                observer.on_train_end()
        return loop

    def _prepare_core(self, state: TrainingState, batch: int) -> engine.TrainerCore:
        """Return the core with the weights to go on from and what the optimiser keeps."""
        network, settings, session = self.network, self.settings, self._session
        weights = network.weights()
        if session.state.last_weights is not None:
            weights = self._current_weights()
        made_for = session.batch, session.preprocessing, session.isa
        needed = batch, network.preprocessing, engine.active()
        if session.core is not None and made_for == needed and settings.lbfgs is None:
            core = session.core
            core.load_weights(*weights)
        else:
            dtype = np.dtype(np.float64) if settings.lbfgs is not None else network.dtype
            n_threads = threads.threads_for(network.flops(batch), settings.n_threads)
            core = network.trainer_core(batch, n_threads, settings.core_options(), weights, dtype)
            if state.step > 0:
                core.load_moments(state.moments)
                core.step = state.step
        if not core.finite():
            network.check_weights(*weights)  # says which
        return core

    def _current_state(self) -> TrainingState:
        """Return where the training stands, as a copy that later epochs do not change."""
        loop, session = self._loop, self._session
        state, core = (session.state, session.core) if loop is None else (loop.state, loop.core)
        state = state.copy()
        if core is not None:
            state.step = core.step
            state.moments = core.moments() if state.step > 0 else {}
        if state.last_weights is not None and (
            loop is not None or not state.early_stopping.best_are(self.network.weights())
        ):
            state.last_weights = None
        return state

    def _current_weights(self) -> Weights:
        """Return the weights to go on from: those of the network, unless it was given the best epoch's."""
        if self._loop is not None:
            return self._loop.weights()
        weights, state = self.network.weights(), self._session.state
        last = state.last_weights
        return last if last is not None and state.early_stopping.best_are(weights) else weights


def _without_core(session: _Session) -> _Session:
    """Return a session whose step and moments are in the state, so that the core's memory can go."""
    assert session.core is not None
    state = session.state
    state.step = session.core.step
    state.moments = session.core.moments() if state.step > 0 else {}
    return _Session(state)
