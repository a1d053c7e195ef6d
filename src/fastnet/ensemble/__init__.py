"""Several networks that predict together: `Ensemble`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnet import threads
from fastnet._core import engine
from fastnet._core.float_mode import in_default_mode
from fastnet._validate import Array
from fastnet.metadata import answers
from fastnet.network import Network

if TYPE_CHECKING:
    from fastnet.predictor import Predictor
    from fastnet.tabular.encoder import TableEncoder

__all__ = ["Ensemble", "EnsemblePredictor", "Targets"]

_ENCODING_FLOPS = 10.0  # that take about as long as to encode one input


@dataclass(frozen=True)
class Targets:
    """How outputs become targets: mean + scale · output, cut to [low, high]; one number for each output.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnet.ensemble import Targets
    >>> targets = Targets(np.array([10.0]), np.array([2.0]), np.array([7.0]), np.array([13.0]))
    >>> targets.of(np.array([[-9.0, 0.5]]))
    array([[ 7., 11.]])
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @in_default_mode
    def of(self, A: Array) -> NDArray[np.float64]:
        """Return the targets of outputs (n_out, n), in float64."""
        mean, scale, low, high = (v[:, None] for v in (self.mean, self.scale, self.low, self.high))
        with np.errstate(over="ignore"):  # an infinity is cut like any number
            targets: NDArray[np.float64] = np.clip(mean + scale * A.astype(np.float64), low, high)
        return targets


class Ensemble:
    """Networks of the same inputs and outputs that predict the mean of what each of them predicts.

    Parameters
    ----------
    networks : sequence of Network
        At least one; of the same number of inputs, kind and number of outputs, and dtype.
    encoder : TableEncoder, optional
        What makes the inputs of a table: see `encode`. It is saved with the networks.
    targets : Targets, optional
        What makes targets of the mean outputs of a regression.

    Attributes
    ----------
    networks : tuple of Network
    encoder : TableEncoder or None
    targets : Targets or None

    Raises
    ------
    ValueError, TypeError
        If there is no network, or they do not go together.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnet as fn
    >>> X = np.linspace(-1.0, 1.0, 12).reshape(1, 12)
    >>> networks = [fn.Network([fn.Layer(1, 4, "tanh"), fn.Layer(4, 1)], seed=k) for k in range(3)]
    >>> _ = fn.train_many(networks, X, X > 0, epochs=50, learning_rate=1.0, seed=[0, 1, 2])
    >>> ensemble = fn.Ensemble(networks)
    >>> ensemble.predict_proba([[-1.0, 1.0]]).round()
    array([[0., 1.]])
    >>> ensemble.spread([[-1.0, 1.0]]).shape
    (1, 2)
    """

    def __init__(
        self,
        networks: Sequence[Network],
        *,
        encoder: TableEncoder | None = None,
        targets: Targets | None = None,
    ) -> None:
        self.networks = tuple(networks)
        if not self.networks:
            raise ValueError("networks must hold at least one Network, got none")
        for k, network in enumerate(self.networks):
            if not isinstance(network, Network):
                raise TypeError(f"networks[{k}] must be a Network, got {type(network).__name__}")
            own, first = _kind(network), _kind(self.networks[0])
            if own != first:
                raise ValueError(f"networks[{k}] must be like networks[0], {first}, got {own}")
        if encoder is not None and encoder.n_features_out_ not in (self.n_in, 0):
            raise ValueError(
                f"encoder must make the {self.n_in} inputs of the networks, got {encoder.n_features_out_}"
            )
        self.encoder = encoder
        self.targets = targets

    @staticmethod
    def from_sklearn(estimator: Any) -> Ensemble:
        """Return the ensemble of a fitted bagging or voting estimator of scikit-learn.

        Parameters
        ----------
        estimator : BaggingClassifier, BaggingRegressor, VotingClassifier or VotingRegressor
            Of members that `fastnet.from_sklearn` takes: MLPs, also behind a StandardScaler. A voting
            classifier needs ``voting="soft"``; weights of the members must be equal.

        Returns
        -------
        Ensemble
            Predicts what the estimator's `predict_proba` or `predict` does, an example in each column. Where
            members saw some of the features only, the weights of the others are 0.

        Raises
        ------
        ValueError, TypeError
            If the estimator is of another kind or not fitted, or a member cannot be taken; it is named.

        Examples
        --------
        >>> import fastnet as fn
        >>> from sklearn.ensemble import BaggingClassifier  # doctest: +SKIP
        >>> bagging = BaggingClassifier(MLPClassifier()).fit(X, y)  # doctest: +SKIP
        >>> ensemble = fn.Ensemble.from_sklearn(bagging)  # doctest: +SKIP
        """
        from fastnet.ensemble.conversion import ensemble_from_sklearn

        return ensemble_from_sklearn(estimator)

    @property
    def n_in(self) -> int:
        """How many inputs the networks take."""
        return self.networks[0].sizes[0]

    @property
    def n_out(self) -> int:
        """How many outputs they have."""
        return self.networks[0].sizes[-1]

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """The names of the classes, those of the first network."""
        return self.networks[0].classes

    def encode(self, table: Any) -> Array:
        """Return the inputs of a table, an example in each column, by the ensemble's encoder.

        Parameters
        ----------
        table : data frame, sparse matrix or array_like, shape (n, columns)

        Returns
        -------
        ndarray, shape (n_in, n)

        Raises
        ------
        ValueError
            If the ensemble has no encoder, or it cannot encode the table.
        """
        if self.encoder is None:
            raise ValueError("the ensemble has no encoder: give it the inputs themselves")
        inputs = self.encoder.transform(table, self.networks[0].dtype).T
        return inputs if len(inputs) else np.zeros((1, inputs.shape[1]), inputs.dtype)

    def predict_members(self, X: ArrayLike, *, n_threads: int | None = None) -> Array:
        """Return the outputs of each network, without `targets`.

        Parameters
        ----------
        X : array_like, shape (n_in, n)
        n_threads : int, optional

        Returns
        -------
        ndarray, shape (networks, n_out, n)
        """
        return np.stack([network.predict_proba(X, n_threads=n_threads) for network in self.networks])

    @in_default_mode
    def predict_proba(self, X: ArrayLike | engine.RawTable, *, n_threads: int | None = None) -> Array:
        """Return the mean of the networks' outputs; with `targets`, the targets that it means, in float64.

        Parameters
        ----------
        X : array_like, shape (n_in, n)
            An example in each column, in the networks' dtype.
        n_threads : int, optional
            At most so many threads; the same bits for any number.

        Returns
        -------
        ndarray, shape (n_out, n)

        Raises
        ------
        ValueError, TypeError
            As `Network.predict_proba`.
        """
        if isinstance(X, engine.RawTable):
            return self._in_blocks(self.predict_proba, X, n_threads)
        total = self.networks[0].predict_proba(X, n_threads=n_threads)
        for network in self.networks[1:]:
            total += network.predict_proba(X, n_threads=n_threads)
        return _finished(total, len(self.networks), self.targets)

    def predict(self, X: ArrayLike, *, n_threads: int | None = None) -> Array:
        """Return the answer for each example, as `Network.predict` of the mean outputs.

        Parameters
        ----------
        X : array_like, shape (n_in, n)
            An example in each column, in the networks' dtype.
        n_threads : int, optional
            At most so many threads; the same bits for any number.

        Returns
        -------
        ndarray, shape (n,), or (n_out, n) for several outputs that are no classes
            Labels if the networks tell classes apart: of `classes`, or numbers from 0 without them. 0 or 1
            for each of several sigmoids. Otherwise as `predict_proba`.

        Raises
        ------
        ValueError, TypeError
            As `Network.predict_proba`.

        Examples
        --------
        >>> import fastnet as fn
        >>> networks = [fn.Network([fn.Layer(2, 1, W=[[w, -w]])]) for w in (1.0, 2.0)]
        >>> networks[0].classes = ["right", "left"]
        >>> fn.Ensemble(networks).predict([[3.0, 1.0], [1.0, 3.0]])
        array(['left', 'right'], dtype='<U5')
        """
        A = self.predict_proba(X, n_threads=n_threads)
        return answers(A, self.networks[0].output, self.classes)

    @in_default_mode
    def spread(self, X: ArrayLike | engine.RawTable, *, n_threads: int | None = None) -> Array:
        """Return how far the networks disagree: the standard deviation of their outputs, (n_out, n).

        With `targets` it is that of the targets, not cut. It tells where the networks know little of the
        data; it is no interval with a probability.
        """
        if isinstance(X, engine.RawTable):
            return self._in_blocks(self.spread, X, n_threads)
        spread: Array = self.predict_members(X, n_threads=n_threads).astype(np.float64).std(axis=0)
        return spread if self.targets is None else spread * self.targets.scale[:, None]

    def _in_blocks(self, predict: Any, X: engine.RawTable, n_threads: int | None) -> Array:
        """Return what all members say of a raw table; a block of it is encoded for all of them at a time."""
        dtype, (inputs, n), found = self.networks[0].dtype, X.shape, []
        step = max(engine.BLOCK_ROWS, engine.RAW_BLOCK_BYTES // (inputs * dtype.itemsize))
        for first in range(0, max(n, 1), step):
            count = min(step, n - first)
            team = threads.threads_for(_ENCODING_FLOPS * inputs * count, n_threads)
            found.append(predict(X.encoded(dtype.name, first, count, team).T, n_threads=n_threads))
        return found[0] if len(found) == 1 else np.concatenate(found, axis=1)

    def compile(self) -> EnsemblePredictor:
        """Return a frozen predictor of all networks: see `Network.compile`.

        Examples
        --------
        >>> import fastnet as fn
        >>> networks = [fn.Network([fn.Layer(2, 1, W=[[w, -w]])]) for w in (1.0, 2.0)]
        >>> fn.Ensemble(networks).compile()([3.0, 3.0])
        array([0.5])
        """
        return EnsemblePredictor([network.compile() for network in self.networks], self.targets)

    def __len__(self) -> int:
        return len(self.networks)

    def __repr__(self) -> str:
        sizes = sorted({"-".join(map(str, network.sizes)) for network in self.networks})
        count = f"{len(self)} network{'s' if len(self) > 1 else ''}"
        behind = "" if self.encoder is None else f", behind {self.encoder!r}"
        return f"Ensemble of {count} {' and '.join(sizes)}, {self.networks[0].dtype}{behind}"


class EnsemblePredictor:
    """An ensemble as it was when it was compiled: predicts, with the bits of `Ensemble.predict_proba`.

    Threads may call it at the same time.
    """

    def __init__(self, predictors: Sequence[Predictor], targets: Targets | None) -> None:
        self._predictors = tuple(predictors)
        self._targets = targets

    @in_default_mode
    def __call__(self, x: ArrayLike, *, n_threads: int | None = None) -> Array:
        """Return the outputs for one example, (n_out,), or for many in columns, (n_out, n)."""
        if type(x) is np.ndarray and x.ndim == 1 and self._targets is None:
            try:
                return engine.mean_of_one(self.cores(), x)
            except (ValueError, TypeError):  # the first predictor says what is wrong, or makes its core anew
                pass
        return self._with_care(x, n_threads)

    def cores(self) -> list[engine.PredictorCore]:
        """Return what the core has of each network."""
        return [predictor.core for predictor in self._predictors]

    def __len__(self) -> int:
        return len(self._predictors)

    def _with_care(self, x: Any, n_threads: int | None) -> Array:
        first, *others = self._predictors
        total = first(x, n_threads=n_threads)
        for predictor in others:
            total += predictor(x, n_threads=n_threads)
        if total.ndim == 2:
            return _finished(total, len(self._predictors), self._targets)
        return _finished(total[:, None], len(self._predictors), self._targets)[:, 0]

    def __repr__(self) -> str:
        return f"EnsemblePredictor of {len(self._predictors)}: {self._predictors[0]!r}"


def _finished(total: Array, count: int, targets: Targets | None) -> Array:
    """Return what the sum of so many outputs, (n_out, n), means; in its place where it can."""
    total /= count
    return total if targets is None else targets.of(total)


def _kind(network: Network) -> str:
    """Say what networks of one ensemble have in common."""
    return f"{network.sizes[0]} inputs, {network.sizes[-1]} outputs, {network.output}, {network.dtype}"


def ensemble_of(model: Any, name: str = "network") -> Ensemble:
    """Return what a network, an ensemble or a fitted estimator for tables predicts with, as an ensemble.

    Raises
    ------
    TypeError, ValueError
        If it is something else, or an estimator that is not fitted.

    Examples
    --------
    >>> import fastnet as fn
    >>> len(ensemble_of(fn.Network([fn.Layer(2, 1)])))
    1
    """
    if isinstance(model, Network):
        return Ensemble([model])
    found = getattr(model, "ensemble_", model)
    if isinstance(found, Ensemble):
        return found
    kind = type(model).__name__
    if any(cls.__module__ == "fastnet.tabular.estimators" for cls in type(model).__mro__):
        raise ValueError(f"{name} must be fitted, got a {kind} that is not")
    raise TypeError(
        f"{name} must be a Network, an Ensemble, a TabularClassifier or a TabularRegressor, got {kind}"
    )


def check_targets(targets: Any, n_out: int) -> Targets:
    """Return targets whose four vectors are finite, of the right length, and in order."""
    vectors = [np.asarray(v, np.float64) for v in (targets.mean, targets.scale, targets.low, targets.high)]
    for name, vector in zip(("mean", "scale", "low", "high"), vectors, strict=True):
        if vector.shape != (n_out,) or not np.isfinite(vector).all():
            raise ValueError(f"targets.{name} must be {n_out} finite numbers, got {vector!r:.80}")
    if (vectors[2] > vectors[3]).any():
        raise ValueError("targets.low must not be above targets.high")
    return Targets(*vectors)
