"""Reads the parameters that fastnet adds to scikit-learn's, where they are fastnet's.

A user's subclass may have a parameter of its own with the same name, `dtype` say, that was written for
scikit-learn's class and means something else. Such a parameter must not change the training. Whether it does
is found out once for each class: the class is constructed with a marker in the parameter's place, and the
parameter is fastnet's if the marker arrives in the constructor of fastnet's class.
"""

from __future__ import annotations

import inspect
from contextvars import ContextVar
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval, Options, StrOptions

__all__ = ["CONSTRAINTS", "changed_names", "constraints", "foreign_names", "note_received", "own_parameter"]

DEFAULTS: dict[str, Any] = {
    "class_weight": None,
    "delta": 1.0,
    "quantile": 0.5,
    "weight_decay": 0.01,
    "rho": 0.9,
    "clip_norm": None,
    "dropout": 0.0,
    "dtype": None,
    "n_threads": None,
}

CONSTRAINTS: dict[str, list[Any]] = {
    "class_weight": [dict, StrOptions({"balanced"}), None],
    "delta": [Interval(Real, 0, None, closed="neither")],
    "quantile": [Interval(Real, 0, 1, closed="neither")],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "rho": [Interval(Real, 0, 1, closed="left")],
    "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
    "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
    "dtype": [
        StrOptions({"float32", "float64"}),
        Options(type, {np.float32, np.float64, float}),
        Options(np.dtype, {np.dtype(np.float32), np.dtype(np.float64)}),
        None,
    ],
    "n_threads": [Interval(Integral, 1, 256, closed="both"), None],
}

_received: ContextVar[dict[str, Any] | None] = ContextVar("received", default=None)


def note_received(**parameters: Any) -> None:
    """Note what the constructor of fastnet's class received, if somebody wants to know."""
    noted = _received.get()
    if noted is not None:
        noted.update(parameters)


def own_parameter(est: Any, name: str) -> Any:
    """Return the value of one of fastnet's parameters; its default where the class has not got it."""
    if name in foreign_names(type(est)):
        return DEFAULTS[name]
    return getattr(est, name, DEFAULTS[name])


def changed_names(est: Any) -> list[str]:
    """Return which of fastnet's parameters have another value than their default."""
    values = {name: own_parameter(est, name) for name in DEFAULTS}
    return [name for name, given in values.items() if given is not None and given != DEFAULTS[name]]


def constraints(cls: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Return the constraints of a class without those of fastnet's parameters that it has not got."""
    foreign = foreign_names(cls)
    return {
        name: constraint
        for name, constraint in given.items()
        if name not in foreign or constraint is not CONSTRAINTS[name]
    }


def foreign_names(cls: Any) -> frozenset[str]:
    """Return the names of fastnet's parameters that mean something else in this class.

    The class itself keeps them.
    """
    known: frozenset[str] | None = vars(cls).get("_foreign_names")
    if known is None:
        ours = cls.__module__ == f"{__package__}._estimators"
        known = cls._foreign_names = frozenset() if ours else frozenset(_find_foreign_names(cls))
    return known


def _find_foreign_names(cls: Any) -> set[str]:
    own = [name for name in inspect.signature(cls).parameters if name in DEFAULTS]
    for marks in ({name: object() for name in own}, {}):
        noted: dict[str, Any] = {}
        token = _received.set(noted)
        try:
            attributes = vars(cls(**marks))
        except Exception:  # a constructor that looks at its arguments
            continue
        finally:
            _received.reset(token)
        arrived = {name for name in noted if noted[name] is attributes.get(name, noted)}
        return DEFAULTS.keys() - arrived
    return set(own)
