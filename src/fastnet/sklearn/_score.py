"""The score for early stopping: accuracy or R², computed from the network's outputs as in scikit-learn.

It is computed after every epoch, which may be short. The usual cases go without scikit-learn's validation of
what has been validated already; the others are left to scikit-learn's functions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score, r2_score

from fastnet.sklearn._compat import PrivateState
from fastnet.sklearn._layout import Array

__all__ = ["LESS_IS_BETTER", "score"]

# For these losses the score is the negative validation loss: R² says nothing of a quantile.
LESS_IS_BETTER = ("absolute_error", "huber", "quantile")


def score(est: Any, validation_set: Any, A: Array) -> float:
    """Return the score of the outputs A (n_outputs, n); NaN if they are not finite."""
    if isinstance(est, ClassifierMixin):  # is_classifier would put the tags together, in each epoch
        return _accuracy(est, validation_set, A)
    if not np.isfinite(A).all():
        return float("nan")
    return _r2(validation_set, A)


def _accuracy(est: Any, validation_set: Any, A: Array) -> float:
    if est.out_activation_ == "softmax":
        right = A.argmax(axis=0) == validation_set.y.argmax(axis=1)
    elif len(est.classes_) == 1:
        labels = PrivateState(est).label_binarizer.inverse_transform
        given = labels(np.asarray(validation_set.y, np.float64))
        return float(accuracy_score(given, labels(A.ravel()), sample_weight=validation_set.weights))
    else:
        right = ((A.T > 0.5) == (validation_set.y > 0)).all(axis=1)
    if validation_set.weights is None:
        return np.count_nonzero(right) / len(right)
    return float(np.average(right, weights=validation_set.weights))


def _r2(validation_set: Any, A: Array) -> float:
    y, w = np.asarray(validation_set.y, np.float64), validation_set.weights
    residual = np.square(y - A.T)
    spread = np.square(y - np.average(y, axis=0, weights=w))
    if w is not None:
        residual, spread = w[:, None] * residual, w[:, None] * spread
    above, below = residual.sum(axis=0), spread.sum(axis=0)
    if len(y) < 2 or not (above > 0).all() or not (below > 0).all():
        return float(r2_score(y, A.T, sample_weight=w))
    return float(np.mean(1 - above / below))
