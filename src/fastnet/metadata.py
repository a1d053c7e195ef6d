"""Metadata of a network: feature names, classes, and the scaling of raw features (`Standardize`).

None of it is needed to compute. It travels with the network into files, pickles and other tools, so that
whoever opens them years later knows what goes in and what comes out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from fastnet import _validate
from fastnet._core.float_mode import in_default_mode
from fastnet._validate import Array

__all__ = [
    "Class",
    "Standardize",
    "answers",
    "checked_classes",
    "checked_names",
    "class_numbers",
    "class_weight_numbers",
    "output_kind",
]

Class: TypeAlias = str | int | bool | float


@dataclass(frozen=True, eq=False, repr=False)
class Standardize:
    """Raw features to those a network works on: x -> (x - mean) / scale, each feature by itself.

    Parameters
    ----------
    mean : array_like, shape (n_in,) or (n_in, 1)
    scale : array_like, shape (n_in,) or (n_in, 1)
        Greater than 0.

    Attributes
    ----------
    mean, scale : ndarray, shape (n_in, 1)
        Copies, in float64 unless both were float32; in the network's dtype once they belong to one.

    Raises
    ------
    ValueError, TypeError
        If a value is not finite, a scale not greater than 0, or the shapes do not fit one another.

    Examples
    --------
    >>> import fastnet as fn
    >>> fn.Standardize(mean=[1.0, 2.0], scale=[0.5, 4.0])
    Standardize of 2 features
    """

    mean: Array
    scale: Array

    @in_default_mode
    def __init__(self, mean: ArrayLike, scale: ArrayLike) -> None:
        checked = {"mean": _column(mean, "mean"), "scale": _column(scale, "scale")}
        if checked["mean"].shape != checked["scale"].shape:
            shapes = checked["mean"].shape, checked["scale"].shape
            raise ValueError(f"mean and scale must have the same shape, got {shapes[0]} and {shapes[1]}")
        if not (checked["scale"] > 0).all():
            feature = int(np.argmin(checked["scale"] > 0))
            value = checked["scale"][feature, 0]
            raise ValueError(f"scale must be greater than 0, got {value} for feature {feature}")
        dtype = np.result_type(*checked.values())
        for name, array in checked.items():
            object.__setattr__(self, name, array.astype(dtype))

    @classmethod
    @in_default_mode
    def of(cls, X: ArrayLike) -> Standardize:
        """Return mean and standard deviation of each feature (a row of X); scale 1 where it is constant.

        Parameters
        ----------
        X : array_like, shape (n_in, n)
            At least one example, one in each column.

        Returns
        -------
        Standardize
            Worked out in float64.

        Raises
        ------
        ValueError, TypeError
            If X is not a matrix of finite numbers with at least one example.

        Examples
        --------
        >>> import fastnet as fn
        >>> fn.Standardize.of([[1.0, 3.0], [7.0, 7.0]]).scale
        array([[1.],
               [1.]])
        """
        array = _validate.finite(_validate.matrix(X, "X", "(n_in, n), a column per example"), "X")
        with np.errstate(over="ignore", invalid="ignore"):  # what is too large is reported as not finite
            mean = array.mean(axis=1, keepdims=True, dtype=np.float64)
            scale = array.std(axis=1, keepdims=True, dtype=np.float64)
        constant = array.min(axis=1, keepdims=True) == array.max(axis=1, keepdims=True)
        return cls(mean, np.where(constant | (scale == 0), 1.0, scale))

    @in_default_mode
    def for_network(self, n_in: int, dtype: np.dtype[Any]) -> Standardize:
        """Return it in the dtype of a network with so many inputs."""
        if len(self.mean) != n_in:
            raise ValueError(
                f"preprocessing must be of {n_in} features, as the network, got {len(self.mean)}"
            )
        with np.errstate(over="ignore", under="ignore"):  # what does not fit is reported as not finite, or 0
            return Standardize(self.mean.astype(dtype), self.scale.astype(dtype))

    def __repr__(self) -> str:
        return f"Standardize of {len(self.mean)} features"


def _column(value: ArrayLike, name: str) -> Array:
    array = _validate.real_array(value, name)
    if array.ndim not in (1, 2) or array.size == 0 or array.size != len(array):
        raise ValueError(f"{name} must have shape (n_in,) or (n_in, 1), got {array.shape}")
    return _validate.finite(array.reshape(-1, 1), name)


def output_kind(activation: str, n_out: int) -> str:
    """Return what a last layer gives: see `Network.output`."""
    if activation in ("sigmoid", "logistic"):
        return "binary" if n_out == 1 else "multilabel"
    return "multiclass" if activation == "softmax" else "regression"


def checked_names(value: Any, n_in: int) -> tuple[str, ...]:
    """Return the names of the inputs: as many as there are, each a str."""
    names = _validate.items(value, "feature_names", "str")
    for k, name in enumerate(names):
        if not isinstance(name, str):
            raise TypeError(f"feature_names[{k}] must be a str, got {name!r}")
    if len(names) != n_in:
        raise ValueError(f"feature_names must be {n_in}, one for each input, got {len(names)}")
    return tuple(map(str, names))


def checked_classes(value: Any, kind: str, n_out: int) -> tuple[Class, ...]:
    """Return the classes as Python values of one type, as many as the outputs of this kind stand for."""
    classes = [
        item.item() if isinstance(item, np.generic) else item
        for item in _validate.items(value, "classes", "str")
    ]
    if kind == "regression":
        raise ValueError(f"classes must be None: the last activation makes a regression, got {len(classes)}")
    wanted = 2 if kind == "binary" else n_out
    if len(classes) != wanted:
        raise ValueError(
            f"classes must be {wanted} for a {kind} network of {n_out} outputs, got {len(classes)}"
        )
    kinds = {type(item) for item in classes}
    if len(kinds) != 1 or not kinds <= {str, int, bool, float}:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise TypeError(f"classes must be all str, all int, all bool or all float, got {names}")
    for k, item in enumerate(classes):
        if isinstance(item, int) and not -(2**63) <= item < 2**63:
            raise ValueError(f"classes[{k}] must fit 64 bits, got {item}")
        if isinstance(item, float) and not math.isfinite(item):
            raise ValueError(f"classes[{k}] must be finite, got {item}")
    if len(set(classes)) != len(classes):
        raise ValueError(f"classes must differ from one another, got {classes}")
    return tuple(classes)


def class_numbers(T: Any, classes: tuple[Class, ...] | None, kind: str, n_out: int) -> tuple[Any, Any]:
    """Return targets with class labels as numbers from 0, and the classes that were found in them or None.

    Only a vector of labels changes, or a single row of texts; numbers are left alone unless `classes` are
    numbers that say otherwise. Without `classes`, texts become classes in alphabetical order.

    Raises
    ------
    ValueError
        If a label is none of the classes, or there are not as many different ones as the network has.

    Examples
    --------
    >>> class_numbers(["no", "yes", "no"], None, "binary", 1)
    (array([0, 1, 0]), ('no', 'yes'))
    """
    labels = T if isinstance(T, np.ndarray) else _validate.to_array(T, "T")
    if classes is None and labels.dtype.kind in "biuf":
        return T, None
    if labels.ndim == 2 and len(labels) == 1:
        row = labels[0]
    elif labels.ndim == 1:
        row = labels
    else:
        return T, None
    texts = row.dtype.kind == "U" or (
        row.dtype.kind == "O" and row.size > 0 and all(isinstance(label, str) for label in row)
    )
    if not texts:
        numbers = classes is not None and not isinstance(classes[0], str) and kind != "multilabel"
        if labels.ndim == 2 or not numbers or row.dtype.kind not in "biuf":
            return T, None
        if classes in (tuple(range(len(classes or ()))), (False, True)):  # they are their own numbers
            return T, None
    elif kind in ("regression", "multilabel"):
        raise ValueError(f"T must hold numbers for a {kind} network, got texts such as {str(row[0])!r}")
    found = None
    if classes is None:
        wanted = 2 if kind == "binary" else n_out
        found = tuple(map(str, np.unique(row.astype(str))))
        if len(found) != wanted:
            raise ValueError(
                f"T must hold {wanted} different labels for this network, got {len(found)}: "
                f"{', '.join(map(repr, found[:5]))}"
            )
    known = np.asarray(found or classes)
    values = row.astype(str) if texts else row
    if texts and known.dtype.kind != "U":
        raise ValueError(f"T must hold some of the classes {found or classes}, got {str(row[0])!r}")
    order = np.argsort(known)
    place = np.minimum(np.searchsorted(known, values, sorter=order), len(known) - 1)
    numbers_of = order[place]
    wrong = known[numbers_of] != values
    if wrong.any():
        label = values[wrong][0].item()
        raise ValueError(f"T must hold some of the classes {found or classes}, got {label!r}")
    return numbers_of, found


def class_weight_numbers(class_weight: Any, classes: tuple[Class, ...] | None) -> Any:
    """Return class weights by the number of the class, given by its label where the network has labels.

    What is no mapping, and one of a network without labels, comes back as it is.

    Raises
    ------
    ValueError
        If a key is none of the classes.

    Examples
    --------
    >>> class_weight_numbers({"yes": 5.0}, ("no", "yes"))
    {1: 5.0}
    """
    if classes is None or not isinstance(class_weight, Mapping):
        return class_weight
    texts = isinstance(classes[0], str)
    numbers = {label: k for k, label in enumerate(classes)}
    found = {}
    for label, weight in class_weight.items():
        plain = label.item() if isinstance(label, np.generic) else label
        if isinstance(plain, str) != texts or plain not in numbers:
            raise ValueError(f"class_weight must have keys among the classes {classes}, got {plain!r}")
        found[numbers[plain]] = weight
    return found


def answers(A: Array, kind: str, classes: tuple[Class, ...] | None) -> Array:
    """Return what outputs (n_out, n) mean: labels, or numbers of classes, or the outputs of a regression.

    >>> answers(np.array([[0.2, 0.9]]), "binary", ("no", "yes"))
    array(['no', 'yes'], dtype='<U3')
    """
    if kind == "regression":
        return A[0] if len(A) == 1 else A
    if kind == "multilabel":
        return (A > 0.5).astype(np.intp)
    numbers: Array = A.argmax(axis=0) if kind == "multiclass" else (A[0] > 0.5).astype(np.intp)
    if classes is None:
        return numbers
    labels: Array = np.asarray(classes)[numbers]
    return labels
