"""Turns class_weight into weights of the examples."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from fastnet.sklearn._compat import PrivateState
from fastnet.sklearn._fit_arguments import FitArguments
from fastnet.sklearn._layout import Array
from fastnet.sklearn._own_parameters import own_parameter

__all__ = ["ClassWeights", "counts_of", "weights_by_class"]


class ClassWeights:
    """The weight of each class, found once in the labels that are trained on.

    A dict is checked against all classes that the estimator knows: a batch, or a validation set, need not
    hold each of them.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
    classes : ndarray
        The estimator's `classes_`.
    counts : list of ndarray
        How often each value occurs in the labels, as `counts_of` tells.
    several_labels : bool
        Whether an example may have several labels. Then each column has weights of its own for 0 and 1.
    """

    def __init__(self, class_weight: Any, classes: Array, counts: list[Array], several_labels: bool) -> None:
        self.several_labels = several_labels
        self.columns: list[Array] = []  # the weights of the values 0, 1, ... of each column of _indices
        if class_weight is None:
            return
        if several_labels and class_weight != "balanced":
            raise ValueError(
                f"class_weight must be 'balanced' or None for several labels, got {class_weight!r}"
            )
        for count in counts:
            found = np.flatnonzero(count)
            if several_labels:
                weights = np.ones(2)
                weights[found] = compute_class_weight(
                    "balanced", classes=found, y=found, sample_weight=count[found]
                )
            else:
                weights = compute_class_weight(
                    class_weight, classes=classes, y=classes[found], sample_weight=count[found]
                )
            self.columns.append(weights)

    def __call__(self, y: Array, sample_weight: Any) -> Any:
        """Return the weights of the examples times those of their classes."""
        if not self.columns:
            return sample_weight
        indices = _indices(y, self.several_labels)
        pairs = zip(self.columns, indices.T, strict=True)
        weights = np.prod([column[index] for column, index in pairs], axis=0, dtype=np.float64)
        return weights if sample_weight is None else weights * sample_weight


def counts_of(y: Array, n_classes: int, several_labels: bool) -> list[Array]:
    """Return how often each class occurs in y (n, n_outputs), or 0 and 1 in each column of several labels.

    Counts of parts of the labels can be added.
    """
    sizes = 2 if several_labels else n_classes
    return [np.bincount(column, minlength=sizes) for column in _indices(y, several_labels).T]


def _indices(y: Array, several_labels: bool) -> Array:
    """Return y, as the LabelBinarizer made it, as indices: of the class, or 0 and 1 for each label."""
    y = np.asarray(y)
    if several_labels or y.shape[1] == 1:
        return np.asarray(y != 0, np.intp)
    index: Array = y.argmax(axis=1)[:, None]
    return index


def weights_by_class(est: Any, arguments: FitArguments, y: Array) -> ClassWeights:
    """Return the class weights of a fit whose labels are y (n, n_outputs), and note them in `arguments`."""
    class_weight = own_parameter(est, "class_weight")
    if class_weight is None:
        weights = ClassWeights(None, np.empty(0), [], several_labels=False)
    else:
        several = PrivateState(est).label_binarizer.y_type_.startswith("multilabel")
        counts = counts_of(y, len(est.classes_), several)
        weights = ClassWeights(class_weight, est.classes_, counts, several)
    arguments.class_weights = weights
    return weights
