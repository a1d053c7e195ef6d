"""The score of early stopping: accuracy or R², as scikit-learn takes it, from the network's outputs.

It is taken after every epoch of a small network, so the usual cases go without scikit-learn's validation of
what has been validated; the others are left to its functions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score, r2_score

from fastnet.sklearn._layout import Array

# Of these the validation loss itself decides: R² says nothing of a quantile.
LESS_IS_BETTER = ("absolute_error", "huber", "quantile")


def score(est: Any, held: Any, A: Array) -> float:
    """Return the score of the outputs A (n_outputs, n); NaN if they are not finite."""
    if isinstance(est, ClassifierMixin):  # is_classifier would put the tags together, in each epoch
        return _accuracy(est, held, A)
    if not np.isfinite(A).all():
        return float("nan")
    return _r2(held, A)


def _accuracy(est: Any, held: Any, A: Array) -> float:
    if est.out_activation_ == "softmax":
        right = A.argmax(axis=0) == held.y.argmax(axis=1)
    elif len(est.classes_) == 1:
        labels = est._label_binarizer.inverse_transform
        given = labels(np.asarray(held.y, np.float64))
        return float(accuracy_score(given, labels(A.ravel()), sample_weight=held.weights))
    else:
        right = ((A.T > 0.5) == (held.y > 0)).all(axis=1)
    if held.weights is None:
        return np.count_nonzero(right) / len(right)
    return float(np.average(right, weights=held.weights))


def _r2(held: Any, A: Array) -> float:
    y, w = np.asarray(held.y, np.float64), held.weights
    residual = np.square(y - A.T)
    spread = np.square(y - np.average(y, axis=0, weights=w))
    if w is not None:
        residual, spread = w[:, None] * residual, w[:, None] * spread
    above, below = residual.sum(axis=0), spread.sum(axis=0)
    if len(y) < 2 or not (above > 0).all() or not (below > 0).all():
        return float(r2_score(y, A.T, sample_weight=w))
    return float(np.mean(1 - above / below))
