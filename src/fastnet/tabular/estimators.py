"""Scikit-learn estimators for tables: `TabularClassifier` and `TabularRegressor`."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import Tags, assert_all_finite, check_random_state, column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from fastnet import _validate
from fastnet._core.float_mode import in_default_mode
from fastnet._docstrings import describe
from fastnet._examples import FoldRows
from fastnet.ensemble import Ensemble, Targets
from fastnet.losses import Quantile
from fastnet.tabular.columns import Piecewise
from fastnet.tabular.encoder import Column, TableEncoder
from fastnet.tabular.predictor import TablePredictor
from fastnet.tabular.reading import take_rows
from fastnet.tabular.recipe import CLASSES, NUMBERS, TOLD_APART, Recipe, folds
from fastnet.tabular.tooltips import DescribedEstimator
from fastnet.tabular.training import Job, Member, train_members, widest

__all__ = ["TabularClassifier", "TabularRegressor"]

Array = NDArray[Any]
_FEWEST = 10  # examples from which on there are folds


class _Tabular(DescribedEstimator):
    """What both estimators have in common."""

    def __init__(
        self,
        members: int = 5,
        *,
        epochs: int | None = None,
        width: int = 128,
        piecewise: Piecewise | Literal["auto"] = "auto",
        encoder: TableEncoder | None = None,
        time_limit: float | None = None,
        random_state: Any = None,
        n_threads: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.members = members
        self.epochs = epochs
        self.width = width
        self.piecewise = piecewise
        self.encoder = encoder
        self.time_limit = time_limit
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose

    @property
    def columns_(self) -> list[Column]:
        """What was found in each column of the table, and what is done with it."""
        check_is_fitted(self)
        return self.encoder_.columns_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.non_deterministic = False
        return tags

    def _weights(self, sample_weight: Any, X: Any) -> NDArray[np.float64] | None:
        if sample_weight is None:
            return None
        weights: NDArray[np.float64] = _check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )
        return weights

    def _fit(
        self,
        X: Any,
        T: Array,
        weights: NDArray[np.float64] | None,
        validation: tuple[Any, Array] | None,
        *,
        labels: NDArray[np.intp] | None,
        recipe: Recipe,
        loss: Quantile | None = None,
    ) -> list[Member]:
        """Encode, train the members and return them; T is (n_out, n)."""
        count = _validate.integer(self.members, "members")
        epochs = None if self.epochs is None else _validate.integer(self.epochs, "epochs")
        width = _validate.integer(self.width, "width")
        verbose = _validate.flag(bool(self.verbose), "verbose")
        piecewise = bool(self.piecewise) if isinstance(self.piecewise, np.bool_) else self.piecewise
        if not isinstance(piecewise, bool) and piecewise not in ("auto", "values"):
            raise ValueError(f"piecewise must be True, False, 'values' or 'auto', got {piecewise!r}")
        deadline = np.inf
        if self.time_limit is not None:
            deadline = time.perf_counter() + _validate.rate(self.time_limit, "time_limit")
        if weights is not None and not weights.all():  # a row of weight 0 is not there
            there = np.flatnonzero(weights)
            X, T, weights = take_rows(X, there), T[:, there], weights[there]
            labels = None if labels is None else labels[there]
        encoder = TableEncoder() if self.encoder is None else self.encoder
        self.encoder_ = TableEncoder(**encoder.get_params())
        table = self.encoder_.fit_read(X)
        n = len(table)
        seed = int(check_random_state(self.random_state).randint(2**31))
        rows: list[Any]
        held_out: list[Any]
        if validation is not None:
            table_held_out, T_held_out = self.encoder_.read(validation[0]), validation[1]
            rows = [np.arange(n)] * count
            held_out = [np.arange(n, n + len(table_held_out))] * count
            table, T = table.followed_by(table_held_out), np.concatenate([T, T_held_out], axis=1)
            if weights is not None:
                weights = np.concatenate([weights, np.ones(len(table_held_out))])
        elif n < _FEWEST:
            rows = held_out = [np.arange(n)] * count
        else:
            parts = max(2, min(5 if count == 1 else count, n // 2))
            fold = folds(n, parts, seed, labels).astype(np.min_scalar_type(-parts - 1))
            rows = [FoldRows(fold, k % parts, held_out=False) for k in range(count)]
            held_out = [FoldRows(fold, k % parts, held_out=True) for k in range(count)]
        job = Job(
            table=table,
            T=T,
            weights=weights,
            rows=rows,
            held_out=held_out,
            parts=self.encoder_.input_parts() if table.columns else np.array(["always"]),
            recipe=recipe,
            smoothed_recipe=None if labels is None else TOLD_APART,
            last="identity" if labels is None else "softmax",
            width=width,
            epochs=recipe.most_epochs(min(map(len, rows))) if epochs is None else epochs,
            seed=seed,
            n_threads=self.n_threads,
            progress=verbose,
            deadline=deadline,
            loss=loss,
        )
        members = train_members(job, piecewise)
        self.encoder_ = self.encoder_.reduced(widest(members))
        self.histories_ = [one.history for one in members]
        self.piecewise_ = [one.piecewise for one in members]
        return members

    def compile(self) -> TablePredictor:
        """Return a frozen predictor for single rows of numbers and codes, for serving.

        It answers in microseconds, with the bits of the estimator: see `fastnet.tabular.TablePredictor`.
        """
        check_is_fitted(self)
        return TablePredictor(self.ensemble_)

    def _outputs(self, X: Any) -> Array:
        """Return what the ensemble predicts, (n, n_out)."""
        check_is_fitted(self)
        _check_columns(self, X, reset=False)
        rows = self.encoder_.read(X).inputs()
        return np.ascontiguousarray(self.ensemble_.predict_proba(rows, n_threads=self.n_threads).T)


_PARAMETERS = """members : int
        Networks whose predictions are averaged. Each is validated on a fold of its own, and trained on the
        others.
    epochs : int, optional
        How often a network visits each example at most; by default 128 times, with more than 10 000 to train
        on for 5 000 steps, but at least 40 times. Mostly it ends before: where the validation loss was lowest
        at epoch b, and did not fall in 4 + b/4 further ones; with classes, the loss after the best
        temperature (``early_stopping="calibrated"`` of `fastnet.Network.fit`) in 1 + b/2 further ones. In any
        case it waits for 16 steps.
    width : int
        Units in each of the hidden layers: two, or three with more than two classes or targets. Where
        `piecewise` is chosen and the first member tells nearly all held-out rows apart, the members have two,
        or with 32 columns of numbers and more one of twice the width, and learn from smoothed labels
        (`losses.CrossEntropy`).
    piecewise : bool, "values" or "auto"
        Whether the networks get the bins of numbers besides the numbers, and with "values" also the repeated
        values of columns of amounts; "auto" tries all on the first fold.
    encoder : TableEncoder, optional
        Not fitted; with other bins or with kinds of columns that are told.
    time_limit : float, optional
        Seconds for a fit. Members that have not begun by then are left out; those at work end after their
        epoch. The first has at least one.
    random_state : int, RandomState instance or None
        Of folds, weights, shuffles and dropout. The same number gives the same bits.
    n_threads : int, optional
        At most so many members are trained at a time (see `fastnet.threads`); the same bits for any number.
        Inside of ``joblib.parallel_config("dask")`` the members are tasks on the cluster, with the same bits.
    verbose : bool
        Show the progress over the epochs of all members."""

_ATTRIBUTES = """encoder_ : TableEncoder
        As it was fitted, without the bins and repeated values that no member has.
    columns_ : list of Column
        The kinds of the columns that were found.
    ensemble_ : fastnet.Ensemble
        The networks with the encoder. ``fastnet.save(estimator, path)`` writes all to one file.
    histories_ : list of fastnet.History
        Of each member.
    piecewise_ : list of bool or "values"
        Whether a member has the bins, or bins and repeated values.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        If the columns have names."""


class TabularClassifier(ClassifierMixin, _Tabular):  # type: ignore[misc]
    """Classify the rows of a table: numbers, texts, booleans and dates, with gaps, as they come.

    A `TableEncoder` makes the inputs of an ensemble of small networks, which are trained on folds of the data
    with early stopping. How it compares with boosting is in docs/tables.md.

    Parameters
    ----------
    {parameters}
    class_weight : dict, "balanced" or None
        Weights by class, as in scikit-learn.

    Attributes
    ----------
    classes_ : ndarray
        The labels in order.
    {attributes}

    Examples
    --------
    >>> import numpy as np
    >>> from fastnet.tabular import TabularClassifier
    >>> X = np.array([["red", 1.0], ["blue", None], ["red", 3.0], ["blue", 4.0]] * 20, dtype=object)
    >>> model = TabularClassifier(members=3, random_state=0).fit(X, X[:, 0] == "red")
    >>> model.predict(np.array([["red", 2.0], ["blue", 2.0]], dtype=object))
    array([ True, False])
    """

    def __init__(
        self,
        members: int = 5,
        *,
        epochs: int | None = None,
        width: int = 128,
        piecewise: Piecewise | Literal["auto"] = "auto",
        encoder: TableEncoder | None = None,
        class_weight: Any = None,
        time_limit: float | None = None,
        random_state: Any = None,
        n_threads: int | None = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            members,
            epochs=epochs,
            width=width,
            piecewise=piecewise,
            encoder=encoder,
            time_limit=time_limit,
            random_state=random_state,
            n_threads=n_threads,
            verbose=verbose,
        )
        self.class_weight = class_weight

    @in_default_mode
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, eval_set: Any = None) -> Self:
        """Learn to tell the classes of rows.

        Parameters
        ----------
        X : data frame, sparse matrix or array_like, shape (n, columns)
        y : array_like, shape (n,)
            Labels of at least two classes.
        sample_weight : array_like, shape (n,), optional
            How much each row counts, at least 0. A row of weight 0 is as good as not there.
        eval_set : (X, y), optional
            Rows to validate on: all members are then trained on all rows of X, from other weights.

        Returns
        -------
        TabularClassifier
            Itself.

        Raises
        ------
        ValueError, TypeError
            If an argument has the wrong shape or value, or there is one class only.

        Warns
        -----
        UserWarning
            If it was interrupted (Ctrl-C): the members that were done by then are kept.
        """
        y = _target(self, X, y)
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        weights = self._weights(sample_weight, X)
        classes, labels = np.unique(y, return_inverse=True)
        labels = labels.astype(np.min_scalar_type(len(classes)))  # a byte in place of eight
        present = np.unique(labels if weights is None else labels[weights > 0])
        if len(present) < 2:
            raise ValueError(f"y must hold at least two classes, got {len(present)} class")
        if self.class_weight is not None:
            there = (
                None if weights is None or isinstance(self.class_weight, dict) else np.flatnonzero(weights)
            )
            by_class = compute_sample_weight(self.class_weight, y, indices=there)
            weights = by_class if weights is None else weights * by_class
        T = np.zeros((len(classes), len(y)), np.float32)
        T[labels, np.arange(len(y))] = 1
        validation = None
        if eval_set is not None:
            X_held_out, y_held_out = eval_set
            known = np.searchsorted(classes, np.asarray(y_held_out)).clip(0, len(classes) - 1)
            if (classes[known] != np.asarray(y_held_out)).any():
                raise ValueError("eval_set must hold classes of y, got others")
            validation = (X_held_out, np.eye(len(classes), dtype=np.float32)[:, known])
        members = self._fit(X, T, weights, validation, labels=labels, recipe=CLASSES)
        for one in members:
            with suppress(ValueError, TypeError):  # a whole number that needs 65 bits: it has none then
                one.network.classes = classes
        self.classes_ = classes
        self.ensemble_ = Ensemble([one.network for one in members], encoder=self.encoder_)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probabilities of the classes, (n, classes), in the order of ``classes_``."""
        return self._outputs(X).astype(np.float64)

    @in_default_mode
    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the logarithms of the probabilities, (n, classes)."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> Array:
        """Return the most probable class of each row, (n,)."""
        which = self._outputs(X).argmax(axis=1)
        found: Array = self.classes_[which]
        return found

    @in_default_mode
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the part of the rows whose class `predict` gives, weighted if so asked for.

        Parameters
        ----------
        X : data frame, sparse matrix or array_like, shape (n, columns)
        y : array_like, shape (n,)
        sample_weight : array_like, shape (n,), optional
        """
        return float(super().score(X, y, sample_weight))


class TabularRegressor(RegressorMixin, _Tabular):  # type: ignore[misc]
    """Predict numbers from the rows of a table: numbers, texts, booleans and dates, with gaps, as they come.

    A `TableEncoder` makes the inputs of an ensemble of small networks, which are trained on folds of the data
    with early stopping, by the squared error of the standardised target. Predictions are cut to the range of
    the targets of `fit`. How it compares with boosting is in docs/tables.md.

    Parameters
    ----------
    {parameters}
    quantile : float, optional
        Above 0 and below 1: predict this quantile of the target, by the pinball loss, in place of its mean.
        Two models, of 0.05 and 0.95, make an interval that holds 90 % of the targets.

    Attributes
    ----------
    vector_target_ : bool
        Whether y was a vector.
    {attributes}

    Examples
    --------
    >>> import numpy as np
    >>> from fastnet.tabular import TabularRegressor
    >>> X = np.linspace(0.0, 6.0, 400)[:, None]
    >>> model = TabularRegressor(members=2, random_state=0).fit(X, np.sin(X[:, 0]))
    >>> bool(abs(model.predict([[1.5], [4.5]]) - np.sin([1.5, 4.5])).max() < 0.1)
    True
    """

    def __init__(
        self,
        members: int = 5,
        *,
        epochs: int | None = None,
        width: int = 128,
        piecewise: Piecewise | Literal["auto"] = "auto",
        encoder: TableEncoder | None = None,
        quantile: float | None = None,
        time_limit: float | None = None,
        random_state: Any = None,
        n_threads: int | None = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            members,
            epochs=epochs,
            width=width,
            piecewise=piecewise,
            encoder=encoder,
            time_limit=time_limit,
            random_state=random_state,
            n_threads=n_threads,
            verbose=verbose,
        )
        self.quantile = quantile

    @in_default_mode
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, eval_set: Any = None) -> Self:
        """Learn to predict the targets of rows.

        Parameters
        ----------
        X : data frame, sparse matrix or array_like, shape (n, columns)
        y : array_like, shape (n,) or (n, targets)
        sample_weight : array_like, shape (n,), optional
            How much each row counts, at least 0. A row of weight 0 is as good as not there.
        eval_set : (X, y), optional
            Rows to validate on: all members are then trained on all rows of X, from other weights.

        Returns
        -------
        TabularRegressor
            Itself.

        Raises
        ------
        ValueError, TypeError
            If an argument has the wrong shape or value.

        Warns
        -----
        UserWarning
            If it was interrupted (Ctrl-C): the members that were done by then are kept.
        """
        y = check_array(_target(self, X, y), ensure_2d=False, dtype=np.float64, input_name="y")
        self.vector_target_ = y.ndim == 1
        loss = None if self.quantile is None else Quantile(self.quantile)
        y = y.reshape(len(y), -1)
        weights = self._weights(sample_weight, X)
        counted = y if weights is None or not weights.any() else y[weights > 0]
        mean, low, high = counted.mean(axis=0), counted.min(axis=0), counted.max(axis=0)
        if loss is not None:
            mean = np.quantile(counted, loss.quantile, axis=0)  # where the members begin
        scale = counted.std(axis=0)
        scale[scale == 0] = 1
        validation = None
        if eval_set is not None:
            held_out = check_array(eval_set[1], ensure_2d=False, dtype=np.float64, input_name="eval_set")
            validation = eval_set[0], _standardized(held_out.reshape(len(held_out), -1), mean, scale)
        T = _standardized(y, mean, scale)
        del y, counted  # copies, if the targets were given in another dtype
        members = self._fit(X, T, weights, validation, labels=None, recipe=NUMBERS, loss=loss)
        self.ensemble_ = Ensemble(
            [one.network for one in members],
            encoder=self.encoder_,
            targets=Targets(mean, scale, low, high),
        )
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the predicted targets, (n,) or (n, targets) as in `fit`."""
        y = self._outputs(X)
        return y[:, 0] if self.vector_target_ else y

    @in_default_mode
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R²; of a quantile D² of the pinball loss: 1 is perfect, 0 is as good as a constant.

        Parameters
        ----------
        X : data frame, sparse matrix or array_like, shape (n, columns)
        y : array_like, shape (n,) or (n, targets)
        sample_weight : array_like, shape (n,), optional
        """
        if self.quantile is None:
            return float(super().score(X, y, sample_weight))
        from sklearn.metrics import d2_pinball_score

        found = d2_pinball_score(y, self.predict(X), sample_weight=sample_weight, alpha=self.quantile)
        return float(found)

    def predict_spread(self, X: Any) -> NDArray[np.float64]:
        """Return how far the members disagree: the standard deviation of their predictions, as `predict`."""
        check_is_fitted(self)
        _check_columns(self, X, reset=False)
        spread = self.ensemble_.spread(self.encoder_.read(X).inputs(), n_threads=self.n_threads).T
        return spread[:, 0] if self.vector_target_ else spread

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.regressor_tags.poor_score = self.quantile is not None  # D² of 0.5 is an R² of about 0.75
        return tags


for _estimator in (TabularClassifier, TabularRegressor):
    describe(_estimator, parameters=_PARAMETERS, attributes=_ATTRIBUTES)


def _standardized(y: Array, mean: Array, scale: Array) -> Array:
    """Return the targets of the networks, (targets, n), in float32: nothing larger stays while they learn."""
    T: Array = ((y - mean) / scale).T.astype(np.float32)
    return T


def _target(estimator: Any, X: Any, y: Any) -> Any:
    """Return y, after the checks of X and y that scikit-learn's validation makes without looking into X."""
    if y is None:
        raise ValueError(f"{type(estimator).__name__} requires y to be passed, but the target y is None")
    _check_columns(estimator, X, reset=True)
    check_consistent_length(X, y)
    return y


def _check_columns(estimator: Any, X: Any, *, reset: bool) -> None:
    """Note the number and the names of the columns, or compare them with those of fit."""
    if isinstance(X, np.ndarray) and X.ndim == 1:
        raise ValueError(
            "X must have shape (n, columns), got a vector. Reshape your data: X.reshape(-1, 1) if it is one "
            "column, X.reshape(1, -1) if it is one row"
        )
    validate_data(estimator, X, reset=reset, skip_check_array=True)
