"""The validation set of a fit: given by the user, or split off for early stopping."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import validate_data

from fastnet.sklearn import _compat, _layout
from fastnet.sklearn._compat import PrivateState, draw_class_counts, draw_permutation
from fastnet.sklearn._fit_arguments import FitArguments
from fastnet.sklearn._layout import Array

__all__ = ["ValidationSet", "from_arguments", "split_off"]


@dataclass
class ValidationSet:
    """Examples that are not trained on. Their score and loss are computed after each epoch."""

    X: Any
    y: Any  # (n, n_outputs): numbers, or 0 and 1 for labels
    weights: Any
    dtype: np.dtype[Any]
    sparse: bool | None = None  # whether the core takes X as lists; None: as they come
    names: tuple[str, str, str] = ("X", "y", "sample_weight")  # in errors
    columns: Any = field(init=False)
    T: Any = field(init=False)

    def __post_init__(self) -> None:
        self.columns = _layout.for_core(self.X, self.dtype, self.names[0], self.sparse)
        self.T = _layout.converted(self.y, self.dtype, self.names[1]).T
        if self.weights is not None:
            self.weights = _layout.converted(self.weights, self.dtype, self.names[2])

    def outputs(self, trainer: Any) -> Array:
        """Return the outputs of the network, (n_outputs, n)."""
        outputs: Array = trainer.predict(self.columns)
        return outputs

    def loss(self, trainer: Any) -> float:
        """Return the weighted mean of the loss, without the penalty."""
        total: float = trainer.loss(self.columns, self.T, self.weights)
        return total / (
            self.T.shape[1] if self.weights is None else float(self.weights.sum(dtype=np.float64))
        )


def from_arguments(
    est: Any, arguments: FitArguments, dtype: np.dtype[Any], sparse: bool
) -> ValidationSet | None:
    """Return the validation set that the user gave to fit, checked; None if there is none.

    sparse: whether the core takes X as lists of what is not zero, as it takes the examples to train on.
    """
    if arguments.X_val is None and arguments.y_val is None:
        if arguments.sample_weight_val is not None:
            raise ValueError("sample_weight_val must come with X_val and y_val, got neither of them")
        return None
    if arguments.X_val is None or arguments.y_val is None:
        given, missing = ("y_val", "X_val") if arguments.X_val is None else ("X_val", "y_val")
        raise ValueError(f"{missing} must be given together with {given}, got None")
    is_classifier = isinstance(est, ClassifierMixin)
    X, y = validate_data(
        est,
        arguments.X_val,
        arguments.y_val,
        accept_sparse=["csr", "csc"],
        multi_output=True,
        y_numeric=not is_classifier,
        dtype=(np.float64, np.float32),
        reset=False,
    )
    weights = arguments.sample_weight_val
    if weights is not None:
        weights = _compat.check_sample_weight(weights, X)
    binarizer = PrivateState(est).label_binarizer if is_classifier else None
    if binarizer is not None:
        unseen = np.setdiff1d(y, est.classes_)
        if y.ndim == 1 and len(unseen):
            raise ValueError(f"y_val must hold classes of y, {est.classes_}, got {unseen} too")
        y = binarizer.transform(y)
    else:
        _layout.check_numeric(y, "y_val")
    y = y.reshape(X.shape[0], -1)
    if y.shape[1] != est.n_outputs_:
        raise ValueError(f"y_val must have {est.n_outputs_} outputs, as y has, got {y.shape[1]}")
    if arguments.class_weights is not None:
        weights = arguments.class_weights(y, weights)
    return ValidationSet(X, y, weights, dtype, sparse, names=("X_val", "y_val", "sample_weight_val"))


def split_off(
    est: Any, X: Any, y: Any, sample_weight: Any, dtype: np.dtype[Any], sparse: bool
) -> tuple[Array, ValidationSet]:
    """Return the rows to train on and the validation set, split as scikit-learn splits them."""
    one_label = isinstance(est, ClassifierMixin) and est.n_outputs_ == 1
    random_state, fraction = PrivateState(est).random_state, est.validation_fraction
    # scikit-learn stratifies by no more than one
    drawn = _stratified(y[:, 0], fraction, random_state) if one_label else None
    if drawn is None:  # it makes text of labels (n, 1): an error says so
        rows, out = train_test_split(
            np.arange(X.shape[0]),
            random_state=random_state,
            test_size=fraction,
            stratify=y if one_label else None,
        )
    else:
        rows, out = drawn
    if len(out) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
        )
    weights = None if sample_weight is None else sample_weight[out]
    return rows, ValidationSet(_layout.rows_of(X, out), y[out], weights, dtype, sparse)


def _stratified(labels: Array, fraction: Any, random_state: Any) -> tuple[Array, Array] | None:
    """Return the rows that train_test_split draws when it stratifies by labels 0 and 1, in its order.

    With the same draws, but without its sort and its lists, which take longer than an epoch. None where it
    refuses, and where it would do something else.
    """
    n = len(labels)
    classes = [rows for rows in (np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)) if len(rows)]
    counts = np.array([len(rows) for rows in classes])
    if not isinstance(fraction, float) or counts.sum() < n or not 0 < fraction < 1:
        return None
    held_out = math.ceil(fraction * n)
    if counts.min() < 2 or min(held_out, n - held_out) < len(classes):
        return None
    kept = draw_class_counts(counts, n - held_out, random_state)
    out = draw_class_counts(counts - kept, held_out, random_state)
    parts: tuple[list[Array], list[Array]] = ([], [])
    for rows, many, others in zip(classes, kept, out, strict=True):
        draw_permutation(random_state, rows)  # what a permutation of their places would do to them
        parts[0].append(rows[:many])
        parts[1].append(rows[many : many + others])
    split = np.concatenate(parts[0]), np.concatenate(parts[1])
    for which in split:
        draw_permutation(random_state, which)
    return split
