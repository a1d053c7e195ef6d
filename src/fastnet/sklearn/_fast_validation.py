"""Scikit-learn's validation in few steps, for what is plainly in order: it took half of a small fit.

Each function here either finds what scikit-learn would find, or says that it cannot tell; then scikit-learn's
own code runs, with its conversions, warnings and errors. Plain are NumPy arrays themselves (no subclasses, no
frames): features that are a matrix of finite float64 or float32, labels that are a vector of integers,
booleans or str.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.preprocessing import LabelBinarizer

from fastnet._core import engine
from fastnet.sklearn import _layout
from fastnet.sklearn._layout import Array

try:
    from sklearn.utils._param_validation import make_constraint
except ImportError:  # another scikit-learn: it validates by itself
    make_constraint = None

LABELS = {"i": "integer", "u": "integer", "b": "boolean", "U": "str"}
_KNOWN = {"neg_label", "pos_label", "sparse_output", "y_type_", "sparse_input_", "classes_"}

_binarizers: dict[str, dict[str, Any] | None] = {}


def param_names(cls: Any, found_by: Any) -> list[str]:
    """Return the names of the constructor's parameters, which `found_by` looks up once for each class.

    The class itself keeps them.
    """
    known = vars(cls).get("_known_names")
    if known is None or known[0] is not cls.__init__:
        known = cls._known_names = (cls.__init__, found_by())
    return list(known[1])


def params_hold(est: Any) -> bool:
    """Whether each parameter satisfies one of its constraints; these are made once for each class."""
    cls: Any = type(est)
    given = est._parameter_constraints
    known = vars(cls).get("_known_constraints")
    if known is None or known[0] is not given:
        if make_constraint is None:
            return False
        made = [
            (name, [make_constraint(constraint) for constraint in given[name]])
            for name in est._get_param_names()
            if name in given and given[name] != "no_validation"
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


def features(est: Any, X: Any, reset: bool) -> bool:
    """Whether X is plain and the estimator knows it, or may get to know it: it then notes their number."""
    if type(X) is not np.ndarray or X.ndim != 2 or X.dtype not in _layout.FLOATS or 0 in X.shape:
        return False
    state = est.__dict__
    if "feature_names_in_" in state or (not reset and state.get("n_features_in_") != X.shape[1]):
        return False
    if est.dtype is not None and X.dtype != est.dtype:
        return False
    if not engine.all_finite(X):
        return False
    if reset:
        est.n_features_in_ = X.shape[1]
    return True


def numbers(est: Any, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Array, Array] | None:
    """Return X and y as the regressor's `_validate_input` does; None if they are not plain."""
    if type(X) is not np.ndarray:
        return None
    if type(y) is not np.ndarray or y.ndim != 1 or y.dtype not in _layout.FLOATS or y.shape != X.shape[:1]:
        return None
    if not engine.all_finite(y[None, :]) or not features(est, X, reset):
        return None
    return X, y


def labels(est: Any, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Array, Array] | None:
    """Return X and indicators of y as the classifier's `_validate_input` does; None if they are not plain.

    Only where the classes are taken from y: otherwise it has to be compared with those known.
    """
    state = est.__dict__
    if "classes_" in state and (est.warm_start or incremental):
        return None
    if not plain_labels(y) or type(X) is not np.ndarray or y.shape != X.shape[:1]:
        return None
    classes = np.asarray(sorted(set(np.unique(y))))
    many = len(classes) > 2
    kind = _binarizer("multiclass" if many else "binary")
    if 2 * len(classes) > len(y) or kind is None or not features(est, X, reset):
        return None
    est._label_binarizer = LabelBinarizer()
    est._label_binarizer.__dict__.update(kind, classes_=classes)
    est.classes_ = classes
    if many:
        return X, y[:, None] == classes
    return X, (y == classes[1])[:, None] if len(classes) == 2 else np.zeros((len(y), 1), bool)


def plain_labels(y: Any) -> bool:
    """Whether y is a vector of labels that cannot be misunderstood."""
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
    """Return what part of the predicted labels is y; None if that is not plainly to be said."""
    classes = est.__dict__.get("classes_")
    if type(classes) is not np.ndarray or not plain_labels(y) or type(X) is not np.ndarray:
        return None
    if LABELS.get(classes.dtype.kind) != LABELS[y.dtype.kind] or X.ndim != 2 or len(X) != len(y):
        return None
    if est._label_binarizer.y_type_ not in ("binary", "multiclass"):
        return None
    if 2 * max(len(np.unique(y)), len(classes)) > len(y):  # scikit-learn may have something to say of these
        return None
    return float(np.mean(est.predict(X) == y))
