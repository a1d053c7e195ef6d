"""Validates plain arrays in few steps, because scikit-learn's validation takes half of a small fit.

Each function here returns what scikit-learn's validation would return, or says that it cannot tell. Then
scikit-learn's own code runs, with its conversions, warnings and errors. Plain data are NumPy arrays
themselves (no subclasses, no frames): a matrix of finite float64 or float32 features, a vector of integer,
boolean or str labels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.preprocessing import LabelBinarizer

from fastnet._core import engine
from fastnet.sklearn import _layout, _own_parameters
from fastnet.sklearn._compat import PrivateState, parameter_names
from fastnet.sklearn._layout import Array

__all__ = [
    "accuracy",
    "cached_parameter_names",
    "classification_data",
    "parameters_are_valid",
    "plain_labels",
    "regression_data",
]

try:
    from sklearn.utils._param_validation import make_constraint
except ImportError:  # another scikit-learn: it validates by itself
    make_constraint = None

LABELS = {"i": "integer", "u": "integer", "b": "boolean", "U": "str"}
_KNOWN = {"neg_label", "pos_label", "sparse_output", "y_type_", "sparse_input_", "classes_"}

_binarizers: dict[str, dict[str, Any] | None] = {}


def cached_parameter_names(cls: Any, find: Any) -> list[str]:
    """Return the names of the constructor's parameters. `find` is called once for each class.

    The class itself keeps them.
    """
    known = vars(cls).get("_known_names")
    if known is None or known[0] is not cls.__init__:
        known = cls._known_names = (cls.__init__, find())
    return list(known[1])


def parameters_are_valid(est: Any) -> bool:
    """Return whether each parameter satisfies one of its constraints.

    The class keeps the constraints in the form that is checked.
    """
    cls: Any = type(est)
    given = PrivateState(est).constraints()
    known = vars(cls).get("_known_constraints")
    if known is None or known[0] is not given:
        if make_constraint is None:
            return False
        valid = _own_parameters.constraints(cls, given)
        made = [
            (name, [make_constraint(constraint) for constraint in valid[name]])
            for name in parameter_names(cls)
            if name in valid and valid[name] != "no_validation"
        ]
        known = cls._known_constraints = (given, made)
    for name, constraints in known[1]:
        value = getattr(est, name)
        for constraint in constraints:
            if constraint.is_satisfied_by(value):
                break
        else:
            return False
    return True


def _accept_features(est: Any, X: Any, reset: bool) -> bool:
    """Return whether X is plain and fits the estimator; with `reset`, set its `n_features_in_`."""
    if type(X) is not np.ndarray or X.ndim != 2 or X.dtype not in _layout.FLOATS or 0 in X.shape:
        return False
    state = est.__dict__
    if "feature_names_in_" in state or (not reset and state.get("n_features_in_") != X.shape[1]):
        return False
    dtype = _own_parameters.own_parameter(est, "dtype")
    if dtype is not None and X.dtype != dtype:
        return False
    if not engine.all_finite(X):
        return False
    if reset:
        est.n_features_in_ = X.shape[1]
    return True


def regression_data(est: Any, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Array, Array] | None:
    """Return X and y as the regressor's `_validate_input` does; None if they are not plain."""
    if type(X) is not np.ndarray:
        return None
    if type(y) is not np.ndarray or y.ndim != 1 or y.dtype not in _layout.FLOATS or y.shape != X.shape[:1]:
        return None
    if not engine.all_finite(y[None, :]) or not _accept_features(est, X, reset):
        return None
    return X, y


def classification_data(
    est: Any, X: Any, y: Any, incremental: bool, reset: bool
) -> tuple[Array, Array] | None:
    """Return X and indicators of y as the classifier's `_validate_input` does; None if they are not plain."""
    if not plain_labels(y) or type(X) is not np.ndarray or y.shape != X.shape[:1]:
        return None
    if "classes_" in est.__dict__ and (est.warm_start or incremental):
        indicators = _indicators_of_known_classes(est, y)
        if indicators is None or not _accept_features(est, X, reset):
            return None
        return X, indicators
    classes = np.asarray(sorted(set(np.unique(y))))
    many = len(classes) > 2
    kind = _binarizer("multiclass" if many else "binary")
    if 2 * len(classes) > len(y) or kind is None or not _accept_features(est, X, reset):
        return None
    binarizer = LabelBinarizer()
    binarizer.__dict__.update(kind, classes_=classes)
    PrivateState(est).label_binarizer = binarizer
    est.classes_ = classes
    if many:
        return X, y[:, None] == classes
    return X, (y == classes[1])[:, None] if len(classes) == 2 else np.zeros((len(y), 1), bool)


def _indicators_of_known_classes(est: Any, y: Array) -> Array | None:
    """Return the indicators of labels that have to be among the estimator's classes; None if not plain.

    With `warm_start`, all of the classes have to be there.
    """
    classes, binarizer = est.classes_, PrivateState(est).label_binarizer
    if type(classes) is not np.ndarray or LABELS.get(classes.dtype.kind) != LABELS[y.dtype.kind]:
        return None
    if len(classes) < 2 or binarizer.y_type_ != ("multiclass" if len(classes) > 2 else "binary"):
        return None
    if binarizer.classes_ is not classes and not np.array_equal(binarizer.classes_, classes):
        return None
    numbers = np.arange(len(classes))
    if classes.dtype.kind in "iu" and np.array_equal(classes, numbers):  # a third of the search's time
        if y.min() < 0 or y.max() >= len(classes):
            return None
        index = y.astype(np.intp, copy=False)
    else:
        index = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
        if not (classes[index] == y).all():
            return None
    found = np.count_nonzero(np.bincount(index))
    if 2 * found > len(y) or (est.warm_start and found < len(classes)):
        return None
    indicators: Array = index[:, None] == 1
    if len(classes) > 2:
        indicators = np.eye(len(classes), dtype=bool).take(index, axis=0)  # sooner than to compare
    return indicators


def plain_labels(y: Any) -> bool:
    """Return whether y is a plain vector of integer, boolean or str labels."""
    return type(y) is np.ndarray and y.ndim == 1 and y.dtype.kind in LABELS and len(y) > 0


def _binarizer(kind: str) -> dict[str, Any] | None:
    """Return what scikit-learn's LabelBinarizer keeps for such a target; None if that is not as expected."""
    if kind not in _binarizers:
        example = np.repeat(np.arange(2 if kind == "binary" else 3), 3)
        kept = vars(LabelBinarizer().fit(example))
        known = kept.keys() == _KNOWN and kept["y_type_"] == kind
        _binarizers[kind] = kept if known else None
    return _binarizers[kind]


def accuracy(est: Any, X: Any, y: Any) -> float | None:
    """Return the share of right predictions; None if scikit-learn has to compute it."""
    classes = est.__dict__.get("classes_")
    if type(classes) is not np.ndarray or not plain_labels(y) or type(X) is not np.ndarray:
        return None
    if LABELS.get(classes.dtype.kind) != LABELS[y.dtype.kind] or X.ndim != 2 or len(X) != len(y):
        return None
    if PrivateState(est).label_binarizer.y_type_ not in ("binary", "multiclass"):
        return None
    if 2 * max(len(np.unique(y)), len(classes)) > len(y):  # scikit-learn may have something to say of these
        return None
    return float(np.mean(est.predict(X) == y))
