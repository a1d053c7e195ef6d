"""Metrics: accuracies and errors of outputs A against targets T, both (n_out, n).

A fit takes these by name, and functions of your own: ``metrics=["accuracy", my_function]``. They are worked
out in NumPy, once per epoch, on the predictions for all the data; weights of the examples play no part.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from fastnet import _validate
from fastnet._core.float_mode import in_default_mode
from fastnet._validate import Array

__all__ = [
    "accuracy",
    "binary_accuracy",
    "mean_absolute_error",
    "mean_squared_error",
    "r2",
    "root_mean_squared_error",
]

Metric: TypeAlias = Callable[[Any, Any], float]


@in_default_mode
def accuracy(T: ArrayLike, A: ArrayLike) -> float:
    """Return the share of examples whose largest output is where the largest target is.

    With a single output: whose output is above 0.5 where the target is.

    >>> accuracy([[0, 1, 1]], [[0.2, 0.7, 0.4]])
    0.6666666666666666
    >>> accuracy([[1, 0], [0, 1]], [[0.7, 0.6], [0.3, 0.4]])
    0.5
    """
    T, A = _of_one_shape(T, A)
    if len(A) == 1:
        return binary_accuracy(T, A)
    return float(np.mean(T.argmax(axis=0) == A.argmax(axis=0)))


@in_default_mode
def binary_accuracy(T: ArrayLike, A: ArrayLike) -> float:
    """Return the share of all outputs that are above 0.5 where the target is.

    >>> binary_accuracy([[1, 0], [1, 1]], [[0.7, 0.6], [0.8, 0.9]])
    0.75
    """
    T, A = _of_one_shape(T, A)
    return float(np.mean((T > 0.5) == (A > 0.5)))


@in_default_mode
def r2(T: ArrayLike, A: ArrayLike) -> float:
    """Return 1 − Σ (a − t)² / Σ (t − mean t)², the mean over the outputs.

    An output whose targets are all the same counts 1 if it is met exactly and 0 otherwise.

    >>> r2([[1.0, 2.0, 3.0]], [[1.0, 2.0, 4.0]])
    0.5
    """
    T, A = (array.astype(np.float64, copy=False) for array in _of_one_shape(T, A))
    left = ((A - T) ** 2).sum(axis=1)
    spread = ((T - T.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    flat = spread == 0
    return float(np.mean(np.where(flat, left == 0, 1 - left / np.where(flat, 1, spread))))


@in_default_mode
def mean_squared_error(T: ArrayLike, A: ArrayLike) -> float:
    """Return the mean of (a − t)² over examples and outputs.

    >>> mean_squared_error([[0.0, 1.0]], [[0.0, 3.0]])
    2.0
    """
    T, A = _of_one_shape(T, A)
    return float(np.mean(np.square(np.subtract(A, T, dtype=np.float64))))


@in_default_mode
def root_mean_squared_error(T: ArrayLike, A: ArrayLike) -> float:
    """Return the root of the mean of (a − t)² over examples and outputs.

    >>> root_mean_squared_error([[1.0, 1.0]], [[3.0, 3.0]])
    2.0
    """
    return math.sqrt(mean_squared_error(T, A))


@in_default_mode
def mean_absolute_error(T: ArrayLike, A: ArrayLike) -> float:
    """Return the mean of abs(a − t) over examples and outputs.

    >>> mean_absolute_error([[0.0, 1.0]], [[0.0, 3.0]])
    1.0
    """
    T, A = _of_one_shape(T, A)
    return float(np.mean(np.abs(np.subtract(A, T, dtype=np.float64))))


def _of_one_shape(T: ArrayLike, A: ArrayLike) -> tuple[Array, Array]:
    """Return targets and outputs as matrices of one shape that is not empty."""
    outputs, targets = _validate.real_array(A, "A"), _validate.real_array(T, "T")
    if outputs.ndim != 2 or not outputs.size:
        raise ValueError(f"A must have shape (n_out, n), not empty, got {outputs.shape}")
    if targets.shape != outputs.shape:
        raise ValueError(f"T must have shape {outputs.shape}, as A has, got {targets.shape}")
    return targets, outputs


BY_NAME: dict[str, Metric] = {name: globals()[name] for name in __all__}


def resolve(metrics: Any) -> dict[str, Metric]:
    """Return the metrics that names and functions mean, under the names they have in the history.

    >>> sorted(resolve(["r2", max]))
    ['max', 'r2']
    """
    found: dict[str, Metric] = {}
    for k, metric in enumerate(_validate.items(metrics, "metrics", "names or functions")):
        if callable(metric):
            name = getattr(metric, "__name__", type(metric).__name__)
        else:
            name = _validate.choice(metric, f"metrics[{k}]", BY_NAME)
            metric = BY_NAME[name]
        if name in found:
            raise ValueError(f"metrics[{k}] has the name {name!r} of one before it")
        found[name] = _giving_a_float(name, metric)
    return found


def _giving_a_float(name: str, metric: Metric) -> Metric:
    def value(T: Any, A: Any) -> float:
        result = metric(T, A)
        try:
            return float(result)
        except (TypeError, ValueError):
            raise TypeError(
                f"the metric {name!r} must return a number, got {_validate.shown(result)}"
            ) from None

    return value
