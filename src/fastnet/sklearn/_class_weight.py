"""Turns class_weight into weights of the examples."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from fastnet.sklearn._compat import PrivateState
from fastnet.sklearn._fit_arguments import FitArguments
from fastnet.sklearn._layout import Array
from fastnet.sklearn._own_parameters import own_parameter

__all__ = ["ClassWeights", "weights_by_class"]


class ClassWeights:
    """The weight of each class, found once in the labels that are trained on.

    A dict is checked against all classes that the estimator knows: a batch, or a validation set, need not
    hold each of them.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
    classes : ndarray
        The estimator's `classes_`.
    y : ndarray, shape (n, n_outputs)
        What the LabelBinarizer made of the labels: indicators, or one column for two classes.
    several_labels : bool
        Whether an example may have several labels. Then each column has weights of its own for 0 and 1.
    """

    def __init__(self, class_weight: Any, classes: Array, y: Array, several_labels: bool) -> None:
        self.several_labels = several_labels
        self.columns: list[Array] = []  # the weights of the values 0, 1, ... of each column of _indices
        if class_weight is None:
            return
        indices = self._indices(y)
        if several_labels and class_weight != "balanced":
            raise ValueError(
                f"class_weight must be 'balanced' or None for several labels, got {class_weight!r}"
            )
        for column in indices.T:
            if several_labels:
                weights = np.ones(2)
                found = np.unique(column)
                weights[found] = compute_class_weight("balanced", classes=found, y=column)
            else:
                weights = compute_class_weight(class_weight, classes=classes, y=classes[column])
            self.columns.append(weights)

    def _indices(self, y: Array) -> Array:
        """Return y as indices: of the class, or 0 and 1 for each of several labels."""
        y = np.asarray(y)
        if self.several_labels or y.shape[1] == 1:
            return np.asarray(y != 0, np.intp)
        index: Array = y.argmax(axis=1)[:, None]
        return index

    def __call__(self, y: Array, sample_weight: Any) -> Any:
        """Return the weights of the examples times those of their classes."""
        if not self.columns:
            return sample_weight
        indices = self._indices(y)
        pairs = zip(self.columns, indices.T, strict=True)
        weights = np.prod([column[index] for column, index in pairs], axis=0, dtype=np.float64)
        return weights if sample_weight is None else weights * sample_weight


def weights_by_class(est: Any, arguments: FitArguments, y: Array) -> ClassWeights:
    """Return the class weights of a fit whose labels are y (n, n_outputs), and note them in `arguments`."""
    class_weight = own_parameter(est, "class_weight")
    if class_weight is None:
        weights = ClassWeights(None, np.empty(0), y, several_labels=False)
    else:
        several = PrivateState(est).label_binarizer.y_type_.startswith("multilabel")
        weights = ClassWeights(class_weight, est.classes_, y, several)
    arguments.class_weights = weights
    return weights
