"""Rows of dask arrays and data frames: what is asked of them before a fit, and the parts that are trained on.

Everything that a fit has to know of all rows (their number, the labels that occur) is found with one task for
each partition. Then the rows are cut into parts of whole blocks of 1024, whatever the partitions were: each
part is a task that takes the rows it needs from one or more of them, checks and converts them.
"""

from __future__ import annotations

import functools
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_array

from fastnet._optional import import_optional
from fastnet._validate import Array, shown
from fastnet.sklearn import _layout
from fastnet.sklearn._class_weight import ClassWeights

__all__ = ["DaskData", "Part", "Preparation", "is_frame", "overlaps", "partitions"]

FLOATS = (np.float64, np.float32)
PURPOSE = "fastnet.dask"


class Part(NamedTuple):
    """A run of whole blocks of the rows, as the core takes them."""

    first_row: int
    X: Array  # (n, n_features)
    T: Array  # (n, n_outputs)
    weights: Array | None  # (n,)


class TargetSummary(NamedTuple):
    """What is to be known of a partition of y."""

    rows: int
    columns: int | None  # None for a vector
    values: Array  # the labels that occur; of numbers the least and the greatest in each column
    counts: Array  # how often each label occurs; with several columns how many are not 0 in each


def is_frame(collection: Any) -> bool:
    """Return whether a dask collection is a data frame or a series, not an array."""
    utils = import_optional("dask.utils", PURPOSE, extra="dask")
    return bool(utils.is_dataframe_like(collection) or utils.is_series_like(collection))


def partitions(collection: Any, name: str) -> list[Any]:
    """Return the row partitions of a dask array or data frame as delayed objects."""
    dask = import_optional("dask", PURPOSE, extra="dask")
    array = import_optional("dask.array", PURPOSE, extra="dask")
    if isinstance(collection, array.Array):
        if collection.ndim not in (1, 2):
            raise ValueError(f"{name} must have 1 or 2 dimensions, got {collection.ndim}")
        if collection.ndim == 2 and collection.numblocks[1] > 1:
            collection = collection.rechunk({1: -1})
        return list(collection.to_delayed().ravel())
    if dask.is_dask_collection(collection) and is_frame(collection):
        return list(collection.to_delayed())
    raise TypeError(
        f"{name} must be a dask array or data frame, got {type(collection).__name__}: fastnet.sklearn takes "
        "what is in memory"
    )


def overlaps(ends: list[int], start: int, stop: int) -> list[tuple[int, int, int]]:
    """Return which partitions hold the rows [start, stop), and which of their rows, as (k, first, stop).

    Parameters
    ----------
    ends : list of int
        How many rows the partitions up to each have together.

    Examples
    --------
    >>> from fastnet.dask.data import overlaps
    >>> overlaps([3, 3, 7], 2, 6)
    [(0, 2, 3), (2, 0, 3)]
    """
    k = bisect_right(ends, start)
    found = []
    while start < stop:
        begin = ends[k - 1] if k else 0
        last = min(stop, ends[k])
        if start < last:
            found.append((k, start - begin, last - begin))
            start = last
        k += 1
    return found


def summary_of_labels(y: Any) -> TargetSummary:
    """Return what a classifier has to know of a partition of its labels."""
    y = _targets(y, numeric=False)
    columns = y.shape[1] if y.ndim == 2 else None
    values, counts = np.unique(y, return_counts=True)
    if values.dtype.kind == "f" and (values != np.floor(values)).any():
        values, counts = values[:100], counts[:100]  # numbers, which scikit-learn will refuse
    if columns is not None:
        counts = np.count_nonzero(y, axis=0)
    return TargetSummary(len(y), columns, values, counts)


def summary_of_numbers(y: Any) -> TargetSummary:
    """Return what a regressor has to know of a partition of its targets."""
    y = _targets(y, numeric=True)
    columns = y.shape[1] if y.ndim == 2 else None
    values = np.stack([y.min(axis=0), y.max(axis=0)]) if len(y) else y[:0]
    return TargetSummary(len(y), columns, values, np.empty(0))


def _targets(y: Any, numeric: bool) -> Array:
    """Return a partition of y checked as scikit-learn does, a vector if it has one column."""
    found: Array = check_array(y, ensure_2d=False, dtype=None, ensure_min_samples=0, input_name="y")
    if numeric:
        if found.dtype.kind in "OSU":
            found = found.astype(np.float64)
        _layout.check_numeric(found, "y")
    return found.ravel() if found.ndim == 2 and found.shape[1] == 1 else found


def _weights(weights: Any) -> Array:
    found: Array = check_array(
        weights, ensure_2d=False, dtype=FLOATS, ensure_min_samples=0, input_name="sample_weight"
    )
    if found.ndim == 2 and found.shape[1] == 1:
        found = found.ravel()
    if found.ndim != 1:
        raise ValueError(f"sample_weight must be a vector, got a partition of shape {found.shape}")
    return found


def _weights_summary(weights: Any) -> tuple[int, bool]:
    found = _weights(weights)
    return len(found), bool(found.any())


def _rows_of(partition: Any, start: int, stop: int) -> Any:
    """Return some rows of a partition: all of them untouched."""
    if start == 0 and stop == len(partition):
        return partition
    rows = slice(start, stop)
    return partition.iloc[rows] if hasattr(partition, "iloc") else partition[rows]


@dataclass(frozen=True)
class Preparation:
    """How rows of the user's data become rows for the core, on the worker.

    Attributes
    ----------
    estimator : str
        Whose name error messages carry.
    columns : list of str, optional
        The names of the columns of a data frame.
    found_dtype : dtype
        The precision of X as scikit-learn's validation gives it.
    asked_dtype : dtype, optional
        The estimator's parameter.
    dtype : dtype
        The precision that the core works in.
    classes : ndarray, optional
        Of a classifier, in order. None with several labels, and for numbers.
    several_labels : bool
    number_weight : float, optional
        The weight of each example, if it is one number.
    """

    estimator: str
    columns: list[Any] | None
    found_dtype: np.dtype[Any]
    asked_dtype: Any
    dtype: np.dtype[Any]
    classes: Array | None
    several_labels: bool
    class_weights: ClassWeights
    number_weight: float | None

    def part(self, first_row: int, X: list[Any], y: list[Any], weights: list[Any]) -> Part:
        """Return a part from pieces, each (partition, start, stop).

        Raises
        ------
        ValueError, TypeError
            If the data cannot be trained on; the note says in which rows.
        """
        try:
            inputs = _joined([self._inputs(*piece) for piece in X])
            targets = [self._targets(*piece) for piece in y]
            T = _joined([_layout.converted(indicators, self.dtype, "y") for indicators in targets])
            w = self._weights(np.concatenate(targets), weights)
        except (ValueError, TypeError) as error:
            stop = first_row + sum(piece[2] - piece[1] for piece in X)
            error.add_note(f"in rows {first_row} to {stop - 1}")
            raise
        return Part(first_row, inputs, T, w)

    def _inputs(self, partition: Any, start: int, stop: int) -> Array:
        rows = _rows_of(partition, start, stop)
        if self.columns is not None and list(partition.columns) != self.columns:
            raise ValueError(
                f"X must have the columns {shown(self.columns)} in each partition, got "
                f"{shown(list(partition.columns))}"
            )
        X = check_array(rows, dtype=FLOATS, input_name="X", estimator=self.estimator)
        if not np.can_cast(X.dtype, self.found_dtype):
            raise ValueError(f"X must hold {self.found_dtype} in each partition, got {X.dtype}")
        X = X.astype(self.found_dtype, copy=False)
        return _layout.converted(_layout.in_precision(X, None, self.asked_dtype), self.dtype, "X")

    def _targets(self, partition: Any, start: int, stop: int) -> Array:
        """Return targets (n, n_outputs): numbers, or for a classifier booleans."""
        labels = self.classes is not None or self.several_labels
        y = _targets(_rows_of(partition, start, stop), numeric=not labels)
        if self.several_labels:
            return np.asarray(y != 0)
        if self.classes is None:
            return y.reshape(len(y), -1)
        index = np.searchsorted(self.classes, y)
        if len(self.classes) <= 2:
            return np.asarray(index == 1)[:, None]
        return np.asarray(index[:, None] == np.arange(len(self.classes)))

    def _weights(self, targets: Array, pieces: list[Any]) -> Array | None:
        given = [_weights(_rows_of(*piece)) for piece in pieces]
        weights = np.concatenate(given) if given else None
        if self.number_weight is not None:
            weights = np.full(len(targets), self.number_weight)
        weights = self.class_weights(targets, weights)
        return None if weights is None else _layout.converted(weights, self.dtype, "sample_weight")


def _joined(pieces: list[Array]) -> Array:
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


class DaskData:
    """X, y and the weights of a fit as dask collections, and what is known of all their rows.

    Parameters
    ----------
    client : distributed.Client
    X : dask array or data frame, shape (n, n_features)
    y : dask array, series or data frame, shape (n,) or (n, n_outputs)
        In other chunks than X if need be.
    sample_weight : dask array or series, shape (n,), a number or None
    classify : bool
        Whether y holds labels.

    Raises
    ------
    TypeError
        If one of them is no dask collection.
    ValueError
        If they have different numbers of rows, or none.
    """

    def __init__(self, client: Any, X: Any, y: Any, sample_weight: Any, *, classify: bool) -> None:
        self.classify = classify
        self.number_weight: float | None = None
        if isinstance(sample_weight, (int, float, np.number)):
            self.number_weight, sample_weight = float(sample_weight), None
        self._X = partitions(X, "X")
        self._y = partitions(y, "y")
        self._weights = [] if sample_weight is None else partitions(sample_weight, "sample_weight")
        if X.ndim != 2:
            raise ValueError(f"X must have 2 dimensions, got {X.ndim}")
        self.columns = list(X.columns) if is_frame(X) else None
        self._X_sizes, self.n_features = self._describe(client, X)
        self.n_rows = sum(self._X_sizes)
        self.dtype = _precision_of(X)
        for name, sizes in (("y", self._y_sizes), ("sample_weight", self._weight_sizes)):
            if sum(sizes) != self.n_rows and (sizes or name == "y"):
                raise ValueError(f"{name} must have as many rows as X, {self.n_rows}, got {sum(sizes)}")
        if not self.n_rows:
            raise ValueError("X must have at least one row, got none")
        self.several_labels = self.classify and self.columns_of_y is not None

    def _describe(self, client: Any, X: Any) -> tuple[list[int], int]:
        """Ask all partitions what has to be known of them; return the sizes of those of X."""
        dask = import_optional("dask", PURPOSE, extra="dask")
        summary = summary_of_labels if self.classify else summary_of_numbers
        known = self.columns is None and not np.isnan(np.sum(X.chunks[0])) and not np.isnan(X.shape[1])
        questions = [
            *(dask.delayed(summary)(partition) for partition in self._y),
            *(dask.delayed(_weights_summary)(partition) for partition in self._weights),
            *([] if known else [dask.delayed(np.shape)(partition) for partition in self._X]),
        ]
        answers = client.gather(client.compute(questions))
        of_y, answers = answers[: len(self._y)], answers[len(self._y) :]
        of_weights, shapes = answers[: len(self._weights)], answers[len(self._weights) :]
        self._y_sizes = [one.rows for one in of_y]
        self._weight_sizes = [rows for rows, _ in of_weights]
        self.all_weights_zero = bool(of_weights) and not any(nonzero for _, nonzero in of_weights)
        self._note_targets([one for one in of_y if one.rows])
        if known:
            return [int(rows) for rows in X.chunks[0]], int(X.shape[1])
        if self.columns is not None:
            return [rows for rows, _ in shapes], len(self.columns)
        widths = {width for _, width in shapes}
        if len(widths) != 1:
            raise ValueError(f"X must have the same columns in each partition, got {sorted(widths)} of them")
        return [rows for rows, _ in shapes], widths.pop()

    def _note_targets(self, found: list[TargetSummary]) -> None:
        kinds = {one.columns for one in found}
        if len(kinds) > 1:
            raise ValueError(f"y must have the same columns in each partition, got {kinds} of them")
        self.columns_of_y = kinds.pop() if kinds else None
        self.values = np.concatenate([one.values for one in found]) if found else np.empty(0)
        if not self.classify:
            return
        all_values = self.values
        self.values, which = np.unique(all_values, return_inverse=True)
        if self.columns_of_y is None:
            counts = np.concatenate([one.counts for one in found]) if found else np.empty(0, int)
            self._counts = [np.bincount(which, weights=counts, minlength=len(self.values)).astype(np.intp)]
        else:
            ones = np.sum([one.counts for one in found], axis=0)
            rows = sum(one.rows for one in found)
            self._counts = [np.array([rows - count, count]) for count in ones]

    def representatives(self) -> tuple[Any, Any, Any]:
        """Return X, y and weights that scikit-learn's validation sees in place of all rows.

        y has each label, or the least and greatest numbers. X has zeros, in the precision and under the names
        of the data.
        """
        y = self.values
        if self.classify:
            y = np.tile(y, 3)  # scikit-learn warns if the greater part of the labels differ
            if self.columns_of_y is not None:
                y = np.repeat(y[:, None], self.columns_of_y, axis=1)
        X: Any = np.zeros((len(y), self.n_features), self.dtype)
        if self.columns is not None:
            X = import_optional("pandas", PURPOSE, extra="dask").DataFrame(X, columns=self.columns)
        weights = None
        if self._weights or self.number_weight is not None:
            nothing = self.all_weights_zero or self.number_weight == 0
            weights = np.full(len(y), 0.0 if nothing else 1.0)
        return X, y, weights

    def class_weights(self, class_weight: Any, classes: Any) -> ClassWeights:
        """Return the weights of the classes, from how often they occur in all rows."""
        counts = self._counts if self.classify else []
        return ClassWeights(class_weight, classes, counts, self.several_labels)

    def parts(self, preparation: Preparation, rows: int, homes: list[str]) -> list[Any]:
        """Return delayed parts of so many rows each, the last one of the rest, for these workers."""
        dask = import_optional("dask", PURPOSE, extra="dask")
        sources = (
            (self._X, list(accumulate(self._X_sizes))),
            (self._y, list(accumulate(self._y_sizes))),
            (self._weights, list(accumulate(self._weight_sizes))),
        )
        found = []
        make = dask.delayed(functools.partial(_make_part, preparation), pure=False)
        for start, home in zip(range(0, self.n_rows, rows), homes, strict=True):
            stop = min(start + rows, self.n_rows)
            pieces = [
                [(given[k], first, last) for k, first, last in (overlaps(ends, start, stop) if ends else [])]
                for given, ends in sources
            ]
            with dask.annotate(workers=[home], allow_other_workers=True):
                found.append(make(start, *pieces))
        return found


def _make_part(preparation: Preparation, first_row: int, X: Any, y: Any, weights: Any) -> Part:
    return preparation.part(first_row, X, y, weights)


def _precision_of(X: Any) -> np.dtype[Any]:
    """Return the precision in which scikit-learn's validation gives the rows of X."""
    if not is_frame(X):
        return np.dtype(X.dtype if X.dtype in FLOATS else np.float64)
    pandas = import_optional("pandas", PURPOSE, extra="dask")
    try:
        sample = pandas.DataFrame({k: pandas.array([0], dtype=dtype) for k, dtype in enumerate(X.dtypes)})
        dtype: np.dtype[Any] = check_array(sample, dtype=FLOATS).dtype
    except (ValueError, TypeError):  # categories, dates: the workers say what is wrong
        return np.dtype(np.float64)
    return dtype
